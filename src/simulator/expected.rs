//! The rows of a correct export of the world: the oracle that tests compare with.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::catalog::JUDGE_MODEL;
use super::clock::with_microseconds;
use super::content::{Content, content_of};
use super::judgement::{Judgement, judgement_of, score};
use super::plan::{Phase, RunPlan};
use super::world::World;

/// One row: column name to value.
pub type Row = Map<String, Value>;

/// The rows of every table, in the order of the runs' starts, oldest first.
///
/// Instants are RFC 3339 with six fraction digits and `Z`, `cost` and `workflow_version` are text,
/// JSON columns are JSON values: a string that holds a JSON object or array is replaced by that
/// object or array, any other string is a JSON string.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Expected {
    /// One row per final run whose evaluation exists or will never exist.
    pub runs: Vec<Row>,
    /// The spans of those runs.
    pub spans: Vec<Row>,
    /// The tool calls of those runs.
    pub tool_calls: Vec<Row>,
    /// The evaluations of those runs; none for `error` and `timed_out`, nor for runs that are
    /// never evaluated.
    pub evaluations: Vec<Row>,
    /// The criteria of those evaluations.
    pub criteria: Vec<Row>,
    /// The excerpts of those criteria.
    pub excerpts: Vec<Row>,
    /// Runs that are pending or running, or that ended less than two hours ago with an unknown
    /// status: the columns that the list has.
    pub open_runs: Vec<Row>,
    /// The ids of final runs whose evaluation does not exist yet.
    pub waiting: Vec<String>,
}

impl World {
    /// The rows of all runs that have started at `now`. Runs of [`RunOverride`](super::RunOverride)
    /// are not included, removed runs are.
    #[must_use]
    pub fn expected(&self, now: DateTime<Utc>) -> Expected {
        let now = now.timestamp_millis();
        let mut expected = Expected::default();
        for number in 0..self.started_at(now) {
            let plan = self.plan(number);
            match plan.phase(now) {
                _ if plan.passes_for_open(now) => {
                    expected.open_runs.push(open_run_row(self, &plan, now));
                }
                Phase::Unjudged => expected.waiting.push(plan.id.to_string()),
                _ => expected.add(self, &plan, now),
            }
        }
        expected
    }
}

impl Expected {
    /// The number of rows of final runs, over all tables.
    #[must_use]
    pub fn row_count(&self) -> usize {
        let tables = [
            &self.runs,
            &self.spans,
            &self.tool_calls,
            &self.evaluations,
            &self.criteria,
            &self.excerpts,
        ];
        tables.iter().map(|table| table.len()).sum()
    }

    fn add(&mut self, world: &World, plan: &RunPlan, now: i64) {
        let content = content_of(plan);
        let judgement = judgement_of(plan, &content, now);
        self.runs.push(run_row(world, plan, &content, judgement.as_ref(), now));
        self.add_spans(plan, &content);
        self.add_tool_calls(plan, &content);
        if let Some(judgement) = judgement {
            self.evaluations.push(evaluation_row(plan, &judgement));
            self.add_criteria(plan, &judgement);
        }
    }

    fn add_spans(&mut self, plan: &RunPlan, content: &Content) {
        self.spans.extend(content.spans.iter().enumerate().map(|(position, span)| {
            row(json!({
                "run_id": plan.id.to_string(),
                "span_id": span.id,
                "parent_span_id": span.parent,
                "position": position,
                "name": span.name,
                "kind": span.kind,
                "status": span.status,
                "started_at": with_microseconds(span.start),
                "ended_at": with_microseconds(span.end),
                "duration_ms": span.end - span.start,
                "attributes": unpacked(&span.attributes),
            }))
        }));
    }

    fn add_tool_calls(&mut self, plan: &RunPlan, content: &Content) {
        self.tool_calls.extend(content.tool_calls.iter().enumerate().map(|(position, call)| {
            row(json!({
                "run_id": plan.id.to_string(),
                "tool_call_id": call.id,
                "position": position,
                "span_id": call.span_id,
                "tool_name": call.tool,
                "arguments": unpacked(&call.arguments),
                "result": unpacked(&call.result),
                "is_error": call.error.is_some(),
                "error_message": call.error,
                "started_at": with_microseconds(call.start),
                "duration_ms": call.end - call.start,
                "ended_at": with_microseconds(call.end),
            }))
        }));
    }

