//! Requests to a REST catalog.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Method, redirect};
use serde_json::Value;
use url::Url;

use super::authorization::Authorization;
use super::response::{Response, error_text};
use crate::config::{IcebergSettings, ObjectStoreSettings};
use crate::targets::{CatalogProblem, DeliverError};
use crate::tls::{certificates_looked_in, describe};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// For one request. A commit of all tables writes a file for each of them.
const REQUEST_TIMEOUT: Duration = Duration::from_mins(2);

/// Times that a request which changes nothing is sent, the first included.
const READ_ATTEMPTS: usize = 4;

/// The first and the longest pause between two attempts.
const PAUSES: (Duration, Duration) = (Duration::from_millis(300), Duration::from_secs(5));

/// A catalog that asks for a longer wait is left alone: the next delivery brings what is missing.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// A client of a REST catalog.
#[derive(Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    /// The base address, without a slash at its end.
    base: String,
    authorization: Authorization,
}

/// Pauses between attempts.
pub(super) fn pauses(attempts: usize) -> ExponentialBuilder {
    let (first, longest) = PAUSES;
    ExponentialBuilder::new()
        .with_min_delay(first)
        .with_max_delay(longest)
        .with_max_times(attempts.saturating_sub(1))
        .with_jitter()
}

impl Client {
    /// # Errors
    /// [`DeliverError`] if a secret cannot be read, or TLS cannot be set up.
    pub(super) fn new(
        settings: &IcebergSettings,
        store: &ObjectStoreSettings,
        base: String,
    ) -> Result<Self, DeliverError> {
        crate::tls::install();
        let mut http = reqwest::Client::builder()
            .user_agent(concat!("armature-export/", env!("CARGO_PKG_VERSION")))
            // Another address must not get the credentials.
            .redirect(redirect::Policy::none())
            .referer(false)
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(REQUEST_TIMEOUT);
        if settings.is_plain_http() {
            // CA certificates are not needed.
            http = http.no_proxy().tls_certs_only([]);
        }
        let http = http.build().map_err(|error| {
            let problem = match certificates_looked_in(&error) {
                Some(looked_in) => CatalogProblem::NoCertificates { looked_in },
                None => CatalogProblem::Setup(describe(error)),
            };
            DeliverError::Catalog { uri: base.clone(), problem }
        })?;
        let authorization = Authorization::new(settings, store, &base)?;
        Ok(Self { http, base, authorization })
    }

    /// An error of this catalog.
    pub(super) fn failed(&self, problem: CatalogProblem) -> DeliverError {
        DeliverError::Catalog { uri: self.base.clone(), problem }
    }

    /// Reads, and repeats a request that failed for the moment, after the wait that the catalog
    /// asks for. Any status but those of a refused credential is returned.
    ///
    /// # Errors
    /// [`DeliverError::Catalog`] if no answer comes, or the credentials are refused.
    pub(super) async fn get(&self, path: &str) -> Result<Response, DeliverError> {
        let send = || async {
            let response = self.send(&Method::GET, path, None).await;
            let response = response.map_err(|problem| (problem, Duration::ZERO))?;
            if response.is_transient() {
                let problem = CatalogProblem::Unreachable(self.text(&response));
                return Err((problem, response.retry_after.unwrap_or_default()));
            }
            Ok(response)
        };
        let sent = send
            .retry(pauses(READ_ATTEMPTS))
            .sleep(tokio::time::sleep)
            .when(|(problem, asked)| {
                matches!(problem, CatalogProblem::Unreachable(_)) && *asked <= LONGEST_WAIT
            })
            .adjust(|(_, asked), planned| planned.map(|it| it.max(*asked)))
            .await;
        sent.map_err(|(problem, _)| self.failed(problem))
    }

    /// Sends a change once. Its outcome is not known after [`CatalogProblem::Unreachable`], or a
    /// response that is transient.
    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Response, CatalogProblem> {
        self.send(&Method::POST, path, Some(body)).await
    }

    async fn send(
        &self,
        method: &Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Response, CatalogProblem> {
        let mut is_renewed = false;
        loop {
            let response = self.send_once(method, path, body).await?;
            // A token can expire between two requests. What it was sent with was not carried out.
            if response.status == 401 && !is_renewed && self.authorization.renew().await {
                is_renewed = true;
                continue;
            }
            if matches!(response.status, 401 | 403) {
                return Err(CatalogProblem::Credentials(self.text(&response)));
            }
            return Ok(response);
        }
    }

    async fn send_once(
        &self,
        method: &Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Response, CatalogProblem> {
        let setup = |error: &dyn std::fmt::Display| CatalogProblem::Setup(error.to_string());
        let url = Url::parse(&format!("{}/{path}", self.base)).map_err(|error| setup(&error))?;
        let mut request = self.http.request(method.clone(), url).header(ACCEPT, "application/json");
        if let Some(body) = body {
            let body = serde_json::to_vec(body).map_err(|error| setup(&error))?;
            request = request.header(CONTENT_TYPE, "application/json").body(body);
        }
        let mut request = request.build().map_err(|error| setup(&error.without_url()))?;
        self.authorization.authorize(&self.http, &mut request).await?;
        Response::of(self.http.execute(request).await).await
    }

    /// A refusal as text, without secrets.
    pub(super) fn text(&self, response: &Response) -> String {
        error_text(response, &self.authorization.secrets())
    }
}
