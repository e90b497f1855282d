//! The snapshot: which data files readers see, of all that commits ever added.

use std::collections::{BTreeMap, BTreeSet};

use super::files_checkpoint::{LakeTotals, LiveFileChanges};
use super::paths::{FILES, checkpoint_path};
use super::{
    CommitFile, CommitRange, DataFile, LakeError, LakeView, LiveFile, StoredFile, SyncRecord,
    files_checkpoint,
};

/// The data files of all commits, without those that later commits replaced or removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    by_path: BTreeMap<String, LiveFile>,
}

/// The data files that hold the rows of the same runs: of one commit and day, one for each table
/// that has rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileGroup {
    /// The commit that names them.
    pub commit: u64,
    /// The day on which their runs started, UTC, as `2026-11-23`.
    pub day: String,
    /// The data files, by table.
    pub parts: BTreeMap<String, DataFile>,
}

impl FileGroup {
    /// The commits whose rows they hold.
    pub fn commits(&self) -> CommitRange {
        let merged = self.parts.values().filter_map(|part| part.merged);
        merged.reduce(CommitRange::and).unwrap_or(CommitRange::of(self.commit))
    }
}

impl Snapshot {
    /// Applies the next commit. Commits must be applied in order.
    pub fn apply(&mut self, commit_file: &CommitFile) {
        for path in commit_file.superseded() {
            self.by_path.remove(path);
        }
        for part in commit_file.all_parts() {
            // What readers of the snapshot do not need is left out, as it is most of the memory.
            let part = DataFile { replaces: None, statistics: None, ..part.clone() };
            self.add(LiveFile { commit: commit_file.commit, part });
        }
    }

    fn add(&mut self, live: LiveFile) {
        self.by_path.insert(live.part.path.clone(), live);
    }

    fn of_checkpoint(file: StoredFile) -> Result<Self, LakeError> {
        let mut snapshot = Self::default();
        let files = files_checkpoint::read(file).map_err(LakeError::parquet("read", FILES))?;
        for live in files {
            snapshot.add(live);
        }
        Ok(snapshot)
    }

    /// All live files, ordered by path: by table, day and commit.
    pub fn iter(&self) -> impl Iterator<Item = &LiveFile> {
        self.by_path.values()
    }

    /// The live files of tables that are appended to, grouped by the runs that they hold.
    ///
    /// Files of one commit and day with the same name belong together. Commits of versions that did
    /// not share names have one file per table and day, which belong together too.
    pub fn groups(&self) -> Vec<FileGroup> {
        let mut days: BTreeMap<(u64, &str), Vec<(&str, &DataFile)>> = BTreeMap::new();
        for LiveFile { commit, part } in self.iter() {
            let Some((_, rest)) = part.path.split_once("/date=") else { continue };
            let Some((day, name)) = rest.split_once('/') else { continue };
            days.entry((*commit, day)).or_default().push((name, part));
        }
        let mut groups: BTreeMap<(u64, &str, &str), BTreeMap<String, DataFile>> = BTreeMap::new();
        for ((commit, day), parts) in days {
            let names: BTreeSet<&str> = parts.iter().map(|(name, _)| *name).collect();
            let tables: BTreeSet<&str> =
                parts.iter().map(|(_, part)| part.table.as_str()).collect();
            let is_shared = names.len() < parts.len() || tables.len() < parts.len();
            for (name, part) in parts {
                let group = groups.entry((commit, day, if is_shared { name } else { "" }));
                group.or_default().insert(part.table.clone(), part.clone());
            }
        }
        let group = |((commit, day, _), parts): ((_, &str, _), _)| FileGroup {
            commit,
            day: day.to_owned(),
            parts,
        };
        groups.into_iter().map(group).collect()
    }

    /// The live file at a path, relative to the lake's root.
    pub fn get(&self, path: &str) -> Option<&LiveFile> {
        self.by_path.get(path)
    }
}

impl LakeView {
    /// The records of the newest syncs, the oldest first: reads commits from the newest backwards,
    /// until as many are found.
    ///
    /// # Errors
    /// [`LakeError`] if a commit cannot be read.
    pub async fn last_syncs(&self, most: usize) -> Result<Vec<SyncRecord>, LakeError> {
        let mut syncs = Vec::new();
        let newest = self.head().map_or(0, |head| head.commit);
        for commit in (1..=newest).rev() {
            if syncs.len() >= most {
                break;
            }
            syncs.extend(self.commit_file(commit).await?.sync);
        }
        syncs.reverse();
        Ok(syncs)
    }

    /// The snapshot as of the newest commit: from the newest checkpoint of the live files, and the
    /// commits after it.
    ///
    /// # Errors
    /// [`LakeError`] if a commit cannot be read.
    pub async fn snapshot(&self) -> Result<Snapshot, LakeError> {
        let (mut snapshot, since) = match self.files_checkpoint(self.head())? {
            Some((commit, file)) => (Snapshot::of_checkpoint(file)?, commit),
            None => (Snapshot::default(), 0),
        };
        for commit in self.commits_after(since)? {
            snapshot.apply(&self.commit_file(commit).await?);
        }
        Ok(snapshot)
    }

    /// The snapshot as of a commit; 0 is before the first. Reads the checkpoint of the live files
    /// that this commit names and the commits after it, or all commits up to it if later commits
    /// have removed that checkpoint.
    ///
    /// # Errors
    /// [`LakeError`] if a commit cannot be read.
    pub async fn snapshot_at(&self, commit: u64) -> Result<Snapshot, LakeError> {
        if commit == 0 {
            return Ok(Snapshot::default());
        }
        let last = self.commit_file(commit).await?;
        let (mut snapshot, since) = match self.files_checkpoint(Some(&last))? {
            Some((checkpoint, file)) => (Snapshot::of_checkpoint(file)?, checkpoint),
            None => (Snapshot::default(), 0),
        };
        for number in since + 1..commit {
            snapshot.apply(&self.commit_file(number).await?);
        }
        if since < commit {
            snapshot.apply(&last);
        }
        Ok(snapshot)
    }

    /// Numbers of the live files as of the newest commit.
    ///
    /// # Errors
    /// [`LakeError`] if a commit cannot be read.
    pub async fn totals(&self) -> Result<LakeTotals, LakeError> {
        let (since, file) = self.files_checkpoint(self.head())?.unzip();
        let since = since.unwrap_or(0);
        let mut changes = LiveFileChanges::default();
        for commit in self.commits_after(since)? {
            changes.apply(&self.commit_file(commit).await?);
        }
        changes.totals(file).map_err(LakeError::parquet("read", FILES))
    }

    /// The live files in the checkpoint that a commit names.
    ///
    /// # Errors
    /// [`LakeError`] if it cannot be read, or has another SHA-256 than the commit states.
    pub fn checkpointed_files(&self, head: &CommitFile) -> Result<Snapshot, LakeError> {
        if let Some((_, file)) = self.files_checkpoint(Some(head))? {
            return Snapshot::of_checkpoint(file);
        }
        let problem = "it is missing, or its SHA-256 is not what the newest commit states";
        let path = checkpoint_path(FILES, head.files_checkpoint.unwrap_or_default());
        let path = self.store().location(&path);
        Err(LakeError::Damaged { path, problem: problem.to_owned() })
    }
}
