//! Publishing on a local file system: the data files of a commit are moved into place by renaming
//! files or exchanging folders; those that they supersede are overwritten, become tombstones, or are
//! removed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::{Local, local};
use crate::crash;
use crate::lake::error::missing;
use crate::lake::paths::{STAGING, TOMBSTONES};
use crate::lake::{CommitFile, DataFile, LakeError};

impl Local {
    /// See [`super::LakeStore::publish`].
    pub(super) fn publish(&self, commit: &CommitFile) -> Result<(), LakeError> {
        if commit.is_merge { publish_merge(self, commit) } else { publish_files(self, commit) }
    }

    /// Removes older data files whose place no new one takes. Files that a merge replaced are gone
    /// from there already.
    pub(super) fn remove_superseded(&self, commit: &CommitFile) -> Result<(), LakeError> {
        commit.removed.iter().try_for_each(|path| local::remove_file(&self.path(path)))
    }

    /// See [`super::LakeStore::unpublished`].
    pub(super) fn unpublished<'c>(&self, commit: &'c CommitFile) -> Option<&'c DataFile> {
        let staging = format!("{STAGING}/{}", commit.staging);
        let exists = |path: &str| self.path(path).exists();
        commit.all_parts().find(|part| {
            let is_staged = exists(&format!("{staging}/{}", part.path));
            is_staged || !exists(&part.path) && part.replaces.as_deref().is_some_and(exists)
        })
    }
}

fn publish_files(store: &Local, commit_file: &CommitFile) -> Result<(), LakeError> {
    let lake = &*store.root;
    let staging = lake.join(STAGING).join(&commit_file.staging);
    let mut parts: Vec<&DataFile> = commit_file.all_parts().collect();
    parts.sort_by_key(|part| part.table == "runs");
    let mut folders = BTreeSet::new();
    for part in parts {
        let (from, to) = (staging.join(&part.path), lake.join(&part.path));
        if part.table == "runs" {
            crash::point("before_runs_are_moved");
        }
        let moved = match &part.replaces {
            None => move_in_place(&from, &to)?,
            Some(old) if commit_file.replaced.contains(part) => {
                // Like a merge, so that a reader of the folder sees exactly one of the two files.
                if let (Some((folder, new)), Some((_, old))) =
                    (part.path.rsplit_once('/'), old.rsplit_once('/'))
                {
                    let (added, removed) = (vec![new], BTreeSet::from([old]));
                    FolderChange { added, removed }.publish(lake, commit_file, folder)?;
                }
                to.exists()
            }
            Some(old) => {
                // Rename over the older data file first, then to the new name: a reader of the
                // folder sees exactly one of the two at every instant.
                let old = lake.join(old);
                folders.extend(old.parent().map(Path::to_owned));
                move_in_place(&from, &old)?;
                crash::point("between_taking_a_place_and_the_name");
                to.exists() || move_in_place(&old, &to)?
            }
        };
        if !moved {
            let problem = missing(commit_file.commit);
            return Err(LakeError::Damaged { path: to.into(), problem });
        }
        crash::point("between_moved_parts");
        let above = to.ancestors().skip(1).take_while(|folder| folder.starts_with(lake));
        folders.extend(above.map(Path::to_owned));
    }
    crash::point("before_folders_are_synced");
    // Sync the folders before staging is removed: recovery finds an unfinished commit by its
    // staging folder.
    for folder in folders {
        local::sync_folder(&folder)?;
    }
    store.remove_superseded(commit_file)?;
    crash::point("before_staging_is_removed");
    local::remove_folder(&staging)?;
    crash::point("after_staging_is_removed");
    Ok(())
}

/// The files that a commit adds to and removes from one folder, by name.
#[derive(Debug, Default)]
struct FolderChange<'m> {
    added: Vec<&'m str>,
    removed: BTreeSet<&'m str>,
}

