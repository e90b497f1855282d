//! The published copy of the DuckDB file: a second file, which readers open.
//!
//! DuckDB locks an open file, so a reader of the delivered file delays deliveries, and a delivery
//! keeps readers out. A reader of the copy does neither. The copy is written under a temporary name
//! and put in place by renaming: a process that has the old one open keeps reading it, and sees the
//! new one when it opens the path again.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::files::{create_folder_of, folder_of, io, journal, open_existing, remove, with_suffix};
use super::options::DeliveryOptions;
use super::rebuild::{Content, FileId, Replaceable, content};
use crate::crash;
use crate::event::Event;
use crate::lake::LakeView;
use crate::query::{QueryError, TablePlan, connect_to_read, link_target};
use crate::tables::Mapping;
use crate::targets::{DeliverError, PublishProblem, PublishedCopy};
use crate::time::Timestamp;

/// Refuses a path of the copy that names the DuckDB file, also through links. To be called before
/// the delivery, so that a wrong configuration is reported before any work is done.
///
/// # Errors
/// [`DeliverError::NotPublished`].
pub(super) fn check_path(options: &DeliveryOptions) -> Result<(), DeliverError> {
    let Some(path) = &options.publish else { return Ok(()) };
    let (file, copy) = (options.file(), link_target(path));
    // A path that cannot be looked at is not that of an existing file; why is reported by the
    // delivery or the publication, which needs it.
    let id = |path: &Path| FileId::of(path).ok().flatten().map(|(id, _)| id);
    if file == copy || id(&file).is_some_and(|file| id(&copy) == Some(file)) {
        let problem = PublishProblem::Itself;
        return Err(DeliverError::NotPublished { path: path.clone(), problem });
    }
    Ok(())
}

/// Replaces the copy if `is_changed`, or if it does not have the content of the DuckDB file.
/// Returns its path, as configured; `None` if no copy is configured or a stop was requested.
///
/// # Errors
/// [`DeliverError::NotPublished`]; the old copy is then kept, and the next delivery tries again.
pub(super) async fn publish(
    lake: &LakeView,
    mapping: &Mapping,
    options: &DeliveryOptions,
    is_changed: bool,
) -> Result<Option<String>, DeliverError> {
    let Some(path) = options.publish.clone().filter(|_| !options.is_stopped()) else {
        return Ok(None);
    };
    let publisher = Publisher {
        lake: lake.clone(),
        plan: TablePlan::new(mapping),
        file: options.file(),
        copy: link_target(&path),
    };
    let task = tokio::task::spawn_blocking(move || publisher.publish(is_changed));
    let published = task.await.map_err(|error| DeliverError::Stopped(error.to_string()))?;
    let kept = published.map_err(|problem| {
        let path = path.clone();
        DeliverError::NotPublished { path, problem }
    })?;
    if let Some(kept) = kept {
        let notice = format!("the damaged copy is kept as `{}`", kept.display());
        options.events.emit(Event::Notice(notice));
    }
    Ok(Some(path.display().to_string()))
}

/// The state of the copy; `None` if none is configured. Opens no database, so it works whatever
/// process holds the files.
///
/// # Errors
/// [`DeliverError::Io`] if the DuckDB file or the copy cannot be read.
pub(super) fn published(options: &DeliveryOptions) -> Result<Option<PublishedCopy>, DeliverError> {
    let Some(path) = &options.publish else { return Ok(None) };
    let (file, copy) = (options.file(), link_target(path));
    let path = path.display().to_string();
    let Some((_, metadata)) = FileId::of(&copy).map_err(io("look at", &copy))? else {
        return Ok(Some(PublishedCopy { path, is_current: false, written: None }));
    };
    let written = metadata.modified().map_err(io("look at", &copy))?;
    let written = Some(Timestamp::from(DateTime::<Utc>::from(written)));
    let is_current = state_at(&file)? == state_at(&copy)?;
    Ok(Some(PublishedCopy { path, is_current, written }))
}

/// The state of the database at a path; `None` if there is no file.
fn state_at(path: &Path) -> Result<Option<(u64, Vec<u8>)>, DeliverError> {
    open_existing(path)?.map(|file| state(&file, path)).transpose()
}

