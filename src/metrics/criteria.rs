//! Criteria: how often they are met, and which of them keep runs from passing.

use super::workflows::{LEAST_FOR_RATIO, NAMES, WORKFLOW_KEY, WORKFLOW_NAME};
use super::{Column, ColumnType, Interval, Item, Metric, Sample, Step, View, unit};

/// The share of grades that are passed.
static MET_RATE: Metric = Metric {
    name: "met_rate",
    question: "How often is the criterion met?",
    kind: ColumnType::Float,
    unit: Some(unit::SHARE),
    description: "Grades that mean `passed` divided by decided grades (passed, partial, failed). \
                  The interval is Wilson's.",
    sql: "1e0 * met / nullif(graded, 0)",
    interval: Some(Interval::Wilson { with: "met", of: "graded" }),
    sample: Sample { size: "graded", least: 1 },
    level: 1,
};

/// The share of runs that it kept from passing.
static BLOCKING_RATE: Metric = Metric {
    name: "blocking_rate",
    question: "Which criterion keeps runs from passing?",
    kind: ColumnType::Float,
    unit: Some(unit::SHARE),
    description: "Of the workflow's graded runs that did not pass: the share in which this \
                  criterion was required and not met. The shares of a workflow can add up to more \
                  than 1, as a run can miss several criteria.",
    sql: "1e0 * blocked_runs / nullif(unsuccessful_runs, 0)",
    interval: None,
    sample: Sample { size: "unsuccessful_runs", least: LEAST_FOR_RATIO },
    level: 1,
};

/// One row per workflow and criterion.
pub static CRITERION_HEALTH: View = View {
    name: "criterion_health",
    description: "One row per workflow and criterion: how often it is met, and how many runs it \
                  kept from passing.",
    key: &["workflow_key", "criterion"],
    steps: &[
        NAMES,
        Step {
            name: "grades",
            sql: "SELECT r.workflow_key, c.run_id, coalesce(c.criterion_text, c.criterion_id)
      AS criterion, c.is_required, r.outcome,
    {grade} AS grade
  FROM {table criteria} c JOIN {table run_facts} r ON r.run_id = c.run_id
  WHERE r.workflow_key IS NOT NULL",
        },
        // One row per run and required criterion that was not met, in runs that did not pass.
        Step {
            name: "blocked",
            sql: "SELECT workflow_key, run_id, criterion,
    count(*) OVER (PARTITION BY run_id) AS unmet_in_run
  FROM (SELECT DISTINCT workflow_key, run_id, criterion FROM grades
    WHERE is_required AND grade IN ('partial', 'failed') AND outcome IN ('partial', 'failed'))
    AS unmet",
        },
        Step {
            name: "blocking",
            sql: "SELECT workflow_key AS blocked_key, criterion AS blocking_criterion,
    count(*) AS blocked_runs,
    count(CASE WHEN unmet_in_run = 1 THEN 1 END) AS blocked_alone_runs
  FROM blocked GROUP BY workflow_key, criterion",
        },
        Step {
            name: "unsuccessful",
            sql: "SELECT workflow_key AS unsuccessful_key,
    count(DISTINCT run_id) AS unsuccessful_runs
  FROM grades
  WHERE outcome IN ('partial', 'failed') GROUP BY workflow_key",
        },
        Step {
            name: "measured",
            sql:
                "SELECT workflow_key, criterion, count(DISTINCT run_id) AS runs, count(*) AS grades,
    max(CASE WHEN is_required THEN 1 WHEN NOT is_required THEN 0 END) = 1 AS is_required,
    count(CASE WHEN grade IN {decided} THEN 1 END) AS graded,
    count(CASE WHEN grade = 'passed' THEN 1 END) AS met,
    count(CASE WHEN grade = 'partial' THEN 1 END) AS partly_met,
    count(CASE WHEN grade = 'failed' THEN 1 END) AS not_met
  FROM grades GROUP BY workflow_key, criterion",
        },
        Step {
            name: "named",
            sql: "SELECT m.*, coalesce(b.blocked_runs, 0) AS blocked_runs,
    coalesce(b.blocked_alone_runs, 0) AS blocked_alone_runs,
    coalesce(u.unsuccessful_runs, 0) AS unsuccessful_runs, names.workflow_name
  FROM measured m
  LEFT JOIN blocking b ON b.blocked_key = m.workflow_key
    AND b.blocking_criterion = m.criterion
  LEFT JOIN unsuccessful u ON u.unsuccessful_key = m.workflow_key
  LEFT JOIN names ON names.named_key = m.workflow_key",
        },
    ],
    from: "named",
    items: &[
        WORKFLOW_KEY,
        WORKFLOW_NAME,
        Item::Column(Column::text(
            "criterion",
            "What was asked of the run: the criterion's text, or its id where it has no text.",
        )),
        Item::Column(Column::flag(
            "is_required",
            "Whether it was required in any run; null if that is not stated.",
        )),
        Item::Column(Column::integer("runs", unit::RUNS, "Runs in which it was graded.")),
        Item::Column(Column::integer("grades", unit::GRADES, "All grades.")),
        Item::Column(Column::integer(
            "graded",
            unit::GRADES,
            "Decided grades: passed, partial and failed.",
        )),
        Item::Column(Column::integer("met", unit::GRADES, "Grades that mean `passed`.")),
        Item::Column(Column::integer("partly_met", unit::GRADES, "Grades that mean `partial`.")),
        Item::Column(Column::integer("not_met", unit::GRADES, "Grades that mean `failed`.")),
        Item::Metric(&MET_RATE),
        Item::Column(Column::integer(
            "unsuccessful_runs",
            unit::RUNS,
            "Runs of the workflow that have grades and were partial or failed.",
        )),
        Item::Column(Column::integer(
            "blocked_runs",
            unit::RUNS,
            "The ones of these in which it was required and partly met or not met.",
        )),
        Item::Column(Column::integer(
            "blocked_alone_runs",
            unit::RUNS,
            "The ones of these in which every other required criterion was met.",
        )),
        Item::Metric(&BLOCKING_RATE),
        Item::Note("blocking_rate_note", &BLOCKING_RATE),
    ],
};
