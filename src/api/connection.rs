//! Connections to the API: which addresses are allowed, and how the HTTP clients are set up.

use std::net::IpAddr;
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::redirect;
use url::{Host, Url};

use super::ApiError;
use crate::config::{ApiKey, ApiSettings};
use crate::tls::{certificates_looked_in, describe};

pub(super) fn base_url(text: &str) -> Result<Url, ApiError> {
    let refuse = |problem: &str| ApiError::Url {
        url: crate::config::mask_keys(text),
        problem: problem.to_owned(),
    };
    let url = Url::parse(text.trim()).map_err(|error| refuse(&error.to_string()))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refuse("it holds a user name or password"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(refuse("it has a query or a fragment; give the base only"));
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        "http" => Err(refuse("plain HTTP would show the key to the network; use https")),
        _ => Err(refuse("only https (and http on loopback) is known")),
    }
}

pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => IpAddr::from(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::from(address).is_loopback(),
        None => false,
    }
}

/// A client for the hosts to which documents are redirected. It does not have the key, and follows
/// no redirects itself.
pub(super) fn keyless_client(
    settings: &ApiSettings,
    base: &Url,
) -> Result<reqwest::Client, ApiError> {
    crate::tls::install();
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("armature-export/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .referer(false)
        .connect_timeout(Duration::from_secs(settings.connect_timeout_secs));
    if is_loopback(base) {
        builder = builder.no_proxy();
    }
    if settings.redirect_hosts.is_empty() {
        // Without such hosts this client sends no requests, so the system's certificates are not
        // read.
        builder = builder.tls_certs_only([]);
    }
    built(builder)
}

fn built(builder: reqwest::ClientBuilder) -> Result<reqwest::Client, ApiError> {
    builder.build().map_err(|error| match certificates_looked_in(&error) {
        Some(looked_in) => ApiError::NoCertificates { looked_in },
        None => ApiError::Setup(describe(error)),
    })
}

/// The redirects that a client with the key follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Redirects {
    /// Those within the origin.
    WithinOrigin,
    /// None: a redirected POST can become a GET of something else.
    None,
}

pub(super) fn http_client(
    settings: &ApiSettings,
    key: &ApiKey,
    base: &Url,
    redirects: Redirects,
) -> Result<reqwest::Client, ApiError> {
    let setup = |error: String| ApiError::Setup(error);
    crate::tls::install();
    // Authentication: every request of this client carries the key as a bearer token.
    let mut authorization = HeaderValue::from_str(&key.authorization())
        .map_err(|_| setup("the key cannot stand in a header".to_owned()))?;
    authorization.set_sensitive(true);
    let headers = HeaderMap::from_iter([
        (AUTHORIZATION, authorization),
        (ACCEPT, HeaderValue::from_static("application/json")),
    ]);
    let same_origin = redirect::Policy::custom(|attempt| {
        let first = attempt.previous().first().map(Url::origin);
        if first == Some(attempt.url().origin()) && attempt.previous().len() <= 5 {
            attempt.follow()
        } else {
            attempt.stop()
        }
    });
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("armature-export/", env!("CARGO_PKG_VERSION")))
        .default_headers(headers)
        .redirect(match redirects {
            Redirects::WithinOrigin => same_origin,
            Redirects::None => redirect::Policy::none(),
        })
        .referer(false)
        .connect_timeout(Duration::from_secs(settings.connect_timeout_secs))
        .pool_max_idle_per_host(settings.concurrency);
    if is_loopback(base) {
        builder = builder.no_proxy();
    }
    if base.scheme() == "http" {
        // Plain HTTP is for loopback only, and redirects stay within the origin: no certificates
        // are needed.
        builder = builder.tls_certs_only([]);
    }
    built(builder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_and_loopback() {
        for good in [
            "https://your-org.armature.app/api/armature/v1",
            "http://127.0.0.1:8080/api/armature/v1/",
            "http://localhost:1",
            "http://[::1]:1/x",
        ] {
            assert!(base_url(good).is_ok(), "{good}");
        }
        let message = |url: &str| base_url(url).unwrap_err().to_string();
        insta::assert_snapshot!(
            [
                message("http://example.com/api"),
                message("your-org"),
                message("ftp://example.com"),
                message("https://user:amt_a_b@example.com/"),
                message("https://example.com/?key=amt_a_b"),
            ]
            .join("\n")
        );
    }
}
