//! Runs one job, and reports the result in the log, the metrics and alerts.

use std::sync::Arc;

use super::daemon::Service;
use super::health::JobResult;
use super::lake_stats::applied;
use crate::compact::{CompactOptions, CompactReport, compact};
use crate::config::{RangeChoice, Settings};
use crate::event::Events;
use crate::failure::{Exit, Failure, exit_of};
use crate::job::{JobError, LakeJob};
use crate::lake::LakeError;
use crate::observe::{Progress, Skipped, events, seconds};
use crate::reconcile::{Reconciliation, reconcile};
use crate::schedule::Job;
use crate::sync::{SyncError, SyncOptions, SyncReport, sync};
use crate::targets::DeliveryReport;
use crate::time::Timestamp;

impl Service {
    /// Runs a job to its end; a failure never ends the service.
    pub(super) async fn work(&mut self, job: Job) {
        self.shared.set_running(Some(job));
        match job {
            Job::Sync => {
                self.sync(self.current.settings.clone()).await;
            }
            Job::Reconcile => {
                let ending = self.reconcile().await;
                self.close(Job::Reconcile, &ending);
            }
            Job::Compact => {
                let ending = self.compact().await;
                self.close(Job::Compact, &ending);
            }
        }
        if job != Job::Compact {
            self.report().await;
        }
        self.shared.set_running(None);
    }

    /// Updates metrics and health after a job, and sends alerts.
    fn close(&self, job: Job, ending: &JobResult) {
        let metrics = &self.shared.metrics;
        if ending.lake_in_use {
            self.skip(job, Skipped::LakeInUse, 1);
        }
        if !ending.is_no_news() {
            metrics.set_exit_code(job.name(), ending.exit_code);
        }
        let (news, last_success) = {
            let mut health = self.shared.health();
            (health.end(job, ending), health.last_success())
        };
        if let Some(last) = last_success {
            metrics.set_last_success(seconds(last));
        }
        if job == Job::Sync && ending.fresh_until.is_some() {
            self.shared.ping();
        }
        if *self.options.stop.borrow() {
            // Send no alert for work that a stop interrupted.
            return;
        }
        for news in news {
            self.shared.tell(job, news);
        }
    }

    /// Runs one sync: the job itself, or the repair of a reconciliation.
    async fn sync(&mut self, settings: Settings) -> JobResult {
        let began = self.shared.now();
        let ended = match self.options_for(&settings) {
            Ok((options, progress)) => {
                let ended = Box::pin(sync(options)).await;
                if let Some(progress) = progress {
                    progress.end();
                }
                ended.map_err(Stopped::from)
            }
            Err(failure) => Err(Stopped::Failed(failure)),
        };
        let now = seconds(self.shared.now());
        let (ending, runs) = match ended {
            Ok(report) => {
                self.shared.metrics.note_sync(&report, now);
                self.note_deliveries(&report.deliveries).await;
                log_sync(&report);
                (sync_ending(&report, began), Some(report.ledger))
            }
            Err(Stopped::LakeInUse) => {
                (JobResult { lake_in_use: true, ..JobResult::default() }, None)
            }
            Err(Stopped::Failed(failure)) => {
                if failure.exit != Exit::Interrupted {
                    self.shared.metrics.note_failed_sync(now);
                }
                (refused(Job::Sync, &failure), None)
            }
        };
        self.show_lake(runs.as_ref()).await;
        self.close(Job::Sync, &ending);
        ending
    }

    async fn reconcile(&mut self) -> JobResult {
        let found = match self.compare().await {
            Ok(found) => found,
            Err(failure) => return refused(Job::Reconcile, &failure),
        };
        let total = &found.total;
        let repairs = self.current.settings.schedule.reconcile_repair
            && !total.is_same()
            && total.not_in_ledger == 0;
        if !repairs {
            return reconcile_ending(&found);
        }
        tracing::info!(job = "reconcile", "fetching what differs");
        let mut month = self.current.settings.clone();
        month.sync.range = RangeChoice::Longest;
        let repair = self.sync(month).await;
        if repair.is_no_news() {
            return repair;
        }
        match self.compare().await {
            Ok(found) => reconcile_ending(&found),
            Err(failure) => refused(Job::Reconcile, &failure),
        }
    }

