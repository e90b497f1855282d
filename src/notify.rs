//! Telling people: messages to a webhook, and pings to a dead man's switch.
//!
//! A sync never waits for either. No message holds the key or anything out of a run; its URL is
//! never printed beyond the host.

use std::sync::Arc;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use reqwest::{StatusCode, redirect};
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::api::{certificates_looked_in, describe, install_tls};
use crate::config::{ConfigError, HookUrl, NotifySettings, WebhookFormat, mask_keys};
use crate::observe::Metrics;

/// So many messages wait at the most; more are dropped, and counted.
const QUEUE: usize = 32;

/// The first pause between two tries, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// What a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageKind {
    /// A sync or reconciliation failed, or came out incomplete.
    Failure,
    /// After a failure, all is well again.
    Recovery,
    /// Time went out of the API's reach without having been exported.
    Gap,
    /// No sync has been good for too long.
    Stale,
    /// The API lists no run where some are known to be.
    UnexpectedZero,
}

impl MessageKind {
    const ALL: [Self; 5] =
        [Self::Failure, Self::Recovery, Self::Gap, Self::Stale, Self::UnexpectedZero];

    /// The word for it, as in the JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Failure => "failure",
            Self::Recovery => "recovery",
            Self::Gap => "gap",
            Self::Stale => "stale",
            Self::UnexpectedZero => "unexpected_zero",
        }
    }
}

/// What is posted to the webhook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Message {
    /// What it is about.
    pub kind: MessageKind,
    /// All of it in one line, for people.
    pub text: String,
    /// The job, `sync` or `reconcile`.
    pub job: &'static str,
    /// The exit code that the job would have had; `None` where no job ended.
    pub exit_code: Option<u8>,
    /// What to do about it.
    pub hint: Option<String>,
    /// The lake's folder.
    pub lake: String,
    /// When, RFC 3339.
    pub at: String,
}

impl Message {
    fn body(&self, format: WebhookFormat) -> Result<String, serde_json::Error> {
        #[derive(Serialize)]
        struct Slack<'a> {
            text: &'a str,
        }
        let body = match format {
            WebhookFormat::Json => serde_json::to_string(self),
            WebhookFormat::Slack => serde_json::to_string(&Slack { text: &self.text }),
        };
        body.map(|body| mask_keys(&body))
    }
}

/// Sends messages and pings, one after the other, beside everything else.
#[derive(Debug)]
pub struct Notifier {
    webhook: Option<Line>,
    ping: Option<Line>,
    format: WebhookFormat,
    metrics: Arc<Metrics>,
}

/// A receiver and those who wait for it.
#[derive(Debug)]
struct Line {
    queue: mpsc::Sender<Post>,
    worker: JoinHandle<()>,
}

/// What is to be sent: a body, or nothing for a ping.
#[derive(Debug)]
struct Post {
    kind: &'static str,
    body: Option<String>,
}

/// Why there is no notifier.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// HTTPS needs CA certificates, and this machine has none.
    #[error("no CA certificates were found, which messages by HTTPS need; looked in {looked_in}")]
    NoCertificates {
        /// Where they were looked for.
        looked_in: String,
    },
    /// TLS cannot be set up.
    #[error("failed to set up HTTPS for messages")]
    Setup(#[source] reqwest::Error),
}

impl Notifier {
    /// Ready to send as configured; where nothing is configured, it sends nothing.
    ///
    /// # Errors
    /// [`NotifyError`] where a URL cannot be used.
    pub fn start(settings: &NotifySettings, metrics: &Arc<Metrics>) -> Result<Self, NotifyError> {
        let (webhook, ping) = (settings.webhook()?, settings.ping()?);
        install_tls();
        let mut http = reqwest::Client::builder()
            .user_agent(concat!("armature-export/", env!("CARGO_PKG_VERSION")))
            .timeout(Duration::from_secs(settings.timeout_secs))
            // A receiver that moved must be named anew: its secret is not for others.
            .redirect(redirect::Policy::none());
        if [&webhook, &ping].into_iter().flatten().all(|url| !url.is_https()) {
            // No target uses HTTPS: CA certificates are not needed.
            http = http.tls_certs_only([]);
        }
        let http = http.build().map_err(|error| match certificates_looked_in(&error) {
            Some(looked_in) => NotifyError::NoCertificates { looked_in },
            None => NotifyError::Setup(error),
        })?;
        let line = |url: HookUrl| {
            let (queue, posts) = mpsc::channel(QUEUE);
            let sender = Sender {
                http: http.clone(),
                url,
                attempts: usize::try_from(settings.max_attempts).unwrap_or(usize::MAX),
                metrics: Arc::clone(metrics),
            };
            Line { queue, worker: tokio::spawn(sender.work(posts)) }
        };
        for kind in MessageKind::ALL.map(MessageKind::name).into_iter().chain(["ping"]) {
            for end in ["sent", "failed", "dropped"] {
                metrics.note_message(kind, end, 0);
            }
        }
        Ok(Self {
            webhook: webhook.map(line),
            ping: ping.map(line),
            format: settings.webhook_format,
            metrics: Arc::clone(metrics),
        })
    }

