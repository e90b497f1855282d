//! The snapshot: which data files readers see, of all that commits ever added.

use std::collections::{BTreeMap, BTreeSet};

use super::{CommitRange, DataFile, LakeError, LakeView, Manifest};

/// A data file that readers see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveFile {
    /// The commit that names it.
    pub commit: u64,
    /// The data file, as its commit describes it.
    pub part: DataFile,
}

impl LiveFile {
    /// The commits whose rows it holds.
    pub fn commits(&self) -> CommitRange {
        self.part.merged.unwrap_or(CommitRange::of(self.commit))
    }
}

/// The data files of all commits, without those that later commits replaced or removed.
#[derive(Clone, Debug, Default)]
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
    pub fn apply(&mut self, manifest: &Manifest) {
        for path in manifest.superseded() {
            self.by_path.remove(path);
        }
        for part in manifest.all_parts() {
            let live = LiveFile { commit: manifest.commit, part: part.clone() };
            self.by_path.insert(part.path.clone(), live);
        }
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
    /// The snapshot as of the newest commit.
    ///
    /// # Errors
    /// [`LakeError`] if a commit cannot be read.
    pub async fn snapshot(&self) -> Result<Snapshot, LakeError> {
        let mut parts = Snapshot::default();
        for commit in self.commits()? {
            parts.apply(&self.manifest(commit).await?);
        }
        Ok(parts)
    }
}
