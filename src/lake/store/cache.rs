//! Local copies of data files of a lake in an object store, for engines that read files.
//!
//! A copy has the path of its data file, in a folder of its lake, and is used only if its SHA-256 is
//! the one that the commit states. The copies of all lakes together stay within a number of bytes,
//! but for those in use: the ones that were used the longest time ago go first.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use uuid::Uuid;

use super::local;
use crate::digest::{sha256_hex, sha256_of_file};
use crate::lake::LakeError;

/// Copies that another process may be using are left alone for this long after their last use.
const FOREIGN_USE: Duration = Duration::from_hours(1);

/// The local copies of one lake.
#[derive(Debug)]
pub(super) struct Cache {
    /// The folder of all lakes.
    root: PathBuf,
    /// The folder of this lake.
    folder: PathBuf,
    /// Most bytes of all copies.
    most: u64,
    /// Copies that this process made or used, with what keeps them.
    used: Mutex<HashMap<PathBuf, Arc<()>>>,
}

/// A local file with the content of a data file. It stays at least until this is dropped.
#[derive(Clone, Debug)]
pub struct LocalCopy {
    path: PathBuf,
    _in_use: Option<Arc<()>>,
}

impl LocalCopy {
    /// The lake's own file, which needs no copy.
    pub(super) fn own(path: PathBuf) -> Self {
        Self { path, _in_use: None }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Cache {
    /// The copies of the lake of an address, in a folder that holds at most so many bytes.
    pub(super) fn new(root: PathBuf, address: &str, most: u64) -> Self {
        let digest = sha256_hex(address.as_bytes());
        let folder = root.join(digest.get(..16).unwrap_or(&digest));
        Self { root, folder, most, used: Mutex::default() }
    }

    /// The place of the copy of a data file, whether it is there or not.
    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.folder.join(path)
    }

    /// The copy of a data file, if there is one with this SHA-256. Reads it, as a copy on a disk can
    /// be damaged; a damaged one is removed. Blocks the thread.
    pub(super) fn get(&self, path: &str, sha256: &str) -> Result<Option<LocalCopy>, LakeError> {
        let place = self.path(path);
        // Before it is read, so that it stays.
        let copy = self.use_of(&place);
        match sha256_of_file(&place) {
            Ok(found) if found == sha256 => {
                // Only for the order in which copies go.
                let _order = touch(&place);
                Ok(Some(copy))
            }
            Ok(_) => local::remove_file(&place).map(|()| None),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(LakeError::io("read the local copy", place)(error)),
        }
    }

    /// Makes the copy of a data file. Blocks the thread.
    pub(super) fn put(&self, path: &str, content: &[Bytes]) -> Result<LocalCopy, LakeError> {
        let place = self.path(path);
        let copy = self.use_of(&place);
        let bytes = content.iter().map(Bytes::len).sum::<usize>();
        self.make_room(u64::try_from(bytes).unwrap_or(u64::MAX))?;
        let unnamed = self.temporary();
        let write = || {
            let folders = [place.parent(), unnamed.parent()];
            folders.into_iter().flatten().try_for_each(fs::create_dir_all)?;
            let mut file = File::create(&unnamed)?;
            content.iter().try_for_each(|piece| file.write_all(piece))
        };
        write().map_err(LakeError::io("write the local copy", &place))?;
        local::move_file(&unnamed, &place)?;
        Ok(copy)
    }

    /// A new path for a file that is not a copy yet.
    pub(super) fn temporary(&self) -> PathBuf {
        self.folder.join("unfinished").join(Uuid::new_v4().simple().to_string())
    }

    fn use_of(&self, place: &Path) -> LocalCopy {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let in_use = Arc::clone(used.entry(place.to_owned()).or_default());
        LocalCopy { path: place.to_owned(), _in_use: Some(in_use) }
    }

    /// Removes the copies that were used the longest time ago, until so many bytes more fit.
    fn make_room(&self, bytes: u64) -> Result<(), LakeError> {
        let mut copies = Vec::new();
        copies_below(&self.root, &mut copies)
            .map_err(LakeError::io("list the local copies in", &self.root))?;
        let mut total: u64 = copies.iter().map(|copy| copy.bytes).sum();
        if total.saturating_add(bytes) <= self.most {
            return Ok(());
        }
        copies.sort_by_key(|copy| copy.used_at);
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        for copy in copies {
            if total.saturating_add(bytes) <= self.most {
                break;
            }
            let may_go = match used.get(&copy.path) {
                Some(in_use) => Arc::strong_count(in_use) == 1,
                None => copy.used_at.elapsed().is_ok_and(|age| age > FOREIGN_USE),
            };
            if may_go {
                local::remove_file(&copy.path)?;
                used.remove(&copy.path);
                total = total.saturating_sub(copy.bytes);
            }
        }
        Ok(())
    }
}

/// Notes in a file's time that it was used now.
#[expect(clippy::disallowed_methods, reason = "the clock that the file system's times come from")]
fn touch(place: &Path) -> std::io::Result<()> {
    File::options().append(true).open(place)?.set_modified(SystemTime::now())
}

/// A file in the folder of the copies.
struct Copy {
    path: PathBuf,
    bytes: u64,
    used_at: SystemTime,
}

fn copies_below(folder: &Path, found: &mut Vec<Copy>) -> std::io::Result<()> {
    let gone = |error: &std::io::Error| error.kind() == std::io::ErrorKind::NotFound;
    let entries = match fs::read_dir(folder) {
        Err(error) if gone(&error) => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        // Another process may have removed it since.
        let metadata = match entry.metadata() {
            Err(error) if gone(&error) => continue,
            metadata => metadata?,
        };
        if metadata.is_dir() {
            copies_below(&entry.path(), found)?;
        } else {
            let used_at = metadata.modified()?;
            found.push(Copy { path: entry.path(), bytes: metadata.len(), used_at });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(folder: &Path, most: u64) -> Cache {
        Cache::new(folder.to_owned(), "s3://bucket/lake", most)
    }

    fn put(cache: &Cache, path: &str, content: &str) -> LocalCopy {
        cache.put(path, &[Bytes::from(content.to_owned())]).unwrap()
    }

    #[test]
    fn a_copy_is_used_only_with_the_stated_content() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(folder.path(), 100);
        let copy = put(&cache, "runs/a.parquet", "rows");
        let digest = sha256_hex(b"rows");
        assert_eq!(fs::read_to_string(copy.path()).unwrap(), "rows");
        assert!(cache.get("runs/a.parquet", &digest).unwrap().is_some());
        fs::write(copy.path(), "rowz").unwrap();
        assert!(cache.get("runs/a.parquet", &digest).unwrap().is_none());
        assert!(!copy.path().exists(), "a damaged copy goes");
    }

    #[test]
    fn the_oldest_copies_go_and_those_in_use_stay() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(folder.path(), 10);
        let held = put(&cache, "runs/held.parquet", "12345");
        let old = put(&cache, "runs/old.parquet", "1234").path().to_owned();
        let new = put(&cache, "runs/new.parquet", "1234").path().to_owned();
        assert!(held.path().exists() && new.exists() && !old.exists());
        drop(held);
        put(&cache, "runs/large.parquet", "12345678");
        assert!(!new.exists());
        assert!(!cache.path("runs/held.parquet").exists());
    }

    #[test]
    fn copies_of_another_process_stay_for_an_hour() {
        let folder = tempfile::tempdir().unwrap();
        let other = cache(folder.path(), 10);
        let fresh = put(&other, "runs/fresh.parquet", "123456").path().to_owned();
        let stale = put(&other, "runs/stale.parquet", "1").path().to_owned();
        let long_ago = SystemTime::UNIX_EPOCH;
        File::options().append(true).open(&stale).unwrap().set_modified(long_ago).unwrap();
        put(&cache(folder.path(), 10), "runs/b.parquet", "12345");
        assert!(fresh.exists() && !stale.exists());
    }
}
