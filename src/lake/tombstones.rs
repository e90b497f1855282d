//! Tombstoned data files: merged into others, and kept for a while because a program that follows
//! the commit log may still read them.

use std::path::PathBuf;

use super::paths::{TOMBSTONES, commit_of};
use super::{Lake, LakeError, LakeView, files};
use crate::crash;

impl LakeView {
    /// The current path of a data file: its place, or the tombstones after a merge. A reader that
    /// read the commit log before a merge finds the data file there.
    pub fn locate(&self, path: &str) -> PathBuf {
        let place = self.root().join(path);
        if place.exists() {
            return place;
        }
        // During an exchange it is briefly in the staging folder of the merge.
        let folders = [TOMBSTONES, "_armature/staging"].map(|folder| self.root().join(folder));
        let kept = folders.iter().find_map(|folder| {
            let merges = files::names(folder).unwrap_or_default().into_iter();
            merges.map(|merge| folder.join(merge).join(path)).find(|kept| kept.exists())
        });
        kept.unwrap_or(place)
    }
}

impl Lake {
    /// Removes data files for good that were merged longer than `grace` microseconds before `now`.
    /// Returns the number of merges whose files were removed.
    ///
    /// # Errors
    /// [`LakeError`] if a folder cannot be removed, or its commit cannot be read.
    pub async fn remove_retired(&self, now: i64, grace: i64) -> Result<u64, LakeError> {
        let retired = self.root().join(TOMBSTONES);
        let mut removed = 0;
        for merge in files::names(&retired)? {
            // Leave everything that was not put there by a commit of this lake.
            let Some(commit) = commit_of(&merge) else { continue };
            if self.head().is_none_or(|head| commit > head.commit) {
                continue;
            }
            let merged_at = self.view().manifest(commit).await?.created_at;
            if merged_at.saturating_add(grace) <= now {
                crash::point("before_retired_are_removed");
                files::remove_folder(&retired.join(merge))?;
                removed += 1;
            }
        }
        Ok(removed)
    }
}
