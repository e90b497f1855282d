//! The content of one run: its spans and tool calls.

use serde_json::{Value, json};

use super::catalog::Tool;
use super::fill::{arguments_of, fill, result_of};
use super::plan::{Outcome, RunPlan};
use super::random::{Seeded, combine};

const CONTENT_STREAM: u64 = 11;
const REDACTION_STREAM: u64 = 15;

/// One span of the trace. Times are milliseconds since 1970.
#[derive(Debug)]
pub(super) struct Span {
    pub(super) id: String,
    pub(super) parent: Option<String>,
    pub(super) name: String,
    pub(super) kind: &'static str,
    pub(super) status: &'static str,
    pub(super) start: i64,
    pub(super) end: i64,
    pub(super) attributes: Value,
}

/// One tool call. Times are milliseconds since 1970.
#[derive(Debug)]
pub(super) struct ToolCall {
    pub(super) id: String,
    pub(super) span_id: String,
    pub(super) tool: &'static str,
    pub(super) arguments: Value,
    pub(super) result: Value,
    pub(super) error: Option<String>,
    pub(super) start: i64,
    pub(super) end: i64,
}

/// Spans and tool calls in the order of their starts.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) spans: Vec<Span>,
    pub(super) tool_calls: Vec<ToolCall>,
    /// The text of a run that ended in `error` or `timed_out`.
    pub(super) error: Option<&'static str>,
    /// The final text of the agent.
    pub(super) answer: &'static str,
}

