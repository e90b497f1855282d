//! Iceberg tables of a lake in S3, while several processes change them, while a reader reads them,
//! and while the exporter is killed.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use armature_export::tables::{ALL, WriteDisposition};
use object_store::ObjectStoreExt;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::iceberg::{Place, assert_same_rows_at, python};
use crate::store_lakes::{ReadBy, StoreLake, signal};
use crate::stores::fault_proxy::{Fault, FaultProxy, Kind, Rule};
use crate::stores::server::ObjectStoreServer;
use crate::support::block_on;
use crate::support::seeded::Seeded;

const WITH_TABLES: &str = "[iceberg]\ncatalog = \"files\"\n";

/// What PyIceberg needs to read from the server.
fn properties(server: &ObjectStoreServer) -> Value {
    json!({
        "s3.endpoint": server.endpoint, "s3.region": "us-east-1",
        "s3.access-key-id": server.key_id, "s3.secret-access-key": server.secret,
    })
}

/// The rows of the world are in the lake, and those of the lake are in the tables.
fn assert_tables_equal_the_world(
    lake: &mut StoreLake,
    server: &ObjectStoreServer,
    python: &Path,
    when: &str,
) {
    // `verify` compares the tables, too.
    lake.assert_equals_the_world();
    let copy = lake.export.path(&format!("copy-{}", lake.copies));
    let place = Place { address: &lake.address, properties: properties(server), keys: 0 };
    assert!(assert_same_rows_at(&place, &copy, python, when) > 100);
}

/// Several deliveries to the same tables at once: whoever creates a version of the metadata first
/// wins, and the others begin again.
#[test]
fn deliveries_at_the_same_time_add_each_row_once() {
    let Some(python) = python() else { return };
    let server = ObjectStoreServer::seaweedfs();
    let mut lake = StoreLake::in_s3(&server.endpoint, ReadBy::Files);
    let without_tables = fs::read_to_string(lake.export.path("armature-export.toml")).unwrap();
    for round in 0..3 {
        fs::write(lake.export.path("armature-export.toml"), &without_tables).unwrap();
        lake.succeeds(&["sync"]);
        lake.export.configure_more(WITH_TABLES);
        let at_once: Vec<Child> = (0..4)
            .map(|it| {
                // DuckDB's file is not what this is about, and only one process can write it.
                let duckdb = format!("duckdb-{it}");
                let arguments: &[&str] = if (round, it) == (2, 3) {
                    &["deliver", "--rebuild", "--duckdb", &duckdb]
                } else {
                    &["deliver", "--duckdb", &duckdb]
                };
                lake.export.start(arguments)
            })
            .collect();
        for child in at_once {
            let ended = lake.export.wait(child);
            let is_busy = ended.code == Some(6) && ended.stderr.contains("by other processes");
            assert!(ended.code == Some(0) || is_busy, "{}", ended.stderr);
        }
        lake.succeeds(&["deliver"]);
        assert_tables_equal_the_world(&mut lake, server, &python, &format!("round {round}"));
        lake.export.simulator.advance(chrono::Duration::hours(7));
    }
}

/// A lake with one delivery, and commits after it that no target has.
fn late_lake(proxy: &FaultProxy, server: &ObjectStoreServer) -> StoreLake {
    let lake = StoreLake::in_s3(&proxy.endpoint(&server.endpoint), ReadBy::Files);
    lake.export.configure_more("[duckdb]\nenabled = false\n");
    let file = lake.export.path("armature-export.toml");
    let without_tables = fs::read_to_string(&file).unwrap();
    lake.export.configure_more(WITH_TABLES);
    lake.succeeds(&["sync"]);
    lake.export.simulator.advance(chrono::Duration::hours(5));
    fs::write(&file, without_tables).unwrap();
    lake.succeeds(&["sync"]);
    lake.export.configure_more(WITH_TABLES);
    lake.export.simulator.advance(chrono::Duration::hours(5));
    lake
}

