//! The storage of a lake: the only module that opens, lists, moves or removes its files.
//!
//! Paths are those of object stores: relative to the lake's root, with `/` between names. Commit
//! files and checkpoints are written once, under their final name. Data files are written to staging
//! and then published. How staged files become visible is the publishing strategy of the storage: on
//! a local file system they are renamed, and folders are exchanged (`rename.rs`); in an object store
//! they are copied (`copy.rs`).

mod address;
mod cache;
mod copy;
mod lease;
mod local;
mod lock;
mod probe;
#[cfg(test)]
mod publish_tests;
mod remote;
mod rename;

use std::collections::{BTreeMap, BTreeSet};
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

use super::paths::{OWN, QUARANTINE, STAGING, TOMBSTONES};
use super::{CommitFile, DataFile, LakeError, Location};
use crate::config::{Settings, StoreUrl};
use crate::digest::{HashingWriter, sha256_of_file};
use lease::Lease;
use lock::Lock;
use remote::Remote;

pub use address::aws_credentials;
pub use cache::LocalCopy;
pub use lock::try_lock_in;

/// Access to the files of one lake.
#[derive(Clone, Debug)]
pub struct LakeStore(Storage);

#[derive(Clone, Debug)]
enum Storage {
    Local(Local),
    Remote(Arc<Remote>),
}

#[derive(Clone, Debug)]
struct Local {
    root: Arc<Path>,
    /// Opened by the first use: the folder may not exist before.
    objects: Arc<OnceLock<Arc<dyn ObjectStore>>>,
}

impl From<&Path> for LakeStore {
    fn from(root: &Path) -> Self {
        Self::local(root)
    }
}

impl From<&PathBuf> for LakeStore {
    fn from(root: &PathBuf) -> Self {
        Self::local(root)
    }
}

impl From<&Self> for LakeStore {
    fn from(store: &Self) -> Self {
        store.clone()
    }
}

/// Held while a process writes to a lake.
#[derive(Debug)]
pub(super) enum WriterLock {
    /// A lock of the operating system.
    Local(#[expect(dead_code, reason = "held until it is dropped")] Lock),
    /// A lease in the object store.
    Remote(Lease),
}

impl WriterLock {
    /// Whether the process that held it before ended without a word, so that it may still come back.
    pub(super) fn was_taken_over(&self) -> bool {
        match self {
            Self::Local(_) => false,
            Self::Remote(lease) => lease.was_taken_over,
        }
    }

    /// Notes the newest commit, for the process that lists commits next.
    pub(super) fn note_commit(&self, commit: u64) {
        if let Self::Remote(lease) = self {
            lease.note_commit(commit);
        }
    }

    /// Whether another process took it over.
    pub(super) fn is_lost(&self) -> bool {
        match self {
            Self::Local(_) => false,
            Self::Remote(lease) => lease.is_lost(),
        }
    }
}

impl Local {
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

    /// The current path of a data file: its place, or the tombstones after a merge.
    fn locate(&self, path: &str) -> Option<String> {
        if self.path(path).exists() {
            return Some(path.to_owned());
        }
        // During an exchange it is briefly in the staging folder of the merge.
        [TOMBSTONES, STAGING].iter().find_map(|folder| {
            let merges = local::names(&self.path(folder)).unwrap_or_default().into_iter();
            let mut kept = merges.map(|merge| format!("{folder}/{merge}/{path}"));
            kept.find(|kept| self.path(kept).exists())
        })
    }
}

impl LakeStore {
    /// The storage of the lake that is configured: a local folder, which does not have to exist, or
    /// an object store, which is not asked yet.
    ///
    /// # Errors
    /// [`LakeError::Address`] if the settings of the object store do not suffice.
    pub fn configured(settings: &Settings) -> Result<Self, LakeError> {
        let path = &settings.lake.path;
        let Some(url) = StoreUrl::of_path(path) else { return Ok(Self::local(path)) };
        Ok(Self(Storage::Remote(Arc::new(Remote::new(url, settings)?))))
    }

    /// The storage of the lake in a local folder, which does not have to exist.
    pub fn local(root: &Path) -> Self {
        Self(Storage::Local(Local { root: Arc::from(root), objects: Arc::default() }))
    }

