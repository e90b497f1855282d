//! Data files before they are published, invisible to readers.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt};
use uuid::Uuid;

use super::paths::{commit_path, staging_path};
use super::store::StagedFile;
use super::{CommitRange, DataFile, LakeError, LakeStore, WrittenFile};
use crate::crash;
use crate::digest::sha256_hex;
use crate::tables::{Table, WriteDisposition};
use crate::time::Timestamp;

/// Merged data files of one day and of the same runs, one for each table that has rows. Each is
/// written piece by piece, because it can be too large for memory. Blocks the thread that uses it.
#[derive(Debug)]
pub struct MergedFiles {
    store: LakeStore,
    /// The staging folder of the commit.
    staging: String,
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
    /// The earliest and the latest start of its runs, by the server's clock.
    pub started: Option<(Timestamp, Timestamp)>,
    /// Whether it holds later revisions of runs.
    pub has_revisions: bool,
}

impl MergedFiles {
    /// Writes the data file of a table, which `write` fills. A data file without rows is removed
    /// again.
    ///
    /// # Errors
    /// The error of `write`, or of an I/O operation.
    pub fn add<E: From<LakeError>>(
        &mut self,
        merging: Merging,
        write: impl FnOnce(StagedFile) -> Result<WrittenFile<StagedFile>, E>,
    ) -> Result<(), E> {
        let Merging { table, commits, started, has_revisions } = merging;
        let path = format!("{}/date={}/{}", table.name, self.day, self.name);
        let staged = format!("{}/{path}", self.staging);
        let WrittenFile { to: file, rows, statistics } = match write(self.store.create(&staged)?) {
            Ok(written) => written,
            Err(error) => {
                self.store.delete(&staged)?;
                return Err(error);
            }
        };
        let (bytes, sha256) = file.finish()?;
        if rows == 0 {
            return Ok(self.store.delete(&staged)?);
        }
        self.store.sync_folders(&staged, &self.staging)?;
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
            statistics: Some(statistics),
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
        let staged = |part: &DataFile| format!("{}/{}", self.staging, part.path);
        self.parts.iter().try_for_each(|part| self.store.delete(&staged(part)))
    }
}

/// The data files of a commit that is being made.
///
/// If this is dropped without a commit, the next opening of the lake removes them.
#[derive(Debug)]
pub struct Staging {
    store: LakeStore,
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
    /// The Parquet file.
    pub written: WrittenFile,
    /// The earliest and the latest start of its runs, by the server's clock.
    pub started: Option<(Timestamp, Timestamp)>,
    /// Whether it holds later revisions of runs that earlier data files also hold.
    pub has_revisions: bool,
    /// The path of the older data file whose place it takes; set by a replay.
    pub replaces: Option<String>,
}

impl NewDataFile {
    /// The day on which its runs started, UTC, as `2026-11-23`.
    pub fn day(&self) -> String {
        let day = self.started.and_then(|(first, _)| first.utc_day());
        day.unwrap_or_else(|| UNKNOWN_DAY.to_owned())
    }
}

/// The day of runs whose start is unknown: no real run is that old.
const UNKNOWN_DAY: &str = "1970-01-01";

impl Staging {
    pub(super) fn new(store: LakeStore, commit: u64) -> Self {
        let folder = format!("{commit:08}-{}", Uuid::new_v4().simple());
        Self {
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
        MergedFiles {
            store: self.store.clone(),
            staging: self.open_folder(),
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
        self.store.delete_folder(&self.open_folder())
    }

    /// The staging folder while data files are added to it.
    fn open_folder(&self) -> String {
        staging_path(&self.store.open_staging(&self.folder))
    }

    async fn put_new(&self, part: NewDataFile, name: &str) -> Result<DataFile, LakeError> {
        let path = format!("{}/date={}/{name}", part.table.name, part.day());
        let written = self.put(part.table, path, part.written).await?;
        Ok(DataFile {
            least_started_at: part.started.map(|(first, _)| first),
            greatest_started_at: part.started.map(|(_, last)| last),
            has_revisions: part.has_revisions,
            replaces: part.replaces,
            ..written
        })
    }

    /// Writes the one data file of a table that is replaced as a whole, under a name of its own: a
    /// path never changes its content. `content` is a fingerprint of what its rows were built from,
    /// and `old` the path of the data file whose place it takes.
    ///
    /// # Errors
    /// [`LakeError::Store`] if it cannot be written.
    pub async fn replace(
        &mut self,
        table: &'static Table,
        written: WrittenFile,
        content: u64,
        old: Option<String>,
    ) -> Result<(), LakeError> {
        debug_assert_eq!(table.write, WriteDisposition::Replace);
        let path = format!("{}/{}", table.name, self.new_name());
        let part = DataFile { replaces: old, ..self.put(table, path, written).await? };
        self.contents.insert(table.name.to_owned(), content);
        self.replaced.push(part);
        Ok(())
    }

    async fn put(
        &self,
        table: &'static Table,
        path: String,
        WrittenFile { to: bytes, rows, statistics }: WrittenFile,
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
            statistics: Some(statistics),
            path,
        };
        let staged = format!("{}/{}", self.open_folder(), part.path);
        self.store.put_data_file(&staged, &part.path, bytes).await?;
        crash::point("between_staged_parts");
        Ok(part)
    }

    /// Seals the staging folder: a writer that bypasses the lock no longer removes it when it opens
    /// the lake. Then checks that no writer removed a data file before, because a commit must never
    /// name a missing data file. The order matters: a check before the rename could pass and then
    /// become wrong.
    pub(super) fn seal(&self) -> Result<(), LakeError> {
        let sealed = staging_path(&self.folder);
        self.store.seal_staging(&self.folder)?;
        let lengths = self.store.lengths_below(&sealed, "")?;
        for part in self.parts.iter().chain(&self.replaced) {
            let path = format!("{sealed}/{}", part.path);
            let length = match &lengths {
                Some(lengths) => lengths.get(&path).copied(),
                None => self.store.length(&path)?,
            };
            if length != Some(part.bytes) {
                return Err(self.lost(&path)?);
            }
        }
        crash::point("after_seal");
        Ok(())
    }

    /// The error for a data file that another writer removed. A writer does that after it took the
    /// number of this commit, which says more.
    fn lost(&self, path: &str) -> Result<LakeError, LakeError> {
        let commit = self.commit;
        if self.store.length(&commit_path(commit))?.is_some() {
            return Ok(LakeError::CommitConflict { path: self.store.root(), commit });
        }
        Ok(LakeError::StagingLost { path: self.store.location(path), commit })
    }
}
