//! The state machine of a run: which ledger entry follows from an attempt to export it.
//!
//! A pure function of the entry before, the run's row in the list and the outcome of the fetch, so
//! that every combination can be tested without a server.

use std::sync::Arc;
use std::time::Duration;

use super::entry::{ABSENT_SYNCS, DocumentStates, Entry, RunState};
use crate::run::DocumentState;
use crate::time::Timestamp;

/// When to request again what is missing: late-arriving data, mostly evaluations.
#[derive(Clone, Copy, Debug)]
pub struct RecheckPolicy {
    /// When the sync began, by the server's clock.
    pub now: Timestamp,
    /// The shortest pause between two requests for a missing evaluation
    /// (`sync.evaluation_grace_secs`).
    pub evaluation_grace: Duration,
    /// How long a missing evaluation, or missing rows, are requested again
    /// (`sync.evaluation_recheck_secs`).
    pub evaluation_recheck: Duration,
}

/// What a row of the list, or a run's detail, states about the run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// The status as the API sends it.
    pub status: Option<Arc<str>>,
    /// The start, by the server's clock.
    pub started_at: Option<Timestamp>,
    /// The end, by the server's clock.
    pub ended_at: Option<Timestamp>,
    /// Fingerprint of the body.
    pub fingerprint: u64,
}

/// The outcome of fetching one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchOutcome {
    /// All documents are there, as far as they exist.
    Complete {
        /// The status that they state.
        status: Option<Arc<str>>,
        /// The start that they state, by the server's clock.
        started_at: Option<Timestamp>,
        /// The end that they state, by the server's clock.
        ended_at: Option<Timestamp>,
        /// The commit that will hold the run's rows.
        commit: u64,
        /// The revision that its rows will have; 1 for the first export.
        revision: i64,
        /// State of each document.
        documents: DocumentStates,
        /// Fingerprint of the documents.
        content_fingerprint: u64,
        /// Whether the documents equal those of the last export.
        is_same: bool,
    },
    /// The run has not ended.
    Open(Observed),
    /// The run has ended, and its evaluation may still come.
    Waiting(Observed),
    /// The run was exported without its evaluation, which is still missing.
    StillUnevaluated {
        /// Whether the API states that the evaluation is in progress.
        is_pending: bool,
    },
    /// The API returns 404 for the run's id.
    Absent,
    /// A document could not be fetched.
    Failed {
        /// State of each document.
        documents: DocumentStates,
        /// The error, without any value from a body.
        problem: Arc<str>,
    },
}

/// What an outcome means for the run, as reports count it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It stays as it was exported.
    Unchanged,
    /// It is exported for the first time.
    New,
    /// It is exported again, at a higher revision.
    Changed,
    /// It has not ended.
    Open,
    /// It waits for its evaluation.
    Waiting,
    /// It is fetched again by the next sync.
    Failed,
    /// It is listed, and the API does not know its id.
    Absent,
    /// It was open, and the API neither lists nor knows it any more.
    Gone,
}

/// A step of the state machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The new entry; `None` if the entry before stays.
    pub entry: Option<Entry>,
    /// What the step means.
    pub change: Change,
}

/// The problem of an absent run, as `status` shows it.
const ABSENT: &str = "the API lists it, and answers `GET /runs/{id}` with 404";

