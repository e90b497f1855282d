//! A DuckDB file that is behind when parts are merged: rows that it has come to it once, and rows
//! that it lacks come to it at all, though the parts that it never saw are gone.

use chrono::Duration;

use super::{assert_all_is_well, at, compacted, database_rows, options, small_commits};
use crate::support::TestExport;

/// Everything is merged, and the DuckDB file hears nothing of it.
async fn compact_all_without_delivery(export: &TestExport) {
    let mut options = at(options(export), (export.simulator.now() + Duration::days(3)).into());
    options.job.targets = Vec::new().into();
    // What merges kept must not be what saves a late delivery.
    options.settings.grace_secs = 0;
    let report = compacted(&options).await;
    assert!(report.days > 0, "{report:?}");
    assert!(!export.lake.join("_armature/retired").read_dir().unwrap().any(|_| true));
}

/// Some syncs that DuckDB hears of or not, with merges between them.
async fn export(delivered: &[bool], merges: &[usize]) -> TestExport {
    let mut export = small_commits(36);
    for (place, delivers) in delivered.iter().enumerate() {
        export.settings.duckdb.enabled = *delivers;
        export.sync().await;
        if merges.contains(&place) {
            compact_all_without_delivery(&export).await;
        }
        export.simulator.advance(Duration::hours(7));
    }
    export.settings.duckdb.enabled = true;
    export.sync().await;
    export
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
        let export = Box::pin(export(&delivered, &merges)).await;
        export.assert_equals_the_world();
        assert_all_is_well(&export).await;
        let late = database_rows(&export);
        export.deliver(true).await.unwrap();
        assert!(late == database_rows(&export), "{delivered:?} {merges:?}");
    }
}
