//! `ready`: requests the state of a running `schedule`, for health checks without `curl`.

use std::time::Duration;

use serde_json::Value;

use super::args::ReadyArguments;
use super::context::{Context, write_stdout};
use crate::failure::{Exit, Failure};
use crate::service::listen_address;

/// Maximum wait for the response.
const PATIENCE: Duration = Duration::from_secs(5);

/// The address that is requested if none is given or configured.
const USUAL_ADDRESS: &str = "127.0.0.1:9464";

pub(super) async fn run(context: &Context, arguments: &ReadyArguments) -> Result<Exit, Failure> {
    let typed = arguments.listen.clone().or_else(|| context.settings.schedule.listen.clone());
    let text = typed.unwrap_or_else(|| USUAL_ADDRESS.to_owned());
    let mut address = listen_address(&text).map_err(|problem| {
        Failure::usage(problem, "name the address that `schedule` listens on")
    })?;
    if address.ip().is_unspecified() {
        // It listens on all addresses: use loopback.
        address.set_ip(match address {
            std::net::SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            std::net::SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    let path = if arguments.alive { "healthz" } else { "readyz" };
    let url = format!("http://{address}/{path}");
    let unreachable = |error: reqwest::Error| {
        let error = anyhow::Error::new(error.without_url());
        let error = error.context(format!("no response from {url}"));
        let hint = "start `armature-export schedule` with --listen or schedule.listen";
        Failure { exit: Exit::Unreachable, error, hint: Some(hint.to_owned()) }
    };
    crate::tls::install();
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build();
    let client = client.map_err(|error| Failure::new(Exit::Bug, error.into()))?;
    let response = client.get(&url).send().await.map_err(unreachable)?;
    let well = response.status().is_success();
    let body = response.text().await.map_err(unreachable)?;
    let shown = match serde_json::from_str::<Value>(&body) {
        Ok(value) if !context.is_json() => {
            value.get("status").and_then(Value::as_str).unwrap_or("unknown").to_owned()
        }
        _ => body,
    };
    write_stdout(&shown)?;
    Ok(if well { Exit::Done } else { Exit::Incomplete })
}
