//! Opening a lake: its identity, its ledger, and recovery of what a crash left unfinished.

use std::collections::{BTreeSet, HashMap};

use bytes::Bytes;

use super::integrity::{ExpectedFiles, check_none_later};
use super::ledger_checkpoint::{self, ReplacedShard, ShardIndex};
use super::paths::{
    COMMITS, FILES, IDENTITY, LEDGER, STAGING, checkpoint_path, commit_of, commit_path, shard_path,
};
use super::store::WriterLock;
use super::{
    CommitFile, FORMAT_MAJOR, Identity, LakeError, LakeStore, Location, StoredFile, ledger_shards,
};
use crate::config::Filters;
use crate::crash;
use crate::digest::sha256_hex;
use crate::ledger::{Entries, Entry, Ledger, LedgerChange, RunTotals};
use crate::tables::FieldIds;

/// A lake opened for writing. Holds the lock until it is dropped.
#[derive(Debug)]
pub struct Lake {
    view: LakeView,
    ledger: Ledger,
    /// The numbers of runs in the ledger.
    totals: RunTotals,
    /// Shards of the ledger that were replaced, and whose files still stay.
    replaced_shards: Vec<ReplacedShard>,
    changes_since_checkpoint: usize,
    lock: WriterLock,
}

/// A lake to which no further commit is made, and which no other process can write yet. Holds the
/// lock until it is dropped.
#[derive(Debug)]
pub struct CommittedLake {
    view: LakeView,
    _lock: WriterLock,
}

impl CommittedLake {
    /// A view for reading.
    pub fn view(&self) -> &LakeView {
        &self.view
    }
}

/// A lake opened for reading. Readers need no lock, because commits are never changed.
#[derive(Clone, Debug)]
pub struct LakeView {
    store: LakeStore,
    identity: Option<Identity>,
    identity_sha256: Option<String>,
    head: Option<CommitFile>,
    head_sha256: Option<String>,
}

/// A checkpoint of the ledger is written after this many changes, or this many commits.
const CHECKPOINT_CHANGES: usize = 2_000;
const CHECKPOINT_COMMITS: u64 = 64;

/// A sync that has so many changes writes a checkpoint before it ends: the ledger of a long sync must
/// not fill the memory.
const MOST_CHANGES: usize = 65_536;

impl Lake {
    /// Opens a lake for writing, or creates one where nothing is. Finishes or discards what a
    /// crash left.
    ///
    /// # Errors
    /// [`LakeError`]: another writer, another format, a damaged file, or an I/O error.
    pub async fn open(store: impl Into<LakeStore>) -> Result<Self, LakeError> {
        let (view, lock) = Self::take(store.into()).await?;
        let lengths = check_none_later(&view.store, view.head.as_ref())?;
        let mut expected = ExpectedFiles::default();
        let (ledger, index) = view.checkpointed_ledger().await?;
        let since = view.head.as_ref().and_then(|head| head.ledger_checkpoint).unwrap_or(0);
        let (ledger, changes_since_checkpoint) =
            view.ledger_since(ledger, since, |commit_file| expected.note(commit_file)).await?;
        if let Some(head) = &view.head {
            expected.note(head);
        }
        expected.check(&view.store, &lengths)?;
        let totals = view.head.as_ref().and_then(|head| head.ledger_totals);
        let totals = totals.map_or_else(|| ledger.count(), Ok)?;
        let replaced_shards = index.replaced;
        let mut lake =
            Self { view, ledger, totals, replaced_shards, changes_since_checkpoint, lock };
        lake.overtake().await?;
        Ok(lake)
    }

    /// Whether the process that held the lock before ended without a word, and may come back.
    pub(super) fn was_taken_over(&self) -> bool {
        self.lock.was_taken_over()
    }

    /// Refuses a commit if another process took the lock over.
    pub(super) fn check_lock(&self) -> Result<(), LakeError> {
        if self.lock.is_lost() {
            let commit = self.next_commit();
            return Err(LakeError::CommitConflict { path: self.store().root(), commit });
        }
        Ok(())
    }

