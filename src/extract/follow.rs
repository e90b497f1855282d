//! Runs that must be looked at although the sweep did not list them.

use super::Wanted;
use super::decide::is_check_due;
use crate::ledger::{ABSENT_SYNCS, Ledger, RunState};

/// Open and waiting runs, failed ones, those that the API did not know lately, and those that are
/// due for another request for their evaluation or their missing rows: all by id, also long after
/// they left every window.
pub fn unlisted(ledger: &Ledger, is_listed: impl Fn(&str) -> bool, now: i64) -> Vec<Wanted> {
    let mut wanted: Vec<Wanted> = ledger
        .iter()
        .filter(|(_, entry)| match entry.state {
            RunState::Open | RunState::Waiting | RunState::Failed => true,
            RunState::Exported => is_check_due(entry, now),
            RunState::Absent => entry.failures < ABSENT_SYNCS,
        })
        .filter(|(run_id, _)| !is_listed(run_id))
        .map(|(run_id, entry)| Wanted {
            listed: None,
            run_id: run_id.to_owned(),
            only_with_evaluation: entry.state == RunState::Exported
                && !entry.documents.is_partial(),
            known: Some(entry),
        })
        .collect();
    wanted.sort_by_key(|wanted| {
        std::cmp::Reverse(wanted.known.as_ref().and_then(|entry| entry.started_at))
    });
    wanted
}
