//! A shared cooldown: after a 429 no request is sent until the time that the API named.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// A new end that is later by less than this is not reported: all requests under way are refused
/// together, and each of them names nearly the same moment.
const SAME_END: Duration = Duration::from_millis(250);

/// The moment before which no request is sent. Shared by all workers of a client.
#[derive(Debug, Default)]
pub(super) struct Cooldown {
    until: Mutex<Option<Instant>>,
}

impl Cooldown {
    /// Waits until the cooldown is over. Returns whether there was one.
    pub(super) async fn wait(&self) -> bool {
        let mut waited = false;
        // Another 429 can extend it while this request waits.
        loop {
            match self.until() {
                Some(until) if until > Instant::now() => {
                    waited = true;
                    sleep_until(until).await;
                }
                _ => return waited,
            }
        }
    }

    /// Extends the cooldown to at least `wait` from now. Returns whether its end moved by enough
    /// to report it.
    pub(super) fn extend(&self, wait: Duration) -> bool {
        let until = Instant::now() + wait;
        let mut end = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = end.is_none_or(|old| until > old + SAME_END);
        if end.is_none_or(|old| until > old) {
            *end = Some(until);
        }
        is_news
    }

    fn until(&self) -> Option<Instant> {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
