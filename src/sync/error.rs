//! Why a sync could do nothing at all.

use crate::api::ApiError;
use crate::lake::LakeError;
use crate::parts::PartsError;
use crate::tables::MappingError;

/// A sync that came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// The API, before anything could be listed.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The lake.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// The configured columns.
    #[error("configuration: {0}")]
    Mapping(#[from] MappingError),
    /// Rows that do not fit their own declaration: a fault of this program.
    #[error("failed to make rows: {0}")]
    Rows(#[from] arrow::error::ArrowError),
    /// A chunk of runs that was not being written after all: a fault of this program.
    #[error("a chunk of runs was lost on its way to the lake")]
    Lost,
    /// The extraction ended without a result: a fault of this program.
    #[error("the extraction failed: {0}")]
    Broken(String),
    /// A task that ended before its time: a fault of this program.
    #[error("a part of the sync stopped: {0}")]
    Stopped(#[from] tokio::task::JoinError),
}

impl From<PartsError> for SyncError {
    fn from(error: PartsError) -> Self {
        match error {
            PartsError::Lake(error) => error.into(),
            PartsError::Rows(error) => error.into(),
        }
    }
}
