//! Rows into one Parquet file.

use arrow::array::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use super::LakeError;
use crate::tables::{Kind, MappedTable, SCHEMA_VERSION};

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

/// A Parquet file in the making, in memory: parts are a commit's size at the most.
#[derive(Debug)]
pub struct PartWriter {
    writer: ArrowWriter<Vec<u8>>,
    table: &'static str,
    rows: u64,
}

/// A row group ends when it holds about this much; readers work a row group at a time.
const ROW_GROUP_BYTES: usize = 64 * 1024 * 1024;

impl PartWriter {
    /// Starts a part of a table.
    ///
    /// # Errors
    /// [`LakeError::Parquet`] where the schema or an option cannot be.
    pub fn new(mapped: &MappedTable, options: &PartOptions) -> Result<Self, LakeError> {
        let table = mapped.table.name;
        let schema = mapped.schema.clone();
        let writer = properties(mapped, options)
            .and_then(|properties| ArrowWriter::try_new(Vec::new(), schema, Some(properties)));
        let writer = writer.map_err(LakeError::parquet("start", table))?;
        Ok(Self { writer, table, rows: 0 })
    }

    /// Adds rows.
    ///
    /// # Errors
    /// [`LakeError::Parquet`] where the rows are not of the table's schema.
    pub fn write(&mut self, rows: &RecordBatch) -> Result<(), LakeError> {
        self.rows += u64::try_from(rows.num_rows()).unwrap_or(0);
        let written = self.writer.write(rows).and_then(|()| {
            if self.writer.in_progress_size() > ROW_GROUP_BYTES {
                self.writer.flush()
            } else {
                Ok(())
            }
        });
        written.map_err(LakeError::parquet("write", self.table))
    }

    /// The rows so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The finished file.
    ///
    /// # Errors
    /// [`LakeError::Parquet`] where it cannot be finished.
    pub fn finish(self) -> Result<Vec<u8>, LakeError> {
        self.writer.into_inner().map_err(LakeError::parquet("finish", self.table))
    }
}

fn properties(
    mapped: &MappedTable,
    options: &PartOptions,
) -> Result<WriterProperties, parquet::errors::ParquetError> {
    let note = |key: &str, value: String| KeyValue::new(format!("armature.{key}"), value);
    let level = ZstdLevel::try_new(options.compression_level)?;
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
        } else if column.name == "run_id" {
            builder = builder
                .set_column_bloom_filter_enabled(path.clone(), true)
                .set_column_bloom_filter_ndv(path, options.runs.max(1));
        }
    }
    Ok(builder.build())
}
