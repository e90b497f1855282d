//! `gate` as CI runs it: the program as a process, against a simulator that dispatches runs.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};

use armature_export::api::ApiError;
use armature_export::config::{ApiKey, ApiSettings};
use armature_export::event::Events;
use armature_export::gate::{
    GateError, GateFailure, GateOptions, GateReport, Progress, Required, Rules, Verdict, gate,
};
use armature_export::simulator::{
    Answer, DispatchResponse, Dispatching, Endpoint, Rule, RunOverride, SimulatorSettings,
};
use armature_export::tables::Mapping;
use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::support::{KEY, ProgramOutput, TestExport, all_at_once, answer, ended_runs, now};

/// What must come, comes within this time also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// Runs that end, and are evaluated, in the moment in which they are dispatched.
fn at_once() -> Dispatching {
    Dispatching { run_seconds: (0.0, 0.0), pass_percent: Some(100), ..Dispatching::default() }
}

/// Runs that take a minute of the simulated time, which stands still until the test moves it.
fn in_a_minute() -> Dispatching {
    Dispatching { run_seconds: (60.0, 60.0), ..at_once() }
}

/// An export of an API with so many earlier runs that dispatches in this way.
fn export_with(runs: u32, dispatch: Dispatching) -> TestExport {
    let role = "editor".to_owned();
    TestExport::new(SimulatorSettings { dispatch, role, ..ended_runs(runs) })
}

fn export(dispatch: Dispatching) -> TestExport {
    export_with(0, dispatch)
}

/// The arguments of a gate that looks at its runs without long pauses, and that ends by itself
/// where a test would wait for ever.
fn arguments<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let timeout: &[&str] = if more.contains(&"--timeout") { &[] } else { &["--timeout", "90s"] };
    [&["gate", "--poll-interval", "100ms"], timeout, more].concat()
}

fn run(export: &TestExport, more: &[&str]) -> ProgramOutput {
    export.run(&arguments(more))
}

/// The report of a gate as JSON, and its exit code.
fn report(export: &TestExport, more: &[&str]) -> (Option<i32>, Value) {
    let ran = run(export, &[more, &["--output", "json"]].concat());
    assert!(ran.stdout.starts_with('{'), "{}", ran.told());
    (ran.code, ran.json())
}

/// The outcomes of a report's attempts, group by group.
fn outcomes(report: &Value) -> Vec<Vec<String>> {
    let groups = report["groups"].as_array().unwrap().iter();
    let outcomes = groups.map(|group| {
        let attempts = group["attempts"].as_array().unwrap().iter();
        attempts.map(|one| one["outcome"].as_str().unwrap().to_owned()).collect()
    });
    outcomes.collect()
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "{what}");
        #[expect(clippy::disallowed_methods, reason = "a test in a thread of its own")]
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// How many dispatches the API has answered or not.
fn dispatches(export: &TestExport) -> usize {
    export.simulator.requests().iter().filter(|request| request.method == "POST").count()
}

/// Waits until a gate has dispatched so many runs and looked at one after that.
fn wait_for_looks(export: &TestExport, runs: usize) {
    let simulator = &export.simulator;
    wait_until("the runs were not dispatched", || simulator.dispatched_runs().len() >= runs);
    let last = simulator.dispatched_runs().pop().unwrap();
    wait_until("nobody looks at the runs", || {
        simulator.requests().iter().any(|request| request.path.ends_with(&last))
    });
}

#[test]
fn a_pass() {
    let export = export(at_once());
    let ran = run(&export, &["checkout smoke test", "docs answer quality"]);
    assert_eq!(ran.code, Some(0), "{}", ran.told());
    assert_snapshot!(without_time(&ran));
    assert_eq!(export.simulator.dispatched_runs().len(), 6);
}

/// stdout and stderr, without the time that it took.
fn without_time(ran: &ProgramOutput) -> String {
    let lines = ran.stdout.lines().map(|line| line.split(", after ").next().unwrap());
    let stdout = lines.collect::<Vec<_>>().join("\n");
    let waiting = |line: &&str| !line.starts_with("waiting for ");
    let told = ran.told();
    let told: Vec<&str> = told.lines().filter(waiting).collect();
    ran.with_placeholders(&format!("{stdout}\n---\n{}", told.join("\n")))
}

#[test]
fn a_fail_names_the_criteria_and_the_runs() {
    let export = export(Dispatching { pass_percent: Some(0), ..at_once() });
    let ran = run(&export, &["refund request"]);
    assert_eq!(ran.code, Some(7), "{}", ran.told());
    assert_snapshot!(without_time(&ran));
}

#[test]
fn errors_are_repeated_once_and_are_inconclusive() {
    let export = export(Dispatching { error_percent: 100, ..at_once() });
    let (code, found) = report(&export, &["refund request"]);
    assert_eq!(code, Some(3), "{found}");
    assert_eq!(outcomes(&found), [["error"; 6]]);
    assert_eq!(found["groups"][0]["counted"], 3);
    assert_eq!(export.simulator.dispatched_runs().len(), 6);
    let (code, _) = report(&export, &["refund request", "--inconclusive", "pass"]);
    assert_eq!(code, Some(0));
    let (code, _) = report(&export, &["refund request", "--inconclusive", "fail"]);
    assert_eq!(code, Some(7));
}

#[test]
fn an_error_is_replaced_by_the_run_of_the_second_dispatch() {
    let export = export(Dispatching { error_percent: 100, models: 2, ..in_a_minute() });
    let child = export.start(&arguments(&["refund request", "--output", "json"]));
    wait_for_looks(&export, 6);
    export.simulator.set_dispatching(Dispatching { models: 2, ..in_a_minute() });
    export.simulator.advance(chrono::Duration::minutes(1));
    wait_for_looks(&export, 12);
    export.simulator.advance(chrono::Duration::minutes(1));
    let ran = export.wait(child);
    let found = ran.json();
    assert_eq!(ran.code, Some(0), "{found}");
    let expected = ["error", "passed", "error", "passed", "error", "passed"];
    assert_eq!(outcomes(&found), [expected, expected]);
    assert_eq!(dispatches(&export), 6);
}

