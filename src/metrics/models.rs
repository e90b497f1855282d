//! Models: what a passed run costs with each, and how long runs take.

use super::workflows::{
    DECIDED, ERRORS, FAILED, LEAST_FOR_RATIO, LEAST_TO_COMPARE, NAMED, NAMES, PARTIAL, PASS_RATE,
    PASSED, RUNS, UNDECIDED, WORKFLOW_KEY, WORKFLOW_NAME,
};
use super::{Column, ColumnType, Item, Metric, Sample, Step, View, unit};

/// The share of runs whose cost is known.
static COST_COVERAGE: Metric = Metric {
    name: "cost_coverage",
    question: "Of how many runs is the cost known?",
    kind: ColumnType::Float,
    unit: Some(unit::SHARE),
    description: "Runs that state a cost divided by all runs.",
    sql: "1e0 * runs_with_cost / nullif(runs, 0)",
    interval: None,
    sample: Sample { size: "runs", least: 1 },
    level: 1,
};

/// The cost of one passed run.
static COST_PER_PASS: Metric = Metric {
    name: "cost_per_pass",
    question: "What does a passed run cost?",
    kind: ColumnType::Float,
    unit: Some(unit::COST),
    description: "The cost of all runs that state one, also of those that did not pass, divided by \
                  the passed ones among them. Null if these runs state more than one currency.",
    sql: "CASE WHEN one_currency IS NOT NULL THEN cost_of_all / nullif(passed_with_cost, 0) END",
    interval: None,
    sample: Sample { size: "passed_with_cost", least: LEAST_FOR_RATIO },
    level: 1,
};

/// The median duration of a run.
static RUN_DURATION_P50: Metric = Metric {
    name: "run_duration_p50_ms",
    question: "How long does a run take?",
    kind: ColumnType::Float,
    unit: Some(unit::MILLISECONDS),
    description: "The median duration of the decided runs that state one.",
    sql: "median_ms",
    interval: None,
    sample: Sample { size: "decided_with_duration", least: 1 },
    level: 1,
};

/// Its 95th percentile.
static RUN_DURATION_P95: Metric = Metric {
    name: "run_duration_p95_ms",
    question: "How long does a slow run take?",
    kind: ColumnType::Float,
    unit: Some(unit::MILLISECONDS),
    description: "The 95th percentile of the duration of decided runs, interpolated.",
    sql: "slow_ms",
    interval: None,
    sample: Sample { size: "decided_with_duration", least: LEAST_TO_COMPARE },
    level: 1,
};

/// One row per workflow, model and harness.
pub static MODEL_COMPARISON: View = View {
    name: "model_comparison",
    description: "One row per workflow, model and harness: pass rate, cost per passed run and \
                  durations. Compare models within a workflow: workflows differ in difficulty.",
    key: &["workflow_key", "model", "harness"],
    steps: &[
        NAMES,
        Step {
            name: "measured",
            sql: "SELECT workflow_key, model, harness, count(cost) AS runs_with_cost,
    sum(cost_float) AS cost_of_all,
    sum(CASE WHEN outcome <> 'passed' THEN cost_float END) AS cost_of_unsuccessful,
    count(CASE WHEN outcome = 'passed' AND cost IS NOT NULL THEN 1 END) AS passed_with_cost,
    CASE WHEN min(CASE WHEN cost IS NOT NULL THEN coalesce(cost_currency, '') END)
        = max(CASE WHEN cost IS NOT NULL THEN coalesce(cost_currency, '') END)
      THEN min(CASE WHEN cost IS NOT NULL THEN coalesce(cost_currency, '') END) END
      AS one_currency,
    count(CASE WHEN outcome IN {decided} THEN duration_ms END) AS decided_with_duration,
    {p50 CASE WHEN outcome IN {decided} THEN duration_ms END} AS median_ms,
    {p95 CASE WHEN outcome IN {decided} THEN duration_ms END} AS slow_ms,
    {outcomes}
  FROM {table run_facts} r WHERE workflow_key IS NOT NULL
  GROUP BY workflow_key, model, harness",
        },
        NAMED,
    ],
    from: "named",
    items: &[
        WORKFLOW_KEY,
        WORKFLOW_NAME,
        Item::Column(Column::text("model", "The tester agent's model.")),
        Item::Column(Column::text("harness", "The harness that ran the tester agent.")),
        RUNS,
        DECIDED,
        PASSED,
        PARTIAL,
        FAILED,
        ERRORS,
        UNDECIDED,
        Item::Metric(&PASS_RATE),
        Item::Column(Column::integer("runs_with_cost", unit::RUNS, "Runs that state a cost.")),
        Item::Metric(&COST_COVERAGE),
        Item::Column(
            Column::text(
                "cost_currency",
                "The currency, if all runs that state a cost state the same one.",
            )
            .sql("nullif(one_currency, '')"),
        ),
        Item::Column(
            Column::float(
                "cost",
                unit::COST,
                "The sum of the costs; null if there is more than one currency.",
            )
            .sql("CASE WHEN one_currency IS NOT NULL THEN cost_of_all END"),
        ),
        Item::Column(
            Column::float(
                "cost_of_unsuccessful",
                unit::COST,
                "The part of it that was spent on runs that did not pass.",
            )
            .sql("CASE WHEN one_currency IS NOT NULL THEN cost_of_unsuccessful END"),
        ),
        Item::Column(Column::integer(
            "passed_with_cost",
            unit::RUNS,
            "Passed runs that state a cost.",
        )),
        Item::Metric(&COST_PER_PASS),
        Item::Note("cost_per_pass_note", &COST_PER_PASS),
        Item::Column(Column::integer(
            "decided_with_duration",
            unit::RUNS,
            "Decided runs that state a duration.",
        )),
        Item::Metric(&RUN_DURATION_P50),
        Item::Metric(&RUN_DURATION_P95),
        Item::Note("run_duration_p95_note", &RUN_DURATION_P95),
    ],
};