    /// The local folder of the lake; `None` if it is in an object store.
    pub fn local_folder(&self) -> Option<&Path> {
        match &self.0 {
            Storage::Local(local) => Some(&local.root),
            Storage::Remote(_) => None,
        }
    }

    /// Whether there is a lake: something is in its own folder.
    ///
    /// # Errors
    /// [`LakeError::Request`] if an object store cannot be asked.
    pub fn is_lake(&self) -> Result<bool, LakeError> {
        match &self.0 {
            Storage::Local(local) => Ok(local.path(OWN).is_dir()),
            Storage::Remote(remote) => remote.has_folder(OWN).map_err(remote.failed("list", "")),
        }
    }

    /// The place of the lake.
    pub fn root(&self) -> Location {
        self.location("")
    }

    /// The place of a file or folder, for messages and for engines.
    pub fn location(&self, path: &str) -> Location {
        match &self.0 {
            Storage::Local(local) => local.path(path).into(),
            Storage::Remote(remote) => remote.location(path),
        }
    }

    /// The place where DuckDB reads a data file. In an object store it is that of a local copy, which
    /// [`LakeStore::fetch`] makes; a pattern, which is for a script, stays an address.
    pub fn readable(&self, path: &str) -> Location {
        match &self.0 {
            // During a merge it can be among the tombstones.
            Storage::Local(local) => match local.locate(path) {
                Some(path) => local.path(&path).into(),
                None => local.path(path).into(),
            },
            Storage::Remote(remote) if path.contains('*') => remote.location(path),
            Storage::Remote(remote) => remote.cache.path(path).into(),
        }
    }

    /// A local file with the content of a data file, from its place or from the tombstones; `None` if
    /// it is in neither. Reads the file, to compare it with the SHA-256 that its commit states. Blocks
    /// the thread.
    ///
    /// # Errors
    /// [`LakeError::Damaged`] if the SHA-256 is another one, or another error of reading.
    pub fn fetch(&self, part: &DataFile) -> Result<Option<LocalCopy>, LakeError> {
        match &self.0 {
            Storage::Local(local) => {
                let Some(path) = local.locate(&part.path) else { return Ok(None) };
                match self.sha256(&path)? {
                    Some(found) if found == part.sha256 => {
                        Ok(Some(LocalCopy::own(local.path(&path))))
                    }
                    Some(_) => {
                        let problem = "its SHA-256 is not what its commit states".to_owned();
                        Err(LakeError::Damaged { path: self.location(&path), problem })
                    }
                    // A merge is moving it.
                    None => Ok(None),
                }
            }
            Storage::Remote(remote) => {
                if let Some(copy) = remote.fetch(&part.path, &part.sha256)? {
                    return Ok(Some(copy));
                }
                for merge in self.list(TOMBSTONES)? {
                    let object = format!("{TOMBSTONES}/{merge}/{}", part.path);
                    if let Some(copy) = remote.fetch_as(&object, &part.path, &part.sha256)? {
                        return Ok(Some(copy));
                    }
                }
                Ok(None)
            }
        }
    }

    /// The content of a file; `None` if it does not exist.
    ///
    /// # Errors
    /// [`LakeError::Store`] or [`LakeError::Request`] if it cannot be read.
    pub async fn get(&self, path: &str) -> Result<Option<Bytes>, LakeError> {
        match &self.0 {
            Storage::Local(local) => {
                let bytes = match local.objects()?.get(&ObjectPath::from(path)).await {
                    Err(object_store::Error::NotFound { .. }) => return Ok(None),
                    found => found.map_err(LakeError::store("read", path))?.bytes().await,
                };
                bytes.map(Some).map_err(LakeError::store("read", path))
            }
            Storage::Remote(remote) => remote.get(path).await.map_err(remote.failed("read", path)),
        }
    }

