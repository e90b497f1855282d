//! Options of a sync.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::config::{ApiKey, ApiSettings, Filters, LakeSettings, Settings, SyncSettings};
use crate::event::Events;
use crate::job::JobError;
use crate::lake::LakeStore;
use crate::query::QueryOptions;
use crate::tables::Mapping;
use crate::targets::{self, Target};
use crate::time::Timestamp;

/// Options of a sync, and of the other jobs that list runs: the part of the configuration that such
/// jobs use.
#[derive(Debug)]
pub struct SyncOptions {
    /// How the API is requested.
    pub api: ApiSettings,
    /// The API's base URL.
    pub url: String,
    /// The API key.
    pub key: ApiKey,
    /// Which runs to export.
    pub filters: Filters,
    /// How to sync.
    pub sync: SyncSettings,
    /// The storage of the lake.
    pub store: LakeStore,
    /// How the files of the lake are written.
    pub lake: LakeSettings,
    /// How long tombstoned data files are kept.
    pub tombstone_grace: Duration,
    /// The tables with the configured columns and lists.
    pub mapping: Mapping,
    /// How DuckDB queries data files.
    pub query: QueryOptions,
    /// The targets to bring up to date afterwards. A stop request also ends their wait for a reader:
    /// the next sync catches up.
    pub targets: Arc<[Box<dyn Target>]>,
    /// Receives the events of the sync.
    pub events: Events,
    /// Becomes true when a stop is requested.
    pub stop: watch::Receiver<bool>,
    /// This machine's clock: used if the server sends no `Date`.
    pub now: Timestamp,
}

impl SyncOptions {
    /// Options as configured. `url` and `key` are those in effect, `now` is this machine's clock, and
    /// `stop` becomes true when a stop is requested.
    ///
    /// # Errors
    /// [`JobError`] if a configured column or list is not valid, or the settings of an object store do
    /// not suffice.
    pub fn new(
        settings: &Settings,
        url: String,
        key: ApiKey,
        events: Events,
        stop: watch::Receiver<bool>,
        now: Timestamp,
    ) -> Result<Self, JobError> {
        let store = LakeStore::configured(settings)?;
        Ok(Self {
            api: settings.api.clone(),
            url,
            key,
            filters: settings.filters.clone(),
            sync: settings.sync.clone(),
            lake: settings.lake.clone(),
            tombstone_grace: Duration::from_secs(settings.compact.grace_secs),
            mapping: settings.mapping()?,
            query: QueryOptions::new(&settings.duckdb),
            targets: targets::configured(settings, &store, &events, Some(stop.clone())).into(),
            store,
            events,
            stop,
            now,
        })
    }
}
