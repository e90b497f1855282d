//! A checkpoint of the live files as one Parquet file, so that a reader of the snapshot does not
//! read all commits.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, StringArray, UInt64Array,
};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, UInt64Type};
use arrow::error::ArrowError;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::ChunkReader;

use super::{CommitFile, CommitRange, DataFile, LiveFile};
use crate::time::Timestamp;

const COLUMNS: [(&str, DataType); 12] = [
    ("commit", DataType::UInt64),
    ("path", DataType::Utf8),
    ("table", DataType::Utf8),
    ("rows", DataType::UInt64),
    ("bytes", DataType::UInt64),
    ("sha256", DataType::Utf8),
    ("least_started_at", DataType::Int64),
    ("greatest_started_at", DataType::Int64),
    ("has_revisions", DataType::Boolean),
    ("merged_least", DataType::UInt64),
    ("merged_greatest", DataType::UInt64),
    (STATISTICS, DataType::Utf8),
];

/// The column of the statistics, as the JSON of the commit file. Most readers leave it out: it is
/// the largest part.
const STATISTICS: &str = "statistics";

/// Rows of a row group: the writer keeps one in memory.
const GROUP_ROWS: usize = 16_384;

/// Rows that are written or read at once.
const BATCH_ROWS: usize = 8192;

/// What a sequence of commits adds to the live files, and removes from them.
#[derive(Debug, Default)]
pub(super) struct LiveFileChanges {
    added: BTreeMap<String, LiveFile>,
    removed: HashSet<String>,
}

impl LiveFileChanges {
    /// Adds the changes of the next commit.
    pub(super) fn apply(&mut self, commit: &CommitFile) {
        for path in commit.superseded() {
            self.added.remove(path);
            self.removed.insert(path.to_owned());
        }
        for part in commit.all_parts() {
            self.removed.insert(part.path.clone());
            let live = LiveFile { commit: commit.commit, part: part.clone() };
            self.added.insert(part.path.clone(), live);
        }
    }

    /// Whether the changes take so much memory that they should be written.
    pub(super) fn are_many(&self) -> bool {
        const MANY: usize = 16_384;
        self.added.len() >= MANY
    }

    /// The checkpoint after these changes, from the one before them. The old one is copied batch by
    /// batch: a lake that was never compacted has hundreds of thousands of files.
    pub(super) fn write(
        self,
        old: Option<impl ChunkReader + 'static>,
    ) -> Result<Vec<u8>, ParquetError> {
        let schema = schema();
        let compression = Compression::ZSTD(ZstdLevel::try_new(1)?);
        let properties = WriterProperties::builder()
            .set_compression(compression)
            .set_max_row_group_row_count(Some(GROUP_ROWS))
            .build();
        let mut writer = ArrowWriter::try_new(Vec::new(), Arc::clone(&schema), Some(properties))?;
        if let Some(old) = old {
            let reader = ParquetRecordBatchReaderBuilder::try_new(old)?;
            for batch in reader.with_batch_size(BATCH_ROWS).build()? {
                let batch = batch?;
                let paths = column(&batch, "path")?.as_string::<i32>();
                let stays: BooleanArray = paths
                    .iter()
                    .map(|path| Some(!path.is_some_and(|it| self.removed.contains(it))))
                    .collect();
                let kept = filter_record_batch(&batch, &stays)?;
                // The fields read have the same names and types, and other metadata.
                let kept = RecordBatch::try_new(Arc::clone(&schema), kept.columns().to_vec())?;
                writer.write(&kept)?;
            }
        }
        let added: Vec<LiveFile> = self.added.into_values().collect();
        for chunk in added.chunks(BATCH_ROWS) {
            writer.write(&RecordBatch::try_new(Arc::clone(&schema), arrays(chunk)?)?)?;
        }
        writer.into_inner()
    }
}

/// Numbers of the live files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LakeTotals {
    /// Live data files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Their rows, by table.
    pub rows: BTreeMap<String, u64>,
}

impl LakeTotals {
    fn add(&mut self, table: &str, bytes: u64, rows: u64) {
        self.files += 1;
        self.bytes += bytes;
        match self.rows.get_mut(table) {
            Some(sum) => *sum += rows,
            None => {
                self.rows.insert(table.to_owned(), rows);
            }
        }
    }
}