#[test]
fn a_viewer_may_not_dispatch_but_may_judge_runs() {
    let export = TestExport::new(ended_runs(30));
    let ran = run(&export, &["refund request"]);
    assert_snapshot!(ran.told());
    // Runs of the world that have ended, whatever they came to.
    let ids: Vec<String> = export.simulator.world().run_ids(now()).take(4).collect();
    let more: Vec<&str> = ids.iter().flat_map(|id| ["--run", id.as_str()]).collect();
    let (code, found) = report(&export, &more);
    assert!(matches!(code, Some(0 | 3 | 7)), "{found}");
    let groups = found["groups"].as_array().unwrap();
    let attempts = groups.iter().flat_map(|group| group["attempts"].as_array().unwrap());
    let mut judged: Vec<&str> = attempts.map(|one| one["run_id"].as_str().unwrap()).collect();
    judged.sort_unstable();
    let mut given: Vec<&str> = ids.iter().map(String::as_str).collect();
    given.sort_unstable();
    assert_eq!(judged, given);
    assert_eq!(dispatches(&export), 1, "only the one that was refused");
}

#[test]
fn an_api_that_cannot_be_reached() {
    let export = export(at_once());
    let nowhere = run(&export, &["refund request", "--api-url", "http://127.0.0.1:1/api"]);
    assert_eq!(nowhere.code, Some(5), "{}", nowhere.told());
    export.simulator.add_rule(Rule::new(Endpoint::Dispatch, answer(503, String::new())));
    let ran = run(&export, &["refund request"]);
    assert_snapshot!(ran.told());
    assert_eq!(dispatches(&export), 3);
}

#[test]
fn wrong_usage_sends_no_dispatch() {
    let export = export(at_once());
    let twice = json!({"rows": [{"id": "a", "name": "twice"}, {"id": "b", "name": "twice"}]});
    let told = [
        run(&export, &["refnd request"]).told(),
        run(&export, &["zzz"]).told(),
        run(&export, &["refund request", "--repeat", "2", "--min-passes", "3"]).told(),
        run(&export, &["refund request", "--baseline", "none", "--baseline-blocks"]).told(),
        run(&export, &["refund request", "--timeout", "8days"]).told(),
        run(&export, &["refund request", "--evaluation-grace", "500000000000years"]).told(),
        export.run(&["gate", "refund request", "--poll-interval", "0s"]).told(),
        export.run(&["gate", "refund request", "--poll-interval", "2h"]).told(),
        run(&export, &["--run", "nothing"]).told(),
        run(&export, &["--run", ".."]).told(),
        {
            let rule = Rule::new(Endpoint::Workflows, answer(200, twice.to_string()));
            export.simulator.add_rule(rule);
            run(&export, &["twice"]).told()
        },
    ];
    assert_snapshot!(told.join("\n"));
    assert_eq!(dispatches(&export), 0);
}

#[test]
fn every_form_of_the_response_is_understood() {
    all_at_once(DispatchResponse::ALL, |response| {
        let export = export(Dispatching { response, models: 2, ..at_once() });
        let (code, found) = report(&export, &["refund request", "docs answer quality"]);
        let dispatched = export.simulator.dispatched_runs();
        if response == DispatchResponse::Unknown {
            // Two runs for each dispatch, while the workflow's record names one model: nothing
            // tells whose they are.
            assert_eq!(code, Some(3), "{found}");
            assert_eq!(outcomes(&found), [["no_run"; 3], ["no_run"; 3]]);
            return;
        }
        assert_eq!(code, Some(0), "{response:?}: {found}");
        let groups = dispatched.len() / 3;
        assert_eq!(outcomes(&found), vec![vec!["passed"; 3]; groups], "{response:?}");
    });
}

#[test]
fn runs_that_no_answer_names_are_found_in_the_list() {
    let response = DispatchResponse::Unknown;
    for shows_idempotency_key in [false, true] {
        let export = export(Dispatching { response, shows_idempotency_key, ..at_once() });
        let (code, found) = report(&export, &["refund request"]);
        assert_eq!(code, Some(0), "{found}");
        let attempts = found["groups"][0]["attempts"].as_array().unwrap().clone();
        let mut judged: Vec<&str> =
            attempts.iter().map(|one| one["run_id"].as_str().unwrap()).collect();
        judged.sort_unstable();
        let mut dispatched = export.simulator.dispatched_runs();
        dispatched.sort_unstable();
        assert_eq!(judged, dispatched);
        let note = found["notes"][0].as_str().unwrap();
        let is_inferred = note.starts_with("dispatches for which the API named no run: 3;");
        assert_eq!(is_inferred, !shows_idempotency_key, "{note}");
    }
}

/// A run of the workflow that somebody else started in the same moment.
fn foreign_run(export: &TestExport, workflow: &str) -> RunOverride {
    let (id, _) = workflow_id(export, workflow);
    let listing = json!({
        "id": "foreign", "workflow_id": id, "status": "fail", "model_id": "claude-sonnet-4-5",
        "harness": "claude_code", "trigger_type": "manual",
        "started_at": now().to_rfc3339(), "finished_at": now().to_rfc3339(),
    });
    let documents = BTreeMap::from([
        (Endpoint::Run, Some(listing.clone())),
        (Endpoint::Evaluation, Some(json!({"verdict": "fail"}))),
    ]);
    RunOverride { id: "foreign".to_owned(), started_at: now(), listing, documents }
}

