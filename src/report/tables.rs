//! The tables of the page, in its order.

use super::table::CellKind::{
    Change, Cost, Count, Duration, Flag, Moment, Name, Probability, Run, Share, ShareBar,
    ShareInterval, Unmet, Word,
};
use super::table::{TableSpec, column};
use crate::metrics::{
    CRITERION_HEALTH, FAILURE_CLASSES, JUDGE_CONSISTENCY, MODEL_COMPARISON, RUN_FACTS, TOOL_HEALTH,
    WORKFLOW_STABILITY, WORKFLOW_VERSIONS,
};

/// The most rows of most tables.
const MOST: usize = 20;

/// Versions whose interval excludes zero: regressions first, and of these the current ones.
pub(super) static CHANGES: TableSpec = TableSpec {
    id: "changes",
    caption: "Versions whose pass rate changed: the 95\u{202f}% interval of the change excludes \
              zero.",
    empty: "No version changed the pass rate of its workflow beyond what chance explains, or there \
            are not enough runs to compare.",
    view: &WORKFLOW_VERSIONS,
    from: "workflow_versions WHERE comparison IN ('regression', 'improvement') \
           ORDER BY comparison DESC, is_latest DESC, abs(pass_rate_change) DESC, workflow_key, \
           first_started_at DESC",
    most: MOST,
    columns: &[
        column("Workflow", "workflow_name", Name),
        column("What", "comparison", Word),
        column("From version", "previous_version", Name),
        column("To version", "workflow_version", Name),
        column("Pass rate before", "previous_pass_rate", Share),
        column("Pass rate after", "pass_rate", Share),
        column("Change in points (95\u{202f}% interval)", "pass_rate_change", Change),
        column("Decided runs before", "previous_decided", Count),
        column("Decided runs after", "decided", Count),
        column("First run (UTC)", "first_started_at", Moment),
        column("Is the latest", "is_latest", Flag),
    ],
};

/// The latest version of each workflow: what the chart beside it shows.
pub(super) static LATEST_VERSIONS: TableSpec = TableSpec {
    id: "versions",
    caption: "The latest version of each workflow, compared with the version before it.",
    empty: "No run states a workflow and a version.",
    view: &WORKFLOW_VERSIONS,
    from: "workflow_versions WHERE is_latest ORDER BY pass_rate_change NULLS LAST, workflow_name, \
           workflow_key",
    most: MOST,
    columns: &[
        column("Workflow", "workflow_name", Name),
        column("Version", "workflow_version", Name),
        column("Pass rate (95\u{202f}% interval)", "pass_rate", ShareInterval),
        column("Decided runs", "decided", Count),
        column("Change in points (95\u{202f}% interval)", "pass_rate_change", Change),
        column("Comparison", "comparison", Word),
    ],
};

/// Workflows whose passes and failures come in stretches that chance does not make.
pub(super) static MOMENTS: TableSpec = TableSpec {
    id: "moments",
    caption: "Workflows that changed at a moment, whatever their version: the order of passes and \
              failures is not chance.",
    empty: "No workflow shows a moment at which its passes and failures changed.",
    view: &WORKFLOW_STABILITY,
    from: "workflow_stability WHERE stability = 'changed' \
           ORDER BY pass_rate_after - pass_rate_before, workflow_key",
    most: MOST,
    columns: &[
        column("Workflow", "workflow_name", Name),
        column("Changed at (UTC)", "changed_at", Moment),
        column("Pass rate before", "pass_rate_before", Share),
        column("Pass rate after", "pass_rate_after", Share),
        column("Probability of this order by chance", "runs_test_p", Probability),
        column("Decided runs", "decided", Count),
    ],
};

/// Why runs did not pass.
pub(super) static CLASSES: TableSpec = TableSpec {
    id: "classes",
    caption: "Runs that did not pass, by outcome and classification.",
    empty: "Every run passed.",
    view: &FAILURE_CLASSES,
    from: "failure_classes ORDER BY runs DESC, workflow_name, workflow_key, outcome, \
           classification NULLS LAST",
    most: 12,
    columns: &[
        column("Workflow", "workflow_name", Name),
        column("Outcome", "outcome", Word),
        column("Classification", "classification", Name),
        column("Runs", "runs", Count),
        column("Share of the workflow's runs that did not pass", "class_share", ShareBar),
        column("Last (UTC)", "last_started_at", Moment),
    ],
};

/// Criteria that keep runs from passing.
pub(super) static CRITERIA: TableSpec = TableSpec {
    id: "criteria",
    caption: "Criteria by the number of runs that they kept from passing.",
    empty: "No criterion kept a run from passing.",
    view: &CRITERION_HEALTH,
    from: "criterion_health WHERE blocked_runs > 0 ORDER BY blocked_runs DESC, workflow_name, \
           workflow_key, criterion",
    most: 12,
    columns: &[
        column("Criterion", "criterion", Name),
        column("Workflow", "workflow_name", Name),
        column("Runs it kept from passing", "blocked_runs", Count),
        column("Share of the workflow's graded runs that did not pass", "blocking_rate", ShareBar),
        column("Alone", "blocked_alone_runs", Count),
        column("Met (95\u{202f}% interval)", "met_rate", ShareInterval),
        column("Grades", "graded", Count),
    ],
};

