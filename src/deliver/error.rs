//! Errors of a delivery.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::fault::Fault;
use crate::lake::{LakeError, Location};

/// Why the DuckDB file could not be brought up to date. The lake is not affected.
#[derive(Debug, thiserror::Error)]
pub enum DeliverError {
    /// Another process holds the file.
    #[error("the DuckDB file `{}` is held by {holder}{}", path.display(), after(*waited))]
    Locked {
        /// Path of the DuckDB file.
        path: PathBuf,
        /// The holder, if DuckDB names it.
        holder: String,
        /// How long the delivery waited.
        waited: Duration,
    },
    /// The file holds another lake's runs.
    #[error("the DuckDB file `{}` was delivered from another lake", path.display())]
    OtherLake {
        /// Path of the DuckDB file.
        path: PathBuf,
    },
    /// The file has a table with the name of one of ours that this program did not create.
    #[error("the DuckDB file `{}` has a table `{table}` that this program did not make", path.display())]
    ForeignTable {
        /// Path of the DuckDB file.
        path: PathBuf,
        /// Name of the table.
        table: String,
    },
    /// The lake's path has characters that DuckDB reads as a glob pattern.
    #[error("the lake's path `{path}` contains one of `*?[`, which DuckDB reads as a pattern")]
    Pattern {
        /// The root folder of the lake.
        path: Location,
    },
    /// The file states a newer commit than the lake has.
    #[error(
        "the DuckDB file `{}` holds commit {applied}, and the lake ends at commit {newest}",
        path.display()
    )]
    NewerThanLake {
        /// Path of the DuckDB file.
        path: PathBuf,
        /// The last commit that the file holds.
        applied: u64,
        /// The newest commit of the lake; 0 if it has none.
        newest: u64,
    },
    /// The file holds a commit of another history: the lake's commit of that number is another one.
    #[error(
        "the DuckDB file `{}` holds a commit {commit} that differs from the lake's",
        path.display()
    )]
    OtherHistory {
        /// Path of the DuckDB file.
        path: PathBuf,
        /// The number of the commit.
        commit: u64,
    },
    /// Another process applied commits to the file at the same time.
    #[error(
        "the DuckDB file `{}` was brought from commit {expected} to commit {found} by another process",
        path.display()
    )]
    ConcurrentUpdate {
        /// Path of the DuckDB file.
        path: PathBuf,
        /// The last commit that the file held before.
        expected: u64,
        /// The last commit that the file holds now.
        found: u64,
    },
    /// A rebuild would replace a file that is not known to belong to this lake alone.
    #[error("`{}` {what}, and is not replaced", path.display())]
    NotReplaced {
        /// Path of the file.
        path: PathBuf,
        /// What it is or holds, as a predicate.
        what: String,
    },
    /// A data file of a commit is not published yet.
    #[error("the data file `{path}` of commit {commit} is not published")]
    NotInPlace {
        /// Path of the data file.
        path: Location,
        /// The number of its commit.
        commit: u64,
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
    /// I/O error.
    #[error("failed to {action} `{}`", path.display())]
    Io {
        /// The operation, as a verb phrase.
        action: &'static str,
        /// Path of the file or folder.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The lake cannot be read.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// The delivery failed because of a bug of this program.
    #[error("the delivery stopped: {0}")]
    Stopped(String),
}

impl DeliverError {
    /// Converts an error of a DuckDB operation.
    pub(super) fn duckdb(action: &str, path: &Path, error: &duckdb::Error) -> Self {
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

    /// Whether this is a DuckDB error with that meaning.
    pub(super) fn is(&self, expected: &Fault) -> bool {
        matches!(self, Self::Duckdb { fault, .. } if fault == expected)
    }
}

/// ` (waited 5s)`; empty if there was no wait.
fn after(waited: Duration) -> String {
    match waited.as_secs() {
        0 => String::new(),
        seconds => format!(" (waited {seconds}s)"),
    }
}
