//! Errors of DuckDB.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::fault::Fault;
use crate::lake::Location;

/// Why DuckDB could not do something.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// Another process holds the DuckDB file.
    #[error("the DuckDB file `{}` is held by {holder}{}", path.display(), after(*waited))]
    Locked {
        /// Path of the DuckDB file.
        path: PathBuf,
        /// The holder, if DuckDB names it.
        holder: String,
        /// How long it was waited for.
        waited: Duration,
    },
    /// The lake's path has characters that DuckDB reads as a glob pattern.
    #[error("the lake's path `{path}` contains one of `*?[`, which DuckDB reads as a pattern")]
    Pattern {
        /// The root folder of the lake.
        path: Location,
    },
    /// DuckDB error.
    #[error("failed to {action} in the DuckDB file `{}`: {message}", path.display())]
    Duckdb {
        /// The operation, as a verb phrase.
        action: String,
        /// Path of the DuckDB file.
        path: PathBuf,
        /// The meaning of the error.
        fault: Fault,
        /// First line of DuckDB's message, at most 400 characters.
        message: String,
    },
}

impl QueryError {
    /// Converts an error of a DuckDB operation.
    pub(crate) fn duckdb(action: &str, path: &Path, error: &duckdb::Error) -> Self {
        let path = path.to_owned();
        match Fault::of(error) {
            Fault::Held { holder } => Self::Locked { path, holder, waited: Duration::ZERO },
            fault => {
                let message = error.to_string();
                let message = message.lines().next().unwrap_or_default().chars().take(400);
                Self::Duckdb { action: action.to_owned(), path, fault, message: message.collect() }
            }
        }
    }
}

/// ` (waited 5s)`; empty if there was no wait.
fn after(waited: Duration) -> String {
    match waited.as_secs() {
        0 => String::new(),
        seconds => format!(" (waited {seconds}s)"),
    }
}
