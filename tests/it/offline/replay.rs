//! All tables made again from the documents.

use std::collections::BTreeMap;

use armature_export::job::LakeJob;
use armature_export::lake::LakeView;
use armature_export::replay::{ReplayReport, plan, replay};
use armature_export::simulator::{Endpoint, RunOverride};
use armature_export::tables::{ColumnOverride, Kind};
use armature_export::targets::DeliveryReport;
use chrono::Duration;
use serde_json::{Value, json};

use crate::support::rows;
use crate::support::{TestExport, birth};

fn options(export: &TestExport) -> LakeJob {
    export.job(birth().into())
}

pub(crate) async fn replayed(export: &TestExport) -> ReplayReport {
    let replayed = replay(&options(export)).await.unwrap();
    let failed = replayed.deliveries.iter().find_map(DeliveryReport::error);
    assert!(failed.is_none(), "{failed:?}");
    replayed
}

/// A run that ended long enough ago to be exported, with or without an evaluation.
fn run(id: &str, status: &str, verdict: Option<&str>) -> RunOverride {
    let (started_at, ended_at) = (birth() - Duration::hours(4), birth() - Duration::hours(3));
    let listing = json!({
        "id": id, "status": status, "team": "blue",
        "started_at": started_at.to_rfc3339(), "finished_at": ended_at.to_rfc3339(),
    });
    let evaluation = verdict.map(|verdict| json!({"run_id": id, "verdict": verdict}));
    let documents = BTreeMap::from([
        (Endpoint::Run, Some(listing.clone())),
        (Endpoint::Trace, Some(json!({"spans": [{"id": "s", "name": "only"}]}))),
        (Endpoint::ToolCalls, Some(json!({"rows": []}))),
        (Endpoint::Evaluation, evaluation),
    ]);
    RunOverride { id: id.to_owned(), started_at, listing, documents }
}

/// Every append table of the DuckDB file, without what a replay may change.
fn tables(export: &TestExport) -> BTreeMap<&'static str, Vec<Vec<String>>> {
    let tables = armature_export::tables::ALL.iter().map(|table| table.name);
    let read = |table| {
        let sql = format!("SELECT * FROM \"{table}\" ORDER BY ALL");
        (table, armature_export::query::query(&export.duckdb, &sql).unwrap().1)
    };
    tables.map(read).collect()
}

async fn assert_nothing_is_fetched_again(export: &TestExport) {
    export.simulator.clear_requests();
    let report = export.sync().await;
    assert_eq!((report.runs.new, report.runs.changed), (0, 0));
    assert!(report.requests <= 6, "{} requests", report.requests);
}

