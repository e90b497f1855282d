//! The check of a lake and its DuckDB file.

use super::commit_log::LogReplay;
use super::{VerifyReport, commit_log, database, files, rows};
use crate::job::{JobError, LakeJob};
use crate::lake::{LakeError, LakeView, LiveFile};
use crate::query::LakeReader;

/// Checks a lake and its DuckDB file. Changes nothing, and takes no lock.
///
/// # Errors
/// [`JobError`] if the check cannot be made. Damage is not an error but a finding: [`super::Finding`].
pub async fn verify(job: &LakeJob) -> Result<VerifyReport, JobError> {
    let view = LakeView::open_without_head(&job.lake).await?;
    let mut report = VerifyReport::default();
    let log = commit_log::log(&view, &mut report.findings).await?;
    report.commit = log.head.as_ref().map_or(0, |head| head.commit);
    commit_log::check_ledger(&view, &log, &mut report.findings).await;
    commit_log::check_files_checkpoint(&view, &log, &mut report.findings);
    let sound = report.clone();
    if !is_moving(&view, &log)? {
        let (shared, job) = (view.clone(), job.clone());
        let task = tokio::task::spawn_blocking(move || {
            let checked = check(&shared, &log, &job, report);
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
    Ok(newest != log.newest || view.is_being_written()?)
}

fn check(
    view: &LakeView,
    log: &LogReplay,
    job: &LakeJob,
    mut report: VerifyReport,
) -> Result<VerifyReport, JobError> {
    if files::check_staging(view, log, &mut report.findings)? {
        report.unchecked.push("everything else, until that commit is finished".to_owned());
        return Ok(report);
    }
    let bad = files::check_parts(view, log, &mut report);
    files::check_folders(view, log, &bad, &mut report.findings)?;
    if !bad.is_empty() || !log.is_whole {
        let what = "rows and the DuckDB file, as not every commit file and data file is intact";
        report.unchecked.push(what.to_owned());
        return Ok(report);
    }
    let parts = log.live.iter().map(|LiveFile { part, .. }| part);
    let mut reader = LakeReader::open(view.store(), parts, &job.mapping, &job.query)?;
    report.runs = rows::check(&mut reader, log, &mut report.findings)?;
    if job.has_duckdb() {
        database::check(&mut reader, view, log, &job.query.path, &mut report)?;
    }
    Ok(report)
}
