//! Rows of a relation in the form in which the world states them.

use std::path::Path;

use armature_export::tables::{Kind, find};
use duckdb::{AccessMode, Config, Connection};
use serde_json::{Map, Value};

/// The rows of a relation, with the columns that `like` has, in the order of the table's key.
pub(crate) fn read(
    database: Option<&Path>,
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
    let connection = open(database);
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

/// A single number.
pub(crate) fn count(database: &Path, sql: &str) -> i64 {
    open(Some(database)).query_row(sql, [], |row| row.get(0)).unwrap()
}

fn open(database: Option<&Path>) -> Connection {
    match database {
        Some(path) => {
            let config = Config::default().access_mode(AccessMode::ReadOnly).unwrap();
            Connection::open_with_flags(path, config).unwrap()
        }
        None => Connection::open_in_memory().unwrap(),
    }
}

/// A single number from a question that needs no database.
pub(crate) fn count_in_memory(sql: &str) -> i64 {
    open(None).query_row(sql, [], |row| row.get(0)).unwrap()
}
