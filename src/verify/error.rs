//! Why a lake could not be looked over.

use crate::deliver::DeliverError;
use crate::lake::LakeError;
use crate::replay::ReplayError;
use crate::tables::MappingError;

/// A lake that could not be looked over or mended at all.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The lake.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// The configured columns.
    #[error("configuration: {0}")]
    Mapping(#[from] MappingError),
    /// DuckDB, asked about the lake, or brought up to date.
    #[error(transparent)]
    Deliver(#[from] DeliverError),
    /// Parts that should be made again.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// A task that ended before its time: a fault of this program.
    #[error("a part of the verification stopped: {0}")]
    Stopped(#[from] tokio::task::JoinError),
}
