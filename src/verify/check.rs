//! The check of a lake and its targets.

use std::error::Error;

use tokio::runtime::Handle;

use super::commit_log::LogReplay;
use super::{Finding, VerifyReport, commit_log, files, rows};
use crate::job::{JobError, LakeJob};
use crate::lake::{LakeError, LakeView, LiveFile};
use crate::ledger::Entries;
use crate::query::LakeReader;
use crate::targets::{CheckedLake, Target};

/// Checks a lake and its targets. Changes nothing, and takes no lock.
///
/// # Errors
/// [`JobError`] if the check cannot be made. Damage is not an error but a finding: [`super::Finding`].
pub async fn verify(job: &LakeJob) -> Result<VerifyReport, JobError> {
    let view = LakeView::open_without_head(&job.lake).await?;
    let mut report = VerifyReport::default();
    let mut log = commit_log::log(&view, &mut report.findings).await?;
    report.commit = log.head.as_ref().map_or(0, |head| head.commit);
    commit_log::check_ledger(&view, &log, &mut report.findings).await;
    commit_log::check_files_checkpoint(&view, &log, &mut report.findings);
    log.drop_checkpoints();
    let sound = report.clone();
    if !is_moving(&view, &log)? {
        let (shared, job) = (view.clone(), job.clone());
        let task = tokio::task::spawn_blocking(move || {
            let checked = check(&shared, &mut log, &job, report);
            Ok::<_, JobError>(if is_moving(&shared, &log)? { None } else { Some(checked?) })
        });
        if let Some(report) = task.await?? {
            return Ok(report);
        }
    }
    // A process wrote the lake during the check: files may have moved, so what was found is not
    // reliable.
    let what = listed(&["files", "rows"], job);
    let what = format!("{what}, as a process writes the lake: verify again later");
    Ok(VerifyReport { unchecked: vec![what], ..sound })
}

/// Whether the lake is being written, or has another newest commit than the one that was read.
fn is_moving(view: &LakeView, log: &LogReplay) -> Result<bool, LakeError> {
    let newest = view.listed_commits()?.last().copied();
    Ok(newest != log.newest || view.is_being_written()?)
}

fn check(
    view: &LakeView,
    log: &mut LogReplay,
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
        let what = listed(&["rows"], job);
        let why = "as not every commit file and data file is intact";
        report.unchecked.push(format!("{what}, {why}"));
        return Ok(report);
    }
    let open = |log: &LogReplay| {
        let parts = log.live.iter().map(|LiveFile { part, .. }| part);
        LakeReader::open(view.store(), parts, &job.mapping, &job.query)
    };
    report.runs = rows::check(open(log)?, log, &mut report.findings)?;
    commit_log::check_totals(log, &mut report.findings);
    // The targets are compared row by row, without the ledger, and by a reader of their own: the
    // tables of the first one, and what it keeps of the files, are as large as the history is long.
    log.ledger = Entries::default();
    let Some(head) = &log.head else { return Ok(report) };
    if job.targets.is_empty() {
        return Ok(report);
    }
    let mut reader = open(log)?;
    let mut lake = CheckedLake {
        view,
        head,
        live: &log.live,
        superseded: &log.superseded,
        syncs: &log.syncs,
        reader: &mut reader,
    };
    for target in &*job.targets {
        check_target(&**target, &mut lake, &mut report);
    }
    Ok(report)
}

/// Compares a target with the lake. Must run on a thread for blocking tasks.
fn check_target(target: &dyn Target, lake: &mut CheckedLake<'_>, report: &mut VerifyReport) {
    let what = || format!("{} `{}`", target.name(), target.location());
    // DuckDB blocks the thread, and a catalog is asked over the network: this thread may wait for
    // both.
    match Handle::current().block_on(target.verify(lake)) {
        Ok(compared) => {
            let found = compared.findings.into_iter();
            let target = target.kind();
            report.findings.extend(found.map(|finding| Finding::Target { target, finding }));
            if let Some(holder) = compared.holder {
                report.unchecked.push(format!("{}, held by {holder}", what()));
                report.database_holder = Some(holder);
            }
        }
        Err(error) => {
            let causes = std::iter::successors(error.source(), |cause| (*cause).source());
            let causes = causes.map(ToString::to_string);
            let causes: Vec<String> = std::iter::once(error.to_string()).chain(causes).collect();
            report.unchecked.push(format!("{}: {}", what(), causes.join(": ")));
        }
    }
}

/// What is not checked, as a list: the first items, and the targets.
fn listed(first: &[&str], job: &LakeJob) -> String {
    let targets = job.targets.iter().map(|target| target.name());
    let all: Vec<&str> = first.iter().copied().chain(targets).collect();
    match all.as_slice() {
        [rest @ .., last] if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        all => all.concat(),
    }
}
