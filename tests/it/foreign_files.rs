//! Data of other people: what stands at the path of the DuckDB file is replaced only where it is
//! known to be this lake's alone.

use std::fs;
use std::path::Path;

use crate::support::{ProgramOutput, TestExport, hand_made_run};
use duckdb::Connection;
use insta::assert_snapshot;

const REBUILD: &[&str] = &["deliver", "--rebuild"];
const REPAIR: &[&str] = &["verify", "--repair"];

/// A lake of a few runs, and its DuckDB file.
fn synced() -> TestExport {
    let export = TestExport::of_ended_runs(3);
    assert_eq!(export.run(&["sync"]).code, Some(0));
    export
}

fn execute(path: &Path, sql: &str) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection.execute_batch(sql).unwrap();
    connection
}

/// What was said, without the name and number of this process.
fn told(ran: &ProgramOutput) -> String {
    let own = std::env::current_exe().unwrap().display().to_string();
    let text = ran.told().replace(&own, "[program]");
    text.replace(&format!("PID {}", std::process::id()), "PID [id]")
}

#[test]
fn a_database_that_another_process_holds_is_not_replaced() {
    let export = synced();
    let path = export.path("precious.duckdb");
    let connection = execute(&path, "CREATE TABLE precious AS SELECT 42 AS x; CHECKPOINT");
    let ran = export.run(&["deliver", "--rebuild", "--duckdb", "precious.duckdb"]);
    assert_snapshot!(told(&ran), @"
    exit 6
    error: the DuckDB file `[dir]/precious.duckdb` is held by [program] (PID [id])
    hint: the lake is up to date; close the reader, and the next sync (or `armature-export deliver`) catches up; a reader of a copy (duckdb.publish) delays nothing
    ");
    let ran = export.run(&["verify", "--repair", "--duckdb", "precious.duckdb"]);
    assert_eq!(ran.code, Some(6), "{}", ran.stderr);
    assert!(ran.stdout.contains("held by"), "{}", ran.stdout);
    connection.execute_batch("INSERT INTO precious VALUES (43)").unwrap();
    connection.close().unwrap();
    let rows = execute(&path, "").query_row("SELECT sum(x) FROM precious", [], |row| row.get(0));
    assert_eq!(rows, Ok(85));
    // Nor while nobody holds it.
    for command in [REBUILD, REPAIR] {
        let ran = export.run(&[command, &["--duckdb", "precious.duckdb"]].concat());
        assert_ne!(ran.code, Some(0), "{}", ran.stderr);
    }
    let tables = execute(&path, "").query_row(
        "SELECT string_agg(table_name) FROM duckdb_tables()",
        [],
        |row| row.get(0),
    );
    assert_eq!(tables, Ok("precious".to_owned()));
}

#[test]
fn our_own_database_is_not_replaced_while_it_is_written() {
    let export = synced();
    let held = execute(&export.duckdb, "BEGIN; DELETE FROM runs");
    for command in [REBUILD, REPAIR] {
        assert_eq!(export.run(command).code, Some(6), "{command:?}");
    }
    drop(held);
    assert_eq!(export.run(REBUILD).code, Some(0));
    export.sync_brings_everything();
}

#[test]
fn what_analysts_put_into_our_database_is_not_lost() {
    for (object, name) in [
        ("TABLE notes AS SELECT 1 AS a", "notes"),
        ("VIEW mine AS SELECT 1 AS a", "mine"),
        ("MACRO twice(a) AS a * 2", "twice"),
        ("SEQUENCE numbers", "numbers"),
        ("TYPE mood AS ENUM ('fine')", "mood"),
        ("SCHEMA side", "side"),
    ] {
        let export = synced();
        execute(&export.duckdb, &format!("CREATE {object}")).close().unwrap();
        let before = fs::read(&export.duckdb).unwrap();
        let ran = export.run(REBUILD);
        assert_eq!(ran.code, Some(2), "{object}: {}", ran.stderr);
        assert!(ran.stderr.contains(name), "{}", ran.stderr);
        assert!(fs::read(&export.duckdb).unwrap() == before, "{object}");
    }
}

#[test]
fn a_damaged_database_of_unknown_origin_is_not_replaced() {
    let export = synced();
    let path = export.path("theirs.duckdb");
    execute(&path, "CREATE TABLE precious AS SELECT * FROM range(100000)").close().unwrap();
    let whole = fs::read(&path).unwrap();
    for length in [20, 4096, 12_288, whole.len() - 1000] {
        fs::write(&path, &whole[..length]).unwrap();
        for command in [REBUILD, REPAIR] {
            let ran = export.run(&[command, &["--duckdb", "theirs.duckdb"]].concat());
            assert_ne!(ran.code, Some(0), "{}", ran.stderr);
            assert!(fs::read(&path).unwrap() == whole[..length], "cut to {length} bytes");
        }
    }
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    assert_snapshot!(export.run(&["deliver", "--rebuild", "--duckdb", "theirs.duckdb"]).told(), @"
    exit 2
    error: `[dir]/theirs.duckdb` is not a DuckDB database, or is damaged and shows no sign that it was delivered from this lake, and is not replaced
    hint: name another file with --duckdb; or, if the existing one is not needed, move it away
    ");
}

#[test]
fn a_damaged_database_of_this_lake_is_kept_and_made_again() {
    for command in [REBUILD, REPAIR] {
        let export = synced();
        let mut bytes = fs::read(&export.duckdb).unwrap();
        bytes[4096..12_288].fill(0);
        fs::write(&export.duckdb, &bytes).unwrap();
        assert_eq!(export.run(command).code, Some(0), "{command:?}");
        assert!(fs::read(export.path("armature.duckdb.damaged")).unwrap() == bytes);
        export.sync_brings_everything();
    }
}

#[test]
fn what_has_the_name_of_a_rebuild_is_not_removed() {
    let export = synced();
    let path = export.path("armature.duckdb.rebuilding");
    fs::write(&path, "my notes").unwrap();
    let ran = export.run(REBUILD);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert_eq!(fs::read(&path).unwrap(), b"my notes");
    fs::remove_file(&path).unwrap();
    assert_eq!(export.run(REBUILD).code, Some(0));
    export.sync_brings_everything();
}

#[test]
fn an_empty_file_is_replaced() {
    let export = synced();
    fs::write(export.path("empty.duckdb"), "").unwrap();
    let ran = export.run(&["deliver", "--rebuild", "--duckdb", "empty.duckdb"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
}

/// A path to the file through links, one of them relative; then with a file that is not there yet.
#[cfg(unix)]
#[test]
fn of_a_link_the_target_is_replaced() {
    use std::os::unix::fs::symlink;

    for is_dangling in [false, true] {
        let export = TestExport::of_ended_runs(3);
        fs::create_dir(export.path("disk2")).unwrap();
        symlink("data.duckdb", export.path("disk2/link.duckdb")).unwrap();
        symlink(export.path("disk2/link.duckdb"), &export.duckdb).unwrap();
        if !is_dangling {
            assert_eq!(export.run(&["sync"]).code, Some(0));
        }
        export.simulator.override_run(hand_made_run("later", &serde_json::json!({})));
        assert_eq!(export.run(&["sync"]).code, Some(0));
        assert_eq!(export.run(REBUILD).code, Some(0));
        let names = |folder: &Path| {
            let names = fs::read_dir(folder).unwrap().map(|it| it.unwrap().file_name());
            let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
            names.sort();
            names
        };
        assert_eq!(names(&export.path("disk2")), ["data.duckdb", "link.duckdb"]);
        assert!(fs::symlink_metadata(&export.duckdb).unwrap().is_symlink());
        assert!(!names(export.folder()).iter().any(|name| name.starts_with("armature.duckdb.")));
        let rows = execute(&export.path("disk2/data.duckdb"), "").query_row(
            "SELECT count(*) FROM runs WHERE run_id = 'later'",
            [],
            |row| row.get(0),
        );
        assert_eq!(rows, Ok(1));
    }
}
