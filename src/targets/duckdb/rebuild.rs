//! Rebuilding the DuckDB file. The old file is checked first: it must belong to this lake alone. A new
//! file is then written beside it and replaces it.
//!
//! The file at the path can be anything: the path comes from the configuration, and a wrong one may
//! name a database that others need. A file is therefore replaced only if its content shows that it
//! was delivered from this lake and holds nothing else. A file that cannot be opened shows nothing:
//! it may be held by another process, have been written by another version, or be
//! encrypted. Only a damaged file is
//! searched for this lake's id, and even then it is kept under another name.

use std::fs::{File, Metadata};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use duckdb::Connection;

use super::deliver::deliver;
use super::files::{folder_of, io, journal, remove, with_suffix};
use super::options::DeliveryOptions;
use crate::crash;
use crate::event::Event;
use crate::lake::LakeView;
use crate::query::{Fault, QueryError, TablePlan, connect_to_read, metric_view_names};
use crate::tables::{DOCUMENTS, Mapping};
use crate::targets::{DeliverError, Delivery};

/// Rebuilds the DuckDB file from the lake, beside the old one, and then replaces the old one by
/// renaming: programs that have the old file open keep reading it. Of a symbolic link, the target
/// is replaced.
///
/// # Errors
/// [`DeliverError`]; the old file is then kept.
pub async fn rebuild(
    lake: &LakeView,
    mapping: &Mapping,
    options: &DeliveryOptions,
) -> Result<Delivery, DeliverError> {
    let (file, plan) = (options.file(), TablePlan::new(mapping));
    let old = Replaceable::check(&file, lake, &plan)?;
    let beside = with_suffix(&file, ".rebuilding");
    // An earlier rebuild that was killed may have left this file. The name alone does not show
    // that, so the content is checked too.
    Replaceable::check(&beside, lake, &plan)?.remove()?;
    let aside = DeliveryOptions { path: beside.clone(), ..options.clone() };
    let delivery = deliver(lake, mapping, &aside).await?;
    crash::point("before_rebuilt_is_in_place");
    if let Some(kept) = old.replace_with(&beside)? {
        let notice = format!("the damaged DuckDB file is kept as `{}`", kept.display());
        options.events.emit(Event::Notice(notice));
    }
    crash::point("after_rebuilt_is_in_place");
    Ok(Delivery { path: options.path.display().to_string(), ..delivery })
}

/// A path whose file may be replaced. While this value exists, no other process can write the file:
/// it holds the lock that DuckDB's writers need.
#[derive(Debug)]
pub(super) struct Replaceable {
    path: PathBuf,
    /// The file at the path when it was checked; `None` if there was none.
    seen: Option<FileId>,
    /// Whether the file is damaged: then it may hold more than can be seen.
    is_damaged: bool,
    lock: Option<Lock>,
}

