//! The parts of a commit put in their places, and those whose places they take put out of sight.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::commit::commit_of;
use super::retired::RETIRED;
use super::{LakeError, Manifest, Part, files, presence};
use crate::crash;

/// Moves the parts of a durable commit in place; what is in place already stays. Runs come last,
/// so that whoever sees a run finds its rows in the other tables.
pub(super) fn settle(lake: &Path, manifest: &Manifest) -> Result<(), LakeError> {
    if manifest.is_merge { settle_merge(lake, manifest) } else { settle_parts(lake, manifest) }
}

fn settle_parts(lake: &Path, manifest: &Manifest) -> Result<(), LakeError> {
    let staging = lake.join("_armature/staging").join(&manifest.staging);
    let mut parts: Vec<&Part> = manifest.all_parts().collect();
    parts.sort_by_key(|part| part.table == "runs");
    let mut folders = BTreeSet::new();
    for part in parts {
        let (from, to) = (staging.join(&part.path), lake.join(&part.path));
        if part.table == "runs" {
            crash::point("before_runs_are_moved");
        }
        let moved = match &part.replaces {
            None => move_in_place(&from, &to)?,
            Some(old) => {
                // Over the older part first, and then to its own name: a reader of the folder sees
                // one of the two, never both and never none.
                let old = lake.join(old);
                folders.extend(old.parent().map(Path::to_owned));
                move_in_place(&from, &old)?;
                crash::point("between_taking_a_place_and_the_name");
                to.exists() || move_in_place(&old, &to)?
            }
        };
        if !moved {
            let problem = presence::nowhere(manifest.commit);
            return Err(LakeError::Damaged { path: to, problem });
        }
        crash::point("between_moved_parts");
        let above = to.ancestors().skip(1).take_while(|folder| folder.starts_with(lake));
        folders.extend(above.map(Path::to_owned));
    }
    crash::point("before_folders_are_synced");
    for folder in folders {
        files::sync_folder(&folder)?;
    }
    remove_superseded(lake, manifest)?;
    crash::point("before_staging_is_removed");
    files::remove_folder(&staging)?;
    crash::point("after_staging_is_removed");
    Ok(())
}

/// What a merge changes in one folder: names of files.
#[derive(Debug, Default)]
struct FolderChange<'m> {
    added: Vec<&'m str>,
    removed: BTreeSet<&'m str>,
}

/// Puts the parts of a merge in the place of those that they hold, folder by folder. A reader that
/// lists a folder sees all of the old ones or all of the new ones, and never both: the folder is
/// made anew beside, and the two are exchanged. The old parts are kept out of sight for a while.
fn settle_merge(lake: &Path, manifest: &Manifest) -> Result<(), LakeError> {
    let mut changes: BTreeMap<&str, FolderChange<'_>> = BTreeMap::new();
    for (folder, name) in manifest.parts.iter().filter_map(|part| part.path.rsplit_once('/')) {
        changes.entry(folder).or_default().added.push(name);
    }
    for (folder, name) in manifest.removed.iter().filter_map(|path| path.rsplit_once('/')) {
        changes.entry(folder).or_default().removed.insert(name);
    }
    let staging = lake.join("_armature/staging").join(&manifest.staging);
    let retired = lake.join(RETIRED).join(&manifest.staging);
    let mut changes: Vec<_> = changes.into_iter().collect();
    changes.sort_by_key(|(folder, _)| folder.starts_with("runs/"));
    for (folder, change) in changes {
        let (live, staged) = (lake.join(folder), staging.join(folder));
        change.settle(&live, &staged, &retired.join(folder))?;
        if let Some(name) = change.added.iter().find(|name| !live.join(name).exists()) {
            let (path, problem) = (live.join(name), presence::nowhere(manifest.commit));
            return Err(LakeError::Damaged { path, problem });
        }
        change.put_back(&live, &staged)?;
        crash::point("between_exchanged_folders");
        live.ancestors()
            .take_while(|folder| folder.starts_with(lake))
            .try_for_each(files::sync_folder)?;
    }
    crash::point("before_staging_is_removed");
    files::remove_folder(&staging)
}

impl FolderChange<'_> {
    /// Whatever a crash left of it is gone on with.
    fn settle(&self, live: &Path, staged: &Path, retired: &Path) -> Result<(), LakeError> {
        let is_done = || {
            self.added.iter().all(|name| live.join(name).exists())
                && !self.removed.iter().any(|name| live.join(name).exists())
        };
        // What an exchange before a crash left here is kept before anything else is done.
        self.retire(staged, retired)?;
        if !is_done() {
            let is_whole = self.complete(live, staged)?;
            crash::point("before_exchange");
            if !(is_whole && files::exchange(staged, live)?) {
                // For a moment a reader sees the rows of neither, rather than all of them twice.
                self.retire(live, retired)?;
                for name in &self.added {
                    move_in_place(&staged.join(name), &live.join(name))?;
                }
            }
            crash::point("after_exchange");
        }
        self.retire(staged, retired)
    }

    /// Makes the folder that is to come whole: with what stays as it is. Whether that is possible:
    /// not every file system has links.
    fn complete(&self, live: &Path, staged: &Path) -> Result<bool, LakeError> {
        files::make_folder(staged)?;
        for name in files::names(staged)? {
            // Links of an earlier try, whose files may have gone since.
            if !self.added.contains(&name.as_str()) {
                files::remove_file(&staged.join(name))?;
            }
        }
        for name in files::names(live)? {
            let stays = !self.removed.contains(name.as_str());
            if stays && !files::link(&live.join(&name), &staged.join(&name)) {
                return Ok(false);
            }
        }
        files::sync_folder(staged)?;
        Ok(true)
    }

    /// What came to the folder while it was exchanged, by whomever, stays in it.
    fn put_back(&self, live: &Path, staged: &Path) -> Result<(), LakeError> {
        for name in files::names(staged)? {
            let is_new = !self.added.contains(&name.as_str()) && !live.join(&name).exists();
            if is_new {
                files::move_file(&staged.join(&name), &live.join(&name))?;
            }
        }
        Ok(())
    }

    /// Moves the older parts that are in a folder out of sight.
    fn retire(&self, from: &Path, retired: &Path) -> Result<(), LakeError> {
        for name in &self.removed {
            move_in_place(&from.join(name), &retired.join(name))?;
        }
        Ok(())
    }
}

/// Removes sealed parts of commits whose number is taken: nobody can make a commit of them. Those
/// that are not sealed may be in the hands of a writer past the lock, who is told so itself.
pub(super) fn remove_overtaken(lake: &Path, manifest: &Manifest) -> Result<(), LakeError> {
    let staging = lake.join("_armature/staging");
    for folder in files::names(&staging)? {
        let is_sealed = !folder.contains('.');
        if is_sealed && commit_of(&folder).is_some_and(|commit| commit <= manifest.commit) {
            files::remove_folder(&staging.join(folder))?;
        }
    }
    Ok(())
}

/// Moves a file that is there; whether the target is there then.
fn move_in_place(from: &Path, to: &Path) -> Result<bool, LakeError> {
    if from.exists() {
        files::move_file(from, to)?;
    }
    Ok(to.exists())
}

/// Removes the older parts whose place no part takes.
pub(super) fn remove_superseded(lake: &Path, manifest: &Manifest) -> Result<(), LakeError> {
    manifest.removed.iter().try_for_each(|path| files::remove_file(&lake.join(path)))
}
