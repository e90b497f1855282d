//! The elements of a list in a document: their ids, their rows, and the issues about lists.

use std::borrow::Cow;
use std::collections::HashSet;

use super::builder::TableBuilder;
use super::row::{Issue, Sources, append_row};
use super::row_context::{RowContext, child_columns, set_position};
use crate::json::{Node, Record, Unmapped};
use crate::run::{FetchedRun, Resource, Shortfall};
use crate::tables::{
    CRITERIA, EXCERPTS, MappedColumn, MappedTable, Origin, RUNS, SPANS, TOOL_CALLS, Table,
};

/// Adds one row per element of a list, in its order.
pub(super) fn append_list(
    builder: &mut TableBuilder<'_>,
    elements: &[Node<'_>],
    parents: &[(&'static str, &str)],
    run: &FetchedRun,
    context: &RowContext,
    issues: &mut Vec<Issue>,
) {
    let has_key = builder.mapped.columns.iter().any(|c| c.origin == Origin::Key);
    let mut keys = Keys::new(builder.mapped, elements);
    // Of the computed columns, only the position differs between rows.
    let mut fixed = child_columns(parents, 0, run.revision, context);
    for (position, &element) in elements.iter().enumerate() {
        let record = Record::new(element);
        let key = keys.next(record.as_ref(), None, issues);
        let mut sources = element_sources(element, record, builder.mapped, &key, issues);
        set_position(&mut fixed, position);
        append_row(builder, &mut sources, &fixed, has_key.then_some(&key), issues);
    }
}

/// The sources of an element's row. Of an element that is not an object, an excerpt's text goes
/// into its column, and anything else is kept.
pub(super) fn element_sources<'a>(
    element: Node<'a>,
    record: Option<Record<'a>>,
    mapped: &MappedTable,
    key: &str,
    issues: &mut Vec<Issue>,
) -> Sources<'a> {
    if let Some(record) = record {
        return Sources { records: vec![record], extra: Unmapped::default() };
    }
    if mapped.table.name == EXCERPTS.name && element.scalar_text().is_some() {
        return Sources {
            records: vec![Record::of("excerpt", element)],
            extra: Unmapped::default(),
        };
    }
    issues.push(Issue {
        table: mapped.table.name,
        row_key: key.to_owned(),
        column: None,
        source: None,
        expected: "object",
        found: element.kind().name(),
        problem: "an element that is no object",
        rows: None,
    });
    Sources { records: vec![Record::of("value", element)], extra: Unmapped::default() }
}

/// Gives each element of a list a unique key.
pub(super) struct Keys<'e, 'a, 'm> {
    table: &'static str,
    column: Option<&'m MappedColumn>,
    elements: &'e [Node<'a>],
    given: HashSet<Cow<'a, str>>,
    /// The ids of all elements, once a key had to be generated.
    own: Option<HashSet<Cow<'a, str>>>,
    position: usize,
}

impl<'e, 'a, 'm> Keys<'e, 'a, 'm> {
    pub(super) fn new(mapped: &'m MappedTable, elements: &'e [Node<'a>]) -> Self {
        let column = mapped.columns.iter().find(|column| column.origin == Origin::Key);
        let table = mapped.table.name;
        let given = HashSet::with_capacity(elements.len());
        Self { table, column, elements, given, own: None, position: 0 }
    }

    /// The key of the next element: its id; otherwise its name; otherwise its position, as
    /// `#<position>`. An id that occurred before gets its position added.
    pub(super) fn next(
        &mut self,
        element: Option<&Record<'a>>,
        name: Option<Cow<'a, str>>,
        issues: &mut Vec<Issue>,
    ) -> Cow<'a, str> {
        let position = self.position;
        self.position += 1;
        let id = self
            .column
            .zip(element)
            .and_then(|(column, element)| id_of(column, |path| element.at(path)));
        let key = match id.or(name) {
            Some(id) if self.given.insert(id.clone()) => return id,
            Some(id) => self.unused(&id, position),
            None => {
                let key = self.unused("", position);
                self.given.insert(key.clone());
                return key;
            }
        };
        self.given.insert(key.clone());
        issues.push(Issue {
            table: self.table,
            row_key: key.clone().into_owned(),
            column: self.column.map(|column| column.name.clone()),
            source: None,
            expected: "text",
            found: "string",
            problem: "an id that stands twice in one run; the position was added",
            rows: None,
        });
        key
    }

