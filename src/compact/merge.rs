//! Merging: writes the rows of several data files, unchanged, to one data file per table.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::Int64Type;
use arrow::error::ArrowError;
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;

use super::plan::{RewriteGroup, SchemaSignature};
use crate::job::JobError;
use crate::lake::{
    CommitRange, DataFile, DataFileOptions, DataFileWriter, FileGroup, LakeStore, MergedFiles,
    Merging, StagedFile, WrittenFile, data_file_rows, data_file_schema,
};
use crate::tables::{Mapping, Table, find};

/// Input of a merge.
#[derive(Clone, Debug)]
pub(super) struct Merge {
    pub(super) store: LakeStore,
    pub(super) mapping: Arc<Mapping>,
    /// The highest revision by run; rows of lower revisions of these runs are left out.
    pub(super) highest: Arc<HashMap<String, i64>>,
    pub(super) options: DataFileOptions,
}

/// Rows per batch: few, because bodies can be large.
const BATCH_ROWS: usize = 64;

/// The columns of a group's tables, as its data files state them. If a data file cannot be read,
/// adds it to `damaged` and returns `None`.
pub(super) fn shape(
    store: &LakeStore,
    group: &FileGroup,
    damaged: &mut Vec<String>,
) -> Option<SchemaSignature> {
    let mut shape = SchemaSignature::new();
    for part in group.parts.values() {
        let Ok(schema) = data_file_schema(store, part) else {
            damaged.push(part.path.clone());
            return None;
        };
        // With the field ids: a column whose type changed and changed back has another one.
        let columns = schema.fields().iter().map(|field| {
            let id = field.metadata().get(PARQUET_FIELD_ID_META_KEY).map_or("", String::as_str);
            format!("{} {} {} {id}", field.name(), field.data_type(), field.is_nullable())
        });
        shape.insert(part.table.clone(), columns.collect::<Vec<_>>().join(", "));
    }
    Some(shape)
}

impl Merge {
    /// Writes the merged data files. Returns the number of rows of older revisions that were left
    /// out.
    ///
    /// # Errors
    /// [`JobError::DamagedPart`] if one of the old data files was changed after it was written: a merge
    /// would give changed rows a new, valid SHA-256 and so hide the damage.
    pub(super) fn write(
        &self,
        rewrite: &RewriteGroup,
        merged: &mut MergedFiles,
    ) -> Result<u64, JobError> {
        let parts = rewrite.groups.iter().flat_map(|group| group.parts.values());
        for part in parts {
            let sha256 = self.store.sha256(&part.path);
            if sha256.ok().flatten().as_ref() != Some(&part.sha256) {
                return Err(JobError::DamagedPart { path: part.path.clone() });
            }
        }
        let tables: BTreeSet<&str> = rewrite
            .groups
            .iter()
            .flat_map(|group| group.parts.keys().map(String::as_str))
            .collect();
        let mut dropped = 0;
        for table in tables.into_iter().filter_map(find) {
            dropped += self.write_table(table, rewrite, merged)?;
        }
        Ok(dropped)
    }

    fn write_table(
        &self,
        table: &'static Table,
        rewrite: &RewriteGroup,
        merged: &mut MergedFiles,
    ) -> Result<u64, JobError> {
        let of_table =
            |group: &'_ FileGroup| Some((group.commits(), group.parts.get(table.name)?.clone()));
        let parts: Vec<(CommitRange, DataFile)> =
            rewrite.groups.iter().filter_map(of_table).collect();
        let Some((of_first, first)) = parts.first() else { return Ok(0) };
        let commits = parts.iter().fold(*of_first, |all, (commits, _)| all.and(*commits));
        let earliest = parts.iter().filter_map(|(_, part)| part.least_started_at).min();
        let latest = parts.iter().filter_map(|(_, part)| part.greatest_started_at).max();
        let merging = Merging {
            table,
            commits,
            started: earliest.zip(latest),
            has_revisions: parts.iter().any(|(_, part)| part.has_revisions),
        };
        let mut dropped = 0;
        merged.add(merging, |file| {
            let (written, left_out) = self.write_rows(table, &parts, first, file)?;
            dropped = left_out;
            Ok::<_, JobError>(written)
        })?;
        Ok(dropped)
    }

    /// Writes the rows of one table. Returns the file, and how many rows were left out.
    fn write_rows(
        &self,
        table: &'static Table,
        parts: &[(CommitRange, DataFile)],
        first: &DataFile,
        file: StagedFile,
    ) -> Result<(WrittenFile<StagedFile>, u64), JobError> {
        let schema = data_file_schema(&self.store, first)?;
        let mapped = self.mapping.table(table);
        let mut writer = DataFileWriter::start(file, mapped, Arc::clone(&schema), &self.options)?;
        let (mut dropped, mut stated) = (0, 0);
        for (_, part) in parts {
            stated += part.rows;
            for batch in data_file_rows(&self.store, part, BATCH_ROWS)? {
                let batch = batch?;
                let columns = batch.columns().to_vec();
                let batch = RecordBatch::try_new(Arc::clone(&schema), columns)?;
                let kept = self.without_older_revisions(&batch)?;
                dropped += count(batch.num_rows()) - count(kept.num_rows());
                writer.write(&kept)?;
            }
        }
        let rows = writer.rows();
        if rows + dropped != stated {
            let found = rows + dropped;
            return Err(JobError::RowsDiffer { table: table.name, found, stated });
        }
        Ok((writer.finish()?, dropped))
    }

    fn without_older_revisions(&self, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        if self.highest.is_empty() {
            return Ok(batch.clone());
        }
        let missing =
            |name: &str| ArrowError::SchemaError(format!("a part has no usable `{name}`"));
        let run_ids = batch.column_by_name("run_id").and_then(|array| array.as_string_opt::<i32>());
        let run_ids = run_ids.ok_or_else(|| missing("run_id"))?;
        let revisions = batch
            .column_by_name("_revision")
            .and_then(|array| array.as_primitive_opt::<Int64Type>())
            .ok_or_else(|| missing("_revision"))?;
        let is_latest = |row: usize| {
            let highest = self.highest.get(run_ids.value(row));
            highest.is_none_or(|highest| revisions.value(row) >= *highest)
        };
        let keep: BooleanArray = (0..run_ids.len()).map(|row| Some(is_latest(row))).collect();
        filter_record_batch(batch, &keep)
    }
}

fn count(rows: usize) -> u64 {
    u64::try_from(rows).unwrap_or(u64::MAX)
}
