//! A whole bad day as data: what goes wrong, how often, and for how long.

use serde::{Deserialize, Serialize};

use super::faults::Rule;

/// What goes wrong. By default nothing does.
///
/// Which requests are hit follows from the seed, the endpoint, the run (or page) that is asked
/// for, and how often it was asked for before: never from the order in which concurrent requests
/// come in. Only what is said to count requests does so.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FaultPlan {
    /// The same seed hits the same requests.
    pub seed: u64,
    /// After so many requests all is calm; `None` for never.
    pub end_after_requests: Option<u64>,
    /// What is wrong with the list of runs.
    pub list: ListFaults,
    /// Requests that fail.
    pub failures: Failures,
    /// A key that is revoked for a while.
    pub key: KeyFaults,
    /// What is wrong with the server's clock.
    pub clock: ClockFaults,
    /// Faults one by one. They go before all others.
    pub rules: Vec<Rule>,
}

/// How `GET /runs` deviates. Shares are percent of the requests for it; they come one after
/// another, so that each is decided by its number.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ListFaults {
    /// The simulated clock moves on by up to so many seconds before each request: runs start, end
    /// and leave the range while the list is read.
    pub clock_step_seconds: u32,
    /// A run above the page that is asked for leaves the list, so that those below it move up.
    pub vanish_percent: f64,
    /// For how many requests it stays away.
    pub vanish_requests: u32,
    /// The rows of the page before, under the number that was asked for.
    pub repeated_page_percent: f64,
    /// A page without rows, though there are some.
    pub empty_page_percent: f64,
    /// The runs in another order at each such request.
    pub shuffled_percent: f64,
    /// The runs from old to new, whatever `sort` says.
    pub oldest_first: bool,
    /// A `total` that is too low.
    pub low_total_percent: f64,
    /// A `total` that is too high.
    pub high_total_percent: f64,
    /// No `total`.
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

/// Requests that fail. Shares are percent of all requests; a request has one failure at the most.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Failures {
    /// 429 with a `Retry-After` header.
    pub rate_limit_header_percent: f64,
    /// 429 with `error.details.retryAfterSec` in the body.
    pub rate_limit_details_percent: f64,
    /// 429 with `retryAfterSec` at the top of the body.
    pub rate_limit_body_percent: f64,
    /// The wait that these three ask for.
    pub retry_after_seconds: f64,
    /// 429 that asks for more patience than anybody has.
    pub rate_limit_long_percent: f64,
    /// The wait that it asks for.
    pub long_retry_after_seconds: u32,
    /// 500, 502 or 503.
    pub server_error_percent: f64,
    /// The connection breaks in the middle of the body.
    pub reset_percent: f64,
    /// The right response after a silence.
    pub stall_percent: f64,
    /// How long the silence is.
    pub stall_seconds: f64,
    /// The right response, slowly.
    pub drip_percent: f64,
    /// How slowly.
    pub drip_bytes_per_second: u32,
    /// A `Content-Length` that is shorter than the body: what is beyond it is not received.
    pub short_length_percent: f64,
    /// A `Content-Length` that is longer than the body: the connection ends before it.
    pub long_length_percent: f64,
    /// A gzip body that is cut off, after what looks like an empty list.
    pub cut_gzip_percent: f64,
    /// 403 with a page of HTML, as firewalls answer.
    pub html_refusal_percent: f64,
    /// 200 with a page of HTML.
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

/// A key that is revoked for a while: 401 to every request that needs one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeyFaults {
    /// After how many requests; `None` for never.
    pub revoked_after_requests: Option<u64>,
    /// For how many requests from then on.
    pub revoked_for_requests: u64,
}

/// What is wrong with the `Date` header.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClockFaults {
    /// By how many seconds it goes before (or, if negative, behind) the clock by which runs live.
    pub skew_seconds: i64,
    /// The share of responses in which it is no date, in percent. The header itself is always
    /// there: the server underneath adds its own where it is missing.
    pub unreadable_date_percent: f64,
}
