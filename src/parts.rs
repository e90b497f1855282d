//! Runs into the parts of one commit: by day, in order of their start.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::extract::DAY;
use crate::lake::{LakeError, NewPart, PartOptions, PartWriter};
use crate::normalize::{Normalizer, Stamp};
use crate::run::FetchedRun;
use crate::tables::{Mapping, Table};

/// Rows are handed from the normalizer to Parquet when they hold about this much memory.
const BATCH_BYTES: usize = 1024 * 1024;

/// Why no parts could be made of some runs.
#[derive(Debug, thiserror::Error)]
pub enum PartsError {
    /// A Parquet file cannot be made.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// Rows that do not fit their own declaration: a fault of this program.
    #[error("failed to make rows: {0}")]
    Rows(#[from] arrow::error::ArrowError),
}

/// What the parts of a commit are written with.
#[derive(Clone, Debug)]
pub struct ChunkWriter {
    /// What a row is.
    pub mapping: Arc<Mapping>,
    /// What every row carries.
    pub stamp: Stamp,
    /// The sync that makes the parts.
    pub sync_id: String,
    /// The zstd level.
    pub compression_level: i32,
}

/// Days that are written at once: more would need more memory, and rarely be faster.
const THREADS: usize = 2;

impl ChunkWriter {
    /// Makes all parts of some runs: one for each day and table that has rows. For a thread that
    /// may block.
    ///
    /// # Errors
    /// Never on data: an error here is a fault of the declarations or of the options.
    pub fn write(&self, runs: Vec<FetchedRun>) -> Result<Vec<NewPart>, PartsError> {
        let mut days: BTreeMap<Option<i64>, Vec<FetchedRun>> = BTreeMap::new();
        for run in runs {
            days.entry(run.started_at.map(|start| start.div_euclid(DAY))).or_default().push(run);
        }
        let days = Mutex::new(days);
        let next = || days.lock().unwrap_or_else(PoisonError::into_inner).pop_first();
        let work = || {
            let mut parts = Vec::new();
            // One for all days of a thread: it knows by then how much room rows take.
            let mut normalizer = Normalizer::new(&self.mapping, self.stamp.clone());
            while let Some((_, mut runs)) = next() {
                runs.sort_by(|a, b| (a.started_at, &a.run_id).cmp(&(b.started_at, &b.run_id)));
                parts.extend(self.write_day(&mut normalizer, runs)?);
            }
            Ok(parts)
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = (1..THREADS).map(|_| scope.spawn(work)).collect();
            let mut parts: Vec<NewPart> = work()?;
            for thread in threads {
                let done: Result<Vec<NewPart>, PartsError> = match thread.join() {
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
        runs: Vec<FetchedRun>,
    ) -> Result<Vec<NewPart>, PartsError> {
        let started = runs.first().and_then(|run| run.started_at);
        let started = started.zip(runs.last().and_then(|run| run.started_at));
        let has_revisions = runs.iter().any(|run| run.revision > 1);
        let options = PartOptions {
            compression_level: self.compression_level,
            commit: self.stamp.commit,
            sync_id: self.sync_id.clone(),
            runs: u64::try_from(runs.len()).unwrap_or(u64::MAX),
        };
        let mut writers = Writers { mapping: &self.mapping, options, open: Vec::new() };
        for run in runs {
            normalizer.append(&run);
            // A run's bodies are let go as soon as its rows are made.
            drop(run);
            if normalizer.bytes() > BATCH_BYTES {
                writers.take(normalizer)?;
            }
        }
        writers.take(normalizer)?;
        let finish = |(table, writer): (&'static Table, PartWriter)| {
            let rows = writer.rows();
            let bytes = writer.finish()?;
            Ok(NewPart { table, rows, bytes, started, has_revisions, replaces: None })
        };
        writers.open.into_iter().map(finish).collect()
    }
}

/// The parts of one day, one per table that has rows.
struct Writers<'m> {
    mapping: &'m Mapping,
    options: PartOptions,
    open: Vec<(&'static Table, PartWriter)>,
}

impl Writers<'_> {
    fn take(&mut self, normalizer: &mut Normalizer<'_>) -> Result<(), PartsError> {
        for batch in normalizer.finish()? {
            let found = self.open.iter().position(|(table, _)| table.name == batch.table.name);
            let index = if let Some(index) = found {
                index
            } else {
                let mapped = self.mapping.table(batch.table);
                let writer = PartWriter::for_rows(mapped, &batch.rows, &self.options)?;
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