impl RecheckPolicy {
    /// The step from the entry `known`, for a run that the list shows as `listed`.
    pub fn transition(
        &self,
        known: Option<&Entry>,
        listed: Option<&Observed>,
        outcome: FetchOutcome,
    ) -> Transition {
        let exported = known.filter(|entry| entry.revision > 0);
        match outcome {
            // An exported run that is open again is a contradiction of the server: its rows stay,
            // and the next sync checks again.
            FetchOutcome::Open(_) | FetchOutcome::Waiting(_) if exported.is_some() => {
                Transition { entry: None, change: Change::Unchanged }
            }
            FetchOutcome::Open(seen) => self.unfinished(seen, known, RunState::Open, Change::Open),
            FetchOutcome::Waiting(seen) => {
                self.unfinished(seen, known, RunState::Waiting, Change::Waiting)
            }
            FetchOutcome::Complete { is_same: true, documents, .. } => {
                let entry = known.map(|known| Entry {
                    row_fingerprint: row_fingerprint(listed, known),
                    check_at: self.next_check(documents, known.ended_at, known.first_listed_at),
                    documents,
                    ..settled(known)
                });
                Transition { entry, change: Change::Unchanged }
            }
            FetchOutcome::Complete {
                status,
                started_at,
                ended_at,
                commit,
                revision,
                documents,
                content_fingerprint,
                is_same: false,
            } => {
                let first_listed_at = self.first_listed_at(known);
                let entry = Entry {
                    check_at: self.next_check(documents, ended_at, first_listed_at),
                    status,
                    started_at,
                    ended_at,
                    content_fingerprint,
                    revision,
                    documents,
                    commit,
                    ..self.entry(known, listed, RunState::Exported)
                };
                let change = if revision == 1 { Change::New } else { Change::Changed };
                Transition { entry: Some(entry), change }
            }
            FetchOutcome::StillUnevaluated { is_pending } => {
                let entry = known.map(|known| self.unevaluated(listed, known, is_pending));
                Transition { entry, change: Change::Unchanged }
            }
            FetchOutcome::Absent => match exported {
                Some(known) => exported_and_absent(listed, known),
                None => self.absent(known, listed),
            },
            FetchOutcome::Failed { documents, problem } => {
                let entry = Entry {
                    documents,
                    failures: known.map_or(0, |entry| entry.failures).saturating_add(1),
                    problem: Some(problem),
                    ..self.entry(known, listed, RunState::Failed)
                };
                Transition { entry: Some(entry), change: Change::Failed }
            }
        }
    }

    fn first_listed_at(&self, known: Option<&Entry>) -> Timestamp {
        known.map_or(self.now, |entry| entry.first_listed_at)
    }

    /// An exported run whose evaluation is still missing.
    fn unevaluated(&self, listed: Option<&Observed>, known: &Entry, is_pending: bool) -> Entry {
        let evaluation = if is_pending { DocumentState::Pending } else { DocumentState::Absent };
        let documents = DocumentStates { evaluation, ..known.documents };
        Entry {
            check_at: self.next_check(documents, known.ended_at, known.first_listed_at),
            row_fingerprint: row_fingerprint(listed, known),
            ..known.clone()
        }
    }

    /// A run that is or was listed, and whose detail was never found.
    fn absent(&self, known: Option<&Entry>, listed: Option<&Observed>) -> Transition {
        let before = known.map(|entry| entry.state);
        let was_absent = before == Some(RunState::Absent);
        // A run that left the list and was found before was deleted: nothing is left to retry.
        let is_gone = listed.is_none() && !was_absent;
        let absences = known.filter(|_| was_absent).map_or(0, |entry| entry.failures);
        let entry = Entry {
            documents: known.map(|entry| entry.documents).unwrap_or_default(),
            failures: if is_gone { ABSENT_SYNCS } else { absences.saturating_add(1) },
            problem: Some(ABSENT.into()),
            ..self.entry(known, listed, RunState::Absent)
        };
        // A run that had ended and is lost before its export is reported once.
        let is_silent = is_gone && before == Some(RunState::Open);
        let change = if is_silent { Change::Gone } else { Change::Absent };
        Transition { entry: Some(entry), change }
    }

    fn unfinished(
        &self,
        seen: Observed,
        known: Option<&Entry>,
        state: RunState,
        change: Change,
    ) -> Transition {
        let entry = Entry {
            state,
            status: seen.status,
            started_at: seen.started_at,
            ended_at: seen.ended_at,
            first_listed_at: self.first_listed_at(known),
            row_fingerprint: seen.fingerprint,
            content_fingerprint: 0,
            revision: 0,
            commit: 0,
            documents: DocumentStates::default(),
            failures: 0,
            check_at: None,
            problem: None,
        };
        // Thousands of open runs are unchanged at each sync: their entries are not written again.
        let entry = (known != Some(&entry)).then_some(entry);
        Transition { entry, change }
    }

    /// An entry with what the list states, completed by what was known.
    fn entry(&self, known: Option<&Entry>, listed: Option<&Observed>, state: RunState) -> Entry {
        Entry {
            state,
            status: listed
                .and_then(|run| run.status.clone())
                .or_else(|| known.and_then(|entry| entry.status.clone())),
            started_at: listed.and_then(|run| run.started_at).or(known.and_then(|e| e.started_at)),
            ended_at: listed.and_then(|run| run.ended_at).or(known.and_then(|e| e.ended_at)),
            first_listed_at: self.first_listed_at(known),
            row_fingerprint: listed.map_or(0, |run| run.fingerprint),
            content_fingerprint: known.map_or(0, |entry| entry.content_fingerprint),
            revision: known.map_or(0, |entry| entry.revision),
            commit: known.map_or(0, |entry| entry.commit),
            documents: DocumentStates::default(),
            failures: 0,
            check_at: None,
            problem: None,
        }
    }

