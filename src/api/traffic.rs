//! What was asked for, counted and told.

use std::sync::atomic::{AtomicU64, Ordering};

use super::ApiError;
use crate::event::{Event, Events};

/// What a client has asked for so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Traffic {
    /// Requests sent, retries included.
    pub requests: u64,
    /// Requests that were sent again.
    pub retries: u64,
    /// Bytes of bodies, decompressed.
    pub bytes_received: u64,
}

/// The same while it grows.
#[derive(Debug, Default)]
pub(super) struct Counters {
    requests: AtomicU64,
    retries: AtomicU64,
    bytes_received: AtomicU64,
}

/// A request that counts as sent. However it ends, also where it is given up, it is told once.
#[derive(Debug)]
pub(super) struct Sent<'a> {
    counters: &'a Counters,
    events: &'a Events,
    endpoint: &'static str,
    status: Option<u16>,
    bytes: u64,
    again: bool,
}

impl Counters {
    pub(super) fn read(&self) -> Traffic {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Traffic {
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
    ) -> Result<Sent<'a>, ApiError> {
        let most = most.unwrap_or(u64::MAX);
        let next = |sent: u64| (sent < most).then_some(sent + 1);
        let counted = self.requests.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        counted.map_err(|sent| ApiError::BudgetSpent { requests: sent })?;
        if again {
            self.retries.fetch_add(1, Ordering::Relaxed);
        }
        Ok(Sent { counters: self, events, endpoint, status: None, bytes: 0, again })
    }
}

impl Sent<'_> {
    /// Such as `/runs/{id}/trace`.
    pub(super) fn endpoint(&self) -> &'static str {
        self.endpoint
    }

    /// The answer has begun.
    pub(super) fn answered(&mut self, status: u16) {
        self.status = Some(status);
    }

    /// Bytes of the body came.
    pub(super) fn received(&mut self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(0);
        self.bytes += bytes;
        self.counters.bytes_received.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Drop for Sent<'_> {
    fn drop(&mut self) {
        let Self { endpoint, status, bytes, again, .. } = *self;
        self.events.emit(Event::RequestEnded { endpoint, status, bytes, again });
    }
}

/// The endpoint of a path below the base URL, without ids: for counting.
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
    fn a_request_that_is_given_up_is_told() {
        let told = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let hears = std::sync::Arc::clone(&told);
        let events = Events::new(move |event| {
            if let Event::RequestEnded { endpoint, status, bytes, again } = event {
                hears.lock().unwrap().push((endpoint, status, bytes, again));
            }
        });
        let counters = Counters::default();
        drop(counters.send(&events, "/org", Some(2), false).unwrap());
        let mut sent = counters.send(&events, "/runs", Some(2), true).unwrap();
        sent.answered(200);
        sent.received(7);
        drop(sent);
        assert!(counters.send(&events, "/runs", Some(2), false).is_err());
        assert_eq!(
            *told.lock().unwrap(),
            [("/org", None, 0, false), ("/runs", Some(200), 7, true)]
        );
        assert_eq!(counters.read(), Traffic { requests: 2, retries: 1, bytes_received: 7 });
    }
}
