//! Moves entries from memory into shards, and writes only the shards that change.

use std::collections::{BTreeMap, HashSet};

use super::shard::place;
use super::{Entries, Entry, IdFilter, Ledger, LedgerError, Shard, ShardBounds, is_of_shard};
use crate::time::Timestamp;

/// How the ledger is divided.
#[derive(Clone, Copy, Debug)]
pub struct ShardLayout {
    /// Most runs of a shard.
    pub runs_of_shard: usize,
    /// Runs that need no request stay in memory, and in the checkpoint itself, until there are more
    /// than this: few shards are then written for many runs.
    pub runs_in_memory: usize,
}

impl Default for ShardLayout {
    /// A shard takes about 4 MB in memory, and 2 MB in its file.
    fn default() -> Self {
        Self { runs_of_shard: 32_768, runs_in_memory: 32_768 }
    }
}

/// Runs that wait for another request for a long time go into shards, too, if there are more than so
/// many times [`ShardLayout::runs_in_memory`] of runs in memory.
const CROWDED: usize = 4;

/// A division of the ledger that is being written.
#[derive(Debug)]
pub struct Resharding<'l> {
    ledger: &'l Ledger,
    layout: ShardLayout,
    leaves: fn(&Entry) -> bool,
    steps: BTreeMap<Step, Changes<'l>>,
}

/// What is written at once: a shard anew, or new shards only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Rewrite(usize),
    Append,
}

#[derive(Debug, Default)]
struct Changes<'l> {
    added: Vec<(Timestamp, &'l str)>,
    removed: HashSet<&'l str>,
}

/// The content of a new shard.
#[derive(Debug)]
pub struct ShardContent {
    /// Its entries.
    pub entries: Entries,
    /// The filter of their ids.
    pub filter: IdFilter,
    /// Their bounds.
    pub bounds: ShardBounds,
}

/// The entries of new shards, in the order of their starts.
#[derive(Debug)]
pub struct ShardContents<'l> {
    ledger: &'l Ledger,
    sources: std::vec::IntoIter<(Timestamp, Source<'l>)>,
    most: usize,
}

#[derive(Debug)]
enum Source<'l> {
    /// An entry of the shard that is written anew.
    Shard(Box<(String, Entry)>),
    /// A run whose entry is in memory.
    Memory(&'l str),
}

/// The ledger after it was divided.
#[derive(Debug)]
pub struct Resharded {
    /// All shards.
    pub shards: Vec<Shard>,
    /// Shards that others replaced.
    pub replaced: Vec<Shard>,
    /// The entries that stay in memory.
    pub recent: Entries,
}

fn needs_nothing(entry: &Entry) -> bool {
    is_of_shard(entry) && entry.check_at.is_none()
}

fn stays(_: &Entry) -> bool {
    false
}

impl Ledger {
    /// The shards to write before a checkpoint: none while few runs could leave the memory, and no
    /// run was removed from a shard.
    ///
    /// # Errors
    /// [`LedgerError`] if a shard cannot be read.
    pub fn resharding(&self, layout: ShardLayout) -> Result<Resharding<'_>, LedgerError> {
        let count = |leaves: fn(&Entry) -> bool| {
            self.recent.iter().filter(|(_, entry)| leaves(entry)).count()
        };
        let settled = count(needs_nothing);
        let waiting = self.recent.len() - settled;
        let leaves =
            if settled <= layout.runs_in_memory && waiting <= CROWDED * layout.runs_in_memory {
                stays
            } else if waiting <= CROWDED * layout.runs_in_memory {
                needs_nothing
            } else {
                is_of_shard
            };
        let mut resharding = Resharding { ledger: self, layout, leaves, steps: BTreeMap::new() };
        resharding.add_leaving()?;
        let removed: Vec<&str> = self.removed.iter().map(String::as_str).collect();
        for (number, run_ids) in self.shards.holders(&removed)? {
            let step = resharding.steps.entry(Step::Rewrite(number)).or_default();
            step.removed.extend(run_ids);
        }
        Ok(resharding)
    }
}

