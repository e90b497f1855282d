//! TLS, for the API, webhooks, object stores and Iceberg catalogs, and the texts of its errors.

use std::path::PathBuf;

/// Installs the cryptography provider of TLS, once per process. Must precede the first HTTP client.
pub fn install() {
    // If another part of the process has installed a provider already, that one is used.
    let _already = rustls::crypto::ring::default_provider().install_default();
}

/// The messages of an error and all of its sources, without the URL. The cause is in the sources.
pub fn describe(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut parts = vec![error.to_string()];
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        parts.push(cause.to_string());
        source = cause.source();
    }
    parts.dedup();
    parts.join(": ")
}

/// Where CA certificates were searched, if an HTTPS client could not be created because there are
/// none; `None` for any other failure.
///
/// The TLS library reads them when a client is created. It searches the paths in `SSL_CERT_FILE`
/// and `SSL_CERT_DIR`, and the system's usual places only if neither is set.
pub fn certificates_looked_in(error: &reqwest::Error) -> Option<String> {
    let mut source = std::error::Error::source(error);
    let mut is_about_certificates = false;
    while let Some(cause) = source {
        is_about_certificates |= cause.to_string().contains("CA certificates");
        source = cause.source();
    }
    if !is_about_certificates {
        return None;
    }
    #[expect(clippy::disallowed_methods, reason = "what the TLS library read, for the message")]
    let named = ["SSL_CERT_FILE", "SSL_CERT_DIR"].map(|name| (name, std::env::var_os(name)));
    let named = named.into_iter().filter_map(|(name, value)| {
        Some(format!("`{}` ({name})", PathBuf::from(value?).display()))
    });
    let named: Vec<String> = named.collect();
    Some(if named.is_empty() {
        "the system's usual places, such as /etc/ssl/certs; SSL_CERT_FILE and SSL_CERT_DIR are not \
         set"
        .to_owned()
    } else {
        named.join(" and ")
    })
}
