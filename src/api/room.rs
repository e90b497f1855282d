//! Room for large bodies: how many bytes of them are in memory at once, from their first byte until
//! their rows are made.
//!
//! Small bodies are as many as requests under way and runs in a commit; they need no room here. A
//! large one takes room as it comes, and waits where there is none, so that its connection waits,
//! too. The oldest of those that come never waits: so each comes to its end, also one that is larger
//! than all the room there is.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

/// Below this size a body is small, in bytes.
const SMALL: u64 = 256 * 1024;

/// The room that all bodies of a client share.
#[derive(Debug)]
pub(super) struct Room {
    most: u64,
    state: Mutex<State>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct State {
    taken: u64,
    next: u64,
    /// Bodies that are not whole yet, by their number.
    coming: BTreeSet<u64>,
}

/// The room that one body has.
#[derive(Debug)]
pub(super) struct Place {
    room: Arc<Room>,
    number: u64,
    bytes: u64,
}

impl Room {
    /// So many bytes.
    pub(super) fn new(most: u64) -> Arc<Self> {
        Arc::new(Self { most, state: Mutex::default(), freed: Notify::new() })
    }

    /// A place for a body that begins to come.
    pub(super) fn place(self: &Arc<Self>) -> Place {
        let mut state = self.state();
        let number = state.next;
        state.next += 1;
        state.coming.insert(number);
        Place { room: Arc::clone(self), number, bytes: 0 }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Waits until there is room for a body of `bytes` in all.
    pub(super) async fn grow_to(&mut self, bytes: u64) {
        if bytes < SMALL {
            return;
        }
        let room = Arc::clone(&self.room);
        loop {
            // Asked for before looking, so that no news in between is lost.
            let freed = room.freed.notified();
            if self.try_grow_to(bytes) {
                return;
            }
            freed.await;
        }
    }

    fn try_grow_to(&mut self, bytes: u64) -> bool {
        let mut state = self.room.state();
        let more = bytes.saturating_sub(self.bytes);
        let is_oldest = state.coming.first() == Some(&self.number);
        let fits = is_oldest || state.taken.saturating_add(more) <= self.room.most;
        if fits {
            state.taken += more;
            self.bytes += more;
        }
        fits
    }

    /// The body is whole. Its room is free once nobody has it any more.
    pub(super) fn hold(self, body: Vec<u8>) -> Bytes {
        self.stop_coming();
        if self.bytes == 0 {
            Bytes::from(body)
        } else {
            Bytes::from_owner(Held { body, _place: self })
        }
    }

    fn stop_coming(&self) {
        self.room.state().coming.remove(&self.number);
        self.room.freed.notify_waiters();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let bytes = self.bytes;
        self.room.state().taken -= bytes;
        self.stop_coming();
    }
}

/// A large body with its place.
struct Held {
    body: Vec<u8>,
    _place: Place,
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

    fn taken(room: &Room) -> u64 {
        room.state().taken
    }

    async fn waits(place: &mut Place, bytes: u64) -> bool {
        tokio::time::timeout(Duration::from_millis(20), place.grow_to(bytes)).await.is_err()
    }

    #[tokio::test]
    async fn small_bodies_need_no_room() {
        let room = Room::new(0);
        let (_oldest, mut place) = (room.place(), room.place());
        assert!(!waits(&mut place, SMALL - 1).await);
        assert_eq!(taken(&room), 0);
        assert_eq!(place.hold(vec![7; 3]), Bytes::from_static(&[7; 3]));
    }

    #[tokio::test]
    async fn a_body_waits_for_room_and_the_oldest_does_not() {
        let room = Room::new(10 * MB);
        let (mut oldest, mut second) = (room.place(), room.place());
        second.grow_to(6 * MB).await;
        assert!(waits(&mut second, 11 * MB).await);
        oldest.grow_to(100 * MB).await;
        assert_eq!(taken(&room), 106 * MB);
        let body = oldest.hold(vec![0; 1]);
        // Now it is the oldest of those that come.
        assert!(!waits(&mut second, 11 * MB).await);
        let mut third = room.place();
        assert!(waits(&mut third, MB).await);
        drop((body, second));
        assert!(!waits(&mut third, MB).await);
        drop(third);
        assert_eq!(taken(&room), 0);
    }

    proptest! {
        /// Whatever is asked for and given back, nobody waits for ever, and all room is free in the
        /// end.
        #[test]
        fn every_body_comes_to_its_end(sizes in prop::collection::vec(0_u64..40, 1..30)) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
            runtime.unwrap().block_on(async {
                let room = Room::new(20 * MB);
                let bodies = sizes.iter().map(|&size| {
                    let mut place = room.place();
                    async move {
                        for grown in 0..=size {
                            place.grow_to(grown * MB).await;
                            tokio::task::yield_now().await;
                        }
                        let body = place.hold(Vec::new());
                        tokio::task::yield_now().await;
                        drop(body);
                    }
                });
                let all = futures::future::join_all(bodies);
                tokio::time::timeout(Duration::from_secs(20), all).await.unwrap();
                assert_eq!(taken(&room), 0);
                assert!(room.state().coming.is_empty());
            });
        }
    }
}
