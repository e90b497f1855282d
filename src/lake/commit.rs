//! The commit: one manifest, that is created or not. Before it parts are out of sight; after it they
//! are put in place.

use std::path::PathBuf;

use object_store::path::Path as StorePath;
use object_store::{PutMode, PutOptions, PutPayload};

use super::settle::{remove_overtaken, settle};
use super::{Gap, Lake, LakeError, Manifest, Staging, SyncRecord, checkpoint, files};
use crate::crash;
use crate::digest::sha256_hex;
use crate::interval::Interval;
use crate::ledger::Entry;
use crate::tables::SCHEMA_VERSION;

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
    /// Tells how rows of the list were read; `None` where none was.
    pub listing_mapping: Option<u64>,
    /// The sync's record, in its last commit.
    pub sync: Option<SyncRecord>,
    /// Paths of older parts that are gone, and whose place no part takes.
    pub removed: Vec<String>,
    /// Whether it only merges parts of earlier commits: it brings no row that they do not have.
    pub is_merge: bool,
    /// Whether the ledger is written as a whole, due or not.
    pub has_checkpoint: bool,
}

impl Lake {
    /// Starts the next commit.
    pub fn stage(&self) -> Staging {
        Staging::new(self.root(), self.store(), self.next_commit())
    }

    /// Makes a commit: durable when this returns, and in place for readers.
    ///
    /// # Errors
    /// [`LakeError::LostRace`] where another process was first; otherwise what the file system
    /// says. The lake is then as it was, or the commit is finished at the next opening.
    pub async fn commit(&mut self, staging: Staging, draft: Draft) -> Result<Manifest, LakeError> {
        let checkpoint = self.checkpoint_if_due(&staging, &draft).await?;
        staging.seal()?;
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
            is_merge: draft.is_merge,
            ledger_checkpoint,
            ledger_checkpoint_sha256,
            identity_sha256: self.identity_sha256().map(str::to_owned),
            proven: draft
                .proven
                .unwrap_or_else(|| head.map(|head| head.proven.clone()).unwrap_or_default()),
            gaps,
            listing_mapping: draft.listing_mapping.or(head.and_then(|head| head.listing_mapping)),
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
