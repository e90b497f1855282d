//! The vocabulary that every room shares: runs, their documents and how far along they are.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::digest::fingerprint;
use crate::json::{Node, unwrap};

/// One of the bodies that the API gives for a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// The run's row in `GET /runs`. It costs no request of its own.
    Listing,
    /// `GET /runs/{id}`
    Detail,
    /// `GET /runs/{id}/trace`
    Trace,
    /// `GET /runs/{id}/evaluation`
    Evaluation,
    /// `GET /runs/{id}/tool-calls`
    ToolCalls,
}

impl Resource {
    /// The four resources that have a request of their own, cheapest first.
    pub const FETCHED: [Self; 4] = [Self::Evaluation, Self::Detail, Self::ToolCalls, Self::Trace];

    /// The resource of a name in the `documents` table.
    pub fn from_name(name: &str) -> Option<Self> {
        let all = Self::FETCHED.into_iter().chain([Self::Listing]);
        all.into_iter().find(|resource| resource.name() == name)
    }

    /// The name in the `documents` table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Listing => "listing",
            Self::Detail => "detail",
            Self::Trace => "trace",
            Self::Evaluation => "evaluation",
            Self::ToolCalls => "tool_calls",
        }
    }

    /// What follows `/runs/{id}` in the path (documented).
    pub fn path_suffix(self) -> &'static str {
        match self {
            Self::Listing | Self::Detail => "",
            Self::Trace => "/trace",
            Self::Evaluation => "/evaluation",
            Self::ToolCalls => "/tool-calls",
        }
    }
}

/// How far a document of a run has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DocumentState {
    /// Not asked for, or not there yet but still expected.
    #[default]
    Pending,
    /// Fetched.
    Ok,
    /// The API answered 404: there is none.
    Absent,
    /// The API could not give it; it is asked for again at the next sync.
    Failed,
}

impl DocumentState {
    /// The name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Ok => "ok",
            Self::Absent => "absent",
            Self::Failed => "failed",
        }
    }
}

/// A body as received, known to be one whole JSON value.
#[derive(Clone, Debug)]
pub struct Document {
    /// What it is.
    pub resource: Resource,
    /// Which page of it, from 1: lists in documents can be paged too.
    pub page: u32,
    /// The JSON text, decompressed.
    pub body: Bytes,
    /// The server's `Date` for it, in microseconds since 1970, where it sent one.
    pub http_date: Option<i64>,
}

/// Tells whether the documents of a run changed: a fingerprint of all bodies that have a request
/// of their own.
pub fn content_fingerprint(documents: &[Document]) -> u64 {
    let bodies = Resource::FETCHED.iter().flat_map(|resource| {
        let of = move |document: &&Document| document.resource == *resource;
        let pages = documents.iter().filter(of).map(|document| document.body.as_ref());
        // A document that is absent counts as an empty one, so that each keeps its place.
        let absent = (!documents.iter().any(|document| of(&document))).then_some(&[][..]);
        pages.chain(absent)
    });
    fingerprint(bodies)
}

/// A list in a run's documents of which fewer rows came than the API says there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortfall {
    /// The document that holds the list.
    pub resource: Resource,
    /// Rows received, on all of its pages.
    pub received: u64,
    /// Rows announced; `None` where the API says only that there are more.
    pub announced: Option<u64>,
}

/// A run with everything the API gives for it.
#[derive(Clone, Debug)]
pub struct FetchedRun {
    /// The id, opaque text.
    pub run_id: String,
    /// Microseconds since 1970; `None` where the API gives no usable start.
    pub started_at: Option<i64>,
    /// Microseconds since 1970.
    pub ended_at: Option<i64>,
    /// The status as the API states it.
    pub status: Option<String>,
    /// 1 for the first export of a run, one more each time it was seen changed.
    pub revision: i64,
    /// The evaluation's state; the other documents are there, or absent for good.
    pub evaluation: DocumentState,
    /// The bodies, in the order of [`Resource`] and page.
    pub documents: Vec<Document>,
    /// Lists that did not come whole.
    pub shortfalls: Vec<Shortfall>,
}

