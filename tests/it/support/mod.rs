//! What the tests of the whole program share: a simulator in this process, the real binary beside
//! it, and a look into the lake and the DuckDB file that goes past the program's own code.
#![allow(clippy::allow_attributes, reason = "what a helper is for differs from test to test")]
#![allow(dead_code, reason = "each test file uses the helpers that it needs")]

pub(crate) mod seeded;
pub(crate) mod skip;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) use armature_export::simulator::SimulatorSettings;
use armature_export::simulator::{Answer, Endpoint, Rule, RunOverride, Simulator, WorldSettings};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// The key of every run of the binary.
pub(crate) const KEY: &str = "amt_test_s3cretK3Y";

/// Taken from the folder that the binary runs in. One try more is enough to see what is tried
/// again, and keeps tests short.
const CONFIGURATION: &str = "[api]\nmax_attempts = 2\n";

/// A simulator, and a folder of its own in which the binary runs.
#[derive(Debug)]
pub(crate) struct Lab {
    pub(crate) simulator: Simulator,
    pub(crate) runtime: Runtime,
    folder: TempDir,
}

/// What a run of the binary came to.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// What differs from test to test, and what stands for it in [`Ran::told`].
    names: Vec<(String, &'static str)>,
}

impl Lab {
    /// A world of so many runs, all ended and evaluated.
    pub(crate) fn new(runs: u32) -> Self {
        Self::with(settings(runs))
    }

    /// A simulator with these settings.
    pub(crate) fn with(settings: SimulatorSettings) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let simulator = runtime.block_on(Simulator::start(settings)).unwrap();
        let lab = Self { simulator, runtime, folder: TempDir::new().unwrap() };
        lab.configure("");
        lab
    }

    /// Another simulator in the same process.
    pub(crate) fn another(&self, settings: SimulatorSettings) -> Simulator {
        self.runtime.block_on(Simulator::start(settings)).unwrap()
    }

    /// Writes the configuration file: the tests' own, and `more`, which may go on with `[api]`.
    pub(crate) fn configure(&self, more: &str) {
        let text = format!("{CONFIGURATION}{more}");
        fs::write(self.path("armature-export.toml"), text).unwrap();
    }

    /// The binary, ready to run: nothing of this process's environment gets in its way.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_armature-export"));
        command
            .current_dir(self.folder())
            .args(arguments)
            .env_remove("ARMATURE_EXPORT_CONFIG")
            .env("ARMATURE_API_URL", self.simulator.base_url())
            .env("ARMATURE_API_KEY", KEY)
            .env("NO_COLOR", "1");
        command
    }

    /// Runs the binary to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        self.finish(&mut self.command(arguments))
    }

    /// Runs a command that was changed, to its end.
    pub(crate) fn finish(&self, command: &mut Command) -> Ran {
        let output = command.output().unwrap();
        Ran {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
            names: vec![
                (self.folder().display().to_string(), "[dir]"),
                (format!(":{}", self.simulator.port()), ":[port]"),
            ],
        }
    }

    /// A sync that must be complete, after which nothing is missing: neither in the lake nor in
    /// the DuckDB file.
    pub(crate) fn sync_brings_everything(&self) {
        let ran = self.run(&["sync"]);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        let expected = self.expected_ids();
        assert_eq!(self.lake_ids(), expected, "in the lake");
        assert_eq!(self.database_ids(), expected, "in the DuckDB file");
        assert_eq!(self.status()["failed_runs"], json!([]));
    }

    /// `status` as JSON.
    pub(crate) fn status(&self) -> Value {
        let ran = self.run(&["status", "--output", "json"]);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        ran.json()
    }

    /// The failed runs of `status`: id and problem.
    pub(crate) fn failed_runs(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let status = self.status();
        let failed = status["failed_runs"].as_array().unwrap().iter();
        failed.map(|run| (text(&run["run_id"]), text(&run["problem"]))).collect()
    }

    /// The ids of the world's runs, sorted. All of them have ended in [`settings`].
    pub(crate) fn expected_ids(&self) -> Vec<String> {
        let mut ids: Vec<String> = self.simulator.world().run_ids(self.simulator.now()).collect();
        ids.sort();
        ids
    }

    /// The ids of all rows of `runs` in the lake's Parquet files, sorted, doubles included.
    pub(crate) fn lake_ids(&self) -> Vec<String> {
        let lake = self.lake();
        if !lake.join("runs").is_dir() {
            return Vec::new();
        }
        let files = format!("{}/runs/**/*.parquet", lake.display());
        let connection = duckdb::Connection::open_in_memory().unwrap();
        let sql = "SELECT run_id FROM read_parquet(?) ORDER BY run_id";
        let mut statement = connection.prepare(sql).unwrap();
        let rows = statement.query_map([files], |row| row.get(0)).unwrap();
        sorted(rows.map(Result::unwrap))
    }

    /// The ids of all rows of `runs` in the DuckDB file, sorted, doubles included.
    pub(crate) fn database_ids(&self) -> Vec<String> {
        sorted(self.ask("SELECT run_id FROM runs").into_iter().map(|mut row| row.remove(0)))
    }

    /// Asks the DuckDB file; every value as text.
    pub(crate) fn ask(&self, sql: &str) -> Vec<Vec<String>> {
        armature_export::query::query(&self.duckdb(), sql).unwrap().1
    }

    /// Where the binary runs.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A path in that folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    /// The lake that is taken where none is named.
    pub(crate) fn lake(&self) -> PathBuf {
        self.path("lake")
    }

    /// The DuckDB file that is taken where none is named.
    pub(crate) fn duckdb(&self) -> PathBuf {
        self.path("armature.duckdb")
    }
}

