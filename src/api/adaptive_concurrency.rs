//! Adaptive concurrency: the limit on requests in flight grows by one after as many successes, and
//! is halved after a failure or a very slow response. `api.concurrency` is its upper bound.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

/// A response is slow if it takes longer than this and `SLOW_RATIO` times the typical latency.
const SLOW: Duration = Duration::from_secs(2);
const SLOW_RATIO: u32 = 8;

/// Hands out permits, as many at once as the current limit.
#[derive(Debug)]
pub(super) struct AdaptiveConcurrency {
    permits: Semaphore,
    most: usize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    limit: usize,
    /// Permits in use that are retired when they are returned, because the limit was lowered.
    to_retire: usize,
    /// Successes since the limit last changed.
    successes: usize,
    decreased_at: Option<Instant>,
    /// Moving average of latencies, in which each new one has a weight of an eighth.
    typical: Option<Duration>,
}

/// Permission for one request in flight; dropping it returns it.
#[derive(Debug)]
pub(super) struct Permit<'a> {
    concurrency: &'a AdaptiveConcurrency,
    slot: Option<SemaphorePermit<'a>>,
    began: Instant,
}

impl AdaptiveConcurrency {
    /// Starts with half of `most`.
    pub(super) fn new(most: usize) -> Self {
        let most = most.max(1);
        let limit = most.div_ceil(2);
        let state = State { limit, to_retire: 0, successes: 0, decreased_at: None, typical: None };
        Self { permits: Semaphore::new(limit), most, state: Mutex::new(state) }
    }

    /// Waits for a permit. Never `None`: the semaphore is never closed.
    pub(super) async fn acquire(&self) -> Option<Permit<'_>> {
        let slot = self.permits.acquire().await.ok()?;
        Some(Permit { concurrency: self, slot: Some(slot), began: Instant::now() })
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit<'_> {
    /// Restarts the clock when the request is sent, so that waits for the cooldown and the rate
    /// limit do not count.
    pub(super) fn begin(&mut self) {
        self.began = Instant::now();
    }

    /// Records a response that took `latency`. Returns the new limit if it changed.
    pub(super) fn record_success(&self, latency: Duration) -> Option<usize> {
        let mut state = self.concurrency.state();
        let typical = state.typical.unwrap_or(latency);
        state.typical = Some((typical * 7 + latency) / 8);
        if latency > SLOW && latency > typical * SLOW_RATIO {
            return self.decrease(&mut state);
        }
        state.successes += 1;
        if state.successes < state.limit || state.limit >= self.concurrency.most {
            return None;
        }
        state.successes = 0;
        state.limit += 1;
        if state.to_retire > 0 {
            state.to_retire -= 1;
        } else {
            self.concurrency.permits.add_permits(1);
        }
        Some(state.limit)
    }

    /// Records a failure. Returns the new limit if it changed.
    pub(super) fn record_failure(&self) -> Option<usize> {
        self.decrease(&mut self.concurrency.state())
    }

    /// Halves the limit, once for all requests that were in flight together: they failed for the
    /// same reason.
    fn decrease(&self, state: &mut State) -> Option<usize> {
        let is_counted = state.decreased_at.is_some_and(|at| self.began <= at);
        if is_counted || state.limit == 1 {
            return None;
        }
        let less = state.limit - state.limit / 2;
        state.to_retire += state.limit - less;
        (state.limit, state.successes, state.decreased_at) = (less, 0, Some(Instant::now()));
        Some(less)
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let mut state = self.concurrency.state();
        if let (true, Some(slot)) = (state.to_retire > 0, self.slot.take()) {
            state.to_retire -= 1;
            slot.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: Duration = Duration::from_millis(10);

    fn limit(concurrency: &AdaptiveConcurrency) -> usize {
        concurrency.state().limit
    }

    async fn succeed(concurrency: &AdaptiveConcurrency, answers: usize) {
        for _ in 0..answers {
            concurrency.acquire().await.unwrap().record_success(QUICK);
        }
    }

    #[tokio::test]
    async fn it_grows_while_answers_are_good_up_to_the_most() {
        let concurrency = AdaptiveConcurrency::new(8);
        assert_eq!(limit(&concurrency), 4);
        succeed(&concurrency, 4).await;
        assert_eq!(limit(&concurrency), 5);
        succeed(&concurrency, 1000).await;
        assert_eq!(limit(&concurrency), 8);
        assert_eq!(concurrency.permits.available_permits(), 8);
    }

    #[tokio::test]
    async fn trouble_halves_it_once_for_all_that_was_under_way() {
        let concurrency = AdaptiveConcurrency::new(8);
        succeed(&concurrency, 1000).await;
        let mut permits = Vec::new();
        for _ in 0..8 {
            permits.push(concurrency.acquire().await.unwrap());
        }
        let changes: Vec<_> = permits.iter().filter_map(Permit::record_failure).collect();
        assert_eq!(changes, [4]);
        drop(permits);
        assert_eq!(concurrency.permits.available_permits(), 4);
        for _ in 0..10 {
            tokio::time::sleep(Duration::from_millis(1)).await;
            concurrency.acquire().await.unwrap().record_failure();
        }
        assert_eq!((limit(&concurrency), concurrency.permits.available_permits()), (1, 1));
        succeed(&concurrency, 1000).await;
        assert_eq!((limit(&concurrency), concurrency.permits.available_permits()), (8, 8));
    }

    #[tokio::test]
    async fn an_answer_far_slower_than_usual_is_trouble() {
        let concurrency = AdaptiveConcurrency::new(4);
        succeed(&concurrency, 100).await;
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(
            concurrency.acquire().await.unwrap().record_success(Duration::from_secs(3)),
            Some(2)
        );
        let slow = AdaptiveConcurrency::new(4);
        for _ in 0..100 {
            slow.acquire().await.unwrap().record_success(Duration::from_secs(3));
        }
        assert_eq!(limit(&slow), 4);
    }
}
