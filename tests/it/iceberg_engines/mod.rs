//! Engines that read Iceberg tables, each over one lake: after every kind of change, each finds the
//! rows of the lake in every table.

mod figures;

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use armature_export::config::IcebergSettings;
use armature_export::metrics::Dialect;
use armature_export::tables::{ColumnOverride, Kind};
use armature_export::targets::DeliveryReport;
use chrono::Duration;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::compact::{at, compacted, options, small_commits};
use crate::iceberg::{assert_rows_of_lake, settings};
use crate::iceberg_rest::Namespace;
use crate::offline::replay::replayed;
use crate::support::{TestExport, temporary_folder};

/// An engine in a process of its own, which answers requests until this is dropped.
struct Engine {
    process: Child,
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    /// With what the engine prints.
    folder: TempDir,
}

impl Engine {
    /// Starts the script of an engine with the Python of an environment of the repository's folder.
    fn start(environment: &str, script: &str, lake: &Path, arguments: &[&str]) -> Self {
        let python = repository(environment).join("bin/python");
        assert!(python.exists(), "`{environment}` is missing, which `make test-stores` fetches");
        let folder = temporary_folder();
        let mut process = Command::new(python)
            .arg(repository("tests/it/iceberg_engines").join(script))
            .args(arguments)
            .current_dir(lake.parent().unwrap())
            // Otherwise it would keep compiled modules in the repository.
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(folder.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let requests = process.stdin.take();
        let answers = BufReader::new(process.stdout.take().unwrap());
        Self { process, requests, answers, folder }
    }

    fn request(&mut self, request: &Value) {
        // A process that has ended has said why, and answers nothing.
        let _ended = writeln!(self.requests.as_mut().unwrap(), "{request}");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        assert_eq!(answer, "done\n", "{request}: {}", self.log());
    }

    fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.folder.path().join("log")).unwrap()).into()
    }

    /// Compares the rows that the engine finds with those of the lake's files. Returns the number
    /// of rows.
    fn assert_same_rows(&mut self, lake: &Path, when: &str) -> i64 {
        let out = temporary_folder();
        self.request(&json!({"action": "read", "lake": lake, "out": out.path()}));
        assert_rows_of_lake(lake, out.path(), when)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Its requests end, and so does the process.
        drop(self.requests.take());
        let _status = self.process.wait();
    }
}

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A lake whose runs change after their end, with small commits.
fn export(iceberg: IcebergSettings) -> TestExport {
    let mut export = small_commits(60);
    export.settings.iceberg = iceberg;
    export
}

async fn sync(export: &TestExport) -> u64 {
    let report = export.sync().await;
    let failed = report.deliveries.iter().find_map(DeliveryReport::error);
    assert!(failed.is_none(), "{failed:?}");
    report.runs.changed
}

/// Changes the lake in every way. After each change, the engine finds the rows of the lake.
async fn assert_every_change_is_read(export: &mut TestExport, engine: &mut Engine) {
    sync(export).await;
    assert!(engine.assert_same_rows(&export.lake, "after a sync") > 500);
    export.simulator.advance(Duration::hours(6));
    assert!(sync(export).await > 0);
    engine.assert_same_rows(&export.lake, "after late evaluations");
    export.settings.columns.push(ColumnOverride {
        table: "runs".to_owned(),
        name: "team".to_owned(),
        kind: Some(Kind::Text),
        sources: vec!["metadata.team".to_owned()],
        ..ColumnOverride::default()
    });
    export.simulator.advance(Duration::hours(6));
    sync(export).await;
    engine.assert_same_rows(&export.lake, "after a column was added");
    let closed = at(options(export), (export.simulator.now() + Duration::days(3)).into());
    assert!(compacted(&closed).await.commits > 1);
    engine.assert_same_rows(&export.lake, "after a compaction");
    replayed(export).await;
    engine.assert_same_rows(&export.lake, "after a replay");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "`make test-stores` fetches the engines"]
async fn polars_finds_the_rows_of_the_lake() {
    let mut export = export(settings());
    let mut engine = Engine::start(".readers", "polars_engine.py", &export.lake, &[]);
    assert_every_change_is_read(&mut export, &mut engine).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "`make test-stores` fetches the engines"]
async fn duckdb_finds_the_rows_of_the_lake() {
    let mut export = export(settings());
    let mut engine = Engine::start(".engines", "duckdb_engine.py", &export.lake, &[]);
    assert_every_change_is_read(&mut export, &mut engine).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "`make test-stores` fetches the engines"]
async fn clickhouse_finds_the_rows_of_the_lake_and_the_figures_of_its_views() {
    let mut export = export(settings());
    let mut engine = Engine::start(".clickhouse", "chdb_engine.py", &export.lake, &[]);
    assert_every_change_is_read(&mut export, &mut engine).await;
    // Engines add numbers in different orders.
    figures::assert_same(&mut engine, &export, Dialect::ClickHouse, 1e-9);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "`make test-stores` fetches the engines"]
async fn sail_finds_the_rows_of_the_lake_and_the_figures_of_its_views() {
    let mut export = export(settings());
    let mut engine = Engine::start(".engines", "sail_engine.py", &export.lake, &[]);
    assert_every_change_is_read(&mut export, &mut engine).await;
    // It interpolates percentiles to a millionth of the distance of two values.
    figures::assert_same(&mut engine, &export, Dialect::Databricks, 1e-5);
}

fn spark(lake: &Path, namespace: &str, catalog: &Value) -> Engine {
    let jars = repository(".spark/jars");
    let arguments = [jars.to_str().unwrap(), namespace, &catalog.to_string()];
    Engine::start(".spark", "spark_engine.py", lake, &arguments)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "`make test-stores` fetches the engines"]
async fn spark_finds_the_rows_of_the_lake_and_the_figures_of_its_views() {
    let mut export = export(settings());
    let warehouse = format!("file://{}", export.lake.join("_iceberg").display());
    let catalog = json!({"type": "hadoop", "warehouse": warehouse});
    let mut engine = spark(&export.lake, "", &catalog);
    assert_every_change_is_read(&mut export, &mut engine).await;
    // Engines add numbers in different orders.
    figures::assert_same(&mut engine, &export, Dialect::Databricks, 1e-9);
}

/// The catalog sends the metadata with its answers, and the manifests are in the lake: Spark does
/// not need to read the bucket of the catalog.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "`make test-stores` fetches the engines"]
async fn spark_finds_the_rows_of_the_lake_by_a_rest_catalog() {
    let namespace = Namespace::new();
    let mut export = export(namespace.settings.clone());
    let catalog = namespace.catalog;
    let settings = json!({
        "type": "rest",
        "uri": catalog.uri,
        "warehouse": catalog.warehouse,
        "credential": format!("{}:{}", catalog.client_id, catalog.client_secret),
        "oauth2-server-uri": catalog.oauth_uri,
        "scope": catalog.scope,
    });
    let mut engine = spark(&export.lake, &namespace.settings.namespace, &settings);
    assert_every_change_is_read(&mut export, &mut engine).await;
}
