//! Commits: creating the commit file is the one atomic step. Before it, the data files are staged;
//! after it, they are published.

use std::collections::BTreeMap;

use bytes::Bytes;
use uuid::Uuid;

use super::files_checkpoint::LiveFileChanges;
use super::paths::{FILES, LEDGER, checkpoint_path, commit_path, staging_path};
use super::{
    CommitFile, Gap, Lake, LakeError, Staging, StoredFile, SyncRecord, ledger_checkpoint,
    ledger_shards,
};
use crate::crash;
use crate::digest::sha256_hex;
use crate::ledger::{LedgerChange, ShardLayout};
use crate::tables::{FieldIds, SCHEMA_VERSION};
use crate::time::{Interval, Timestamp};

/// The content of a commit other than its data files.
#[derive(Clone, Debug, Default)]
pub struct CommitBuilder {
    /// The id of the sync, replay, merge or repair that makes it.
    pub sync_id: String,
    /// When it is made: by the server's clock for a sync, by this machine's clock otherwise.
    pub created_at: Timestamp,
    /// Changes of the ledger: entries by run id; `None` removes the run.
    pub ledger_changes: Vec<LedgerChange>,
    /// The coverage after this commit; `None` leaves it unchanged.
    pub coverage: Option<Vec<Interval>>,
    /// New gaps.
    pub new_gaps: Vec<Gap>,
    /// Whether the list goes from new to old, if all of it was read; `None` leaves it unchanged.
    pub newest_first: Option<bool>,
    /// Fingerprint of how rows of the list were read; `None` if none was read.
    pub listing_mapping: Option<u64>,
    /// The record of the sync, in its last commit.
    pub sync: Option<SyncRecord>,
    /// Paths of data files that this commit removes, and whose place no new data file takes.
    pub removed: Vec<String>,
    /// Whether it only merges data files of earlier commits, and so adds no rows.
    pub is_merge: bool,
    /// The field ids of the user's columns; empty leaves them unchanged.
    pub field_ids: FieldIds,
    /// Whether to write a checkpoint of the ledger even if none is due.
    pub has_checkpoint: bool,
}

impl Lake {
    /// Starts staging the next commit.
    pub fn stage(&self) -> Staging {
        Staging::new(self.store().clone(), self.next_commit())
    }

    /// After the lock was taken over from a process that may come back: takes the number of the
    /// commit that this process may be about to create, with an empty commit.
    pub(super) async fn overtake(&mut self) -> Result<(), LakeError> {
        let Some(created_at) = self.head().map(|head| head.created_at) else { return Ok(()) };
        if !self.was_taken_over() {
            return Ok(());
        }
        let sync_id = format!("takeover-{}", Uuid::new_v4());
        let draft = CommitBuilder { sync_id, created_at, ..CommitBuilder::default() };
        self.commit(self.stage(), draft).await.map(drop)
    }

