//! The elements of a list in a document: their own ids, their rows, and what stands beside them.

use std::borrow::Cow;
use std::collections::HashSet;

use super::builder::TableBuilder;
use super::row::{Issue, Sources, append_row};
use super::stamp::{Stamp, child_columns};
use crate::json::{Body, Node, Record};
use crate::run::FetchedRun;
use crate::tables::{EXCERPTS, MappedTable, Origin, Table};

/// Adds one row per element of a list, in its order.
pub(super) fn append_list(
    builder: &mut TableBuilder<'_>,
    elements: &[Node<'_>],
    parents: &[(&'static str, &str)],
    run: &FetchedRun,
    stamp: &Stamp,
    issues: &mut Vec<Issue>,
) {
    let has_key = builder.mapped.columns.iter().any(|c| c.origin == Origin::Key);
    let mut seen = HashSet::new();
    for (position, &element) in elements.iter().enumerate() {
        let record = Record::new(element);
        let key = own_key(builder.mapped, record.as_ref(), position, &mut seen, issues);
        let mut sources = element_sources(element, record, builder.mapped, &key, issues);
        let fixed = child_columns(parents, position, run.revision, stamp);
        append_row(builder, &mut sources, &fixed, has_key.then_some(&key), issues);
    }
}

/// An element that is no object: an excerpt's text goes into its column, anything else is kept.
pub(super) fn element_sources<'a>(
    element: Node<'a>,
    record: Option<Record<'a>>,
    mapped: &MappedTable,
    key: &str,
    issues: &mut Vec<Issue>,
) -> Sources<'a> {
    if let Some(record) = record {
        return Sources { records: vec![record], extra: String::new() };
    }
    if mapped.table.name == EXCERPTS.name && element.scalar_text().is_some() {
        return Sources { records: vec![Record::of("excerpt", element)], extra: String::new() };
    }
    issues.push(Issue {
        table: mapped.table.name,
        row_key: key.to_owned(),
        column: None,
        source: None,
        expected: "object",
        found: element.kind().name(),
        problem: "an element that is no object",
    });
    Sources { records: vec![Record::of("value", element)], extra: String::new() }
}

/// The id that an element gives itself; its position where it gives none, or repeats one.
pub(super) fn own_key<'a>(
    mapped: &MappedTable,
    element: Option<&Record<'a>>,
    position: usize,
    seen: &mut HashSet<Cow<'a, str>>,
    issues: &mut Vec<Issue>,
) -> Cow<'a, str> {
    let column = mapped.columns.iter().find(|c| c.origin == Origin::Key);
    let own = column.zip(element).and_then(|(column, element)| {
        column
            .sources
            .iter()
            .find_map(|path| element.at(path)?.scalar_text().filter(|text| !text.is_empty()))
    });
    let Some(own) = own else { return Cow::Owned(format!("#{position}")) };
    if seen.insert(own.clone()) {
        return own;
    }
    let key = format!("{own}#{position}");
    issues.push(Issue {
        table: mapped.table.name,
        row_key: key.clone(),
        column: column.map(|column| column.name.clone()),
        source: None,
        expected: "text",
        found: "string",
        problem: "an id that stands twice in one run; the position was added",
    });
    Cow::Owned(key)
}

/// Keeps what stands beside a list in its document under the document's name.
pub(super) fn note_rest(extra: &mut String, name: &str, body: Body<'_>, known: &[&str]) {
    let Some(record) = body.into_record() else { return };
    let mut rest = String::new();
    record.write_leftovers(&mut rest, &|key| !known.contains(&key));
    if !rest.is_empty() {
        if !extra.is_empty() {
            extra.push(',');
        }
        for piece in ["\"", name, "\":{", &rest, "}"] {
            extra.push_str(piece);
        }
    }
}

pub(super) fn no_list(table: &'static Table, body: Node<'_>) -> Issue {
    shape_issue(table, body, "list", "a body in which no list was found")
}

pub(super) fn no_object(table: &'static Table, body: Node<'_>) -> Issue {
    shape_issue(table, body, "object", "a body that is no object")
}

fn shape_issue(
    table: &'static Table,
    body: Node<'_>,
    expected: &'static str,
    problem: &'static str,
) -> Issue {
    let found = body.kind().name();
    let row_key = String::new();
    Issue { table: table.name, row_key, column: None, source: None, expected, found, problem }
}
