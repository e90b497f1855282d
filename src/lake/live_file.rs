//! A data file that readers see.

use super::{CommitRange, DataFile};

/// A data file that readers see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveFile {
    /// The commit that names it.
    pub commit: u64,
    /// The data file, as its commit describes it, without its statistics.
    pub part: DataFile,
}

impl LiveFile {
    /// The commits whose rows it holds.
    pub fn commits(&self) -> CommitRange {
        self.part.merged.unwrap_or(CommitRange::of(self.commit))
    }
}
