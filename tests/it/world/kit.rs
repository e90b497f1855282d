//! A world, its simulator, and an export of it into a temporary folder.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use armature_export::config::{ApiKey, Settings};
use armature_export::event::Events;
use armature_export::job::LakeJob;
use armature_export::lake::LakeView;
use armature_export::simulator::{Expected, Row, Simulator, SimulatorSettings, WorldSettings};
use armature_export::sync::{SyncError, SyncOptions, SyncReport, sync};
use armature_export::tables::Mapping;
use armature_export::targets::duckdb::{DeliveryOptions, deliver, rebuild};
use armature_export::targets::{DeliverError, Delivery};
use armature_export::time::Timestamp;
use chrono::{DateTime, TimeZone, Utc};
use serde_json::Value;

use super::rows;

/// What a test works with. The folder goes when it is dropped.
pub(crate) struct Kit {
    pub(crate) simulator: Arc<Simulator>,
    pub(crate) settings: Settings,
    pub(crate) lake: PathBuf,
    pub(crate) duckdb: PathBuf,
    _folder: tempfile::TempDir,
}

/// When the worlds of tests are born.
pub(crate) fn birth() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 11, 23, 12, 0, 0).unwrap()
}

impl Kit {
    /// A world with so many runs in its past, and its clock standing still.
    pub(crate) async fn start(runs: u32) -> Self {
        Self::with(SimulatorSettings {
            world: WorldSettings { runs, seconds_between_runs: 600.0, ..WorldSettings::default() },
            ..SimulatorSettings::default()
        })
        .await
    }

    /// As configured, with the clock standing still.
    pub(crate) async fn with(settings: SimulatorSettings) -> Self {
        let settings = SimulatorSettings { start: Some(birth()), ..settings };
        let simulator = Simulator::start(settings).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (lake, duckdb) = (folder.path().join("lake"), folder.path().join("runs.duckdb"));
        let mut settings = Settings::default();
        settings.lake.path.clone_from(&lake);
        settings.duckdb.path.clone_from(&duckdb);
        Self { simulator: Arc::new(simulator), settings, lake, duckdb, _folder: folder }
    }

    /// One sync that must come to a report.
    pub(crate) async fn sync(&self) -> SyncReport {
        self.try_sync().await.unwrap()
    }

    /// One sync.
    pub(crate) async fn try_sync(&self) -> Result<SyncReport, SyncError> {
        self.sync_telling(Events::none()).await
    }

    /// One sync that tells what happens.
    pub(crate) async fn sync_telling(&self, events: Events) -> Result<SyncReport, SyncError> {
        let (_send, stop) = tokio::sync::watch::channel(false);
        let (url, now) = (self.simulator.base_url(), self.simulator.now().into());
        let key = ApiKey::new("amt_test_key", "here").unwrap();
        sync(SyncOptions::new(&self.settings, url, key, events, stop, now).unwrap()).await
    }

    /// The input of a job on the lake at a time by this machine's clock.
    pub(crate) fn job(&self, now: Timestamp) -> LakeJob {
        LakeJob::new(&self.settings, Events::none(), now, None).unwrap()
    }

    /// One delivery without a sync.
    pub(crate) async fn deliver(&self, again: bool) -> Result<Delivery, DeliverError> {
        let lake = LakeView::open(&self.lake).await.unwrap();
        let mapping = Mapping::new(&[], &[]).unwrap();
        let options = DeliveryOptions::new(&self.settings.duckdb, Events::none());
        if again {
            rebuild(&lake, &mapping, &options).await
        } else {
            deliver(&lake, &mapping, &options).await
        }
    }

    /// Another process that has the DuckDB file open for writing.
    pub(crate) fn hold_database(&self) -> Holder {
        Holder::start(&self.duckdb)
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
        let expected = self.expected();
        for (table, expected) in [
            ("runs", expected.runs),
            ("spans", expected.spans),
            ("tool_calls", expected.tool_calls),
            ("evaluations", expected.evaluations),
            ("criteria", expected.criteria),
            ("excerpts", expected.excerpts),
        ] {
            self.assert_table(table, expected);
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

    fn assert_table(&self, table: &str, expected: Vec<Row>) {
        let columns: Vec<String> =
            expected.first().map(|row| row.keys().cloned().collect()).unwrap_or_default();
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
        for (place, database, relation) in
            [("lake", None, glob.as_str()), ("DuckDB", Some(self.duckdb.as_path()), table)]
        {
            let mut found = rows::read(database, relation, table, &columns);
            found.sort_by_key(|row| sort_key(row, declared.key));
            let what = format!("{table} in the {place}");
            assert_same_keys(&found, &expected, declared.key, &what);
            assert_same(&found, &expected, &what);
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

/// A process of its own that holds a DuckDB file.
pub(crate) struct Holder(std::process::Child);

impl Holder {
    fn start(path: &Path) -> Self {
        use std::io::BufRead;
        let (_, module) = module_path!().split_once("::").unwrap();
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args([&format!("{module}::hold"), "--exact", "--ignored", "--nocapture"])
            .env("HOLD_DATABASE", path)
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
        let held = lines.map_while(Result::ok).any(|line| line.contains("holding"));
        assert!(held, "the holder did not start");
        Self(child)
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// Not a test: what [`Holder`] runs in a process of its own.
#[test]
#[ignore = "run by other tests as a process of its own"]
#[expect(clippy::disallowed_methods, reason = "how the other process is told what to hold")]
fn hold() {
    let path = std::env::var_os("HOLD_DATABASE").expect("only other tests run this");
    let _connection = duckdb::Connection::open(path).unwrap();
    println!("holding");
    loop {
        std::thread::park();
    }
}