    /// Writes a file, which is durable and whole when this returns. `action` is the verb phrase for
    /// the error.
    ///
    /// # Errors
    /// [`LakeError::Store`] or [`LakeError::Request`] if it cannot be written.
    pub async fn put(
        &self,
        path: &str,
        content: impl Into<PutPayload>,
        action: &'static str,
    ) -> Result<(), LakeError> {
        let content = content.into();
        match &self.0 {
            Storage::Local(local) => {
                let put = local.objects()?.put(&ObjectPath::from(path), content).await;
                put.map(drop).map_err(LakeError::store(action, path))
            }
            Storage::Remote(remote) => {
                remote.put(path, content).await.map(drop).map_err(remote.failed(action, path))
            }
        }
    }

    /// Writes a data file to staging. In an object store a local copy of it stays, for the delivery
    /// that follows.
    ///
    /// # Errors
    /// As [`LakeStore::put`].
    pub(super) async fn put_data_file(
        &self,
        staged: &str,
        path: &str,
        content: Vec<u8>,
    ) -> Result<(), LakeError> {
        let content = Bytes::from(content);
        self.put(staged, content.clone(), "write the data file").await?;
        if let Storage::Remote(remote) = &self.0 {
            remote.cache.put(path, &[content])?;
        }
        Ok(())
    }

    /// Writes a file if none of that name exists, in one step: of two writers, one succeeds.
    /// Returns whether the file was written. In an object store, a file of the same content counts as
    /// written by this call, as an answer can be lost.
    ///
    /// # Errors
    /// As [`LakeStore::put`].
    pub async fn put_if_absent(
        &self,
        path: &str,
        content: impl Into<PutPayload>,
        action: &'static str,
    ) -> Result<bool, LakeError> {
        let content = content.into();
        match &self.0 {
            Storage::Local(local) => {
                let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
                let location = ObjectPath::from(path);
                match local.objects()?.put_opts(&location, content, options).await {
                    Ok(_) => Ok(true),
                    Err(object_store::Error::AlreadyExists { .. }) => Ok(false),
                    Err(error) => Err(LakeError::store(action, path)(error)),
                }
            }
            Storage::Remote(remote) => {
                remote.create(path, content).await.map_err(remote.failed(action, path))
            }
        }
    }

    /// Whether a file that [`LakeStore::put_if_absent`] failed to write, and that is not there, cannot
    /// come later: a request to an object store can be carried out after its answer was lost.
    pub(super) fn failed_create_is_final(&self) -> bool {
        matches!(self.0, Storage::Local(_))
    }

    /// Whether a file or folder exists.
    ///
    /// # Errors
    /// [`LakeError::Request`] if an object store cannot be asked.
    pub fn contains(&self, path: &str) -> Result<bool, LakeError> {
        match &self.0 {
            Storage::Local(local) => Ok(local.path(path).exists()),
            Storage::Remote(remote) => {
                remote.contains(path).map_err(remote.failed("look at", path))
            }
        }
    }

    /// Of these files, those that do not exist. In an object store, few requests tell it of many
    /// files.
    ///
    /// # Errors
    /// [`LakeError::Request`] if an object store cannot be asked.
    pub async fn missing(&self, paths: BTreeSet<String>) -> Result<BTreeSet<String>, LakeError> {
        match &self.0 {
            Storage::Local(local) => {
                Ok(paths.into_iter().filter(|path| !local.path(path).exists()).collect())
            }
            Storage::Remote(remote) => {
                remote.missing(paths).await.map_err(remote.failed("look at the data files of", ""))
            }
        }
    }

    /// The files below a folder, sorted. Names that engines skip are left out, with what is below
    /// them.
    pub(super) fn files_below(&self, folder: &str) -> Result<Vec<String>, LakeError> {
        let is_seen = |name: &str| !name.starts_with(['.', '_']);
        let mut found = Vec::new();
        match &self.0 {
            Storage::Local(local) => {
                let mut folders = vec![folder.to_owned()];
                while let Some(folder) = folders.pop() {
                    for name in local::names(&local.path(&folder))? {
                        let path = format!("{folder}/{name}");
                        if !is_seen(&name) {
                        } else if local.path(&path).is_dir() {
                            folders.push(path);
                        } else {
                            found.push(path);
                        }
                    }
                }
                found.sort();
            }
            Storage::Remote(remote) => {
                let below = remote.objects_below(folder, None);
                let below = below.map_err(remote.failed("list", folder))?;
                let paths = below.into_iter().map(|object| object.location.to_string());
                found.extend(paths.filter(|path| {
                    let below = path.strip_prefix(folder).unwrap_or(path);
                    below.split('/').all(is_seen)
                }));
            }
        }
        Ok(found)
    }

