//! Worlds, runs and answers of the simulator that many tests use.

use std::collections::BTreeMap;

use armature_export::simulator::{
    Answer, Endpoint, Rule, RunOverride, SimulatorSettings, WorldSettings,
};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

/// When the worlds of tests are born, unless their settings say otherwise.
pub(crate) fn birth() -> DateTime<Utc> {
    "2026-11-23T12:00:00Z".parse().unwrap()
}

/// The moment at which the clock stands in [`ended_runs`].
pub(crate) fn now() -> DateTime<Utc> {
    "2026-11-24T10:00:00Z".parse().unwrap()
}

/// A world of so many runs in twenty days. Its birth is a day ago: all have ended since.
pub(crate) fn ended_runs(runs: u32) -> SimulatorSettings {
    let world =
        WorldSettings { runs, days: 20.0, seconds_between_runs: 0.0, ..WorldSettings::default() };
    SimulatorSettings {
        world,
        start: Some(now()),
        birth: Some(now() - chrono::Duration::days(1)),
        ..SimulatorSettings::default()
    }
}

/// A response of one's own.
pub(crate) fn answer(status: u16, body: impl Into<String>) -> Answer {
    Answer::Status { status, headers: vec![], body: body.into() }
}

/// A fault in one document of one run.
pub(crate) fn rule_for(endpoint: Endpoint, run_id: &str, answer: Answer) -> Rule {
    Rule { run_id: Some(run_id.to_owned()), ..Rule::new(endpoint, answer) }
}

/// A run that ended three hours ago, with one span, one tool call and an evaluation; `detail`
/// goes over its detail's own members.
pub(crate) fn hand_made_run(id: &str, detail: &Value) -> RunOverride {
    let started_at = now() - chrono::Duration::hours(4);
    let listing = json!({
        "id": id,
        "status": "pass",
        "started_at": "2026-11-24T06:00:00Z",
        "finished_at": "2026-11-24T07:00:00Z",
    });
    let mut full = listing.clone();
    for (name, value) in detail.as_object().unwrap() {
        full[name] = value.clone();
    }
    let documents = BTreeMap::from([
        (Endpoint::Run, Some(full)),
        (Endpoint::Trace, Some(json!({"spans": [{"id": "span", "name": "start"}]}))),
        (Endpoint::ToolCalls, Some(json!({"rows": [{"id": "call", "tool_name": "search"}]}))),
        (
            Endpoint::Evaluation,
            Some(json!({"verdict": "pass", "criteria": [
                {"id": "criterion", "verdict": "pass", "excerpts": [{"text": "fine"}]}
            ]})),
        ),
    ]);
    RunOverride { id: id.to_owned(), started_at, listing, documents }
}
