//! Reads fetched runs back from a data file of `documents`.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::{Array, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use arrow::error::ArrowError;
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReader;

use crate::extract::{ListedRun, RunPaths, shortfalls};
use crate::job::JobError;
use crate::lake::{DataFile, LakeError, LakeStore, data_file_columns, data_file_rows};
use crate::run::{Document, DocumentState, FetchedRun, Resource};
use crate::time::Timestamp;

/// Some runs of a data file, at the revisions that they have there.
#[derive(Debug)]
pub struct Bodies {
    /// The runs, with their documents.
    pub runs: Vec<FetchedRun>,
    /// When the sync that fetched them started, by the server's clock.
    pub extracted_at: Timestamp,
}

/// Iterates over the runs of a data file in batches: runs that one sync fetched, and not too many
/// bytes.
#[derive(Debug)]
pub struct BodyReader {
    rows: ParquetRecordBatchReader,
    paths: Arc<RunPaths>,
    /// Complete batches that were not returned yet.
    ready: VecDeque<Bodies>,
    /// The batch that is being filled.
    filling: Option<Bodies>,
    bytes: usize,
}

/// Rows that are read at once: few, because bodies can be large, and a batch is kept besides.
const BATCH_ROWS: usize = 64;

/// Target size of a batch: bytes of bodies.
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// Opens a data file; `None` if it is missing or damaged, because rows that were rebuilt from a
/// damaged file would hide the damage.
///
/// # Errors
/// [`LakeError`] if an intact data file cannot be read.
pub fn read_bodies(
    store: &LakeStore,
    part: &DataFile,
    paths: &Arc<RunPaths>,
) -> Result<Option<BodyReader>, LakeError> {
    let sha256 = store.sha256(&part.path);
    if sha256.ok().flatten().as_ref() != Some(&part.sha256) {
        return Ok(None);
    }
    let rows = data_file_rows(store, part, BATCH_ROWS)?;
    let (ready, filling) = (VecDeque::new(), None);
    Ok(Some(BodyReader { rows, paths: Arc::clone(paths), ready, filling, bytes: 0 }))
}

impl Iterator for BodyReader {
    type Item = Result<Bodies, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(bodies) = self.ready.pop_front() {
                return Some(Ok(bodies));
            }
            let Some(batch) = self.rows.next() else {
                let last = self.filling.take()?;
                return Some(Ok(self.completed(last)));
            };
            if let Err(error) = batch.and_then(|batch| self.take(&batch)) {
                return Some(Err(error));
            }
        }
    }
}

impl BodyReader {
    fn take(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        for row in 0..batch.num_rows() {
            let stored = Stored::read(batch, row)?;
            if self.begins_anew(&stored)
                && let Some(full) = self.filling.take()
            {
                let full = self.completed(full);
                self.ready.push_back(full);
                self.bytes = 0;
            }
            self.bytes += stored.body.len();
            let extracted_at = stored.extracted_at;
            let bodies = || Bodies { runs: Vec::new(), extracted_at };
            let runs = &mut self.filling.get_or_insert_with(bodies).runs;
            if !runs.last().is_some_and(|run| stored.is_of(run)) {
                runs.push(stored.run());
            }
            if let Some(run) = runs.last_mut() {
                run.documents.extend(stored.document());
            }
        }
        Ok(())
    }

    /// Whether a row starts a new batch. The documents of a run are adjacent, and stay in one
    /// batch.
    fn begins_anew(&self, stored: &Stored<'_>) -> bool {
        self.filling.as_ref().is_some_and(|filling| {
            let is_same_run = filling.runs.last().is_some_and(|run| stored.is_of(run));
            let is_full = self.bytes >= MOST_BYTES;
            !is_same_run && (is_full || filling.extracted_at != stored.extracted_at)
        })
    }

    fn completed(&self, mut bodies: Bodies) -> Bodies {
        bodies.runs.iter_mut().for_each(|run| complete(run, &self.paths));
        bodies
    }
}

/// The number of runs in a data file of `documents`, each revision counted; `None` as for
/// [`read_bodies`].
///
/// # Errors
/// [`JobError`] if an intact data file cannot be read.
pub(super) fn count_runs(store: &LakeStore, part: &DataFile) -> Result<Option<u64>, JobError> {
    let sha256 = store.sha256(&part.path);
    if sha256.ok().flatten().as_ref() != Some(&part.sha256) {
        return Ok(None);
    }
    let (mut count, mut last) = (0, None);
    for batch in data_file_columns(store, part, &["run_id", "_revision"])? {
        let batch = batch?;
        let (run_ids, revisions) = keys(&batch)?;
        for row in 0..batch.num_rows() {
            let key = (run_ids.value(row).to_owned(), revisions.value(row));
            if last.as_ref() != Some(&key) {
                count += 1;
                last = Some(key);
            }
        }
    }
    Ok(Some(count))
}

