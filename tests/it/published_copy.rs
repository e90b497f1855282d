//! The published copy of the DuckDB file: readers of it delay nothing, it is replaced as a whole,
//! and what is not known to be such a copy is not replaced.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Lines, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::UNIX_EPOCH;

use crate::support::{ProgramOutput, TestExport, all_at_once};
use duckdb::{AccessMode, Config, Connection};
use insta::assert_snapshot;

/// A delivery that has to wait for a process fails at once.
const CONFIGURATION: &str =
    "[duckdb]\npublish = \"bi/armature.duckdb\"\nlock_wait_secs = 0\nmemory_limit_mb = 40\n";

const DELIVER: &[&str] = &["deliver"];

fn copy_of(export: &TestExport) -> PathBuf {
    export.path("bi/armature.duckdb")
}

/// An export that publishes a copy, after its first sync.
fn published() -> TestExport {
    let export = TestExport::of_growing_world(6);
    export.configure(CONFIGURATION);
    export.sync_brings_everything();
    assert_eq!(content(&copy_of(&export)), content(&export.duckdb));
    export
}

/// Some more runs, which the next sync brings.
fn more_runs(export: &TestExport) {
    export.simulator.advance(chrono::Duration::hours(1));
}

/// Each table of a database with its number of rows and a hash of them, and each view.
fn content_of(connection: &Connection) -> String {
    let text = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, String>(0)).unwrap();
    let list = "SELECT coalesce(string_agg(name, ' ' ORDER BY name), '') FROM (SELECT table_name \
                AS \"name\" FROM duckdb_tables() UNION ALL SELECT view_name FROM duckdb_views() \
                WHERE NOT internal)";
    let names = text(list);
    let rows = names.split(' ').map(|name| {
        let sql =
            format!("SELECT count(*) || ' ' || coalesce(bit_xor(hash(t)), 0) FROM \"{name}\" t");
        format!("{name} {}", text(&sql))
    });
    rows.collect::<Vec<_>>().join("; ")
}

fn read_only(path: &Path) -> Connection {
    let config = Config::default().access_mode(AccessMode::ReadOnly).unwrap();
    Connection::open_with_flags(path, config).unwrap()
}

fn content(path: &Path) -> String {
    content_of(&read_only(path))
}

