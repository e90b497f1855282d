//! One request with its retries: waits, limits, and what each response means.

mod post;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use reqwest::Response as HttpResponse;
use reqwest::header::{HeaderMap, LOCATION, RETRY_AFTER};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use url::Url;

use super::adaptive_concurrency::AdaptiveConcurrency;
use super::connection::{Redirects, base_url, http_client, is_loopback, keyless_client};
use super::continuation::paging_headers;
use super::cooldown::Cooldown;
use super::error_body::{ErrorBody, retry_after_header};
use super::http_date::parse_http_date;
use super::memory_budget::MemoryBudget;
use super::pager::{KnownPaging, Way};
use super::rate_limiter::RateLimiter;
use super::request_stats::{RequestCounters, RequestGuard, RequestStats, endpoint};
use super::retry::{Disposition, disposition, pauses, wait_after_429};
use super::{ApiError, retry};
use crate::config::{ApiKey, ApiSettings, PagingSettings};
use crate::event::{Event, Events};
use crate::json::Node;
use crate::time::Timestamp;
use crate::tls::describe;

pub use post::{IDEMPOTENCY_KEY, Post, PostError, PostResult};

/// Options of a client.
#[derive(Debug)]
pub struct ClientOptions {
    /// Limits, timeouts and retries.
    pub settings: ApiSettings,
    /// The base URL.
    pub url: String,
    /// The API key.
    pub key: ApiKey,
    /// Receives events about requests, waits and retries.
    pub events: Events,
    /// Becomes true when a stop is requested.
    pub stop: watch::Receiver<bool>,
    /// Limits on the number of requests and on time.
    pub budget: Budget,
}

/// Limits on what a client may send. When one is reached, every request fails with a fatal error
/// ([`ApiError::is_fatal`]); what was complete by then stays valid.
#[derive(Clone, Copy, Debug, Default)]
pub struct Budget {
    /// Maximum number of requests, retries included; `None` for no limit.
    pub max_requests: Option<u64>,
    /// The time at which requests in flight are given up; `None` for no deadline.
    pub deadline: Option<std::time::Instant>,
}

/// A client of one API with one key. Cheap to clone; all clones share their limits.
#[derive(Clone, Debug)]
pub struct Client(Arc<ClientState>);

#[derive(Debug)]
struct ClientState {
    http: reqwest::Client,
    /// Sends POST requests, and follows no redirects. Set up when the first one is sent.
    http_of_posts: OnceLock<reqwest::Client>,
    base: Url,
    key: ApiKey,
    settings: ApiSettings,
    events: Events,
    stop: watch::Receiver<bool>,
    budget: Budget,
    concurrency: AdaptiveConcurrency,
    cooldown: Cooldown,
    rate_limiter: Mutex<RateLimiter>,
    /// Serializes waiters: one request at a time waits for the cooldown and the rate limit.
    waiters: tokio::sync::Mutex<()>,
    /// Requests that wait alone after a 429.
    waiting_alone: watch::Sender<usize>,
    memory_budget: Arc<MemoryBudget>,
    requests: RequestCounters,
    /// Requests in a row that failed after all attempts, by endpoint.
    failures: Mutex<HashMap<Kind, u32>>,
    /// How paged documents are paged, by endpoint.
    paging: Mutex<HashMap<&'static str, KnownPaging>>,
    /// Sends requests to other hosts, to which documents are redirected. It does not have the key.
    keyless: reqwest::Client,
}

