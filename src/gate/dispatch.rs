//! Dispatches runs, each exactly once as far as that can be known.
//!
//! An answer can be lost after the API has acted. Before a dispatch is repeated, the runs since its
//! beginning are therefore looked at: a run that shows the idempotency key is the dispatched one.
//! If there is none, the dispatch is repeated with the same key: an API that honours the key (it is
//! documented) returns the first run then. Where it does not, a second run may start; only runs
//! that an answer names, or that show the key, count.
//!
//! If an answer names no run, the runs that began since the dispatch are counted: if there are as
//! many as the workflow has models, they are taken for the dispatched ones, and the report says so;
//! if there are more, nothing tells whose they are, and none counts.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::json;

use super::error::{GateError, said};
use super::progress::{GateEvent, Progress};
use super::response::{DispatchedRun, dispatched_runs};
use super::run_reader::holds_text;
use super::text::plain;
use super::workflows::{Workflow, column_text};
use crate::api::{ApiError, Client, FetchResult, Post, PostError, PostResult};
use crate::config::Filters;
use crate::digest::sha256_hex;
use crate::event::Events;
use crate::extract::{ListedRun, Range, RunPaths, Window, list_query};
use crate::json::Node;
use crate::listing::Listing;
use crate::run::encode_id;
use crate::tables::{Mapping, RUNS};
use crate::time::Timestamp;

/// Tolerance for the clocks of the API: a run may state a start this much before its dispatch.
pub(super) const MARGIN: Duration = Duration::from_mins(1);

/// The same for runs that are found by their start alone: as short as clocks and latencies allow.
const CLOSE_MARGIN: Duration = Duration::from_secs(10);

/// How often a dispatch without an answer is sent.
const MOST_SENT: u32 = 3;

/// How often the list is read for runs that an answer does not name.
const MOST_LOOKS: u32 = 6;

/// Maximum number of pages of the list that are read for one look.
const MOST_PAGES: u32 = 20;

/// Maximum number of runs whose detail is searched for the idempotency key.
const MOST_DETAILS: usize = 5;

/// Dispatches the runs of one gate.
#[derive(Debug)]
pub(super) struct Dispatcher<'a> {
    pub(super) client: &'a Client,
    pub(super) mapping: &'a Mapping,
    pub(super) paths: &'a RunPaths,
    pub(super) progress: &'a Progress,
    /// Identifies the CI run; from it, the workflow and the repetition, idempotency keys are made.
    pub(super) identity: &'a str,
    /// The `reason` of each dispatch.
    pub(super) reason: &'a str,
    /// When the gate began, by the server's clock.
    pub(super) began: Timestamp,
    /// The runs that dispatches of this gate have returned.
    pub(super) claimed: HashSet<String>,
    /// The pause after the first unknown outcome, or the first look at the list; it doubles.
    pub(super) pause: Duration,
}

/// A dispatch that ended with an error.
#[derive(Debug)]
pub(super) struct DispatchFailure {
    /// Why.
    pub(super) error: GateError,
    /// Whether it may have started a run nevertheless.
    pub(super) may_have_run: bool,
}

/// What a dispatch came to.
#[derive(Debug)]
pub(super) enum Dispatch {
    /// Runs that no other dispatch of this gate returned.
    Runs(Vec<DispatchedRun>),
    /// Runs that no answer names, and that must be the dispatched ones by their number.
    Inferred(Vec<DispatchedRun>),
    /// No run that is surely the dispatched one; why, in words.
    None(String),
}

/// The idempotency key of a dispatch. A digest: keys must be short and of plain characters, and
/// names must not be in them.
pub(super) fn idempotency_key(identity: &str, workflow_id: &str, repetition: &str) -> String {
    let digest = sha256_hex([identity, workflow_id, repetition].join("\n").as_bytes());
    format!("gate-{}", digest.get(..32).unwrap_or(&digest))
}

