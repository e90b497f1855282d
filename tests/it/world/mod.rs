//! Whole exports compared with what the simulated world says that they must hold: real requests
//! over loopback, real files, real DuckDB.

mod lives;
mod paging;
mod scans;
mod shapes;

use crate::support::TestExport;

#[tokio::test(flavor = "multi_thread")]
async fn the_first_sync_exports_the_whole_world() {
    let export = TestExport::of_growing_world(300);
    let report = export.sync().await;
    assert_eq!(report.outcome.name(), "complete");
    assert!(report.sweep.certified, "{:?}", report.sweep);
    export.assert_equals_the_world();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_sync_asks_for_almost_nothing_and_writes_nothing() {
    let export = TestExport::of_growing_world(300);
    export.sync().await;
    let before = export.parts();
    export.simulator.clear_requests();
    let report = export.sync().await;
    assert_eq!(report.rows.values().sum::<u64>(), 0, "{:?}", report.rows);
    assert_eq!(report.runs.new, 0);
    assert!(
        report.requests <= 5,
        "{} requests: {:?}",
        report.requests,
        export.simulator.requests()
    );
    assert_eq!(export.parts(), before);
    export.assert_equals_the_world();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_column_stays_empty() {
    let export = TestExport::of_growing_world(300);
    export.sync().await;
    let mut empty = Vec::new();
    for table in armature_export::tables::ALL {
        for column in table.columns {
            // The simulator has no gaps, no values that do not fit, and no such list members.
            let unfilled = matches!(table.name, "_gaps" | "_issues" | "open_runs" | "_syncs");
            if unfilled || export.has_no_source(table.name, column.name) {
                continue;
            }
            let filled =
                export.count(&format!("SELECT count(\"{}\") FROM \"{}\"", column.name, table.name));
            if filled == 0 {
                empty.push(format!("{}.{}", table.name, column.name));
            }
        }
    }
    assert!(empty.is_empty(), "empty in all rows: {empty:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_small_commits_hold_the_same_rows() {
    let mut export = TestExport::of_growing_world(120);
    export.settings.sync.commit_bytes = 20_000;
    let report = export.sync().await;
    assert!(report.commits > 10, "{} commits", report.commits);
    export.assert_equals_the_world();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_made_again_is_the_same() {
    let export = TestExport::of_growing_world(80);
    export.sync().await;
    std::fs::remove_file(&export.duckdb).unwrap();
    let delivery = export.deliver(false).await.unwrap();
    assert_eq!(delivery.state, "applied");
    export.assert_equals_the_world();
    let again = export.deliver(false).await.unwrap();
    assert_eq!(again.state, "current");
    export.deliver(true).await.unwrap();
    export.assert_equals_the_world();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_database_delays_only_itself() {
    let mut export = TestExport::of_growing_world(60);
    export.settings.duckdb.lock_wait_secs = 0;
    export.sync().await;
    export.simulator.advance(chrono::Duration::hours(30));
    let holder = export.hold_database();
    let report = export.sync().await;
    assert!(report.runs.new > 0);
    let message = report.delivery_error().unwrap().to_string();
    assert!(message.contains("is held by"), "{message}");
    drop(holder);
    export.deliver(false).await.unwrap();
    export.assert_equals_the_world();
}