/// Publishes a merge, folder by folder, `runs` last. Renaming file by file would show rows twice or
/// not at all. The complete new folder is therefore prepared in staging, and exchanged with the
/// live one in one step: a reader that lists a folder sees either all old data files or all new
/// ones. The old data files become tombstones.
fn publish_merge(store: &Local, commit_file: &CommitFile) -> Result<(), LakeError> {
    let lake = &*store.root;
    let mut changes: BTreeMap<&str, FolderChange<'_>> = BTreeMap::new();
    for (folder, name) in commit_file.parts.iter().filter_map(|part| part.path.rsplit_once('/')) {
        changes.entry(folder).or_default().added.push(name);
    }
    for (folder, name) in commit_file.removed.iter().filter_map(|path| path.rsplit_once('/')) {
        changes.entry(folder).or_default().removed.insert(name);
    }
    let mut changes: Vec<_> = changes.into_iter().collect();
    changes.sort_by_key(|(folder, _)| folder.starts_with("runs/"));
    for (folder, change) in changes {
        change.publish(lake, commit_file, folder)?;
        crash::point("between_exchanged_folders");
        lake.join(folder)
            .ancestors()
            .take_while(|folder| folder.starts_with(lake))
            .try_for_each(local::sync_folder)?;
    }
    crash::point("before_staging_is_removed");
    local::remove_folder(&lake.join(STAGING).join(&commit_file.staging))
}

impl FolderChange<'_> {
    /// Publishes the change of a folder that a commit makes.
    fn publish(&self, lake: &Path, commit: &CommitFile, folder: &str) -> Result<(), LakeError> {
        let live = lake.join(folder);
        let staged = lake.join(STAGING).join(&commit.staging).join(folder);
        let retired = lake.join(TOMBSTONES).join(&commit.staging).join(folder);
        self.exchange(&live, &staged, &retired)?;
        if let Some(name) = self.added.iter().find(|name| !live.join(name).exists()) {
            let (path, problem) = (live.join(name).into(), missing(commit.commit));
            return Err(LakeError::Damaged { path, problem });
        }
        self.put_back(&live, &staged)
    }

    /// Exchanges one folder. Continues wherever a crash interrupted it.
    fn exchange(&self, live: &Path, staged: &Path, retired: &Path) -> Result<(), LakeError> {
        let is_done = || {
            self.added.iter().all(|name| live.join(name).exists())
                && !self.removed.iter().any(|name| live.join(name).exists())
        };
        // After an exchange, the staged folder holds the old data files. Keep those of an exchange
        // before a crash before `complete` removes them.
        self.tombstone(staged, retired)?;
        if !is_done() {
            // The folder may have been lost, which must not keep the commit from being published.
            local::make_folder(live)?;
            let is_whole = self.complete(live, staged)?;
            crash::point("before_exchange");
            if !(is_whole && local::exchange(staged, live)?) {
                // Without an exchange: for a moment a reader sees neither the old rows nor the new
                // ones. The other order would show all of them twice.
                self.tombstone(live, retired)?;
                for name in &self.added {
                    move_in_place(&staged.join(name), &live.join(name))?;
                }
            }
            crash::point("after_exchange");
        }
        self.tombstone(staged, retired)
    }

    /// Completes the staged folder with links to the live data files that stay. Returns `false` if
    /// that is not possible: not every file system has hard links.
    fn complete(&self, live: &Path, staged: &Path) -> Result<bool, LakeError> {
        local::make_folder(staged)?;
        for name in local::names(staged)? {
            // Remove links of an earlier attempt: their files may have been removed since.
            if !self.added.contains(&name.as_str()) {
                local::remove_file(&staged.join(name))?;
            }
        }
        for name in local::names(live)? {
            let stays = !self.removed.contains(name.as_str());
            if stays && !local::link(&live.join(&name), &staged.join(&name)) {
                return Ok(false);
            }
        }
        local::sync_folder(staged)?;
        Ok(true)
    }

    /// Moves files back that another process added to the live folder after `complete` listed it.
    fn put_back(&self, live: &Path, staged: &Path) -> Result<(), LakeError> {
        for name in local::names(staged)? {
            let is_new = !self.added.contains(&name.as_str()) && !live.join(&name).exists();
            if is_new {
                local::move_file(&staged.join(&name), &live.join(&name))?;
            }
        }
        Ok(())
    }

    /// Moves the removed data files from a folder to the tombstones.
    fn tombstone(&self, from: &Path, retired: &Path) -> Result<(), LakeError> {
        for name in &self.removed {
            move_in_place(&from.join(name), &retired.join(name))?;
        }
        Ok(())
    }
}

/// Moves a file if it exists. Returns whether the target exists afterwards, so that a repeated move
/// succeeds.
fn move_in_place(from: &Path, to: &Path) -> Result<bool, LakeError> {
    if from.exists() {
        local::move_file(from, to)?;
    }
    Ok(to.exists())
}
