//! Readers that are there while parts are merged.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};

use armature_export::event::Events;
use armature_export::lake::LakeView;
use armature_export::tables::Mapping;
use armature_export::targets::duckdb::{DeliveryOptions, deliver};
use chrono::Duration;

use super::{assert_all_is_well, at, compacted, options, small_commits};

/// What a reader of the folders saw.
#[derive(Debug, Default)]
struct Seen {
    /// Right counts, by how many files the rows stood in.
    right: BTreeMap<i64, usize>,
    wrong: Vec<i64>,
    refused: usize,
    other: Vec<String>,
}

/// Counts rows by glob, again and again; says after how many files each right count came.
fn count_on(glob: &str, expected: i64, stop: &AtomicBool, files: &Sender<i64>) -> Seen {
    let mut seen = Seen::default();
    let connection = duckdb::Connection::open_in_memory().unwrap();
    let sql = format!(
        "SELECT count(*), count(DISTINCT (run_id, _revision)), count(DISTINCT filename) \
         FROM read_parquet('{glob}', filename = true)"
    );
    while !stop.load(Ordering::Relaxed) {
        let counted = connection.query_row(&sql, [], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
        });
        match counted {
            Ok((rows, distinct, count)) if rows == expected && distinct == expected => {
                *seen.right.entry(count).or_default() += 1;
                // Nobody listens any more once the merged file was seen.
                let _heard = files.send(count);
            }
            Ok((rows, ..)) => seen.wrong.push(rows),
            // It had listed a file that was gone when it came to open it: it knows, and asks again.
            Err(error) if error.to_string().contains("No such file") => seen.refused += 1,
            Err(error) => seen.other.push(error.to_string()),
        }
    }
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_reader_of_a_folder_never_counts_a_run_twice_or_not_at_all() {
    let export = small_commits(120);
    export.sync().await;
    let days = std::fs::read_dir(export.lake.join("runs")).unwrap();
    let day = days.map(|day| day.unwrap().path()).min().unwrap();
    let glob = format!("{}/*.parquet", day.display());
    let rows = crate::support::rows::count_in_memory(&format!("SELECT count(*) FROM '{glob}'"));
    let stop = Arc::new(AtomicBool::new(false));
    let (hears, told) = (Arc::clone(&stop), glob.clone());
    let (send, files) = channel();
    let reader = std::thread::spawn(move || count_on(&told, rows, &hears, &send));
    // It reads before the exchange, without a pause until after it: one count lies across it.
    let patience = std::time::Duration::from_mins(1);
    assert!(files.recv_timeout(patience).unwrap() > 1, "there is nothing to merge");
    let closed = at(options(&export), (export.simulator.now() + Duration::days(3)).into());
    let report = compacted(&closed).await;
    assert!(report.days > 3, "{report:?}");
    while files.recv_timeout(patience).expect("the reader never saw the merged file") > 1 {}
    stop.store(true, Ordering::Relaxed);
    let seen = reader.join().unwrap();
    assert!(seen.wrong.is_empty() && seen.other.is_empty(), "{seen:?}");
    // The old files, and then the one that was exchanged for them.
    assert_eq!((seen.right.len(), seen.right.contains_key(&1)), (2, true), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_goes_by_commit_files_finds_what_it_looked_up_before() {
    let mut export = small_commits(60);
    export.settings.duckdb.enabled = false;
    export.sync().await;
    // It knows the lake as it is now, and comes to read it after the merge.
    let before = LakeView::open(&export.lake).await.unwrap();
    let parts: Vec<_> = before.snapshot().await.unwrap().iter().cloned().collect();
    let closed = at(options(&export), (export.simulator.now() + Duration::days(3)).into());
    compacted(&closed).await;
    for live in &parts {
        let bytes = std::fs::read(before.store().readable(&live.part.path).as_str()).unwrap();
        assert_eq!(armature_export::digest::sha256_hex(&bytes), live.part.sha256);
    }
    let to = DeliveryOptions::new(&export.settings.duckdb, Events::none());
    deliver(&before, &Mapping::new(&[], &[]).unwrap(), &to).await.unwrap();
    export.settings.duckdb.enabled = true;
    export.assert_equals_the_world();
    assert_all_is_well(&export).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_merged_is_kept_for_the_grace_time_and_then_removed() {
    let export = small_commits(60);
    export.sync().await;
    let retired = || {
        let folders = std::fs::read_dir(export.lake.join("_armature/retired"));
        folders.map_or(0, Iterator::count)
    };
    let now = export.simulator.now();
    let after = |hours: i64| at(options(&export), (now + Duration::hours(hours)).into());
    let report = compacted(&after(0)).await;
    assert_eq!(retired(), usize::try_from(report.commits).unwrap());
    assert_eq!(compacted(&after(23)).await.removed_commits, 0);
    // A sync does it, too.
    let before = retired();
    assert!(before > 0);
    export.simulator.advance(Duration::hours(25));
    export.sync().await;
    assert!(retired() < before);
    compacted(&after(24 * 9)).await;
    assert!(compacted(&after(24 * 11)).await.removed_commits > 0);
    assert_eq!(retired(), 0);
    export.assert_equals_the_world();
    assert_all_is_well(&export).await;
}