impl FetchedRun {
    /// The body of a resource, where there is one; of a paged one the first page.
    pub fn document(&self, resource: Resource) -> Option<&Document> {
        self.pages(resource).next()
    }

    /// Every page of a resource, in order.
    pub fn pages(&self, resource: Resource) -> impl Iterator<Item = &Document> {
        self.documents.iter().filter(move |document| document.resource == resource)
    }

    /// Bytes of all bodies.
    pub fn body_bytes(&self) -> usize {
        self.documents.iter().map(|document| document.body.len()).sum()
    }
}

/// Where in its life a run is, as far as its status and times tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It can still change.
    Open,
    /// It ended and stays as it is.
    Final,
}

/// Statuses after which a run does not change.
///
/// `pass`, `partial` and `fail` are documented, `error` is documented on another page, `timed_out`
/// is seen in Armature's public code; the rest are what such platforms use. The set is open: see
/// [`Phase::of`].
const FINAL: &[&str] = &[
    "pass",
    "partial",
    "fail",
    "error",
    "timed_out",
    "passed",
    "failed",
    "success",
    "succeeded",
    "completed",
    "complete",
    "done",
    "finished",
    "errored",
    "timeout",
    "timedout",
    "cancelled",
    "canceled",
    "aborted",
    "skipped",
];

/// Statuses that say a run goes on, whatever else its row holds. `running` is documented,
/// `pending` is documented for the sibling MCP tools.
const OPEN: &[&str] = &[
    "pending",
    "running",
    "queued",
    "scheduled",
    "created",
    "starting",
    "started",
    "in_progress",
    "evaluating",
    "judging",
    "retrying",
];

/// How long after its end a run of unknown status counts as final: documented runs take minutes,
/// and the platform's sweeper ends stuck ones after about an hour.
const SETTLE_MICROSECONDS: i64 = 2 * 3_600 * 1_000_000;

impl Phase {
    /// Decides by status; an unknown status counts as final once the run ended two hours ago.
    ///
    /// `now` is the server's clock, in microseconds since 1970.
    pub fn of(status: Option<&str>, ended_at: Option<i64>, now: i64) -> Self {
        let word = status.map(|status| status.trim().to_ascii_lowercase().replace(['-', ' '], "_"));
        match word.as_deref() {
            Some(word) if FINAL.contains(&word) => Self::Final,
            Some(word) if OPEN.contains(&word) => Self::Open,
            _ => match ended_at {
                Some(end) if now.saturating_sub(end) > SETTLE_MICROSECONDS => Self::Final,
                _ => Self::Open,
            },
        }
    }

    /// Whether a status is one that this program knows.
    pub fn is_known(status: &str) -> bool {
        let word = status.trim().to_ascii_lowercase().replace(['-', ' '], "_");
        FINAL.contains(&word.as_str()) || OPEN.contains(&word.as_str())
    }
}

/// The object that shows a run, out of a wrapper such as `{"run": {…}}`, with the wrapper's name;
/// `None` where the body is that object itself.
pub fn unwrap_run(body: Node<'_>) -> Option<(&'static str, Node<'_>)> {
    unwrap(body, &["run", "data", "result"], &["id", "run_id", "runId"])
}

/// A run's id as one segment of a path: everything but letters, digits, `-`, `_` and `~` as `%XX`.
pub fn encode_id(run_id: &str) -> String {
    const KEPT: &percent_encoding::AsciiSet =
        &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'~');
    percent_encoding::utf8_percent_encode(run_id, KEPT).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_is_told_by_status_then_by_end_and_age() {
        let hour = 3_600_000_000;
        assert_eq!(Phase::of(Some("pass"), None, 0), Phase::Final);
        assert_eq!(Phase::of(Some("Timed-Out"), None, 0), Phase::Final);
        assert_eq!(Phase::of(Some("running"), Some(0), 9 * hour), Phase::Open);
        assert_eq!(Phase::of(Some("galvanized"), None, 9 * hour), Phase::Open);
        assert_eq!(Phase::of(Some("galvanized"), Some(0), hour), Phase::Open);
        assert_eq!(Phase::of(Some("galvanized"), Some(0), 3 * hour), Phase::Final);
        assert_eq!(Phase::of(None, Some(0), 3 * hour), Phase::Final);
    }
}
