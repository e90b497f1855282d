//! A DuckDB file that is behind when parts are merged: rows that it has come to it once, and rows
//! that it lacks come to it at all, though the parts that it never saw are gone.

use chrono::Duration;

use super::{assert_all_is_well, at, compacted, database_rows, options, small_commits};
use crate::world::kit::Kit;

/// Everything is merged, and the DuckDB file hears nothing of it.
async fn compact_all_without_delivery(kit: &Kit) {
    let mut options = at(options(kit), (kit.simulator.now() + Duration::days(3)).into());
    options.job.targets = Vec::new().into();
    // What merges kept must not be what saves a late delivery.
    options.settings.grace_secs = 0;
    let report = compacted(&options).await;
    assert!(report.days > 0, "{report:?}");
    assert!(!kit.lake.join("_armature/retired").read_dir().unwrap().any(|_| true));
}

/// Some syncs that DuckDB hears of or not, with merges between them.
async fn export(delivered: &[bool], merges: &[usize]) -> Kit {
    let mut kit = small_commits(70).await;
    for (place, delivers) in delivered.iter().enumerate() {
        kit.settings.duckdb.enabled = *delivers;
        kit.sync().await;
        if merges.contains(&place) {
            compact_all_without_delivery(&kit).await;
        }
        kit.simulator.advance(Duration::hours(7));
    }
    kit.settings.duckdb.enabled = true;
    kit.sync().await;
    kit
}

#[tokio::test(flavor = "multi_thread")]
async fn however_late_a_delivery_is_it_brings_each_row_once() {
    for (delivered, merges) in [
        (vec![true, false, false, false], vec![3]),
        (vec![false, false, false], vec![2]),
        (vec![true, false, false, false, false], vec![1, 2, 4]),
        (vec![true, false, true, false, false], vec![0, 1, 3, 4]),
        (vec![true, true], vec![0, 1]),
    ] {
        let kit = Box::pin(export(&delivered, &merges)).await;
        kit.assert_equals_the_world();
        assert_all_is_well(&kit).await;
        let late = database_rows(&kit);
        kit.deliver(true).await.unwrap();
        assert!(late == database_rows(&kit), "{delivered:?} {merges:?}");
    }
}