/// What changes with every checkpoint of a database: its length and its headers, which count the
/// checkpoints. The file must be at its beginning.
fn state(file: &File, path: &Path) -> Result<(u64, Vec<u8>), DeliverError> {
    let length = file.metadata().map_err(io("look at", path))?.len();
    let mut headers = Vec::new();
    file.take(HEADERS).read_to_end(&mut headers).map_err(io("read", path))?;
    Ok((length, headers))
}

fn modified(file: &File, path: &Path) -> Result<SystemTime, DeliverError> {
    file.metadata().and_then(|metadata| metadata.modified()).map_err(io("look at", path))
}

/// Gives a copy the modification time of its file. Where that cannot be set, the next publication
/// compares the bytes.
fn set_modified(copy: &File, time: SystemTime) {
    let _compared_instead = copy.set_modified(time);
}

/// Bytes of the three headers at the beginning of a DuckDB file.
const HEADERS: u64 = 3 * 4096;

/// The input of one publication.
#[derive(Debug)]
struct Publisher {
    lake: LakeView,
    plan: TablePlan,
    /// The DuckDB file, after all links.
    file: PathBuf,
    /// The copy, after all links.
    copy: PathBuf,
}

impl Publisher {
    /// Replaces the copy. Returns the new path of a damaged copy, which is kept.
    fn publish(&self, is_changed: bool) -> Result<Option<PathBuf>, PublishProblem> {
        let published = self.try_publish(is_changed);
        published.map_err(|error| match error {
            DeliverError::NotReplaced { what, .. } => PublishProblem::Foreign(what),
            DeliverError::NotPublished { problem, .. } => problem,
            other => PublishProblem::Failed(Box::new(other)),
        })
    }

    fn try_publish(&self, is_changed: bool) -> Result<Option<PathBuf>, DeliverError> {
        create_folder_of(&self.copy)?;
        self.remove_leftovers()?;
        // DuckDB's shared lock keeps writers out until the copy is in place: otherwise the copy
        // could mix two states, or replace a newer copy by another process.
        let failed = |error: duckdb::Error| QueryError::duckdb("read", &self.file, &error);
        let connection = connect_to_read(&self.file).map_err(failed)?;
        if journal(&self.file).exists() {
            let (path, problem) = (self.copy.clone(), PublishProblem::WriteAheadLog);
            return Err(DeliverError::NotPublished { path, problem });
        }
        // The only handle of the file besides DuckDB's own, and closed last: closing any handle
        // releases the locks that this process has on the file.
        let mut source = File::open(&self.file).map_err(io("open", &self.file))?;
        if !is_changed && self.is_copied(&mut source)? {
            return Ok(None);
        }
        // What a user added to the DuckDB file is in its copies too.
        let known = content(&connection).map_err(failed)?;
        let old = self.replaceable(&known)?;
        let new = TemporaryFile::create(&self.copy)?;
        new.copy_from(&mut source, &self.file)?;
        crash::point("before_copy_is_in_place");
        let kept = new.replace(old)?;
        crash::point("after_copy_is_in_place");
        drop(connection);
        Ok(kept)
    }

    /// Whether the copy has the content of the file.
    ///
    /// A copy gets the modification time of the file. If both still have it, neither was
    /// written since: then their lengths and headers are compared, which change with every checkpoint.
    /// The headers alone would not tell a file from one that was rebuilt. Otherwise all bytes are
    /// compared: a copy of an earlier version has a time of its own, and a file system can lack
    /// such exact times.
    fn is_copied(&self, source: &mut File) -> Result<bool, DeliverError> {
        let Some(copy) = open_existing(&self.copy)? else { return Ok(false) };
        if journal(&self.copy).exists() {
            return Ok(false);
        }
        let source_time = modified(source, &self.file)?;
        if source_time == modified(&copy, &self.copy)? {
            return Ok(state(source, &self.file)? == state(&copy, &self.copy)?);
        }
        let is_same = is_same(source, &copy).map_err(io("read", &self.copy))?;
        if is_same {
            set_modified(&copy, source_time);
        }
        Ok(is_same)
    }

