//! Batching: runs that wait to be committed together.

use std::time::{Duration, Instant};

use crate::config::SyncSettings;
use crate::ledger::LedgerChange;
use crate::run::FetchedRun;

/// Runs that are committed together, and the changes of the ledger that belong to the same commit.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    pub(super) runs: Vec<FetchedRun>,
    pub(super) changes: Vec<LedgerChange>,
    bytes: usize,
    /// When its first run was added.
    since: Option<Instant>,
}

impl Chunk {
    /// Adds a run that is to be exported.
    pub(super) fn add(&mut self, run: FetchedRun) {
        self.bytes += run.body_bytes();
        self.runs.push(run);
        self.since.get_or_insert_with(Instant::now);
    }

    /// Whether it is large or old enough to be committed.
    pub(super) fn is_full(&self, settings: &SyncSettings) -> bool {
        let bytes = u64::try_from(self.bytes).unwrap_or(u64::MAX);
        let age = self.since.map(|since| since.elapsed()).unwrap_or_default();
        bytes >= settings.commit_bytes || age >= Duration::from_secs(settings.commit_secs)
    }

    /// Whether the ledger's entries of its runs name another commit than this one.
    pub(super) fn is_of_other_commit(&self, commit: u64) -> bool {
        let exported: std::collections::HashSet<&str> =
            self.runs.iter().map(|run| run.run_id.as_str()).collect();
        self.changes.iter().any(|(run_id, entry)| {
            let entry = entry.as_ref().filter(|_| exported.contains(run_id.as_str()));
            entry.is_some_and(|entry| entry.commit != commit)
        })
    }
}
