//! A memory budget for large bodies: it limits how many of their bytes are held at once, from the
//! first byte of a body until its rows were built.
//!
//! Small bodies need no reservation: their number is limited by the concurrency and by the size of
//! a commit. A large body reserves bytes as they arrive, and waits while the budget is used up, so
//! that its connection is throttled too. The oldest unfinished body never waits: otherwise bodies
//! that each hold a part of the budget could block each other, and a body larger than the whole
//! budget could never finish.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

/// Bodies below this size, in bytes, need no reservation.
const SMALL: u64 = 256 * 1024;

/// The budget that all bodies of a client share.
#[derive(Debug)]
pub(super) struct MemoryBudget {
    most: u64,
    state: Mutex<State>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct State {
    taken: u64,
    next: u64,
    /// Bodies that are still being received, by their number.
    receiving: BTreeSet<u64>,
}

/// What one body has reserved; dropping it releases the bytes.
#[derive(Debug)]
pub(super) struct Reservation {
    budget: Arc<MemoryBudget>,
    number: u64,
    bytes: u64,
}

impl MemoryBudget {
    /// A budget of `most` bytes.
    pub(super) fn new(most: u64) -> Arc<Self> {
        Arc::new(Self { most, state: Mutex::default(), freed: Notify::new() })
    }

    /// An empty reservation for a body whose first bytes arrive.
    pub(super) fn reservation(self: &Arc<Self>) -> Reservation {
        let mut state = self.state();
        let number = state.next;
        state.next += 1;
        state.receiving.insert(number);
        Reservation { budget: Arc::clone(self), number, bytes: 0 }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reservation {
    /// Extends the reservation to `bytes` in total; waits while the budget is used up.
    pub(super) async fn reserve(&mut self, bytes: u64) {
        if bytes < SMALL {
            return;
        }
        let budget = Arc::clone(&self.budget);
        loop {
            // Registered before the check, so that a release in between is not missed.
            let freed = budget.freed.notified();
            if self.try_reserve(bytes) {
                return;
            }
            freed.await;
        }
    }

    fn try_reserve(&mut self, bytes: u64) -> bool {
        let mut state = self.budget.state();
        let more = bytes.saturating_sub(self.bytes);
        let is_oldest = state.receiving.first() == Some(&self.number);
        let fits = is_oldest || state.taken.saturating_add(more) <= self.budget.most;
        if fits {
            state.taken += more;
            self.bytes += more;
        }
        fits
    }

    /// Ends the reception. The bytes are released when the last clone of the body is dropped.
    pub(super) fn hold(self, body: Vec<u8>) -> Bytes {
        self.stop_receiving();
        if self.bytes == 0 {
            Bytes::from(body)
        } else {
            Bytes::from_owner(Held { body, _reservation: self })
        }
    }

    fn stop_receiving(&self) {
        self.budget.state().receiving.remove(&self.number);
        self.budget.freed.notify_waiters();
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let bytes = self.bytes;
        self.budget.state().taken -= bytes;
        self.stop_receiving();
    }
}

/// A large body together with its reservation.
struct Held {
    body: Vec<u8>,
    _reservation: Reservation,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const MB: u64 = 1024 * 1024;

    fn taken(budget: &MemoryBudget) -> u64 {
        budget.state().taken
    }

    async fn waits(reservation: &mut Reservation, bytes: u64) -> bool {
        tokio::time::timeout(Duration::from_millis(20), reservation.reserve(bytes)).await.is_err()
    }

    #[tokio::test]
    async fn small_bodies_need_no_room() {
        let budget = MemoryBudget::new(0);
        let (_oldest, mut reservation) = (budget.reservation(), budget.reservation());
        assert!(!waits(&mut reservation, SMALL - 1).await);
        assert_eq!(taken(&budget), 0);
        assert_eq!(reservation.hold(vec![7; 3]), Bytes::from_static(&[7; 3]));
    }

    #[tokio::test]
    async fn a_body_waits_for_room_and_the_oldest_does_not() {
        let budget = MemoryBudget::new(10 * MB);
        let (mut oldest, mut second) = (budget.reservation(), budget.reservation());
        second.reserve(6 * MB).await;
        assert!(waits(&mut second, 11 * MB).await);
        oldest.reserve(100 * MB).await;
        assert_eq!(taken(&budget), 106 * MB);
        let body = oldest.hold(vec![0; 1]);
        // `second` is now the oldest body that is being received.
        assert!(!waits(&mut second, 11 * MB).await);
        let mut third = budget.reservation();
        assert!(waits(&mut third, MB).await);
        drop((body, second));
        assert!(!waits(&mut third, MB).await);
        drop(third);
        assert_eq!(taken(&budget), 0);
    }

    proptest! {
        /// For bodies of any size, every body finishes, and the whole budget is free in the end.
        #[test]
        fn every_body_comes_to_its_end(sizes in prop::collection::vec(0_u64..40, 1..30)) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
            runtime.unwrap().block_on(async {
                let budget = MemoryBudget::new(20 * MB);
                let bodies = sizes.iter().map(|&size| {
                    let mut reservation = budget.reservation();
                    async move {
                        for grown in 0..=size {
                            reservation.reserve(grown * MB).await;
                            tokio::task::yield_now().await;
                        }
                        let body = reservation.hold(Vec::new());
                        tokio::task::yield_now().await;
                        drop(body);
                    }
                });
                let all = futures::future::join_all(bodies);
                tokio::time::timeout(Duration::from_secs(20), all).await.unwrap();
                assert_eq!(taken(&budget), 0);
                assert!(budget.state().receiving.is_empty());
            });
        }
    }
}