    /// When to request a missing evaluation or missing rows again; `None` for never. The pause
    /// grows with the time waited so far, so that a run costs few requests however long it waits.
    /// The wait for an evaluation starts at the run's end, that for rows when the run was first
    /// listed.
    fn next_check(
        &self,
        documents: DocumentStates,
        ended_at: Option<Timestamp>,
        first_listed_at: Timestamp,
    ) -> Option<Timestamp> {
        let since =
            |moment: Option<Timestamp>| moment.map_or(Duration::ZERO, |at| self.now.since(at));
        let age = match (documents.is_partial(), documents.has_evaluation()) {
            (false, true) => return None,
            (true, _) => since(Some(first_listed_at)),
            (false, false) => since(ended_at),
        };
        // An evaluation that the API states to be in progress is requested at the next sync.
        let is_pending = documents.evaluation == DocumentState::Pending;
        let pause = if is_pending { Duration::ZERO } else { age.max(self.evaluation_grace) };
        (age < self.evaluation_recheck).then(|| self.now + pause)
    }
}

/// An exported run with no failure and nothing to request.
fn settled(known: &Entry) -> Entry {
    Entry { state: RunState::Exported, failures: 0, check_at: None, problem: None, ..known.clone() }
}

/// An exported run that returned 404: its rows stay, as a 404 never deletes them.
fn exported_and_absent(listed: Option<&Observed>, known: &Entry) -> Transition {
    let settled = settled(known);
    // One that is not listed any more either was deleted.
    if listed.is_none() {
        return Transition { entry: Some(settled), change: Change::Unchanged };
    }
    let entry = Entry {
        // Without a fingerprint of its row it is fetched whenever it is listed.
        row_fingerprint: 0,
        failures: if known.is_absent() { known.failures.saturating_add(1) } else { 1 },
        problem: Some(ABSENT.into()),
        ..settled
    };
    Transition { entry: Some(entry), change: Change::Absent }
}

