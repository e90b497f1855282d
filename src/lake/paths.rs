//! Names and paths inside a lake, relative to its root.

/// The folder of data files that were merged into others, and are kept for the grace time.
pub(super) const TOMBSTONES: &str = "_armature/retired";

/// The commit number at the start of a data file's or a staging folder's name.
pub(super) fn commit_of(name: &str) -> Option<u64> {
    name.split_once('-')?.0.parse().ok()
}

pub(super) fn manifest_path(commit: u64) -> String {
    format!("_armature/manifests/{commit:08}.json")
}

pub(super) fn checkpoint_path(commit: u64) -> String {
    format!("_armature/ledger/{commit:08}.parquet")
}
