//! The ledger: what is known of each run of the reachable past.
//!
//! It is the only incremental state. It lives in the lake and changes only with a commit.

mod packed;

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::run::DocumentState;
use packed::Packed;

/// Where a run stands with this export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// It has not ended.
    Open,
    /// It ended, and its evaluation is still awaited.
    Waiting,
    /// It is in the tables.
    Exported,
    /// It ended, but its documents could not be had.
    Failed,
    /// It was listed, but the API says that there is no such run.
    Absent,
}

/// How many runs are in each state, by the state's name.
pub type StateCounts = Vec<(&'static str, u64)>;

impl RunState {
    /// Every state, in the order of a run's life.
    pub const ALL: [Self; 5] =
        [Self::Open, Self::Waiting, Self::Exported, Self::Failed, Self::Absent];

    /// The name for people and in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Waiting => "waiting",
            Self::Exported => "exported",
            Self::Failed => "failed",
            Self::Absent => "absent",
        }
    }
}

/// How far each document of a run has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentStates {
    /// `GET /runs/{id}`
    pub detail: DocumentState,
    /// `GET /runs/{id}/trace`
    pub trace: DocumentState,
    /// `GET /runs/{id}/evaluation`
    pub evaluation: DocumentState,
    /// `GET /runs/{id}/tool-calls`
    pub tool_calls: DocumentState,
}

impl DocumentStates {
    /// Whether the API answered for one of them at least.
    pub fn any_came(self) -> bool {
        let states = [self.detail, self.trace, self.evaluation, self.tool_calls];
        states.iter().any(|state| {
            matches!(state, DocumentState::Ok | DocumentState::Partial | DocumentState::Absent)
        })
    }

    /// Whether the evaluation is there, whole or in part.
    pub fn has_evaluation(self) -> bool {
        matches!(self.evaluation, DocumentState::Ok | DocumentState::Partial)
    }

    /// Whether a list in one of them did not come whole.
    pub fn is_partial(self) -> bool {
        let states = [self.detail, self.trace, self.evaluation, self.tool_calls];
        states.contains(&DocumentState::Partial)
    }
}

/// What is known of one run. Times are microseconds since 1970 by the server's clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Where it stands.
    pub state: RunState,
    /// Its status when last seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Arc<str>>,
    /// When it started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<i64>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<i64>,
    /// When it was first listed.
    pub first_listed_at: i64,
    /// Tells whether its row in the list changed.
    #[serde(default)]
    pub row_fingerprint: u64,
    /// Tells whether its documents changed.
    #[serde(default)]
    pub content_fingerprint: u64,
    /// The highest revision in the tables; 0 for none.
    #[serde(default)]
    pub revision: i64,
    /// The commit that holds it.
    #[serde(default)]
    pub commit: u64,
    /// Its documents.
    #[serde(default)]
    pub documents: DocumentStates,
    /// Syncs that failed to get its documents, or found the run absent, in a row.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub failures: u32,
    /// When to ask again for an evaluation that was not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check_at: Option<i64>,
    /// Why it failed, without any value from a body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Arc<str>>,
}

impl Entry {
    /// Whether the run was listed and answered with 404 by its id when it was last asked for. Rows
    /// that were exported before stay.
    pub fn is_absent(&self) -> bool {
        match self.state {
            RunState::Absent => true,
            RunState::Exported => self.failures > 0,
            _ => false,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// A run that was listed and is not known by its id is asked for in so many syncs: the API may be
/// about to know it. After that only where it is listed again.
pub const ABSENT_SYNCS: u32 = 5;

/// What is known of every run. Cheap to clone: clones share all but the latest changes.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// Most of it, by run id.
    base: Arc<Packed>,
    /// What changed since that was packed; `None` for a run that is forgotten.
    changes: HashMap<String, Option<Entry>>,
}

/// A run that is exported or absent is forgotten this long after it was first listed, started and
/// ended: the API cannot list it any more (30 days, documented), and some days are added for
/// clocks and late changes.
const REACH_MICROSECONDS: i64 = 45 * 86_400 * 1_000_000;

/// Changes are packed once there are so many, and a quarter of what is packed already.
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
            // A ledger that is read comes in order, and needs no changes.
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
                // Four gigabytes of ids: the rest stays as it is.
                rest.insert(run_id.to_owned(), Some(entry));
            }
        }
        self.base = Arc::new(packed);
        self.changes = rest;
    }

    /// The runs that are out of reach and settled, as changes that forget them.
    pub fn out_of_reach(&self, now: i64) -> Vec<(String, Option<Entry>)> {
        let settled = |entry: &Entry| matches!(entry.state, RunState::Exported | RunState::Absent);
        let old = |entry: &Entry| {
            let times = [Some(entry.first_listed_at), entry.started_at, entry.ended_at];
            let latest = times.into_iter().flatten().max();
            latest.is_some_and(|latest| latest < now.saturating_sub(REACH_MICROSECONDS))
        };
        let forgotten = self.iter().filter(|(_, entry)| settled(entry) && old(entry));
        forgotten.map(|(run_id, _)| (run_id.to_owned(), None)).collect()
    }
}
