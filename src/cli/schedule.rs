//! `schedule`: stays up and does its jobs by cron expressions.

use tokio::sync::mpsc;

use super::args::ScheduleArguments;
use super::context::{COMMITTING, Context, end_in_time, now, stop_on_signal};
use crate::failure::{Exit, Failure};
use crate::service::{Service, ServiceOptions, ServiceSettings};

pub(super) async fn run(context: &Context, arguments: &ScheduleArguments) -> Result<Exit, Failure> {
    let current = settings(context, arguments)?;
    // Before anything else, so that no signal finds nobody.
    let stop = stop_on_signal(COMMITTING);
    let reload = reload_on_signal();
    end_in_time(&current.settings, stop.clone());
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

/// The configuration with what was typed in its place.
fn settings(context: &Context, arguments: &ScheduleArguments) -> Result<ServiceSettings, Failure> {
    let (mut settings, url) = context.service(&arguments.connection)?;
    let schedule = &mut settings.schedule;
    if let Some(cron) = &arguments.cron {
        schedule.cron.clone_from(cron);
    }
    if let Some(listen) = &arguments.listen {
        schedule.listen = Some(listen.clone());
    }
    Ok(ServiceSettings { settings, url, only_sync: arguments.cron.is_some() })
}

/// Hears SIGHUP, where there is one.
fn reload_on_signal() -> mpsc::Receiver<()> {
    let (send, receive) = mpsc::channel(1);
    #[cfg(unix)]
    if let Ok(mut hangup) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()) {
        tokio::spawn(async move {
            while hangup.recv().await.is_some() {
                tracing::info!(
                    "SIGHUP: the configuration is read again, after the running job if any"
                );
                // One that waits already serves for both.
                let _waits = send.try_send(());
            }
        });
    }
    #[cfg(not(unix))]
    std::mem::forget(send);
    receive
}
