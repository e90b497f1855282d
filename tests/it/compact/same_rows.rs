//! The rows after are the rows before.

use armature_export::compact::{CompactOptions, CompactReport, plan};
use armature_export::lake::LakeView;
use armature_export::replay::replay;
use armature_export::tables::{ColumnOverride, Kind};
use chrono::Duration;
use serde_json::json;

use super::{
    assert_all_is_well, at, compacted, database_rows, lake_rows, options, parts_by_day,
    small_commits,
};
use crate::world::kit::Kit;
use crate::world::rows;

/// Rows of `runs` that are not of a run's latest revision.
fn older_rows(kit: &Kit) -> i64 {
    let glob = format!("read_parquet('{}/runs/**/*.parquet')", kit.lake.display());
    let count = |sql: String| rows::count_in_memory(&sql);
    count(format!("SELECT count(*) FROM {glob}"))
        - count(format!("SELECT count(DISTINCT run_id) FROM {glob}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn many_small_parts_become_one_a_table_and_day() {
    let kit = small_commits(150).await;
    kit.sync().await;
    let (before, delivered) = (lake_rows(&kit), database_rows(&kit));
    let parts = parts_by_day(&kit);
    assert!(parts.values().any(|count| *count > 3), "{parts:?}");

    let planned = plan(&options(&kit)).await.unwrap();
    assert_eq!(parts_by_day(&kit), parts, "a plan changes nothing");
    let report = compacted(&options(&kit)).await;
    assert_eq!(
        (report.days, report.parts_before, report.bytes_before),
        (planned.days, planned.parts_before, planned.bytes_before)
    );
    assert!(report.days >= 4 && report.parts_after < report.parts_before, "{report:?}");
    assert!(report.damaged.is_empty() && report.rows_dropped == 0, "{report:?}");
    // Yesterday and today are not over for long enough: all others are.
    let yesterday = (kit.simulator.now() - Duration::days(1)).format("date=%Y-%m-%d").to_string();
    for (folder, count) in parts_by_day(&kit) {
        let day = folder.file_name().unwrap().to_string_lossy().into_owned();
        assert!(count == 1 || day >= yesterday, "{count} parts in {}", folder.display());
    }
    assert_eq!(lake_rows(&kit), before);
    assert!(database_rows(&kit) == delivered, "DuckDB changed");
    kit.assert_equals_the_world();
    assert_all_is_well(&kit).await;

    let again = compacted(&options(&kit)).await;
    assert_eq!(json!(again), json!(CompactReport::default()), "there was still something to merge");
    kit.deliver(true).await.unwrap();
    assert!(database_rows(&kit) == delivered, "a file that is made again is another");

    // Life goes on: late evaluations come to days that were merged, and join them later.
    for _ in 0..3 {
        kit.simulator.advance(Duration::hours(31));
        kit.sync().await;
        compacted(&options(&kit)).await;
        kit.assert_equals_the_world();
        assert_all_is_well(&kit).await;
    }
    kit.deliver(true).await.unwrap();
    kit.assert_equals_the_world();
    assert_all_is_well(&kit).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn older_revisions_are_dropped_where_asked_and_only_these() {
    let kit = small_commits(100).await;
    for _ in 0..30 {
        kit.sync().await;
        kit.simulator.advance(Duration::minutes(20));
    }
    kit.simulator.advance(Duration::hours(9));
    kit.sync().await;
    let older = older_rows(&kit);
    assert!(older > 2, "no run has several revisions");
    let delivered = database_rows(&kit);
    let options = CompactOptions { drop_older_revisions: true, ..options(&kit) };
    let closed = at(options, (kit.simulator.now() + Duration::days(3)).into());
    let report = compacted(&closed).await;
    assert!(report.rows_dropped > u64::try_from(older).unwrap(), "{report:?}");
    assert_eq!(older_rows(&kit), 0);
    assert!(database_rows(&kit) == delivered, "DuckDB changed");
    kit.assert_equals_the_world();
    assert_all_is_well(&kit).await;
    assert_eq!(json!(compacted(&closed).await), json!(CompactReport::default()));
    kit.deliver(true).await.unwrap();
    kit.assert_equals_the_world();
    assert_all_is_well(&kit).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_of_merged_parts_gives_the_same_rows() {
    let kit = small_commits(80).await;
    kit.sync().await;
    kit.simulator.advance(Duration::hours(5));
    kit.sync().await;
    let closed = at(options(&kit), (kit.simulator.now() + Duration::days(3)).into());
    compacted(&closed).await;
    let times = "SELECT run_id, _extracted_at FROM runs ORDER BY ALL";
    let times = || armature_export::query::query(&kit.duckdb, times).unwrap().1;
    let fetched_at = times();
    let replayed = replay(&kit.job(closed.job.now)).await.unwrap();
    assert_eq!(replayed.rows_before, replayed.rows_after);
    assert_eq!(times(), fetched_at, "a replay is no fetch");
    kit.assert_equals_the_world();
    assert_all_is_well(&kit).await;
    compacted(&closed).await;
    kit.assert_equals_the_world();
    assert_all_is_well(&kit).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_that_came_later_or_went_stay_with_their_rows() {
    let mut kit = small_commits(60).await;
    kit.sync().await;
    let closed = |kit: &Kit| at(options(kit), (kit.simulator.now() + Duration::days(3)).into());
    kit.settings.columns.push(ColumnOverride {
        table: "runs".to_owned(),
        name: "model_again".to_owned(),
        kind: Some(Kind::Text),
        sources: vec!["model".to_owned(), "model_id".to_owned()],
        ..ColumnOverride::default()
    });
    kit.simulator.advance(Duration::hours(20));
    kit.sync().await;
    // As the one who compacts does not know the column.
    kit.settings.columns.clear();
    let before = lake_rows(&kit);
    let report = compacted(&closed(&kit)).await;
    assert!(report.parts_after < report.parts_before, "{report:?}");
    assert_eq!(lake_rows(&kit), before);
    assert_all_is_well(&kit).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_part_is_told_and_never_merged() {
    let kit = small_commits(80).await;
    kit.sync().await;
    let parts = kit.parts();
    let first = parts.iter().find(|part| part.starts_with(kit.lake.join("spans"))).unwrap();
    let mut bytes = std::fs::read(first).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(first, &bytes).unwrap();
    let path = first.strip_prefix(&kit.lake).unwrap().to_str().unwrap().to_owned();

    let report = compacted(&options(&kit)).await;
    assert_eq!(report.damaged, std::slice::from_ref(&path));
    assert!(report.days > 0, "other days are merged all the same");
    assert!(first.exists(), "it stays where it is");
    let staging = std::fs::read_dir(kit.lake.join("_armature/staging")).unwrap();
    assert_eq!(staging.count(), 0, "nothing is left of the merge that was given up");
    let lake = LakeView::open(&kit.lake).await.unwrap();
    assert!(lake.snapshot().await.unwrap().get(&path).is_some());
}
