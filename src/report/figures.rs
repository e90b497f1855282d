//! The figures of the first screen, and what can be said about the data itself.

use super::format::{ABSENT, counted, duration, grouped, moment, money, percent, percent_interval};
use super::rows::{Row, Rows};
use crate::metrics::{MODEL_COMPARISON, NOT_ENOUGH_RUNS};
use crate::query::{LakeReader, QueryError};

/// A figure with its label, and what it is out of.
#[derive(Debug)]
pub(super) struct Figure {
    pub(super) label: &'static str,
    pub(super) value: String,
    pub(super) note: String,
}

/// The figures of all runs together, in one row.
pub(super) fn read_together(reader: &mut LakeReader) -> Result<Rows, QueryError> {
    let columns = [
        "runs",
        "decided",
        "passed",
        "errors",
        "undecided",
        "pass_rate",
        "cost_per_pass",
        "cost_per_pass_note",
        "cost_currency",
        "runs_with_cost",
        "run_duration_p95_ms",
        "run_duration_p95_note",
        "decided_with_duration",
    ];
    let from = format!("together.{}", MODEL_COMPARISON.name);
    Rows::select(reader, &columns, &from, 1)
}

/// The figures of the first screen. `workflows` are the rows of `workflow_stability`: with one
/// workflow, its pass rate has an interval. An interval over several would be too narrow.
pub(super) fn figures(together: &Rows, workflows: &Rows, quality: &Rows) -> Vec<Figure> {
    let all = together.first();
    let text = |column: &str| all.and_then(|row| row.text(column));
    let number = |column: &str| all.and_then(|row| row.number(column));
    let count = |column: &str| all.map_or(0, |row| row.count(column));
    let out_of = |column: &str, one: &str, many: &str| counted(count(column), one, many);
    let value = |shown: Option<String>, note: &str| {
        let note = if all.is_some() { text(note) } else { Some(NOT_ENOUGH_RUNS) };
        shown.unwrap_or_else(|| note.unwrap_or(ABSENT).to_owned())
    };
    let one = workflows.first().filter(|_| workflows.of == 1);
    let rate = match one.and_then(interval) {
        Some(rate) => rate,
        None => number("pass_rate").map_or(NOT_ENOUGH_RUNS.to_owned(), percent),
    };
    let workflows_note = match workflows.of {
        1 => "95 % interval in brackets".to_owned(),
        number => counted(number, "workflow", "workflows") + ", so without an interval",
    };
    let cost = number("cost_per_pass").map(|cost| money(cost, text("cost_currency")));
    let slow = number("run_duration_p95_ms").map(duration);
    vec![
        Figure {
            label: "Pass rate",
            value: rate,
            note: format!(
                "{} of {} passed; {workflows_note}",
                grouped(&count("passed").to_string()),
                out_of("decided", "decided run", "decided runs")
            ),
        },
        Figure {
            label: "Runs",
            value: grouped(&count("runs").to_string()),
            note: format!(
                "{} and {} undecided, which do not count in rates",
                out_of("errors", "error", "errors"),
                grouped(&count("undecided").to_string())
            ),
        },
        Figure {
            label: "Cost per passed run",
            value: value(cost, "cost_per_pass_note"),
            note: format!(
                "with the cost of runs that did not pass; {}",
                out_of("runs_with_cost", "run states a cost", "runs state a cost")
            ),
        },
        Figure {
            label: "95th percentile of duration",
            value: value(slow, "run_duration_p95_note"),
            note: out_of(
                "decided_with_duration",
                "decided run states a duration",
                "decided runs state a duration",
            ),
        },
        covered(quality.first()),
        gaps(quality.first()),
    ]
}

fn interval(row: Row<'_>) -> Option<String> {
    let (low, high) = row.number("pass_rate_low").zip(row.number("pass_rate_high"))?;
    let rate = percent(row.number("pass_rate")?);
    Some(format!("{rate} ({})", percent_interval(low, high)))
}