/// The id of a workflow of the simulated world.
fn workflow_id(export: &TestExport, name: &str) -> (String, Value) {
    let url = format!("{}/workflows", export.simulator.base_url());
    armature_export::tls::install();
    let body = crate::support::block_on(async {
        let request = reqwest::Client::builder().no_proxy().build().unwrap().get(url);
        request.bearer_auth("amt_x").send().await.unwrap().text().await.unwrap()
    });
    let body: Value = serde_json::from_str(&body).unwrap();
    let rows = body["rows"].as_array().unwrap();
    let row = rows.iter().find(|row| row["name"] == name).unwrap();
    (row["id"].as_str().unwrap().to_owned(), row.clone())
}

#[test]
fn a_foreign_run_never_counts() {
    for (response, shows_idempotency_key, expected) in [
        (DispatchResponse::Runs, false, "passed"),
        (DispatchResponse::Unknown, true, "passed"),
        (DispatchResponse::Unknown, false, "no_run"),
    ] {
        let export = export(Dispatching { response, shows_idempotency_key, ..at_once() });
        export.simulator.override_run(foreign_run(&export, "refund request"));
        let (_, found) = report(&export, &["refund request", "--repeat", "1"]);
        assert_eq!(outcomes(&found), [[expected]], "{found}");
    }
}

/// The dispatched run is listed later than a foreign one, and a run from before the dispatch is
/// there all the time.
#[test]
fn a_foreign_run_that_is_listed_first_does_not_count() {
    let response = DispatchResponse::Unknown;
    let export = export(Dispatching { response, ..at_once() });
    let foreign = foreign_run(&export, "refund request");
    let only_foreign = json!({"rows": [foreign.listing], "total": 1}).to_string();
    export.simulator.override_run(foreign);
    // The first page, and the page after it that a reader of lists asks for.
    let rule = Rule { times: Some(2), ..Rule::new(Endpoint::Runs, answer(200, only_foreign)) };
    export.simulator.add_rule(rule);
    let (_, found) = report(&export, &["refund request", "--repeat", "1"]);
    assert_eq!(outcomes(&found), [["no_run"]], "{found}");

    let export = self::export(Dispatching { response, ..at_once() });
    let early = now() - chrono::Duration::seconds(30);
    let foreign = foreign_run(&export, "refund request");
    let mut listing = foreign.listing.clone();
    listing["started_at"] = json!(early.to_rfc3339());
    export.simulator.override_run(RunOverride { started_at: early, listing, ..foreign });
    let (_, found) = report(&export, &["refund request", "--repeat", "1"]);
    assert_eq!(outcomes(&found), [["passed"]], "{found}");
}

#[test]
fn a_lost_answer_costs_no_run_where_the_key_is_honoured_or_shown() {
    let lost = || Rule {
        times: Some(1),
        ..Rule::new(Endpoint::Dispatch, Answer::Reset { after_bytes: 3 })
    };
    // Honoured and shown, and how many runs the API has dispatched in the end.
    for (honoured, shown, dispatched) in
        [(true, false, 3), (false, true, 3), (true, true, 3), (false, false, 4)]
    {
        let export = export(Dispatching {
            honours_idempotency_key: honoured,
            shows_idempotency_key: shown,
            ..at_once()
        });
        export.simulator.add_rule(lost());
        let (code, found) = report(&export, &["refund request"]);
        assert_eq!((code, outcomes(&found)), (Some(0), vec![vec!["passed".to_owned(); 3]]));
        assert_eq!(export.simulator.dispatched_runs().len(), dispatched, "{honoured} {shown}");
        let lists = export.simulator.requests();
        assert!(
            lists.iter().any(|request| request.path.ends_with("/runs") && request.method == "GET"),
            "it looked before it repeated"
        );
    }
}

/// An API that takes the second repetition for the first one, although their keys differ.
#[test]
fn one_run_never_counts_for_two_repetitions() {
    let export = export(at_once());
    export.simulator.override_run(foreign_run(&export, "refund request"));
    let body = json!({"id": "foreign"}).to_string();
    let same = Rule { times: Some(2), ..Rule::new(Endpoint::Dispatch, answer(202, body)) };
    export.simulator.add_rule(same);
    let (_, found) = report(&export, &["refund request", "--repeat", "2"]);
    assert_eq!(outcomes(&found), [["failed", "passed"]], "{found}");
    let requests = export.simulator.requests();
    let posts = requests.iter().filter(|request| request.method == "POST");
    let posts: Vec<Value> =
        posts.map(|request| serde_json::from_str(&request.body).unwrap()).collect();
    let forced: Vec<bool> = posts.iter().map(|body| body["forceNewRun"] == true).collect();
    assert_eq!(forced, [false, false, true]);
    assert_ne!(posts[1]["idempotencyKey"], posts[2]["idempotencyKey"]);
}

#[test]
fn each_repetition_has_a_key_of_its_own_in_header_and_body() {
    let export = export(at_once());
    let mut command = export.command(&arguments(&["refund request"]));
    command.args(["--idempotency-key", "deploy 7"]);
    assert_eq!(export.finish(&mut command).code, Some(0));
    let requests = export.simulator.requests();
    let keys = requests.iter().filter(|request| request.method == "POST").map(|request| {
        let body: Value = serde_json::from_str(&request.body).unwrap();
        let header = request.idempotency_key.clone().unwrap();
        assert_eq!(body["idempotencyKey"], header.as_str());
        assert!(body["reason"].as_str().unwrap().starts_with("armature-export gate: "));
        assert!(body.get("forceNewRun").is_none());
        header
    });
    let mut keys: Vec<String> = keys.collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 3);
    // The same key again, an hour later: the API returns the first runs, which are not this gate's.
    export.simulator.advance(chrono::Duration::hours(1));
    let more = ["refund request", "--idempotency-key", "deploy 7"];
    let (code, found) = report(&export, &more);
    assert_eq!((code, outcomes(&found)), (Some(3), vec![vec!["not_ours".to_owned(); 3]]));
    assert_eq!(export.simulator.dispatched_runs().len(), 3);
}

