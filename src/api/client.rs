//! One request, as often as it takes and no oftener.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use chrono::DateTime;
use reqwest::Response;
use reqwest::header::{HeaderMap, LOCATION, RETRY_AFTER};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use url::Url;

use super::connection::{base_url, describe, http_client, is_loopback, keyless_client};
use super::continuation::paging_headers;
use super::document::KnownPaging;
use super::error_body::{ErrorBody, retry_after_header};
use super::gate::Gate;
use super::pace::Pace;
use super::pager::Way;
use super::rate::Rate;
use super::retry::{Disposition, disposition, pauses};
use super::room::Room;
use super::traffic::{Counters, Sent, Traffic, endpoint};
use super::{ApiError, retry};
use crate::config::{ApiKey, ApiSettings, PagingSettings};
use crate::event::{Event, Events};
use crate::json::Node;

/// What a client needs to know.
#[derive(Debug)]
pub struct ClientOptions {
    /// Limits and manners.
    pub settings: ApiSettings,
    /// The base URL.
    pub url: String,
    /// The key.
    pub key: ApiKey,
    /// Where to tell of waits and retries.
    pub events: Events,
    /// Becomes true when somebody asks to stop.
    pub stop: watch::Receiver<bool>,
    /// How much may be asked for.
    pub budget: Budget,
}

/// How much a client may ask for. Where it is spent, every request fails with an error that stops
/// everything; what was complete by then is good.
#[derive(Clone, Copy, Debug, Default)]
pub struct Budget {
    /// Requests, retries included.
    pub max_requests: Option<u64>,
    /// No request is under way after this moment.
    pub deadline: Option<std::time::Instant>,
}

/// A client of one API with one key. Cheap to clone; all clones share their limits.
#[derive(Clone, Debug)]
pub struct Client(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    http: reqwest::Client,
    base: Url,
    key: ApiKey,
    settings: ApiSettings,
    events: Events,
    stop: watch::Receiver<bool>,
    budget: Budget,
    pace: Pace,
    gate: Gate,
    rate: Mutex<Rate>,
    /// Who stands first here is the only one to wait for gate and rate.
    line: tokio::sync::Mutex<()>,
    room: Arc<Room>,
    traffic: Counters,
    /// Requests in a row that could not be had, by endpoint.
    failures: Mutex<HashMap<Kind, u32>>,
    /// How documents that come in pages are paged, by endpoint.
    paging: Mutex<HashMap<&'static str, KnownPaging>>,
    /// Asks other hosts, to which documents are redirected. It does not know the key.
    keyless: reqwest::Client,
}

