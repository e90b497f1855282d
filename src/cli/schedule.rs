//! `schedule`: stays up and syncs by a cron expression.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::watch;

use super::args::ScheduleArguments;
use super::context::{COMMITTING, Context, now, stop_on_signal};
use super::exit::{Exit, Failure};
use super::sync::{reasons, run_once, summary};
use crate::config::{ApiKey, Settings};
use crate::schedule::Expression;

/// The longest sleep: a machine that was suspended, or whose clock was set, notices soon.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);

pub(super) async fn run(context: &Context, arguments: &ScheduleArguments) -> Result<Exit, Failure> {
    let (settings, url, key) = context.connection(&arguments.connection)?;
    let expression = expression(&settings, arguments.cron.as_deref())?;
    let stop = stop_on_signal(COMMITTING);
    tracing::info!("syncing by `{expression}`");
    for firing in expression.upcoming(now(), 3) {
        tracing::info!("next: {}", firing.format("%Y-%m-%d %H:%M:%S UTC"));
    }
    let mut runs_now = settings.schedule.run_at_start;
    while !*stop.borrow() {
        if !runs_now && !sleep_until_firing(&expression, &stop).await? {
            break;
        }
        runs_now = false;
        sync_once(context, &settings, &url, &key, &stop).await;
    }
    tracing::info!("stopped");
    Ok(Exit::Done)
}

fn expression(settings: &Settings, typed: Option<&str>) -> Result<Expression, Failure> {
    let zone: chrono_tz::Tz = settings.schedule.time_zone.parse().map_err(|_| {
        Failure::usage(
            format!("`{}` is no time zone", settings.schedule.time_zone),
            "name one such as UTC or Europe/Berlin as schedule.time_zone",
        )
    })?;
    let text = typed.unwrap_or(&settings.schedule.cron);
    Expression::parse(text, zone).map_err(|error| {
        let hint =
            "five fields: minute hour day-of-month month day-of-week, such as `*/15 * * * *`";
        let message = format!("failed to understand the cron expression `{text}`: {error}");
        Failure::usage(message, hint)
    })
}

/// Waits for the next firing; false where somebody asks to stop, or there is none.
async fn sleep_until_firing(
    expression: &Expression,
    stop: &watch::Receiver<bool>,
) -> Result<bool, Failure> {
    let Some(next) = expression.next_after(now()) else {
        return Err(Failure::usage(
            format!("`{expression}` never fires again"),
            "give an expression that does",
        ));
    };
    let mut stop = stop.clone();
    loop {
        let left = time_left(next);
        if left.is_zero() {
            return Ok(true);
        }
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return Ok(false),
            () = tokio::time::sleep(left.min(LONGEST_SLEEP)) => {}
        }
    }
}

fn time_left(next: DateTime<Utc>) -> Duration {
    next.signed_duration_since(now()).to_std().unwrap_or_default()
}

/// A sync that fails is told of, and the next firing tries again.
async fn sync_once(
    context: &Context,
    settings: &Settings,
    url: &str,
    key: &ApiKey,
    stop: &watch::Receiver<bool>,
) {
    let lake = settings.lake.path.display().to_string();
    let duckdb = settings.duckdb.path.display().to_string();
    let report = run_once(context, settings.clone(), url.to_owned(), key.clone(), stop.clone());
    match report.await {
        Ok(report) => {
            for line in summary(&report, &lake, &duckdb).lines() {
                tracing::info!("{}", line.trim_start());
            }
            for reason in reasons(&report) {
                tracing::warn!("incomplete: {reason}");
            }
            if let Some(failure) = report.delivery_error().map(Failure::from) {
                tracing::error!("{}", failure.text().replace('\n', "; "));
            }
            if let Some(failure) = report.stop.clone().map(Failure::from) {
                tracing::error!("{}", failure.text().replace('\n', "; "));
            }
        }
        Err(failure) if failure.exit == Exit::Interrupted => {}
        Err(failure) => tracing::error!("{}", failure.text().replace('\n', "; ")),
    }
}
