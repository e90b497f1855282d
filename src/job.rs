//! What jobs on a lake share: their errors, and the input of those that need no API (compaction,
//! replay, verification and repair).

use std::sync::Arc;

use tokio::sync::watch;

use crate::config::Settings;
use crate::data_files::DataFilesError;
use crate::event::Events;
use crate::lake::{LakeError, LakeStore};
use crate::query::{QueryError, QueryOptions};
use crate::tables::{Mapping, MappingError};
use crate::targets::{self, Target};
use crate::time::Timestamp;

/// The input of a job on an existing lake: the part of the configuration that such jobs use.
#[derive(Clone, Debug)]
pub struct LakeJob {
    /// The storage of the lake.
    pub lake: LakeStore,
    /// The zstd level of new data files.
    pub compression_level: i32,
    /// The dashboard's address, if it is configured.
    pub dashboard_url: Option<String>,
    /// The tables with the configured columns and lists.
    pub mapping: Arc<Mapping>,
    /// How DuckDB queries data files.
    pub query: QueryOptions,
    /// The targets to bring up to date afterwards.
    pub targets: Arc<[Box<dyn Target>]>,
    /// Receives what happens.
    pub events: Events,
    /// This machine's clock.
    pub now: Timestamp,
}

impl LakeJob {
    /// The input as configured. `stop` becomes true when a stop is requested: deliveries then end
    /// early.
    ///
    /// # Errors
    /// [`JobError`] if a configured column or list is not valid, or the settings of an object store do
    /// not suffice.
    pub fn new(
        settings: &Settings,
        events: Events,
        now: Timestamp,
        stop: Option<watch::Receiver<bool>>,
    ) -> Result<Self, JobError> {
        let lake = LakeStore::configured(settings)?;
        Ok(Self {
            compression_level: settings.lake.compression_level,
            dashboard_url: settings.api.dashboard_url.clone(),
            mapping: Arc::new(settings.mapping()?),
            query: QueryOptions::new(&settings.duckdb),
            targets: targets::configured(settings, &lake, &events, stop).into(),
            lake,
            events,
            now,
        })
    }
}

/// Why a job on a lake failed.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The lake cannot be read or written.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// The configured columns or lists are not valid.
    #[error("configuration: {0}")]
    Mapping(#[from] MappingError),
    /// DuckDB failed to read the data files.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// Rows cannot be read or written: a bug of this program.
    #[error("failed to read or write rows: {0}")]
    Rows(#[from] arrow::error::ArrowError),
    /// A data file was changed after it was written.
    #[error("the data file `{path}` is damaged and was not merged")]
    DamagedPart {
        /// Its path, relative to the lake's root.
        path: String,
    },
    /// The data files that were merged have another number of rows than their commits state.
    #[error("the merged data files of `{table}` have {found} rows, but those before had {stated}")]
    RowsDiffer {
        /// The table.
        table: &'static str,
        /// Rows that were read.
        found: u64,
        /// Rows that the commits state.
        stated: u64,
    },
    /// A task ended early: a bug of this program.
    #[error("a task stopped: {0}")]
    Stopped(#[from] tokio::task::JoinError),
}

impl From<DataFilesError> for JobError {
    fn from(error: DataFilesError) -> Self {
        match error {
            DataFilesError::Lake(error) => error.into(),
            DataFilesError::Rows(error) => error.into(),
        }
    }
}
