//! The rows of `_issues`, the dead-letter table: values that did not fit their column.

use std::borrow::Cow;

use super::builder::TableBuilder;
use super::cell::Cell;
use super::row::{Issue, Sources, append_row};
use super::row_context::{RowContext, integer, system};

fn count(rows: Option<u64>) -> Option<Cell<'static>> {
    rows.and_then(|rows| i64::try_from(rows).ok()).map(Cell::Integer)
}

/// Adds one row per issue of a run.
pub(super) fn append_issues(
    builder: &mut TableBuilder<'_>,
    run_id: &str,
    revision: i64,
    issues: &[Issue],
    context: &RowContext,
) {
    for (position, issue) in issues.iter().enumerate() {
        let text = |text: &'static str| Some(Cell::Text(Cow::Borrowed(text)));
        let owned = |text: &Option<String>| text.clone().map(|text| Cell::Text(Cow::Owned(text)));
        let mut fixed = vec![
            ("run_id", Some(Cell::Text(Cow::Borrowed(run_id)))),
            ("position", integer(position)),
            ("table_name", text(issue.table)),
            ("row_key", Some(Cell::Text(Cow::Borrowed(issue.row_key.as_str())))),
            ("column_name", owned(&issue.column)),
            ("source", owned(&issue.source)),
            ("expected", text(issue.expected)),
            ("found", text(issue.found)),
            ("problem", text(issue.problem)),
            ("rows_received", count(issue.rows.map(|(received, _)| received))),
            ("rows_announced", count(issue.rows.and_then(|(_, announced)| announced))),
        ];
        fixed.extend(system(context, revision));
        append_row(builder, &mut Sources::default(), &fixed, None, &mut Vec::new());
    }
}
