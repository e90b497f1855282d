//! The views of the metrics, computed by an engine over the Iceberg tables, and compared with those
//! of the DuckDB file.

use std::collections::BTreeMap;
use std::path::Path;

use armature_export::metrics::{ColumnType, Dialect, VIEWS, View};
use armature_export::tables::{ALL, WriteDisposition};
use serde_json::{Value, json};

use super::Engine;
use crate::support::rows::{ATTACHED, attach};
use crate::support::{TestExport, temporary_folder};

/// All but those that read the commit log, which is in no table of Iceberg.
fn views() -> Vec<&'static View> {
    let is_readable = |view: &&View| !view.reads().contains(&"_syncs");
    VIEWS.iter().copied().filter(is_readable).collect()
}

/// The tables as the DuckDB file has them: the last revision of each run.
fn last_revisions(lake: &Path, create: &str) -> Vec<String> {
    let tables = ALL.iter().filter(|table| lake.join(table.name).exists());
    let statement = |name: &str, write: WriteDisposition| {
        let latest =
            "SELECT run_id, max(_revision) AS _revision FROM files_of_runs GROUP BY run_id";
        let only = match write {
            WriteDisposition::Append => format!(
                " LEFT SEMI JOIN ({latest}) l \
                 ON f.run_id = l.run_id AND f._revision = l._revision"
            ),
            _ => String::new(),
        };
        format!("{create} `{name}` AS SELECT f.* FROM `files_of_{name}` f{only}")
    };
    tables.map(|table| statement(table.name, table.write)).collect()
}

/// Whether two values are equal, floating-point numbers up to this share of their size.
fn is_same(one: &Value, other: &Value, tolerance: f64) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) if one.is_f64() || other.is_f64() => {
            let (one, other) = (one.as_f64().unwrap(), other.as_f64().unwrap());
            (one - other).abs() <= tolerance * one.abs().max(other.abs()).max(1e-6)
        }
        _ => one == other,
    }
}

/// Compares every row of the views, floating-point numbers up to this share of their size.
pub(super) fn assert_same(
    engine: &mut Engine,
    export: &TestExport,
    dialect: Dialect,
    tolerance: f64,
) {
    let out = temporary_folder();
    // Views of Spark that last cannot read those of a session.
    let create = match dialect {
        Dialect::Databricks => "CREATE OR REPLACE TEMPORARY VIEW",
        _ => "CREATE OR REPLACE VIEW",
    };
    let mut statements = last_revisions(&export.lake, create);
    let views_of_metrics = views()
        .into_iter()
        .map(|view| format!("{create} {} AS {}", view.name, view.sql(dialect, &str::to_owned)));
    statements.extend(views_of_metrics);
    let queries: BTreeMap<&str, String> = views()
        .into_iter()
        .map(|view| (view.name, format!("SELECT * FROM {}", view.name)))
        .collect();
    engine.request(&json!({
        "action": "query", "lake": export.lake, "out": out.path(),
        "statements": statements, "queries": queries,
    }));
    let connection = attach(&export.duckdb);
    connection.execute_batch("SET TimeZone = 'UTC'").unwrap();
    for view in views() {
        let columns = view.columns();
        let columns: Vec<String> = columns
            .iter()
            // Decimals are compared as text, exactly.
            .map(|column| match column.kind {
                ColumnType::Float => format!("\"{0}\"::DOUBLE AS \"{0}\"", column.name),
                kind => format!("\"{0}\"::{1}::VARCHAR AS \"{0}\"", column.name, kind.duckdb()),
            })
            .collect();
        let rows = |relation: &str| -> Vec<BTreeMap<String, Value>> {
            let sql = format!(
                "SELECT to_json(t)::VARCHAR FROM (SELECT {} FROM {relation}) t ORDER BY {}",
                columns.join(", "),
                view.key.join(", ")
            );
            let mut statement = connection.prepare(&sql).unwrap();
            let rows = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
            rows.map(|row| serde_json::from_str(&row.unwrap()).unwrap()).collect()
        };
        let file = out.path().join(format!("{}.parquet", view.name));
        let found = rows(&format!("read_parquet('{}')", file.display()));
        let expected = rows(&format!("{ATTACHED}.{}", view.name));
        assert!(!expected.is_empty(), "{} has no rows to compare", view.name);
        assert_eq!(found.len(), expected.len(), "{}", view.name);
        for (found, expected) in found.iter().zip(&expected) {
            for (name, value) in expected {
                let is_same = is_same(&found[name], value, tolerance);
                assert!(is_same, "{}.{name}: {found:?} instead of {expected:?}", view.name);
            }
        }
    }
}
