//! Tombstoned data files: superseded by a merge or by a new file of a replaced table, and kept for
//! the grace time (their retention) because a program that follows the commit log may still read them.

use std::time::Duration;

use super::paths::{FILES, LEDGER, TOMBSTONES, checkpoint_path, commit_of};
use super::{CommitFile, CommittedLake, Lake, LakeError, LakeView, ledger_shards};
use crate::crash;
use crate::time::Timestamp;

impl Lake {
    /// Garbage collection: removes for good the data files that were superseded longer than `grace`
    /// before `now`, and checkpoints that newer ones replaced. Orphan files, which no commit
    /// references, are not among them: `verify --repair` quarantines those. Returns the number of
    /// commits whose old files were removed.
    ///
    /// # Errors
    /// [`LakeError`] if a folder cannot be removed, or its commit cannot be read.
    pub async fn remove_retired(&self, now: Timestamp, grace: Duration) -> Result<u64, LakeError> {
        remove_retired(self.view(), now, grace).await
    }
}

impl CommittedLake {
    /// As [`Lake::remove_retired`].
    ///
    /// # Errors
    /// As [`Lake::remove_retired`].
    pub async fn remove_retired(&self, now: Timestamp, grace: Duration) -> Result<u64, LakeError> {
        remove_retired(self.view(), now, grace).await
    }
}

/// See [`Lake::remove_retired`]. The lake must be locked.
async fn remove_retired(
    view: &LakeView,
    now: Timestamp,
    grace: Duration,
) -> Result<u64, LakeError> {
    remove_old_checkpoints(view).await?;
    let mut removed = 0;
    for merge in view.store().list(TOMBSTONES)? {
        // Leave everything that was not put there by a commit of this lake.
        let Some(commit) = commit_of(&merge) else { continue };
        if view.head().is_none_or(|head| commit > head.commit) {
            continue;
        }
        if published_at(&view.commit_file(commit).await?) + grace <= now {
            crash::point("before_retired_are_removed");
            view.store().remove_tombstones(&merge)?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// When a commit was published, about: a sync creates its last commit at its end, and dates it at
/// its start.
fn published_at(commit: &CommitFile) -> Timestamp {
    let elapsed = commit.sync.as_ref().map_or(0, |sync| sync.elapsed_ms);
    commit.created_at + Duration::from_millis(elapsed)
}

/// Removes checkpoints that newer ones replaced, and the shards of the ledger that none names any more.
/// A few are kept for readers that opened the lake before.
async fn remove_old_checkpoints(view: &LakeView) -> Result<(), LakeError> {
    const KEPT: usize = 3;
    let Some(head) = view.head() else { return Ok(()) };
    for (folder, named) in [(LEDGER, head.ledger_checkpoint), (FILES, head.files_checkpoint)] {
        let names = view.store().list(folder)?;
        let number = |name: &String| name.strip_suffix(".parquet")?.parse::<u64>().ok();
        let mut numbers: Vec<u64> = names.iter().filter_map(number).collect();
        // Later ones belong to no commit yet.
        numbers.retain(|number| Some(*number) <= named);
        numbers.sort_unstable();
        let old = numbers.len().saturating_sub(KEPT);
        // Shards can have become unnamed only where a checkpoint did.
        if folder == LEDGER
            && old > 0
            && let Some(commit) = named
        {
            let sha256 = head.ledger_checkpoint_sha256.as_deref();
            let (_, index) = view.read_checkpoint(commit, sha256).await?;
            ledger_shards::remove_unnamed(view.store(), &index, commit)?;
        }
        for number in numbers.into_iter().take(old) {
            view.store().delete(&checkpoint_path(folder, number))?;
        }
    }
    Ok(())
}
