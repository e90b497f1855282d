//! `demo`: runs the whole pipeline against the built-in simulator in a few seconds, without an
//! account.

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

use super::args::DemoArguments;
use super::context::{COMMITTING, Context, now, stop_on_signal, write_stdout};
use super::report::report_path;
use super::simulate::start;
use super::sync::{finish, run_once, summary};
use super::table::render;
use crate::config::{ApiKey, parse};
use crate::failure::{Exit, Failure};
use crate::query::query;
use crate::report::{Report, ReportOptions, make_file};
use crate::simulator::{SimulatorSettings, WorldSettings};

/// The configuration of the demo: a file that users can copy.
const DEMO_FILE: &str = include_str!("../../config/demo.toml");

/// The folder that the demo writes to.
const FOLDER: &str = "armature-demo";

/// Questions that the demo's data can answer, and their queries.
const QUERIES: [(&str, &str); 3] = [
    (
        "Which workflows fail, and what does it cost?",
        "SELECT workflow_name, sum(runs) AS runs,\n       \
         round(100 * sum(passed) / nullif(sum(decided), 0))::BIGINT || '%' AS pass_rate,\n       \
         '$' || round(sum(cost), 2) AS cost\n\
         FROM workflow_daily GROUP BY ALL ORDER BY sum(passed) / nullif(sum(decided), 0) LIMIT 5",
    ),
    (
        "Since when?",
        "SELECT workflow_name, workflow_version AS version, \
         left(first_started_at::VARCHAR, 10) AS since,\n       \
         round(100 * pass_rate_change)::BIGINT || ' points' AS change,\n       \
         round(100 * pass_rate_change_low)::BIGINT || ' to ' ||\n       \
         round(100 * pass_rate_change_high)::BIGINT AS interval_95, comparison\n\
         FROM workflow_versions WHERE is_latest ORDER BY pass_rate_change LIMIT 3",
    ),
    (
        "Which tool is to blame?",
        "SELECT tool_name, calls, errors,\n       \
         round(100 * tool_error_rate, 1) || '%' AS error_rate,\n       \
         round(100 * pass_rate_where_erred)::BIGINT || '%' AS passes_where_erred,\n       \
         round(100 * pass_rate_where_worked)::BIGINT || '%' AS passes_where_worked\n\
         FROM tool_health ORDER BY errors DESC LIMIT 5",
    ),
];

pub(super) async fn run(context: &Context, arguments: &DemoArguments) -> Result<Exit, Failure> {
    let folder = PathBuf::from(FOLDER);
    let birth = birth(&folder)?;
    let stop = stop_on_signal(COMMITTING);
    let simulator = start(SimulatorSettings {
        world: WorldSettings { runs: arguments.runs, ..WorldSettings::default() },
        birth: Some(birth),
        record_requests: false,
        ..SimulatorSettings::default()
    });
    let simulator = simulator.await?;
    let mut settings = parse(DEMO_FILE, Path::new("config/demo.toml"))?;
    settings.lake.path = absolute(&settings.lake.path)?;
    settings.duckdb.path = absolute(&settings.duckdb.path)?;
    let (lake, duckdb) = (settings.lake.path.clone(), settings.duckdb.path.clone());
    let page = report_path(&settings);
    let report_options = ReportOptions::new(&settings, &page, now().into())?;
    let key = ApiKey::new("amt_demo_key", "of the demo")?;
    let report = run_once(context, settings, simulator.base_url(), key, stop).await?;
    simulator.stop().await;
    if context.is_json() {
        context.print(&report, String::new)?;
        return finish(context, &report);
    }
    let lake_shown = shown(&lake);
    write_stdout(&summary(&report, &lake_shown, |path| shown(Path::new(path))))?;
    if report.stop.is_none() && report.delivery_error().is_none() {
        for (question, sql) in QUERIES {
            let (headings, rows) = query(&duckdb, sql)?;
            let headings: Vec<&str> = headings.iter().map(String::as_str).collect();
            write_stdout(&format!("\n{question}\n\n{}", render(&headings, &rows)))?;
        }
        let made = make_file(&report_options, &page).await?;
        write_stdout(&first_of(&made, &shown(&page)))?;
        write_stdout(&closing(&lake_shown, &shown(&duckdb)))?;
    }
    finish(context, &report)
}

/// Where the report is, and what it says first.
fn first_of(made: &Report, page: &str) -> String {
    let mut first = vec![made.headline.as_str()];
    first.extend(made.details.iter().map(String::as_str));
    format!("\nOpen the report in a browser: {page}\n\n  {}", first.join("\n  "))
}

fn closing(lake: &str, duckdb: &str) -> String {
    format!(
        "\nExplore the result:\n\
         \n  duckdb {duckdb} \"FROM run_overview LIMIT 10\"\
         \n  python3 -c \"import polars; print(polars.read_parquet('{lake}/runs/**/*.parquet'))\"\
         \n\nNext: run the demo again (it syncs only what happened since), or point it at your own\n\
         organization: set ARMATURE_API_URL and ARMATURE_API_KEY, then `armature-export sync`."
    )
}

/// The start of the demo's world. It is stored in the folder, so that the next demo continues with
/// the same world.
fn birth(folder: &Path) -> Result<DateTime<Utc>, Failure> {
    let file = folder.join("world-began.txt");
    let io = |error: std::io::Error| {
        let error = anyhow::Error::new(error);
        let error = error.context(format!("failed to write `{}`", file.display()));
        Failure::new(Exit::Storage, error)
    };
    if let Ok(text) = std::fs::read_to_string(&file)
        && let Ok(birth) = DateTime::parse_from_rfc3339(text.trim())
    {
        return Ok(birth.with_timezone(&Utc));
    }
    let birth = now();
    std::fs::create_dir_all(folder).map_err(io)?;
    std::fs::write(&file, birth.to_rfc3339()).map_err(io)?;
    Ok(birth)
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| Failure::new(Exit::Storage, error.into()))
}

/// A path for messages: relative to the current folder if it is below it.
fn shown(path: &Path) -> String {
    let here = std::path::absolute(".").unwrap_or_default();
    path.strip_prefix(here).unwrap_or(path).display().to_string()
}
