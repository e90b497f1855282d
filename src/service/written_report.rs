//! What the report that was written last was made from.

use std::path::PathBuf;

use crate::config::ReportRange;

/// What a report that was written depends on: as long as all of it is the same, so is the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WrittenReport {
    pub(super) path: PathBuf,
    pub(super) range: ReportRange,
    pub(super) lake: PathBuf,
    /// The newest commit of the lake.
    pub(super) commit: u64,
    /// The UTC day. The page says when it was made, and an old one would look forgotten.
    pub(super) day: Option<String>,
}