/// An answer as large as a workflow that is embedded in it.
#[test]
fn a_large_answer_to_a_dispatch_is_read() {
    let export = export(at_once());
    export.simulator.override_run(foreign_run(&export, "refund request"));
    let body = json!({"id": "foreign", "workflow": {"prompt": "x".repeat(200_000)}}).to_string();
    export.simulator.add_rule(Rule::new(Endpoint::Dispatch, answer(202, body)));
    let (code, found) = report(&export, &["refund request", "--repeat", "1"]);
    assert_eq!((code, outcomes(&found)), (Some(7), vec![vec!["failed".to_owned()]]));
    assert_eq!(dispatches(&export), 1);
}

const MAY_RUN: &str = "a dispatch of refund request may have started a run at Armature";

/// A rule for one dispatch.
fn once(answer: Answer) -> Rule {
    Rule { times: Some(1), ..Rule::new(Endpoint::Dispatch, answer) }
}

/// The key of a dispatch is in use until the API has finished the request whose answer was lost.
#[test]
fn a_key_in_use_after_a_lost_answer_is_waited_for() {
    let in_use = json!({"error": {"code": "idempotency_in_progress", "message": "in use"}});
    let in_use = answer(409, in_use.to_string());
    let export = export(at_once());
    export.simulator.add_rule(once(Answer::Reset { after_bytes: 3 }));
    export.simulator.add_rule(once(in_use.clone()));
    let (code, found) = report(&export, &["refund request"]);
    assert_eq!((code, outcomes(&found)), (Some(0), vec![vec!["passed".to_owned(); 3]]));
    assert_eq!((dispatches(&export), export.simulator.dispatched_runs().len()), (5, 3));

    // Without a lost answer, it is a refusal.
    export.simulator.add_rule(once(in_use));
    let ran = run(&export, &["refund request"]);
    assert_eq!(ran.code, Some(2), "{}", ran.told());
    assert!(!ran.stderr.contains(MAY_RUN), "{}", ran.stderr);
}

/// What the API says to the repeated request does not undo the first one.
#[test]
fn a_refusal_after_a_lost_answer_says_that_there_may_be_a_run() {
    let error = json!({"error": {"code": "refused", "message": "refused"}}).to_string();
    let wait = vec![("Retry-After".to_owned(), "100000".to_owned())];
    let page = Answer::Status { status: 403, headers: Vec::new(), body: "blocked".to_owned() };
    let cases = [
        (answer(400, error.clone()), 2),
        (answer(401, error.clone()), 4),
        (answer(403, error.clone()), 4),
        (page, 4),
        (answer(409, error.clone()), 5),
        (Answer::Status { status: 429, headers: wait, body: String::new() }, 5),
    ];
    all_at_once(cases, |(refusal, expected)| {
        let export = export(at_once());
        export.simulator.add_rule(once(Answer::Reset { after_bytes: 3 }));
        export.simulator.add_rule(Rule::new(Endpoint::Dispatch, refusal.clone()));
        let ran = run(&export, &["refund request"]);
        assert_eq!(ran.code, Some(expected), "{refusal:?}: {}", ran.told());
        assert_eq!(ran.stderr.matches(MAY_RUN).count(), 1, "{refusal:?}: {}", ran.stderr);
        assert_eq!(export.simulator.dispatched_runs().len(), 1);
    });
}

/// An API that answers the first look at a run with an error, and that accepts three dispatches.
fn one_error() -> TestExport {
    let export = export(at_once());
    let time = now().to_rfc3339();
    let error = json!({"status": "error", "started_at": time, "finished_at": time}).to_string();
    export
        .simulator
        .add_rule(Rule { times: Some(1), ..Rule::new(Endpoint::Run, answer(200, error)) });
    let refusal = json!({"error": {"code": "no_credits", "message": "no credits"}}).to_string();
    export
        .simulator
        .add_rule(Rule { skip: 3, ..Rule::new(Endpoint::Dispatch, answer(402, refusal)) });
    export
}

/// The outcomes of the only group, sorted.
fn sorted_outcomes(report: &Value) -> Vec<String> {
    let mut outcomes = outcomes(report).concat();
    outcomes.sort_unstable();
    outcomes
}

#[test]
fn a_failed_second_dispatch_leaves_the_other_verdicts() {
    let export = one_error();
    let (code, found) = report(&export, &["refund request", "--min-passes", "3"]);
    assert_eq!(code, Some(3), "{found}");
    assert_eq!(sorted_outcomes(&found), ["error", "passed", "passed"]);
    let note = found["notes"][0].as_str().unwrap();
    let expected = ": not dispatched again after an error: the API did not dispatch \
                    `refund request`: status 402 (no_credits: no credits)";
    assert!(note.starts_with("refund request, repetition "), "{note}");
    assert!(note.ends_with(expected), "{note}");
    assert_eq!((dispatches(&export), &found["running"]), (4, &json!([])));
}

#[test]
fn an_error_that_decides_nothing_is_not_dispatched_again() {
    let export = one_error();
    let (code, found) = report(&export, &["refund request"]);
    assert_eq!(code, Some(0), "{found}");
    assert_eq!(sorted_outcomes(&found), ["error", "passed", "passed"]);
    assert_eq!((dispatches(&export), &found["notes"][0]), (3, &json!(NO_LAKE)));
}

/// The note of a gate without a lake.
const NO_LAKE: &str = "no comparison with earlier runs: there is no lake";

/// A gate on three runs that gives up at once when it can read none of the open ones.
fn impatient_gate(export: &TestExport) -> Result<GateReport, GateFailure> {
    let (_send, stop) = tokio::sync::watch::channel(false);
    let options = GateOptions {
        api: ApiSettings { max_attempts: 1, ..ApiSettings::default() },
        url: export.simulator.base_url(),
        key: ApiKey::new(KEY, "the test").unwrap(),
        mapping: Mapping::new(&[], &[]).unwrap(),
        events: Events::none(),
        progress: Progress::new(|_| ()),
        stop,
        now: now().into(),
        workflows: vec!["refund request".to_owned()],
        repetitions: 3,
        runs: Vec::new(),
        rules: Rules {
            required: Required::DEFAULT,
            max_cost_per_pass: None,
            max_p95: None,
            baseline_blocks: false,
        },
        baseline: None,
        timeout: PATIENCE,
        evaluation_grace: PATIENCE,
        poll_interval: Duration::from_millis(100),
        unreachable_after: Duration::ZERO,
        identity: "the test".to_owned(),
        reason: "the test".to_owned(),
        evidence: false,
    };
    armature_export::tls::install();
    crate::support::block_on(gate(&options))
}

