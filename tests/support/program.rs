//! The program as a process: how it is started, and what it came to.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use regex::Regex;
use serde_json::{Value, json};

use super::TestExport;

/// The key of every run of the program.
pub(crate) const KEY: &str = "amt_test_s3cretK3Y";

/// What differs from one run of a test to the next, whatever the test is about: times and the ids
/// of files.
static VARYING: LazyLock<[(Regex, &str); 2]> = LazyLock::new(|| {
    let pattern = |text| Regex::new(text).unwrap();
    [(pattern(r"\b\d+\.\d+s\b"), "[time]"), (pattern(r"\b[0-9a-f]{32}\b"), "[id]")]
});

/// What a run of the program came to.
#[derive(Debug)]
pub(crate) struct ProgramOutput {
    /// `None` for a signal.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    names: Vec<(String, &'static str)>,
}

impl TestExport {
    /// The program with this export's configuration, ready to run: nothing of this process's
    /// environment gets in its way.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_armature-export"));
        self.add_arguments(&mut command, arguments);
        command
    }

    /// The arguments and the environment of a command that runs the program in some other way.
    pub(crate) fn add_arguments(&self, command: &mut Command, arguments: &[&str]) {
        command.args(arguments);
        if self.lake != self.path("lake") {
            command.arg("--lake").arg(&self.lake);
        }
        // `status` finds the DuckDB file by the configuration only.
        if self.duckdb != self.path("armature.duckdb") && arguments[0] != "status" {
            command.arg("--duckdb").arg(&self.duckdb);
        }
        self.add_environment(command);
    }

    /// The folder and the environment of a command that runs the program in the end.
    pub(crate) fn add_environment(&self, command: &mut Command) {
        command
            .current_dir(self.folder())
            .env_remove("ARMATURE_EXPORT_CONFIG")
            .env("ARMATURE_API_URL", self.simulator.base_url())
            .env("ARMATURE_API_KEY", KEY)
            .env("NO_COLOR", "1")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> ProgramOutput {
        self.finish(&mut self.command(arguments))
    }

    /// Runs a command that was changed, to its end.
    pub(crate) fn finish(&self, command: &mut Command) -> ProgramOutput {
        self.output(command.output().unwrap())
    }

    /// Starts the program.
    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).spawn().unwrap()
    }

    /// Waits for the end of a program that was started.
    pub(crate) fn wait(&self, child: Child) -> ProgramOutput {
        self.output(child.wait_with_output().unwrap())
    }

    /// Runs the program until it crashes at a point, as `name` or `name:time`.
    pub(crate) fn crash(&self, arguments: &[&str], point: &str) {
        let mut command = self.command(arguments);
        let ran = self.finish(command.env("ARMATURE_EXPORT_CRASH_AT", point));
        assert_eq!(ran.code, None, "`{point}` was not reached: {}", ran.told());
    }

    /// Runs the program, and kills it after a time. The exit code, where it was faster than that.
    pub(crate) async fn kill(&self, arguments: &[&str], after: Duration) -> Option<i32> {
        let mut child = self.start(arguments);
        tokio::time::sleep(after).await;
        child.kill().unwrap();
        child.wait().unwrap().code()
    }

    fn output(&self, output: Output) -> ProgramOutput {
        ProgramOutput {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
            names: self.names(),
        }
    }

    /// What differs from test to test, and what stands for it in snapshots.
    fn names(&self) -> Vec<(String, &'static str)> {
        let this_program = std::env::current_exe().unwrap().display().to_string();
        vec![
            (self.folder().display().to_string(), "[dir]"),
            (format!(":{}", self.simulator.port()), ":[port]"),
            (this_program, "[program]"),
            (format!("PID {}", std::process::id()), "PID [id]"),
        ]
    }

    /// A text with placeholders for what differs from test to test.
    pub(crate) fn with_placeholders(&self, text: &str) -> String {
        with_placeholders(&self.names(), text)
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

    /// A sync that must be complete, after which lake and DuckDB file hold the world's rows, each
    /// run once.
    pub(crate) fn sync_brings_everything(&self) {
        self.sync_is_complete();
        let expected = self.expected();
        let mut ids: Vec<String> =
            expected.runs.iter().map(|run| run["run_id"].as_str().unwrap().to_owned()).collect();
        ids.sort();
        self.assert_holds(expected);
        assert_eq!(self.lake_ids(), ids, "in the lake");
        assert_eq!(self.database_views(), metric_views(), "views of the DuckDB file");
    }

    /// A sync that must be complete, after which lake and DuckDB file hold each run of the world
    /// once: for exports whose rows are not the world's, because a test changed documents.
    pub(crate) fn sync_brings_all_runs(&self) {
        self.sync_is_complete();
        let expected = self.expected_ids();
        assert_eq!(self.lake_ids(), expected, "in the lake");
        assert_eq!(self.database_ids(), expected, "in the DuckDB file");
    }

    fn sync_is_complete(&self) {
        let ran = self.run(&["sync"]);
        assert_eq!(ran.code, Some(0), "{}", ran.told());
        assert_eq!(self.status()["failed_runs"], json!([]));
    }
}

impl ProgramOutput {
    /// stdout as one JSON value.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap()
    }

    /// Exit code and stderr without log lines, with placeholders, for snapshots.
    pub(crate) fn told(&self) -> String {
        let is_log = |line: &&str| line.get(2..3) == Some(":") && line.get(5..6) == Some(":");
        let lines: Vec<&str> = self.stderr.lines().filter(|line| !is_log(line)).collect();
        let code = self.code.map_or("signal".to_owned(), |code| code.to_string());
        self.with_placeholders(format!("exit {code}\n{}", lines.join("\n")).trim_end())
    }

    /// A text with placeholders for what differs from test to test.
    pub(crate) fn with_placeholders(&self, text: &str) -> String {
        with_placeholders(&self.names, text)
    }
}

fn with_placeholders(names: &[(String, &'static str)], text: &str) -> String {
    let named = names.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to));
    let replace =
        |text: String, (pattern, to): &(Regex, &str)| pattern.replace_all(&text, *to).into_owned();
    VARYING.iter().fold(named, replace)
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

/// Writes such files, at the paths that they had.
pub(crate) fn write_files(files: &BTreeMap<PathBuf, Vec<u8>>) {
    for (path, content) in files {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
}

/// Puts a lake back to what it was when its files were read.
pub(crate) fn restore_lake(lake: &Path, copy: &BTreeMap<PathBuf, Vec<u8>>) {
    fs::remove_dir_all(lake).unwrap();
    for folder in ["manifests", "ledger", "staging"] {
        fs::create_dir_all(lake.join("_armature").join(folder)).unwrap();
    }
    write_files(copy);
}

/// The names of the views of the metrics, sorted.
fn metric_views() -> Vec<String> {
    let mut names: Vec<String> =
        armature_export::metrics::VIEWS.iter().map(|view| view.name.to_owned()).collect();
    names.sort();
    names
}
