//! The storage of a lake: the only module that opens, lists, moves or removes its files.
//!
//! Paths are those of object stores: relative to the lake's root, with `/` between names. Commit
//! files and checkpoints are written once, under their final name. Data files are written to staging
//! and then published. How staged files become visible depends on the storage:
//! on a local file system they are renamed, and folders are exchanged (see `publish.rs`).

mod local;
mod lock;
mod publish;

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

use super::paths::{OWN, STAGING, TOMBSTONES};
use super::{LakeError, Location};
use crate::digest::{HashingWriter, sha256_of_file};

pub(super) use lock::Lock;
pub use lock::try_lock_in;

/// Access to the files of one lake.
#[derive(Clone, Debug)]
pub struct LakeStore {
    root: Arc<Path>,
    /// Opened by the first use: the folder may not exist before.
    objects: Arc<OnceLock<Arc<dyn ObjectStore>>>,
}

impl LakeStore {
    /// The storage of the lake in a local folder, which does not have to exist.
    pub fn local(root: &Path) -> Self {
        Self { root: Arc::from(root), objects: Arc::default() }
    }

    /// Whether there is a lake: its own folder exists.
    pub fn is_lake(&self) -> bool {
        self.path(OWN).is_dir()
    }

    /// The place of the lake.
    pub fn root(&self) -> Location {
        Location::from(&*self.root)
    }

    /// The place of a file or folder, which engines can open if [`LakeStore::contains`] it.
    pub fn location(&self, path: &str) -> Location {
        self.path(path).into()
    }

    fn path(&self, path: &str) -> PathBuf {
        if path.is_empty() { self.root.to_path_buf() } else { self.root.join(path) }
    }

    fn objects(&self) -> Result<&Arc<dyn ObjectStore>, LakeError> {
        if let Some(objects) = self.objects.get() {
            return Ok(objects);
        }
        let local = LocalFileSystem::new_with_prefix(&self.root)
            .map_err(LakeError::store("open", self.root.display().to_string()))?
            .with_fsync(true);
        Ok(self.objects.get_or_init(|| Arc::new(local)))
    }

    /// The content of a file; `None` if it does not exist.
    ///
    /// # Errors
    /// [`LakeError::Store`] if it cannot be read.
    pub async fn get(&self, path: &str) -> Result<Option<Bytes>, LakeError> {
        let bytes = match self.objects()?.get(&ObjectPath::from(path)).await {
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            found => found.map_err(LakeError::store("read", path))?.bytes().await,
        };
        bytes.map(Some).map_err(LakeError::store("read", path))
    }

    /// Writes a file, which is durable and whole when this returns. `action` is the verb phrase for
    /// the error.
    ///
    /// # Errors
    /// [`LakeError::Store`] if it cannot be written.
    pub async fn put(
        &self,
        path: &str,
        content: impl Into<PutPayload>,
        action: &'static str,
    ) -> Result<(), LakeError> {
        let put = self.objects()?.put(&ObjectPath::from(path), content.into()).await;
        put.map(|_| ()).map_err(LakeError::store(action, path))
    }

