//! `simulate`: a fake Armature API on loopback.

use std::path::Path;
use std::time::Duration;

use super::args::{CasingChoice, EnvelopeChoice, SimulateArguments};
use super::context::{Context, stop_on_signal};
use super::table::count;
use crate::failure::{Exit, Failure};
use crate::simulator::{Casing, ListEnvelope, Scenario, Simulator, SimulatorSettings};

pub(super) async fn run(context: &Context, arguments: &SimulateArguments) -> Result<Exit, Failure> {
    let settings = settings(arguments)?;
    let (runs, days) = (settings.world.runs, settings.world.days);
    let mut stop = stop_on_signal("stopping");
    let simulator = start(settings).await?;
    let url = simulator.base_url();
    let value = serde_json::json!({ "api_url": url, "runs": runs });
    context.print(&value, || url.clone())?;
    context.eprint_note(&format!(
        "serving {} runs of the last {} days, and new ones as they happen. In another terminal:\n\
         \n  ARMATURE_API_KEY=amt_demo_key armature-export sync --api-url {url}\n\
         \nCtrl-C ends it.",
        count(u64::from(runs)),
        days
    ));
    // The sender lives as long as the process; an error would mean that the process is ending.
    let _ending = stop.wait_for(|stop| *stop).await;
    let requests = simulator.request_count();
    simulator.stop().await;
    context.eprint_note(&format!("answered {} requests", count(requests)));
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

/// The scenario of the file with command-line arguments applied.
fn settings(arguments: &SimulateArguments) -> Result<SimulatorSettings, Failure> {
    let file = arguments.faults.as_deref().map(scenario).transpose()?;
    let Scenario { mut world, mut shape, faults, dispatch } = file.unwrap_or_default();
    world.seed = arguments.seed.unwrap_or(world.seed);
    world.runs = arguments.runs.unwrap_or(world.runs);
    world.days = arguments.days.unwrap_or(world.days);
    let spacing = arguments.seconds_between_runs;
    world.seconds_between_runs = spacing.unwrap_or(world.seconds_between_runs);
    shape.list = arguments.envelope.map_or(shape.list, envelope);
    shape.casing = arguments.casing.map_or(shape.casing, casing);
    shape.page_base = arguments.page_base.unwrap_or(shape.page_base);
    let is_time = |value: f64| value.is_finite() && (0.0..=3650.0).contains(&value);
    if !is_time(world.days) || world.days == 0.0 {
        return Err(Failure::usage(
            "--days must be more than 0",
            "29 fills the API's longest range",
        ));
    }
    if !(world.seconds_between_runs.is_finite() && world.seconds_between_runs >= 0.0) {
        return Err(Failure::usage("--seconds-between-runs must not be negative", "0 means never"));
    }
    Ok(SimulatorSettings {
        world,
        shape,
        faults: Some(faults),
        dispatch,
        role: arguments.role.clone(),
        port: arguments.port,
        latency: Duration::from_millis(arguments.latency_ms),
        record_requests: false,
        ..SimulatorSettings::default()
    })
}

fn scenario(path: &Path) -> Result<Scenario, Failure> {
    let failure = |error: anyhow::Error, what: &str| Failure {
        exit: Exit::Usage,
        error: error.context(format!("failed to {what} the faults `{}`", path.display())),
        hint: Some("config/faults.toml in the source has every option explained".to_owned()),
    };
    let text = std::fs::read_to_string(path).map_err(|error| failure(error.into(), "read"))?;
    toml::from_str(&text).map_err(|error| failure(error.into(), "understand"))
}

const fn envelope(choice: EnvelopeChoice) -> ListEnvelope {
    match choice {
        EnvelopeChoice::Rows => ListEnvelope::Rows,
        EnvelopeChoice::Runs => ListEnvelope::Runs,
        EnvelopeChoice::Data => ListEnvelope::Data,
        EnvelopeChoice::Items => ListEnvelope::Items,
        EnvelopeChoice::Results => ListEnvelope::Results,
        EnvelopeChoice::Bare => ListEnvelope::Bare,
    }
}

const fn casing(choice: CasingChoice) -> Casing {
    match choice {
        CasingChoice::Snake => Casing::Snake,
        CasingChoice::Camel => Casing::Camel,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const EXAMPLE: &str = include_str!("../../config/faults.toml");

    fn keys(table: &toml::Table, found: &mut BTreeSet<String>) {
        for (key, value) in table {
            found.insert(key.clone());
            if let toml::Value::Table(table) = value {
                keys(table, found);
            }
        }
    }

    #[test]
    fn the_example_shows_every_option_with_its_default() {
        assert_eq!(toml::from_str::<Scenario>(EXAMPLE).unwrap(), Scenario::default());
        let mut options = BTreeSet::new();
        keys(&toml::Table::try_from(Scenario::default()).unwrap(), &mut options);
        // Options without a default are not in the table.
        options.extend(
            [
                "end_after_requests",
                "revoked_after_requests",
                "deepest_row",
                "largest_range_days",
                "document_rows",
                "pass_percent",
            ]
            .map(str::to_owned),
        );
        for option in options {
            let is_shown = |line: &str| {
                let line = line.trim_start_matches("# ");
                line.split('=').next().is_some_and(|name| name.trim() == option)
                    || line.trim_matches(['[', ']']).ends_with(&option)
            };
            assert!(EXAMPLE.lines().any(is_shown), "{option}");
        }
    }

    #[test]
    fn every_fault_of_the_example_is_one() {
        let rules = EXAMPLE.lines().filter_map(|line| line.split_once("{ kind = "));
        let mut kinds = 0;
        for (_, rest) in rules {
            let text = format!("[[faults.rules]]\nanswer = {{ kind = {rest}\n");
            toml::from_str::<Scenario>(&text).unwrap();
            kinds += 1;
        }
        assert_eq!(kinds, 10);
    }

    #[test]
    fn mistakes_are_named_with_line_and_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("faults.toml");
        let told = |text: &str| {
            std::fs::write(&path, text).unwrap();
            let failure = scenario(&path).unwrap_err();
            assert_eq!(failure.exit, Exit::Usage);
            failure.text().replace(&folder.path().display().to_string(), "[dir]")
        };
        insta::assert_snapshot!(
            [
                told("[faults.list]\nvanish_percent = 3.0\nvansh_requests = 3\n"),
                told("[shape]\nlist = \"cows\"\n"),
            ]
            .join("\n\n")
        );
    }
}
