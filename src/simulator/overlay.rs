//! Hand-made changes to the world: runs added, runs taken away.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::faults::Endpoint;

/// An extra run with bodies made by hand, which no shape touches.
#[derive(Debug, Clone, PartialEq)]
pub struct RunOverride {
    /// Any text: slashes, quotes, dots and line breaks too.
    pub id: String,
    /// Where it stands in the list, and from when on it is there at all.
    pub started_at: DateTime<Utc>,
    /// Its entry in the list.
    pub listing: Value,
    /// The bodies of [`Endpoint::Run`], [`Endpoint::Trace`], [`Endpoint::Evaluation`] and
    /// [`Endpoint::ToolCalls`]; `None` and absence are a 404.
    pub documents: BTreeMap<Endpoint, Option<Value>>,
}

/// All changes.
#[derive(Debug, Default)]
pub(super) struct Overlay {
    added: BTreeMap<String, RunOverride>,
    removed: BTreeSet<String>,
}

impl Overlay {
    /// Adds a run, or replaces the one with its id (be that of the world or added before).
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

    /// Whether the world's own run with this id shows.
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
