//! Errors of a replay.

use crate::data_files::DataFilesError;
use crate::deliver::DeliverError;
use crate::lake::LakeError;
use crate::tables::MappingError;

/// Why a replay failed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The lake cannot be read or written.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// The configured columns or lists are not valid.
    #[error("configuration: {0}")]
    Mapping(#[from] MappingError),
    /// DuckDB failed to read the lake, or to be brought up to date.
    #[error(transparent)]
    Deliver(#[from] DeliverError),
    /// The new data files cannot be written.
    #[error(transparent)]
    Parts(#[from] DataFilesError),
    /// The documents are intact and still cannot be read.
    #[error("failed to read `documents`: {0}")]
    Documents(#[from] arrow::error::ArrowError),
    /// A task ended early: a bug of this program.
    #[error("a task of the replay stopped: {0}")]
    Stopped(#[from] tokio::task::JoinError),
}