    fn add_criteria(&mut self, plan: &RunPlan, judgement: &Judgement) {
        for (position, criterion) in judgement.criteria.iter().enumerate() {
            self.criteria.push(row(json!({
                "run_id": plan.id.to_string(),
                "criterion_id": criterion.id,
                "position": position,
                "criterion_text": criterion.text,
                "is_required": criterion.is_required,
                "verdict": criterion.verdict,
                "score": score(criterion.score),
                "rationale": criterion.rationale,
                "verdict_meaning": meaning(criterion.verdict),
            })));
            self.excerpts.extend(criterion.excerpts.iter().enumerate().map(|(position, one)| {
                row(json!({
                    "run_id": plan.id.to_string(),
                    "criterion_id": criterion.id,
                    "position": position,
                    "excerpt": one.text,
                    "source": one.source,
                }))
            }));
        }
    }
}

fn run_row(
    world: &World,
    plan: &RunPlan,
    content: &Content,
    judgement: Option<&Judgement>,
    now: i64,
) -> Row {
    row(json!({
        "run_id": plan.id.to_string(),
        "organization_id": world.settings().organization_id,
        "workflow_id": plan.workflow_id.to_string(),
        "workflow_name": plan.workflow.name,
        "workflow_version": plan.version.to_string(),
        "mcp_server_id": plan.server_id.to_string(),
        "status": plan.status(now),
        "classification": plan.classification_at(now),
        "verdict": judgement.map(|judgement| judgement.verdict),
        "trigger_type": plan.trigger,
        "model": plan.model.id,
        "harness": plan.model.harness,
        "started_at": with_microseconds(plan.start),
        "ended_at": with_microseconds(plan.end),
        "duration_ms": plan.duration(),
        "cost": plan.cost(now),
        "input_tokens": plan.input_tokens,
        "output_tokens": plan.output_tokens,
        "error_message": content.error,
        "prompt": plan.workflow.prompt,
        "evaluation_state": if judgement.is_some() { "ok" } else { "absent" },
        "tool_call_count": content.tool_calls.len(),
        "span_count": content.spans.len(),
        "status_meaning": meaning(plan.status(now)),
        "verdict_meaning": judgement.map(|judgement| meaning(judgement.verdict)),
        "cost_currency": null,
    }))
}

fn open_run_row(world: &World, plan: &RunPlan, now: i64) -> Row {
    let has_ended = !plan.phase(now).is_open();
    row(json!({
        "run_id": plan.id.to_string(),
        "organization_id": world.settings().organization_id,
        "workflow_id": plan.workflow_id.to_string(),
        "workflow_name": plan.workflow.name,
        "status": plan.status(now),
        "status_meaning": meaning(plan.status(now)),
        "classification": plan.classification_at(now),
        "trigger_type": plan.trigger,
        "model": plan.model.id,
        "started_at": with_microseconds(plan.start),
        "ended_at": has_ended.then(|| with_microseconds(plan.end)),
        "duration_ms": has_ended.then(|| plan.duration()),
        "cost": has_ended.then(|| plan.cost(now)),
    }))
}

fn evaluation_row(plan: &RunPlan, judgement: &Judgement) -> Row {
    row(json!({
        "run_id": plan.id.to_string(),
        "verdict": judgement.verdict,
        "classification": judgement.classification,
        "score": score(judgement.score),
        "judge_model": JUDGE_MODEL,
        "summary": judgement.summary,
        "evaluated_at": with_microseconds(plan.settled),
        "status": "completed",
        "error_message": null,
        "verdict_meaning": meaning(judgement.verdict),
    }))
}

/// The meaning of a status or verdict that the simulator uses.
fn meaning(word: &str) -> &'static str {
    match word {
        "pass" => "passed",
        "partial" => "partial",
        "fail" => "failed",
        "error" | "timed_out" => "error",
        "pending" | "running" => "open",
        _ => "unknown",
    }
}

fn row(value: Value) -> Row {
    match value {
        Value::Object(row) => row,
        _ => Row::new(),
    }
}

/// Replaces a string that holds a JSON object or array by that object or array.
fn unpacked(value: &Value) -> Value {
    let held = value.as_str().and_then(|text| serde_json::from_str::<Value>(text).ok());
    held.filter(|held| held.is_object() || held.is_array()).unwrap_or_else(|| value.clone())
}
