//! What lake and DuckDB file hold, compared with what the simulated world says that they must hold.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use armature_export::simulator::{Expected, Row};
use duckdb::Connection;
use serde_json::Value;

use super::{TestExport, rows};

impl TestExport {
    /// The ids of the world's runs, sorted, whether they have ended or not.
    pub(crate) fn expected_ids(&self) -> Vec<String> {
        let mut ids: Vec<String> = self.simulator.world().run_ids(self.simulator.now()).collect();
        ids.sort();
        ids
    }

    /// The ids of all rows of `runs` in the lake's Parquet files, sorted, doubles included.
    pub(crate) fn lake_ids(&self) -> Vec<String> {
        if !self.lake.join("runs").is_dir() {
            return Vec::new();
        }
        rows::texts(&format!(
            "SELECT run_id FROM read_parquet('{}/runs/**/*.parquet')",
            self.lake.display()
        ))
    }

    /// The ids of all rows of `runs` in the DuckDB file, sorted, doubles included.
    pub(crate) fn database_ids(&self) -> Vec<String> {
        let mut ids: Vec<String> =
            self.ask("SELECT run_id FROM runs").into_iter().flatten().collect();
        ids.sort();
        ids
    }

    /// The names of the metrics' views in the DuckDB file, sorted, if the file states that it has
    /// all. Unlike those of a user, they have comments.
    pub(crate) fn database_views(&self) -> Vec<String> {
        let views = "SELECT view_name FROM duckdb_views() \
                     WHERE NOT internal AND comment IS NOT NULL AND view_name <> 'documents' \
                     AND (SELECT comment LIKE '%, views %' FROM duckdb_tables() \
                     WHERE table_name = '_armature') ORDER BY 1";
        self.ask(views).into_iter().flatten().collect()
    }

