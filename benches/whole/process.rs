//! The program as a whole process: how long it takes, and the most memory that it had.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What one run of the program took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taken {
    pub(crate) wall: Duration,
    /// The most resident memory, in megabytes; zero where the system does not tell.
    pub(crate) megabytes: f64,
}

/// Runs a sync to its end, which must be good.
pub(crate) fn sync(folder: &Path, base: &str, configuration: &str) -> Taken {
    let file = folder.join("export.toml");
    std::fs::write(&file, configuration).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_armature-export"));
    command
        .current_dir(folder)
        .args(["--quiet", "--config"])
        .arg(&file)
        .arg("sync")
        .env("ARMATURE_API_URL", base)
        .env("ARMATURE_API_KEY", "amt_bench_key")
        .stdout(Stdio::null());
    run(&mut command)
}

/// Runs a command to its end, which must be good.
pub(crate) fn run(command: &mut Command) -> Taken {
    let started = Instant::now();
    let mut child = command.spawn().unwrap();
    let status = Path::new("/proc").join(child.id().to_string()).join("status");
    let mut megabytes = 0.0_f64;
    loop {
        // The most so far stands in it until the process is gone.
        if let Ok(text) = std::fs::read_to_string(&status) {
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
            megabytes = megabytes.max(kilobytes.unwrap_or(0.0) / 1024.0);
        }
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success(), "{command:?}: {status}");
            return Taken { wall: started.elapsed(), megabytes };
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}
