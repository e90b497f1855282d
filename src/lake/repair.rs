//! File operations of a repair: lists the files in a lake's folders, moves files back or to the
//! quarantine, and removes copies.

use super::paths::{QUARANTINE, STAGING, staging_path};
use super::{Lake, LakeError, LakeStore, LakeView, Location};
use crate::tables::{ALL, WriteDisposition};

impl LakeView {
    /// Every file below the folders of tables, relative to the lake's root, sorted. Names that
    /// engines skip are left out.
    ///
    /// # Errors
    /// [`LakeError::Io`] if a folder cannot be listed.
    pub fn table_files(&self) -> Result<Vec<String>, LakeError> {
        let tables = ALL.iter().filter(|table| table.write != WriteDisposition::CommitLog);
        let mut found = Vec::new();
        let mut folders: Vec<String> = tables.map(|table| table.name.to_owned()).collect();
        while let Some(folder) = folders.pop() {
            for name in self.store().list(&folder)? {
                let path = format!("{folder}/{name}");
                if name.starts_with(['.', '_']) {
                } else if self.store().is_folder(&path) {
                    folders.push(path);
                } else {
                    found.push(path);
                }
            }
        }
        found.sort();
        Ok(found)
    }

    /// The names of the staging folders.
    ///
    /// # Errors
    /// [`LakeError::Io`] if they cannot be listed.
    pub fn staged(&self) -> Result<Vec<String>, LakeError> {
        self.store().list(STAGING)
    }

    /// The path of a staging folder, relative to the lake's root.
    pub fn staged_path(&self, folder: &str) -> String {
        staging_path(folder)
    }

    /// Whether a process is writing to the lake now.
    pub fn is_being_written(&self) -> bool {
        self.store().is_locked()
    }
}

impl Lake {
    /// Removes a file whose content is in the lake a second time.
    ///
    /// # Errors
    /// [`LakeError::Io`] if it cannot be removed.
    pub fn remove(&self, path: &str) -> Result<(), LakeError> {
        self.store().delete(path)
    }

    /// Removes all staging folders. None of them belongs to a commit: opening the lake has already
    /// published the staged data files of existing commits.
    ///
    /// # Errors
    /// [`LakeError::Io`] if a folder cannot be removed.
    pub fn clear_staging(&self) -> Result<(), LakeError> {
        let folders = self.store().list(STAGING)?;
        folders.iter().try_for_each(|name| self.store().delete_folder(&staging_path(name)))
    }

    /// Moves a file back to the path of the data file that it is.
    ///
    /// # Errors
    /// [`LakeError::Io`] if it cannot be moved.
    pub fn put_back(&self, path: &str, part: &str) -> Result<(), LakeError> {
        self.store().rename(path, part)
    }

    /// Moves a file to the quarantine, where readers do not see it. Returns its new path.
    ///
    /// # Errors
    /// [`LakeError::Io`] if it cannot be moved.
    pub fn quarantine(&self, path: &str) -> Result<Location, LakeError> {
        let to = unused_path(self.store(), &format!("{QUARANTINE}/{path}"));
        self.store().rename(path, &to)?;
        Ok(self.store().location(&to))
    }
}

/// The path, or the first numbered variant of it that is unused.
fn unused_path(store: &LakeStore, path: &str) -> String {
    let stem = path.rsplit_once('.').map_or(path, |(stem, _)| stem);
    let numbered = (1_u32..).map(|number| format!("{stem}.{number}.parquet"));
    let mut paths = std::iter::once(path.to_owned()).chain(numbered);
    paths.find(|path| !store.contains(path)).unwrap_or_else(|| path.to_owned())
}
