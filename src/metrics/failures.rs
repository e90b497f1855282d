//! Why runs do not pass, by the classification of the evaluation.

use super::workflows::{LEAST_FOR_RATIO, NAMED, NAMES, WORKFLOW_KEY, WORKFLOW_NAME};
use super::{Column, ColumnType, Item, Metric, Sample, Step, View, unit};

/// The share of a class among the runs that did not pass.
static CLASS_SHARE: Metric = Metric {
    name: "class_share",
    question: "Why do runs not pass?",
    kind: ColumnType::Float,
    unit: Some(unit::SHARE),
    description: "Runs of this class divided by all runs of the workflow that did not pass, errors \
                  and undecided ones included. The shares of a workflow add up to 1.",
    sql: "1e0 * runs / nullif(runs_not_passed, 0)",
    interval: None,
    sample: Sample { size: "runs_not_passed", least: LEAST_FOR_RATIO },
    level: 1,
};

/// One row per workflow, outcome and classification.
pub static FAILURE_CLASSES: View = View {
    name: "failure_classes",
    description: "One row per workflow, outcome and classification of the runs that did not pass. \
                  The classification is the API's word; null where it states none.",
    key: &["workflow_key", "outcome", "classification"],
    steps: &[
        NAMES,
        Step {
            name: "measured",
            sql: "SELECT workflow_key, outcome, classification, count(*) AS runs,
    min(started_at) AS first_started_at, max(started_at) AS last_started_at,
    sum(count(*)) OVER (PARTITION BY workflow_key) AS runs_not_passed
  FROM {table run_facts} r WHERE outcome <> 'passed' AND workflow_key IS NOT NULL
  GROUP BY workflow_key, outcome, classification",
        },
        NAMED,
    ],
    from: "named",
    items: &[
        WORKFLOW_KEY,
        WORKFLOW_NAME,
        Item::Column(Column::text("outcome", "`partial`, `failed`, `error` or `undecided`.")),
        Item::Column(Column::text("classification", "The evaluation's classification.")),
        Item::Column(Column::integer("runs", unit::RUNS, "Runs of this class.")),
        Item::Column(Column::integer(
            "runs_not_passed",
            unit::RUNS,
            "All runs of the workflow that did not pass.",
        )),
        Item::Metric(&CLASS_SHARE),
        Item::Note("class_share_note", &CLASS_SHARE),
        Item::Column(Column::timestamp("first_started_at", "Start of the first of them.")),
        Item::Column(Column::timestamp("last_started_at", "Start of the last of them.")),
    ],
};