    /// `<id>#<position>`, with more `#` added until it is not the id of another element.
    fn unused(&mut self, id: &str, position: usize) -> Cow<'a, str> {
        let (column, elements) = (self.column, self.elements);
        let own = self.own.get_or_insert_with(|| {
            let id = |node: &Node<'a>| {
                let record = Record::new(*node)?;
                id_of(column?, |path| record.at(path))
            };
            elements.iter().filter_map(id).collect()
        });
        let mut key = format!("{id}#{position}");
        while own.contains(key.as_str()) || self.given.contains(key.as_str()) {
            key.push('#');
        }
        Cow::Owned(key)
    }
}

/// The id at the first of a column's paths that has one.
fn id_of<'a>(column: &MappedColumn, at: impl Fn(&str) -> Option<Node<'a>>) -> Option<Cow<'a, str>> {
    column.sources.iter().find_map(|path| at(path)?.scalar_text().filter(|text| !text.is_empty()))
}

/// The issue of an incomplete list.
pub(super) fn shortfall_issue(shortfall: &Shortfall) -> Issue {
    let table = match shortfall.resource {
        Resource::Listing | Resource::Detail => &RUNS,
        Resource::Trace => &SPANS,
        Resource::Evaluation => &CRITERIA,
        Resource::ToolCalls => &TOOL_CALLS,
    };
    Issue {
        table: table.name,
        row_key: String::new(),
        column: None,
        source: Some(shortfall.resource.name().to_owned()),
        expected: "all rows",
        found: "fewer rows",
        problem: "a list of which fewer rows came than the API announces",
        rows: Some((shortfall.received, shortfall.announced)),
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
    let (column, source, rows) = (None, None, None);
    Issue { table: table.name, row_key, column, source, expected, found, problem, rows }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tables::Mapping;

    fn keys(json: &str) -> (Vec<String>, usize) {
        let mapping = Mapping::new(&[], &[]).unwrap();
        let elements = Node::parse(json.as_bytes()).unwrap().elements().unwrap();
        let (mut keys, mut issues) = (Keys::new(mapping.table(&TOOL_CALLS), &elements), Vec::new());
        let mut found = Vec::new();
        for &element in &elements {
            let record = Record::new(element);
            found.push(keys.next(record.as_ref(), None, &mut issues).into_owned());
        }
        (found, issues.len())
    }

    #[test]
    fn a_key_that_is_made_up_is_no_other_rows_id() {
        let json = r##"[{"id":"a"},{"id":"a"},{"id":"a#1"},{"x":1},{"id":"#3"}]"##;
        let (keys, issues) = keys(json);
        assert_eq!(keys, ["a", "a#1#", "a#1", "#3#", "#3"]);
        assert_eq!(issues, 1);
    }

    #[test]
    fn the_specific_id_is_preferred() {
        let (keys, _) = keys(r#"[{"id":1,"tool_call_id":"t"},{"id":2,"event_id":"e"},{"id":3}]"#);
        assert_eq!(keys, ["t", "e", "3"]);
    }

    proptest! {
        #[test]
        fn every_key_is_there_once(ids in prop::collection::vec("(a|#|1){0,3}", 0..12)) {
            let elements: Vec<_> = ids.iter().map(|id| serde_json::json!({"id": id})).collect();
            let (keys, _) = keys(&serde_json::Value::from(elements).to_string());
            let unique: HashSet<&String> = keys.iter().collect();
            prop_assert_eq!(unique.len(), keys.len());
            // An id that occurs once is unchanged.
            for (id, key) in ids.iter().zip(&keys) {
                let is_single = !id.is_empty() && ids.iter().filter(|other| *other == id).count() == 1;
                prop_assert!(!is_single || id == key);
            }
        }
    }
}