    /// The length of a file in bytes; `None` if it does not exist.
    ///
    /// # Errors
    /// [`LakeError::Io`] or [`LakeError::Request`] if it cannot be looked at.
    pub fn length(&self, path: &str) -> Result<Option<u64>, LakeError> {
        match &self.0 {
            Storage::Local(local) => local::length(&local.path(path)),
            Storage::Remote(remote) => {
                let found = remote.head(path).map_err(remote.failed("look at", path))?;
                Ok(found.map(|object| object.size))
            }
        }
    }

    /// The lengths of the files below a folder in bytes, of those after `offset` in the order of
    /// their paths; `None` where files are looked at one by one at less cost.
    pub(super) fn lengths_below(
        &self,
        folder: &str,
        offset: &str,
    ) -> Result<Option<BTreeMap<String, u64>>, LakeError> {
        let Storage::Remote(remote) = &self.0 else { return Ok(None) };
        let below = remote.objects_below(folder, Some(offset));
        let below = below.map_err(remote.failed("list", folder))?;
        Ok(Some(below.into_iter().map(|it| (it.location.to_string(), it.size)).collect()))
    }

    /// Whether nothing is at the place of the lake.
    pub(super) fn is_empty(&self) -> Result<bool, LakeError> {
        match &self.0 {
            Storage::Local(local) => Ok(local::names(&local.root)?.is_empty()),
            Storage::Remote(remote) => remote.is_empty().map_err(remote.failed("list", "")),
        }
    }

    /// The names in a folder, sorted; empty if the folder does not exist.
    ///
    /// # Errors
    /// [`LakeError::Io`] or [`LakeError::Request`] if it cannot be listed.
    pub fn list(&self, folder: &str) -> Result<Vec<String>, LakeError> {
        match &self.0 {
            Storage::Local(local) => local::names(&local.path(folder)),
            Storage::Remote(remote) => remote.names(folder).map_err(remote.failed("list", folder)),
        }
    }

    /// The names in a folder of files that come after one, sorted.
    pub(super) fn list_after(&self, folder: &str, name: &str) -> Result<Vec<String>, LakeError> {
        match &self.0 {
            Storage::Local(local) => {
                let mut names = local::names(&local.path(folder))?;
                names.retain(|listed| listed.as_str() > name);
                Ok(names)
            }
            Storage::Remote(remote) => {
                let after = remote.objects_below(folder, Some(&format!("{folder}/{name}")));
                let after = after.map_err(remote.failed("list", folder))?;
                let name = |object: &object_store::ObjectMeta| {
                    object.location.filename().map(str::to_owned)
                };
                Ok(after.iter().filter_map(name).collect())
            }
        }
    }

    /// A commit that the lake has, and after which few come; 0 if none is known: from there, commits
    /// are listed. A local folder is listed as a whole.
    pub(super) async fn known_commit(&self) -> Result<u64, LakeError> {
        match &self.0 {
            Storage::Local(_) => Ok(0),
            Storage::Remote(remote) => lease::newest_commit(remote).await,
        }
    }

    /// The SHA-256 of a file in lower-case hexadecimal, read piece by piece; `None` if it does not
    /// exist. Blocks the thread.
    ///
    /// # Errors
    /// [`LakeError::Io`] or [`LakeError::Request`] if it cannot be read.
    pub fn sha256(&self, path: &str) -> Result<Option<String>, LakeError> {
        match &self.0 {
            Storage::Local(local) => {
                let path = local.path(path);
                match sha256_of_file(&path) {
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
                    read => read.map(Some).map_err(LakeError::io("read", path)),
                }
            }
            Storage::Remote(remote) => remote.sha256(path).map_err(remote.failed("read", path)),
        }
    }

