//! One request → bytes: key, retries, rate limits, size limits, and the pages of lists.

mod adaptive_concurrency;
mod client;
mod connection;
mod continuation;
mod cooldown;
mod document;
mod error;
mod error_body;
mod http_date;
mod memory_budget;
mod pager;
mod rate_limiter;
mod request_stats;
mod retry;

pub use client::{
    Budget, Client, ClientOptions, FetchResult, IDEMPOTENCY_KEY, Post, PostError, PostResult,
    Response,
};
pub use continuation::{Continuation, Next, Read};
pub use document::{DocumentPages, MissingRows, missing_rows};
pub use error::ApiError;
pub(crate) use pager::{PageRequest, Pager, Place, Way};
pub use request_stats::RequestStats;
pub use retry::{Disposition, disposition};
