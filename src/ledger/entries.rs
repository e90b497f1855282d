//! Entries in memory, by run id.

use std::collections::HashMap;
use std::sync::Arc;

use super::Entry;
use super::packed::Packed;

/// Entries of runs, in memory. Cheap to clone: clones share all but the latest changes.
#[derive(Clone, Debug, Default)]
pub struct Entries {
    /// Most of the entries, sorted by run id.
    base: Arc<Packed>,
    /// Changes since those were packed; `None` removes a run.
    changes: HashMap<String, Option<Entry>>,
}

/// Changes are packed once there are more than this, and than a quarter of what is packed already.
const LEAST_PACKED: usize = 4096;

impl PartialEq for Entries {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len()
            && self.iter().all(|(run_id, entry)| other.get(run_id).as_ref() == Some(&entry))
    }
}

impl Entries {
    /// No entries, with room for so many.
    pub fn with_capacity(runs: usize) -> Self {
        Self { base: Arc::new(Packed::with_capacity(runs)), changes: HashMap::new() }
    }

    /// The entry of a run.
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

    /// The number of runs.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether there is no run.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// Applies changes in their order; `None` removes a run.
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

    pub(super) fn pack(&mut self) {
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
}
