//! A world, the real binary against it, and a look at the lake that goes past the binary.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use armature_export::lake::{CommitFile, LakeView, Snapshot};
use armature_export::simulator::{SimulatorSettings, WorldSettings};

use super::kit::Kit;
use super::rows;

/// An export that bad things happen to.
pub(crate) struct Trial {
    pub(crate) kit: Kit,
    config: PathBuf,
}

/// How a run of the binary ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// `None` for a signal.
    pub(crate) code: Option<i32>,
    /// Exit code and stderr, with what differs from test to test made the same.
    pub(crate) told: String,
}

impl Trial {
    /// A world of so many runs in one day, and an export that commits every so many bytes.
    pub(crate) async fn new(runs: u32, commit_bytes: u64) -> Self {
        let world = WorldSettings {
            runs,
            days: 1.0,
            seconds_between_runs: 120.0,
            ..WorldSettings::default()
        };
        Self::with(SimulatorSettings { world, ..SimulatorSettings::default() }, commit_bytes).await
    }

    /// Any world.
    pub(crate) async fn with(settings: SimulatorSettings, commit_bytes: u64) -> Self {
        let kit = Kit::with(settings).await;
        let config = kit.lake.with_file_name("config.toml");
        let trial = Self { kit, config };
        trial.configure(commit_bytes);
        trial
    }

    /// From now on, commits are made every so many bytes.
    pub(crate) fn configure(&self, commit_bytes: u64) {
        let text =
            format!("[sync]\ncommit_bytes = {commit_bytes}\n[duckdb]\nlock_wait_secs = 20\n");
        std::fs::write(&self.config, text).unwrap();
    }

    /// Adds to the configuration.
    pub(crate) fn configure_more(&self, more: &str) {
        let text = std::fs::read_to_string(&self.config).unwrap();
        std::fs::write(&self.config, text + more).unwrap();
    }

    /// Where everything is.
    pub(crate) fn folder(&self) -> &Path {
        self.config.parent().unwrap()
    }

