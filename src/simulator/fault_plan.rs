//! A fault plan as data: what goes wrong, how often, and for how long.

use serde::{Deserialize, Serialize};

use super::faults::Rule;

/// A fault plan. By default there are no faults.
///
/// Which requests are affected depends on the seed, the endpoint, the run (or page) that is
/// requested, and how often it was requested before, but never on the order of concurrent requests.
/// Only faults that are stated to count requests depend on that order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FaultPlan {
    /// The same seed affects the same requests.
    pub seed: u64,
    /// All faults end after this many requests; `None` for never.
    pub end_after_requests: Option<u64>,
    /// Faults of the list of runs.
    pub list: ListFaults,
    /// Requests that fail.
    pub failures: Failures,
    /// A key that is revoked for a while.
    pub key: KeyFaults,
    /// Faults of the server's clock.
    pub clock: ClockFaults,
    /// Single faults. They take precedence over all others.
    pub rules: Vec<Rule>,
}

/// How `GET /runs` deviates. Percentages refer to the requests for the list, which a client sends
/// one after another, so that the number of a request decides what happens to it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ListFaults {
    /// The simulated clock advances by up to this many seconds before each request: runs start, end
    /// and leave the range while the list is read.
    pub clock_step_seconds: u32,
    /// A run above the requested page leaves the list, so that the runs below it move up.
    pub vanish_percent: f64,
    /// For how many requests that run is missing.
    pub vanish_requests: u32,
    /// The page has the rows of the previous page.
    pub repeated_page_percent: f64,
    /// The page has no rows, although there are some.
    pub empty_page_percent: f64,
    /// The runs are in another order in each such response.
    pub shuffled_percent: f64,
    /// Runs are listed from old to new, whatever `sort` states.
    pub oldest_first: bool,
    /// `total` is too low.
    pub low_total_percent: f64,
    /// `total` is too high.
    pub high_total_percent: f64,
    /// There is no `total`.
    pub no_total_percent: f64,
}

impl Default for ListFaults {
    fn default() -> Self {
        Self {
            clock_step_seconds: 0,
            vanish_percent: 0.0,
            vanish_requests: 3,
            repeated_page_percent: 0.0,
            empty_page_percent: 0.0,
            shuffled_percent: 0.0,
            oldest_first: false,
            low_total_percent: 0.0,
            high_total_percent: 0.0,
            no_total_percent: 0.0,
        }
    }
}

/// Requests that fail. Percentages refer to all requests; a request has at most one failure.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Failures {
    /// 429 with a `Retry-After` header.
    pub rate_limit_header_percent: f64,
    /// 429 with `error.details.retryAfterSec` in the body.
    pub rate_limit_details_percent: f64,
    /// 429 with `retryAfterSec` at the top of the body.
    pub rate_limit_body_percent: f64,
    /// The wait that these three state, in seconds.
    pub retry_after_seconds: f64,
    /// 429 with a wait that is longer than any client accepts.
    pub rate_limit_long_percent: f64,
    /// The wait that it states, in seconds.
    pub long_retry_after_seconds: u32,
    /// 500, 502 or 503.
    pub server_error_percent: f64,
    /// The connection breaks in the middle of the body.
    pub reset_percent: f64,
    /// The correct response after a delay.
    pub stall_percent: f64,
    /// The delay in seconds.
    pub stall_seconds: f64,
    /// The correct response, sent slowly.
    pub drip_percent: f64,
    /// The speed, in bytes per second.
    pub drip_bytes_per_second: u32,
    /// A `Content-Length` that is shorter than the body: the rest is not received.
    pub short_length_percent: f64,
    /// A `Content-Length` that is longer than the body: the connection ends too early.
    pub long_length_percent: f64,
    /// A truncated gzip body, which starts with what looks like an empty list.
    pub cut_gzip_percent: f64,
    /// 403 with an HTML page, as from a firewall.
    pub html_refusal_percent: f64,
    /// 200 with an HTML page.
    pub html_percent: f64,
}

impl Default for Failures {
    fn default() -> Self {
        Self {
            rate_limit_header_percent: 0.0,
            rate_limit_details_percent: 0.0,
            rate_limit_body_percent: 0.0,
            retry_after_seconds: 1.0,
            rate_limit_long_percent: 0.0,
            long_retry_after_seconds: 86_400,
            server_error_percent: 0.0,
            reset_percent: 0.0,
            stall_percent: 0.0,
            stall_seconds: 0.2,
            drip_percent: 0.0,
            drip_bytes_per_second: 100_000,
            short_length_percent: 0.0,
            long_length_percent: 0.0,
            cut_gzip_percent: 0.0,
            html_refusal_percent: 0.0,
            html_percent: 0.0,
        }
    }
}

/// A key that is revoked for a while: every request that needs a key returns 401.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeyFaults {
    /// The number of requests after which it is revoked; `None` for never.
    pub revoked_after_requests: Option<u64>,
    /// The number of requests for which it stays revoked.
    pub revoked_for_requests: u64,
}

/// Faults of the `Date` header.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClockFaults {
    /// Seconds by which it is ahead of the simulated clock, or behind it if negative.
    pub skew_seconds: i64,
    /// Percentage of responses in which it is not a valid date. The header always exists: the HTTP
    /// server adds its own if it is missing.
    pub unreadable_date_percent: f64,
}