    async fn compare(&self) -> Result<Reconciliation, Failure> {
        let found = match self.options_for(&self.current.settings) {
            Ok((options, progress)) => {
                let found = Box::pin(reconcile(&options)).await;
                if let Some(progress) = progress {
                    progress.end();
                }
                found.map_err(Failure::from)
            }
            Err(failure) => Err(failure),
        };
        let metrics = &self.shared.metrics;
        match found {
            Ok(found) => {
                metrics.note_reconciliation(Some(&found));
                log_reconciliation(&found);
                Ok(found)
            }
            Err(failure) => {
                if failure.exit != Exit::Interrupted {
                    metrics.note_reconciliation(None);
                }
                Err(failure)
            }
        }
    }

    async fn compact(&mut self) -> JobResult {
        let (settings, stop) = (&self.current.settings, Some(self.options.stop.clone()));
        let job = match LakeJob::new(settings, events(None), self.shared.now(), stop.clone()) {
            Ok(job) => job,
            Err(error) => return refused(Job::Compact, &error.into()),
        };
        let settings = settings.compact.clone();
        let options = CompactOptions { job, settings, drop_older_revisions: false, stop };
        match Box::pin(compact(&options)).await {
            Ok(report) => {
                log_compacted(&report);
                self.note_deliveries(&report.deliveries).await;
                // The next sync catches up, and reports a failure if it cannot.
                for error in report.deliveries.iter().filter_map(DeliveryReport::error) {
                    let job = Job::Compact.name();
                    tracing::warn!(job, "{}", Failure::from(error).line());
                }
                self.show_lake(None).await;
                compact_ending(&report)
            }
            Err(JobError::Lake(LakeError::Locked { .. })) => {
                JobResult { lake_in_use: true, ..JobResult::default() }
            }
            // No lake before the first sync: there is nothing to merge.
            Err(JobError::Lake(LakeError::Missing { .. })) => JobResult::default(),
            Err(error) => refused(Job::Compact, &error.into()),
        }
    }

    fn options_for(
        &self,
        settings: &Settings,
    ) -> Result<(SyncOptions, Option<Arc<Progress>>), Failure> {
        let key = (self.options.key)(settings)?;
        let progress = self.options.shows_progress.then(|| Arc::new(Progress::start()));
        let (log, metrics) = (events(progress.clone()), Arc::clone(&self.shared.metrics));
        let events = Events::new(move |event| {
            metrics.note(&event);
            log.emit(event);
        });
        let (url, stop) = (self.current.url.clone(), self.options.stop.clone());
        let options = SyncOptions::new(settings, url, key, events, stop, self.shared.now())?;
        Ok((options, progress))
    }

    /// Remembers the last commit that each target has, and counts failures.
    async fn note_deliveries(&mut self, deliveries: &[DeliveryReport]) {
        let mut is_unknown = false;
        for delivery in deliveries {
            match delivery {
                DeliveryReport::Done(delivery) => {
                    self.applied.insert(delivery.target, Some(delivery.commit));
                }
                // It may have some of the commits that it lacked before, or none.
                DeliveryReport::Failed { target, .. } => {
                    self.shared.metrics.note_failed_delivery(target);
                    is_unknown = true;
                }
            }
        }
        if is_unknown && let Ok(applied) = applied(&self.current.settings).await {
            for (target, commit) in applied.into_iter().filter(|(_, commit)| commit.is_some()) {
                self.applied.insert(target, commit);
            }
        }
    }
}

/// Why a sync made no report.
enum Stopped {
    /// Another process writes to the lake.
    LakeInUse,
    Failed(Failure),
}

impl From<SyncError> for Stopped {
    fn from(error: SyncError) -> Self {
        match error {
            SyncError::Job(JobError::Lake(LakeError::Locked { .. })) => Self::LakeInUse,
            error => Self::Failed(error.into()),
        }
    }
}

/// The result of a sync that made a report. Its texts are this program's own words and counts only,
/// because messages leave this machine.
fn sync_ending(report: &SyncReport, began: Timestamp) -> JobResult {
    let ending = match exit_of(report) {
        Ok(exit) => {
            // A gap has its own alert, so it is not listed here.
            let mut troubles = report.troubles();
            if report.stop.is_some() {
                troubles.push("its budget was spent before it was complete".to_owned());
            }
            let problem = (exit != Exit::Done && !troubles.is_empty()).then(|| troubles.join("; "));
            JobResult { exit_code: exit.code(), problem, ..JobResult::default() }
        }
        Err(failure) => failed(&failure),
    };
    JobResult {
        fresh_until: report.is_fresh().then_some(began),
        new_gap: report.new_gap,
        unexpected_zero: report.unexpected_zero,
        ..ending
    }
}

