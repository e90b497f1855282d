//! A row of the list, as far as decisions about its run need it.

use bytes::Bytes;

use crate::digest::fingerprint;
use crate::json::{Node, TimeFormat, parse_timestamp};
use crate::listing::ListedRow;
use crate::run::{Phase, Resource, unwrap_run};
use crate::tables::{
    CRITERIA, ListDocument, ListSources, Mapping, RUNS, SPANS, TOOL_CALLS, Table, WORKFLOWS,
};
use crate::time::Timestamp;

/// Paths of the few members that decisions need: the sources of the `runs` table's columns.
#[derive(Clone, Debug)]
pub struct RunPaths {
    /// Where the list is in a page of `GET /runs`.
    pub list: ListSources,
    /// Where the lists of the other documents are.
    pub(super) lists: DocumentLists,
    /// Paths of the id.
    pub run_id: Vec<String>,
    workflow_id: Vec<String>,
    /// Paths of a workflow's id in an element of `GET /workflows`.
    pub(super) own_workflow_id: Vec<String>,
    status: Vec<String>,
    started_at: Times,
    ended_at: Times,
}

/// Paths of a time, and what the user declared about its format.
#[derive(Clone, Debug)]
struct Times {
    paths: Vec<String>,
    format: TimeFormat,
}

impl Times {
    fn read(&self, node: Option<Node<'_>>) -> Option<Timestamp> {
        first(node, &self.paths, |node| parse_timestamp(node, self.format).ok())
    }
}

/// Where the lists of documents are.
#[derive(Clone, Debug)]
pub(super) struct DocumentLists {
    trace: ListSources,
    evaluation: ListSources,
    tool_calls: ListSources,
    pub(super) workflows: ListSources,
}

impl DocumentLists {
    fn new(mapping: &Mapping) -> Self {
        let list = |document, table| mapping.list_sources(document, table).clone();
        Self {
            trace: list(ListDocument::Trace, &SPANS),
            evaluation: list(ListDocument::Evaluation, &CRITERIA),
            tool_calls: list(ListDocument::ToolCalls, &TOOL_CALLS),
            workflows: list(ListDocument::Workflows, &WORKFLOWS),
        }
    }

    /// The list of a document that can be paged; `None` for a document without one.
    pub(super) fn of(&self, resource: Resource) -> Option<&ListSources> {
        match resource {
            Resource::Trace => Some(&self.trace),
            Resource::Evaluation => Some(&self.evaluation),
            Resource::ToolCalls => Some(&self.tool_calls),
            Resource::Detail | Resource::Listing => None,
        }
    }
}

impl RunPaths {
    /// The paths of this mapping.
    pub fn new(mapping: &Mapping) -> Self {
        let column = |table: &'static Table, name: &str| {
            mapping.table(table).columns.iter().find(|column| column.name == name)
        };
        let sources_of = |table: &'static Table, name: &str| {
            column(table, name).map(|column| column.sources.clone()).unwrap_or_default()
        };
        let sources = |name: &str| sources_of(&RUNS, name);
        let times = |name: &str| {
            let format = column(&RUNS, name).map(|column| column.time).unwrap_or_default();
            Times { paths: sources(name), format }
        };
        Self {
            list: mapping.list_sources(ListDocument::Listing, &RUNS).clone(),
            lists: DocumentLists::new(mapping),
            run_id: sources("run_id"),
            workflow_id: sources("workflow_id"),
            own_workflow_id: sources_of(&WORKFLOWS, "workflow_id"),
            status: sources("status"),
            started_at: times("started_at"),
            ended_at: times("ended_at"),
        }
    }
}

impl RunPaths {
    /// A fingerprint of how rows of the list are read. If it changes, what is known of the runs may
    /// be wrong.
    pub fn fingerprint(&self) -> u64 {
        let lists = self.list.user_paths();
        let (start, end) = (&self.started_at, &self.ended_at);
        let all = [&self.run_id, &self.workflow_id, &self.status, &start.paths, &end.paths];
        let columns = all.iter().map(|paths| paths.join("\n"));
        let formats =
            [start.format, end.format].into_iter().filter(|it| *it != TimeFormat::default());
        let formats = formats.map(|format| format!("{format:?}"));
        let texts: Vec<String> = columns.chain([lists.join("\n")]).chain(formats).collect();
        fingerprint(texts.iter().map(String::as_bytes))
    }
}

/// A run as a row of the list, or its detail, shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedRun {
    /// The id.
    pub run_id: String,
    /// The status, as the API states it.
    pub status: Option<String>,
    /// The start, by the server's clock.
    pub started_at: Option<Timestamp>,
    /// The end, by the server's clock.
    pub ended_at: Option<Timestamp>,
    /// The row's JSON, unchanged.
    pub body: Bytes,
    /// Fingerprint of the row: shows whether it changed.
    pub fingerprint: u64,
}

impl ListedRun {
    /// Reads a row of the list.
    pub fn read(row: ListedRow, paths: &RunPaths) -> Self {
        Self::from_body(row.run_id, row.body, paths)
    }

    /// Reads a body that shows a run, also one that is wrapped as `{"run": {…}}`.
    pub fn from_body(run_id: String, body: Bytes, paths: &RunPaths) -> Self {
        let node = Node::from_validated(&body);
        let node = node.map(|body| unwrap_run(body).map_or(body, |(_, inner)| inner));
        let status =
            first(node, &paths.status, |node| node.text().map(std::borrow::Cow::into_owned));
        let started_at = paths.started_at.read(node);
        let ended_at = paths.ended_at.read(node);
        let fingerprint = fingerprint([body.as_ref()]);
        Self { run_id, status, started_at, ended_at, body, fingerprint }
    }

    /// The run with a copy of its body, for a run that is kept long: a row keeps its whole page in
    /// memory.
    #[must_use]
    pub fn detached(self) -> Self {
        Self { body: Bytes::copy_from_slice(&self.body), ..self }
    }

    /// The workflow that the row names.
    pub fn workflow_id(&self, paths: &RunPaths) -> Option<String> {
        let node = Node::from_validated(&self.body);
        first(node, &paths.workflow_id, |node| node.scalar_text().map(std::borrow::Cow::into_owned))
    }

    /// The run as its row and its detail together show it.
    pub fn completed(self, detail: Self) -> Self {
        Self {
            status: detail.status.or(self.status),
            started_at: self.started_at.or(detail.started_at),
            ended_at: detail.ended_at.or(self.ended_at),
            ..self
        }
    }

    /// The run's phase at `now`, by the server's clock.
    pub fn phase(&self, now: Timestamp) -> Phase {
        Phase::of(self.status.as_deref(), self.started_at, self.ended_at, now)
    }
}

/// The first value that can be read at one of the paths.
pub(super) fn first<'a, T>(
    node: Option<Node<'a>>,
    paths: &[String],
    read: impl Fn(Node<'a>) -> Option<T>,
) -> Option<T> {
    paths.iter().find_map(|path| read(node?.at(path)?))
}
