//! A compact store of entries: a hundred thousand runs in about eleven megabytes.

use std::collections::HashMap;
use std::sync::Arc;

use super::entry::{DocumentStates, Entry, RunState};
use crate::time::Timestamp;

/// Entries sorted by run id. They are only appended.
#[derive(Clone, Debug, Default)]
pub(super) struct Packed {
    /// All ids, one after another.
    run_ids: String,
    rows: Vec<PackedEntry>,
    /// Statuses and problems, each distinct text once.
    texts: Vec<Arc<str>>,
    numbers: HashMap<Arc<str>, u32>,
}

/// An entry, with times in microseconds since 1970. Unknown times are [`UNKNOWN`], and missing texts
/// [`NO_TEXT`].
#[derive(Clone, Copy, Debug)]
struct PackedEntry {
    /// End of its id in all ids.
    end: u32,
    status: u32,
    problem: u32,
    failures: u32,
    state: RunState,
    documents: DocumentStates,
    started_at: i64,
    ended_at: i64,
    first_listed_at: i64,
    check_at: i64,
    row_fingerprint: u64,
    content_fingerprint: u64,
    revision: i64,
    commit: u64,
}

const UNKNOWN: i64 = i64::MIN;
const NO_TEXT: u32 = u32::MAX;

impl Packed {
    pub(super) fn with_capacity(entries: usize) -> Self {
        Self { rows: Vec::with_capacity(entries), ..Self::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Appends an entry. Returns false, and adds nothing, if its id does not sort after all others,
    /// or if the ids become too long for their 32-bit positions.
    pub(super) fn push(&mut self, run_id: &str, entry: &Entry) -> bool {
        let is_later = self.rows.is_empty() || self.run_id(self.rows.len() - 1) < run_id;
        let end = u32::try_from(self.run_ids.len() + run_id.len());
        let (true, Ok(end)) = (is_later, end) else { return false };
        self.run_ids.push_str(run_id);
        let row = PackedEntry {
            end,
            status: self.number(entry.status.as_ref()),
            problem: self.number(entry.problem.as_ref()),
            failures: entry.failures,
            state: entry.state,
            documents: entry.documents,
            started_at: entry.started_at.map_or(UNKNOWN, Timestamp::as_micros),
            ended_at: entry.ended_at.map_or(UNKNOWN, Timestamp::as_micros),
            first_listed_at: entry.first_listed_at.as_micros(),
            check_at: entry.check_at.map_or(UNKNOWN, Timestamp::as_micros),
            row_fingerprint: entry.row_fingerprint,
            content_fingerprint: entry.content_fingerprint,
            revision: entry.revision,
            commit: entry.commit,
        };
        self.rows.push(row);
        true
    }

    pub(super) fn get(&self, run_id: &str) -> Option<Entry> {
        let (mut from, mut until) = (0, self.rows.len());
        while from < until {
            let middle = usize::midpoint(from, until);
            match self.run_id(middle).cmp(run_id) {
                std::cmp::Ordering::Less => from = middle + 1,
                std::cmp::Ordering::Greater => until = middle,
                std::cmp::Ordering::Equal => return self.entry(middle),
            }
        }
        None
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, Entry)> {
        (0..self.rows.len()).filter_map(|place| Some((self.run_id(place), self.entry(place)?)))
    }

    fn run_id(&self, place: usize) -> &str {
        let end = |place: usize| self.rows.get(place).map_or(0, |row| row.end);
        let begin = place.checked_sub(1).map_or(0, end);
        let range = usize::try_from(begin).unwrap_or(0)..usize::try_from(end(place)).unwrap_or(0);
        self.run_ids.get(range).unwrap_or_default()
    }

    fn entry(&self, place: usize) -> Option<Entry> {
        let row = self.rows.get(place)?;
        let time = |time: i64| (time != UNKNOWN).then_some(Timestamp::from_micros(time));
        Some(Entry {
            state: row.state,
            status: self.text(row.status),
            started_at: time(row.started_at),
            ended_at: time(row.ended_at),
            first_listed_at: Timestamp::from_micros(row.first_listed_at),
            row_fingerprint: row.row_fingerprint,
            content_fingerprint: row.content_fingerprint,
            revision: row.revision,
            commit: row.commit,
            documents: row.documents,
            failures: row.failures,
            check_at: time(row.check_at),
            problem: self.text(row.problem),
        })
    }

    fn text(&self, number: u32) -> Option<Arc<str>> {
        self.texts.get(usize::try_from(number).ok()?).cloned()
    }

    fn number(&mut self, text: Option<&Arc<str>>) -> u32 {
        let Some(text) = text else { return NO_TEXT };
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let number = u32::try_from(self.texts.len()).unwrap_or(NO_TEXT);
        self.texts.push(Arc::clone(text));
        self.numbers.insert(Arc::clone(text), number);
        number
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::super::Entries;
    use super::*;
    use crate::run::DocumentState;

    fn entry() -> impl Strategy<Value = Entry> {
        let documents = DocumentStates { trace: DocumentState::Failed, ..Default::default() };
        let time = || prop::option::of((-5_i64..5).prop_map(Timestamp::from_micros));
        (0_usize..5, prop::option::of("[a-c]"), time(), time(), time(), 0_u32..3, any::<u64>())
            .prop_map(move |(state, text, started_at, ended_at, check_at, failures, number)| {
                Entry {
                    state: RunState::ALL[state],
                    status: text.as_deref().map(Arc::from),
                    started_at,
                    ended_at,
                    first_listed_at: Timestamp::from_micros(7),
                    row_fingerprint: number,
                    content_fingerprint: !number,
                    revision: i64::from(failures),
                    commit: number / 2,
                    documents,
                    failures,
                    check_at,
                    problem: text.filter(|text| text == "b").map(Arc::from),
                }
            })
    }

    proptest! {
        /// For any sequence of changes, the entries equal the map that they make.
        #[test]
        fn entries_are_a_map(
            commits in prop::collection::vec(
                prop::collection::vec(("[a-e]{0,3}", prop::option::of(entry())), 0..30),
                0..8
            ),
            packs in any::<u8>()
        ) {
            let (mut entries, mut map) = (Entries::default(), BTreeMap::new());
            for (place, commit) in commits.into_iter().enumerate() {
                for (run_id, change) in &commit {
                    match change {
                        Some(entry) => map.insert(run_id.clone(), entry.clone()),
                        None => map.remove(run_id),
                    };
                }
                entries.apply(commit);
                if packs >> place & 1 == 1 {
                    entries.pack();
                }
                let snapshot = entries.clone();
                let sorted: Vec<(String, Entry)> =
                    entries.sorted().map(|(run_id, entry)| (run_id.to_owned(), entry)).collect();
                let expected: Vec<(String, Entry)> = map.clone().into_iter().collect();
                prop_assert_eq!(&sorted, &expected);
                let mut all: Vec<_> = entries.iter().map(|(run_id, _)| run_id.to_owned()).collect();
                all.sort();
                prop_assert_eq!(all, map.keys().cloned().collect::<Vec<_>>());
                for run_id in map.keys() {
                    prop_assert_eq!(entries.get(run_id), map.get(run_id).cloned());
                }
                prop_assert_eq!(entries.get("z"), None);
                prop_assert_eq!(entries.len(), map.len());
                prop_assert!(snapshot == entries);
            }
        }
    }
}
