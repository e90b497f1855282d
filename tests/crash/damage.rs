//! Files of the lake that are damaged or gone: one clear error that names the file, and nothing
//! is changed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use insta::assert_snapshot;

use super::seeded::Seeded;
use super::trial::{Trial, without_names};

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
async fn lake() -> Trial {
    let trial = Trial::new(66, 1).await;
    trial.sync_brings_everything();
    for _ in 0..3 {
        trial.kit.simulator.advance(chrono::Duration::minutes(30));
        trial.sync_brings_everything();
    }
    trial
}

/// What a sync says of a damaged file. It must not have changed anything.
fn told(trial: &Trial, path: &Path, content: Option<&[u8]>) -> String {
    let whole = fs::read(path).unwrap();
    match content {
        Some(content) => fs::write(path, content).unwrap(),
        None => fs::remove_file(path).unwrap(),
    }
    let before = (files(&trial.kit.lake), fs::read(&trial.kit.duckdb).unwrap());
    let ended = trial.run(&["sync"]);
    let after = (files(&trial.kit.lake), fs::read(&trial.kit.duckdb).unwrap());
    fs::write(path, whole).unwrap();
    assert_eq!(ended.code, Some(6), "{}: {}", path.display(), ended.told);
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    let (first, _) = ended.told.split_once("\nhint:").unwrap();
    assert!(first.contains(&without_names(&name)), "{name}: {first}");
    assert!(before == after, "{name}: the lake was changed");
    ended.told
}

#[tokio::test(flavor = "multi_thread")]
async fn every_damage_is_one_error_that_names_the_file() {
    let trial = lake().await;
    let commit_files = trial.kit.lake.join("_armature/manifests");
    let newest = trial.commit_files().await;
    let newest = newest.last().unwrap();
    let commit_file = |commit: u64| commit_files.join(format!("{commit:08}.json"));
    let (head, before) = (commit_file(newest.commit), commit_file(newest.commit - 1));
    let whole = fs::read(&head).unwrap();
    assert_snapshot!("cut_off", told(&trial, &head, Some(&whole[..30])));
    assert_snapshot!("empty", told(&trial, &head, Some(b"")));
    assert_snapshot!("other_number", told(&trial, &head, Some(&fs::read(&before).unwrap())));
    let digit = whole.iter().rposition(|byte| *byte == b'3').unwrap();
    let flipped = |at: usize| {
        let mut content = whole.clone();
        content[at] ^= 1;
        content
    };
    assert_snapshot!("flipped", told(&trial, &head, Some(&flipped(digit))));
    // Written again by a program that reads JSON: another layout, and so no digest at the end.
    let mut value: serde_json::Value = serde_json::from_slice(&whole).unwrap();
    value["proven"][0]["from"] = 0.into();
    let pretty = serde_json::to_vec_pretty(&value).unwrap();
    let again = told(&trial, &head, Some(&pretty));
    assert!(again.contains("it was changed after it was written: its `sha256` differs"), "{again}");
    value.as_object_mut().unwrap().remove("sha256");
    let again = told(&trial, &head, Some(&serde_json::to_vec(&value).unwrap()));
    assert!(again.contains("it is not what was written: its `sha256` is missing"), "{again}");
    let identity = trial.kit.lake.join("_armature/format.json");
    let text = fs::read_to_string(&identity).unwrap();
    let again = told(
        &trial,
        &identity,
        Some(text.replace("\"status\": null", "\"status\": \"pass\"").as_bytes()),
    );
    assert!(again.contains("its SHA-256 is not what the newest commit states"), "{again}");
    let again = told(&trial, &identity, None);
    assert!(again.contains("format.json` is damaged: it is missing"), "{again}");
    assert_snapshot!("missing", told(&trial, &before, None));
    let ledger = newest.ledger_checkpoint.unwrap();
    let ledger = trial.kit.lake.join(format!("_armature/ledger/{ledger:08}.parquet"));
    let mut content = fs::read(&ledger).unwrap();
    let middle = content.len() / 2;
    content[middle] ^= 1;
    assert_snapshot!("ledger_flipped", told(&trial, &ledger, Some(&content)));
    assert_snapshot!("ledger_missing", told(&trial, &ledger, None));
    let mut seeded = Seeded::new(11);
    for _ in 0..10 {
        let members = u64::try_from(whole.len() - 77).unwrap();
        let at = usize::try_from(seeded.below(members)).unwrap();
        told(&trial, &head, Some(&flipped(at)));
    }
    trial.sync_brings_everything();
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_that_are_gone_or_not_of_this_lake_are_named() {
    let trial = Trial::new(12, 20_000).await;
    trial.sync_brings_everything();
    let parts = trial.kit.parts();
    let runs = parts.iter().find(|part| part.starts_with(trial.kit.lake.join("runs"))).unwrap();
    assert_snapshot!("part_missing", told(&trial, runs, None));
    let cut_off = told(&trial, runs, Some(b"PAR1"));
    assert!(cut_off.contains("is damaged: it has 4 of the "), "{cut_off}");
    let small = parts.iter().find(|part| part.starts_with(trial.kit.lake.join("workflows")));
    let small = small.unwrap();
    assert_snapshot!("small_table_of_another_time", told(&trial, small, Some(b"PAR1")));
    let name = runs.file_name().unwrap().to_string_lossy().replacen("0000000", "0000009", 1);
    let stray = runs.with_file_name(name);
    fs::copy(runs, &stray).unwrap();
    let content = fs::read(&stray).unwrap();
    assert_snapshot!("part_of_a_later_commit", told(&trial, &stray, Some(&content)));
    fs::remove_file(&stray).unwrap();
    // A table that is replaced as a whole has one file: a second one would show its rows twice.
    let stray = small.with_file_name("00000099-a.parquet");
    fs::copy(small, &stray).unwrap();
    let again = told(&trial, &stray, Some(&fs::read(&stray).unwrap()));
    assert!(again.contains("belongs to commit"), "{again}");
    fs::remove_file(&stray).unwrap();
    trial.sync_brings_everything();
}