    /// Sends a message, sooner or later; never waits.
    pub fn tell(&self, message: &Message) {
        let kind = message.kind.name();
        match message.body(self.format) {
            Ok(body) => self.post(self.webhook.as_ref(), Post { kind, body: Some(body) }),
            Err(error) => tracing::error!(kind, "failed to write a message: {error}"),
        }
    }

    /// Says that a sync was good; never waits.
    pub fn ping(&self) {
        self.post(self.ping.as_ref(), Post { kind: "ping", body: None });
    }

    fn post(&self, line: Option<&Line>, post: Post) {
        let Some(line) = line else { return };
        let kind = post.kind;
        if line.queue.try_send(post).is_err() {
            tracing::warn!(kind, "a message was dropped: too many wait already");
            self.metrics.note_message(kind, "dropped", 1);
        }
    }

    /// Sends what waits, for at most so long.
    pub async fn finish(self, within: Duration) {
        let lines = [self.webhook, self.ping].into_iter().flatten();
        let ends = lines.map(|Line { queue, worker }| {
            drop(queue);
            worker
        });
        let ends: Vec<JoinHandle<()>> = ends.collect();
        let aborts: Vec<_> = ends.iter().map(JoinHandle::abort_handle).collect();
        if timeout(within, futures::future::join_all(ends)).await.is_err() {
            tracing::warn!("messages that still wait are given up");
            aborts.iter().for_each(tokio::task::AbortHandle::abort);
        }
    }
}

struct Sender {
    http: reqwest::Client,
    url: HookUrl,
    attempts: usize,
    metrics: Arc<Metrics>,
}

/// Why a try failed, and whether another one may help.
struct Refusal {
    reason: String,
    again: bool,
}

impl Sender {
    async fn work(self, mut posts: mpsc::Receiver<Post>) {
        while let Some(post) = posts.recv().await {
            let (first, longest) = PAUSES;
            let pauses = ExponentialBuilder::new()
                .with_min_delay(first)
                .with_max_delay(longest)
                .with_max_times(self.attempts.saturating_sub(1))
                .with_jitter();
            let sent = (|| self.send(&post)).retry(pauses).sleep(tokio::time::sleep);
            let sent = sent.when(|refusal| refusal.again).await;
            let kind = post.kind;
            match sent {
                Ok(()) => {
                    tracing::debug!(kind, receiver = %self.url, "message sent");
                    self.metrics.note_message(kind, "sent", 1);
                }
                Err(Refusal { reason, .. }) => {
                    let receiver = &self.url;
                    tracing::warn!(kind, %receiver, %reason, "a message was not taken by {receiver}: {reason}");
                    self.metrics.note_message(kind, "failed", 1);
                }
            }
        }
    }

    async fn send(&self, post: &Post) -> Result<(), Refusal> {
        let request = match &post.body {
            Some(body) => self
                .http
                .post(self.url.expose())
                .header(reqwest::header::CONTENT_TYPE, "application/json")
                .body(body.clone()),
            None => self.http.get(self.url.expose()),
        };
        let response = request
            .send()
            .await
            .map_err(|error| Refusal { reason: describe(error), again: true })?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        let again = status.is_server_error()
            || status == StatusCode::TOO_MANY_REQUESTS
            || status == StatusCode::REQUEST_TIMEOUT;
        Err(Refusal { reason: format!("it answered {}", status.as_u16()), again })
    }
}
