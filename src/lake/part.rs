//! Rows into one Parquet file.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{Schema, SchemaRef};
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;

use super::{LakeError, Part};
use crate::tables::{Kind, MappedColumn, MappedTable, Origin, SCHEMA_VERSION};

/// How a part is written, and what its footer says.
#[derive(Clone, Debug)]
pub struct PartOptions {
    /// The zstd level.
    pub compression_level: i32,
    /// The commit that the part belongs to.
    pub commit: u64,
    /// The sync that makes it.
    pub sync_id: String,
    /// How many different runs the part holds at the most: sizes the filter on `run_id`.
    pub runs: u64,
}

/// A Parquet file in the making: in memory where it is a commit's size at the most, else in a file.
#[derive(Debug)]
pub struct PartWriter<To: Write + Send = Vec<u8>> {
    writer: ArrowWriter<To>,
    table: &'static str,
    rows: u64,
    /// Bytes of the rows in the row group so far, before they are encoded.
    raw_bytes: usize,
}

/// A row group also ends when its rows held about so much before they were encoded: long bodies
/// become very small, and readers have them as they were.
const RAW_BYTES: usize = 128 * 1024 * 1024;

/// A row group ends when it holds about this much; readers work a row group at a time, and so
/// much memory is taken while one is made.
const ROW_GROUP_BYTES: usize = 32 * 1024 * 1024;

impl PartWriter {
    /// Starts a part of a table.
    ///
    /// # Errors
    /// [`LakeError::Parquet`] where the schema or an option cannot be.
    pub fn new(mapped: &MappedTable, options: &PartOptions) -> Result<Self, LakeError> {
        Self::start(Vec::new(), mapped, Arc::clone(&mapped.schema), options)
    }

    /// Starts a part of a table whose first rows tell how it is written; they are not added yet.
    ///
    /// # Errors
    /// As [`PartWriter::new`].
    pub fn for_rows(
        mapped: &MappedTable,
        first: &RecordBatch,
        options: &PartOptions,
    ) -> Result<Self, LakeError> {
        let mut builder = properties(mapped, options)?;
        for (column, values) in mapped.columns.iter().zip(first.columns()) {
            // What comes later may be another document, and long.
            if column.kind != Kind::Json && says_little(values) {
                let path = ColumnPath::from(column.name.as_str());
                builder = builder.set_column_compression(path, Compression::UNCOMPRESSED);
            }
        }
        Self::with(Vec::new(), mapped, Arc::clone(&mapped.schema), builder)
    }
}

impl<To: Write + Send> PartWriter<To> {
    /// Starts a part of a table whose rows are of another schema, as earlier ones can have other
    /// columns of the user's.
    ///
    /// # Errors
    /// As [`PartWriter::new`].
    pub fn start(
        to: To,
        mapped: &MappedTable,
        schema: SchemaRef,
        options: &PartOptions,
    ) -> Result<Self, LakeError> {
        Self::with(to, mapped, schema, properties(mapped, options)?)
    }

    fn with(
        to: To,
        mapped: &MappedTable,
        schema: SchemaRef,
        properties: WriterPropertiesBuilder,
    ) -> Result<Self, LakeError> {
        let table = mapped.table.name;
        let writer = ArrowWriter::try_new(to, schema, Some(properties.build()));
        let writer = writer.map_err(LakeError::parquet("start", table))?;
        Ok(Self { writer, table, rows: 0, raw_bytes: 0 })
    }

    /// Adds rows.
    ///
    /// # Errors
    /// [`LakeError::Parquet`] where the rows are not of the table's schema.
    pub fn write(&mut self, rows: &RecordBatch) -> Result<(), LakeError> {
        self.rows += u64::try_from(rows.num_rows()).unwrap_or(0);
        self.raw_bytes += rows.get_array_memory_size();
        let is_full = |raw: usize, encoded: usize| raw > RAW_BYTES || encoded > ROW_GROUP_BYTES;
        let written = self.writer.write(rows).and_then(|()| {
            if !is_full(self.raw_bytes, self.writer.in_progress_size()) {
                return Ok(());
            }
            self.raw_bytes = 0;
            self.writer.flush()
        });
        written.map_err(LakeError::parquet("write", self.table))
    }

    /// The rows so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// What was written to, with the finished file.
    ///
    /// # Errors
    /// [`LakeError::Parquet`] where it cannot be finished.
    pub fn finish(self) -> Result<To, LakeError> {
        self.writer.into_inner().map_err(LakeError::parquet("finish", self.table))
    }
}

/// The columns of a part, without the notes on its file.
///
/// # Errors
/// [`LakeError`] where it cannot be read.
pub fn part_schema(lake: &Path, part: &Part) -> Result<SchemaRef, LakeError> {
    let reader = open(lake, part)?;
    Ok(Arc::new(Schema::new(reader.schema().fields().clone())))
}

