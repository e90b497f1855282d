//! Runs into the parts of one commit: by day, in order of their start.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::runtime::Handle;

use super::SyncError;
use crate::extract::DAY;
use crate::lake::{PartOptions, PartWriter, Staging};
use crate::normalize::{Normalizer, Stamp};
use crate::run::FetchedRun;
use crate::tables::{Mapping, Table};

/// Rows are handed from the normalizer to Parquet when they hold about this much memory.
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// What every chunk of a sync is written with.
#[derive(Clone, Debug)]
pub(super) struct ChunkWriter {
    pub(super) mapping: Arc<Mapping>,
    pub(super) stamp: Stamp,
    pub(super) sync_id: String,
    pub(super) compression_level: i32,
}

impl ChunkWriter {
    /// Writes all rows of some runs. For a thread that may block.
    pub(super) fn write(
        &self,
        mut staging: Staging,
        runs: Vec<FetchedRun>,
        runtime: &Handle,
    ) -> Result<Staging, SyncError> {
        let mut days: BTreeMap<Option<i64>, Vec<FetchedRun>> = BTreeMap::new();
        for run in runs {
            days.entry(run.started_at.map(|start| start.div_euclid(DAY))).or_default().push(run);
        }
        for (_, mut runs) in days {
            runs.sort_by(|a, b| (a.started_at, &a.run_id).cmp(&(b.started_at, &b.run_id)));
            self.write_day(&mut staging, runs, runtime)?;
        }
        Ok(staging)
    }

    fn write_day(
        &self,
        staging: &mut Staging,
        runs: Vec<FetchedRun>,
        runtime: &Handle,
    ) -> Result<(), SyncError> {
        let started = runs.first().and_then(|run| run.started_at);
        let started = started.zip(runs.last().and_then(|run| run.started_at));
        let has_revisions = runs.iter().any(|run| run.revision > 1);
        let options = PartOptions {
            compression_level: self.compression_level,
            commit: staging.commit(),
            sync_id: self.sync_id.clone(),
            runs: u64::try_from(runs.len()).unwrap_or(u64::MAX),
        };
        let stamp = Stamp { commit: staging.commit(), ..self.stamp.clone() };
        let mut normalizer = Normalizer::new(&self.mapping, stamp);
        let mut writers = Writers { mapping: &self.mapping, options, open: Vec::new() };
        for run in runs {
            normalizer.append(&run);
            // A run's bodies are let go as soon as its rows are made.
            drop(run);
            if normalizer.bytes() > BATCH_BYTES {
                writers.take(&mut normalizer)?;
            }
        }
        writers.take(&mut normalizer)?;
        for (table, writer) in writers.open {
            let rows = writer.rows();
            let bytes = writer.finish()?;
            runtime.block_on(staging.add(table, rows, bytes, started, has_revisions))?;
        }
        Ok(())
    }
}

/// The parts of one day, one per table that has rows.
struct Writers<'m> {
    mapping: &'m Mapping,
    options: PartOptions,
    open: Vec<(&'static Table, PartWriter)>,
}

impl Writers<'_> {
    fn take(&mut self, normalizer: &mut Normalizer<'_>) -> Result<(), SyncError> {
        for batch in normalizer.finish()? {
            let found = self.open.iter().position(|(table, _)| table.name == batch.table.name);
            let index = if let Some(index) = found { index } else {
                let writer = PartWriter::new(self.mapping.table(batch.table), &self.options)?;
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