    /// Opens a lake for repair: the ledger is built from the changes in all commits, and no
    /// checkpoint is read, because a checkpoint may be damaged.
    ///
    /// # Errors
    /// As [`Lake::open`].
    pub async fn open_for_repair(store: impl Into<LakeStore>) -> Result<Self, LakeError> {
        let (view, lock) = Self::take(store.into()).await?;
        let (ledger, changes_since_checkpoint) =
            view.ledger_since(Ledger::default(), 0, |_| ()).await?;
        let totals = ledger.count()?;
        // The shards that are there are not known: `remove_retired` removes them once the repair has
        // written others.
        let replaced_shards = Vec::new();
        let mut lake =
            Self { view, ledger, totals, replaced_shards, changes_since_checkpoint, lock };
        lake.overtake().await?;
        Ok(lake)
    }

    async fn take(store: LakeStore) -> Result<(LakeView, WriterLock), LakeError> {
        if !store.is_lake()? {
            if !store.is_empty()? {
                return Err(LakeError::NotALake { path: store.root() });
            }
            // A lake is new: the one moment when its storage can still be another one.
            store.check_conditions().await?;
        }
        for folder in [COMMITS, LEDGER, FILES, STAGING] {
            store.make_folder(folder)?;
        }
        let lock = store.lock().await?;
        crash::point("lock_taken");
        let view = LakeView::open(store).await?;
        // Recover before the data files are checked: the check assumes that all commits are
        // published.
        view.recover().await?;
        Ok((view, lock))
    }

    /// Binds the lake to an organization and its filters, or refuses a lake that holds others.
    ///
    /// # Errors
    /// [`LakeError::OtherExport`] if the organization or the filters differ.
    pub async fn bind(
        &mut self,
        organization_id: Option<&str>,
        filters: &Filters,
    ) -> Result<(), LakeError> {
        if let Some(identity) = &self.view.identity {
            return identity.check(organization_id, filters, &self.store().root());
        }
        let identity = Identity::new(organization_id.map(str::to_owned), filters.clone());
        let bytes = serde_json::to_vec_pretty(&identity).map_err(|error| LakeError::Damaged {
            path: self.store().location(IDENTITY),
            problem: error.to_string(),
        })?;
        let sha256 = sha256_hex(&bytes);
        crash::point("before_identity");
        if !self.store().put_if_absent(IDENTITY, bytes, "write").await? {
            let problem = "another process wrote it at the same time".to_owned();
            return Err(LakeError::Damaged { path: self.store().location(IDENTITY), problem });
        }
        crash::point("after_identity");
        (self.view.identity, self.view.identity_sha256) = (Some(identity), Some(sha256));
        Ok(())
    }

    /// The lake after the last commit: still locked, without the memory of the ledger.
    #[must_use]
    pub fn committed(self) -> CommittedLake {
        let Self { view, lock, .. } = self;
        CommittedLake { view, _lock: lock }
    }

    /// A view for reading.
    pub fn view(&self) -> &LakeView {
        &self.view
    }

    /// The state of every run.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The numbers of runs in the ledger.
    pub fn run_totals(&self) -> RunTotals {
        self.totals
    }

    /// Shards of the ledger that were replaced, and whose files still stay.
    pub(super) fn replaced_shards(&self) -> &[ReplacedShard] {
        &self.replaced_shards
    }

    /// Goes on with the shards of a checkpoint that was written.
    pub(super) fn use_checkpoint(&mut self, ledger: Ledger, index: ShardIndex) {
        self.ledger = ledger;
        self.replaced_shards = index.replaced;
    }

    /// The newest commit.
    pub fn head(&self) -> Option<&CommitFile> {
        self.view.head.as_ref()
    }

    /// The storage of the lake.
    pub fn store(&self) -> &LakeStore {
        &self.view.store
    }

    /// The number of the next commit.
    pub fn next_commit(&self) -> u64 {
        self.head().map_or(1, |head| head.commit + 1)
    }

    /// The SHA-256 of the newest commit file.
    pub(super) fn head_sha256(&self) -> Option<&str> {
        self.view.head_sha256.as_deref()
    }

