//! A ledger whose entries are in shards answers every question as one that is in memory.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use proptest::prelude::*;

use super::*;
use crate::run::DocumentState;

/// Shards in memory, and how many were read.
#[derive(Debug, Default)]
struct Memory {
    shards: Mutex<HashMap<String, (Entries, IdFilter)>>,
    entries_read: AtomicUsize,
    filters_read: AtomicUsize,
}

impl Memory {
    fn find(&self, shard: &Shard) -> Result<(Entries, IdFilter), LedgerError> {
        let shards = self.shards.lock().unwrap();
        shards.get(&shard.name).cloned().ok_or_else(|| LedgerError::new("it is missing"))
    }

    fn read(&self) -> (usize, usize) {
        let taken = |count: &AtomicUsize| count.swap(0, Ordering::Relaxed);
        (taken(&self.entries_read), taken(&self.filters_read))
    }
}

impl ShardStorage for Memory {
    fn entries(&self, shard: &Shard) -> Result<Entries, LedgerError> {
        self.entries_read.fetch_add(1, Ordering::Relaxed);
        self.find(shard).map(|(entries, _)| entries)
    }

    fn filter(&self, shard: &Shard) -> Result<IdFilter, LedgerError> {
        self.filters_read.fetch_add(1, Ordering::Relaxed);
        self.find(shard).map(|(_, filter)| filter)
    }
}

/// Writes the shards that a checkpoint needs, and goes on with them.
fn checkpoint(ledger: &Ledger, layout: ShardLayout, storage: &Arc<Memory>) -> Ledger {
    let resharding = ledger.resharding(layout).unwrap();
    let mut written = Vec::new();
    for contents in resharding.contents() {
        for ShardContent { entries, filter, bounds } in contents.unwrap() {
            let mut shards = storage.shards.lock().unwrap();
            let name = shards.len().to_string();
            shards.insert(name.clone(), (entries, filter));
            let (sha256, filter_sha256) = (String::new(), String::new());
            written.push(Shard { name, sha256, filter_sha256, bounds });
        }
    }
    let before: Vec<Shard> = ledger.shards().to_vec();
    let Resharded { shards, replaced, recent } = resharding.finish(written);
    let is_kept = |shard: &Shard| shards.contains(shard) != replaced.contains(shard);
    assert!(before.iter().all(is_kept), "a shard is lost");
    let storage = Arc::clone(storage);
    Ledger::new(Shards::new(shards, storage), recent)
}

fn at(hours: i64) -> Timestamp {
    Timestamp::from_micros(hours * 3_600_000_000)
}

fn exported(hours: i64) -> Entry {
    Entry {
        state: RunState::Exported,
        status: Some("pass".into()),
        started_at: Some(at(hours)),
        ended_at: None,
        first_listed_at: at(hours),
        row_fingerprint: 1,
        content_fingerprint: 2,
        revision: 1,
        commit: 1,
        documents: DocumentStates::default(),
        failures: 0,
        check_at: None,
        problem: None,
    }
}

fn entry() -> impl Strategy<Value = Entry> {
    let time = || prop::option::of((0_i64..2000).prop_map(at));
    // Most runs are exported, and need nothing.
    let state = prop_oneof![4 => Just(2_usize), 1 => 0_usize..5];
    (state, time(), prop::option::weighted(0.2, 0_i64..2000), 0_u32..8, any::<u64>()).prop_map(
        |(state, started_at, check_at, some, number)| Entry {
            state: RunState::ALL[state],
            started_at,
            first_listed_at: at(i64::from(some) * 200),
            row_fingerprint: number,
            revision: i64::from(some > 0),
            documents: DocumentStates {
                trace: if some == 7 { DocumentState::Partial } else { DocumentState::Ok },
                ..DocumentStates::default()
            },
            failures: u32::from(some == 6),
            check_at: check_at.map(at),
            ..exported(0)
        },
    )
}

/// One commit: its changes, and which layout its checkpoint has, if it writes one.
fn commits() -> impl Strategy<Value = Vec<(Vec<LedgerChange>, Option<ShardLayout>)>> {
    let change = ("[a-h][a-d]?", prop::option::weighted(0.85, entry()));
    let layout = (1_usize..6, 0_usize..6)
        .prop_map(|(runs_of_shard, runs_in_memory)| ShardLayout { runs_of_shard, runs_in_memory });
    let commit = (prop::collection::vec(change, 0..12), prop::option::of(layout));
    prop::collection::vec(commit, 1..12)
}

