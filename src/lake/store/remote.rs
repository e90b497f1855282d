//! A lake in an object store.
//!
//! Requests run on threads of their own, so that blocking callers (a merge, a delivery) and the
//! heartbeat of the lease never wait for each other.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path as ObjectPath;
use object_store::prefix::PrefixStore;
use object_store::{
    Error, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions,
    PutPayload, PutResult, UpdateVersion,
};
use sha2::Digest as _;
use tokio::runtime::{Builder, Runtime};

use super::address::{connect, key};
use super::cache::{Cache, LocalCopy};
use crate::config::{ReadBy, Settings, StoreUrl};
use crate::digest::hexadecimal;
use crate::lake::{LakeError, Location};

/// A lake in an object store: its client, and the local copies of its data files.
#[derive(Debug)]
pub(super) struct Remote {
    pub(super) url: StoreUrl,
    pub(super) objects: Arc<dyn ObjectStore>,
    pub(super) cache: Cache,
    pub(super) read_by: ReadBy,
    /// How long a lease is valid that was not renewed.
    pub(super) lease: Duration,
}

/// Requests at once, where many objects are copied or looked at.
pub(super) const AT_ONCE: usize = 16;

/// From so many objects in one folder on, the folder is listed: one request then tells of a
/// thousand.
const LISTED: usize = 2 * AT_ONCE;

/// Times that a create with an unknown outcome is tried, the first included.
const CREATE_ATTEMPTS: u32 = 5;

/// Files longer than this are uploaded in parts of this size.
const PART_BYTES: usize = 16 * 1024 * 1024;

impl Remote {
    pub(super) fn new(url: StoreUrl, settings: &Settings) -> Result<Self, LakeError> {
        let client = connect(&url, &settings.store)?;
        let lease = Duration::from_secs(settings.store.lease_secs);
        let objects = Arc::new(PrefixStore::new(client, url.prefix()));
        let folder = settings.lake.cache_folder();
        let cache = Cache::new(folder, &url.to_string(), settings.lake.cache_bytes);
        Ok(Self { url, objects, cache, read_by: settings.lake.read_by, lease })
    }

    /// Where a path of the lake is, for messages.
    pub(super) fn location(&self, path: &str) -> Location {
        let url = &self.url;
        if path.is_empty() { url.to_string().into() } else { format!("{url}/{path}").into() }
    }

    /// For `map_err` on requests.
    pub(super) fn failed(
        &self,
        action: &'static str,
        path: &str,
    ) -> impl FnOnce(Error) -> LakeError {
        let path = self.location(path);
        move |error| LakeError::request(action, path, &error)
    }

    pub(super) async fn get(&self, path: &str) -> Result<Option<Bytes>, Error> {
        let (objects, key) = (Arc::clone(&self.objects), key(path));
        let got = run(async move { objects.get(&key).await?.bytes().await });
        none_if_not_found(got.await)
    }

    pub(super) async fn put(&self, path: &str, content: PutPayload) -> Result<PutResult, Error> {
        let (objects, key) = (Arc::clone(&self.objects), key(path));
        run(async move { objects.put(&key, content).await }).await
    }

    /// Creates an object, and resolves an outcome that is not known. The store says of a second
    /// request for the same create that the object exists, also if it was the first request that
    /// created it and whose answer was lost: so the object is read. `false` if it is another's.
    ///
    /// If no attempt comes to a known outcome, the error of the last one is returned, and the object
    /// may still appear later: nothing that it names may be removed.
    pub(super) async fn create(&self, path: &str, content: PutPayload) -> Result<bool, Error> {
        let (objects, key) = (Arc::clone(&self.objects), key(path));
        run(async move {
            let mut attempt = 1;
            loop {
                let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
                let Err(error) = objects.put_opts(&key, content.clone(), options).await else {
                    return Ok(true);
                };
                if is_refused(&error) {
                    return Err(error);
                }
                match none_if_not_found(objects.get(&key).await) {
                    Ok(Some(found)) => return Ok(is_equal(&found.bytes().await?, &content)),
                    Ok(None) if attempt < CREATE_ATTEMPTS => {}
                    Ok(None) | Err(_) => return Err(error),
                }
                tokio::time::sleep(Duration::from_millis(200 << attempt)).await;
                attempt += 1;
            }
        })
        .await
    }