    /// The SHA-256 of `format.json`, which identifies the lake.
    pub(super) fn identity_sha256(&self) -> Option<&str> {
        self.view.identity_sha256.as_deref()
    }

    pub(super) fn advance(&mut self, commit_file: &CommitFile, sha256: String) {
        if commit_file.ledger_checkpoint == Some(commit_file.commit) {
            self.changes_since_checkpoint = 0;
        }
        self.lock.note_commit(commit_file.commit);
        self.view.head = Some(commit_file.clone());
        self.view.head_sha256 = Some(sha256);
    }

    /// Applies the changes of the commit that is being made to the ledger in memory. If that commit
    /// fails, this process ends, and the next one reads the ledger from the lake.
    pub(super) fn note_changes(&mut self, changes: &[LedgerChange]) -> Result<(), LakeError> {
        let started_at = |change: &LedgerChange| change.1.as_ref().and_then(|it| it.started_at);
        // In the order of starts, so that each shard is read once.
        let mut order: Vec<&LedgerChange> = changes.iter().collect();
        order.sort_by_key(|change| started_at(change));
        let mut known: HashMap<&str, Option<Entry>> = HashMap::with_capacity(changes.len());
        for change in order {
            let before = self.ledger.get(&change.0, started_at(change))?;
            known.insert(&change.0, before);
        }
        for (run_id, after) in changes {
            let before = known.insert(run_id.as_str(), after.clone()).flatten();
            if let Some(entry) = before {
                self.totals.remove(&entry);
            }
            if let Some(entry) = after {
                self.totals.add(entry);
            }
        }
        self.changes_since_checkpoint += changes.len();
        self.ledger.apply(changes.iter().cloned());
        Ok(())
    }

    /// Whether the ledger is due for a checkpoint: the last commit of a sync writes one after fewer
    /// changes than a commit in its middle.
    pub(super) fn checkpoint_is_due(&self, ends_sync: bool) -> bool {
        let last = self.head().and_then(|head| head.ledger_checkpoint).unwrap_or(0);
        let is_old = self.changes_since_checkpoint >= CHECKPOINT_CHANGES
            || self.next_commit() >= last + CHECKPOINT_COMMITS;
        (ends_sync && is_old) || self.changes_since_checkpoint >= MOST_CHANGES
    }

    /// Whether the live files are due for a checkpoint.
    pub(super) fn files_checkpoint_is_due(&self) -> bool {
        let last = self.head().and_then(|head| head.files_checkpoint).unwrap_or(0);
        self.next_commit() >= last + CHECKPOINT_COMMITS
    }
}

impl LakeView {
    /// Opens a lake for reading.
    ///
    /// # Errors
    /// [`LakeError::Missing`] if there is none; otherwise as [`Lake::open`].
    pub async fn open(store: impl Into<LakeStore>) -> Result<Self, LakeError> {
        let mut view = Self::open_without_head(store).await?;
        if let Some(newest) = view.newest_commit().await? {
            let (head, sha256) = view.commit_file_with_digest(newest).await?;
            view.check_identity(&head)?;
            (view.head, view.head_sha256) = (Some(head), Some(sha256));
        }
        Ok(view)
    }

    /// Opens a lake whose commits may be damaged: the newest commit is not read.
    ///
    /// # Errors
    /// As [`LakeView::open`].
    pub async fn open_without_head(store: impl Into<LakeStore>) -> Result<Self, LakeError> {
        let store = store.into();
        if !store.is_lake()? {
            return Err(LakeError::Missing { path: store.root() });
        }
        let (identity, identity_sha256, head, head_sha256) = (None, None, None, None);
        let mut view = Self { store, identity, identity_sha256, head, head_sha256 };
        if let Some((identity, sha256)) = view.read_identity().await? {
            (view.identity, view.identity_sha256) = (Some(identity), Some(sha256));
        }
        Ok(view)
    }

