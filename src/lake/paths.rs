//! Names and paths inside a lake, relative to its root, with `/` between names.

/// The folder of everything that is not a data file. Its existence makes a folder a lake.
pub(super) const OWN: &str = "_armature";

/// The identity of the lake, and its format.
pub(super) const IDENTITY: &str = "_armature/format.json";

/// The folder of the commit log.
pub(super) const COMMITS: &str = "_armature/manifests";

/// The folder of the ledger's checkpoints.
pub(super) const LEDGER: &str = "_armature/ledger";

/// The folder of the shards that the ledger's checkpoints name.
pub(super) const SHARDS: &str = "_armature/ledger/shards";

/// The folder of the checkpoints of the live files.
pub(super) const FILES: &str = "_armature/files";

/// The folder of data files before they are published, one folder for each commit.
pub(super) const STAGING: &str = "_armature/staging";

/// The folder of data files that were merged into others, and are kept for the grace time.
pub(super) const TOMBSTONES: &str = "_armature/retired";

/// Quarantine: files that readers must not see, kept because they may hold rows.
pub(super) const QUARANTINE: &str = "_armature/set_aside";

/// The commit number at the start of a data file's or a staging folder's name.
pub(super) fn commit_of(name: &str) -> Option<u64> {
    name.split_once('-')?.0.parse().ok()
}

pub(super) fn commit_path(commit: u64) -> String {
    format!("{COMMITS}/{commit:08}.json")
}

/// The checkpoint as of a commit, in [`LEDGER`] or [`FILES`].
pub(super) fn checkpoint_path(folder: &str, commit: u64) -> String {
    format!("{folder}/{commit:08}.parquet")
}

/// The entries of a shard of the ledger.
pub(super) fn shard_path(name: &str) -> String {
    format!("{SHARDS}/{name}.parquet")
}

/// The filter of the ids in a shard of the ledger.
pub(super) fn shard_filter_path(name: &str) -> String {
    format!("{SHARDS}/{name}.filter")
}

/// A path below the staging folder.
pub(super) fn staging_path(path: &str) -> String {
    format!("{STAGING}/{path}")
}
