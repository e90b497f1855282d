//! Runs that start, run, end and change while syncs go on.

use armature_export::simulator::{
    Answer, Endpoint, Rule, RunOverride, SimulatorSettings, WorldSettings,
};
use chrono::Duration;
use serde_json::json;

use crate::support::{TestExport, birth};

/// This machine's clock would be wrong here: the simulated time is another one.
#[tokio::test(flavor = "multi_thread")]
async fn a_date_that_cannot_be_read_once_is_asked_for_again() {
    let export = TestExport::of_growing_world(10);
    let expected = export.simulator.now();
    let answer = Answer::Status {
        status: 200,
        headers: vec![("Date".to_owned(), "soon".to_owned())],
        body: json!({"organization": {"id": "o"}}).to_string(),
    };
    export.simulator.add_rule(Rule { times: Some(1), ..Rule::new(Endpoint::Organization, answer) });
    let report = export.sync().await;
    let until = report.window.until.unwrap();
    let until = chrono::DateTime::parse_from_rfc3339(&until).unwrap();
    let apart = until.with_timezone(&chrono::Utc) - expected;
    assert!(apart.num_seconds().abs() < 60, "{until} {expected}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_living_world_is_followed() {
    let export = TestExport::new(SimulatorSettings {
        world: WorldSettings {
            runs: 60,
            seconds_between_runs: 90.0,
            late_evaluation_percent: 40,
            late_evaluation_seconds: 900.0,
            ..WorldSettings::default()
        },
        ..SimulatorSettings::default()
    });
    let mut opened = 0;
    for _ in 0..8 {
        let report = export.sync().await;
        assert_eq!(report.runs.failed, 0);
        opened += report.runs.open + report.runs.waiting;
        let expected = export.expected();
        let open = export.count("SELECT count(*) FROM open_runs");
        assert_eq!(
            usize::try_from(open).unwrap(),
            expected.open_runs.len() + expected.waiting.len()
        );
        export.assert_equals_the_world();
        export.simulator.advance(Duration::minutes(11));
    }
    assert!(opened > 0, "the world had no open runs: the test shows nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_changed_after_its_end_becomes_a_higher_revision() {
    let export = TestExport::of_growing_world(20);
    export.simulator.override_run(run("changing", "fail", Some("bad")));
    export.sync().await;
    export.simulator.override_run(run("changing", "pass", Some("good")));
    let report = export.sync().await;
    assert_eq!((report.runs.new, report.runs.changed), (0, 1));
    let one = "SELECT count(*) FROM runs WHERE run_id = 'changing'";
    assert_eq!(export.count(one), 1);
    let latest = "SELECT _revision FROM runs WHERE run_id = 'changing' AND status = 'pass'";
    assert_eq!(export.count(latest), 2);
    let judged = "SELECT count(*) FROM evaluations WHERE run_id = 'changing' AND verdict = 'good'";
    assert_eq!(export.count(judged), 1);
    let lake = format!(
        "SELECT count(*) FROM read_parquet('{}/runs/**/*.parquet') WHERE run_id = 'changing'",
        export.lake.display()
    );
    assert_eq!(export.count(&lake), 2);
    let report = export.sync().await;
    assert_eq!((report.runs.new, report.runs.changed), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_evaluation_that_comes_late_is_added() {
    let export = TestExport::of_growing_world(20);
    export.simulator.override_run(run("late", "fail", None));
    let report = export.sync().await;
    assert_eq!(report.runs.waiting, 1);
    export.simulator.advance(Duration::hours(2));
    export.sync().await;
    let state = "SELECT count(*) FROM runs WHERE run_id = 'late' AND evaluation_state = 'absent'";
    assert_eq!(export.count(state), 1);
    export.simulator.override_run(run("late", "fail", Some("bad")));
    export.simulator.advance(Duration::hours(30));
    let report = export.sync().await;
    assert_eq!(report.runs.changed, 1);
    let judged = "SELECT count(*) FROM runs WHERE run_id = 'late' AND verdict = 'bad' \
                  AND evaluation_state = 'ok' AND _revision = 2";
    assert_eq!(export.count(judged), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_form_of_too_many_requests_is_waited_for() {
    let export = TestExport::of_growing_world(40);
    let limited = |headers: Vec<(String, String)>, body: &str| Answer::Status {
        status: 429,
        headers,
        body: body.to_owned(),
    };
    let header = vec![("Retry-After".to_owned(), "1".to_owned())];
    for answer in [
        limited(header, ""),
        limited(vec![], r#"{"error":{"code":"rate_limited","details":{"retryAfterSec":1}}}"#),
        limited(vec![], r#"{"error":"slow down","retryAfterSec":1}"#),
    ] {
        export.simulator.add_rule(Rule { times: Some(3), ..Rule::new(Endpoint::Trace, answer) });
    }
    for status in [500, 502, 503, 408] {
        let answer = Answer::Status { status, headers: vec![], body: String::new() };
        let rule = Rule::new(Endpoint::Evaluation, answer);
        export.simulator.add_rule(Rule { times: Some(1), skip: 3, ..rule });
    }
    let reset = Rule::new(Endpoint::ToolCalls, Answer::Reset { after_bytes: 10 });
    export.simulator.add_rule(Rule { times: Some(2), ..reset });
    let report = export.sync().await;
    assert!(report.retries >= 15, "{} retries", report.retries);
    assert_eq!(report.outcome.name(), "complete");
    export.assert_equals_the_world();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_beyond_reach_is_a_gap_once() {
    let export = TestExport::of_slowly_growing_world(50);
    export.sync().await;
    export.simulator.advance(Duration::days(40));
    let report = export.sync().await;
    assert_eq!(report.gaps.len(), 1);
    assert_eq!(report.outcome.name(), "incomplete");
    assert_eq!(export.count("SELECT count(*) FROM _gaps"), 1);
    let report = export.sync().await;
    assert_eq!((report.gaps.len(), report.new_gap), (1, false));
    assert_eq!(report.outcome.name(), "complete");
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_that_overlap_export_each_run_once() {
    let mut export = TestExport::of_growing_world(40);
    let workflow = export.expected().runs[0]["workflow_id"].as_str().unwrap().to_owned();
    export.settings.filters.workflow_ids = vec![workflow.clone(), workflow];
    let report = export.sync().await;
    let twice = "SELECT count(*) - count(DISTINCT run_id) FROM runs";
    assert!(report.runs.new > 0);
    assert_eq!(export.count(twice), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_runs_that_keep_failing_stop_nothing_else() {
    let mut export = TestExport::of_growing_world(30);
    export.settings.api.max_attempts = 1;
    let broken = Answer::Status { status: 500, headers: vec![], body: String::new() };
    let broken_ids: Vec<String> = (0..40).map(|number| format!("broken {number}")).collect();
    for (number, id) in broken_ids.iter().enumerate() {
        export.simulator.override_run(run(id, "pass", Some("good")));
        // One in four is broken from the start, the rest later: never so many in a row at first.
        if number % 4 == 0 {
            let rule = Rule::new(Endpoint::Trace, broken.clone());
            export.simulator.add_rule(Rule { run_id: Some(id.clone()), ..rule });
        }
    }
    let first = export.sync().await;
    assert_eq!((first.runs.failed, first.outcome.name()), (10, "incomplete"));
    for _ in 0..3 {
        let report = export.sync().await;
        assert_eq!((report.runs.failed, report.outcome.name()), (10, "incomplete"));
    }
    export.simulator.clear_rules();
    let report = export.sync().await;
    assert_eq!((report.runs.new, report.outcome.name()), (10, "complete"));
}

/// A run that ended ten minutes before the world was born.
fn run(id: &str, status: &str, verdict: Option<&str>) -> RunOverride {
    let started_at = birth() - Duration::minutes(20);
    let ended_at = birth() - Duration::minutes(10);
    let listing = json!({
        "id": id, "status": status,
        "started_at": started_at.to_rfc3339(), "finished_at": ended_at.to_rfc3339(),
    });
    let evaluation = verdict.map(|verdict| json!({"run_id": id, "verdict": verdict}));
    RunOverride {
        id: id.to_owned(),
        started_at,
        documents: [
            (Endpoint::Run, Some(listing.clone())),
            (Endpoint::Trace, Some(json!({"spans": [{"id": "s", "name": "only"}]}))),
            (Endpoint::ToolCalls, Some(json!({"rows": []}))),
            (Endpoint::Evaluation, evaluation),
        ]
        .into(),
        listing,
    }
}
