//! Reading and writing Avro files, and the schemas of manifests and manifest lists.

use apache_avro::schema::{RecordField, Schema, UnionSchema};
use apache_avro::{Codec, DeflateSettings, Reader, Writer, from_value};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Boxed, because the errors of `apache_avro` are large.
pub(super) type AvroError = Box<apache_avro::Error>;

/// The records as one Avro file with some metadata in its header.
pub(super) fn encode<T: Serialize>(
    schema: &Schema,
    metadata: &[(&str, String)],
    records: &[T],
) -> Result<Vec<u8>, AvroError> {
    // The codec that Java's writer uses by default, so every reader has it.
    let codec = Codec::Deflate(DeflateSettings::default());
    let mut writer = Writer::with_codec(schema, Vec::new(), codec)?;
    for (key, value) in metadata {
        writer.add_user_metadata((*key).to_owned(), value)?;
    }
    for record in records {
        writer.append_ser(record)?;
    }
    Ok(writer.into_inner()?)
}

/// The records of an Avro file, which can have been written by another program: fields are found by
/// name, and unknown ones are ignored.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<Vec<T>, AvroError> {
    let records = Reader::new(bytes)?;
    records.map(|record| Ok(from_value(&record?)?)).collect()
}

/// The schema of manifests. `run_date` is the partition of tables of runs; other tables have an
/// empty partition.
pub(super) fn manifest_schema(is_partitioned: bool) -> Result<Schema, AvroError> {
    let partition = if is_partitioned { RUN_DATE } else { "" };
    parse(&MANIFEST.replace("\"PARTITION\"", partition))
}

/// The schema of manifest lists.
pub(super) fn manifest_list_schema() -> Result<Schema, AvroError> {
    parse(MANIFEST_LIST)
}

fn parse(text: &str) -> Result<Schema, AvroError> {
    let mut schema = Schema::parse_str(text)?;
    mark_maps(&mut schema)?;
    Ok(schema)
}

/// Avro's maps have text keys only: Iceberg stores other maps as arrays of key-value pairs, which
/// readers tell from lists by their `logicalType`. `apache_avro` does not keep that attribute when it
/// parses a schema, so it is added afterwards.
fn mark_maps(schema: &mut Schema) -> Result<(), AvroError> {
    match schema {
        Schema::Record(record) => {
            record
                .fields
                .iter_mut()
                .try_for_each(|RecordField { schema, .. }| mark_maps(schema))?;
        }
        Schema::Union(union) => {
            let mut variants = union.variants().to_vec();
            variants.iter_mut().try_for_each(mark_maps)?;
            *union = UnionSchema::new(variants)?;
        }
        Schema::Array(array) => {
            let is_pair = |name: &str| name.starts_with('k') && name.contains("_v");
            if matches!(&*array.items, Schema::Record(item) if is_pair(item.name.name())) {
                array.attributes.insert("logicalType".to_owned(), "map".into());
            }
            mark_maps(&mut array.items)?;
        }
        _ => {}
    }
    Ok(())
}

const RUN_DATE: &str = r#"{"name": "run_date", "field-id": 1000, "default": null,
    "type": ["null", {"type": "int", "logicalType": "date"}]}"#;

