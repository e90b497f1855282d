//! Which parts readers see, out of all that manifests ever named.

use std::collections::BTreeMap;

use super::{LakeError, LakeView, Manifest, Part};

/// A part that readers see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LivePart {
    /// The commit that names it.
    pub commit: u64,
    /// The part.
    pub part: Part,
}

/// The parts of all commits, without those that later commits replaced or removed.
#[derive(Clone, Debug, Default)]
pub struct LiveParts {
    by_path: BTreeMap<String, LivePart>,
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
