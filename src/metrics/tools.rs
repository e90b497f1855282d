//! Tools: how often their calls fail, and what that does to runs.

use super::workflows::{LEAST_FOR_RATIO, LEAST_TO_COMPARE, NAMES, WORKFLOW_KEY, WORKFLOW_NAME};
use super::{Column, ColumnType, Interval, Item, Metric, Sample, Step, View, unit};

/// The share of calls that failed.
static TOOL_ERROR_RATE: Metric = Metric {
    name: "tool_error_rate",
    question: "How often do calls of this tool fail?",
    kind: ColumnType::Float,
    unit: Some(unit::SHARE),
    description: "Failed calls divided by the calls that state whether they failed. Calls that \
                  state nothing are not successes. No interval is given: calls of one run depend \
                  on each other.",
    sql: "1e0 * errors / nullif(calls_with_result, 0)",
    interval: None,
    sample: Sample { size: "calls_with_result", least: LEAST_FOR_RATIO },
    level: 1,
};

/// The share of repeated calls.
static REPEAT_RATE: Metric = Metric {
    name: "repeat_rate",
    question: "How often does the agent repeat a call?",
    kind: ColumnType::Float,
    unit: Some(unit::SHARE),
    description: "Repeated calls divided by the calls that state their arguments. A call is \
                  repeated if an earlier call of the same tool in the same run had the same \
                  arguments.",
    sql: "1e0 * repeats / nullif(calls_with_arguments, 0)",
    interval: None,
    sample: Sample { size: "calls_with_arguments", least: LEAST_FOR_RATIO },
    level: 1,
};

/// The pass rate of runs with an error of the tool.
static PASS_RATE_WHERE_ERRED: Metric = Metric {
    name: "pass_rate_where_erred",
    question: "How often do runs pass in which this tool failed?",
    kind: ColumnType::Float,
    unit: Some(unit::SHARE),
    description: "The pass rate of the decided runs in which at least one call of the tool failed. \
                  The interval is Wilson's.",
    sql: "1e0 * passed_where_erred / nullif(decided_where_erred, 0)",
    interval: Some(Interval::Wilson { with: "passed_where_erred", of: "decided_where_erred" }),
    sample: Sample { size: "decided_where_erred", least: 1 },
    level: 1,
};

/// The pass rate of the other runs that called it.
static PASS_RATE_WHERE_WORKED: Metric = Metric {
    name: "pass_rate_where_worked",
    question: "How often do runs pass in which this tool worked?",
    kind: ColumnType::Float,
    unit: Some(unit::SHARE),
    description: "The pass rate of the decided runs that called the tool and in which every call \
                  states that it did not fail. The interval is Wilson's. A lower rate where the \
                  tool failed does not show that the tool is the cause.",
    sql: "1e0 * passed_where_worked / nullif(decided_where_worked, 0)",
    interval: Some(Interval::Wilson { with: "passed_where_worked", of: "decided_where_worked" }),
    sample: Sample { size: "decided_where_worked", least: 1 },
    level: 1,
};

/// The median duration of a call.
static CALL_DURATION_P50: Metric = Metric {
    name: "call_duration_p50_ms",
    question: "How long does a call take?",
    kind: ColumnType::Float,
    unit: Some(unit::MILLISECONDS),
    description: "The median duration of the calls that state one.",
    sql: "median_ms",
    interval: None,
    sample: Sample { size: "calls_with_duration", least: 1 },
    level: 1,
};

/// Its 95th percentile.
static CALL_DURATION_P95: Metric = Metric {
    name: "call_duration_p95_ms",
    question: "How long does a slow call take?",
    kind: ColumnType::Float,
    unit: Some(unit::MILLISECONDS),
    description: "The 95th percentile of the duration, interpolated.",
    sql: "slow_ms",
    interval: None,
    sample: Sample { size: "calls_with_duration", least: LEAST_TO_COMPARE },
    level: 1,
};

