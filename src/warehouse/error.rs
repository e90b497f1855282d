//! Errors of the commands for warehouses.

use crate::lake::{LakeError, Location};

/// Why the changes of a lake cannot be listed, or a script for them cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum WarehouseError {
    /// The warehouse has a later commit than the lake.
    #[error("the lake ends at commit {newest}, before commit {since}")]
    NewerThanLake {
        /// The commit after which changes were asked for.
        since: u64,
        /// The newest commit of the lake; 0 if it has none.
        newest: u64,
    },
    /// The lake has another commit of that number than the warehouse: it was restored, or is
    /// another lake.
    #[error(
        "commit {since} of the lake is `{}`, not `{loaded}`",
        found.as_deref().unwrap_or("the empty lake")
    )]
    OtherHistory {
        /// The commit after which changes were asked for.
        since: u64,
        /// The name of that commit in the warehouse.
        loaded: String,
        /// Its name in the lake; `None` for 0, which has no name.
        found: Option<String>,
    },
    /// The range of commits ends before it begins, or after the lake.
    #[error("there is no range of commits from {since} to {until}: the lake ends at {newest}")]
    NoRange {
        /// The commit after which changes were asked for.
        since: u64,
        /// The last commit that was asked for.
        until: u64,
        /// The newest commit of the lake.
        newest: u64,
    },
    /// The lake no longer has the rows as of an earlier commit.
    #[error("commit {commit} replaced rows of earlier commits, so those of {until} are not known")]
    NotExact {
        /// The last commit that was asked for.
        until: u64,
        /// The later commit that replaced rows.
        commit: u64,
    },
    /// The newest commit is not published yet.
    #[error("the data file `{path}` of commit {commit} is not published")]
    NotInPlace {
        /// The data file.
        path: Location,
        /// The number of its commit.
        commit: u64,
    },
    /// A manifest for `COPY` of Redshift lists files of one table in S3.
    #[error("a manifest for Redshift {0}")]
    Manifest(&'static str),
    /// Changes cannot be loaded.
    #[error("the changes cannot be loaded: {problem}")]
    Changes {
        /// What is wrong.
        problem: String,
    },
    /// The lake cannot be read.
    #[error(transparent)]
    Lake(#[from] LakeError),
}
