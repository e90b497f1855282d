//! What becomes of each run in the ledger, and how many of each there were.

use std::sync::Arc;

use crate::extract::{ListedRun, Outcome, Wanted};
use crate::ledger::{ABSENT_SYNCS, DocumentStates, Entry, RunState};

use crate::run::DocumentState;

use super::report::RunCounts;

/// The times that decide when to ask again, in microseconds by the server's clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    pub(super) now: i64,
    pub(super) evaluation_grace: i64,
    pub(super) evaluation_recheck: i64,
}

/// Why a listed run is absent, as `status` names it.
const ABSENT: &str = "the API lists it, and answers `GET /runs/{id}` with 404";

/// What an outcome changes.
#[derive(Debug, Default)]
pub(super) struct Effect {
    /// The run's new entry; `None` where the ledger stays as it is.
    pub(super) entry: Option<Entry>,
    /// Whether the run's rows are to be written.
    pub(super) export: bool,
    /// The run as it shows while it is open.
    pub(super) open: Option<ListedRun>,
}

impl Patience {
    /// A listed run that has not ended.
    pub(super) fn open(&self, seen: ListedRun, known: Option<&Entry>) -> Effect {
        self.unfinished(seen, known, RunState::Open)
    }

    /// What an outcome means; counts it too.
    pub(super) fn effect(
        &self,
        wanted: &Wanted,
        outcome: &Outcome,
        counts: &mut RunCounts,
    ) -> Effect {
        let known = wanted.known.as_ref();
        let exported = known.is_some_and(|entry| entry.revision > 0);
        if let Outcome::Complete { documents, .. } = outcome {
            counts.partial += u64::from(documents.is_partial());
        }
        match outcome {
            // Its rows stay as they are; the next sync looks at it again.
            Outcome::Open { .. } | Outcome::Waiting { .. } if exported => {
                counts.unchanged += 1;
                Effect::default()
            }
            Outcome::Complete { is_same: true, documents, .. } => {
                counts.unchanged += 1;
                let entry = known.map(|known| Entry {
                    row_fingerprint: row_fingerprint(wanted, known),
                    check_at: self.next_check(*documents, known.ended_at, known.first_listed_at),
                    documents: *documents,
                    state: RunState::Exported,
                    failures: 0,
                    problem: None,
                    ..known.clone()
                });
                Effect { entry, ..Effect::default() }
            }
            Outcome::Complete { run, documents, content_fingerprint, .. } => {
                let first = run.revision == 1;
                let first_listed_at = known.map_or(self.now, |entry| entry.first_listed_at);
                counts.new += u64::from(first);
                counts.changed += u64::from(!first);
                let entry = Entry {
                    status: run.status.as_deref().map(Arc::from),
                    started_at: run.started_at,
                    ended_at: run.ended_at,
                    content_fingerprint: *content_fingerprint,
                    revision: run.revision,
                    documents: *documents,
                    failures: 0,
                    check_at: self.next_check(*documents, run.ended_at, first_listed_at),
                    problem: None,
                    // The commit that will hold the rows is not known yet.
                    commit: 0,
                    ..self.entry(wanted, RunState::Exported)
                };
                Effect { entry: Some(entry), export: true, open: None }
            }
            Outcome::Open { seen } => {
                counts.open += 1;
                self.unfinished(with_id(seen, wanted), known, RunState::Open)
            }
            Outcome::Waiting { seen } => {
                counts.waiting += 1;
                self.unfinished(with_id(seen, wanted), known, RunState::Waiting)
            }
            Outcome::StillUnevaluated { is_pending } => {
                counts.unchanged += 1;
                let entry = known.map(|known| self.unevaluated(wanted, known, *is_pending));
                Effect { entry, ..Effect::default() }
            }
            Outcome::Absent => match known.filter(|_| exported) {
                Some(known) => exported_and_absent(wanted, known, counts),
                None => self.absent(wanted, counts),
            },
            Outcome::Failed { documents, error } => {
                counts.failed += 1;
                let entry = Entry {
                    documents: *documents,
                    failures: known.map_or(0, |entry| entry.failures).saturating_add(1),
                    problem: Some(error.to_string().into()),
                    ..self.entry(wanted, RunState::Failed)
                };
                Effect { entry: Some(entry), ..Effect::default() }
            }
        }
    }

    /// The entry of an exported run that has no evaluation yet.
    fn unevaluated(&self, wanted: &Wanted, known: &Entry, is_pending: bool) -> Entry {
        let documents = waiting(known, is_pending);
        Entry {
            check_at: self.next_check(documents, known.ended_at, known.first_listed_at),
            row_fingerprint: row_fingerprint(wanted, known),
            ..known.clone()
        }
    }

