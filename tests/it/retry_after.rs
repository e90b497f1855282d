//! How long the API asks to wait, and what a wait that it does not name means.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use crate::support::{ProgramOutput, TestExport, all_at_once};
use armature_export::simulator::{Answer, Endpoint, Rule};
use serde_json::json;

fn limited(status: u16, header: &str) -> Answer {
    let headers = vec![("Retry-After".to_owned(), header.to_owned())];
    Answer::Status { status, headers, body: String::new() }
}

/// A sync whose first `times` requests for the list are answered so.
fn sync_after(times: u32, answer: Answer) -> (TestExport, ProgramOutput) {
    let export = TestExport::of_ended_runs(3);
    export.simulator.add_rule(Rule { times: Some(times), ..Rule::new(Endpoint::Runs, answer) });
    let ran = export.run(&["sync", "--output", "json"]);
    (export, ran)
}

/// A wait that is named costs no try, as after a 429: two are allowed here.
#[test]
fn an_announced_wait_counts_on_502_and_503_as_on_429() {
    all_at_once([429, 502, 503], |status| {
        let (export, ran) = sync_after(4, limited(status, "1"));
        assert_eq!(ran.code, Some(0), "{status}: {}", ran.stderr);
        let elapsed = ran.json()["elapsed_ms"].as_u64().unwrap();
        assert!(elapsed >= 4000, "{status}: waited {elapsed} ms instead of four seconds");
        assert_eq!(export.lake_ids(), export.expected_ids());
    });
}

#[test]
fn a_wait_that_is_not_named_costs_a_try() {
    all_at_once(["0", "Sun, 06 Nov 1994 08:49:37 GMT", "soon"], |header| {
        let (export, ran) = sync_after(4, limited(503, header));
        assert_eq!(ran.code, Some(5), "{header}: {}", ran.stderr);
        export.simulator.clear_rules();
        export.sync_brings_everything();
    });
}

/// Zero seconds, or a moment in the past, count as absent: the delays grow as without the header.
#[test]
fn zero_seconds_do_not_mean_at_once() {
    all_at_once(["0", "Sun, 06 Nov 1994 08:49:37 GMT"], |header| {
        let (export, ran) = sync_after(3, limited(429, header));
        assert_eq!(ran.code, Some(0), "{header}: {}", ran.stderr);
        let elapsed = ran.json()["elapsed_ms"].as_u64().unwrap();
        // Half a second, one and two, with jitter on top.
        assert!(elapsed >= 3500, "{header}: three pauses took {elapsed} ms");
        assert_eq!(export.lake_ids(), export.expected_ids());
    });
}

/// One document that is always busy for a second holds nobody else up, and is left in the end.
#[test]
fn one_busy_document_is_left_for_the_next_sync() {
    let export = TestExport::of_ended_runs(12);
    export.configure("max_retry_secs = 3\n");
    let busy = export.expected_ids().remove(4);
    let rule = Rule { run_id: Some(busy.clone()), ..Rule::new(Endpoint::Trace, limited(503, "1")) };
    export.simulator.add_rule(rule);
    let ran = export.run(&["sync", "--output", "json"]);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert_eq!(ran.json()["runs"]["failed"], json!(1));
    assert_eq!(export.lake_ids().len(), 11);
    export.simulator.clear_rules();
    export.sync_brings_everything();
}

/// The runs of which a document was requested.
fn requested_runs(export: &TestExport) -> HashSet<String> {
    let requests = export.simulator.requests();
    let run = |path: &str| Some(path.split_once("/runs/")?.1.split('/').next()?.to_owned());
    requests.iter().filter_map(|request| run(&request.path)).collect()
}

/// Each run's trace is answered with 429 until more runs were requested than are fetched at once.
#[test]
fn a_run_that_waits_after_a_429_makes_room_for_another() {
    let export = TestExport::of_ended_runs(4);
    export.configure("concurrency = 1\n");
    export.simulator.add_rule(Rule::new(Endpoint::Trace, limited(429, "1")));
    let sync = export.start(&["sync", "--output", "json"]);
    let deadline = Instant::now() + Duration::from_mins(1);
    while requested_runs(&export).len() < 3 {
        assert!(Instant::now() < deadline, "the others wait for {:?}", requested_runs(&export));
        #[expect(clippy::disallowed_methods, reason = "a test in a thread of its own")]
        std::thread::sleep(Duration::from_millis(20));
    }
    export.simulator.clear_rules();
    let ran = export.wait(sync);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(export.lake_ids(), export.expected_ids());
}
