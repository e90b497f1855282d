//! Why a delivery failed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::fault::Fault;
use crate::lake::LakeError;

/// Why the DuckDB file could not be brought up to date. The lake is whole all the same.
#[derive(Debug, thiserror::Error)]
pub enum DeliverError {
    /// Somebody else holds the file.
    #[error("the DuckDB file `{}` is held by {holder}{}", path.display(), after(*waited))]
    Locked {
        /// The file.
        path: PathBuf,
        /// Who, where DuckDB tells.
        holder: String,
        /// How long.
        waited: Duration,
    },
    /// The file holds another lake's runs.
    #[error("the DuckDB file `{}` was delivered from another lake", path.display())]
    OtherLake {
        /// The file.
        path: PathBuf,
    },
    /// The file has tables of the same names that are not ours.
    #[error("the DuckDB file `{}` has a table `{table}` that this program did not make", path.display())]
    NotOurs {
        /// The file.
        path: PathBuf,
        /// The table.
        table: String,
    },
    /// The lake's path has characters that DuckDB reads as patterns.
    #[error("the lake's path `{}` has one of `*?[`, which DuckDB reads as a pattern", path.display())]
    Pattern {
        /// The lake.
        path: PathBuf,
    },
    /// The file says that it holds more commits than the lake has.
    #[error(
        "the DuckDB file `{}` holds commit {applied}, and the lake ends at commit {newest}",
        path.display()
    )]
    Ahead {
        /// The file.
        path: PathBuf,
        /// What the file holds.
        applied: u64,
        /// What the lake has.
        newest: u64,
    },
    /// The lake's commit of that number is not the one that the file holds.
    #[error(
        "the DuckDB file `{}` holds another commit {commit} than the lake has",
        path.display()
    )]
    OtherHistory {
        /// The file.
        path: PathBuf,
        /// The number.
        commit: u64,
    },
    /// Another process brought the file up to date meanwhile.
    #[error(
        "the DuckDB file `{}` came from commit {expected} to commit {found} by another process",
        path.display()
    )]
    Overtaken {
        /// The file.
        path: PathBuf,
        /// What it held.
        expected: u64,
        /// What it holds.
        found: u64,
    },
    /// The file at the path of a rebuild is not known to be this lake's alone.
    #[error("`{}` {what}, and is not replaced", path.display())]
    NotReplaced {
        /// The file.
        path: PathBuf,
        /// What it is or holds, as a predicate.
        what: String,
    },
    /// A part of a commit is not where it belongs.
    #[error("the part `{}` of commit {commit} is not in place", path.display())]
    NotInPlace {
        /// The part.
        path: PathBuf,
        /// The commit.
        commit: u64,
    },
    /// DuckDB error.
    #[error("failed to {action} in the DuckDB file `{}`: {message}", path.display())]
    Duckdb {
        /// What was tried.
        action: String,
        /// The file.
        path: PathBuf,
        /// What the error means.
        fault: Fault,
        /// DuckDB's words, one line.
        message: String,
    },
    /// I/O error.
    #[error("failed to {action} `{}`", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The lake cannot be read.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// The delivery stopped for a fault of its own.
    #[error("the delivery stopped: {0}")]
    Stopped(String),
}

impl DeliverError {
    /// The error of a DuckDB operation.
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

    /// Whether this error means that.
    pub(super) fn is(&self, expected: &Fault) -> bool {
        matches!(self, Self::Duckdb { fault, .. } if fault == expected)
    }
}

/// How long a wait was, where there was one.
fn after(waited: Duration) -> String {
    match waited.as_secs() {
        0 => String::new(),
        seconds => format!(" (waited {seconds}s)"),
    }
}
