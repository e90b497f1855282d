//! `sync`: runs one incremental sync, and prints a summary.

use std::fmt::Write as _;

use super::args::{BudgetArguments, SyncArguments};
use super::context::{COMMITTING, Context, force_exit_after, now, stop_on_signal};
use super::table::{bytes, count, counted, elapsed};
use crate::config::{ApiKey, Settings};
use crate::failure::{Exit, Failure, exit_of};
use crate::sync::{SyncOptions, SyncOutcome, SyncReport, sync};
use crate::targets::{DeliverError, DeliveryReport};
use crate::time::Timestamp;

pub(super) async fn run(context: &Context, arguments: &SyncArguments) -> Result<Exit, Failure> {
    let (mut settings, url, key) = context.connection(&arguments.connection)?;
    settings.sync.range = arguments.range.unwrap_or(settings.sync.range);
    arguments.budget.apply(&mut settings);
    let stop = stop_on_signal(COMMITTING);
    force_exit_after(&settings, stop.clone());
    let lake = settings.lake.path.clone();
    let report = run_once(context, settings, url, key, stop).await?;
    let lake = lake.display().to_string();
    context.print(&report, || summary(&report, &lake, str::to_owned))?;
    finish(context, &report)
}

impl BudgetArguments {
    /// Applies command-line arguments to the settings. A deadline is at least one second.
    pub(super) fn apply(&self, settings: &mut Settings) {
        let sync = &mut settings.sync;
        sync.max_requests = self.max_requests.or(sync.max_requests);
        sync.deadline_secs = self.deadline.map(|time| time.as_secs().max(1)).or(sync.deadline_secs);
    }
}

/// Runs one sync with progress and log lines, for `sync`, `demo` and the repair of `reconcile`.
pub(super) async fn run_once(
    context: &Context,
    settings: Settings,
    url: String,
    key: ApiKey,
    stop: tokio::sync::watch::Receiver<bool>,
) -> Result<SyncReport, Failure> {
    let (events, progress) = context.events();
    let now = Timestamp::from(now());
    let options = SyncOptions::new(&settings, url, key, events, stop, now)?;
    let report = sync(options).await;
    if let Some(progress) = progress {
        progress.end();
    }
    Ok(report?)
}

/// Prints what stopped a sync, and returns its exit code.
pub(super) fn finish(context: &Context, report: &SyncReport) -> Result<Exit, Failure> {
    let exit = exit_of(report)?;
    if exit == Exit::Incomplete {
        match &report.stopped_by {
            Some(spent) => {
                context.eprint_note(&format!("incomplete: {spent}; the next sync goes on"));
            }
            None => {
                for line in report.reasons() {
                    context.eprint_note(&format!("incomplete: {line}"));
                }
            }
        }
    }
    Ok(exit)
}

/// The summary after a sync.
pub(super) fn summary(report: &SyncReport, lake: &str, shorten: impl Fn(&str) -> String) -> String {
    let runs = &report.runs;
    let mut out = String::new();
    let headline = match report.outcome {
        SyncOutcome::Complete | SyncOutcome::Incomplete => "synced",
        SyncOutcome::Stopped => "stopped early with",
        SyncOutcome::Interrupted => "interrupted with",
    };
    let mut line = |text: String| {
        // Writing to a String cannot fail.
        let _infallible = writeln!(out, "{text}");
    };
    line(format!(
        "{headline} {} in {}",
        counted(runs.new + runs.changed, "run", "runs"),
        elapsed(report.elapsed_ms)
    ));
    let parts = [
        (runs.listed, "listed"),
        (runs.new, "new"),
        (runs.changed, "changed"),
        (runs.open, "open"),
        (runs.waiting, "awaiting evaluation"),
        (runs.unchanged, "unchanged"),
        (runs.failed, "failed"),
        (runs.absent, "absent"),
        (runs.partial, "partial"),
    ];
    let shown = parts.iter().filter(|(number, name)| *number > 0 || *name == "listed");
    let shown: Vec<String> =
        shown.map(|(number, name)| format!("{} {name}", count(*number))).collect();
    line(format!("  runs      {} (last {})", shown.join(" · "), report.window.range));
    let rows: Vec<String> =
        report.rows.iter().map(|(table, rows)| format!("{} {table}", count(*rows))).collect();
    line(format!(
        "  rows      {}",
        if rows.is_empty() { "none".to_owned() } else { rows.join(" · ") }
    ));
    line(format!(
        "  requests  {} · {} received{}",
        count(report.requests),
        bytes(report.bytes_received),
        if report.retries > 0 {
            format!(" · {} retried", count(report.retries))
        } else {
            String::new()
        }
    ));
    if report.issues > 0 {
        line(format!(
            "  issues    {} (table _issues)",
            counted(report.issues, "value did not fit", "values did not fit")
        ));
    }
    line(format!("  lake      {lake}"));
    for delivery in &report.deliveries {
        line(match delivery {
            DeliveryReport::Done(delivery) => {
                let (target, path) = (delivery.target, shorten(&delivery.path));
                let copy = delivery.published.as_deref().map(&shorten);
                let copy = copy.map(|copy| format!(", published as {copy}")).unwrap_or_default();
                format!("  {target:<9} {path} ({}){copy}", state_words(delivery.state))
            }
            DeliveryReport::Failed {
                target, source: DeliverError::NotPublished { .. }, ..
            } => {
                format!("  {target:<9} up to date, but its copy was not published")
            }
            DeliveryReport::Failed { target, .. } => format!("  {target:<9} not up to date"),
        });
    }
    out
}

fn state_words(state: &str) -> &str {
    match state {
        "applied" => "up to date",
        "current" => "was up to date",
        other => other,
    }
}
