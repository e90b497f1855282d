//! What others see of it: health, readiness, metrics.

use std::collections::BTreeMap;

use armature_export::simulator::{Answer, Endpoint, Rule};
use serde_json::Value;

use super::daemon::Daemon;
use crate::support::TestExport;

const CONFIGURATION: &str = "[api]\nmax_attempts = 1\n\
    [schedule]\ncron = \"* * * * * *\"\nreconcile_cron = \"\"\nlisten = \"0\"\nstale_after_secs = 20\n";

#[tokio::test(flavor = "multi_thread")]
async fn health_and_readiness_say_how_it_stands() {
    let export = TestExport::of_growing_world(20);
    let mut daemon = Daemon::start(&export, CONFIGURATION);
    daemon.wait_for_a_complete_sync().await;
    let (status, body) = daemon.get("/healthz").await;
    let health: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, health["status"].as_str().unwrap()), (200, "alive"));
    let (status, body) = daemon.get("/readyz").await;
    let ready: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, ready["status"].as_str().unwrap()), (200, "ready"), "{body}");
    assert_eq!(daemon.get("/").await.0, 404);

    let refusal = Answer::Status { status: 401, headers: vec![], body: "{}".to_owned() };
    export.simulator.add_rule(Rule::new(Endpoint::Organization, refusal));
    daemon.wait_for("the export is stale", 1).await;
    let (status, body) = daemon.get("/readyz").await;
    let stale: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, stale["status"].as_str().unwrap()), (503, "stale"));
    assert_eq!(stale["last_exit_code"], 4);
    assert!(stale["problem"].as_str().unwrap().contains("refused"), "{body}");
    assert_eq!(daemon.get("/healthz").await.0, 200, "stale, and alive");
}

#[tokio::test(flavor = "multi_thread")]
async fn ready_asks_for_health_checks() {
    let export = TestExport::of_growing_world(20);
    let mut daemon = Daemon::start(&export, CONFIGURATION);
    daemon.wait_for_a_complete_sync().await;
    let address = daemon.address();
    let asks = |arguments: &[&str]| {
        let mut all = vec!["ready", "--listen", &address];
        all.extend(arguments);
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_armature-export"))
            .args(all)
            .output()
            .unwrap();
        let told = String::from_utf8(output.stdout).unwrap().trim().to_owned();
        (output.status.code(), told)
    };
    assert_eq!(asks(&[]), (Some(0), "ready".to_owned()));
    assert_eq!(asks(&["--alive"]), (Some(0), "alive".to_owned()));
    let refusal = Answer::Status { status: 401, headers: vec![], body: "{}".to_owned() };
    export.simulator.add_rule(Rule::new(Endpoint::Organization, refusal));
    daemon.wait_for("the export is stale", 1).await;
    assert_eq!(asks(&[]), (Some(3), "stale".to_owned()));
    assert_eq!(asks(&["--alive"]), (Some(0), "alive".to_owned()));
    daemon.signal("TERM");
    assert_eq!(daemon.ended().await, Some(0));
    assert_eq!(asks(&[]), (Some(5), String::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_well_written_and_their_names_do_not_change() {
    let export = TestExport::of_growing_world(60);
    let configuration =
        CONFIGURATION.replace("reconcile_cron = \"\"", "reconcile_cron = \"*/2 * * * * *\"");
    let mut daemon = Daemon::start(&export, &configuration);
    daemon.wait_for("reconciled:", 1).await;
    daemon.wait_for_a_complete_sync().await;
    let metrics = daemon.metrics().await;
    let mut labels: BTreeMap<&str, &str> = BTreeMap::new();
    for series in metrics.series.keys() {
        let (name, inside) = series.split_once('{').unwrap_or((series, ""));
        labels.entry(name).or_insert(inside);
    }
    let names: Vec<String> = metrics
        .types
        .iter()
        // Those of the process itself differ from one system to another.
        .filter(|(name, _)| name.starts_with("armature_export_"))
        .map(|(name, kind)| {
            let inside = labels.get(name.as_str()).copied().unwrap_or_default();
            let inside = inside.split(',').filter_map(|label| label.split_once('='));
            let inside: Vec<&str> = inside.map(|(name, _)| name).collect();
            format!("{kind} {name} {}", inside.join(" ")).trim_end().to_owned()
        })
        .collect();
    insta::assert_snapshot!(names.join("\n"), @r"
    gauge armature_export_build_info version
    counter armature_export_configuration_reloads_total outcome
    gauge armature_export_delivered_commit target
    counter armature_export_delivery_failures_total target
    gauge armature_export_delivery_lag_commits target
    counter armature_export_firings_skipped_total job reason
    gauge armature_export_gap_seconds
    gauge armature_export_gaps
    gauge armature_export_job_running job
    gauge armature_export_lake_bytes
    gauge armature_export_lake_commit
    gauge armature_export_lake_parts
    gauge armature_export_last_exit_code job
    gauge armature_export_last_report_timestamp_seconds
    gauge armature_export_last_success_timestamp_seconds
    gauge armature_export_last_sync_timestamp_seconds
    counter armature_export_messages_total kind outcome
    gauge armature_export_next_firing_timestamp_seconds job
    gauge armature_export_proven_until_timestamp_seconds
    counter armature_export_received_bytes_total
    gauge armature_export_reconciled_runs verdict
    counter armature_export_reconciliations_total outcome
    counter armature_export_rejected_cells_total
    counter armature_export_reports_total outcome
    counter armature_export_requests_total endpoint status
    counter armature_export_retries_total
    counter armature_export_rows_exported_total table
    gauge armature_export_runs state
    counter armature_export_runs_exported_total kind
    histogram armature_export_sync_duration_seconds
    counter armature_export_syncs_total outcome
    counter armature_export_wait_seconds_total reason
    ");
    let documentation = include_str!("../../../docs/OPERATIONS.md");
    for name in names.iter().filter_map(|line| line.split_whitespace().nth(1)) {
        assert!(documentation.contains(&format!("`{name}`")), "{name} is not documented");
    }
}
