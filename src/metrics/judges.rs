//! Judges: whether their verdicts agree with the status of the run, and with their own grades.

use super::workflows::{NAMES, WORKFLOW_KEY, WORKFLOW_NAME};
use super::{Column, ColumnType, Interval, Item, Metric, Sample, Step, View, unit};

/// How often the verdict is the status.
static AGREEMENT_RATE: Metric = Metric {
    name: "agreement_rate",
    question: "Does the judge's verdict agree with the status of the run?",
    kind: ColumnType::Float,
    unit: Some(unit::SHARE),
    description: "Evaluations whose verdict means the same as the status of the run, divided by \
                  those in which both are decided. The interval is Wilson's.",
    sql: "1e0 * agreed / nullif(compared, 0)",
    interval: Some(Interval::Wilson { with: "agreed", of: "compared" }),
    sample: Sample { size: "compared", least: 1 },
    level: 1,
};

/// How often the verdict contradicts the grades.
static CONTRADICTION_RATE: Metric = Metric {
    name: "contradiction_rate",
    question: "Does the judge contradict its own grades?",
    kind: ColumnType::Float,
    unit: Some(unit::SHARE),
    description: "Evaluations that passed a run with a required criterion that was not fully met, \
                  or did not pass one with all required criteria met, divided by the evaluations \
                  with a decided verdict and a decided grade for each required criterion. The \
                  interval is Wilson's.",
    sql: "1e0 * contradictions / nullif(graded_evaluations, 0)",
    interval: Some(Interval::Wilson { with: "contradictions", of: "graded_evaluations" }),
    sample: Sample { size: "graded_evaluations", least: 1 },
    level: 1,
};

/// One row per workflow and judge model.
pub static JUDGE_CONSISTENCY: View = View {
    name: "judge_consistency",
    description: "One row per workflow and judge model: whether its verdicts agree with the status \
                  of the runs, and with its own grades of their required criteria.",
    key: &["workflow_key", "judge_model"],
    steps: &[
        NAMES,
        Step {
            name: "grades",
            sql: "SELECT run_id, count(*) AS required,
    count(CASE WHEN grade IN {decided} THEN 1 END) AS decided,
    count(CASE WHEN grade IN ('partial', 'failed') THEN 1 END) AS unmet
  FROM (SELECT c.run_id, {grade} AS grade
    FROM {table criteria} c WHERE c.is_required) AS required_grades
  GROUP BY run_id",
        },
        // By the status, not by the outcome: where the status does not state a result, the outcome
        // is the verdict itself.
        Step {
            name: "judged",
            sql: "SELECT r.workflow_key, e.judge_model, r.status_meaning AS status,
    coalesce(g.required, 0) > 0 AND g.decided = g.required AS is_graded, g.unmet,
    {evaluation verdict} AS verdict
  FROM {table evaluations} e JOIN {table run_facts} r ON r.run_id = e.run_id
  LEFT JOIN grades g ON g.run_id = e.run_id WHERE r.workflow_key IS NOT NULL",
        },
        Step {
            name: "measured",
            sql: "SELECT workflow_key, judge_model, count(*) AS evaluations,
    count(CASE WHEN verdict IN {decided} THEN 1 END) AS decided_verdicts,
    count(CASE WHEN verdict IN {decided} AND status IN {decided} THEN 1 END) AS compared,
    count(CASE WHEN verdict IN {decided} AND status = verdict THEN 1 END) AS agreed,
    count(CASE WHEN verdict IN {decided} AND is_graded THEN 1 END) AS graded_evaluations,
    count(CASE WHEN verdict = 'passed' AND is_graded AND unmet > 0 THEN 1 END)
      AS passed_with_unmet,
    count(CASE WHEN verdict IN ('partial', 'failed') AND is_graded AND unmet = 0 THEN 1 END)
      AS unpassed_with_all_met
  FROM judged GROUP BY workflow_key, judge_model",
        },
        Step {
            name: "named",
            sql: "SELECT m.*, passed_with_unmet + unpassed_with_all_met AS contradictions,
    names.workflow_name
  FROM measured m LEFT JOIN names ON names.named_key = m.workflow_key",
        },
    ],
    from: "named",
    items: &[
        WORKFLOW_KEY,
        WORKFLOW_NAME,
        Item::Column(Column::text("judge_model", "The model that judged.")),
        Item::Column(Column::integer("evaluations", unit::EVALUATIONS, "All evaluations.")),
        Item::Column(Column::integer(
            "decided_verdicts",
            unit::EVALUATIONS,
            "Evaluations with a decided verdict: passed, partial or failed.",
        )),
        Item::Column(Column::integer(
            "compared",
            unit::EVALUATIONS,
            "The ones of these whose run has a decided status.",
        )),
        Item::Column(Column::integer(
            "agreed",
            unit::EVALUATIONS,
            "The ones of these in which both mean the same.",
        )),
        Item::Metric(&AGREEMENT_RATE),
        Item::Column(Column::integer(
            "graded_evaluations",
            unit::EVALUATIONS,
            "Evaluations with a decided verdict and a decided grade for each required criterion.",
        )),
        Item::Column(Column::integer(
            "passed_with_unmet",
            unit::EVALUATIONS,
            "The ones of these that passed although a required criterion was not fully met.",
        )),
        Item::Column(Column::integer(
            "unpassed_with_all_met",
            unit::EVALUATIONS,
            "The ones of these that did not pass although all required criteria were met.",
        )),
        Item::Metric(&CONTRADICTION_RATE),
    ],
};
