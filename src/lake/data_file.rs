//! Writing rows to one Parquet data file, and reading them.

use std::io::Write;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{Schema, SchemaRef};
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;

use super::{DataFile, FileStatistics, LakeError, LakeStore, StoredFile};
use crate::tables::{Kind, MappedColumn, MappedTable, Origin, SCHEMA_VERSION};

/// How a data file is written, and what its footer states.
#[derive(Clone, Debug)]
pub struct DataFileOptions {
    /// The zstd level; set by `lake.compression_level`.
    pub compression_level: i32,
    /// The commit that the data file belongs to.
    pub commit: u64,
    /// The id of the sync, replay or merge that writes it.
    pub sync_id: String,
    /// Upper bound for the number of different runs in it: the size of the Bloom filter on
    /// `run_id`.
    pub runs: u64,
}

/// A Parquet file that is being written: in memory if it has the size of a commit at most,
/// otherwise to a file.
#[derive(Debug)]
pub struct DataFileWriter<To: Write + Send = Vec<u8>> {
    writer: ArrowWriter<To>,
    table: &'static str,
    rows: u64,
    /// Size in bytes of the rows in the current row group before encoding.
    raw_bytes: usize,
    /// The number of nulls by column.
    nulls: Vec<u64>,
}

/// A data file that was written: where to, and what table formats need to know of it.
#[derive(Debug)]
pub struct WrittenFile<To = Vec<u8>> {
    /// What it was written to.
    pub to: To,
    /// The number of its rows.
    pub rows: u64,
    /// Statistics of its columns.
    pub statistics: FileStatistics,
}

/// A row group also ends at about this many bytes before encoding: long bodies compress very well,
/// and readers need the memory for their full size.
const RAW_BYTES: usize = 128 * 1024 * 1024;

/// A row group ends at about this many encoded bytes. Readers process one row group at a time, and
/// the writer keeps one in memory.
const ROW_GROUP_BYTES: usize = 32 * 1024 * 1024;

impl DataFileWriter {
    /// Starts a data file of a table.
    ///
    /// # Errors
    /// [`LakeError::Parquet`] if the schema or an option is not valid.
    pub fn new(mapped: &MappedTable, options: &DataFileOptions) -> Result<Self, LakeError> {
        Self::start(Vec::new(), mapped, Arc::clone(&mapped.schema), options)
    }

    /// Starts a data file of a table. `first` holds its first rows, which determine how columns are
    /// compressed; they are not added.
    ///
    /// # Errors
    /// As [`DataFileWriter::new`].
    pub fn for_rows(
        mapped: &MappedTable,
        first: &RecordBatch,
        options: &DataFileOptions,
    ) -> Result<Self, LakeError> {
        let mut builder = properties(mapped, options)?;
        for (column, values) in mapped.columns.iter().zip(first.columns()) {
            // JSON is always compressed: later rows may hold a different, much longer document.
            if column.kind != Kind::Json && says_little(values) {
                let path = ColumnPath::from(column.name.as_str());
                builder = builder.set_column_compression(path, Compression::UNCOMPRESSED);
            }
        }
        Self::with(Vec::new(), mapped, Arc::clone(&mapped.schema), builder)
    }
}

impl<To: Write + Send> DataFileWriter<To> {
    /// Starts a data file of a table with another schema than today's: earlier data files can have
    /// other user-defined columns.
    ///
    /// # Errors
    /// As [`DataFileWriter::new`].
    pub fn start(
        to: To,
        mapped: &MappedTable,
        schema: SchemaRef,
        options: &DataFileOptions,
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
        let nulls = vec![0; schema.fields().len()];
        let writer = ArrowWriter::try_new(to, schema, Some(properties.build()));
        let writer = writer.map_err(LakeError::parquet("start", table))?;
        Ok(Self { writer, table, rows: 0, raw_bytes: 0, nulls })
    }