fn reconcile_ending(found: &Reconciliation) -> JobResult {
    if found.is_well() {
        return JobResult::default();
    }
    let total = &found.total;
    let problem = if found.total.is_same() {
        format!("the list is uncertified: {}", found.sweep.doubts.join("; "))
    } else {
        format!(
            "of {} runs that the API lists, {} are missing, {} changed, {} failed, {} not in the ledger",
            total.listed, total.missing, total.changed, total.failed, total.not_in_ledger
        )
    };
    JobResult {
        exit_code: Exit::Incomplete.code(),
        problem: Some(problem),
        hint: Some("`armature-export reconcile` names them".to_owned()),
        ..JobResult::default()
    }
}

fn compact_ending(report: &CompactReport) -> JobResult {
    if report.damaged.is_empty() {
        return JobResult::default();
    }
    JobResult {
        exit_code: Exit::Incomplete.code(),
        problem: Some(format!("damaged data files in the lake: {}", report.damaged.len())),
        hint: Some("`armature-export verify` gives details".to_owned()),
        ..JobResult::default()
    }
}

/// The result of a failed job. The failure's text can contain text of the API or of DuckDB, and run
/// ids: it goes to the log only, not into a message.
fn failed(failure: &Failure) -> JobResult {
    JobResult {
        exit_code: failure.exit.code(),
        problem: Some(format!("{} (see the log)", failure.exit.meaning())),
        hint: failure.hint.clone(),
        ..JobResult::default()
    }
}

/// The result of a job that made no report; logs the failure.
fn refused(job: Job, failure: &Failure) -> JobResult {
    if failure.exit != Exit::Interrupted {
        log_failure(job, failure);
    }
    failed(failure)
}

fn log_failure(job: Job, failure: &Failure) {
    let (job, exit_code) = (job.name(), failure.exit.code());
    tracing::error!(job, exit_code, "{job} failed: {}", failure.line());
}

/// Logs a sync. The field names are documented, and must not change.
fn log_sync(report: &SyncReport) {
    let runs = &report.runs;
    let outcome = report.outcome.name();
    tracing::info!(
        job = "sync",
        sync_id = %report.sync_id,
        outcome,
        runs_listed = runs.listed,
        runs_new = runs.new,
        runs_changed = runs.changed,
        runs_open = runs.open + runs.waiting,
        runs_failed = runs.failed,
        runs_absent = runs.absent,
        runs_partial = runs.partial,
        requests = report.requests,
        retries = report.retries,
        bytes_received = report.bytes_received,
        elapsed_ms = report.elapsed_ms,
        certified = report.sweep.certified,
        "sync {outcome}: {} new, {} changed, {} open, {} failed of {} listed",
        runs.new,
        runs.changed,
        runs.open + runs.waiting,
        runs.failed,
        runs.listed,
    );
    for reason in report.reasons() {
        tracing::warn!(job = "sync", "incomplete: {reason}");
    }
    let exit = exit_of(report);
    if let Err(failure) = exit
        && failure.exit != Exit::Interrupted
    {
        log_failure(Job::Sync, &failure);
    }
}

fn log_compacted(report: &CompactReport) {
    tracing::info!(
        job = "compact",
        days = report.days,
        parts_before = report.parts_before,
        parts_after = report.parts_after,
        bytes_before = report.bytes_before,
        bytes_after = report.bytes_after,
        removed_commits = report.removed_commits,
        "compacted {} days: {} data files became {}",
        report.days,
        report.parts_before,
        report.parts_after,
    );
}

fn log_reconciliation(found: &Reconciliation) {
    let total = &found.total;
    tracing::info!(
        job = "reconcile",
        certified = found.sweep.certified,
        runs_listed = total.listed,
        runs_same = total.same,
        runs_missing = total.missing,
        runs_changed = total.changed,
        runs_failed = total.failed,
        requests = found.requests,
        "reconciled: {} of {} listed runs as in the lake, {} missing, {} changed, {} failed",
        total.same + total.pending,
        total.listed,
        total.missing,
        total.changed,
        total.failed,
    );
}
