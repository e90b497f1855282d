//! A ledger of which most is in shards: a sync reads the ones that it needs, and takes no known run for
//! a new one, whatever has changed since.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use armature_export::lake::{CommitBuilder, Lake, LakeView};
use armature_export::ledger::{Entries, LedgerChange, RunTotals};
use armature_export::time::Timestamp;
use chrono::Duration as ChronoDuration;

use crate::support::known_runs::{MANY, known_run};
use crate::support::{TestExport, block_on, temporary_folder};

fn shards(lake: &Path) -> BTreeSet<PathBuf> {
    let files = fs::read_dir(lake.join("_armature/ledger/shards"));
    files.map(|files| files.map(|file| file.unwrap().path()).collect()).unwrap_or_default()
}

async fn ledger(lake: &Path) -> Entries {
    let (ledger, _) = LakeView::open(lake).await.unwrap().ledger().await.unwrap();
    ledger.to_entries().unwrap()
}

async fn ledger_of_all_commits(lake: &Path) -> Entries {
    let view = LakeView::open(lake).await.unwrap();
    let mut entries = Entries::default();
    for commit in view.commits().unwrap() {
        entries.apply(view.commit_file(commit).await.unwrap().ledger_changes);
    }
    entries
}

fn number_of_exported(export: &TestExport) -> i64 {
    export.status()["runs"]["exported"].as_i64().unwrap()
}

#[test]
fn known_runs_in_shards_are_neither_missed_nor_exported_again() {
    let export = TestExport::of_growing_world(30);
    export.sync_brings_everything();
    export.add_known_runs(true);
    let before = shards(&export.lake);
    assert_eq!(before.len(), 4, "two shards, and their filters: {before:?}");
    let known = number_of_exported(&export);
    assert!(known > MANY);

    // Runs that began since, and others that ended since.
    export.simulator.advance(ChronoDuration::hours(5));
    export.sync_brings_everything();
    assert!(number_of_exported(&export) > known);
    let changed = "SELECT count(*) FROM runs WHERE _revision > 1";
    let revisions = export.ask(changed);
    for command in ["reconcile", "verify", "plan"] {
        let ran = export.run(&[command]);
        assert_eq!(ran.code, Some(0), "{command}: {}{}", ran.stdout, ran.stderr);
    }
    export.sync_brings_everything();
    assert_eq!(export.ask(changed), revisions);
    assert_eq!(shards(&export.lake), before, "no shard was to be written again");
    let entries = block_on(ledger(&export.lake));
    assert!(entries == block_on(ledger_of_all_commits(&export.lake)));

    // Every run at a higher revision: those of shards are written anew.
    assert_eq!(export.run(&["replay"]).code, Some(0));
    assert_eq!(export.run(&["verify"]).code, Some(0), "{}", export.run(&["verify"]).stdout);
    assert!(block_on(ledger(&export.lake)) == block_on(ledger_of_all_commits(&export.lake)));
    export.sync_brings_all_runs();
}

#[test]
fn a_run_is_found_whatever_its_start_was_when_it_was_put_into_a_shard() {
    let export = TestExport::of_ended_runs(9);
    export.sync_brings_everything();
    let now: Timestamp = export.simulator.now().into();
    let starts = [None, Some(now - Duration::from_hours(9 * 24)), Some(now)];
    let entries = block_on(ledger(&export.lake));
    let change = |(place, run_id): (usize, String)| -> LedgerChange {
        let entry = entries.get(&run_id).unwrap();
        (run_id, Some(armature_export::ledger::Entry { started_at: starts[place % 3], ..entry }))
    };
    let ids = export.expected_ids();
    export.change_ledger(ids.iter().cloned().enumerate().map(change).collect(), false);
    export.add_known_runs(true);
    assert_eq!(shards(&export.lake).len(), 4);
    let ran = export.run(&["reconcile", "--output", "json"]);
    assert_eq!(ran.json()["before"]["total"]["same"], ids.len(), "{}", ran.stdout);
    // All covered time is listed again.
    let commits = export.status()["commit"].as_i64().unwrap();
    export.simulator.advance(ChronoDuration::hours(3));
    assert_eq!(export.run(&["sync", "--range", "30d"]).code, Some(0));
    assert_eq!(export.status()["commit"], commits + 1);
    assert_eq!(export.ask("SELECT max(_revision), count(*) FROM runs"), [["1", "9"]]);
}

