//! Why a replay could not be made.

use crate::deliver::DeliverError;
use crate::lake::LakeError;
use crate::parts::PartsError;
use crate::tables::MappingError;

/// A replay that came to nothing, or whose DuckDB file is behind.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The lake.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// The configured columns.
    #[error("configuration: {0}")]
    Mapping(#[from] MappingError),
    /// DuckDB, asked about the lake, or brought up to date.
    #[error(transparent)]
    Deliver(#[from] DeliverError),
    /// The new parts.
    #[error(transparent)]
    Parts(#[from] PartsError),
    /// The documents, which are as they were written and still cannot be read.
    #[error("failed to read `documents`: {0}")]
    Documents(#[from] arrow::error::ArrowError),
    /// A task that ended before its time: a fault of this program.
    #[error("a part of the replay stopped: {0}")]
    Stopped(#[from] tokio::task::JoinError),
}
