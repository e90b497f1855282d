//! The files of the ledger's shards: two for each, its entries and the filter of their ids. They are
//! written once, before the checkpoint that names them, and never changed.

use std::collections::HashSet;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parquet::file::reader::{ChunkReader, Length};

use super::ledger_checkpoint::{self, ReplacedShard, ShardIndex};
use super::paths::{SHARDS, commit_of, shard_filter_path, shard_path};
use super::{LakeError, LakeStore};
use crate::digest::sha256_hex;
use crate::ledger::{
    Entries, IdFilter, Ledger, LedgerError, Resharded, Shard, ShardContent, ShardLayout,
    ShardStorage, Shards, is_of_shard,
};
use crate::time::Timestamp;

/// Replaced shards stay for this long: a process that opened the lake before may read them late.
const KEPT: Duration = Duration::from_hours(24);

/// Reads shards from a lake.
#[derive(Debug)]
struct StoredShards(LakeStore);

impl ShardStorage for StoredShards {
    fn entries(&self, shard: &Shard) -> Result<Entries, LedgerError> {
        self.read_entries(shard).map_err(LedgerError::new)
    }

    fn filter(&self, shard: &Shard) -> Result<IdFilter, LedgerError> {
        self.read_filter(shard).map_err(LedgerError::new)
    }
}

impl StoredShards {
    fn read_entries(&self, shard: &Shard) -> Result<Entries, LakeError> {
        let path = shard_path(&shard.name);
        let bytes = self.read(&path, &shard.sha256)?;
        let (entries, _) =
            ledger_checkpoint::read(bytes).map_err(LakeError::parquet("read", path.as_str()))?;
        // Runs of other states would be overlooked here: only those in memory are searched for them.
        if entries.iter().all(|(_, entry)| is_of_shard(&entry)) {
            return Ok(entries);
        }
        Err(self.damaged(&path, "it has runs that are not exported"))
    }

    fn read_filter(&self, shard: &Shard) -> Result<IdFilter, LakeError> {
        let path = shard_filter_path(&shard.name);
        let bytes = self.read(&path, &shard.filter_sha256)?;
        IdFilter::decode(&bytes).ok_or_else(|| self.damaged(&path, "it is not a filter"))
    }