    /// Opens a file for reading by ranges; in an object store, a local copy of it, which must have
    /// the SHA-256 if one is stated. Blocks the thread.
    ///
    /// # Errors
    /// [`LakeError::Io`] or [`LakeError::Request`] if it cannot be opened; [`LakeError::Damaged`] if
    /// it is missing in an object store, or has another SHA-256 there.
    pub fn open(&self, path: &str, sha256: Option<&str>) -> Result<StoredFile, LakeError> {
        let (place, copy) = match &self.0 {
            Storage::Local(local) => (local.path(path), None),
            Storage::Remote(remote) => {
                let copy = match sha256 {
                    Some(sha256) => remote.fetch(path, sha256)?,
                    None => remote.fetch_unstated(path)?,
                };
                let copy = copy.ok_or_else(|| LakeError::Damaged {
                    path: self.location(path),
                    problem: "it is missing".to_owned(),
                })?;
                (copy.path().to_owned(), Some(copy))
            }
        };
        let file = File::open(&place).map_err(LakeError::io("read", place))?;
        Ok(StoredFile { file, _copy: copy })
    }

    /// Creates a file that is written piece by piece, with its folder. Blocks the thread.
    pub(super) fn create(&self, path: &str) -> Result<StagedFile, LakeError> {
        let (place, upload) = match &self.0 {
            Storage::Local(local) => (local.path(path), None),
            Storage::Remote(remote) => {
                (remote.cache.temporary(), Some((Arc::clone(remote), path.to_owned())))
            }
        };
        if let Some(folder) = place.parent() {
            local::make_folder(folder)?;
        }
        let file = File::create(&place).map_err(LakeError::io("write the data file", &place))?;
        Ok(StagedFile { writer: HashingWriter::new(file), path: place, upload })
    }

    /// Makes the names of a file and of its folders durable, up to the folder `top`.
    pub(super) fn sync_folders(&self, path: &str, top: &str) -> Result<(), LakeError> {
        let Storage::Local(local) = &self.0 else { return Ok(()) };
        let (path, top) = (local.path(path), local.path(top));
        let mut folders = path.ancestors().skip(1).take_while(|folder| folder.starts_with(&top));
        folders.try_for_each(local::sync_folder)
    }

    /// Creates a folder and its parents, if they do not exist. Object stores have none.
    pub(super) fn make_folder(&self, folder: &str) -> Result<(), LakeError> {
        match &self.0 {
            Storage::Local(local) => local::make_folder(&local.path(folder)),
            Storage::Remote(_) => Ok(()),
        }
    }

    /// Moves a file, and replaces the target.
    pub(super) fn rename(&self, from: &str, to: &str) -> Result<(), LakeError> {
        match &self.0 {
            Storage::Local(local) => local::move_file(&local.path(from), &local.path(to)),
            Storage::Remote(remote) => {
                let pairs = vec![(from.to_owned(), to.to_owned())];
                let copied = remote.copy_all(pairs).map_err(remote.failed("copy", from))?;
                if copied == [false] {
                    let problem = "it is missing".to_owned();
                    return Err(LakeError::Damaged { path: self.location(from), problem });
                }
                self.delete(from)
            }
        }
    }

    /// The name of a staging folder while data files are added to it, from the name that its commit
    /// states. In an object store it is the same: only the folders of numbers that are taken are
    /// ever removed there.
    pub(super) fn open_staging(&self, folder: &str) -> String {
        match &self.0 {
            Storage::Local(_) => format!("{folder}{OPEN}"),
            Storage::Remote(_) => folder.to_owned(),
        }
    }

    /// Seals a staging folder: a writer that bypasses the lock no longer removes it when it opens the
    /// lake.
    pub(super) fn seal_staging(&self, folder: &str) -> Result<(), LakeError> {
        let Storage::Local(local) = &self.0 else { return Ok(()) };
        let sealed = format!("{STAGING}/{folder}");
        let open = format!("{sealed}{OPEN}");
        if local::rename_folder(&local.path(&open), &local.path(&sealed))? {
            self.sync_folders(&sealed, STAGING)?;
        }
        Ok(())
    }

