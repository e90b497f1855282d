//! A checkpoint of the ledger, so that opening a lake does not require reading all commits: one Parquet
//! file with the entries that are kept in memory, whose metadata name the shards with all others.
//! A shard is a Parquet file of the same columns.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, Int64Array, RecordBatch, StringArray, UInt32Array, UInt64Array,
};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use serde::{Deserialize, Serialize};

use crate::ledger::{DocumentStates, Entries, Entry, RunState, Shard};
use crate::run::DocumentState;
use crate::time::Timestamp;

const COLUMNS: [(&str, DataType); 17] = [
    ("run_id", DataType::Utf8),
    ("state", DataType::Utf8),
    ("status", DataType::Utf8),
    ("started_at", DataType::Int64),
    ("ended_at", DataType::Int64),
    ("first_listed_at", DataType::Int64),
    ("row_fingerprint", DataType::UInt64),
    ("content_fingerprint", DataType::UInt64),
    ("revision", DataType::Int64),
    ("commit", DataType::UInt64),
    ("detail", DataType::Utf8),
    ("trace", DataType::Utf8),
    ("evaluation", DataType::Utf8),
    ("tool_calls", DataType::Utf8),
    ("failures", DataType::UInt32),
    ("check_at", DataType::Int64),
    ("problem", DataType::Utf8),
];

/// The metadata of a checkpoint that name its shards. Checkpoints without shards have none, as those
/// of versions that did not know shards.
const SHARDS: &str = "armature.shards";

/// The shards of a checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ShardIndex {
    /// All shards.
    pub(super) shards: Vec<Shard>,
    /// Shards that later ones replaced, and whose files stay for a while, as a process that opened the
    /// lake earlier may still read them.
    pub(super) replaced: Vec<ReplacedShard>,
}

/// A shard that was replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ReplacedShard {
    /// The name of its files, without their extension.
    pub(super) name: String,
    /// When the commit was made whose checkpoint replaced it.
    pub(super) at: Timestamp,
}

impl ShardIndex {
    fn is_empty(&self) -> bool {
        self.shards.is_empty() && self.replaced.is_empty()
    }
}

/// Encodes a checkpoint of the ledger, or a shard, whose index is empty.
pub(super) fn write(entries: &Entries, index: &ShardIndex) -> Result<Vec<u8>, ParquetError> {
    let fields: Vec<Field> =
        COLUMNS.iter().map(|(name, kind)| Field::new(*name, kind.clone(), true)).collect();
    let schema = Arc::new(Schema::new(fields));
    let level = ZstdLevel::try_new(1)?;
    let mut properties = WriterProperties::builder().set_compression(Compression::ZSTD(level));
    if !index.is_empty() {
        let text = serde_json::to_string(index).map_err(external)?;
        let named = KeyValue::new(SHARDS.to_owned(), text);
        properties = properties.set_key_value_metadata(Some(vec![named]));
    }
    let properties = Some(properties.build());
    let mut writer = ArrowWriter::try_new(Vec::new(), Arc::clone(&schema), properties)?;
    let mut entries = entries.sorted();
    loop {
        let chunk: Vec<(&str, Entry)> = entries.by_ref().take(8192).collect();
        if chunk.is_empty() {
            break;
        }
        writer.write(&RecordBatch::try_new(Arc::clone(&schema), columns(&chunk))?)?;
    }
    writer.into_inner()
}

fn external(error: serde_json::Error) -> ParquetError {
    ParquetError::External(Box::new(error))
}

fn columns(entries: &[(&str, Entry)]) -> Vec<ArrayRef> {
    let text = |value: &dyn Fn(&Entry) -> Option<&str>| -> ArrayRef {
        Arc::new(entries.iter().map(|(_, entry)| value(entry)).collect::<StringArray>())
    };
    let time = |value: &dyn Fn(&Entry) -> Option<Timestamp>| -> ArrayRef {
        let times = entries.iter().map(|(_, entry)| value(entry).map(Timestamp::as_micros));
        Arc::new(times.collect::<Int64Array>())
    };
    let revisions = entries.iter().map(|(_, entry)| Some(entry.revision));
    let number = |value: &dyn Fn(&Entry) -> u64| -> ArrayRef {
        Arc::new(entries.iter().map(|(_, entry)| Some(value(entry))).collect::<UInt64Array>())
    };
    vec![
        Arc::new(entries.iter().map(|(run_id, _)| Some(*run_id)).collect::<StringArray>()),
        text(&|entry| Some(entry.state.name())),
        text(&|entry| entry.status.as_deref()),
        time(&|entry| entry.started_at),
        time(&|entry| entry.ended_at),
        time(&|entry| Some(entry.first_listed_at)),
        number(&|entry| entry.row_fingerprint),
        number(&|entry| entry.content_fingerprint),
        Arc::new(revisions.collect::<Int64Array>()),
        number(&|entry| entry.commit),
        text(&|entry| Some(entry.documents.detail.name())),
        text(&|entry| Some(entry.documents.trace.name())),
        text(&|entry| Some(entry.documents.evaluation.name())),
        text(&|entry| Some(entry.documents.tool_calls.name())),
        Arc::new(entries.iter().map(|(_, entry)| Some(entry.failures)).collect::<UInt32Array>()),
        time(&|entry| entry.check_at),
        text(&|entry| entry.problem.as_deref()),
    ]
}

