//! Fetches the documents of one run: detail, trace, evaluation and tool calls.

use std::time::Duration;

use futures::future::join_all;

use super::{ListedRun, RunPaths};
use crate::api::{ApiError, Client, DocumentPages, FetchResult, Response, missing_rows};
use crate::event::{Event, Events};
use crate::json::Node;
use crate::ledger::{DocumentStates, Entry};
use crate::run::{
    Document, DocumentState, EvaluationState, FetchedRun, Phase, Resource, Shortfall,
    content_fingerprint, encode_id, evaluation_state_of,
};
use crate::time::Timestamp;

/// Times and paths for fetching.
#[derive(Clone, Debug)]
pub struct FetchPolicy {
    /// When the sync began, by the server's clock.
    pub now: Timestamp,
    /// How long after its end a run waits for its evaluation.
    pub evaluation_grace: Duration,
    /// Where a run's members are.
    pub paths: RunPaths,
}

/// A run to fetch.
#[derive(Clone, Debug)]
pub struct FetchTask {
    /// The run as it was listed; `None` for a carried-over run.
    pub listed: Option<ListedRun>,
    /// The id.
    pub run_id: String,
    /// Its entry in the ledger.
    pub known: Option<Entry>,
    /// Whether the evaluation is requested first, and the rest only if it is there or no longer
    /// awaited.
    pub only_with_evaluation: bool,
}

/// The result of fetching a run.
#[derive(Debug)]
pub enum TaskOutcome {
    /// All documents were fetched: rows can be built.
    Complete {
        /// The run.
        run: Box<FetchedRun>,
        /// The states of its documents.
        documents: DocumentStates,
        /// Fingerprint of its documents: shows whether they changed.
        content_fingerprint: u64,
        /// Whether they are the same as in the run's last export.
        is_same: bool,
    },
    /// It has not ended.
    Open {
        /// Its detail.
        seen: ListedRun,
    },
    /// It ended, and its evaluation may still come.
    Waiting {
        /// Its latest body.
        seen: ListedRun,
    },
    /// It was exported without its evaluation, which is still missing.
    StillUnevaluated {
        /// Whether the API states that the evaluation is in progress.
        is_pending: bool,
    },
    /// The API states that there is no such run.
    Absent,
    /// A document could not be fetched.
    Failed {
        /// The states of the documents.
        documents: DocumentStates,
        /// The first error.
        error: ApiError,
    },
}

/// Fetches what is needed of one run.
///
/// # Errors
/// [`ApiError`] only if further requests are pointless for every run; an error of this run alone is
/// [`TaskOutcome::Failed`].
pub async fn fetch_run(
    client: &Client,
    events: &Events,
    task: &FetchTask,
    policy: &FetchPolicy,
) -> Result<TaskOutcome, ApiError> {
    let mut bodies = Bodies::new(&task.run_id);
    let mut ended_at = task.listed.as_ref().and_then(|run| run.ended_at);
    if task.listed.is_none() {
        // The detail first: a run that is still open needs no other request.
        bodies.fetch(client, events, &[Resource::Detail], &policy.paths).await?;
        match bodies.detail_run(policy) {
            _ if bodies.state(Resource::Detail) == DocumentState::Absent => {
                return Ok(TaskOutcome::Absent);
            }
            Some(seen) if seen.phase(policy.now) == Phase::Open => {
                return Ok(TaskOutcome::Open { seen });
            }
            seen => ended_at = seen.and_then(|seen| seen.ended_at),
        }
    }
    // Without an end, the wait for the evaluation counts from when the run was first listed.
    let known_end = ended_at.or_else(|| {
        let entry = task.known.as_ref()?;
        entry.ended_at.or(Some(entry.first_listed_at))
    });
    // A run that ended after the sync began waits even without a grace time.
    let young = known_end.is_none_or(|end| policy.now < end + policy.evaluation_grace);
    if task.only_with_evaluation || young {
        // The evaluation first: if it is missing, the other documents are not fetched in vain.
        bodies.fetch(client, events, &[Resource::Evaluation], &policy.paths).await?;
        if bodies.state(Resource::Evaluation) == DocumentState::Absent {
            let exported = task.known.as_ref().is_some_and(|entry| entry.revision > 0);
            match (exported && task.only_with_evaluation, young, &task.listed) {
                (true, _, _) => {
                    let is_pending = bodies.evaluation_is_pending;
                    return Ok(TaskOutcome::StillUnevaluated { is_pending });
                }
                (false, true, Some(listed)) => {
                    return Ok(TaskOutcome::Waiting { seen: listed.clone() });
                }
                _ => {}
            }
        }
    }
    bodies.fetch(client, events, &Resource::FETCHED, &policy.paths).await?;
    Ok(bodies.outcome(task, policy, young))
}

