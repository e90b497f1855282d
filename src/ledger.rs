//! The ledger: what is known of each run of the reachable past.
//!
//! It is the only incremental state. It lives in the lake and changes only with a commit.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::run::DocumentState;

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

/// What is known of one run. Times are microseconds since 1970 by the server's clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Where it stands.
    pub state: RunState,
    /// Its status when last seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
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
    /// Syncs that failed to get its documents, in a row.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub failures: u32,
    /// When to ask again for an evaluation that was not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check_at: Option<i64>,
    /// Why it failed, without any value from a body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// What is known of every run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    entries: HashMap<String, Entry>,
}

/// A run that is exported or absent is forgotten this long after it was first listed, started and
/// ended: the API cannot list it any more (30 days, documented), and some days are added for
/// clocks and late changes.
const REACH_MICROSECONDS: i64 = 45 * 86_400 * 1_000_000;

impl Ledger {
    /// What is known of a run.
    pub fn get(&self, run_id: &str) -> Option<&Entry> {
        self.entries.get(run_id)
    }

    /// Every run, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.entries.iter().map(|(run_id, entry)| (run_id.as_str(), entry))
    }

    /// How many runs are known.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no run is known.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many runs are in a state.
    pub fn count(&self, state: RunState) -> u64 {
        let count = self.entries.values().filter(|entry| entry.state == state).count();
        u64::try_from(count).unwrap_or(u64::MAX)
    }

    /// How many runs are in each state, by its name.
    pub fn counts(&self) -> StateCounts {
        RunState::ALL.iter().map(|state| (state.name(), self.count(*state))).collect()
    }

    /// Applies the changes of one commit.
    pub fn apply(&mut self, changes: impl IntoIterator<Item = (String, Option<Entry>)>) {
        for (run_id, change) in changes {
            match change {
                Some(entry) => self.entries.insert(run_id, entry),
                None => self.entries.remove(&run_id),
            };
        }
    }

    /// The runs that are out of reach and settled, as changes that forget them.
    pub fn out_of_reach(&self, now: i64) -> Vec<(String, Option<Entry>)> {
        let settled = |entry: &Entry| matches!(entry.state, RunState::Exported | RunState::Absent);
        let old = |entry: &Entry| {
            let times = [Some(entry.first_listed_at), entry.started_at, entry.ended_at];
            let latest = times.into_iter().flatten().max();
            latest.is_some_and(|latest| latest < now.saturating_sub(REACH_MICROSECONDS))
        };
        let forgotten = self.entries.iter().filter(|(_, entry)| settled(entry) && old(entry));
        forgotten.map(|(run_id, _)| (run_id.clone(), None)).collect()
    }
}
