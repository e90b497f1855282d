//! How many requests are under way at once: one more while the server answers well, half as many
//! after trouble. The configured number is the most.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

/// An answer that takes longer than this, and several times the usual, is a slow one.
const SLOW: Duration = Duration::from_secs(2);
const SLOW_FACTOR: u32 = 8;

/// Hands out turns.
#[derive(Debug)]
pub(super) struct Pace {
    permits: Semaphore,
    most: usize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    limit: usize,
    /// Permits that are to be kept when they come back.
    owed: usize,
    /// Good answers since the limit last changed.
    good: usize,
    cut_at: Option<Instant>,
    usual: Option<Duration>,
}

/// The right to have one request under way.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    pace: &'a Pace,
    permit: Option<SemaphorePermit<'a>>,
    began: Instant,
}

impl Pace {
    /// Begins with half of `most`.
    pub(super) fn new(most: usize) -> Self {
        let most = most.max(1);
        let limit = most.div_ceil(2);
        let state = State { limit, owed: 0, good: 0, cut_at: None, usual: None };
        Self { permits: Semaphore::new(limit), most, state: Mutex::new(state) }
    }

    /// Waits for a turn. `None` never comes: the turns are not closed.
    pub(super) async fn turn(&self) -> Option<Turn<'_>> {
        let permit = self.permits.acquire().await.ok()?;
        Some(Turn { pace: self, permit: Some(permit), began: Instant::now() })
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn<'_> {
    /// The time counts from here: waiting for a gate is nobody's slowness.
    pub(super) fn begin(&mut self) {
        self.began = Instant::now();
    }

    /// The server answered, after `latency`. Returns the new limit where that changed it.
    pub(super) fn went_well(&self, latency: Duration) -> Option<usize> {
        let mut state = self.pace.state();
        let usual = state.usual.unwrap_or(latency);
        state.usual = Some((usual * 7 + latency) / 8);
        if latency > SLOW && latency > usual * SLOW_FACTOR {
            return self.cut(&mut state);
        }
        state.good += 1;
        if state.good < state.limit || state.limit >= self.pace.most {
            return None;
        }
        state.good = 0;
        state.limit += 1;
        if state.owed > 0 {
            state.owed -= 1;
        } else {
            self.pace.permits.add_permits(1);
        }
        Some(state.limit)
    }

    /// The server could not answer, or asked for patience. Returns the new limit where that
    /// changed it.
    pub(super) fn went_badly(&self) -> Option<usize> {
        self.cut(&mut self.pace.state())
    }

    /// Once for everything that was under way together: the others tell of the same trouble.
    fn cut(&self, state: &mut State) -> Option<usize> {
        let is_old_news = state.cut_at.is_some_and(|cut| self.began <= cut);
        if is_old_news || state.limit == 1 {
            return None;
        }
        let less = state.limit - state.limit / 2;
        state.owed += state.limit - less;
        (state.limit, state.good, state.cut_at) = (less, 0, Some(Instant::now()));
        Some(less)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = self.pace.state();
        if let (true, Some(permit)) = (state.owed > 0, self.permit.take()) {
            state.owed -= 1;
            permit.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: Duration = Duration::from_millis(10);

    fn limit(pace: &Pace) -> usize {
        pace.state().limit
    }

    async fn good(pace: &Pace, answers: usize) {
        for _ in 0..answers {
            pace.turn().await.unwrap().went_well(QUICK);
        }
    }

    #[tokio::test]
    async fn it_grows_while_answers_are_good_up_to_the_most() {
        let pace = Pace::new(8);
        assert_eq!(limit(&pace), 4);
        good(&pace, 4).await;
        assert_eq!(limit(&pace), 5);
        good(&pace, 1000).await;
        assert_eq!(limit(&pace), 8);
        assert_eq!(pace.permits.available_permits(), 8);
    }

    #[tokio::test]
    async fn trouble_halves_it_once_for_all_that_was_under_way() {
        let pace = Pace::new(8);
        good(&pace, 1000).await;
        let mut turns = Vec::new();
        for _ in 0..8 {
            turns.push(pace.turn().await.unwrap());
        }
        let changes: Vec<_> = turns.iter().filter_map(Turn::went_badly).collect();
        assert_eq!(changes, [4]);
        drop(turns);
        assert_eq!(pace.permits.available_permits(), 4);
        for _ in 0..10 {
            tokio::time::sleep(Duration::from_millis(1)).await;
            pace.turn().await.unwrap().went_badly();
        }
        assert_eq!((limit(&pace), pace.permits.available_permits()), (1, 1));
        good(&pace, 1000).await;
        assert_eq!((limit(&pace), pace.permits.available_permits()), (8, 8));
    }

    #[tokio::test]
    async fn an_answer_far_slower_than_usual_is_trouble() {
        let pace = Pace::new(4);
        good(&pace, 100).await;
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(pace.turn().await.unwrap().went_well(Duration::from_secs(3)), Some(2));
        let slow = Pace::new(4);
        for _ in 0..100 {
            slow.turn().await.unwrap().went_well(Duration::from_secs(3));
        }
        assert_eq!(limit(&slow), 4);
    }
}
