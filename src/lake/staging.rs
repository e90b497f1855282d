//! Parts on their way into the lake, out of every reader's sight.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use object_store::path::Path as StorePath;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use uuid::Uuid;

use super::{CommitRange, LakeError, Part, files};
use crate::crash;
use crate::digest::{Digesting, sha256_hex};
use crate::interval::utc_day;
use crate::tables::{Table, Write};

/// Parts of one day and of the same runs, one for each table that has rows. Each is written piece by
/// piece: it can be larger than memory should be. For a thread that may block.
#[derive(Debug)]
pub struct MergedParts {
    staging: PathBuf,
    day: String,
    name: String,
    parts: Vec<Part>,
}

/// What is known of a part before its rows are written.
#[derive(Clone, Copy, Debug)]
pub struct Merging {
    /// The table.
    pub table: &'static Table,
    /// The commits whose rows it gets.
    pub commits: CommitRange,
    /// The earliest and the latest start of its runs, in microseconds since 1970.
    pub started: Option<(i64, i64)>,
    /// Whether it gets later revisions of runs.
    pub has_revisions: bool,
}

/// The file of a part that is being written.
pub type StagedFile = Digesting<File>;

impl MergedParts {
    /// Makes the part of a table: `write` fills its file, and says how many rows that were. A part
    /// without rows is none.
    ///
    /// # Errors
    /// What `write` or the file system says.
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
        let file = File::create(&staged).map_err(LakeError::io("write the part", &staged))?;
        let (file, rows) = match write(Digesting::new(file)) {
            Ok(written) => written,
            Err(error) => {
                files::remove_file(&staged)?;
                return Err(error);
            }
        };
        let (mut file, bytes, sha256) = file.finish();
        let synced = file.flush().and_then(|()| file.sync_all());
        synced.map_err(LakeError::io("write the part", &staged))?;
        if rows == 0 {
            return Ok(files::remove_file(&staged)?);
        }
        for folder in folder.ancestors().take_while(|folder| folder.starts_with(&self.staging)) {
            files::sync_folder(folder)?;
        }
        let (first, last) = started.unzip();
        self.parts.push(Part {
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

    /// The parts so far.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Removes what was written.
    ///
    /// # Errors
    /// [`LakeError::Io`] where it cannot be removed.
    pub fn discard(self) -> Result<(), LakeError> {
        self.parts.iter().try_for_each(|part| files::remove_file(&self.staging.join(&part.path)))
    }
}

/// The parts of a commit that is being made, out of every reader's sight.
///
/// Dropped without a commit, they are removed when the lake is opened next.
#[derive(Debug)]
pub struct Staging {
    lake: PathBuf,
    store: Arc<dyn ObjectStore>,
    pub(super) commit: u64,
    pub(super) folder: String,
    pub(super) parts: Vec<Part>,
    pub(super) replaced: Vec<Part>,
    pub(super) contents: BTreeMap<String, u64>,
}

/// A part that is ready to be staged. Its runs are of one day.
#[derive(Debug)]
pub struct NewPart {
    /// The table.
    pub table: &'static Table,
    /// How many rows it has.
    pub rows: u64,
    /// The Parquet file.
    pub bytes: Vec<u8>,
    /// The earliest and the latest start of its runs, in microseconds since 1970.
    pub started: Option<(i64, i64)>,
    /// Whether it holds later revisions of runs that earlier parts hold too.
    pub has_revisions: bool,
    /// The path of the older part whose place it takes.
    pub replaces: Option<String>,
}

impl NewPart {
    /// The day on which its runs started, UTC, as `2026-11-23`.
    pub fn day(&self) -> String {
        let day = self.started.and_then(|(first, _)| utc_day(first));
        day.unwrap_or_else(|| UNKNOWN_DAY.to_owned())
    }
}

/// What the name of a folder ends in while parts are added to it. A writer that opens the lake
/// removes it; once the name is without, nobody does before the commit's number is taken.
pub(super) const OPEN: &str = ".open";

/// The folder of runs whose start is not known: no real run is that old.
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

    /// The number that the commit will have.
    pub fn commit(&self) -> u64 {
        self.commit
    }

    /// Rows staged so far, by table.
    pub fn rows(&self) -> impl Iterator<Item = (&str, u64)> {
        self.parts.iter().chain(&self.replaced).map(|part| (part.table.as_str(), part.rows))
    }

    /// Writes parts, several at once, and makes them durable. Those of one call and day get one
    /// name, in the folders of their tables: it tells which parts hold rows of the same runs.
    ///
    /// # Errors
    /// [`LakeError::Store`] where one cannot be written.
    pub async fn add(&mut self, parts: Vec<NewPart>) -> Result<(), LakeError> {
        const AT_ONCE: usize = 8;
        crash::point("before_stage");
        let this = &*self;
        let name = self.new_name();
        let put = |part| this.put_new(part, &name);
        let put = futures::stream::iter(parts).map(put).buffered(AT_ONCE);
        let written: Vec<Part> = put.try_collect().await?;
        self.parts.extend(written);
        crash::point("after_stage");
        Ok(())
    }

    /// A name for parts that hold rows of the same runs.
    fn new_name(&self) -> String {
        format!("{:08}-{}.parquet", self.commit, Uuid::new_v4().simple())
    }

    /// Begins parts of one day and of the same runs that are written piece by piece.
    pub fn begin_merge(&self, day: &str) -> MergedParts {
        let lake_path = format!("_armature/staging/{}{OPEN}", self.folder);
        MergedParts {
            staging: self.lake.join(lake_path),
            day: day.to_owned(),
            name: self.new_name(),
            parts: Vec::new(),
        }
    }

    /// Takes in parts that were written piece by piece.
    pub fn add_merged(&mut self, merged: MergedParts) {
        self.parts.extend(merged.parts);
    }

    /// Removes what was staged, where no commit is made of it.
    ///
    /// # Errors
    /// [`LakeError::Io`] where it cannot be removed.
    pub fn abandon(self) -> Result<(), LakeError> {
        let folder = format!("_armature/staging/{}{OPEN}", self.folder);
        files::remove_folder(&self.lake.join(folder))
    }

    async fn put_new(&self, part: NewPart, name: &str) -> Result<Part, LakeError> {
        let path = format!("{}/date={}/{name}", part.table.name, part.day());
        let written = self.put(part.table, path, part.rows, part.bytes).await?;
        Ok(Part {
            least_started_at: part.started.map(|(first, _)| first),
            greatest_started_at: part.started.map(|(_, last)| last),
            has_revisions: part.has_revisions,
            replaces: part.replaces,
            ..written
        })
    }

    /// Writes the one part of a table that is replaced as a whole. `content` tells its content
    /// from another one's.
    ///
    /// # Errors
    /// [`LakeError::Store`] where it cannot be written.
    pub async fn replace(
        &mut self,
        table: &'static Table,
        rows: u64,
        bytes: Vec<u8>,
        content: u64,
    ) -> Result<(), LakeError> {
        debug_assert_eq!(table.write, Write::Replace);
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
    ) -> Result<Part, LakeError> {
        let part = Part {
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
        put.map_err(LakeError::store("write the part", staged))?;
        crash::point("between_staged_parts");
        Ok(part)
    }

    /// Takes the parts out of the reach of a writer that opens the lake past the lock, and makes
    /// sure that none came before: a manifest must never name a part that is not there.
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
