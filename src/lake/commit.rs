//! The commit: parts out of sight, then one manifest, then parts in place.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use futures::{StreamExt, TryStreamExt};
use object_store::path::Path as StorePath;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use uuid::Uuid;

use super::{Gap, Lake, LakeError, Manifest, Part, SyncRecord, checkpoint, files, presence};
use crate::crash;
use crate::digest::sha256_hex;
use crate::interval::{Interval, utc_day};
use crate::ledger::Entry;
use crate::tables::{SCHEMA_VERSION, Table, Write};

/// The parts of a commit that is being made, out of every reader's sight.
///
/// Dropped without a commit, they are removed when the lake is opened next.
#[derive(Debug)]
pub struct Staging {
    store: std::sync::Arc<dyn ObjectStore>,
    commit: u64,
    folder: String,
    parts: Vec<Part>,
    replaced: Vec<Part>,
    contents: BTreeMap<String, u64>,
}

/// A part that is ready to be staged. Its runs are of one day.
#[derive(Debug)]
pub struct NewPart {
    /// The table.
    pub table: &'static Table,
    /// How many rows it has.
    pub rows: u64,
    /// The Parquet file.
    pub bytes: Vec<u8>,
    /// The earliest and the latest start of its runs, in microseconds since 1970.
    pub started: Option<(i64, i64)>,
    /// Whether it holds later revisions of runs that earlier parts hold too.
    pub has_revisions: bool,
    /// The path of the older part whose place it takes.
    pub replaces: Option<String>,
}

impl NewPart {
    /// The day on which its runs started, UTC, as `2026-11-23`.
    pub fn day(&self) -> String {
        let day = self.started.and_then(|(first, _)| utc_day(first));
        day.unwrap_or_else(|| UNKNOWN_DAY.to_owned())
    }
}

/// What a commit says besides its parts.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// The sync that makes it.
    pub sync_id: String,
    /// When, by the server's clock, in microseconds since 1970.
    pub created_at: i64,
    /// Changes of the ledger.
    pub ledger_changes: Vec<(String, Option<Entry>)>,
    /// The time whose runs are all known from now on; `None` leaves it as it was.
    pub proven: Option<Vec<Interval>>,
    /// Gaps that were found.
    pub new_gaps: Vec<Gap>,
    /// Whether the list goes from new to old, where all of it was read.
    pub newest_first: Option<bool>,
    /// The sync's record, in its last commit.
    pub sync: Option<SyncRecord>,
    /// Paths of older parts that are gone, and whose place no part takes.
    pub removed: Vec<String>,
    /// Whether the ledger is written as a whole, due or not.
    pub has_checkpoint: bool,
}

/// What the name of a folder ends in while parts are added to it. A writer that opens the lake
/// removes it; once the name is without, nobody does before the commit's number is taken.
pub(super) const OPEN: &str = ".open";

/// The folder of runs whose start is not known: no real run is that old.
const UNKNOWN_DAY: &str = "1970-01-01";

impl Staging {
    pub(super) fn new(store: std::sync::Arc<dyn ObjectStore>, commit: u64) -> Self {
        let folder = format!("{commit:08}-{}", Uuid::new_v4().simple());
        Self {
            store,
            commit,
            folder,
            parts: Vec::new(),
            replaced: Vec::new(),
            contents: BTreeMap::new(),
        }
    }

    /// The number that the commit will have.
    pub fn commit(&self) -> u64 {
        self.commit
    }

    /// Rows staged so far, by table.
    pub fn rows(&self) -> impl Iterator<Item = (&str, u64)> {
        self.parts.iter().chain(&self.replaced).map(|part| (part.table.as_str(), part.rows))
    }

    /// Writes parts, several at once, and makes them durable. Those of one call and day get one
    /// name, in the folders of their tables: it tells which parts hold rows of the same runs.
    ///
    /// # Errors
    /// [`LakeError::Store`] where one cannot be written.
    pub async fn add(&mut self, parts: Vec<NewPart>) -> Result<(), LakeError> {
        const AT_ONCE: usize = 8;
        crash::point("before_stage");
        let this = &*self;
        let name = format!("{:08}-{}.parquet", self.commit, Uuid::new_v4().simple());
        let put = |part| this.put_new(part, &name);
        let put = futures::stream::iter(parts).map(put).buffered(AT_ONCE);
        let written: Vec<Part> = put.try_collect().await?;
        self.parts.extend(written);
        crash::point("after_stage");
        Ok(())
    }

    async fn put_new(&self, part: NewPart, name: &str) -> Result<Part, LakeError> {
        let path = format!("{}/date={}/{name}", part.table.name, part.day());
        let written = self.put(part.table, path, part.rows, part.bytes).await?;
        Ok(Part {
            least_started_at: part.started.map(|(first, _)| first),
            greatest_started_at: part.started.map(|(_, last)| last),
            has_revisions: part.has_revisions,
            replaces: part.replaces,
            ..written
        })
    }

