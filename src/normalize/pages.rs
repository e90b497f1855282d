//! A document of a run: one body, or several if the API pages it.

use std::collections::HashSet;

use crate::json::{Body, List, Node, Unmapped, has_own_id};
use crate::run::{FetchedRun, Resource};
use crate::tables::ListSources;

/// Members that state the position of a page in its list: they differ from page to page.
const PAGING: &[&str] = &[
    "page",
    "pageSize",
    "page_size",
    "pageNumber",
    "page_number",
    "currentPage",
    "current_page",
    "perPage",
    "per_page",
    "limit",
    "offset",
    "skip",
    "size",
    "start",
    "total",
    "totalCount",
    "total_count",
    "totalItems",
    "totalRows",
    "total_rows",
    "totalPages",
    "total_pages",
    "pageCount",
    "page_count",
    "count",
    "hasMore",
    "has_more",
    "hasNext",
    "has_next",
    "hasNextPage",
    "has_next_page",
    "next",
    "nextPage",
    "next_page",
    "prev",
    "previous",
    "previousPage",
    "previous_page",
    "cursor",
    "nextCursor",
    "next_cursor",
    "endCursor",
    "end_cursor",
    "nextPageToken",
    "next_page_token",
    "truncated",
    "links",
    "_links",
    "pagination",
    "meta",
    "paging",
    "pageInfo",
    "page_info",
];

/// The pages of one document, in order; none if the run has no such document.
#[derive(Debug)]
pub(super) struct Pages<'a> {
    bodies: Vec<Body<'a>>,
}

impl<'a> Pages<'a> {
    pub(super) fn of(run: &'a FetchedRun, resource: Resource) -> Self {
        let bodies = run.pages(resource).filter_map(|page| Node::from_validated(&page.body));
        Self { bodies: bodies.map(Body::with_lists).collect() }
    }

    /// The first page: what is not a list is read from it.
    pub(super) fn first(&self) -> Option<&Body<'a>> {
        self.bodies.first()
    }

    /// The list of all pages together, with its place in the first page that has it.
    pub(super) fn list(&self, sources: &ListSources) -> Option<List<'a>> {
        let mut lists = self.bodies.iter().filter_map(|body| sources.find_in(body));
        let mut whole = lists.next()?;
        let of_first = whole.elements.len();
        // The elements of earlier pages, and how many of them were added.
        let (mut before, mut before_count): (HashSet<&str>, usize) = (HashSet::new(), 0);
        for list in lists {
            // Each page can repeat a list that is beside the paged one.
            let first = whole.elements.iter().take(of_first).map(|node| node.source());
            if list.elements.iter().map(|node| node.source()).eq(first) {
                continue;
            }
            if !list.names.is_empty() {
                whole.elements.extend(list.elements);
                whole.names.extend(list.names);
                continue;
            }
            // Overlapping pages contain an element twice.
            before.extend(whole.elements.iter().skip(before_count).map(|node| node.source()));
            before_count = whole.elements.len();
            let is_again = |node: &Node<'_>| before.contains(node.source()) && has_own_id(*node);
            whole.elements.extend(list.elements.into_iter().filter(|node| !is_again(node)));
        }
        Some(whole)
    }

    /// Keeps what is beside the lists at `taken`, under the document's name: all members of the
    /// first page, and of later ones those that the first does not have.
    pub(super) fn note_rest(&self, extra: &mut Unmapped, name: &str, taken: &[Option<&String>]) {
        let mut rest = Unmapped::default();
        self.write_rest(&mut rest, 0, taken);
        extra.push_all(name, &rest);
    }

    /// Keeps the members of later pages that the first does not have.
    pub(super) fn note_later(&self, extra: &mut Unmapped, taken: &[Option<&List<'_>>]) {
        let taken: Vec<_> = taken.iter().map(|list| list.map(|list| &list.path)).collect();
        self.write_rest(extra, 1, &taken);
    }

    fn write_rest(&self, out: &mut Unmapped, from: usize, taken: &[Option<&String>]) {
        for (number, body) in self.bodies.iter().enumerate().skip(from) {
            let Some(mut record) = body.clone().into_record() else { continue };
            for path in taken.iter().flatten() {
                record.take_path(path);
            }
            record.write_unmapped(out, &|key| {
                let is_new = number == 0 || !(self.first_has(key) || PAGING.contains(&key));
                is_new && !matches!(key, "run_id" | "runId")
            });
        }
    }

    fn first_has(&self, key: &str) -> bool {
        self.first().is_some_and(|first| first.get(key).is_some())
    }
}
