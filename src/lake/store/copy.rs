//! Publishing in an object store: the data files of a commit are copied from staging to their keys,
//! and staging is removed. Every step can be repeated.
//!
//! Nothing can be exchanged in one step, so the order depends on how engines read the lake
//! ([`ReadBy`]): either the superseded data files leave the folders before the new ones come, or they
//! stay, named in a list, until the grace time is over.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use object_store::ObjectStoreExt;

use super::address::key;
use super::remote::{Remote, none_if_not_found, wait, wait_before_next_look};
use crate::config::{ReadBy, StoreScheme};
use crate::crash;
use crate::lake::error::missing;
use crate::lake::paths::{STAGING, TOMBSTONES};
use crate::lake::{CommitFile, DataFile, LakeError};

/// The list of data files that stay in their folders until the grace time is over, beside the
/// tombstones of its commit.
const STAYING: &str = "in_place.json";

impl Remote {
    /// Publishes the data files of a durable commit, `runs` last. Blocks the thread.
    pub(super) fn publish(&self, commit: &CommitFile) -> Result<(), LakeError> {
        let staging = format!("{STAGING}/{}", commit.staging);
        let staged = self.objects_below(&staging, None).map_err(self.failed("list", &staging))?;
        let replaced: Vec<String> = commit.superseded().map(str::to_owned).collect();
        if staged.is_empty() && replaced.is_empty() {
            // Published before, or a commit without data files.
            return Ok(());
        }
        if self.read_by == ReadBy::Files {
            self.retire(commit, &replaced)?;
        }
        let (runs, others): (Vec<&DataFile>, Vec<&DataFile>) =
            commit.all_parts().partition(|part| part.table == "runs");
        self.publish_parts(commit, &staging, &others)?;
        crash::point("before_runs_are_moved");
        self.publish_parts(commit, &staging, &runs)?;
        if self.read_by == ReadBy::Tables {
            self.retire_later(commit, &replaced)?;
        }
        crash::point("before_staging_is_removed");
        let staged = staged.into_iter().map(|object| object.location).collect();
        self.delete(staged).map_err(self.failed("remove", &staging))?;
        crash::point("after_staging_is_removed");
        Ok(())
    }

    fn publish_parts(
        &self,
        commit: &CommitFile,
        staging: &str,
        parts: &[&DataFile],
    ) -> Result<(), LakeError> {
        let pairs =
            parts.iter().map(|part| (format!("{staging}/{}", part.path), part.path.clone()));
        let copied = self.copy_all(pairs.collect());
        let copied = copied.map_err(self.failed("copy data files to", ""))?;
        for (part, was_copied) in parts.iter().zip(copied) {
            crash::point("between_moved_parts");
            // In Azure a copy can come to its end later, and a file that was published before is not
            // in staging any more.
            let length = self.length_after_copy(part, was_copied)?;
            if length != Some(part.bytes) {
                let problem = missing(commit.commit);
                return Err(LakeError::Damaged { path: self.location(&part.path), problem });
            }
        }
        Ok(())
    }

    /// The length of a published data file; waits for a copy that the store carries out later.
    fn length_after_copy(
        &self,
        part: &DataFile,
        was_copied: bool,
    ) -> Result<Option<u64>, LakeError> {
        const WAITS: u32 = 30;
        // The answer of S3 and of Google Cloud comes after the copy.
        if was_copied && self.url.scheme() != StoreScheme::Azure {
            return Ok(Some(part.bytes));
        }
        for wait in 0..WAITS {
            let found = self.head(&part.path).map_err(self.failed("look at", &part.path))?;
            let length = found.map(|object| object.size);
            if !was_copied || length == Some(part.bytes) || wait + 1 == WAITS {
                return Ok(length);
            }
            wait_before_next_look(Duration::from_millis(500));
        }
        Ok(None)
    }

    /// Moves superseded data files out of their folders, to the tombstones.
    fn retire(&self, commit: &CommitFile, replaced: &[String]) -> Result<(), LakeError> {
        if replaced.is_empty() {
            return Ok(());
        }
        let tombstone = |path: &String| format!("{TOMBSTONES}/{}/{path}", commit.staging);
        let pairs = replaced.iter().map(|path| (path.clone(), tombstone(path))).collect();
        self.copy_all(pairs).map_err(self.failed("copy replaced data files to", TOMBSTONES))?;
        crash::point("before_exchange");
        let paths = replaced.iter().map(|path| key(path)).collect();
        self.delete(paths).map_err(self.failed("remove replaced data files of", ""))?;
        crash::point("after_exchange");
        Ok(())
    }

    /// Notes which superseded data files stay in their folders until the grace time is over.
    fn retire_later(&self, commit: &CommitFile, replaced: &[String]) -> Result<(), LakeError> {
        if replaced.is_empty() {
            return Ok(());
        }
        let path = format!("{TOMBSTONES}/{}/{STAYING}", commit.staging);
        let damaged = |error: serde_json::Error| LakeError::Damaged {
            path: self.location(&path),
            problem: error.to_string(),
        };
        let list = serde_json::to_vec(replaced).map_err(damaged)?;
        let (objects, at) = (Arc::clone(&self.objects), key(&path));
        let put = wait(async move { objects.put(&at, list.into()).await });
        put.map(drop).map_err(self.failed("write", &path))
    }

    /// Removes the tombstones of a commit for good, and the data files that it left in their folders.
    pub(super) fn remove_tombstones(&self, commit_folder: &str) -> Result<(), LakeError> {
        let staying = self.staying(commit_folder)?;
        let paths = staying.iter().map(|path| key(path)).collect();
        self.delete(paths).map_err(self.failed("remove replaced data files of", ""))?;
        // The list goes last: what it names must be gone.
        self.delete_folder(&format!("{TOMBSTONES}/{commit_folder}"))
    }

    /// The superseded data files that a commit left in their folders until the grace time is over.
    pub(super) fn staying(&self, commit_folder: &str) -> Result<Vec<String>, LakeError> {
        let path = format!("{TOMBSTONES}/{commit_folder}/{STAYING}");
        let (objects, at) = (Arc::clone(&self.objects), key(&path));
        let list = wait(async move { objects.get(&at).await?.bytes().await });
        let list = none_if_not_found(list).map_err(self.failed("read", &path))?;
        let Some(list) = list else { return Ok(Vec::new()) };
        serde_json::from_slice(&list).map_err(|error| LakeError::Damaged {
            path: self.location(&path),
            problem: error.to_string(),
        })
    }

    /// Removes every object below a folder.
    pub(super) fn delete_folder(&self, folder: &str) -> Result<(), LakeError> {
        let below = self.objects_below(folder, None).map_err(self.failed("list", folder))?;
        let paths = below.into_iter().map(|object| object.location).collect();
        self.delete(paths).map_err(self.failed("remove", folder))
    }

    /// A data file of a commit that is not fully published yet; `None` if all are.
    pub(super) fn unpublished<'c>(
        &self,
        commit: &'c CommitFile,
    ) -> Result<Option<&'c DataFile>, LakeError> {
        let staging = format!("{STAGING}/{}", commit.staging);
        let staged = self.objects_below(&staging, None).map_err(self.failed("list", &staging))?;
        let staged: BTreeSet<String> =
            staged.into_iter().map(|object| object.location.to_string()).collect();
        Ok(commit.all_parts().find(|part| staged.contains(&format!("{staging}/{}", part.path))))
    }
}