    /// The content of a file, from its local copy if the lake is in an object store.
    fn read(&self, path: &str, sha256: &str) -> Result<Bytes, LakeError> {
        let file = match self.0.open(path, Some(sha256)) {
            Err(LakeError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {
                return Err(self.damaged(path, "it is missing"));
            }
            opened => opened?,
        };
        let length = usize::try_from(file.len()).unwrap_or(usize::MAX);
        let bytes = file.get_bytes(0, length).map_err(LakeError::parquet("read", path))?;
        if sha256_hex(&bytes) == sha256 {
            return Ok(bytes);
        }
        Err(self.damaged(path, "its SHA-256 is not what the ledger's checkpoint states"))
    }

    fn damaged(&self, path: &str, problem: &str) -> LakeError {
        LakeError::Damaged { path: self.0.location(path), problem: problem.to_owned() }
    }
}

/// The ledger of a checkpoint. Its shards are read when they are needed.
pub(super) fn open(store: &LakeStore, recent: Entries, index: &ShardIndex) -> Ledger {
    let storage = Arc::new(StoredShards(store.clone()));
    Ledger::new(Shards::new(index.shards.clone(), storage), recent)
}

/// Writes the shards that a checkpoint needs and that do not exist yet. Returns the ledger with the
/// new shards, and the index for the checkpoint. `replaced` are shards that were replaced earlier.
///
/// # Errors
/// [`LakeError`] if a shard that changes cannot be read, or a new one not be written.
pub(super) async fn write(
    store: &LakeStore,
    ledger: &Ledger,
    replaced: &[ReplacedShard],
    commit: u64,
    created_at: Timestamp,
    layout: ShardLayout,
) -> Result<(Ledger, ShardIndex), LakeError> {
    let resharding = ledger.resharding(layout)?;
    let mut written = Vec::new();
    if !resharding.is_empty() {
        store.make_folder(SHARDS)?;
    }
    for contents in resharding.contents() {
        for content in contents? {
            written.push(write_shard(store, content, commit).await?);
        }
    }
    let resharded = resharding.finish(written);
    let Resharded { shards, recent, replaced: newly_replaced } = resharded;
    let kept = replaced.iter().filter(|shard| created_at < shard.at + KEPT).cloned();
    let new = newly_replaced.into_iter().map(|it| ReplacedShard { name: it.name, at: created_at });
    let index = ShardIndex { shards, replaced: kept.chain(new).collect() };
    Ok((open(store, recent, &index), index))
}

async fn write_shard(
    store: &LakeStore,
    content: ShardContent,
    commit: u64,
) -> Result<Shard, LakeError> {
    const ACTION: &str = "write a part of the ledger";
    let bytes = ledger_checkpoint::write(&content.entries, &ShardIndex::default())
        .map_err(LakeError::parquet("write", SHARDS))?;
    let filter = content.filter.encode();
    let (sha256, filter_sha256) = (sha256_hex(&bytes), sha256_hex(&filter));
    // The name states the content, so a file of this name that a crash left has the same content.
    let name = format!("{commit:08}-{}", sha256.get(..32).unwrap_or(&sha256));
    store.put_if_absent(&shard_filter_path(&name), filter, ACTION).await?;
    store.put_if_absent(&shard_path(&name), bytes, ACTION).await?;
    Ok(Shard { name, sha256, filter_sha256, bounds: content.bounds })
}

/// Removes the files of shards that a checkpoint does not name, of this and earlier commits.
///
/// # Errors
/// [`LakeError::Io`] or [`LakeError::Request`] if they cannot be listed or removed.
pub(super) fn remove_unnamed(
    store: &LakeStore,
    index: &ShardIndex,
    commit: u64,
) -> Result<(), LakeError> {
    let shards = index.shards.iter().map(|shard| shard.name.as_str());
    let replaced = index.replaced.iter().map(|shard| shard.name.as_str());
    let named: HashSet<&str> = shards.chain(replaced).collect();
    for file in store.list(SHARDS)? {
        let name = file.strip_suffix(".parquet").or_else(|| file.strip_suffix(".filter"));
        // Files of later commits belong to a checkpoint that no commit names yet.
        let is_old = commit_of(&file).is_some_and(|written| written <= commit);
        if is_old && name.is_some_and(|name| !named.contains(name)) {
            store.delete(&format!("{SHARDS}/{file}"))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{DocumentStates, Entry, RunState};

    fn entry(number: i64) -> Entry {
        let at = Timestamp::from_micros(number * 1_000_000);
        Entry {
            // Some stay in memory.
            state: if number % 100 == 0 { RunState::Failed } else { RunState::Exported },
            status: Some("pass".into()),
            started_at: (number % 7 > 0).then_some(at),
            ended_at: None,
            first_listed_at: at,
            row_fingerprint: 1,
            content_fingerprint: 2,
            revision: 1,
            commit: 3,
            documents: DocumentStates::default(),
            failures: 0,
            check_at: None,
            problem: None,
        }
    }

    /// A checkpoint of a version that did not know shards is one file with all entries, and no index.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_checkpoint_without_shards_is_divided_at_the_next_one() {
        let folder = tempfile::tempdir().unwrap();
        let store = LakeStore::local(folder.path());
        let mut entries = Entries::default();
        entries.apply((0..5000).map(|number| (format!("run-{number:04}"), Some(entry(number)))));
        let old = ledger_checkpoint::write(&entries, &ShardIndex::default()).unwrap();
        let (recent, index) = ledger_checkpoint::read(old.into()).unwrap();
        assert_eq!(index, ShardIndex::default());
        let ledger = open(&store, recent, &index);

        let layout = ShardLayout { runs_of_shard: 1000, runs_in_memory: 1000 };
        let at = Timestamp::EPOCH;
        let (ledger, index) = write(&store, &ledger, &[], 7, at, layout).await.unwrap();
        assert_eq!((index.shards.len(), index.replaced.len()), (5, 0));
        assert_eq!(ledger.recent().len(), 50);
        let new = ledger_checkpoint::write(ledger.recent(), &index).unwrap();
        let (recent, index) = ledger_checkpoint::read(new.into()).unwrap();
        let ledger = open(&store, recent, &index);
        assert!(ledger.to_entries().unwrap() == entries);
        assert_eq!(ledger.first_inconsistent_shard().unwrap(), None);

        // One of another size than before is another file; the old one stays for a day.
        let mut ledger = ledger;
        ledger.apply([("run-4001".to_owned(), None)]);
        let (ledger, index) = write(&store, &ledger, &[], 8, at, layout).await.unwrap();
        let replaced: Vec<&str> = index.replaced.iter().map(|it| it.name.as_str()).collect();
        assert!(matches!(replaced.as_slice(), [name] if name.starts_with("00000007-")));
        remove_unnamed(&store, &index, 8).unwrap();
        assert_eq!(store.list(SHARDS).unwrap().len(), 12);
        let later = at + KEPT;
        let (_, index) = write(&store, &ledger, &index.replaced, 9, later, layout).await.unwrap();
        assert_eq!(index.replaced, []);
        remove_unnamed(&store, &index, 9).unwrap();
        assert_eq!(store.list(SHARDS).unwrap().len(), 10);
    }
}
