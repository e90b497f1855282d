//! Parts that were merged into others: kept out of sight for a while, as a reader that looked before
//! may still want them.

use std::path::PathBuf;

use super::commit::commit_of;
use super::{Lake, LakeError, LakeView, files};
use crate::crash;

/// Where they are: one folder per merge, named as its staging folder was.
pub(super) const RETIRED: &str = "_armature/retired";

impl LakeView {
    /// Where the part of that path is now: in its place, or kept after a merge. A reader that goes
    /// by manifests, and looked before the merge, finds it there.
    pub fn locate(&self, path: &str) -> PathBuf {
        let place = self.root().join(path);
        if place.exists() {
            return place;
        }
        // On its way there it is for a moment with the parts of the merge.
        let folders = [RETIRED, "_armature/staging"].map(|folder| self.root().join(folder));
        let kept = folders.iter().find_map(|folder| {
            let merges = files::names(folder).unwrap_or_default().into_iter();
            merges.map(|merge| folder.join(merge).join(path)).find(|kept| kept.exists())
        });
        kept.unwrap_or(place)
    }
}

impl Lake {
    /// Removes what was merged longer than `grace` microseconds before `now`. Returns how many
    /// merges' parts that were.
    ///
    /// # Errors
    /// [`LakeError`] where a folder cannot be removed, or its commit cannot be read.
    pub async fn remove_retired(&self, now: i64, grace: i64) -> Result<u64, LakeError> {
        let retired = self.root().join(RETIRED);
        let mut removed = 0;
        for merge in files::names(&retired)? {
            // What no commit of ours put there is not ours to remove.
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
