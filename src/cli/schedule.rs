//! `schedule`: keeps running, and runs jobs by cron expressions.

use tokio::sync::mpsc;

use super::args::ScheduleArguments;
use super::context::{COMMITTING, Context, absolute, force_exit_after, now, stop_on_signal};
use crate::failure::{Exit, Failure};
use crate::service::{Service, ServiceOptions, ServiceSettings};

pub(super) async fn run(context: &Context, arguments: &ScheduleArguments) -> Result<Exit, Failure> {
    let current = settings(context, arguments)?;
    // Register signal handlers first, so that no signal is lost.
    let stop = stop_on_signal(COMMITTING);
    let reload = reload_on_signal();
    force_exit_after(&current.settings, stop.clone());
    let (reread, arguments) = (context.clone(), arguments.clone());
    let options = ServiceOptions {
        load: Box::new(move || settings(&reread.reread()?, &arguments)),
        key: Box::new(Context::key),
        shows_progress: context.shows_progress(),
        stop,
        reload,
        clock: now,
    };
    Service::start(options).await?.run().await?;
    tracing::info!("stopped");
    Ok(Exit::Done)
}

/// The configuration with command-line arguments applied.
fn settings(context: &Context, arguments: &ScheduleArguments) -> Result<ServiceSettings, Failure> {
    let (mut settings, url) = context.service(&arguments.connection)?;
    if let Some(report) = &arguments.report {
        settings.report.path = Some(absolute(report));
    }
    let schedule = &mut settings.schedule;
    if let Some(cron) = &arguments.cron {
        schedule.cron.clone_from(cron);
    }
    if let Some(listen) = &arguments.listen {
        schedule.listen = Some(listen.clone());
    }
    Ok(ServiceSettings { settings, url, only_sync: arguments.cron.is_some() })
}

/// Requests a reload for each SIGHUP, on systems that have it.
fn reload_on_signal() -> mpsc::Receiver<()> {
    let (send, receive) = mpsc::channel(1);
    #[cfg(unix)]
    if let Ok(mut hangup) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()) {
        tokio::spawn(async move {
            while hangup.recv().await.is_some() {
                tracing::info!(
                    "SIGHUP: the configuration is read again, after the running job if any"
                );
                // If a reload is requested already, it serves for this signal too.
                let _waits = send.try_send(());
            }
        });
    }
    #[cfg(not(unix))]
    std::mem::forget(send);
    receive
}
