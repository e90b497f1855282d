//! Responses of a REST catalog.

use std::time::Duration;

use reqwest::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::form_urlencoded::byte_serialize;

use crate::targets::CatalogProblem;
use crate::tls::describe;

/// A larger answer is refused. The metadata of a table with 500 snapshots has less than a megabyte.
const MOST_BYTES: usize = 64 * 1024 * 1024;

/// Texts of catalogs are cut off after so many characters.
const MOST_CHARACTERS: usize = 300;

/// A response that has arrived.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) status: u16,
    /// How long the catalog asks to wait before the next request, if it says so.
    pub(super) retry_after: Option<Duration>,
    pub(super) body: Vec<u8>,
}

/// An error of the REST API.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ErrorModel {
    #[serde(default)]
    pub(super) message: String,
    #[serde(default, rename = "type")]
    pub(super) kind: String,
}

impl Response {
    /// The whole response.
    ///
    /// # Errors
    /// [`CatalogProblem::Unreachable`] if it did not arrive.
    pub(super) async fn of(
        sent: reqwest::Result<reqwest::Response>,
    ) -> Result<Self, CatalogProblem> {
        let lost = |error| CatalogProblem::Unreachable(describe(error));
        let mut response = sent.map_err(lost)?;
        let (status, mut body) = (response.status().as_u16(), Vec::new());
        let retry_after = retry_after(response.headers());
        while let Some(chunk) = response.chunk().await.map_err(lost)? {
            body.extend_from_slice(&chunk);
            if body.len() > MOST_BYTES {
                return Err(CatalogProblem::Invalid(format!("more than {MOST_BYTES} bytes")));
            }
        }
        Ok(Self { status, retry_after, body })
    }

    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Whether the same request can succeed later. What a change did is then not known.
    pub(super) fn is_transient(&self) -> bool {
        self.status >= 500 || matches!(self.status, 408 | 429)
    }

    /// The error that the body states; `None` if it states none.
    pub(super) fn error(&self) -> Option<ErrorModel> {
        #[derive(Deserialize)]
        struct Body {
            error: ErrorModel,
        }
        serde_json::from_slice::<Body>(&self.body).ok().map(|body| body.error)
    }
}

/// The wait that `Retry-After` names: seconds, or a date, which is compared with the server's own
/// clock.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: HeaderName| headers.get(name)?.to_str().ok();
    let value = text(RETRY_AFTER)?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = httpdate::parse_http_date(value).ok()?;
    until.duration_since(httpdate::parse_http_date(text(DATE)?).ok()?).ok()
}

/// A refusal as text in one line: the status, and what the body says. A server can repeat what it
/// was sent, so the secrets are masked, before the text is cut off in the middle of one.
pub(super) fn error_text(response: &Response, secrets: &[SecretString]) -> String {
    let mut message = match response.error() {
        Some(error) => error.message,
        // OAuth2 has a form of its own, and proxies answer in HTML.
        None => String::from_utf8_lossy(&response.body).into_owned(),
    };
    for secret in secrets.iter().map(SecretString::expose_secret).filter(|it| !it.is_empty()) {
        message = message.replace(secret, "***");
        // As a form sends it.
        let encoded: String = byte_serialize(secret.as_bytes()).collect();
        message = message.replace(&encoded, "***");
    }
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    let message: String = message.trim().chars().take(MOST_CHARACTERS).map(clean).collect();
    let status = response.status;
    if message.is_empty() { status.to_string() } else { format!("{status} ({message})") }
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    #[test]
    fn a_secret_that_a_server_repeats_is_masked_also_where_the_text_is_cut_off() {
        let secrets = ["s3-cr3t+/=".to_owned().into()];
        let text = |body: String| {
            let body = body.into_bytes();
            error_text(&Response { status: 400, retry_after: None, body }, &secrets)
        };
        assert_eq!(text("no s3-cr3t+/= here".into()), "400 (no *** here)");
        assert_eq!(text("client_secret=s3-cr3t%2B%2F%3D".into()), "400 (client_secret=***)");
        let error = r#"{"error": {"message": "no s3-cr3t+/= here", "type": "T", "code": 400}}"#;
        assert_eq!(text(error.into()), "400 (no *** here)");
        let long = "x".repeat(MOST_CHARACTERS - 3);
        assert_eq!(text(format!("{long}s3-cr3t+/=")), format!("400 ({long}***)"));
    }

    #[test]
    fn retry_after_names_seconds_or_a_date() {
        let wait = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_static(value));
            headers.insert(DATE, HeaderValue::from_static("Sun, 06 Nov 1994 08:49:37 GMT"));
            retry_after(&headers)
        };
        assert_eq!(wait("12"), Some(Duration::from_secs(12)));
        assert_eq!(wait("Sun, 06 Nov 1994 08:50:07 GMT"), Some(Duration::from_secs(30)));
        for other in ["Sun, 06 Nov 1994 08:00:00 GMT", "-3", "soon"] {
            assert_eq!(wait(other), None, "{other}");
        }
    }
}