impl LiveFileChanges {
    /// The totals after these changes, given the checkpoint before them. Keeps no file in memory.
    pub(super) fn totals(
        &self,
        old: Option<impl ChunkReader + 'static>,
    ) -> Result<LakeTotals, ParquetError> {
        let mut totals = LakeTotals::default();
        if let Some(old) = old {
            let builder = ParquetRecordBatchReaderBuilder::try_new(old)?;
            let wanted = ["path", "table", "rows", "bytes"];
            let wanted = ProjectionMask::columns(builder.parquet_schema(), wanted);
            for batch in builder.with_projection(wanted).with_batch_size(BATCH_ROWS).build()? {
                let batch = batch?;
                let (paths, tables) = (column(&batch, "path")?, column(&batch, "table")?);
                let (paths, tables) = (paths.as_string::<i32>(), tables.as_string::<i32>());
                let (rows, bytes) = (column(&batch, "rows")?, column(&batch, "bytes")?);
                let rows = rows.as_primitive::<UInt64Type>();
                let bytes = bytes.as_primitive::<UInt64Type>();
                for row in 0..batch.num_rows() {
                    if !self.removed.contains(paths.value(row)) {
                        totals.add(tables.value(row), bytes.value(row), rows.value(row));
                    }
                }
            }
        }
        for LiveFile { part, .. } in self.added.values() {
            totals.add(&part.table, part.bytes, part.rows);
        }
        Ok(totals)
    }
}

fn schema() -> SchemaRef {
    let field = |(name, kind): &(&str, DataType)| Field::new(*name, kind.clone(), true);
    Arc::new(Schema::new(COLUMNS.iter().map(field).collect::<Vec<_>>()))
}

fn arrays(files: &[LiveFile]) -> Result<Vec<ArrayRef>, ParquetError> {
    let text = |value: &dyn Fn(&DataFile) -> &str| -> ArrayRef {
        Arc::new(files.iter().map(|live| Some(value(&live.part))).collect::<StringArray>())
    };
    let number = |value: &dyn Fn(&DataFile) -> Option<u64>| -> ArrayRef {
        Arc::new(files.iter().map(|live| value(&live.part)).collect::<UInt64Array>())
    };
    let time = |value: &dyn Fn(&DataFile) -> Option<i64>| -> ArrayRef {
        Arc::new(files.iter().map(|live| value(&live.part)).collect::<Int64Array>())
    };
    let statistics = files.iter().map(|live| live.part.statistics.as_ref());
    let statistics = statistics.map(|found| found.map(serde_json::to_string).transpose());
    let statistics = statistics.collect::<Result<StringArray, _>>();
    let has_revisions = files.iter().map(|live| Some(live.part.has_revisions));
    Ok(vec![
        Arc::new(files.iter().map(|live| Some(live.commit)).collect::<UInt64Array>()),
        text(&|part| &part.path),
        text(&|part| &part.table),
        number(&|part| Some(part.rows)),
        number(&|part| Some(part.bytes)),
        text(&|part| &part.sha256),
        time(&|part| part.least_started_at.map(Timestamp::as_micros)),
        time(&|part| part.greatest_started_at.map(Timestamp::as_micros)),
        Arc::new(has_revisions.collect::<BooleanArray>()),
        number(&|part| part.merged.map(|range| range.least)),
        number(&|part| part.merged.map(|range| range.greatest)),
        Arc::new(statistics.map_err(|error| ParquetError::External(Box::new(error)))?),
    ])
}

/// The files of a checkpoint, without their statistics.
pub(super) fn read(file: impl ChunkReader + 'static) -> Result<Vec<LiveFile>, ParquetError> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(file)?;
    let wanted = COLUMNS.iter().map(|(name, _)| *name).filter(|name| *name != STATISTICS);
    let wanted = ProjectionMask::columns(builder.parquet_schema(), wanted);
    let mut files = Vec::new();
    for batch in builder.with_projection(wanted).with_batch_size(BATCH_ROWS).build()? {
        files.extend(read_batch(&batch?)?);
    }
    Ok(files)
}

fn read_batch(batch: &RecordBatch) -> Result<Vec<LiveFile>, ArrowError> {
    let text = |name| Ok::<_, ArrowError>(column(batch, name)?.as_string::<i32>());
    let number = |name| Ok::<_, ArrowError>(column(batch, name)?.as_primitive::<UInt64Type>());
    let time = |name| Ok::<_, ArrowError>(column(batch, name)?.as_primitive::<Int64Type>());
    let (commit, rows, bytes) = (number("commit")?, number("rows")?, number("bytes")?);
    let (path, table, sha256) = (text("path")?, text("table")?, text("sha256")?);
    let (least, greatest) = (time("least_started_at")?, time("greatest_started_at")?);
    let (merged_least, merged_greatest) = (number("merged_least")?, number("merged_greatest")?);
    let has_revisions = column(batch, "has_revisions")?.as_boolean();
    let known = |array: &Int64Array, row| {
        array.is_valid(row).then(|| Timestamp::from_micros(array.value(row)))
    };
    let file = |row: usize| LiveFile {
        commit: commit.value(row),
        part: DataFile {
            table: table.value(row).to_owned(),
            path: path.value(row).to_owned(),
            rows: rows.value(row),
            bytes: bytes.value(row),
            sha256: sha256.value(row).to_owned(),
            least_started_at: known(least, row),
            greatest_started_at: known(greatest, row),
            has_revisions: has_revisions.value(row),
            replaces: None,
            merged: merged_least.is_valid(row).then(|| CommitRange {
                least: merged_least.value(row),
                greatest: merged_greatest.value(row),
            }),
            statistics: None,
        },
    };
    Ok((0..batch.num_rows()).map(file).collect())
}