    /// Makes a commit. When this returns, the commit is durable and its data files are published. The
    /// commit that it returns is without its ledger changes and statistics.
    ///
    /// # Errors
    /// [`LakeError::CommitConflict`] if another process created a commit of this number first;
    /// otherwise an I/O error. Either the lake is unchanged, or the next opening finishes the
    /// commit.
    pub async fn commit(
        &mut self,
        staging: Staging,
        draft: CommitBuilder,
    ) -> Result<CommitFile, LakeError> {
        let checkpoint = Box::pin(self.checkpoint_if_due(&staging, &draft)).await?;
        let head = self.head();
        let mut gaps = head.map(|head| head.gaps.clone()).unwrap_or_default();
        for gap in draft.new_gaps {
            gap.add_to(&mut gaps);
        }
        let (contents, replaced_paths) = replaced_tables(head, &staging, &draft.removed);
        let field_ids = match draft.field_ids {
            given if given.is_empty() => {
                head.map(|head| head.field_ids.clone()).unwrap_or_default()
            }
            given => given,
        };
        let (ledger_checkpoint, ledger_checkpoint_sha256) = match checkpoint {
            Some((commit, sha256)) => (Some(commit), Some(sha256)),
            None => head
                .map(|head| (head.ledger_checkpoint, head.ledger_checkpoint_sha256.clone()))
                .unwrap_or_default(),
        };
        let mut commit_file = CommitFile {
            commit: staging.commit,
            previous: self.head_sha256().map(str::to_owned),
            sync_id: draft.sync_id,
            created_at: draft.created_at,
            schema_version: SCHEMA_VERSION.to_owned(),
            staging: staging.folder.clone(),
            parts: staging.parts.clone(),
            replaced: staging.replaced.clone(),
            ledger_changes: draft.ledger_changes,
            removed: draft.removed,
            is_merge: draft.is_merge,
            ledger_checkpoint,
            ledger_checkpoint_sha256,
            ledger_totals: Some(self.run_totals()),
            files_checkpoint: head.and_then(|head| head.files_checkpoint),
            files_checkpoint_sha256: head.and_then(|head| head.files_checkpoint_sha256.clone()),
            field_ids,
            replaced_paths,
            identity_sha256: self.identity_sha256().map(str::to_owned),
            coverage: draft
                .coverage
                .unwrap_or_else(|| head.map(|head| head.coverage.clone()).unwrap_or_default()),
            gaps,
            listing_mapping: draft.listing_mapping.or(head.and_then(|head| head.listing_mapping)),
            newest_first: draft.newest_first.or(head.and_then(|head| head.newest_first)),
            contents,
            sync: draft.sync,
        };
        if draft.has_checkpoint || commit_file.sync.is_some() && self.files_checkpoint_is_due() {
            self.write_files_checkpoint(&mut commit_file, draft.has_checkpoint).await?;
        }
        self.check_lock()?;
        // After everything that can fill the disk: sealed data files stay until their number is taken.
        staging.seal()?;
        crash::point("before_commit_file");
        let sha256 = self.create_commit_file(&commit_file).await?;
        crash::point("after_commit_file");
        // The file has them, and nothing below needs them: they are most of the commit's memory.
        commit_file.ledger_changes = Vec::new();
        for part in commit_file.parts.iter_mut().chain(&mut commit_file.replaced) {
            part.statistics = None;
        }
        let (store, moved) = (self.store().clone(), commit_file.clone());
        let finish = move || store.publish(&moved).and_then(|()| store.remove_overtaken(&moved));
        let task = tokio::task::spawn_blocking(finish);
        task.await.map_err(|error| LakeError::Damaged {
            path: self.store().root(),
            problem: format!("moving data files stopped: {error}"),
        })??;
        self.advance(&commit_file, sha256);
        Ok(commit_file)
    }

    /// Writes a checkpoint of the live files after a commit, and names it in the commit. It is
    /// written from the last one, or from all commits if `anew` is set or the last one is damaged.
    async fn write_files_checkpoint(
        &self,
        commit: &mut CommitFile,
        anew: bool,
    ) -> Result<(), LakeError> {
        let path = checkpoint_path(FILES, commit.commit);
        let old = if anew { None } else { self.view().files_checkpoint(self.head())? };
        let (since, mut old) = match old {
            Some((commit, file)) => (commit, Some(OldFiles::Stored(file))),
            None => (0, None),
        };
        let mut changes = LiveFileChanges::default();
        for number in self.view().commits_after(since)? {
            changes.apply(&self.view().commit_file(number).await?);
            if changes.are_many() {
                let slice = self.written(std::mem::take(&mut changes), old, &path).await?;
                old = Some(OldFiles::Written(slice));
            }
        }
        changes.apply(commit);
        let bytes = self.written(changes, old, &path).await?;
        let action = "write the list of files";
        let written = self.put_checkpoint(&path, bytes, commit.commit, anew, action).await?;
        if let Some(sha256) = written {
            commit.files_checkpoint = Some(commit.commit);
            commit.files_checkpoint_sha256 = Some(sha256);
        }
        crash::point("after_files_checkpoint");
        Ok(())
    }

    /// The content of a checkpoint of the live files.
    async fn written(
        &self,
        changes: LiveFileChanges,
        old: Option<OldFiles>,
        path: &str,
    ) -> Result<Bytes, LakeError> {
        let written = tokio::task::spawn_blocking(move || match old {
            Some(OldFiles::Stored(file)) => changes.write(Some(file)),
            Some(OldFiles::Written(bytes)) => changes.write(Some(bytes)),
            None => changes.write(None::<Bytes>),
        })
        .await;
        let written = written.map_err(|error| LakeError::Damaged {
            path: self.store().location(path),
            problem: format!("writing it stopped: {error}"),
        })?;
        written.map(Bytes::from).map_err(LakeError::parquet("write", path))
    }