fn keys(batch: &RecordBatch) -> Result<(&StringArray, &Int64Array), ArrowError> {
    let run_ids = batch.column_by_name("run_id").and_then(|array| array.as_string_opt::<i32>());
    let revisions = batch.column_by_name("_revision").and_then(|array| array.as_primitive_opt());
    run_ids.zip(revisions).ok_or_else(|| {
        ArrowError::SchemaError("`documents` has no usable `run_id` and `_revision`".to_owned())
    })
}

/// A row of `documents`.
struct Stored<'b> {
    run_id: &'b str,
    revision: i64,
    resource: &'b str,
    page: u32,
    body: &'b str,
    http_date: Option<Timestamp>,
    extracted_at: Timestamp,
}

impl<'b> Stored<'b> {
    fn read(batch: &'b RecordBatch, row: usize) -> Result<Self, ArrowError> {
        let missing = |name: &str| {
            ArrowError::SchemaError(format!("`documents` has no usable column `{name}`"))
        };
        let column = |name: &str| batch.column_by_name(name).ok_or_else(|| missing(name));
        let text = |name: &'static str| {
            let array = column(name)?.as_string_opt::<i32>().ok_or_else(|| missing(name))?;
            Ok::<&'b str, ArrowError>(array.value(row))
        };
        let time = |name: &'static str| {
            let array = column(name)?.as_primitive_opt::<TimestampMicrosecondType>();
            let array = array.ok_or_else(|| missing(name))?;
            let micros = array.is_valid(row).then(|| array.value(row));
            Ok::<_, ArrowError>(micros.map(Timestamp::from_micros))
        };
        let revision = column("_revision")?.as_primitive_opt::<Int64Type>();
        // Earlier versions had no pages: their documents are page 1.
        let pages = batch.column_by_name("page").and_then(|a| a.as_primitive_opt::<Int64Type>());
        let page = pages.filter(|pages| pages.is_valid(row)).map_or(1, |pages| pages.value(row));
        Ok(Self {
            run_id: text("run_id")?,
            revision: revision.ok_or_else(|| missing("_revision"))?.value(row),
            resource: text("resource")?,
            page: u32::try_from(page).unwrap_or(u32::MAX),
            body: text("body")?,
            http_date: time("http_date")?,
            extracted_at: time("_extracted_at")?.unwrap_or_default(),
        })
    }

    fn is_of(&self, run: &FetchedRun) -> bool {
        run.run_id == self.run_id && run.revision == self.revision
    }

    fn run(&self) -> FetchedRun {
        FetchedRun {
            run_id: self.run_id.to_owned(),
            started_at: None,
            ended_at: None,
            status: None,
            revision: self.revision,
            // An exported run has its evaluation, or the API stated that it has none.
            evaluation: DocumentState::Absent,
            documents: Vec::new(),
            shortfalls: Vec::new(),
        }
    }

    fn document(&self) -> Option<Document> {
        let resource = Resource::from_name(self.resource)?;
        let body = Bytes::copy_from_slice(self.body.as_bytes());
        Some(Document { resource, page: self.page, body, http_date: self.http_date })
    }
}

/// Fills in what a sync derives from the bodies when it fetches them.
fn complete(run: &mut FetchedRun, paths: &RunPaths) {
    run.documents.sort_by_key(|document| (document.resource, document.page));
    if run.document(Resource::Evaluation).is_some() {
        run.evaluation = DocumentState::Ok;
    }
    run.shortfalls = shortfalls(&run.documents, paths);
    let read = |resource| {
        let document = run.document(resource)?;
        Some(ListedRun::from_body(run.run_id.clone(), document.body.clone(), paths))
    };
    let shown = match (read(Resource::Listing), read(Resource::Detail)) {
        (Some(listed), Some(detail)) => Some(listed.completed(detail)),
        (listed, detail) => listed.or(detail),
    };
    if let Some(shown) = shown {
        (run.started_at, run.ended_at) = (shown.started_at, shown.ended_at);
        run.status = shown.status;
    }
}
