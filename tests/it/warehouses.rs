//! Loading into a warehouse: what `changes` lists, and the scripts of `schema`, in DuckDB as the
//! warehouse. After every load, its rows are those of the lake. `tests/bi/warehouses.py` does the
//! same in other engines.

use std::fs;
use std::path::PathBuf;

use crate::support::{TestExport, files, hand_made_run, restore_lake};
use duckdb::Connection;
use insta::assert_snapshot;
use regex::Regex;
use serde_json::{Value, json};

const TABLES: [&str; 11] = [
    "runs",
    "spans",
    "tool_calls",
    "evaluations",
    "criteria",
    "excerpts",
    "documents",
    "_issues",
    "open_runs",
    "workflows",
    "mcp_servers",
];

/// A warehouse: a DuckDB file that only the printed scripts write.
struct Warehouse<'e> {
    export: &'e TestExport,
    path: PathBuf,
}

impl<'e> Warehouse<'e> {
    fn new(export: &'e TestExport) -> Self {
        let warehouse = Self { export, path: export.path("warehouse.duckdb") };
        warehouse.define();
        warehouse
    }

    fn open(&self) -> Connection {
        Connection::open(&self.path).unwrap()
    }

    /// Creates what is missing.
    fn define(&self) {
        let ran = self.export.run(&["schema", "--format", "duckdb"]);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        self.open().execute_batch(&ran.stdout).unwrap();
    }

    /// The last commit that was loaded.
    fn commit(&self) -> u64 {
        let sql = "SELECT coalesce(max(commit_number), 0)::UBIGINT FROM _loads";
        self.open().query_row(sql, [], |row| row.get(0)).unwrap()
    }

    /// The last commit that was loaded, with its name, for `--since`.
    fn named_commit(&self) -> String {
        let sql = "SELECT commit_number || ':' || commit_name FROM _loads \
                   ORDER BY commit_number DESC LIMIT 1";
        self.open().query_row(sql, [], |row| row.get(0)).unwrap()
    }

    /// The script that loads what is new.
    fn script(&self) -> String {
        self.script_since(&self.named_commit())
    }

    fn script_since(&self, since: &str) -> String {
        let changes = changes(self.export, &["--since", since]);
        fs::write(self.export.path("changes.json"), changes.to_string()).unwrap();
        let ran = self.export.run(&["schema", "--format", "duckdb", "--load", "changes.json"]);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        ran.stdout
    }

    /// Loads what is new; the rows are then those of the lake.
    fn load(&self) {
        self.open().execute_batch(&self.script()).unwrap();
        self.assert_equals_lake();
    }

    /// Runs all statements of a script, as a client does that goes on after an error. Returns the
    /// errors.
    fn load_without_stop(&self, script: &str) -> Vec<String> {
        let connection = self.open();
        let run = |statement| connection.execute_batch(statement).err();
        let errors = script.split_inclusive(";\n").filter_map(run);
        errors.map(|error| error.to_string()).collect()
    }

    /// Its rows in all tables, as one text.
    fn rows(&self) -> String {
        let connection = self.open();
        let counts = TABLES.map(|table| {
            let sql = format!(
                "SELECT count(*) || ' ' || coalesce(bit_xor(hash(t)), 0) FROM \"{table}\" t"
            );
            connection.query_row(&sql, [], |row| row.get::<_, String>(0)).unwrap()
        });
        counts.join(", ")
    }

    /// Runs the first statements of a script, and ends as a killed process would.
    fn load_until(&self, script: &str, statements: usize) {
        let connection = self.open();
        for statement in script.split_inclusive(";\n").take(statements) {
            connection.execute_batch(statement).unwrap();
        }
    }

    fn assert_equals_lake(&self) {
        let connection = self.open();
        for table in TABLES {
            let folder = self.export.lake.join(table);
            let files = format!("{}/**/*.parquet", folder.display());
            let columns = columns(&connection, table);
            let read = "union_by_name = true, hive_partitioning = false";
            let lake = if folder.exists() {
                format!("(SELECT {columns} FROM read_parquet('{files}', {read}))")
            } else {
                format!("(SELECT {columns} FROM \"{table}\" WHERE false)")
            };
            assert_same(&connection, table, &format!("(SELECT {columns} FROM \"{table}\")"), &lake);
        }
    }
}