    /// Refuses a lake whose `format.json` is missing, or is not the one that a commit names.
    ///
    /// # Errors
    /// [`LakeError::Damaged`].
    pub fn check_identity(&self, commit: &CommitFile) -> Result<(), LakeError> {
        let problem = match (&commit.identity_sha256, &self.identity_sha256) {
            (_, None) => "it is missing",
            (Some(stated), Some(found)) if stated != found => {
                "its SHA-256 is not what the newest commit states"
            }
            _ => return Ok(()),
        };
        Err(LakeError::Damaged { path: self.store.location(IDENTITY), problem: problem.to_owned() })
    }

    /// The storage of the lake.
    pub fn store(&self) -> &LakeStore {
        &self.store
    }

    /// The place of the lake.
    pub fn root(&self) -> Location {
        self.store.root()
    }

    /// The identity of the lake; `None` before the first sync.
    pub fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    /// The newest commit.
    pub fn head(&self) -> Option<&CommitFile> {
        self.head.as_ref()
    }

    /// The field ids that were given to columns of users.
    pub fn field_ids(&self) -> FieldIds {
        self.head.as_ref().map(|head| head.field_ids.clone()).unwrap_or_default()
    }

    /// Refuses an export of another organization or with other filters than the lake holds.
    ///
    /// # Errors
    /// [`LakeError::OtherExport`] if the organization or the filters differ.
    pub fn check_export(
        &self,
        organization_id: Option<&str>,
        filters: &Filters,
    ) -> Result<(), LakeError> {
        let identity = self.identity.as_ref();
        identity.map_or(Ok(()), |it| it.check(organization_id, filters, &self.root()))
    }

    /// The number of the newest commit; `None` if there is none.
    async fn newest_commit(&self) -> Result<Option<u64>, LakeError> {
        let known = self.store.known_commit().await?;
        let mut commits = self.commits_after(known.saturating_sub(1))?;
        if commits.is_empty() && known > 0 {
            // The lake was restored to an earlier state.
            commits = self.commits()?;
        }
        Ok(commits.last().copied())
    }

    /// The numbers of the commit files that exist, ascending.
    ///
    /// # Errors
    /// [`LakeError::Io`] or [`LakeError::Request`] if the folder cannot be listed.
    pub fn listed_commits(&self) -> Result<BTreeSet<u64>, LakeError> {
        self.listed_after(0)
    }

    fn listed_after(&self, commit: u64) -> Result<BTreeSet<u64>, LakeError> {
        let path = commit_path(commit);
        let name = path.rsplit_once('/').map_or(path.as_str(), |(_, name)| name);
        let names = self.store.list_after(COMMITS, name)?;
        let number = |name: &String| name.strip_suffix(".json")?.parse().ok();
        Ok(names.iter().filter_map(number).collect())
    }

    /// The numbers of all commits, ascending.
    ///
    /// # Errors
    /// [`LakeError::Io`] if the folder cannot be listed; [`LakeError::Damaged`] if one before the
    /// newest is missing.
    pub fn commits(&self) -> Result<Vec<u64>, LakeError> {
        self.commits_after(0)
    }

    /// The numbers of all commits after one, ascending; 0 is before the first.
    ///
    /// # Errors
    /// As [`LakeView::commits`].
    pub fn commits_after(&self, commit: u64) -> Result<Vec<u64>, LakeError> {
        let after = commit;
        let listed = self.listed_after(after)?;
        let newest = listed.last().copied().unwrap_or(after);
        for commit in (after + 1..newest).filter(|commit| !listed.contains(commit)) {
            // A listing of a folder that grows can show a later file and miss an earlier one: look
            // for the file itself.
            let path = commit_path(commit);
            if self.store.length(&path)?.is_none() {
                let path = self.store.location(&path);
                let problem = format!("it is missing, and the lake ends at commit {newest}");
                return Err(LakeError::Damaged { path, problem });
            }
        }
        Ok((after + 1..=newest).collect())
    }

    /// One commit.
    ///
    /// # Errors
    /// [`LakeError::Damaged`] if the file is not the commit of that number.
    pub async fn commit_file(&self, commit: u64) -> Result<CommitFile, LakeError> {
        self.commit_file_with_digest(commit).await.map(|(commit_file, _)| commit_file)
    }

