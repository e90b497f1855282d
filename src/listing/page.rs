//! One body of `GET /runs` as rows, with the server's statements about paging.

use std::collections::HashSet;

use bytes::Bytes;

use crate::api::{ApiError, Client, Continuation, Response};
use crate::json::{JsonKind, Node, member_names};
use crate::tables::{ListSources, RUNS};
use crate::time::Timestamp;

/// One row of the list.
#[derive(Clone, Debug)]
pub struct ListedRow {
    /// The run's id.
    pub run_id: String,
    /// The row's JSON, unchanged.
    pub body: Bytes,
}

/// A page as received, before the listing has interpreted it.
#[derive(Debug, Default)]
pub(super) struct RawPage {
    pub(super) rows: Vec<ListedRow>,
    /// Rows without an id.
    pub(super) unnamed: u64,
    /// The page's statements about the rest of the list.
    pub(super) continuation: Continuation,
    /// The server's clock.
    pub(super) date: Option<Timestamp>,
    /// The path of the member that holds the rows; empty if the body itself is the list.
    pub(super) envelope: Option<String>,
}

impl RawPage {
    /// Reads a body. `id_paths` are the dotted paths of a row's id; the first one with a value
    /// counts.
    ///
    /// # Errors
    /// [`ApiError`] if no list is found in the body, or if it has rows and none of them has an id.
    pub(super) fn parse(
        response: &Response,
        id_paths: &[String],
        list: &ListSources,
        client: &Client,
        path: impl Fn() -> String,
    ) -> Result<Self, ApiError> {
        let unusable = |problem: String| ApiError::Unusable { path: path(), problem };
        let body = &response.body;
        let node = Node::parse(body).map_err(|malformed| unusable(malformed.to_string()))?;
        if node.is_null() {
            // A `null` body counts as a page without rows.
            return Ok(Self { date: response.date, ..Self::default() });
        }
        let Some(list) = list.find(node) else {
            let seen = match node.kind() {
                JsonKind::Object => format!("`{}`", member_names(node).join("`, `")),
                kind => format!("none, it is a {}", kind.name()),
            };
            return Err(ApiError::UnknownEnvelope { path: path(), seen: client.mask(&seen) });
        };
        let mut rows = Vec::with_capacity(list.elements.len());
        for element in &list.elements {
            let id = id_paths.iter().find_map(|path| element.at(path)?.scalar_text());
            if let Some(run_id) = id.filter(|id| !id.is_empty()) {
                let body = body.slice_ref(element.source().as_bytes());
                rows.push(ListedRow { run_id: run_id.into_owned(), body });
            }
        }
        let unnamed = list.elements.len() - rows.len();
        let mut continuation =
            Continuation::read(&list.enclosing, list.elements.len(), RUNS.name, &response.paging);
        if let Some(path) = &client.paging().next_path {
            continuation = continuation.with_next_at(node, path);
        }
        if let (true, Some(first)) = (rows.is_empty(), list.elements.first()) {
            let tried = id_paths.join(", ");
            let seen = match first.kind() {
                JsonKind::Object => format!("`{}`", member_names(*first).join("`, `")),
                kind => format!("none, its rows are {}s", kind.name()),
            };
            return Err(ApiError::NoId { path: path(), tried, seen: client.mask(&seen) });
        }
        Ok(Self {
            rows,
            unnamed: u64::try_from(unnamed).unwrap_or(u64::MAX),
            continuation,
            date: response.date,
            envelope: Some(list.path),
        })
    }

    /// The ids of the rows, in their order.
    pub(super) fn ids(&self) -> Vec<String> {
        self.rows.iter().map(|row| row.run_id.clone()).collect()
    }

    /// Whether the page has no rows, neither with nor without an id.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.unnamed == 0
    }
}

/// How many of a page's ids are also on another page.
pub(super) fn shared(ids: &[String], other: &[String]) -> usize {
    let known: HashSet<&String> = other.iter().collect();
    ids.iter().filter(|id| known.contains(id)).count()
}
