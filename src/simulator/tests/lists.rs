//! Lists, shapes, keys and manually written runs.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::json;

use super::super::*;
use super::{get, listed, request, settings, start};

#[tokio::test]
async fn pages_cover_every_run_once_newest_first() {
    let simulator = start(457).await;
    let all: Vec<String> = simulator.world().run_ids(simulator.now()).collect();
    let newest_first: Vec<_> = all.iter().rev().cloned().collect();
    assert_eq!(listed(&simulator, "range=30d&pageSize=100000", 1).await, newest_first);
    assert_eq!(listed(&simulator, "range=30d&pageSize=37", 1).await, newest_first);
    assert_eq!(listed(&simulator, "range=30d&pageSize=100&sort=started_at", 1).await, all);
    let body = get(&simulator, "/runs?range=30d&pageSize=500").await.json();
    assert_eq!((&body["pageSize"], &body["total"]), (&json!(100), &json!(457)));
    let body = get(&simulator, "/runs?range=7d").await.json();
    assert_eq!(body["rows"].as_array().unwrap().len(), 20);
    let day = get(&simulator, "/runs").await.json();
    let bounds = simulator.now() - chrono::Duration::hours(24);
    let expected = simulator.world().run_count(simulator.now())
        - simulator.world().run_count(bounds - chrono::Duration::milliseconds(1));
    assert_eq!(day["total"], expected);
}

#[tokio::test]
async fn filters_take_what_they_say() {
    let simulator = start(400).await;
    let rows = simulator.world().expected(simulator.now()).runs;
    for (filter, column, value) in [
        ("status=fail", "status", "fail"),
        ("classification=tool_error", "classification", "tool_error"),
        ("search=CHECKOUT%20smoke", "workflow_name", "checkout smoke test"),
    ] {
        let ids = listed(&simulator, &format!("range=30d&pageSize=100&{filter}"), 1).await;
        let right: BTreeSet<_> = rows
            .iter()
            .filter(|row| row[column] == value)
            .map(|row| row["run_id"].to_string())
            .collect();
        assert!(right.len() > 3, "{filter}");
        assert_eq!(
            ids.into_iter().map(|id| json!(id).to_string()).collect::<BTreeSet<_>>(),
            right,
            "{filter}"
        );
    }
    let workflow = rows[0]["workflow_id"].as_str().unwrap();
    let body = get(&simulator, &format!("/runs?range=30d&workflowId={workflow}")).await.json();
    assert!(body["rows"].as_array().unwrap().iter().all(|row| row["workflow_id"] == workflow));
    for bad in ["range=90d", "pageSize=many", "page=-1"] {
        let refused = get(&simulator, &format!("/runs?{bad}")).await;
        assert_eq!(refused.status, 400);
        assert_eq!(refused.json()["error"]["code"], "validation_failed");
    }
}

#[tokio::test]
async fn every_endpoint_takes_its_shape() {
    let simulator = start(50).await;
    let id = simulator.world().expected(simulator.now()).evaluations[0]["run_id"].clone();
    let path = format!("/runs/{}", id.as_str().unwrap());
    simulator.set_shape(Shape {
        list: ListEnvelope::Runs,
        casing: Casing::Camel,
        wrapped: true,
        page_base: 0,
        numbers_as_text: true,
        ..Shape::default()
    });
    let list = get(&simulator, "/runs?range=30d").await.json();
    assert_eq!(list["page"], 0);
    assert!(list["runs"][0]["startedAt"].is_string());
    let second = get(&simulator, "/runs?range=30d&page=1").await.json();
    assert_ne!(second["runs"][0]["id"], list["runs"][0]["id"]);
    let run = get(&simulator, &path).await.json();
    assert!(run["run"]["durationMs"].is_string());
    let trace = get(&simulator, &format!("{path}/trace")).await.json();
    assert_eq!(trace["trace"]["runId"], id);
    assert!(trace["trace"]["spans"][0]["attributes"]["workflow_version"].is_number());
    let evaluation = get(&simulator, &format!("{path}/evaluation")).await.json();
    assert!(evaluation["evaluation"]["criteria"][0]["criterionText"].is_string());
    let calls = get(&simulator, &format!("{path}/tool-calls")).await.json();
    assert!(calls["toolCalls"][0]["toolName"].is_string());
    assert!(get(&simulator, "/workflows").await.json()["workflows"][0]["mcpServerId"].is_string());
    assert!(get(&simulator, "/mcp-servers").await.json()["rows"][0]["base_url"].is_string());
    simulator.set_shape(Shape { list: ListEnvelope::Bare, ignores_page: true, ..Shape::default() });
    let first = get(&simulator, "/runs?range=30d").await.json();
    assert_eq!(first.as_array().unwrap().len(), 20);
    assert_eq!(get(&simulator, "/runs?range=30d&page=2").await.json(), first);
}

