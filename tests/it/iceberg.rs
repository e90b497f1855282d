//! Iceberg tables over the lake's files: a reader of Iceberg that is not ours finds the rows of the
//! lake after whatever happens to it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use armature_export::config::{Filters, IcebergCatalog, IcebergSettings};
use armature_export::lake::{
    CommitBuilder, FileStatistics, Lake, LakeStore, LakeView, NewDataFile, WrittenFile,
};
use armature_export::simulator::WorldSettings;
use armature_export::tables::{ALL, ColumnOverride, Kind, Mapping, RUNS, WriteDisposition};
use armature_export::targets::iceberg::{IcebergOptions, IcebergTarget};
use armature_export::targets::{DeliverError, Delivery, DeliveryReport, Target};
use armature_export::time::Timestamp;
use chrono::Duration;
use serde_json::{Value, json};

use crate::compact::{at, compacted, options, small_commits};
use crate::offline::replay::replayed;
use crate::support::rows::count_in_memory;
use crate::support::{TestExport, files, temporary_folder, write_files};

/// Reads each table with PyIceberg, and writes its rows to a Parquet file of its own. The versions are
/// those in a local folder; the metadata is read at an address.
const READ: &str = "
import json, pathlib, sys
import pyarrow.parquet
from pyiceberg.table import StaticTable
lake, out = map(pathlib.Path, sys.argv[1:3])
address, properties, keys = sys.argv[3], json.loads(sys.argv[4]), int(sys.argv[5])
for folder in sorted((lake / '_iceberg').iterdir()):
    if folder.is_dir():
        version = (folder / 'metadata/version-hint.text').read_text()
        metadata = f'{address}/_iceberg/{folder.name}/metadata/v{version}.metadata.json'
        table = StaticTable.from_metadata(metadata, properties)
        rows = table.scan().to_arrow()
        # What engines compute from the statistics, too.
        days = {day for day in rows['run_date'].to_pylist()} if 'run_date' in rows.column_names else {}
        for day in days:
            part = table.scan(row_filter=f\"run_date = '{day}'\").to_arrow().num_rows
            assert part == rows['run_date'].to_pylist().count(day), (folder, day, part)
        for key in rows.column(0).to_pylist()[:keys]:
            found = table.scan(row_filter=f\"{rows.column_names[0]} = '{key}'\").to_arrow().num_rows
            assert found == rows.column(0).to_pylist().count(key), (folder, key, found)
        pyarrow.parquet.write_table(rows, out / f'{folder.name}.parquet')
";

pub(crate) fn python() -> Option<PathBuf> {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join(".readers/bin/python");
    if python.exists() {
        return Some(python);
    }
    crate::support::skip::may_skip("`.readers` is missing, which `make test` fetches");
    None
}

/// Where PyIceberg reads tables, and with which properties.
pub(crate) struct Place<'p> {
    pub(crate) address: &'p str,
    pub(crate) properties: Value,
    /// So many rows of each table are also looked up one by one.
    pub(crate) keys: u32,
}

/// Compares the rows of every table as PyIceberg reads them with those of the lake's files. Returns
/// the number of rows.
fn assert_same_rows(export: &TestExport, python: &Path, when: &str) -> i64 {
    let place = Place { address: export.lake.to_str().unwrap(), properties: json!({}), keys: 4 };
    assert_same_rows_at(&place, &export.lake, python, when)
}

/// The same for a lake at another place, of which `lake` is a copy.
pub(crate) fn assert_same_rows_at(
    place: &Place<'_>,
    lake: &Path,
    python: &Path,
    when: &str,
) -> i64 {
    let out = temporary_folder();
    let ran = Command::new(python)
        .args(["-c", READ])
        .args([lake, out.path()])
        .args([place.address, &place.properties.to_string(), &place.keys.to_string()])
        .output()
        .unwrap();
    assert!(ran.status.success(), "{when}: {}", String::from_utf8_lossy(&ran.stderr));
    assert_rows_of_lake(lake, out.path(), when)
}

/// Compares rows that were read, in one Parquet file per table, with those of the lake's files.
/// Returns the number of rows.
pub(crate) fn assert_rows_of_lake(lake: &Path, read: &Path, when: &str) -> i64 {
    let mut compared = 0;
    for table in ALL.iter().filter(|table| table.write != WriteDisposition::CommitLog) {
        let (folder, read) = (lake.join(table.name), read.join(table.name));
        let read = format!("{}.parquet", read.display());
        assert_eq!(folder.exists(), Path::new(&read).exists(), "{when}: {}", table.name);
        if !folder.exists() {
            continue;
        }
        let own = format!(
            "read_parquet('{}/**/*.parquet', union_by_name = true, hive_partitioning = false)",
            folder.display()
        );
        let read = format!("read_parquet('{read}')");
        let rows = |relation: &str| count_in_memory(&format!("SELECT count(*) FROM {relation}"));
        assert_eq!(rows(&read), rows(&own), "{when}: {}", table.name);
        // By name, as the order of columns can differ.
        for (one, other) in [(&own, &read), (&read, &own)] {
            let sql = format!(
                "SELECT count(*) FROM (SELECT COLUMNS(c -> true) FROM (FROM {one} EXCEPT ALL \
                 SELECT {} FROM {other}))",
                columns(one)
            );
            assert_eq!(count_in_memory(&sql), 0, "{when}: {} differs", table.name);
        }
        compared += rows(&read);
    }
    compared
}

/// The columns of a relation, quoted.
fn columns(relation: &str) -> String {
    let connection = duckdb::Connection::open_in_memory().unwrap();
    let mut statement = connection.prepare(&format!("DESCRIBE FROM {relation}")).unwrap();
    let names = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
    names.map(|name| format!("\"{}\"", name.unwrap())).collect::<Vec<_>>().join(", ")
}

pub(crate) fn settings() -> IcebergSettings {
    IcebergSettings { catalog: Some(IcebergCatalog::Files), ..IcebergSettings::default() }
}

fn target(lake: &Path) -> IcebergTarget {
    IcebergTarget::new(LakeStore::local(lake), IcebergOptions::new(&settings()))
}

async fn delivered(lake: &Path, anew: bool) -> Result<Delivery, DeliverError> {
    let (view, mapping) = (LakeView::open(lake).await.unwrap(), Mapping::new(&[], &[]).unwrap());
    let target = target(lake);
    if anew { target.rebuild(&view, &mapping).await } else { target.deliver(&view, &mapping).await }
}

fn version(lake: &Path, table: &str) -> u64 {
    let hint = lake.join("_iceberg").join(table).join("metadata/version-hint.text");
    fs::read_to_string(hint).unwrap().parse().unwrap()
}

fn metadata_path(lake: &Path, table: &str, version: u64) -> PathBuf {
    lake.join("_iceberg").join(table).join(format!("metadata/v{version}.metadata.json"))
}

pub(crate) fn metadata(lake: &Path, table: &str) -> Value {
    let path = metadata_path(lake, table, version(lake, table));
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// Changes the newest metadata of a table in its place.
pub(crate) fn edit_metadata(lake: &Path, table: &str, edit: impl Fn(&mut Value)) {
    let mut newest = metadata(lake, table);
    edit(&mut newest);
    let path = metadata_path(lake, table, version(lake, table));
    fs::write(path, serde_json::to_vec(&newest).unwrap()).unwrap();
}

fn summary(lake: &Path, table: &str) -> Value {
    metadata(lake, table)["snapshots"].as_array().unwrap().last().unwrap()["summary"].clone()
}

pub(crate) fn operations(lake: &Path, table: &str) -> Vec<String> {
    let metadata = metadata(lake, table);
    let snapshots = metadata["snapshots"].as_array().unwrap().iter();
    snapshots.map(|it| it["summary"]["operation"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_of_iceberg_finds_the_rows_of_the_lake_after_every_change() {
    let Some(python) = python() else { return };
    let mut export = small_commits(60);
    export.settings.iceberg = settings();
    let report = export.sync().await;
    assert!(report.commits > 5, "{}", report.commits);
    assert!(assert_same_rows(&export, &python, "after a sync") > 500);
    assert_eq!(operations(&export.lake, "runs"), ["append"]);
    // Runs that changed, and evaluations that came late.
    export.simulator.advance(Duration::hours(6));
    assert!(export.sync().await.runs.changed > 0);
    assert_same_rows(&export, &python, "after a later sync");
    assert_eq!(operations(&export.lake, "runs"), ["append", "append"]);
    // A column that a user adds.
    export.settings.columns.push(ColumnOverride {
        table: "runs".to_owned(),
        name: "team".to_owned(),
        kind: Some(Kind::Text),
        sources: vec!["metadata.team".to_owned()],
        ..ColumnOverride::default()
    });
    export.simulator.advance(Duration::hours(6));
    export.sync().await;
    assert_same_rows(&export, &python, "after a column was added");
    let after = metadata(&export.lake, "runs");
    let fields = after["schemas"].as_array().unwrap().last().unwrap()["fields"].clone();
    assert_eq!(fields.as_array().unwrap().last().unwrap()["id"], 1001);
    assert_eq!(after["current-schema-id"], 1);
    // Everything again, at a higher revision.
    replayed(&export).await;
    assert_same_rows(&export, &python, "after a replay");
    assert_eq!(operations(&export.lake, "runs").last().unwrap(), "overwrite");
    let closed = at(options(&export), (export.simulator.now() + Duration::days(3)).into());
    assert!(compacted(&closed).await.commits > 1);
    assert_same_rows(&export, &python, "after a compaction");
    assert_eq!(operations(&export.lake, "runs").last().unwrap(), "replace");
    // All of it in one late delivery, and anew.
    delivered(&export.lake, true).await.unwrap();
    assert_same_rows(&export, &python, "after a rebuild");
    assert_eq!(operations(&export.lake, "runs"), ["append"]);
    fs::remove_dir_all(export.lake.join("_iceberg")).unwrap();
    delivered(&export.lake, false).await.unwrap();
    assert_same_rows(&export, &python, "after all metadata was lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_replaced_as_a_whole_has_the_rows_of_its_last_file() {
    // Runs begin every 90 seconds: some are always open.
    let world = WorldSettings { runs: 20, seconds_between_runs: 90.0, ..WorldSettings::default() };
    let mut export = TestExport::of_world(world);
    export.settings.iceberg = settings();
    for _ in 0..3 {
        export.simulator.advance(Duration::minutes(20));
        export.sync().await;
    }
    assert_eq!(operations(&export.lake, "open_runs"), ["append", "overwrite", "overwrite"]);
    let glob = format!("read_parquet('{}/open_runs/*.parquet')", export.lake.display());
    let rows = count_in_memory(&format!("SELECT count(run_id) FROM {glob}"));
    assert!(rows > 0);
    let found = summary(&export.lake, "open_runs");
    assert_eq!(
        (&found["total-data-files"], &found["total-records"]),
        (&json!("1"), &json!(rows.to_string()))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_is_repeated_or_was_interrupted_adds_no_row_twice() {
    let mut export = TestExport::of_growing_world(12);
    export.settings.iceberg = settings();
    let report = export.sync().await;
    let [_, DeliveryReport::Done(first)] = report.deliveries.as_slice() else {
        panic!("{:?}", report.deliveries)
    };
    assert_eq!((first.target, first.state), ("iceberg", "applied"));
    assert_eq!(first.rows["runs"], 12);
    let folder = export.lake.join("_iceberg");
    let before = files(&folder);
    let again = delivered(&export.lake, false).await.unwrap();
    assert_eq!((again.state, again.commit), ("current", first.commit));
    assert!(files(&folder) == before, "something was written");
    // As after a crash between the tables and the record of the delivery, and before the hint.
    fs::remove_file(folder.join("delivered.json")).unwrap();
    fs::write(folder.join("runs/metadata/version-hint.text"), "0").unwrap();
    let again = delivered(&export.lake, false).await.unwrap();
    assert!(again.rows.is_empty(), "{again:?}");
    assert!(files(&folder) == before, "something else was written");
    // Some tables were lost.
    fs::remove_dir_all(folder.join("spans")).unwrap();
    let again = delivered(&export.lake, false).await.unwrap();
    assert_eq!(again.rows.keys().collect::<Vec<_>>(), ["spans"]);
    assert_eq!(again.rows["spans"], first.rows["spans"]);
    assert_eq!(target(&export.lake).applied().await.unwrap(), Some(first.commit));
}

/// A lake in which each call commits one data file of one row.
pub(crate) struct SmallLake {
    folder: tempfile::TempDir,
    commits: u32,
}

impl SmallLake {
    pub(crate) fn new() -> Self {
        Self { folder: temporary_folder(), commits: 0 }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("lake")
    }

    /// Commits a file. Returns its path.
    pub(crate) async fn commit(&mut self, removed: &[&str], is_merge: bool) -> String {
        const QUARTER: std::time::Duration = std::time::Duration::from_mins(15);
        let mut lake = Lake::open(&self.path()).await.unwrap();
        lake.bind(None, &Filters::default()).await.unwrap();
        let started = Timestamp::from_micros(1_700_000_000_000_000) + self.commits * QUARTER;
        self.commits += 1;
        let written = WrittenFile { to: vec![0], rows: 1, statistics: FileStatistics::default() };
        let mut staging = lake.stage();
        let file = NewDataFile {
            table: &RUNS,
            written,
            started: Some((started, started)),
            has_revisions: false,
            replaces: None,
        };
        staging.add(vec![file]).await.unwrap();
        let draft = CommitBuilder {
            created_at: started,
            removed: removed.iter().map(|path| (*path).to_owned()).collect(),
            is_merge,
            ..CommitBuilder::default()
        };
        lake.commit(staging, draft).await.unwrap().parts[0].path.clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_stays_small_over_many_commits() {
    let mut lake = SmallLake::new();
    for _ in 0..400 {
        lake.commit(&[], false).await;
        delivered(&lake.path(), false).await.unwrap();
    }
    let files = files(&lake.path().join("_iceberg"));
    let bytes: usize = files.values().map(Vec::len).sum();
    println!("{} files, {bytes} bytes", files.len());
    let summary = summary(&lake.path(), "runs");
    assert_eq!(
        (&summary["total-data-files"], &summary["total-records"]),
        (&json!("400"), &json!("400"))
    );
    // A snapshot for each quarter of an hour of three days, in each of the last versions.
    let snapshots = metadata(&lake.path(), "runs")["snapshots"].as_array().unwrap().len();
    assert_eq!(snapshots, 3 * 96 + 1);
    let versions = files.keys().filter(|path| path.to_string_lossy().ends_with(".json"));
    assert_eq!(versions.count(), 22);
    let manifests = files.keys().filter(|path| path.to_string_lossy().contains("-m-")).count();
    assert!(manifests <= snapshots + 60, "{manifests}");
    assert!(bytes < 12_000_000, "{bytes}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_added_and_merged_before_a_delivery_is_never_named() {
    let mut lake = SmallLake::new();
    let one = lake.commit(&[], false).await;
    delivered(&lake.path(), false).await.unwrap();
    let two = lake.commit(&[], false).await;
    lake.commit(&[&one, &two], true).await;
    let late = delivered(&lake.path(), false).await.unwrap();
    assert_eq!(late.commits, 2);
    let found = summary(&lake.path(), "runs");
    // The merged file has rows that are new in the table.
    assert_eq!(found["operation"], "overwrite");
    assert_eq!(
        (&found["added-data-files"], &found["deleted-data-files"]),
        (&json!("1"), &json!("1"))
    );
    assert_eq!(found["total-data-files"], "1");
}

#[expect(clippy::disallowed_methods, reason = "as a person moves a lake")]
fn move_folder(from: &Path, to: &Path) {
    fs::rename(from, to).unwrap();
}

/// Adds a snapshot of another program, which has the manifests of an earlier one.
pub(crate) fn add_foreign_snapshot(lake: &Path, manifests_of: usize) {
    let (version, mut table) = (version(lake, "runs"), metadata(lake, "runs"));
    let snapshots = table["snapshots"].as_array().unwrap();
    let mut snapshot = snapshots[manifests_of].clone();
    snapshot["snapshot-id"] = 77.into();
    snapshot["parent-snapshot-id"] = table["current-snapshot-id"].clone();
    snapshot["sequence-number"] = (table["last-sequence-number"].as_i64().unwrap() + 1).into();
    snapshot["timestamp-ms"] = (table["last-updated-ms"].as_i64().unwrap() + 1).into();
    snapshot["summary"] = json!({"operation": "overwrite"});
    table["last-sequence-number"] = snapshot["sequence-number"].clone();
    table["last-updated-ms"] = snapshot["timestamp-ms"].clone();
    table["current-snapshot-id"] = 77.into();
    table["refs"]["main"]["snapshot-id"] = 77.into();
    table["snapshots"].as_array_mut().unwrap().push(snapshot);
    let path = metadata_path(lake, "runs", version + 1);
    fs::write(path, serde_json::to_vec(&table).unwrap()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn appends_follow_a_snapshot_of_another_program_and_what_cannot_is_refused() {
    let mut lake = SmallLake::new();
    lake.commit(&[], false).await;
    delivered(&lake.path(), false).await.unwrap();
    let two = lake.commit(&[], false).await;
    delivered(&lake.path(), false).await.unwrap();
    // It no longer has the second file.
    add_foreign_snapshot(&lake.path(), 0);
    lake.commit(&[], false).await;
    delivered(&lake.path(), false).await.unwrap();
    let table = metadata(&lake.path(), "runs");
    assert_eq!(table["snapshots"].as_array().unwrap().last().unwrap()["parent-snapshot-id"], 77);
    assert_eq!(summary(&lake.path(), "runs")["total-data-files"], "2");
    lake.commit(&[&two], true).await;
    let before = files(&lake.path().join("_iceberg"));
    let error = delivered(&lake.path(), false).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("another program changed the table"), "{text}");
    let is_metadata = |path: &PathBuf| path.extension().is_some_and(|it| it == "json");
    let after = files(&lake.path().join("_iceberg"));
    assert!(
        before
            .iter()
            .filter(|it| is_metadata(it.0))
            .eq(after.iter().filter(|it| is_metadata(it.0)))
    );
    let failure = armature_export::failure::Failure::from(error);
    assert!(failure.hint.unwrap().contains("deliver --rebuild"));
    delivered(&lake.path(), true).await.unwrap();
    assert_eq!(summary(&lake.path(), "runs")["total-data-files"], "3");
    // A table that was rolled back lacks rows that it had.
    lake.commit(&[], false).await;
    delivered(&lake.path(), false).await.unwrap();
    let (version, mut table) = (version(&lake.path(), "runs"), metadata(&lake.path(), "runs"));
    let parent = table["snapshots"][0]["snapshot-id"].clone();
    table["refs"]["main"]["snapshot-id"] = parent.clone();
    table["current-snapshot-id"] = parent;
    let path = metadata_path(&lake.path(), "runs", version + 1);
    fs::write(path, serde_json::to_vec(&table).unwrap()).unwrap();
    let error = delivered(&lake.path(), false).await.unwrap_err().to_string();
    assert!(error.contains("rolled back"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_of_another_lake_or_of_a_later_state_are_refused() {
    let mut lake = SmallLake::new();
    lake.commit(&[], false).await;
    let backup = files(&lake.path());
    lake.commit(&[], false).await;
    delivered(&lake.path(), false).await.unwrap();
    let tables = files(&lake.path().join("_iceberg"));
    // The lake as it was before the second commit.
    fs::remove_dir_all(lake.path()).unwrap();
    write_files(&backup);
    write_files(&tables);
    let error = delivered(&lake.path(), false).await.unwrap_err().to_string();
    assert!(error.contains("has commit 2, and the lake ends at commit 1"), "{error}");
    // The lake as a copy elsewhere: its tables refer to the files of the first one.
    let copy = lake.folder.path().join("copy");
    move_folder(&lake.path(), &copy);
    let mut other = Vec::new();
    for anew in [false, true, false] {
        fs::remove_file(copy.join("_iceberg/delivered.json")).ok();
        other.push(delivered(&copy, anew).await);
    }
    let error = other[0].as_ref().unwrap_err().to_string();
    assert!(error.contains("is registered at another place"), "{error}");
    assert!(other[1].is_ok() && other[2].is_ok(), "{other:?}");
    move_folder(&copy, &lake.path());
    // Another lake in the same place.
    fs::remove_dir_all(lake.path()).unwrap();
    lake.commit(&[], false).await;
    lake.commit(&[], false).await;
    write_files(&tables);
    let error = delivered(&lake.path(), false).await.unwrap_err().to_string();
    assert!(error.contains("belong to another lake"), "{error}");
    fs::remove_file(lake.path().join("_iceberg/delivered.json")).unwrap();
    let error = delivered(&lake.path(), false).await.unwrap_err().to_string();
    assert!(error.contains("belongs to another lake"), "{error}");
    delivered(&lake.path(), true).await.unwrap();
    assert_eq!(summary(&lake.path(), "runs")["total-data-files"], "2");
}
