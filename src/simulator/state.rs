//! The state that all connections of one simulator share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use axum::http::HeaderValue;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;

use super::clock::{SimulatedClock, http_date};
use super::dispatch::{Dispatched, Dispatching};
use super::faults::{Asked, Rules};
use super::faulty::{Decision, Faulty};
use super::overlay::Overlay;
use super::shape::Shape;
use super::transmission::Stopping;
use super::world::World;

/// A request that was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestRecord {
    /// The HTTP method.
    pub method: String,
    /// The path as sent, percent-encoding included.
    pub path: String,
    /// The query as sent, without the question mark.
    pub query: Option<String>,
    /// The status that was sent.
    pub status: u16,
    /// The `User-Agent` header.
    pub user_agent: Option<String>,
    /// Whether there was an `Authorization` header.
    pub has_authorization: bool,
    /// The `Idempotency-Key` header.
    pub idempotency_key: Option<String>,
    /// The body of a dispatch, as sent; empty for other requests.
    pub body: String,
    /// When the request was received, by the real clock, to measure the request rate of a client.
    pub received: Instant,
}

impl RequestRecord {
    pub(super) fn of(request: &Parts, user_agent: Option<&str>) -> Self {
        let key = request.headers.get("idempotency-key").and_then(|value| value.to_str().ok());
        Self {
            method: request.method.to_string(),
            path: request.uri.path().to_owned(),
            query: request.uri.query().map(str::to_owned),
            status: 0,
            user_agent: user_agent.map(str::to_owned),
            has_authorization: request.headers.contains_key(AUTHORIZATION),
            idempotency_key: key.map(str::to_owned),
            body: String::new(),
            received: Instant::now(),
        }
    }
}

/// Counters of requests.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    pub(super) total: AtomicU64,
    pub(super) peak: AtomicU64,
    current: AtomicU64,
}

/// A request in progress.
#[derive(Debug)]
pub(super) struct InFlight<'a>(&'a Traffic);

impl<'a> InFlight<'a> {
    pub(super) fn begin(traffic: &'a Traffic) -> Self {
        traffic.total.fetch_add(1, Ordering::Relaxed);
        let current = traffic.current.fetch_add(1, Ordering::Relaxed) + 1;
        traffic.peak.fetch_max(current, Ordering::Relaxed);
        Self(traffic)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.current.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The state behind all routes.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) world: World,
    pub(super) clock: SimulatedClock,
    pub(super) shape: RwLock<Shape>,
    pub(super) rules: Mutex<Rules>,
    pub(super) faulty: Mutex<Option<Faulty>>,
    pub(super) overlay: RwLock<Overlay>,
    pub(super) dispatching: RwLock<Dispatching>,
    pub(super) dispatched: RwLock<Dispatched>,
    pub(super) role: String,
    pub(super) keys: Option<Vec<String>>,
    pub(super) latency: Duration,
    pub(super) records: Option<Mutex<Vec<RequestRecord>>>,
    pub(super) traffic: Traffic,
    pub(super) stopping: Stopping,
}

impl Shared {
    /// Documented: `Authorization: Bearer amt_<key-id>_<secret>`.
    pub(super) fn accepts(&self, authorization: Option<&str>) -> bool {
        let key = authorization.and_then(|header| header.strip_prefix("Bearer "));
        key.is_some_and(|key| match &self.keys {
            None => key.starts_with("amt_"),
            Some(keys) => keys.iter().any(|known| known == key),
        })
    }

    /// What the fault plan decides for a request; the default if there is no plan.
    pub(super) fn decide(&self, asked: &Asked<'_>) -> Decision {
        let mut faulty = self.faulty.lock().unwrap_or_else(PoisonError::into_inner);
        faulty.as_mut().map_or_else(Decision::none, |faulty| faulty.decide(asked))
    }

    /// The `Date` header of a clock that is off by this many seconds; an invalid date for `None`.
    pub(super) fn skewed_date(&self, skew_seconds: Option<i64>) -> HeaderValue {
        let date = skew_seconds.and_then(|seconds| {
            let skew = chrono::Duration::try_seconds(seconds)?;
            let date = http_date(self.clock.now().checked_add_signed(skew)?);
            HeaderValue::try_from(date).ok()
        });
        date.unwrap_or(HeaderValue::from_static("out of order"))
    }

    pub(super) fn record(&self, record: RequestRecord) {
        if let Some(records) = &self.records {
            records.lock().unwrap_or_else(PoisonError::into_inner).push(record);
        }
    }
}