    /// Removes a staging folder that belongs to no commit. An open one is renamed first: a writer
    /// that still adds to it can then no longer seal what is left.
    pub(super) fn discard_staging(&self, folder: &str) -> Result<(), LakeError> {
        let staged = format!("{STAGING}/{folder}");
        let discarded = format!("{STAGING}/{}.discarded", folder.trim_end_matches(OPEN));
        if let Storage::Local(local) = &self.0
            && folder.ends_with(OPEN)
        {
            local::rename_folder(&local.path(&staged), &local.path(&discarded))?;
        }
        crate::crash::point("discarding");
        self.delete_folder(&staged)?;
        self.delete_folder(&discarded)
    }

    /// Removes a file, if it exists.
    ///
    /// # Errors
    /// [`LakeError::Io`] or [`LakeError::Request`] if it cannot be removed.
    pub fn delete(&self, path: &str) -> Result<(), LakeError> {
        match &self.0 {
            Storage::Local(local) => local::remove_file(&local.path(path)),
            Storage::Remote(remote) => {
                remote.delete(vec![address::key(path)]).map_err(remote.failed("remove", path))
            }
        }
    }

    /// Removes a folder and its content, if it exists.
    pub(super) fn delete_folder(&self, folder: &str) -> Result<(), LakeError> {
        match &self.0 {
            Storage::Local(local) => local::remove_folder(&local.path(folder)),
            Storage::Remote(remote) => remote.delete_folder(folder),
        }
    }

    /// Takes the lock of the lake's one writer, or fails with a description of its holder.
    pub(super) async fn lock(&self) -> Result<WriterLock, LakeError> {
        match &self.0 {
            Storage::Local(local) => {
                Lock::take(&local.path(LOCK), &local.root).map(WriterLock::Local)
            }
            Storage::Remote(remote) => Lease::take(remote).await.map(WriterLock::Remote),
        }
    }

    /// Whether a process holds the lock.
    pub(super) fn is_locked(&self) -> Result<bool, LakeError> {
        match &self.0 {
            Storage::Local(local) => Ok(lock::is_held(&local.path(LOCK))),
            Storage::Remote(remote) => lease::is_held(remote),
        }
    }