/// Holds a request of a delivery, syncs and delivers meanwhile if `delivers`, and lets it go on.
fn overtake(kind: Kind, path: &str, delivers: bool) {
    let server = ObjectStoreServer::seaweedfs();
    let proxy = FaultProxy::start(server.address());
    let lake = late_lake(&proxy, server);
    proxy.set_rules([Rule::new(Fault::Hold).of(kind).at(path).times(1)]);
    let first = lake.export.start(&["deliver"]);
    while proxy.strikes()[0] == 0 {
        std::thread::yield_now();
    }
    let file = lake.export.path("armature-export.toml");
    let with_tables = fs::read_to_string(&file).unwrap();
    if !delivers {
        fs::write(&file, with_tables.replace(WITH_TABLES, "")).unwrap();
    }
    lake.succeeds(&["sync"]);
    fs::write(&file, with_tables).unwrap();
    proxy.set_rules([]);
    let ended = lake.export.wait(first);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    if !delivers {
        lake.succeeds(&["deliver"]);
    }
    let verified = lake.succeeds(&["verify"]);
    assert!(verified.stdout.contains("all is well"), "{}", verified.stdout);
    let status = lake.succeeds(&["status", "--output", "json"]).json();
    assert_eq!(status["targets"][0]["commits_behind"], 0, "{status}");
}

/// Its metadata is on its way when another delivery, of newer commits, is faster: the table does
/// not go back.
#[test]
fn a_delivery_that_was_overtaken_begins_again() {
    overtake(Kind::Put, "_iceberg/runs/metadata/v", true);
}

/// The same before it has read the tables: they are ahead of what it knows of the lake.
#[test]
fn a_delivery_that_finds_tables_ahead_of_it_begins_again() {
    overtake(Kind::Get, "_iceberg/delivered.json", true);
}

/// A commit that is made during a delivery is for the next one.
#[test]
fn a_commit_during_a_delivery_is_delivered_once() {
    overtake(Kind::Get, "_iceberg/delivered.json", false);
}

/// A list tells of many data files at once whether they are in their place.
#[test]
fn a_delivery_of_many_files_sends_few_requests() {
    let server = ObjectStoreServer::seaweedfs();
    let proxy = FaultProxy::start(server.address());
    let lake = StoreLake::in_s3(&proxy.endpoint(&server.endpoint), ReadBy::Files);
    let file = lake.export.path("armature-export.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("commit_bytes = 60000", "commit_bytes = 10000")).unwrap();
    lake.succeeds(&["sync"]);
    let tables = ALL.iter().filter(|table| table.write == WriteDisposition::Append);
    let files: usize = tables.map(|table| lake.keys(table.name).len()).sum();
    assert!(files > 200, "{files}");
    lake.export.configure_more(WITH_TABLES);
    let before = proxy.traffic();
    lake.succeeds(&["deliver"]);
    let after = proxy.traffic();
    let sent = |kind: Kind| after.of(kind) - before.of(kind);
    println!(
        "{files} files: {:?}",
        after.requests.keys().map(|kind| (kind, sent(*kind))).collect::<Vec<_>>()
    );
    let heads = usize::try_from(sent(Kind::Head)).unwrap();
    assert!(heads < files / 4, "{heads} requests for {files} files");
    // A file that is not there is still found. (DuckDB would find it first.)
    lake.export.configure_more("[duckdb]\nenabled = false\n");
    let spans = lake.keys("spans");
    block_on(lake.objects.delete(&spans[spans.len() / 2].as_str().into())).unwrap();
    let refused = lake.run(&["deliver", "--rebuild"]);
    assert_eq!(refused.code, Some(6), "{}", refused.stderr);
    assert!(refused.stderr.contains(&spans[spans.len() / 2]), "{}", refused.stderr);
}

/// Reads the newest snapshots again and again until it is told to stop: all columns of `runs`, and
/// then its runs in another table. A delivery writes `runs` last, so what is read after it has
/// these runs.
const READER: &str = "
import json, os, sys
from pyiceberg.io import load_file_io
from pyiceberg.table import StaticTable
address, properties, folder = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3]
files = load_file_io(properties, address)
def newest(table):
    where = f'{address}/_iceberg/{table}/metadata'
    with files.new_input(f'{where}/version-hint.text').open() as hint:
        version = hint.read().decode()
    return StaticTable.from_metadata(f'{where}/v{version}.metadata.json', properties)
def note(name, content):
    with open(f'{folder}/{name}.new', 'w') as out:
        out.write(content)
    os.replace(f'{folder}/{name}.new', f'{folder}/{name}')
