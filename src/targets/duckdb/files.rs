//! Files beside a DuckDB file, and errors that name them.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::targets::DeliverError;

/// Removes a file, if it is there.
pub(super) fn remove(path: &Path) -> Result<(), DeliverError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other.map_err(io("remove", path)),
    }
}

/// The folder of a file.
pub(super) fn folder_of(path: &Path) -> &Path {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or_else(|| Path::new("."))
}

/// Creates the folder of a file if it is missing.
pub(super) fn create_folder_of(path: &Path) -> Result<(), DeliverError> {
    let folder = folder_of(path);
    std::fs::create_dir_all(folder).map_err(io("create the folder", folder))
}

/// Opens a file; `None` if there is none.
pub(super) fn open_existing(path: &Path) -> Result<Option<File>, DeliverError> {
    match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        opened => opened.map(Some).map_err(io("open", path)),
    }
}

/// Turns an I/O error into one that names the action and the file.
pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> DeliverError {
    let path = path.to_owned();
    move |source| DeliverError::Io { action, path, source }
}

/// The write-ahead log of a DuckDB file.
pub(super) fn journal(path: &Path) -> PathBuf {
    with_suffix(path, ".wal")
}

/// A path with more at the end of its name.
pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
