//! Whole exports compared with what the simulated world says that they must hold: real requests
//! over loopback, real files, real DuckDB.

pub(crate) mod kit;
mod lives;
mod paging;
pub(crate) mod rows;
mod scans;
mod shapes;

use kit::Kit;

#[tokio::test(flavor = "multi_thread")]
async fn the_first_sync_exports_the_whole_world() {
    let kit = Kit::start(300).await;
    let report = kit.sync().await;
    assert_eq!(report.outcome.name(), "complete");
    assert!(report.sweep.certified, "{:?}", report.sweep);
    kit.assert_equals_the_world();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_sync_asks_for_almost_nothing_and_writes_nothing() {
    let kit = Kit::start(300).await;
    kit.sync().await;
    let before = kit.parts();
    kit.simulator.clear_requests();
    let report = kit.sync().await;
    assert_eq!(report.rows.values().sum::<u64>(), 0, "{:?}", report.rows);
    assert_eq!(report.runs.new, 0);
    assert!(report.requests <= 5, "{} requests: {:?}", report.requests, kit.simulator.requests());
    assert_eq!(kit.parts(), before);
    kit.assert_equals_the_world();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_column_stays_empty() {
    let kit = Kit::start(300).await;
    kit.sync().await;
    let mut empty = Vec::new();
    for table in armature_export::tables::ALL {
        for column in table.columns {
            // The simulator has no gaps, no values that do not fit, and no such list members.
            let unfilled = matches!(table.name, "_gaps" | "_issues" | "open_runs" | "_syncs");
            if unfilled || kit.has_no_source(table.name, column.name) {
                continue;
            }
            let filled = rows::count(
                &kit.duckdb,
                &format!("SELECT count(\"{}\") FROM \"{}\"", column.name, table.name),
            );
            if filled == 0 {
                empty.push(format!("{}.{}", table.name, column.name));
            }
        }
    }
    assert!(empty.is_empty(), "empty in all rows: {empty:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_small_commits_hold_the_same_rows() {
    let mut kit = Kit::start(120).await;
    kit.settings.sync.commit_bytes = 20_000;
    let report = kit.sync().await;
    assert!(report.commits > 10, "{} commits", report.commits);
    kit.assert_equals_the_world();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_made_again_is_the_same() {
    let kit = Kit::start(80).await;
    kit.sync().await;
    std::fs::remove_file(&kit.duckdb).unwrap();
    let delivery = kit.deliver(false).await.unwrap();
    assert_eq!(delivery.state, "applied");
    kit.assert_equals_the_world();
    let again = kit.deliver(false).await.unwrap();
    assert_eq!(again.state, "current");
    kit.deliver(true).await.unwrap();
    kit.assert_equals_the_world();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_database_delays_only_itself() {
    let mut kit = Kit::start(60).await;
    kit.settings.duckdb.lock_wait_secs = 0;
    kit.sync().await;
    kit.simulator.advance(chrono::Duration::hours(30));
    let holder = kit.hold_database();
    let report = kit.sync().await;
    assert!(report.runs.new > 0);
    let message = report.delivery_error().unwrap().to_string();
    assert!(message.contains("is held by"), "{message}");
    drop(holder);
    kit.deliver(false).await.unwrap();
    kit.assert_equals_the_world();
}
