//! How far the data can be trusted: coverage, gaps, open runs, and values that did not fit.

use super::{Column, Item, Step, View, unit};

/// One row.
pub static DATA_QUALITY: View = View {
    name: "data_quality",
    description: "One row about the data itself: up to when it is complete, what is missing, and \
                  what could not be read.",
    key: &[],
    steps: &[
        Step {
            name: "newest_sync",
            sql: "SELECT 1 AS one, {utc started_at} AS started_at, outcome, certified,
    {utc proven_until} AS proven_until
  FROM {table _syncs} s ORDER BY _commit DESC LIMIT 1",
        },
        Step {
            name: "missing",
            sql: "SELECT count(*) AS gaps,
    1e0 * sum({microseconds gap_from, gap_until}) / 3600000000 AS gap_hours FROM {table _gaps} g",
        },
        Step {
            name: "counted",
            sql: "SELECT 1 AS one, count(*) AS runs,
    count(CASE WHEN evaluation_state = 'ok' THEN 1 END) AS runs_evaluated,
    count(CASE WHEN evaluation_state = 'pending' THEN 1 END) AS evaluations_pending,
    count(CASE WHEN outcome IN {decided} AND evaluation_state = 'absent' THEN 1 END)
      AS evaluations_absent,
    count(CASE WHEN outcome = 'undecided' THEN 1 END) AS runs_undecided,
    count(CASE WHEN status_meaning = 'unknown' OR status_meaning IS NULL THEN 1 END)
      AS runs_with_unknown_status,
    count(CASE WHEN workflow_key IS NULL THEN 1 END) AS runs_without_workflow,
    count(CASE WHEN workflow_version IS NULL THEN 1 END) AS runs_without_version,
    count(CASE WHEN started_at IS NULL THEN 1 END) AS runs_without_start,
    count(CASE WHEN duration_ms IS NULL THEN 1 END) AS runs_without_duration,
    count(CASE WHEN cost IS NULL THEN 1 END) AS runs_without_cost
  FROM {table run_facts} r",
        },
        Step {
            name: "called",
            sql: "SELECT count(*) AS tool_calls,
    count(CASE WHEN is_error IS NULL THEN 1 END) AS calls_without_result
  FROM {table tool_calls} t",
        },
        Step {
            name: "unread",
            sql: "SELECT count(*) AS issues, count(DISTINCT run_id) AS runs_with_issues,
    count(DISTINCT CASE WHEN rows_received IS NOT NULL THEN run_id END) AS runs_incomplete
  FROM {table _issues} i",
        },
        Step {
            name: "opened",
            sql: "SELECT count(*) AS open_runs,
    min({utc started_at}) AS oldest_open_started_at FROM {table open_runs} o",
        },
        Step {
            name: "together",
            sql: "SELECT counted.*, called.*, unread.*, opened.*, missing.gaps,
    coalesce(missing.gap_hours, 0) AS gap_hours, newest_sync.started_at AS last_sync_started_at,
    newest_sync.outcome AS last_sync_outcome, newest_sync.certified AS last_sync_certified,
    newest_sync.proven_until AS covered_until
  FROM counted CROSS JOIN called CROSS JOIN unread CROSS JOIN opened CROSS JOIN missing
  LEFT JOIN newest_sync ON newest_sync.one = counted.one",
        },
    ],
    from: "together",
    items: &[
        Item::Column(Column::timestamp(
            "covered_until",
            "Every run that started before is known, except in gaps; null before the first \
             certified sync.",
        )),
        Item::Column(Column::timestamp("last_sync_started_at", "When the last sync began.")),
        Item::Column(Column::text(
            "last_sync_outcome",
            "`complete`, `incomplete`, `stopped` or `interrupted`.",
        )),
        Item::Column(Column::flag(
            "last_sync_certified",
            "Whether its list scan was proven complete.",
        )),
        Item::Column(Column::integer(
            "gaps",
            unit::COUNT,
            "Stretches of time whose runs can no longer be listed.",
        )),
        Item::Column(Column::float("gap_hours", unit::HOURS, "Their total length.")),
        Item::Column(Column::integer("runs", unit::RUNS, "Runs that have ended.")),
        Item::Column(Column::integer(
            "open_runs",
            unit::RUNS,
            "Runs that had not ended, or waited for their evaluation, at the last sync.",
        )),
        Item::Column(Column::timestamp("oldest_open_started_at", "Start of the oldest of them.")),
        Item::Column(Column::integer("runs_evaluated", unit::RUNS, "Runs with an evaluation.")),
        Item::Column(Column::integer(
            "evaluations_pending",
            unit::RUNS,
            "Runs whose evaluation may still come.",
        )),
        Item::Column(Column::integer(
            "evaluations_absent",
            unit::RUNS,
            "Decided runs for which the API has no evaluation.",
        )),
        Item::Column(Column::integer(
            "runs_undecided",
            unit::RUNS,
            "Runs that were cancelled or state no known result.",
        )),
        Item::Column(Column::integer(
            "runs_with_unknown_status",
            unit::RUNS,
            "The ones of these whose status is missing or not known.",
        )),
        Item::Column(Column::integer(
            "runs_without_workflow",
            unit::RUNS,
            "Runs that state no workflow: left out of the views by workflow, except \
             `workflow_daily`.",
        )),
        Item::Column(Column::integer(
            "runs_without_version",
            unit::RUNS,
            "Runs that state no version of their workflow.",
        )),
        Item::Column(Column::integer(
            "runs_without_start",
            unit::RUNS,
            "Runs that state no start.",
        )),
        Item::Column(Column::integer(
            "runs_without_duration",
            unit::RUNS,
            "Runs whose duration is not known.",
        )),
        Item::Column(Column::integer("runs_without_cost", unit::RUNS, "Runs that state no cost.")),
        Item::Column(Column::integer("tool_calls", unit::CALLS, "Tool calls.")),
        Item::Column(Column::integer(
            "calls_without_result",
            unit::CALLS,
            "The ones of these that do not state whether they failed.",
        )),
        Item::Column(Column::integer(
            "issues",
            unit::COUNT,
            "Values that did not fit their column, and lists that did not come whole.",
        )),
        Item::Column(Column::integer("runs_with_issues", unit::RUNS, "Runs with any of them.")),
        Item::Column(Column::integer(
            "runs_incomplete",
            unit::RUNS,
            "Runs exported with fewer rows than the API announces.",
        )),
    ],
};
