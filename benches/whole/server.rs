//! A server on loopback that answers from a corpus, and keeps count.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use tokio::task::JoinHandle;

use crate::corpus::{BASE, Corpus};

/// How a server treats requests; by default it answers all of them at once.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Treatment {
    /// What it allows; everything beyond is answered with 429 and `Retry-After: 1`.
    pub(crate) limit: Option<Limit>,
    /// The share of requests that it answers so whatever their rate is.
    pub(crate) stray: f64,
    /// The wait before every answer.
    pub(crate) latency: Duration,
}

/// How many requests a server allows. Time counts from the first request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Limit {
    /// So many requests a second, and so many at once after a rest.
    Bucket { rate: f64, burst: f64 },
    /// A bucket whose rate changes once.
    Change { from: f64, to: f64, after: Duration },
    /// So many requests in each period, which begin one after the other.
    Windows { requests: f64, period: Duration },
}

impl Limit {
    /// Requests that it allows in this time at most, if none of them is wasted.
    pub(crate) fn allows(self, elapsed: Duration) -> f64 {
        let seconds = elapsed.as_secs_f64();
        match self {
            Self::Bucket { rate, burst } => burst + rate * seconds,
            Self::Change { from, to, after } => {
                let before = seconds.min(after.as_secs_f64());
                from + from * before + to * (seconds - before)
            }
            Self::Windows { requests, period } => {
                requests * ((seconds / period.as_secs_f64()).floor() + 1.0)
            }
        }
    }

    /// Requests that may come at once after a rest.
    fn most_at_once(self, elapsed: Duration) -> f64 {
        match self {
            Self::Bucket { burst, .. } => burst,
            Self::Change { from, to, after } => {
                if elapsed < after {
                    from
                } else {
                    to
                }
            }
            Self::Windows { requests, .. } => requests,
        }
    }
}

/// What was asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record {
    pub(crate) requests: usize,
    /// Those answered with 429.
    pub(crate) refused: usize,
    /// When each of the others came.
    pub(crate) accepted: Vec<Instant>,
    /// When the first one came.
    pub(crate) first: Option<Instant>,
    /// When the last one was answered.
    pub(crate) last: Option<Instant>,
    /// When the last one was answered that was not for the large run.
    pub(crate) last_usual: Option<Instant>,
}

/// A running server. Stops when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    base: String,
    served: Arc<Served>,
    task: JoinHandle<std::io::Result<()>>,
}

#[derive(Debug)]
struct Served {
    corpus: Arc<Corpus>,
    treatment: Treatment,
    allowance: Mutex<Allowance>,
    record: Mutex<Record>,
}

/// What is left of a limit.
#[derive(Debug)]
struct Allowance {
    tokens: f64,
    /// What the limit allowed when tokens were last added.
    allowed: f64,
    /// When the first request came.
    began: Option<Instant>,
    /// Which requests are refused whatever their rate is; the same in each run.
    random: fastrand::Rng,
}

impl Server {
    pub(crate) async fn start(corpus: Arc<Corpus>, treatment: Treatment) -> Self {
        let random = fastrand::Rng::with_seed(7);
        let allowance = Allowance { tokens: 0.0, allowed: 0.0, began: None, random };
        let (allowance, record) = (Mutex::new(allowance), Mutex::default());
        let served = Arc::new(Served { corpus, treatment, allowance, record });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}{BASE}", listener.local_addr().unwrap());
        let answering = Arc::clone(&served);
        let answer = move |uri: Uri| {
            let served = Arc::clone(&answering);
            async move { served.answer(&uri).await }
        };
        let server = axum::serve(listener, Router::new().fallback(answer));
        Self { base, served, task: tokio::spawn(server.into_future()) }
    }

    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// What was asked for since the last look.
    pub(crate) fn take_record(&self) -> Record {
        std::mem::take(&mut self.served.record.lock().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Served {
    async fn answer(&self, uri: &Uri) -> Response {
        let asked = Instant::now();
        let is_allowed = self.is_allowed(asked);
        if !self.treatment.latency.is_zero() {
            tokio::time::sleep(self.treatment.latency).await;
        }
        let body = is_allowed.then(|| self.corpus.answer(uri.path(), uri.query()));
        self.note(asked, uri.path(), is_allowed);
        match body {
            Some(Some(body)) => {
                ([(header::CONTENT_TYPE, "application/json")], body).into_response()
            }
            Some(None) => (StatusCode::NOT_FOUND, "{}").into_response(),
            None => {
                let wait = [(header::RETRY_AFTER, "1")];
                (StatusCode::TOO_MANY_REQUESTS, wait, "{}").into_response()
            }
        }
    }

    fn is_allowed(&self, now: Instant) -> bool {
        let mut allowance = self.allowance.lock().unwrap();
        if self.treatment.stray > 0.0 && allowance.random.f64() < self.treatment.stray {
            return false;
        }
        let Some(limit) = self.treatment.limit else { return true };
        let elapsed = now.duration_since(*allowance.began.get_or_insert(now));
        let allowed = limit.allows(elapsed);
        let more = (allowed - allowance.allowed).max(0.0);
        allowance.allowed += more;
        allowance.tokens = (allowance.tokens + more).min(limit.most_at_once(elapsed));
        let is_enough = allowance.tokens >= 1.0;
        if is_enough {
            allowance.tokens -= 1.0;
        }
        is_enough
    }

    fn note(&self, asked: Instant, path: &str, is_allowed: bool) {
        let is_large = self.corpus.is_large(path);
        let mut record = self.record.lock().unwrap();
        let now = Instant::now();
        record.requests += 1;
        if is_allowed {
            record.accepted.push(asked);
        } else {
            record.refused += 1;
        }
        record.first = Some(record.first.map_or(asked, |first| first.min(asked)));
        record.last = Some(now);
        if !is_large {
            record.last_usual = Some(now);
        }
    }
}
