//! Errors of a compaction.

use crate::deliver::DeliverError;
use crate::lake::LakeError;
use crate::tables::MappingError;

/// Why a compaction ended early. Days merged before the error stay merged.
#[derive(Debug, thiserror::Error)]
pub enum CompactError {
    /// The lake cannot be read or written.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// The configured columns or lists are not valid.
    #[error("configuration: {0}")]
    Mapping(#[from] MappingError),
    /// DuckDB failed to read the revisions.
    #[error(transparent)]
    Deliver(#[from] DeliverError),
    /// A data file is not as it was written.
    #[error("the data file `{path}` is damaged and was not merged")]
    DamagedPart {
        /// Its path, relative to the lake's root.
        path: String,
    },
    /// Rows cannot be read or written: a bug of this program.
    #[error("failed to merge rows: {0}")]
    Rows(#[from] arrow::error::ArrowError),
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
    #[error("a merge stopped: {0}")]
    Stopped(#[from] tokio::task::JoinError),
}