    /// Adds rows.
    ///
    /// # Errors
    /// [`LakeError::Parquet`] if the rows do not have the schema of the file.
    pub fn write(&mut self, rows: &RecordBatch) -> Result<(), LakeError> {
        self.rows += u64::try_from(rows.num_rows()).unwrap_or(0);
        self.raw_bytes += rows.get_array_memory_size();
        for (nulls, column) in self.nulls.iter_mut().zip(rows.columns()) {
            *nulls += u64::try_from(column.null_count()).unwrap_or(0);
        }
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

    /// The number of rows written so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Finishes the file.
    ///
    /// # Errors
    /// [`LakeError::Parquet`] if it cannot be finished.
    pub fn finish(mut self) -> Result<WrittenFile<To>, LakeError> {
        self.writer.flush().map_err(LakeError::parquet("finish", self.table))?;
        let statistics = FileStatistics::collect(self.writer.flushed_row_groups(), &self.nulls);
        let to = self.writer.into_inner().map_err(LakeError::parquet("finish", self.table))?;
        Ok(WrittenFile { to, rows: self.rows, statistics })
    }
}

/// The columns of a data file, without the metadata in its footer.
///
/// # Errors
/// [`LakeError`] if it cannot be read.
pub fn data_file_schema(store: &LakeStore, part: &DataFile) -> Result<SchemaRef, LakeError> {
    let reader = open(store, part)?;
    Ok(Arc::new(Schema::new(reader.schema().fields().clone())))
}

/// The rows of a data file, in batches of at most `most` rows, and fewer if rows are large.
///
/// # Errors
/// [`LakeError`] if it cannot be read.
pub fn data_file_rows(
    store: &LakeStore,
    part: &DataFile,
    most: usize,
) -> Result<ParquetRecordBatchReader, LakeError> {
    let reader = open(store, part)?;
    // From the row group with the largest rows on average.
    let fits = reader.metadata().row_groups().iter().map(|group| {
        let bytes = group.total_byte_size().max(1);
        let rows = group.num_rows().saturating_mul(BATCH_BYTES) / bytes;
        usize::try_from(rows).unwrap_or(1)
    });
    let rows = fits.min().unwrap_or(most).clamp(1, most);
    let reader = reader.with_batch_size(rows).build();
    reader.map_err(LakeError::parquet("read", part.path.as_str()))
}

/// Some columns of a data file's rows.
///
/// # Errors
/// [`LakeError`] if it cannot be read.
pub fn data_file_columns(
    store: &LakeStore,
    part: &DataFile,
    columns: &[&str],
) -> Result<ParquetRecordBatchReader, LakeError> {
    let reader = open(store, part)?;
    let wanted = ProjectionMask::columns(reader.parquet_schema(), columns.iter().copied());
    let reader = reader.with_projection(wanted).build();
    reader.map_err(LakeError::parquet("read", part.path.as_str()))
}

/// Target size of a batch that is read, in bytes.
const BATCH_BYTES: i64 = 16 * 1024 * 1024;

fn open(
    store: &LakeStore,
    part: &DataFile,
) -> Result<ParquetRecordBatchReaderBuilder<StoredFile>, LakeError> {
    let reader =
        ParquetRecordBatchReaderBuilder::try_new(store.open(&part.path, Some(&part.sha256))?);
    reader.map_err(LakeError::parquet("read", part.path.as_str()))
}

/// Whether a column holds only nulls, one number in every row, or a few short words. Setting up a
/// codec for such a column takes longer than writing it, and hardly makes it shorter.
fn says_little(values: &ArrayRef) -> bool {
    /// Maximum number of different words.
    const WORDS: usize = 6;
    /// Maximum length of a word in bytes: later words can be as long.
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
            // Many different words in few rows suggest more in the rows that follow.
            words.len() <= WORDS.min(rows / 2 + 1) && text.len() <= LONGEST
        });
    }
    // All values are equal if all but the first equal all but the last.
    nulls == 0 && values.slice(1, rows - 1).to_data() == values.slice(0, rows - 1).to_data()
}

/// Whether nearly all values of a column are different: a dictionary would cost time and save
/// nothing.
fn is_unlike(mapped: &MappedTable, column: &MappedColumn) -> bool {
    column.origin == Origin::Key
        || column.kind == Kind::Timestamp && column.origin == Origin::Body
        || mapped.table.key == [column.name.as_str()]
        || matches!(column.name.as_str(), "run_url" | "sha256" | "span_id")
}

fn properties(
    mapped: &MappedTable,
    options: &DataFileOptions,
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
            // Whole documents: their minimum and maximum are of no use to queries, and they rarely
            // repeat.
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
