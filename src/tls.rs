//! TLS, for the API, webhooks and object stores.

/// Installs the cryptography provider of TLS, once per process. Must precede the first HTTP client.
pub fn install() {
    // If another part of the process has installed a provider already, that one is used.
    let _already = rustls::crypto::ring::default_provider().install_default();
}
