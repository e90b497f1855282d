//! What a lake's folders hold beside what its manifests name, and how that is put right.

use std::path::{Path, PathBuf};

use super::lock::is_held;
use super::{Lake, LakeError, LakeView, files};
use crate::tables::{ALL, Write};

/// Where files go that readers must not see and that may hold rows all the same.
const SET_ASIDE: &str = "_armature/set_aside";

impl LakeView {
    /// Every file below the folders of tables, from the lake's root, sorted; names that engines
    /// skip are left out.
    ///
    /// # Errors
    /// [`LakeError::Io`] where a folder cannot be listed.
    pub fn table_files(&self) -> Result<Vec<String>, LakeError> {
        let tables = ALL.iter().filter(|table| table.write != Write::Manifest);
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

    /// The names of the folders that hold staged parts.
    ///
    /// # Errors
    /// [`LakeError::Io`] where they cannot be listed.
    pub fn staged(&self) -> Result<Vec<String>, LakeError> {
        files::names(&self.root().join("_armature/staging"))
    }

    /// Whether a process writes the lake at this moment.
    pub fn is_being_written(&self) -> bool {
        is_held(&self.root().join("_armature/lock"))
    }
}

impl Lake {
    /// Removes a file that is in the lake once more.
    ///
    /// # Errors
    /// [`LakeError::Io`] where it cannot be removed.
    pub fn remove(&self, path: &str) -> Result<(), LakeError> {
        files::remove_file(&self.root().join(path))
    }

    /// Removes all parts that are staged and in no commit. The commits are recovered already, as
    /// the lake is open.
    ///
    /// # Errors
    /// [`LakeError::Io`] where a folder cannot be removed.
    pub fn clear_staging(&self) -> Result<(), LakeError> {
        let staging = self.root().join("_armature/staging");
        files::names(&staging)?
            .iter()
            .try_for_each(|name| files::remove_folder(&staging.join(name)))
    }

    /// Moves a file to the place of the part that it is.
    ///
    /// # Errors
    /// [`LakeError::Io`] where it cannot be moved.
    pub fn put_back(&self, path: &str, part: &str) -> Result<(), LakeError> {
        files::move_file(&self.root().join(path), &self.root().join(part))
    }

    /// Moves a file out of readers' sight, and keeps it. Returns where it is then.
    ///
    /// # Errors
    /// [`LakeError::Io`] where it cannot be moved.
    pub fn set_aside(&self, path: &str) -> Result<PathBuf, LakeError> {
        let to = free_name(&self.root().join(SET_ASIDE).join(path));
        files::move_file(&self.root().join(path), &to)?;
        Ok(to)
    }
}

/// The path, or one like it that is not taken.
fn free_name(path: &Path) -> PathBuf {
    let numbered = (1_u32..).map(|number| path.with_extension(format!("{number}.parquet")));
    let mut names = std::iter::once(path.to_owned()).chain(numbered);
    names.find(|name| !name.exists()).unwrap_or_else(|| path.to_owned())
}