/// The documents of one run while they are fetched.
struct Bodies {
    path: Option<String>,
    documents: Vec<Document>,
    shortfalls: Vec<Shortfall>,
    /// Whether the API states that the evaluation is in progress.
    evaluation_is_pending: bool,
    states: DocumentStates,
    error: Option<ApiError>,
}

impl Bodies {
    fn new(run_id: &str) -> Self {
        // No URL can contain these two path segments, not even percent-encoded.
        let path =
            (run_id != "." && run_id != "..").then(|| format!("/runs/{}", encode_id(run_id)));
        let (documents, shortfalls) = (Vec::new(), Vec::new());
        let (states, error) = (DocumentStates::default(), None);
        Self { path, documents, shortfalls, evaluation_is_pending: false, states, error }
    }

    /// Fetches those of the resources that are still missing, all at once.
    async fn fetch(
        &mut self,
        client: &Client,
        events: &Events,
        resources: &[Resource],
        paths: &RunPaths,
    ) -> Result<(), ApiError> {
        let Some(path) = self.path.clone() else {
            self.error = Some(ApiError::Unusable {
                path: "/runs/{id}".to_owned(),
                problem: "nothing, as no URL can name a run whose id is `.` or `..`".to_owned(),
            });
            return Ok(());
        };
        let missing = |resource: &Resource| self.state(*resource) == DocumentState::Pending;
        let missing: Vec<Resource> = resources.iter().copied().filter(missing).collect();
        let path = path.as_str();
        let fetched = join_all(missing.iter().map(|&resource| async move {
            let path = format!("{path}{}", resource.path_suffix());
            (resource, fetch_document(client, &path, resource, paths).await)
        }));
        for (resource, fetched) in fetched.await {
            let state = match fetched {
                Ok(Some(document)) => self.keep(resource, document),
                Ok(None) => DocumentState::Absent,
                Err(error) if is_pending_evaluation(&error, resource) => {
                    self.evaluation_is_pending = true;
                    DocumentState::Absent
                }
                Err(error) if error.is_fatal() => return Err(error),
                Err(error) => {
                    self.error = self.error.take().or(Some(error));
                    DocumentState::Failed
                }
            };
            events.emit(Event::DocumentFetched { resource });
            self.set_state(resource, state);
        }
        Ok(())
    }

    /// Keeps a document. A placeholder is not an evaluation; how the API marks one is not
    /// documented, so the content decides.
    fn keep(&mut self, resource: Resource, document: DocumentPages) -> DocumentState {
        let DocumentPages { pages, missing } = document;
        let node = pages.first().and_then(|first| Node::from_validated(&first.body));
        let state = node.map(|node| match resource {
            Resource::Evaluation => evaluation_state_of(node),
            _ if node.is_null() => EvaluationState::Absent,
            _ => EvaluationState::Present,
        });
        if matches!(state, Some(EvaluationState::Absent | EvaluationState::Pending)) {
            self.evaluation_is_pending |= state == Some(EvaluationState::Pending);
            return DocumentState::Absent;
        }
        for (page, response) in (1..).zip(pages) {
            let Response { body, date, .. } = response;
            self.documents.push(Document { resource, page, body, http_date: date });
        }
        let Some(missing) = missing else { return DocumentState::Ok };
        let (received, announced) = (missing.received, missing.announced);
        self.shortfalls.push(Shortfall { resource, received, announced });
        DocumentState::Partial
    }

    fn detail_run(&self, policy: &FetchPolicy) -> Option<ListedRun> {
        let detail = self.documents.iter().find(|d| d.resource == Resource::Detail)?;
        let run_id = String::new();
        Some(ListedRun::from_body(run_id, detail.body.clone(), &policy.paths))
    }

