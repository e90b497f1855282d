//! Manifests, which list data files with their statistics, and manifest lists, which list the
//! manifests of a snapshot.

use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

use super::avro::{self, AvroError};
use super::bounds;
use super::schema::Columns;
use crate::lake::DataFile;

/// Whether an entry of a manifest still counts, and since when.
pub(super) mod status {
    /// The file was in the table before the snapshot that wrote the manifest.
    pub(in crate::targets::iceberg) const EXISTING: i32 = 0;
    /// The snapshot that wrote the manifest added the file.
    pub(in crate::targets::iceberg) const ADDED: i32 = 1;
    /// The snapshot that wrote the manifest removed the file.
    pub(in crate::targets::iceberg) const DELETED: i32 = 2;
}

/// An entry of a manifest. What is `None` is inherited from the manifest list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ManifestEntry {
    /// See [`status`].
    pub(super) status: i32,
    /// The snapshot that added the file, or that removed it.
    pub(super) snapshot_id: Option<i64>,
    /// The sequence number of the file's rows.
    #[serde(default)]
    pub(super) sequence_number: Option<i64>,
    /// The sequence number of the snapshot that added the file.
    #[serde(default)]
    pub(super) file_sequence_number: Option<i64>,
    /// The file.
    pub(super) data_file: DataFileEntry,
}

/// A data file in a manifest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct DataFileEntry {
    /// 0 for data files; the others hold deletions, which this program never writes.
    #[serde(default)]
    pub(super) content: i32,
    /// The full address.
    pub(super) file_path: String,
    /// `PARQUET`.
    pub(super) file_format: String,
    /// The partition that holds all of its rows.
    pub(super) partition: Partition,
    /// Rows.
    pub(super) record_count: i64,
    /// Bytes.
    pub(super) file_size_in_bytes: i64,
    /// Compressed bytes by field id.
    #[serde(default)]
    pub(super) column_sizes: Option<Vec<Count>>,
    /// Values by field id, nulls included.
    #[serde(default)]
    pub(super) value_counts: Option<Vec<Count>>,
    /// Nulls by field id.
    #[serde(default)]
    pub(super) null_value_counts: Option<Vec<Count>>,
    /// NaNs by field id. This program never writes a NaN.
    #[serde(default)]
    pub(super) nan_value_counts: Option<Vec<Count>>,
    /// Lower bounds by field id.
    #[serde(default)]
    pub(super) lower_bounds: Option<Vec<EncodedBound>>,
    /// Upper bounds by field id.
    #[serde(default)]
    pub(super) upper_bounds: Option<Vec<EncodedBound>>,
    #[serde(default, with = "apache_avro::serde::bytes_opt")]
    key_metadata: Option<Vec<u8>>,
    /// Where row groups begin.
    #[serde(default)]
    pub(super) split_offsets: Option<Vec<i64>>,
    #[serde(default)]
    equality_ids: Option<Vec<i32>>,
    /// The order of its rows: 0 for none.
    #[serde(default)]
    pub(super) sort_order_id: Option<i32>,
}

/// A number by field id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Count {
    pub(super) key: i32,
    pub(super) value: i64,
}

/// An encoded bound by field id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct EncodedBound {
    pub(super) key: i32,
    #[serde(with = "apache_avro::serde::bytes")]
    pub(super) value: Vec<u8>,
}

/// The partition of a data file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(super) struct Partition {
    /// Days since 1970; `None` in tables without partitions.
    #[serde(default)]
    pub(super) run_date: Option<i32>,
}

impl Serialize for Partition {
    /// A record has as many fields as its schema: tables without partitions have none.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut record =
            serializer.serialize_struct("r102", usize::from(self.run_date.is_some()))?;
        if self.run_date.is_some() {
            record.serialize_field("run_date", &self.run_date)?;
        }
        record.end()
    }
}

impl ManifestEntry {
    /// The entry of a data file that the next snapshot adds.
    pub(super) fn added(snapshot_id: i64, data_file: DataFileEntry) -> Self {
        Self {
            status: status::ADDED,
            snapshot_id: Some(snapshot_id),
            // Inherited, so that the same manifest is valid whatever number the snapshot gets.
            sequence_number: None,
            file_sequence_number: None,
            data_file,
        }
    }

    /// Whether the file is part of the table.
    pub(super) fn is_live(&self) -> bool {
        self.status != status::DELETED
    }

