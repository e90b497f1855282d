//! One entry of the ledger: what is known of a run.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::run::DocumentState;
use crate::time::Timestamp;

/// The state of a run in this export. Changes only by [`RecheckPolicy::transition`].
///
/// [`RecheckPolicy::transition`]: super::RecheckPolicy::transition
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// It has not ended.
    Open,
    /// It ended, and its evaluation may still come.
    Waiting,
    /// It is in the tables.
    Exported,
    /// It ended, but a document could not be fetched.
    Failed,
    /// It was listed, but the API states that there is no such run.
    Absent,
}

/// How many runs are in each state, by the state's name.
pub type StateCounts = Vec<(&'static str, u64)>;

impl RunState {
    /// Every state, in the order of a run's life.
    pub const ALL: [Self; 5] =
        [Self::Open, Self::Waiting, Self::Exported, Self::Failed, Self::Absent];

    /// The name in output and in files.
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

/// The state of each document of a run.
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
    /// Whether the API responded for at least one of them.
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

    /// Whether a list in one of them is incomplete.
    pub fn is_partial(self) -> bool {
        let states = [self.detail, self.trace, self.evaluation, self.tool_calls];
        states.contains(&DocumentState::Partial)
    }
}

/// What is known of one run. All times are by the server's clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its state.
    pub state: RunState,
    /// Its status when last seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Arc<str>>,
    /// When it started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// When it was first listed.
    pub first_listed_at: Timestamp,
    /// Fingerprint of its row in the list: shows whether the row changed.
    #[serde(default)]
    pub row_fingerprint: u64,
    /// Fingerprint of its documents: shows whether they changed.
    #[serde(default)]
    pub content_fingerprint: u64,
    /// The highest revision in the tables; 0 for none.
    #[serde(default)]
    pub revision: i64,
    /// The commit that holds that revision; 0 for none.
    #[serde(default)]
    pub commit: u64,
    /// The states of its documents.
    #[serde(default)]
    pub documents: DocumentStates,
    /// Number of syncs in a row that failed to fetch its documents, or found the run absent.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub failures: u32,
    /// When to request a missing evaluation or missing rows again; `None` for never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check_at: Option<Timestamp>,
    /// Why it failed, without any value from a body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Arc<str>>,
}

impl Entry {
    /// The latest of the times at which the run was first listed, started and ended: from then on, it
    /// takes as long as the API's reach until it cannot be listed any more.
    pub fn reach_from(&self) -> Timestamp {
        let times = [self.started_at, self.ended_at].into_iter().flatten();
        times.fold(self.first_listed_at, Timestamp::max)
    }

    /// Whether the run was listed, and its id returned 404 when it was last requested. Rows that
    /// were exported before stay.
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

/// Number of syncs that request a listed run whose id returns 404: the API may know it soon. After
/// that it is requested only if it is listed again.
pub const ABSENT_SYNCS: u32 = 5;