    /// Checks that the file at the path of the copy is one.
    fn replaceable(&self, known: &[Content]) -> Result<Replaceable, DeliverError> {
        let check = |path: &Path| Replaceable::check_beside(path, &self.lake, &self.plan, known);
        let seen = FileId::of(&self.copy).map_err(io("look at", &self.copy))?.map(|(id, _)| id);
        match check(&self.copy) {
            // A reader that opened it for writing, as is the default of many tools, must not delay
            // the next copy. DuckDB cannot open the file, but a copy of it.
            Err(DeliverError::Query(QueryError::Locked { .. })) => {
                let examined = TemporaryFile::create(&self.copy)?;
                let checked = examined.copy_database(&self.copy).and_then(|()| {
                    let path = &examined.path;
                    check(path).map_err(|error| self.named_as_copy(error)).map(drop)
                });
                examined.remove()?;
                checked.map(|()| Replaceable::held(&self.copy, seen))
            }
            checked => checked,
        }
    }

    /// An error about the copy in place of one about a file that was made to examine it.
    fn named_as_copy(&self, error: DeliverError) -> DeliverError {
        match error {
            DeliverError::NotReplaced { what, .. } => {
                DeliverError::NotReplaced { path: self.copy.clone(), what }
            }
            other => other,
        }
    }

    /// Removes the temporary files of publications that were interrupted.
    fn remove_leftovers(&self) -> Result<(), DeliverError> {
        let folder = folder_of(&self.copy);
        for entry in std::fs::read_dir(folder).map_err(io("list", folder))? {
            let path = entry.map_err(io("list", folder))?.path();
            if !TemporaryFile::is_one(&path, &self.copy) || is_in_use(&path)? {
                continue;
            }
            remove(&journal(&path))?;
            remove(&path)?;
        }
        Ok(())
    }
}

/// Whether another process is writing a temporary file.
fn is_in_use(path: &Path) -> Result<bool, DeliverError> {
    let Some(file) = open_existing(path)? else { return Ok(false) };
    match file.try_lock() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        // A file system without locks, such as some network shares: a file that grows is in use.
        Err(TryLockError::Error(_)) => {
            let modified = file.metadata().and_then(|metadata| metadata.modified());
            let age = modified.map_err(io("look at", path))?.elapsed();
            Ok(age.is_ok_and(|age| age < ABANDONED_AFTER))
        }
    }
}

/// How long a temporary file is left alone that cannot be locked.
const ABANDONED_AFTER: Duration = Duration::from_hours(1);

/// A file beside the copy, locked while this exists.
#[derive(Debug)]
struct TemporaryFile {
    path: PathBuf,
    file: File,
}

impl TemporaryFile {
    const SUFFIX: &str = ".publishing";

    fn create(copy: &Path) -> Result<Self, DeliverError> {
        let path = with_suffix(copy, &format!(".{}{}", Uuid::new_v4().simple(), Self::SUFFIX));
        let file = OpenOptions::new().write(true).create_new(true).open(&path);
        let file = file.map_err(io("create", &path))?;
        match file.try_lock() {
            // Where files cannot be locked, their age is what counts.
            Ok(()) | Err(TryLockError::Error(_)) => Ok(Self { path, file }),
            Err(TryLockError::WouldBlock) => {
                Err(io("lock", &path)(std::io::Error::from(ErrorKind::WouldBlock)))
            }
        }
    }

    /// Whether a path is that of a temporary file of a copy.
    fn is_one(path: &Path, copy: &Path) -> bool {
        let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
        let (Some(name), Some(copy)) = (name(path), name(copy)) else { return false };
        let id = name.strip_prefix(&copy).and_then(|rest| rest.strip_prefix('.'));
        let id = id.and_then(|rest| rest.strip_suffix(Self::SUFFIX));
        id.is_some_and(|id| id.len() == 32 && id.chars().all(|c| c.is_ascii_hexdigit()))
    }

    /// Copies the DuckDB file, with its permissions, and makes the copy durable. If this fails, the
    /// temporary file is removed.
    fn copy_from(&self, source: &mut File, path: &Path) -> Result<(), DeliverError> {
        let copied = self.try_copy_from(source, path);
        if copied.is_err() {
            self.remove_after_failure();
        }
        copied
    }