#[test]
fn a_damaged_shard_is_found_reported_and_made_again() {
    let export = TestExport::of_growing_world(12);
    export.sync_brings_everything();
    export.add_known_runs(true);
    let expected = block_on(ledger(&export.lake));
    for (damage, ending) in [
        ("flipped", "parquet"),
        ("missing", "parquet"),
        ("flipped", "filter"),
        ("missing", "filter"),
    ] {
        let what = format!("{ending} {damage}");
        // The youngest shard has the runs that the API lists.
        let newest = export.status()["commit"].as_u64().unwrap();
        let of_ending = shards(&export.lake).into_iter().filter(|path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            name.starts_with(&format!("{newest:08}-")) && name.ends_with(ending)
        });
        let damaged: Vec<PathBuf> = of_ending.collect();
        assert_eq!(damaged.len(), 2, "{what}");
        for path in &damaged {
            if damage == "flipped" {
                let mut content = fs::read(path).unwrap();
                let middle = content.len() / 2;
                content[middle] ^= 1;
                fs::write(path, content).unwrap();
            } else {
                fs::remove_file(path).unwrap();
            }
        }
        export.simulator.advance(ChronoDuration::hours(1));
        let before = export.lake_ids();
        // A reconciliation asks for known runs. New ones are looked for in the filters.
        let ran = export.run(&[if ending == "filter" { "sync" } else { "reconcile" }]);
        assert_eq!(ran.code, Some(6), "{what}: {}", ran.stderr);
        let problem = match damage {
            "flipped" => "its SHA-256 is not what the ledger's checkpoint states",
            _ => "it is missing",
        };
        assert!(ran.stderr.contains("_armature/ledger/shards/"), "{what}: {}", ran.stderr);
        assert!(ran.stderr.contains(problem), "{what}: {}", ran.stderr);
        assert!(ran.stderr.contains("--repair repairs"), "{what}: {}", ran.stderr);
        assert_eq!(export.lake_ids(), before, "{what}");
        let ran = export.run(&["verify"]);
        assert!(ran.stdout.contains("the ledger as of commit "), "{what}: {}", ran.stdout);
        assert!(ran.stdout.contains(problem), "{what}: {}", ran.stdout);
        // `status` needs no shard.
        assert!(number_of_exported(&export) > MANY, "{what}");
        let ran = export.run(&["verify", "--repair"]);
        assert_eq!(ran.code, Some(0), "{what}: {}{}", ran.stdout, ran.stderr);
        assert!(block_on(ledger(&export.lake)) == expected, "{what}");
    }
    export.sync_brings_everything();
}

#[test]
fn numbers_of_runs_that_are_not_those_of_the_ledger_are_found_and_corrected() {
    let export = TestExport::of_ended_runs(4);
    export.sync_brings_everything();
    let entries = block_on(ledger(&export.lake));
    let head = || block_on(LakeView::open(&export.lake)).unwrap().head().cloned().unwrap();
    let totals = RunTotals::of(entries.iter().map(|(_, entry)| entry));
    assert_eq!(head().ledger_totals, Some(totals));
    // As if this program had counted wrongly.
    let path = export.lake.join(format!("_armature/manifests/{:08}.json", head().commit));
    let text = fs::read_to_string(&path).unwrap();
    let (members, _) = text.rsplit_once(",\"sha256\":").unwrap();
    let members = members.replace("\"exported\":4", "\"exported\":5");
    let digest = armature_export::digest::sha256_hex(members.as_bytes());
    fs::write(&path, format!("{members},\"sha256\":\"{digest}\"}}")).unwrap();
    let ran = export.run(&["verify"]);
    let expected = format!("commit {} states other numbers of runs than", head().commit);
    assert!(ran.stdout.contains(&expected), "{}", ran.stdout);
    let ran = export.run(&["verify", "--repair"]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert_eq!(head().ledger_totals, Some(totals));
}

/// Commits 40,000 runs, all of which start at or after an hour, with a checkpoint, made at a day.
async fn commit(lake: &mut Lake, first: i64, day: i64) {
    let at = |hours: i64| Timestamp::from_micros(hours * 3_600_000_000);
    let change = |number: i64| (format!("run-{number}"), Some(known_run(at(number))));
    let draft = CommitBuilder {
        created_at: at(day * 24),
        ledger_changes: (first..first + 40_000).map(change).collect(),
        has_checkpoint: true,
        ..CommitBuilder::default()
    };
    let staging = lake.stage();
    lake.commit(staging, draft).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn replaced_shards_stay_for_a_day() {
    let folder = temporary_folder();
    let root = folder.path().join("lake");
    let mut lake = Lake::open(&root).await.unwrap();
    lake.bind(Some("organization"), &armature_export::config::Filters::default()).await.unwrap();
    let collect = async |lake: &Lake| {
        lake.remove_retired(Timestamp::EPOCH, Duration::from_hours(1)).await.unwrap();
        shards(&root).len()
    };
    // Two shards each, with their filters. Each time, one that is not full is written again.
    commit(&mut lake, 0, 10).await;
    assert_eq!(collect(&lake).await, 4);
    commit(&mut lake, 40_000, 10).await;
    assert_eq!(collect(&lake).await, 8, "three in use, and one that was replaced");
    // What a crash left of a checkpoint that no commit names, and what is not of this program.
    let shards_folder = root.join("_armature/ledger/shards");
    let leftover = shards_folder.join("00000002-00000000000000000000000000000000.parquet");
    fs::write(&leftover, "PAR1").unwrap();
    let later = shards_folder.join("00000999-00000000000000000000000000000000.parquet");
    fs::write(&later, "PAR1").unwrap();
    commit(&mut lake, 80_000, 11).await;
    commit(&mut lake, 120_000, 13).await;
    let view = LakeView::open(&root).await.unwrap();
    let in_use = view.ledger().await.unwrap().0.shards().len();
    assert_eq!(in_use, 5);
    // One was replaced at the last checkpoint; those replaced more than a day before it are gone.
    assert_eq!(collect(&lake).await, 2 * (in_use + 1) + 1);
    assert!(!leftover.exists() && later.exists());
    assert!(ledger(&root).await == ledger_of_all_commits(&root).await);
    let totals = view.run_totals().await.unwrap();
    assert_eq!((totals.exported, totals.partial), (160_000, 0));
    // A lake that is opened anew goes on from there.
    drop(lake);
    let lake = Lake::open(&root).await.unwrap();
    assert_eq!(lake.run_totals(), totals);
}