/// The columns of a table, quoted.
fn columns(connection: &Connection, table: &str) -> String {
    let sql = format!(
        "SELECT string_agg('\"' || column_name || '\"', ', ' ORDER BY column_index) \
         FROM duckdb_columns() WHERE database_name = current_database() AND table_name = '{table}'"
    );
    connection.query_row(&sql, [], |row| row.get(0)).unwrap()
}

/// Two queries have the same rows.
fn assert_same(connection: &Connection, what: &str, found: &str, expected: &str) {
    let one = |a: &str, b: &str| {
        let sql = format!("SELECT count(*)::BIGINT FROM (FROM {a} EXCEPT ALL FROM {b})");
        connection.query_row(&sql, [], |row| row.get::<_, i64>(0)).unwrap()
    };
    let (more, missing) = (one(found, expected), one(expected, found));
    assert_eq!((more, missing), (0, 0), "{what}: rows too many, and rows missing");
}

fn changes(export: &TestExport, arguments: &[&str]) -> Value {
    let ran = export.run(&[&["changes"], arguments].concat());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    ran.json()
}

fn sync(export: &TestExport) {
    let ran = export.run(&["sync"]);
    assert_eq!(ran.code, Some(0), "{}", ran.told());
}

fn more_runs(export: &TestExport) {
    export.simulator.advance(chrono::Duration::hours(2));
    sync(export);
}

