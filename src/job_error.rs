//! The errors that jobs on an existing lake share: compaction, replay, verification and repair.

use crate::data_files::DataFilesError;
use crate::lake::LakeError;
use crate::query::QueryError;
use crate::tables::MappingError;

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
    /// A data file is not as it was written.
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
