//! Errors of reading or writing the lake.

use std::path::PathBuf;

use crate::tables::SCHEMA_VERSION;

/// Why a lake cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    /// Another process holds the lock.
    #[error("the lake `{}` is being written by another process{holder}", path.display())]
    Locked {
        /// The root folder of the lake.
        path: PathBuf,
        /// The holder, as ` (process 12)`; empty if it is not known.
        holder: String,
    },
    /// The file system does not lock files.
    #[error("the file system of `{}` cannot lock files", path.display())]
    CannotLock {
        /// The file that was to be locked, or its folder.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// A commit of the same number already exists: another process bypassed the lock.
    #[error("another process committed to the lake `{}` at the same time (commit {commit})", path.display())]
    CommitConflict {
        /// The root folder of the lake.
        path: PathBuf,
        /// The number of the commit.
        commit: u64,
    },
    /// A staged data file no longer exists: another process bypassed the lock.
    #[error("the data file `{}` was removed before commit {commit} was made from it", path.display())]
    StagingLost {
        /// The staged data file.
        path: PathBuf,
        /// The number that the commit would have had.
        commit: u64,
    },
    /// A data file exists that belongs to no commit: the lake was copied or restored in part.
    #[error("the data file `{}` belongs to commit {commit}, but the lake ends at commit {newest}", path.display())]
    Uncommitted {
        /// The data file.
        path: PathBuf,
        /// The commit number in its name.
        commit: u64,
        /// The newest commit of the lake; 0 if it has none.
        newest: u64,
    },
    /// The folder is not empty and is not a lake.
    #[error("the folder `{}` is not empty and is not a lake", path.display())]
    NotALake {
        /// The folder.
        path: PathBuf,
    },
    /// The folder is not a lake, or does not exist.
    #[error("there is no lake at `{}`", path.display())]
    Missing {
        /// The folder.
        path: PathBuf,
    },
    /// A later version of the program wrote it.
    #[error("the lake `{}` has format {found}; this version knows format {known}", path.display())]
    Format {
        /// The root folder of the lake.
        path: PathBuf,
        /// The major version of its format.
        found: u64,
        /// The major version that this program reads.
        known: u64,
    },
    /// A later version of the program wrote to it, with tables that this version does not know.
    #[error("the lake `{}` has tables of version {found}; this version knows {SCHEMA_VERSION}", path.display())]
    NewerTables {
        /// The root folder of the lake.
        path: PathBuf,
        /// The version that its newest commit states.
        found: String,
    },
    /// The lake holds the runs of another organization, or of other filters.
    #[error("the lake `{}` holds another export: {difference}", path.display())]
    OtherExport {
        /// The root folder of the lake.
        path: PathBuf,
        /// The difference, without secrets.
        difference: String,
    },
    /// A file of the lake is missing, or is not what a commit states.
    #[error("the lake's file `{}` is damaged: {problem}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// I/O error.
    #[error("failed to {action} `{}`", path.display())]
    Io {
        /// The operation, as a verb phrase.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
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
        path: impl Into<PathBuf>,
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
