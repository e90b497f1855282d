//! What happens during a sync, as one closed list. Rooms emit, [`crate::observe`] shows.
//!
//! No event holds the key or a value from a run's documents; run ids are the only data.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::run::Resource;

/// Something worth showing or counting.
#[derive(Clone, Debug)]
pub enum Event {
    /// The sync's window is known: how far back it lists.
    WindowChosen {
        /// `24h`, `7d` or `30d`.
        range: &'static str,
    },
    /// A page of runs was read.
    PageListed {
        /// Runs not seen before in this sweep.
        runs: u64,
        /// How many runs the server says there are in all.
        total: Option<u64>,
    },
    /// The sweep ended.
    ListingDone {
        /// Runs listed in all.
        runs: u64,
    },
    /// Runs were found that must be fetched.
    RunsQueued {
        /// How many.
        runs: u64,
    },
    /// A request was answered, or given up. Each that counts as sent is told once.
    RequestEnded {
        /// Such as `/runs/{id}/trace`.
        endpoint: &'static str,
        /// The answer's status; `None` where none began.
        status: Option<u16>,
        /// Bytes of its body, decompressed.
        bytes: u64,
        /// Whether it was sent before, and is a retry.
        again: bool,
    },
    /// One document of a run came, or was found absent.
    DocumentFetched {
        /// Which.
        resource: Resource,
    },
    /// All documents of a run are there.
    RunFetched,
    /// A run's documents could not be had; it is tried again at the next sync.
    RunFailed {
        /// The run's id.
        run_id: String,
        /// Why, without any value from a body.
        reason: String,
    },
    /// A request is tried again after a pause.
    Retrying {
        /// The request's path.
        path: String,
        /// Why.
        reason: String,
        /// How long the pause is.
        wait: Duration,
    },
    /// The API asked for patience; every request waits until then.
    RateLimited {
        /// How long.
        wait: Duration,
    },
    /// The wait is over.
    RateLimitLifted,
    /// The server answers well, or does not: more or fewer requests go out at once from now on.
    PaceChanged {
        /// How many.
        at_once: usize,
    },
    /// The API takes so many requests a second, as its last 429 tells: they are spaced by that.
    RateChanged {
        /// Requests a second.
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
    /// The DuckDB file is held by somebody else.
    DeliveryWaiting {
        /// Who holds it, where DuckDB tells.
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
    /// Hands every event to `receive`.
    pub fn new(receive: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self(Arc::new(receive))
    }

    /// Drops every event.
    pub fn none() -> Self {
        Self::new(|_| ())
    }

    /// Tells that something happened.
    pub fn emit(&self, event: Event) {
        (self.0)(event);
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Events")
    }
}