fn names_in(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

/// A BI tool: another process that has a file open, and reads it again and again.
struct Reader {
    child: Child,
    questions: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Reader {
    fn start(path: &Path, mode: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["published_copy::read_on_demand", "--exact", "--ignored", "--nocapture"])
            .env("READ_DATABASE", path)
            .env("READ_MODE", mode)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let questions = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut reader = Self { child, questions, answers };
        // It has the file open when it answers.
        reader.content();
        reader
    }

    fn content(&mut self) -> String {
        writeln!(self.questions).unwrap();
        let mut lines = self.answers.by_ref().map(Result::unwrap);
        // The test framework of the other process may begin the line.
        let answer = lines.find_map(|line| line.split_once("content: ").map(|it| it.1.to_owned()));
        answer.expect("the reader ended")
    }

    fn pid(&self) -> String {
        format!("(PID {})", self.child.id())
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Not a test: what [`Reader`] runs in a process of its own.
#[test]
#[ignore = "run by other tests as a process of its own"]
#[expect(clippy::disallowed_methods, reason = "how the other process is told what to read")]
fn read_on_demand() {
    let path = std::env::var_os("READ_DATABASE").expect("only other tests run this");
    let connection = match std::env::var("READ_MODE").unwrap().as_str() {
        "read" => read_only(Path::new(&path)),
        _ => Connection::open(&path).unwrap(),
    };
    for question in std::io::stdin().lines() {
        question.unwrap();
        println!("content: {}", content_of(&connection));
    }
}

#[test]
fn readers_of_the_copy_delay_nothing_and_see_new_data_when_they_open_it_again() {
    all_at_once(["read", "write"], |mode| {
        let export = published();
        let copy = copy_of(&export);
        let before = content(&copy);
        let mut reader = Reader::start(&copy, mode);
        for number in 1..=3 {
            more_runs(&export);
            export.sync_brings_everything();
            assert_eq!(reader.content(), before, "{mode}: what it has open changed");
            let now = content(&copy);
            assert_ne!(now, before);
            assert_eq!(now, content(&export.duckdb), "{mode}: after {number} more syncs");
        }
        assert_eq!(Reader::start(&copy, mode).content(), content(&export.duckdb));
        drop(reader);
        assert_eq!(names_in(copy.parent().unwrap()), ["armature.duckdb"]);
    });
}

/// The mechanism that the copy replaces: a reader of the DuckDB file itself.
#[cfg(target_os = "linux")]
#[test]
fn who_has_which_file_open_is_named() {
    let export = published();
    let (first, second) =
        (Reader::start(&export.duckdb, "read"), Reader::start(&export.duckdb, "read"));
    let of_copy = Reader::start(&copy_of(&export), "write");
    let told = export.run(DELIVER).told();
    assert!(told.starts_with("exit 6") && told.contains(&first.pid()), "{told}");
    assert!(told.contains(&second.pid()) && told.contains("duckdb.publish"), "{told}");
    let doctor = export.run(&["doctor"]).stdout;
    let line = |check: &str| {
        let found =
            doctor.lines().filter(|line| line.get(9..).is_some_and(|it| it.starts_with(check)));
        found.collect::<Vec<_>>().join("\n")
    };
    let (of_file, published) = (line("duckdb "), line("published copy"));
    assert!(of_file.contains(&first.pid()) && of_file.contains(&second.pid()), "{doctor}");
    assert!(!of_file.contains(&of_copy.pid()), "{doctor}");
    let expected = format!("{} for writing", of_copy.pid());
    assert!(published.contains("up to date") && published.contains(&expected), "{doctor}");
    drop((first, second));
    more_runs(&export);
    export.sync_brings_everything();
    let doctor = export.run(&["doctor"]).stdout;
    let expected = format!("{}, which still reads an earlier one", of_copy.pid());
    assert!(doctor.contains(&expected), "{doctor}");
}

fn status_of_copy(export: &TestExport) -> serde_json::Value {
    export.status()["targets"][0]["published"].clone()
}

#[test]
fn the_copy_is_replaced_only_if_it_has_another_content() {
    let export = published();
    let copy = copy_of(&export);
    let written = || fs::metadata(&copy).unwrap().modified().unwrap();
    let first = written();
    assert_eq!(status_of_copy(&export)["state"], "up to date");
    assert!(status_of_copy(&export)["age_seconds"].is_u64());
    let ran = export.run(DELIVER);
    assert_eq!((ran.code, written()), (Some(0), first), "{}", ran.told());
    // Missing, cut off, and of another state.
    fs::remove_file(&copy).unwrap();
    assert_eq!(status_of_copy(&export)["state"], "not there yet");
    let current = fs::read(&export.duckdb).unwrap();
    let older = {
        let connection = Connection::open(&export.duckdb).unwrap();
        connection.execute_batch("DELETE FROM runs; CHECKPOINT").unwrap();
        connection.close().unwrap();
        fs::read(&export.duckdb).unwrap()
    };
    fs::write(&export.duckdb, &current).unwrap();
    for other in [None, Some(older), Some(Vec::new())] {
        if let Some(other) = &other {
            fs::write(&copy, other).unwrap();
            assert_eq!(status_of_copy(&export)["state"], "differs from the file");
        }
        let ran = export.run(DELIVER);
        assert_eq!(ran.code, Some(0), "{}", ran.told());
        assert!(ran.stdout.contains("published as "), "{}", ran.stdout);
        assert!(fs::read(&copy).unwrap() == fs::read(&export.duckdb).unwrap());
    }
    // A rebuilt file can have the headers of the one before.
    let ran = export.run(&["deliver", "--rebuild"]);
    assert_eq!(ran.code, Some(0), "{}", ran.told());
    assert!(fs::read(&copy).unwrap() == fs::read(&export.duckdb).unwrap());
    assert_eq!(names_in(copy.parent().unwrap()), ["armature.duckdb"]);
}

/// A sync that brings nothing does not read two large files.
#[test]
fn a_copy_that_nobody_wrote_is_known_by_its_time() {
    let export = published();
    let copy = copy_of(&export);
    let modified = |path: &Path| fs::metadata(path).unwrap().modified().unwrap();
    let set_modified = |time| {
        File::options().write(true).open(&copy).unwrap().set_modified(time).unwrap();
    };
    let written = modified(&export.duckdb);
    assert_eq!(modified(&copy), written);
    // Another byte, which only a comparison of all bytes finds.
    let good = fs::read(&copy).unwrap();
    let mut other = good.clone();
    *other.last_mut().unwrap() ^= 1;
    let deliver = || {
        let ran = export.run(DELIVER);
        assert_eq!(ran.code, Some(0), "{}", ran.told());
    };
    fs::write(&copy, &other).unwrap();
    set_modified(written);
    deliver();
    assert!(fs::read(&copy).unwrap() == other, "the bytes were compared");
    // It was written, so its bytes are compared.
    fs::write(&copy, &other).unwrap();
    deliver();
    assert!(fs::read(&copy).unwrap() == good, "the bytes were not compared");
    assert_eq!(modified(&copy), written);
    // A copy of a version that did not set the time is kept, and has the time from then on.
    set_modified(UNIX_EPOCH);
    let id = || fs::metadata(&copy).unwrap().ino();
    let before = id();
    deliver();
    assert_eq!((id(), modified(&copy)), (before, written));
}

/// A write-ahead log belongs to one file: beside another one, its rows would be wrong there.
#[test]
fn no_write_ahead_log_of_a_reader_stays_beside_the_copy() {
    let export = published();
    let copy = copy_of(&export);
    let log = copy.with_extension("duckdb.wal");
    let connection = Connection::open(&copy).unwrap();
    connection.execute_batch("SET checkpoint_threshold = '1GB'; DELETE FROM runs").unwrap();
    assert!(log.exists());
    // As if the process had been killed.
    let (file, rows) = (fs::read(&copy).unwrap(), fs::read(&log).unwrap());
    connection.close().unwrap();
    fs::write(&copy, file).unwrap();
    fs::write(&log, rows).unwrap();
    assert_ne!(content(&copy), content(&export.duckdb));
    let ran = export.run(DELIVER);
    assert_eq!((ran.code, log.exists()), (Some(0), false), "{}", ran.told());
    assert_eq!(content(&copy), content(&export.duckdb));
}

#[test]
fn what_is_not_a_copy_of_this_lake_is_not_replaced() {
    let export = published();
    let copy = copy_of(&export);
    let other = TestExport::of_ended_runs(2);
    other.sync_brings_everything();
    let database = |sql: &str| {
        let path = export.path("made.duckdb");
        let connection = Connection::open(&path).unwrap();
        connection.execute_batch(sql).unwrap();
        connection.close().unwrap();
        let bytes = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        bytes
    };
    let cases = [
        b"my notes, which are longer than a header".to_vec(),
        database("CREATE TABLE precious AS SELECT 42 AS x"),
        fs::read(&other.duckdb).unwrap(),
    ];
    let mut told = Vec::new();
    for bytes in &cases {
        fs::write(&copy, bytes).unwrap();
        // The delivery itself is recorded, also while the copy is refused.
        more_runs(&export);
        let ran = export.run(&["sync"]);
        told.push(ran.told());
        assert!(
            ran.stdout.contains("up to date, but its copy was not published"),
            "{}",
            ran.stdout
        );
        assert_eq!(export.status()["targets"][0]["commits_behind"], 0);
        assert!(fs::read(&copy).unwrap() == *bytes);
    }
    assert_snapshot!(told.join("\n\n"));
    fs::remove_file(&copy).unwrap();
    export.sync_brings_everything();
    assert_eq!(content(&copy), content(&export.duckdb));
}

/// Whether the copy is held or not: what somebody put into it is not lost.
#[test]
fn what_others_put_into_the_copy_is_not_lost() {
    let export = published();
    let copy = copy_of(&export);
    let connection = Connection::open(&copy).unwrap();
    connection.execute_batch("CREATE TABLE notes AS SELECT 1 AS a").unwrap();
    let refused = |ran: ProgramOutput| {
        assert!(ran.code == Some(2) && ran.stderr.contains("table `notes`"), "{}", ran.told());
        let names = names_in(copy.parent().unwrap());
        assert!(!names.iter().any(|name| name.ends_with(".publishing")), "{names:?}");
    };
    more_runs(&export);
    refused(export.run(&["sync"]));
    connection.close().unwrap();
    refused(export.run(DELIVER));
    assert_eq!(read_only(&copy).query_row("SELECT a FROM notes", [], |row| row.get(0)), Ok(1));
}

#[test]
fn what_a_user_adds_to_the_duckdb_file_is_in_its_copies() {
    let export = published();
    let copy = copy_of(&export);
    let connection = Connection::open(&export.duckdb).unwrap();
    connection.execute_batch("CREATE VIEW mine AS SELECT count(*) AS runs FROM runs").unwrap();
    connection.close().unwrap();
    for _ in 0..2 {
        more_runs(&export);
        export.sync_brings_everything();
        let runs = read_only(&copy).query_row("SELECT runs FROM mine", [], |row| row.get(0));
        assert_eq!(runs, Ok(export.count("SELECT count(*) FROM runs")));
    }
}

#[test]
fn the_duckdb_file_itself_is_refused_as_its_copy() {
    let export = TestExport::of_ended_runs(2);
    let mut told = Vec::new();
    export.configure("[duckdb]\npublish = \"armature.duckdb\"\n");
    told.push(export.run(&["sync"]).told());
    export.configure("");
    let ran = export.run(&["sync", "--publish", "armature.duckdb"]);
    told.push(ran.told());
    assert!(!export.duckdb.exists(), "something was delivered");
    export.sync_brings_everything();
    fs::create_dir(export.path("bi")).unwrap();
    fs::hard_link(&export.duckdb, copy_of(&export)).unwrap();
    told.push(export.run(&["deliver", "--publish", "bi/armature.duckdb"]).told());
    assert_snapshot!(told.join("\n\n"));
}

#[test]
fn a_copy_that_cannot_be_written_is_made_by_the_next_sync() {
    let export = TestExport::of_ended_runs(4);
    export.configure(CONFIGURATION);
    fs::write(export.path("bi"), "not a folder").unwrap();
    let ran = export.run(&["sync"]);
    assert_snapshot!(ran.told());
    assert_eq!(export.status()["targets"][0]["commits_behind"], 0);
    fs::remove_file(export.path("bi")).unwrap();
    export.sync_brings_everything();
    assert_eq!(content(&copy_of(&export)), content(&export.duckdb));
}

#[test]
fn a_crash_leaves_the_old_copy_whole_and_the_next_run_removes_what_it_left() {
    let export = published();
    let copy = copy_of(&export);
    let (folder, before) = (copy.parent().unwrap(), fs::read(&copy).unwrap());
    more_runs(&export);
    export.crash(&["sync"], "before_copy_is_in_place");
    assert!(fs::read(&copy).unwrap() == before);
    assert_eq!(names_in(folder).len(), 2);
    // Names that only resemble those of temporary files are somebody else's.
    fs::write(folder.join("armature.duckdb.mine.publishing"), "notes").unwrap();
    let ran = export.run(DELIVER);
    assert_eq!(ran.code, Some(0), "{}", ran.told());
    assert_eq!(names_in(folder), ["armature.duckdb", "armature.duckdb.mine.publishing"]);
    assert_eq!(content(&copy), content(&export.duckdb));
    assert_ne!(fs::read(&copy).unwrap(), before);
}

#[cfg(unix)]
#[test]
fn the_copy_has_the_permissions_of_the_duckdb_file() {
    use std::os::unix::fs::PermissionsExt;

    let export = TestExport::of_growing_world(2);
    export.configure(CONFIGURATION);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for expected in [0o600, 0o640, 0o604] {
        if expected != 0o600 {
            let permissions = fs::Permissions::from_mode(expected);
            fs::set_permissions(&export.duckdb, permissions).unwrap();
            more_runs(&export);
        }
        export.sync_brings_everything();
        assert_eq!((mode(&export.duckdb), mode(&copy_of(&export))), (expected, expected));
    }
}
