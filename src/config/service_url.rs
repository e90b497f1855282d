//! Addresses of services to which credentials are sent.

use url::{Host, Url};

/// What is wrong with the address of a service, as a predicate. `settings` names the settings that
/// hold credentials for it.
///
/// # Errors
/// The problem and the remedy, without the address.
pub(super) fn check_service_url(url: &Url, settings: &str) -> Result<(), String> {
    if !url.username().is_empty() || url.password().is_some() {
        return Err(format!("has a user or a password: set {settings}"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("has a query or a fragment: write only scheme, host, port and path".into());
    }
    if url.host().is_none() {
        return Err("has no host".into());
    }
    match url.scheme() {
        "https" => Ok(()),
        "http" if is_loopback(url) => Ok(()),
        "http" => Err("is plain HTTP to another machine, where credentials and data could be \
                       read on the way: use `https://`"
            .into()),
        _ => Err("is not an `https://` address".into()),
    }
}

/// Whether an address is one of this machine, where plain HTTP is allowed.
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}
