//! Runs → the data files of one commit: one set per start day, rows ordered by start.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::lake::{DataFileOptions, DataFileWriter, LakeError, NewDataFile};
use crate::normalize::{ExportContext, Normalizer};
use crate::run::FetchedRun;
use crate::tables::{Mapping, Table};
use crate::time::Timestamp;

/// Rows are passed from the normalizer to the Parquet writers at about this many bytes of memory.
const BATCH_BYTES: usize = 1024 * 1024;

/// Why no data files could be written.
#[derive(Debug, thiserror::Error)]
pub enum DataFilesError {
    /// A Parquet file cannot be written.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// Rows do not have their declared types: a bug of this program.
    #[error("failed to make rows: {0}")]
    Rows(#[from] arrow::error::ArrowError),
}

/// Writes the data files of a commit.
#[derive(Clone, Debug)]
pub struct ChunkWriter {
    /// The tables and columns.
    pub mapping: Arc<Mapping>,
    /// The values of the computed columns of every row.
    pub export: ExportContext,
    /// The id of the sync or replay that makes the commit.
    pub sync_id: String,
    /// The zstd level; set by `lake.compression_level`.
    pub compression_level: i32,
}

/// Number of days that are written at once: more would need more memory, and rarely be faster.
const THREADS: usize = 2;

impl ChunkWriter {
    /// Writes all data files of some runs for a commit: one for each day and table that has rows.
    /// Blocks the thread.
    ///
    /// # Errors
    /// Never because of data: an error is a bug in the declarations or options.
    pub fn write(
        &self,
        commit: u64,
        runs: Vec<FetchedRun>,
    ) -> Result<Vec<NewDataFile>, DataFilesError> {
        let mut days: BTreeMap<Option<i32>, Vec<FetchedRun>> = BTreeMap::new();
        for run in runs {
            days.entry(run.started_at.and_then(Timestamp::utc_day_number)).or_default().push(run);
        }
        let days = Mutex::new(days);
        let next = || days.lock().unwrap_or_else(PoisonError::into_inner).pop_first();
        let work = || {
            let mut parts = Vec::new();
            // Reused for all days of a thread: it has learned how much memory rows need.
            let mut normalizer = Normalizer::new(&self.mapping, self.export.clone(), commit);
            while let Some((_, mut runs)) = next() {
                runs.sort_by(|a, b| (a.started_at, &a.run_id).cmp(&(b.started_at, &b.run_id)));
                parts.extend(self.write_day(&mut normalizer, commit, runs)?);
            }
            Ok(parts)
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = (1..THREADS).map(|_| scope.spawn(work)).collect();
            let mut parts: Vec<NewDataFile> = work()?;
            for thread in threads {
                let done: Result<Vec<NewDataFile>, DataFilesError> = match thread.join() {
                    Ok(done) => done,
                    Err(panic) => std::panic::resume_unwind(panic),
                };
                parts.extend(done?);
            }
            Ok(parts)
        })
    }

    fn write_day(
        &self,
        normalizer: &mut Normalizer<'_>,
        commit: u64,
        runs: Vec<FetchedRun>,
    ) -> Result<Vec<NewDataFile>, DataFilesError> {
        let started = runs.first().and_then(|run| run.started_at);
        let started = started.zip(runs.last().and_then(|run| run.started_at));
        let has_revisions = runs.iter().any(|run| run.revision > 1);
        let options = DataFileOptions {
            compression_level: self.compression_level,
            commit,
            sync_id: self.sync_id.clone(),
            runs: u64::try_from(runs.len()).unwrap_or(u64::MAX),
        };
        let mut writers = Writers { mapping: &self.mapping, options, open: Vec::new() };
        for run in runs {
            normalizer.append(&run);
            // Free the bodies of a run as soon as its rows are built.
            drop(run);
            if normalizer.bytes() > BATCH_BYTES {
                writers.take(normalizer)?;
            }
        }
        writers.take(normalizer)?;
        let finish = |(table, writer): (&'static Table, DataFileWriter)| {
            let written = writer.finish()?;
            Ok(NewDataFile { table, written, started, has_revisions, replaces: None })
        };
        writers.open.into_iter().map(finish).collect()
    }
}

/// The data files of one day, one per table that has rows.
struct Writers<'m> {
    mapping: &'m Mapping,
    options: DataFileOptions,
    open: Vec<(&'static Table, DataFileWriter)>,
}

impl Writers<'_> {
    fn take(&mut self, normalizer: &mut Normalizer<'_>) -> Result<(), DataFilesError> {
        for batch in normalizer.finish()? {
            let found = self.open.iter().position(|(table, _)| table.name == batch.table.name);
            let index = if let Some(index) = found {
                index
            } else {
                let mapped = self.mapping.table(batch.table);
                let writer = DataFileWriter::for_rows(mapped, &batch.rows, &self.options)?;
                self.open.push((batch.table, writer));
                self.open.len() - 1
            };
            if let Some((_, writer)) = self.open.get_mut(index) {
                writer.write(&batch.rows)?;
            }
        }
        Ok(())
    }
}