impl Dispatcher<'_> {
    /// Dispatches a workflow. `repetition` names the dispatch, such as `2` or `2 again`.
    ///
    /// # Errors
    /// [`DispatchFailure`] if the API refuses, or cannot be reached.
    pub(super) async fn dispatch(
        &mut self,
        workflow: &Workflow,
        repetition: &str,
    ) -> Result<Dispatch, DispatchFailure> {
        let mut may_have_run = false;
        let dispatched = self.dispatch_until_known(workflow, repetition, &mut may_have_run).await;
        dispatched.map_err(|error| DispatchFailure { error, may_have_run })
    }

    /// Sets `may_have_run` as soon as a request was sent of which it is not known that it started
    /// no run. It stays set: a later refusal says nothing about the earlier request.
    async fn dispatch_until_known(
        &mut self,
        workflow: &Workflow,
        repetition: &str,
        may_have_run: &mut bool,
    ) -> Result<Dispatch, GateError> {
        let key = idempotency_key(self.identity, &workflow.name.id, repetition);
        let mut pause = self.pause;
        let mut sent = 0;
        let mut is_forced = false;
        loop {
            sent += 1;
            let answer = match self.send(workflow, &key, is_forced).await {
                Ok(PostResult::Refused { status: 409, code, message }) if sent > 1 => {
                    // The key is still in use by the request whose answer was lost.
                    let reason = format!("answered 409{}", said(code.as_ref(), message.as_ref()));
                    Ok(PostResult::Unknown { reason, wait: None })
                }
                Err(error) if error.may_have_arrived => {
                    *may_have_run = true;
                    Err(error)
                }
                answer => answer,
            };
            match sent_of(workflow, answer.map_err(|error| error.error)?)? {
                Sent::Named(runs) => {
                    let new = runs.into_iter().filter(|run| !self.claimed.contains(&run.run_id));
                    let new: Vec<DispatchedRun> = new.collect();
                    if !new.is_empty() {
                        self.claim(&new);
                        return Ok(Dispatch::Runs(new));
                    }
                    // The API takes this dispatch for an earlier one. The documented way to insist:
                    if is_forced {
                        let text = "the API returned the run of another repetition";
                        return Ok(Dispatch::None(text.to_owned()));
                    }
                    is_forced = true;
                    sent = 0;
                }
                Sent::Unnamed { date } => {
                    *may_have_run = true;
                    let earliest = date.map_or(self.began - MARGIN, |date| date - CLOSE_MARGIN);
                    return self.find_unnamed(workflow, &key, earliest).await;
                }
                Sent::Unknown { reason, wait } => {
                    *may_have_run = true;
                    let name = plain(workflow.name.shown());
                    let reason = plain(&reason);
                    self.progress.emit(GateEvent::OutcomeUnknown { reason: reason.clone() });
                    self.sleep(wait.unwrap_or_default().max(pause)).await?;
                    pause *= 2;
                    let candidates = self.candidates(workflow, self.began - MARGIN).await?;
                    let shown = self.with_key(&candidates, &key).await?;
                    if !shown.is_empty() {
                        self.claim(&shown);
                        return Ok(Dispatch::Runs(shown));
                    }
                    if sent >= MOST_SENT {
                        return Err(GateError::NoAnswer { workflow: name, attempts: sent, reason });
                    }
                }
            }
        }
    }

    fn claim(&mut self, runs: &[DispatchedRun]) {
        self.claimed.extend(runs.iter().map(|run| run.run_id.clone()));
    }

    async fn send(
        &self,
        workflow: &Workflow,
        key: &str,
        is_forced: bool,
    ) -> Result<PostResult, PostError> {
        let path = format!("/workflows/{}/runs", encode_id(&workflow.name.id));
        let mut body = json!({"reason": self.reason, "idempotencyKey": key});
        // What is forced must not be taken for the repetition of what was not.
        let forced_key = format!("{key}-forced");
        let key = if is_forced { &forced_key } else { key };
        if is_forced {
            body = json!({"reason": self.reason, "idempotencyKey": key, "forceNewRun": true});
        }
        let body = body.to_string();
        self.client.post(Post { path: &path, body: &body, idempotency_key: key }).await
    }

    /// Finds the runs of a dispatch that succeeded, and whose answer names none. They began no
    /// earlier than `earliest`.
    async fn find_unnamed(
        &mut self,
        workflow: &Workflow,
        key: &str,
        earliest: Timestamp,
    ) -> Result<Dispatch, GateError> {
        self.progress.emit(GateEvent::Unnamed);
        let expected = workflow.models.unwrap_or(1);
        let mut pause = self.pause;
        // What is counted must be there twice: a foreign run may be listed before the dispatched
        // one.
        let mut seen_before = HashSet::new();
        for look in 1..=MOST_LOOKS {
            let candidates = self.candidates(workflow, earliest).await?;
            let shown = self.with_key(&candidates, key).await?;
            if shown.len() >= expected || (look == MOST_LOOKS && !shown.is_empty()) {
                self.claim(&shown);
                return Ok(Dispatch::Runs(shown));
            }
            let seen: HashSet<String> = candidates.iter().map(|run| run.run_id.clone()).collect();
            let is_stable = seen == seen_before;
            seen_before = seen;
            if shown.is_empty() && candidates.len() == expected && is_stable {
                let runs = candidates.iter().map(|run| self.dispatched(run));
                let runs: Vec<DispatchedRun> = runs.collect();
                self.claim(&runs);
                return Ok(Dispatch::Inferred(runs));
            }
            if shown.is_empty() && candidates.len() > expected {
                let number = candidates.len();
                let text = format!(
                    "the API named no run, and {number} runs of the workflow began since: nothing \
                     tells whose they are"
                );
                return Ok(Dispatch::None(text));
            }
            if look < MOST_LOOKS {
                self.sleep(pause).await?;
                pause *= 2;
            }
        }
        Ok(Dispatch::None("the API named no run, and none was listed since".to_owned()))
    }

    /// Runs of the workflow that may be those of a dispatch: started no earlier than `earliest`,
    /// not on the workflow's schedule, and not returned by another dispatch.
    async fn candidates(
        &self,
        workflow: &Workflow,
        earliest: Timestamp,
    ) -> Result<Vec<ListedRun>, GateError> {
        let id = &workflow.name.id;
        let window =
            Window { range: Range::Day, from: earliest, until: self.began, known_before: None };
        let query = list_query(window, &Filters::default(), Some(id), self.paths);
        let mut listing = Listing::new(self.client.clone(), Events::none(), query);
        let mut found = Vec::new();
        while listing.pages() < MOST_PAGES {
            let Some(page) = listing.next().await? else { break };
            let runs = page.new.into_iter().map(|row| ListedRun::read(row, self.paths));
            let runs: Vec<ListedRun> = runs.collect();
            // The usual order is from new to old: a page of old runs is the last that matters.
            let is_old = |run: &ListedRun| run.started_at.is_some_and(|start| start < earliest);
            let is_last = !runs.is_empty() && runs.iter().all(is_old);
            found.extend(runs.into_iter().filter(|run| !is_old(run) && self.is_candidate(run, id)));
            if is_last {
                break;
            }
        }
        Ok(found)
    }

    fn is_candidate(&self, run: &ListedRun, workflow_id: &str) -> bool {
        let is_of_workflow = run.workflow_id(self.paths).is_none_or(|id| id == workflow_id);
        let trigger = Node::from_validated(&run.body)
            .and_then(|row| column_text(row, self.mapping, &RUNS, "trigger_type"));
        let is_scheduled =
            trigger.is_some_and(|trigger| trigger.to_ascii_lowercase().starts_with("schedul"));
        is_of_workflow && !is_scheduled && !self.claimed.contains(&run.run_id)
    }

    /// The candidates that show the idempotency key, in their row of the list or in their detail.
    async fn with_key(
        &self,
        candidates: &[ListedRun],
        key: &str,
    ) -> Result<Vec<DispatchedRun>, ApiError> {
        let mut found = Vec::new();
        for (number, run) in candidates.iter().enumerate() {
            let is_it = if holds_text(&run.body, key) {
                true
            } else if number < MOST_DETAILS {
                let path = format!("/runs/{}", encode_id(&run.run_id));
                match self.client.get(&path, &[]).await? {
                    FetchResult::Body(detail) => holds_text(&detail.body, key),
                    _ => false,
                }
            } else {
                false
            };
            if is_it {
                found.push(self.dispatched(run));
            }
        }
        Ok(found)
    }

    fn dispatched(&self, run: &ListedRun) -> DispatchedRun {
        let row = Node::from_validated(&run.body);
        let of = |name| row.and_then(|row| column_text(row, self.mapping, &RUNS, name));
        let (model, harness) = (of("model"), of("harness"));
        DispatchedRun { run_id: run.run_id.clone(), model, harness }
    }

    async fn sleep(&self, time: Duration) -> Result<(), ApiError> {
        self.client.sleep(time).await
    }
}