#[test]
fn a_run_that_stays_unreadable_is_inconclusive_if_others_were_judged() {
    let broken = || Rule::new(Endpoint::Run, answer(200, "not JSON".to_owned()));
    let export = export(in_a_minute());
    std::thread::scope(|scope| {
        let ended = scope.spawn(|| impatient_gate(&export));
        wait_for_looks(&export, 3);
        let unreadable = export.simulator.dispatched_runs().pop().unwrap();
        export.simulator.add_rule(Rule { run_id: Some(unreadable.clone()), ..broken() });
        export.simulator.advance(chrono::Duration::minutes(1));
        let report = ended.join().unwrap().unwrap();
        assert_eq!(report.verdict, Verdict::Pass);
        let [group] = report.groups.as_slice() else { panic!("{report:?}") };
        let outcomes = group.attempts.iter().map(|attempt| attempt.outcome.name());
        assert_eq!(outcomes.collect::<Vec<_>>(), ["passed", "passed", "unreadable"]);
        let note = group.attempts[2].note.as_deref().unwrap();
        assert!(note.contains("was answered with"), "{note}");
        let running: Vec<_> = report.running.iter().map(|run| run.run_id.clone()).collect();
        assert_eq!(running, [Some(unreadable)]);
    });

    // None was judged: there is no verdict.
    let export = self::export(at_once());
    export.simulator.add_rule(broken());
    let failure = impatient_gate(&export).unwrap_err();
    assert!(matches!(failure.error, GateError::Api(ApiError::Unusable { .. })), "{failure:?}");
    assert_eq!(failure.running.len(), 3);
}

/// A store that takes connections and never answers: the gate does not wait for it beyond a stop
/// request, and the verdict that it has is not lost.
#[test]
fn a_stop_request_ends_the_reading_of_a_slow_lake() {
    for (more, expected, dispatched) in [("--evidence", 0, 3), ("--baseline-blocks", 130, 0)] {
        let store = TcpListener::bind("127.0.0.1:0").unwrap();
        store.set_nonblocking(true).unwrap();
        let export = export(at_once());
        fs::write(export.path("secret"), "secret").unwrap();
        export.configure(&format!(
            "[lake]\npath = \"s3://bucket/lake\"\n[store]\nendpoint = \"http://{}\"\n\
             access_key_id = \"id\"\nsecret_key_file = \"secret\"\n",
            store.local_addr().unwrap()
        ));
        let child = export.start(&arguments(&["refund request", more]));
        // Held open until the end.
        let connections = RefCell::new(Vec::new());
        wait_until("nobody reads the lake", || {
            connections.borrow_mut().extend(store.accept());
            !connections.borrow().is_empty()
        });
        assert_eq!(dispatches(&export), dispatched, "when the lake is read");
        let pid = child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
        let ran = export.wait(child);
        assert_eq!(ran.code, Some(expected), "{}", ran.told());
        let is_told = ran.stdout.contains("no comparison with earlier runs: interrupted");
        assert_eq!(is_told, expected == 0, "{}", ran.stdout);
    }
}

#[test]
fn texts_of_the_api_in_refusals_are_harmless() {
    let says = "a\u{202e}b ##[error]c ::error::d";
    let refusal = json!({"error": {"code": "no", "message": says}}).to_string();
    let trace = vec![("cf-ray".to_owned(), "##[error]c".to_owned())];
    let answers = [
        answer(400, refusal.clone()),
        answer(403, refusal),
        Answer::Status { status: 403, headers: trace, body: "blocked".to_owned() },
    ];
    for answer in answers {
        let export = export(at_once());
        export.simulator.add_rule(Rule::new(Endpoint::Dispatch, answer.clone()));
        let ran = run(&export, &["refund request"]);
        assert!(ran.stderr.contains("## [error]c"), "{answer:?}: {}", ran.stderr);
        for attack in ["\u{202e}", "##[", "::error"] {
            assert!(!ran.stderr.contains(attack), "{answer:?}: {}", ran.stderr);
        }
    }
}

#[test]
fn rate_limits_are_waited_for_and_nothing_is_dispatched_twice() {
    let export = export(Dispatching { honours_idempotency_key: false, ..at_once() });
    let wait = vec![("Retry-After".to_owned(), "0.1".to_owned())];
    let limited = Answer::Status { status: 429, headers: wait, body: String::new() };
    for endpoint in [Endpoint::Dispatch, Endpoint::Run, Endpoint::Evaluation] {
        export.simulator.add_rule(Rule { times: Some(2), ..Rule::new(endpoint, limited.clone()) });
    }
    let (code, found) = report(&export, &["refund request"]);
    assert_eq!((code, outcomes(&found)), (Some(0), vec![vec!["passed".to_owned(); 3]]));
    assert_eq!(export.simulator.dispatched_runs().len(), 3);
}

#[test]
fn what_has_not_ended_in_time_is_inconclusive_and_goes_on() {
    let export = export(in_a_minute());
    let (code, found) = report(&export, &["refund request", "--timeout", "5s"]);
    assert_eq!((code, outcomes(&found)), (Some(3), vec![vec!["not_ended".to_owned(); 3]]));
    let running: Vec<&str> = found["running"]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| run["run_id"].as_str().unwrap())
        .collect();
    assert_eq!(running, export.simulator.dispatched_runs());
    assert_eq!(found["notes"][0], "the time was up after 5s (--timeout)");
}

