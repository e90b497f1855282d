//! Rows of the small tables that are replaced as a whole.

use std::borrow::Cow;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;

use super::builder::TableBuilder;
use super::cell::Cell;
use super::elements::Keys;
use super::row::{Sources, append_row};
use super::row_context::{ExportContext, RowContext, run_columns, system};
use super::run::run_sources;
use crate::json::{Node, Record, Unmapped};
use crate::run::DocumentState;
use crate::tables::{MappedTable, Mapping, OPEN_RUNS};

/// A run that has not ended: its id and the latest body that shows it.
#[derive(Clone, Debug)]
pub struct OpenRun {
    /// The id.
    pub run_id: String,
    /// A row of the list, or a detail.
    pub body: bytes::Bytes,
}

/// The rows of `open_runs`.
///
/// # Errors
/// Never on data: an error here is a bug in the declarations.
pub fn open_run_rows(
    mapping: &Mapping,
    runs: &[OpenRun],
    export: &ExportContext,
    commit: u64,
) -> Result<RecordBatch, ArrowError> {
    let context = &RowContext::new(export.clone(), commit);
    let mut builder = TableBuilder::new(mapping.table(&OPEN_RUNS));
    for run in runs {
        let mut sources = run_sources(Node::parse(&run.body).ok(), None);
        let mut fixed = run_columns(&run.run_id, DocumentState::Pending, context);
        fixed.extend(system(context, 1));
        let key = Some(Cow::Borrowed(run.run_id.as_str()));
        append_row(&mut builder, &mut sources, &fixed, key.as_ref(), &mut Vec::new());
    }
    builder.finish()
}

/// The rows of `workflows` or `mcp_servers` from the elements of their list.
///
/// The key of an element without an id is its position; a duplicate id gets its position added.
///
/// # Errors
/// Never on data: an error here is a bug in the declarations.
pub fn resource_rows(
    mapped: &MappedTable,
    elements: &[Node<'_>],
    export: &ExportContext,
    commit: u64,
) -> Result<RecordBatch, ArrowError> {
    let context = &RowContext::new(export.clone(), commit);
    let mut builder = TableBuilder::new(mapped);
    let mut keys = Keys::new(mapped, elements);
    for &element in elements {
        let record = Record::new(element);
        // These tables belong to no run, so their issues have no place in `_issues`.
        let key = keys.next(record.as_ref(), None, &mut Vec::new());
        let record = record.unwrap_or_else(|| Record::of("value", element));
        let mut sources = Sources { records: vec![record], extra: Unmapped::default() };
        let fixed: Vec<(&'static str, Option<Cell<'_>>)> = system(context, 1).into_iter().collect();
        append_row(&mut builder, &mut sources, &fixed, Some(&key), &mut Vec::new());
    }
    builder.finish()
}
