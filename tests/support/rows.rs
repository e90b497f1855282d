//! Rows of a relation in the form in which the world states them.

use std::path::Path;

use armature_export::tables::{Kind, find};
use duckdb::{AccessMode, Config, Connection};
use serde_json::{Map, Value};

/// The rows of a relation, with the columns that `like` has, in the order of the table's key.
pub(crate) fn read(
    connection: &Connection,
    relation: &str,
    table: &str,
    columns: &[String],
) -> Vec<Value> {
    let declared = find(table).unwrap();
    let fields = columns.iter().map(|name| {
        let column = format!("\"{name}\"");
        let value = match declared.column(name).unwrap().kind {
            Kind::Timestamp => {
                format!("strftime(make_timestamp(epoch_us({column})), '%Y-%m-%dT%H:%M:%S.%fZ')")
            }
            Kind::Decimal => format!("rtrim(rtrim({column}::VARCHAR, '0'), '.')"),
            _ => column,
        };
        format!("\"{name}\" := {value}")
    });
    let fields: Vec<String> = fields.collect();
    let sql = format!(
        "SELECT to_json(struct_pack({}))::VARCHAR FROM {relation} ORDER BY {}",
        fields.join(", "),
        declared.key.join(", ")
    );
    let mut statement = connection.prepare(&sql).unwrap();
    let rows = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
    rows.map(|row| {
        let mut row: Map<String, Value> = serde_json::from_str(&row.unwrap()).unwrap();
        for (name, value) in &mut row {
            if declared.column(name).unwrap().kind == Kind::Json
                && let Value::String(text) = value
            {
                *value = serde_json::from_str(text)
                    .unwrap_or_else(|error| panic!("{table}.{name} is no JSON: {error}"));
            }
        }
        Value::Object(row)
    })
    .collect()
}

/// The name of the database that [`attach`] attaches.
pub(crate) const ATTACHED: &str = "delivered";

/// A database in memory that has a DuckDB file attached, and so reads both it and Parquet files.
pub(crate) fn attach(database: &Path) -> Connection {
    let connection = in_memory();
    let sql = format!("ATTACH '{}' AS {ATTACHED} (READ_ONLY)", database.display());
    connection.execute_batch(&sql).unwrap();
    connection
}

/// The single number that a query of a DuckDB file returns.
pub(crate) fn count(database: &Path, sql: &str) -> i64 {
    let config = one_thread().access_mode(AccessMode::ReadOnly).unwrap();
    let connection = Connection::open_with_flags(database, config).unwrap();
    connection.query_row(sql, [], |row| row.get(0)).unwrap()
}

/// The single number that a query of Parquet files returns.
pub(crate) fn count_in_memory(sql: &str) -> i64 {
    in_memory().query_row(sql, [], |row| row.get(0)).unwrap()
}

/// The single column of text that a query of Parquet files returns, sorted.
pub(crate) fn texts(sql: &str) -> Vec<String> {
    let connection = in_memory();
    let mut statement = connection.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    let mut texts: Vec<String> = rows.map(Result::unwrap).collect();
    texts.sort();
    texts
}

/// So little is read here that more threads would take longer to start.
fn one_thread() -> Config {
    Config::default().threads(1).unwrap()
}

fn in_memory() -> Connection {
    Connection::open_in_memory_with_flags(one_thread()).unwrap()
}