enum Step {
    Turn { is_last: bool },
    Call { tool: &'static Tool, fails: bool },
}

/// The whole content of a run, from its seed.
pub(super) fn content_of(plan: &RunPlan) -> Content {
    let mut random = Seeded::new(combine(plan.seed, CONTENT_STREAM));
    let steps = draw_steps(plan, &mut random);
    let instants = draw_instants(plan, &steps, &mut random);
    let answer = draw_answer(plan, &mut random);
    let mut content = Content {
        spans: vec![root_span(plan, &mut random)],
        tool_calls: Vec::new(),
        error: draw_error(plan, &mut random),
        answer,
    };
    let root = content.spans.first().map(|span| span.id.clone());
    let mut turn = root.clone();
    for (step, (start, end)) in steps.iter().zip(instants) {
        match step {
            Step::Turn { is_last } => {
                let said = if *is_last { answer } else { draw_thought(&mut random) };
                let span = turn_span(plan, root.clone(), said, (start, end), &mut random);
                turn = Some(span.id.clone());
                content.spans.push(span);
            }
            Step::Call { tool, fails } => {
                let call = draw_call(plan, tool, *fails, (start, end), &mut random);
                content.spans.push(call_span(plan, turn.clone(), &call));
                content.tool_calls.push(call);
            }
        }
    }
    redact(plan, &mut content);
    content
}

/// A payload, or the redaction marker that sometimes replaces it (inferred from Armature's public
/// code). `stream` distinguishes the payloads of a run.
pub(super) fn redacted(plan: &RunPlan, stream: u64, payload: Value) -> Value {
    let mut random = Seeded::new(combine(combine(plan.seed, REDACTION_STREAM), stream));
    let is_redacted = random.percent(u64::from(plan.redacted_percent));
    if is_redacted { Value::from("[redacted:sensitive-field]") } else { payload }
}

fn redact(plan: &RunPlan, content: &mut Content) {
    let spans = content.spans.iter_mut().map(|span| &mut span.attributes);
    let calls = content.tool_calls.iter_mut().map(|call| &mut call.arguments);
    // The run's metadata uses the stream of its own number, which is below these.
    for (payload, stream) in spans.chain(calls).zip(100..) {
        *payload = redacted(plan, stream, payload.take());
    }
}

/// Model turns, each followed by one or two calls, and a last turn that answers.
fn draw_steps(plan: &RunPlan, random: &mut Seeded) -> Vec<Step> {
    let mut calls = Vec::new();
    for tool in plan.workflow.tools.iter().copied() {
        let is_weak = tool.name == plan.workflow.weak_tool;
        if is_weak && plan.classification == Some("tool_error") {
            // The agent retries before it gives up.
            calls.extend((0..random.between(1, 3)).map(|_| (tool, true)));
            continue;
        }
        if random.percent(4) {
            calls.push((tool, true));
        }
        calls.extend((0..random.between(1, 2)).map(|_| (tool, false)));
    }
    if !plan.outcome.is_judged() {
        calls.truncate(usize::try_from(random.below(3)).unwrap_or(0));
    }
    let mut steps = Vec::new();
    let mut calls = calls.into_iter().peekable();
    while calls.peek().is_some() {
        steps.push(Step::Turn { is_last: false });
        let count = usize::try_from(random.between(1, 2)).unwrap_or(1);
        steps.extend(calls.by_ref().take(count).map(|(tool, fails)| Step::Call { tool, fails }));
    }
    steps.push(Step::Turn { is_last: plan.outcome.is_judged() });
    steps
}

/// Divides the duration of the run into one interval per step.
fn draw_instants(plan: &RunPlan, steps: &[Step], random: &mut Seeded) -> Vec<(i64, i64)> {
    let weights: Vec<u64> = steps
        .iter()
        .map(|step| match step {
            Step::Turn { .. } => random.between(300, 900),
            Step::Call { .. } => random.between(40, 400),
        })
        .collect();
    let whole = u128::from(weights.iter().sum::<u64>().max(1));
    let length = u128::try_from(plan.end - plan.running_from).unwrap_or(0);
    let mut passed = 0_u128;
    let mut instants = Vec::with_capacity(weights.len());
    let mut start = plan.running_from;
    for weight in weights {
        passed += u128::from(weight);
        let offset = i64::try_from(length * passed / whole).unwrap_or(0);
        let end = plan.running_from + offset;
        instants.push((start, end));
        start = end;
    }
    instants
}

fn root_span(plan: &RunPlan, random: &mut Seeded) -> Span {
    Span {
        id: random.hexadecimal(),
        parent: None,
        name: "agent.run".to_owned(),
        kind: "agent",
        status: if plan.outcome.is_judged() { "ok" } else { "error" },
        start: plan.running_from,
        end: plan.end,
        attributes: json!({
            "harness": plan.model.harness,
            "model": plan.model.id,
            "workflow_version": plan.version,
        }),
    }
}

fn turn_span(
    plan: &RunPlan,
    root: Option<String>,
    said: &str,
    (start, end): (i64, i64),
    random: &mut Seeded,
) -> Span {
    Span {
        id: random.hexadecimal(),
        parent: root,
        name: "model.turn".to_owned(),
        kind: "model",
        status: "ok",
        start,
        end,
        attributes: json!({
            "model": plan.model.id,
            "text": said,
            "usage": {
                "input_tokens": random.between(200, 9_000),
                "output_tokens": random.between(20, 900),
            },
        }),
    }
}

fn call_span(plan: &RunPlan, turn: Option<String>, call: &ToolCall) -> Span {
    Span {
        id: call.span_id.clone(),
        parent: turn,
        name: format!("tools/call {}", call.tool),
        kind: "tool",
        status: if call.error.is_some() { "error" } else { "ok" },
        start: call.start,
        end: call.end,
        attributes: json!({
            "tool_call_id": call.id,
            "tool_name": call.tool,
            "server": {"name": plan.workflow.server.name, "transport": plan.workflow.server.transport},
        }),
    }
}

fn draw_call(
    plan: &RunPlan,
    tool: &'static Tool,
    fails: bool,
    (start, end): (i64, i64),
    random: &mut Seeded,
) -> ToolCall {
    let error = fails.then(|| fill(random.pick(tool.errors), random));
    ToolCall {
        id: format!("call_{}", random.hexadecimal()),
        span_id: random.hexadecimal(),
        tool: tool.name,
        arguments: arguments_of(tool, random),
        result: error.clone().map_or_else(|| result_of(tool, random), Value::String),
        error,
        start,
        end: end.min(plan.end),
    }
}

/// The first text is that of a successful run.
fn draw_answer(plan: &RunPlan, random: &mut Seeded) -> &'static str {
    match plan.outcome {
        Outcome::Pass => plan.workflow.answers.first().copied().unwrap_or_default(),
        _ => random.pick(plan.workflow.answers.get(1..).unwrap_or(plan.workflow.answers)),
    }
}

fn draw_thought(random: &mut Seeded) -> &'static str {
    random.pick(&[
        "I will look that up first.",
        "The result looks right. Next step.",
        "That gives me what I need to go on.",
        "Let me check this before I change anything.",
        "Hm, not what I expected – I'll try it once more.",
    ])
}

fn draw_error(plan: &RunPlan, random: &mut Seeded) -> Option<&'static str> {
    match plan.outcome {
        Outcome::Error => Some(random.pick(&[
            "MCP server unreachable: connection refused",
            "MCP server answered 401 to initialize: token expired",
            "Transport closed before the agent finished: [redacted:bearer]",
        ])),
        Outcome::TimedOut => Some("evaluator_not_started"),
        Outcome::Pass | Outcome::Partial | Outcome::Fail => None,
    }
}
