//! The result of a check.

use serde::Serialize;

use super::Finding;

/// Result of a check.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct VerifyReport {
    /// The newest commit; 0 if there is none that can be read.
    pub commit: u64,
    /// Number of data files that were read.
    pub parts: u64,
    /// Bytes of these data files.
    pub bytes: u64,
    /// Number of runs whose rows were checked.
    pub runs: u64,
    /// Everything that is wrong.
    pub findings: Vec<Finding>,
    /// What was not checked, and why.
    pub unchecked: Vec<String>,
    /// The process that holds the DuckDB file, which then could not be read; also in `unchecked`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database_holder: Option<String>,
}

impl VerifyReport {
    /// Whether everything was checked, and nothing is wrong.
    pub fn is_well(&self) -> bool {
        self.findings.is_empty() && self.unchecked.is_empty()
    }
}
