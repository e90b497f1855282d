//! Shards: the part of the ledger that stays in files until it is asked for.
//!
//! A shard holds exported runs whose starts are near each other, and a run is in at most one shard.
//! Where a run is, is guessed from its start, and decided by the Bloom filters of all shards: a run
//! whose start has changed since, or is not known, is found too.

use std::collections::VecDeque;
use std::error::Error;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::id_filter::IdDigest;
use super::{Entries, Entry, IdFilter, RunState};
use crate::time::Timestamp;

/// What is known of a shard without reading it. Times are by the server's clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// The name of its files, without their extension.
    pub name: String,
    /// The SHA-256 of its entries' file, in hexadecimal.
    pub sha256: String,
    /// The SHA-256 of its filter's file, in hexadecimal.
    pub filter_sha256: String,
    /// What it holds.
    #[serde(flatten)]
    pub bounds: ShardBounds,
}

/// The bounds of a shard's entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardBounds {
    /// The number of its runs.
    pub runs: u64,
    /// The earliest start of its runs. A run without a known start counts as started in 1970.
    pub least_started_at: Timestamp,
    /// The latest start of its runs.
    pub greatest_started_at: Timestamp,
    /// When the first of its runs is due for another request; `None` if none is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub least_check_at: Option<Timestamp>,
    /// The least of the times from which the reach of the API counts ([`Entry::reach_from`]).
    pub least_reach_from: Timestamp,
}

impl ShardBounds {
    /// The bounds of some entries; `None` if there are none.
    pub(super) fn of(entries: &Entries) -> Option<Self> {
        entries.iter().map(|(_, entry)| Self::of_entry(&entry)).reduce(Self::and)
    }

    fn of_entry(entry: &Entry) -> Self {
        Self {
            runs: 1,
            least_started_at: place(entry.started_at),
            greatest_started_at: place(entry.started_at),
            least_check_at: entry.check_at,
            least_reach_from: entry.reach_from(),
        }
    }

    fn and(self, other: Self) -> Self {
        let checks = [self.least_check_at, other.least_check_at];
        Self {
            runs: self.runs + other.runs,
            least_started_at: self.least_started_at.min(other.least_started_at),
            greatest_started_at: self.greatest_started_at.max(other.greatest_started_at),
            least_check_at: checks.into_iter().flatten().min(),
            least_reach_from: self.least_reach_from.min(other.least_reach_from),
        }
    }

    fn contains(&self, at: Timestamp) -> bool {
        self.least_started_at <= at && at <= self.greatest_started_at
    }
}

/// The start by which a run is put into a shard.
pub(super) fn place(started_at: Option<Timestamp>) -> Timestamp {
    started_at.unwrap_or(Timestamp::EPOCH)
}

/// Whether a shard may hold an entry: of a run that is exported, and was found when it was last
/// requested. All other runs are looked at by every sync or by `status`, and stay in memory.
pub fn is_of_shard(entry: &Entry) -> bool {
    entry.state == RunState::Exported && entry.failures == 0
}

/// Reads shards. This is a trait so that the ledger, which decides what is fetched, does not depend
/// on how a lake is stored.
pub trait ShardStorage: Debug + Send + Sync {
    /// The entries of a shard. Blocks the thread.
    ///
    /// # Errors
    /// [`LedgerError`] if its file is missing, cannot be read, or is not the one that was written.
    fn entries(&self, shard: &Shard) -> Result<Entries, LedgerError>;

    /// The filter of a shard's ids. Blocks the thread.
    ///
    /// # Errors
    /// As [`ShardStorage::entries`].
    fn filter(&self, shard: &Shard) -> Result<IdFilter, LedgerError>;
}

/// A shard of the ledger cannot be read. Holds the error of the storage.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct LedgerError(Box<dyn Error + Send + Sync>);

impl LedgerError {
    /// Wraps an error of the storage.
    pub fn new(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(source.into())
    }

