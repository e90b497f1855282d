//! Checkpoints of the live files: a snapshot is read from the newest one and the commits after it, and
//! is the same as from all commits.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use armature_export::config::Filters;
use armature_export::lake::{
    CommitBuilder, CommitFile, FileStatistics, Lake, LakeView, NewDataFile, Snapshot, SyncRecord,
    WrittenFile,
};
use armature_export::tables::{RUNS, SPANS};
use armature_export::time::Timestamp;
use armature_export::verify::{repair, verify};
use serde_json::json;

use crate::offline::replay::replayed;
use crate::support::{TestExport, temporary_folder};

/// A lake of so many commits, each of which adds two files, replaces a table, and ends a sync; every
/// fifth takes the place of one file of the commit before.
async fn many_commits(root: &Path, commits: u64) {
    let mut lake = Lake::open(root).await.unwrap();
    lake.bind(Some("organization"), &Filters::default()).await.unwrap();
    let mut before: Option<CommitFile> = None;
    for commit in 1..=commits {
        let written = || WrittenFile {
            to: commit.to_string().into_bytes(),
            rows: 1,
            statistics: FileStatistics::default(),
        };
        let replaces =
            before.as_ref().filter(|_| commit % 5 == 0).map(|it| it.parts[0].path.clone());
        let file = |table, replaces| NewDataFile {
            table,
            written: written(),
            started: Some((Timestamp::from_micros(7), Timestamp::from_micros(8))),
            has_revisions: false,
            replaces,
        };
        let mut staging = lake.stage();
        staging.add(vec![file(&RUNS, replaces), file(&SPANS, None)]).await.unwrap();
        let old = lake.head().and_then(|head| head.replaced_path("workflows"));
        let table = &armature_export::tables::WORKFLOWS;
        staging.replace(table, written(), commit, old).await.unwrap();
        let draft = CommitBuilder { sync: Some(record(commit)), ..CommitBuilder::default() };
        before = Some(lake.commit(staging, draft).await.unwrap());
    }
}

fn record(commit: u64) -> SyncRecord {
    serde_json::from_value(json!({
        "sync_id": commit.to_string(), "outcome": "complete", "started_at": 7, "elapsed_ms": 1,
        "range": "24h", "certified": true, "proven_until": 7, "runs_listed": 1, "runs_new": 1,
        "runs_changed": 0, "runs_open": 0, "runs_failed": 0, "requests": 1, "bytes_received": 1,
    }))
    .unwrap()
}

async fn head(lake: &Path) -> CommitFile {
    LakeView::open(lake).await.unwrap().head().cloned().unwrap()
}

async fn from_all_commits(lake: &Path) -> Snapshot {
    let lake = LakeView::open(lake).await.unwrap();
    let mut snapshot = Snapshot::default();
    for commit in lake.commits().unwrap() {
        snapshot.apply(&lake.commit_file(commit).await.unwrap());
    }
    snapshot
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_reads_no_commit_before_its_checkpoint() {
    let folder = temporary_folder();
    let root = folder.path().join("lake");
    many_commits(&root, 203).await;
    let checkpoint = head(&root).await.files_checkpoint.unwrap();
    assert_eq!(checkpoint, 192);
    let expected = from_all_commits(&root).await;
    assert_eq!(expected.iter().count(), 203 * 2 - 203 / 5 + 1);
    // A commit that cannot be read would be an error.
    for commit in 1..=checkpoint {
        fs::write(root.join(format!("_armature/manifests/{commit:08}.json")), "{").unwrap();
    }
    let lake = LakeView::open(&root).await.unwrap();
    assert_eq!(lake.snapshot().await.unwrap(), expected);
    // The same for the records of syncs.
    let syncs = lake.last_syncs(10).await.unwrap();
    let ids: Vec<&str> = syncs.iter().map(|sync| sync.sync_id.as_str()).collect();
    assert_eq!(ids, ["194", "195", "196", "197", "198", "199", "200", "201", "202", "203"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_last_checkpoints_are_kept() {
    let folder = temporary_folder();
    let root = folder.path().join("lake");
    many_commits(&root, 260).await;
    Lake::open(&root)
        .await
        .unwrap()
        .remove_retired(Timestamp::EPOCH, Duration::ZERO)
        .await
        .unwrap();
    for name in ["files", "ledger"] {
        let names = fs::read_dir(root.join("_armature").join(name)).unwrap();
        let mut names: Vec<String> =
            names.map(|name| name.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        assert_eq!(names, ["00000128.parquet", "00000192.parquet", "00000256.parquet"], "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_list_of_files_is_found_replaced_and_never_used() {
    let export = TestExport::of_growing_world(12);
    export.sync().await;
    // A replay writes checkpoints whenever it is made.
    replayed(&export).await;
    let job = export.job(export.simulator.now().into());
    let expected = from_all_commits(&export.lake).await;
    let list = |head: &CommitFile| -> PathBuf {
        export.lake.join(format!("_armature/files/{:08}.parquet", head.files_checkpoint.unwrap()))
    };
    for damage in ["cut off", "missing", "of another time", "missing, after a crash"] {
        let list = list(&head(&export.lake).await);
        match damage {
            "cut off" => fs::write(&list, "PAR1").unwrap(),
            "missing" => fs::remove_file(&list).unwrap(),
            "missing, after a crash" => {
                fs::remove_file(&list).unwrap();
                // An earlier repair ended before its commit.
                let next = head(&export.lake).await.commit + 1;
                for folder in ["files", "ledger"] {
                    let orphan = format!("_armature/{folder}/{next:08}.parquet");
                    fs::write(export.lake.join(orphan), "PAR1").unwrap();
                }
            }
            _ => {
                let older = fs::read_dir(list.parent().unwrap()).unwrap();
                let mut older: Vec<PathBuf> = older.map(|entry| entry.unwrap().path()).collect();
                older.sort();
                fs::copy(&older[0], &list).unwrap();
            }
        }
        let lake = LakeView::open(&export.lake).await.unwrap();
        assert_eq!(lake.snapshot().await.unwrap(), expected, "{damage}");
        let report = verify(&job).await.unwrap();
        let found: Vec<String> = report.findings.iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), 1, "{damage}: {found:?}");
        assert!(found[0].starts_with("the list of files of commit "), "{found:?}");
        let repaired = repair(&job, false).await.unwrap();
        assert!(repaired.after.is_well(), "{damage}: {:?}", repaired.after.findings);
        let lake = LakeView::open(&export.lake).await.unwrap();
        assert_eq!(lake.snapshot().await.unwrap(), expected, "{damage}");
        // The repaired checkpoint is used.
        let head = lake.head().unwrap();
        assert_eq!(head.files_checkpoint, Some(head.commit), "{damage}");
        assert_eq!(lake.checkpointed_files(head).unwrap(), expected, "{damage}");
    }
}
