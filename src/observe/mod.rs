//! Events → log lines and the progress line: what users see during an operation. Printing results
//! is part of [`crate::cli`].

mod log;
mod metrics;
mod progress;
mod words;

use std::sync::Arc;

pub use log::{LogFormat, Verbosity, start_log};
pub use metrics::{LakeFigures, Metrics, Skipped, seconds};
pub use progress::Progress;

use crate::event::{Event, Events};
use words::{millis, plural, rough};

/// A receiver that passes events to the log and, on a terminal, to a progress line.
pub fn events(progress: Option<Arc<Progress>>) -> Events {
    Events::new(move |event| match &progress {
        Some(progress) => {
            progress.show(&event);
            if is_told(&event) {
                progress.aside(|| note(&event, true));
            }
        }
        None => note(&event, false),
    })
}

/// Whether an event gets a log line in addition to the progress line.
fn is_told(event: &Event) -> bool {
    matches!(event, Event::RunFailed { .. } | Event::Notice(_))
}

/// Logs an event: as a warning if the user must know it, as information if it is a milestone
/// (unless `shown`, because a progress line shows it), otherwise for debugging.
fn note(event: &Event, shown: bool) {
    match event {
        Event::RunFailed { run_id, reason } => {
            tracing::warn!(run.id = ?run_id, %reason, "run failed; the next sync tries it again");
        }
        Event::Notice(text) => tracing::warn!("{text}"),
        Event::RateLimited { wait } => {
            let wait_ms = millis(*wait);
            let text = format!("rate limited, resuming in {}", rough(*wait));
            if shown {
                tracing::debug!(wait_ms, "{text}");
            } else {
                tracing::warn!(wait_ms, "{text}");
            }
        }
        Event::Retrying { path, reason, wait } => {
            tracing::info!(%path, %reason, wait_ms = millis(*wait), "retrying a request");
        }
        Event::DeliveryWaiting { holder, wait } => {
            let wait_ms = millis(*wait);
            tracing::warn!(%holder, wait_ms, "the DuckDB file is held, waiting");
        }
        Event::WindowChosen { range } => milestone(shown, &format!("listing the last {range}")),
        Event::ListingDone { runs } => {
            milestone(shown, &format!("listed {}", plural(*runs, "run")));
        }
        Event::Committed { rows: 0, commit, .. } => {
            tracing::debug!("commit {commit}: sync record only");
        }
        Event::Committed { commit, runs, rows } => {
            milestone(
                shown,
                &format!("commit {commit}: {}, {}", plural(*runs, "run"), plural(*rows, "row")),
            );
        }
        Event::Delivering { commits } => {
            milestone(shown, &format!("applying {} to DuckDB", plural(*commits, "commit")));
        }
        Event::PaceChanged { at_once } => {
            tracing::debug!(at_once, "concurrent requests: {at_once}");
        }
        Event::RateChanged { a_second } => {
            tracing::info!(a_second, "the API accepts {a_second:.1} requests per second");
        }
        Event::RequestEnded { endpoint, status, bytes, again } => {
            tracing::trace!(endpoint, status, bytes, again, "request ended");
        }
        Event::DocumentFetched { resource } => tracing::trace!(?resource, "document fetched"),
        Event::PageListed { runs, total } => tracing::debug!(runs, total, "page listed"),
        Event::RunsQueued { .. } | Event::RunFetched | Event::RateLimitLifted => {}
    }
}

fn milestone(shown: bool, text: &str) {
    if shown {
        tracing::debug!("{text}");
    } else {
        tracing::info!("{text}");
    }
}