type Map = BTreeMap<String, Entry>;

fn collected(
    ask: impl FnOnce(&mut dyn FnMut(&str, Entry)) -> Result<(), LedgerError>,
) -> Result<Map, TestCaseError> {
    let (mut found, mut doubled) = (Map::new(), None);
    ask(&mut |run_id, entry| {
        if found.insert(run_id.to_owned(), entry).is_some() {
            doubled = Some(run_id.to_owned());
        }
    })
    .map_err(|error| TestCaseError::fail(error.to_string()))?;
    prop_assert_eq!(doubled, None);
    Ok(found)
}

fn answers_as(ledger: &Ledger, map: &Map, hint: i64) -> Result<(), TestCaseError> {
    let filtered = |is_wanted: &dyn Fn(&Entry) -> bool| -> Map {
        let wanted = map.iter().filter(|(_, entry)| is_wanted(entry));
        wanted.map(|(run_id, entry)| (run_id.clone(), entry.clone())).collect()
    };
    // By id, whatever is known of the start.
    let ids = map.keys().cloned().chain(["zz".to_owned(), "a".to_owned(), "hd".to_owned()]);
    for run_id in ids {
        let right = map.get(&run_id).and_then(|entry| entry.started_at);
        for started_at in [right, None, Some(at(hint))] {
            let found = ledger.get(&run_id, started_at).unwrap();
            prop_assert_eq!(found.as_ref(), map.get(&run_id), "{}", run_id);
        }
    }
    prop_assert_eq!(&collected(|show| ledger.for_each(show))?, map);
    let started = collected(|show| ledger.for_each_started(at(hint), at(hint + 500), show))?;
    let inside = |entry: &Entry| {
        entry.started_at.is_some_and(|start| at(hint) <= start && start <= at(hint + 500))
    };
    prop_assert_eq!(started, filtered(&inside));
    let unsettled = collected(|show| ledger.for_each_unsettled(at(hint), show))?;
    let is_unsettled = |entry: &Entry| {
        entry.state != RunState::Exported || entry.check_at.is_some_and(|due| due <= at(hint))
    };
    prop_assert_eq!(unsettled, filtered(&is_unsettled));
    let whole = Ledger::from(ledger.to_entries().unwrap());
    prop_assert_eq!(ledger.count().unwrap(), RunTotals::of(map.values().cloned()));
    prop_assert_eq!(
        ledger.has_exported(),
        map.values().any(|entry| entry.revision > 0) || !ledger.shards().is_empty()
    );
    let sorted = |found: &mut dyn Iterator<Item = &str>| {
        let mut ids: Vec<String> = found.map(str::to_owned).collect();
        ids.sort();
        ids
    };
    prop_assert_eq!(sorted(&mut ledger.never_found()), sorted(&mut whole.never_found()));
    // What is out of reach is removed at once from memory, and at most a day later from shards.
    let now = at(hint) + REACH;
    let gone = |ledger: &Ledger, now| {
        let changes = ledger.out_of_reach(now).unwrap();
        changes.into_iter().map(|(run_id, _)| run_id).collect::<std::collections::BTreeSet<_>>()
    };
    let (found, expected) = (gone(ledger, now), gone(&whole, now));
    prop_assert!(found.is_subset(&expected));
    prop_assert!(gone(&whole, now - Duration::from_hours(24)).is_subset(&found));
    prop_assert_eq!(ledger.first_inconsistent_shard().unwrap(), None);
    Ok(())
}

proptest! {
    #[test]
    fn a_ledger_in_shards_answers_as_one_in_memory(commits in commits(), hint in 0_i64..2000) {
        let (mut ledger, mut map) = (Ledger::default(), Map::new());
        let storage = Arc::new(Memory::default());
        for (changes, layout) in commits {
            for (run_id, change) in &changes {
                match change {
                    Some(entry) => map.insert(run_id.clone(), entry.clone()),
                    None => map.remove(run_id),
                };
            }
            ledger.apply(changes);
            answers_as(&ledger, &map, hint)?;
            if let Some(layout) = layout {
                // A process that reads the lake goes on with the shards of its checkpoint.
                let reader = ledger.clone();
                ledger = checkpoint(&ledger, layout, &storage);
                let most = u64::try_from(layout.runs_of_shard).unwrap();
                let bounds = ledger.shards().iter().map(|shard| shard.bounds);
                prop_assert!(
                    bounds.into_iter().all(|bounds| bounds.runs > 0),
                    "an empty shard, of at most {}", most
                );
                answers_as(&reader, &map, hint)?;
                answers_as(&ledger, &map, hint)?;
            }
        }
    }
}

