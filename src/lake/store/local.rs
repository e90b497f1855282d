//! File operations that do not go through `object_store`: moves, exchanges, hard links, syncs, and
//! synchronous listing and removal. Local file system only.

use std::fs::{self, File};
use std::path::Path;

use crate::lake::LakeError;

/// Creates a folder and its parents, if they do not exist.
pub(super) fn make_folder(path: &Path) -> Result<(), LakeError> {
    fs::create_dir_all(path).map_err(LakeError::io("create the folder", path))
}

/// Moves a file, and replaces the target. Both paths must be on one file system, so that this is
/// one atomic rename.
#[expect(clippy::disallowed_methods, reason = "the one place that moves files in the lake")]
pub(super) fn move_file(from: &Path, to: &Path) -> Result<(), LakeError> {
    if let Some(parent) = to.parent() {
        make_folder(parent)?;
    }
    fs::rename(from, to).map_err(LakeError::io("move a data file to", to))
}

/// Renames a folder. Returns whether it existed.
#[expect(clippy::disallowed_methods, reason = "the one place that moves files in the lake")]
pub(super) fn rename_folder(from: &Path, to: &Path) -> Result<bool, LakeError> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        other => other.map(|()| true).map_err(LakeError::io("rename the folder", from)),
    }
}

/// Creates a hard link. Returns `false` if the file system does not support it.
pub(super) fn link(from: &Path, to: &Path) -> bool {
    fs::hard_link(from, to).is_ok()
}

/// Exchanges two folders atomically. Returns `false` if the operating system or the file system
/// does not support it.
#[cfg(any(target_os = "linux", target_vendor = "apple"))]
pub(super) fn exchange(one: &Path, other: &Path) -> Result<bool, LakeError> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    use rustix::io::Errno;

    match renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE) {
        Ok(()) => Ok(true),
        Err(error @ (Errno::NOENT | Errno::NOSPC | Errno::IO)) => {
            Err(LakeError::io("exchange the folder", other)(error.into()))
        }
        // File systems that do not support it return various errors, and files can be moved where
        // folders cannot: the caller moves files instead.
        Err(_) => Ok(false),
    }
}

/// Exchanges two folders atomically. Returns `false` if the operating system or the file system
/// does not support it.
#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
pub(super) fn exchange(_one: &Path, _other: &Path) -> Result<bool, LakeError> {
    Ok(false)
}

/// The length of a file in bytes; `None` if it does not exist.
pub(super) fn length(path: &Path) -> Result<Option<u64>, LakeError> {
    match fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        other => Ok(Some(other.map_err(LakeError::io("look at", path))?.len())),
    }
}

/// Syncs a folder (fsync), which makes the names in it durable.
pub(super) fn sync_folder(path: &Path) -> Result<(), LakeError> {
    let synced = File::open(path).and_then(|folder| folder.sync_all());
    synced.map_err(LakeError::io("sync the folder", path))
}

/// Removes a file, if it exists.
pub(super) fn remove_file(path: &Path) -> Result<(), LakeError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(LakeError::io("remove", path)),
    }
}

/// Removes a folder and its content, if it exists.
pub(super) fn remove_folder(path: &Path) -> Result<(), LakeError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(LakeError::io("remove the folder", path)),
    }
}

/// The names in a folder, sorted; empty if the folder does not exist.
pub(super) fn names(path: &Path) -> Result<Vec<String>, LakeError> {
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(LakeError::io("list the folder", path))?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(LakeError::io("list the folder", path))?;
        names.push(entry.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}
