//! The views of the first version, under their names. They are kept for those who use them: the
//! newer views have sizes and intervals beside their rates.

use super::workflows::{NAMED, NAMES};
use super::{Column, Item, Step, View, unit};

/// One row per run, with counts.
pub static RUN_OVERVIEW: View = View {
    name: "run_overview",
    description: "One row per run with its tool errors and criteria counted.",
    key: &["run_id"],
    steps: &[
        Step {
            name: "calls",
            sql: "SELECT t.run_id AS calling_run, count(t.is_error) AS stated,
    count(CASE WHEN t.is_error THEN 1 END) AS tool_errors
  FROM {table tool_calls} t GROUP BY t.run_id",
        },
        Step {
            name: "grades",
            sql: "SELECT c.run_id AS graded_run, count(*) AS criteria,
    count(CASE WHEN {grade} = 'passed' THEN 1 END) AS criteria_passed
  FROM {table criteria} c GROUP BY c.run_id",
        },
        Step {
            name: "counted",
            sql: "SELECT r.run_id, r.day, r.workflow_name, r.model, r.harness, r.status, r.verdict,
    r.classification, r.duration_ms, r.cost, r.tool_call_count,
    CASE WHEN calls.calling_run IS NULL THEN 0 WHEN stated > 0 THEN tool_errors END AS tool_errors,
    coalesce(grades.criteria, 0) AS criteria,
    coalesce(grades.criteria_passed, 0) AS criteria_passed, r.run_url
  FROM {table run_facts} r LEFT JOIN calls ON calls.calling_run = r.run_id
  LEFT JOIN grades ON grades.graded_run = r.run_id",
        },
    ],
    from: "counted",
    items: &[
        Item::Column(Column::text("run_id", "The run's id.")),
        Item::Column(Column::day("day", "The day on which the run started.")),
        Item::Column(Column::text(
            "workflow_name",
            "The workflow's name when the run was exported.",
        )),
        Item::Column(Column::text("model", "The tester agent's model.")),
        Item::Column(Column::text("harness", "The harness that ran the tester agent.")),
        Item::Column(Column::text("status", "The status, in the API's word.")),
        Item::Column(Column::text("verdict", "The judge's verdict, in the API's word.")),
        Item::Column(Column::text("classification", "The evaluation's classification.")),
        Item::Column(Column::integer("duration_ms", unit::MILLISECONDS, "How long the run took.")),
        Item::Column(Column::exact_cost("cost", "The cost, exactly as the API states it.")),
        Item::Column(Column::integer("tool_call_count", unit::CALLS, "Tool calls of the run.")),
        Item::Column(Column::integer(
            "tool_errors",
            unit::CALLS,
            "Tool calls that failed; null if no call of the run states whether it failed.",
        )),
        Item::Column(Column::integer("criteria", unit::GRADES, "Grades of the run.")),
        Item::Column(Column::integer(
            "criteria_passed",
            unit::GRADES,
            "Grades that mean `passed`.",
        )),
        Item::Column(Column::text("run_url", "The run's page in the dashboard.")),
    ],
};

/// One row per workflow and day.
pub static WORKFLOW_DAYS: View = View {
    name: "workflow_days",
    description: "One row per workflow and UTC day. The pass rate is that of decided runs, and \
                  must not be averaged over rows: `workflow_daily` has the counts.",
    key: &["day", "workflow_id", "workflow_name"],
    steps: &[
        NAMES,
        Step {
            name: "measured",
            // Two costs of 20 digits are more than a decimal holds, and would fail the query.
            sql: "SELECT workflow_key, day, min(workflow_id) AS workflow_id,
    CASE WHEN max(abs(cost)) < 1000000000000
      THEN sum(CASE WHEN abs(cost) < 1000000000000 THEN cost END) END AS cost,
    {p50 duration_ms} AS median_duration_ms,
    {outcomes}
  FROM {table run_facts} r GROUP BY workflow_key, day",
        },
        NAMED,
    ],
    from: "named",
    items: &[
        Item::Column(Column::day("day", "The day on which the runs started.")),
        Item::Column(Column::text("workflow_id", "The workflow's id.")),
        Item::Column(Column::text("workflow_name", "The workflow's name in its last run.")),
        Item::Column(Column::integer("runs", unit::RUNS, "All runs.")),
        Item::Column(Column::integer("passed", unit::RUNS, "Runs that passed.")),
        Item::Column(Column::integer(
            "errors",
            unit::RUNS,
            "Runs that ended in an error or timed out.",
        )),
        Item::Column(
            Column::float(
                "pass_rate",
                unit::SHARE,
                "Passed runs divided by passed, partial and failed ones.",
            )
            .sql("1e0 * passed / nullif(decided, 0)"),
        ),
        Item::Column(Column::exact_cost(
            "cost",
            "The sum of the costs that are stated; null if one of them is 10^12 or more.",
        )),
        Item::Column(Column::float(
            "median_duration_ms",
            unit::MILLISECONDS,
            "The median duration of all runs.",
        )),
    ],
};