#[tokio::test]
async fn keys_dates_and_records() {
    let keys = Some(vec!["amt_good_one".to_owned()]);
    let simulator = Simulator::start(SimulatorSettings { keys, ..settings(10) }).await.unwrap();
    for key in [None, Some("amt_bad_one")] {
        let refused = request(&simulator, "/runs", key).await;
        assert_eq!(refused.status, 401);
        assert_eq!(refused.json()["error"]["code"], "unauthenticated");
        assert_eq!(refused.headers["date"], "Tue, 24 Nov 2026 10:00:00 GMT");
    }
    let open = request(&simulator, "/openapi", None).await;
    assert_eq!(open.json()["openapi"], "3.0.3");
    let organization = request(&simulator, "/org", Some("amt_good_one")).await.json();
    assert_eq!(organization["actor"]["role"], "viewer");
    let unknown = request(&simulator, "/nothing?x=1", Some("amt_good_one")).await;
    assert_eq!((unknown.status, &unknown.json()["error"]["code"]), (404, &json!("not_found")));
    assert_eq!(unknown.headers["date"], "Tue, 24 Nov 2026 10:00:00 GMT");
    let requests = simulator.requests();
    assert_eq!(
        requests.iter().map(|one| one.status).collect::<Vec<_>>(),
        [401, 401, 200, 200, 404]
    );
    assert_eq!(requests[4].path, "/api/armature/v1/nothing");
    assert_eq!(requests[4].query.as_deref(), Some("x=1"));
    assert_eq!(requests[4].user_agent.as_deref(), Some("test"));
    simulator.clear_requests();
    assert!(simulator.requests().is_empty());
    assert_eq!(simulator.request_count(), 5);
    assert_eq!(simulator.peak_requests_in_flight(), 1);
}

#[tokio::test]
async fn runs_can_be_added_and_removed() {
    let simulator = start(30).await;
    let ids: Vec<String> = simulator.world().run_ids(simulator.now()).collect();
    let id = "a/b \"c\"\n..";
    let run = json!({"run": {"odd": true}});
    simulator.override_run(RunOverride {
        id: id.to_owned(),
        started_at: simulator.now(),
        listing: json!({"id": id, "status": "cancelled"}),
        documents: BTreeMap::from([(Endpoint::Run, Some(run.clone())), (Endpoint::Trace, None)]),
    });
    simulator.remove_run(&ids[0]);
    let listed = listed(&simulator, "range=30d", 1).await;
    assert_eq!(listed.len(), 30);
    assert_eq!((listed[0].as_str(), &listed[1]), (id, &ids[29]));
    assert!(!listed.contains(&ids[0]));
    let path = "/runs/a%2Fb%20%22c%22%0A..";
    assert_eq!(get(&simulator, path).await.json(), run);
    assert_eq!(get(&simulator, &format!("{path}/trace")).await.status, 404);
    assert_eq!(get(&simulator, &format!("/runs/{}", ids[0])).await.status, 404);
    let body = get(&simulator, "/runs?range=30d&status=cancelled").await.json();
    assert_eq!(body["total"], 1);
}

#[tokio::test]
async fn a_hundred_thousand_runs_are_listed_quickly() {
    let begun = Instant::now();
    let simulator = start(100_000).await;
    let mut count = 0;
    for page in [1, 500, 999, 1000] {
        let body = get(&simulator, &format!("/runs?range=30d&pageSize=100&page={page}")).await;
        count += body.json()["rows"].as_array().unwrap().len();
    }
    assert_eq!(count, 400);
    assert!(begun.elapsed() < Duration::from_secs(5), "took {:?}", begun.elapsed());
}