fn row_fingerprint(listed: Option<&Observed>, known: &Entry) -> u64 {
    listed.map_or(known.row_fingerprint, |run| run.fingerprint)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);
    const NOW: Timestamp = Timestamp::from_micros(1_000 * 3_600_000_000);

    const POLICY: RecheckPolicy = RecheckPolicy {
        now: NOW,
        evaluation_grace: HOUR,
        evaluation_recheck: Duration::from_hours(7 * 24),
    };

    fn observed(fingerprint: u64) -> Observed {
        Observed {
            status: Some("pass".into()),
            started_at: Some(NOW - HOUR * 3),
            ended_at: Some(NOW - HOUR * 2),
            fingerprint,
        }
    }

    fn documents(evaluation: DocumentState) -> DocumentStates {
        let ok = DocumentState::Ok;
        DocumentStates { detail: ok, trace: ok, evaluation, tool_calls: ok }
    }

    fn entry(state: RunState, revision: i64, evaluation: DocumentState, failures: u32) -> Entry {
        let exported = revision > 0;
        Entry {
            state,
            status: Some("pass".into()),
            started_at: Some(NOW - HOUR * 3),
            ended_at: Some(NOW - HOUR * 2),
            first_listed_at: NOW - HOUR * 3,
            row_fingerprint: 1,
            content_fingerprint: if exported { 7 } else { 0 },
            revision,
            commit: if exported { 4 } else { 0 },
            documents: if exported { documents(evaluation) } else { DocumentStates::default() },
            failures,
            check_at: None,
            problem: (failures > 0).then(|| "before".into()),
        }
    }

    /// Every entry that a run can have before a sync.
    fn entries() -> Vec<(&'static str, Option<Entry>)> {
        use DocumentState::{Absent, Ok};
        vec![
            ("unknown", None),
            ("open", Some(entry(RunState::Open, 0, Absent, 0))),
            ("waiting", Some(entry(RunState::Waiting, 0, Absent, 0))),
            ("exported", Some(entry(RunState::Exported, 1, Ok, 0))),
            ("unevaluated", Some(entry(RunState::Exported, 1, Absent, 0))),
            ("exported, absent", Some(entry(RunState::Exported, 1, Ok, 2))),
            ("failed", Some(entry(RunState::Failed, 0, Absent, 2))),
            ("exported, failed", Some(entry(RunState::Failed, 1, Ok, 2))),
            ("absent", Some(entry(RunState::Absent, 0, Absent, 2))),
        ]
    }

    fn complete(revision: i64, is_same: bool, evaluation: DocumentState) -> FetchOutcome {
        FetchOutcome::Complete {
            status: Some("pass".into()),
            started_at: Some(NOW - HOUR * 3),
            ended_at: Some(NOW - HOUR * 2),
            commit: 9,
            revision,
            documents: documents(evaluation),
            content_fingerprint: if is_same { 7 } else { 8 },
            is_same,
        }
    }

    /// Every outcome, given the revision of the entry before.
    fn outcomes(revision: i64) -> Vec<(&'static str, FetchOutcome)> {
        use DocumentState::{Absent, Failed, Ok, Partial};
        let mut outcomes = vec![
            ("complete", complete(revision + 1, false, Ok)),
            ("complete, no evaluation", complete(revision + 1, false, Absent)),
            ("complete, rows missing", complete(revision + 1, false, Partial)),
            ("open", FetchOutcome::Open(observed(3))),
            ("waiting", FetchOutcome::Waiting(observed(3))),
            ("404", FetchOutcome::Absent),
            (
                "failed",
                FetchOutcome::Failed { documents: documents(Failed), problem: "500".into() },
            ),
        ];
        if revision > 0 {
            outcomes.push(("the same", complete(revision + 1, true, Ok)));
            let still = |is_pending| FetchOutcome::StillUnevaluated { is_pending };
            outcomes.push(("still unevaluated", still(false)));
            outcomes.push(("evaluation in progress", still(true)));
        }
        outcomes
    }

    fn cell(transition: &Transition) -> String {
        let entry = match &transition.entry {
            None => "stays".to_owned(),
            Some(entry) => {
                let check =
                    entry.check_at.map(|at| format!(" check +{}h", at.since(NOW).as_secs() / 3600));
                let failures =
                    (entry.failures > 0).then(|| format!(" failures {}", entry.failures));
                format!(
                    "{} r{} row {} content {} commit {}{}{}",
                    entry.state.name(),
                    entry.revision,
                    entry.row_fingerprint,
                    entry.content_fingerprint,
                    entry.commit,
                    check.unwrap_or_default(),
                    failures.unwrap_or_default(),
                )
            }
        };
        format!("{:?}: {entry}", transition.change)
    }

    #[test]
    fn every_cell_of_the_state_machine() {
        let mut table = Vec::new();
        for (before, known) in entries() {
            let revision = known.as_ref().map_or(0, |entry| entry.revision);
            for (name, outcome) in outcomes(revision) {
                for listed in [Some(observed(5)), None] {
                    // A run that is not known is only fetched because it is listed.
                    if known.is_none() && listed.is_none() {
                        continue;
                    }
                    let step = POLICY.transition(known.as_ref(), listed.as_ref(), outcome.clone());
                    let where_from = if listed.is_some() { "listed" } else { "not listed" };
                    table.push(format!("{before} | {where_from} | {name} → {}", cell(&step)));
                }
            }
        }
        insta::assert_snapshot!(table.join("\n"));
    }

    /// Rows that are in the tables are never given up, whatever an attempt brings.
    #[test]
    fn an_exported_run_keeps_its_revision_and_its_commit_unless_it_is_exported_again() {
        for (_, known) in entries() {
            let Some(known) = known.filter(|entry| entry.revision > 0) else { continue };
            for (name, outcome) in outcomes(known.revision) {
                for listed in [Some(observed(5)), None] {
                    let step = POLICY.transition(Some(&known), listed.as_ref(), outcome.clone());
                    let after = step.entry.unwrap_or_else(|| known.clone());
                    if step.change == Change::Changed {
                        assert_eq!(
                            (after.revision, after.commit),
                            (known.revision + 1, 9),
                            "{name}"
                        );
                    } else {
                        let kept = (after.revision, after.commit, after.content_fingerprint);
                        let before = (known.revision, known.commit, known.content_fingerprint);
                        assert_eq!(kept, before, "{name}");
                    }
                }
            }
        }
    }
}
