//! `simulate`: a fake Armature API on loopback.

use std::time::Duration;

use super::args::{CasingChoice, EnvelopeChoice, SimulateArguments};
use super::context::{Context, stop_on_signal};
use super::exit::{Exit, Failure};
use super::table::count;
use crate::simulator::{Casing, ListEnvelope, Shape, Simulator, SimulatorSettings, WorldSettings};

pub(super) async fn run(context: &Context, arguments: &SimulateArguments) -> Result<Exit, Failure> {
    let settings = settings(arguments)?;
    let mut stop = stop_on_signal("stopping");
    let simulator = start(settings).await?;
    let url = simulator.base_url();
    let value = serde_json::json!({ "api_url": url, "runs": arguments.runs });
    context.print(&value, || url.clone())?;
    context.say(&format!(
        "serving {} runs of the last {} days, and new ones as they happen. In another terminal:\n\
         \n  ARMATURE_API_KEY=amt_demo_key armature-export sync --api-url {url}\n\
         \nCtrl-C ends it.",
        count(u64::from(arguments.runs)),
        arguments.days
    ));
    // The sender lives as long as the process; an error would mean that it is ending anyway.
    let _ending = stop.wait_for(|stop| *stop).await;
    let requests = simulator.request_count();
    simulator.stop().await;
    context.say(&format!("answered {} requests", count(requests)));
    Ok(Exit::Done)
}

pub(super) async fn start(settings: SimulatorSettings) -> Result<Simulator, Failure> {
    let port = settings.port;
    Simulator::start(settings).await.map_err(|error| {
        let error =
            anyhow::Error::new(error).context(format!("failed to listen on 127.0.0.1:{port}"));
        let hint = Some("choose another port with --port; 0 takes any that is free".to_owned());
        Failure { exit: Exit::Usage, error, hint }
    })
}

fn settings(arguments: &SimulateArguments) -> Result<SimulatorSettings, Failure> {
    let is_time = |value: f64| value.is_finite() && (0.0..=3650.0).contains(&value);
    if !is_time(arguments.days) || arguments.days == 0.0 {
        return Err(Failure::usage(
            "--days must be more than 0",
            "29 fills the API's longest range",
        ));
    }
    if !(arguments.seconds_between_runs.is_finite() && arguments.seconds_between_runs >= 0.0) {
        return Err(Failure::usage("--seconds-between-runs must not be negative", "0 means never"));
    }
    Ok(SimulatorSettings {
        world: WorldSettings {
            seed: arguments.seed,
            runs: arguments.runs,
            days: arguments.days,
            seconds_between_runs: arguments.seconds_between_runs,
            ..WorldSettings::default()
        },
        shape: Shape {
            list: match arguments.envelope {
                EnvelopeChoice::Rows => ListEnvelope::Rows,
                EnvelopeChoice::Runs => ListEnvelope::Runs,
                EnvelopeChoice::Data => ListEnvelope::Data,
                EnvelopeChoice::Items => ListEnvelope::Items,
                EnvelopeChoice::Results => ListEnvelope::Results,
                EnvelopeChoice::Bare => ListEnvelope::Bare,
            },
            casing: match arguments.casing {
                CasingChoice::Snake => Casing::Snake,
                CasingChoice::Camel => Casing::Camel,
            },
            page_base: arguments.page_base,
            ..Shape::default()
        },
        port: arguments.port,
        latency: Duration::from_millis(arguments.latency_ms),
        record_requests: false,
        ..SimulatorSettings::default()
    })
}
