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

use crate::world::kit::{Kit, birth};
use crate::world::rows;

fn options(kit: &Kit) -> LakeJob {
    kit.job(birth().into())
}

pub(crate) async fn replayed(kit: &Kit) -> ReplayReport {
    let replayed = replay(&options(kit)).await.unwrap();
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
fn tables(kit: &Kit) -> BTreeMap<&'static str, Vec<Vec<String>>> {
    let tables = armature_export::tables::ALL.iter().map(|table| table.name);
    let read = |table| {
        let sql = format!("SELECT * FROM \"{table}\" ORDER BY ALL");
        (table, armature_export::query::query(&kit.duckdb, &sql).unwrap().1)
    };
    tables.map(read).collect()
}

async fn assert_nothing_is_fetched_again(kit: &Kit) {
    kit.simulator.clear_requests();
    let report = kit.sync().await;
    assert_eq!((report.runs.new, report.runs.changed), (0, 0));
    assert!(report.requests <= 6, "{} requests", report.requests);
}

#[tokio::test(flavor = "multi_thread")]
async fn under_the_same_mapping_a_replay_gives_the_same_rows() {
    let mut kit = Kit::start(120).await;
    kit.settings.sync.commit_bytes = 100_000;
    let first = kit.sync().await;
    assert!(first.commits > 3, "{} commits", first.commits);
    let parts = kit.parts().len();
    for again in 1..=2 {
        let planned = plan(&options(&kit)).await.unwrap();
        let report = replayed(&kit).await;
        assert_eq!(report.commit, Some(first.commits + again));
        assert_eq!(report.rows_before, report.rows_after);
        let mut expected = json!(report);
        (expected["commit"], expected["deliveries"]) = (Value::Null, json!([]));
        assert_eq!(json!(planned), expected);
        assert_eq!(report.runs, u64::try_from(kit.expected().runs.len()).unwrap());
        assert_eq!(kit.parts().len(), parts);
        kit.assert_equals_the_world();
        let revisions = "SELECT DISTINCT _revision FROM runs";
        assert_eq!(rows::count(&kit.duckdb, revisions), i64::try_from(again).unwrap() + 1);
    }
    let delivered = tables(&kit);
    kit.deliver(true).await.unwrap();
    assert!(delivered == tables(&kit), "a database that is made again is another");
    assert_nothing_is_fetched_again(&kit).await;
    kit.assert_equals_the_world();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_was_added_later_reaches_old_runs() {
    let mut kit = Kit::start(20).await;
    kit.simulator.override_run(run("teamed", "pass", Some("good")));
    kit.sync().await;
    kit.settings.columns.push(ColumnOverride {
        table: "runs".to_owned(),
        name: "team".to_owned(),
        kind: Some(Kind::Text),
        sources: vec!["team".to_owned()],
        ..ColumnOverride::default()
    });
    replayed(&kit).await;
    let teams = "SELECT count(*) FROM runs WHERE team = 'blue' AND _extra IS NULL";
    assert_eq!(rows::count(&kit.duckdb, teams), 1);
    assert_nothing_is_fetched_again(&kit).await;
    kit.deliver(true).await.unwrap();
    assert_eq!(rows::count(&kit.duckdb, teams), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mapping_that_moves_the_start_moves_runs_to_their_day() {
    let mut kit = Kit::start(10).await;
    let started = |path: &str| ColumnOverride {
        table: "runs".to_owned(),
        name: "started_at".to_owned(),
        kind: None,
        sources: vec![path.to_owned()],
        ..ColumnOverride::default()
    };
    kit.settings.columns.push(started("nowhere"));
    kit.sync().await;
    let day = |day: &str| kit.parts().iter().any(|part| part.to_string_lossy().contains(day));
    assert!(day("date=1970-01-01"));
    kit.settings.columns[0] = started("started_at");
    replayed(&kit).await;
    let day = |day: &str| kit.parts().iter().any(|part| part.to_string_lossy().contains(day));
    assert!(!day("date=1970-01-01"));
    kit.assert_equals_the_world();
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_with_several_revisions_keep_their_history() {
    let kit = Kit::start(10).await;
    kit.simulator.override_run(run("changing", "fail", Some("bad")));
    kit.sync().await;
    kit.simulator.override_run(run("changing", "pass", Some("good")));
    kit.sync().await;
    replayed(&kit).await;
    let files = format!("read_parquet('{}/runs/**/*.parquet')", kit.lake.display());
    let history = format!(
        "SELECT count(*) FROM {files} WHERE run_id = 'changing' AND \
         (_revision, status) IN ((1, 'fail'), (3, 'pass'))"
    );
    assert_eq!(rows::count_in_memory(&history), 2);
    let latest = "SELECT max(_revision) FROM runs WHERE run_id = 'changing' HAVING count(*) = 1";
    assert_eq!(rows::count(&kit.duckdb, latest), 3);
    let delivered = tables(&kit);
    kit.deliver(true).await.unwrap();
    assert!(delivered == tables(&kit), "a database that is made again is another");
    kit.simulator.override_run(run("changing", "pass", Some("better")));
    kit.simulator.override_run(run("changing", "partial", Some("better")));
    let report = kit.sync().await;
    assert_eq!(report.runs.changed, 1);
    assert_eq!(rows::count(&kit.duckdb, latest), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_without_documents_stay_as_they_are() {
    let mut kit = Kit::start(10).await;
    kit.simulator.override_run(run("changing", "fail", Some("bad")));
    kit.sync().await;
    kit.settings.lake.documents = false;
    kit.simulator.override_run(run("changing", "pass", Some("good")));
    kit.sync().await;
    let report = replayed(&kit).await;
    assert_eq!(report.runs_without_documents, 1);
    let latest = "SELECT max(_revision) FROM runs WHERE run_id = 'changing' AND status = 'pass' \
                  HAVING count(*) = 1";
    assert_eq!(rows::count(&kit.duckdb, latest), 2);
    let spans = "SELECT count(*) FROM spans WHERE run_id = 'changing'";
    assert_eq!(rows::count(&kit.duckdb, spans), 1);
    let delivered = tables(&kit);
    kit.deliver(true).await.unwrap();
    assert!(delivered == tables(&kit), "a database that is made again is another");
    assert_nothing_is_fetched_again(&kit).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_late_catches_up_with_a_replay() {
    let mut kit = Kit::start(60).await;
    kit.simulator.override_run(run("changing", "fail", Some("bad")));
    kit.sync().await;
    kit.settings.duckdb.enabled = false;
    kit.simulator.override_run(run("changing", "pass", Some("good")));
    kit.simulator.advance(Duration::hours(30));
    kit.sync().await;
    let report = replayed(&kit).await;
    assert!(report.deliveries.is_empty());
    kit.simulator.advance(Duration::hours(2));
    kit.sync().await;
    kit.settings.duckdb.enabled = true;
    kit.deliver(false).await.unwrap();
    let delivered = tables(&kit);
    kit.deliver(true).await.unwrap();
    assert!(delivered == tables(&kit), "a database that is made again is another");
    let changed = "SELECT _revision FROM runs WHERE run_id = 'changing' AND status = 'pass'";
    assert_eq!(rows::count(&kit.duckdb, changed), 3);
    let doubled = "SELECT count(*) - count(DISTINCT run_id) FROM runs";
    assert_eq!(rows::count(&kit.duckdb, doubled), 0);
    let lake = LakeView::open(&kit.lake).await.unwrap();
    assert_eq!(lake.snapshot().await.unwrap().iter().count(), kit.parts().len());
}