/// What a request came to, or why the API did not dispatch the workflow. The API's texts are made
/// [`plain`].
fn sent_of(workflow: &Workflow, result: PostResult) -> Result<Sent, GateError> {
    let name = plain(workflow.name.shown());
    let shown = |text: Option<String>| text.map(|text| plain(&text));
    match result {
        PostResult::Done { body, location, date } => {
            let runs = dispatched_runs(&body, location.as_deref(), &workflow.name.id);
            Ok(if runs.is_empty() { Sent::Unnamed { date } } else { Sent::Named(runs) })
        }
        PostResult::Unknown { reason, wait } => Ok(Sent::Unknown { reason, wait }),
        PostResult::Refused { status: status @ (401 | 403), code, message } => {
            let (code, message) = (shown(code), shown(message));
            Err(GateError::MayNotDispatch { workflow: name, status, code, message })
        }
        PostResult::Refused { status, code, message } => {
            let (code, message) = (shown(code), shown(message));
            Err(GateError::Rejected { workflow: name, status, code, message })
        }
        PostResult::Blocked { trace } => {
            Err(GateError::Blocked { workflow: name, trace: shown(trace) })
        }
        PostResult::NotSent { attempts, reason } => {
            Err(GateError::NotSent { workflow: name, attempts, reason: plain(&reason) })
        }
        PostResult::RateLimited { wait } => Err(GateError::RateLimited { workflow: name, wait }),
    }
}

/// What one request came to.
enum Sent {
    /// The answer names runs.
    Named(Vec<DispatchedRun>),
    /// A success, whose answer names no run, and the server's clock then.
    Unnamed { date: Option<Timestamp> },
    /// Whether runs were dispatched is not known.
    Unknown { reason: String, wait: Option<Duration> },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_differ_by_run_workflow_and_repetition_and_by_nothing_else() {
        let key = idempotency_key("ci 1", "wf", "1");
        assert_eq!(key, idempotency_key("ci 1", "wf", "1"));
        let others = [
            ("ci 2", "wf", "1"),
            ("ci 1", "wg", "1"),
            ("ci 1", "wf", "2"),
            ("ci 1", "wf", "1 again"),
        ];
        for (identity, workflow, repetition) in others {
            assert_ne!(key, idempotency_key(identity, workflow, repetition));
        }
        assert_eq!(key.len(), 37);
        assert!(key.bytes().all(|letter| letter.is_ascii_graphic()));
    }
}
