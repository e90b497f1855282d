//! Decides which of the values that could fill a column does.

use std::borrow::Cow;

use super::candidate::{Candidate, Problem};
use super::cell::{Cell, CellReading, read};
use super::duration::{read_duration, unit_of};
use super::failure::states_failure;
use crate::json::{Node, Record, TimeFormat, TimeUnit, last_word};
use crate::run::Meaning;
use crate::tables::{Kind, MappedColumn, Reading};
use crate::time::{Interval, Timestamp};

/// The value that fills a column.
pub(super) struct Chosen<'a> {
    pub(super) cell: Cell<'a>,
    /// Index of the column's source at which it was found.
    pub(super) rank: usize,
    /// The unit that a duration was stated in.
    pub(super) unit: Option<TimeUnit>,
}

/// Start and end of a row, by the server's clock.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Times {
    started_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
}

impl Times {
    /// Stores a cell of the row if it is its start or its end.
    pub(super) fn note(&mut self, column: &str, cell: &Cell<'_>) {
        let Cell::Timestamp(at) = cell else { return };
        match column {
            "started_at" => self.started_at = Some(*at),
            "ended_at" => self.ended_at = Some(*at),
            _ => {}
        }
    }

    fn interval(self) -> Option<Interval> {
        Some(Interval { from: self.started_at?, until: self.ended_at? })
    }
}

fn source<'m>(column: &'m MappedColumn, candidate: &Candidate<'_>) -> &'m str {
    column.sources.get(candidate.rank).map_or("", String::as_str)
}

fn problem<'m>(
    column: &'m MappedColumn,
    candidate: &Candidate<'_>,
    what: &'static str,
) -> Problem<'m> {
    let source = source(column, candidate).to_owned();
    Problem { column, source, found: candidate.node.kind().name(), what }
}

fn take(candidate: &Candidate<'_>, records: &mut [Record<'_>]) {
    if let Some(record) = records.get_mut(candidate.record) {
        record.take(&candidate.address);
    }
}

/// Chooses the first candidate that fits. If none does, the first one is the column's problem.
pub(super) fn choose<'a, 'm>(
    column: &'m MappedColumn,
    candidates: &[Candidate<'a>],
    records: &mut [Record<'a>],
    problems: &mut Vec<Problem<'m>>,
) -> Option<Chosen<'a>> {
    let mut first_problem = None;
    for candidate in candidates {
        let source = source(column, candidate);
        let Some(reading) = read_value(column, source, candidate.node) else { continue };
        let noted = reading.problem.map(|text| problem(column, candidate, text));
        if let Some(cell) = reading.cell {
            // The original of a rounded number is kept in `_extra`. Texts lose only characters that
            // no cell can hold.
            if noted.is_none() || matches!(column.kind, Kind::Text | Kind::Json) {
                take(candidate, records);
            }
            problems.extend(noted);
            return Some(Chosen { cell, rank: candidate.rank, unit: None });
        }
        first_problem = first_problem.or(noted);
    }
    problems.extend(first_problem);
    None
}

/// Reads the value at one of a column's sources; `None` if it states nothing about the column.
pub(super) fn read_value<'a>(
    column: &MappedColumn,
    source: &str,
    node: Node<'a>,
) -> Option<CellReading<'a>> {
    match column.reading {
        Reading::Verdict => verdict(source, node),
        _ => Some(read(column.kind, node, column.time)),
    }
}

/// Reads a grade. The status of an evaluation is the state of a process, unless its word is a
/// grade; true and false are replaced by words of the API's own set.
fn verdict<'a>(source: &str, node: Node<'a>) -> Option<CellReading<'a>> {
    let name = last_word(source);
    let word = node.scalar_text();
    if matches!(name, "status" | "state") {
        word.as_ref().filter(|word| Meaning::of(word).is_grade())?;
    }
    let grade = match word.as_deref() {
        Some("true") => Some("pass"),
        Some("false") => Some("fail"),
        _ => None,
    };
    match grade {
        Some(grade) => {
            Some(CellReading { cell: Some(Cell::Text(Cow::Borrowed(grade))), problem: None })
        }
        None => Some(read(Kind::Text, node, TimeFormat::default())),
    }
}

/// Chooses the first duration whose unit is stated or fits. A fraction of a millisecond is cut off,
/// and the original then stays in `_extra`.
pub(super) fn choose_duration<'a, 'm>(
    column: &'m MappedColumn,
    candidates: &[Candidate<'a>],
    times: Times,
    records: &mut [Record<'a>],
    problems: &mut Vec<Problem<'m>>,
) -> Option<Chosen<'a>> {
    let mut first_problem = None;
    for candidate in candidates {
        let stated = column.time.unit.or_else(|| unit_of(source(column, candidate)));
        match read_duration(candidate.node, stated, times.interval()) {
            Ok(duration) => {
                if !duration.is_rounded {
                    take(candidate, records);
                }
                let cell = Cell::Integer(duration.milliseconds);
                return Some(Chosen { cell, rank: candidate.rank, unit: Some(duration.unit) });
            }
            Err(text) => {
                first_problem = first_problem.or_else(|| Some(problem(column, candidate, text)));
            }
        }
    }
    problems.extend(first_problem);
    None
}

/// Combines the statements of all candidates: one that states a failure is enough.
pub(super) fn choose_failure<'a, 'm>(
    column: &'m MappedColumn,
    candidates: &[Candidate<'a>],
    records: &mut [Record<'a>],
    problems: &mut Vec<Problem<'m>>,
) -> Option<Chosen<'a>> {
    let mut stated: Option<(bool, usize)> = None;
    for candidate in candidates {
        let Some(failed) = states_failure(source(column, candidate), candidate.node) else {
            continue;
        };
        if stated.is_none_or(|(before, _)| failed && !before) {
            stated = Some((failed, candidate.rank));
        }
        // A flag states nothing beyond the column, and is consumed; other members do, and are kept.
        if matches!(candidate.node.scalar_text().as_deref(), Some("true" | "false")) {
            take(candidate, records);
        }
    }
    let Some((failed, rank)) = stated else {
        // Only the column's own member is certain to be a statement about a failure.
        let own = candidates.iter().find(|candidate| candidate.rank == 0);
        problems.extend(own.map(|own| problem(column, own, "neither true nor false")));
        return None;
    };
    Some(Chosen { cell: Cell::Boolean(failed), rank, unit: None })
}
