//! Files of the lake that are damaged or gone: one clear error that names the file, and nothing
//! is changed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use insta::assert_snapshot;

use crate::small_commits::{small_commits, without_commits};
use crate::support::TestExport;
use crate::support::seeded::Seeded;

/// Every file below a folder but the lock, which says who held it last.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if !path.ends_with("lock") {
            found.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    found
}

/// A lake of more than 64 commits, the ledger among them, and some commits after that.
fn lake() -> TestExport {
    let export = small_commits(66, 1);
    export.sync_brings_everything();
    for _ in 0..3 {
        export.simulator.advance(chrono::Duration::minutes(30));
        export.sync_brings_everything();
    }
    export
}

/// What a sync says of a damaged file. It must not have changed anything.
fn told(export: &TestExport, path: &Path, content: Option<&[u8]>) -> String {
    let whole = fs::read(path).unwrap();
    match content {
        Some(content) => fs::write(path, content).unwrap(),
        None => fs::remove_file(path).unwrap(),
    }
    let before = (files(&export.lake), fs::read(&export.duckdb).unwrap());
    let ended = export.run(&["sync"]);
    let after = (files(&export.lake), fs::read(&export.duckdb).unwrap());
    fs::write(path, whole).unwrap();
    assert_eq!(ended.code, Some(6), "{}: {}", path.display(), ended.told());
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    let (first, _) = ended.stderr.split_once("\nhint:").unwrap();
    assert!(first.contains(&name), "{name}: {first}");
    assert!(before == after, "{name}: the lake was changed");
    without_commits(&ended.told())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_damage_is_one_error_that_names_the_file() {
    let export = lake();
    let commit_files = export.lake.join("_armature/manifests");
    let newest = export.commit_files().await;
    let newest = newest.last().unwrap();
    let commit_file = |commit: u64| commit_files.join(format!("{commit:08}.json"));
    let (head, before) = (commit_file(newest.commit), commit_file(newest.commit - 1));
    let whole = fs::read(&head).unwrap();
    assert_snapshot!("cut_off", told(&export, &head, Some(&whole[..30])));
    assert_snapshot!("empty", told(&export, &head, Some(b"")));
    assert_snapshot!("other_number", told(&export, &head, Some(&fs::read(&before).unwrap())));
    let digit = whole.iter().rposition(|byte| *byte == b'3').unwrap();
    let flipped = |at: usize| {
        let mut content = whole.clone();
        content[at] ^= 1;
        content
    };
    assert_snapshot!("flipped", told(&export, &head, Some(&flipped(digit))));
    // Written again by a program that reads JSON: another layout, and so no digest at the end.
    let mut value: serde_json::Value = serde_json::from_slice(&whole).unwrap();
    value["proven"][0]["from"] = 0.into();
    let pretty = serde_json::to_vec_pretty(&value).unwrap();
    let again = told(&export, &head, Some(&pretty));
    assert!(again.contains("it was changed after it was written: its `sha256` differs"), "{again}");
    value.as_object_mut().unwrap().remove("sha256");
    let again = told(&export, &head, Some(&serde_json::to_vec(&value).unwrap()));
    assert!(again.contains("it is not what was written: its `sha256` is missing"), "{again}");
    let identity = export.lake.join("_armature/format.json");
    let text = fs::read_to_string(&identity).unwrap();
    let again = told(
        &export,
        &identity,
        Some(text.replace("\"status\": null", "\"status\": \"pass\"").as_bytes()),
    );
    assert!(again.contains("its SHA-256 is not what the newest commit states"), "{again}");
    let again = told(&export, &identity, None);
    assert!(again.contains("format.json` is damaged: it is missing"), "{again}");
    assert_snapshot!("missing", told(&export, &before, None));
    let ledger = newest.ledger_checkpoint.unwrap();
    let ledger = export.lake.join(format!("_armature/ledger/{ledger:08}.parquet"));
    let mut content = fs::read(&ledger).unwrap();
    let middle = content.len() / 2;
    content[middle] ^= 1;
    assert_snapshot!("ledger_flipped", told(&export, &ledger, Some(&content)));
    assert_snapshot!("ledger_missing", told(&export, &ledger, None));
    let mut seeded = Seeded::new(11);
    for _ in 0..10 {
        let members = u64::try_from(whole.len() - 77).unwrap();
        let at = usize::try_from(seeded.below(members)).unwrap();
        told(&export, &head, Some(&flipped(at)));
    }
    export.sync_brings_everything();
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_that_are_gone_or_not_of_this_lake_are_named() {
    let export = small_commits(12, 20_000);
    export.sync_brings_everything();
    let parts = export.parts();
    let runs = parts.iter().find(|part| part.starts_with(export.lake.join("runs"))).unwrap();
    assert_snapshot!("part_missing", told(&export, runs, None));
    let cut_off = told(&export, runs, Some(b"PAR1"));
    assert!(cut_off.contains("is damaged: it has 4 of the "), "{cut_off}");
    let small = parts.iter().find(|part| part.starts_with(export.lake.join("workflows")));
    let small = small.unwrap();
    assert_snapshot!("small_table_of_another_time", told(&export, small, Some(b"PAR1")));
    let name = runs.file_name().unwrap().to_string_lossy().replacen("0000000", "0000009", 1);
    let stray = runs.with_file_name(name);
    fs::copy(runs, &stray).unwrap();
    let content = fs::read(&stray).unwrap();
    assert_snapshot!("part_of_a_later_commit", told(&export, &stray, Some(&content)));
    fs::remove_file(&stray).unwrap();
    // A table that is replaced as a whole has one file: a second one would show its rows twice.
    let stray = small.with_file_name("00000099-a.parquet");
    fs::copy(small, &stray).unwrap();
    let again = told(&export, &stray, Some(&fs::read(&stray).unwrap()));
    assert!(again.contains("belongs to commit"), "{again}");
    fs::remove_file(&stray).unwrap();
    export.sync_brings_everything();
}