#[test]
fn a_late_evaluation_is_waited_for_and_a_missing_one_is_inconclusive() {
    let export = export(Dispatching { evaluation_seconds: 60.0, ..at_once() });
    let child = export.start(&arguments(&["refund request", "--output", "json"]));
    wait_for_looks(&export, 3);
    wait_until("nobody asks for the evaluation", || {
        export.simulator.requests().iter().any(|one| one.path.ends_with("/evaluation"))
    });
    export.simulator.advance(chrono::Duration::minutes(1));
    let ran = export.wait(child);
    assert_eq!((ran.code, outcomes(&ran.json())), (Some(0), vec![vec!["passed".to_owned(); 3]]));
    let (code, found) = report(&export, &["refund request", "--evaluation-grace", "0s"]);
    assert_eq!((code, outcomes(&found)), (Some(3), vec![vec!["no_evaluation".to_owned(); 3]]));
    assert_eq!(found["running"], json!([]), "these runs have ended");
}

#[test]
fn a_signal_ends_it_and_names_what_goes_on() {
    for signal in ["INT", "TERM"] {
        let export = export(in_a_minute());
        let child = export.start(&arguments(&["refund request"]));
        wait_for_looks(&export, 3);
        let pid = child.id().to_string();
        assert!(
            Command::new("kill").args([&format!("-{signal}"), &pid]).status().unwrap().success()
        );
        let ran = export.wait(child);
        assert_eq!(ran.code, Some(130), "{}", ran.told());
        assert_eq!(ran.stdout, "");
        for id in export.simulator.dispatched_runs() {
            let line = format!("run {id} of refund request goes on at Armature: http://");
            assert!(ran.stderr.contains(&line), "{}", ran.stderr);
        }
    }
}

#[test]
fn an_id_that_is_not_that_of_a_run_is_given_up() {
    let export = export(at_once());
    let body = json!({"id": "of the dispatch, perhaps"}).to_string();
    export.simulator.add_rule(Rule::new(Endpoint::Dispatch, answer(202, body)));
    let (code, found) = report(&export, &["refund request", "--repeat", "1"]);
    assert_eq!((code, outcomes(&found)), (Some(3), vec![vec!["not_visible".to_owned()]]));
}

#[test]
fn a_redirected_dispatch_is_not_followed_to_runs_that_are_not_its_own() {
    for status in [302, 308] {
        let export = export(at_once());
        export.simulator.override_run(foreign_run(&export, "refund request"));
        let location = format!("{}/runs", export.simulator.base_url());
        let redirect = Answer::Redirect { status, location };
        export.simulator.add_rule(Rule::new(Endpoint::Dispatch, redirect));
        let ran = run(&export, &["refund request"]);
        assert_eq!(ran.code, Some(2), "{}", ran.told());
        assert!(ran.stderr.contains("which is not followed"), "{}", ran.stderr);
    }
}

#[test]
fn failing_looks_are_repeated_and_a_refused_key_ends_the_gate() {
    let export = export(at_once());
    let broken = Rule { times: Some(7), ..Rule::new(Endpoint::Run, answer(500, String::new())) };
    export.simulator.add_rule(broken);
    let (code, found) = report(&export, &["refund request"]);
    assert_eq!((code, outcomes(&found)), (Some(0), vec![vec!["passed".to_owned(); 3]]));

    let refused = json!({"error": {"code": "unauthenticated", "message": "revoked"}}).to_string();
    export.simulator.add_rule(Rule::new(Endpoint::Run, answer(401, refused)));
    let ran = run(&export, &["refund request"]);
    assert_eq!(ran.code, Some(4), "{}", ran.told());
    let going_on = ran.stderr.matches(" of refund request goes on at Armature: ").count();
    assert_eq!(going_on, 3, "{}", ran.stderr);
}

#[test]
fn the_key_shows_in_no_message_of_a_dispatch() {
    let says = format!("the key {KEY} is wrong");
    let error = json!({"error": {"code": KEY, "message": says}}).to_string();
    let answers = [
        answer(400, error.clone()),
        answer(401, error.clone()),
        answer(200, error.clone()),
        Answer::Status { status: 403, headers: vec![("cf-ray".into(), KEY.into())], body: says },
        Answer::Status { status: 503, headers: vec![("cf-ray".into(), KEY.into())], body: error },
        Answer::Redirect { status: 307, location: format!("https://example.com/?key={KEY}") },
        answer(202, json!({"id": KEY}).to_string()),
    ];
    for answer in answers {
        let export = export(at_once());
        export.simulator.add_rule(Rule::new(Endpoint::Dispatch, answer.clone()));
        let mut command = export.command(&arguments(&["refund request", "-vv"]));
        let ran = export.finish(command.env("GITHUB_ACTIONS", "true"));
        assert_ne!(ran.code, Some(0));
        for text in [&ran.stdout, &ran.stderr] {
            assert!(!text.contains("s3cretK3Y"), "{answer:?}: {text}");
        }
    }
}

/// A dispatch that is never answered: whether there is a run is not known, and the output says so.
#[test]
fn an_end_during_a_dispatch_says_that_there_may_be_a_run() {
    let stalled = || Rule::new(Endpoint::Dispatch, Answer::Stall { seconds: 600.0 });
    let export = export(at_once());
    export.simulator.add_rule(stalled());
    let child = export.start(&arguments(&["refund request"]));
    wait_until("nothing was dispatched", || !export.simulator.dispatched_runs().is_empty());
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let ran = export.wait(child);
    assert_eq!(ran.code, Some(130), "{}", ran.told());
    assert!(ran.stderr.contains(MAY_RUN), "{}", ran.stderr);

    let ran = run(&export, &["refund request", "--timeout", "3s"]);
    assert_eq!(ran.code, Some(3), "{}", ran.told());
    // The other two were not sent.
    assert_eq!(ran.stdout.matches(MAY_RUN).count(), 1, "{}", ran.stdout);
    let before = |what: &str| format!("the time was up before the dispatch was {what}");
    assert_eq!(ran.stdout.matches(&before("answered")).count(), 1, "{}", ran.stdout);
    assert_eq!(ran.stdout.matches(&before("sent")).count(), 2, "{}", ran.stdout);
}

