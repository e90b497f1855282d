//! Bodies of the API's responses in their canonical form: `snake_case` and without an envelope,
//! before a shape is applied.
//!
//! Key names are inferred; none of these bodies is documented.

use serde_json::{Value, json};

use super::catalog::JUDGE_MODEL;
use super::clock::with_milliseconds;
use super::content::{Content, Span, content_of, redacted};
use super::judgement::{JudgedCriterion, judgement_of, score};
use super::plan::{Phase, RunPlan};
use super::random::{Seeded, combine};
use super::world::World;

const METADATA_STREAM: u64 = 13;

/// A run's row in the list at `now` (milliseconds).
pub(super) fn listing(plan: &RunPlan, now: i64) -> Value {
    let is_final = !plan.phase(now).is_open();
    json!({
        "id": plan.id.to_string(),
        "workflow_id": plan.workflow_id.to_string(),
        "workflow_name": plan.workflow.name,
        "status": plan.status(now),
        "classification": plan.classification_at(now),
        "trigger_type": plan.trigger,
        "model_id": plan.model.id,
        "started_at": with_milliseconds(plan.start),
        "finished_at": is_final.then(|| with_milliseconds(plan.end)),
        "duration_ms": is_final.then(|| plan.duration()),
        "cost_usd": is_final.then(|| plan.cost_number(now)),
    })
}

/// A run's detail: its row in the list, and more.
pub(super) fn detail(plan: &RunPlan, now: i64) -> Value {
    let phase = plan.phase(now);
    let is_final = !phase.is_open();
    let content = content_of(plan);
    let judgement = judgement_of(plan, &content, now).filter(|_| phase == Phase::Settled);
    let mut random = Seeded::new(combine(plan.seed, METADATA_STREAM));
    let more = json!({
        "workflow_version": plan.version,
        "mcp_server_id": plan.server_id.to_string(),
        "prompt": plan.workflow.prompt,
        "harness": plan.model.harness,
        "input_tokens": is_final.then_some(plan.input_tokens),
        "output_tokens": is_final.then_some(plan.output_tokens),
        "error": content.error.filter(|_| is_final),
        "evaluation": judgement.map(|judgement| {
            json!({"verdict": judgement.verdict, "score": score(judgement.score)})
        }),
        "metadata": redacted(plan, METADATA_STREAM, json!({
            "region": random.pick(&["eu-west-1", "us-east-1"]),
            "commit": random.hexadecimal(),
            "attempt": if plan.retry_of.is_some() { 2 } else { 1 },
        })),
    });
    match (listing(plan, now), more) {
        (Value::Object(mut run), Value::Object(more)) => {
            run.extend(more);
            let retry_of = plan.retry_of.map(|id| ("retry_of_run_id", id.to_string()));
            run.extend(retry_of.map(|(key, id)| (key.to_owned(), id.into())));
            Value::Object(run)
        }
        (run, _) => run,
    }
}

/// The trace at `now`: spans that have started; those that have not ended have a null end.
pub(super) fn trace(plan: &RunPlan, now: i64) -> Value {
    let spans: Vec<Value> = content_of(plan)
        .spans
        .iter()
        .filter(|span| span.start <= now)
        .map(|span| span_body(span, now))
        .collect();
    json!({"run_id": plan.id.to_string(), "spans": spans})
}

fn span_body(span: &Span, now: i64) -> Value {
    let is_over = span.end <= now;
    json!({
        "id": span.id,
        "parent_id": span.parent,
        "name": span.name,
        "kind": span.kind,
        "started_at": with_milliseconds(span.start),
        "finished_at": is_over.then(|| with_milliseconds(span.end)),
        "duration_ms": is_over.then_some(span.end - span.start),
        "status": if is_over { span.status } else { "running" },
        "attributes": span.attributes,
    })
}

/// The tool calls that have ended at `now`.
pub(super) fn tool_calls(plan: &RunPlan, now: i64) -> Vec<Value> {
    let Content { tool_calls, .. } = content_of(plan);
    tool_calls
        .iter()
        .filter(|call| call.end <= now)
        .map(|call| {
            json!({
                "id": call.id,
                "span_id": call.span_id,
                "tool_name": call.tool,
                "arguments": call.arguments,
                "result": call.result,
                "is_error": call.error.is_some(),
                "error": call.error,
                "started_at": with_milliseconds(call.start),
                "finished_at": with_milliseconds(call.end),
                "duration_ms": call.end - call.start,
            })
        })
        .collect()
}

/// The evaluation; `None` until it exists.
pub(super) fn evaluation(plan: &RunPlan, now: i64) -> Option<Value> {
    if plan.phase(now) != Phase::Settled {
        return None;
    }
    let judgement = judgement_of(plan, &content_of(plan), now)?;
    let criteria: Vec<Value> =
        judgement.criteria.iter().enumerate().map(|(at, one)| criterion_body(at, one)).collect();
    Some(json!({
        "run_id": plan.id.to_string(),
        "status": "completed",
        "verdict": judgement.verdict,
        "classification": judgement.classification,
        "judge_model": JUDGE_MODEL,
        "score": score(judgement.score),
        "summary": judgement.summary,
        "evaluated_at": with_milliseconds(plan.settled),
        "criteria": criteria,
    }))
}

fn criterion_body(position: usize, criterion: &JudgedCriterion) -> Value {
    let excerpts: Vec<Value> = criterion
        .excerpts
        .iter()
        .map(|excerpt| json!({"text": excerpt.text, "source": excerpt.source}))
        .collect();
    json!({
        "id": criterion.id,
        "position": position,
        "criterion_text": criterion.text,
        "is_required": criterion.is_required,
        "verdict": criterion.verdict,
        "score": score(criterion.score),
        "rationale": criterion.rationale,
        "excerpts": excerpts,
    })
}

/// The rows of `/workflows`. Their members are those that the documentation names as writable, in
/// the spelling of `/mcp-servers`.
pub(super) fn workflows(world: &World) -> Vec<Value> {
    world
        .workflows()
        .map(|(id, server_id, workflow)| {
            let criteria: Vec<Value> = workflow
                .criteria
                .iter()
                .map(|one| json!({"criterion_text": one.text, "is_required": one.is_required}))
                .collect();
            json!({
                "id": id.to_string(),
                "name": workflow.name,
                "description": workflow.description,
                "mcp_server_id": server_id.to_string(),
                "tester_prompt": workflow.prompt,
                "tester_model_id": "claude-sonnet-4-5",
                "current_version": workflow.version,
                "schedule": workflow.schedule,
                "categories": [workflow.server.category],
                "criteria": criteria,
            })
        })
        .collect()
}

/// The rows of `/mcp-servers` (documented, including the keys).
pub(super) fn servers(world: &World) -> Vec<Value> {
    world
        .servers()
        .map(|(id, server)| {
            json!({
                "id": id.to_string(),
                "name": server.name,
                "transport_type": server.transport,
                "base_url": server.address,
                "categories": [server.category],
            })
        })
        .collect()
}
