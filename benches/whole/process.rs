//! Programs as whole processes: how long one takes, and the most memory that it had.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Lake with raw documents, and DuckDB: the defaults.
pub(crate) const WHOLE: &str = "";
/// The least that an export can be.
pub(crate) const LAKE_ONLY: &str = "[lake]\ndocuments = false\n[duckdb]\nenabled = false\n";

/// How often a process is looked at. One whose children count too costs more to look at.
const PAUSE: Duration = Duration::from_millis(2);
const FAMILY_PAUSE: Duration = Duration::from_millis(20);

/// What one run of a program took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taken {
    pub(crate) started: Instant,
    pub(crate) seconds: f64,
    /// The most resident memory, in megabytes; zero where the system does not tell.
    pub(crate) megabytes: f64,
}

/// Runs a sync to its end, which must be good.
pub(crate) fn sync(folder: &Path, base: &str, configuration: &str) -> Taken {
    sync_with(folder, base, configuration, &[])
}

/// As [`sync`], with more variables in the environment.
pub(crate) fn sync_with(
    folder: &Path,
    base: &str,
    configuration: &str,
    variables: &[(&str, &str)],
) -> Taken {
    command_with(folder, base, configuration, "sync", variables)
}

/// Runs a command of the program to its end, which must be good.
pub(crate) fn command(folder: &Path, base: &str, configuration: &str, name: &str) -> Taken {
    command_with(folder, base, configuration, name, &[])
}

fn command_with(
    folder: &Path,
    base: &str,
    configuration: &str,
    name: &str,
    variables: &[(&str, &str)],
) -> Taken {
    let file = folder.join("export.toml");
    fs::write(&file, configuration).unwrap();
    let mut command = program(folder);
    command
        .arg(name)
        .env("ARMATURE_API_URL", base)
        .env("ARMATURE_API_KEY", "amt_bench_key")
        .envs(variables.iter().copied())
        .stdout(Stdio::null());
    run(&mut command, PAUSE, most_memory)
}

/// Runs the check of an export to its end, which must be good.
pub(crate) fn verify(folder: &Path) -> Taken {
    run(program(folder).arg("verify").stdout(Stdio::null()), PAUSE, most_memory)
}

fn program(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_armature-export"));
    command.current_dir(folder).args(["--quiet", "--config", "export.toml"]);
    command
}

/// Runs a program to its end, which must be good. Of its memory, that of the largest of its
/// processes counts.
pub(crate) fn run_family(command: &mut Command) -> Taken {
    run(command, FAMILY_PAUSE, most_memory_of_family)
}

fn run(command: &mut Command, pause: Duration, memory: fn(u32) -> f64) -> Taken {
    let started = Instant::now();
    let mut child = command.spawn().unwrap();
    let mut megabytes = 0.0_f64;
    loop {
        megabytes = megabytes.max(memory(child.id()));
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success(), "{command:?}: {status}");
            return Taken { started, seconds: started.elapsed().as_secs_f64(), megabytes };
        }
        std::thread::sleep(pause);
    }
}

/// The most so far stands in `/proc` until the process is gone.
fn most_memory(process: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kilobytes.unwrap_or(0.0) / 1024.0
}

fn most_memory_of_family(process: u32) -> f64 {
    let children = children(process).into_iter().map(most_memory_of_family);
    children.fold(most_memory(process), f64::max)
}

fn children(process: u32) -> Vec<u32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{process}/task")) else { return Vec::new() };
    let lists = threads.flatten().map(|thread| fs::read_to_string(thread.path().join("children")));
    let lists: Vec<String> = lists.flatten().collect();
    lists.iter().flat_map(|list| list.split_whitespace()).flat_map(str::parse).collect()
}
