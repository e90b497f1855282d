//! `plan`: what a sync would request.

use std::fmt::Write as _;

use super::args::PlanArguments;
use super::context::{Context, now, stop_on_signal};
use super::table::{count, counted, elapsed};
use crate::failure::{Exit, Failure};
use crate::sync::{Forecast, SyncOptions, forecast};
use crate::time::Timestamp;

pub(super) async fn run(context: &Context, arguments: &PlanArguments) -> Result<Exit, Failure> {
    let (mut settings, url, key) = context.connection(&arguments.connection)?;
    settings.sync.range = arguments.range.unwrap_or(settings.sync.range);
    let stop = stop_on_signal("stopping");
    let (events, progress) = context.events();
    let now = Timestamp::from(now());
    let options = SyncOptions::new(&settings, url, key, events, stop, now)?;
    let forecast = forecast(options).await;
    if let Some(progress) = progress {
        progress.end();
    }
    let forecast = forecast?;
    context.print(&forecast, || text(&forecast))?;
    Ok(Exit::Done)
}

fn text(forecast: &Forecast) -> String {
    let mut out = String::new();
    let mut line = |text: String| {
        // Writing to a String cannot fail.
        let _infallible = writeln!(out, "{text}");
    };
    let about = match (forecast.is_exact, forecast.is_at_least) {
        (true, _) => "",
        (false, true) => "at least ",
        (false, false) => "about ",
    };
    line(format!("a sync now would list the last {}", forecast.window.range));
    let listed = forecast.listed.map(|listed| format!("{} listed · ", count(listed)));
    let follow_ups = match forecast.follow_ups {
        0 => String::new(),
        number => format!(" · {} to check again", count(number)),
    };
    line(format!(
        "  runs      {}{about}{} to fetch{follow_ups}",
        listed.unwrap_or_default(),
        count(forecast.new_runs)
    ));
    let pages = counted(forecast.pages, "page", "pages");
    line(format!("  requests  {about}{} ({pages} of the list)", count(forecast.requests)));
    line(match (forecast.seconds, forecast.requests_per_second) {
        (Some(seconds), Some(rate)) => {
            let milliseconds = std::time::Duration::try_from_secs_f64(seconds).unwrap_or_default();
            let milliseconds = u64::try_from(milliseconds.as_millis()).unwrap_or(u64::MAX);
            let rate = format!("{rate:.0} requests a second, as in the last syncs");
            format!("  time      about {} at {rate}", elapsed(milliseconds))
        }
        _ => "  time      unknown: too few requests so far to measure the rate".to_owned(),
    });
    for [from, until] in &forecast.new_gaps {
        let shown = |moment: &Option<String>| moment.clone().unwrap_or_else(|| "?".to_owned());
        let (from, until) = (shown(from), shown(until));
        line(format!("  gap       {from} to {until} can no longer be listed"));
    }
    let sent = counted(forecast.requests_sent, "request", "requests");
    line(format!("This cost {sent}, and changed nothing."));
    out
}
