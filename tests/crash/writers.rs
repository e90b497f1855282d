//! Several processes that write one lake at the same instant, with the lock and past it.

use std::fs;
use std::process::Child;

use armature_export::config::Filters;
use armature_export::lake::{
    CommitBuilder, FileStatistics, Lake, LakeError, LakeView, NewDataFile, WrittenFile,
};
use armature_export::tables::RUNS;
use armature_export::time::Timestamp;

use crate::small_commits::small_commits;
use crate::support::seeded::Seeded;

#[tokio::test(flavor = "multi_thread")]
async fn of_many_writers_those_with_the_lock_work_and_the_others_say_who_has_it() {
    let export = small_commits(24, 20_000);
    let (mut worked, mut refused, mut named) = (0, 0, 0);
    for round in 0..3 {
        let children: Vec<Child> = (0..6).map(|_| export.start(&["sync"])).collect();
        let before = (worked, refused);
        for child in children {
            let ended = export.wait(child);
            match ended.code {
                Some(0) => worked += 1,
                Some(6) => {
                    let told = "error: the lake `[dir]/lake` is being written by another process";
                    assert!(ended.told().contains(told), "{}", ended.told());
                    // In the moment before the holder has written its name, nobody can know it.
                    named += u32::from(ended.told().contains(&format!("{told} (process ")));
                    refused += 1;
                }
                _ => panic!("{}", ended.told()),
            }
        }
        assert_eq!(worked + refused - before.0 - before.1, 6);
        assert!(worked > before.0, "nobody got the lock");
        export.assert_nothing_half_or_double(&format!("round {round}")).await;
        export.simulator.advance(chrono::Duration::hours(1));
    }
    assert!(named > 0, "no two of them met");
    export.sync_brings_everything();
    let compared = export.compared();
    println!("{worked} writers worked, {refused} were refused; {compared} rows compared");
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_past_the_lock_get_an_error_and_never_a_wrong_lake() {
    let export = small_commits(40, 10_000);
    let mut seeded = Seeded::new(3);
    let (mut met, mut told) = (0, Vec::new());
    for round in 0..4 {
        let mut children = Vec::new();
        for _ in 0..3 {
            // Where the file of the lock is deleted, the next writer gets a lock of its own.
            let lock = export.lake.join("_armature/lock");
            drop(fs::remove_file(lock));
            children.push(export.start(&["sync"]));
            let pause = std::time::Duration::from_millis(seeded.below(400));
            tokio::time::sleep(pause).await;
        }
        for child in children {
            let ended = export.wait(child);
            assert!(matches!(ended.code, Some(0 | 6)), "{}", ended.told());
            if ended.code == Some(6) {
                met += 1;
                told.push(ended.told().lines().nth(1).unwrap_or_default().to_owned());
            }
        }
        export.sync_brings_everything();
        export.assert_nothing_half_or_double(&format!("round {round}")).await;
        export.simulator.advance(chrono::Duration::hours(1));
    }
    told.sort();
    told.dedup();
    println!("{met} of 12 writers past the lock got an error: {told:#?}");
}

fn part(bytes: &[u8]) -> NewDataFile {
    NewDataFile {
        table: &RUNS,
        written: WrittenFile { to: bytes.to_vec(), rows: 1, statistics: FileStatistics::default() },
        started: Some((Timestamp::EPOCH, Timestamp::EPOCH)),
        has_revisions: false,
        replaces: None,
    }
}

/// A lake, opened by a second writer past the lock.
async fn open_past_the_lock(folder: &std::path::Path) -> Lake {
    fs::remove_file(folder.join("_armature/lock")).unwrap();
    Lake::open(folder).await.unwrap()
}

#[tokio::test]
async fn the_second_of_two_commits_of_one_number_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = Lake::open(folder.path()).await.unwrap();
    first.bind(None, &Filters::default()).await.unwrap();
    let mut second = open_past_the_lock(folder.path()).await;
    let (mut one, mut other) = (first.stage(), second.stage());
    one.add(vec![part(b"one")]).await.unwrap();
    other.add(vec![part(b"other")]).await.unwrap();
    second.commit(other, CommitBuilder::default()).await.unwrap();
    let refused = first.commit(one, CommitBuilder::default()).await.unwrap_err();
    assert!(matches!(refused, LakeError::CommitConflict { commit: 1, .. }), "{refused}");
    drop((first, second));
    let lake = Lake::open(folder.path()).await.unwrap();
    assert_eq!(lake.head().unwrap().commit, 1);
    let staging = folder.path().join("_armature/staging");
    assert_eq!(fs::read_dir(staging).unwrap().count(), 0, "what lost is removed");
}

#[tokio::test]
async fn parts_that_a_second_writer_removed_are_never_committed() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = Lake::open(folder.path()).await.unwrap();
    first.bind(None, &Filters::default()).await.unwrap();
    let mut staging = first.stage();
    staging.add(vec![part(b"before")]).await.unwrap();
    drop(open_past_the_lock(folder.path()).await);
    staging.add(vec![part(b"after")]).await.unwrap();
    let refused = first.commit(staging, CommitBuilder::default()).await.unwrap_err();
    assert!(matches!(refused, LakeError::StagingLost { commit: 1, .. }), "{refused}");
    assert_eq!(LakeView::open(folder.path()).await.unwrap().head(), None);
}

/// The second writer removed the staged files and took the number: that is what the first is told.
#[tokio::test]
async fn a_writer_whose_number_and_parts_are_gone_is_told_of_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = Lake::open(folder.path()).await.unwrap();
    first.bind(None, &Filters::default()).await.unwrap();
    let mut one = first.stage();
    one.add(vec![part(b"one")]).await.unwrap();
    let mut second = open_past_the_lock(folder.path()).await;
    let mut other = second.stage();
    other.add(vec![part(b"other")]).await.unwrap();
    second.commit(other, CommitBuilder::default()).await.unwrap();
    one.add(vec![part(b"after")]).await.unwrap();
    let refused = first.commit(one, CommitBuilder::default()).await.unwrap_err();
    assert!(matches!(refused, LakeError::CommitConflict { commit: 1, .. }), "{refused}");
}
