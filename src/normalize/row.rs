//! Converts one or more JSON objects to one row.

use std::borrow::Cow;

use super::builder::TableBuilder;
use super::candidate::{Candidate, Problem};
use super::cell::Cell;
use super::choose::{Chosen, Times, choose, choose_duration, choose_failure};
use crate::json::{Address, Record, Unmapped};
use crate::run::Meaning;
use crate::tables::{MappedColumn, MappedTable, Origin, Reading};

/// A value that did not fit its column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Issue {
    pub(super) table: &'static str,
    pub(super) row_key: String,
    pub(super) column: Option<String>,
    pub(super) source: Option<String>,
    pub(super) expected: &'static str,
    pub(super) found: &'static str,
    pub(super) problem: &'static str,
    /// For an incomplete list: rows received and, if it is known, rows announced.
    pub(super) rows: Option<(u64, Option<u64>)>,
}

/// The computed columns, whose values do not come from the body: the parent's key, positions,
/// counts, system columns.
pub(super) type Fixed<'a> = [(&'static str, Option<Cell<'a>>)];

/// The sources of a row.
#[derive(Debug, Default)]
pub(super) struct Sources<'a> {
    /// Bodies in order of preference. All of the first is kept; of the others, what is new.
    pub(super) records: Vec<Record<'a>>,
    /// More members for `_extra`.
    pub(super) extra: Unmapped,
}

/// Adds one row. `key` is the row's key, which is generated if the body has no id, or a duplicate
/// one.
pub(super) fn append_row(
    builder: &mut TableBuilder<'_>,
    sources: &mut Sources<'_>,
    fixed: &Fixed<'_>,
    key: Option<&Cow<'_, str>>,
    issues: &mut Vec<Issue>,
) {
    let mapped = builder.mapped;
    let candidates = collect(mapped, &mut sources.records);
    for found in &candidates {
        builder.note_candidate(found.column, found.rank);
    }
    let mut row = Row {
        builder,
        sources,
        fixed,
        next_fixed: 0,
        key,
        problems: Vec::new(),
        times: Times::default(),
    };
    let mut words = Words::default();
    let mut rest = candidates.as_slice();
    for (index, column) in mapped.columns.iter().enumerate() {
        let length = rest.iter().take_while(|candidate| candidate.column == index).count();
        let (own, others) = rest.split_at_checked(length).unwrap_or((rest, &[]));
        rest = others;
        if column.origin == Origin::System && column.name == "_extra" {
            // What is unmapped is known only once the columns that depend on others are filled.
            row.fill_late(&candidates);
            row.fill_extra(index);
        } else if !column.is_late() {
            row.fill(index, column, own, &mut words);
        }
    }
    let problems = row.problems;
    builder.end_row();
    if problems.is_empty() {
        return;
    }
    let row_key = key.map(Cow::as_ref).or_else(|| fixed_key(fixed)).unwrap_or_default();
    issues.extend(problems.into_iter().map(|problem| Issue {
        table: mapped.table.name,
        row_key: row_key.to_owned(),
        column: Some(problem.column.name.clone()),
        source: Some(problem.source),
        expected: problem.column.kind.name(),
        found: problem.found,
        problem: problem.what,
        rows: None,
    }));
}

/// The meanings of words in a row, by column, until the columns for them are filled.
#[derive(Default)]
struct Words(Vec<(usize, Meaning)>);

/// A row while it is filled.
struct Row<'r, 'm, 'a, 'f> {
    builder: &'r mut TableBuilder<'m>,
    sources: &'r mut Sources<'a>,
    fixed: &'r Fixed<'f>,
    /// The likely index of the next value in `fixed`: they are in the order of their columns.
    next_fixed: usize,
    key: Option<&'r Cow<'r, str>>,
    problems: Vec<Problem<'m>>,
    times: Times,
}

impl<'r, 'm, 'a, 'f> Row<'r, 'm, 'a, 'f> {
    /// The value of a column that does not come from the body.
    fn fixed(&mut self, name: &str) -> Option<&'r Cell<'f>> {
        let fixed = self.fixed;
        let (before, after) = fixed.split_at_checked(self.next_fixed).unwrap_or((fixed, &[]));
        let found = match after.iter().position(|(column, _)| *column == name) {
            Some(place) => self.next_fixed + place,
            None => before.iter().position(|(column, _)| *column == name)?,
        };
        self.next_fixed = found + 1;
        fixed.get(found)?.1.as_ref()
    }