/// Keeps DuckDB's writers out.
#[derive(Debug)]
enum Lock {
    /// A read-only connection.
    Connection(#[expect(dead_code, reason = "held, not used")] Connection),
    /// A file with the lock that such a connection would have; for a damaged file, which DuckDB
    /// cannot open.
    File(#[expect(dead_code, reason = "held, not used")] File),
}

impl Replaceable {
    /// Checks whether the file at a path may be replaced.
    ///
    /// # Errors
    /// [`DeliverError::NotReplaced`] if it may belong to something else, [`QueryError::Locked`]
    /// if another process writes it, otherwise the reason why it cannot be checked.
    fn check(path: &Path, lake: &LakeView, plan: &TablePlan) -> Result<Self, DeliverError> {
        Self::check_beside(path, lake, plan, &[])
    }

    /// Checks whether the file at a path may be replaced; besides what this program made, it may
    /// hold the content `known`.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub(super) fn check_beside(
        path: &Path,
        lake: &LakeView,
        plan: &TablePlan,
        known: &[Content],
    ) -> Result<Self, DeliverError> {
        let refuse = |what: String| Err(DeliverError::NotReplaced { path: path.to_owned(), what });
        let found =
            |seen, lock, is_damaged| Ok(Self { path: path.to_owned(), seen, is_damaged, lock });
        let Some((seen, metadata)) = FileId::of(path).map_err(io("look at", path))? else {
            return found(None, None, false);
        };
        if !metadata.is_file() {
            return refuse("is not a file".to_owned());
        }
        if metadata.len() == 0 && !journal(path).exists() {
            return found(Some(seen), None, false);
        }
        let opened = connect_to_read(path).and_then(|connection| {
            Ok((foreign_content(&connection, lake, plan, known)?, connection))
        });
        let error = match opened {
            Ok((None, connection)) => {
                return found(Some(seen), Some(Lock::Connection(connection)), false);
            }
            Ok((Some(what), _)) => return refuse(what),
            Err(error) => error,
        };
        match Fault::of(&error) {
            Fault::NotADatabase | Fault::Corrupt => match lock_if_ours(path, lake)? {
                Some(file) => found(Some(seen), Some(Lock::File(file)), true),
                None => refuse(NOT_KNOWN.to_owned()),
            },
            Fault::Held { .. } | Fault::NotWritable | Fault::CannotLock | Fault::OutOfMemory => {
                Err(QueryError::duckdb("read", path, &error).into())
            }
            Fault::FileMissing | Fault::Other => {
                let error = error.to_string();
                refuse(format!("cannot be read ({})", error.lines().next().unwrap_or_default()))
            }
        }
    }

    /// A file that another process holds for writing, so that only a copy of it could be checked:
    /// `seen` is what [`FileId::of`] said before that copy was made.
    pub(super) fn held(path: &Path, seen: Option<FileId>) -> Self {
        Self { path: path.to_owned(), seen, is_damaged: false, lock: None }
    }

    /// Removes the file and its journal.
    fn remove(mut self) -> Result<(), DeliverError> {
        if self.is_damaged {
            self.keep_damaged()?;
            return Ok(());
        }
        self.release_to_rename()?;
        remove(&journal(&self.path))?;
        remove(&self.path)
    }

    /// Replaces the file with another one. A damaged file is kept; returns its new path.
    pub(super) fn replace_with(mut self, new: &Path) -> Result<Option<PathBuf>, DeliverError> {
        let kept = if self.is_damaged { Some(self.keep_damaged()?) } else { None };
        if kept.is_none() {
            self.release_to_rename()?;
            // The journal belongs to the old file. DuckDB would apply it to the new one, which has
            // its rows already.
            remove(&journal(&self.path))?;
        }
        rename(new, &self.path)?;
        sync_folder_of(&self.path)?;
        Ok(kept)
    }

    /// Renames a damaged file and its journal.
    fn keep_damaged(&mut self) -> Result<PathBuf, DeliverError> {
        self.release_to_rename()?;
        let name = |number: u32| match number {
            0 => with_suffix(&self.path, ".damaged"),
            _ => with_suffix(&self.path, &format!(".damaged-{number}")),
        };
        let unused =
            (0..=u32::MAX).map(name).find(|path| !path.exists() && !journal(path).exists());
        let kept = unused.unwrap_or_else(|| name(0));
        if journal(&self.path).exists() {
            rename(&journal(&self.path), &journal(&kept))?;
        }
        rename(&self.path, &kept)?;
        Ok(kept)
    }

    /// Refuses if another file is at the path by now. Releases the lock where renaming requires
    /// that.
    fn release_to_rename(&mut self) -> Result<(), DeliverError> {
        let now = FileId::of(&self.path).map_err(io("look at", &self.path))?;
        if now.map(|(id, _)| id) != self.seen {
            let what = "was put there by another process meanwhile".to_owned();
            return Err(DeliverError::NotReplaced { path: self.path.clone(), what });
        }
        if cfg!(windows) {
            // Windows does not rename an open file.
            self.lock = None;
        }
        Ok(())
    }
}

const NOT_KNOWN: &str = "is not a DuckDB database, or is damaged and shows no sign that it was delivered from this lake";

/// Content of a database that does not belong to this lake, as a predicate; `None` if there is
/// none.
///
/// # Errors
/// DuckDB's error if the database cannot be read.
fn foreign_content(
    connection: &Connection,
    lake: &LakeView,
    plan: &TablePlan,
    known: &[Content],
) -> Result<Option<String>, duckdb::Error> {
    let content = content(connection)?;
    if content.is_empty() {
        return Ok(None);
    }
    let is_own = |(kind, schema, name): &Content| {
        schema == "main"
            && match kind.as_str() {
                "table" => {
                    name == "_armature" || plan.tables.iter().any(|own| own.table.name == name)
                }
                "view" => name == DOCUMENTS.name || metric_view_names().any(|own| own == name),
                _ => false,
            }
    };
    if !content.iter().any(|(_, schema, name)| schema == "main" && name == "_armature") {
        return Ok(Some("is a database that this program did not make".to_owned()));
    }
    let sql = "SELECT lake_id FROM main._armature";
    let found = connection.query_row(sql, [], |row| row.get::<_, String>(0))?;
    if lake.identity().is_some_and(|identity| identity.lake_id.to_string() != found) {
        return Ok(Some("was delivered from another lake".to_owned()));
    }
    let foreign = content.iter().find(|it| !is_own(it) && !known.contains(it));
    Ok(foreign
        .map(|(kind, _, name)| format!("holds a {kind} `{name}` that this program did not make")))
}

/// An object of a database: its kind, its schema and its name.
pub(super) type Content = (String, String, String);

/// The user-defined objects of a database.
///
/// # Errors
/// DuckDB's error if the database cannot be read.
pub(super) fn content(connection: &Connection) -> Result<Vec<Content>, duckdb::Error> {
    let mut statement = connection.prepare(CONTENT)?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    rows.collect()
}

/// Everything user-defined in a database, except indexes: an index on a foreign table comes with
/// that table.
const CONTENT: &str = "
SELECT kind, schema_name, name FROM (
    SELECT 'schema' AS kind, schema_name, schema_name AS \"name\", internal, database_name
    FROM duckdb_schemas()
    UNION ALL SELECT 'table', schema_name, table_name, internal, database_name FROM duckdb_tables()
    UNION ALL SELECT 'view', schema_name, view_name, internal, database_name FROM duckdb_views()
    UNION ALL SELECT 'sequence', schema_name, sequence_name, false, database_name
    FROM duckdb_sequences()
    UNION ALL SELECT 'type', schema_name, type_name, internal, database_name FROM duckdb_types()
    UNION ALL SELECT 'macro', schema_name, function_name, internal, database_name
    FROM duckdb_functions()
) WHERE NOT internal AND database_name = current_database() ORDER BY ALL";

/// Opens and locks a damaged file if it contains the id of this lake, which every file that was
/// delivered from it does.
fn lock_if_ours(path: &Path, lake: &LakeView) -> Result<Option<File>, DeliverError> {
    let Some(identity) = lake.identity() else { return Ok(None) };
    let mut file = File::open(path).map_err(io("open", path))?;
    lock_for_reading(&file, path)?;
    let id = identity.lake_id.to_string();
    let is_there = contains(&mut file, id.as_bytes()).map_err(io("read", path))?;
    Ok(is_there.then_some(file))
}

/// Takes the shared lock of DuckDB's readers. Such a lock belongs to the process, and is released
/// when *any* handle of the file is closed: nothing may open the file while the lock is needed.
#[cfg(unix)]
fn lock_for_reading(file: &File, path: &Path) -> Result<(), DeliverError> {
    use rustix::fs::{FlockOperation, fcntl_lock};
    use rustix::io::Errno;

    match fcntl_lock(file, FlockOperation::NonBlockingLockShared) {
        Err(Errno::ACCESS | Errno::AGAIN) => Err(QueryError::Locked {
            path: path.to_owned(),
            holder: "another process".to_owned(),
            waited: std::time::Duration::ZERO,
        }
        .into()),
        other => other.map_err(|error| io("lock", path)(error.into())),
    }
}

#[cfg(not(unix))]
fn lock_for_reading(file: &File, path: &Path) -> Result<(), DeliverError> {
    file.try_lock_shared().map_err(|error| io("lock", path)(error.into()))
}

/// Whether a file contains some bytes.
fn contains(file: &mut File, wanted: &[u8]) -> std::io::Result<bool> {
    let mut window = Vec::new();
    loop {
        let read = file.by_ref().take(1 << 20).read_to_end(&mut window)?;
        if memchr::memmem::find(&window, wanted).is_some() {
            return Ok(true);
        }
        if read == 0 {
            return Ok(false);
        }
        // A match can extend over the end of what was read.
        window.drain(..window.len().saturating_sub(wanted.len()));
    }
}

/// Identity of a file, independent of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileId {
    #[cfg(unix)]
    device_and_number: (u64, u64),
    #[cfg(not(unix))]
    created: Option<std::time::SystemTime>,
}

