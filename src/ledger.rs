//! The ledger: the state of each run that the API may still list.
//!
//! With the coverage, it is the incremental state from which a sync resumes. It is stored in the lake
//! and changes only with a commit.
//!
//! What a sync looks at each time is in memory: runs that are open, waiting, failed, absent or due,
//! and the latest changes. All other runs are in [`Shards`], which are read when a run of them is asked
//! for. Memory and time therefore grow with what is asked for, and not with the number of known runs.

mod entries;
mod entry;
mod id_filter;
mod packed;
mod resharding;
mod shard;
#[cfg(test)]
mod tests;
mod totals;
mod transition;

use std::cell::RefCell;
use std::collections::HashSet;
use std::time::Duration;

use crate::time::Timestamp;

pub use entries::Entries;
pub use entry::{ABSENT_SYNCS, DocumentStates, Entry, RunState, StateCounts};
pub use id_filter::IdFilter;
pub use resharding::{Resharded, Resharding, ShardContent, ShardContents, ShardLayout};
pub use shard::{LedgerError, Shard, ShardBounds, ShardStorage, Shards, is_of_shard};
pub use totals::RunTotals;
pub use transition::{Change, FetchOutcome, Observed, RecheckPolicy, Transition};

/// What is known of every run. Cheap to clone: clones share all but the latest changes.
///
/// Questions that may have to read a shard can fail, and block the thread meanwhile.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    shards: Shards,
    /// Entries in memory. They hide the entry of the same run in a shard.
    recent: Entries,
    /// Runs that were removed from the ledger, and may still be in a shard.
    removed: HashSet<String>,
}

/// A run that is exported or absent is removed this long after it was first listed, started and
/// ended: the API cannot list it any more (30 days, documented), and some days are
/// added for clocks and late changes.
const REACH: Duration = Duration::from_hours(45 * 24);

/// A shard is searched for runs that are out of reach once the first of them has been so for this
/// long, which is rarely enough for a shard that spans many days.
const SHARD_REACH: Duration = Duration::from_hours(46 * 24);

/// No more shards are searched for runs that are out of reach once so many runs were found: the
/// changes of one commit must not fill the memory. The next syncs find the others.
const MOST_REMOVED: usize = 65_536;

/// A change of the ledger: the run, and its new entry; `None` removes it.
pub type LedgerChange = (String, Option<Entry>);

impl From<Entries> for Ledger {
    /// A ledger that is in memory as a whole.
    fn from(recent: Entries) -> Self {
        Self::new(Shards::default(), recent)
    }
}

impl Ledger {
    /// A ledger of shards, and of entries in memory, which hide those of the same runs in shards.
    pub fn new(shards: Shards, recent: Entries) -> Self {
        Self { shards, recent, removed: HashSet::new() }
    }

    /// The shards, by their earliest start.
    pub fn shards(&self) -> &[Shard] {
        self.shards.list()
    }

    /// The entries in memory: all but those of exported runs that need nothing, and some of these.
    pub fn recent(&self) -> &Entries {
        &self.recent
    }

    /// What is known of a run. `started_at` is its start, if known. It only says where to look
    /// first: the run is found with any other start, too.
    ///
    /// # Errors
    /// [`LedgerError`] if a shard cannot be read.
    pub fn get(
        &self,
        run_id: &str,
        started_at: Option<Timestamp>,
    ) -> Result<Option<Entry>, LedgerError> {
        if let Some(entry) = self.recent.get(run_id) {
            return Ok(Some(entry));
        }
        if self.removed.contains(run_id) {
            return Ok(None);
        }
        Ok(self.shards.find(run_id, started_at)?.map(|(_, entry)| entry))
    }

    /// Applies the changes of one commit.
    pub fn apply(&mut self, changes: impl IntoIterator<Item = LedgerChange>) {
        let Self { shards, recent, removed } = self;
        recent.apply(changes.into_iter().inspect(|(run_id, change)| {
            if change.is_some() {
                removed.remove(run_id);
            } else if !shards.is_empty() {
                removed.insert(run_id.clone());
            }
        }));
    }

    /// Calls `show` for every run, in no order.
    ///
    /// # Errors
    /// [`LedgerError`] if a shard cannot be read.
    pub fn for_each(&self, show: impl FnMut(&str, Entry)) -> Result<(), LedgerError> {
        self.for_each_of(|_| true, |_| true, show)
    }