    /// Writes the one part of a table that is replaced as a whole. `content` tells its content
    /// from another one's.
    ///
    /// # Errors
    /// [`LakeError::Store`] where it cannot be written.
    pub async fn replace(
        &mut self,
        table: &'static Table,
        rows: u64,
        bytes: Vec<u8>,
        content: u64,
    ) -> Result<(), LakeError> {
        debug_assert_eq!(table.write, Write::Replace);
        let path = format!("{0}/{0}.parquet", table.name);
        let part = self.put(table, path, rows, bytes).await?;
        self.contents.insert(table.name.to_owned(), content);
        self.replaced.push(part);
        Ok(())
    }

    async fn put(
        &self,
        table: &'static Table,
        path: String,
        rows: u64,
        bytes: Vec<u8>,
    ) -> Result<Part, LakeError> {
        let part = Part {
            table: table.name.to_owned(),
            rows,
            bytes: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            sha256: sha256_hex(&bytes),
            least_started_at: None,
            greatest_started_at: None,
            has_revisions: false,
            replaces: None,
            path,
        };
        let staged = format!("_armature/staging/{}{OPEN}/{}", self.folder, part.path);
        let location = StorePath::from(staged.as_str());
        let put = self.store.put(&location, PutPayload::from(bytes)).await;
        put.map_err(LakeError::store("write the part", staged))?;
        crash::point("between_staged_parts");
        Ok(part)
    }

    /// Takes the parts out of the reach of a writer that opens the lake past the lock, and makes
    /// sure that none came before: a manifest must never name a part that is not there.
    fn seal(&self, lake: &Path) -> Result<(), LakeError> {
        let staging = lake.join("_armature/staging");
        let sealed = staging.join(&self.folder);
        let open = staging.join(format!("{}{OPEN}", self.folder));
        if files::rename_folder(&open, &sealed)? {
            files::sync_folder(&staging)?;
        }
        for part in self.parts.iter().chain(&self.replaced) {
            let path = sealed.join(&part.path);
            if files::length(&path)? != Some(part.bytes) {
                return Err(LakeError::StagingLost { path, commit: self.commit });
            }
        }
        crash::point("after_seal");
        Ok(())
    }
}

impl Lake {
    /// Starts the next commit.
    pub fn stage(&self) -> Staging {
        Staging::new(self.store(), self.next_commit())
    }

    /// Makes a commit: durable when this returns, and in place for readers.
    ///
    /// # Errors
    /// [`LakeError::LostRace`] where another process was first; otherwise what the file system
    /// says. The lake is then as it was, or the commit is finished at the next opening.
    pub async fn commit(&mut self, staging: Staging, draft: Draft) -> Result<Manifest, LakeError> {
        let checkpoint = self.checkpoint_if_due(&staging, &draft).await?;
        staging.seal(self.root())?;
        let head = self.head();
        let mut gaps = head.map(|head| head.gaps.clone()).unwrap_or_default();
        for gap in draft.new_gaps {
            gap.add_to(&mut gaps);
        }
        let mut contents = head.map(|head| head.contents.clone()).unwrap_or_default();
        contents.extend(staging.contents);
        let (ledger_checkpoint, ledger_checkpoint_sha256) = match checkpoint {
            Some((commit, sha256)) => (Some(commit), Some(sha256)),
            None => head
                .map(|head| (head.ledger_checkpoint, head.ledger_checkpoint_sha256.clone()))
                .unwrap_or_default(),
        };
        let manifest = Manifest {
            commit: staging.commit,
            previous: self.head_sha256().map(str::to_owned),
            sync_id: draft.sync_id,
            created_at: draft.created_at,
            schema_version: SCHEMA_VERSION.to_owned(),
            staging: staging.folder,
            parts: staging.parts,
            replaced: staging.replaced,
            ledger_changes: draft.ledger_changes,
            removed: draft.removed,
            ledger_checkpoint,
            ledger_checkpoint_sha256,
            proven: draft
                .proven
                .unwrap_or_else(|| head.map(|head| head.proven.clone()).unwrap_or_default()),
            gaps,
            newest_first: draft.newest_first.or(head.and_then(|head| head.newest_first)),
            contents,
            sync: draft.sync,
        };
        crash::point("before_manifest");
        let sha256 = self.publish(&manifest).await?;
        crash::point("after_manifest");
        let lake = self.root().to_owned();
        let moved = manifest.clone();
        let finish = move || settle(&lake, &moved).and_then(|()| remove_overtaken(&lake, &moved));
        let task = tokio::task::spawn_blocking(finish);
        task.await.map_err(|error| LakeError::Damaged {
            path: self.root().to_owned(),
            problem: format!("moving parts stopped: {error}"),
        })??;
        self.advance(&manifest, sha256);
        Ok(manifest)
    }

