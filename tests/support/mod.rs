//! What the tests of the whole program share, in both test binaries. [`TestExport`] is the one
//! harness; around it are the simulator's settings and answers that tests use again and again.
#![allow(clippy::allow_attributes, reason = "what is used differs from one test binary to another")]
#![allow(dead_code, unused_imports, reason = "each test binary uses the part that it needs")]

mod comparison;
mod durability;
mod holder;
mod jobs;
pub(crate) mod known_runs;
mod program;
pub(crate) mod rows;
pub(crate) mod seeded;
mod simulated;
pub(crate) mod skip;

use std::fs;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, mpsc};

use armature_export::config::Settings;
pub(crate) use armature_export::simulator::SimulatorSettings;
use armature_export::simulator::{Simulator, WorldSettings};
pub(crate) use program::{KEY, ProgramOutput, files, restore_lake, write_files};
pub(crate) use simulated::{answer, birth, ended_runs, hand_made_run, now, rule_for};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// The beginning of each configuration file that says nothing about the API itself. A second
/// attempt is enough to see what is retried, and keeps tests short.
const API_CONFIGURATION: &str = "[api]\nmax_attempts = 2\n";

/// The name under which the program finds its configuration in the folder that it runs in.
const CONFIGURATION_FILE: &str = "armature-export.toml";

/// An export under test: a simulator, and a temporary folder with a lake, a DuckDB file and a
/// configuration file, in which the program runs ([`Self::run`]) and so do the library's own jobs
/// ([`Self::sync`]). The folder is removed when this is dropped.
pub(crate) struct TestExport {
    pub(crate) simulator: Arc<Simulator>,
    /// The settings of jobs that run in this process; the program reads [`Self::configure`]'s file.
    pub(crate) settings: Settings,
    /// Where the program writes the lake. A test that changes the path moves the program only.
    pub(crate) lake: PathBuf,
    /// Where the program writes the DuckDB file, with the same limit.
    pub(crate) duckdb: PathBuf,
    folder: TempDir,
}

impl TestExport {
    /// An export of a simulated API with these settings. The clock is frozen: at `start`, or at
    /// [`birth`] where the settings have none.
    pub(crate) fn new(settings: SimulatorSettings) -> Self {
        let start = settings.start.unwrap_or_else(birth);
        let settings = SimulatorSettings { start: Some(start), ..settings };
        let folder = temporary_folder();
        let (lake, duckdb) = (folder.path().join("lake"), folder.path().join("armature.duckdb"));
        let simulator = Arc::new(start_simulator(settings));
        let mut settings = Settings::default();
        settings.lake.path.clone_from(&lake);
        settings.duckdb.path.clone_from(&duckdb);
        let export = Self { simulator, settings, lake, duckdb, folder };
        export.configure("");
        export
    }

    /// An export of a world of so many runs, all ended and evaluated; none begin later.
    pub(crate) fn of_ended_runs(runs: u32) -> Self {
        Self::new(ended_runs(runs))
    }

    /// An export of a world with so many runs in its past, in which a run begins every ten minutes.
    pub(crate) fn of_growing_world(runs: u32) -> Self {
        Self::of_world(WorldSettings {
            runs,
            seconds_between_runs: 600.0,
            ..WorldSettings::default()
        })
    }

    /// The same for tests in which weeks pass: a run begins every four hours.
    pub(crate) fn of_slowly_growing_world(runs: u32) -> Self {
        Self::of_world(WorldSettings {
            runs,
            seconds_between_runs: 14_400.0,
            ..WorldSettings::default()
        })
    }

    /// An export of this world, by an API without peculiarities.
    pub(crate) fn of_world(world: WorldSettings) -> Self {
        Self::new(SimulatorSettings { world, ..SimulatorSettings::default() })
    }

    /// Writes the program's configuration file: this text, after an `[api]` section of the tests'
    /// own unless the text has one. The text can continue that section.
    pub(crate) fn configure(&self, text: &str) {
        let api = if text.lines().any(|line| line == "[api]") { "" } else { API_CONFIGURATION };
        fs::write(self.path(CONFIGURATION_FILE), format!("{api}{text}")).unwrap();
    }

    /// Appends to the program's configuration file.
    pub(crate) fn configure_more(&self, text: &str) {
        let path = self.path(CONFIGURATION_FILE);
        let before = fs::read_to_string(&path).unwrap();
        fs::write(path, before + text).unwrap();
    }

    /// Where the program runs.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A path in that folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    /// Queries the DuckDB file; every value as text.
    pub(crate) fn ask(&self, sql: &str) -> Vec<Vec<String>> {
        armature_export::query::query(&self.duckdb, sql).unwrap().1
    }

    /// The single number that a query of the DuckDB file returns.
    pub(crate) fn count(&self, sql: &str) -> i64 {
        rows::count(&self.duckdb, sql)
    }
}

/// A folder that is removed when dropped: in memory where there is room, as most of the tests write
/// many small files and wait for each to be on disk. The crash tests stay on the disk, whose
/// behavior is what they are about, and so does everything where a person sets `TMPDIR`.
#[expect(clippy::disallowed_methods, reason = "how a person says where temporary files go")]
pub(crate) fn temporary_folder() -> TempDir {
    const IN_MEMORY: &str = "/dev/shm";
    const ROOM_BYTES: u64 = 1 << 30;
    let may_choose = env!("CARGO_CRATE_NAME") != "crash" && std::env::var_os("TMPDIR").is_none();
    #[cfg(target_os = "linux")]
    let has_room = rustix::fs::statvfs(IN_MEMORY)
        .is_ok_and(|folder| folder.f_bavail * folder.f_frsize >= ROOM_BYTES);
    #[cfg(not(target_os = "linux"))]
    let has_room = false;
    if may_choose && has_room { TempDir::new_in(IN_MEMORY) } else { TempDir::new() }.unwrap()
}

/// The runtime of all simulators, so that tests need none of their own, and those that have one
/// share no thread with their server.
static SIMULATORS: LazyLock<Runtime> = LazyLock::new(|| {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(2).enable_all().build().unwrap()
});

/// Starts a simulator that is not that of a [`TestExport`].
pub(crate) fn start_simulator(settings: SimulatorSettings) -> Simulator {
    let (send, started) = mpsc::channel();
    SIMULATORS.spawn(async move { send.send(Simulator::start(settings).await).unwrap() });
    started.recv().unwrap().unwrap()
}

/// Checks each case in a thread of its own: for tests that wait most of the time.
pub(crate) fn all_at_once<T: Send>(cases: impl IntoIterator<Item = T>, check: impl Fn(T) + Sync) {
    let check = &check;
    std::thread::scope(|scope| {
        for case in cases {
            scope.spawn(move || check(case));
        }
    });
}

/// Runs a future to its end, in a test that is not `async` itself.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    SIMULATORS.block_on(future)
}