    /// Whether a data file is in its place, or among the tombstones after a merge. A reader that
    /// read the commit log before a merge finds it there.
    ///
    /// # Errors
    /// [`LakeError::Request`] if an object store cannot be asked.
    pub fn is_kept(&self, path: &str) -> Result<bool, LakeError> {
        match &self.0 {
            Storage::Local(local) => Ok(local.locate(path).is_some()),
            Storage::Remote(_) => {
                if self.length(path)?.is_some() {
                    return Ok(true);
                }
                for merge in self.list(TOMBSTONES)? {
                    if self.length(&format!("{TOMBSTONES}/{merge}/{path}"))?.is_some() {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
        }
    }

    /// Publishes the data files of a durable commit; those that are in place already stay. `runs`
    /// comes last, so that a reader who sees a run finds its rows in the other tables. It is
    /// idempotent: after a crash, the next opening of the lake calls this again. Blocks the thread.
    pub(super) fn publish(&self, commit: &CommitFile) -> Result<(), LakeError> {
        match &self.0 {
            Storage::Local(local) => local.publish(commit),
            Storage::Remote(remote) => remote.publish(commit),
        }
    }

    /// Removes sealed staging folders whose commit number is taken: no commit can be made of them.
    /// Folders that are not sealed may belong to a writer that bypassed the lock; its own commit
    /// fails and reports that.
    pub(super) fn remove_overtaken(&self, commit: &CommitFile) -> Result<(), LakeError> {
        for folder in self.list(STAGING)? {
            let is_sealed = !folder.contains('.');
            let number = super::paths::commit_of(&folder);
            if is_sealed && number.is_some_and(|number| number <= commit.commit) {
                self.delete_folder(&format!("{STAGING}/{folder}"))?;
            }
        }
        Ok(())
    }

    /// Repeats the removals of a commit without data files, which has no staging folder that would
    /// show after a crash that they are due.
    pub(super) fn remove_superseded(&self, commit: &CommitFile) -> Result<(), LakeError> {
        match &self.0 {
            Storage::Local(local) => local.remove_superseded(commit),
            Storage::Remote(remote) if commit.all_parts().next().is_none() => {
                remote.publish(commit)
            }
            Storage::Remote(_) => Ok(()),
        }
    }

    /// The superseded data files that stay in their folders until the grace time is over: in an object
    /// store that is read by tables.
    pub(super) fn staying(&self) -> Result<BTreeSet<String>, LakeError> {
        let mut staying = BTreeSet::new();
        if let Storage::Remote(remote) = &self.0 {
            for commit_folder in self.list(TOMBSTONES)? {
                staying.extend(remote.staying(&commit_folder)?);
            }
        }
        Ok(staying)
    }

    /// Removes the data files for good that a commit superseded.
    pub(super) fn remove_tombstones(&self, commit_folder: &str) -> Result<(), LakeError> {
        match &self.0 {
            Storage::Local(_) => self.delete_folder(&format!("{TOMBSTONES}/{commit_folder}")),
            Storage::Remote(remote) => remote.remove_tombstones(commit_folder),
        }
    }

    /// A data file of a commit that is not fully published yet; `None` if all are.
    ///
    /// # Errors
    /// [`LakeError::Request`] if an object store cannot be asked.
    pub fn unpublished<'c>(
        &self,
        commit: &'c CommitFile,
    ) -> Result<Option<&'c DataFile>, LakeError> {
        match &self.0 {
            Storage::Local(local) => Ok(local.unpublished(commit)),
            Storage::Remote(remote) => remote.unpublished(commit),
        }
    }

    /// Refuses an object store that does not keep the conditions of writes: two writers could then
    /// make the same commit. Local file systems are not asked.
    ///
    /// # Errors
    /// [`LakeError::Conditions`] for such a store; [`LakeError::Request`] if it cannot be written.
    pub async fn check_conditions(&self) -> Result<(), LakeError> {
        match &self.0 {
            Storage::Local(_) => Ok(()),
            Storage::Remote(remote) => probe::check_conditions(remote).await,
        }
    }

    /// The path of the quarantine for a file, or the first numbered variant of it that is unused.
    pub(super) fn unused_quarantine(&self, path: &str) -> Result<String, LakeError> {
        let path = format!("{QUARANTINE}/{path}");
        let stem = path.rsplit_once('.').map_or(path.as_str(), |(stem, _)| stem);
        let numbered = (1_u32..).map(|number| format!("{stem}.{number}.parquet"));
        for path in std::iter::once(path.clone()).chain(numbered) {
            if !self.contains(&path)? {
                return Ok(path);
            }
        }
        Ok(path)
    }
}

/// Suffix of a staging folder while data files are added to it, on a local file system. A writer that
/// opens the lake removes a folder with this suffix; a folder without it stays until the commit's
/// number is taken.
const OPEN: &str = ".open";

const LOCK: &str = "_armature/lock";

/// A file that is open for reading by ranges, such as a Parquet file.
#[derive(Debug)]
pub struct StoredFile {
    file: File,
    /// Keeps the local copy.
    _copy: Option<LocalCopy>,
}

impl Length for StoredFile {
    fn len(&self) -> u64 {
        self.file.len()
    }
}

impl ChunkReader for StoredFile {
    type T = <File as ChunkReader>::T;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        self.file.get_read(start)
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        self.file.get_bytes(start, length)
    }
}

/// A staged file that is being written; its SHA-256 is computed on the way.
#[derive(Debug)]
pub struct StagedFile {
    writer: HashingWriter<File>,
    path: PathBuf,
    /// Where the file goes when it is complete: an object store, and the path there.
    upload: Option<(Arc<Remote>, String)>,
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
    /// Syncs the file to disk (fsync), or uploads it. Returns its length in bytes and its SHA-256 in
    /// hexadecimal.
    pub(super) fn finish(self) -> Result<(u64, String), LakeError> {
        let (mut file, bytes, sha256) = self.writer.finish();
        let Some((remote, path)) = self.upload else {
            let synced = file.flush().and_then(|()| file.sync_all());
            synced.map_err(LakeError::io("write the data file", self.path))?;
            return Ok((bytes, sha256));
        };
        file.flush().map_err(LakeError::io("write the data file", &self.path))?;
        let uploaded = remote.upload(self.path.clone(), &path);
        local::remove_file(&self.path)?;
        uploaded.map_err(remote.failed("write the data file", &path))?;
        Ok((bytes, sha256))
    }
}