/// The rows of a part, so many at once, and fewer where they are large.
///
/// # Errors
/// [`LakeError`] where it cannot be read.
pub fn part_rows(
    lake: &Path,
    part: &Part,
    most: usize,
) -> Result<ParquetRecordBatchReader, LakeError> {
    let reader = open(lake, part)?;
    // By the densest row group: what is in it on the average.
    let fits = reader.metadata().row_groups().iter().map(|group| {
        let bytes = group.total_byte_size().max(1);
        let rows = group.num_rows().saturating_mul(BATCH_BYTES) / bytes;
        usize::try_from(rows).unwrap_or(1)
    });
    let rows = fits.min().unwrap_or(most).clamp(1, most);
    let reader = reader.with_batch_size(rows).build();
    reader.map_err(LakeError::parquet("read", part.path.as_str()))
}

/// Some columns of a part's rows.
///
/// # Errors
/// [`LakeError`] where it cannot be read.
pub fn part_columns(
    lake: &Path,
    part: &Part,
    columns: &[&str],
) -> Result<ParquetRecordBatchReader, LakeError> {
    let reader = open(lake, part)?;
    let wanted = ProjectionMask::columns(reader.parquet_schema(), columns.iter().copied());
    let reader = reader.with_projection(wanted).build();
    reader.map_err(LakeError::parquet("read", part.path.as_str()))
}

/// About so much is read from a part at once.
const BATCH_BYTES: i64 = 16 * 1024 * 1024;

fn open(lake: &Path, part: &Part) -> Result<ParquetRecordBatchReaderBuilder<File>, LakeError> {
    let path = lake.join(&part.path);
    let file = File::open(&path).map_err(LakeError::io("read", path))?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file);
    reader.map_err(LakeError::parquet("read", part.path.as_str()))
}

/// Whether a column holds nulls only, one number in every row, or a few short words: setting up a
/// codec for it takes longer than writing it, and what comes out is hardly shorter.
fn says_little(values: &ArrayRef) -> bool {
    /// So many different words.
    const WORDS: usize = 6;
    /// So long is a word at the most: others may follow.
    const LONGEST: usize = 64;
    let (rows, nulls) = (values.len(), values.null_count());
    if nulls == rows {
        return true;
    }
    if let Some(texts) = values.as_string_opt::<i32>() {
        let mut words: Vec<&str> = Vec::with_capacity(WORDS);
        return texts.iter().flatten().all(|text| {
            if words.contains(&text) {
                return true;
            }
            words.push(text);
            // Where few rows hold many words, more rows hold more.
            words.len() <= WORDS.min(rows / 2 + 1) && text.len() <= LONGEST
        });
    }
    // All but the first equal all but the last.
    nulls == 0 && values.slice(1, rows - 1).to_data() == values.slice(0, rows - 1).to_data()
}

/// Whether hardly two rows share a value of a column: to look each one up among those before
/// would take long, and find nothing.
fn is_unlike(mapped: &MappedTable, column: &MappedColumn) -> bool {
    column.origin == Origin::Key
        || column.kind == Kind::Timestamp && column.origin == Origin::Body
        || mapped.table.key == [column.name.as_str()]
        || matches!(column.name.as_str(), "run_url" | "sha256" | "span_id")
}

fn properties(
    mapped: &MappedTable,
    options: &PartOptions,
) -> Result<WriterPropertiesBuilder, LakeError> {
    let note = |key: &str, value: String| KeyValue::new(format!("armature.{key}"), value);
    let level = ZstdLevel::try_new(options.compression_level)
        .map_err(LakeError::parquet("start", mapped.table.name))?;
    let mut builder = WriterProperties::builder()
        .set_created_by(concat!("armature-export version ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(level))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_key_value_metadata(Some(vec![
            note("schema_version", SCHEMA_VERSION.to_owned()),
            note("table", mapped.table.name.to_owned()),
            note("commit", options.commit.to_string()),
            note("sync_id", options.sync_id.clone()),
        ]));
    for column in &mapped.columns {
        let path = ColumnPath::from(column.name.as_str());
        if column.kind == Kind::Json {
            // Whole documents: their smallest and largest say nothing, and they rarely repeat.
            builder = builder
                .set_column_statistics_enabled(path.clone(), EnabledStatistics::None)
                .set_column_dictionary_enabled(path, false);
            continue;
        }
        if is_unlike(mapped, column) {
            builder = builder.set_column_dictionary_enabled(path.clone(), false);
        }
        if column.name == "run_id" {
            builder = builder
                .set_column_bloom_filter_enabled(path.clone(), true)
                .set_column_bloom_filter_ndv(path, options.runs.max(1));
        }
    }
    Ok(builder)
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int64Array, StringArray};

    use super::*;

    #[test]
    fn columns_that_say_little_are_told_by_their_first_rows() {
        let texts = |texts: Vec<Option<&str>>| {
            let texts: ArrayRef = Arc::new(StringArray::from(texts));
            says_little(&texts)
        };
        let numbers = |numbers: Vec<Option<i64>>| {
            let numbers: ArrayRef = Arc::new(Int64Array::from(numbers));
            says_little(&numbers)
        };
        assert!(texts(vec![None, None]) && numbers(vec![None]) && numbers(vec![Some(1), Some(1)]));
        assert!(texts(vec![Some("pass"), None, Some("fail"), Some("pass")]));
        assert!(!texts(vec![Some("a"), Some("b"), Some("c")]));
        assert!(!texts(vec![Some("word after word, ".repeat(9).as_str()); 9]));
        assert!(!numbers(vec![Some(1), Some(2)]) && !numbers(vec![Some(1), None]));
    }
}