/// 1,000 exported runs, one an hour, in shards of 100.
fn thousand() -> (Ledger, Arc<Memory>) {
    let mut ledger = Ledger::default();
    ledger.apply((0..1000).map(|number| (format!("run-{number}"), Some(exported(number)))));
    let storage = Arc::new(Memory::default());
    let layout = ShardLayout { runs_of_shard: 100, runs_in_memory: 100 };
    let ledger = checkpoint(&ledger, layout, &storage);
    assert_eq!((ledger.shards().len(), ledger.recent().len()), (10, 0));
    storage.read();
    (ledger, storage)
}

#[test]
fn only_the_shards_that_are_asked_for_are_read() {
    let (mut ledger, storage) = thousand();
    // What a sync asks that finds nothing new.
    for number in 900..1000 {
        let found = ledger.get(&format!("run-{number}"), Some(at(number))).unwrap();
        assert_eq!(found, Some(exported(number)));
    }
    assert!(ledger.has_exported());
    ledger.for_each_unsettled(at(1000), |run_id, _| panic!("{run_id} is unsettled")).unwrap();
    assert_eq!(ledger.out_of_reach(at(1000)).unwrap(), []);
    assert_eq!(storage.read(), (1, 0));
    // A new run is looked for in the filters of all shards, and in no shard.
    assert_eq!(ledger.get("new", Some(at(2000))).unwrap(), None);
    assert_eq!(storage.read(), (0, 10));
    ledger.apply([("new".to_owned(), Some(exported(2000)))]);
    assert_eq!(ledger.get("new", None).unwrap(), Some(exported(2000)));
    // A run with another start than before: one shard is read.
    assert_eq!(ledger.get("run-5", Some(at(950))).unwrap(), Some(exported(5)));
    assert_eq!(storage.read(), (1, 0));
}

#[test]
fn a_checkpoint_writes_only_the_shards_that_change() {
    let (mut ledger, storage) = thousand();
    let before: Vec<String> = ledger.shards().iter().map(|shard| shard.name.clone()).collect();
    let layout = ShardLayout { runs_of_shard: 100, runs_in_memory: 0 };
    let names = |ledger: &Ledger| -> Vec<String> {
        ledger.shards().iter().map(|shard| shard.name.clone()).collect()
    };
    // Younger runs: the shards stay as they are.
    ledger.apply((1000..1050).map(|number| (format!("run-{number}"), Some(exported(number)))));
    let ledger = checkpoint(&ledger, layout, &storage);
    let mut expected = before.clone();
    expected.push("10".to_owned());
    assert_eq!(names(&ledger), expected);
    // A run that moves from one shard to another: both are written anew.
    let mut moved = ledger.clone();
    moved.apply([("run-5".to_owned(), Some(exported(555)))]);
    let moved = checkpoint(&moved, layout, &storage);
    let kept = names(&moved).iter().filter(|name| expected.contains(name)).count();
    assert_eq!(kept, 9);
    assert_eq!(moved.get("run-5", None).unwrap(), Some(exported(555)));
    assert_eq!(moved.count().unwrap().exported, 1050);
    // A removed run leaves its shard.
    let mut less = ledger.clone();
    less.apply([("run-5".to_owned(), None)]);
    let less = checkpoint(&less, layout, &storage);
    assert_eq!(less.get("run-5", Some(at(5))).unwrap(), None);
    assert_eq!(less.shards().first().unwrap().bounds.runs, 99);
}

#[test]
fn a_shard_that_cannot_be_read_is_an_error_and_never_an_unknown_run() {
    let (ledger, storage) = thousand();
    storage.shards.lock().unwrap().remove("3");
    assert!(ledger.get("run-350", Some(at(350))).is_err());
    // The filter cannot be read, either: the run could be in that shard.
    assert!(ledger.get("new", None).is_err());
    assert!(ledger.count().is_err());
}
