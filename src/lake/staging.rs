//! Data files before they are published, invisible to readers.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use object_store::path::Path as StorePath;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use uuid::Uuid;

use super::{CommitRange, DataFile, LakeError, files};
use crate::crash;
use crate::digest::{HashingWriter, sha256_hex};
use crate::interval::utc_day;
use crate::tables::{Table, WriteDisposition};

/// Merged data files of one day and of the same runs, one for each table that has rows. Each is
/// written piece by piece, because it can be too large for memory. Blocks the thread that uses it.
#[derive(Debug)]
pub struct MergedFiles {
    staging: PathBuf,
    day: String,
    name: String,
    parts: Vec<DataFile>,
}

/// What is known of a merged data file before its rows are written.
#[derive(Clone, Copy, Debug)]
pub struct Merging {
    /// The table.
    pub table: &'static Table,
    /// The commits whose rows it holds.
    pub commits: CommitRange,
    /// The earliest and the latest start of its runs, in microseconds since 1970 (UTC).
    pub started: Option<(i64, i64)>,
    /// Whether it holds later revisions of runs.
    pub has_revisions: bool,
}

/// A staged data file that is being written; its SHA-256 is computed on the way.
pub type StagedFile = HashingWriter<File>;

impl MergedFiles {
    /// Writes the data file of a table: `write` fills it, and returns the number of rows. A data
    /// file without rows is removed again.
    ///
    /// # Errors
    /// The error of `write`, or of an I/O operation.
    pub fn add<E: From<LakeError>>(
        &mut self,
        merging: Merging,
        write: impl FnOnce(StagedFile) -> Result<(StagedFile, u64), E>,
    ) -> Result<(), E> {
        let Merging { table, commits, started, has_revisions } = merging;
        let path = format!("{}/date={}/{}", table.name, self.day, self.name);
        let staged = self.staging.join(&path);
        let folder = staged.parent().unwrap_or(&staged).to_owned();
        files::make_folder(&folder)?;
        let file = File::create(&staged).map_err(LakeError::io("write the data file", &staged))?;
        let (file, rows) = match write(HashingWriter::new(file)) {
            Ok(written) => written,
            Err(error) => {
                files::remove_file(&staged)?;
                return Err(error);
            }
        };
        let (mut file, bytes, sha256) = file.finish();
        let synced = file.flush().and_then(|()| file.sync_all());
        synced.map_err(LakeError::io("write the data file", &staged))?;
        if rows == 0 {
            return Ok(files::remove_file(&staged)?);
        }
        for folder in folder.ancestors().take_while(|folder| folder.starts_with(&self.staging)) {
            files::sync_folder(folder)?;
        }
        let (first, last) = started.unzip();
        self.parts.push(DataFile {
            table: table.name.to_owned(),
            path,
            rows,
            bytes,
            sha256,
            least_started_at: first,
            greatest_started_at: last,
            has_revisions,
            replaces: None,
            merged: Some(commits),
        });
        crash::point("between_merged_parts");
        Ok(())
    }

    /// The data files written so far.
    pub fn parts(&self) -> &[DataFile] {
        &self.parts
    }

    /// Removes the data files written so far.
    ///
    /// # Errors
    /// [`LakeError::Io`] if one cannot be removed.
    pub fn discard(self) -> Result<(), LakeError> {
        self.parts.iter().try_for_each(|part| files::remove_file(&self.staging.join(&part.path)))
    }
}

/// The data files of a commit that is being made.
///
/// If this is dropped without a commit, the next opening of the lake removes them.
#[derive(Debug)]
pub struct Staging {
    lake: PathBuf,
    store: Arc<dyn ObjectStore>,
    pub(super) commit: u64,
    pub(super) folder: String,
    pub(super) parts: Vec<DataFile>,
    pub(super) replaced: Vec<DataFile>,
    pub(super) contents: BTreeMap<String, u64>,
}

/// A data file to be staged. All of its runs started on one day.
#[derive(Debug)]
pub struct NewDataFile {
    /// The table.
    pub table: &'static Table,
    /// The number of its rows.
    pub rows: u64,
    /// The content of the Parquet file.
    pub bytes: Vec<u8>,
    /// The earliest and the latest start of its runs, in microseconds since 1970 (UTC).
    pub started: Option<(i64, i64)>,
    /// Whether it holds later revisions of runs that earlier data files also hold.
    pub has_revisions: bool,
    /// The path of the older data file whose place it takes; set by a replay.
    pub replaces: Option<String>,
}

impl NewDataFile {
    /// The day on which its runs started, UTC, as `2026-11-23`.
    pub fn day(&self) -> String {
        let day = self.started.and_then(|(first, _)| utc_day(first));
        day.unwrap_or_else(|| UNKNOWN_DAY.to_owned())
    }
}

/// Suffix of a staging folder while data files are added to it. A writer that opens the lake
/// removes a folder with this suffix; a folder without it stays until the commit's number is taken.
pub(super) const OPEN: &str = ".open";

/// The day of runs whose start is unknown: no real run is that old.
const UNKNOWN_DAY: &str = "1970-01-01";

