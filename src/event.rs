//! What happens during a sync, as a closed list of events. Modules emit them, [`crate::observe`]
//! shows them.
//!
//! No event holds the key or a value from a run's documents; run ids are the only data.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::run::Resource;

/// An event that is shown or counted.
#[derive(Clone, Debug)]
pub enum Event {
    /// The sync's window is known: how far back it lists.
    WindowChosen {
        /// `24h`, `7d` or `30d`.
        range: &'static str,
    },
    /// A page of runs was read.
    PageListed {
        /// Runs not seen before in this scan.
        runs: u64,
        /// The total that the server states; `None` if it states none.
        total: Option<u64>,
    },
    /// The list scan ended.
    ListingDone {
        /// Runs listed in total.
        runs: u64,
    },
    /// Runs were found that must be fetched.
    RunsQueued {
        /// Number of runs.
        runs: u64,
    },
    /// A request was answered, or given up. Each request that counts as sent emits one such event.
    RequestEnded {
        /// Such as `/runs/{id}/trace`.
        endpoint: &'static str,
        /// The status of the response; `None` if none began.
        status: Option<u16>,
        /// Bytes of its body, decompressed.
        bytes: u64,
        /// Whether it is a retry.
        again: bool,
    },
    /// A document of a run was requested: it was fetched, is absent, or failed.
    DocumentFetched {
        /// The document.
        resource: Resource,
    },
    /// All documents of a run were fetched.
    RunFetched,
    /// A document of a run could not be fetched; the run is retried at the next sync.
    RunFailed {
        /// The run's id.
        run_id: String,
        /// Why, without any value from a body.
        reason: String,
    },
    /// A request is retried after a pause.
    Retrying {
        /// The request's path.
        path: String,
        /// Why it failed.
        reason: String,
        /// How long the pause is.
        wait: Duration,
    },
    /// The API asked to wait (429); every request waits until the cooldown is over.
    RateLimited {
        /// Length of the cooldown.
        wait: Duration,
    },
    /// The cooldown is over.
    RateLimitLifted,
    /// The concurrency limit changed, because the server responds well or does not.
    PaceChanged {
        /// Maximum number of requests in flight.
        at_once: usize,
    },
    /// The rate limiter changed the rate after a 429: requests are spaced accordingly.
    RateChanged {
        /// Requests per second.
        a_second: f64,
    },
    /// A commit is durable.
    Committed {
        /// Its number.
        commit: u64,
        /// Runs in it.
        runs: u64,
        /// Rows in it, over all tables.
        rows: u64,
    },
    /// Commits are being applied to the DuckDB file.
    Delivering {
        /// How many commits.
        commits: u64,
    },
    /// The DuckDB file is held by another process.
    DeliveryWaiting {
        /// The process that holds it, if DuckDB names it.
        holder: String,
        /// How long the pause before the next try is.
        wait: Duration,
    },
    /// Something a person should know, though nothing failed.
    Notice(String),
}

/// Where events go. Cheap to clone; sending never blocks and never fails.
#[derive(Clone)]
pub struct Events(Arc<dyn Fn(Event) + Send + Sync>);

impl Events {
    /// Passes every event to `receive`.
    pub fn new(receive: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self(Arc::new(receive))
    }

    /// Drops every event.
    pub fn none() -> Self {
        Self::new(|_| ())
    }

    /// Emits an event.
    pub fn emit(&self, event: Event) {
        (self.0)(event);
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Events")
    }
}
