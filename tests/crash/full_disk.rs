//! Disks that are full, and folders that cannot be written.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use insta::assert_snapshot;

use crate::small_commits::{commit_every, small_commits};
use crate::support::skip;
use crate::support::{ProgramOutput, TestExport};

/// A small file system in memory. It goes when it is dropped, also by a test that fails.
struct Disk(PathBuf);

impl Disk {
    /// `None` where this process may not mount.
    fn mount(folder: PathBuf, kilobytes: u64) -> Option<Self> {
        fs::create_dir_all(&folder).unwrap();
        let size = format!("size={kilobytes}k");
        let mounted =
            is_done(Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&folder));
        mounted.then_some(Self(folder))
    }

    fn resize(&self, kilobytes: u64) {
        let size = format!("remount,size={kilobytes}k");
        assert!(is_done(Command::new("mount").args(["-o", &size, "tmpfs"]).arg(&self.0)));
    }

    /// How much is used, in kilobytes.
    fn used(&self) -> u64 {
        let output =
            Command::new("df").args(["-k", "--output=used"]).arg(&self.0).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().last().unwrap().trim().parse().unwrap()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        is_done(Command::new("umount").arg("-l").arg(&self.0));
    }
}

fn is_done(command: &mut Command) -> bool {
    let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// A test that had no disk ran in a name space of its own, or must not be left out in silence.
fn left_out() {
    if !may_mount_apart() {
        skip::may_skip("this process may not mount a file system, nor in a name space of its own");
    }
}

fn may_mount_apart() -> bool {
    is_done(Command::new("unshare").args(["-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]))
}

/// Mounting takes root: where this process is not, the test runs again in a name space of its own
/// in which it is. `None` where it did, or where that is refused too, and the test says so.
fn disk(export: &TestExport, test: &str, kilobytes: u64) -> Option<Disk> {
    let disk = Disk::mount(export.folder().join("disk"), kilobytes);
    if disk.is_some() {
        return disk;
    }
    if !may_mount_apart() {
        println!("`{test}` is not tested here: it needs a file system of its own");
        return None;
    }
    println!("`{test}` is tested in a name space of its own");
    let mut again = Command::new("unshare");
    again.arg("-rm").arg(std::env::current_exe().unwrap()).args([test, "--exact", "--nocapture"]);
    let status = again.status().unwrap();
    assert!(status.success(), "in a name space of its own: {status}");
    None
}

/// What was tried when there was no room: the words before the first path.
fn step(ended: &ProgramOutput) -> String {
    let told = ended.told();
    let line = told.lines().find(|line| line.contains("error: ")).unwrap_or_default();
    line.split('`').next().unwrap_or_default().trim().to_owned()
}

/// Syncs on a disk that gets a little larger each time, until there is room.
async fn grow(
    export: &TestExport,
    disk: &Disk,
    from: u64,
    step_size: u64,
) -> BTreeMap<String, usize> {
    let mut steps: BTreeMap<String, usize> = BTreeMap::new();
    let mut kilobytes = from;
    loop {
        let ended = export.run(&["sync"]);
        if ended.code == Some(0) {
            break;
        }
        assert_eq!(ended.code, Some(6), "{}", ended.told());
        assert!(ended.told().contains("No space left on device"), "{}", ended.told());
        *steps.entry(step(&ended)).or_default() += 1;
        let when = format!("{kilobytes} kB");
        export.assert_nothing_half_or_double(&when).await;
        if !export.commit_files().await.is_empty() {
            let status = export.run(&["status"]);
            assert_eq!(status.code, Some(0), "{when}: {}", status.told());
        }
        kilobytes += step_size;
        assert!(kilobytes < from + 8_192, "it never has room: {}", ended.told());
        disk.resize(kilobytes);
    }
    export.assert_equals_the_world();
    export.assert_nothing_half_or_double("with room").await;
    disk.resize(65_536);
    export.sync_brings_everything();
    let times: usize = steps.values().sum();
    println!("full {times} times: {steps:?}; {} rows compared", export.compared());
    steps
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lake_on_a_full_disk_goes_on_when_there_is_room() {
    let mut export = small_commits(16, 20_000);
    let test = "full_disk::a_lake_on_a_full_disk_goes_on_when_there_is_room";
    let Some(disk) = disk(&export, test, 32) else {
        if !may_mount_apart() {
            println!("nothing can be mounted here: the size of files is limited instead");
            file_sizes_are_limited(&export).await;
        }
        return;
    };
    export.lake = disk.0.join("lake");
    let ended = export.run(&["sync"]);
    let told = ended.told().replace("tool_calls/", "[table]/").replace("spans/", "[table]/");
    assert!(told.contains("failed to write the data file `_armature/staging/"), "{told}");
    assert!(told.contains("No space left on device"), "{told}");
    assert!(told.ends_with("hint: check that the folder is writable and the disk is not full"));
    grow(&export, &disk, 32, 32).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_full_at_any_step_of_a_commit() {
    let mut export = small_commits(58, 1);
    let test = "full_disk::a_disk_that_is_full_at_any_step_of_a_commit";
    let Some(disk) = disk(&export, test, 65_536) else {
        return left_out();
    };
    export.lake = disk.0.join("lake");
    // The 64th commit is due to hold the ledger as a whole: parts, ledger, commit file.
    export.sync_brings_everything();
    while export.commit_files().await.len() < 63 {
        export.sync_brings_everything();
    }
    commit_every(&export, 1_000_000);
    export.simulator.advance(chrono::Duration::minutes(30));
    // The parts take most of the room; what comes after them is what this is about.
    let nearly_enough = disk.used() + 40;
    disk.resize(nearly_enough);
    let steps = grow(&export, &disk, nearly_enough, 8).await;
    for step in ["the data file", "the ledger", "the commit file"] {
        let step = format!("error: failed to write {step}");
        assert!(steps.contains_key(&step), "never full at `{step}`: {steps:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_duckdb_file_on_a_full_disk_catches_up_when_there_is_room() {
    let mut export = small_commits(16, 20_000);
    let test = "full_disk::a_duckdb_file_on_a_full_disk_catches_up_when_there_is_room";
    let Some(disk) = disk(&export, test, 16) else {
        return left_out();
    };
    export.duckdb = disk.0.join("runs.duckdb");
    for kilobytes in [16, 512, 1_024, 1_536, 2_048] {
        disk.resize(kilobytes);
        let ended = export.run(&["sync"]);
        assert_eq!(ended.code, Some(6), "{kilobytes} kB: {}", ended.told());
        assert!(ended.told().contains("[dir]/disk/runs.duckdb"), "{}", ended.told());
        if kilobytes == 1_024 {
            assert_snapshot!("full_disk_of_the_database", ended.told());
        }
        export.assert_nothing_half_or_double(&format!("{kilobytes} kB")).await;
    }
    disk.resize(65_536);
    export.sync_brings_everything();
}

/// Where nothing can be mounted: no file may be longer than some blocks of 512 bytes.
async fn file_sizes_are_limited(export: &TestExport) {
    for blocks in [1, 4, 8, 16, 32] {
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\"");
        let mut limited = Command::new("sh");
        limited.args(["-c", &script, "sh", env!("CARGO_BIN_EXE_armature-export")]);
        export.add_arguments(&mut limited, &["sync"]);
        let ended = export.finish(&mut limited);
        assert_eq!(ended.code, Some(6), "{blocks} blocks: {}", ended.told());
        export.assert_nothing_half_or_double(&format!("{blocks} blocks")).await;
    }
    export.sync_brings_everything();
}

/// Root may write everywhere: the binary then runs as nobody.
fn run_as_somebody_else(export: &TestExport, arguments: &[&str]) -> ProgramOutput {
    let is_root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    let mut command = export.command(arguments);
    if is_root {
        command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
        command.arg(binary_for_all(export));
        export.add_arguments(&mut command, arguments);
    }
    export.finish(&mut command)
}

/// The binary where everybody finds it: the folder that it is built in may be closed.
fn binary_for_all(export: &TestExport) -> PathBuf {
    let copy = export.folder().join("armature-export");
    if !copy.exists() {
        fs::copy(env!("CARGO_BIN_EXE_armature-export"), &copy).unwrap();
    }
    copy
}

fn permit(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_that_cannot_be_written_are_named() {
    let mut export = small_commits(6, 1_000_000);
    // Otherwise the other user could not even look inside.
    export.configure_more("[lake]\naccess = \"umask\"\n");
    permit(export.folder(), 0o755);
    let folder = export.folder().to_owned();
    let lake = std::mem::replace(&mut export.lake, folder.join("closed/lake"));
    fs::create_dir(folder.join("closed")).unwrap();
    permit(&folder.join("closed"), 0o555);
    assert_snapshot!("closed_folder", run_as_somebody_else(&export, &["sync"]).told());
    export.lake = lake;
    export.sync_brings_everything();
    for part in ["", "_armature/lock", "_armature/manifests"] {
        permit(&export.lake.join(part), if part.ends_with("lock") { 0o444 } else { 0o555 });
    }
    assert_snapshot!("closed_lake", run_as_somebody_else(&export, &["sync"]).told());
    permit(&export.lake.join("_armature/lock"), 0o666);
    export.simulator.advance(chrono::Duration::hours(3));
    let ended = run_as_somebody_else(&export, &["sync"]);
    assert_eq!(ended.code, Some(6), "{}", ended.told());
    assert!(ended.told().contains("[dir]/lake/_armature/"), "{}", ended.told());
    assert!(ended.told().contains("Permission denied"), "{}", ended.told());
    permit(&export.lake, 0o755);
    permit(&export.lake.join("_armature/manifests"), 0o755);
    permit(&export.lake.join("_armature/lock"), 0o644);
    export.sync_brings_everything();
    let before = fs::read(&export.duckdb).unwrap();
    export.simulator.advance(chrono::Duration::hours(3));
    assert_eq!(export.run(&["sync"]).code, Some(0));
    fs::write(&export.duckdb, before).unwrap();
    permit(&export.duckdb, 0o444);
    assert_snapshot!("closed_database", run_as_somebody_else(&export, &["deliver"]).told());
    let database = std::mem::replace(&mut export.duckdb, folder.join("closed/new.duckdb"));
    assert_snapshot!(
        "closed_folder_of_database",
        run_as_somebody_else(&export, &["deliver"]).told()
    );
    export.duckdb = database;
    permit(&export.duckdb, 0o644);
    export.sync_brings_everything();
}
