//! Checks a lake, its ledger and its DuckDB file for damage, and repairs them, without the API.
//!
//! Commit files are checked first, because all other checks depend on them; then files, rows, and
//! the DuckDB file.

mod database;
mod files;
mod finding;
mod ledger_repair;
mod manifests;
mod repair;
mod rows;

use std::sync::Arc;

use serde::Serialize;

use crate::config::Settings;
use crate::event::Events;
use crate::job_error::JobError;
use crate::lake::{LakeError, LakeView, LiveFile};
use crate::query::{LakeReader, QueryOptions};
use crate::tables::Mapping;

pub use finding::Finding;
pub use repair::{RepairAction, RepairReport, repair};

use manifests::LogReplay;

/// Input of a check or a repair.
#[derive(Clone, Debug)]
pub struct VerifyOptions {
    /// The whole configuration.
    pub settings: Settings,
    /// Receives what happens.
    pub events: Events,
    /// This machine's clock, in microseconds since 1970: the time of a commit that a repair makes.
    pub now: i64,
}

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

/// Checks a lake and its DuckDB file. Changes nothing, and takes no lock.
///
/// # Errors
/// [`JobError`] if the check cannot be made. Damage is not an error but a [`Finding`].
pub async fn verify(options: &VerifyOptions) -> Result<VerifyReport, JobError> {
    let mapping = Arc::new(Mapping::new(&options.settings.columns, &options.settings.lists)?);
    let view = LakeView::open_without_head(&options.settings.lake.path).await?;
    let mut report = VerifyReport::default();
    let log = manifests::log(&view, &mut report.findings).await?;
    report.commit = log.head.as_ref().map_or(0, |head| head.commit);
    manifests::check_ledger(&view, &log, &mut report.findings).await;
    let sound = report.clone();
    if !is_moving(&view, &log)? {
        let (shared, options) = (view.clone(), options.clone());
        let task = tokio::task::spawn_blocking(move || {
            let checked = check(&shared, &log, &mapping, &options, report);
            Ok::<_, JobError>(if is_moving(&shared, &log)? { None } else { Some(checked?) })
        });
        if let Some(report) = task.await?? {
            return Ok(report);
        }
    }
    // A process wrote the lake during the check: files may have moved, so what was found is not
    // reliable.
    let what = "files, rows and the DuckDB file, as a process writes the lake: verify again later";
    Ok(VerifyReport { unchecked: vec![what.to_owned()], ..sound })
}

/// Whether the lake is being written, or has another newest commit than the one that was read.
fn is_moving(view: &LakeView, log: &LogReplay) -> Result<bool, LakeError> {
    let newest = view.listed_commits()?.last().copied();
    Ok(view.is_being_written() || newest != log.newest)
}

fn check(
    view: &LakeView,
    log: &LogReplay,
    mapping: &Mapping,
    options: &VerifyOptions,
    mut report: VerifyReport,
) -> Result<VerifyReport, JobError> {
    if files::check_staging(view, log, &mut report.findings)? {
        report.unchecked.push("everything else, until that commit is finished".to_owned());
        return Ok(report);
    }
    let bad = files::check_parts(view, log, &mut report);
    files::check_folders(view, log, &bad, &mut report.findings)?;
    if !bad.is_empty() || !log.is_whole {
        let what = "rows and the DuckDB file, as not every manifest and data file is intact";
        report.unchecked.push(what.to_owned());
        return Ok(report);
    }
    let to = QueryOptions::new(&options.settings.duckdb);
    let parts = log.live.iter().map(|LiveFile { part, .. }| part);
    let mut reader = LakeReader::open(view.store(), parts, mapping, &to)?;
    report.runs = rows::check(&mut reader, log, &mut report.findings)?;
    if options.settings.duckdb.enabled {
        database::check(&mut reader, view, log, &to.path, &mut report)?;
    }
    Ok(report)
}
