//! Errors of reading or writing the lake.

use super::Location;
use crate::tables::SCHEMA_VERSION;

/// Why a lake cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    /// Another process holds the lock.
    #[error("the lake `{path}` is being written by another process{holder}")]
    Locked {
        /// The root folder of the lake.
        path: Location,
        /// The holder, as ` (process 12)`; empty if it is not known.
        holder: String,
    },
    /// The file system does not lock files.
    #[error("the file system of `{path}` cannot lock files")]
    CannotLock {
        /// The file that was to be locked, or its folder.
        path: Location,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// A commit of the same number already exists: another process bypassed the lock.
    #[error("another process committed to the lake `{path}` at the same time (commit {commit})")]
    CommitConflict {
        /// The root folder of the lake.
        path: Location,
        /// The number of the commit.
        commit: u64,
    },
    /// A staged data file no longer exists: another process bypassed the lock.
    #[error("the data file `{path}` was removed before commit {commit} was made from it")]
    StagingLost {
        /// The staged data file.
        path: Location,
        /// The number that the commit would have had.
        commit: u64,
    },
    /// A data file exists that belongs to no commit: the lake was copied or restored in part.
    #[error(
        "the data file `{path}` belongs to commit {commit}, but the lake ends at commit {newest}"
    )]
    Uncommitted {
        /// The data file.
        path: Location,
        /// The commit number in its name.
        commit: u64,
        /// The newest commit of the lake; 0 if it has none.
        newest: u64,
    },
    /// The folder is not empty and is not a lake.
    #[error("the folder `{path}` is not empty and is not a lake")]
    NotALake {
        /// The folder.
        path: Location,
    },
    /// The folder is not a lake, or does not exist.
    #[error("there is no lake at `{path}`")]
    Missing {
        /// The folder.
        path: Location,
    },
    /// A later version of the program wrote it.
    #[error("the lake `{path}` has format {found}; this version knows format {known}")]
    Format {
        /// The root folder of the lake.
        path: Location,
        /// The major version of its format.
        found: u64,
        /// The major version that this program reads.
        known: u64,
    },
    /// A later version of the program wrote to it, with tables that this version does not know.
    #[error("the lake `{path}` has tables of version {found}; this version knows {SCHEMA_VERSION}")]
    NewerTables {
        /// The root folder of the lake.
        path: Location,
        /// The version that its newest commit states.
        found: String,
    },
    /// The lake holds the runs of another organization, or of other filters.
    #[error("the lake `{path}` holds another export: {difference}")]
    OtherExport {
        /// The root folder of the lake.
        path: Location,
        /// The difference, without secrets.
        difference: String,
    },
    /// A file of the lake is missing, or is not what a commit states.
    #[error("the lake's file `{path}` is damaged: {problem}")]
    Damaged {
        /// The file.
        path: Location,
        /// What is wrong.
        problem: String,
    },
    /// I/O error.
    #[error("failed to {action} `{path}`")]
    Io {
        /// The operation, as a verb phrase.
        action: &'static str,
        /// The file or folder.
        path: Location,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// Error of `object_store`.
    #[error("failed to {action} `{path}` in the lake")]
    Store {
        /// The operation, as a verb phrase.
        action: &'static str,
        /// The file, relative to the lake's root.
        path: String,
        /// The error of the store.
        source: Box<object_store::Error>,
    },
    /// A Parquet file cannot be written or read.
    #[error("failed to {action} the Parquet file `{path}`")]
    Parquet {
        /// The operation, as a verb.
        action: &'static str,
        /// The file, relative to the lake's root, or the table that it was to hold.
        path: String,
        /// The error of the Parquet library.
        source: Box<parquet::errors::ParquetError>,
    },
}

impl LakeError {
    /// For `map_err` on file operations.
    pub(super) fn io(
        action: &'static str,
        path: impl Into<Location>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }

    /// For `map_err` on store operations.
    pub(super) fn store(
        action: &'static str,
        path: impl Into<String>,
    ) -> impl FnOnce(object_store::Error) -> Self {
        let path = path.into();
        move |source| Self::Store { action, path, source: Box::new(source) }
    }

    /// For `map_err` on Parquet operations.
    pub(super) fn parquet(
        action: &'static str,
        path: impl Into<String>,
    ) -> impl FnOnce(parquet::errors::ParquetError) -> Self {
        let path = path.into();
        move |source| Self::Parquet { action, path, source: Box::new(source) }
    }
}

/// The description of a data file that a commit lists and that does not exist.
pub(super) fn missing(commit: u64) -> String {
    format!("commit {commit} lists it, but it is missing")
}
