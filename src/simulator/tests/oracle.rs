//! Compares the rows that the world expects with what the API returns.

use std::collections::BTreeSet;

use chrono::DateTime;
use serde_json::{Value, json};

use super::super::*;
use super::{birth, get, start};

#[test]
fn the_same_seed_gives_the_same_rows_and_another_one_does_not() {
    let rows = |seed| {
        let settings = WorldSettings { seed, runs: 60, ..WorldSettings::default() };
        let expected = World::new(settings, birth()).expected(birth());
        serde_json::to_string(&expected).unwrap()
    };
    assert_eq!(rows(1), rows(1));
    assert_ne!(rows(1), rows(2));
}

#[test]
fn no_column_is_empty_in_all_rows() {
    let settings = WorldSettings { runs: 200, ..WorldSettings::default() };
    let expected = World::new(settings, birth()).expected(birth());
    let Value::Object(tables) = serde_json::to_value(&expected).unwrap() else { panic!() };
    for table in ["runs", "spans", "tool_calls", "evaluations", "criteria", "excerpts"] {
        let rows = tables[table].as_array().unwrap();
        for column in rows[0].as_object().unwrap().keys() {
            let is_filled = rows.iter().any(|row| !row[column].is_null() && row[column] != "");
            // No run of the world has a value for these.
            let is_known = [("runs", "cost_currency"), ("evaluations", "error_message")];
            let is_known = is_known.contains(&(table, column.as_str()));
            assert!(is_filled || is_known, "{table}.{column}");
        }
    }
    let statuses: BTreeSet<_> = expected.runs.iter().map(|run| run["status"].to_string()).collect();
    assert_eq!(statuses.len(), 5, "{statuses:?}");
    let results: Vec<_> = expected.tool_calls.iter().map(|call| &call["result"]).collect();
    assert!(results.iter().any(|result| result.is_array()));
    assert!(results.iter().any(|result| result.is_object()));
    assert!(results.iter().any(|result| *result == "[redacted:github-token]"));
    let is_cut_off = |text: &str| text.starts_with("{\"") && !text.ends_with('}');
    assert!(results.iter().any(|result| result.as_str().is_some_and(is_cut_off)));
}

#[test]
fn keys_are_unique_and_children_lie_within_their_runs() {
    let settings = WorldSettings { runs: 200, ..WorldSettings::default() };
    let expected = World::new(settings, birth()).expected(birth());
    let unique = |rows: &[Row], keys: &[&str]| {
        let all: BTreeSet<_> = rows
            .iter()
            .map(|row| keys.iter().map(|key| row[*key].to_string()).collect::<Vec<_>>())
            .collect();
        assert_eq!(all.len(), rows.len(), "{keys:?}");
    };
    unique(&expected.runs, &["run_id"]);
    unique(&expected.spans, &["run_id", "span_id"]);
    unique(&expected.tool_calls, &["run_id", "tool_call_id"]);
    unique(&expected.criteria, &["run_id", "criterion_id"]);
    unique(&expected.excerpts, &["run_id", "criterion_id", "position"]);
    let span_ids: BTreeSet<_> =
        expected.spans.iter().map(|span| span["span_id"].to_string()).collect();
    for span in &expected.spans {
        let parent = &span["parent_span_id"];
        assert!(parent.is_null() || span_ids.contains(&parent.to_string()));
        assert!(span["started_at"].as_str() <= span["ended_at"].as_str());
    }
    for call in &expected.tool_calls {
        assert!(span_ids.contains(&call["span_id"].to_string()));
    }
}

#[tokio::test]
async fn a_run_lives_from_pending_to_judged() {
    let simulator = start(0).await;
    simulator.advance(chrono::Duration::days(1));
    let plans: Vec<_> = (0..200).map(|number| simulator.world().plan(number)).collect();
    let plan = plans.iter().find(|plan| plan.settled > plan.end).unwrap();
    let path = format!("/runs/{}", plan.id);
    let at =
        |milliseconds| simulator.set_now(DateTime::from_timestamp_millis(milliseconds).unwrap());

    at(plan.start - 1);
    assert_eq!(get(&simulator, &path).await.status, 404);
    at(plan.start);
    let run = get(&simulator, &path).await.json();
    assert_eq!(run["status"], "pending");
    assert!(run["finished_at"].is_null() && run["cost_usd"].is_null());
    assert_eq!(get(&simulator, &format!("{path}/trace")).await.json()["spans"], json!([]));
    at(plan.running_from);
    assert_eq!(get(&simulator, &path).await.json()["status"], "running");
    let spans = get(&simulator, &format!("{path}/trace")).await.json();
    assert!(spans["spans"][0]["finished_at"].is_null());
    let open = simulator.world().expected(simulator.now()).open_runs;
    assert!(open.iter().any(|row| row["run_id"] == plan.id.to_string()));
    at(plan.end);
    let run = get(&simulator, &path).await.json();
    assert_eq!(run["status"], plan.outcome.name());
    assert!(run["finished_at"].is_string() && run["evaluation"].is_null());
    assert_eq!(get(&simulator, &format!("{path}/evaluation")).await.status, 404);
    let waiting = simulator.world().expected(simulator.now()).waiting;
    assert!(waiting.contains(&plan.id.to_string()));
    at(plan.settled);
    let evaluation = get(&simulator, &format!("{path}/evaluation")).await.json();
    assert_eq!(evaluation["verdict"], plan.outcome.name());
    assert!(get(&simulator, &path).await.json()["evaluation"].is_object());

    let error = plans.iter().find(|plan| !plan.outcome.is_judged()).unwrap();
    at(error.end);
    let absent = get(&simulator, &format!("/runs/{}/evaluation", error.id)).await;
    assert_eq!((absent.status, &absent.json()["error"]["code"]), (404, &json!("not_found")));
    simulator.stop().await;
}

#[tokio::test]
async fn documents_hold_what_is_expected() {
    let simulator = start(40).await;
    let expected = simulator.world().expected(simulator.now());
    for run in &expected.runs {
        let id = run["run_id"].as_str().unwrap();
        let of_run = |rows: &[Row]| rows.iter().filter(|row| row["run_id"] == id).count();
        let detail = get(&simulator, &format!("/runs/{id}")).await.json();
        assert_eq!(detail["cost_usd"].to_string(), run["cost"].as_str().unwrap());
        assert_eq!(detail["error"], run["error_message"]);
        let trace = get(&simulator, &format!("/runs/{id}/trace")).await.json();
        assert_eq!(trace["spans"].as_array().unwrap().len(), of_run(&expected.spans));
        let calls = get(&simulator, &format!("/runs/{id}/tool-calls")).await.json();
        assert_eq!(calls["rows"].as_array().unwrap().len(), of_run(&expected.tool_calls));
        let evaluation = get(&simulator, &format!("/runs/{id}/evaluation")).await;
        let state = if evaluation.status == 200 { "ok" } else { "absent" };
        assert_eq!(run["evaluation_state"], state);
    }
}
