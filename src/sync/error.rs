//! Errors of a sync.

use crate::api::ApiError;
use crate::data_files::DataFilesError;
use crate::lake::LakeError;

/// A sync that failed.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// An error of the API, before anything could be listed.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// An error of the lake.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// Rows that do not fit their own declaration: a bug in this program.
    #[error("failed to make rows: {0}")]
    Rows(#[from] arrow::error::ArrowError),
    /// A chunk of runs that no task was writing: a bug in this program.
    #[error("a chunk of runs was lost on its way to the lake")]
    Lost,
    /// The extraction ended without a result: a bug in this program.
    #[error("the extraction failed: {0}")]
    Broken(String),
    /// A task that ended early: a bug in this program.
    #[error("a task of the sync stopped: {0}")]
    Stopped(#[from] tokio::task::JoinError),
}

impl From<DataFilesError> for SyncError {
    fn from(error: DataFilesError) -> Self {
        match error {
            DataFilesError::Lake(error) => error.into(),
            DataFilesError::Rows(error) => error.into(),
        }
    }
}