impl FileId {
    pub(super) fn of(path: &Path) -> std::io::Result<Option<(Self, Metadata)>> {
        let metadata = match std::fs::metadata(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        #[cfg(unix)]
        let id = {
            use std::os::unix::fs::MetadataExt;
            Self { device_and_number: (metadata.dev(), metadata.ino()) }
        };
        #[cfg(not(unix))]
        let id = Self { created: metadata.created().ok() };
        Ok(Some((id, metadata)))
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that replaces a database")]
fn rename(from: &Path, to: &Path) -> Result<(), DeliverError> {
    std::fs::rename(from, to).map_err(io("replace", to))
}

/// Syncs the folder, which makes the new name durable.
#[cfg(unix)]
fn sync_folder_of(path: &Path) -> Result<(), DeliverError> {
    let folder = folder_of(path);
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io("sync the folder", folder))
}

#[cfg(not(unix))]
fn sync_folder_of(_path: &Path) -> Result<(), DeliverError> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Filters;
    use crate::lake::Identity;

    /// A lake without a commit, and a database that was delivered from it.
    async fn delivered(folder: &Path) -> (LakeView, TablePlan, PathBuf) {
        let lake = folder.join("lake");
        std::fs::create_dir_all(lake.join("_armature")).unwrap();
        let identity = serde_json::to_vec(&Identity::new(None, Filters::default())).unwrap();
        std::fs::write(lake.join("_armature/format.json"), identity).unwrap();
        let (lake, mapping) =
            (LakeView::open(&lake).await.unwrap(), Mapping::new(&[], &[]).unwrap());
        let path = folder.join("a.duckdb");
        let options = DeliveryOptions::new(
            &crate::config::DuckdbSettings { path: path.clone(), ..Default::default() },
            crate::event::Events::none(),
        );
        deliver(&lake, &mapping, &options).await.unwrap();
        (lake, TablePlan::new(&mapping), path)
    }

    #[tokio::test]
    async fn a_file_that_came_after_the_check_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (lake, plan, path) = delivered(folder.path()).await;
        let (new, other) = (folder.path().join("new"), folder.path().join("other"));
        std::fs::write(&new, "new").unwrap();
        let checked = Replaceable::check(&path, &lake, &plan).unwrap();
        std::fs::write(&other, "somebody's").unwrap();
        rename(&other, &path).unwrap();
        let refused = checked.replace_with(&new).unwrap_err();
        assert!(matches!(refused, DeliverError::NotReplaced { .. }), "{refused}");
        assert_eq!(std::fs::read(&path).unwrap(), b"somebody's");
        // The same if there was no file before.
        let absent = folder.path().join("absent");
        let checked = Replaceable::check(&absent, &lake, &plan).unwrap();
        std::fs::write(&absent, "somebody's").unwrap();
        assert!(checked.replace_with(&new).is_err());
        assert_eq!(std::fs::read(&absent).unwrap(), b"somebody's");
    }