/// One row per workflow and tool.
pub static TOOL_USAGE: View = View {
    name: "tool_usage",
    description: "One row per workflow and tool: how often it is called, how long calls take, and \
                  how often they fail. `tool_health` also tells how its errors affect runs.",
    key: &["workflow_name", "tool_name"],
    steps: &[Step {
        name: "measured",
        sql: "SELECT r.workflow_name, t.tool_name, count(*) AS calls, count(t.is_error) AS stated,
    count(CASE WHEN t.is_error THEN 1 END) AS failing,
    {p50 t.duration_ms} AS median_ms,
    {p95 t.duration_ms} AS p95_ms
  FROM {table tool_calls} t JOIN {table run_facts} r ON r.run_id = t.run_id
  GROUP BY r.workflow_name, t.tool_name",
    }],
    from: "measured",
    items: &[
        Item::Column(Column::text(
            "workflow_name",
            "The workflow's name when the runs were exported.",
        )),
        Item::Column(Column::text("tool_name", "The tool.")),
        Item::Column(Column::integer("calls", unit::CALLS, "All calls.")),
        Item::Column(
            Column::integer(
                "errors",
                unit::CALLS,
                "Calls that failed; null if no call states whether it failed.",
            )
            .sql("CASE WHEN stated > 0 THEN failing END"),
        ),
        Item::Column(
            Column::float(
                "error_rate",
                unit::SHARE,
                "Failed calls divided by the calls that state whether they failed.",
            )
            .sql("1e0 * failing / nullif(stated, 0)"),
        ),
        Item::Column(Column::float(
            "median_ms",
            unit::MILLISECONDS,
            "The median duration of a call.",
        )),
        Item::Column(Column::float(
            "p95_ms",
            unit::MILLISECONDS,
            "The 95th percentile of the duration, from any number of calls.",
        )),
    ],
};

/// One row per workflow and criterion.
pub static CRITERION_RESULTS: View = View {
    name: "criterion_results",
    description: "One row per workflow and criterion: how often it is met. `criterion_health` also \
                  tells which criteria keep runs from passing.",
    key: &["workflow_name", "criterion_text"],
    steps: &[
        Step {
            name: "grades",
            sql: "SELECT r.workflow_name, c.criterion_text, c.is_required,
    {grade} AS grade
  FROM {table criteria} c JOIN {table run_facts} r ON r.run_id = c.run_id",
        },
        Step {
            name: "measured",
            sql: "SELECT workflow_name, criterion_text,
    max(CASE WHEN is_required THEN 1 WHEN NOT is_required THEN 0 END) = 1 AS is_required,
    count(*) AS graded, count(CASE WHEN grade = 'passed' THEN 1 END) AS passed,
    count(CASE WHEN grade IN {decided} THEN 1 END) AS decided
  FROM grades GROUP BY workflow_name, criterion_text",
        },
    ],
    from: "measured",
    items: &[
        Item::Column(Column::text(
            "workflow_name",
            "The workflow's name when the runs were exported.",
        )),
        Item::Column(Column::text("criterion_text", "What was asked of the runs.")),
        Item::Column(Column::flag(
            "is_required",
            "Whether it was required in any run; null if that is not stated.",
        )),
        Item::Column(Column::integer("graded", unit::GRADES, "All grades.")),
        Item::Column(Column::integer("passed", unit::GRADES, "Grades that mean `passed`.")),
        Item::Column(
            Column::float(
                "pass_rate",
                unit::SHARE,
                "Passed grades divided by passed, partial and failed ones.",
            )
            .sql("1e0 * passed / nullif(decided, 0)"),
        ),
    ],
};
