//! Why a lake could not be compacted.

use crate::deliver::DeliverError;
use crate::lake::LakeError;
use crate::tables::MappingError;

/// A lake that stays as it is, from some day on.
#[derive(Debug, thiserror::Error)]
pub enum CompactError {
    /// The lake.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// The configured columns.
    #[error("configuration: {0}")]
    Mapping(#[from] MappingError),
    /// DuckDB, asked about revisions.
    #[error(transparent)]
    Deliver(#[from] DeliverError),
    /// A part that is not as it was written.
    #[error("the part `{path}` is damaged, and is not merged")]
    DamagedPart {
        /// The part, from the lake's root.
        path: String,
    },
    /// Rows that cannot be read or written: a fault of this program.
    #[error("failed to merge rows: {0}")]
    Rows(#[from] arrow::error::ArrowError),
    /// A part with another number of rows than the manifest says.
    #[error("the merged parts of `{table}` have {found} rows, and those before had {stated}")]
    RowsDiffer {
        /// The table.
        table: &'static str,
        /// Rows that were read.
        found: u64,
        /// Rows that the manifests state.
        stated: u64,
    },
    /// A task that ended before its time: a fault of this program.
    #[error("a merge stopped: {0}")]
    Stopped(#[from] tokio::task::JoinError),
}
