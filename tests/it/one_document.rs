//! What one document answers concerns that document: every other run is exported, and the run
//! itself once its document has recovered.

use crate::support::{KEY, TestExport, answer, ended_runs, rule_for, start_simulator};
use armature_export::simulator::{Answer, Endpoint, Rule};
use serde_json::json;

/// One document of one run that answers so: the run is named, all others are there, and the next
/// sync brings it.
fn concerns_its_run_only(endpoint: Endpoint, answer: Answer) -> String {
    let export = TestExport::of_ended_runs(24);
    let mut others = export.expected_ids();
    let hit = others.remove(7);
    export.simulator.add_rule(rule_for(endpoint, &hit, answer));
    let ran = export.run(&["sync"]);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert_eq!(export.lake_ids(), others);
    assert_eq!(export.database_ids(), others);
    let failed = export.failed_runs();
    let [(run_id, problem)] = failed.as_slice() else { panic!("{failed:?}") };
    assert_eq!(*run_id, hit);
    let problem = problem.replace(&hit, "[run]");
    export.simulator.clear_rules();
    export.sync_brings_everything();
    problem
}

#[test]
fn statuses_that_say_nothing_of_the_whole_api() {
    let mut told = Vec::new();
    for status in [202, 206, 300, 304, 402, 403, 409, 418, 422, 451] {
        let problem = concerns_its_run_only(Endpoint::Trace, answer(status, "{}"));
        told.push(format!("{status}: {problem}"));
    }
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn a_redirect_elsewhere() {
    let location = "https://storage.example.com/traces/x.json?signature=abc".to_owned();
    let redirect = Answer::Redirect { status: 302, location };
    insta::assert_snapshot!(concerns_its_run_only(Endpoint::Trace, redirect), @"`GET /api/armature/v1/runs/[run]/trace` was redirected to `https://storage.example.com`, which is another host");
}

#[test]
fn a_redirect_in_circles() {
    let export = TestExport::of_ended_runs(1);
    let run = export.expected_ids().remove(0);
    let location = format!("{}/runs/{run}/trace", export.simulator.base_url());
    let redirect = Answer::Redirect { status: 302, location };
    export.simulator.add_rule(rule_for(Endpoint::Trace, &run, redirect));
    let ran = export.run(&["sync"]);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert_eq!(export.failed_runs().len(), 1);
}

/// Trace and evaluation that are gone, or empty: the run is exported without them.
#[test]
fn no_content_is_no_document() {
    for (endpoint, status) in
        [(Endpoint::Trace, 204), (Endpoint::ToolCalls, 205), (Endpoint::Evaluation, 410)]
    {
        let export = TestExport::of_ended_runs(6);
        let run = export.expected_ids().remove(2);
        export.simulator.add_rule(rule_for(endpoint, &run, answer(status, "")));
        let ran = export.run(&["sync"]);
        assert_eq!(ran.code, Some(0), "{status}: {}", ran.stderr);
        assert_eq!(export.lake_ids(), export.expected_ids(), "{status}");
        assert_eq!(export.database_ids(), export.expected_ids(), "{status}");
    }
}

/// A judge that failed is what the evaluation says: the run comes with it.
#[test]
fn an_evaluation_that_failed_is_an_evaluation() {
    let export = TestExport::of_ended_runs(6);
    let run = export.expected_ids().remove(2);
    let body =
        json!({"status": "error", "error": "judge model unavailable", "code": "judge_failed"});
    export.simulator.add_rule(rule_for(Endpoint::Evaluation, &run, answer(200, body.to_string())));
    let ran = export.run(&["sync"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(export.lake_ids(), export.expected_ids());
    let sql =
        format!("SELECT status, error_message, verdict FROM evaluations WHERE run_id = '{run}'");
    assert_eq!(export.ask(&sql), [["error", "judge model unavailable", ""]]);
}

/// A body that never ends is cut off at the limit; the others do not wait for it.
#[test]
fn a_body_without_an_end() {
    let export = TestExport::of_ended_runs(12);
    let mut others = export.expected_ids();
    let endless = others.remove(3);
    export.configure("max_body_bytes = 1048576\n");
    let body = format!("{{\"spans\": [\"{}\"]}}", "x".repeat(4 * 1024 * 1024));
    export.simulator.add_rule(rule_for(Endpoint::Trace, &endless, answer(200, body)));
    let ran = export.run(&["sync"]);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert_eq!(export.lake_ids(), others);
}

/// One endpoint that is down for every run is no reason to stop: what the others say is known, each
/// run is named, and no run costs all of its tries.
#[test]
fn an_endpoint_that_is_down_stops_no_sync() {
    let export = TestExport::of_ended_runs(60);
    export.simulator.add_rule(Rule::new(Endpoint::Trace, answer(500, "{}")));
    let ran = export.run(&["sync", "--output", "json"]);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    let report = ran.json();
    assert_eq!((&report["runs"]["failed"], &report["runs"]["listed"]), (&json!(60), &json!(60)));
    assert_eq!(report["stopped_by"], json!(null));
    // Two tries of the first few, and one of the others.
    let traces = report["retries"].as_u64().unwrap();
    assert!(traces < 60, "{traces} retries");
    export.simulator.clear_rules();
    export.sync_brings_everything();
}

/// The hosts that the configuration names are asked, and never see the key.
#[test]
fn documents_come_from_hosts_that_are_named_and_without_the_key() {
    let export = TestExport::of_ended_runs(6);
    let elsewhere = start_simulator(ended_runs(6));
    let run = export.expected_ids().remove(2);
    let trace = json!({"spans": [{"id": "from elsewhere", "name": "x"}]}).to_string();
    // What the other host would refuse without a key is not asked here: rules come first.
    elsewhere.add_rule(Rule::new(Endpoint::Trace, answer(200, trace)));
    let host = format!("http://localhost:{}", elsewhere.port());
    let location = format!("{host}/api/armature/v1/runs/stored/trace?signature=abc");
    export.simulator.add_rule(rule_for(
        Endpoint::Trace,
        &run,
        Answer::Redirect { status: 302, location },
    ));
    let refused = export.run(&["sync"]);
    assert_eq!(refused.code, Some(3), "{}", refused.stderr);
    assert_eq!(elsewhere.requests().len(), 0);

    export.configure("redirect_hosts = [\"localhost\"]\n");
    let ran = export.run(&["sync"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(export.lake_ids(), export.expected_ids());
    let sql = format!("SELECT span_id FROM spans WHERE run_id = '{run}'");
    assert_eq!(export.ask(&sql), [["from elsewhere"]]);
    let asked = elsewhere.requests();
    assert!(!asked.is_empty());
    for request in asked {
        assert!(!format!("{request:?}").contains(KEY), "the key went elsewhere: {request:?}");
        assert!(!request.has_authorization, "{request:?}");
    }
}