    /// Replaces an object, if it is still the version that was read. `None` if it is not, or if an
    /// earlier attempt of this call replaced it and its answer was lost: the caller reads the object.
    pub(super) async fn update(
        &self,
        path: &str,
        content: PutPayload,
        version: UpdateVersion,
    ) -> Result<Option<UpdateVersion>, Error> {
        let (objects, key) = (Arc::clone(&self.objects), key(path));
        let put = async move {
            let options = PutOptions { mode: PutMode::Update(version), ..PutOptions::default() };
            objects.put_opts(&key, content, options).await
        };
        match run(put).await {
            Ok(written) => Ok(Some(written.into())),
            // A store that has another request for the object at the moment says that it exists.
            Err(
                Error::Precondition { .. } | Error::NotFound { .. } | Error::AlreadyExists { .. },
            ) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The objects whose paths begin with a folder, in order; those after `offset` if it is given.
    pub(super) fn objects_below(
        &self,
        folder: &str,
        offset: Option<&str>,
    ) -> Result<Vec<ObjectMeta>, Error> {
        wait(self.listing(folder, offset))
    }

    /// The same, without blocking the thread.
    async fn list(&self, folder: &str, offset: Option<&str>) -> Result<Vec<ObjectMeta>, Error> {
        run(self.listing(folder, offset)).await
    }

    /// The requests of a listing.
    fn listing(
        &self,
        folder: &str,
        offset: Option<&str>,
    ) -> impl Future<Output = Result<Vec<ObjectMeta>, Error>> + Send + use<> {
        // The client does not repeat a list whose answer was cut off.
        const ATTEMPTS: u32 = 3;
        let (objects, folder) =
            (Arc::clone(&self.objects), (!folder.is_empty()).then(|| key(folder)));
        let offset = offset.map(key);
        async move {
            let mut attempt = 1;
            loop {
                let listed = match &offset {
                    Some(offset) => objects.list_with_offset(folder.as_ref(), offset),
                    None => objects.list(folder.as_ref()),
                };
                match listed.try_collect::<Vec<_>>().await {
                    Err(Error::Generic { .. }) if attempt < ATTEMPTS => attempt += 1,
                    Err(error) => return Err(error),
                    Ok(mut found) => {
                        // Not every store keeps to the offset.
                        found.retain(|object| {
                            offset.as_ref().is_none_or(|it| object.location > *it)
                        });
                        found.sort_by(|one, other| one.location.cmp(&other.location));
                        return Ok(found);
                    }
                }
            }
        }
    }

    /// Of these objects, those that do not exist. Many in one top folder are looked for in its
    /// listing, from the first of them on; the others are looked at one by one, several at once.
    pub(super) async fn missing(&self, paths: BTreeSet<String>) -> Result<BTreeSet<String>, Error> {
        let mut folders: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for path in paths {
            let folder = path.split('/').next().unwrap_or_default().to_owned();
            folders.entry(folder).or_default().insert(path);
        }
        let (mut missing, mut few) = (BTreeSet::new(), Vec::new());
        for (folder, mut paths) in folders {
            let first = paths.first().filter(|_| paths.len() >= LISTED).cloned();
            let Some(mut before) = first else {
                few.extend(paths);
                continue;
            };
            // A listing begins after its offset.
            before.pop();
            for object in self.list(&folder, Some(&before)).await? {
                paths.remove(object.location.as_ref());
            }
            missing.extend(paths);
        }
        let objects = Arc::clone(&self.objects);
        let looked: Vec<Option<String>> = run(async move {
            let look = |path: String| {
                let objects = Arc::clone(&objects);
                async move {
                    let found = none_if_not_found(objects.head(&key(&path)).await)?;
                    Ok::<_, Error>(found.is_none().then_some(path))
                }
            };
            futures::stream::iter(few).map(look).buffer_unordered(AT_ONCE).try_collect().await
        })
        .await?;
        missing.extend(looked.into_iter().flatten());
        Ok(missing)
    }

    /// The names in a folder: of objects, and of folders that objects are in. From the objects
    /// themselves, because some stores go on to list folders that are empty.
    pub(super) fn names(&self, folder: &str) -> Result<Vec<String>, Error> {
        let below = self.objects_below(folder, None)?;
        let start = if folder.is_empty() { 0 } else { folder.len() + 1 };
        let name = |object: &ObjectMeta| {
            let rest = object.location.as_ref().get(start..)?;
            Some(rest.split('/').next().unwrap_or(rest).to_owned())
        };
        let mut names: Vec<String> = below.iter().filter_map(name).collect();
        names.dedup();
        Ok(names)
    }

    /// Whether there is any object.
    pub(super) fn is_empty(&self) -> Result<bool, Error> {
        let objects = Arc::clone(&self.objects);
        wait(async move { Ok(objects.list(None).try_next().await?.is_none()) })
    }

    /// Whether there is an object of this path, or one below it.
    pub(super) fn contains(&self, path: &str) -> Result<bool, Error> {
        Ok(self.head(path)?.is_some() || self.has_folder(path)?)
    }

    /// Whether there is an object below a path.
    pub(super) fn has_folder(&self, path: &str) -> Result<bool, Error> {
        let (objects, folder) = (Arc::clone(&self.objects), key(path));
        wait(async move { Ok(objects.list(Some(&folder)).try_next().await?.is_some()) })
    }

    pub(super) fn head(&self, path: &str) -> Result<Option<ObjectMeta>, Error> {
        let (objects, key) = (Arc::clone(&self.objects), key(path));
        none_if_not_found(wait(async move { objects.head(&key).await }))
    }

    /// Removes objects, many with one request where the store can.
    pub(super) fn delete(&self, paths: Vec<ObjectPath>) -> Result<(), Error> {
        if paths.is_empty() {
            return Ok(());
        }
        let objects = Arc::clone(&self.objects);
        wait(async move {
            let paths = futures::stream::iter(paths.into_iter().map(Ok)).boxed();
            let mut deleted = objects.delete_stream(paths);
            while let Some(deleted) = deleted.next().await {
                none_if_not_found(deleted)?;
            }
            Ok(())
        })
    }

    /// Copies objects, several at once; those that do not exist are left out. A copy can be repeated.
    /// Returns which were copied.
    pub(super) fn copy_all(&self, pairs: Vec<(String, String)>) -> Result<Vec<bool>, Error> {
        let objects = Arc::clone(&self.objects);
        wait(async move {
            let copy = |(from, to): (String, String)| {
                let objects = Arc::clone(&objects);
                async move { copy(&*objects, &key(&from), &key(&to)).await }
            };
            futures::stream::iter(pairs).map(copy).buffered(AT_ONCE).try_collect().await
        })
    }

    /// The SHA-256 of an object, read piece by piece.
    pub(super) fn sha256(&self, path: &str) -> Result<Option<String>, Error> {
        let (objects, key) = (Arc::clone(&self.objects), key(path));
        none_if_not_found(wait(async move {
            let mut pieces = objects.get(&key).await?.into_stream();
            let mut hasher = sha2::Sha256::new();
            while let Some(piece) = pieces.try_next().await? {
                hasher.update(&piece);
            }
            Ok(hexadecimal(&hasher.finalize()))
        }))
    }

    /// A local copy of an object: the one that is there if its SHA-256 is the stated one, otherwise
    /// a new one. `Ok(None)` if the object does not exist.
    pub(super) fn fetch(&self, path: &str, sha256: &str) -> Result<Option<LocalCopy>, LakeError> {
        match self.cache.get(path, sha256)? {
            Some(copy) => Ok(Some(copy)),
            None => self.fetch_as(path, path, sha256),
        }
    }

    /// A new local copy of an object, in the place of the copy of `path`. `Ok(None)` if the object
    /// does not exist.
    pub(super) fn fetch_as(
        &self,
        object: &str,
        path: &str,
        sha256: &str,
    ) -> Result<Option<LocalCopy>, LakeError> {
        let Some(content) = self.content(object)? else { return Ok(None) };
        let mut hasher = sha2::Sha256::new();
        for piece in &content {
            hasher.update(piece);
        }
        if hexadecimal(&hasher.finalize()) != sha256 {
            let problem = "its SHA-256 is not what its commit states".to_owned();
            return Err(LakeError::Damaged { path: self.location(object), problem });
        }
        self.cache.put(path, &content).map(Some)
    }

    /// A local copy of an object whose content no commit states.
    pub(super) fn fetch_unstated(&self, path: &str) -> Result<Option<LocalCopy>, LakeError> {
        let Some(content) = self.content(path)? else { return Ok(None) };
        self.cache.put(path, &content).map(Some)
    }

    fn content(&self, path: &str) -> Result<Option<Vec<Bytes>>, LakeError> {
        let (objects, key) = (Arc::clone(&self.objects), key(path));
        let got = wait(async move {
            objects.get(&key).await?.into_stream().try_collect::<Vec<Bytes>>().await
        });
        none_if_not_found(got).map_err(self.failed("read", path))
    }

    /// Uploads a local file.
    pub(super) fn upload(&self, file: PathBuf, path: &str) -> Result<(), Error> {
        let (objects, key) = (Arc::clone(&self.objects), key(path));
        wait(async move { upload(&*objects, &file, &key).await })
    }
}

/// Runs requests to their end on the threads for requests, and waits for it.
pub(super) async fn run<T: Send + 'static>(
    requests: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    let running = runtime()?.spawn(requests);
    running.await.map_err(|source| Error::JoinError { source })?
}

/// As [`run`]; blocks the thread.
pub(super) fn wait<T: Send + 'static>(
    requests: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    let (send, receive) = std::sync::mpsc::sync_channel(1);
    runtime()?.spawn(async move {
        // Sending fails only if the waiting thread is gone.
        let _gone = send.send(requests.await);
    });
    receive.recv().map_err(|source| Error::Generic { store: "", source: Box::new(source) })?
}