    /// The error of the storage.
    pub fn into_source(self) -> Box<dyn Error + Send + Sync> {
        self.0
    }
}

/// The shards of a ledger, ordered by their earliest start. Clones share what was read.
#[derive(Clone, Debug, Default)]
pub struct Shards(Option<Arc<Inner>>);

#[derive(Debug)]
struct Inner {
    shards: Vec<Shard>,
    storage: Arc<dyn ShardStorage>,
    /// Shards that were read, by their number; the last used one comes last.
    loaded: Mutex<VecDeque<(usize, Arc<Entries>)>>,
    /// The filters of all shards, once a run was not where its start suggests.
    filters: Mutex<Option<Arc<[IdFilter]>>>,
}

/// Shards that are kept in memory. The runs of a list mostly are in one or two.
const LOADED: usize = 4;

/// Filters that are read at once: in an object store, reading mostly waits.
const READ_AT_ONCE: usize = 8;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is behind these locks is whole between any two statements.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shards {
    /// These shards, read from a storage.
    pub fn new(mut shards: Vec<Shard>, storage: Arc<dyn ShardStorage>) -> Self {
        if shards.is_empty() {
            return Self::default();
        }
        shards.sort_by_key(|shard| shard.bounds.least_started_at);
        Self(Some(Arc::new(Inner {
            shards,
            storage,
            loaded: Mutex::default(),
            filters: Mutex::default(),
        })))
    }

    /// The shards, by their earliest start.
    pub fn list(&self) -> &[Shard] {
        self.0.as_ref().map_or(&[], |inner| &inner.shards)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The entry of a run, and the number of its shard. `started_at` is where to look first.
    pub(super) fn find(
        &self,
        run_id: &str,
        started_at: Option<Timestamp>,
    ) -> Result<Option<(usize, Entry)>, LedgerError> {
        let Some(inner) = &self.0 else { return Ok(None) };
        let digest = IdDigest::of(run_id);
        let likely = inner.likely(place(started_at));
        if let Some(number) = likely
            && inner.is_possible(number, digest)
            && let Some(entry) = inner.load(number)?.get(run_id)
        {
            return Ok(Some((number, entry)));
        }
        // The start may have changed since the run was put into a shard. No shard may be left out
        // here: a known run that is taken for a new one would be exported twice.
        for (number, filter) in inner.filters()?.iter().enumerate() {
            if Some(number) != likely
                && filter.may_hold(digest)
                && let Some(entry) = inner.load(number)?.get(run_id)
            {
                return Ok(Some((number, entry)));
            }
        }
        Ok(None)
    }

    /// The shards that hold some of these runs, by number, with the runs. Reads each of them once.
    pub(super) fn holders<'r>(
        &self,
        run_ids: &[&'r str],
    ) -> Result<Vec<(usize, Vec<&'r str>)>, LedgerError> {
        let mut holders = Vec::new();
        let Some(inner) = self.0.as_ref().filter(|_| !run_ids.is_empty()) else {
            return Ok(holders);
        };
        let digests: Vec<IdDigest> = run_ids.iter().map(|run_id| IdDigest::of(run_id)).collect();
        for (number, filter) in inner.filters()?.iter().enumerate() {
            let possible = run_ids.iter().zip(&digests).filter(|(_, it)| filter.may_hold(**it));
            let mut held: Vec<&str> = possible.map(|(run_id, _)| *run_id).collect();
            if !held.is_empty() {
                let entries = self.read(number)?;
                held.retain(|run_id| entries.get(run_id).is_some());
            }
            if !held.is_empty() {
                holders.push((number, held));
            }
        }
        Ok(holders)
    }

    /// The number of the shard to which a run of this start is added.
    pub(super) fn target(&self, started_at: Option<Timestamp>) -> usize {
        let at = place(started_at);
        let after = self.list().partition_point(|shard| shard.bounds.least_started_at <= at);
        after.saturating_sub(1)
    }

    /// The entries of a shard, which are not kept in memory.
    pub(super) fn read(&self, number: usize) -> Result<Arc<Entries>, LedgerError> {
        let Some(inner) = &self.0 else { return Ok(Arc::default()) };
        match inner.loaded(number) {
            Some(entries) => Ok(entries),
            None => inner.read(number),
        }
    }

    /// Compares each shard with its filter and its bounds. Returns the name of the first that
    /// differs.
    pub(super) fn first_inconsistent(&self) -> Result<Option<&str>, LedgerError> {
        let Some(inner) = &self.0 else { return Ok(None) };
        for (number, shard) in inner.shards.iter().enumerate() {
            let entries = inner.read(number)?;
            let filter = inner.storage.filter(shard)?;
            let is_found = |(run_id, _): (&str, Entry)| filter.may_hold(IdDigest::of(run_id));
            let is_whole = ShardBounds::of(&entries) == Some(shard.bounds);
            if !is_whole || !entries.iter().all(is_found) {
                return Ok(Some(&shard.name));
            }
        }
        Ok(None)
    }
}

impl Inner {
    /// The shard whose bounds hold a start.
    fn likely(&self, at: Timestamp) -> Option<usize> {
        let after = self.shards.partition_point(|shard| shard.bounds.least_started_at <= at);
        let number = after.checked_sub(1)?;
        self.shards.get(number)?.bounds.contains(at).then_some(number)
    }

    /// Whether a shard may hold a run, as far as that is known without reading a file.
    fn is_possible(&self, number: usize, digest: IdDigest) -> bool {
        let filters = lock(&self.filters);
        let filter = filters.as_ref().and_then(|filters| filters.get(number));
        filter.is_none_or(|filter| filter.may_hold(digest))
    }

    fn loaded(&self, number: usize) -> Option<Arc<Entries>> {
        let mut loaded = lock(&self.loaded);
        let at = loaded.iter().position(|(loaded, _)| *loaded == number)?;
        let found = loaded.remove(at)?;
        let entries = Arc::clone(&found.1);
        loaded.push_back(found);
        Some(entries)
    }

    fn load(&self, number: usize) -> Result<Arc<Entries>, LedgerError> {
        if let Some(entries) = self.loaded(number) {
            return Ok(entries);
        }
        // Not under the lock: another thread may need another shard meanwhile.
        let entries = self.read(number)?;
        let mut loaded = lock(&self.loaded);
        loaded.retain(|(loaded, _)| *loaded != number);
        if loaded.len() >= LOADED {
            loaded.pop_front();
        }
        loaded.push_back((number, Arc::clone(&entries)));
        Ok(entries)
    }

    fn read(&self, number: usize) -> Result<Arc<Entries>, LedgerError> {
        let Some(shard) = self.shards.get(number) else { return Ok(Arc::default()) };
        self.storage.entries(shard).map(Arc::new)
    }

    fn filters(&self) -> Result<Arc<[IdFilter]>, LedgerError> {
        let mut filters = lock(&self.filters);
        if let Some(filters) = &*filters {
            return Ok(Arc::clone(filters));
        }
        let read = |shards: &[Shard]| {
            let read = shards.iter().map(|shard| self.storage.filter(shard));
            read.collect::<Result<Vec<IdFilter>, LedgerError>>()
        };
        let chunk = self.shards.len().div_ceil(READ_AT_ONCE).max(1);
        let chunks = std::thread::scope(|scope| {
            let tasks = self.shards.chunks(chunk).map(|shards| scope.spawn(move || read(shards)));
            // All are started before the first is waited for.
            let tasks: Vec<_> = tasks.collect();
            let stopped = |_| Err(LedgerError::new("reading the ids of the ledger stopped"));
            let read = tasks.into_iter().map(|task| task.join().unwrap_or_else(stopped));
            read.collect::<Result<Vec<_>, _>>()
        })?;
        let all: Arc<[IdFilter]> = chunks.into_iter().flatten().collect();
        Ok(Arc::clone(filters.insert(all)))
    }
}