/// A column of the declared type.
fn column<'b>(batch: &'b RecordBatch, name: &str) -> Result<&'b ArrayRef, ArrowError> {
    let kind = COLUMNS.iter().find(|(column, _)| *column == name).map(|(_, kind)| kind);
    let found = batch.column_by_name(name).filter(|array| Some(array.data_type()) == kind);
    found.ok_or_else(|| {
        ArrowError::SchemaError(format!("the list of files has no usable column `{name}`"))
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;

    use super::*;
    use crate::lake::{Bound, ColumnStatistics, FileStatistics};

    fn file(name: &str) -> DataFile {
        DataFile {
            table: "runs".to_owned(),
            path: format!("runs/date=2026-11-23/{name}.parquet"),
            rows: 3,
            bytes: 4000,
            sha256: "a".repeat(64),
            least_started_at: Some(Timestamp::from_micros(7)),
            greatest_started_at: None,
            has_revisions: name.len() > 1,
            replaces: None,
            merged: (name.len() > 1).then_some(CommitRange { least: 1, greatest: 2 }),
            statistics: None,
        }
    }

    fn commit(number: u64, parts: &[DataFile], removed: &[&str]) -> CommitFile {
        let removed: Vec<String> =
            removed.iter().map(|name| format!("runs/date=2026-11-23/{name}.parquet")).collect();
        serde_json::from_value(json!({
            "commit": number, "sync_id": "a", "created_at": 7, "schema_version": "1.0",
            "staging": "a", "parts": parts, "replaced": [], "ledger_changes": [],
            "removed": removed, "ledger_checkpoint": null, "proven": [], "gaps": [],
            "contents": {}, "sync": null,
        }))
        .unwrap()
    }

    /// However the commits are divided among checkpoints, the last one holds the live files.
    #[test]
    fn a_checkpoint_is_the_snapshot() {
        let mut second = file("b");
        second.statistics = Some(FileStatistics {
            split_offsets: vec![4],
            columns: vec![ColumnStatistics {
                field_id: 1,
                bytes: 9,
                nulls: 0,
                lower_bound: Some(Bound::Boolean(false)),
                upper_bound: None,
            }],
        });
        let moved = DataFile { replaces: Some(file("c").path), ..file("d") };
        let commits = [
            commit(1, &[file("a"), second], &[]),
            commit(2, &[file("c")], &[]),
            commit(3, &[file("merged")], &["a"]),
            commit(4, &[moved], &[]),
            commit(5, &[], &["merged"]),
        ];
        let whole = [(1, "b"), (4, "d")];
        for split in 0..=commits.len() {
            let write = |commits: &[CommitFile], old| {
                let mut changes = LiveFileChanges::default();
                for commit in commits {
                    changes.apply(commit);
                }
                Bytes::from(changes.write(old).unwrap())
            };
            let first = write(&commits[..split], None);
            let bytes = write(&commits[split..], Some(first.clone()));
            let found = read(bytes.clone()).unwrap();
            let expected = whole.map(|(commit, name)| LiveFile { commit, part: file(name) });
            assert_eq!(found, expected, "{split}");
            let rows = BTreeMap::from([("runs".to_owned(), 6)]);
            let totals = LakeTotals { files: 2, bytes: 8000, rows };
            let none = LiveFileChanges::default();
            assert_eq!(none.totals(Some(bytes.clone())).unwrap(), totals, "{split}");
            let mut later = LiveFileChanges::default();
            for commit in &commits[split..] {
                later.apply(commit);
            }
            assert_eq!(later.totals(Some(first)).unwrap(), totals, "{split}");
            // The statistics are kept for those who need them.
            let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap().build().unwrap();
            let texts: Vec<Option<String>> = reader
                .flat_map(|batch| {
                    let batch = batch.unwrap();
                    let column = batch.column_by_name(STATISTICS).unwrap().as_string::<i32>();
                    column.iter().map(|text| text.map(str::to_owned)).collect::<Vec<_>>()
                })
                .collect();
            let stated = r#"{"split_offsets":[4],"columns":[[1,9,0,false,null]]}"#;
            assert_eq!(texts, [Some(stated.to_owned()), None], "{split}");
        }
    }
}
