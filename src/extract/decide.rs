//! Decides what to do about a listed run, given its entry in the ledger.

use super::ListedRun;
use crate::ledger::{Entry, RunState};
use crate::run::Phase;
use crate::time::Timestamp;

/// What to do about a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Fetch its documents: it ended and is not in the tables, may have changed, or lacks rows.
    Fetch,
    /// Request its evaluation first; fetch the rest only if it is there or no longer awaited.
    CheckEvaluation,
    /// It has not ended: record it as open.
    Open,
    /// Nothing to do.
    Unchanged,
}

/// Decides about one run. `now` is the server's clock.
pub fn decide(run: &ListedRun, known: Option<&Entry>, now: Timestamp) -> Decision {
    if run.phase(now) == Phase::Open {
        // An exported run that is open again is a contradiction of the server: its rows stay.
        let exported = known.is_some_and(|entry| entry.revision > 0);
        return if exported { Decision::Unchanged } else { Decision::Open };
    }
    let Some(entry) = known else { return Decision::Fetch };
    match entry.state {
        RunState::Open | RunState::Failed | RunState::Absent => Decision::Fetch,
        RunState::Waiting => Decision::CheckEvaluation,
        // The row is the only sign of a change that costs no request.
        RunState::Exported if entry.row_fingerprint != run.fingerprint => Decision::Fetch,
        RunState::Exported if is_check_due(entry, now) && entry.documents.is_partial() => {
            Decision::Fetch
        }
        RunState::Exported if is_check_due(entry, now) => Decision::CheckEvaluation,
        RunState::Exported => Decision::Unchanged,
    }
}

/// Whether the evaluation or the missing rows of an exported run are due for another request.
pub(super) fn is_check_due(entry: &Entry, now: Timestamp) -> bool {
    let is_whole = entry.documents.has_evaluation() && !entry.documents.is_partial();
    !is_whole && entry.check_at.is_some_and(|at| at <= now)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::ledger::DocumentStates;

    fn run(status: &str) -> ListedRun {
        ListedRun {
            run_id: "r".into(),
            status: Some(status.into()),
            started_at: Some(Timestamp::EPOCH),
            ended_at: None,
            body: bytes::Bytes::new(),
            fingerprint: 1,
        }
    }

    /// An entry of a run without times and documents.
    pub(in crate::extract) fn entry(
        state: RunState,
        row_fingerprint: u64,
        check_at: Option<Timestamp>,
    ) -> Entry {
        Entry {
            state,
            status: None,
            started_at: None,
            ended_at: None,
            first_listed_at: Timestamp::EPOCH,
            row_fingerprint,
            content_fingerprint: 0,
            revision: i64::from(state == RunState::Exported),
            commit: 0,
            documents: DocumentStates::default(),
            failures: 0,
            check_at,
            problem: None,
        }
    }

    #[test]
    fn each_state_has_its_next_step() {
        let at = Timestamp::from_micros;
        let decide = |status, known: Option<Entry>| decide(&run(status), known.as_ref(), at(100));
        assert_eq!(decide("pass", None), Decision::Fetch);
        assert_eq!(decide("running", None), Decision::Open);
        assert_eq!(decide("pass", Some(entry(RunState::Open, 1, None))), Decision::Fetch);
        assert_eq!(decide("pass", Some(entry(RunState::Failed, 1, None))), Decision::Fetch);
        assert_eq!(decide("pass", Some(entry(RunState::Absent, 1, None))), Decision::Fetch);
        assert_eq!(
            decide("pass", Some(entry(RunState::Waiting, 1, None))),
            Decision::CheckEvaluation
        );
        assert_eq!(decide("pass", Some(entry(RunState::Exported, 1, None))), Decision::Unchanged);
        assert_eq!(decide("pass", Some(entry(RunState::Exported, 2, None))), Decision::Fetch);
        assert_eq!(
            decide("pass", Some(entry(RunState::Exported, 1, Some(at(100))))),
            Decision::CheckEvaluation
        );
        assert_eq!(
            decide("pass", Some(entry(RunState::Exported, 1, Some(at(101))))),
            Decision::Unchanged
        );
        assert_eq!(
            decide("running", Some(entry(RunState::Exported, 2, None))),
            Decision::Unchanged
        );
    }
}