#[test]
fn several_models_are_judged_each() {
    let export = export(Dispatching { models: 3, ..at_once() });
    let (code, found) = report(&export, &["refund request", "--repeat", "2"]);
    assert_eq!(code, Some(0));
    let groups = found["groups"].as_array().unwrap();
    let models: Vec<&str> = groups.iter().map(|group| group["model"].as_str().unwrap()).collect();
    assert_eq!(models, ["claude-haiku-4-5", "claude-sonnet-4-5", "gpt-5"]);
    assert_eq!(outcomes(&found), [["passed"; 2]; 3]);
}

#[test]
fn limits_and_earlier_runs() {
    let export = export_with(600, at_once());
    assert_eq!(export.run(&["sync"]).code, Some(0));
    let verdict = |more: &[&str]| {
        let arguments = [&["refund request", "--baseline-days", "30"], more].concat();
        let (code, found) = report(&export, &arguments);
        let reasons = found["groups"][0]["reasons"].as_array().unwrap().clone();
        let kinds = reasons.iter().map(|reason| reason["kind"].as_str().unwrap().to_owned());
        (code, kinds.collect::<Vec<_>>(), found)
    };
    let (code, reasons, found) = verdict(&[]);
    assert_eq!((code, reasons), (Some(0), vec![]));
    // The same as the lake says.
    let expected = export.ask(
        "SELECT count_if(outcome = 'passed'), count(*) FROM run_facts \
         WHERE workflow_name = 'refund request' AND model = 'claude-sonnet-4-5' \
         AND outcome IN ('passed', 'partial', 'failed')",
    );
    let baseline = &found["groups"][0]["baseline"];
    let told =
        [baseline["baseline"]["passed"].to_string(), baseline["baseline"]["decided"].to_string()];
    assert_eq!(vec![told.to_vec()], expected);
    let (code, reasons, _) = verdict(&["--max-cost-per-pass", "0.000001"]);
    assert_eq!((code, reasons), (Some(7), vec!["cost_per_pass".to_owned()]));
    let (code, reasons, _) = verdict(&["--max-cost-per-pass", "1000", "--max-p95", "1h"]);
    assert_eq!((code, reasons), (Some(0), vec![]));
    let (_, _, found) = verdict(&["--baseline", "none"]);
    assert_eq!(found["groups"][0]["baseline"], Value::Null);

    let failing = Dispatching { pass_percent: Some(0), ..at_once() };
    export.simulator.set_dispatching(failing);
    let (code, reasons, _) = verdict(&["--repeat", "5", "--baseline-blocks"]);
    let both = vec!["too_few_passes".to_owned(), "baseline".to_owned()];
    assert_eq!((code, reasons), (Some(7), both));

    let elsewhere = export.path("no lake").display().to_string();
    let (_, _, found) = verdict(&["--lake", &elsewhere]);
    assert_eq!(found["notes"][0], NO_LAKE);
    let blocked = |more: &[&str], reason: &str| {
        let before = dispatches(&export);
        let ran = run(&export, &[&["refund request", "--baseline-blocks"], more].concat());
        assert_eq!(ran.code, Some(6), "{}", ran.told());
        assert_eq!(dispatches(&export), before, "runs were paid for, and cannot be judged");
        let error = "no comparison with earlier runs, which --baseline-blocks needs: ";
        assert!(ran.stderr.contains(&format!("{error}{reason}\n")), "{}", ran.stderr);
    };
    blocked(&["--lake", &elsewhere], "there is no lake");

    let other = json!({"id": "another organization", "name": "Other"}).to_string();
    export.simulator.add_rule(Rule::new(Endpoint::Organization, answer(200, other)));
    let foreign = "the lake holds the runs of another organization";
    blocked(&[], foreign);
    let (_, _, found) = verdict(&[]);
    assert_eq!(found["notes"][0], format!("no comparison with earlier runs: {foreign}"));
}

#[test]
fn a_baseline_that_blocks_must_be_readable() {
    let export = export(at_once());
    fs::create_dir_all(export.lake.join("_armature/manifests")).unwrap();
    fs::write(export.lake.join("_armature/format.json"), "not json").unwrap();
    let ran = run(&export, &["refund request", "--baseline-blocks"]);
    assert_eq!(ran.code, Some(6), "{}", ran.told());
    assert_eq!(dispatches(&export), 0);
    let (code, found) = report(&export, &["refund request"]);
    assert_eq!(code, Some(0));
    let note = found["notes"][0].as_str().unwrap();
    assert!(note.starts_with("no comparison with earlier runs: "), "{note}");
}

/// A run whose every name is an attack.
fn hostile_run(id: &str, status: &str) -> RunOverride {
    let name = "a|b`c`\n::error::owned\r\n##[error]x\u{1b}[31m<script>\u{202e}%0A]]>";
    let time = "2026-11-24T06:00:00Z";
    let listing = json!({
        "id": id, "status": status, "workflow_id": "w\n::set-output name=x::y",
        "workflow_name": name, "model_id": name, "started_at": time, "finished_at": time,
        "harness": "h|h", "workflow_version": "1](javascript:x)", "duration_ms": 1500,
    });
    let evaluation = json!({"verdict": status, "criteria": [
        {"id": "c", "criterion_text": name, "verdict": status, "is_required": true,
         "rationale": format!("secret {name}")},
    ]});
    let documents = BTreeMap::from([
        (Endpoint::Run, Some(listing.clone())),
        (Endpoint::Evaluation, Some(evaluation)),
    ]);
    RunOverride { id: id.to_owned(), started_at: now(), listing, documents }
}

