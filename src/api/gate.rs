//! One gate for all workers: after a 429 nobody asks until the API says so.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Open unless held; every request passes it.
#[derive(Debug, Default)]
pub(super) struct Gate {
    held_until: Mutex<Option<Instant>>,
}

impl Gate {
    /// Waits while the gate is held. Returns whether it had to wait.
    pub(super) async fn pass(&self) -> bool {
        let mut waited = false;
        loop {
            match self.held_until() {
                Some(until) if until > Instant::now() => {
                    waited = true;
                    sleep_until(until).await;
                }
                _ => return waited,
            }
        }
    }

    /// Holds everybody for at least `wait` from now on. Returns whether that is news: several
    /// workers are usually told the same at once.
    pub(super) fn hold(&self, wait: Duration) -> bool {
        let until = Instant::now() + wait;
        let mut held = self.held_until.lock().unwrap_or_else(PoisonError::into_inner);
        let news = held.is_none_or(|old| until > old + Duration::from_millis(250));
        if held.is_none_or(|old| until > old) {
            *held = Some(until);
        }
        news
    }

    fn held_until(&self) -> Option<Instant> {
        *self.held_until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
