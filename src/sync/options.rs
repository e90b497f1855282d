//! Options of a sync.

use tokio::sync::watch;

use crate::config::{ApiKey, Settings};
use crate::event::Events;

/// Options of a sync.
#[derive(Debug)]
pub struct SyncOptions {
    /// The configuration.
    pub settings: Settings,
    /// The API's base URL.
    pub url: String,
    /// The API key.
    pub key: ApiKey,
    /// Receives the events of the sync.
    pub events: Events,
    /// Becomes true when a stop is requested.
    pub stop: watch::Receiver<bool>,
    /// This machine's clock, in microseconds since 1970: used if the server sends no `Date`.
    pub now: i64,
}

/// Microseconds in a second.
pub(super) const SECOND: i64 = 1_000_000;

/// Microseconds of a number of seconds.
pub(super) fn microseconds(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(SECOND)
}
