//! Lakes in object stores: real servers on loopback, and afterwards every row is compared with what the
//! world holds, as for a lake on a disk.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::{Arc, Mutex};

use armature_export::lake::LakeStore;
use armature_export::simulator::{SimulatorSettings, WorldSettings};
use armature_export::tables::ALL;
use futures::TryStreamExt;
use object_store::path::Path as ObjectPath;
use object_store::prefix::PrefixStore;
use object_store::{ObjectStore, ObjectStoreExt};
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use serde_json::json;

use crate::iceberg::{Place, assert_same_rows_at, metadata, operations, python};
use crate::iceberg_rest::Namespace;
use crate::object_stores;
use crate::stores::fake_gcs::FakeGcs;
use crate::stores::fault_proxy::{Fault, FaultProxy, Kind, Rule};
use crate::stores::server::{ObjectStoreServer, unique_prefix};
use crate::support::known_runs::MANY;
use crate::support::{
    ProgramOutput, TestExport, all_at_once, block_on, ended_runs, start_simulator,
};

/// A lake in a store, and the export that writes it.
pub(crate) struct StoreLake {
    pub(crate) export: TestExport,
    pub(crate) address: String,
    /// The objects of the lake, past the program and past a proxy.
    pub(crate) objects: Arc<dyn ObjectStore>,
    pub(crate) copies: u32,
}

/// What else the configuration says.
#[derive(Clone, Copy)]
pub(crate) enum ReadBy {
    Files,
    Tables,
}

impl StoreLake {
    fn new(address: String, store: &str, objects: Arc<dyn ObjectStore>, read_by: ReadBy) -> Self {
        let export = TestExport::new(SimulatorSettings {
            world: WorldSettings {
                runs: 60,
                days: 2.0,
                seconds_between_runs: 600.0,
                ..WorldSettings::default()
            },
            ..SimulatorSettings::default()
        });
        let read_by = match read_by {
            ReadBy::Files => "files",
            ReadBy::Tables => "tables",
        };
        export.configure(&format!(
            "[lake]\npath = \"{address}\"\ncache = \"cache\"\nread_by = \"{read_by}\"\n\
             [store]\nlease_secs = 2\n{store}\
             [sync]\ncommit_bytes = 60000\n\
             [compact]\nclosed_after_secs = 0\ngrace_secs = 0\n"
        ));
        Self { export, address, objects, copies: 0 }
    }

    /// In SeaweedFS, at the endpoint of the server or of a proxy in front of it.
    pub(crate) fn in_s3(endpoint: &str, read_by: ReadBy) -> Self {
        let server = ObjectStoreServer::seaweedfs();
        Self::in_s3_of(server, endpoint, read_by)
    }

    fn in_s3_of(server: &ObjectStoreServer, endpoint: &str, read_by: ReadBy) -> Self {
        let prefix = unique_prefix("lake");
        let objects = below(object_stores::s3(server, &server.endpoint), &prefix);
        let address = format!("s3://{}/{prefix}", server.bucket);
        let store = format!(
            "endpoint = \"{endpoint}\"\naccess_key_id = \"{}\"\nsecret_key_file = \"key\"\n",
            server.key_id
        );
        let lake = Self::new(address, &store, objects, read_by);
        std::fs::write(lake.export.path("key"), server.secret).unwrap();
        lake
    }

    /// In Azurite, at the endpoint of the server or of a proxy in front of it.
    fn in_azure(endpoint: &str, read_by: ReadBy) -> Self {
        let server = ObjectStoreServer::azurite();
        let prefix = unique_prefix("lake");
        let objects = below(object_stores::azure(server), &prefix);
        let address = format!("az://{}/{prefix}", server.bucket);
        let store = format!(
            "endpoint = \"{endpoint}\"\naccount = \"{}\"\nsecret_key_file = \"key\"\n",
            server.key_id
        );
        let lake = Self::new(address, &store, objects, read_by);
        std::fs::write(lake.export.path("key"), server.secret).unwrap();
        lake
    }