/// Tools by the errors of their calls.
pub(super) static TOOLS: TableSpec = TableSpec {
    id: "tools",
    caption: "Tools by the number of calls that failed.",
    empty: "No run called a tool.",
    view: &TOOL_HEALTH,
    from: "tool_health ORDER BY errors DESC, calls DESC, workflow_name, workflow_key, tool_name",
    most: 12,
    columns: &[
        column("Tool", "tool_name", Name),
        column("Workflow", "workflow_name", Name),
        column("Calls", "calls", Count),
        column("Failed calls", "errors", Count),
        column("Error rate", "tool_error_rate", ShareBar),
        column("Runs pass where it failed", "pass_rate_where_erred", ShareInterval),
        column("Runs pass where it worked", "pass_rate_where_worked", ShareInterval),
        column("Repeated calls", "repeat_rate", Share),
        column("Median duration", "call_duration_p50_ms", Duration),
        column("95th percentile", "call_duration_p95_ms", Duration),
    ],
};

/// Models within each workflow.
pub(super) static MODELS: TableSpec = TableSpec {
    id: "models",
    caption: "Models and harnesses within each workflow, by pass rate.",
    empty: "No run states a workflow.",
    view: &MODEL_COMPARISON,
    from: "model_comparison ORDER BY sum(runs) OVER (PARTITION BY workflow_key) DESC, \
           workflow_name, workflow_key, pass_rate DESC NULLS LAST, model, harness",
    most: 24,
    columns: &[
        column("Workflow", "workflow_name", Name),
        column("Model", "model", Name),
        column("Harness", "harness", Name),
        column("Runs", "runs", Count),
        column("Pass rate (95\u{202f}% interval)", "pass_rate", ShareInterval),
        column("Cost per passed run", "cost_per_pass", Cost),
        column("Runs with a cost", "cost_coverage", Share),
        column("Median duration", "run_duration_p50_ms", Duration),
        column("95th percentile", "run_duration_p95_ms", Duration),
    ],
};

/// Whether workflows are flaky.
pub(super) static STABILITY: TableSpec = TableSpec {
    id: "stability",
    caption: "Workflows by how steadily they pass, the flaky ones first.",
    empty: "No run states a workflow, a start and a result.",
    view: &WORKFLOW_STABILITY,
    from: "workflow_stability ORDER BY CASE stability WHEN 'flaky' THEN 0 WHEN 'changed' THEN 1 \
           WHEN 'never passes' THEN 2 WHEN 'always passes' THEN 3 ELSE 4 END, pass_cubed, \
           workflow_name, workflow_key",
    most: MOST,
    columns: &[
        column("Workflow", "workflow_name", Name),
        column("Stability", "stability", Word),
        column("Pass rate (95\u{202f}% interval)", "pass_rate", ShareInterval),
        column("Three runs in a row pass (pass^3)", "pass_cubed", ShareBar),
        column("Probability of this order by chance", "runs_test_p", Probability),
        column("Decided runs", "decided", Count),
    ],
};

/// The latest runs that did not pass.
pub(super) static FAILURES: TableSpec = TableSpec {
    id: "failures",
    caption: "The latest runs that did not pass.",
    empty: "Every run passed.",
    view: &RUN_FACTS,
    from: "(SELECT * FROM failed_runs LEFT JOIN unmet_criteria USING (run_id)) \
           ORDER BY started_at DESC NULLS LAST, run_id",
    most: MOST,
    columns: &[
        column("Run", "run_id", Run),
        column("Workflow", "workflow_name", Name),
        column("Version", "workflow_version", Name),
        column("Model", "model", Name),
        column("Outcome", "outcome", Word),
        column("Classification", "classification", Name),
        column("Required criterion not met", "unmet", Unmet),
        column("Duration", "duration_ms", Duration),
        column("Started (UTC)", "started_at", Moment),
    ],
};

/// Statements that create the tables and the view that [`FAILURES`] reads: the runs that did not
/// pass, the latest of them, and how many required criteria each of these did not meet.
pub(super) fn prepare_failures() -> String {
    format!(
        "CREATE VIEW failed_runs AS SELECT * FROM run_facts \
           WHERE outcome IN ('failed', 'partial', 'error'); \
         CREATE TABLE latest_failures AS SELECT run_id, started_at FROM failed_runs \
           ORDER BY started_at DESC NULLS LAST, run_id LIMIT {}; \
         CREATE TABLE unmet_criteria AS SELECT run_id, count(*) AS unmet, \
           min_by(coalesce(criterion_text, criterion_id), position) AS first_unmet \
           FROM criteria SEMI JOIN latest_failures USING (run_id) \
           WHERE is_required AND verdict_meaning IN ('partial', 'failed') GROUP BY run_id;",
        FAILURES.most
    )
}

/// Whether judges agree with the statuses of runs and with themselves.
pub(super) static JUDGES: TableSpec = TableSpec {
    id: "judges",
    caption: "Judge models within each workflow: whether verdicts agree with the status of the \
              run, and with the judge's own grades.",
    empty: "No run was evaluated.",
    view: &JUDGE_CONSISTENCY,
    from: "judge_consistency ORDER BY contradiction_rate DESC NULLS LAST, agreement_rate, \
           workflow_name, workflow_key, judge_model",
    most: MOST,
    columns: &[
        column("Workflow", "workflow_name", Name),
        column("Judge", "judge_model", Name),
        column("Evaluations", "evaluations", Count),
        column("Agrees with the status (95\u{202f}% interval)", "agreement_rate", ShareInterval),
        column(
            "Contradicts its grades (95\u{202f}% interval)",
            "contradiction_rate",
            ShareInterval,
        ),
    ],
};