impl Ran {
    /// stdout as one JSON value.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap()
    }

    /// Exit code and stderr without log lines, times, ports and the like, for snapshots.
    pub(crate) fn told(&self) -> String {
        let is_log = |line: &&str| line.get(2..3) == Some(":") && line.get(5..6) == Some(":");
        let lines: Vec<&str> = self.stderr.lines().filter(|line| !is_log(line)).collect();
        let code = self.code.map_or("signal".to_owned(), |code| code.to_string());
        let text = format!("exit {code}\n{}", lines.join("\n"));
        without_times(&self.named(&text))
    }

    /// A text with what differs from test to test made the same.
    pub(crate) fn named(&self, text: &str) -> String {
        self.names.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
    }
}

/// Every file below a folder, with what is in it.
pub(crate) fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else {
            files.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    files
}

/// `in 0.7s` becomes `in [time]`.
pub(crate) fn without_times(text: &str) -> String {
    let is_time = |word: &str| {
        let number = word.trim_end_matches([':', ',']).strip_suffix('s');
        number.is_some_and(|number| number.contains('.') && number.parse::<f64>().is_ok())
    };
    let words = text.split(' ').map(|word| {
        let colon = if word.ends_with(':') { ":" } else { "" };
        if is_time(word) { format!("[time]{colon}") } else { word.to_owned() }
    });
    words.collect::<Vec<_>>().join(" ")
}

fn sorted(ids: impl Iterator<Item = String>) -> Vec<String> {
    let mut ids: Vec<String> = ids.collect();
    ids.sort();
    ids
}

/// The moment at which the simulated clock stands.
pub(crate) fn now() -> DateTime<Utc> {
    "2026-11-24T10:00:00Z".parse().unwrap()
}

/// A world of so many runs in twenty days. Its birth is a day ago: all have ended since.
pub(crate) fn settings(runs: u32) -> SimulatorSettings {
    let world =
        WorldSettings { runs, days: 20.0, seconds_between_runs: 0.0, ..WorldSettings::default() };
    SimulatorSettings {
        world,
        start: Some(now()),
        birth: Some(now() - chrono::Duration::days(1)),
        ..SimulatorSettings::default()
    }
}

/// A response of one's own.
pub(crate) fn answer(status: u16, body: impl Into<String>) -> Answer {
    Answer::Status { status, headers: vec![], body: body.into() }
}

/// A fault in one document of one run.
pub(crate) fn rule_for(endpoint: Endpoint, run_id: &str, answer: Answer) -> Rule {
    Rule { run_id: Some(run_id.to_owned()), ..Rule::new(endpoint, answer) }
}

/// A run that ended three hours ago, with one span, one tool call and an evaluation; `detail`
/// goes over its detail's own members.
pub(crate) fn hand_made_run(id: &str, detail: &Value) -> RunOverride {
    let started_at = now() - chrono::Duration::hours(4);
    let listing = json!({
        "id": id,
        "status": "pass",
        "started_at": "2026-11-24T06:00:00Z",
        "finished_at": "2026-11-24T07:00:00Z",
    });
    let mut full = listing.clone();
    for (name, value) in detail.as_object().unwrap() {
        full[name] = value.clone();
    }
    let documents = BTreeMap::from([
        (Endpoint::Run, Some(full)),
        (Endpoint::Trace, Some(json!({"spans": [{"id": "span", "name": "start"}]}))),
        (Endpoint::ToolCalls, Some(json!({"rows": [{"id": "call", "tool_name": "search"}]}))),
        (
            Endpoint::Evaluation,
            Some(json!({"verdict": "pass", "criteria": [
                {"id": "criterion", "verdict": "pass", "excerpts": [{"text": "fine"}]}
            ]})),
        ),
    ]);
    RunOverride { id: id.to_owned(), started_at, listing, documents }
}