    /// The one moment at which a commit happens. Returns the manifest file's SHA-256.
    async fn publish(&self, manifest: &Manifest) -> Result<String, LakeError> {
        let path = manifest_path(manifest.commit);
        let bytes = manifest.encode().map_err(|error| LakeError::Damaged {
            path: PathBuf::from(&path),
            problem: error.to_string(),
        })?;
        let sha256 = sha256_hex(&bytes);
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        let location = StorePath::from(path.as_str());
        match self.store().put_opts(&location, PutPayload::from(bytes), options).await {
            Ok(_) => Ok(sha256),
            Err(object_store::Error::AlreadyExists { .. }) => {
                Err(LakeError::LostRace { path: self.root().to_owned(), commit: manifest.commit })
            }
            Err(error) => {
                // Where there is none in spite of all, no commit will ever be made of these parts:
                // a full disk needs their room.
                if files::length(&self.root().join(&path))?.is_none() {
                    let staging = self.root().join("_armature/staging");
                    files::remove_folder(&staging.join(&manifest.staging))?;
                }
                Err(LakeError::store("write the manifest", path)(error))
            }
        }
    }

    /// Writes the ledger as a whole now and then, so that opening reads few manifests; returns
    /// its SHA-256 if it did.
    async fn checkpoint_if_due(
        &mut self,
        staging: &Staging,
        draft: &Draft,
    ) -> Result<Option<(u64, String)>, LakeError> {
        self.note_changes(&draft.ledger_changes);
        let is_due = draft.sync.is_some() && self.checkpoint_is_due();
        if !is_due && !draft.has_checkpoint {
            return Ok(None);
        }
        let path = checkpoint_path(staging.commit);
        let bytes =
            checkpoint::write(self.ledger()).map_err(LakeError::parquet("write", path.as_str()))?;
        let sha256 = sha256_hex(&bytes);
        // Never over another one: a writer that lost the race would put its own ledger in place
        // of the winner's. One that a crash left costs nothing but waiting for the next commit.
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        let location = StorePath::from(path.as_str());
        match self.store().put_opts(&location, PutPayload::from(bytes), options).await {
            Ok(_) => {}
            Err(object_store::Error::AlreadyExists { .. }) => return Ok(None),
            Err(error) => return Err(LakeError::store("write the ledger", path)(error)),
        }
        crash::point("after_ledger_checkpoint");
        Ok(Some((staging.commit, sha256)))
    }
}

/// The commit that the name of a part or of a staging folder begins with.
pub(super) fn commit_of(name: &str) -> Option<u64> {
    name.split_once('-')?.0.parse().ok()
}

pub(super) fn manifest_path(commit: u64) -> String {
    format!("_armature/manifests/{commit:08}.json")
}

pub(super) fn checkpoint_path(commit: u64) -> String {
    format!("_armature/ledger/{commit:08}.parquet")
}

/// Moves the parts of a durable commit in place; what is in place already stays. Runs come last,
/// so that whoever sees a run finds its rows in the other tables.
pub(super) fn settle(lake: &Path, manifest: &Manifest) -> Result<(), LakeError> {
    let staging = lake.join("_armature/staging").join(&manifest.staging);
    let mut parts: Vec<&Part> = manifest.all_parts().collect();
    parts.sort_by_key(|part| part.table == "runs");
    let mut folders = BTreeSet::new();
    for part in parts {
        let (from, to) = (staging.join(&part.path), lake.join(&part.path));
        if part.table == "runs" {
            crash::point("before_runs_are_moved");
        }
        let moved = match &part.replaces {
            None => move_in_place(&from, &to)?,
            Some(old) => {
                // Over the older part first, and then to its own name: a reader of the folder sees
                // one of the two, never both and never none.
                let old = lake.join(old);
                folders.extend(old.parent().map(Path::to_owned));
                move_in_place(&from, &old)?;
                crash::point("between_taking_a_place_and_the_name");
                to.exists() || move_in_place(&old, &to)?
            }
        };
        if !moved {
            let problem = presence::nowhere(manifest.commit);
            return Err(LakeError::Damaged { path: to, problem });
        }
        crash::point("between_moved_parts");
        let above = to.ancestors().skip(1).take_while(|folder| folder.starts_with(lake));
        folders.extend(above.map(Path::to_owned));
    }
    crash::point("before_folders_are_synced");
    for folder in folders {
        files::sync_folder(&folder)?;
    }
    remove_superseded(lake, manifest)?;
    crash::point("before_staging_is_removed");
    files::remove_folder(&staging)?;
    crash::point("after_staging_is_removed");
    Ok(())
}

/// Removes sealed parts of commits whose number is taken: nobody can make a commit of them. Those
/// that are not sealed may be in the hands of a writer past the lock, who is told so itself.
fn remove_overtaken(lake: &Path, manifest: &Manifest) -> Result<(), LakeError> {
    let staging = lake.join("_armature/staging");
    for folder in files::names(&staging)? {
        let is_sealed = !folder.contains('.');
        if is_sealed && commit_of(&folder).is_some_and(|commit| commit <= manifest.commit) {
            files::remove_folder(&staging.join(folder))?;
        }
    }
    Ok(())
}

/// Moves a file that is there; whether the target is there then.
fn move_in_place(from: &Path, to: &Path) -> Result<bool, LakeError> {
    if from.exists() {
        files::move_file(from, to)?;
    }
    Ok(to.exists())
}

/// Removes the older parts whose place no part takes.
pub(super) fn remove_superseded(lake: &Path, manifest: &Manifest) -> Result<(), LakeError> {
    manifest.removed.iter().try_for_each(|path| files::remove_file(&lake.join(path)))
}
