//! A crash at each point of the way, one after another.

use std::path::Path;

use armature_export::crash::POINTS;

use crate::small_commits::small_commits;
use crate::support::files;

const SYNC: &[&str] = &["sync"];
const REBUILD: &[&str] = &["deliver", "--rebuild"];
const REPLAY: &[&str] = &["replay"];
const COMPACT: &[&str] = &["compact"];
const REPORT: &[&str] = &["report"];

/// What brings a process to a point: crashes of earlier ones, and its command.
fn way(point: &str) -> (&'static [&'static str], &'static [&'static str]) {
    match point {
        "before_recovery" | "discarding" | "discarded" => (&["after_stage:2"], SYNC),
        "recovered" => (&["after_commit_file:2"], SYNC),
        "between_taking_a_place_and_the_name" => (&[], REPLAY),
        "between_merged_parts"
        | "before_exchange"
        | "after_exchange"
        | "between_exchanged_folders"
        | "before_retired_are_removed" => (&[], COMPACT),
        "half_of_the_report" => (&[], REPORT),
        "before_rebuilt_is_in_place" | "after_rebuilt_is_in_place" => (&[], REBUILD),
        _ => (&[], SYNC),
    }
}

/// Points that a sync passes again and again, at a later time.
const LATER: [&str; 10] = [
    "after_stage:3",
    "between_staged_parts:4",
    "after_seal:2",
    "before_commit_file:3",
    "after_commit_file:3",
    "between_moved_parts:2",
    "between_moved_parts:9",
    "before_runs_are_moved:2",
    "after_staging_is_removed:3",
    "after_rows_are_inserted:4",
];

/// Crashes upon crashes: also while an earlier one is being repaired.
const CHAINS: [&[&str]; 6] = [
    &["after_commit_file", "between_moved_parts:2", "between_moved_parts:2", "recovered"],
    &["after_commit_file:3", "before_runs_are_moved", "before_staging_is_removed"],
    &["before_commit_file:2", "before_recovery", "after_stage:2", "discarding", "discarded"],
    &["before_commit_file", "before_commit_file", "after_commit_file", "after_seal"],
    &["before_folders_are_synced:2", "before_folders_are_synced", "after_staging_is_removed:2"],
    &["after_tables_are_created", "before_commit", "after_commit", "after_checkpoint"],
];

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_every_point_is_mended_by_the_next_sync() {
    // A catalog is a service: `iceberg_rest` has the points around its commits.
    let points = POINTS.into_iter().filter(|point| !point.contains("rest_catalog"));
    crash_at_each(&points.collect::<Vec<_>>()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_a_point_that_was_passed_before_is_mended_by_the_next_sync() {
    crash_at_each(&LATER).await;
}

async fn crash_at_each(points: &[&str]) {
    let mut compared = 0;
    for point in points {
        let (before, command) = way(point);
        // Checkpoints are written after 64 commits: each run is one.
        let (runs, commit_bytes) = match *point {
            "after_ledger_shards" | "after_ledger_checkpoint" | "after_files_checkpoint" => (66, 1),
            _ => (16, 20_000),
        };
        let export = small_commits(runs, commit_bytes);
        for earlier in before {
            export.crash(SYNC, earlier);
        }
        if command != SYNC {
            export.sync_brings_everything();
        }
        if command == COMPACT {
            // All days are over at once, and nothing is kept.
            export.configure_more("[compact]\nclosed_after_secs = 0\ngrace_secs = 0\n");
        }
        let has_tables = point.contains("iceberg");
        if has_tables {
            export.configure_more("[iceberg]\ncatalog = \"files\"\n");
        }
        let has_copy = point.contains("copy_is_in_place");
        if has_copy {
            // The section `[duckdb]` is the last one.
            export.configure_more("publish = \"bi/armature.duckdb\"\n");
        }
        export.crash(command, point);
        export.assert_nothing_half_or_double(point).await;
        export.sync_brings_everything();
        export.assert_nothing_half_or_double(point).await;
        if has_copy {
            let copies = files(&export.path("bi"));
            let current = std::fs::read(&export.duckdb).unwrap();
            assert!(copies.into_values().eq([current]), "{point}");
        }
        if has_tables {
            assert_eq!(rows_of_iceberg(&export.lake, "spans"), spans(&export.lake), "{point}");
        }
        compared += export.compared();
    }
    println!("{} crashes repaired, {compared} rows compared", points.len());
}

/// The number of rows that the newest snapshot of an Iceberg table states.
fn rows_of_iceberg(lake: &Path, table: &str) -> i64 {
    let folder = lake.join("_iceberg").join(table).join("metadata");
    let version = std::fs::read_to_string(folder.join("version-hint.text")).unwrap();
    let metadata = std::fs::read(folder.join(format!("v{version}.metadata.json"))).unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&metadata).unwrap();
    let snapshot = metadata["snapshots"].as_array().unwrap().last().unwrap();
    snapshot["summary"]["total-records"].as_str().unwrap().parse().unwrap()
}

/// The number of rows of spans in the lake.
fn spans(lake: &Path) -> i64 {
    let connection = duckdb::Connection::open_in_memory().unwrap();
    let sql = format!("SELECT count(*) FROM read_parquet('{}/spans/**/*.parquet')", lake.display());
    connection.query_row(&sql, [], |row| row.get(0)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn crashes_upon_crashes_are_mended() {
    for chain in CHAINS {
        let export = small_commits(16, 20_000);
        for point in chain {
            export.crash(SYNC, point);
            export.assert_nothing_half_or_double(&format!("{point} of {chain:?}")).await;
        }
        export.sync_brings_everything();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_crash_left_is_gone_after_two_more_syncs() {
    let export = small_commits(16, 20_000);
    for point in ["after_stage", "after_seal", "before_commit_file:2", "after_commit_file"] {
        export.crash(SYNC, point);
    }
    export.sync_brings_everything();
    export.sync_brings_everything();
    let staging = export.lake.join("_armature/staging");
    assert_eq!(std::fs::read_dir(staging).unwrap().count(), 0);
}