const MANIFEST: &str = r#"{"type": "record", "name": "manifest_entry", "fields": [
    {"name": "status", "type": "int", "field-id": 0},
    {"name": "snapshot_id", "type": ["null", "long"], "default": null, "field-id": 1},
    {"name": "sequence_number", "type": ["null", "long"], "default": null, "field-id": 3},
    {"name": "file_sequence_number", "type": ["null", "long"], "default": null, "field-id": 4},
    {"name": "data_file", "field-id": 2, "type": {"type": "record", "name": "r2", "fields": [
        {"name": "content", "type": "int", "field-id": 134},
        {"name": "file_path", "type": "string", "field-id": 100},
        {"name": "file_format", "type": "string", "field-id": 101},
        {"name": "partition", "field-id": 102,
            "type": {"type": "record", "name": "r102", "fields": ["PARTITION"]}},
        {"name": "record_count", "type": "long", "field-id": 103},
        {"name": "file_size_in_bytes", "type": "long", "field-id": 104},
        {"name": "column_sizes", "default": null, "field-id": 108, "type": ["null",
            {"type": "array", "items": {"type": "record", "name": "k117_v118", "fields": [
                {"name": "key", "type": "int", "field-id": 117},
                {"name": "value", "type": "long", "field-id": 118}]}}]},
        {"name": "value_counts", "default": null, "field-id": 109, "type": ["null",
            {"type": "array", "items": {"type": "record", "name": "k119_v120", "fields": [
                {"name": "key", "type": "int", "field-id": 119},
                {"name": "value", "type": "long", "field-id": 120}]}}]},
        {"name": "null_value_counts", "default": null, "field-id": 110, "type": ["null",
            {"type": "array", "items": {"type": "record", "name": "k121_v122", "fields": [
                {"name": "key", "type": "int", "field-id": 121},
                {"name": "value", "type": "long", "field-id": 122}]}}]},
        {"name": "nan_value_counts", "default": null, "field-id": 137, "type": ["null",
            {"type": "array", "items": {"type": "record", "name": "k138_v139", "fields": [
                {"name": "key", "type": "int", "field-id": 138},
                {"name": "value", "type": "long", "field-id": 139}]}}]},
        {"name": "lower_bounds", "default": null, "field-id": 125, "type": ["null",
            {"type": "array", "items": {"type": "record", "name": "k126_v127", "fields": [
                {"name": "key", "type": "int", "field-id": 126},
                {"name": "value", "type": "bytes", "field-id": 127}]}}]},
        {"name": "upper_bounds", "default": null, "field-id": 128, "type": ["null",
            {"type": "array", "items": {"type": "record", "name": "k129_v130", "fields": [
                {"name": "key", "type": "int", "field-id": 129},
                {"name": "value", "type": "bytes", "field-id": 130}]}}]},
        {"name": "key_metadata", "type": ["null", "bytes"], "default": null, "field-id": 131},
        {"name": "split_offsets", "default": null, "field-id": 132,
            "type": ["null", {"type": "array", "items": "long", "element-id": 133}]},
        {"name": "equality_ids", "default": null, "field-id": 135,
            "type": ["null", {"type": "array", "items": "int", "element-id": 136}]},
        {"name": "sort_order_id", "type": ["null", "int"], "default": null, "field-id": 140}
    ]}}
]}"#;

const MANIFEST_LIST: &str = r#"{"type": "record", "name": "manifest_file", "fields": [
    {"name": "manifest_path", "type": "string", "field-id": 500},
    {"name": "manifest_length", "type": "long", "field-id": 501},
    {"name": "partition_spec_id", "type": "int", "field-id": 502},
    {"name": "content", "type": "int", "field-id": 517},
    {"name": "sequence_number", "type": "long", "field-id": 515},
    {"name": "min_sequence_number", "type": "long", "field-id": 516},
    {"name": "added_snapshot_id", "type": "long", "field-id": 503},
    {"name": "added_files_count", "type": "int", "field-id": 504},
    {"name": "existing_files_count", "type": "int", "field-id": 505},
    {"name": "deleted_files_count", "type": "int", "field-id": 506},
    {"name": "added_rows_count", "type": "long", "field-id": 512},
    {"name": "existing_rows_count", "type": "long", "field-id": 513},
    {"name": "deleted_rows_count", "type": "long", "field-id": 514},
    {"name": "partitions", "default": null, "field-id": 507, "type": ["null",
        {"type": "array", "element-id": 508, "items":
            {"type": "record", "name": "r508", "fields": [
                {"name": "contains_null", "type": "boolean", "field-id": 509},
                {"name": "contains_nan", "type": ["null", "boolean"], "default": null,
                    "field-id": 518},
                {"name": "lower_bound", "type": ["null", "bytes"], "default": null,
                    "field-id": 510},
                {"name": "upper_bound", "type": ["null", "bytes"], "default": null,
                    "field-id": 511}]}}]},
    {"name": "key_metadata", "type": ["null", "bytes"], "default": null, "field-id": 519}
]}"#;

#[cfg(test)]
mod tests {
    use super::*;

    /// `apache_avro` drops attributes that it does not know in some places.
    #[test]
    fn a_schema_keeps_ids_and_logical_types() {
        let text = serde_json::to_string(&manifest_schema(true).unwrap()).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        let fields = value["fields"][4]["type"]["fields"].as_array().unwrap();
        let field = |name: &str| fields.iter().find(|field| field["name"] == name).unwrap();
        let run_date = &field("partition")["type"]["fields"][0];
        assert_eq!(run_date["field-id"], 1000);
        assert_eq!(run_date["type"][1]["logicalType"], "date");
        for name in ["column_sizes", "value_counts", "null_value_counts", "lower_bounds"] {
            assert_eq!(field(name)["type"][1]["logicalType"], "map", "{name}");
            assert!(field(name)["type"][1]["items"]["fields"][1]["field-id"].is_number());
        }
        assert_eq!(field("split_offsets")["type"][1]["element-id"], 133);
        assert_eq!(field("split_offsets")["type"][1].get("logicalType"), None);
        let list = serde_json::to_value(manifest_list_schema().unwrap()).unwrap();
        let partitions = list["fields"].as_array().unwrap().iter().find(|it| it["field-id"] == 507);
        assert_eq!(partitions.unwrap()["type"][1]["element-id"], 508);
    }
}