/// Merges files, and some of them.
fn compact(export: &TestExport) {
    let ran = export.run(&["compact", "--output", "json"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.json()["commits"].as_u64().unwrap() > 0, "nothing was merged");
}

/// All days are closed at once, and old files go at once.
const COMPACTS: &str = "[compact]\nclosed_after_secs = 0\ngrace_secs = 0\n";

#[test]
fn a_warehouse_has_the_rows_of_the_lake_after_every_load() {
    let export = TestExport::of_growing_world(12);
    export.configure(COMPACTS);
    sync(&export);
    let warehouse = Warehouse::new(&export);
    warehouse.load();
    // Several syncs at once, and the same load again.
    more_runs(&export);
    more_runs(&export);
    let script = warehouse.script();
    warehouse.load();
    warehouse.open().execute_batch(&script).unwrap();
    warehouse.assert_equals_lake();
    // Nothing is new.
    let before = warehouse.commit();
    warehouse.load();
    assert_eq!(warehouse.commit(), before);
    // A merge between two loads: the merged files hold rows of both.
    more_runs(&export);
    compact(&export);
    let changes = changes(&export, &["--since", &warehouse.commit().to_string()]);
    let files = changes["tables"][0]["files"].as_array().unwrap();
    let since = changes["since"].as_u64();
    assert!(files.iter().any(|file| file["least_commit"].as_u64() <= since), "{changes}");
    warehouse.load();
}

#[test]
fn a_load_that_is_killed_anywhere_leaves_the_rows_of_before() {
    let export = TestExport::of_growing_world(6);
    sync(&export);
    let warehouse = Warehouse::new(&export);
    warehouse.load();
    let before = warehouse.rows();
    more_runs(&export);
    let script = warehouse.script();
    let statements = script.matches(";\n").count();
    for until in [1, statements / 3, statements / 2, 2 * statements / 3] {
        warehouse.load_until(&script, until);
        assert_eq!(warehouse.rows(), before, "after {until} of {statements} statements");
    }
    warehouse.load();
    assert_ne!(warehouse.rows(), before);
}

/// A warehouse that a load of commit 2 is made for.
fn with_a_load(export: &TestExport) -> (Warehouse<'_>, String) {
    sync(export);
    let warehouse = Warehouse::new(export);
    warehouse.load();
    more_runs(export);
    let script = warehouse.script();
    (warehouse, script)
}

#[test]
fn a_client_that_goes_on_after_an_error_loses_no_rows() {
    let export = TestExport::of_growing_world(6);
    let (warehouse, script) = with_a_load(&export);
    let before = (warehouse.rows(), warehouse.commit());
    let list = changes(&export, &["--since", "1", "--table", "spans"]);
    let file = PathBuf::from(list["tables"][0]["files"][0]["path"].as_str().unwrap());
    let content = fs::read(&file).unwrap();
    fs::remove_file(&file).unwrap();
    for script in [&script, &warehouse.script_since("0")] {
        let errors = warehouse.load_without_stop(script);
        assert!(errors.iter().any(|it| it.contains("the load is not recorded")), "{errors:?}");
        assert_eq!((warehouse.rows(), warehouse.commit()), before);
    }
    fs::write(&file, content).unwrap();
    warehouse.load();
    assert_eq!(warehouse.commit(), 2);
}

/// As where each file is read by a statement of its own, and one of them failed.
#[test]
fn a_staging_table_without_all_rows_of_its_files_is_not_loaded() {
    let export = TestExport::of_growing_world(6);
    let (warehouse, script) = with_a_load(&export);
    let before = (warehouse.rows(), warehouse.commit());
    let one = "DELETE FROM _stage_spans WHERE run_id = (SELECT max(run_id) FROM _stage_spans);\n";
    let incomplete = script.replacen("BEGIN;\n", &format!("{one}BEGIN;\n"), 1);
    assert!(!warehouse.load_without_stop(&incomplete).is_empty());
    assert_eq!((warehouse.rows(), warehouse.commit()), before);
    warehouse.load();
}

/// Rows were deleted, and those of the files could not be inserted.
#[test]
fn a_load_without_its_rows_is_not_recorded() {
    let export = TestExport::of_growing_world(6);
    let (warehouse, script) = with_a_load(&export);
    let before = (warehouse.rows(), warehouse.commit());
    let rename = |from, to| {
        let sql = format!("ALTER TABLE spans RENAME COLUMN {from} TO {to}");
        warehouse.open().execute_batch(&sql).unwrap();
    };
    rename("span_id", "other");
    assert!(!warehouse.load_without_stop(&script).is_empty());
    rename("other", "span_id");
    assert_eq!((warehouse.rows(), warehouse.commit()), before);
    warehouse.load();
    assert_eq!(warehouse.commit(), 2);
}

#[test]
fn loads_that_are_not_in_order_change_nothing() {
    // Without open runs, whose list is another file after each sync.
    let export = TestExport::of_ended_runs(6);
    let one_more_run = |id: &str| {
        export.simulator.override_run(hand_made_run(id, &json!({})));
        sync(&export);
    };
    sync(&export);
    let warehouse = Warehouse::new(&export);
    let first = warehouse.script_since("0");
    one_more_run("second");
    let second = warehouse.script_since("1");
    one_more_run("third");
    let later = warehouse.script_since("2");
    let overlapping = warehouse.script_since("1");
    let refused = |script: &str, reason: &str| {
        let before = warehouse.rows();
        let error = warehouse.open().execute_batch(script).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
        assert_eq!(warehouse.rows(), before);
    };
    refused(&second, "the warehouse does not end at commit 1 00000001-");
    warehouse.open().execute_batch(&first).unwrap();
    refused(&later, "the warehouse does not end at commit 2 00000002-");
    warehouse.open().execute_batch(&second).unwrap();
    refused(&overlapping, "the warehouse does not end at commit 1 00000001-");
    warehouse.open().execute_batch(&later).unwrap();
    warehouse.assert_equals_lake();
}

#[test]
fn of_two_loads_at_the_same_time_one_fails() {
    let export = TestExport::of_growing_world(6);
    sync(&export);
    let warehouse = Warehouse::new(&export);
    more_runs(&export);
    for since in ["0", "2:"] {
        let script = warehouse.script_since(since);
        let (one, rest) = script.split_once("COMMIT;\n").unwrap();
        let first = warehouse.open();
        let second = first.try_clone().unwrap();
        first.execute_batch(one).unwrap();
        let error = second.execute_batch(&script).unwrap_err().to_string();
        assert!(error.contains("onflict"), "{error}");
        first.execute_batch(&format!("COMMIT;\n{rest}")).unwrap();
        second.execute_batch(&format!("ROLLBACK;\n{script}")).unwrap();
        drop((first, second));
        warehouse.assert_equals_lake();
        more_runs(&export);
    }
}

/// The lake goes on from an older copy, and passes the commit that the warehouse has.
#[test]
fn a_lake_that_was_restored_is_not_loaded_on_top_of_its_former_rows() {
    let export = TestExport::of_growing_world(6);
    sync(&export);
    let copy = files(&export.lake);
    let warehouse = Warehouse::new(&export);
    warehouse.load();
    more_runs(&export);
    warehouse.load();
    let loaded = warehouse.named_commit();
    restore_lake(&export.lake, &copy);
    fs::remove_file(&export.duckdb).unwrap();
    more_runs(&export);
    more_runs(&export);
    let ran = export.run(&["changes", "--since", &loaded]);
    assert_snapshot!(ran.told(), @"
    exit 6
    error: commit 2 of the lake is `00000002-[id]`, not `00000002-[id]`
    hint: the lake is another one, or was restored from an older copy: load it anew with --since 0
    ");
    // Without a name, the load itself notices.
    let (script, before) = (warehouse.script_since("2"), warehouse.rows());
    let error = warehouse.open().execute_batch(&script).unwrap_err().to_string();
    assert!(error.contains("the warehouse does not end at commit 2"), "{error}");
    assert_eq!(warehouse.rows(), before);
    warehouse.open().execute_batch(&warehouse.script_since("0")).unwrap();
    warehouse.assert_equals_lake();
    more_runs(&export);
    warehouse.load();
}

/// A version that did not record names made the table of loads.
#[test]
fn a_warehouse_of_an_earlier_version_is_loaded_on() {
    let export = TestExport::of_growing_world(6);
    sync(&export);
    let warehouse = Warehouse::new(&export);
    warehouse.load();
    let earlier = "ALTER TABLE _loads DROP COLUMN commit_name; \
                   DELETE FROM _loads WHERE commit_number = 0";
    warehouse.open().execute_batch(earlier).unwrap();
    more_runs(&export);
    let script = warehouse.script_since("1");
    assert!(!warehouse.load_without_stop(&script).is_empty());
    assert_eq!(warehouse.commit(), 1);
    warehouse.define();
    warehouse.open().execute_batch(&script).unwrap();
    warehouse.assert_equals_lake();
    assert!(warehouse.named_commit().starts_with("2:00000002-"));
}

#[test]
fn an_added_column_reaches_the_warehouse() {
    let export = TestExport::of_growing_world(6);
    sync(&export);
    let warehouse = Warehouse::new(&export);
    warehouse.load();
    export.configure(
        "[[columns]]\ntable = \"runs\"\nname = \"workflow_label\"\nkind = \"text\"\n\
         sources = [\"workflow.name\", \"workflow_name\", \"workflowName\"]\n",
    );
    more_runs(&export);
    warehouse.define();
    warehouse.load();
    let sql = "SELECT count(*) FROM runs WHERE workflow_label IS NOT NULL";
    let filled: i64 = warehouse.open().query_row(sql, [], |row| row.get(0)).unwrap();
    assert!(filled > 0, "the column has no values");
    // A replay fills it in all runs: all rows are loaded again.
    assert_eq!(export.run(&["replay"]).code, Some(0));
    warehouse.load();
    let sql = "SELECT count(*) FROM runs WHERE workflow_label IS NULL";
    assert_eq!(warehouse.open().query_row(sql, [], |row| row.get(0)), Ok(0));
}

#[test]
fn rows_that_a_commit_removes_are_removed_from_the_warehouse() {
    let export = TestExport::of_ended_runs(6);
    export.configure(COMPACTS);
    sync(&export);
    let warehouse = Warehouse::new(&export);
    warehouse.load();
    for revision in 1..=2 {
        let mut run = hand_made_run("changing", &json!({"cost_usd": revision}));
        run.listing["status"] = json!(if revision == 1 { "failed" } else { "passed" });
        export.simulator.override_run(run);
        sync(&export);
    }
    warehouse.load();
    let revisions = "SELECT count(*) FROM runs WHERE run_id = 'changing'";
    let count =
        |sql: &str| warehouse.open().query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(count(revisions), 2);
    assert_eq!(count("SELECT count(*) FROM runs_latest WHERE run_id = 'changing'"), 1);
    assert_eq!(export.run(&["compact", "--drop-older-revisions"]).code, Some(0));
    warehouse.load();
    assert_eq!(count(revisions), 1);
}

#[test]
fn the_views_of_a_warehouse_show_what_the_duckdb_file_shows() {
    let export = TestExport::of_growing_world(30);
    sync(&export);
    let warehouse = Warehouse::new(&export);
    warehouse.load();
    more_runs(&export);
    assert_eq!(export.run(&["replay"]).code, Some(0));
    warehouse.load();
    let connection = warehouse.open();
    let delivered = export.duckdb.display().to_string();
    connection.execute_batch(&format!("ATTACH '{delivered}' AS delivered (READ_ONLY)")).unwrap();
    for table in ["runs", "spans", "tool_calls", "criteria"] {
        let columns = columns(&connection, table);
        let view = format!("(SELECT {columns} FROM \"{table}_latest\")");
        let expected = format!("(SELECT {columns} FROM delivered.\"{table}\")");
        assert_same(&connection, table, &view, &expected);
    }
    for view in ["run_facts", "workflow_daily", "tool_health", "criterion_health"] {
        assert_same(&connection, view, &format!("\"{view}\""), &format!("delivered.\"{view}\""));
    }
}

#[test]
fn what_is_listed_in_each_format() {
    let export = TestExport::of_ended_runs(2);
    sync(&export);
    let hide = |text: &str| {
        let text = export.with_placeholders(text);
        let uuid =
            Regex::new(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}").unwrap();
        let text = uuid.replace_all(&text, "[id]");
        let digest = Regex::new(r"[0-9a-f]{64}").unwrap();
        let text = digest.replace_all(&text, "[sha256]");
        // Sizes differ with ids.
        Regex::new(r#""bytes": \d+"#).unwrap().replace_all(&text, "\"bytes\": [bytes]").into_owned()
    };
    let ran = export.run(&["changes", "--since", "0", "--table", "runs"]);
    assert_snapshot!("changes_json", hide(&ran.stdout));
    let ran = export.run(&["changes", "--since", "0", "--format", "files"]);
    assert_eq!(hide(ran.stderr.trim_end()), "up to commit 1:00000001-[id]");
    assert_snapshot!("changes_files", hide(&ran.stdout));
    for path in ran.stdout.lines() {
        assert!(std::path::Path::new(path).is_file(), "{path}");
    }
    let ran = export.run(&["changes", "--since", "1", "--format", "files"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), ""));
}

#[test]
fn what_cannot_be_listed_is_told() {
    let export = TestExport::of_growing_world(3);
    let mut told = vec![export.run(&["changes", "--since", "0"]).told()];
    sync(&export);
    more_runs(&export);
    for arguments in [
        &["--since", "9"][..],
        &["--since", "2:other"],
        &["--since", "2", "--until", "1"],
        &["--since", "0", "--table", "_syncs"],
        &["--since", "0", "--format", "redshift"],
        &["--since", "0", "--format", "redshift", "--table", "runs"],
    ] {
        told.push(export.run(&[&["changes"], arguments].concat()).told());
    }
    // The rows up to commit 1 are there, until a replay replaces them.
    assert_eq!(changes(&export, &["--since", "0", "--until", "1"])["commit"], 1);
    assert_eq!(export.run(&["replay"]).code, Some(0));
    told.push(export.run(&["changes", "--since", "0", "--until", "1"]).told());
    fs::write(export.path("changes.json"), "{}").unwrap();
    told.push(export.run(&["schema", "--format", "duckdb", "--load", "changes.json"]).told());
    told.push(export.run(&["schema", "--load", "changes.json"]).told());
    changes(&export, &["--since", "0"]);
    fs::write(export.path("changes.json"), changes(&export, &["--since", "0"]).to_string())
        .unwrap();
    told.push(export.run(&["schema", "--format", "bigquery", "--load", "changes.json"]).told());
    assert_snapshot!(told.join("\n\n"));
}

/// A crash between a commit and its publication: the list would name files that are not there.
#[test]
fn a_commit_that_is_not_published_is_not_listed() {
    let export = TestExport::of_growing_world(3);
    sync(&export);
    export.simulator.advance(chrono::Duration::hours(2));
    export.crash(&["sync"], "after_commit_file");
    let ran = export.run(&["changes", "--since", "1"]);
    assert!(ran.code == Some(6) && ran.stderr.contains("is not published"), "{}", ran.told());
    sync(&export);
    let warehouse = Warehouse::new(&export);
    warehouse.load();
}
