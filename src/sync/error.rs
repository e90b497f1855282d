//! Errors of a sync.

use crate::api::ApiError;
use crate::data_files::DataFilesError;
use crate::job::JobError;
use crate::lake::LakeError;
use crate::ledger::LedgerError;

/// A sync that failed.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// An error of the API, before anything could be listed.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// An error that jobs without the API can have, too.
    #[error(transparent)]
    Job(#[from] JobError),
    /// A chunk of runs that no task was writing: a bug in this program.
    #[error("a chunk of runs was lost on its way to the lake")]
    Lost,
    /// The extraction ended without a result: a bug in this program.
    #[error("the extraction failed: {0}")]
    Broken(String),
}

impl From<LakeError> for SyncError {
    fn from(error: LakeError) -> Self {
        Self::Job(error.into())
    }
}

impl From<LedgerError> for SyncError {
    fn from(error: LedgerError) -> Self {
        LakeError::from(error).into()
    }
}

impl From<DataFilesError> for SyncError {
    fn from(error: DataFilesError) -> Self {
        Self::Job(error.into())
    }
}

impl From<arrow::error::ArrowError> for SyncError {
    fn from(error: arrow::error::ArrowError) -> Self {
        Self::Job(error.into())
    }
}

impl From<tokio::task::JoinError> for SyncError {
    fn from(error: tokio::task::JoinError) -> Self {
        Self::Job(error.into())
    }
}