    /// In a fake of GCS, at its address or that of a proxy in front of it.
    fn in_gcs(server: &FakeGcs, address: SocketAddr, read_by: ReadBy) -> Self {
        let prefix = unique_prefix("lake");
        let objects = below(object_stores::gcs(server, server.address), &prefix);
        let store =
            format!("endpoint = \"http://{address}\"\nservice_account_file = \"account.json\"\n");
        let lake = Self::new(format!("gs://{}/{prefix}", server.bucket), &store, objects, read_by);
        let key = FakeGcs::service_account_key(address);
        std::fs::write(lake.export.path("account.json"), key).unwrap();
        lake
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> ProgramOutput {
        self.export.run(arguments)
    }

    /// The lake as the program's configuration describes it, opened by this process.
    fn opened(&self) -> LakeStore {
        let path = self.export.path("armature-export.toml");
        let mut text = std::fs::read_to_string(&path).unwrap();
        for name in ["cache", "key", "account.json"] {
            let absolute = self.export.path(name).display().to_string();
            text = text.replace(&format!("= \"{name}\""), &format!("= \"{absolute}\""));
        }
        LakeStore::configured(&armature_export::config::parse(&text, &path).unwrap()).unwrap()
    }

    pub(crate) fn succeeds(&self, arguments: &[&str]) -> ProgramOutput {
        let ran = self.run(arguments);
        let told = format!("{}{}", ran.stdout, ran.stderr);
        assert_eq!(ran.code, Some(0), "{arguments:?} on {}: {told}", self.address);
        ran
    }

    /// Copies the lake to this machine, and compares every row of every table, there and in DuckDB,
    /// with the world's. `verify` finds nothing.
    pub(crate) fn assert_equals_the_world(&mut self) {
        let ran = self.succeeds(&["verify"]);
        assert!(ran.stdout.contains("all is well"), "{}", ran.stdout);
        self.copies += 1;
        self.export.lake = self.export.path(&format!("copy-{}", self.copies));
        block_on(download(&self.objects, self.export.lake.clone()));
        self.export.assert_equals_the_world();
        // The program takes the address from the configuration.
        self.export.lake = self.export.path("lake");
    }

    fn sync_brings_everything(&mut self) {
        self.succeeds(&["sync"]);
        self.assert_equals_the_world();
    }

    pub(crate) fn keys(&self, folder: &str) -> Vec<String> {
        let folder = ObjectPath::from(folder);
        block_on(async {
            let found = self.objects.list(Some(&folder)).try_collect::<Vec<_>>().await.unwrap();
            found.into_iter().map(|object| object.location.to_string()).collect()
        })
    }
}

/// Checks a few cases at once: each waits for a lease, but other tests need the cores, too.
fn few_at_once<T: Copy + Send + Sync>(cases: &[T], check: impl Fn(T) + Sync) {
    for cases in cases.chunks(3) {
        all_at_once(cases.iter().copied(), &check);
    }
}

/// The objects whose keys begin with a prefix.
pub(crate) fn below(objects: impl ObjectStore, prefix: &str) -> Arc<dyn ObjectStore> {
    Arc::new(PrefixStore::new(objects, prefix))
}

pub(crate) async fn download(objects: &Arc<dyn ObjectStore>, to: PathBuf) {
    let found = objects.list(None).try_collect::<Vec<_>>().await.unwrap();
    for object in found {
        let path = to.join(object.location.as_ref());
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let content = objects.get(&object.location).await.unwrap().bytes().await.unwrap();
        std::fs::write(path, content).unwrap();
    }
}

/// All jobs on a lake, one after the other; the rows are compared after each.
fn every_job_keeps_every_row(mut lake: StoreLake) {
    lake.sync_brings_everything();
    lake.export.simulator.advance(chrono::Duration::hours(7));
    lake.sync_brings_everything();
    let ran = lake.succeeds(&["compact"]);
    assert!(ran.stdout.contains("compacted"), "{}", ran.stdout);
    lake.assert_equals_the_world();
    // The tombstones of the merge go with the next one.
    lake.succeeds(&["compact"]);
    assert_eq!(lake.keys("_armature/retired"), [""; 0]);
    lake.assert_equals_the_world();
    lake.succeeds(&["replay"]);
    lake.assert_equals_the_world();
    lake.export.simulator.advance(chrono::Duration::hours(30));
    lake.sync_brings_everything();
    lake.succeeds(&["reconcile"]);
    // Without any local copy.
    std::fs::remove_dir_all(lake.export.path("cache")).unwrap();
    std::fs::remove_file(&lake.export.duckdb).unwrap();
    lake.succeeds(&["deliver"]);
    lake.assert_equals_the_world();
    assert_eq!(lake.keys("_armature/staging"), [""; 0]);
    lake.succeeds(&["doctor"]);
}

#[test]
fn every_job_keeps_every_row_in_s3() {
    let server = ObjectStoreServer::seaweedfs();
    all_at_once([ReadBy::Files, ReadBy::Tables], |read_by| {
        every_job_keeps_every_row(StoreLake::in_s3(&server.endpoint, read_by));
    });
}

/// PyIceberg finds the rows of the lake by the addresses that the metadata states.
#[test]
fn a_reader_of_iceberg_finds_the_rows_of_a_lake_in_s3() {
    let Some(python) = python() else { return };
    let server = ObjectStoreServer::seaweedfs();
    let mut lake = StoreLake::in_s3(&server.endpoint, ReadBy::Files);
    // A sync's commit has the server's time, and a merge's that of this machine: no snapshot
    // expires.
    lake.export.configure_more("[iceberg]\ncatalog = \"files\"\nexpire_snapshots_days = 3660\n");
    lake.succeeds(&["sync"]);
    lake.export.simulator.advance(chrono::Duration::hours(7));
    lake.succeeds(&["sync"]);
    lake.succeeds(&["compact"]);
    // All are up to date, and no metadata is written.
    let before = lake.keys("_iceberg");
    lake.succeeds(&["deliver"]);
    assert_eq!(lake.keys("_iceberg"), before);
    lake.assert_equals_the_world();
    let copy = lake.export.path(&format!("copy-{}", lake.copies));
    let properties = json!({
        "s3.endpoint": server.endpoint, "s3.region": "us-east-1",
        "s3.access-key-id": server.key_id, "s3.secret-access-key": server.secret,
    });
    let place = Place { address: &lake.address, properties, keys: 1 };
    assert!(assert_same_rows_at(&place, &copy, &python, "after a merge") > 500);
    assert_eq!(operations(&copy, "runs"), ["append", "append", "replace"]);
}

/// The data files of a table's newest snapshot, as its manifests name them. `lake` is a copy of the
/// lake at this address.
fn files_of_newest_snapshot(address: &str, lake: &Path, table: &str) -> BTreeSet<String> {
    #[derive(Deserialize)]
    struct Manifest {
        manifest_path: String,
    }
    #[derive(Deserialize)]
    struct Entry {
        status: i32,
        data_file: DataFile,
    }
    #[derive(Deserialize)]
    struct DataFile {
        file_path: String,
    }
    const DELETED: i32 = 2;
    fn read<T: serde::de::DeserializeOwned>(address: &str, lake: &Path, file: &str) -> Vec<T> {
        let path = file.strip_prefix(address).unwrap().trim_start_matches('/');
        let bytes = std::fs::read(lake.join(path)).unwrap();
        let values = apache_avro::Reader::new(&bytes[..]).unwrap().map(Result::unwrap);
        values.map(|value| apache_avro::from_value(&value).unwrap()).collect()
    }
    let metadata = metadata(lake, table);
    assert_eq!(metadata["location"], format!("{address}/_iceberg/{table}"));
    let newest = metadata["snapshots"].as_array().unwrap().last().unwrap();
    let manifests: Vec<Manifest> = read(address, lake, newest["manifest-list"].as_str().unwrap());
    let entries =
        manifests.iter().flat_map(|manifest| read::<Entry>(address, lake, &manifest.manifest_path));
    let live = entries.filter(|entry| entry.status != DELETED);
    live.map(|entry| entry.data_file.file_path).collect()
}

/// No reader of Iceberg asks the fake: the manifests are read one by one.
#[test]
fn iceberg_tables_of_a_lake_in_a_fake_of_gcs_name_its_files() {
    let server = FakeGcs::start();
    let mut lake = StoreLake::in_gcs(&server, server.address, ReadBy::Files);
    // A sync's commit has the simulated time, and a merge's that of this machine: no snapshot
    // expires.
    lake.export.configure_more("[iceberg]\ncatalog = \"files\"\nexpire_snapshots_days = 3660\n");
    lake.succeeds(&["sync"]);
    lake.export.simulator.advance(chrono::Duration::hours(7));
    lake.succeeds(&["sync"]);
    lake.succeeds(&["compact"]);
    let before = lake.keys("_iceberg");
    lake.succeeds(&["deliver"]);
    assert_eq!(lake.keys("_iceberg"), before);
    // `verify` reads the manifests, too.
    lake.assert_equals_the_world();
    let copy = lake.export.path(&format!("copy-{}", lake.copies));
    assert!(lake.address.starts_with("gs://"), "{}", lake.address);
    let mut files = 0;
    for table in ALL.iter().filter(|table| copy.join(table.name).exists()) {
        let in_place = lake.keys(table.name).into_iter();
        let in_place: BTreeSet<String> =
            in_place.map(|key| format!("{}/{key}", lake.address)).collect();
        let named = files_of_newest_snapshot(&lake.address, &copy, table.name);
        assert_eq!(named, in_place, "{}", table.name);
        files += named.len();
    }
    assert!(files > 10, "{files}");
    assert_eq!(operations(&copy, "runs"), ["append", "append", "replace"]);
}

/// Shards of the ledger are fetched like data files, and stay as local copies.
#[test]
fn known_runs_in_shards_are_neither_missed_nor_exported_again_in_a_fake_of_gcs() {
    let server = FakeGcs::start();
    let mut lake = StoreLake::in_gcs(&server, server.address, ReadBy::Files);
    lake.sync_brings_everything();
    lake.export.add_known_runs_to(&lake.opened(), true);
    assert_eq!(lake.keys("_armature/ledger/shards").len(), 4);
    lake.export.simulator.advance(chrono::Duration::hours(5));
    lake.sync_brings_everything();
    lake.succeeds(&["reconcile"]);
    let ran = lake.succeeds(&["status", "--output", "json"]);
    assert!(ran.json()["runs"]["exported"].as_i64().unwrap() > MANY);
}

/// As a warehouse reads it: the catalog and the data files are in one service.
#[test]
fn a_reader_of_a_rest_catalog_finds_the_rows_of_a_lake_in_s3() {
    let Some(python) = python() else { return };
    let server = ObjectStoreServer::seaweedfs();
    let (mut lake, namespace) =
        (StoreLake::in_s3(&server.endpoint, ReadBy::Tables), Namespace::new());
    std::fs::write(lake.export.path("secret"), server.secret).unwrap();
    lake.export.configure_more(&namespace.configuration());
    lake.succeeds(&["sync"]);
    lake.export.simulator.advance(chrono::Duration::hours(7));
    lake.succeeds(&["sync"]);
    lake.succeeds(&["compact"]);
    lake.succeeds(&["deliver"]);
    lake.assert_equals_the_world();
    let copy = lake.export.path(&format!("copy-{}", lake.copies));
    assert!(namespace.assert_same_rows(&copy, &python, "after a merge") > 500);
}

#[test]
#[ignore = "`make test-stores` fetches Azurite"]
fn every_job_keeps_every_row_in_azure() {
    all_at_once([ReadBy::Files, ReadBy::Tables], |read_by| {
        let server = ObjectStoreServer::azurite();
        every_job_keeps_every_row(StoreLake::in_azure(&server.endpoint, read_by));
    });
}

/// The fake of Google Cloud Storage proves nothing of the real one.
#[test]
fn every_job_keeps_every_row_in_a_fake_of_gcs() {
    let server = FakeGcs::start();
    every_job_keeps_every_row(StoreLake::in_gcs(&server, server.address, ReadBy::Files));
}

const POINTS_OF_A_SYNC: [&str; 14] = [
    "lock_taken",
    "after_identity",
    "after_stage",
    "between_staged_parts:3",
    "after_seal",
    "before_commit_file",
    "after_commit_file",
    "before_runs_are_moved",
    "between_moved_parts:4",
    "before_staging_is_removed",
    "after_staging_is_removed",
    "after_begin",
    "before_commit",
    "after_commit",
];

const POINTS_OF_A_MERGE: [(ReadBy, &str); 9] = [
    (ReadBy::Files, "before_commit_file"),
    (ReadBy::Files, "after_commit_file"),
    (ReadBy::Files, "before_exchange"),
    (ReadBy::Files, "after_exchange"),
    (ReadBy::Files, "between_moved_parts:2"),
    (ReadBy::Tables, "between_moved_parts:2"),
    (ReadBy::Tables, "before_runs_are_moved"),
    (ReadBy::Tables, "before_staging_is_removed"),
    (ReadBy::Tables, "before_retired_are_removed"),
];

/// A sync that ends at each of these points loses and doubles nothing.
fn crash_syncs(points: &[&str], new_lake: impl Fn(ReadBy) -> StoreLake + Sync) {
    few_at_once(points, |point| {
        let mut lake = new_lake(ReadBy::Files);
        lake.export.crash(&["sync"], point);
        lake.sync_brings_everything();
    });
}

/// The same for a merge.
fn crash_merges(points: &[(ReadBy, &str)], new_lake: impl Fn(ReadBy) -> StoreLake + Sync) {
    few_at_once(points, |(read_by, point)| {
        let mut lake = new_lake(read_by);
        lake.succeeds(&["sync"]);
        lake.export.crash(&["compact"], point);
        lake.succeeds(&["compact"]);
        lake.succeeds(&["compact"]);
        lake.succeeds(&["deliver"]);
        lake.assert_equals_the_world();
        assert_eq!(lake.keys("_armature/retired"), [""; 0]);
    });
}

fn new_lake_in_s3(read_by: ReadBy) -> StoreLake {
    StoreLake::in_s3(&ObjectStoreServer::seaweedfs().endpoint, read_by)
}

fn new_lake_in_azure(read_by: ReadBy) -> StoreLake {
    StoreLake::in_azure(&ObjectStoreServer::azurite().endpoint, read_by)
}

#[test]
fn a_crash_at_any_point_of_a_sync_loses_and_doubles_nothing() {
    crash_syncs(&POINTS_OF_A_SYNC, new_lake_in_s3);
}

#[test]
fn a_crash_at_any_point_of_a_merge_loses_and_doubles_nothing() {
    crash_merges(&POINTS_OF_A_MERGE, new_lake_in_s3);
}

#[test]
#[ignore = "`make test-stores` fetches Azurite"]
fn a_crash_at_any_point_of_a_sync_loses_and_doubles_nothing_in_azure() {
    crash_syncs(&POINTS_OF_A_SYNC, new_lake_in_azure);
}

#[test]
#[ignore = "`make test-stores` fetches Azurite"]
fn a_crash_at_any_point_of_a_merge_loses_and_doubles_nothing_in_azure() {
    crash_merges(&POINTS_OF_A_MERGE, new_lake_in_azure);
}

/// On either side of the commit, and while its files are copied.
#[test]
fn a_crash_of_a_sync_or_a_merge_loses_and_doubles_nothing_in_a_fake_of_gcs() {
    let server = FakeGcs::start();
    let new_lake = |read_by| StoreLake::in_gcs(&server, server.address, read_by);
    crash_syncs(&["after_seal", "after_commit_file", "between_moved_parts:4"], new_lake);
    crash_merges(
        &[(ReadBy::Files, "after_exchange"), (ReadBy::Tables, "before_runs_are_moved")],
        new_lake,
    );
}

/// The store carries out the create of a commit file, and the answer is lost, or says otherwise: the
/// file is read back. Without that, the commit would count as another writer's.
#[test]
fn a_commit_whose_answer_is_lost_is_found() {
    let server = ObjectStoreServer::seaweedfs();
    let faults = [Fault::LoseAnswer, Fault::LoseRequest, Fault::CONFLICT, Fault::SLOW_DOWN];
    all_at_once(faults, |fault| {
        let proxy = FaultProxy::start(server.address());
        let endpoint = proxy.endpoint(&server.endpoint);
        let mut lake = StoreLake::in_s3(&endpoint, ReadBy::Files);
        proxy.set_rules([Rule::new(fault).of(Kind::Put).at("manifests/").after(1).times(2)]);
        lake.sync_brings_everything();
        assert!(proxy.strikes()[0] > 0, "the fault did not happen");
    });
}

/// Requests of every kind fail now and then, before or after they were carried out.
fn fail_now_and_then(seed: u64, proxy: &FaultProxy, mut lake: StoreLake) {
    let faults = [Fault::LoseAnswer, Fault::LoseRequest, Fault::SLOW_DOWN, Fault::CutBody(40)];
    proxy.set_rules(faults.map(|fault| Rule::new(fault).now_and_then(15, seed)));
    // A job may fail; what it committed stays, and the next one goes on.
    for job in ["sync", "compact", "sync", "compact"] {
        lake.run(&[job]);
    }
    let strikes: u64 = proxy.strikes().iter().sum();
    assert!(strikes > 0, "no fault happened");
    proxy.set_rules([]);
    lake.sync_brings_everything();
}

#[test]
fn a_store_that_fails_now_and_then_loses_and_doubles_nothing() {
    let server = ObjectStoreServer::seaweedfs();
    all_at_once([1_u64, 2], |seed| {
        let proxy = FaultProxy::start(server.address());
        let lake = StoreLake::in_s3(&proxy.endpoint(&server.endpoint), ReadBy::Files);
        fail_now_and_then(seed, &proxy, lake);
    });
}

#[test]
#[ignore = "`make test-stores` fetches Azurite"]
fn a_store_that_fails_now_and_then_loses_and_doubles_nothing_in_azure() {
    let server = ObjectStoreServer::azurite();
    all_at_once([1_u64, 2, 3, 4], |seed| {
        let proxy = FaultProxy::start(server.address());
        let lake = StoreLake::in_azure(&proxy.endpoint(&server.endpoint), ReadBy::Files);
        fail_now_and_then(seed, &proxy, lake);
    });
}

#[test]
fn a_store_that_fails_now_and_then_loses_and_doubles_nothing_in_a_fake_of_gcs() {
    let server = FakeGcs::start();
    let proxy = FaultProxy::start(server.address);
    fail_now_and_then(1, &proxy, StoreLake::in_gcs(&server, proxy.address(), ReadBy::Files));
}

pub(crate) fn signal(child: &Child, signal: Signal) {
    let id = i32::try_from(child.id()).unwrap();
    kill_process(Pid::from_raw(id).unwrap(), signal).unwrap();
}

/// A writer that stands still loses its lease. The next one takes the number of the commit that the
/// first was about to make, so that it finds out when it comes back.
#[test]
fn a_writer_that_comes_back_after_its_lease_was_taken_over_cannot_commit() {
    let server = ObjectStoreServer::seaweedfs();
    let proxy = FaultProxy::start(server.address());
    let endpoint = proxy.endpoint(&server.endpoint);
    let mut lake = StoreLake::in_s3(&endpoint, ReadBy::Files);
    lake.succeeds(&["sync"]);
    lake.export.simulator.advance(chrono::Duration::hours(9));
    let before = lake.keys("_armature/manifests").len();
    // Its commit file is on its way when it stands still.
    proxy.set_rules([Rule::new(Fault::Delay(std::time::Duration::from_secs(3)))
        .of(Kind::Put)
        .at("_armature/staging/")
        .times(1)]);
    let first = lake.export.start(&["sync"]);
    while proxy.strikes()[0] == 0 {
        std::thread::yield_now();
    }
    signal(&first, Signal::STOP);
    lake.sync_brings_everything();
    let after = lake.keys("_armature/manifests").len();
    assert!(after >= before + 2, "an empty commit, and the sync's own");
    signal(&first, Signal::CONT);
    let ended = lake.export.wait(first);
    assert_eq!(ended.code, Some(6), "{}", ended.stderr);
    assert!(ended.stderr.contains("at the same time"), "{}", ended.stderr);
    lake.sync_brings_everything();
}

/// The same where its commit file is already on its way, and where its successor has nothing to
/// commit: only the empty commit keeps the old commit from coming after the takeover.
#[test]
fn a_commit_that_was_on_its_way_when_the_lease_was_taken_over_comes_too_late() {
    let server = ObjectStoreServer::seaweedfs();
    let proxy = FaultProxy::start(server.address());
    let mut lake = StoreLake::in_s3(&proxy.endpoint(&server.endpoint), ReadBy::Files);
    lake.succeeds(&["sync"]);
    // Nothing is left to merge.
    lake.succeeds(&["compact"]);
    lake.succeeds(&["compact"]);
    lake.export.simulator.advance(chrono::Duration::hours(9));
    let before = lake.keys("_armature/manifests");
    proxy.set_rules([Rule::new(Fault::Hold).of(Kind::Put).at("_armature/manifests/").times(1)]);
    let first = lake.export.start(&["sync"]);
    while proxy.strikes()[0] == 0 {
        std::thread::yield_now();
    }
    signal(&first, Signal::STOP);
    lake.succeeds(&["compact"]);
    proxy.set_rules([]);
    signal(&first, Signal::CONT);
    let ended = lake.export.wait(first);
    assert_eq!(ended.code, Some(6), "{}", ended.stderr);
    let mut after = lake.keys("_armature/manifests");
    after.retain(|commit| !before.contains(commit));
    let [taken] = after.as_slice() else { panic!("{after:?}") };
    let taken = ObjectPath::from(taken.as_str());
    let commit = block_on(async { lake.objects.get(&taken).await?.bytes().await }).unwrap();
    let commit: serde_json::Value = serde_json::from_slice(&commit).unwrap();
    let sync_id = commit["sync_id"].as_str().unwrap();
    assert!(sync_id.starts_with("takeover-"), "{sync_id}");
    lake.sync_brings_everything();
}

#[test]
fn of_two_writers_one_is_told_of_the_other() {
    let server = ObjectStoreServer::seaweedfs();
    let proxy = FaultProxy::start(server.address());
    let mut lake = StoreLake::in_s3(&proxy.endpoint(&server.endpoint), ReadBy::Files);
    lake.succeeds(&["sync"]);
    lake.export.simulator.advance(chrono::Duration::hours(9));
    let slow = Fault::Delay(std::time::Duration::from_secs(6));
    proxy.set_rules([Rule::new(slow).of(Kind::Put).at("_armature/staging/").times(1)]);
    let first = lake.export.start(&["sync"]);
    while proxy.strikes()[0] == 0 {
        std::thread::yield_now();
    }
    let second = lake.run(&["sync"]);
    assert_eq!(second.code, Some(6), "{}", second.stderr);
    assert!(second.stderr.contains("is being written by another process"), "{}", second.stderr);
    let first = lake.export.wait(first);
    assert_eq!(first.code, Some(0), "{}", first.stderr);
    lake.assert_equals_the_world();
}

#[test]
#[ignore = "`make test-stores` fetches s3rver"]
fn a_store_that_ignores_conditions_is_refused() {
    let server = ObjectStoreServer::s3rver();
    let lake = StoreLake::in_s3_of(server, &server.endpoint, ReadBy::Files);
    for command in ["sync", "doctor"] {
        let ran = lake.run(&[command]);
        assert_eq!(ran.code, Some(2), "{command}: {}", ran.stderr);
        let told = ran.stderr + &ran.stdout;
        assert!(told.contains("does not keep the condition"), "{told}");
    }
    assert_eq!(lake.keys(""), [""; 0]);
}

/// Data files are checked several at once, and what is found is in their order.
#[test]
fn damage_in_a_store_is_named_in_the_order_of_the_files() {
    let server = ObjectStoreServer::seaweedfs();
    let lake = StoreLake::in_s3(&server.endpoint, ReadBy::Files);
    lake.succeeds(&["sync"]);
    let files = lake.keys("spans");
    let mut damaged: Vec<String> = files.into_iter().step_by(2).collect();
    damaged.sort();
    assert!(damaged.len() > 2, "{damaged:?}");
    for (place, file) in damaged.iter().enumerate() {
        let key = ObjectPath::from(file.as_str());
        if place % 2 == 0 {
            block_on(lake.objects.delete(&key)).unwrap();
        } else {
            let content = block_on(async { lake.objects.get(&key).await?.bytes().await }).unwrap();
            let mut content = content.to_vec();
            *content.last_mut().unwrap() ^= 1;
            block_on(lake.objects.put(&key, content.into())).unwrap();
        }
    }
    let ran = lake.run(&["verify", "--output", "json"]);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    let report = ran.json();
    let text =
        |finding: &serde_json::Value, member: &str| finding[member].as_str().unwrap().to_owned();
    // Those of the files, before those of the rows that they held.
    let found = report["findings"].as_array().unwrap().iter();
    let found = found.filter(|finding| finding["path"].is_string());
    let found: Vec<(String, String)> =
        found.map(|finding| (text(finding, "path"), text(finding, "kind"))).collect();
    let kinds = ["part_missing", "part_damaged"].into_iter().cycle().map(str::to_owned);
    assert_eq!(found, damaged.into_iter().zip(kinds).collect::<Vec<_>>());
}

/// What is wrong is told before anything is written, and without the secret.
#[test]
fn a_store_that_cannot_be_used_is_told_in_words() {
    let server = ObjectStoreServer::seaweedfs();
    let told = |change: &dyn Fn(&StoreLake)| {
        let lake = StoreLake::in_s3(&server.endpoint, ReadBy::Files);
        change(&lake);
        let ran = lake.run(&["sync"]);
        assert!(!ran.stderr.contains("wr0ng-s3cret"), "{}", ran.stderr);
        assert_eq!(lake.keys(""), [""; 0]);
        let told = ran.told().replace(&lake.address, "[lake]");
        told.replace(&server.endpoint, "[endpoint]")
    };
    let configure = |lake: &StoreLake, store: &str| {
        let path = &lake.address;
        lake.export.configure(&format!("[lake]\npath = \"{path}\"\n[store]\n{store}"));
    };
    let endpoint = format!("endpoint = \"{}\"\n", server.endpoint);
    let with_key =
        format!("{endpoint}access_key_id = \"{}\"\nsecret_key_file = \"key\"\n", server.key_id);
    insta::assert_snapshot!(
        [
            told(&|lake| std::fs::write(lake.export.path("key"), "wr0ng-s3cret").unwrap()),
            told(&|lake| std::fs::write(lake.export.path("key"), " \n").unwrap()),
            told(&|lake| std::fs::remove_file(lake.export.path("key")).unwrap()),
            told(&|lake| configure(lake, &with_key.replace(server.key_id, "nobody"))),
            told(&|lake| {
                lake.export.configure(&format!(
                    "[lake]\npath = \"s3://no-such-bucket/x\"\n[store]\n{with_key}"
                ));
            }),
        ]
        .join("\n\n")
    );
}

/// An object in the place of the lake that is no lake, and a lake of another organization.
#[test]
fn what_is_there_already_is_not_touched() {
    let server = ObjectStoreServer::seaweedfs();
    let lake = StoreLake::in_s3(&server.endpoint, ReadBy::Files);
    block_on(lake.objects.put(&ObjectPath::from("notes.txt"), "mine".into())).unwrap();
    let ran = lake.run(&["sync"]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(ran.stderr.contains("is not empty and is not a lake"), "{}", ran.stderr);
    assert_eq!(lake.keys(""), ["notes.txt"]);
}

/// What the store refuses is said with the action and the address; what was committed before stays,
/// and with the rights back the next sync brings everything.
#[test]
fn rights_that_the_store_does_not_give_are_told_in_words() {
    let server = ObjectStoreServer::seaweedfs();
    let denied = Fault::Refuse(403, "AccessDenied");
    let skewed = Fault::Refuse(403, "RequestTimeTooSkewed");
    let told = |rule: Rule, jobs: &[&str]| {
        let proxy = FaultProxy::start(server.address());
        let endpoint = proxy.endpoint(&server.endpoint);
        let mut lake = StoreLake::in_s3(&endpoint, ReadBy::Files);
        for job in &jobs[..jobs.len() - 1] {
            lake.succeeds(&[job]);
        }
        proxy.set_rules([rule]);
        lake.export.simulator.advance(chrono::Duration::hours(7));
        let ran = lake.run(&[jobs[jobs.len() - 1]]);
        assert!(proxy.strikes()[0] > 0, "the fault did not happen");
        let told = ran.told().replace(&lake.address, "[lake]").replace(&endpoint, "[endpoint]");
        proxy.set_rules([]);
        lake.sync_brings_everything();
        told
    };
    let cases: [(Rule, &[&str]); 7] = [
        (Rule::new(denied).of(Kind::List), &["sync"]),
        (Rule::new(denied).of(Kind::Put), &["sync"]),
        (Rule::new(denied).of(Kind::Put).at("/spans/"), &["sync", "sync"]),
        (Rule::new(denied).of(Kind::Copy), &["sync"]),
        (Rule::new(denied).of(Kind::Delete).after(2), &["sync", "compact"]),
        (Rule::new(Fault::EXPIRED).of(Kind::Put).at("manifests/00000002"), &["sync"]),
        (Rule::new(skewed), &["sync"]),
    ];
    let answers = Mutex::new(BTreeMap::new());
    all_at_once(cases.into_iter().enumerate(), |(case, (rule, jobs))| {
        let answer = told(rule, jobs);
        answers.lock().unwrap().insert(case, answer);
    });
    let answers: Vec<String> = answers.into_inner().unwrap().into_values().collect();
    insta::assert_snapshot!(answers.join("\n\n"));
}

#[test]
fn a_lake_of_another_organization_is_not_touched() {
    let server = ObjectStoreServer::seaweedfs();
    let mut lake = StoreLake::in_s3(&server.endpoint, ReadBy::Files);
    lake.succeeds(&["sync"]);
    let before = lake.keys("");
    let world = WorldSettings { organization_id: "another".to_owned(), ..ended_runs(5).world };
    let other = start_simulator(SimulatorSettings { world, ..SimulatorSettings::default() });
    let mine = std::mem::replace(&mut lake.export.simulator, Arc::new(other));
    let ran = lake.run(&["sync"]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(ran.stderr.contains("holds another export"), "{}", ran.stderr);
    let is_data = |key: &&String| !key.ends_with("lease.json");
    assert!(lake.keys("").iter().filter(is_data).eq(before.iter().filter(is_data)));
    lake.export.simulator = mine;
    lake.sync_brings_everything();
}
