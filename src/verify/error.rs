//! Errors of a check or a repair.

use crate::deliver::DeliverError;
use crate::lake::LakeError;
use crate::replay::ReplayError;
use crate::tables::MappingError;

/// Why a lake could not be checked or repaired.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The lake cannot be read or written.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// The configured columns or lists are not valid.
    #[error("configuration: {0}")]
    Mapping(#[from] MappingError),
    /// DuckDB failed to read the lake, or to be brought up to date.
    #[error(transparent)]
    Deliver(#[from] DeliverError),
    /// Data files could not be rebuilt.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// A task ended early: a bug of this program.
    #[error("a task of the verification stopped: {0}")]
    Stopped(#[from] tokio::task::JoinError),
}