    fn fill(
        &mut self,
        index: usize,
        column: &'m MappedColumn,
        own: &[Candidate<'a>],
        words: &mut Words,
    ) {
        match column.origin {
            Origin::Body => {
                let chosen = choose(column, own, &mut self.sources.records, &mut self.problems);
                if let Some(Chosen { cell, .. }) = &chosen {
                    self.times.note(&column.name, cell);
                    if let (Some(meaning), Cell::Text(word)) = (column.meaning, cell) {
                        words.0.push((meaning, Meaning::of(word)));
                    }
                }
                self.set(index, chosen);
            }
            Origin::Key => {
                let key = self.key.map(Cow::as_ref);
                let rank = take_equal(own, key, &mut self.sources.records);
                self.builder.note_source(index, rank);
                let cell = key.map(|key| Cell::Text(Cow::Borrowed(key)));
                self.builder.set(index, cell.as_ref());
            }
            Origin::Parent => {
                let cell = self.fixed(&column.name);
                let parent = match cell {
                    Some(Cell::Text(text)) => Some(text.as_ref()),
                    _ => None,
                };
                take_equal(own, parent, &mut self.sources.records);
                self.builder.set(index, cell);
            }
            Origin::Derived => {
                let cell = self.fixed(&column.name);
                if let (false, Some(Cell::Integer(number))) = (own.is_empty(), cell) {
                    take_equal(own, Some(&number.to_string()), &mut self.sources.records);
                }
                self.builder.set(index, cell);
            }
            Origin::Meaning(_) => {
                let meaning = words.0.iter().find(|(column, _)| *column == index);
                let cell = meaning.map(|(_, meaning)| Cell::Text(Cow::Borrowed(meaning.name())));
                self.builder.set(index, cell.as_ref());
            }
            Origin::System => {
                let cell = self.fixed(&column.name);
                self.builder.set(index, cell);
            }
        }
    }

    /// Fills the columns that depend on others: durations on start and end, for instance.
    fn fill_late(&mut self, candidates: &[Candidate<'a>]) {
        let mapped = self.builder.mapped;
        for (index, column) in mapped.columns.iter().enumerate().filter(|(_, c)| c.is_late()) {
            let from = candidates.partition_point(|candidate| candidate.column < index);
            let to = candidates.partition_point(|candidate| candidate.column <= index);
            let own = candidates.get(from..to).unwrap_or_default();
            let (records, problems) = (&mut self.sources.records, &mut self.problems);
            let chosen = match column.reading {
                Reading::Duration => choose_duration(column, own, self.times, records, problems),
                _ => choose_failure(column, own, records, problems),
            };
            self.set(index, chosen);
        }
    }

    fn set(&mut self, index: usize, chosen: Option<Chosen<'a>>) {
        self.builder.set(index, chosen.as_ref().map(|chosen| &chosen.cell));
        if let Some(unit) = chosen.as_ref().and_then(|chosen| chosen.unit) {
            self.builder.note_unit(index, unit);
        }
        self.builder.note_source(index, chosen.map(|chosen| chosen.rank));
    }

    fn fill_extra(&mut self, index: usize) {
        let extra = unmapped(self.builder.mapped, self.sources);
        if let (Some(problem), Some(column)) =
            (extra.change(), self.builder.mapped.columns.get(index))
        {
            let source = String::new();
            self.problems.push(Problem { column, source, found: "object", what: problem });
        }
        let extra = extra.into_object();
        self.builder.note_leftovers(extra.as_deref());
        self.builder.set(index, extra.map(|text| Cell::Text(Cow::Owned(text))).as_ref());
    }
}

fn fixed_key<'f>(fixed: &'f Fixed<'_>) -> Option<&'f str> {
    match fixed.first() {
        Some((_, Some(Cell::Text(text)))) => Some(text),
        _ => None,
    }
}

/// All values that could fill a column, ordered by column, then record, then path. Nulls are
/// consumed here: they hold nothing to keep or to show.
fn collect<'a>(mapped: &MappedTable, records: &mut [Record<'a>]) -> Vec<Candidate<'a>> {
    let mut candidates = Vec::with_capacity(mapped.columns.len());
    for (number, record) in records.iter_mut().enumerate() {
        for index in 0.. {
            let Some((key, node)) = record.member(index) else { break };
            let Some(routes) = mapped.routes.get(key) else { continue };
            if node.is_null() {
                record.take(&Address::Top(index));
                continue;
            }
            for route in routes {
                let found = match &route.rest {
                    None => Some((Address::Top(index), node)),
                    Some(rest) => record.descend(index, rest).filter(|(_, node)| !node.is_null()),
                };
                candidates.extend(found.map(|(address, node)| Candidate {
                    column: route.column,
                    record: number,
                    rank: route.rank,
                    address,
                    node,
                }));
            }
        }
    }
    candidates.sort_by_key(|candidate| (candidate.column, candidate.record, candidate.rank));
    candidates
}

/// Marks members as consumed whose value equals the row's own key.
///
/// Returns the rank of the first path at which the key was found.
fn take_equal(
    candidates: &[Candidate<'_>],
    key: Option<&str>,
    records: &mut [Record<'_>],
) -> Option<usize> {
    let mut first = None;
    for candidate in candidates {
        if candidate.node.scalar_text().as_deref() == key {
            first = first.or(Some(candidate.rank));
            if let Some(record) = records.get_mut(candidate.record) {
                record.take(&candidate.address);
            }
        }
    }
    first
}

/// What no column consumed: all of it from the first record; from the others, the members that the
/// first does not have and no column reads.
fn unmapped(mapped: &MappedTable, sources: &Sources<'_>) -> Unmapped {
    let mut out = Unmapped::default();
    if let Some((first, others)) = sources.records.split_first() {
        first.write_unmapped(&mut out, &|_| true);
        for record in others {
            record.write_unmapped(&mut out, &|key| {
                !first.has(key) && !mapped.routes.contains_key(key)
            });
        }
    }
    out.append(&sources.extra);
    out
}
