//! What the metrics say of each target.

use std::time::Duration;

use serde_json::json;

use super::daemon::Daemon;
use super::exposition::Exposition;
use super::signals::ONE_SYNC;
use crate::iceberg::{edit_metadata, metadata};
use crate::support::TestExport;

/// The metrics after the one sync of a service.
async fn after_one_sync(export: &TestExport) -> Exposition {
    after_one_sync_with(export, "[iceberg]\ncatalog = \"files\"\n").await
}

async fn after_one_sync_with(export: &TestExport, targets: &str) -> Exposition {
    let configuration = format!("{ONE_SYNC}listen = \"0\"\n{targets}");
    let mut daemon = Daemon::start(export, &configuration);
    daemon.wait_for("\"outcome\":\"complete\"", 1).await;
    let metrics = loop {
        let metrics = daemon.metrics().await;
        if metrics.value("armature_export_job_running{job=\"sync\"}") == 0 {
            break metrics;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    daemon.signal("TERM");
    daemon.ended().await;
    metrics
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lag_and_the_failures_of_each_target_are_metrics() {
    let export = TestExport::of_growing_world(6);
    let of = |metrics: &Exposition, name: &str| {
        ["duckdb", "iceberg"].map(|target| {
            let series = format!("armature_export_{name}{{target=\"{target}\"}}");
            assert!(metrics.series.contains_key(&series), "{series} does not exist");
            metrics.value(&series)
        })
    };
    let first = after_one_sync(&export).await;
    let newest = first.value("armature_export_lake_commit");
    assert!(newest > 0);
    assert_eq!(of(&first, "delivered_commit"), [newest; 2]);
    assert_eq!(of(&first, "delivery_lag_commits"), [0, 0]);
    assert_eq!(of(&first, "delivery_failures_total"), [0, 0]);

    // A table that a delivery refuses: the other target goes on.
    let lake_id = metadata(&export.lake, "runs")["properties"]["armature.lake"].clone();
    edit_metadata(&export.lake, "runs", |table| {
        table["properties"]["armature.lake"] = json!("00000000-0000-0000-0000-000000000000");
    });
    export.simulator.advance(chrono::Duration::hours(1));
    let late = after_one_sync(&export).await;
    let now = late.value("armature_export_lake_commit");
    assert!(now > newest);
    assert_eq!(of(&late, "delivered_commit"), [now, newest]);
    assert_eq!(of(&late, "delivery_lag_commits"), [0, now - newest]);
    assert_eq!(of(&late, "delivery_failures_total"), [0, 1]);

    edit_metadata(&export.lake, "runs", |table| {
        table["properties"]["armature.lake"] = lake_id.clone();
    });
    let last = after_one_sync(&export).await;
    assert_eq!(of(&last, "delivery_lag_commits"), [0, 0]);
    assert_eq!(of(&last, "delivery_failures_total"), [0, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_published_copy_was_written_is_a_metric() {
    const NAME: &str = "armature_export_published_copy_timestamp_seconds{target=\"duckdb\"}";
    let export = TestExport::of_ended_runs(3);
    let publishes = "[duckdb]\npublish = \"bi/armature.duckdb\"\n";
    let metrics = after_one_sync_with(&export, publishes).await;
    let written = std::fs::metadata(export.path("bi/armature.duckdb")).unwrap().modified().unwrap();
    let written = written.duration_since(std::time::UNIX_EPOCH).unwrap();
    assert!((metrics.series[NAME] - written.as_secs_f64()).abs() < 0.001);
    assert!(!after_one_sync(&export).await.series.contains_key(NAME));
}