    /// The entry in a manifest of a later snapshot: what was inherited is stated.
    pub(super) fn carried_over(self, from: &ManifestFile) -> Self {
        Self {
            status: status::EXISTING,
            snapshot_id: self.snapshot_id.or(Some(from.added_snapshot_id)),
            sequence_number: self.sequence_number.or(Some(from.sequence_number)),
            file_sequence_number: self.file_sequence_number.or(Some(from.sequence_number)),
            data_file: self.data_file,
        }
    }

    /// The entry of a file that a snapshot removes.
    pub(super) fn deleted(self, snapshot_id: i64) -> Self {
        Self { status: status::DELETED, snapshot_id: Some(snapshot_id), ..self }
    }
}

impl DataFileEntry {
    /// The entry of a data file. Its statistics are those of its commit; a commit of a version that
    /// did not write them has none, and engines then read the file's footer.
    pub(super) fn new(part: &DataFile, address: String, columns: &Columns) -> Self {
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let mut entry = Self {
            file_path: address,
            file_format: "PARQUET".to_owned(),
            partition: Partition {
                run_date: day_of(&part.path).filter(|_| columns.is_partitioned),
            },
            record_count: number(part.rows),
            file_size_in_bytes: number(part.bytes),
            sort_order_id: Some(0),
            ..Self::default()
        };
        let Some(statistics) = &part.statistics else { return entry };
        let (mut sizes, mut values, mut nulls) = (Vec::new(), Vec::new(), Vec::new());
        let (mut lower, mut upper) = (Vec::new(), Vec::new());
        for column in &statistics.columns {
            // Files merged from those of versions that wrote no field ids have none.
            let Ok(key) = i32::try_from(column.field_id) else { continue };
            let Some(kind) = columns.kind(key) else { continue };
            sizes.push(Count { key, value: number(column.bytes) });
            values.push(Count { key, value: entry.record_count });
            nulls.push(Count { key, value: number(column.nulls) });
            let bound = |bound: Option<&_>| {
                let value = bound.and_then(|bound| bounds::encode(bound, kind))?;
                Some(EncodedBound { key, value })
            };
            lower.extend(bound(column.lower_bound.as_ref()));
            upper.extend(bound(column.upper_bound.as_ref()));
        }
        entry.column_sizes = Some(sizes);
        entry.value_counts = Some(values);
        entry.null_value_counts = Some(nulls);
        entry.lower_bounds = Some(lower);
        entry.upper_bounds = Some(upper);
        let offsets = &statistics.split_offsets;
        entry.split_offsets = (!offsets.is_empty()).then(|| offsets.clone());
        entry
    }
}

/// The day of a data file's folder, in days since 1970.
pub(super) fn day_of(path: &str) -> Option<i32> {
    let (_, rest) = path.split_once("/date=")?;
    let day: chrono::NaiveDate = rest.split('/').next()?.parse().ok()?;
    let days = day.signed_duration_since(chrono::NaiveDate::default()).num_days();
    i32::try_from(days).ok()
}

/// A manifest, as the manifest list describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ManifestFile {
    /// The full address.
    pub(super) manifest_path: String,
    /// Bytes.
    pub(super) manifest_length: i64,
    /// The partition spec of its files.
    pub(super) partition_spec_id: i32,
    /// 0 for data files, 1 for files of deletions.
    #[serde(default)]
    pub(super) content: i32,
    /// The sequence number of the snapshot that added it.
    #[serde(default)]
    pub(super) sequence_number: i64,
    /// The least sequence number of its live files.
    #[serde(default)]
    pub(super) min_sequence_number: i64,
    /// The snapshot that added it.
    pub(super) added_snapshot_id: i64,
    #[serde(alias = "added_data_files_count", default)]
    pub(super) added_files_count: i32,
    #[serde(alias = "existing_data_files_count", default)]
    pub(super) existing_files_count: i32,
    #[serde(alias = "deleted_data_files_count", default)]
    pub(super) deleted_files_count: i32,
    #[serde(default)]
    pub(super) added_rows_count: i64,
    #[serde(default)]
    pub(super) existing_rows_count: i64,
    #[serde(default)]
    pub(super) deleted_rows_count: i64,
    /// The range of the values of each partition field.
    #[serde(default)]
    pub(super) partitions: Option<Vec<PartitionRange>>,
    #[serde(default, with = "apache_avro::serde::bytes_opt")]
    key_metadata: Option<Vec<u8>>,
}