impl<'l> Resharding<'l> {
    fn add_leaving(&mut self) -> Result<(), LedgerError> {
        let (ledger, leaves) = (self.ledger, self.leaves);
        let leaving = ledger.recent.iter().filter(|(_, entry)| leaves(entry));
        let mut leaving: Vec<(Option<Timestamp>, &str)> =
            leaving.map(|(run_id, entry)| (entry.started_at, run_id)).collect();
        // So that each shard is read once.
        leaving.sort_unstable_by_key(|(started_at, run_id)| (place(*started_at), *run_id));
        for (started_at, run_id) in leaving {
            // An older entry of the run leaves its shard, whichever that is: a run is in one shard.
            if let Some((number, _)) = ledger.shards.find(run_id, started_at)? {
                self.steps.entry(Step::Rewrite(number)).or_default().removed.insert(run_id);
            }
            let step = self.step_of(started_at);
            let added = &mut self.steps.entry(step).or_default().added;
            added.push((place(started_at), run_id));
        }
        Ok(())
    }

    /// Where a run is added. A full last shard does not change if the run is younger.
    fn step_of(&self, started_at: Option<Timestamp>) -> Step {
        let shards = self.ledger.shards.list();
        let number = self.ledger.shards.target(started_at);
        let Some(shard) = shards.get(number) else { return Step::Append };
        let is_last = number + 1 == shards.len();
        let is_full = shard.bounds.runs >= u64::try_from(self.layout.runs_of_shard).unwrap_or(0);
        if is_last && is_full && place(started_at) > shard.bounds.greatest_started_at {
            Step::Append
        } else {
            Step::Rewrite(number)
        }
    }

    /// Whether nothing has to be written.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The new shards of each step, which together replace the shards that change.
    ///
    /// # Errors
    /// [`LedgerError`] if a shard that is written anew cannot be read.
    pub fn contents(
        &self,
    ) -> impl Iterator<Item = Result<ShardContents<'l>, LedgerError>> + use<'_, 'l> {
        self.steps.iter().map(|(step, changes)| self.contents_of(*step, changes))
    }

    fn contents_of(
        &self,
        step: Step,
        changes: &Changes<'l>,
    ) -> Result<ShardContents<'l>, LedgerError> {
        let mut sources: Vec<(Timestamp, Source<'l>)> = Vec::new();
        if let Step::Rewrite(number) = step {
            for (run_id, entry) in self.ledger.shards.read(number)?.iter() {
                if !changes.removed.contains(run_id) {
                    let at = place(entry.started_at);
                    sources.push((at, Source::Shard(Box::new((run_id.to_owned(), entry)))));
                }
            }
        }
        let added = changes.added.iter().map(|(at, run_id)| (*at, Source::Memory(run_id)));
        sources.extend(added);
        sources.sort_by_key(|(at, _)| *at);
        let (ledger, most) = (self.ledger, self.layout.runs_of_shard.max(1));
        Ok(ShardContents { ledger, sources: sources.into_iter(), most })
    }

    /// The ledger once the new shards are written.
    pub fn finish(self, written: Vec<Shard>) -> Resharded {
        let (mut shards, mut replaced) = (written, Vec::new());
        for (number, shard) in self.ledger.shards.list().iter().enumerate() {
            let is_replaced = self.steps.contains_key(&Step::Rewrite(number));
            if is_replaced { &mut replaced } else { &mut shards }.push(shard.clone());
        }
        let staying = self.ledger.recent.sorted().filter(|(_, entry)| !(self.leaves)(entry));
        let mut recent = Entries::default();
        recent.apply(staying.map(|(run_id, entry)| (run_id.to_owned(), Some(entry))));
        Resharded { shards, replaced, recent }
    }
}

impl Iterator for ShardContents<'_> {
    type Item = ShardContent;

    fn next(&mut self) -> Option<ShardContent> {
        let mut runs: Vec<(String, Option<Entry>)> = Vec::new();
        for (_, source) in self.sources.by_ref().take(self.most) {
            runs.push(match source {
                Source::Shard(run) => (run.0, Some(run.1)),
                Source::Memory(run_id) => (run_id.to_owned(), self.ledger.recent.get(run_id)),
            });
        }
        runs.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        let mut entries = Entries::with_capacity(runs.len());
        let count = runs.len();
        entries.apply(runs);
        let filter = IdFilter::of(entries.iter().map(|(run_id, _)| run_id), count);
        let bounds = ShardBounds::of(&entries)?;
        Some(ShardContent { entries, filter, bounds })
    }
}
