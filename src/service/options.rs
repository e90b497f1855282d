//! Input of a service.

use chrono::{DateTime, Utc};
use tokio::sync::{mpsc, watch};

use crate::config::{ApiKey, Settings};
use crate::failure::Failure;

/// Configuration of a service; replaced on a reload.
#[derive(Clone, Debug)]
pub struct ServiceSettings {
    /// The configuration, with command-line arguments applied.
    pub settings: Settings,
    /// The API's base URL.
    pub url: String,
    /// Whether to run syncs only: true if an expression was given on the command line.
    pub only_sync: bool,
}

type Load = Box<dyn Fn() -> Result<ServiceSettings, Failure> + Send + Sync>;
type FindKey = Box<dyn Fn(&Settings) -> Result<ApiKey, Failure> + Send + Sync>;

/// Input of a service.
pub struct ServiceOptions {
    /// Reads the configuration.
    pub load: Load,
    /// Finds the key. Called before each job, because files of secrets can change.
    pub key: FindKey,
    /// Whether jobs show a progress line.
    pub shows_progress: bool,
    /// Becomes true when a stop is requested.
    pub stop: watch::Receiver<bool>,
    /// Receives a message when a reload of the configuration is requested.
    pub reload: mpsc::Receiver<()>,
    /// This machine's clock.
    pub clock: fn() -> DateTime<Utc>,
}

impl std::fmt::Debug for ServiceOptions {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("ServiceOptions").finish_non_exhaustive()
    }
}