/// Decodes what [`write`] encoded.
pub(super) fn read(bytes: Bytes) -> Result<(Entries, ShardIndex), ParquetError> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes)?;
    let metadata = builder.metadata().file_metadata();
    let runs = usize::try_from(metadata.num_rows()).unwrap_or_default();
    let named = metadata.key_value_metadata().into_iter().flatten();
    let text = named.filter(|pair| pair.key == SHARDS).find_map(|pair| pair.value.as_deref());
    let index = text.map(serde_json::from_str).transpose().map_err(external)?.unwrap_or_default();
    let mut entries = Entries::with_capacity(runs);
    for batch in builder.with_batch_size(8192).build()? {
        entries.apply(rows(&batch?)?);
    }
    Ok((entries, index))
}

fn rows(batch: &RecordBatch) -> Result<Vec<(String, Option<Entry>)>, ParquetError> {
    let run_ids = column::<StringArray>(batch, "run_id")?;
    let state = column::<StringArray>(batch, "state")?;
    let status = column::<StringArray>(batch, "status")?;
    let started_at = column::<Int64Array>(batch, "started_at")?;
    let ended_at = column::<Int64Array>(batch, "ended_at")?;
    let first_listed_at = column::<Int64Array>(batch, "first_listed_at")?;
    let row_fingerprint = column::<UInt64Array>(batch, "row_fingerprint")?;
    let content_fingerprint = column::<UInt64Array>(batch, "content_fingerprint")?;
    let revision = column::<Int64Array>(batch, "revision")?;
    let commit = column::<UInt64Array>(batch, "commit")?;
    let detail = column::<StringArray>(batch, "detail")?;
    let trace = column::<StringArray>(batch, "trace")?;
    let evaluation = column::<StringArray>(batch, "evaluation")?;
    let tool_calls = column::<StringArray>(batch, "tool_calls")?;
    let failures = column::<UInt32Array>(batch, "failures")?;
    let check_at = column::<Int64Array>(batch, "check_at")?;
    let problem = column::<StringArray>(batch, "problem")?;
    let text = |array: &StringArray, row| array.is_valid(row).then(|| Arc::from(array.value(row)));
    let time = |array: &Int64Array, row| {
        array.is_valid(row).then(|| Timestamp::from_micros(array.value(row)))
    };
    let entry = |row: usize| -> Result<(String, Option<Entry>), ParquetError> {
        let documents = DocumentStates {
            detail: document_state(detail.value(row))?,
            trace: document_state(trace.value(row))?,
            evaluation: document_state(evaluation.value(row))?,
            tool_calls: document_state(tool_calls.value(row))?,
        };
        let entry = Entry {
            state: run_state(state.value(row))?,
            status: text(status, row),
            started_at: time(started_at, row),
            ended_at: time(ended_at, row),
            first_listed_at: Timestamp::from_micros(first_listed_at.value(row)),
            row_fingerprint: row_fingerprint.value(row),
            content_fingerprint: content_fingerprint.value(row),
            revision: revision.value(row),
            commit: commit.value(row),
            documents,
            failures: failures.value(row),
            check_at: time(check_at, row),
            problem: text(problem, row),
        };
        Ok((run_ids.value(row).to_owned(), Some(entry)))
    };
    (0..batch.num_rows()).map(entry).collect()
}

fn column<'a, T: Array + 'static>(batch: &'a RecordBatch, name: &str) -> Result<&'a T, ArrowError> {
    let array = batch.column_by_name(name).and_then(|array| array.as_any().downcast_ref::<T>());
    array
        .ok_or_else(|| ArrowError::SchemaError(format!("the ledger has no usable column `{name}`")))
}

fn run_state(name: &str) -> Result<RunState, ParquetError> {
    let found = RunState::ALL.into_iter().find(|state| state.name() == name);
    found.ok_or_else(|| ParquetError::General(format!("unknown run state `{name}`")))
}

fn document_state(name: &str) -> Result<DocumentState, ParquetError> {
    use DocumentState::{Absent, Failed, Ok as Have, Partial, Pending};
    let found =
        [Pending, Have, Partial, Absent, Failed].into_iter().find(|state| state.name() == name);
    found.ok_or_else(|| ParquetError::General(format!("unknown document state `{name}`")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::ShardBounds;

    #[test]
    fn a_checkpoint_is_the_ledger() {
        let entry = |number: i64| Entry {
            state: RunState::ALL[usize::try_from(number % 5).unwrap()],
            status: (number % 2 == 0).then(|| "pass".into()),
            started_at: (number % 3 > 0).then_some(Timestamp::from_micros(number)),
            ended_at: None,
            first_listed_at: Timestamp::from_micros(number),
            row_fingerprint: u64::MAX - 1,
            content_fingerprint: 7,
            revision: 1,
            commit: 3,
            documents: DocumentStates { evaluation: DocumentState::Absent, ..Default::default() },
            failures: 2,
            check_at: Some(Timestamp::from_micros(9)),
            problem: (number % 5 == 3).then(|| "answered 503".into()),
        };
        let mut entries = Entries::default();
        entries.apply((0..20_000).map(|number| (format!("run '{number}'\n"), Some(entry(number)))));
        let none = ShardIndex::default();
        let bytes = write(&entries, &none).unwrap();
        assert_eq!(read(Bytes::from(bytes)).unwrap(), (entries.clone(), none));

        let at = Timestamp::from_micros;
        let bounds = ShardBounds {
            runs: 7,
            least_started_at: at(-1),
            greatest_started_at: at(4),
            least_check_at: None,
            least_reach_from: at(3),
        };
        let shard = Shard {
            name: "00000002-a".to_owned(),
            sha256: "b".to_owned(),
            filter_sha256: "c".to_owned(),
            bounds,
        };
        let replaced = ReplacedShard { name: "00000001-a".to_owned(), at: at(5) };
        let index = ShardIndex { shards: vec![shard], replaced: vec![replaced] };
        let bytes = write(&entries, &index).unwrap();
        assert_eq!(read(Bytes::from(bytes)).unwrap(), (entries, index));
    }
}
