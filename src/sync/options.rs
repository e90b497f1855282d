//! Options of a sync.

use tokio::sync::watch;

use crate::config::{ApiKey, Settings};
use crate::event::Events;
use crate::time::Timestamp;

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
    /// This machine's clock: used if the server sends no `Date`.
    pub now: Timestamp,
}
