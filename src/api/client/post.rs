//! Requests that change something at the API.
//!
//! A lost answer does not tell whether the server acted, so a POST is repeated here only if the
//! server cannot have acted on it: the connection was not made, or the answer was 429. In every
//! other case the caller learns that the outcome is unknown, and can look before it repeats.

use std::time::Duration;

use bytes::Bytes;
use reqwest::Response as HttpResponse;
use reqwest::header::{CONTENT_TYPE, LOCATION};
use tokio::time::{Instant, timeout};
use url::Url;

use super::{
    Client, Disposition, ERROR_BODY_BYTES, disposition, header_date, named_wait, origin_of,
    request_id, traced,
};
use crate::api::ApiError;
use crate::api::connection::{Redirects, http_client};
use crate::api::error_body::ErrorBody;
use crate::api::request_stats::{RequestGuard, endpoint};
use crate::api::retry::{pauses, wait_after_429};
use crate::json::Node;
use crate::time::Timestamp;

/// The header that carries the idempotency key (draft-ietf-httpapi-idempotency-key-header).
pub const IDEMPOTENCY_KEY: &str = "Idempotency-Key";

/// A request that changes something.
#[derive(Clone, Copy, Debug)]
pub struct Post<'a> {
    /// The path below the base URL; ids in it are percent-encoded.
    pub path: &'a str,
    /// The body: one JSON value.
    pub body: &'a str,
    /// The idempotency key. Visible ASCII characters only; a key with others is not sent.
    pub idempotency_key: &'a str,
}

/// What came of a POST.
#[derive(Clone, Debug)]
pub enum PostResult {
    /// A success status.
    Done {
        /// The body; empty if there is none.
        body: Bytes,
        /// The `Location` header.
        location: Option<String>,
        /// The `Date` header: the server's clock.
        date: Option<Timestamp>,
    },
    /// The API refused the request: a client error, a redirect, or an error in a body with a
    /// success status.
    Refused {
        /// The status.
        status: u16,
        /// The API's code for it.
        code: Option<String>,
        /// The API's message, or what this program states about the response.
        message: Option<String>,
    },
    /// 403 without a JSON body: a proxy or firewall in front of the API.
    Blocked {
        /// The request's id from the response's headers, if there is one.
        trace: Option<String>,
    },
    /// Whether the server acted is not known: no complete answer came, or a server error.
    Unknown {
        /// What happened.
        reason: String,
        /// How long the server asks to wait.
        wait: Option<Duration>,
    },
    /// The server could not be reached, after all attempts: it did not act.
    NotSent {
        /// Number of attempts.
        attempts: u32,
        /// Why the last one failed.
        reason: String,
    },
    /// The API asks to wait longer than `api.max_rate_limit_wait_secs` allows: it did not act.
    RateLimited {
        /// The wait that exceeds the limit.
        wait: Duration,
    },
}

/// A POST that ended before its outcome was known.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct PostError {
    /// Why.
    pub error: ApiError,
    /// Whether a request was in flight: the server may have acted on it.
    pub may_have_arrived: bool,
}

impl From<ApiError> for PostError {
    /// An error between two requests: none was in flight.
    fn from(error: ApiError) -> Self {
        Self { error, may_have_arrived: false }
    }
}

/// The result of one attempt.
enum PostAttempt {
    Done(PostResult),
    /// 429.
    Wait {
        named: Option<Duration>,
        sent_at: Instant,
    },
    /// The connection was not made.
    NotSent(String),
    /// No request may be sent any more.
    Spent(ApiError),
}

impl Client {
    /// Sends a request that changes something. It is sent again only if the server cannot have
    /// acted on it.
    ///
    /// # Errors
    /// [`PostError`] if a stop was requested, or a budget is spent; it says whether a request was
    /// in flight then. Also if TLS cannot be set up.
    pub async fn post(&self, post: Post<'_>) -> Result<PostResult, PostError> {
        let url = self.url(post.path, &[]);
        let started = Instant::now();
        let (mut attempts, mut waits, mut again) = (0_u32, 0_u32, false);
        let (mut waited, mut pauses) = (Duration::ZERO, pauses());
        loop {
            attempts += 1;
            let mut in_flight = false;
            let is_again = std::mem::replace(&mut again, true);
            let sending = self.try_post(&url, post, is_again, &mut in_flight);
            let attempt = self.unless_stopped(sending).await;
            match attempt.map_err(|error| PostError { error, may_have_arrived: in_flight })? {
                PostAttempt::Done(result) => return Ok(result),
                PostAttempt::Spent(error) => return Err(error.into()),
                PostAttempt::Wait { named, sent_at } => {
                    waits += 1;
                    let wait = wait_after_429(named, waits, &mut pauses);
                    let most = Duration::from_secs(self.0.settings.max_rate_limit_wait_secs);
                    if waited.saturating_add(wait) > most {
                        return Ok(PostResult::RateLimited { wait });
                    }
                    attempts -= 1;
                    waited += self.wait_after_rejection(url.path(), sent_at, wait).await?;
                }
                PostAttempt::NotSent(reason) => {
                    let tried = started.elapsed().saturating_sub(waited);
                    let limit = Duration::from_secs(self.0.settings.max_retry_secs);
                    if attempts >= self.0.settings.max_attempts || tried > limit {
                        return Ok(PostResult::NotSent { attempts, reason });
                    }
                    self.pause(url.path(), reason, pauses.next()).await?;
                }
            }
        }
    }

