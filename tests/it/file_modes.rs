//! Who else may read what an export writes: nobody, unless the configuration says otherwise.

#![cfg(unix)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::support::TestExport;

/// Every file and folder below some, themselves included, with their modes.
fn modes(paths: &[PathBuf]) -> Vec<(PathBuf, u32)> {
    let mut found = Vec::new();
    for path in paths {
        let metadata = fs::metadata(path).unwrap();
        found.push((path.clone(), metadata.permissions().mode() & 0o777));
        if metadata.is_dir() {
            let inside: Vec<PathBuf> =
                fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
            found.extend(modes(&inside));
        }
    }
    found
}

/// A binary whose process has a generous umask, as some machines have.
fn run(export: &TestExport, arguments: &[&str]) {
    let binary = env!("CARGO_BIN_EXE_armature-export");
    let line = format!("umask 000; exec {binary} {}", arguments.join(" "));
    let mut command = std::process::Command::new("sh");
    command.args(["-c", &line]);
    export.add_environment(&mut command);
    let ran = export.finish(&mut command);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
}

fn written(export: &TestExport) -> Vec<(PathBuf, u32)> {
    for arguments in [
        &["sync"][..],
        &["replay"],
        &["deliver", "--rebuild"],
        &["verify", "--repair"],
        &["init", "made.toml"],
    ] {
        run(export, arguments);
    }
    let found = modes(&[export.lake.clone(), export.duckdb.clone(), export.path("made.toml")]);
    assert!(found.len() > 50, "{found:?}");
    found
}

fn expect(found: &[(PathBuf, u32)], file: u32, folder: u32) {
    for (path, mode) in found {
        let expected = if Path::new(path).is_dir() { folder } else { file };
        assert_eq!(*mode, expected, "{} has {mode:o}", path.display());
    }
}

#[test]
fn by_default_nobody_else_reads_anything() {
    expect(&written(&TestExport::of_ended_runs(10)), 0o600, 0o700);
}

#[test]
fn a_group_can_read_where_it_may() {
    let export = TestExport::of_ended_runs(10);
    export.configure("[lake]\naccess = \"group\"\n");
    expect(&written(&export), 0o640, 0o750);
}

#[test]
fn the_processs_own_umask_can_decide() {
    let export = TestExport::of_ended_runs(10);
    export.configure("[lake]\naccess = \"umask\"\n");
    expect(&written(&export), 0o666, 0o777);
}
