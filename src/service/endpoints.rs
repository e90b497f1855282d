//! The endpoints `/healthz`, `/readyz`, `/metrics` and `/report`.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use tokio::net::TcpListener;

use super::shared::ServiceState;
use crate::report::SERVED_POLICY;

/// The body of `/healthz`.
#[derive(Debug, Serialize)]
struct Liveness {
    status: &'static str,
    version: &'static str,
    uptime_seconds: u64,
    running: Option<&'static str>,
}

/// Parses an address to listen on: `127.0.0.1:9464`, `[::1]:9464`, or only a port, which means
/// 127.0.0.1.
/// 127.0.0.1.
///
/// # Errors
/// A description of what is wrong with it.
pub fn listen_address(text: &str) -> Result<SocketAddr, String> {
    let text = text.trim();
    let port = text.strip_prefix(':').unwrap_or(text);
    if let Ok(port) = port.parse::<u16>() {
        return Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
    }
    text.parse().map_err(|_| {
        format!("`{text}` is not an address: give a port, or an IP address and a port such as 127.0.0.1:9464")
    })
}

/// Serves requests until the process ends.
pub(super) async fn serve(listener: TcpListener, shared: Arc<ServiceState>) {
    let router = Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/report", get(report))
        .with_state(shared);
    if let Err(error) = axum::serve(listener, router).await {
        tracing::error!("the endpoints stopped: {error}");
    }
}

async fn healthz(State(shared): State<Arc<ServiceState>>) -> Response {
    let now = shared.now();
    let liveness = Liveness {
        status: "alive",
        version: env!("CARGO_PKG_VERSION"),
        uptime_seconds: now.since(shared.started).as_secs(),
        running: shared.running().map(crate::schedule::Job::name),
    };
    Json(liveness).into_response()
}

async fn readyz(State(shared): State<Arc<ServiceState>>) -> Response {
    let readiness = shared.health().readiness(shared.now());
    let status =
        if readiness.status == "ready" { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(readiness)).into_response()
}

async fn metrics(State(shared): State<Arc<ServiceState>>) -> Response {
    match shared.metrics.text() {
        Ok(text) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// The page of the last report. It is not to be kept: the next sync writes another one.
async fn report(State(shared): State<Arc<ServiceState>>) -> Response {
    let Some(path) = shared.report() else {
        let told = "no report is configured: set report.path, or start `schedule` with --report\n";
        return (StatusCode::NOT_FOUND, told).into_response();
    };
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, SERVED_POLICY),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    match tokio::fs::read(&path).await {
        Ok(page) => (headers, page).into_response(),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            (StatusCode::NOT_FOUND, "no report was written yet\n").into_response()
        }
        Err(error) => {
            tracing::warn!("failed to read the report: {error}");
            (StatusCode::INTERNAL_SERVER_ERROR, "the report cannot be read: see the log\n")
                .into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_one_of_loopback() {
        let address = |text: &str| listen_address(text).map(|address| address.to_string());
        for text in ["9464", ":9464", " 127.0.0.1:9464"] {
            assert_eq!(address(text), Ok("127.0.0.1:9464".to_owned()));
        }
        assert_eq!(address("0.0.0.0:1"), Ok("0.0.0.0:1".to_owned()));
        assert_eq!(address("[::1]:1"), Ok("[::1]:1".to_owned()));
        assert!(address("localhost:1").is_err() && address("99999").is_err());
    }
}