async fn upload(objects: &dyn ObjectStore, file: &PathBuf, key: &ObjectPath) -> Result<(), Error> {
    use tokio::io::AsyncReadExt;

    let unreadable = |source| Error::Generic { store: "the local file", source: Box::new(source) };
    let mut file = tokio::fs::File::open(file).await.map_err(unreadable)?;
    let length = file.metadata().await.map_err(unreadable)?.len();
    let mut next = async || {
        let mut part = Vec::with_capacity(PART_BYTES);
        let most = u64::try_from(PART_BYTES).unwrap_or(u64::MAX);
        let read = (&mut file).take(most).read_to_end(&mut part).await;
        read.map(|_| PutPayload::from(part)).map_err(unreadable)
    };
    if usize::try_from(length).is_ok_and(|length| length <= PART_BYTES) {
        return objects.put(key, next().await?).await.map(drop);
    }
    let mut upload = objects.put_multipart(key).await?;
    let sent = async {
        loop {
            let part = next().await?;
            if part.content_length() == 0 {
                break;
            }
            upload.put_part(part).await?;
        }
        upload.complete().await
    };
    match sent.await {
        Ok(_) => Ok(()),
        Err(error) => {
            // The first error is the one to tell; parts that stay are not seen by readers.
            let _aborted = upload.abort().await;
            Err(error)
        }
    }
}

