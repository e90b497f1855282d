//! What rows carry besides what bodies hold: parents, positions, and the system columns.

use std::borrow::Cow;

use super::cell::Cell;
use super::row::Fixed;
use crate::run::{DocumentState, encode_id};

/// What every row of a commit carries.
#[derive(Clone, Debug)]
pub struct Stamp {
    /// The commit's number.
    pub commit: u64,
    /// When the sync began by the server's clock, in microseconds since 1970.
    pub extracted_at: i64,
    /// The organization of the key, from `GET /org`.
    pub organization_id: Option<String>,
    /// The dashboard's address without a final slash; a run's page is `/runs/{id}` below it.
    pub dashboard_url: String,
    /// Whether raw bodies are kept in `documents`.
    pub keep_documents: bool,
}

fn page(run_id: &str) -> String {
    format!("/runs/{}", encode_id(run_id))
}

/// The dashboard's address, out of the `run_url` of a row.
pub fn dashboard_of<'u>(run_url: &'u str, run_id: &str) -> Option<&'u str> {
    run_url.strip_suffix(page(run_id).as_str())
}

pub(super) fn run_columns<'a>(
    run_id: &'a str,
    evaluation: DocumentState,
    stamp: &'a Stamp,
) -> Vec<(&'static str, Option<Cell<'a>>)> {
    let organization = stamp.organization_id.as_deref().map(|id| Cell::Text(Cow::Borrowed(id)));
    let url = format!("{}{}", stamp.dashboard_url, page(run_id));
    vec![
        ("organization_id", organization),
        ("run_url", Some(Cell::Text(Cow::Owned(url)))),
        ("evaluation_state", Some(Cell::Text(Cow::Borrowed(evaluation.name())))),
    ]
}

/// The fixed columns of a row that belongs to a run, or to something in one.
pub(super) fn child_columns<'a>(
    parents: &[(&'static str, &'a str)],
    position: usize,
    revision: i64,
    stamp: &Stamp,
) -> Vec<(&'static str, Option<Cell<'a>>)> {
    let parents = parents.iter().map(|&(name, id)| (name, Some(Cell::Text(Cow::Borrowed(id)))));
    let mut fixed: Vec<_> = parents.collect();
    fixed.push(("position", integer(position)));
    fixed.extend(system(stamp, revision));
    fixed
}

/// Puts another position into [`child_columns`].
pub(super) fn set_position(fixed: &mut Fixed<'_>, position: usize) {
    if let Some((_, cell)) = fixed.iter_mut().find(|(name, _)| *name == "position") {
        *cell = integer(position);
    }
}

pub(super) fn integer(number: usize) -> Option<Cell<'static>> {
    i64::try_from(number).ok().map(Cell::Integer)
}

pub(super) fn system(stamp: &Stamp, revision: i64) -> [(&'static str, Option<Cell<'static>>); 3] {
    [
        ("_commit", i64::try_from(stamp.commit).ok().map(Cell::Integer)),
        ("_extracted_at", Some(Cell::Timestamp(stamp.extracted_at))),
        ("_revision", Some(Cell::Integer(revision))),
    ]
}
