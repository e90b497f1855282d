//! The rows of some parts into one part for each table, as they are.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::Int64Type;
use arrow::error::ArrowError;

use super::CompactError;
use super::plan::{Bin, Shape};
use crate::digest::sha256_of_file;
use crate::lake::{
    CommitRange, MergedParts, Merging, Part, PartGroup, PartOptions, PartWriter, StagedFile,
    part_rows, part_schema,
};
use crate::tables::{Mapping, Table, find};

/// What merging parts needs to know.
#[derive(Clone, Debug)]
pub(super) struct Merge {
    pub(super) lake: PathBuf,
    pub(super) mapping: Arc<Mapping>,
    /// Rows of these runs' lower revisions are left out.
    pub(super) highest: Arc<HashMap<String, i64>>,
    pub(super) options: PartOptions,
}

/// Bodies can be large: few at once.
const BATCH_ROWS: usize = 64;

/// The columns of a group's tables, by what the parts say; `None`, and the part, where one cannot
/// be read.
pub(super) fn shape(lake: &Path, group: &PartGroup, damaged: &mut Vec<String>) -> Option<Shape> {
    let mut shape = Shape::new();
    for part in group.parts.values() {
        let Ok(schema) = part_schema(lake, part) else {
            damaged.push(part.path.clone());
            return None;
        };
        let columns = schema
            .fields()
            .iter()
            .map(|field| format!("{} {} {}", field.name(), field.data_type(), field.is_nullable()));
        shape.insert(part.table.clone(), columns.collect::<Vec<_>>().join(", "));
    }
    Some(shape)
}

impl Merge {
    /// Writes the parts. Returns how many rows of earlier revisions were left out.
    ///
    /// # Errors
    /// [`CompactError::DamagedPart`] where one of the old parts is not as it was written: what is
    /// merged must not hide it.
    pub(super) fn write(&self, bin: &Bin, merged: &mut MergedParts) -> Result<u64, CompactError> {
        let parts = bin.groups.iter().flat_map(|group| group.parts.values());
        for part in parts {
            let sha256 = sha256_of_file(&self.lake.join(&part.path));
            if sha256.ok().as_ref() != Some(&part.sha256) {
                return Err(CompactError::DamagedPart { path: part.path.clone() });
            }
        }
        let tables: BTreeSet<&str> =
            bin.groups.iter().flat_map(|group| group.parts.keys().map(String::as_str)).collect();
        let mut dropped = 0;
        for table in tables.into_iter().filter_map(find) {
            dropped += self.write_table(table, bin, merged)?;
        }
        Ok(dropped)
    }

    fn write_table(
        &self,
        table: &'static Table,
        bin: &Bin,
        merged: &mut MergedParts,
    ) -> Result<u64, CompactError> {
        let of_table =
            |group: &'_ PartGroup| Some((group.commits(), group.parts.get(table.name)?.clone()));
        let parts: Vec<(CommitRange, Part)> = bin.groups.iter().filter_map(of_table).collect();
        let Some((first, _)) = parts.first() else { return Ok(0) };
        let commits = parts.iter().fold(*first, |all, (commits, _)| all.and(*commits));
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
            let (file, rows, left_out) = self.write_rows(table, &parts, file)?;
            dropped = left_out;
            Ok::<_, CompactError>((file, rows))
        })?;
        Ok(dropped)
    }

    /// Returns how many rows were written, and how many left out.
    fn write_rows(
        &self,
        table: &'static Table,
        parts: &[(CommitRange, Part)],
        file: StagedFile,
    ) -> Result<(StagedFile, u64, u64), CompactError> {
        let Some((_, first)) = parts.first() else { return Ok((file, 0, 0)) };
        let schema = part_schema(&self.lake, first)?;
        let mapped = self.mapping.table(table);
        let mut writer = PartWriter::start(file, mapped, Arc::clone(&schema), &self.options)?;
        let (mut dropped, mut stated) = (0, 0);
        for (_, part) in parts {
            stated += part.rows;
            for batch in part_rows(&self.lake, part, BATCH_ROWS)? {
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
            return Err(CompactError::RowsDiffer { table: table.name, found, stated });
        }
        Ok((writer.finish()?, rows, dropped))
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
