//! Days, and the table of workflows by day.

use askama::Template;
use chrono::{DateTime, Datelike, Utc};

use super::format::{ABSENT, count, name};
use super::narrow::Selection;
use super::rows::Rows;
use crate::query::{LakeReader, QueryError};
use crate::time::{DAY, Timestamp};

/// The most days that charts and tables show: a month, whatever its length.
const MOST_DAYS: i64 = 31;

/// The most workflows in the table.
const MOST_WORKFLOWS: usize = 20;

/// A UTC day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Day {
    number: i64,
    start: DateTime<Utc>,
}

impl Day {
    pub(super) fn of_number(number: i64) -> Option<Self> {
        let microseconds = i64::try_from(DAY.as_micros()).ok()?.checked_mul(number)?;
        let start = Timestamp::from_micros(microseconds).to_datetime()?;
        Some(Self { number, start })
    }

    /// Days since 1970, as DuckDB states it.
    pub(super) fn key(self) -> String {
        self.number.to_string()
    }

    /// As `2026-11-23`.
    pub(super) fn date(self) -> String {
        self.start.format("%Y-%m-%d").to_string()
    }

    /// As `23 Nov`.
    pub(super) fn short(self) -> String {
        self.start.format("%-d %b").to_string()
    }
}

/// The days from that of the first run to the end of a selection, at most [`MOST_DAYS`]; whether
/// there are earlier ones too. No day without an end of the selection.
pub(super) fn days_of(
    selection: &Selection,
    reader: &mut LakeReader,
) -> Result<(Vec<Day>, bool), QueryError> {
    let number = |at: Timestamp| at.utc_day_number().map(i64::from);
    let Some(last) = selection.until.and_then(number) else { return Ok((Vec::new(), false)) };
    let sql = format!("SELECT min({DAY_NUMBER}) FROM workflow_daily");
    let rows = reader.rows(&sql)?;
    let earliest = rows.first().and_then(|row| row.first().cloned().flatten());
    let earliest: i64 = earliest.and_then(|text| text.parse().ok()).unwrap_or(last);
    let first = earliest.max(last - MOST_DAYS + 1).min(last);
    Ok(((first..=last).filter_map(Day::of_number).collect(), earliest < first))
}

/// The number of the day of a row of `workflow_daily`.
pub(super) const DAY_NUMBER: &str = "date_diff('day', DATE '1970-01-01', day)";

/// Counts of all runs by day.
pub(super) fn read_days(reader: &mut LakeReader, days: &[Day]) -> Result<Rows, QueryError> {
    let Some((first, last)) = days.first().zip(days.last()) else { return Ok(Rows::default()) };
    let from = format!(
        "(SELECT {DAY_NUMBER} AS day_number, sum(runs)::BIGINT AS runs, \
         sum(decided)::BIGINT AS decided, sum(passed)::BIGINT AS passed FROM workflow_daily \
         WHERE {DAY_NUMBER} BETWEEN {} AND {} GROUP BY day)",
        first.number, last.number
    );
    let columns = ["day_number", "runs", "decided", "passed"];
    Rows::select(reader, &columns, &from, days.len())
}

/// Counts by workflow and day, of the workflows with most runs.
pub(super) fn read_heat(reader: &mut LakeReader, days: &[Day]) -> Result<Rows, QueryError> {
    let Some((first, last)) = days.first().zip(days.last()) else { return Ok(Rows::default()) };
    let from = format!(
        "(WITH shown AS (SELECT *, {DAY_NUMBER} AS day_number FROM workflow_daily \
           WHERE {DAY_NUMBER} BETWEEN {} AND {} AND workflow_key IS NOT NULL), \
         busiest AS (SELECT workflow_key, sum(runs)::BIGINT AS all_runs, \
           sum(decided)::BIGINT AS all_decided, sum(passed)::BIGINT AS all_passed, \
           count(*) OVER () AS workflows \
           FROM shown GROUP BY workflow_key ORDER BY all_runs DESC, workflow_key \
           LIMIT {MOST_WORKFLOWS}) \
         SELECT * FROM shown JOIN busiest USING (workflow_key)) \
         ORDER BY all_runs DESC, workflow_key, day_number",
        first.number, last.number
    );
    let columns = [
        "workflow_key",
        "workflow_name",
        "day_number",
        "runs",
        "decided",
        "passed",
        "all_decided",
        "all_passed",
        "workflows",
    ];
    Rows::select(reader, &columns, &from, MOST_WORKFLOWS.saturating_mul(days.len()))
}

