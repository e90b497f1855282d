use super::{Column, Kind, Table, WriteDisposition};

/// One row per run that has ended.
pub static RUNS: Table = Table {
    name: "runs",
    description: "One row per run that has ended. Retries and each model of a multi-model \
                  workflow are runs of their own.",
    key: &["run_id"],
    write: WriteDisposition::Append,
    columns: COLUMNS,
};

/// Shared with `open_runs`, which holds the same for runs that still go on.
///
/// The first name of each list is the likeliest spelling; the others are seen on siblings of the
/// API or are the usual alternatives. The API's own page names the contents, not the keys.
pub(super) static COLUMNS: &[Column] = &[
    Column::key("run_id", "The run's id, opaque text.", &["id", "run_id", "runId"]).id(1),
    Column::derived(
        "organization_id",
        Kind::Text,
        "The organization that the key belongs to, from `GET /org`.",
    )
    .id(2),
    Column::derived("run_url", Kind::Text, "The run's page in the dashboard.").id(3),
    Column::new(
        "workflow_id",
        Kind::Text,
        "The workflow's id. Archived workflows are not in `workflows`, so a join can find none.",
        &["workflow_id", "workflowId", "workflow.id", "workflow.workflow_id"],
    )
    .id(4),
    Column::new(
        "workflow_name",
        Kind::Text,
        "The workflow's name at the time of the export.",
        &["workflow_name", "workflowName", "workflow.name"],
    )
    .id(5),
    Column::new(
        "workflow_version",
        Kind::Text,
        "The version of the workflow that was dispatched, as the API states it.",
        &[
            "workflow_version",
            "workflowVersion",
            "workflow_version_id",
            "workflowVersionId",
            "workflow.version",
            "workflow.currentVersion",
            "workflow.current_version",
        ],
    )
    .id(6),
    Column::new(
        "mcp_server_id",
        Kind::Text,
        "The MCP server under test.",
        &["mcp_server_id", "mcpServerId", "mcp_server.id", "mcpServer.id"],
    )
    .id(7),
    Column::new(
        "status",
        Kind::Text,
        "How the run ended: `pass`, `partial`, `fail`, `error`, `timed_out` or another word of \
         the API. The set is open. Armature leaves `error` out of pass rates.",
        &["status", "state", "run_status", "runStatus"],
    )
    .id(8),
    Column::new(
        "classification",
        Kind::Text,
        "The evaluation's classification. The set is open.",
        &[
            "classification",
            "evaluation_classification",
            "evaluationClassification",
            "evaluation.classification",
        ],
    )
    .id(9),
    Column::verdict(
        "The judge's overall verdict. Not the same as `status`.",
        &[
            "verdict",
            "evaluation_verdict",
            "evaluationVerdict",
            "evaluator_verdict",
            "evaluatorVerdict",
            "verdict.name",
            "verdict.value",
            "verdict.verdict",
            "evaluation.verdict",
            "evaluation.verdict.name",
            "evaluation.verdict.value",
            "evaluation.overall_verdict",
            "evaluation.overallVerdict",
            "evaluator_output.verdict",
            "evaluatorOutput.verdict",
        ],
    )
    .id(10),
    Column::new(
        "trigger_type",
        Kind::Text,
        "What started the run: `scheduled`, `manual` or another word of the API.",
        &["trigger_type", "triggerType", "trigger.type", "trigger"],
    )
    .id(11),
    Column::new(
        "model",
        Kind::Text,
        "The tester agent's model.",
        &[
            "model_id",
            "modelId",
            "model",
            "model.id",
            "model.name",
            "tester_model_id",
            "testerModelId",
            "tester_model",
            "testerModel",
            "tester_model.id",
            "testerModel.id",
            "tester.modelId",
            "tester.model_id",
            "tester.model",
            "tester.model.id",
        ],
    )
    .id(12),
    Column::new(
        "harness",
        Kind::Text,
        "The harness that ran the tester agent, such as `claude_code` or `codex`.",
        &["harness", "harness_id", "harnessId", "harness.id", "harness.name", "tester.harness"],
    )
    .id(13),
    Column::new(
        "started_at",
        Kind::Timestamp,
        "When the run started.",
        &["started_at", "startedAt", "start_time", "startTime", "created_at", "createdAt"],
    )
    .id(14),
    Column::new(
        "ended_at",
        Kind::Timestamp,
        "When the run ended.",
        &[
            "finished_at",
            "finishedAt",
            "ended_at",
            "endedAt",
            "completed_at",
            "completedAt",
            "end_time",
            "endTime",
        ],
    )
    .id(15),
    Column::duration(
        "How long the run took, in milliseconds. A duration without a unit is compared with end \
         minus start; where it fits in no unit, this is null.",
        DURATIONS,
    )
    .id(16),
    Column::new(
        "cost",
        Kind::Decimal,
        "The run's cost, exactly as the API states it. Currency and scope are not documented \
         (likely US dollars).",
        &[
            "cost_usd",
            "costUsd",
            "cost",
            "total_cost",
            "totalCost",
            "total_cost_usd",
            "totalCostUsd",
            "cost.amount",
            "cost.total",
            "cost.usd",
            "cost.value",
            "cost.total_usd",
            "cost.totalUsd",
            "total_cost.amount",
            "usage.cost",
        ],
    )
    .id(17),
    Column::new(
        "input_tokens",
        Kind::Integer,
        "Tokens the model read.",
        &["input_tokens", "inputTokens", "usage.input_tokens", "usage.inputTokens"],
    )
    .id(18),
    Column::new(
        "output_tokens",
        Kind::Integer,
        "Tokens the model wrote.",
        &["output_tokens", "outputTokens", "usage.output_tokens", "usage.outputTokens"],
    )
    .id(19),
    Column::new(
        "error_message",
        Kind::Text,
        "Why the run could not finish, for runs that ended in an error.",
        &["error_message", "errorMessage", "error", "error.message", "failure_reason"],
    )
    .id(20),
    Column::new(
        "prompt",
        Kind::Text,
        "The prompt that the tester agent got, as of the version dispatched.",
        &["prompt", "tester_prompt", "testerPrompt"],
    )
    .id(21),
    Column::derived(
        "evaluation_state",
        Kind::Text,
        "`ok`: the evaluation is in `evaluations`; `absent`: the API has none; `pending`: it may \
         still come.",
    )
    .id(22),
    Column::derived("tool_call_count", Kind::Integer, "Rows of the run in `tool_calls`.").id(23),
    Column::derived("span_count", Kind::Integer, "Rows of the run in `spans`.").id(24),
    Column::meaning(
        "status_meaning",
        "status",
        "What `status` means: `passed`, `partial`, `failed`, `error` (infrastructure failed or \
         time ran out), `undecided`, `cancelled`, `ended` (it does not say how), `open`, or \
         `unknown`.",
    )
    .id(25),
    Column::meaning("verdict_meaning", "verdict", "What `verdict` means, as for `status_meaning`.")
        .id(26),
    Column::new(
        "cost_currency",
        Kind::Text,
        "The currency or unit of `cost`, where the API states one.",
        &["cost_currency", "costCurrency", "cost.currency", "cost.unit", "currency"],
    )
    .id(27),
];

/// Where the durations of runs, spans and tool calls stand: first those that state their unit.
pub(super) static DURATIONS: &[&str] = &[
    "duration_ms",
    "durationMs",
    "latency_ms",
    "latencyMs",
    "elapsed_ms",
    "elapsedMs",
    "duration_seconds",
    "durationSeconds",
    "duration_secs",
    "duration_s",
    "duration_us",
    "duration_ns",
    "duration_nanos",
    "durationNano",
    "latency_seconds",
    "elapsed_seconds",
    "duration",
    "latency",
    "elapsed",
    "elapsed_time",
    "elapsedTime",
];
