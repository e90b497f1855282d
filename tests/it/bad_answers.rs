//! What the API, or something that stands in its place, can answer: each a clear message with the
//! right exit code, and nothing lost once it answers well again.

use crate::support::{TestExport, answer, ended_runs};
use armature_export::simulator::{Answer, Endpoint, Rule, Shape, SimulatorSettings};
use insta::assert_snapshot;
use serde_json::json;

const HTML: &str = "<!doctype html><title>Sign in</title><p>Welcome to the hotel's network.";

/// A list that cannot be read: nothing is exported, and a sync after that brings everything.
fn told_of_list(rule: Rule) -> String {
    let export = TestExport::of_ended_runs(12);
    export.simulator.add_rule(rule);
    let ran = export.run(&["sync"]);
    assert_eq!(export.lake_ids(), Vec::<String>::new());
    export.simulator.clear_rules();
    export.sync_brings_everything();
    ran.told()
}

#[test]
fn a_list_that_is_html() {
    assert_snapshot!(told_of_list(Rule::new(Endpoint::Runs, answer(200, HTML))), @"
    exit 5
    error: `GET /api/armature/v1/runs` was answered with HTML, which is not JSON (line 1, column 1)
    hint: check that the API URL is that of an Armature API; run `armature-export doctor` to diagnose
    ");
}

#[test]
fn an_organization_that_is_html() {
    assert_snapshot!(told_of_list(Rule::new(Endpoint::Organization, answer(200, HTML))), @"
    exit 5
    error: `GET /api/armature/v1/org` was answered with HTML, which is not JSON (line 1, column 1)
    hint: check that the API URL is that of an Armature API; run `armature-export doctor` to diagnose
    ");
}

#[test]
fn a_list_that_is_cut_off() {
    let cut = Answer::Truncate { bytes: 1000 };
    assert_snapshot!(told_of_list(Rule::new(Endpoint::Runs, cut)), @"
    exit 5
    error: `GET /api/armature/v1/runs` was answered with JSON that is cut off after 1000 bytes
    hint: check that the API URL is that of an Armature API; run `armature-export doctor` to diagnose
    ");
}

#[test]
fn a_list_whose_connection_breaks() {
    let reset = Answer::Reset { after_bytes: 1000 };
    let told = told_of_list(Rule::new(Endpoint::Runs, reset));
    // Which way a connection is seen to break is a matter of luck.
    let (before, rest) = told.split_once(": error reading").unwrap();
    let (_, after) = rest.split_once('\n').unwrap();
    assert_snapshot!(format!("{before}\n{after}"), @"
    exit 5
    error: failed to get `/api/armature/v1/runs` after 2 attempts in [time]: error decoding response body
    hint: nothing is lost: the next sync goes on. Run `armature-export doctor` to diagnose
    ");
}

#[test]
fn a_list_that_is_an_error_with_a_good_status() {
    let body = json!({"error": {"code": "internal", "message": "Something went wrong."}});
    let error = answer(200, body.to_string());
    assert_snapshot!(told_of_list(Rule::new(Endpoint::Runs, error)), @"
    exit 5
    error: `GET /api/armature/v1/runs` was answered with an error `internal` and a good status
    hint: check that the API URL is that of an Armature API; run `armature-export doctor` to diagnose
    ");
}

#[test]
fn a_list_in_no_known_wrapping() {
    let body = json!({"page": 1, "executions": []}).to_string();
    assert_snapshot!(told_of_list(Rule::new(Endpoint::Runs, answer(200, body))), @"
    exit 5
    error: `GET /api/armature/v1/runs` was answered with a body in which no list of runs was found (its members: `executions`, `page`)
    hint: the API's responses have a format that this version does not know: please report it, with the names above
    ");
}

#[test]
fn a_list_of_runs_without_ids() {
    let body = json!({"rows": [{"uid": 1, "status": "pass"}]}).to_string();
    assert_snapshot!(told_of_list(Rule::new(Endpoint::Runs, answer(200, body))), @"
    exit 5
    error: `GET /api/armature/v1/runs` listed runs without an id (tried: id, run_id, runId; members: `status`, `uid`)
    hint: the API's responses have a format that this version does not know: please report it, with the names above
    ");
}

#[test]
fn a_list_that_is_not_utf8() {
    let bytes = b"{\"rows\": [{\"id\": \"\xff\"}]}".to_vec();
    let body = Answer::Body { status: 200, headers: vec![], bytes };
    assert_snapshot!(told_of_list(Rule::new(Endpoint::Runs, body)), @"
    exit 5
    error: `GET /api/armature/v1/runs` was answered with not UTF-8 text from byte 18 on
    hint: check that the API URL is that of an Armature API; run `armature-export doctor` to diagnose
    ");
}

#[test]
fn a_list_with_no_end_of_brackets() {
    let body = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    assert_snapshot!(told_of_list(Rule::new(Endpoint::Runs, answer(200, body))), @"
    exit 5
    error: `GET /api/armature/v1/runs` listed runs without an id (tried: id, run_id, runId; members: none, its rows are arrays)
    hint: the API's responses have a format that this version does not know: please report it, with the names above
    ");
}

/// Twelve runs, five a page, and no second page.
fn export_without_a_second_page(has_total: bool) -> TestExport {
    let shape = Shape { has_total, ..Shape::default() };
    let export = TestExport::new(SimulatorSettings { shape, ..ended_runs(12) });
    export.configure("[filters]\npage_size = 5\n");
    export
        .simulator
        .add_rule(Rule { page: Some(2), ..Rule::new(Endpoint::Runs, answer(200, HTML)) });
    export
}

#[test]
fn a_list_that_breaks_on_its_second_page() {
    let export = export_without_a_second_page(false);
    let ran = export.run(&["sync"]);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert!(
        ran.told().contains("after 1 page: `GET /api/armature/v1/runs` was answered with HTML")
    );
    assert!(export.lake_ids().len() >= 5, "the first page is good");
    assert_eq!(export.status()["proven"], json!([]), "half a list proves nothing");
    export.simulator.clear_rules();
    export.sync_brings_everything();
}

/// With a total, narrower lists that reach it make up for the page.
#[test]
fn a_broken_page_whose_runs_narrower_lists_bring() {
    let export = export_without_a_second_page(true);
    export.sync_brings_everything();
    assert_ne!(export.status()["proven"], json!([]));
}

#[test]
fn an_empty_list() {
    let export = TestExport::of_ended_runs(0);
    let ran = export.run(&["sync"]);
    assert_snapshot!(ran.told(), @"exit 0");
    assert!(ran.stdout.starts_with("synced 0 runs in "), "{}", ran.stdout);
    export.sync_brings_everything();
}

#[test]
fn a_list_that_is_empty_by_mistake() {
    let export = TestExport::of_ended_runs(12);
    let empty = answer(200, json!({"rows": []}).to_string());
    export.simulator.add_rule(Rule::new(Endpoint::Runs, empty));
    let ran = export.run(&["sync"]);
    assert_snapshot!(ran.told(), @"exit 0");
    export.simulator.clear_rules();
    export.sync_brings_everything();
}

#[test]
fn a_list_shorter_than_its_total() {
    let export = TestExport::of_ended_runs(12);
    let empty = answer(200, json!({"rows": [], "total": 12}).to_string());
    export.simulator.add_rule(Rule::new(Endpoint::Runs, empty));
    let ran = export.run(&["sync"]);
    assert_snapshot!(ran.told(), @"
    exit 3
    incomplete: the list is uncertified: the API says that there are 12, and listed 0
    incomplete: the list is uncertified: 10 narrower lists brought 0 more runs; 12 runs stay out of reach
    ");
    export.simulator.clear_rules();
    export.sync_brings_everything();
}

#[test]
fn a_list_with_an_id_that_is_no_text() {
    let export = TestExport::of_ended_runs(3);
    let lone_surrogate = r#"{"rows": [{"id": "\ud800"}, {"id": "well", "status": "running"}]}"#;
    let rule = Rule { times: Some(1), ..Rule::new(Endpoint::Runs, answer(200, lone_surrogate)) };
    export.simulator.add_rule(rule);
    assert_snapshot!(export.run(&["sync"]).told(), @"
    exit 3
    incomplete: the list is uncertified: listed runs without an id: 1
    ");
    export.simulator.clear_rules();
    assert_eq!(export.status()["proven"], json!([]));
    export.sync_brings_everything();
}

#[test]
fn a_server_that_is_down() {
    let down = Rule::new(Endpoint::Any, answer(503, "<h1>Maintenance"));
    assert_snapshot!(told_of_list(down), @"
    exit 5
    error: failed to get `/api/armature/v1/org` after 2 attempts in [time]: answered 503
    hint: nothing is lost: the next sync goes on. Run `armature-export doctor` to diagnose
    ");
}

#[test]
fn a_list_that_goes_down_after_the_organization() {
    assert_snapshot!(told_of_list(Rule::new(Endpoint::Runs, answer(500, "{}"))), @"
    exit 5
    error: failed to get `/api/armature/v1/runs` after 2 attempts in [time]: answered 500
    hint: nothing is lost: the next sync goes on. Run `armature-export doctor` to diagnose
    ");
}

#[test]
fn a_wait_beyond_all_patience() {
    let headers = vec![("Retry-After".to_owned(), "86400".to_owned())];
    let answer = Answer::Status { status: 429, headers, body: String::new() };
    assert_snapshot!(told_of_list(Rule::new(Endpoint::Runs, answer)), @"
    exit 5
    error: the API asks to wait [time] before `GET /api/armature/v1/runs`
    hint: nothing is lost: the next sync goes on. Raise api.max_rate_limit_wait_secs to wait longer
    ");
}

#[test]
fn a_role_that_is_not_enough() {
    let body = json!({"error": {"code": "forbidden_role", "message": "Not for\nviewers."}});
    let refusal = answer(403, body.to_string());
    assert_snapshot!(told_of_list(Rule::new(Endpoint::Runs, refusal)), @"
    exit 4
    error: the API refused `GET /api/armature/v1/runs` with 403 (forbidden_role: Not for viewers.)
    hint: the key's role is fixed when it is made; make a new key with at least the viewer role
    ");
}

#[test]
fn a_firewall_before_the_api() {
    let headers = vec![("CF-Ray".to_owned(), "8f1e2d3c4b5a6978-FRA".to_owned())];
    let answer = Answer::Status { status: 403, headers, body: HTML.to_owned() };
    assert_snapshot!(told_of_list(Rule::new(Endpoint::Any, answer)), @"
    exit 4
    error: something in front of the API blocked `GET /api/armature/v1/org` with 403 and no JSON (cf-ray 8f1e2d3c4b5a6978-FRA)
    hint: this response is not from the API: a firewall may block this address or the User-Agent `armature-export`
    ");
}

#[test]
fn a_filter_that_the_api_rejects() {
    let body = json!({"error": {"code": "validation_failed", "message": "status: unknown"}});
    let rejection = answer(400, body.to_string());
    assert_snapshot!(told_of_list(Rule::new(Endpoint::Runs, rejection)), @"
    exit 2
    error: the API rejected `GET /api/armature/v1/runs` with 400 (validation_failed: status: unknown)
    hint: check sync.range and [filters] in the configuration against the API's documentation
    ");
}

#[test]
fn a_redirect_to_another_host() {
    let location = "https://elsewhere.example/api/armature/v1/runs?key=amt_a_b".to_owned();
    let redirect = Answer::Redirect { status: 302, location };
    assert_snapshot!(told_of_list(Rule::new(Endpoint::Runs, redirect)), @"
    exit 2
    error: `GET /api/armature/v1/runs` was redirected to `https://elsewhere.example`, which is another host
    hint: name its host in api.redirect_hosts to get documents from there, without the key; or give it as the API URL, if you trust it with the key
    ");
}

#[test]
fn small_lists_that_are_html() {
    let export = TestExport::of_ended_runs(3);
    for endpoint in [Endpoint::Workflows, Endpoint::McpServers] {
        export.simulator.add_rule(Rule::new(endpoint, answer(200, HTML)));
    }
    let ran = export.run(&["sync"]);
    assert_snapshot!(ran.told(), @"exit 0");
    assert_eq!(export.lake_ids(), export.expected_ids());
    export.simulator.clear_rules();
    export.sync_brings_everything();
    assert_ne!(export.ask("SELECT count(*) FROM workflows"), [["0"]]);
    assert_ne!(export.ask("SELECT count(*) FROM mcp_servers"), [["0"]]);
}

#[test]
fn a_key_that_is_revoked_in_the_middle() {
    let export = TestExport::of_ended_runs(12);
    export.configure("concurrency = 1\n[sync]\ncommit_bytes = 1\n");
    let body = json!({"error": {"code": "unauthenticated", "message": "Revoked."}});
    let refusal = answer(401, body.to_string());
    export.simulator.add_rule(Rule { skip: 4, ..Rule::new(Endpoint::Run, refusal) });
    let ran = export.run(&["sync"]);
    let id = export.expected_ids().into_iter().find(|id| ran.stderr.contains(id.as_str())).unwrap();
    assert_snapshot!(ran.told().replace(&id, "[run]"), @"
    exit 4
    error: the API refused `GET /api/armature/v1/runs/[run]` with 401 (unauthenticated: Revoked.)
    hint: check ARMATURE_API_KEY: it may be revoked, cut off, or of another region (US and EU keys differ)
    ");
    assert_eq!(export.lake_ids().len(), 4, "what was complete is committed");
    assert_eq!(export.database_ids(), export.lake_ids());
    export.simulator.clear_rules();
    export.sync_brings_everything();
}
