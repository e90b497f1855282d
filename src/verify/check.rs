//! The check of a lake and its DuckDB file.

use std::sync::Arc;

use super::manifests::LogReplay;
use super::{VerifyOptions, VerifyReport, database, files, manifests, rows};
use crate::job_error::JobError;
use crate::lake::{LakeError, LakeView, LiveFile};
use crate::query::{LakeReader, QueryOptions};
use crate::tables::Mapping;

/// Checks a lake and its DuckDB file. Changes nothing, and takes no lock.
///
/// # Errors
/// [`JobError`] if the check cannot be made. Damage is not an error but a finding: [`super::Finding`].
pub async fn verify(options: &VerifyOptions) -> Result<VerifyReport, JobError> {
    let mapping = Arc::new(options.settings.mapping()?);
    let view = LakeView::open_without_head(&options.settings.lake.path).await?;
    let mut report = VerifyReport::default();
    let log = manifests::log(&view, &mut report.findings).await?;
    report.commit = log.head.as_ref().map_or(0, |head| head.commit);
    manifests::check_ledger(&view, &log, &mut report.findings).await;
    manifests::check_files_checkpoint(&view, &log, &mut report.findings).await;
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
