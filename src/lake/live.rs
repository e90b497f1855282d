//! Which parts readers see, out of all that manifests ever named.

use std::collections::{BTreeMap, BTreeSet};

use super::{CommitRange, LakeError, LakeView, Manifest, Part};

/// A part that readers see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LivePart {
    /// The commit that names it.
    pub commit: u64,
    /// The part.
    pub part: Part,
}

impl LivePart {
    /// The commits whose rows it holds.
    pub fn commits(&self) -> CommitRange {
        self.part.merged.unwrap_or(CommitRange::of(self.commit))
    }
}

/// The parts of all commits, without those that later commits replaced or removed.
#[derive(Clone, Debug, Default)]
pub struct LiveParts {
    by_path: BTreeMap<String, LivePart>,
}

/// The parts that hold the rows of the same runs: of one commit and day, one for each table that
/// has rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartGroup {
    /// The commit that names them.
    pub commit: u64,
    /// The day on which their runs started, UTC, as `2026-11-23`.
    pub day: String,
    /// The parts by table.
    pub parts: BTreeMap<String, Part>,
}

impl PartGroup {
    /// The commits whose rows they hold.
    pub fn commits(&self) -> CommitRange {
        let merged = self.parts.values().filter_map(|part| part.merged);
        merged.reduce(CommitRange::and).unwrap_or(CommitRange::of(self.commit))
    }
}

impl LiveParts {
    /// Takes the next commit into account.
    pub fn apply(&mut self, manifest: &Manifest) {
        for path in manifest.superseded() {
            self.by_path.remove(path);
        }
        for part in manifest.all_parts() {
            let live = LivePart { commit: manifest.commit, part: part.clone() };
            self.by_path.insert(part.path.clone(), live);
        }
    }

    /// All of them, by table, day and commit.
    pub fn iter(&self) -> impl Iterator<Item = &LivePart> {
        self.by_path.values()
    }

    /// The parts that are added to rather than replaced as a whole, those of the same runs together.
    ///
    /// Those of one name belong together; before names were shared, a commit had one part for each
    /// table and day.
    pub fn groups(&self) -> Vec<PartGroup> {
        let mut days: BTreeMap<(u64, &str), Vec<(&str, &Part)>> = BTreeMap::new();
        for LivePart { commit, part } in self.iter() {
            let Some((_, rest)) = part.path.split_once("/date=") else { continue };
            let Some((day, name)) = rest.split_once('/') else { continue };
            days.entry((*commit, day)).or_default().push((name, part));
        }
        let mut groups: BTreeMap<(u64, &str, &str), BTreeMap<String, Part>> = BTreeMap::new();
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
        let group = |((commit, day, _), parts): ((_, &str, _), _)| PartGroup {
            commit,
            day: day.to_owned(),
            parts,
        };
        groups.into_iter().map(group).collect()
    }

    /// The part at a path.
    pub fn get(&self, path: &str) -> Option<&LivePart> {
        self.by_path.get(path)
    }
}

impl LakeView {
    /// The parts that readers see.
    ///
    /// # Errors
    /// [`LakeError`] where a manifest cannot be read.
    pub async fn live_parts(&self) -> Result<LiveParts, LakeError> {
        let mut parts = LiveParts::default();
        for commit in self.commits()? {
            parts.apply(&self.manifest(commit).await?);
        }
        Ok(parts)
    }
}