/// An endpoint, and whether the request is for a further page.
type Kind = (&'static str, bool);

/// A body, with the headers that matter.
#[derive(Clone, Debug)]
pub struct Response {
    /// One complete JSON value in UTF-8.
    pub body: Bytes,
    /// The `Date` header: the server's clock.
    pub date: Option<Timestamp>,
    /// The headers with statements about paging, by their lower-case names.
    pub paging: Vec<(&'static str, String)>,
}

/// A response, or the API's statement that there is none.
#[derive(Clone, Debug)]
pub enum FetchResult {
    /// A body.
    Body(Response),
    /// 404 or 410: the resource does not exist.
    Absent {
        /// The `Date` header: the server's clock.
        date: Option<Timestamp>,
    },
    /// 204 or 205: the resource exists and has no content.
    Empty {
        /// The `Date` header: the server's clock.
        date: Option<Timestamp>,
    },
    /// 202: the resource is not ready yet.
    NotReady,
}

/// The result of one attempt.
enum Attempt {
    Done(FetchResult),
    /// 429: the request was sent too early. The response may name how long to wait.
    Wait {
        named: Option<Duration>,
        sent_at: Instant,
    },
    Retry(String),
    /// The server is busy and names how long (RFC 9110 describes `Retry-After` for 503 first). Only
    /// this request waits, not all workers as after a 429: other endpoints may not be busy.
    Busy {
        named: Duration,
        reason: String,
    },
    /// The body is not valid. Retried less often than `Retry`, because a retry rarely helps.
    InvalidBody(ApiError),
    Failed(ApiError),
}

/// Attempts of a request whose body is not valid: a server may cut a body off by accident, once.
const INVALID_BODY_ATTEMPTS: u32 = 2;

/// Maximum number of bytes that are read of an error response.
const ERROR_BODY_BYTES: u64 = 64 * 1024;

/// After this many requests in a row that failed after all attempts, an endpoint counts as down.
const FAILING_ENDPOINT: u32 = 8;

/// Maximum number of redirects of one document to other hosts.
const MOST_REDIRECTS: usize = 3;

/// A body above this size, in bytes, with a success status is not checked for being an error.
const MOST_ERROR_BYTES: usize = 8 * 1024;

impl Client {
    /// Creates a client. Sends no request.
    ///
    /// # Errors
    /// [`ApiError::Url`] if the URL is not an HTTPS URL (or HTTP on loopback); [`ApiError::Setup`]
    /// or [`ApiError::NoCertificates`] if TLS cannot be set up.
    pub fn new(options: ClientOptions) -> Result<Self, ApiError> {
        let base = base_url(&options.url)?;
        let http = http_client(&options.settings, &options.key, &base, Redirects::WithinOrigin)?;
        let keyless = keyless_client(&options.settings, &base)?;
        Ok(Self(Arc::new(ClientState {
            http,
            http_of_posts: OnceLock::new(),
            base,
            budget: options.budget,
            memory_budget: MemoryBudget::new(options.settings.bodies_in_flight_bytes),
            concurrency: AdaptiveConcurrency::new(options.settings.concurrency),
            key: options.key,
            settings: options.settings,
            events: options.events,
            stop: options.stop,
            cooldown: Cooldown::default(),
            rate_limiter: Mutex::default(),
            waiters: tokio::sync::Mutex::default(),
            waiting_alone: watch::Sender::new(0),
            requests: RequestCounters::default(),
            failures: Mutex::default(),
            paging: Mutex::default(),
            keyless,
        })))
    }

    /// Gets a path below the base URL, such as `/runs`.
    ///
    /// # Errors
    /// [`ApiError`] after the last attempt.
    pub async fn get(&self, path: &str, query: &[(&str, String)]) -> Result<FetchResult, ApiError> {
        self.get_url(&self.url(path, query), endpoint(path), false).await
    }

    /// Gets a further page of the list at a path. Its failures are counted separately: if further
    /// pages fail, first pages may still work.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub(crate) async fn get_further(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<FetchResult, ApiError> {
        self.get_url(&self.url(path, query), endpoint(path), true).await
    }

    /// Gets the page of a list at an address that the server named.
    ///
    /// # Errors
    /// As [`Client::get`]; [`ApiError::Redirected`] if the address is on another host.
    pub async fn get_page(&self, path: &str, url: &Url) -> Result<FetchResult, ApiError> {
        if url.origin() != self.0.base.origin() {
            let (path, to) = (self.url(path, &[]).path().to_owned(), origin_of(url));
            return Err(ApiError::Redirected { path, to });
        }
        self.get_url(url, endpoint(path), true).await
    }

    /// Sends a request, and retries it with backoff for as long as that is allowed.
    async fn get_url(
        &self,
        url: &Url,
        endpoint: &'static str,
        is_further: bool,
    ) -> Result<FetchResult, ApiError> {
        let kind = (endpoint, is_further);
        let path = url.path().to_owned();
        let started = Instant::now();
        let most_attempts = self.attempts_for(kind);
        let (mut attempts, mut waits, mut sent) = (0_u32, 0_u32, false);
        let mut waited = Duration::ZERO;
        let mut pauses = pauses();
        loop {
            attempts += 1;
            let retry_budget = self.0.settings.max_retry_secs;
            match self.attempt(url, endpoint, std::mem::replace(&mut sent, true)).await? {
                Attempt::Done(fetched) => {
                    self.note_success(kind);
                    return Ok(fetched);
                }
                Attempt::Failed(error) => return Err(error),
                Attempt::Busy { named, reason } => {
                    // At least the exponential delay: a named wait of a fraction of a second,
                    // followed again and again, would flood the server.
                    let wait = named.max(pauses.next().unwrap_or_default());
                    waited += wait;
                    // A named wait does not count as an attempt, up to a limit. The limit is lower
                    // for one document than for the list, without which there is nothing to do.
                    // While an endpoint is down, requests do not wait: earlier requests have
                    // waited for it.
                    let is_document = endpoint.starts_with("/runs/{id}");
                    let settings = &self.0.settings;
                    let limit =
                        if is_document { retry_budget } else { settings.max_rate_limit_wait_secs };
                    if waited > Duration::from_secs(limit) || most_attempts == 1 {
                        self.note_failure(kind);
                        let elapsed = started.elapsed();
                        return Err(ApiError::Unavailable { path, attempts, elapsed, reason });
                    }
                    attempts -= 1;
                    self.pause(&path, reason, Some(wait)).await?;
                }
                Attempt::Wait { named, sent_at } => {
                    waits += 1;
                    let wait = wait_after_429(named, waits, &mut pauses);
                    let most = Duration::from_secs(self.0.settings.max_rate_limit_wait_secs);
                    if waited.saturating_add(wait) > most {
                        return Err(ApiError::RateLimited { path, wait });
                    }
                    attempts -= 1;
                    waited += self.wait_after_rejection(&path, sent_at, wait).await?;
                }
                Attempt::InvalidBody(error) if attempts >= INVALID_BODY_ATTEMPTS => {
                    return Err(error);
                }
                Attempt::InvalidBody(error) => {
                    self.pause(&path, error.to_string(), pauses.next()).await?;
                }
                Attempt::Retry(reason) => {
                    let elapsed = started.elapsed();
                    // Waits that the server named do not count against the time for retries.
                    let tried = elapsed.saturating_sub(waited);
                    let spent =
                        attempts >= most_attempts || tried > Duration::from_secs(retry_budget);
                    if spent {
                        self.note_failure(kind);
                        return Err(ApiError::Unavailable { path, attempts, elapsed, reason });
                    }
                    self.pause(&path, reason, pauses.next()).await?;
                }
            }
        }
    }

    /// Gets a path that must have a body.
    ///
    /// # Errors
    /// [`ApiError`], also if the resource is absent, empty or not ready.
    pub async fn require(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<Response, ApiError> {
        match self.get(path, query).await? {
            FetchResult::Body(answer) => Ok(answer),
            FetchResult::Absent { .. } => {
                Err(ApiError::NotFound { path: self.url(path, &[]).path().to_owned() })
            }
            FetchResult::Empty { .. } => Err(self.unusable(path, "204 No Content")),
            FetchResult::NotReady => Err(self.not_ready(path)),
        }
    }

    /// The error of a path whose response cannot be used; `problem` states what was received
    /// instead.
    pub fn unusable(&self, path: &str, problem: &str) -> ApiError {
        let path = self.url(path, &[]).path().to_owned();
        ApiError::Unusable { path, problem: problem.to_owned() }
    }

    /// The error of a path that was answered with 202.
    pub fn not_ready(&self, path: &str) -> ApiError {
        ApiError::NotReady { path: self.url(path, &[]).path().to_owned() }
    }

    /// Maximum number of attempts for a request. If many requests of its endpoint failed in a row
    /// after all attempts, it gets a single one: retries would only delay the other endpoints,
    /// which may work.
    fn attempts_for(&self, kind: Kind) -> u32 {
        let failures = self.failures().get(&kind).copied().unwrap_or(0);
        if failures >= FAILING_ENDPOINT { 1 } else { self.0.settings.max_attempts }
    }

    /// How earlier documents of a path's endpoint were paged.
    pub(super) fn known_paging(&self, path: &str) -> Option<KnownPaging> {
        let known = self.0.paging.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(endpoint(path)).cloned()
    }

    /// Records how further pages of a document were read; `None` if they could not be read.
    pub(super) fn note_paging(&self, path: &str, way: Option<Way>) {
        let mut known = self.0.paging.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = known.entry(endpoint(path)).or_insert(KnownPaging::Unknown(0));
        match (way, &mut *entry) {
            (Some(way), _) => *entry = KnownPaging::By(way),
            (None, KnownPaging::Unknown(count)) => *count += 1,
            (None, KnownPaging::By(_)) => {}
        }
    }

    fn note_failure(&self, kind: Kind) {
        *self.failures().entry(kind).or_default() += 1;
    }

    fn note_success(&self, kind: Kind) {
        self.failures().remove(&kind);
    }

    fn failures(&self) -> MutexGuard<'_, HashMap<Kind, u32>> {
        self.0.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Requests and bytes so far, of all clones together.
    pub fn request_stats(&self) -> RequestStats {
        self.0.requests.read()
    }

    /// How many requests may still be sent; `None` if there is no limit.
    pub fn requests_left(&self) -> Option<u64> {
        let most = self.0.budget.max_requests?;
        Some(most.saturating_sub(self.request_stats().requests))
    }

    /// Scheme, host and port of the API: the dashboard's address, unless another one is configured.
    pub fn origin(&self) -> String {
        self.0.base.origin().ascii_serialization()
    }

    /// How lists are paged, as configured.
    pub fn paging(&self) -> &PagingSettings {
        &self.0.settings.paging
    }

    /// The address of a list below the base URL, without parameters.
    pub(crate) fn list_url(&self, path: &str) -> Url {
        self.url(path, &[])
    }

    /// The base URL.
    pub fn base(&self) -> &Url {
        &self.0.base
    }

    /// Becomes true when a stop is requested.
    pub fn stop(&self) -> watch::Receiver<bool> {
        self.0.stop.clone()
    }

    /// Masks the key, and anything else that looks like a key, in a text: servers may repeat what
    /// they were sent.
    pub fn mask(&self, text: &str) -> String {
        self.0.key.mask(text)
    }

    fn url(&self, path: &str, query: &[(&str, String)]) -> Url {
        let mut url = self.0.base.clone();
        url.set_path(&format!("{}{path}", self.0.base.path().trim_end_matches('/')));
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    async fn attempt(
        &self,
        url: &Url,
        endpoint: &'static str,
        again: bool,
    ) -> Result<Attempt, ApiError> {
        self.unless_stopped(self.send(url, endpoint, again)).await
    }

    /// Runs `work` until it is done, a stop is requested, or the deadline passes.
    async fn unless_stopped<T>(&self, work: impl Future<Output = T>) -> Result<T, ApiError> {
        let mut stop = self.0.stop.clone();
        let deadline = async {
            match self.0.budget.deadline {
                Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => Err(ApiError::Interrupted),
            () = deadline => Err(ApiError::DeadlinePassed),
            done = work => Ok(done),
        }
    }

    async fn send(&self, url: &Url, endpoint: &'static str, again: bool) -> Attempt {
        let Some(mut permit) = self.0.concurrency.acquire().await else {
            return Attempt::Failed(ApiError::Interrupted);
        };
        let sent_at = self.pass().await;
        let most = self.0.budget.max_requests;
        let mut sent = match self.0.requests.send(&self.0.events, endpoint, most, again) {
            Ok(sent) => sent,
            Err(spent) => return Attempt::Failed(spent),
        };
        permit.begin();
        let (mut attempt, latency) = self.exchange(url, &mut sent).await;
        let new_limit = match (&mut attempt, latency) {
            // A 429 concerns the rate, not the number of requests in flight: the rate limiter
            // handles it, and the concurrency limit stays.
            (Attempt::Wait { sent_at: at, .. }, _) => {
                *at = sent_at;
                None
            }
            (Attempt::Retry(_) | Attempt::Busy { .. }, _) | (_, None) => permit.record_failure(),
            (_, Some(latency)) => permit.record_success(latency),
        };
        if latency.is_some() && !matches!(attempt, Attempt::Wait { .. }) {
            self.rate_limiter().record_acceptance();
        }
        if let Some(at_once) = new_limit {
            self.0.events.emit(Event::PaceChanged { at_once });
        }
        attempt
    }

    fn rate_limiter(&self) -> MutexGuard<'_, RateLimiter> {
        self.0.rate_limiter.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a request may be sent: the cooldown is over, and the rate limiter allows it.
    /// Returns that time.
    async fn pass(&self) -> Instant {
        let _first = self.0.waiters.lock().await;
        loop {
            if self.0.cooldown.wait().await {
                self.0.events.emit(Event::RateLimitLifted);
            }
            let now = Instant::now();
            let wait = self.rate_limiter().take(now);
            match wait {
                None => return now,
                Some(wait) => tokio::time::sleep(wait).await,
            }
        }
    }

    /// Handles a 429 for a request that was sent at `sent_at` and whose server asks to wait for
    /// `wait`. Returns how long the request has to wait: it has waited if it is the only one, and
    /// otherwise waits for the cooldown before it is sent again.
    async fn wait_after_rejection(
        &self,
        path: &str,
        sent_at: Instant,
        wait: Duration,
    ) -> Result<Duration, ApiError> {
        let rejection = self.rate_limiter().record_rejection(sent_at, Instant::now(), wait);
        if let Some(a_second) = rejection.rate {
            self.0.events.emit(Event::RateChanged { a_second });
        }
        let wait = rejection.wait;
        if !rejection.is_shared {
            let _waiting = WaitingAlone::new(&self.0.waiting_alone);
            self.pause(path, "answered 429".to_owned(), Some(wait)).await?;
        } else if self.0.cooldown.extend(wait) {
            self.0.events.emit(Event::RateLimited { wait });
        }
        Ok(wait)
    }

    /// The number of requests that wait alone after a 429. They take no part of what may be in
    /// flight, so others can be started meanwhile.
    pub fn waiting_alone(&self) -> watch::Receiver<usize> {
        self.0.waiting_alone.subscribe()
    }

    /// Sends one request and reads its response. Also returns the time until the response began, if
    /// one came.
    async fn exchange(
        &self,
        url: &Url,
        sent: &mut RequestGuard<'_>,
    ) -> (Attempt, Option<Duration>) {
        let settings = &self.0.settings;
        let began = Instant::now();
        let first_byte = Duration::from_secs(settings.first_byte_timeout_secs);
        let response = match timeout(first_byte, self.0.http.get(url.clone()).send()).await {
            Err(_) => return (Attempt::Retry(format!("no answer within {first_byte:?}")), None),
            Ok(Err(error)) => return (Attempt::Retry(self.describe(error)), None),
            Ok(Ok(response)) => response,
        };
        let latency = began.elapsed();
        sent.answered(response.status().as_u16());
        let attempt = match self.follow(response, sent.endpoint()).await {
            Ok(response) => self.receive(response, url.path(), sent).await,
            Err(attempt) => attempt,
        };
        (attempt, Some(latency))
    }

    /// Follows a document's redirects to the hosts that the configuration names, without the key.
    async fn follow(
        &self,
        mut response: HttpResponse,
        endpoint: &'static str,
    ) -> Result<HttpResponse, Attempt> {
        let is_document = endpoint.starts_with("/runs/{id}");
        for _ in 0..MOST_REDIRECTS {
            let target = redirect_target(&response);
            let allowed = |url: &Url| is_document && self.may_be_redirected_to(url);
            let Some(target) = target.filter(allowed) else { break };
            let limit = Duration::from_secs(self.0.settings.first_byte_timeout_secs);
            response = match timeout(limit, self.0.keyless.get(target).send()).await {
                Err(_) => {
                    let reason = format!("no response from the redirect's host within {limit:?}");
                    return Err(Attempt::Retry(reason));
                }
                Ok(Err(error)) => return Err(Attempt::Retry(self.describe(error))),
                Ok(Ok(response)) => response,
            };
            // A status of another host concerns this document only, neither the key nor the rate
            // limit.
            let status = response.status().as_u16();
            let problem = format!("status {status} by the host that it was redirected to");
            match disposition(status) {
                Disposition::Accept | Disposition::Redirected => {}
                Disposition::Retry | Disposition::RateLimited => {
                    return Err(Attempt::Retry(problem));
                }
                _ => {
                    let path = response.url().path().to_owned();
                    return Err(Attempt::Failed(ApiError::Unusable { path, problem }));
                }
            }
        }
        Ok(response)
    }

    fn may_be_redirected_to(&self, url: &Url) -> bool {
        let is_safe = url.scheme() == "https" || (url.scheme() == "http" && is_loopback(url));
        let Some(host) = url.host_str() else { return false };
        let names_it = |pattern: &String| match pattern.strip_prefix("*.") {
            Some(domain) => host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.')),
            None => host == pattern,
        };
        is_safe && self.0.settings.redirect_hosts.iter().any(names_it)
    }

    async fn receive(
        &self,
        response: HttpResponse,
        path: &str,
        sent: &mut RequestGuard<'_>,
    ) -> Attempt {
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let date = header_date(&headers);
        let location = headers.get(LOCATION).and_then(|value| value.to_str().ok());
        let location = location.map(str::to_owned);
        let kind = disposition(status);
        let limit = match kind {
            Disposition::Accept => self.0.settings.max_body_bytes,
            _ => ERROR_BODY_BYTES,
        };
        let body = match self.read_body(response, limit, sent).await {
            Ok(Some(body)) => body,
            _ if kind == Disposition::Empty => return Attempt::Done(FetchResult::Empty { date }),
            _ if kind == Disposition::NotReady => return Attempt::Done(FetchResult::NotReady),
            Ok(None) if kind == Disposition::Accept => {
                return Attempt::Failed(ApiError::TooLarge { path: path.to_owned(), limit });
            }
            Err(reason) if kind == Disposition::Accept => return Attempt::Retry(reason),
            // The body of an error only adds detail to the message: the status is enough.
            Ok(None) | Err(_) => Bytes::new(),
        };
        match kind {
            Disposition::Accept => {
                let paging = paging_headers(&headers);
                self.accept(Response { body, date, paging }, path, sent.endpoint())
            }
            Disposition::Empty => Attempt::Done(FetchResult::Empty { date }),
            Disposition::NotReady => Attempt::Done(FetchResult::NotReady),
            Disposition::Absent => Attempt::Done(FetchResult::Absent { date }),
            Disposition::RateLimited => {
                let named =
                    named_wait(&headers, date).or_else(|| ErrorBody::read(&body).retry_after);
                Attempt::Wait { named, sent_at: Instant::now() }
            }
            Disposition::Retry => {
                let reason = self.0.key.mask(&format!("answered {status}{}", traced(&headers)));
                match named_wait(&headers, date) {
                    Some(named) => Attempt::Busy { named, reason },
                    None => Attempt::Retry(reason),
                }
            }
            Disposition::Redirected => {
                let unusable = |problem| ApiError::Unusable { path: path.to_owned(), problem };
                let Some(location) = location else {
                    return Attempt::Failed(unusable(format!(
                        "status {status} without an address"
                    )));
                };
                let to = self.0.base.join(&location);
                if to.as_ref().is_ok_and(|to| to.origin() == self.0.base.origin()) {
                    return Attempt::Failed(unusable("redirects that do not end".to_owned()));
                }
                let to =
                    to.map_or_else(|_| "an unreadable address".to_owned(), |to| origin_of(&to));
                Attempt::Failed(ApiError::Redirected { path: path.to_owned(), to })
            }
            Disposition::Unexpected => {
                let problem = format!("status {status}, which no request of this program allows");
                Attempt::Failed(ApiError::Unusable { path: path.to_owned(), problem })
            }
            Disposition::Refused | Disposition::Rejected => {
                Attempt::Failed(self.refusal(status, &body, &headers, path))
            }
        }
    }

    fn accept(&self, answer: Response, path: &str, endpoint: &'static str) -> Attempt {
        let unusable = |problem| ApiError::Unusable { path: path.to_owned(), problem };
        let body = &answer.body;
        // A failed evaluation is a valid document: `{"status": "error", "error": …}`.
        let states_a_judge = |node: Node<'_>| {
            endpoint == "/runs/{id}/evaluation" && node.get("status").is_some_and(is_word)
        };
        match Node::parse(body) {
            Ok(node)
                if body.len() <= MOST_ERROR_BYTES
                    && ErrorBody::is_error(node)
                    && !states_a_judge(node) =>
            {
                let code =
                    ErrorBody::read(body).code.map(|code| format!(" `{}`", self.mask(&code)));
                let problem = format!("an error{} and a good status", code.unwrap_or_default());
                Attempt::InvalidBody(unusable(problem))
            }
            Ok(_) => Attempt::Done(FetchResult::Body(answer)),
            Err(malformed) if body.trim_ascii_start().starts_with(b"<") => {
                let problem = format!("HTML, which is {malformed}");
                Attempt::InvalidBody(unusable(problem))
            }
            Err(malformed) => Attempt::InvalidBody(unusable(malformed.to_string())),
        }
    }

    fn refusal(&self, status: u16, body: &[u8], headers: &HeaderMap, path: &str) -> ApiError {
        let path = path.to_owned();
        let said = ErrorBody::read(body);
        let masked = |text: Option<String>| text.map(|text| self.0.key.mask(&text));
        let (code, message) = (masked(said.code), masked(said.message));
        match retry::disposition(status) {
            Disposition::Refused if status == 403 && !said.is_json => {
                let trace = request_id(headers).map(|id| self.0.key.mask(&id));
                ApiError::Blocked { path, status, trace }
            }
            Disposition::Refused => ApiError::Refused { path, status, code, message },
            _ => ApiError::Rejected { path, status, code, message },
        }
    }

    /// Reads a body up to `limit` decompressed bytes; `None` if it is larger.
    async fn read_body(
        &self,
        mut response: HttpResponse,
        limit: u64,
        sent: &mut RequestGuard<'_>,
    ) -> Result<Option<Bytes>, String> {
        // If the length is stated, the body is not copied as it grows. Reserved memory that is
        // never written to is not used, so a wrong length does no harm.
        let expected = response.content_length().unwrap_or(0).min(limit);
        let mut body = Vec::with_capacity(usize::try_from(expected).unwrap_or(0));
        let mut reservation = self.0.memory_budget.reservation();
        let whole = Duration::from_secs(self.0.settings.body_timeout_secs);
        // Only time spent waiting for the server counts, not time spent waiting for the memory
        // budget.
        let mut left = whole;
        loop {
            let began = Instant::now();
            let received = timeout(left, response.chunk()).await;
            left = left.saturating_sub(began.elapsed());
            let Ok(received) = received else {
                return Err(format!("the answer did not end within {whole:?}"));
            };
            match received {
                Ok(Some(chunk)) => {
                    let length = u64::try_from(body.len() + chunk.len()).unwrap_or(u64::MAX);
                    if length > limit {
                        return Ok(None);
                    }
                    sent.received(chunk.len());
                    reservation.reserve(length).await;
                    body.extend_from_slice(&chunk);
                }
                Ok(None) => return Ok(Some(reservation.hold(body))),
                Err(error) => return Err(self.describe(error)),
            }
        }
    }

    /// Waits, but not beyond a stop request or the deadline.
    ///
    /// # Errors
    /// [`ApiError::Interrupted`] or [`ApiError::DeadlinePassed`].
    pub async fn sleep(&self, time: Duration) -> Result<(), ApiError> {
        self.unless_stopped(tokio::time::sleep(time)).await
    }

    async fn pause(
        &self,
        path: &str,
        reason: String,
        pause: Option<Duration>,
    ) -> Result<(), ApiError> {
        let wait = pause.unwrap_or_default();
        self.0.events.emit(Event::Retrying { path: path.to_owned(), reason, wait });
        self.unless_stopped(tokio::time::sleep(wait)).await
    }

    /// The text of an error, with the key masked.
    fn describe(&self, error: reqwest::Error) -> String {
        self.0.key.mask(&describe(error))
    }
}

/// Counts a request as waiting until it is dropped.
struct WaitingAlone<'a>(&'a watch::Sender<usize>);

impl<'a> WaitingAlone<'a> {
    fn new(count: &'a watch::Sender<usize>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(count)
    }
}

impl Drop for WaitingAlone<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

/// Scheme, host and port of an address, for messages: the rest of it can contain secrets.
fn origin_of(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// The target of a redirect; `None` for other responses.
fn redirect_target(response: &HttpResponse) -> Option<Url> {
    if disposition(response.status().as_u16()) != Disposition::Redirected {
        return None;
    }
    let location = response.headers().get(LOCATION)?.to_str().ok()?;
    response.url().join(location).ok()
}

/// Whether a value is a word and not a number: a member `status` often repeats the HTTP status.
fn is_word(value: Node<'_>) -> bool {
    value.text().is_some_and(|text| text.chars().any(char::is_alphabetic))
}

fn header_date(headers: &HeaderMap) -> Option<Timestamp> {
    let text = headers.get(reqwest::header::DATE)?.to_str().ok()?;
    parse_http_date(text)
}

/// The id by which support can find the request (Cloudflare is in front of the platform).
fn request_id(headers: &HeaderMap) -> Option<String> {
    ["cf-ray", "x-request-id", "x-vercel-id"].iter().find_map(|name| {
        let value = headers.get(*name)?.to_str().ok()?;
        Some(format!("{name} {}", value.chars().take(80).collect::<String>()))
    })
}

/// How long the response asks to wait. `date` is the server's clock.
fn named_wait(headers: &HeaderMap, date: Option<Timestamp>) -> Option<Duration> {
    let header = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    header.and_then(|value| retry_after_header(value, date))
}

fn traced(headers: &HeaderMap) -> String {
    request_id(headers).map(|id| format!(" ({id})")).unwrap_or_default()
}
