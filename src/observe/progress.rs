//! The progress line: one line on a terminal that shows progress and what is waited for.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::words::{plural, rough};
use crate::event::Event;

/// The progress line. It is drawn on stderr, only if stderr is a terminal, and several times a
/// second, so that a wait counts down while nothing happens.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    listed: u64,
    total: Option<u64>,
    listing_done: bool,
    queued: u64,
    fetched: u64,
    documents: u64,
    rows: u64,
    waiting: Option<(String, Instant)>,
    phase: Option<String>,
}

impl Progress {
    /// Starts the progress line.
    pub fn start() -> Self {
        let state: Arc<Mutex<State>> = Arc::default();
        let shown = Arc::clone(&state);
        let write = move |_: &ProgressState, out: &mut dyn std::fmt::Write| {
            let line = shown.lock().unwrap_or_else(PoisonError::into_inner).line();
            // Ignore a closed terminal.
            let _gone = out.write_str(&line);
        };
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
        // The template is a constant and valid; the fallback avoids a panic.
        let style = ProgressStyle::with_template("{spinner:.cyan} {line}");
        let style = style.unwrap_or_else(|_| ProgressStyle::default_spinner());
        bar.set_style(style.with_key("line", write));
        bar.enable_steady_tick(Duration::from_millis(100));
        Self { bar, state }
    }

    /// Updates the line by an event.
    pub fn show(&self, event: &Event) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).note(event);
    }

    /// Hides the line while `write` writes to the terminal.
    pub fn aside(&self, write: impl FnOnce()) {
        self.bar.suspend(write);
    }

    /// Removes the line.
    pub fn end(&self) {
        self.bar.finish_and_clear();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.end();
    }
}

impl State {
    fn note(&mut self, event: &Event) {
        match event {
            Event::PageListed { runs, total } => {
                self.listed += runs;
                self.total = total.or(self.total);
            }
            Event::ListingDone { .. } => self.listing_done = true,
            Event::RunsQueued { runs } => self.queued += runs,
            Event::DocumentFetched { .. } => self.documents += 1,
            Event::RunFetched | Event::RunFailed { .. } => self.fetched += 1,
            Event::Committed { rows, .. } => self.rows += rows,
            Event::RateLimited { wait } => self.wait_for("rate limited", *wait),
            Event::Retrying { wait, .. } if self.waiting.is_none() => {
                self.wait_for("trying again", *wait);
            }
            Event::DeliveryWaiting { holder, wait } => {
                self.wait_for(&format!("the DuckDB file is held by {holder}"), *wait);
            }
            Event::RateLimitLifted => self.waiting = None,
            Event::Delivering { commits } => {
                self.phase = Some(format!("applying {} to DuckDB", plural(*commits, "commit")));
            }
            Event::WindowChosen { .. }
            | Event::Retrying { .. }
            | Event::PaceChanged { .. }
            | Event::RateChanged { .. }
            | Event::RequestEnded { .. }
            | Event::Notice(_) => {}
        }
    }

    fn wait_for(&mut self, what: &str, wait: Duration) {
        self.waiting = Some((what.to_owned(), Instant::now() + wait));
    }

    fn line(&mut self) -> String {
        if self.waiting.as_ref().is_some_and(|(_, until)| *until <= Instant::now()) {
            self.waiting = None;
        }
        let listed = match (self.listing_done, self.total) {
            (false, Some(total)) => format!("{} of {total} runs listed", self.listed),
            _ => format!("{} runs listed", self.listed),
        };
        let mut parts = vec![listed];
        if self.queued > 0 {
            parts.push(format!("{} of {} fetched", self.fetched, self.queued));
            parts.push(format!("{} documents", self.documents));
        }
        if self.rows > 0 {
            parts.push(format!("{} rows written", self.rows));
        }
        parts.extend(self.phase.clone());
        if let Some((what, until)) = &self.waiting {
            let left = until.saturating_duration_since(Instant::now());
            parts.push(format!("{what}, resuming in {}", rough(left)));
        }
        parts.join(" · ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Resource;

    #[test]
    fn the_line_says_what_is_going_on() {
        let mut state = State::default();
        let mut lines = vec![state.line()];
        for event in [
            Event::PageListed { runs: 100, total: Some(250) },
            Event::RunsQueued { runs: 100 },
            Event::DocumentFetched { resource: Resource::Trace },
            Event::RunFetched,
            Event::RateLimited { wait: Duration::from_mins(10) },
            Event::RateLimitLifted,
            Event::ListingDone { runs: 100 },
            Event::Committed { commit: 1, runs: 100, rows: 2000 },
            Event::Delivering { commits: 1 },
        ] {
            state.note(&event);
            lines.push(state.line());
        }
        insta::assert_snapshot!(lines.join("\n"));
    }
}