fn covered(quality: Option<Row<'_>>) -> Figure {
    let text = |column: &str| quality.and_then(|row| row.text(column));
    let until = text("covered_until").map(moment);
    let outcome =
        text("last_sync_outcome").map(|outcome| format!("UTC; the last sync was {outcome}"));
    Figure {
        label: "Covered until",
        value: until.unwrap_or_else(|| "not yet".to_owned()),
        note: outcome.unwrap_or_else(|| "no sync yet".to_owned()),
    }
}

fn gaps(quality: Option<Row<'_>>) -> Figure {
    let count = |column: &str| quality.map_or(0, |row| row.count(column));
    let hours = quality.and_then(|row| row.number("gap_hours")).unwrap_or_default();
    let open = counted(count("open_runs"), "run is still open", "runs are still open");
    let (value, note) = match count("gaps") {
        0 => ("none".to_owned(), open),
        gaps => {
            let lost = format!("{hours:.1} hours can no longer be listed");
            (grouped(&gaps.to_string()), format!("{lost}; {open}"))
        }
    };
    Figure { label: "Gaps", value, note }
}

/// The row of `data_quality`.
pub(super) fn read_quality(reader: &mut LakeReader) -> Result<Rows, QueryError> {
    let columns: Vec<&str> = QUALITY.iter().map(|(column, _)| *column).collect();
    Rows::select(reader, &columns, "data_quality", 1)
}

/// What is shown of `data_quality`: columns, and their labels.
const QUALITY: [(&str, &str); 23] = [
    ("covered_until", "Every run that started before is known, except in gaps (UTC)"),
    ("last_sync_started_at", "Start of the last sync (UTC)"),
    ("last_sync_outcome", "Outcome of the last sync"),
    ("last_sync_certified", "The list of the last sync was proven complete"),
    ("gaps", "Gaps: stretches of time whose runs can no longer be listed"),
    ("gap_hours", "Length of the gaps in hours"),
    ("runs", "Runs that have ended"),
    ("open_runs", "Runs still open, or waiting for their evaluation"),
    ("oldest_open_started_at", "Start of the oldest open run (UTC)"),
    ("runs_evaluated", "Runs with an evaluation"),
    ("evaluations_pending", "Runs whose evaluation may still come"),
    ("evaluations_absent", "Decided runs for which the API has no evaluation"),
    ("runs_undecided", "Runs that were cancelled or state no known result"),
    ("runs_with_unknown_status", "Runs whose status is missing or not known"),
    ("runs_without_workflow", "Runs that state no workflow"),
    ("runs_without_version", "Runs that state no version"),
    ("runs_without_start", "Runs that state no start"),
    ("runs_without_duration", "Runs that state no duration"),
    ("runs_without_cost", "Runs that state no cost"),
    ("tool_calls", "Tool calls"),
    ("calls_without_result", "Tool calls that do not state whether they failed"),
    ("issues", "Values that did not fit their column, and lists that did not come whole"),
    ("runs_incomplete", "Runs exported with fewer rows than the API announces"),
];

/// The rows of the table of data quality: labels and values.
pub(super) fn quality(rows: &Rows) -> Vec<(&'static str, String)> {
    let Some(row) = rows.first() else { return Vec::new() };
    let shown = |column: &str| {
        let Some(value) = row.text(column) else { return ABSENT.to_owned() };
        match column {
            _ if column.ends_with("_at") || column.ends_with("_until") => moment(value),
            "gap_hours" => grouped(&format!("{:.1}", row.number(column).unwrap_or_default())),
            "last_sync_certified" => if value == "true" { "yes" } else { "no" }.to_owned(),
            "last_sync_outcome" => value.to_owned(),
            _ => grouped(value),
        }
    };
    QUALITY.iter().map(|(column, label)| (*label, shown(column))).collect()
}