    /// One commit, and the SHA-256 of its file in hexadecimal.
    ///
    /// # Errors
    /// As [`LakeView::commit_file`].
    pub async fn commit_file_with_digest(
        &self,
        commit: u64,
    ) -> Result<(CommitFile, String), LakeError> {
        let path = commit_path(commit);
        let bytes = self.read(&path).await?;
        let damaged =
            |problem: String| LakeError::Damaged { path: self.store.location(&path), problem };
        // Check the version first: the other members may differ in a later version.
        if let Some(found) = CommitFile::later_version(&bytes) {
            return Err(LakeError::NewerTables { path: self.root(), found });
        }
        let commit_file = CommitFile::decode(&bytes).map_err(damaged)?;
        if commit_file.commit == commit {
            Ok((commit_file, sha256_hex(&bytes)))
        } else {
            Err(damaged(format!("it says that it is commit {}", commit_file.commit)))
        }
    }

    /// The ledger, and the number of changes read after its checkpoint. Shards of the ledger are read
    /// when they are needed.
    ///
    /// # Errors
    /// [`LakeError`] if one of its files cannot be read.
    pub async fn ledger(&self) -> Result<(Ledger, usize), LakeError> {
        let (ledger, _) = self.checkpointed_ledger().await?;
        let since = self.head.as_ref().and_then(|head| head.ledger_checkpoint).unwrap_or(0);
        self.ledger_since(ledger, since, |_| ()).await
    }

    /// The numbers of runs in the ledger: those that the newest commit states, or counted ones if an
    /// earlier version made it.
    ///
    /// # Errors
    /// [`LakeError`] if the ledger cannot be read.
    pub async fn run_totals(&self) -> Result<RunTotals, LakeError> {
        match self.head.as_ref().and_then(|head| head.ledger_totals) {
            Some(totals) => Ok(totals),
            None => Ok(self.ledger().await?.0.count()?),
        }
    }

    /// The ledger as of the newest checkpoint, and the index of its shards.
    async fn checkpointed_ledger(&self) -> Result<(Ledger, ShardIndex), LakeError> {
        let Some(head) = &self.head else { return Ok(Default::default()) };
        let Some(commit) = head.ledger_checkpoint else { return Ok(Default::default()) };
        let sha256 = head.ledger_checkpoint_sha256.as_deref();
        let (recent, index) = self.read_checkpoint(commit, sha256).await?;
        Ok((ledger_shards::open(&self.store, recent, &index), index))
    }

    /// All entries of a checkpoint of the ledger. Its shards are compared with their filters and
    /// with what the checkpoint says of them.
    ///
    /// # Errors
    /// [`LakeError`] if one of its files cannot be read, or is not what was written.
    pub async fn checkpoint(
        &self,
        commit: u64,
        sha256: Option<&str>,
    ) -> Result<Entries, LakeError> {
        let (recent, index) = self.read_checkpoint(commit, sha256).await?;
        let ledger = ledger_shards::open(&self.store, recent, &index);
        if let Some(shard) = ledger.first_inconsistent_shard()? {
            let problem = "it is not what the ledger's checkpoint says of it".to_owned();
            return Err(LakeError::Damaged {
                path: self.store.location(&shard_path(shard)),
                problem,
            });
        }
        Ok(ledger.to_entries()?)
    }

    /// Reads a checkpoint of the ledger: the entries in memory, and the index of the shards.
    pub(super) async fn read_checkpoint(
        &self,
        commit: u64,
        sha256: Option<&str>,
    ) -> Result<(Entries, ShardIndex), LakeError> {
        let path = checkpoint_path(LEDGER, commit);
        let bytes = self.read(&path).await?;
        if sha256.is_some_and(|stated| stated != sha256_hex(&bytes)) {
            let problem = "its SHA-256 is not what the newest commit states".to_owned();
            return Err(LakeError::Damaged { path: self.store.location(&path), problem });
        }
        ledger_checkpoint::read(bytes).map_err(LakeError::parquet("read", path))
    }

