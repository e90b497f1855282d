//! Manual changes to the world: added and removed runs.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::faults::Endpoint;

/// An additional run with manually written bodies, to which no shape is applied.
#[derive(Debug, Clone, PartialEq)]
pub struct RunOverride {
    /// Its id: any text, including slashes, quotes, dots and line breaks.
    pub id: String,
    /// Its start, which determines its place in the list and from when on it exists.
    pub started_at: DateTime<Utc>,
    /// Its row in the list.
    pub listing: Value,
    /// The bodies of [`Endpoint::Run`], [`Endpoint::Trace`], [`Endpoint::Evaluation`] and
    /// [`Endpoint::ToolCalls`]; a missing one or `None` returns 404.
    pub documents: BTreeMap<Endpoint, Option<Value>>,
}

/// All changes.
#[derive(Debug, Default)]
pub(super) struct Overlay {
    added: BTreeMap<String, RunOverride>,
    removed: BTreeSet<String>,
}

impl Overlay {
    /// Adds a run, or replaces the run with its id (of the world, or added before).
    pub(super) fn add(&mut self, run: RunOverride) {
        self.removed.remove(&run.id);
        self.added.insert(run.id.clone(), run);
    }

    pub(super) fn remove(&mut self, id: &str) {
        self.added.remove(id);
        self.removed.insert(id.to_owned());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty()
    }

    /// Whether the world's own run with this id is visible.
    pub(super) fn shows(&self, id: &str) -> bool {
        !self.removed.contains(id) && !self.added.contains_key(id)
    }

    /// The added run with this id, if it has started at `now` (milliseconds).
    pub(super) fn find(&self, id: &str, now: i64) -> Option<&RunOverride> {
        self.added.get(id).filter(|run| run.started_at.timestamp_millis() <= now)
    }

    pub(super) fn added(&self) -> impl Iterator<Item = &RunOverride> {
        self.added.values()
    }
}
