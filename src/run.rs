//! The types that all modules share: runs, their documents, and their phase.

use std::time::Duration;

mod evaluation;
mod words;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::digest::fingerprint;
use crate::json::{Node, unwrap};
use crate::time::Timestamp;

pub use evaluation::{EvaluationState, evaluation_state_of};
pub use words::Meaning;

/// One of the bodies that the API returns for a run.
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

/// The state of a document of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DocumentState {
    /// Not requested, or not there yet but still expected.
    #[default]
    Pending,
    /// Fetched.
    Ok,
    /// Fetched, but a list in it is incomplete; requested again later.
    Partial,
    /// The API returned 404: there is none.
    Absent,
    /// It could not be fetched; requested again at the next sync.
    Failed,
}

impl DocumentState {
    /// The name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Ok => "ok",
            Self::Partial => "partial",
            Self::Absent => "absent",
            Self::Failed => "failed",
        }
    }
}

/// A body as received, verified to be one complete JSON value.
#[derive(Clone, Debug)]
pub struct Document {
    /// The resource.
    pub resource: Resource,
    /// The page, from 1: lists in documents can be paged, too.
    pub page: u32,
    /// The JSON text, decompressed.
    pub body: Bytes,
    /// The server's `Date` for it, if it sent one.
    pub http_date: Option<Timestamp>,
}

/// A fingerprint of all bodies that have a request of their own: shows whether the documents of a
/// run changed.
pub fn content_fingerprint(documents: &[Document]) -> u64 {
    let bodies = Resource::FETCHED.iter().flat_map(|resource| {
        let of = move |document: &&Document| document.resource == *resource;
        let pages = documents.iter().filter(of).map(|document| document.body.as_ref());
        // An absent document counts as an empty one, so that each document keeps its position.
        let absent = (!documents.iter().any(|document| of(&document))).then_some(&[][..]);
        pages.chain(absent)
    });
    fingerprint(bodies)
}

/// An incomplete list in a run's documents: fewer rows were received than the API announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortfall {
    /// The document that holds the list.
    pub resource: Resource,
    /// Rows received, on all of its pages.
    pub received: u64,
    /// Rows announced; `None` if the API states only that there are more.
    pub announced: Option<u64>,
}

/// A run with everything that the API returns for it.
#[derive(Clone, Debug)]
pub struct FetchedRun {
    /// The id, an opaque text.
    pub run_id: String,
    /// The start, by the server's clock; `None` if the API states no usable one.
    pub started_at: Option<Timestamp>,
    /// The end, by the server's clock.
    pub ended_at: Option<Timestamp>,
    /// The status as the API states it.
    pub status: Option<String>,
    /// 1 for the first export of a run, one more each time it was seen changed.
    pub revision: i64,
    /// The evaluation's state; the other documents are there, or absent for good.
    pub evaluation: DocumentState,
    /// The bodies, in the order of [`Resource`] and page.
    pub documents: Vec<Document>,
    /// The incomplete lists in them.
    pub shortfalls: Vec<Shortfall>,
}

impl FetchedRun {
    /// The body of a resource, if there is one; of a paged one the first page.
    pub fn document(&self, resource: Resource) -> Option<&Document> {
        self.pages(resource).next()
    }

    /// Every page of a resource, in order.
    pub fn pages(&self, resource: Resource) -> impl Iterator<Item = &Document> {
        self.documents.iter().filter(move |document| document.resource == resource)
    }

    /// Size of all bodies, in bytes.
    pub fn body_bytes(&self) -> usize {
        self.documents.iter().map(|document| document.body.len()).sum()
    }
}

/// The phase of a run, as far as its status and times show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It can still change.
    Open,
    /// It ended.
    Final,
}

/// How long after its end a run of unknown status counts as final: documented runs take minutes,
/// and the platform's sweeper ends stuck ones after about an hour.
const SETTLED_AFTER: Duration = Duration::from_hours(2);

/// How long after its start a run of unknown status and without an end counts as final:
/// many times what the platform lets a run take.
const ABANDONED_AFTER: Duration = Duration::from_hours(24);

impl Phase {
    /// Decides by status. A run whose status is unknown counts as final two hours after its end,
    /// and without an end a day after its start, so that no run is requested forever.
    ///
    /// All times are by the server's clock.
    pub fn of(
        status: Option<&str>,
        started_at: Option<Timestamp>,
        ended_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Self {
        let is_older = |time: Timestamp, age: Duration| now.since(time) > age;
        let is_final = match status.map_or(Meaning::Unknown, Meaning::of) {
            Meaning::Unknown => match (started_at, ended_at) {
                (_, Some(end)) => is_older(end, SETTLED_AFTER),
                (Some(start), None) => is_older(start, ABANDONED_AFTER),
                (None, None) => false,
            },
            meaning => meaning.is_final(),
        };
        if is_final { Self::Final } else { Self::Open }
    }

    /// Whether a status is one that this program knows.
    pub fn is_known(status: &str) -> bool {
        Meaning::of(status) != Meaning::Unknown
    }
}

/// The object that shows a run, out of a wrapper such as `{"run": {…}}`, with the wrapper's name;
/// `None` if the body is that object itself.
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
        let hour = |hours: i64| Timestamp::from_micros(hours * 3_600_000_000);
        let of = |status, start: Option<i64>, end: Option<i64>, now| {
            Phase::of(status, start.map(hour), end.map(hour), hour(now))
        };
        assert_eq!(of(Some("pass"), None, None, 0), Phase::Final);
        assert_eq!(of(Some("Timed-Out"), None, None, 0), Phase::Final);
        assert_eq!(of(Some("running"), Some(0), Some(0), 900), Phase::Open);
        assert_eq!(of(Some("galvanized"), None, None, 900), Phase::Open);
        assert_eq!(of(Some("galvanized"), Some(0), None, 23), Phase::Open);
        assert_eq!(of(Some("galvanized"), Some(0), None, 25), Phase::Final);
        assert_eq!(of(Some("galvanized"), Some(0), Some(24), 25), Phase::Open);
        assert_eq!(of(Some("galvanized"), None, Some(0), 3), Phase::Final);
        assert_eq!(of(None, None, Some(0), 3), Phase::Final);
        assert_eq!(of(None, Some(0), None, 25), Phase::Final);
    }
}
