//! The views of the metrics, computed by an engine over the Iceberg tables, and compared with those
//! of the DuckDB file.

use std::collections::BTreeMap;
use std::path::Path;

use armature_export::metrics::{ColumnType, VIEWS, View};
use armature_export::tables::{ALL, WriteDisposition};
use serde_json::json;

use super::Engine;
use crate::support::rows::{ATTACHED, attach};
use crate::support::{TestExport, temporary_folder};

/// One reads the commit log, which is not in a table of Iceberg; the other computes an exact test
/// with the logarithm of the gamma function, which Spark does not have.
const LEFT_OUT: [&str; 2] = ["data_quality", "workflow_stability"];

fn views() -> Vec<&'static View> {
    VIEWS.iter().copied().filter(|view| !LEFT_OUT.contains(&view.name)).collect()
}

/// The query of a view in the words of Spark. All other words are those of both.
fn in_spark(view: &View) -> String {
    view.query()
        // A timestamp has no zone in the views of DuckDB; the session's zone is UTC.
        .replace("make_timestamp(epoch_us(", "((")
        // Spark replaces every match.
        .replace("'[-_ ]', '', 'g')", "'[-_ ]', '')")
        .replace("AS VARCHAR)", "AS STRING)")
}

/// The tables as the DuckDB file has them: the last revision of each run.
fn last_revisions(lake: &Path) -> Vec<String> {
    let tables = ALL.iter().filter(|table| lake.join(table.name).exists());
    let statement = |name: &str, write: WriteDisposition| {
        let latest =
            "SELECT run_id, max(_revision) AS _revision FROM files_of_runs GROUP BY run_id";
        let only = match write {
            WriteDisposition::Append => format!(
                " f LEFT SEMI JOIN ({latest}) l \
                 ON f.run_id = l.run_id AND f._revision = l._revision"
            ),
            _ => String::new(),
        };
        format!(
            "CREATE OR REPLACE TEMPORARY VIEW `{name}` AS SELECT * FROM `files_of_{name}`{only}"
        )
    };
    tables.map(|table| statement(table.name, table.write)).collect()
}

/// Compares every row of the views, floating-point numbers by so many significant digits.
pub(super) fn assert_same(engine: &mut Engine, export: &TestExport, digits: u8) {
    let out = temporary_folder();
    let mut statements = last_revisions(&export.lake);
    let create = |view: &View| {
        format!("CREATE OR REPLACE TEMPORARY VIEW {} AS {}", view.name, in_spark(view))
    };
    statements.extend(views().into_iter().map(create));
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
        let columns = columns.iter().map(|column| match column.kind {
            ColumnType::Float => format!("printf('%.{digits}g', \"{}\")", column.name),
            kind => format!("\"{}\"::{}", column.name, kind.duckdb()),
        });
        let columns = columns.collect::<Vec<_>>().join(", ");
        let file = out.path().join(format!("{}.parquet", view.name));
        let found = format!("SELECT {columns} FROM read_parquet('{}')", file.display());
        let expected = format!("SELECT {columns} FROM {ATTACHED}.{}", view.name);
        let rows = |sql: &str| -> Vec<String> {
            let sql = format!("SELECT to_json(t)::VARCHAR FROM ({sql}) t");
            let mut statement = connection.prepare(&sql).unwrap();
            let rows = statement.query_map([], |row| row.get(0)).unwrap();
            rows.map(Result::unwrap).collect()
        };
        assert!(!rows(&expected).is_empty(), "{} has no rows to compare", view.name);
        let more = rows(&format!("{found} EXCEPT ALL {expected}"));
        let fewer = rows(&format!("{expected} EXCEPT ALL {found}"));
        assert_eq!(more, fewer, "{} differs", view.name);
    }
}
