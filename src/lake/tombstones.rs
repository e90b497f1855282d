//! Tombstoned data files: superseded by a merge or by a new file of a replaced table, and kept for
//! the grace time because a program that follows the commit log may still read them.

use super::paths::{TOMBSTONES, commit_of};
use super::{CommittedLake, Lake, LakeError, LakeView};
use crate::crash;

impl Lake {
    /// Removes data files for good that were merged longer than `grace` microseconds before `now`.
    /// Returns the number of merges whose files were removed.
    ///
    /// # Errors
    /// [`LakeError`] if a folder cannot be removed, or its commit cannot be read.
    pub async fn remove_retired(&self, now: i64, grace: i64) -> Result<u64, LakeError> {
        remove_retired(self.view(), now, grace).await
    }
}

impl CommittedLake {
    /// As [`Lake::remove_retired`].
    ///
    /// # Errors
    /// As [`Lake::remove_retired`].
    pub async fn remove_retired(&self, now: i64, grace: i64) -> Result<u64, LakeError> {
        remove_retired(self.view(), now, grace).await
    }
}

/// See [`Lake::remove_retired`]. The lake must be locked.
async fn remove_retired(view: &LakeView, now: i64, grace: i64) -> Result<u64, LakeError> {
    let mut removed = 0;
    for merge in view.store().list(TOMBSTONES)? {
        // Leave everything that was not put there by a commit of this lake.
        let Some(commit) = commit_of(&merge) else { continue };
        if view.head().is_none_or(|head| commit > head.commit) {
            continue;
        }
        let merged_at = view.manifest(commit).await?.created_at;
        if merged_at.saturating_add(grace) <= now {
            crash::point("before_retired_are_removed");
            view.store().delete_folder(&format!("{TOMBSTONES}/{merge}"))?;
            removed += 1;
        }
    }
    Ok(removed)
}