    /// Every Parquet file that readers see, sorted.
    pub(crate) fn parts(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![self.lake.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let hidden = path.file_name().unwrap().to_string_lossy().starts_with("_armature");
                if path.is_dir() && !hidden {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "parquet") {
                    found.push(path);
                }
            }
        }
        found.sort();
        found
    }

    /// Compares every table, in the lake and in DuckDB, with what the world holds now.
    pub(crate) fn assert_equals_the_world(&self) {
        self.assert_holds(self.expected());
    }

    /// Compares every table, in the lake and in DuckDB, with these rows.
    pub(crate) fn assert_holds(&self, expected: Expected) {
        let connection = rows::attach(&self.duckdb);
        for (table, expected) in [
            ("runs", expected.runs),
            ("spans", expected.spans),
            ("tool_calls", expected.tool_calls),
            ("evaluations", expected.evaluations),
            ("criteria", expected.criteria),
            ("excerpts", expected.excerpts),
        ] {
            self.assert_table(&connection, table, expected);
        }
    }

    /// What the world holds now. Runs without an evaluation are expected only once the grace time
    /// for it is over: until then nobody can know that none will come.
    pub(crate) fn expected(&self) -> Expected {
        let now = self.simulator.now();
        let mut expected = self.simulator.world().expected(now);
        let grace = chrono::Duration::seconds(
            i64::try_from(self.settings.sync.evaluation_grace_secs).unwrap(),
        );
        let since = (now - grace).to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
        let waits = |run: &Row| {
            run["evaluation_state"] == "absent" && *run["ended_at"].as_str().unwrap() > *since
        };
        let waiting: HashSet<Value> = expected
            .runs
            .iter()
            .filter(|run| waits(run))
            .map(|run| run["run_id"].clone())
            .collect();
        for rows in [&mut expected.runs, &mut expected.spans, &mut expected.tool_calls] {
            rows.retain(|row| !waiting.contains(&row["run_id"]));
        }
        expected.waiting.extend(waiting.iter().map(|id| id.as_str().unwrap().to_owned()));
        expected
    }

    /// How many rows [`Self::assert_equals_the_world`] compares.
    pub(crate) fn compared(&self) -> usize {
        2 * self.expected().row_count()
    }

    fn assert_table(&self, connection: &Connection, table: &str, expected: Vec<Row>) {
        let Some(first) = expected.first() else {
            return self.assert_no_rows(connection, table);
        };
        let columns: Vec<String> = first.keys().cloned().collect();
        let declared = armature_export::tables::find(table).unwrap();
        for column in declared.columns {
            let stated = columns.iter().any(|name| name == column.name);
            assert!(
                stated || column.name == "run_url",
                "the world does not state {table}.{}",
                column.name
            );
        }
        let mut expected: Vec<Value> = expected.into_iter().map(Value::Object).collect();
        expected.sort_by_key(|row| sort_key(row, declared.key));
        let lake = self.lake.display();
        let glob = format!(
            "(SELECT * FROM read_parquet('{lake}/{table}/**/*.parquet', union_by_name = true) \
             SEMI JOIN (SELECT run_id, max(_revision) AS _revision FROM \
             read_parquet('{lake}/runs/**/*.parquet') GROUP BY run_id) USING (run_id, _revision))"
        );
        let delivered = format!("{}.{table}", rows::ATTACHED);
        for (place, relation) in [("lake", glob), ("DuckDB", delivered)] {
            let mut found = rows::read(connection, &relation, table, &columns);
            found.sort_by_key(|row| sort_key(row, declared.key));
            let what = format!("{table} in the {place}");
            assert_same_keys(&found, &expected, declared.key, &what);
            assert_same(&found, &expected, &what);
        }
    }

    fn assert_no_rows(&self, connection: &Connection, table: &str) {
        let count = |relation: &str| {
            let sql = format!("SELECT count(*) FROM {relation}");
            connection.query_row(&sql, [], |row| row.get::<_, i64>(0)).unwrap()
        };
        assert_eq!(count(&format!("{}.{table}", rows::ATTACHED)), 0, "{table} in the DuckDB file");
        let folder = self.lake.join(table);
        if self.parts().iter().any(|part| part.starts_with(&folder)) {
            let files = format!("read_parquet('{}/**/*.parquet')", folder.display());
            assert_eq!(count(&files), 0, "{table} in the lake");
        }
    }

    /// Columns that the simulator's bodies have nothing for.
    pub(crate) fn has_no_source(&self, table: &str, column: &str) -> bool {
        let filled = |path: &Path| path.exists();
        !filled(&self.duckdb)
            || matches!(
                (table, column),
                // Its costs are numbers, without a currency; no judge of it fails.
                ("mcp_servers" | "workflows", _)
                    | ("runs", "cost_currency")
                    | ("evaluations", "error_message")
            )
    }
}

fn sort_key(row: &Value, key: &[&str]) -> Vec<String> {
    key.iter()
        .map(|column| match &row[*column] {
            Value::Number(number) => format!("{:>12}", number.to_string()),
            other => other.to_string(),
        })
        .collect()
}

/// Names the rows that are missing, doubled or too many.
fn assert_same_keys(found: &[Value], expected: &[Value], key: &[&str], what: &str) {
    let keys = |rows: &[Value]| rows.iter().map(|row| sort_key(row, key)).collect::<Vec<_>>();
    let (found, expected) = (keys(found), keys(expected));
    if found != expected {
        let (all, right): (HashSet<_>, HashSet<_>) =
            (found.iter().collect(), expected.iter().collect());
        let missing: Vec<_> = right.difference(&all).take(5).collect();
        let surplus: Vec<_> = all.difference(&right).take(5).collect();
        let (found, expected) = (found.len(), expected.len());
        panic!(
            "{what}: {found} rows instead of {expected}; missing, such as: {missing:?}; \
             too many, such as: {surplus:?}"
        );
    }
}

/// Like `assert_eq`, but shows the first row that differs instead of all of them.
fn assert_same(found: &[Value], expected: &[Value], what: &str) {
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(found, expected, "{what}");
    }
    assert_eq!(found.len(), expected.len(), "{what}: number of rows");
}
