//! Numbers of runs in the ledger.

use serde::{Deserialize, Serialize};

use super::entry::{Entry, RunState, StateCounts};

/// Numbers of runs in the ledger, by state. Each commit states them, so that `status` need not read
/// the whole ledger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunTotals {
    /// Runs that have not ended.
    pub open: u64,
    /// Runs that wait for their evaluation.
    pub waiting: u64,
    /// Runs that are in the tables.
    pub exported: u64,
    /// Runs of which a document could not be fetched.
    pub failed: u64,
    /// Runs that were listed, and that the API does not know by their id.
    pub absent: u64,
    /// Runs, of any state, of which a document has fewer rows than the API announces.
    pub partial: u64,
}

impl RunTotals {
    /// The numbers of some entries.
    pub fn of(entries: impl IntoIterator<Item = Entry>) -> Self {
        let mut totals = Self::default();
        entries.into_iter().for_each(|entry| totals.add(&entry));
        totals
    }

    /// Counts an entry.
    pub fn add(&mut self, entry: &Entry) {
        *self.of_state(entry.state) += 1;
        self.partial += u64::from(entry.documents.is_partial());
    }

    /// Takes back an entry that was counted.
    pub fn remove(&mut self, entry: &Entry) {
        let count = self.of_state(entry.state);
        *count = count.saturating_sub(1);
        self.partial = self.partial.saturating_sub(u64::from(entry.documents.is_partial()));
    }

    /// The number of runs in each state, by its name.
    pub fn counts(mut self) -> StateCounts {
        RunState::ALL.iter().map(|state| (state.name(), *self.of_state(*state))).collect()
    }

    fn of_state(&mut self, state: RunState) -> &mut u64 {
        match state {
            RunState::Open => &mut self.open,
            RunState::Waiting => &mut self.waiting,
            RunState::Exported => &mut self.exported,
            RunState::Failed => &mut self.failed,
            RunState::Absent => &mut self.absent,
        }
    }
}