seen, snapshots, reads = set(), set(), 0
while not os.path.exists(f'{folder}/stop'):
    runs = newest('runs')
    snapshot = runs.current_snapshot()
    rows = runs.scan().to_arrow()
    keys = list(zip(rows['run_id'].to_pylist(), rows['_revision'].to_pylist()))
    assert len(keys) == len(set(keys)), f'{len(keys) - len(set(keys))} rows twice'
    assert str(len(keys)) == snapshot.summary['total-records'], (len(keys), snapshot.summary)
    lost = seen - set(keys)
    assert not lost, f'{len(lost)} rows of an earlier snapshot are gone'
    documents = newest('documents').scan(selected_fields=('run_id', '_revision')).to_arrow()
    known = set(zip(documents['run_id'].to_pylist(), documents['_revision'].to_pylist()))
    assert set(keys) <= known, 'a run without its documents'
    seen, reads = set(keys), reads + 1
    snapshots.add((snapshot.snapshot_id, snapshot.summary.operation.value))
    note('progress', json.dumps({'reads': reads, 'snapshots': len(snapshots),
                                 'rows': len(keys), 'operations': sorted({it[1] for it in snapshots})}))
";

/// A reader of the newest snapshot finds a complete set of rows at every moment of syncs and
/// merges.
#[test]
fn a_reader_finds_each_snapshot_whole_while_syncs_and_merges_go_on() {
    let Some(python) = python() else { return };
    let server = ObjectStoreServer::seaweedfs();
    let mut lake = StoreLake::in_s3(&server.endpoint, ReadBy::Tables);
    // Old files stay for those who planned their query on them.
    let file = lake.export.path("armature-export.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("grace_secs = 0", "grace_secs = 86400")).unwrap();
    lake.export.configure_more(WITH_TABLES);
    lake.succeeds(&["sync"]);
    let folder = lake.export.path("reader");
    fs::create_dir(&folder).unwrap();
    let mut reader = Command::new(&python)
        .args(["-c", READER, &lake.address, &properties(server).to_string()])
        .arg(&folder)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let progress = || -> Value {
        fs::read(folder.join("progress"))
            .map_or(Value::Null, |bytes| serde_json::from_slice(&bytes).unwrap())
    };
    let mut rounds = 0;
    loop {
        let now = progress();
        let is_enough = now["snapshots"].as_u64() >= Some(6)
            && now["operations"] == json!(["append", "replace"]);
        if is_enough || reader.try_wait().unwrap().is_some() {
            break;
        }
        rounds += 1;
        assert!(rounds < 60, "the reader saw too little: {now}");
        lake.export.simulator.advance(chrono::Duration::hours(2));
        lake.succeeds(&["sync"]);
        lake.succeeds(&["compact"]);
    }
    fs::write(folder.join("stop"), "").unwrap();
    let ended = reader.wait_with_output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    println!("{} in {rounds} rounds", progress());
    // The folders have each row once when the old files have gone.
    fs::write(&file, fs::read_to_string(&file).unwrap().replace("86400", "0")).unwrap();
    lake.succeeds(&["compact"]);
    lake.succeeds(&["compact"]);
    lake.assert_equals_the_world();
}

/// Killed at any request of a sync, a merge or a delivery, several times; in the end the rows are
/// those of the world, in the tables too.
#[test]
fn an_exporter_that_is_killed_at_any_request_loses_and_doubles_nothing() {
    let Some(python) = python() else { return };
    let server = ObjectStoreServer::seaweedfs();
    crate::support::all_at_once([1_u64, 2], |seed| {
        let proxy = FaultProxy::start(server.address());
        let mut lake = StoreLake::in_s3(&proxy.endpoint(&server.endpoint), ReadBy::Tables);
        lake.export.configure_more(WITH_TABLES);
        let requests = || proxy.traffic().requests.values().sum::<u64>();
        let (mut seeded, mut killed) = (Seeded::new(seed), 0);
        // How many requests a job sends here.
        let mut most = 60;
        while killed < 6 {
            let job = if seeded.below(4) == 0 { "compact" } else { "sync" };
            let last = requests() + 1 + seeded.below(most);
            let mut child = lake.export.start(&[job]);
            let is_killed = loop {
                if requests() >= last {
                    signal(&child, Signal::KILL);
                    child.wait().unwrap();
                    break true;
                }
                if child.try_wait().unwrap().is_some() {
                    break false;
                }
                std::thread::yield_now();
            };
            killed += u32::from(is_killed);
            // Until kills reach the end of a job, they have not been everywhere.
            most += most / 3;
            lake.export.simulator.advance(chrono::Duration::minutes(40));
        }
        lake.succeeds(&["sync"]);
        lake.succeeds(&["compact"]);
        let when = format!("seed {seed}");
        assert_tables_equal_the_world(&mut lake, server, &python, &when);
    });
}