/// Copies one object in the store, and by way of this machine where the store refuses to: a bucket's
/// policy can forbid it. Returns whether it exists.
async fn copy(
    objects: &dyn ObjectStore,
    from: &ObjectPath,
    to: &ObjectPath,
) -> Result<bool, Error> {
    match objects.copy(from, to).await {
        Ok(()) => {}
        Err(Error::NotFound { .. }) => return Ok(false),
        Err(
            Error::PermissionDenied { .. }
            | Error::NotSupported { .. }
            | Error::NotImplemented { .. },
        ) => {
            let Some(content) = none_if_not_found(objects.get(from).await)? else {
                return Ok(false);
            };
            objects.put(to, content.bytes().await?.into()).await?;
        }
        Err(error) => return Err(error),
    }
    Ok(true)
}

/// Whether an error says for sure that nothing was written.
fn is_refused(error: &Error) -> bool {
    matches!(
        error,
        Error::PermissionDenied { .. }
            | Error::Unauthenticated { .. }
            | Error::NotFound { .. }
            | Error::InvalidPath { .. }
            | Error::NotSupported { .. }
            | Error::NotImplemented { .. }
            | Error::UnknownConfigurationKey { .. }
    )
}

fn is_equal(found: &Bytes, content: &PutPayload) -> bool {
    found.len() == content.content_length() && content.iter().flatten().eq(found.iter())
}

pub(super) fn none_if_not_found<T>(result: Result<T, Error>) -> Result<Option<T>, Error> {
    match result {
        Err(Error::NotFound { .. }) => Ok(None),
        found => found.map(Some),
    }
}

/// The threads for requests.
fn runtime() -> Result<&'static Runtime, Error> {
    static RUNTIME: OnceLock<std::io::Result<Runtime>> = OnceLock::new();
    let made = RUNTIME.get_or_init(|| {
        let mut threads = Builder::new_multi_thread();
        threads.worker_threads(2).thread_name("object-store").enable_all().build()
    });
    made.as_ref().map_err(|error| Error::Generic {
        store: "the threads for requests",
        source: error.to_string().into(),
    })
}

/// Blocks the thread for a while, between two looks at something that another process changes.
#[expect(clippy::disallowed_methods, reason = "for callers that block their thread anyway")]
pub(super) fn wait_before_next_look(time: Duration) {
    std::thread::sleep(time);
}

/// Starts a task on the threads for requests.
pub(super) fn spawn(task: impl Future<Output = ()> + Send + 'static) -> Result<(), Error> {
    runtime()?.spawn(task);
    Ok(())
}
