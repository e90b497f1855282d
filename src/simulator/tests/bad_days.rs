//! Fault plans over HTTP: planned faults happen, the same ones each time, and end.

use std::collections::BTreeSet;
use std::time::Instant;

use serde_json::{Value, json};

use super::super::*;
use super::{Received, birth, get, listed, settings, start};

/// A simulator with this number of runs and these faults of the list.
async fn with_list(runs: u32, list: ListFaults) -> Simulator {
    let simulator = start(runs).await;
    simulator.set_faults(FaultPlan { list, ..FaultPlan::default() });
    simulator
}

/// The response to a request for the organization with these failures.
async fn failing(failures: Failures) -> Received {
    let simulator = start(3).await;
    simulator.set_faults(FaultPlan { failures, ..FaultPlan::default() });
    get(&simulator, "/org").await
}

async fn page(simulator: &Simulator, number: u32) -> Value {
    get(simulator, &format!("/runs?range=30d&page={number}")).await.json()
}

fn ids(page: &Value) -> Vec<String> {
    let rows = page["rows"].as_array().unwrap().iter();
    rows.map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn the_clock_moves_while_the_list_is_read() {
    let faults = ListFaults { clock_step_seconds: 600, ..ListFaults::default() };
    let simulator = with_list(30, faults).await;
    let mut instants = BTreeSet::new();
    for number in 1..20 {
        page(&simulator, number).await;
        assert!(instants.last().is_none_or(|last| *last <= simulator.now()));
        instants.insert(simulator.now());
    }
    assert!(instants.len() > 15, "{instants:?}");
    assert!(simulator.now() - birth() <= chrono::Duration::seconds(19 * 600));
    let before = simulator.now();
    get(&simulator, "/org").await;
    assert_eq!(simulator.now(), before);
}

#[tokio::test]
async fn a_run_that_vanishes_lets_a_row_slip_past_the_reader_and_comes_back() {
    let faults = ListFaults { vanish_percent: 100.0, vanish_requests: 1, ..ListFaults::default() };
    let simulator = with_list(100, faults).await;
    let all: Vec<String> = simulator.world().run_ids(simulator.now()).collect();
    let newest_first: Vec<&String> = all.iter().rev().collect();
    // There is no run above the first page, so none vanishes from it.
    assert_eq!(ids(&page(&simulator, 1).await).iter().collect::<Vec<_>>(), newest_first[..20]);
    let second = page(&simulator, 2).await;
    assert_eq!(ids(&second).iter().collect::<Vec<_>>(), newest_first[21..41]);
    assert_eq!(second["total"], 99);
    assert_eq!(ids(&page(&simulator, 1).await).iter().collect::<Vec<_>>(), newest_first[..20]);
}

#[tokio::test]
async fn pages_are_repeated_emptied_and_shuffled() {
    let right = start(100).await;
    let (first, second) = (page(&right, 1).await, page(&right, 2).await);

    let all = 100.0;
    let faults = ListFaults { repeated_page_percent: all, ..ListFaults::default() };
    let repeated = page(&with_list(100, faults).await, 2).await;
    assert_eq!((&repeated["rows"], &repeated["page"]), (&first["rows"], &json!(2)));

    let faults = ListFaults { empty_page_percent: all, ..ListFaults::default() };
    let simulator = with_list(100, faults).await;
    assert_eq!(page(&simulator, 1).await, first);
    let empty = page(&simulator, 2).await;
    assert_eq!((&empty["rows"], &empty["total"]), (&json!([]), &json!(100)));

    let faults = ListFaults { shuffled_percent: all, ..ListFaults::default() };
    let simulator = with_list(100, faults).await;
    let orders = [page(&simulator, 1).await, page(&simulator, 1).await];
    assert_ne!(ids(&orders[0]), ids(&orders[1]));
    assert_ne!(ids(&orders[0]), ids(&first));

    let faults = ListFaults { oldest_first: true, ..ListFaults::default() };
    let oldest = page(&with_list(100, faults).await, 1).await;
    let world: Vec<String> = right.world().run_ids(right.now()).take(20).collect();
    assert_eq!(ids(&oldest), world);
    assert_ne!(ids(&second), world);
}

#[tokio::test]
async fn totals_lie() {
    let total = async |faults| page(&with_list(100, faults).await, 1).await["total"].clone();
    let faults = ListFaults { low_total_percent: 100.0, ..ListFaults::default() };
    assert_eq!(total(faults).await, 50);
    let faults = ListFaults { high_total_percent: 100.0, ..ListFaults::default() };
    assert_eq!(total(faults).await, 151);
    let faults = ListFaults { no_total_percent: 100.0, ..ListFaults::default() };
    assert!(total(faults).await.is_null());
}

#[tokio::test]
async fn every_failure_does_what_it_says() {
    let right = get(&start(3).await, "/org").await;
    let all = 100.0;
    let none = Failures::default();
    let limited = failing(Failures { rate_limit_header_percent: all, ..none }).await;
    assert_eq!((limited.status, limited.headers["retry-after"].as_str()), (429, "1"));
    let limited = failing(Failures { rate_limit_details_percent: all, ..none }).await;
    assert_eq!(limited.json()["error"]["details"]["retryAfterSec"], 1);
    let limited = failing(Failures { rate_limit_body_percent: all, ..none }).await;
    assert_eq!((limited.status, &limited.json()["retryAfterSec"]), (429, &json!(1)));
    let limited = failing(Failures { rate_limit_long_percent: all, ..none }).await;
    assert_eq!(limited.headers["retry-after"], "86400");
    let broken = failing(Failures { server_error_percent: all, ..none }).await;
    assert!([500, 502, 503].contains(&broken.status));
    let reset = failing(Failures { reset_percent: all, ..none }).await;
    assert_eq!(reset.length(), right.length());
    let begun = Instant::now();
    let late = failing(Failures { stall_percent: all, stall_seconds: 0.1, ..none }).await;
    assert!(begun.elapsed().as_millis() >= 100 && late.body == right.body);
    let slow = failing(Failures { drip_percent: all, ..none }).await;
    assert_eq!(slow.body, right.body);
    let short = failing(Failures { short_length_percent: all, ..none }).await;
    assert!(short.length() < right.length() && right.body.starts_with(&short.body));
    let long = failing(Failures { long_length_percent: all, ..none }).await;
    assert!(long.length() > right.length() && long.body == right.body);
    let cut = failing(Failures { cut_gzip_percent: all, ..none }).await;
    assert_eq!((cut.status, cut.headers["content-encoding"].as_str()), (200, "gzip"));
    assert!(cut.body.ends_with(br#"{"rows":[]}"#));
    for (failures, status) in [
        (Failures { html_refusal_percent: all, ..none }, 403),
        (Failures { html_percent: all, ..none }, 200),
    ] {
        let page = failing(failures).await;
        assert_eq!(
            (page.status, page.headers["content-type"].get(..9)),
            (status, Some("text/html"))
        );
        assert!(page.body.starts_with(b"<!DOCTYPE html>"));
    }
}

#[tokio::test]
async fn the_key_is_revoked_for_a_while_and_the_clock_is_off() {
    let simulator = start(3).await;
    let key = KeyFaults { revoked_after_requests: Some(2), revoked_for_requests: 3 };
    let clock = ClockFaults { skew_seconds: -90, unreadable_date_percent: 0.0 };
    simulator.set_faults(FaultPlan { key, clock, ..FaultPlan::default() });
    let mut statuses = Vec::new();
    for _ in 0..7 {
        let received = get(&simulator, "/org").await;
        assert_eq!(received.headers["date"], "Tue, 24 Nov 2026 09:58:30 GMT");
        statuses.push(received.status);
    }
    assert_eq!(statuses, [200, 200, 401, 401, 401, 200, 200]);
    let clock = ClockFaults { skew_seconds: 0, unreadable_date_percent: 100.0 };
    simulator.set_faults(FaultPlan { clock, ..FaultPlan::default() });
    assert_eq!(get(&simulator, "/org").await.headers["date"], "out of order");
    simulator.clear_faults();
    assert_eq!(get(&simulator, "/org").await.headers["date"], "Tue, 24 Nov 2026 10:00:00 GMT");
}

#[tokio::test]
async fn a_plan_ends_when_it_says_or_when_it_is_told() {
    let simulator = start(100).await;
    let right = page(&simulator, 2).await;
    let rule = Rule::new(Endpoint::McpServers, Answer::Truncate { bytes: 3 });
    let plan = FaultPlan {
        end_after_requests: Some(2),
        list: ListFaults { vanish_percent: 100.0, vanish_requests: 99, ..ListFaults::default() },
        rules: vec![rule],
        ..FaultPlan::default()
    };
    simulator.set_faults(plan.clone());
    assert_eq!(get(&simulator, "/mcp-servers").await.length(), 3);
    assert_ne!(page(&simulator, 2).await, right);
    assert_eq!(page(&simulator, 2).await, right);
    assert!(get(&simulator, "/mcp-servers").await.length() > 3);
    simulator.set_faults(FaultPlan { end_after_requests: None, ..plan });
    assert_ne!(page(&simulator, 2).await, right);
    simulator.clear_faults();
    assert_eq!(page(&simulator, 2).await, right);
    assert!(get(&simulator, "/mcp-servers").await.length() > 3);
}

#[tokio::test]
async fn the_same_seed_hits_the_same_requests_in_whatever_order_they_come() {
    let failures =
        Failures { server_error_percent: 20.0, html_percent: 20.0, ..Failures::default() };
    let hit = async |seed: u64, is_reversed: bool| {
        let simulator = start(30).await;
        simulator.set_faults(FaultPlan { seed, failures, ..FaultPlan::default() });
        let mut ids: Vec<String> = simulator.world().run_ids(simulator.now()).collect();
        if is_reversed {
            ids.reverse();
        }
        let mut answers = BTreeSet::new();
        for id in &ids {
            for time in 0..2 {
                let received = get(&simulator, &format!("/runs/{id}/trace")).await;
                answers.insert((id.clone(), time, received.status, received.length()));
            }
        }
        answers
    };
    let first = hit(1, false).await;
    assert_eq!(first, hit(1, true).await);
    assert_ne!(first, hit(2, false).await);
    let failed = first.iter().filter(|(_, _, status, _)| *status >= 500).count();
    assert!((4..24).contains(&failed), "{failed} of 60");
}

#[tokio::test]
async fn odd_lives_are_listed_as_expected() {
    let lives = Lives {
        long_open_percent: 10,
        long_open_days: 40.0,
        never_evaluated_percent: 20,
        unknown_status_percent: 10,
        changed_percent: 30,
        retried_percent: 100,
        redacted_percent: 20,
        ..Lives::default()
    };
    let world = WorldSettings { runs: 300, lives, ..WorldSettings::default() };
    let simulator = Simulator::start(SimulatorSettings { world, ..settings(0) }).await.unwrap();
    let expected = simulator.world().expected(simulator.now());
    let (mut unknown, mut reviewed, mut unjudged) = (0, 0, 0);
    for run in &expected.runs {
        let path = format!("/runs/{}", run["run_id"].as_str().unwrap());
        let detail = get(&simulator, &path).await.json();
        assert_eq!(detail["status"], run["status"]);
        assert_eq!(detail["classification"], run["classification"]);
        assert_eq!(detail["cost_usd"].to_string(), run["cost"].as_str().unwrap());
        let evaluation = get(&simulator, &format!("{path}/evaluation")).await;
        assert_eq!(evaluation.status == 200, run["evaluation_state"] == "ok");
        unknown += usize::from(run["status"] == "galvanized");
        reviewed += usize::from(run["classification"] == "reviewed");
        unjudged += usize::from(run["status"] == "pass" && run["verdict"].is_null());
    }
    assert!(unknown > 10 && reviewed > 30 && unjudged > 20, "{unknown} {reviewed} {unjudged}");
    assert!(expected.open_runs.len() > 10, "{} open", expected.open_runs.len());
    let marker = json!("[redacted:sensitive-field]");
    assert!(expected.tool_calls.iter().any(|call| call["arguments"] == marker));
    assert!(expected.spans.iter().any(|span| span["attributes"] == marker));
}

#[tokio::test]
async fn a_retry_names_a_run_of_its_workflow_that_went_wrong_before() {
    let lives = Lives { retried_percent: 100, ..Lives::default() };
    let world = WorldSettings { runs: 300, lives, ..WorldSettings::default() };
    let simulator = Simulator::start(SimulatorSettings { world, ..settings(0) }).await.unwrap();
    let mut retries = 0;
    for id in listed(&simulator, "range=30d&pageSize=100", 1).await {
        let run = get(&simulator, &format!("/runs/{id}")).await.json();
        if let Some(first) = run["retry_of_run_id"].as_str() {
            let first = get(&simulator, &format!("/runs/{first}")).await.json();
            assert_eq!(first["workflow_id"], run["workflow_id"]);
            assert!(["error", "timed_out"].contains(&first["status"].as_str().unwrap()));
            assert!(first["finished_at"].as_str() <= run["started_at"].as_str());
            retries += 1;
        }
    }
    assert!(retries > 3, "{retries} retries");
}

#[test]
fn a_changed_run_is_as_it_was_until_then() {
    let lives = Lives { changed_percent: 100, changed_seconds: 3_600.0, ..Lives::default() };
    let settings = WorldSettings {
        runs: 50,
        days: 1.0,
        seconds_between_runs: 0.0,
        ..WorldSettings::default()
    };
    let calm = World::new(settings.clone(), birth());
    let world = World::new(WorldSettings { lives, ..settings }, birth());
    let plan = world.plan(49);
    let at = |instant: i64| chrono::DateTime::from_timestamp_millis(instant).unwrap();
    let changed = plan.changed.unwrap();
    let last = |world: &World, instant| world.expected(at(instant)).runs.pop().unwrap();
    assert_eq!(plan.id.to_string(), last(&world, changed)["run_id"].as_str().unwrap());
    assert_eq!(last(&world, changed - 1), last(&calm, changed - 1));
    let (before, after) = (last(&world, changed - 1), last(&world, changed));
    let differing: Vec<&String> = before.keys().filter(|key| before[*key] != after[*key]).collect();
    assert_eq!(differing, ["classification", "cost"]);
    let summary =
        |instant| world.expected(at(instant)).evaluations.pop().unwrap()["summary"].clone();
    assert_ne!(summary(changed - 1), summary(changed));
}

#[tokio::test]
async fn records_can_have_keys_that_nobody_knows() {
    let simulator = start(30).await;
    simulator.set_shape(Shape { has_unknown_keys: true, ..Shape::default() });
    let rows = page(&simulator, 1).await;
    assert_eq!(rows["rows"][0]["x_new_field"], json!({"since": "today"}));
    assert!(rows["x_new_field"].is_null());
}

#[test]
fn scenarios_are_written_as_toml_and_read_back() {
    for seed in 0..64 {
        let scenario = Scenario::random(seed);
        assert_eq!(scenario, Scenario::random(seed));
        let text = toml::to_string(&scenario).unwrap();
        assert_eq!(toml::from_str::<Scenario>(&text).unwrap(), scenario, "{text}");
    }
    assert_ne!(Scenario::random(1), Scenario::random(2));
}