    fn outcome(mut self, task: &FetchTask, policy: &FetchPolicy, young: bool) -> TaskOutcome {
        if let Some(error) = self.error {
            return TaskOutcome::Failed { documents: self.states, error };
        }
        if self.states.detail == DocumentState::Absent {
            return TaskOutcome::Absent;
        }
        let detail =
            self.detail_run(policy).map(|run| ListedRun { run_id: task.run_id.clone(), ..run });
        let shown = match (&task.listed, detail) {
            (_, Some(detail))
                if detail.phase(policy.now) == Phase::Open && detail.status.is_some() =>
            {
                return TaskOutcome::Open { seen: detail };
            }
            (Some(listed), Some(detail)) => listed.clone().completed(detail),
            (Some(listed), None) => listed.clone(),
            (None, Some(detail)) => detail,
            (None, None) => return TaskOutcome::Absent,
        };
        if self.states.evaluation == DocumentState::Absent && young {
            return TaskOutcome::Waiting { seen: shown };
        }
        let content_fingerprint = content_fingerprint(&self.documents);
        let known = task.known.as_ref();
        let revision = known.map_or(0, |entry| entry.revision);
        let is_same =
            revision > 0 && known.is_some_and(|k| k.content_fingerprint == content_fingerprint);
        if let Some(listed) = &task.listed {
            let body = listed.body.clone();
            let listing = Document { resource: Resource::Listing, page: 1, body, http_date: None };
            self.documents.push(listing);
        }
        self.documents.sort_by_key(|document| (document.resource, document.page));
        let run = FetchedRun {
            run_id: task.run_id.clone(),
            started_at: shown.started_at,
            ended_at: shown.ended_at,
            status: shown.status,
            revision: revision + 1,
            evaluation: match self.states.evaluation {
                DocumentState::Partial => DocumentState::Ok,
                DocumentState::Absent if self.evaluation_is_pending => DocumentState::Pending,
                state => state,
            },
            documents: self.documents,
            shortfalls: self.shortfalls,
        };
        let mut documents = self.states;
        if self.evaluation_is_pending {
            documents.evaluation = DocumentState::Pending;
        }
        TaskOutcome::Complete { run: Box::new(run), documents, content_fingerprint, is_same }
    }

    fn state(&self, resource: Resource) -> DocumentState {
        match resource {
            Resource::Detail => self.states.detail,
            Resource::Trace => self.states.trace,
            Resource::Evaluation => self.states.evaluation,
            Resource::ToolCalls => self.states.tool_calls,
            Resource::Listing => DocumentState::Ok,
        }
    }

    fn set_state(&mut self, resource: Resource, state: DocumentState) {
        match resource {
            Resource::Detail => self.states.detail = state,
            Resource::Trace => self.states.trace = state,
            Resource::Evaluation => self.states.evaluation = state,
            Resource::ToolCalls => self.states.tool_calls = state,
            Resource::Listing => {}
        }
    }
}

/// The incomplete lists in a run's stored documents.
pub fn shortfalls(documents: &[Document], paths: &RunPaths) -> Vec<Shortfall> {
    let resources = [Resource::Trace, Resource::Evaluation, Resource::ToolCalls];
    let found = resources.into_iter().filter_map(|resource| {
        let of = documents.iter().filter(|document| document.resource == resource);
        let pages = of.map(|document| document.body.as_ref());
        let list = paths.lists.of(resource)?;
        let missing = missing_rows(pages, list, trusts_total(resource))?;
        let (received, announced) = (missing.received, missing.announced);
        Some(Shortfall { resource, received, announced })
    });
    found.collect()
}

/// Whether a `total` beside the list of a document can only count its rows: an evaluation's can be
/// that of its scores.
fn trusts_total(resource: Resource) -> bool {
    resource != Resource::Evaluation
}

/// Gets a document of a run with all of its pages, at its path below the base URL; `None` if the API
/// has none.
///
/// # Errors
/// [`ApiError`] if it cannot be fetched; [`ApiError::NotReady`] if it is not ready yet.
pub async fn fetch_document(
    client: &Client,
    path: &str,
    resource: Resource,
    paths: &RunPaths,
) -> Result<Option<DocumentPages>, ApiError> {
    let first = match client.get(path, &[]).await? {
        FetchResult::Body(first) => first,
        FetchResult::Absent { .. } | FetchResult::Empty { .. } => return Ok(None),
        FetchResult::NotReady => return Err(client.not_ready(path)),
    };
    match paths.lists.of(resource) {
        Some(list) => client.read_on(path, first, list, trusts_total(resource)).await.map(Some),
        None => Ok(Some(DocumentPages { pages: vec![first], missing: None })),
    }
}

/// Whether a 202 means an evaluation in progress: it is created after its run, while all other
/// documents of an ended run exist.
fn is_pending_evaluation(error: &ApiError, resource: Resource) -> bool {
    resource == Resource::Evaluation && matches!(error, ApiError::NotReady { .. })
}