    /// Sends the request once, and sets `in_flight` as soon as it may reach the server.
    async fn try_post(
        &self,
        url: &Url,
        post: Post<'_>,
        again: bool,
        in_flight: &mut bool,
    ) -> PostAttempt {
        let Some(mut permit) = self.0.concurrency.acquire().await else {
            return PostAttempt::Spent(ApiError::Interrupted);
        };
        let sent_at = self.pass().await;
        let most = self.0.budget.max_requests;
        let counted = self.0.requests.send(&self.0.events, endpoint(post.path), most, again);
        let mut sent = match counted {
            Ok(sent) => sent,
            Err(spent) => return PostAttempt::Spent(spent),
        };
        permit.begin();
        let http = match self.http_of_posts() {
            Ok(http) => http,
            Err(error) => return PostAttempt::Spent(error),
        };
        let request = http
            .post(url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header(IDEMPOTENCY_KEY, post.idempotency_key)
            .body(post.body.to_owned());
        let first_byte = Duration::from_secs(self.0.settings.first_byte_timeout_secs);
        *in_flight = true;
        let response = match timeout(first_byte, request.send()).await {
            Err(_) => return unknown(format!("no answer within {first_byte:?}")),
            Ok(Err(error)) if error.is_connect() || error.is_builder() => {
                return PostAttempt::NotSent(self.describe(error));
            }
            Ok(Err(error)) => return unknown(self.describe(error)),
            Ok(Ok(response)) => response,
        };
        sent.answered(response.status().as_u16());
        let attempt = self.receive_post(response, sent_at, &mut sent).await;
        if !matches!(attempt, PostAttempt::Wait { .. }) {
            self.rate_limiter().record_acceptance();
        }
        attempt
    }

    fn http_of_posts(&self) -> Result<&reqwest::Client, ApiError> {
        if let Some(http) = self.0.http_of_posts.get() {
            return Ok(http);
        }
        let state = &self.0;
        let http = http_client(&state.settings, &state.key, &state.base, Redirects::None)?;
        Ok(state.http_of_posts.get_or_init(|| http))
    }

    async fn receive_post(
        &self,
        response: HttpResponse,
        sent_at: Instant,
        sent: &mut RequestGuard<'_>,
    ) -> PostAttempt {
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let date = header_date(&headers);
        let location = headers.get(LOCATION).and_then(|value| value.to_str().ok());
        let location = location.map(str::to_owned);
        let is_success = (200..300).contains(&status);
        let limit = if is_success { self.0.settings.max_body_bytes } else { ERROR_BODY_BYTES };
        let body = self.read_body(response, limit, sent).await;
        let kind = disposition(status);
        if is_success {
            // The server acted, but what it says of it is lost.
            let Ok(Some(body)) = body else {
                return unknown(format!("answered {status}, and the answer's body was cut off"));
            };
            return PostAttempt::Done(self.done(status, body, location, date));
        }
        let body = body.ok().flatten().unwrap_or_default();
        let said = ErrorBody::read(&body);
        match kind {
            Disposition::RateLimited => {
                let named = named_wait(&headers, date).or(said.retry_after);
                PostAttempt::Wait { named, sent_at }
            }
            Disposition::Retry => {
                let reason = self.0.key.mask(&format!("answered {status}{}", traced(&headers)));
                let wait = named_wait(&headers, date);
                PostAttempt::Done(PostResult::Unknown { reason, wait })
            }
            Disposition::Refused if status == 403 && !said.is_json => {
                let trace = request_id(&headers).map(|id| self.0.key.mask(&id));
                PostAttempt::Done(PostResult::Blocked { trace })
            }
            Disposition::Redirected => {
                let to = location.and_then(|location| self.0.base.join(&location).ok());
                let to = to.map_or_else(|| "an unreadable address".to_owned(), |to| origin_of(&to));
                let message = Some(format!("redirected to `{to}`, which is not followed"));
                PostAttempt::Done(PostResult::Refused { status, code: None, message })
            }
            _ => PostAttempt::Done(self.refused(status, said)),
        }
    }

    fn done(
        &self,
        status: u16,
        body: Bytes,
        location: Option<String>,
        date: Option<Timestamp>,
    ) -> PostResult {
        match Node::parse(&body) {
            Ok(node) if ErrorBody::is_error(node) => self.refused(status, ErrorBody::read(&body)),
            _ => PostResult::Done { body, location, date },
        }
    }

    fn refused(&self, status: u16, said: ErrorBody) -> PostResult {
        let masked = |text: Option<String>| text.map(|text| self.0.key.mask(&text));
        PostResult::Refused { status, code: masked(said.code), message: masked(said.message) }
    }
}

fn unknown(reason: String) -> PostAttempt {
    PostAttempt::Done(PostResult::Unknown { reason, wait: None })
}
