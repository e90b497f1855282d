//! The computed columns: what rows hold besides the values of bodies, such as parents, positions,
//! and the system columns.

use std::borrow::Cow;

use super::cell::Cell;
use super::row::Fixed;
use crate::run::{DocumentState, encode_id};
use crate::time::Timestamp;

/// What all rows of an export have in common.
#[derive(Clone, Debug)]
pub struct ExportContext {
    /// When the sync began by the server's clock.
    pub extracted_at: Timestamp,
    /// The organization of the key, from `GET /org`.
    pub organization_id: Option<String>,
    /// The dashboard's address without a final slash; a run's page is `/runs/{id}` below it.
    pub dashboard_url: String,
    /// Whether raw bodies are kept in `documents`.
    pub keep_documents: bool,
}

/// What the rows of one run, or of one replaced table, have in common.
#[derive(Clone, Debug)]
pub(super) struct RowContext {
    pub(super) export: ExportContext,
    /// The commit's number.
    pub(super) commit: u64,
    /// The day on which the run started, in days since 1970; `None` for rows that belong to no run.
    pub(super) run_date: Option<i32>,
}

impl RowContext {
    /// The context of rows that belong to no run.
    pub(super) fn new(export: ExportContext, commit: u64) -> Self {
        Self { export, commit, run_date: None }
    }
}

fn page(run_id: &str) -> String {
    format!("/runs/{}", encode_id(run_id))
}

/// The dashboard's address, read from the `run_url` of a row.
pub fn dashboard_of<'u>(run_url: &'u str, run_id: &str) -> Option<&'u str> {
    run_url.strip_suffix(page(run_id).as_str())
}

pub(super) fn run_columns<'a>(
    run_id: &'a str,
    evaluation: DocumentState,
    context: &'a RowContext,
) -> Vec<(&'static str, Option<Cell<'a>>)> {
    let organization =
        context.export.organization_id.as_deref().map(|id| Cell::Text(Cow::Borrowed(id)));
    let url = format!("{}{}", context.export.dashboard_url, page(run_id));
    vec![
        ("organization_id", organization),
        ("run_url", Some(Cell::Text(Cow::Owned(url)))),
        ("evaluation_state", Some(Cell::Text(Cow::Borrowed(evaluation.name())))),
    ]
}

/// The computed columns of a row that belongs to a run, or to something in one.
pub(super) fn child_columns<'a>(
    parents: &[(&'static str, &'a str)],
    position: usize,
    revision: i64,
    context: &RowContext,
) -> Vec<(&'static str, Option<Cell<'a>>)> {
    let parents = parents.iter().map(|&(name, id)| (name, Some(Cell::Text(Cow::Borrowed(id)))));
    let mut fixed: Vec<_> = parents.collect();
    fixed.push(("position", integer(position)));
    fixed.extend(system(context, revision));
    fixed
}

/// Sets the position in [`child_columns`].
pub(super) fn set_position(fixed: &mut Fixed<'_>, position: usize) {
    if let Some((_, cell)) = fixed.iter_mut().find(|(name, _)| *name == "position") {
        *cell = integer(position);
    }
}

pub(super) fn integer(number: usize) -> Option<Cell<'static>> {
    i64::try_from(number).ok().map(Cell::Integer)
}

pub(super) fn system(
    context: &RowContext,
    revision: i64,
) -> [(&'static str, Option<Cell<'static>>); 4] {
    [
        ("run_date", context.run_date.map(Cell::Date)),
        ("_commit", i64::try_from(context.commit).ok().map(Cell::Integer)),
        ("_extracted_at", Some(Cell::Timestamp(context.export.extracted_at))),
        ("_revision", Some(Cell::Integer(revision))),
    ]
}
