//! Request statistics: counts of requests and bytes, and one event per request.

use std::sync::atomic::{AtomicU64, Ordering};

use super::ApiError;
use crate::event::{Event, Events};

/// The requests of a client so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct RequestStats {
    /// Requests sent, retries included.
    pub requests: u64,
    /// Requests that were sent again.
    pub retries: u64,
    /// Bytes of bodies, decompressed.
    pub bytes_received: u64,
}

/// The counters behind [`RequestStats`].
#[derive(Debug, Default)]
pub(super) struct RequestCounters {
    requests: AtomicU64,
    retries: AtomicU64,
    bytes_received: AtomicU64,
}

/// A request that was counted as sent. Emits one event when dropped, however the request ended.
#[derive(Debug)]
pub(super) struct RequestGuard<'a> {
    counters: &'a RequestCounters,
    events: &'a Events,
    endpoint: &'static str,
    status: Option<u16>,
    bytes: u64,
    again: bool,
}

impl RequestCounters {
    pub(super) fn read(&self) -> RequestStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        RequestStats {
            requests: read(&self.requests),
            retries: read(&self.retries),
            bytes_received: read(&self.bytes_received),
        }
    }

    /// Counts a request, as long as there are fewer than `most`.
    pub(super) fn send<'a>(
        &'a self,
        events: &'a Events,
        endpoint: &'static str,
        most: Option<u64>,
        again: bool,
    ) -> Result<RequestGuard<'a>, ApiError> {
        let most = most.unwrap_or(u64::MAX);
        let next = |sent: u64| (sent < most).then_some(sent + 1);
        let counted = self.requests.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        counted.map_err(|sent| ApiError::BudgetSpent { requests: sent })?;
        if again {
            self.retries.fetch_add(1, Ordering::Relaxed);
        }
        Ok(RequestGuard { counters: self, events, endpoint, status: None, bytes: 0, again })
    }
}

impl RequestGuard<'_> {
    /// The endpoint without ids, such as `/runs/{id}/trace`.
    pub(super) fn endpoint(&self) -> &'static str {
        self.endpoint
    }

    /// Records the status of the response.
    pub(super) fn answered(&mut self, status: u16) {
        self.status = Some(status);
    }

    /// Counts bytes of the body.
    pub(super) fn received(&mut self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(0);
        self.bytes += bytes;
        self.counters.bytes_received.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Drop for RequestGuard<'_> {
    fn drop(&mut self) {
        let Self { endpoint, status, bytes, again, .. } = *self;
        self.events.emit(Event::RequestEnded { endpoint, status, bytes, again });
    }
}

/// The endpoint of a path below the base URL, without ids: a label for counting.
pub(super) fn endpoint(path: &str) -> &'static str {
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    match segments.as_slice() {
        ["runs"] => "/runs",
        ["runs", _] => "/runs/{id}",
        ["runs", _, "trace"] => "/runs/{id}/trace",
        ["runs", _, "evaluation"] => "/runs/{id}/evaluation",
        ["runs", _, "tool-calls"] => "/runs/{id}/tool-calls",
        ["org"] => "/org",
        ["workflows"] => "/workflows",
        ["workflows", _] => "/workflows/{id}",
        ["workflows", _, "runs"] => "/workflows/{id}/runs",
        ["mcp-servers"] => "/mcp-servers",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_id_becomes_an_endpoint() {
        let paths = ["/runs", "/runs/r%2F1", "/runs/trace", "/runs/r1/tool-calls", "/x/r1", "/org"];
        let expected =
            ["/runs", "/runs/{id}", "/runs/{id}", "/runs/{id}/tool-calls", "other", "/org"];
        assert_eq!(paths.map(endpoint), expected);
    }

    #[test]
    fn an_abandoned_request_is_reported_too() {
        let reported = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let sink = std::sync::Arc::clone(&reported);
        let events = Events::new(move |event| {
            if let Event::RequestEnded { endpoint, status, bytes, again } = event {
                sink.lock().unwrap().push((endpoint, status, bytes, again));
            }
        });
        let counters = RequestCounters::default();
        drop(counters.send(&events, "/org", Some(2), false).unwrap());
        let mut sent = counters.send(&events, "/runs", Some(2), true).unwrap();
        sent.answered(200);
        sent.received(7);
        drop(sent);
        assert!(counters.send(&events, "/runs", Some(2), false).is_err());
        assert_eq!(
            *reported.lock().unwrap(),
            [("/org", None, 0, false), ("/runs", Some(200), 7, true)]
        );
        assert_eq!(counters.read(), RequestStats { requests: 2, retries: 1, bytes_received: 7 });
    }
}
