//! A server on loopback that answers from a corpus, and keeps count.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use tokio::task::JoinHandle;

use crate::corpus::{BASE, Corpus};

/// How much a server lets itself be asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit {
    /// Requests a second.
    pub(crate) rate: f64,
    /// Requests that may come at once after a rest.
    pub(crate) burst: f64,
    /// The wait before every answer.
    pub(crate) latency: Duration,
}

/// What was asked for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Record {
    pub(crate) requests: usize,
    /// Those answered with 429.
    pub(crate) refused: usize,
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
    limit: Option<Limit>,
    bucket: Mutex<Bucket>,
    record: Mutex<Record>,
}

/// Tokens that are left, as of an instant.
#[derive(Debug)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Server {
    pub(crate) async fn start(corpus: Arc<Corpus>, limit: Option<Limit>) -> Self {
        let tokens = limit.map_or(0.0, |limit| limit.burst);
        let bucket = Mutex::new(Bucket { tokens, at: Instant::now() });
        let served = Arc::new(Served { corpus, limit, bucket, record: Mutex::default() });
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
        let is_allowed = self.limit.is_none_or(|limit| self.takes_token(limit));
        if let Some(limit) = self.limit {
            tokio::time::sleep(limit.latency).await;
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

    fn takes_token(&self, limit: Limit) -> bool {
        let mut bucket = self.bucket.lock().unwrap();
        let now = Instant::now();
        let more = limit.rate * now.duration_since(bucket.at).as_secs_f64();
        bucket.tokens = (bucket.tokens + more).min(limit.burst);
        bucket.at = now;
        let is_enough = bucket.tokens >= 1.0;
        if is_enough {
            bucket.tokens -= 1.0;
        }
        is_enough
    }

    fn note(&self, asked: Instant, path: &str, is_allowed: bool) {
        let is_large = self.corpus.is_large(path);
        let mut record = self.record.lock().unwrap();
        let now = Instant::now();
        record.requests += 1;
        record.refused += usize::from(!is_allowed);
        record.first = Some(record.first.map_or(asked, |first| first.min(asked)));
        record.last = Some(now);
        if !is_large {
            record.last_usual = Some(now);
        }
    }
}