    /// The binary on this trial's lake and DuckDB file, ready to run.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_armature-export"));
        self.add_arguments(&mut command, arguments);
        command
    }

    /// The rest of a command that runs the binary in some way.
    pub(crate) fn add_arguments(&self, command: &mut Command, arguments: &[&str]) {
        command.arg("-q").arg("--config").arg(&self.config).args(arguments);
        command.arg("--lake").arg(&self.kit.lake);
        if arguments[0] != "status" {
            command.arg("--duckdb").arg(&self.kit.duckdb);
        }
        command
            .current_dir(self.folder())
            .env("ARMATURE_API_URL", self.kit.simulator.base_url())
            .env("ARMATURE_API_KEY", "amt_test_key")
            .env("NO_COLOR", "1")
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
    }

    /// Runs the binary to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        self.ended(&self.command(arguments).output().unwrap())
    }

    /// Runs the binary until it crashes at a point, as `name` or `name:time`.
    pub(crate) fn crash(&self, arguments: &[&str], point: &str) {
        let mut command = self.command(arguments);
        let ended = self.ended(&command.env("ARMATURE_EXPORT_CRASH_AT", point).output().unwrap());
        assert_eq!(ended.code, None, "`{point}` was not reached: {}", ended.told);
    }

    pub(crate) fn ended(&self, output: &Output) -> Ended {
        let stderr = String::from_utf8(output.stderr.clone()).unwrap();
        let code = output.status.code();
        let shown = code.map_or("signal".to_owned(), |code| code.to_string());
        let folder = self.folder().display().to_string();
        let told = format!("exit {shown}\n{}", stderr.trim_end()).replace(&folder, "[dir]");
        Ended { code, told: without_names(&told) }
    }

    /// A sync that must be complete, after which lake and DuckDB file hold what the world holds.
    pub(crate) fn sync_brings_everything(&self) {
        let ended = self.run(&["sync"]);
        assert_eq!(ended.code, Some(0), "{}", ended.told);
        self.kit.assert_equals_the_world();
    }

    /// How many rows [`Self::sync_brings_everything`] compares.
    pub(crate) fn compared(&self) -> usize {
        2 * self.kit.expected().row_count()
    }

    /// Whether the DuckDB file is up to date with the lake.
    pub(crate) async fn is_delivered(&self) -> bool {
        let newest = self.commit_files().await.last().map_or(0, |head| head.commit);
        let applied = armature_export::targets::duckdb::inspect(&self.kit.duckdb, &[]);
        applied.is_ok_and(|(applied, _)| applied == newest)
    }

    /// All commits.
    pub(crate) async fn commit_files(&self) -> Vec<CommitFile> {
        if !self.kit.lake.join("_armature").is_dir() {
            return Vec::new();
        }
        let lake = LakeView::open(&self.kit.lake).await.unwrap();
        let mut commit_files = Vec::new();
        for commit in lake.commits().unwrap() {
            commit_files.push(lake.commit_file(commit).await.unwrap());
        }
        commit_files
    }

    /// What must hold after any crash: a plain glob shows no run twice, and nothing that is not
    /// of a durable commit; and every commit is there, except one whose parts are being moved.
    pub(crate) async fn assert_nothing_half_or_double(&self, when: &str) {
        let lake = &self.kit.lake;
        let commit_files = self.commit_files().await;
        let mut committed: BTreeMap<PathBuf, u64> = BTreeMap::new();
        let (mut live, mut is_moving) = (Snapshot::default(), false);
        for commit_file in &commit_files {
            live.apply(commit_file);
            let runs = commit_file.parts.iter().filter(|part| part.table == "runs");
            committed.extend(runs.map(|part| (lake.join(&part.path), part.rows)));
            is_moving |= lake.join("_armature/staging").join(&commit_file.staging).exists();
        }
        let parts = if lake.is_dir() { self.kit.parts() } else { Vec::new() };
        let files: BTreeSet<PathBuf> =
            parts.into_iter().filter(|part| part.starts_with(lake.join("runs"))).collect();
        let unknown: Vec<&PathBuf> =
            files.iter().filter(|file| !committed.contains_key(*file)).collect();
        assert!(unknown.is_empty(), "{when}: visible, and of no commit: {unknown:?}");
        let rows: u64 = files.iter().map(|file| committed[file]).sum();
        if !is_moving {
            let live = live.iter().filter(|live| live.part.table == "runs").count();
            assert_eq!(files.len(), live, "{when}: a commit is not there");
        }
        if files.is_empty() {
            return;
        }
        let glob = format!("read_parquet('{}/runs/**/*.parquet')", lake.display());
        let count = |what: &str| rows::count_in_memory(&format!("SELECT {what} FROM {glob}"));
        assert_eq!(count("count(DISTINCT (run_id, _revision))"), count("count(*)"), "{when}");
        assert_eq!(u64::try_from(count("count(*)")).unwrap(), rows, "{when}");
        // Rows that a replay has made again are of a commit that DuckDB does not have yet.
        let replays = |commit_file: &CommitFile| commit_file.superseded().next().is_some();
        if !(is_moving && commit_files.last().is_some_and(replays)) {
            self.assert_database_holds_whole_commits(&glob, when);
        }
    }

    /// The DuckDB file holds all of the commits up to the number that it states, and no others.
    fn assert_database_holds_whole_commits(&self, glob: &str, when: &str) {
        let count = |sql: &str| rows::count(&self.kit.duckdb, sql);
        let tables = "SELECT count(*) FROM duckdb_tables() WHERE table_name = '_armature'";
        if !self.kit.duckdb.exists() || count(tables) == 0 {
            return;
        }
        let applied = count("SELECT applied_commit FROM _armature");
        let committed =
            format!("SELECT count(DISTINCT run_id) FROM {glob} WHERE _commit <= {applied}");
        assert_eq!(count("SELECT count(*) FROM runs"), count(&committed), "{when}: DuckDB");
        let later = format!("SELECT count(*) FROM spans WHERE _commit > {applied}");
        assert_eq!(count(&later), 0, "{when}: DuckDB");
    }
}

/// The ids of parts and the numbers of commits, made the same: they differ from time to time.
pub(crate) fn without_names(text: &str) -> String {
    let mut out = String::new();
    let mut word = String::new();
    let flush = |word: &mut String, out: &mut String| {
        let is_hex = word.chars().all(|c| c.is_ascii_hexdigit());
        let is_number = !word.is_empty() && word.chars().all(|c| c.is_ascii_digit());
        let is_commit = word.len() == 8 || out.ends_with("commit ");
        out.push_str(match word.as_str() {
            _ if is_hex && word.len() == 32 => "[id]",
            _ if is_number && is_commit => "[commit]",
            other => other,
        });
        word.clear();
    };
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            word.push(c);
        } else {
            flush(&mut word, &mut out);
            out.push(c);
        }
    }
    flush(&mut word, &mut out);
    out
}
