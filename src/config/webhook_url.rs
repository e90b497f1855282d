//! URLs for messages and pings, which can contain secrets.

use std::fmt;
use std::path::Path;

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::{ConfigError, NotifySettings};

/// A URL that can contain a secret, as webhooks of chat services do. It prints as its host only.
#[derive(Clone)]
pub struct WebhookUrl {
    url: SecretString,
    host: String,
    is_https: bool,
}

impl WebhookUrl {
    fn new(option: &'static str, text: &str) -> Result<Self, ConfigError> {
        let refuse = |problem: &str| ConfigError::Value { option, problem: problem.to_owned() };
        let text = text.trim();
        let url = Url::parse(text).map_err(|error| refuse(&format!("is not a URL: {error}")))?;
        if !matches!(url.scheme(), "https" | "http") {
            return Err(refuse("is neither an https nor an http URL"));
        }
        let Some(host) = url.host_str() else { return Err(refuse("names no host")) };
        let is_https = url.scheme() == "https";
        Ok(Self { host: host.to_owned(), is_https, url: SecretString::from(text) })
    }

    /// Whether the URL uses HTTPS.
    pub fn is_https(&self) -> bool {
        self.is_https
    }

    /// The URL itself. For the request only.
    pub fn expose(&self) -> &str {
        self.url.expose_secret()
    }
}

impl fmt::Display for WebhookUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.host)
    }
}

impl fmt::Debug for WebhookUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "WebhookUrl({})", self.host)
    }
}

impl NotifySettings {
    /// The URL for messages; `None` if none is configured.
    ///
    /// # Errors
    /// [`ConfigError`] if the file cannot be read, or the value is not a usable URL.
    pub fn webhook(&self) -> Result<Option<WebhookUrl>, ConfigError> {
        hook("notify.webhook_url", self.webhook_url.as_deref(), self.webhook_url_file.as_deref())
    }

    /// The URL that is requested after each good sync; `None` if none is configured.
    ///
    /// # Errors
    /// [`ConfigError`] if the file cannot be read, or the value is not a usable URL.
    pub fn ping(&self) -> Result<Option<WebhookUrl>, ConfigError> {
        hook("notify.ping_url", self.ping_url.as_deref(), self.ping_url_file.as_deref())
    }
}

fn hook(
    option: &'static str,
    url: Option<&str>,
    file: Option<&Path>,
) -> Result<Option<WebhookUrl>, ConfigError> {
    if let Some(text) = url {
        return WebhookUrl::new(option, text).map(Some);
    }
    let Some(path) = file else { return Ok(None) };
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Hook {
        option,
        path: path.to_owned(),
        source,
    })?;
    WebhookUrl::new(option, &text).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_never_shows_beyond_its_host() {
        let secret = "https://user:s3cret@hooks.example.com/services/T0/s3cret";
        let settings = NotifySettings { webhook_url: Some(secret.into()), ..Default::default() };
        let hook = settings.webhook().unwrap().unwrap();
        assert_eq!(format!("{hook} {hook:?}"), "hooks.example.com WebhookUrl(hooks.example.com)");
        assert_eq!(hook.expose(), secret);
        for wrong in ["s3cret", "ftp://s3cret.example.com", "https://"] {
            let settings = NotifySettings { ping_url: Some(wrong.into()), ..Default::default() };
            let told = settings.ping().unwrap_err().to_string();
            assert!(told.contains("notify.ping_url") && !told.contains("s3cret"), "{told}");
        }
    }

    #[test]
    fn a_url_can_come_from_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("hook");
        let settings =
            NotifySettings { webhook_url_file: Some(file.clone()), ..Default::default() };
        assert!(settings.webhook().unwrap_err().to_string().contains("notify.webhook_url"));
        std::fs::write(&file, "http://localhost:1/x\n").unwrap();
        assert_eq!(settings.webhook().unwrap().unwrap().expose(), "http://localhost:1/x");
        assert!(NotifySettings::default().webhook().unwrap().is_none());
    }
}