    fn try_copy_from(&self, source: &mut File, path: &Path) -> Result<(), DeliverError> {
        source.rewind().map_err(io("read", path))?;
        // By the operating system's own copy where it has one, which shares blocks on file systems
        // that can do that.
        std::io::copy(source, &mut &self.file).map_err(io("copy to", &self.path))?;
        let permissions = source.metadata().map_err(io("look at", path))?.permissions();
        let set = self.file.set_permissions(permissions);
        set.map_err(io("set the permissions of", &self.path))?;
        set_modified(&self.file, modified(source, path)?);
        self.file.sync_all().map_err(io("sync", &self.path))
    }

    /// Copies a database that another process holds, with its write-ahead log.
    fn copy_database(&self, path: &Path) -> Result<(), DeliverError> {
        let mut source = File::open(path).map_err(io("open", path))?;
        std::io::copy(&mut source, &mut &self.file).map_err(io("copy to", &self.path))?;
        let log = journal(path);
        match std::fs::copy(&log, journal(&self.path)) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            copied => copied.map(drop).map_err(io("copy", &log)),
        }
    }

    /// Replaces the old copy with this file.
    fn replace(self, old: Replaceable) -> Result<Option<PathBuf>, DeliverError> {
        let replaced = old.replace_with(&self.path);
        if replaced.is_err() {
            self.remove_after_failure();
        }
        replaced
    }

    fn remove(&self) -> Result<(), DeliverError> {
        remove(&journal(&self.path))?;
        remove(&self.path)
    }

    /// Removes the file after an error, which counts: what cannot be removed now is removed by the
    /// next publication.
    fn remove_after_failure(&self) {
        let _left = self.remove();
    }
}

/// Whether two files have the same content.
fn is_same(a: &mut File, b: &File) -> std::io::Result<bool> {
    const CHUNK: u64 = 1 << 20;
    if a.metadata()?.len() != b.metadata()?.len() {
        return Ok(false);
    }
    let mut b = b;
    let (mut of_a, mut of_b) = (Vec::new(), Vec::new());
    loop {
        of_a.clear();
        of_b.clear();
        a.by_ref().take(CHUNK).read_to_end(&mut of_a)?;
        b.by_ref().take(CHUNK).read_to_end(&mut of_b)?;
        if of_a != of_b || of_a.is_empty() {
            return Ok(of_a == of_b);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Filters;
    use crate::lake::Identity;

    #[tokio::test]
    async fn only_abandoned_temporary_files_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("lake");
        std::fs::create_dir_all(root.join("_armature")).unwrap();
        let identity = serde_json::to_vec(&Identity::new(None, Filters::default())).unwrap();
        std::fs::write(root.join("_armature/format.json"), identity).unwrap();
        let publisher = Publisher {
            lake: LakeView::open(&root).await.unwrap(),
            plan: TablePlan::new(&Mapping::new(&[], &[]).unwrap()),
            file: folder.path().join("a.duckdb"),
            copy: folder.path().join("copy.duckdb"),
        };
        let in_use = TemporaryFile::create(&publisher.copy).unwrap();
        let abandoned = TemporaryFile::create(&publisher.copy).unwrap().path;
        std::fs::write(journal(&abandoned), "log").unwrap();
        let similar = folder.path().join("copy.duckdb.0.publishing");
        std::fs::write(&similar, "somebody's").unwrap();
        publisher.remove_leftovers().unwrap();
        assert!(in_use.path.exists() && similar.exists());
        assert!(!abandoned.exists() && !journal(&abandoned).exists());
        drop(in_use.file);
        publisher.remove_leftovers().unwrap();
        assert!(!in_use.path.exists());
    }

    #[test]
    fn files_are_compared_to_their_end() {
        let file = |text: &str| {
            let mut file = tempfile::tempfile().unwrap();
            std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
            file.rewind().unwrap();
            file
        };
        let long = "a".repeat((1 << 20) + 1);
        let other = format!("{}b", "a".repeat(1 << 20));
        for (a, b, expected) in [
            ("", "", true),
            ("a", "a", true),
            ("a", "b", false),
            ("a", "aa", false),
            (&long, &long, true),
            (&long, &other, false),
        ] {
            assert_eq!(is_same(&mut file(a), &file(b)).unwrap(), expected);
        }
    }
}