    /// `/proc/locks` of Linux lists the locks of files.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn writers_are_kept_out_until_the_file_is_replaced() {
        use std::os::unix::fs::MetadataExt;

        let folder = tempfile::tempdir().unwrap();
        let (lake, plan, path) = delivered(folder.path()).await;
        for is_damaged in [false, true] {
            if is_damaged {
                let mut bytes = std::fs::read(&path).unwrap();
                bytes[4096..12_288].fill(0);
                std::fs::write(&path, bytes).unwrap();
            }
            let file = format!(":{} ", std::fs::metadata(&path).unwrap().ino());
            let is_locked = || {
                let locks = std::fs::read_to_string("/proc/locks").unwrap();
                locks.lines().any(|lock| lock.contains(" READ ") && lock.contains(&file))
            };
            let checked = Replaceable::check(&path, &lake, &plan).unwrap();
            assert_eq!((checked.is_damaged, is_locked()), (is_damaged, true));
            drop(checked);
            assert!(!is_locked());
        }
    }

    #[test]
    fn bytes_are_found_wherever_they_lie() {
        let mut file = tempfile::tempfile().unwrap();
        let place = (1 << 20) - 3;
        for (text, expected) in [("wanted", true), ("wante", false)] {
            use std::io::{Seek, Write};
            file.set_len(0).unwrap();
            file.rewind().unwrap();
            file.write_all(&vec![b'w'; place]).unwrap();
            file.write_all(text.as_bytes()).unwrap();
            file.rewind().unwrap();
            assert_eq!(contains(&mut file, b"wanted").unwrap(), expected, "{text}");
        }
    }
}