impl Staging {
    pub(super) fn new(lake: &Path, store: Arc<dyn ObjectStore>, commit: u64) -> Self {
        let folder = format!("{commit:08}-{}", Uuid::new_v4().simple());
        Self {
            lake: lake.to_owned(),
            store,
            commit,
            folder,
            parts: Vec::new(),
            replaced: Vec::new(),
            contents: BTreeMap::new(),
        }
    }

    /// The number that the commit gets.
    pub fn commit(&self) -> u64 {
        self.commit
    }

    /// The number of rows staged so far, by table.
    pub fn rows(&self) -> impl Iterator<Item = (&str, u64)> {
        self.parts.iter().chain(&self.replaced).map(|part| (part.table.as_str(), part.rows))
    }

    /// Writes data files, several at once, and syncs them to disk. All data files of one call and
    /// day get the same name, each in the folder of its table: equal names identify the rows of the
    /// same runs.
    ///
    /// # Errors
    /// [`LakeError::Store`] if one cannot be written.
    pub async fn add(&mut self, parts: Vec<NewDataFile>) -> Result<(), LakeError> {
        const AT_ONCE: usize = 8;
        crash::point("before_stage");
        let this = &*self;
        let name = self.new_name();
        let put = |part| this.put_new(part, &name);
        let put = futures::stream::iter(parts).map(put).buffered(AT_ONCE);
        let written: Vec<DataFile> = put.try_collect().await?;
        self.parts.extend(written);
        crash::point("after_stage");
        Ok(())
    }

    /// A new name for data files that hold rows of the same runs.
    fn new_name(&self) -> String {
        format!("{:08}-{}.parquet", self.commit, Uuid::new_v4().simple())
    }

    /// Starts merged data files of one day and of the same runs, which are written piece by piece.
    pub fn begin_merge(&self, day: &str) -> MergedFiles {
        let lake_path = format!("_armature/staging/{}{OPEN}", self.folder);
        MergedFiles {
            staging: self.lake.join(lake_path),
            day: day.to_owned(),
            name: self.new_name(),
            parts: Vec::new(),
        }
    }

    /// Adds merged data files to the commit.
    pub fn add_merged(&mut self, merged: MergedFiles) {
        self.parts.extend(merged.parts);
    }

    /// Removes the staged data files, if no commit is made of them.
    ///
    /// # Errors
    /// [`LakeError::Io`] if they cannot be removed.
    pub fn abandon(self) -> Result<(), LakeError> {
        let folder = format!("_armature/staging/{}{OPEN}", self.folder);
        files::remove_folder(&self.lake.join(folder))
    }

    async fn put_new(&self, part: NewDataFile, name: &str) -> Result<DataFile, LakeError> {
        let path = format!("{}/date={}/{name}", part.table.name, part.day());
        let written = self.put(part.table, path, part.rows, part.bytes).await?;
        Ok(DataFile {
            least_started_at: part.started.map(|(first, _)| first),
            greatest_started_at: part.started.map(|(_, last)| last),
            has_revisions: part.has_revisions,
            replaces: part.replaces,
            ..written
        })
    }

    /// Writes the one data file of a table that is replaced as a whole. `content` is a fingerprint
    /// of what its rows were built from.
    ///
    /// # Errors
    /// [`LakeError::Store`] if it cannot be written.
    pub async fn replace(
        &mut self,
        table: &'static Table,
        rows: u64,
        bytes: Vec<u8>,
        content: u64,
    ) -> Result<(), LakeError> {
        debug_assert_eq!(table.write, WriteDisposition::Replace);
        let path = format!("{0}/{0}.parquet", table.name);
        let part = self.put(table, path, rows, bytes).await?;
        self.contents.insert(table.name.to_owned(), content);
        self.replaced.push(part);
        Ok(())
    }

    async fn put(
        &self,
        table: &'static Table,
        path: String,
        rows: u64,
        bytes: Vec<u8>,
    ) -> Result<DataFile, LakeError> {
        let part = DataFile {
            table: table.name.to_owned(),
            rows,
            bytes: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            sha256: sha256_hex(&bytes),
            least_started_at: None,
            greatest_started_at: None,
            has_revisions: false,
            replaces: None,
            merged: None,
            path,
        };
        let staged = format!("_armature/staging/{}{OPEN}/{}", self.folder, part.path);
        let location = StorePath::from(staged.as_str());
        let put = self.store.put(&location, PutPayload::from(bytes)).await;
        put.map_err(LakeError::store("write the data file", staged))?;
        crash::point("between_staged_parts");
        Ok(part)
    }

    /// Seals the staging folder: a writer that bypasses the lock no longer removes it when it opens
    /// the lake. Then checks that no writer removed a data file before, because a commit must never
    /// name a missing data file. The order matters: a check before the rename could pass and then
    /// become wrong.
    pub(super) fn seal(&self) -> Result<(), LakeError> {
        let staging = self.lake.join("_armature/staging");
        let sealed = staging.join(&self.folder);
        let open = staging.join(format!("{}{OPEN}", self.folder));
        if files::rename_folder(&open, &sealed)? {
            files::sync_folder(&staging)?;
        }
        for part in self.parts.iter().chain(&self.replaced) {
            let path = sealed.join(&part.path);
            if files::length(&path)? != Some(part.bytes) {
                return Err(LakeError::StagingLost { path, commit: self.commit });
            }
        }
        crash::point("after_seal");
        Ok(())
    }
}
