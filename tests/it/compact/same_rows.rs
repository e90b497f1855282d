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
use crate::support::TestExport;
use crate::support::rows;

/// Rows of `runs` that are not of a run's latest revision.
fn older_rows(export: &TestExport) -> i64 {
    let glob = format!("read_parquet('{}/runs/**/*.parquet')", export.lake.display());
    let count = |sql: String| rows::count_in_memory(&sql);
    count(format!("SELECT count(*) FROM {glob}"))
        - count(format!("SELECT count(DISTINCT run_id) FROM {glob}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn many_small_parts_become_one_a_table_and_day() {
    let export = small_commits(80);
    export.sync().await;
    let (before, delivered) = (lake_rows(&export), database_rows(&export));
    let parts = parts_by_day(&export);
    assert!(parts.values().any(|count| *count > 3), "{parts:?}");

    let planned = plan(&options(&export)).await.unwrap();
    assert_eq!(parts_by_day(&export), parts, "a plan changes nothing");
    let report = compacted(&options(&export)).await;
    assert_eq!(
        (report.days, report.parts_before, report.bytes_before),
        (planned.days, planned.parts_before, planned.bytes_before)
    );
    assert!(report.days >= 4 && report.parts_after < report.parts_before, "{report:?}");
    assert!(report.damaged.is_empty() && report.rows_dropped == 0, "{report:?}");
    // Yesterday and today are not over for long enough: all others are.
    let yesterday =
        (export.simulator.now() - Duration::days(1)).format("date=%Y-%m-%d").to_string();
    for (folder, count) in parts_by_day(&export) {
        let day = folder.file_name().unwrap().to_string_lossy().into_owned();
        assert!(count == 1 || day >= yesterday, "{count} parts in {}", folder.display());
    }
    assert_eq!(lake_rows(&export), before);
    assert!(database_rows(&export) == delivered, "DuckDB changed");
    export.assert_equals_the_world();
    assert_all_is_well(&export).await;

    let again = compacted(&options(&export)).await;
    assert_eq!(json!(again), json!(CompactReport::default()), "there was still something to merge");
    export.deliver(true).await.unwrap();
    assert!(database_rows(&export) == delivered, "a file that is made again is another");

    // Life goes on: late evaluations come to days that were merged, and join them later.
    for _ in 0..3 {
        export.simulator.advance(Duration::hours(31));
        export.sync().await;
        compacted(&options(&export)).await;
        export.assert_equals_the_world();
        assert_all_is_well(&export).await;
    }
    export.deliver(true).await.unwrap();
    export.assert_equals_the_world();
    assert_all_is_well(&export).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn older_revisions_are_dropped_where_asked_and_only_these() {
    let export = small_commits(100);
    for _ in 0..15 {
        export.sync().await;
        export.simulator.advance(Duration::minutes(40));
    }
    export.simulator.advance(Duration::hours(9));
    export.sync().await;
    let older = older_rows(&export);
    assert!(older > 2, "no run has several revisions");
    let delivered = database_rows(&export);
    let options = CompactOptions { drop_older_revisions: true, ..options(&export) };
    let closed = at(options, (export.simulator.now() + Duration::days(3)).into());
    let report = compacted(&closed).await;
    assert!(report.rows_dropped > u64::try_from(older).unwrap(), "{report:?}");
    assert_eq!(older_rows(&export), 0);
    assert!(database_rows(&export) == delivered, "DuckDB changed");
    export.assert_equals_the_world();
    assert_all_is_well(&export).await;
    assert_eq!(json!(compacted(&closed).await), json!(CompactReport::default()));
    export.deliver(true).await.unwrap();
    export.assert_equals_the_world();
    assert_all_is_well(&export).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_of_merged_parts_gives_the_same_rows() {
    let export = small_commits(80);
    export.sync().await;
    export.simulator.advance(Duration::hours(5));
    export.sync().await;
    let closed = at(options(&export), (export.simulator.now() + Duration::days(3)).into());
    compacted(&closed).await;
    let times = "SELECT run_id, _extracted_at FROM runs ORDER BY ALL";
    let times = || armature_export::query::query(&export.duckdb, times).unwrap().1;
    let fetched_at = times();
    let replayed = replay(&export.job(closed.job.now)).await.unwrap();
    assert_eq!(replayed.rows_before, replayed.rows_after);
    assert_eq!(times(), fetched_at, "a replay is no fetch");
    export.assert_equals_the_world();
    assert_all_is_well(&export).await;
    compacted(&closed).await;
    export.assert_equals_the_world();
    assert_all_is_well(&export).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_that_came_later_or_went_stay_with_their_rows() {
    let mut export = small_commits(60);
    export.sync().await;
    let closed = |export: &TestExport| {
        at(options(export), (export.simulator.now() + Duration::days(3)).into())
    };
    export.settings.columns.push(ColumnOverride {
        table: "runs".to_owned(),
        name: "model_again".to_owned(),
        kind: Some(Kind::Text),
        sources: vec!["model".to_owned(), "model_id".to_owned()],
        ..ColumnOverride::default()
    });
    export.simulator.advance(Duration::hours(20));
    export.sync().await;
    // As the one who compacts does not know the column.
    export.settings.columns.clear();
    let before = lake_rows(&export);
    let report = compacted(&closed(&export)).await;
    assert!(report.parts_after < report.parts_before, "{report:?}");
    assert_eq!(lake_rows(&export), before);
    assert_all_is_well(&export).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_part_is_told_and_never_merged() {
    let export = small_commits(80);
    export.sync().await;
    let parts = export.parts();
    let first = parts.iter().find(|part| part.starts_with(export.lake.join("spans"))).unwrap();
    let mut bytes = std::fs::read(first).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(first, &bytes).unwrap();
    let path = first.strip_prefix(&export.lake).unwrap().to_str().unwrap().to_owned();

    let report = compacted(&options(&export)).await;
    assert_eq!(report.damaged, std::slice::from_ref(&path));
    assert!(report.days > 0, "other days are merged all the same");
    assert!(first.exists(), "it stays where it is");
    let staging = std::fs::read_dir(export.lake.join("_armature/staging")).unwrap();
    assert_eq!(staging.count(), 0, "nothing is left of the merge that was given up");
    let lake = LakeView::open(&export.lake).await.unwrap();
    assert!(lake.snapshot().await.unwrap().get(&path).is_some());
}
