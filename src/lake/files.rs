//! The few file operations that a store has no word for. Local file system only.

use std::fs::{self, File};
use std::path::Path;

use super::LakeError;

/// Makes a folder and its parents.
pub(super) fn make_folder(path: &Path) -> Result<(), LakeError> {
    fs::create_dir_all(path).map_err(LakeError::io("create the folder", path))
}

/// Moves a file over whatever is there. Both must be on one file system.
#[expect(clippy::disallowed_methods, reason = "the one place that moves files in the lake")]
pub(super) fn move_file(from: &Path, to: &Path) -> Result<(), LakeError> {
    if let Some(parent) = to.parent() {
        make_folder(parent)?;
    }
    fs::rename(from, to).map_err(LakeError::io("move a part to", to))
}

/// Gives a folder another name; whether it was there.
#[expect(clippy::disallowed_methods, reason = "the one place that moves files in the lake")]
pub(super) fn rename_folder(from: &Path, to: &Path) -> Result<bool, LakeError> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        other => other.map(|()| true).map_err(LakeError::io("rename the folder", from)),
    }
}

/// Gives a file another name besides its own; whether its file system can do so.
pub(super) fn link(from: &Path, to: &Path) -> bool {
    fs::hard_link(from, to).is_ok()
}

/// Exchanges two folders at one instant; whether this system and its file system can do so.
#[cfg(any(target_os = "linux", target_vendor = "apple"))]
pub(super) fn exchange(one: &Path, other: &Path) -> Result<bool, LakeError> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    use rustix::io::Errno;

    match renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE) {
        Ok(()) => Ok(true),
        Err(error @ (Errno::NOENT | Errno::NOSPC | Errno::IO)) => {
            Err(LakeError::io("exchange the folder", other)(error.into()))
        }
        // File systems refuse it in many ways. Files can be moved where folders cannot be.
        Err(_) => Ok(false),
    }
}

/// Exchanges two folders at one instant; whether this system and its file system can do so.
#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
pub(super) fn exchange(_one: &Path, _other: &Path) -> Result<bool, LakeError> {
    Ok(false)
}

/// The length of a file in bytes; `None` where there is no such file.
pub(super) fn length(path: &Path) -> Result<Option<u64>, LakeError> {
    match fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        other => Ok(Some(other.map_err(LakeError::io("look at", path))?.len())),
    }
}

/// What is in a file; `None` where there is no such file.
pub(super) fn content(path: &Path) -> Result<Option<Vec<u8>>, LakeError> {
    match fs::read(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some).map_err(LakeError::io("read", path)),
    }
}

/// Makes the names in a folder durable.
pub(super) fn sync_folder(path: &Path) -> Result<(), LakeError> {
    let synced = File::open(path).and_then(|folder| folder.sync_all());
    synced.map_err(LakeError::io("sync the folder", path))
}

/// Removes a file, if it is there.
pub(super) fn remove_file(path: &Path) -> Result<(), LakeError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(LakeError::io("remove", path)),
    }
}

/// Removes a folder and all in it, if it is there.
pub(super) fn remove_folder(path: &Path) -> Result<(), LakeError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(LakeError::io("remove the folder", path)),
    }
}

/// The names in a folder, sorted; none where there is no such folder.
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
