//! How tables are delivered.

use tokio::sync::watch;

use crate::config::{IcebergSettings, ObjectStoreSettings};

/// How tables are delivered.
#[derive(Clone, Debug)]
pub struct IcebergOptions {
    /// Age in milliseconds from which snapshots are removed.
    pub expire_ms: i64,
    /// Becomes true when a stop is requested: a delivery then ends early.
    pub stop: Option<watch::Receiver<bool>>,
    /// The catalog, and how it is reached.
    pub settings: IcebergSettings,
    /// The credentials with which requests to a catalog in AWS are signed.
    pub store: ObjectStoreSettings,
}

impl IcebergOptions {
    /// As configured.
    pub fn new(settings: &IcebergSettings) -> Self {
        const DAY: i64 = 86_400_000;
        let days = i64::try_from(settings.expire_snapshots_days).unwrap_or(i64::MAX);
        Self {
            expire_ms: days.saturating_mul(DAY),
            stop: None,
            settings: settings.clone(),
            store: ObjectStoreSettings::default(),
        }
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stop.as_ref().is_some_and(|stop| *stop.borrow())
    }
}
