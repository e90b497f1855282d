//! The ledger: the state of each run that the API may still list.
//!
//! With the coverage, it is the incremental state from which a sync resumes. It is stored in the lake
//! and changes only with a commit.

mod entry;
mod packed;
mod transition;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::time::Timestamp;
use packed::Packed;

pub use entry::{ABSENT_SYNCS, DocumentStates, Entry, RunState, StateCounts};
pub use transition::{Change, FetchOutcome, Observed, RecheckPolicy, Transition};

/// What is known of every run. Cheap to clone: clones share all but the latest changes.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// Most of the entries, sorted by run id.
    base: Arc<Packed>,
    /// Changes since those were packed; `None` removes a run.
    changes: HashMap<String, Option<Entry>>,
}

/// A run that is exported or absent is removed this long after it was first listed, started and
/// ended: the API cannot list it any more (30 days, documented), and some days are
/// added for clocks and late changes.
const REACH: Duration = Duration::from_hours(45 * 24);

/// Changes are packed once there are more than this, and than a quarter of what is packed already.
const LEAST_PACKED: usize = 4096;

impl PartialEq for Ledger {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len()
            && self.iter().all(|(run_id, entry)| other.get(run_id).as_ref() == Some(&entry))
    }
}

impl Ledger {
    /// What is known of a run.
    pub fn get(&self, run_id: &str) -> Option<Entry> {
        match self.changes.get(run_id) {
            Some(change) => change.clone(),
            None => self.base.get(run_id),
        }
    }

    /// Every run, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Entry)> {
        let packed = self.base.iter().filter(|(run_id, _)| !self.changes.contains_key(*run_id));
        packed.chain(self.changed())
    }

    /// Every run, in the order of their ids.
    pub fn sorted(&self) -> impl Iterator<Item = (&str, Entry)> {
        let mut changed: Vec<(&str, &Entry)> = self
            .changes
            .iter()
            .filter_map(|(run_id, entry)| Some((run_id.as_str(), entry.as_ref()?)))
            .collect();
        changed.sort_unstable_by_key(|(run_id, _)| *run_id);
        let mut changed = changed.into_iter().peekable();
        let mut packed =
            self.base.iter().filter(|(run_id, _)| !self.changes.contains_key(*run_id)).peekable();
        std::iter::from_fn(move || {
            let takes_changed = match (changed.peek(), packed.peek()) {
                (Some((one, _)), Some((other, _))) => one < other,
                (one, _) => one.is_some(),
            };
            if takes_changed {
                changed.next().map(|(run_id, entry)| (run_id, entry.clone()))
            } else {
                packed.next()
            }
        })
    }

    fn changed(&self) -> impl Iterator<Item = (&str, Entry)> {
        let changes = self.changes.iter();
        changes.filter_map(|(run_id, entry)| Some((run_id.as_str(), entry.clone()?)))
    }

    /// How many runs are known.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether no run is known.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// The runs that were listed, and that the API never knew by their id.
    pub fn never_found(&self) -> impl Iterator<Item = &str> {
        let absent = |entry: &Entry| entry.state == RunState::Absent && entry.revision == 0;
        self.iter().filter(move |(_, entry)| absent(entry)).map(|(run_id, _)| run_id)
    }

    /// How many runs are in a state.
    pub fn count(&self, state: RunState) -> u64 {
        let count = self.iter().filter(|(_, entry)| entry.state == state).count();
        u64::try_from(count).unwrap_or(u64::MAX)
    }

    /// How many runs are in each state, by its name.
    pub fn counts(&self) -> StateCounts {
        let mut counts: HashMap<RunState, u64> = HashMap::new();
        for (_, entry) in self.iter() {
            *counts.entry(entry.state).or_default() += 1;
        }
        let count = |state: &RunState| counts.get(state).copied().unwrap_or(0);
        RunState::ALL.iter().map(|state| (state.name(), count(state))).collect()
    }

    /// Applies the changes of one commit.
    pub fn apply(&mut self, changes: impl IntoIterator<Item = (String, Option<Entry>)>) {
        for (run_id, change) in changes {
            // When a ledger is read, its entries come in order, and need no place among the
            // changes.
            if let Some(entry) = &change
                && self.changes.is_empty()
                && let Some(base) = Arc::get_mut(&mut self.base)
                && base.push(&run_id, entry)
            {
                continue;
            }
            self.changes.insert(run_id, change);
        }
        if self.changes.len() > LEAST_PACKED.max(self.base.len() / 4) {
            self.pack();
        }
    }

    fn pack(&mut self) {
        let mut packed = Packed::with_capacity(self.base.len() + self.changes.len());
        let mut rest = HashMap::new();
        for (run_id, entry) in self.sorted() {
            if !packed.push(run_id, &entry) {
                // The ids exceed four gigabytes: the rest stays among the changes.
                rest.insert(run_id.to_owned(), Some(entry));
            }
        }
        self.base = Arc::new(packed);
        self.changes = rest;
    }

    /// The runs that are exported or absent and out of the API's reach, as changes that remove
    /// them.
    pub fn out_of_reach(&self, now: Timestamp) -> Vec<(String, Option<Entry>)> {
        let settled = |entry: &Entry| matches!(entry.state, RunState::Exported | RunState::Absent);
        let old = |entry: &Entry| {
            let times = [Some(entry.first_listed_at), entry.started_at, entry.ended_at];
            let latest = times.into_iter().flatten().max();
            latest.is_some_and(|latest| latest < now - REACH)
        };
        let forgotten = self.iter().filter(|(_, entry)| settled(entry) && old(entry));
        forgotten.map(|(run_id, _)| (run_id.to_owned(), None)).collect()
    }
}