/// The range of the values of a partition field in a manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PartitionRange {
    pub(super) contains_null: bool,
    #[serde(default)]
    pub(super) contains_nan: Option<bool>,
    #[serde(default, with = "apache_avro::serde::bytes_opt")]
    pub(super) lower_bound: Option<Vec<u8>>,
    #[serde(default, with = "apache_avro::serde::bytes_opt")]
    pub(super) upper_bound: Option<Vec<u8>>,
}

impl ManifestFile {
    /// Whether it lists deletions of rows, which another program wrote.
    pub(super) fn has_row_deletions(&self) -> bool {
        self.content != 0
    }

    /// The number of its live files.
    pub(super) fn live_files(&self) -> i64 {
        i64::from(self.added_files_count) + i64::from(self.existing_files_count)
    }

    /// The number of rows in its live files.
    pub(super) fn live_rows(&self) -> i64 {
        self.added_rows_count + self.existing_rows_count
    }

    /// The description of a manifest with these entries, in a partition spec of that number.
    pub(super) fn describe(
        address: String,
        length: usize,
        entries: &[ManifestEntry],
        partition_spec_id: i32,
        (snapshot_id, sequence_number): (i64, i64),
    ) -> Self {
        let of = |wanted: i32| {
            let matching = entries.iter().filter(move |entry| entry.status == wanted);
            let rows = matching.clone().map(|entry| entry.data_file.record_count).sum::<i64>();
            (i32::try_from(matching.count()).unwrap_or(i32::MAX), rows)
        };
        let (added_files_count, added_rows_count) = of(status::ADDED);
        let (existing_files_count, existing_rows_count) = of(status::EXISTING);
        let (deleted_files_count, deleted_rows_count) = of(status::DELETED);
        let sequence_numbers = entries.iter().filter(|entry| entry.is_live());
        let sequence_numbers =
            sequence_numbers.map(|entry| entry.sequence_number.unwrap_or(sequence_number));
        let days = || entries.iter().filter_map(|entry| entry.data_file.partition.run_date);
        let range = days().min().zip(days().max()).map(|(least, greatest)| PartitionRange {
            contains_null: false,
            contains_nan: Some(false),
            lower_bound: Some(least.to_le_bytes().to_vec()),
            upper_bound: Some(greatest.to_le_bytes().to_vec()),
        });
        Self {
            manifest_path: address,
            manifest_length: i64::try_from(length).unwrap_or(i64::MAX),
            partition_spec_id,
            content: 0,
            sequence_number,
            min_sequence_number: sequence_numbers.min().unwrap_or(sequence_number),
            added_snapshot_id: snapshot_id,
            added_files_count,
            existing_files_count,
            deleted_files_count,
            added_rows_count,
            existing_rows_count,
            deleted_rows_count,
            partitions: Some(range.into_iter().collect()),
            key_metadata: None,
        }
    }
}

/// The content of a manifest. `schema` and `spec` are the table's, as JSON.
pub(super) fn encode_manifest(
    entries: &[ManifestEntry],
    is_partitioned: bool,
    (schema_id, schema): (i32, &str),
    (spec_id, spec): (i32, &str),
) -> Result<Vec<u8>, AvroError> {
    let metadata = [
        ("schema", schema.to_owned()),
        ("schema-id", schema_id.to_string()),
        ("partition-spec", spec.to_owned()),
        ("partition-spec-id", spec_id.to_string()),
        ("format-version", "2".to_owned()),
        ("content", "data".to_owned()),
    ];
    avro::encode(&avro::manifest_schema(is_partitioned)?, &metadata, entries)
}