    /// Calls `show` for every run that started in an interval, both ends included, in no order.
    ///
    /// # Errors
    /// [`LedgerError`] if a shard cannot be read.
    pub fn for_each_started(
        &self,
        from: Timestamp,
        until: Timestamp,
        show: impl FnMut(&str, Entry),
    ) -> Result<(), LedgerError> {
        let is_inside =
            |entry: &Entry| entry.started_at.is_some_and(|start| from <= start && start <= until);
        let may_be_inside = |shard: &ShardBounds| {
            shard.least_started_at <= until && from <= shard.greatest_started_at
        };
        self.for_each_of(may_be_inside, is_inside, show)
    }

    /// Calls `show` for the runs that are open, waiting, failed or absent, and for the exported ones
    /// whose next request is due at `now`, in no order.
    ///
    /// # Errors
    /// [`LedgerError`] if a shard cannot be read.
    pub fn for_each_unsettled(
        &self,
        now: Timestamp,
        show: impl FnMut(&str, Entry),
    ) -> Result<(), LedgerError> {
        let is_due = |at: Option<Timestamp>| at.is_some_and(|at| at <= now);
        let is_unsettled =
            |entry: &Entry| entry.state != RunState::Exported || is_due(entry.check_at);
        self.for_each_of(|shard| is_due(shard.least_check_at), is_unsettled, show)
    }

    /// Calls `show` for the runs that `is_wanted`, among those of memory and of the shards that `may`
    /// hold such runs.
    fn for_each_of(
        &self,
        may: impl Fn(&ShardBounds) -> bool,
        is_wanted: impl Fn(&Entry) -> bool,
        mut show: impl FnMut(&str, Entry),
    ) -> Result<(), LedgerError> {
        for (run_id, entry) in self.recent.iter().filter(|(_, entry)| is_wanted(entry)) {
            show(run_id, entry);
        }
        for (number, shard) in self.shards.list().iter().enumerate() {
            if !may(&shard.bounds) {
                continue;
            }
            let entries = self.shards.read(number)?;
            for (run_id, entry) in entries.iter().filter(|(_, entry)| is_wanted(entry)) {
                if self.recent.get(run_id).is_none() && !self.removed.contains(run_id) {
                    show(run_id, entry);
                }
            }
        }
        Ok(())
    }

    /// All entries, in memory.
    ///
    /// # Errors
    /// [`LedgerError`] if a shard cannot be read.
    pub fn to_entries(&self) -> Result<Entries, LedgerError> {
        if self.shards.is_empty() {
            return Ok(self.recent.clone());
        }
        let mut entries = Entries::default();
        self.for_each(|run_id, entry| entries.apply([(run_id.to_owned(), Some(entry))]))?;
        Ok(entries)
    }

    /// The numbers of runs, counted.
    ///
    /// # Errors
    /// [`LedgerError`] if a shard cannot be read.
    pub fn count(&self) -> Result<RunTotals, LedgerError> {
        let mut totals = RunTotals::default();
        self.for_each(|_, entry| totals.add(&entry))?;
        Ok(totals)
    }

    /// The name of a shard that is not what its description and its filter say; `None` if there is
    /// none.
    ///
    /// # Errors
    /// [`LedgerError`] if a shard cannot be read.
    pub fn first_inconsistent_shard(&self) -> Result<Option<&str>, LedgerError> {
        self.shards.first_inconsistent()
    }

    /// The runs that were listed, and that the API never knew by their id.
    pub fn never_found(&self) -> impl Iterator<Item = &str> {
        // Shards hold exported runs only.
        let absent = |entry: &Entry| entry.state == RunState::Absent && entry.revision == 0;
        self.recent.iter().filter(move |(_, entry)| absent(entry)).map(|(run_id, _)| run_id)
    }

    /// Whether any run was ever exported.
    pub fn has_exported(&self) -> bool {
        !self.shards.is_empty() || self.recent.iter().any(|(_, entry)| entry.revision > 0)
    }

    /// The runs that are exported or absent and out of the API's reach, as changes that remove
    /// them. Those of shards are found up to a day later than those in memory.
    ///
    /// # Errors
    /// [`LedgerError`] if a shard cannot be read.
    pub fn out_of_reach(&self, now: Timestamp) -> Result<Vec<LedgerChange>, LedgerError> {
        let is_old = |entry: &Entry| {
            let is_settled = matches!(entry.state, RunState::Exported | RunState::Absent);
            is_settled && entry.reach_from() < now - REACH
        };
        let changes = RefCell::new(Vec::new());
        let may_be_old = |shard: &ShardBounds| {
            shard.least_reach_from < now - SHARD_REACH && changes.borrow().len() < MOST_REMOVED
        };
        self.for_each_of(may_be_old, is_old, |run_id, _| {
            changes.borrow_mut().push((run_id.to_owned(), None));
        })?;
        Ok(changes.into_inner())
    }
}
