//! Notifications: messages to a webhook, and pings to a dead man's switch.
//!
//! A sync never waits for either. No message contains the key or content of a run, and of a URL
//! only the host is ever printed.

use std::sync::Arc;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use reqwest::{StatusCode, redirect};
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::config::{ConfigError, NotifySettings, WebhookFormat, WebhookUrl, mask_keys};
use crate::observe::Metrics;
use crate::tls::{certificates_looked_in, describe};

/// Maximum number of waiting messages; more are dropped and counted.
const QUEUE: usize = 32;

/// The first and the longest pause between two attempts.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// What a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageKind {
    /// A job failed, or ended incomplete.
    Failure,
    /// A job succeeded after a failure, or the export is no longer stale.
    Recovery,
    /// Time went out of the API's reach without being exported.
    Gap,
    /// The last good sync is too long ago.
    Stale,
    /// The API lists no runs, although some should be listed.
    UnexpectedZero,
}

impl MessageKind {
    const ALL: [Self; 5] =
        [Self::Failure, Self::Recovery, Self::Gap, Self::Stale, Self::UnexpectedZero];

    /// The name, as in JSON.
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

/// A message, as it is posted to the webhook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Message {
    /// What the message is about.
    pub kind: MessageKind,
    /// The whole message in one line.
    pub text: String,
    /// The job: `sync`, `reconcile` or `compact`.
    pub job: &'static str,
    /// The exit code that the job's command would have; `None` if the message is not about the end
    /// of a job.
    pub exit_code: Option<u8>,
    /// What the user can do about it.
    pub hint: Option<String>,
    /// The lake's folder.
    pub lake: String,
    /// The time of the message, RFC 3339.
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

/// Sends messages and pings in the background, one after another.
#[derive(Debug)]
pub struct Notifier {
    webhook: Option<QueueWorker>,
    ping: Option<QueueWorker>,
    format: WebhookFormat,
    metrics: Arc<Metrics>,
}

/// A URL's queue, and the task that sends what is in it.
#[derive(Debug)]
struct QueueWorker {
    queue: mpsc::Sender<Post>,
    worker: JoinHandle<()>,
}

/// A request to send: a message's body, or `None` for a ping.
#[derive(Debug)]
struct Post {
    kind: &'static str,
    body: Option<String>,
}

/// Why notifications cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// The configuration is not valid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// HTTPS needs CA certificates, and this machine has none.
    #[error("no CA certificates were found, which messages by HTTPS need; looked in {looked_in}")]
    NoCertificates {
        /// The places that were searched for them.
        looked_in: String,
    },
    /// TLS cannot be set up.
    #[error("failed to set up HTTPS for messages")]
    Setup(#[source] reqwest::Error),
}

impl Notifier {
    /// Starts the queues of the configured URLs; without a URL, nothing is sent.
    ///
    /// # Errors
    /// [`NotifyError`] if a URL cannot be used.
    pub fn start(settings: &NotifySettings, metrics: &Arc<Metrics>) -> Result<Self, NotifyError> {
        let (webhook, ping) = (settings.webhook()?, settings.ping()?);
        crate::tls::install();
        let mut http = reqwest::Client::builder()
            .user_agent(concat!("armature-export/", env!("CARGO_PKG_VERSION")))
            .timeout(Duration::from_secs(settings.timeout_secs))
            // Do not follow redirects: the URL can hold a secret, which another host must not get.
            .redirect(redirect::Policy::none());
        if [&webhook, &ping].into_iter().flatten().all(|url| !url.is_https()) {
            // No target uses HTTPS: CA certificates are not needed.
            http = http.tls_certs_only([]);
        }
        let http = http.build().map_err(|error| match certificates_looked_in(&error) {
            Some(looked_in) => NotifyError::NoCertificates { looked_in },
            None => NotifyError::Setup(error),
        })?;
        let line = |url: WebhookUrl| {
            let (queue, posts) = mpsc::channel(QUEUE);
            let sender = Sender {
                http: http.clone(),
                url,
                attempts: usize::try_from(settings.max_attempts).unwrap_or(usize::MAX),
                metrics: Arc::clone(metrics),
            };
            QueueWorker { queue, worker: tokio::spawn(sender.work(posts)) }
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

    /// Queues a message; never waits.
    pub fn tell(&self, message: &Message) {
        let kind = message.kind.name();
        match message.body(self.format) {
            Ok(body) => self.post(self.webhook.as_ref(), Post { kind, body: Some(body) }),
            Err(error) => tracing::error!(kind, "failed to write a message: {error}"),
        }
    }

    /// Queues a ping, which reports a good sync; never waits.
    pub fn ping(&self) {
        self.post(self.ping.as_ref(), Post { kind: "ping", body: None });
    }

    fn post(&self, line: Option<&QueueWorker>, post: Post) {
        let Some(line) = line else { return };
        let kind = post.kind;
        if line.queue.try_send(post).is_err() {
            tracing::warn!(kind, "a message was dropped: too many wait already");
            self.metrics.note_message(kind, "dropped", 1);
        }
    }

    /// Sends what is queued, and gives up after `within`.
    pub async fn finish(self, within: Duration) {
        let lines = [self.webhook, self.ping].into_iter().flatten();
        let ends = lines.map(|QueueWorker { queue, worker }| {
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
    url: WebhookUrl,
    attempts: usize,
    metrics: Arc<Metrics>,
}

/// Why an attempt failed, and whether another one may succeed.
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
                    tracing::warn!(kind, %receiver, %reason, "a message was not accepted by {receiver}: {reason}");
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
