//! Why the lake cannot be read or written.

use std::path::PathBuf;

use crate::tables::SCHEMA_VERSION;

/// A lake that cannot be used as asked.
#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    /// Another process writes it.
    #[error("the lake `{}` is being written by another process{holder}", path.display())]
    Locked {
        /// The lake.
        path: PathBuf,
        /// Who, as ` (process 12 since …)`, where it is known.
        holder: String,
    },
    /// The file system does not lock files.
    #[error("the file system of `{}` cannot lock files", path.display())]
    CannotLock {
        /// The file that was to be locked, or its folder.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A commit of the same number appeared: another process wrote past the lock.
    #[error("another process committed to the lake `{}` at the same time (commit {commit})", path.display())]
    LostRace {
        /// The lake.
        path: PathBuf,
        /// The number.
        commit: u64,
    },
    /// What was staged for a commit is not there any more: another process wrote past the lock.
    #[error("the part `{}` was removed before commit {commit} was made of it", path.display())]
    StagingLost {
        /// The part.
        path: PathBuf,
        /// The number.
        commit: u64,
    },
    /// A part is there that no commit made: the lake was copied or restored in part.
    #[error("the part `{}` is of commit {commit}, and the lake ends at commit {newest}", path.display())]
    Uncommitted {
        /// The part.
        path: PathBuf,
        /// What its name says.
        commit: u64,
        /// What the lake has; 0 for nothing.
        newest: u64,
    },
    /// The folder holds something else.
    #[error("the folder `{}` is not empty and is no lake", path.display())]
    NotALake {
        /// The folder.
        path: PathBuf,
    },
    /// There is nothing there.
    #[error("there is no lake at `{}`", path.display())]
    Missing {
        /// The folder.
        path: PathBuf,
    },
    /// A later version of the program wrote it.
    #[error("the lake `{}` has format {found}; this version knows format {known}", path.display())]
    Format {
        /// The lake.
        path: PathBuf,
        /// What it has.
        found: u64,
        /// What this version knows.
        known: u64,
    },
    /// A later version of the program wrote to it, with tables that this one does not know.
    #[error("the lake `{}` has tables of version {found}; this version knows {SCHEMA_VERSION}", path.display())]
    NewerTables {
        /// The lake.
        path: PathBuf,
        /// The version that its newest commit states.
        found: String,
    },
    /// It holds another export.
    #[error("the lake `{}` holds another export: {difference}", path.display())]
    OtherExport {
        /// The lake.
        path: PathBuf,
        /// What differs, without secrets.
        difference: String,
    },
    /// A file of it is not what it must be.
    #[error("the lake's file `{}` is damaged: {problem}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The file system says no.
    #[error("failed to {action} `{}`", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The store says no.
    #[error("failed to {action} `{path}` in the lake")]
    Store {
        /// What was tried.
        action: &'static str,
        /// On what, from the lake's root.
        path: String,
        /// Why not.
        source: Box<object_store::Error>,
    },
    /// A Parquet file cannot be made or read.
    #[error("failed to {action} the Parquet file `{path}`")]
    Parquet {
        /// What was tried.
        action: &'static str,
        /// Which, from the lake's root.
        path: String,
        /// Why not.
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