    /// Applies the changes of the commits after `since` to a ledger, up to the newest commit, and
    /// counts them. Calls `show` for each commit.
    async fn ledger_since(
        &self,
        mut ledger: Ledger,
        since: u64,
        mut show: impl FnMut(&CommitFile),
    ) -> Result<(Ledger, usize), LakeError> {
        let mut changes = 0;
        // Commits have no holes: they were looked at when the lake was opened.
        let newest = self.head.as_ref().map_or(0, |head| head.commit);
        for commit in since + 1..=newest {
            let commit_file = self.commit_file(commit).await?;
            show(&commit_file);
            changes += commit_file.ledger_changes.len();
            ledger.apply(commit_file.ledger_changes);
        }
        Ok((ledger, changes))
    }

    /// The checkpoint of the live files that a commit names, open for reading, and its commit; `None`
    /// if there is none, or it was changed after it was written: the snapshot then follows from all
    /// commits.
    /// It is not read into memory: a lake that was never compacted has hundreds of thousands of files.
    pub(super) fn files_checkpoint(
        &self,
        head: Option<&CommitFile>,
    ) -> Result<Option<(u64, StoredFile)>, LakeError> {
        let Some(head) = head else { return Ok(None) };
        let Some(commit) = head.files_checkpoint else { return Ok(None) };
        let path = checkpoint_path(FILES, commit);
        if self.store.sha256(&path)? != head.files_checkpoint_sha256 {
            return Ok(None);
        }
        let sha256 = head.files_checkpoint_sha256.as_deref();
        self.store.open(&path, sha256).map(|file| Some((commit, file)))
    }

    async fn read(&self, path: &str) -> Result<Bytes, LakeError> {
        let found = self.store.get(path).await?;
        found.ok_or_else(|| {
            let problem = "it is missing".to_owned();
            LakeError::Damaged { path: self.store.location(path), problem }
        })
    }

    async fn read_identity(&self) -> Result<Option<(Identity, String)>, LakeError> {
        let Some(bytes) = self.store.get(IDENTITY).await? else { return Ok(None) };
        let path = self.store.location(IDENTITY);
        let damaged = |error: serde_json::Error| LakeError::Damaged {
            path: path.clone(),
            problem: error.to_string(),
        };
        // Check the format first: the other members may differ in another format.
        let value: serde_json::Value = serde_json::from_slice(&bytes).map_err(damaged)?;
        let found = value.get("format").and_then(serde_json::Value::as_u64);
        match found {
            Some(FORMAT_MAJOR) => {
                let identity = serde_json::from_value(value).map_err(damaged)?;
                Ok(Some((identity, sha256_hex(&bytes))))
            }
            Some(found) => Err(LakeError::Format { path: self.root(), found, known: FORMAT_MAJOR }),
            None => Err(LakeError::Damaged { path, problem: "it names no format".to_owned() }),
        }
    }

    /// Finishes what a crash left. Data files of a commit that exists are published; data files of
    /// a commit that does not exist are removed. Sealed data files without a commit stay until
    /// their number is taken: a writer that bypasses the lock may be about to create that commit.
    async fn recover(&self) -> Result<(), LakeError> {
        // Commits have no holes.
        let newest = self.head.as_ref().map_or(0, |head| head.commit);
        for folder in self.store.list(STAGING)? {
            crash::point("before_recovery");
            let number = commit_of(&folder);
            let durable = match number.filter(|number| (1..=newest).contains(number)) {
                Some(number) => Some(self.commit_file(number).await?),
                None => None,
            };
            match durable {
                Some(commit_file) if commit_file.staging == folder => {
                    self.store.publish(&commit_file)?;
                    crash::point("recovered");
                }
                None if number.is_some() && !folder.contains('.') => {}
                _ => {
                    self.store.discard_staging(&folder)?;
                    crash::point("discarded");
                }
            }
        }
        // A commit without data files has no staging folder, so its removals are repeated here.
        self.head.as_ref().map_or(Ok(()), |head| self.store.remove_superseded(head))
    }
}