    /// A run that the list shows, or showed, and whose details were never found.
    fn absent(&self, wanted: &Wanted, counts: &mut RunCounts) -> Effect {
        let known = wanted.known.as_ref();
        // One that is not listed any more, and was not absent before, is gone. A run that had ended
        // and is now lost is reported once.
        let state_before = known.map(|entry| entry.state);
        let was_absent = state_before == Some(RunState::Absent);
        let is_gone = wanted.listed.is_none() && !was_absent;
        counts.absent += u64::from(!is_gone || state_before != Some(RunState::Open));
        let absences = known.filter(|_| was_absent).map_or(0, |entry| entry.failures);
        let failures = if is_gone { ABSENT_SYNCS } else { absences.saturating_add(1) };
        let entry = Entry {
            documents: known.map(|entry| entry.documents).unwrap_or_default(),
            failures,
            problem: Some(ABSENT.into()),
            ..self.entry(wanted, RunState::Absent)
        };
        Effect { entry: Some(entry), ..Effect::default() }
    }

    fn unfinished(&self, seen: ListedRun, known: Option<&Entry>, state: RunState) -> Effect {
        let entry = Entry {
            state,
            status: seen.status.as_deref().map(Arc::from),
            started_at: seen.started_at,
            ended_at: seen.ended_at,
            first_listed_at: known.map_or(self.now, |entry| entry.first_listed_at),
            row_fingerprint: seen.fingerprint,
            content_fingerprint: 0,
            revision: 0,
            commit: 0,
            documents: DocumentStates::default(),
            failures: 0,
            check_at: None,
            problem: None,
        };
        let entry = (known != Some(&entry)).then_some(entry);
        Effect { entry, export: false, open: Some(seen) }
    }

    /// An entry with what the wanted run tells of itself.
    fn entry(&self, wanted: &Wanted, state: RunState) -> Entry {
        let (listed, known) = (wanted.listed.as_ref(), wanted.known.as_ref());
        Entry {
            state,
            status: listed
                .and_then(|run| run.status.as_deref().map(Arc::from))
                .or_else(|| known.and_then(|entry| entry.status.clone())),
            started_at: listed.and_then(|run| run.started_at).or(known.and_then(|e| e.started_at)),
            ended_at: listed.and_then(|run| run.ended_at).or(known.and_then(|e| e.ended_at)),
            first_listed_at: known.map_or(self.now, |entry| entry.first_listed_at),
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

    /// When to ask again for an evaluation that was not there, or for rows that did not come: ever
    /// less often, after as long as the wait lasts already, and not for ever. The wait for an
    /// evaluation begins with the run's end, that for rows when the run was first listed.
    fn next_check(
        &self,
        documents: DocumentStates,
        ended_at: Option<i64>,
        first_listed_at: i64,
    ) -> Option<i64> {
        let since = |moment: Option<i64>| moment.map_or(0, |at| self.now.saturating_sub(at)).max(0);
        let age = match (documents.is_partial(), documents.has_evaluation()) {
            (false, true) => return None,
            (true, _) => since(Some(first_listed_at)),
            (false, false) => since(ended_at),
        };
        // What the API says is being made is asked for at the next sync.
        let is_pending = documents.evaluation == DocumentState::Pending;
        let pause = if is_pending { 0 } else { age.max(self.evaluation_grace) };
        (age < self.evaluation_recheck).then(|| self.now.saturating_add(pause))
    }
}

/// A run whose rows stay as they are: absence never deletes.
fn exported_and_absent(wanted: &Wanted, known: &Entry, counts: &mut RunCounts) -> Effect {
    let settled = Entry {
        state: RunState::Exported,
        failures: 0,
        check_at: None,
        problem: None,
        ..known.clone()
    };
    // One that is not listed any more either is only gone.
    let entry = if wanted.listed.is_none() {
        counts.unchanged += 1;
        settled
    } else {
        counts.absent += 1;
        Entry {
            // Without a fingerprint of its row, it is asked for whenever it is listed.
            row_fingerprint: 0,
            failures: if known.is_absent() { known.failures.saturating_add(1) } else { 1 },
            problem: Some(ABSENT.into()),
            ..settled
        }
    };
    Effect { entry: Some(entry), ..Effect::default() }
}

/// The documents of a run that still has no evaluation.
fn waiting(known: &Entry, is_pending: bool) -> DocumentStates {
    let evaluation = if is_pending { DocumentState::Pending } else { DocumentState::Absent };
    DocumentStates { evaluation, ..known.documents }
}

fn with_id(seen: &ListedRun, wanted: &Wanted) -> ListedRun {
    ListedRun { run_id: wanted.run_id.clone(), ..seen.clone() }
}

fn row_fingerprint(wanted: &Wanted, known: &Entry) -> u64 {
    wanted.listed.as_ref().map_or(known.row_fingerprint, |run| run.fingerprint)
}