/// A gate on runs with hostile names, as GitHub Actions would start it.
fn hostile_gate(export: &TestExport, more: &[&str]) -> ProgramOutput {
    export.simulator.override_run(hostile_run("run\n::error::1", "fail"));
    export.simulator.override_run(hostile_run("run-2", "pass"));
    let given = ["--run", "run\n::error::1", "--run", "run-2", "--junit", "gate.xml"];
    let mut command = export.command(&arguments(&[&given, more].concat()));
    command.args(["--markdown", "gate.md"]);
    command.env("GITHUB_ACTIONS", "true").env("GITHUB_RUN_ID", "1");
    command.env("GITHUB_STEP_SUMMARY", export.path("summary.md"));
    command.env("GITHUB_OUTPUT", export.path("output"));
    fs::write(export.path("summary.md"), "before\n").unwrap();
    fs::write(export.path("output"), "other=1\n").unwrap();
    export.finish(&mut command)
}

#[test]
fn names_are_harmless_in_every_report() {
    let export = TestExport::new(ended_runs(0));
    let ran = hostile_gate(&export, &[]);
    assert_eq!(ran.code, Some(7), "{}", ran.told());
    let read = |name: &str| fs::read_to_string(export.path(name)).unwrap();
    let (markdown, junit, output) = (read("gate.md"), read("gate.xml"), read("output"));
    assert_eq!(read("summary.md"), format!("before\n{markdown}\n"));
    assert_eq!(output, "other=1\nverdict=fail\nsummary=fail (1 workflow and model: 1 failed)\n");
    for text in [&ran.stdout, &ran.stderr, &markdown, &junit, &output] {
        let is_hidden = |letter: char| {
            (letter.is_control() && letter != '\n') || matches!(letter, '\u{202e}' | '\u{2028}')
        };
        assert!(!text.contains(is_hidden), "{text:?}");
        assert!(!text.contains("##["), "{text}");
        assert!(!text.contains("secret"), "evidence was not asked for: {text}");
    }
    let is_command = |line: &&str| line.trim_start().starts_with("::");
    assert_eq!(ran.stdout.lines().filter(is_command).count(), 0, "{}", ran.stdout);
    let commands: Vec<&str> = ran.stderr.lines().filter(is_command).collect();
    let [command] = commands.as_slice() else { panic!("{commands:?}") };
    assert!(command.starts_with("::error title=Armature gate%3A fail::"), "{command}");
    assert_eq!(command.matches("::").count(), 2, "{command}");
    // What is not escaped is the gate's own: the targets of links.
    let own = markdown.replace("](<http://", "").replace("\\<", "");
    assert!(!own.contains('<'), "{markdown}");
    assert_snapshot!("hostile_stdout", ran.with_placeholders(&without_time(&ran)));
    assert_snapshot!("hostile_markdown", ran.with_placeholders(&markdown));
    assert_snapshot!("hostile_junit", ran.with_placeholders(&junit));
}

#[test]
fn evidence_is_shown_only_where_it_is_asked_for() {
    let export = TestExport::new(ended_runs(0));
    let ran = hostile_gate(&export, &["--evidence"]);
    assert_eq!(ran.code, Some(7));
    let files = ["gate.md", "gate.xml"].map(|name| fs::read_to_string(export.path(name)).unwrap());
    for text in files.iter().chain([&ran.stdout]) {
        assert!(text.contains("secret a"), "{text}");
    }
}

#[test]
fn a_report_that_cannot_be_written_does_not_hide_a_fail() {
    for (pass_percent, expected) in [(100, 6), (0, 7)] {
        let export = export(Dispatching { pass_percent: Some(pass_percent), ..at_once() });
        let ran = run(&export, &["refund request", "--junit", "no/such/folder.xml"]);
        assert_eq!(ran.code, Some(expected), "{}", ran.told());
        assert!(ran.stderr.contains("failed to write `no/such/folder.xml`"), "{}", ran.stderr);
        assert!(ran.stdout.contains("gate: "), "{}", ran.stdout);
    }
}

#[test]
fn a_report_that_cannot_be_written_does_not_keep_others_from_being_written() {
    let export = export(at_once());
    let more = ["refund request", "--junit", "no/such/folder.xml", "--markdown", "gate.md"];
    let mut command = export.command(&arguments(&more));
    command.env("GITHUB_ACTIONS", "true").env("GITHUB_RUN_ID", "1");
    command.env("GITHUB_STEP_SUMMARY", export.path("no/summary.md"));
    command.env("GITHUB_OUTPUT", export.path("output"));
    let ran = export.finish(&mut command);
    assert_eq!(ran.code, Some(6), "{}", ran.told());
    for unwritten in ["no/such/folder.xml", "no/summary.md"] {
        assert!(ran.stderr.contains(unwritten), "{}", ran.stderr);
    }
    let markdown = fs::read_to_string(export.path("gate.md")).unwrap();
    assert!(markdown.starts_with("### Armature gate: pass"), "{markdown}");
    let output = fs::read_to_string(export.path("output")).unwrap();
    assert!(output.starts_with("verdict=pass\n"), "{output}");
}

#[test]
fn the_reports_of_a_gate_on_two_models() {
    let dispatch = Dispatching { pass_percent: Some(0), models: 2, ..at_once() };
    let export = export(dispatch);
    let more = ["refund request", "--repeat", "1", "--junit", "gate.xml", "--markdown", "gate.md"];
    let ran = run(&export, &more);
    assert_eq!(ran.code, Some(7), "{}", ran.told());
    let read = |name: &str| ran.with_placeholders(&fs::read_to_string(export.path(name)).unwrap());
    assert_snapshot!("two_models_markdown", read("gate.md"));
    assert_snapshot!("two_models_junit", read("gate.xml"));
}

#[test]
fn help() {
    let export = TestExport::new(ended_runs(0));
    let ran = export.run(&["gate", "--help"]);
    assert_eq!(ran.code, Some(0));
    assert_snapshot!(ran.with_placeholders(&ran.stdout));
}
