//! Carried-over runs: runs that the ledger knows and the scan did not list. They bring late-arriving
//! data, such as an evaluation that is made long after its run has ended.

use super::FetchTask;
use super::decide::is_check_due;
use crate::ledger::{ABSENT_SYNCS, Ledger, LedgerError, RunState};
use crate::time::Timestamp;

/// Open, waiting and failed runs, those that recently returned 404, and those that are due for
/// another request for their evaluation or their missing rows. They are requested by id, even long
/// after they left every window. Newest first.
///
/// # Errors
/// [`LedgerError`] if a part of the ledger cannot be read.
pub fn unlisted(
    ledger: &Ledger,
    is_listed: impl Fn(&str) -> bool,
    now: Timestamp,
) -> Result<Vec<FetchTask>, LedgerError> {
    let mut tasks = Vec::new();
    ledger.for_each_unsettled(now, |run_id, entry| {
        let is_wanted = match entry.state {
            RunState::Open | RunState::Waiting | RunState::Failed => true,
            RunState::Exported => is_check_due(&entry, now),
            RunState::Absent => entry.failures < ABSENT_SYNCS,
        };
        if is_wanted && !is_listed(run_id) {
            tasks.push(FetchTask {
                listed: None,
                run_id: run_id.to_owned(),
                only_with_evaluation: entry.state == RunState::Exported
                    && !entry.documents.is_partial(),
                known: Some(entry),
            });
        }
    })?;
    tasks.sort_by_key(|task| {
        std::cmp::Reverse(task.known.as_ref().and_then(|entry| entry.started_at))
    });
    Ok(tasks)
}