/// The table of workflows by day: each cell says how many of the decided runs passed, and has the
/// color of that share.
#[derive(Debug, Template)]
#[template(path = "report/heat.html")]
pub(super) struct HeatTable {
    bound: Option<String>,
    months: Vec<(String, usize)>,
    days: Vec<Day>,
    rows: Vec<HeatRow>,
}

#[derive(Debug)]
struct HeatRow {
    name: String,
    all: String,
    cells: Vec<HeatCell>,
}

#[derive(Clone, Debug, Default)]
struct HeatCell {
    /// The class of the color; empty without a decided run.
    class: &'static str,
    passed: String,
    /// Empty without a decided run.
    decided: String,
}

impl HeatTable {
    /// The table of rows that [`read_heat`] selected.
    pub(super) fn new(days: &[Day], has_earlier: bool, rows: &Rows) -> Self {
        let mut shown: Vec<(&str, HeatRow)> = Vec::new();
        for row in rows.iter() {
            let key = row.text("workflow_key").unwrap_or_default();
            if shown.last().is_none_or(|(last, _)| *last != key) {
                let workflow = row.text("workflow_name").map_or(ABSENT.to_owned(), name);
                let all = match row.count("all_decided") {
                    0 => ABSENT.to_owned(),
                    decided => {
                        let passed = count(row.count("all_passed"));
                        format!("{passed}/{}", count(decided))
                    }
                };
                let cells = vec![HeatCell::default(); days.len()];
                shown.push((key, HeatRow { name: workflow, all, cells }));
            }
            let place = days.iter().position(|day| row.text("day_number") == Some(&day.key()));
            let row_cells = shown.last_mut().map(|(_, shown)| &mut shown.cells);
            if let Some(slot) = place.zip(row_cells).and_then(|(at, cells)| cells.get_mut(at)) {
                *slot = cell(row.count("passed"), row.count("decided"));
            }
        }
        let workflows = rows.first().map_or(0, |row| row.count("workflows"));
        let mut bounds = Vec::new();
        let number = u64::try_from(shown.len()).unwrap_or(u64::MAX);
        if number < workflows {
            let of = count(workflows);
            bounds.push(format!("The first {number} of {of} workflows, by runs."));
        }
        if has_earlier {
            bounds.push(format!("The last {} days.", days.len()));
        }
        Self {
            bound: (!bounds.is_empty()).then(|| bounds.join(" ")),
            months: months(days),
            days: days.to_vec(),
            rows: shown.into_iter().map(|(_, row)| row).collect(),
        }
    }
}

/// The months of days, with the number of days of each.
fn months(days: &[Day]) -> Vec<(String, usize)> {
    let mut months: Vec<(String, usize)> = Vec::new();
    for day in days {
        let month = day.start.format("%b %Y").to_string();
        match months.last_mut() {
            Some((last, length)) if *last == month => *length += 1,
            _ => months.push((month, 1)),
        }
    }
    months
}

fn cell(passed: u64, decided: u64) -> HeatCell {
    const CLASSES: [&str; 6] = ["r0", "r1", "r2", "r3", "r4", "r5"];
    if decided == 0 {
        return HeatCell { class: "", passed: ABSENT.to_owned(), decided: String::new() };
    }
    // Only a day on which all passed has the last color.
    let fifth = usize::try_from(passed.saturating_mul(5) / decided).unwrap_or(5);
    HeatCell {
        class: CLASSES.get(fifth).copied().unwrap_or("r5"),
        passed: count(passed),
        decided: count(decided),
    }
}
