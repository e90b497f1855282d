//! The key is sent to the API's own host, and shows nowhere: not on stdout or stderr however much
//! is logged, and in no file, whatever the server makes of it.

use crate::support::{
    KEY, ProgramOutput, TestExport, all_at_once, answer, ended_runs, files, hand_made_run,
    start_simulator,
};
use armature_export::simulator::{Answer, Endpoint, Rule, Simulator, SimulatorSettings};
use serde_json::json;

/// A key that does not look like one, so that only this program's own care hides it.
const ODD_KEY: &str = "plain-s3cretK3Y";

/// What both keys have in common, and must never show.
const SECRET: &str = "s3cretK3Y";

/// A server that repeats the key in every place that it can, and redirects that lead elsewhere.
fn troubles(key: &str, elsewhere: &str) -> Vec<(&'static str, Rule)> {
    let says = format!("the key {key} is wrong");
    let error = json!({"error": {"code": key, "message": says}}).to_string();
    let with_headers = |status, body: &str| Answer::Status {
        status,
        headers: ["cf-ray", "x-request-id", "x-vercel-id", "retry-after"]
            .map(|name| (name.to_owned(), key.to_owned()))
            .to_vec(),
        body: body.to_owned(),
    };
    let redirect = |status| Answer::Redirect { status, location: format!("{elsewhere}?key={key}") };
    let members = json!({key: [1], "page": key}).to_string();
    let nameless = json!({"rows": [{key: 1}]}).to_string();
    let cut_off = format!("{{\"name\": \"{key}\", \"{key}");
    vec![
        ("organization refused", Rule::new(Endpoint::Organization, answer(401, error.clone()))),
        ("list refused", Rule::new(Endpoint::Runs, answer(401, error.clone()))),
        ("document refused", Rule::new(Endpoint::Trace, answer(403, error.clone()))),
        ("list rejected", Rule::new(Endpoint::Runs, answer(400, error.clone()))),
        ("blocked", Rule::new(Endpoint::Organization, with_headers(403, &says))),
        ("organization fails", Rule::new(Endpoint::Organization, with_headers(500, &error))),
        ("list fails", Rule::new(Endpoint::Runs, with_headers(502, &says))),
        ("document fails", Rule::new(Endpoint::Evaluation, with_headers(503, &error))),
        (
            "slow down",
            Rule { times: Some(1), ..Rule::new(Endpoint::Runs, with_headers(429, &says)) },
        ),
        ("good status, list", Rule::new(Endpoint::Runs, answer(200, error.clone()))),
        ("good status, document", Rule::new(Endpoint::ToolCalls, answer(200, error))),
        ("unknown members", Rule::new(Endpoint::Runs, answer(200, members))),
        ("no ids", Rule::new(Endpoint::Runs, answer(200, nameless))),
        ("cut off", Rule::new(Endpoint::Run, answer(200, cut_off))),
        ("no JSON", Rule::new(Endpoint::Trace, answer(200, says))),
        ("small list fails", Rule::new(Endpoint::Workflows, with_headers(500, "{}"))),
        ("organization redirected", Rule::new(Endpoint::Organization, redirect(302))),
        ("list redirected", Rule::new(Endpoint::Runs, redirect(308))),
        ("document redirected", Rule::new(Endpoint::Trace, redirect(307))),
    ]
}

/// The lines of a text that show the secret.
fn leaks(what: &str, text: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| line.contains(SECRET));
    lines.map(|line| format!("{what}: {line}")).collect()
}

fn leaks_of(what: &str, ran: &ProgramOutput) -> Vec<String> {
    let mut found = leaks(&format!("{what}, stdout"), &ran.stdout);
    found.extend(leaks(&format!("{what}, stderr"), &ran.stderr));
    found
}

/// Every file, as it is on disk, and every row of every table, which compression may hide there.
fn leaks_on_disk(export: &TestExport) -> Vec<String> {
    let mut found = Vec::new();
    for (path, content) in files(export.folder()) {
        let shown = path.display().to_string();
        found.extend(leaks(&shown, &String::from_utf8_lossy(&content)));
        if shown.ends_with(".parquet") {
            found.extend(leaks_in_rows(export, &format!("read_parquet('{shown}')")));
        }
    }
    let tables = export.ask("SELECT table_name FROM duckdb_tables()");
    assert!(tables.len() > 10, "{tables:?}");
    for table in tables.into_iter().flatten() {
        found.extend(leaks_in_rows(export, &format!("\"{table}\"")));
    }
    found
}