    /// Writes a checkpoint as of the commit that is being made. Returns its SHA-256; `None` if there is
    /// one of this number, which a crash left: it only delays the checkpoint to a later commit. One
    /// that is there is never replaced, as a writer that lost the race for this number would overwrite
    /// the winner's. Only a repair or a replay, which must write it (`anew`), deletes it before, if no
    /// commit of this number exists that could name it.
    async fn put_checkpoint(
        &self,
        path: &str,
        bytes: Bytes,
        commit: u64,
        anew: bool,
        action: &'static str,
    ) -> Result<Option<String>, LakeError> {
        let sha256 = sha256_hex(&bytes);
        if anew && !self.store().contains(&commit_path(commit))? {
            self.store().delete(path)?;
        }
        let is_written = self.store().put_if_absent(path, bytes, action).await?;
        Ok(is_written.then_some(sha256))
    }

    /// Creates the commit file: the one step that makes the commit. The file is created only if
    /// none of that number exists, so that of two writers that bypass the lock only one can
    /// succeed. Returns the SHA-256 of the file.
    async fn create_commit_file(&self, commit_file: &CommitFile) -> Result<String, LakeError> {
        let path = commit_path(commit_file.commit);
        let bytes = commit_file.encode().map_err(|error| LakeError::Damaged {
            path: self.store().location(&path),
            problem: error.to_string(),
        })?;
        let sha256 = sha256_hex(&bytes);
        match self.store().put_if_absent(&path, bytes, "write the commit file").await {
            Ok(true) => Ok(sha256),
            Ok(false) => Err(LakeError::CommitConflict {
                path: self.store().root(),
                commit: commit_file.commit,
            }),
            Err(error) => {
                // The write failed. If no commit file exists, no commit will be made of these data
                // files: remove them, as a full disk needs the space.
                if self.store().failed_create_is_final() && self.store().length(&path)?.is_none() {
                    self.store().delete_folder(&staging_path(&commit_file.staging))?;
                }
                Err(error)
            }
        }
    }

    /// Writes a checkpoint of the ledger if one is due, so that opening the lake reads few commits.
    /// It precedes the commit, which names it and its SHA-256; the shards that it names precede it.
    /// Returns its commit and SHA-256, if it was written.
    async fn checkpoint_if_due(
        &mut self,
        staging: &Staging,
        draft: &CommitBuilder,
    ) -> Result<Option<(u64, String)>, LakeError> {
        self.note_changes(&draft.ledger_changes)?;
        if !self.checkpoint_is_due(draft.sync.is_some()) && !draft.has_checkpoint {
            return Ok(None);
        }
        let (commit, anew) = (staging.commit, draft.has_checkpoint);
        let path = checkpoint_path(LEDGER, commit);
        let (ledger, index) = ledger_shards::write(
            self.store(),
            self.ledger(),
            self.replaced_shards(),
            commit,
            draft.created_at,
            ShardLayout::default(),
        )
        .await?;
        crash::point("after_ledger_shards");
        let bytes = ledger_checkpoint::write(ledger.recent(), &index)
            .map_err(LakeError::parquet("write", path.as_str()))?;
        let written =
            self.put_checkpoint(&path, bytes.into(), commit, anew, "write the ledger").await?;
        // Without a checkpoint that names them, the new shards may be removed.
        let Some(sha256) = written else { return Ok(None) };
        self.use_checkpoint(ledger, index);
        crash::point("after_ledger_checkpoint");
        Ok(Some((commit, sha256)))
    }
}

/// The checkpoint of the live files that a new one is written from.
enum OldFiles {
    /// The last one.
    Stored(StoredFile),
    /// A slice of the new one, after some of the commits.
    Written(Bytes),
}

/// What the files of replaced tables were built from, and their paths, after a commit.
fn replaced_tables(
    head: Option<&CommitFile>,
    staging: &Staging,
    removed: &[String],
) -> (BTreeMap<String, u64>, BTreeMap<String, String>) {
    let mut contents = head.map(|head| head.contents.clone()).unwrap_or_default();
    let mut paths = head.map(|head| head.replaced_paths.clone()).unwrap_or_default();
    if let Some(head) = head {
        // A table whose file was removed is written again, even from the same content.
        let is_removed =
            |table: &str| head.replaced_path(table).is_some_and(|path| removed.contains(&path));
        paths.retain(|table, _| !is_removed(table));
        contents.retain(|table, _| !is_removed(table));
    }
    contents.extend(staging.contents.clone());
    paths.extend(staging.replaced.iter().map(|part| (part.table.clone(), part.path.clone())));
    (contents, paths)
}
