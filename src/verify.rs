//! Checks a lake, its ledger and its targets for damage, and repairs them, without the API.
//!
//! Commit files are checked first, because all other checks depend on them; then files, rows, and
//! the targets, each by its own comparison.

mod check;
mod commit_log;
mod files;
mod finding;
mod ledger_repair;
mod repair;
mod report;
mod rows;

pub use check::verify;
pub use finding::Finding;
pub use repair::{RepairAction, RepairReport, repair};
pub use report::VerifyReport;
