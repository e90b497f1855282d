//! Maps the outcomes of the fan-out to transitions of the ledger's state machine, and counts them.

use std::sync::Arc;

use crate::extract::{FetchTask, ListedRun, TaskOutcome};
use crate::ledger::{Change, FetchOutcome, Observed, RecheckPolicy, Transition};

use super::report::RunCounts;

/// The step that an outcome makes, if its rows join the commit of this number. Also counts it.
pub(super) fn transition(
    policy: &RecheckPolicy,
    task: &FetchTask,
    outcome: &TaskOutcome,
    commit: u64,
    counts: &mut RunCounts,
) -> Transition {
    if let TaskOutcome::Complete { documents, .. } = outcome {
        counts.partial += u64::from(documents.is_partial());
    }
    let listed = task.listed.as_ref().map(observed);
    let step =
        policy.transition(task.known.as_ref(), listed.as_ref(), fetch_outcome(outcome, commit));
    count(counts, step.change);
    step
}

/// What a row or a detail states about its run.
pub(super) fn observed(run: &ListedRun) -> Observed {
    Observed {
        status: run.status.as_deref().map(Arc::from),
        started_at: run.started_at,
        ended_at: run.ended_at,
        fingerprint: run.fingerprint,
    }
}

/// The run as it was last seen, if it is open or waiting, under the id by which it was requested.
pub(super) fn shown_open(task: &FetchTask, outcome: &TaskOutcome) -> Option<ListedRun> {
    match outcome {
        TaskOutcome::Open { seen } | TaskOutcome::Waiting { seen } => {
            Some(ListedRun { run_id: task.run_id.clone(), ..seen.clone() })
        }
        _ => None,
    }
}

fn fetch_outcome(outcome: &TaskOutcome, commit: u64) -> FetchOutcome {
    match outcome {
        TaskOutcome::Complete { run, documents, content_fingerprint, is_same } => {
            FetchOutcome::Complete {
                status: run.status.as_deref().map(Arc::from),
                started_at: run.started_at,
                ended_at: run.ended_at,
                commit,
                revision: run.revision,
                documents: *documents,
                content_fingerprint: *content_fingerprint,
                is_same: *is_same,
            }
        }
        TaskOutcome::Open { seen } => FetchOutcome::Open(observed(seen)),
        TaskOutcome::Waiting { seen } => FetchOutcome::Waiting(observed(seen)),
        TaskOutcome::StillUnevaluated { is_pending } => {
            FetchOutcome::StillUnevaluated { is_pending: *is_pending }
        }
        TaskOutcome::Absent => FetchOutcome::Absent,
        TaskOutcome::Failed { documents, error } => {
            FetchOutcome::Failed { documents: *documents, problem: error.to_string().into() }
        }
    }
}

fn count(counts: &mut RunCounts, change: Change) {
    let counter = match change {
        Change::Unchanged => &mut counts.unchanged,
        Change::New => &mut counts.new,
        Change::Changed => &mut counts.changed,
        Change::Open => &mut counts.open,
        Change::Waiting => &mut counts.waiting,
        Change::Failed => &mut counts.failed,
        Change::Absent => &mut counts.absent,
        Change::Gone => return,
    };
    *counter += 1;
}
