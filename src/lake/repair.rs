//! File operations of a repair: lists the files in a lake's folders, moves files back or to the
//! quarantine, and removes copies.

use super::paths::{STAGING, staging_path};
use super::{Lake, LakeError, LakeView, Location};
use crate::tables::{ALL, WriteDisposition};

impl LakeView {
    /// Every file below the folders of tables, relative to the lake's root, sorted. Left out are names
    /// that engines skip, and superseded data files that stay until the grace time is over.
    ///
    /// # Errors
    /// [`LakeError::Io`] if a folder cannot be listed.
    pub fn table_files(&self) -> Result<Vec<String>, LakeError> {
        let tables = ALL.iter().filter(|table| table.write != WriteDisposition::CommitLog);
        let mut found = Vec::new();
        for table in tables {
            found.extend(self.store().files_below(table.name)?);
        }
        let staying = self.store().staying()?;
        found.retain(|path| !staying.contains(path));
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
    ///
    /// # Errors
    /// [`LakeError::Request`] if an object store cannot be asked.
    pub fn is_being_written(&self) -> Result<bool, LakeError> {
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
        let to = self.store().unused_quarantine(path)?;
        self.store().rename(path, &to)?;
        Ok(self.store().location(&to))
    }
}
