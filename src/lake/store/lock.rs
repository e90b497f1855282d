//! The file lock (`flock`) of the one writer of a lake on a local disk. In an object store, a lease
//! takes its place.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::local;
use crate::lake::LakeError;

/// Held while a process writes to the lake. It is a lock of the operating system, not the existence
/// of a file, so it is released however the process ends, and never goes stale. The file itself
/// stays: if it were removed, two processes could lock two different files of that name.
#[derive(Debug)]
pub(in crate::lake) struct Lock {
    _file: File,
}

/// Whether a process holds the lock. A lock file that cannot be opened counts as not held.
pub(super) fn is_held(path: &Path) -> bool {
    let held = File::open(path).map(|file| file.try_lock_shared());
    matches!(held, Ok(Err(TryLockError::WouldBlock)))
}

impl Lock {
    /// Takes the lock, or fails with a description of its holder.
    pub(super) fn take(path: &Path, lake: &Path) -> Result<Self, LakeError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(path).map_err(LakeError::io("open the lock", path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let read = file.read_to_string(&mut holder);
                let known = read.is_ok() && !holder.trim().is_empty();
                let holder = if known { format!(" ({})", holder.trim()) } else { String::new() };
                return Err(LakeError::Locked { path: lake.into(), holder });
            }
            Err(TryLockError::Error(source)) => {
                return Err(LakeError::CannotLock { path: path.into(), source });
            }
        }
        let note = format!("process {}\n", std::process::id());
        let written = file
            .set_len(0)
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .and_then(|_| file.write_all(note.as_bytes()));
        written.map_err(LakeError::io("write the lock", path))?;
        Ok(Self { _file: file })
    }
}

/// Tries to lock a temporary file in a folder, and removes it.
///
/// # Errors
/// [`LakeError::CannotLock`], or [`LakeError::Io`] if no file can be created there.
pub fn try_lock_in(folder: &Path) -> Result<(), LakeError> {
    let path = folder.join(format!(".armature-export-{}", std::process::id()));
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let file = options.open(&path).map_err(LakeError::io("write to", folder))?;
    let locked = file.try_lock();
    drop(file);
    local::remove_file(&path)?;
    match locked {
        Err(TryLockError::Error(source)) => {
            Err(LakeError::CannotLock { path: folder.into(), source })
        }
        // `WouldBlock` cannot happen: the name holds the id of this process.
        Ok(()) | Err(TryLockError::WouldBlock) => Ok(()),
    }
}