#[tokio::test(flavor = "multi_thread")]
async fn under_the_same_mapping_a_replay_gives_the_same_rows() {
    let mut export = TestExport::of_growing_world(60);
    export.settings.sync.commit_bytes = 50_000;
    let first = export.sync().await;
    assert!(first.commits > 3, "{} commits", first.commits);
    let parts = export.parts().len();
    for again in 1..=2 {
        let planned = plan(&options(&export)).await.unwrap();
        let report = replayed(&export).await;
        assert_eq!(report.commit, Some(first.commits + again));
        assert_eq!(report.rows_before, report.rows_after);
        let mut expected = json!(report);
        (expected["commit"], expected["deliveries"]) = (Value::Null, json!([]));
        assert_eq!(json!(planned), expected);
        assert_eq!(report.runs, u64::try_from(export.expected().runs.len()).unwrap());
        assert_eq!(export.parts().len(), parts);
        export.assert_equals_the_world();
        let revisions = "SELECT DISTINCT _revision FROM runs";
        assert_eq!(export.count(revisions), i64::try_from(again).unwrap() + 1);
    }
    let delivered = tables(&export);
    export.deliver(true).await.unwrap();
    assert!(delivered == tables(&export), "a database that is made again is another");
    assert_nothing_is_fetched_again(&export).await;
    export.assert_equals_the_world();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_was_added_later_reaches_old_runs() {
    let mut export = TestExport::of_growing_world(20);
    export.simulator.override_run(run("teamed", "pass", Some("good")));
    export.sync().await;
    export.settings.columns.push(ColumnOverride {
        table: "runs".to_owned(),
        name: "team".to_owned(),
        kind: Some(Kind::Text),
        sources: vec!["team".to_owned()],
        ..ColumnOverride::default()
    });
    replayed(&export).await;
    let teams = "SELECT count(*) FROM runs WHERE team = 'blue' AND _extra IS NULL";
    assert_eq!(export.count(teams), 1);
    assert_nothing_is_fetched_again(&export).await;
    export.deliver(true).await.unwrap();
    assert_eq!(export.count(teams), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mapping_that_moves_the_start_moves_runs_to_their_day() {
    let mut export = TestExport::of_growing_world(10);
    let started = |path: &str| ColumnOverride {
        table: "runs".to_owned(),
        name: "started_at".to_owned(),
        kind: None,
        sources: vec![path.to_owned()],
        ..ColumnOverride::default()
    };
    export.settings.columns.push(started("nowhere"));
    export.sync().await;
    let day = |day: &str| export.parts().iter().any(|part| part.to_string_lossy().contains(day));
    assert!(day("date=1970-01-01"));
    export.settings.columns[0] = started("started_at");
    replayed(&export).await;
    let day = |day: &str| export.parts().iter().any(|part| part.to_string_lossy().contains(day));
    assert!(!day("date=1970-01-01"));
    export.assert_equals_the_world();
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_with_several_revisions_keep_their_history() {
    let export = TestExport::of_growing_world(10);
    export.simulator.override_run(run("changing", "fail", Some("bad")));
    export.sync().await;
    export.simulator.override_run(run("changing", "pass", Some("good")));
    export.sync().await;
    replayed(&export).await;
    let files = format!("read_parquet('{}/runs/**/*.parquet')", export.lake.display());
    let history = format!(
        "SELECT count(*) FROM {files} WHERE run_id = 'changing' AND \
         (_revision, status) IN ((1, 'fail'), (3, 'pass'))"
    );
    assert_eq!(rows::count_in_memory(&history), 2);
    let latest = "SELECT max(_revision) FROM runs WHERE run_id = 'changing' HAVING count(*) = 1";
    assert_eq!(export.count(latest), 3);
    let delivered = tables(&export);
    export.deliver(true).await.unwrap();
    assert!(delivered == tables(&export), "a database that is made again is another");
    export.simulator.override_run(run("changing", "pass", Some("better")));
    export.simulator.override_run(run("changing", "partial", Some("better")));
    let report = export.sync().await;
    assert_eq!(report.runs.changed, 1);
    assert_eq!(export.count(latest), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_without_documents_stay_as_they_are() {
    let mut export = TestExport::of_growing_world(10);
    export.simulator.override_run(run("changing", "fail", Some("bad")));
    export.sync().await;
    export.settings.lake.documents = false;
    export.simulator.override_run(run("changing", "pass", Some("good")));
    export.sync().await;
    let report = replayed(&export).await;
    assert_eq!(report.runs_without_documents, 1);
    let latest = "SELECT max(_revision) FROM runs WHERE run_id = 'changing' AND status = 'pass' \
                  HAVING count(*) = 1";
    assert_eq!(export.count(latest), 2);
    let spans = "SELECT count(*) FROM spans WHERE run_id = 'changing'";
    assert_eq!(export.count(spans), 1);
    let delivered = tables(&export);
    export.deliver(true).await.unwrap();
    assert!(delivered == tables(&export), "a database that is made again is another");
    assert_nothing_is_fetched_again(&export).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_late_catches_up_with_a_replay() {
    let mut export = TestExport::of_growing_world(60);
    export.simulator.override_run(run("changing", "fail", Some("bad")));
    export.sync().await;
    export.settings.duckdb.enabled = false;
    export.simulator.override_run(run("changing", "pass", Some("good")));
    export.simulator.advance(Duration::hours(30));
    export.sync().await;
    let report = replayed(&export).await;
    assert!(report.deliveries.is_empty());
    export.simulator.advance(Duration::hours(2));
    export.sync().await;
    export.settings.duckdb.enabled = true;
    export.deliver(false).await.unwrap();
    let delivered = tables(&export);
    export.deliver(true).await.unwrap();
    assert!(delivered == tables(&export), "a database that is made again is another");
    let changed = "SELECT _revision FROM runs WHERE run_id = 'changing' AND status = 'pass'";
    assert_eq!(export.count(changed), 3);
    let doubled = "SELECT count(*) - count(DISTINCT run_id) FROM runs";
    assert_eq!(export.count(doubled), 0);
    let lake = LakeView::open(&export.lake).await.unwrap();
    assert_eq!(lake.snapshot().await.unwrap().iter().count(), export.parts().len());
}
