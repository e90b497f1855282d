//! The data dictionary: the declarations as a person or a program reads them.

use serde::Serialize;

use super::{MappedTable, Mapping, SCHEMA_VERSION, WriteDisposition};

/// One table of the data dictionary.
#[derive(Debug, Serialize)]
pub struct TableEntry {
    /// The table's name.
    pub table: String,
    /// What one row is.
    pub description: String,
    /// The columns that name a row.
    pub key: Vec<String>,
    /// `append`, `replace` or `commit log`.
    pub write: &'static str,
    /// The version of all tables together.
    pub schema_version: &'static str,
    /// The columns in order.
    pub columns: Vec<ColumnEntry>,
}

/// One column of the data dictionary.
#[derive(Debug, Serialize)]
pub struct ColumnEntry {
    /// The name.
    pub name: String,
    /// The field id, as in the Parquet files; those of users' columns are given by the lake.
    pub field_id: u32,
    /// The type.
    pub kind: &'static str,
    /// The type in DuckDB.
    pub duckdb_type: &'static str,
    /// Whether rows may have no value.
    pub nullable: bool,
    /// What it holds.
    pub description: String,
    /// The paths tried in the body, in order.
    pub sources: Vec<String>,
}

/// The dictionary of all tables, or of the one that is named.
pub fn dictionary(mapping: &Mapping, table: Option<&str>) -> Vec<TableEntry> {
    let wanted = |mapped: &&MappedTable| table.is_none_or(|name| mapped.table.name == name);
    mapping.tables().iter().filter(wanted).map(entry).collect()
}

fn entry(mapped: &MappedTable) -> TableEntry {
    let columns = mapped.columns.iter().map(|column| ColumnEntry {
        name: column.name.clone(),
        field_id: column.id,
        kind: column.kind.name(),
        duckdb_type: column.kind.duckdb(),
        nullable: !mapped.table.is_required(&column.name),
        description: column.description.clone(),
        sources: column.sources.clone(),
    });
    TableEntry {
        table: mapped.table.name.to_owned(),
        description: mapped.table.description.to_owned(),
        key: mapped.table.key.iter().map(|&key| key.to_owned()).collect(),
        write: match mapped.table.write {
            WriteDisposition::Append => "append",
            WriteDisposition::Replace => "replace",
            WriteDisposition::CommitLog => "commit log",
        },
        schema_version: SCHEMA_VERSION,
        columns: columns.collect(),
    }
}
