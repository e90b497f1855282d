//! One body of `GET /runs` as rows, with what the server says of its paging.

use std::collections::HashSet;

use bytes::Bytes;

use super::continuation::Continuation;
use super::{Answer, ApiError, Client};
use crate::json::{Kind, Node, member_names};
use crate::tables::{ListSources, RUNS};

/// One row of the list.
#[derive(Clone, Debug)]
pub struct ListedRow {
    /// The run's id.
    pub run_id: String,
    /// The row as it was sent.
    pub body: Bytes,
}

/// A page as received, before the listing has interpreted it.
#[derive(Debug, Default)]
pub(super) struct RawPage {
    pub(super) rows: Vec<ListedRow>,
    /// Rows without an id.
    pub(super) unnamed: u64,
    /// What it says about how the list goes on.
    pub(super) continuation: Continuation,
    /// The server's clock, in microseconds since 1970.
    pub(super) date: Option<i64>,
    /// The path of the member that holds the rows; empty where the body itself is the list.
    pub(super) envelope: Option<String>,
}

impl RawPage {
    /// Reads a body. `id_paths` are the dotted paths of a row's id, in order.
    ///
    /// # Errors
    /// [`ApiError`] where the body is no list, or none of its rows has an id.
    pub(super) fn parse(
        answer: &Answer,
        id_paths: &[String],
        list: &ListSources,
        client: &Client,
        path: impl Fn() -> String,
    ) -> Result<Self, ApiError> {
        let unusable = |problem: String| ApiError::Unusable { path: path(), problem };
        let body = &answer.body;
        let node = Node::parse(body).map_err(|malformed| unusable(malformed.to_string()))?;
        if node.is_null() {
            return Ok(Self { date: answer.date, ..Self::default() });
        }
        let Some(list) = list.find(node) else {
            let seen = match node.kind() {
                Kind::Object => format!("`{}`", member_names(node).join("`, `")),
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
            Continuation::read(&list.enclosing, list.elements.len(), RUNS.name, &answer.paging);
        if let Some(path) = &client.paging().next_path {
            continuation = continuation.with_next_at(node, path);
        }
        if let (true, Some(first)) = (rows.is_empty(), list.elements.first()) {
            let tried = id_paths.join(", ");
            let seen = match first.kind() {
                Kind::Object => format!("`{}`", member_names(*first).join("`, `")),
                kind => format!("none, its rows are {}s", kind.name()),
            };
            return Err(ApiError::NoId { path: path(), tried, seen: client.mask(&seen) });
        }
        Ok(Self {
            rows,
            unnamed: u64::try_from(unnamed).unwrap_or(u64::MAX),
            continuation,
            date: answer.date,
            envelope: Some(list.path),
        })
    }

    /// The ids of the rows, in their order.
    pub(super) fn ids(&self) -> Vec<String> {
        self.rows.iter().map(|row| row.run_id.clone()).collect()
    }

    /// Whether nothing at all is on it.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.unnamed == 0
    }
}

/// How many ids of a page stand on another one too.
pub(super) fn shared(ids: &[String], other: &[String]) -> usize {
    let known: HashSet<&String> = other.iter().collect();
    ids.iter().filter(|id| known.contains(id)).count()
}
