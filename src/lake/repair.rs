//! Orphan files: files in a lake's folders that its commits do not name, and the file operations that repair
//! them.

use std::path::{Path, PathBuf};

use super::lock::is_held;
use super::{Lake, LakeError, LakeView, files};
use crate::tables::{ALL, WriteDisposition};

/// Quarantine: files that readers must not see, kept because they may hold rows.
const QUARANTINE: &str = "_armature/set_aside";

impl LakeView {
    /// Every file below the folders of tables, relative to the lake's root, sorted. Names that
    /// engines skip are left out.
    ///
    /// # Errors
    /// [`LakeError::Io`] if a folder cannot be listed.
    pub fn table_files(&self) -> Result<Vec<String>, LakeError> {
        let tables = ALL.iter().filter(|table| table.write != WriteDisposition::Manifest);
        let mut found = Vec::new();
        let mut folders: Vec<String> = tables.map(|table| table.name.to_owned()).collect();
        while let Some(folder) = folders.pop() {
            for name in files::names(&self.root().join(&folder))? {
                let path = format!("{folder}/{name}");
                if name.starts_with(['.', '_']) {
                } else if self.root().join(&path).is_dir() {
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
        files::names(&self.root().join("_armature/staging"))
    }

    /// Whether a process is writing to the lake now.
    pub fn is_being_written(&self) -> bool {
        is_held(&self.root().join("_armature/lock"))
    }
}

impl Lake {
    /// Removes a file whose content is in the lake a second time.
    ///
    /// # Errors
    /// [`LakeError::Io`] if it cannot be removed.
    pub fn remove(&self, path: &str) -> Result<(), LakeError> {
        files::remove_file(&self.root().join(path))
    }

    /// Removes all staging folders. None of them belongs to a commit: opening the lake has already
    /// published the staged data files of existing commits.
    ///
    /// # Errors
    /// [`LakeError::Io`] if a folder cannot be removed.
    pub fn clear_staging(&self) -> Result<(), LakeError> {
        let staging = self.root().join("_armature/staging");
        files::names(&staging)?
            .iter()
            .try_for_each(|name| files::remove_folder(&staging.join(name)))
    }

    /// Moves a file back to the path of the data file that it is.
    ///
    /// # Errors
    /// [`LakeError::Io`] if it cannot be moved.
    pub fn put_back(&self, path: &str, part: &str) -> Result<(), LakeError> {
        files::move_file(&self.root().join(path), &self.root().join(part))
    }

    /// Moves a file to the quarantine, where readers do not see it. Returns its new path.
    ///
    /// # Errors
    /// [`LakeError::Io`] if it cannot be moved.
    pub fn quarantine(&self, path: &str) -> Result<PathBuf, LakeError> {
        let to = free_name(&self.root().join(QUARANTINE).join(path));
        files::move_file(&self.root().join(path), &to)?;
        Ok(to)
    }
}

/// The path, or the first numbered variant of it that is unused.
fn free_name(path: &Path) -> PathBuf {
    let numbered = (1_u32..).map(|number| path.with_extension(format!("{number}.parquet")));
    let mut names = std::iter::once(path.to_owned()).chain(numbered);
    names.find(|name| !name.exists()).unwrap_or_else(|| path.to_owned())
}
