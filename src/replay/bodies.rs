//! Runs as they were fetched, read back from a part of `documents`.

use std::collections::HashMap;
use std::path::Path;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use arrow::error::ArrowError;
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::digest::sha256_hex;
use crate::extract::{ListedRun, RunPaths};
use crate::lake::Part;
use crate::run::{Document, DocumentState, FetchedRun, Resource};

/// The runs of one part, at their revisions there.
#[derive(Debug)]
pub struct Bodies {
    /// The runs, with their documents.
    pub runs: Vec<FetchedRun>,
    /// When the sync that fetched them began, in microseconds since 1970.
    pub extracted_at: i64,
}

/// Bodies can be large: few at once beside those that are kept.
const BATCH_ROWS: usize = 64;

/// Reads a part; `None` where it is not there or not as it was written, as rows made from a
/// damaged part would hide the damage.
///
/// # Errors
/// [`ArrowError`] where a part that is as it was written cannot be read all the same.
pub fn read_bodies(
    lake: &Path,
    part: &Part,
    paths: &RunPaths,
) -> Result<Option<Bodies>, ArrowError> {
    let Ok(bytes) = std::fs::read(lake.join(&part.path)) else { return Ok(None) };
    if sha256_hex(&bytes) != part.sha256 {
        return Ok(None);
    }
    let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(bytes))?;
    let mut runs: Vec<FetchedRun> = Vec::new();
    let mut places = HashMap::new();
    let mut extracted_at = 0;
    for batch in reader.with_batch_size(BATCH_ROWS).build()? {
        let batch = batch?;
        for row in 0..batch.num_rows() {
            let stored = Stored::read(&batch, row)?;
            extracted_at = stored.extracted_at;
            let key = (stored.run_id.to_owned(), stored.revision);
            let place = *places.entry(key).or_insert_with(|| {
                runs.push(stored.run());
                runs.len() - 1
            });
            if let Some(run) = runs.get_mut(place) {
                run.documents.extend(stored.document());
            }
        }
    }
    for run in &mut runs {
        complete(run, paths);
    }
    Ok(Some(Bodies { runs, extracted_at }))
}

/// A row of `documents`.
struct Stored<'b> {
    run_id: &'b str,
    revision: i64,
    resource: &'b str,
    body: &'b str,
    http_date: Option<i64>,
    extracted_at: i64,
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
            Ok::<Option<i64>, ArrowError>(array.is_valid(row).then(|| array.value(row)))
        };
        let revision = column("_revision")?.as_primitive_opt::<Int64Type>();
        Ok(Self {
            run_id: text("run_id")?,
            revision: revision.ok_or_else(|| missing("_revision"))?.value(row),
            resource: text("resource")?,
            body: text("body")?,
            http_date: time("http_date")?,
            extracted_at: time("_extracted_at")?.unwrap_or(0),
        })
    }

    fn run(&self) -> FetchedRun {
        FetchedRun {
            run_id: self.run_id.to_owned(),
            started_at: None,
            ended_at: None,
            status: None,
            revision: self.revision,
            // An exported run has its evaluation, or the API said that there is none.
            evaluation: DocumentState::Absent,
            documents: Vec::new(),
        }
    }

    fn document(&self) -> Option<Document> {
        let resource = Resource::from_name(self.resource)?;
        let body = Bytes::copy_from_slice(self.body.as_bytes());
        Some(Document { resource, body, http_date: self.http_date })
    }
}

/// What a sync takes from the bodies when it fetches them.
fn complete(run: &mut FetchedRun, paths: &RunPaths) {
    run.documents.sort_by_key(|document| document.resource);
    if run.document(Resource::Evaluation).is_some() {
        run.evaluation = DocumentState::Ok;
    }
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