fn leaks_in_rows(export: &TestExport, relation: &str) -> Vec<String> {
    let rows = export.ask(&format!("SELECT * FROM {relation}"));
    rows.iter().flat_map(|row| leaks(relation, &row.join(" | "))).collect()
}

/// All that is said during one trouble, and after it.
fn say_all(export: &TestExport, key: &str, name: &str, rule: Rule) -> Vec<String> {
    // A run of its own for each trouble: what is exported is not fetched again.
    export.simulator.override_run(hand_made_run(name, &json!({})));
    export.simulator.add_rule(rule);
    let mut found = Vec::new();
    let mut run = |arguments: &[&str]| {
        let ran = export.finish(export.command(arguments).env("ARMATURE_API_KEY", key));
        found.extend(leaks_of(&format!("{name}, {}", arguments.join(" ")), &ran));
        ran.code
    };
    let text = run(&["sync", "-vvv"]);
    run(&["sync", "-vvv", "--log-format", "json", "--output", "json"]);
    run(&["doctor", "-vvv"]);
    if name.contains("document") || name == "no JSON" || name == "cut off" {
        run(&["status"]);
        run(&["status", "--output", "json"]);
        run(&["deliver", "-vvv"]);
    }
    export.simulator.clear_rules();
    let healed = run(&["sync", "-v"]);
    let smooth = ["slow down", "small list fails"].contains(&name);
    assert_eq!(text == Some(0), smooth, "{name}: exit {text:?}");
    assert_eq!(healed, Some(0), "{name}");
    found
}

fn assert_that_it_never_shows(key: &str) {
    let keys = Some(vec![key.to_owned()]);
    let other: Simulator = start_simulator(ended_runs(6));
    let mut troubles = troubles(key, &other.base_url());
    // A few after one another, as what was exported meets the next ones.
    let groups = std::iter::from_fn(|| {
        let group: Vec<_> = troubles.drain(..troubles.len().min(5)).collect();
        (!group.is_empty()).then_some(group)
    });
    all_at_once(groups, |group| {
        let settings = SimulatorSettings { keys: keys.clone(), ..ended_runs(6) };
        assert_that_none_shows(&TestExport::new(settings), key, group);
    });
    assert_eq!(other.request_count(), 0, "the key went to another host");
}

fn assert_that_none_shows(export: &TestExport, key: &str, troubles: Vec<(&'static str, Rule)>) {
    export.configure("max_retry_secs = 1\n");
    let mut found = Vec::new();
    for (name, rule) in troubles {
        found.extend(say_all(export, key, name, rule));
    }
    let ran = export.run(&["deliver", "--rebuild", "-vvv"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    found.extend(leaks_of("rebuild", &ran));
    found.extend(leaks_on_disk(export));
    assert!(found.is_empty(), "the key shows {} times:\n{}", found.len(), found.join("\n"));
}

#[test]
fn the_key_never_shows() {
    assert_that_it_never_shows(KEY);
}

#[test]
fn a_key_of_another_form_never_shows_either() {
    assert_that_it_never_shows(ODD_KEY);
}

#[test]
fn a_redirect_within_the_host_is_followed_and_to_another_port_is_not() {
    let export = TestExport::of_ended_runs(3);
    let other = start_simulator(ended_runs(3));
    let to = |base: &str| Answer::Redirect { status: 302, location: format!("{base}/org") };
    let away = Rule { times: Some(1), ..Rule::new(Endpoint::Organization, to(&other.base_url())) };
    export.simulator.add_rule(away);
    assert_eq!(export.run(&["sync"]).code, Some(2));
    assert_eq!((export.simulator.request_count(), other.request_count()), (1, 0));
    let home = to(&export.simulator.base_url());
    export.simulator.add_rule(Rule { times: Some(1), ..Rule::new(Endpoint::Organization, home) });
    export.sync_brings_everything();
    assert_eq!(other.request_count(), 0);
}