    /// Writes a file if none of that name exists, in one step: of two writers, one succeeds.
    /// Returns whether the file was written.
    ///
    /// # Errors
    /// As [`LakeStore::put`].
    pub async fn put_if_absent(
        &self,
        path: &str,
        content: impl Into<PutPayload>,
        action: &'static str,
    ) -> Result<bool, LakeError> {
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        let location = ObjectPath::from(path);
        match self.objects()?.put_opts(&location, content.into(), options).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::AlreadyExists { .. }) => Ok(false),
            Err(error) => Err(LakeError::store(action, path)(error)),
        }
    }

    /// Whether a file or folder exists.
    pub fn contains(&self, path: &str) -> bool {
        self.path(path).exists()
    }

    /// Whether a path is a folder.
    pub(super) fn is_folder(&self, path: &str) -> bool {
        self.path(path).is_dir()
    }

    /// The length of a file in bytes; `None` if it does not exist.
    ///
    /// # Errors
    /// [`LakeError::Io`] if it cannot be looked at.
    pub fn length(&self, path: &str) -> Result<Option<u64>, LakeError> {
        local::length(&self.path(path))
    }

    /// The names in a folder, sorted; empty if the folder does not exist.
    ///
    /// # Errors
    /// [`LakeError::Io`] if it cannot be listed.
    pub(super) fn list(&self, folder: &str) -> Result<Vec<String>, LakeError> {
        local::names(&self.path(folder))
    }

    /// The SHA-256 of a file in lower-case hexadecimal, read piece by piece; `None` if it does not
    /// exist. Blocks the thread.
    ///
    /// # Errors
    /// [`LakeError::Io`] if it cannot be read.
    pub fn sha256(&self, path: &str) -> Result<Option<String>, LakeError> {
        let path = self.path(path);
        match sha256_of_file(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            read => read.map(Some).map_err(LakeError::io("read", path)),
        }
    }

    /// Opens a file for reading by ranges. Blocks the thread.
    ///
    /// # Errors
    /// [`LakeError::Io`] if it cannot be opened.
    pub fn open(&self, path: &str) -> Result<StoredFile, LakeError> {
        let path = self.path(path);
        File::open(&path).map(StoredFile).map_err(LakeError::io("read", path))
    }

    /// Creates a file that is written piece by piece, with its folder. Blocks the thread.
    pub(super) fn create(&self, path: &str) -> Result<StagedFile, LakeError> {
        let path = self.path(path);
        if let Some(folder) = path.parent() {
            local::make_folder(folder)?;
        }
        let file = File::create(&path).map_err(LakeError::io("write the data file", &path))?;
        Ok(StagedFile { writer: HashingWriter::new(file), path })
    }

    /// Makes the names of a file and of its folders durable, up to the folder `top`.
    pub(super) fn sync_folders(&self, path: &str, top: &str) -> Result<(), LakeError> {
        let (path, top) = (self.path(path), self.path(top));
        let mut folders = path.ancestors().skip(1).take_while(|folder| folder.starts_with(&top));
        folders.try_for_each(local::sync_folder)
    }

    /// Creates a folder and its parents, if they do not exist.
    pub(super) fn make_folder(&self, folder: &str) -> Result<(), LakeError> {
        local::make_folder(&self.path(folder))
    }

    /// Moves a file, and replaces the target.
    pub(super) fn rename(&self, from: &str, to: &str) -> Result<(), LakeError> {
        local::move_file(&self.path(from), &self.path(to))
    }

    /// Renames a folder. Returns whether it existed.
    pub(super) fn rename_folder(&self, from: &str, to: &str) -> Result<bool, LakeError> {
        local::rename_folder(&self.path(from), &self.path(to))
    }

    /// Removes a file, if it exists.
    pub(super) fn delete(&self, path: &str) -> Result<(), LakeError> {
        local::remove_file(&self.path(path))
    }

    /// Removes a folder and its content, if it exists.
    pub(super) fn delete_folder(&self, folder: &str) -> Result<(), LakeError> {
        local::remove_folder(&self.path(folder))
    }

    /// Takes the lock of the lake's one writer, or fails with a description of its holder.
    pub(super) fn lock(&self) -> Result<Lock, LakeError> {
        Lock::take(&self.path(LOCK), &self.root)
    }

    /// Whether a process holds the lock.
    pub(super) fn is_locked(&self) -> bool {
        lock::is_held(&self.path(LOCK))
    }

    /// The current path of a data file: its place, or the tombstones after a merge. A reader that
    /// read the commit log before a merge finds the data file there.
    pub fn locate(&self, path: &str) -> String {
        if self.contains(path) {
            return path.to_owned();
        }
        // During an exchange it is briefly in the staging folder of the merge.
        let folders = [TOMBSTONES, STAGING];
        let kept = folders.iter().find_map(|folder| {
            let merges = self.list(folder).unwrap_or_default().into_iter();
            merges.map(|merge| format!("{folder}/{merge}/{path}")).find(|kept| self.contains(kept))
        });
        kept.unwrap_or_else(|| path.to_owned())
    }
}

const LOCK: &str = "_armature/lock";

/// A file that is open for reading by ranges, such as a Parquet file.
#[derive(Debug)]
pub struct StoredFile(File);

impl Length for StoredFile {
    fn len(&self) -> u64 {
        self.0.len()
    }
}

impl ChunkReader for StoredFile {
    type T = <File as ChunkReader>::T;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        self.0.get_read(start)
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        self.0.get_bytes(start, length)
    }
}

/// A staged file that is being written; its SHA-256 is computed on the way.
#[derive(Debug)]
pub struct StagedFile {
    writer: HashingWriter<File>,
    path: PathBuf,
}

impl Write for StagedFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.writer.flush()
    }
}

impl StagedFile {
    /// Syncs the file to disk. Returns its length in bytes and its SHA-256 in hexadecimal.
    pub(super) fn finish(self) -> Result<(u64, String), LakeError> {
        let (mut file, bytes, sha256) = self.writer.finish();
        let synced = file.flush().and_then(|()| file.sync_all());
        synced.map_err(LakeError::io("write the data file", self.path))?;
        Ok((bytes, sha256))
    }
}
