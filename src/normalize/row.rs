//! One or more JSON objects into one row.

use std::borrow::Cow;

use super::builder::TableBuilder;
use super::cell::{Cell, read};
use crate::json::{Address, Node, Record};
use crate::tables::{MappedColumn, MappedTable, Origin};

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
    /// Of a list that did not come whole: rows received and, where it is known, announced.
    pub(super) rows: Option<(u64, Option<u64>)>,
}

/// The values that do not come from the body: the parent's key, positions, counts, system columns.
pub(super) type Fixed<'a> = [(&'static str, Option<Cell<'a>>)];

/// What a row is made of.
#[derive(Debug, Default)]
pub(super) struct Sources<'a> {
    /// Bodies in order of preference. All of the first is kept; of the others, what is new.
    pub(super) records: Vec<Record<'a>>,
    /// More members for `_extra`, as `"key":value` pairs.
    pub(super) extra: String,
}

/// A place in the body that could fill a column.
struct Candidate<'a> {
    column: usize,
    record: usize,
    rank: usize,
    address: Address,
    node: Node<'a>,
}

/// Adds one row. `key` is the row's own id where the body gives none, or gives one twice.
pub(super) fn append_row(
    builder: &mut TableBuilder<'_>,
    sources: &mut Sources<'_>,
    fixed: &Fixed<'_>,
    key: Option<&Cow<'_, str>>,
    issues: &mut Vec<Issue>,
) {
    let mapped = builder.mapped;
    let candidates = collect(mapped, &mut sources.records);
    let mut rest = candidates.as_slice();
    let mut problems = Vec::new();
    let row_key = key.map(Cow::as_ref).or_else(|| fixed_key(fixed)).unwrap_or_default().to_owned();
    for (index, column) in mapped.columns.iter().enumerate() {
        let length = rest.iter().take_while(|candidate| candidate.column == index).count();
        let (own, others) = rest.split_at_checked(length).unwrap_or((rest, &[]));
        rest = others;
        match column.origin {
            Origin::Body => {
                let chosen = choose(column, own, &mut sources.records, &mut problems);
                builder.set(index, chosen.as_ref().map(|(cell, _)| cell));
                builder.note_source(index, chosen.map(|(_, rank)| rank));
            }
            Origin::Key => {
                let rank = take_equal(own, key.map(Cow::as_ref), &mut sources.records);
                builder.note_source(index, rank);
                builder.set(index, key.cloned().map(Cell::Text).as_ref());
            }
            Origin::Parent => {
                let cell = find(fixed, &column.name);
                let parent = match cell {
                    Some(Cell::Text(text)) => Some(text.as_ref()),
                    _ => None,
                };
                take_equal(own, parent, &mut sources.records);
                builder.set(index, cell);
            }
            Origin::System if column.name == "_extra" => {
                let extra = leftovers(mapped, sources);
                builder.note_leftovers(extra.as_deref());
                builder.set(index, extra.map(|text| Cell::Text(Cow::Owned(text))).as_ref());
            }
            Origin::Derived => {
                let cell = find(fixed, &column.name);
                if let Some(Cell::Integer(number)) = cell {
                    take_equal(own, Some(&number.to_string()), &mut sources.records);
                }
                builder.set(index, cell);
            }
            Origin::System => builder.set(index, find(fixed, &column.name)),
        }
    }
    builder.end_row();
    issues.extend(problems.into_iter().map(|(column, source, found, problem)| Issue {
        table: mapped.table.name,
        row_key: row_key.clone(),
        column: Some(column.name.clone()),
        source: Some(source),
        expected: column.kind.name(),
        found,
        problem,
        rows: None,
    }));
}

fn find<'f, 'a>(fixed: &'f Fixed<'a>, name: &str) -> Option<&'f Cell<'a>> {
    fixed.iter().find(|(column, _)| *column == name).and_then(|(_, cell)| cell.as_ref())
}

fn fixed_key<'f>(fixed: &'f Fixed<'_>) -> Option<&'f str> {
    match fixed.first() {
        Some((_, Some(Cell::Text(text)))) => Some(text),
        _ => None,
    }
}

/// Every place that could fill a column, ordered by column, then record, then path. Nulls are
/// nothing to lose and nothing to show: they are taken here.
fn collect<'a>(mapped: &MappedTable, records: &mut [Record<'a>]) -> Vec<Candidate<'a>> {
    let mut candidates = Vec::with_capacity(mapped.columns.len());
    for (number, record) in records.iter_mut().enumerate() {
        let routed: Vec<_> = record
            .members()
            .filter_map(|(index, key, node)| Some((index, node, mapped.routes.get(key)?)))
            .collect();
        for (index, node, routes) in routed {
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

type Problem<'c> = (&'c MappedColumn, String, &'static str, &'static str);

/// The first candidate that fits. Where none does, the first one is the column's problem.
fn choose<'a, 'c>(
    column: &'c MappedColumn,
    candidates: &[Candidate<'a>],
    records: &mut [Record<'a>],
    problems: &mut Vec<Problem<'c>>,
) -> Option<(Cell<'a>, usize)> {
    let mut first_problem = None;
    for candidate in candidates {
        let reading = read(column.kind, candidate.node);
        let noted = reading.problem.map(|problem| {
            let source = column.sources.get(candidate.rank).cloned().unwrap_or_default();
            (column, source, candidate.node.kind().name(), problem)
        });
        if let Some(cell) = reading.cell {
            match noted {
                Some(noted) => problems.push(noted),
                None => {
                    if let Some(record) = records.get_mut(candidate.record) {
                        record.take(&candidate.address);
                    }
                }
            }
            return Some((cell, candidate.rank));
        }
        first_problem = first_problem.or(noted);
    }
    problems.extend(first_problem);
    None
}

/// Members that only repeat a key that the row has anyway are no leftovers.
///
/// Returns which path the key stood at first.
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

/// What no column took: all of it from the first record; from the others, the members that the
/// first does not have and no column knows.
fn leftovers(mapped: &MappedTable, sources: &Sources<'_>) -> Option<String> {
    let mut out = String::new();
    if let Some((first, others)) = sources.records.split_first() {
        first.write_leftovers(&mut out, &|_| true);
        for record in others {
            record.write_leftovers(&mut out, &|key| {
                !first.has(key) && !mapped.routes.contains_key(key)
            });
        }
    }
    if !sources.extra.is_empty() {
        if !out.is_empty() {
            out.push(',');
        }
        out.push_str(&sources.extra);
    }
    (!out.is_empty()).then(|| format!("{{{out}}}"))
}
