//! Errors of reports.

use std::path::PathBuf;

use crate::job::JobError;
use crate::lake::LakeError;
use crate::query::QueryError;

/// Why a report was not made, or not written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The lake cannot be read.
    #[error(transparent)]
    Job(#[from] JobError),
    /// No run in the lake is of a workflow that was asked for.
    #[error("no run in the lake is of the workflow `{}`", .name.escape_debug())]
    UnknownWorkflow {
        /// The name or id, as it was given.
        name: String,
    },
    /// DuckDB error.
    #[error("failed to {action} for the report: {message}")]
    Duckdb {
        /// The operation, as a verb phrase.
        action: String,
        /// First line of DuckDB's message.
        message: String,
    },
    /// The page cannot be rendered: a bug of this program.
    #[error("failed to render the report: {0}")]
    Render(#[from] askama::Error),
    /// The page cannot be written.
    #[error("failed to {action} `{}`", path.display())]
    Write {
        /// The operation, as a verb phrase.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The error of the file system.
        source: std::io::Error,
    },
}

impl From<LakeError> for ReportError {
    fn from(error: LakeError) -> Self {
        Self::Job(error.into())
    }
}

impl From<QueryError> for ReportError {
    fn from(error: QueryError) -> Self {
        match error {
            // Its text names the DuckDB file, which has no part in a report.
            QueryError::Duckdb { action, message, .. } => Self::Duckdb { action, message },
            other => Self::Job(other.into()),
        }
    }
}