/// One row per workflow and tool.
pub static TOOL_HEALTH: View = View {
    name: "tool_health",
    description: "One row per workflow and tool: errors, repeats and durations of its calls, and \
                  the pass rates of the runs in which it failed and in which it worked.",
    key: &["workflow_key", "tool_name"],
    steps: &[
        NAMES,
        // The arguments of an MCP call are an object. Any other text is a redaction marker or cut
        // off, and two of those are equal without the calls being so.
        Step {
            name: "by_run",
            sql: "SELECT t.run_id, t.tool_name, count(*) AS calls,
    count(t.is_error) AS calls_with_result, count(CASE WHEN t.is_error THEN 1 END) AS errors,
    count(CASE WHEN substr(t.arguments, 1, 1) = '{' THEN 1 END) AS calls_with_arguments,
    count(DISTINCT CASE WHEN substr(t.arguments, 1, 1) = '{' THEN t.arguments END)
      AS different_calls
  FROM {table tool_calls} t GROUP BY t.run_id, t.tool_name",
        },
        Step {
            name: "measured",
            sql: "SELECT r.workflow_key, b.tool_name, count(*) AS runs, sum(b.calls) AS calls,
    sum(b.calls_with_result) AS calls_with_result, sum(b.errors) AS errors,
    sum(b.calls_with_arguments) AS calls_with_arguments,
    sum(b.calls_with_arguments - b.different_calls) AS repeats,
    count(CASE WHEN b.errors > 0 THEN 1 END) AS runs_where_erred,
    count(CASE WHEN b.errors > 0 AND r.outcome IN {decided} THEN 1 END) AS decided_where_erred,
    count(CASE WHEN b.errors > 0 AND r.outcome = 'passed' THEN 1 END) AS passed_where_erred,
    count(CASE WHEN b.errors = 0 AND b.calls_with_result = b.calls AND r.outcome IN {decided}
      THEN 1 END) AS decided_where_worked,
    count(CASE WHEN b.errors = 0 AND b.calls_with_result = b.calls AND r.outcome = 'passed'
      THEN 1 END) AS passed_where_worked
  FROM by_run b JOIN {table run_facts} r ON r.run_id = b.run_id
  GROUP BY r.workflow_key, b.tool_name",
        },
        Step {
            name: "timed",
            sql: "SELECT r.workflow_key AS timed_key, t.tool_name AS timed_name,
    count(t.duration_ms) AS calls_with_duration,
    {p50 t.duration_ms} AS median_ms,
    {p95 t.duration_ms} AS slow_ms
  FROM {table tool_calls} t JOIN {table run_facts} r ON r.run_id = t.run_id
  GROUP BY r.workflow_key, t.tool_name",
        },
        Step {
            name: "named",
            sql: "SELECT m.*, timed.calls_with_duration, timed.median_ms, timed.slow_ms,
    names.workflow_name
  FROM measured m
  JOIN timed ON timed.timed_key = m.workflow_key
    AND coalesce(timed.timed_name, '') = coalesce(m.tool_name, '')
    AND CASE WHEN timed.timed_name IS NULL THEN 1 ELSE 0 END
      = CASE WHEN m.tool_name IS NULL THEN 1 ELSE 0 END
  LEFT JOIN names ON names.named_key = m.workflow_key
  WHERE m.workflow_key IS NOT NULL",
        },
    ],
    from: "named",
    items: &[
        WORKFLOW_KEY,
        WORKFLOW_NAME,
        Item::Column(Column::text("tool_name", "The tool.")),
        Item::Column(Column::integer("runs", unit::RUNS, "Runs that called it.")),
        Item::Column(Column::integer("calls", unit::CALLS, "All calls.")),
        Item::Column(Column::integer(
            "calls_with_result",
            unit::CALLS,
            "Calls that state whether they failed.",
        )),
        Item::Column(Column::integer("errors", unit::CALLS, "Calls that failed.")),
        Item::Metric(&TOOL_ERROR_RATE),
        Item::Note("tool_error_rate_note", &TOOL_ERROR_RATE),
        Item::Column(Column::integer(
            "runs_where_erred",
            unit::RUNS,
            "Runs in which a call of it failed.",
        )),
        Item::Column(Column::integer(
            "decided_where_erred",
            unit::RUNS,
            "The decided ones of these.",
        )),
        Item::Metric(&PASS_RATE_WHERE_ERRED),
        Item::Column(Column::integer(
            "decided_where_worked",
            unit::RUNS,
            "Decided runs in which every call of it states that it did not fail.",
        )),
        Item::Metric(&PASS_RATE_WHERE_WORKED),
        Item::Column(Column::integer(
            "calls_with_arguments",
            unit::CALLS,
            "Calls that state their arguments as an object.",
        )),
        Item::Column(Column::integer(
            "repeats",
            unit::CALLS,
            "Calls with the same arguments as an earlier one of the same run.",
        )),
        Item::Metric(&REPEAT_RATE),
        Item::Note("repeat_rate_note", &REPEAT_RATE),
        Item::Column(Column::integer(
            "calls_with_duration",
            unit::CALLS,
            "Calls that state their duration.",
        )),
        Item::Metric(&CALL_DURATION_P50),
        Item::Metric(&CALL_DURATION_P95),
        Item::Note("call_duration_p95_note", &CALL_DURATION_P95),
    ],
};
