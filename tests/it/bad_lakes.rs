//! Lakes and DuckDB files that are of another format, somebody else's, damaged or in use: each a
//! clear message with the right exit code, and nothing lost, nor anything of somebody else's.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;

use crate::support::{TestExport, ended_runs, files, hand_made_run, restore_lake, start_simulator};
use armature_export::simulator::{SimulatorSettings, WorldSettings};
use insta::assert_snapshot;
use serde_json::{Value, json};

/// Changes `_armature/format.json`, and returns how to undo that.
fn set_format(export: &TestExport, format: u64) -> impl FnOnce() + use<> {
    let path = export.lake.join("_armature/format.json");
    let before = fs::read(&path).unwrap();
    let mut identity: Value = serde_json::from_slice(&before).unwrap();
    identity["format"] = format.into();
    fs::write(&path, identity.to_string()).unwrap();
    move || fs::write(path, before).unwrap()
}

#[test]
fn a_duckdb_file_that_is_something_else() {
    let export = TestExport::of_ended_runs(3);
    let text = "my notes\n".repeat(1000);
    fs::write(export.path("notes.txt"), &text).unwrap();
    let ran = export.run(&["sync", "--duckdb", "notes.txt"]);
    assert_snapshot!(ran.told(), @r#"
    exit 2
    error: failed to open the database in the DuckDB file `[dir]/notes.txt`: IO Error: The file "[dir]/notes.txt" exists, but it is not a valid DuckDB database file!
    hint: the lake is intact; name another file with --duckdb
    "#);
    assert_eq!(export.lake_ids(), export.expected_ids());
    export.sync_brings_everything();
    export.run(&["deliver", "--rebuild", "--duckdb", "notes.txt"]);
    assert!(
        fs::read(export.path("notes.txt")).unwrap() == text.as_bytes(),
        "somebody's notes are gone"
    );
}

#[test]
fn a_duckdb_file_with_tables_of_somebody_else() {
    let export = TestExport::of_ended_runs(3);
    let sql = "CREATE TABLE mine AS SELECT 42 AS answer";
    duckdb::Connection::open(&export.duckdb).unwrap().execute_batch(sql).unwrap();
    export.sync_brings_everything();
    assert_eq!(export.ask("SELECT answer FROM mine"), [["42"]]);
    export.run(&["deliver", "--rebuild"]);
    assert_eq!(export.ask("SELECT answer FROM mine"), [["42"]]);
}

#[test]
fn a_duckdb_file_with_a_table_of_the_same_name() {
    let export = TestExport::of_ended_runs(3);
    let sql = "CREATE TABLE runs AS SELECT 42 AS answer";
    duckdb::Connection::open(export.path("mine.duckdb")).unwrap().execute_batch(sql).unwrap();
    let ran = export.run(&["sync", "--duckdb", "mine.duckdb"]);
    assert_snapshot!(ran.told(), @"
    exit 2
    error: the DuckDB file `[dir]/mine.duckdb` has a table or view `runs` that this program did not make
    hint: rename it, or name another file with --duckdb
    ");
    assert_eq!(export.lake_ids(), export.expected_ids());
    export.sync_brings_everything();
}

#[test]
fn a_duckdb_file_of_another_lake() {
    let export = TestExport::of_ended_runs(3);
    assert_eq!(export.run(&["sync"]).code, Some(0));
    let ran = export.run(&["sync", "--lake", "other"]);
    assert_snapshot!(ran.told(), @"
    exit 2
    error: the DuckDB file `[dir]/armature.duckdb` was delivered from another lake
    hint: name another file with --duckdb
    ");
    export.sync_brings_everything();
}

#[test]
fn a_duckdb_file_that_somebody_holds() {
    let export = TestExport::of_ended_runs(3);
    export.configure("[duckdb]\nlock_wait_secs = 0\n");
    let reader = duckdb::Connection::open(&export.duckdb).unwrap();
    let ran = export.run(&["sync"]);
    let program = std::env::current_exe().unwrap().display().to_string();
    let told = ran.told().replace(&program, "[program]");
    let told = told.replace(&format!("PID {}", std::process::id()), "PID [id]");
    assert_snapshot!(told, @"
    exit 6
    error: the DuckDB file `[dir]/armature.duckdb` is held by [program] (PID [id])
    hint: the lake is up to date; close the reader, and the next sync (or `armature-export deliver`) catches up; a reader of a copy (duckdb.publish) delays nothing
    ");
    assert_eq!(export.lake_ids(), export.expected_ids());
    drop(reader);
    export.sync_brings_everything();
}

#[test]
fn a_lake_of_another_organization() {
    let export = TestExport::of_ended_runs(3);
    assert_eq!(export.run(&["sync"]).code, Some(0));
    let before = files(&export.lake);
    let world = WorldSettings { organization_id: "another".to_owned(), ..ended_runs(5).world };
    let other = start_simulator(SimulatorSettings { world, ..ended_runs(5) });
    let ran = export.run(&["sync", "--api-url", &other.base_url()]);
    assert_snapshot!(ran.told(), @"
    exit 2
    error: the lake `[dir]/lake` holds another export: its runs belong to `6f1c0a52-7a1e-4c3b-9d55-0e6a3b7f2c11`, the key to `another`
    hint: two exports cannot share a lake: name another folder with --lake (and another file with --duckdb)
    ");
    assert_same_but_lock(&export, before);
    export.sync_brings_everything();
}

#[test]
fn a_lake_of_other_filters() {
    let export = TestExport::of_ended_runs(3);
    assert_eq!(export.run(&["sync"]).code, Some(0));
    let before = files(&export.lake);
    export.configure("[filters]\nstatus = \"fail\"\nworkflow_ids = [\"w\"]\n");
    assert_snapshot!(export.run(&["sync"]).told(), @"
    exit 2
    error: the lake `[dir]/lake` holds another export: it was made with other filters (workflow_ids, status)
    hint: two exports cannot share a lake: name another folder with --lake (and another file with --duckdb)
    ");
    assert_same_but_lock(&export, before);
    export.configure("");
    export.sync_brings_everything();
}

#[test]
fn a_lake_of_an_older_format() {
    let export = TestExport::of_ended_runs(3);
    assert_eq!(export.run(&["sync"]).code, Some(0));
    let undo = set_format(&export, 0);
    let before = files(&export.lake);
    assert_snapshot!(export.run(&["sync"]).told(), @"
    exit 6
    error: the lake `[dir]/lake` has format 0; this version knows format 1
    hint: this version no longer reads it: export again into another folder; nothing was changed
    ");
    assert_eq!(export.run(&["status"]).told(), export.run(&["sync"]).told());
    assert_same_but_lock(&export, before);
    undo();
    export.sync_brings_everything();
}

#[test]
fn a_lake_of_a_newer_format() {
    let export = TestExport::of_ended_runs(3);
    assert_eq!(export.run(&["sync"]).code, Some(0));
    let undo = set_format(&export, 99);
    let before = files(&export.lake);
    assert_snapshot!(export.run(&["sync"]).told(), @"
    exit 6
    error: the lake `[dir]/lake` has format 99; this version knows format 1
    hint: a newer armature-export wrote it: update this one; nothing was changed
    ");
    assert_eq!(export.run(&["deliver"]).told(), export.run(&["sync"]).told());
    assert_same_but_lock(&export, before);
    undo();
    export.sync_brings_everything();
}

#[test]
fn a_damaged_lake() {
    let export = TestExport::of_ended_runs(3);
    assert_eq!(export.run(&["sync"]).code, Some(0));
    let own = files(&export.lake.join("_armature"));
    for (path, content) in own.into_iter().filter(|(path, _)| !path.ends_with("lock")) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        fs::write(&path, &content[..content.len() / 2]).unwrap();
        let ran = export.run(&["sync"]);
        assert_eq!(ran.code, Some(6), "{name}: {}", ran.stderr);
        assert!(ran.stderr.contains(&name), "{name}: {}", ran.stderr);
        assert!(ran.stderr.contains("is damaged"), "{name}: {}", ran.stderr);
        fs::write(&path, &content).unwrap();
    }
    export.sync_brings_everything();
}

#[test]
fn a_second_writer() {
    let export = TestExport::of_ended_runs(3);
    assert_eq!(export.run(&["sync"]).code, Some(0));
    let path = export.lake.join("_armature/lock");
    let mut lock = File::options().write(true).truncate(true).open(path).unwrap();
    lock.lock().unwrap();
    lock.write_all(b"process 42\n").unwrap();
    assert_snapshot!(export.run(&["sync"]).told(), @"
    exit 6
    error: the lake `[dir]/lake` is being written by another process (process 42)
    hint: wait for it to end, or give this export a lake of its own
    ");
    assert_eq!(export.run(&["status"]).code, Some(0), "readers need no lock");
    drop(lock);
    export.sync_brings_everything();
}

#[test]
fn a_duckdb_file_that_was_deleted() {
    let export = TestExport::of_ended_runs(3);
    assert_eq!(export.run(&["sync"]).code, Some(0));
    fs::remove_file(&export.duckdb).unwrap();
    export.sync_brings_everything();
}

#[test]
fn a_lake_that_lost_a_part() {
    let export = TestExport::of_ended_runs(3);
    assert_eq!(export.run(&["sync"]).code, Some(0));
    let parts = files(&export.lake.join("runs"));
    let (path, content) = parts.into_iter().next().unwrap();
    fs::remove_file(&path).unwrap();
    let ran = export.run(&["deliver", "--rebuild"]);
    let name = path.file_name().unwrap().to_string_lossy();
    assert_eq!(ran.code, Some(6), "{}", ran.stderr);
    assert!(ran.stderr.contains(&*name), "{}", ran.stderr);
    assert!(!ran.stderr.contains("the lake is whole"), "{}", ran.stderr);
    assert_eq!(export.database_ids(), export.expected_ids(), "the file from before stays");
    fs::write(&path, content).unwrap();
    assert_eq!(export.run(&["deliver", "--rebuild"]).code, Some(0));
    export.sync_brings_everything();
}

/// A part that can be read and is not the one that was written: its rows would be wrong.
#[test]
fn a_lake_with_another_part_in_a_parts_place() {
    let export = TestExport::of_ended_runs(3);
    assert_eq!(export.run(&["sync"]).code, Some(0));
    let mut parts = files(&export.lake.join("runs")).into_iter();
    let ((path, content), (_, other)) = (parts.next().unwrap(), parts.next().unwrap());
    fs::write(&path, other).unwrap();
    let ran = export.run(&["deliver", "--rebuild"]);
    assert_eq!(ran.code, Some(6), "{}", ran.stderr);
    let name = path.file_name().unwrap().to_string_lossy();
    assert!(ran.stderr.contains(&*name) && ran.stderr.contains("SHA-256"), "{}", ran.stderr);
    assert_eq!(export.database_ids(), export.expected_ids(), "the file from before stays");
    fs::write(&path, content).unwrap();
    export.sync_brings_everything();
}

#[test]
fn a_lake_from_an_older_copy() {
    let export = TestExport::of_ended_runs(3);
    assert_eq!(export.run(&["sync"]).code, Some(0));
    let copy = files(&export.lake);
    export.simulator.override_run(hand_made_run("first", &json!({})));
    assert_eq!(export.run(&["sync"]).code, Some(0));
    restore_lake(&export.lake, &copy);
    assert_snapshot!(export.run(&["deliver"]).told(), @"
    exit 6
    error: the DuckDB file `[dir]/armature.duckdb` holds commit 2, and the lake ends at commit 1
    hint: the lake may have been restored from an older copy: `armature-export deliver --rebuild` rebuilds the file
    ");
    export.simulator.override_run(hand_made_run("second", &json!({})));
    let ran = export.run(&["sync"]);
    if ran.code != Some(0) {
        assert_eq!(export.run(&["deliver", "--rebuild"]).code, Some(0), "{}", ran.stderr);
    }
    let mut expected = export.expected_ids();
    expected.extend(["first".to_owned(), "second".to_owned()]);
    assert_eq!(export.lake_ids(), expected);
    assert_eq!(export.database_ids(), expected, "after exit {:?}", ran.code);
}

/// The lock file says who held it last; all else in the lake must be as it was.
fn assert_same_but_lock(export: &TestExport, mut before: BTreeMap<PathBuf, Vec<u8>>) {
    let mut after = files(&export.lake);
    for files in [&mut before, &mut after] {
        files.retain(|path, _| !path.ends_with("lock"));
    }
    assert!(before == after, "the lake was changed");
}