/// An endpoint, and whether it is a further page of it.
type Kind = (&'static str, bool);

/// A body and when the server says it was given.
#[derive(Clone, Debug)]
pub struct Answer {
    /// One whole JSON value in UTF-8.
    pub body: Bytes,
    /// The `Date` header, in microseconds since 1970.
    pub date: Option<i64>,
    /// The headers that say how a list goes on, by their lower-case names.
    pub paging: Vec<(&'static str, String)>,
}

/// A response, or the API's statement that there is none.
#[derive(Clone, Debug)]
pub enum Fetched {
    /// It is there.
    Body(Answer),
    /// 404 or 410: the API knows no such thing.
    Absent {
        /// The `Date` header, in microseconds since 1970.
        date: Option<i64>,
    },
    /// 204 or 205: it exists, and nothing is in it.
    Empty {
        /// The `Date` header, in microseconds since 1970.
        date: Option<i64>,
    },
    /// 202: it is being made.
    NotReady,
}

/// What one try came to.
enum Attempt {
    Done(Fetched),
    /// What was sent at that moment came too early; the answer may name how long to wait.
    Wait {
        named: Option<Duration>,
        sent_at: Instant,
    },
    Retry(String),
    /// The server is busy, and names how long (RFC 9110 gives `Retry-After` to 503 first of all).
    /// Only this request waits: others may concern something that is not.
    Busy {
        named: Duration,
        reason: String,
    },
    /// Like `Retry`, but rarely worth it: the body itself is wrong.
    Doubtful(ApiError),
    Failed(ApiError),
}

/// Tries of a request whose body is wrong: a server may cut one off by accident.
const DOUBTFUL_ATTEMPTS: u32 = 2;

/// How much of an error answer is read.
const ERROR_BODY_BYTES: u64 = 64 * 1024;

/// So many requests of one endpoint in a row that could not be had: it is down.
const FAILING_ENDPOINT: u32 = 8;

/// How many waits of one request follow `Retry-After` alone; later ones are at least as long as the
/// exponential delay.
const MOST_NAMED: u32 = 8;

/// Redirects that one document may take over other hosts.
const MOST_REDIRECTS: usize = 3;

/// A longer body with a good status is no error in disguise.
const MOST_ERROR_BYTES: usize = 8 * 1024;

impl Client {
    /// A client, without asking anything yet.
    ///
    /// # Errors
    /// [`ApiError::Url`] where the URL is no HTTPS URL (or HTTP on loopback);
    /// [`ApiError::Setup`] where TLS cannot be set up.
    pub fn new(options: ClientOptions) -> Result<Self, ApiError> {
        let base = base_url(&options.url)?;
        let http = http_client(&options.settings, &options.key, &base)?;
        let keyless = keyless_client(&options.settings, &base)?;
        Ok(Self(Arc::new(Shared {
            http,
            base,
            budget: options.budget,
            room: Room::new(options.settings.bodies_in_flight_bytes),
            pace: Pace::new(options.settings.concurrency),
            key: options.key,
            settings: options.settings,
            events: options.events,
            stop: options.stop,
            gate: Gate::default(),
            rate: Mutex::default(),
            line: tokio::sync::Mutex::default(),
            traffic: Counters::default(),
            failures: Mutex::default(),
            paging: Mutex::default(),
            keyless,
        })))
    }

    /// Gets a path below the base URL, such as `/runs`.
    ///
    /// # Errors
    /// [`ApiError`], once there is nothing left to try.
    pub async fn get(&self, path: &str, query: &[(&str, String)]) -> Result<Fetched, ApiError> {
        self.get_url(&self.url(path, query), endpoint(path), false).await
    }

    /// Gets a further page of what is at a path. Its failures count on their own: where further
    /// pages cannot be had, first ones still can.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub(super) async fn get_further(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<Fetched, ApiError> {
        self.get_url(&self.url(path, query), endpoint(path), true).await
    }

    /// Gets the page of a list at an address that the server named.
    ///
    /// # Errors
    /// As [`Client::get`]; [`ApiError::Redirected`] where the address is on another host.
    pub async fn get_page(&self, path: &str, url: &Url) -> Result<Fetched, ApiError> {
        if url.origin() != self.0.base.origin() {
            let (path, to) = (self.url(path, &[]).path().to_owned(), origin_of(url));
            return Err(ApiError::Redirected { path, to });
        }
        self.get_url(url, endpoint(path), true).await
    }

    async fn get_url(
        &self,
        url: &Url,
        endpoint: &'static str,
        is_further: bool,
    ) -> Result<Fetched, ApiError> {
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
                    // A fraction of a second, again and again, would be a flood.
                    let wait = named.max(pauses.next().unwrap_or_default());
                    waited += wait;
                    // An announced wait costs no try, as long as it may take. One document is not
                    // worth as much of it as the list without which there is nothing to do; and
                    // none where the endpoint is down, as those before have waited for it.
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
                    // Named again and again, a wait that is too short is a flood.
                    let own =
                        if named.is_none() || waits > MOST_NAMED { pauses.next() } else { None };
                    let wait = named.unwrap_or_default().max(own.unwrap_or_default());
                    let wait = wait.max(Duration::from_millis(50));
                    waited += wait;
                    if waited > Duration::from_secs(self.0.settings.max_rate_limit_wait_secs) {
                        return Err(ApiError::RateLimited { path, wait });
                    }
                    attempts -= 1;
                    if self.0.gate.hold(wait) {
                        self.0.events.emit(Event::RateLimited { wait });
                    }
                    let slower = self.rate().refused(sent_at, Instant::now(), wait);
                    if let Some(a_second) = slower {
                        self.0.events.emit(Event::RateChanged { a_second });
                    }
                }
                Attempt::Doubtful(error) if attempts >= DOUBTFUL_ATTEMPTS => return Err(error),
                Attempt::Doubtful(error) => {
                    self.pause(&path, error.to_string(), pauses.next()).await?;
                }
                Attempt::Retry(reason) => {
                    let elapsed = started.elapsed();
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

    /// Gets a path where there must be something.
    ///
    /// # Errors
    /// [`ApiError`], also where the answer is 404.
    pub async fn require(&self, path: &str, query: &[(&str, String)]) -> Result<Answer, ApiError> {
        match self.get(path, query).await? {
            Fetched::Body(answer) => Ok(answer),
            Fetched::Absent { .. } => {
                Err(ApiError::NotFound { path: self.url(path, &[]).path().to_owned() })
            }
            Fetched::Empty { .. } => Err(self.unusable(path, "204 No Content")),
            Fetched::NotReady => Err(self.not_ready(path)),
        }
    }

    /// The error of a path whose response cannot be used; `problem` says what it is instead.
    pub fn unusable(&self, path: &str, problem: &str) -> ApiError {
        let path = self.url(path, &[]).path().to_owned();
        ApiError::Unusable { path, problem: problem.to_owned() }
    }

    /// The error of a path that was answered with 202.
    pub fn not_ready(&self, path: &str) -> ApiError {
        ApiError::NotReady { path: self.url(path, &[]).path().to_owned() }
    }

    /// How often a request of an endpoint is tried. Where many in a row could not be had however
    /// often they were tried, one try each must do: the other endpoints may be well.
    fn attempts_for(&self, kind: Kind) -> u32 {
        let failures = self.failures().get(&kind).copied().unwrap_or(0);
        if failures >= FAILING_ENDPOINT { 1 } else { self.0.settings.max_attempts }
    }

    /// How the documents of a path's endpoint turned out to be paged before.
    pub(super) fn known_paging(&self, path: &str) -> Option<KnownPaging> {
        let known = self.0.paging.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(endpoint(path)).cloned()
    }

    /// Notes how a document in pages was read on; `None` where it could not be.
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

    /// What was asked for so far, by all clones together.
    pub fn traffic(&self) -> Traffic {
        self.0.traffic.read()
    }

    /// How many requests may still be sent; `None` for any number.
    pub fn requests_left(&self) -> Option<u64> {
        let most = self.0.budget.max_requests?;
        Some(most.saturating_sub(self.traffic().requests))
    }

    /// Scheme, host and port of the API: where the dashboard is, unless configured.
    pub fn origin(&self) -> String {
        self.0.base.origin().ascii_serialization()
    }

    /// How lists are paged, as configured.
    pub fn paging(&self) -> &PagingSettings {
        &self.0.settings.paging
    }

    /// The address of a list below the base URL, without parameters.
    pub(super) fn list_url(&self, path: &str) -> Url {
        self.url(path, &[])
    }

    /// The base URL.
    pub fn base(&self) -> &Url {
        &self.0.base
    }

    /// Becomes true when somebody asks to stop.
    pub fn stop(&self) -> watch::Receiver<bool> {
        self.0.stop.clone()
    }

    /// A text with the key, and anything else that looks like one, made unreadable: servers may
    /// repeat what they were sent.
    pub fn mask(&self, text: &str) -> String {
        self.0.key.mask(text)
    }

    /// Where this client tells of waits and retries.
    pub fn events(&self) -> &Events {
        &self.0.events
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

    /// Something that takes time, given up when somebody asks to stop or the deadline comes.
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
        let Some(mut turn) = self.0.pace.turn().await else {
            return Attempt::Failed(ApiError::Interrupted);
        };
        let sent_at = self.pass().await;
        let most = self.0.budget.max_requests;
        let mut sent = match self.0.traffic.send(&self.0.events, endpoint, most, again) {
            Ok(sent) => sent,
            Err(spent) => return Attempt::Failed(spent),
        };
        turn.begin();
        let (mut attempt, latency) = self.exchange(url, &mut sent).await;
        let pace = match (&mut attempt, latency) {
            // How many at once is not the trouble then: that there were too many lately is.
            (Attempt::Wait { sent_at: at, .. }, _) => {
                *at = sent_at;
                None
            }
            (Attempt::Retry(_) | Attempt::Busy { .. }, _) | (_, None) => turn.went_badly(),
            (_, Some(latency)) => turn.went_well(latency),
        };
        if let Some(at_once) = pace {
            self.0.events.emit(Event::PaceChanged { at_once });
        }
        attempt
    }

    fn rate(&self) -> MutexGuard<'_, Rate> {
        self.0.rate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a request may be sent: no 429 holds everybody, and the rate allows it. Returns
    /// that moment.
    async fn pass(&self) -> Instant {
        let _first = self.0.line.lock().await;
        loop {
            if self.0.gate.pass().await {
                self.0.events.emit(Event::RateLimitLifted);
            }
            let now = Instant::now();
            let wait = self.rate().take(now);
            match wait {
                None => return now,
                Some(wait) => tokio::time::sleep(wait).await,
            }
        }
    }

    /// One request and its answer; also how long the first byte took, where one came.
    async fn exchange(&self, url: &Url, sent: &mut Sent<'_>) -> (Attempt, Option<Duration>) {
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
        mut response: Response,
        endpoint: &'static str,
    ) -> Result<Response, Attempt> {
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
            // What another host says concerns this document only: neither key nor rate.
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

    async fn receive(&self, response: Response, path: &str, sent: &mut Sent<'_>) -> Attempt {
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
            _ if kind == Disposition::Empty => return Attempt::Done(Fetched::Empty { date }),
            _ if kind == Disposition::NotReady => return Attempt::Done(Fetched::NotReady),
            Ok(None) if kind == Disposition::Accept => {
                return Attempt::Failed(ApiError::TooLarge { path: path.to_owned(), limit });
            }
            Err(reason) if kind == Disposition::Accept => return Attempt::Retry(reason),
            Ok(None) | Err(_) => Bytes::new(),
        };
        match kind {
            Disposition::Accept => {
                let paging = paging_headers(&headers);
                self.accept(Answer { body, date, paging }, path, sent.endpoint())
            }
            Disposition::Empty => Attempt::Done(Fetched::Empty { date }),
            Disposition::NotReady => Attempt::Done(Fetched::NotReady),
            Disposition::Absent => Attempt::Done(Fetched::Absent { date }),
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

    fn accept(&self, answer: Answer, path: &str, endpoint: &'static str) -> Attempt {
        let unusable = |problem| ApiError::Unusable { path: path.to_owned(), problem };
        let body = &answer.body;
        // A judge that failed is a statement about the run: `{"status": "error", "error": …}`.
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
                Attempt::Doubtful(unusable(problem))
            }
            Ok(_) => Attempt::Done(Fetched::Body(answer)),
            Err(malformed) if body.trim_ascii_start().starts_with(b"<") => {
                let problem = format!("HTML, which is {malformed}");
                Attempt::Doubtful(unusable(problem))
            }
            Err(malformed) => Attempt::Doubtful(unusable(malformed.to_string())),
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

    /// Reads a body up to `limit` decompressed bytes; `None` where there is more.
    async fn read_body(
        &self,
        mut response: Response,
        limit: u64,
        sent: &mut Sent<'_>,
    ) -> Result<Option<Bytes>, String> {
        // Of a length that is stated nothing need be copied. Memory that is never written to is none.
        let expected = response.content_length().unwrap_or(0).min(limit);
        let mut body = Vec::with_capacity(usize::try_from(expected).unwrap_or(0));
        let mut place = self.0.room.place();
        let whole = Duration::from_secs(self.0.settings.body_timeout_secs);
        // Only the server's time counts: waiting for memory is ours.
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
                    place.grow_to(length).await;
                    body.extend_from_slice(&chunk);
                }
                Ok(None) => return Ok(Some(place.hold(body))),
                Err(error) => return Err(self.describe(error)),
            }
        }
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

    /// What went wrong on the way, with the key made unreadable.
    fn describe(&self, error: reqwest::Error) -> String {
        self.0.key.mask(&describe(error))
    }
}

/// Scheme, host and port of an address, for messages: what follows can hold secrets.
fn origin_of(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// Where a redirect leads; `None` for other responses.
fn redirect_target(response: &Response) -> Option<Url> {
    if disposition(response.status().as_u16()) != Disposition::Redirected {
        return None;
    }
    let location = response.headers().get(LOCATION)?.to_str().ok()?;
    response.url().join(location).ok()
}

/// Whether a value is a word, and not a number: `status` is often the HTTP status once more.
fn is_word(value: Node<'_>) -> bool {
    value.text().is_some_and(|text| text.chars().any(char::is_alphabetic))
}

fn header_date(headers: &HeaderMap) -> Option<i64> {
    let text = headers.get(reqwest::header::DATE)?.to_str().ok()?;
    Some(DateTime::parse_from_rfc2822(text).ok()?.timestamp_micros())
}

/// What support needs to find the request again (Cloudflare stands before the platform).
fn request_id(headers: &HeaderMap) -> Option<String> {
    ["cf-ray", "x-request-id", "x-vercel-id"].iter().find_map(|name| {
        let value = headers.get(*name)?.to_str().ok()?;
        Some(format!("{name} {}", value.chars().take(80).collect::<String>()))
    })
}

/// How long an answer asks to wait. `date` is the server's clock, in microseconds since 1970.
fn named_wait(headers: &HeaderMap, date: Option<i64>) -> Option<Duration> {
    let header = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    header.and_then(|value| retry_after_header(value, date))
}

fn traced(headers: &HeaderMap) -> String {
    request_id(headers).map(|id| format!(" ({id})")).unwrap_or_default()
}