/// The content of the manifest list of a snapshot.
pub(super) fn encode_manifest_list(
    manifests: &[ManifestFile],
    snapshot_id: i64,
    parent: Option<i64>,
    sequence_number: i64,
) -> Result<Vec<u8>, AvroError> {
    let metadata = [
        ("format-version", "2".to_owned()),
        ("snapshot-id", snapshot_id.to_string()),
        ("parent-snapshot-id", parent.map_or("null".to_owned(), |parent| parent.to_string())),
        ("sequence-number", sequence_number.to_string()),
    ];
    avro::encode(&avro::manifest_list_schema()?, &metadata, manifests)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::lake::{Bound, ColumnStatistics, FileStatistics};
    use crate::tables::{FieldIds, RUNS, WORKFLOWS};

    fn part(path: &str, rows: u64, columns: Vec<ColumnStatistics>, offsets: Vec<i64>) -> DataFile {
        DataFile {
            table: "runs".to_owned(),
            path: path.to_owned(),
            rows,
            bytes: rows * 10,
            sha256: String::new(),
            least_started_at: None,
            greatest_started_at: None,
            has_revisions: false,
            replaces: None,
            merged: None,
            statistics: Some(FileStatistics { split_offsets: offsets, columns }),
        }
    }

    fn encoded(entries: &[ManifestEntry], is_partitioned: bool) -> Vec<u8> {
        encode_manifest(entries, is_partitioned, (0, "{}"), (0, "[]")).unwrap()
    }

    fn column() -> impl Strategy<Value = ColumnStatistics> {
        let bound = prop_oneof![
            any::<bool>().prop_map(Bound::Boolean),
            any::<i64>().prop_map(Bound::Integer),
            "\\PC{0,16}".prop_map(Bound::Text),
            any::<i128>().prop_map(|number| Bound::Text(number.to_string())),
        ];
        let bounds = (proptest::option::of(bound.clone()), proptest::option::of(bound));
        (0_u32..30, any::<u32>(), any::<u32>(), bounds).prop_map(
            |(field_id, bytes, nulls, (lower_bound, upper_bound))| ColumnStatistics {
                field_id,
                bytes: bytes.into(),
                nulls: nulls.into(),
                lower_bound,
                upper_bound,
            },
        )
    }

    proptest! {
        #[test]
        fn a_manifest_is_read_as_it_was_written(
            columns in proptest::collection::vec(column(), 0..8),
            rows in 0_u64..1 << 40,
            offsets in proptest::collection::vec(4..i64::MAX, 0..3),
            day in 0_u32..20_000,
            snapshot_id in 1..i64::MAX,
        ) {
            let date = chrono::NaiveDate::default() + chrono::Days::new(day.into());
            let part = part(&format!("runs/date={date}/a.parquet"), rows, columns, offsets);
            for table in [&RUNS, &WORKFLOWS] {
                let of = Columns::new(table, &FieldIds::default());
                let file = DataFileEntry::new(&part, "file:///a".to_owned(), &of);
                let days = of.is_partitioned.then(|| i32::try_from(day).unwrap());
                prop_assert_eq!(file.partition.run_date, days);
                let added = ManifestEntry::added(snapshot_id, file);
                let bytes = encoded(std::slice::from_ref(&added), of.is_partitioned);
                let entries = [added.clone()];
                let numbers = (snapshot_id, 7);
                let listed = ManifestFile::describe("b".into(), bytes.len(), &entries, 0, numbers);
                let existing = added.clone().carried_over(&listed);
                let entries = [added, existing.clone(), existing.deleted(3)];
                let bytes = encoded(&entries, of.is_partitioned);
                prop_assert_eq!(avro::decode::<ManifestEntry>(&bytes).unwrap(), entries);
                let list = encode_manifest_list(std::slice::from_ref(&listed), 1, None, 7).unwrap();
                prop_assert_eq!(avro::decode::<ManifestFile>(&list).unwrap(), [listed]);
            }
        }
    }

    #[test]
    fn inherited_numbers_are_stated_once_a_file_is_carried_over() {
        let of = Columns::new(&RUNS, &FieldIds::default());
        let part = part("runs/date=2026-11-23/a.parquet", 3, Vec::new(), Vec::new());
        let file = DataFileEntry::new(&part, "file:///a".to_owned(), &of);
        assert_eq!((file.partition.run_date, &file.split_offsets), (Some(20_780), &None));
        let added = ManifestEntry { snapshot_id: None, ..ManifestEntry::added(5, file) };
        let entries = [added.clone(), added.clone().deleted(9)];
        let listed = ManifestFile::describe("b".to_owned(), 1, &entries, 0, (5, 7));
        assert_eq!((listed.live_files(), listed.live_rows(), listed.deleted_rows_count), (1, 3, 3));
        let range = &listed.partitions.as_ref().unwrap()[0];
        assert_eq!(range.lower_bound.as_deref(), Some(&20_780_i32.to_le_bytes()[..]));
        let carried = added.carried_over(&listed);
        assert_eq!(carried.status, status::EXISTING);
        assert_eq!(carried.snapshot_id, Some(5));
        assert_eq!((carried.sequence_number, carried.file_sequence_number), (Some(7), Some(7)));
    }
}
