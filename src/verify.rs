//! A lake, its ledger and its DuckDB file looked over and mended, without the API.
//!
//! Manifests first, as all else goes by them; then files, then rows, then the DuckDB file.

mod database;
mod error;
mod files;
mod finding;
mod manifests;
mod mend;
mod repair;
mod rows;

use std::sync::Arc;

use serde::Serialize;

use crate::config::Settings;
use crate::deliver::{DeliveryOptions, LakeReader};
use crate::event::Events;
use crate::lake::{LakeError, LakeView, LivePart};
use crate::tables::Mapping;

pub use error::VerifyError;
pub use finding::Finding;
pub use repair::{Mended, RepairReport, repair};

use manifests::Walk;

/// What looking over a lake needs to know.
#[derive(Clone, Debug)]
pub struct VerifyOptions {
    /// Everything configured.
    pub settings: Settings,
    /// Where to tell what happens.
    pub events: Events,
    /// This machine's clock, in microseconds since 1970: the time of a commit that repairs.
    pub now: i64,
}

/// What was looked at, and what is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct VerifyReport {
    /// The newest commit.
    pub commit: u64,
    /// Parts whose bytes were read.
    pub parts: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Runs whose rows were compared.
    pub runs: u64,
    /// Everything that is not as it must be.
    pub findings: Vec<Finding>,
    /// What was not looked at, and why.
    pub unchecked: Vec<String>,
    /// The process that holds the DuckDB file, so that it could not be read; also in `unchecked`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database_holder: Option<String>,
}

impl VerifyReport {
    /// Whether all of it was looked at, and is as it must be.
    pub fn is_well(&self) -> bool {
        self.findings.is_empty() && self.unchecked.is_empty()
    }
}

/// Looks over a lake and its DuckDB file; changes nothing.
///
/// # Errors
/// [`VerifyError`] where that cannot even be begun. What is wrong is a [`Finding`].
pub async fn verify(options: &VerifyOptions) -> Result<VerifyReport, VerifyError> {
    let mapping = Arc::new(Mapping::new(&options.settings.columns, &options.settings.lists)?);
    let view = LakeView::open_without_head(&options.settings.lake.path).await?;
    let mut report = VerifyReport::default();
    let walk = manifests::walk(&view, &mut report.findings).await?;
    report.commit = walk.head.as_ref().map_or(0, |head| head.commit);
    manifests::check_ledger(&view, &walk, &mut report.findings).await;
    let sound = report.clone();
    if !is_moving(&view, &walk)? {
        let (shared, options) = (view.clone(), options.clone());
        let task = tokio::task::spawn_blocking(move || {
            let checked = check(&shared, &walk, &mapping, &options, report);
            Ok::<_, VerifyError>(if is_moving(&shared, &walk)? { None } else { Some(checked?) })
        });
        if let Some(report) = task.await?? {
            return Ok(report);
        }
    }
    // What was seen of files that move meanwhile says nothing.
    let what = "files, rows and the DuckDB file, as a process writes the lake: look again later";
    Ok(VerifyReport { unchecked: vec![what.to_owned()], ..sound })
}

/// Whether the lake is being written, or has another newest commit than was read.
fn is_moving(view: &LakeView, walk: &Walk) -> Result<bool, LakeError> {
    let newest = view.listed_commits()?.last().copied();
    Ok(view.is_being_written() || newest != walk.newest)
}

fn check(
    view: &LakeView,
    walk: &Walk,
    mapping: &Mapping,
    options: &VerifyOptions,
    mut report: VerifyReport,
) -> Result<VerifyReport, VerifyError> {
    if files::check_staging(view, walk, &mut report.findings)? {
        report.unchecked.push("all else, before that commit is finished".to_owned());
        return Ok(report);
    }
    let bad = files::check_parts(view, walk, &mut report);
    files::check_folders(view, walk, &bad, &mut report.findings)?;
    if !bad.is_empty() || !walk.is_whole {
        let what = "rows and the DuckDB file, as not every manifest and part is whole";
        report.unchecked.push(what.to_owned());
        return Ok(report);
    }
    let to = DeliveryOptions::new(&options.settings.duckdb, options.events.clone());
    let parts = walk.live.iter().map(|LivePart { part, .. }| part);
    let mut reader = LakeReader::open(view.root(), parts, mapping, &to)?;
    report.runs = rows::check(&mut reader, walk, &mut report.findings)?;
    if options.settings.duckdb.enabled {
        database::check(&mut reader, view, walk, &to.path, &mut report)?;
    }
    Ok(report)
}
