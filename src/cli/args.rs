//! What can be typed. The comments are what `--help` shows.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PathBufValueParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::{RangeChoice, ReportRange};
use crate::gate::Cost;
use crate::metrics::Dialect;
use crate::observe::LogFormat;
use crate::warehouse::LoadedCommit;

const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    a bug in this program
  2    wrong usage or configuration
  3    finished, but incomplete (failed runs, gaps, a run list that could not be proven complete);
       `gate`: inconclusive
  4    the API refused the key or its role
  5    the API is unreachable, or asked for a longer wait than allowed
  6    the lake or the DuckDB file is not writable, or is locked
  7    `gate`: too few runs passed, or a limit was exceeded
  130  interrupted

The API key is read from ARMATURE_API_KEY, or from the file that ARMATURE_API_KEY_FILE or the
configuration names; never from an argument, which other users of the machine could see.";

/// Export Armature run history into incremental Parquet and DuckDB files for BI tools.
#[derive(Debug, Parser)]
#[command(name = "armature-export", version, after_help = EXIT_CODES, max_term_width = 100)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) global: Global,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// Options that every command takes.
#[derive(Debug, Args)]
pub(super) struct Global {
    /// Configuration file.
    ///
    /// Without it, `armature-export.toml` in the working directory is read if it exists; otherwise
    /// the defaults apply. `init` writes one with every option explained.
    #[arg(long, value_name = "FILE", global = true, env = "ARMATURE_EXPORT_CONFIG")]
    pub(super) config: Option<PathBuf>,

    /// Format of the results on stdout: text for people, or one JSON value for programs.
    #[arg(long, value_name = "FORMAT", global = true, default_value = "text")]
    pub(super) output: OutputFormat,

    /// Log more to stderr; repeat for even more.
    ///
    /// Adds log lines and costs nothing else. Never shows the key or anything from a run.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(super) verbose: u8,

    /// Log less to stderr: errors only.
    #[arg(short, long, global = true, action = clap::ArgAction::Count, conflicts_with = "verbose")]
    pub(super) quiet: u8,

    /// Format of the log lines on stderr.
    ///
    /// `json` writes one object per line and turns the progress line off.
    #[arg(long, value_name = "FORMAT", global = true, default_value = "text")]
    pub(super) log_format: LogFormat,
}

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum OutputFormat {
    /// For people.
    Text,
    /// One JSON value.
    Json,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run one incremental sync and exit.
    ///
    /// Requests the list of runs and four documents for each run that ended since the last sync,
    /// and nothing for runs that are already exported. A sync that is killed loses only the last
    /// few seconds of work: the next one continues from there.
    Sync(SyncArguments),

    /// Estimate the requests, runs and time of a sync.
    ///
    /// Sends two requests and changes nothing. The time is estimated from the request rate of the
    /// last syncs.
    Plan(PlanArguments),

    /// Compare the lake with the runs that the API lists, run by run.
    ///
    /// Lists the last 30 days at one request per page, and changes nothing without --repair. Exit
    /// code 0 only if the list was proven complete and no run is missing, changed or failed.
    Reconcile(ReconcileArguments),

    /// Run as a service that syncs on a cron schedule.
    ///
    /// Runs one job at a time: a firing during a running job is skipped, and missed firings
    /// collapse into one. Also reconciles at night (`schedule.reconcile_cron`). Stops cleanly on
    /// SIGTERM and Ctrl-C: commits everything that is complete and exits with code 0; a second
    /// signal ends it at once. SIGHUP reloads the configuration.
    Schedule(ScheduleArguments),

    /// Check the health of a running `schedule`.
    ///
    /// Exit code 0 if its last good sync is fresh enough, 3 if it is stale or there was none yet,
    /// 5 if `schedule` does not respond.
    Ready(ReadyArguments),

    /// Check the key, API, mapping, lake and DuckDB file, with advice for each finding.
    ///
    /// Changes nothing. Sends about ten requests, and some more if the list is paged in an unusual
    /// way. Exit code 0 only if a sync would work.
    Doctor(DoctorArguments),

    /// Show what the lake holds, which time it covers, and what is missing.
    ///
    /// Makes no API requests.
    Status(TargetArguments),

    /// Write one HTML page with the metrics: what changed, why runs fail, tools, models, costs.
    ///
    /// The page is made from the lake, and needs no DuckDB file. It is one file without scripts, to
    /// open, print or send. It names workflows, versions, tools, criteria, models and runs; without
    /// --evidence it shows no text out of prompts, arguments, results or error messages. Makes no
    /// API requests.
    Report(ReportArguments),

    /// Print the data dictionary: every table and column with its type, meaning and source.
    Schema(SchemaArguments),

    /// List the data files of the commits after one, for loading them into a warehouse.
    ///
    /// Prints full paths or addresses, with the range of commits whose rows a load replaces, and
    /// the last commit of that range: record it, and pass it as --since the next time. A load that
    /// is repeated changes nothing, and merged files do no harm. Makes no API requests. Exit code 6
    /// if the lake ends before that commit.
    Changes(ChangesArguments),

    /// Bring the DuckDB file and the Iceberg tables up to date with the lake.
    ///
    /// Makes no API requests.
    Deliver(DeliverArguments),

    /// Regenerate all tables from the raw documents in the lake with the current mapping.
    ///
    /// Use it after changing `[[columns]]` or upgrading; it also covers runs that the API no longer
    /// returns. Makes no API requests. One commit replaces the data files
    /// of all earlier commits, so the disk must hold the tables twice while it is written.
    Replay(ReplayArguments),

    /// Merge the small Parquet files of past days into a few large ones.
    ///
    /// Commits one day at a time; rows do not change, so no rows are delivered to DuckDB. Safe to
    /// kill. In each table, readers never see both the old files of a day and the merged one; on
    /// file systems without an atomic exchange, rows of a day can be missing for a moment. The old
    /// files are kept, hidden from readers, for a day (`compact.grace_secs`). `schedule` can run it
    /// (`schedule.compact_cron`). Do not use it if another tool loads every new Parquet file once:
    /// it would load merged files again. `changes` lists files for loaders that can be merged.
    Compact(CompactArguments),

    /// Check the lake, its ledger and its targets for damage.
    ///
    /// Reads every byte and every row. Makes no API requests, and changes nothing without --repair.
    /// Exit code 0 only if everything was checked and nothing is wrong.
    Verify(VerifyArguments),

    /// Gate a deploy: run workflows now, and exit with 0 only if enough of the runs pass.
    ///
    /// Dispatches each workflow several times, waits until every run has ended and was evaluated,
    /// and prints a verdict per workflow and model. Needs a key with the role `editor`, except with
    /// --run. Exit code 0 for a pass, 7 for a fail, 3 if it is inconclusive: errors, missing
    /// evaluations and an exceeded --timeout are never a fail. Runs cost money, and go on at
    /// Armature when the gate is interrupted.
    Gate(GateArguments),

    /// Write a configuration file with every option explained.
    Init(InitArguments),

    /// Serve a simulated Armature API on loopback, for trials and for your own tests.
    ///
    /// Runs start, progress and end while it serves. The same seed gives the same runs. Any key
    /// that begins with `amt_` is accepted.
    Simulate(SimulateArguments),

    /// Run the whole pipeline against a built-in simulator: sync, lake, DuckDB, queries.
    ///
    /// Takes a few seconds and needs no account. Writes only into ./armature-demo. When run again,
    /// it syncs what happened in between.
    Demo(DemoArguments),

    /// Print completions for a shell.
    Completions {
        /// Shell to print completions for.
        shell: clap_complete::Shell,
    },

    /// Print a manual page, in the format that `man` reads.
    Man {
        /// Command to describe; without it, the page describes the whole program.
        command: Option<String>,
    },
}

/// Where the API is.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct ConnectionArguments {
    /// Base URL of the API, such as `https://your-org.armature.app/api/armature/v1`.
    ///
    /// Must be HTTPS, except on loopback. Overrides the configuration file.
    #[arg(long, value_name = "URL", env = "ARMATURE_API_URL")]
    pub(super) api_url: Option<String>,

    #[command(flatten)]
    pub(super) targets: TargetArguments,
}

fn local_path_parser() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(crate::config::local_path)
}

/// The longest duration that a gate takes as an option.
const WEEK: Duration = Duration::from_hours(7 * 24);

/// Reads durations such as `90s`, from `least` to `most`.
fn duration_between(
    least: Duration,
    most: Duration,
) -> impl Fn(&str) -> Result<Duration, String> + Clone {
    move |text| {
        let duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
        if (least..=most).contains(&duration) {
            return Ok(duration);
        }
        let (least, most) = (humantime::format_duration(least), humantime::format_duration(most));
        Err(format!("expected a duration from {least} to {most}"))
    }
}

fn lake_path_parser() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(crate::config::lake_path)
}

/// Where the data goes.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct TargetArguments {
    /// Folder for the Parquet files, or its address in an object store (default: `lake`).
    ///
    /// Overrides the configuration file. Addresses begin with `s3://`, `gs://` or `az://`.
    #[arg(long, value_name = "DIR", value_parser = lake_path_parser())]
    pub(super) lake: Option<PathBuf>,

    /// DuckDB file (default: `armature.duckdb`).
    ///
    /// Overrides the configuration file.
    #[arg(long, value_name = "FILE", value_parser = local_path_parser())]
    pub(super) duckdb: Option<PathBuf>,

    /// Copy of the DuckDB file for BI tools, replaced after each delivery (default: none).
    ///
    /// A program that has the copy open never delays a delivery. It reads the new data when it
    /// opens the file again. Overrides `duckdb.publish`.
    #[arg(long, value_name = "FILE", value_parser = local_path_parser())]
    pub(super) publish: Option<PathBuf>,
}

/// What `doctor` takes.
#[derive(Debug, Args)]
pub(super) struct DoctorArguments {
    #[command(flatten)]
    pub(super) connection: ConnectionArguments,

    /// Save the API's own description (`GET /openapi`) to this file, as a reference for
    /// response formats.
    #[arg(long, value_name = "FILE")]
    pub(super) save_openapi: Option<PathBuf>,
}

#[derive(Debug, Default, Args)]
pub(super) struct SyncArguments {
    #[command(flatten)]
    pub(super) connection: ConnectionArguments,

    /// How far back to list runs.
    ///
    /// `auto` takes the smallest range that includes all time not yet covered, and 30 days for the
    /// first sync. Any other range is listed in full again: that costs one request per hundred runs
    /// in it, and nothing for runs that are exported and unchanged.
    #[arg(long, value_name = "RANGE")]
    pub(super) range: Option<RangeChoice>,

    #[command(flatten)]
    pub(super) budget: BudgetArguments,
}

#[derive(Debug, Default, Args)]
pub(super) struct ReconcileArguments {
    #[command(flatten)]
    pub(super) connection: ConnectionArguments,

    /// Fetch what is missing, changed or failed with a sync over 30 days, then compare again.
    #[arg(long)]
    pub(super) repair: bool,
}

#[derive(Debug, Default, Args)]
pub(super) struct PlanArguments {
    #[command(flatten)]
    pub(super) connection: ConnectionArguments,

    /// How far back the sync would list, as for `sync`.
    #[arg(long, value_name = "RANGE")]
    pub(super) range: Option<RangeChoice>,
}

/// How many requests and how much time a sync may use.
#[derive(Debug, Default, Args)]
pub(super) struct BudgetArguments {
    /// Maximum number of requests of this sync, retries included.
    ///
    /// The newest runs are fetched first. When the budget is spent, the sync commits what is
    /// complete and exits with code 3. It must exceed the number of pages of the list, or no sync
    /// ever completes: `plan` shows both numbers.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) max_requests: Option<u64>,

    /// Maximum time for the API requests of this sync, such as `90s`, `10m` or `1h 30m`.
    ///
    /// When it has passed, the sync ends as with --max-requests. Loading into
    /// DuckDB runs afterwards and is not limited by it.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub(super) deadline: Option<std::time::Duration>,
}

#[derive(Clone, Debug, Args)]
pub(super) struct ScheduleArguments {
    #[command(flatten)]
    pub(super) connection: ConnectionArguments,

    /// Cron expression that says when to sync (default: every 15 minutes).
    ///
    /// As in a crontab: minute, hour, day of month, month, day of week; or `@hourly` and the like.
    /// Overrides `schedule.cron`, and turns off the reconcile and compact jobs of the configuration.
    #[arg(long, value_name = "EXPRESSION")]
    pub(super) cron: Option<String>,

    /// Address for /healthz, /readyz, /metrics and /report: a port of 127.0.0.1, or an address and
    /// a port.
    ///
    /// Off by default. The endpoints require no authentication: on an address that others can
    /// reach, anyone can read them. /report is the page of --report, and names workflows and runs.
    #[arg(long, value_name = "ADDRESS")]
    pub(super) listen: Option<String>,

    /// Write the page that `report` makes to this file after each sync.
    ///
    /// Off by default. Overrides `report.path`. A page that cannot be made is logged and counted,
    /// and does not fail the sync.
    #[arg(long, value_name = "FILE", value_parser = local_path_parser())]
    pub(super) report: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct ReadyArguments {
    /// Address that `schedule` listens on (default: 127.0.0.1:9464).
    ///
    /// Overrides the configuration file.
    #[arg(long, value_name = "ADDRESS")]
    pub(super) listen: Option<String>,

    /// Check only that the `schedule` process responds, not that the export is fresh.
    #[arg(long)]
    pub(super) alive: bool,
}

#[derive(Debug, Args)]
pub(super) struct ReportArguments {
    /// File to write the page to, or `-` for stdout (default: `armature-report.html`).
    ///
    /// Overrides the configuration file. An existing file is replaced in one step, so that a reader
    /// never finds part of a page. Its path is printed on stdout.
    #[arg(long, value_name = "FILE", value_parser = local_path_parser())]
    pub(super) out: Option<PathBuf>,

    /// How far back runs count (default: 30d).
    ///
    /// Overrides the configuration file. The range ends where the coverage does, so that a late
    /// sync makes no page empty. Versions are compared within the range.
    #[arg(long, value_name = "RANGE")]
    pub(super) range: Option<ReportRange>,

    /// Name or id of a workflow; repeat it for several (default: all workflows).
    #[arg(long = "workflow", value_name = "NAME")]
    pub(super) workflows: Vec<String>,

    /// Show text out of the latest runs that did not pass: error messages, and what the judge
    /// wrote.
    ///
    /// Each text is cut after 300 characters. It can contain anything that was in the run.
    #[arg(long)]
    pub(super) evidence: bool,

    #[command(flatten)]
    pub(super) targets: TargetArguments,
}

#[derive(Debug, Args)]
pub(super) struct SchemaArguments {
    /// Table to print; all tables if omitted. With `--metrics`, the view.
    pub(super) table: Option<String>,

    /// Print the metrics and the views that show them, in place of the tables.
    ///
    /// Each metric with its question, unit, formula and least sample. `--format sql` prints tables
    /// and metrics together and needs no `--metrics`.
    #[arg(long)]
    pub(super) metrics: bool,

    /// Load the changes in this file, as `changes` prints them; `-` for stdin.
    ///
    /// For the formats of warehouses: prints the statements of the load, in place of those that
    /// create tables and views. In one transaction, where the engine has that, they replace the
    /// rows of a range of commits, and record the load.
    #[arg(long, value_name = "FILE")]
    pub(super) load: Option<PathBuf>,

    /// Format of the data dictionary.
    ///
    /// The names of warehouses print statements that create the tables, views of the latest
    /// revision of every run, and the views of the metrics, or add what is missing. `sql` prints
    /// views over the lake's files for any DuckDB session: one per table, with only the latest revision of
    /// every run, and those of the metrics. `dbt` writes a dbt package with sources, staging models
    /// and the metrics into the folder that `--out` names. `--output json` is the same as `--format
    /// json`.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(super) format: SchemaFormat,

    /// Folder for the files of `--format dbt`.
    ///
    /// Is made if it is missing. Files of the same names are replaced, others stay.
    #[arg(long, value_name = "FOLDER")]
    pub(super) out: Option<PathBuf>,

    #[command(flatten)]
    pub(super) targets: TargetArguments,
}

/// How the data dictionary is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum SchemaFormat {
    /// For a terminal.
    Text,
    /// For documentation.
    Markdown,
    /// For programs.
    Json,
    /// Views over the lake.
    Sql,
    /// A dbt package, into the folder `--out`.
    Dbt,
    /// Tables and views in DuckDB.
    #[value(name = "duckdb")]
    DuckDb,
    /// Tables and views in PostgreSQL.
    Postgres,
    /// Tables and views in Snowflake.
    Snowflake,
    /// Tables and views in BigQuery.
    #[value(name = "bigquery")]
    BigQuery,
    /// Tables and views in Amazon Redshift.
    Redshift,
    /// Tables and views in Databricks.
    Databricks,
    /// Tables and views in ClickHouse.
    #[value(name = "clickhouse")]
    ClickHouse,
}

impl SchemaFormat {
    /// The engine of a format that prints SQL for a warehouse.
    pub(super) fn warehouse(self) -> Option<Dialect> {
        match self {
            Self::Text | Self::Markdown | Self::Json | Self::Sql | Self::Dbt => None,
            Self::DuckDb => Some(Dialect::DuckDb),
            Self::Postgres => Some(Dialect::Postgres),
            Self::Snowflake => Some(Dialect::Snowflake),
            Self::BigQuery => Some(Dialect::BigQuery),
            Self::Redshift => Some(Dialect::Redshift),
            Self::Databricks => Some(Dialect::Databricks),
            Self::ClickHouse => Some(Dialect::ClickHouse),
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct ChangesArguments {
    /// The last commit that the warehouse has; 0 for everything.
    ///
    /// With its name, as in `41:00000041-…`, a lake that was restored from an older copy and has a
    /// commit of that number again is refused with exit code 6.
    #[arg(long, value_name = "COMMIT[:NAME]")]
    pub(super) since: LoadedCommit,

    /// The last commit to list (default: the newest).
    ///
    /// For lists that are made one after the other, such as one per table. Refused with exit code 6
    /// if a later commit replaced rows of that range.
    #[arg(long, value_name = "COMMIT")]
    pub(super) until: Option<u64>,

    /// Only this table.
    #[arg(long)]
    pub(super) table: Option<String>,

    /// Format of the list.
    ///
    /// Other formats than `json` name the last commit on stderr only.
    #[arg(long, value_name = "FORMAT", default_value = "json")]
    pub(super) format: ChangesFormat,

    #[command(flatten)]
    pub(super) targets: TargetArguments,
}

/// How changes are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ChangesFormat {
    /// Everything that a loader needs
    Json,
    /// A manifest for COPY of Amazon Redshift, of one table
    Redshift,
    /// One path or address per line
    Files,
}

#[derive(Debug, Args)]
pub(super) struct DeliverArguments {
    #[command(flatten)]
    pub(super) targets: TargetArguments,

    /// Rebuild the targets from the whole lake.
    ///
    /// A new DuckDB file is written beside the old one and replaces it at the end. Takes as long as
    /// reading the lake. Processes that have the old file open keep reading it. Iceberg tables get
    /// new metadata, without earlier snapshots and without rows that other programs added.
    #[arg(long)]
    pub(super) rebuild: bool,
}

#[derive(Debug, Args)]
pub(super) struct ReplayArguments {
    #[command(flatten)]
    pub(super) targets: TargetArguments,

    /// Show how many runs, rows and bytes would be written, and change nothing.
    ///
    /// Takes as long as a replay.
    #[arg(long)]
    pub(super) dry_run: bool,
}

#[derive(Debug, Args)]
pub(super) struct CompactArguments {
    #[command(flatten)]
    pub(super) targets: TargetArguments,

    /// Drop the rows of earlier revisions.
    ///
    /// For runs that were exported again, only the latest rows stay in the lake, as in DuckDB. The
    /// dropped rows are gone for good after the grace time.
    #[arg(long)]
    pub(super) drop_older_revisions: bool,

    /// Show how many files would be merged, and change nothing.
    #[arg(long)]
    pub(super) dry_run: bool,
}

#[derive(Debug, Args)]
pub(super) struct VerifyArguments {
    #[command(flatten)]
    pub(super) targets: TargetArguments,

    /// Repair what can be repaired without the API, report each repair, and check again.
    ///
    /// Nothing that holds rows is deleted.
    #[arg(long)]
    pub(super) repair: bool,

    /// With --repair, also drop missing and damaged data files that cannot be rebuilt from the
    /// `documents` table.
    ///
    /// The next sync fetches their runs again, as far as the API still has them.
    #[arg(long, requires = "repair")]
    pub(super) drop_parts: bool,
}

#[derive(Debug, Args)]
pub(super) struct GateArguments {
    /// Workflows to run, by id or exact name.
    #[arg(value_name = "WORKFLOW", required_unless_present = "runs", conflicts_with = "runs")]
    pub(super) workflows: Vec<String>,

    /// Judge this run instead of dispatching any; repeat for several.
    ///
    /// A viewer's key is enough.
    #[arg(long = "run", value_name = "ID")]
    pub(super) runs: Vec<String>,

    /// How often each workflow is dispatched. A workflow with several models runs on each of them.
    #[arg(long, value_name = "NUMBER", default_value_t = 3,
        value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(super) repeat: u32,

    /// How many repetitions must pass, for each model (default: two thirds, rounded up).
    ///
    /// docs/GATE.md says how often a gate then fails by chance.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) min_passes: Option<u32>,

    /// Fail if a passed run costs more than this, in the unit of the API.
    ///
    /// The cost of all judged runs, divided by the passed ones.
    #[arg(long, value_name = "COST", value_parser = Cost::parse)]
    pub(super) max_cost_per_pass: Option<Cost>,

    /// Fail if the 95th percentile of the runs' duration is longer, such as `90s` or `5m`.
    ///
    /// Of fewer than 20 runs, it is the longest.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub(super) max_p95: Option<std::time::Duration>,

    /// What to compare the pass rate with.
    ///
    /// `lake` compares with earlier runs of the same workflow, model and harness in the lake, if
    /// there is one.
    #[arg(long, value_name = "SOURCE", default_value = "lake")]
    pub(super) baseline: BaselineChoice,

    /// How many days back earlier runs count.
    #[arg(long, value_name = "DAYS", default_value_t = 14,
        value_parser = clap::value_parser!(u32).range(1..=3650))]
    pub(super) baseline_days: u32,

    /// Fail if the pass rate is significantly below that of earlier runs.
    ///
    /// Fisher's exact test, one-sided, at the 5 % level. Without this option it is only told. With
    /// it, the lake must be readable.
    #[arg(long)]
    pub(super) baseline_blocks: bool,

    /// Maximum time for all runs, such as `45m`; what is open then is inconclusive.
    ///
    /// At most 7 days. Reading the lake afterwards has two minutes of its own.
    #[arg(long, value_name = "DURATION", default_value = "45m",
        value_parser = duration_between(Duration::ZERO, WEEK))]
    pub(super) timeout: std::time::Duration,

    /// How long after its end a run waits for its evaluation.
    ///
    /// At most 7 days.
    #[arg(long, value_name = "DURATION", default_value = "10m",
        value_parser = duration_between(Duration::ZERO, WEEK))]
    pub(super) evaluation_grace: std::time::Duration,

    /// First pause between two looks at the runs; it grows to 15 times as long.
    ///
    /// From 100 ms to 1 hour.
    #[arg(long, value_name = "DURATION", default_value = "2s",
        value_parser = duration_between(Duration::from_millis(100), Duration::from_hours(1)))]
    pub(super) poll_interval: std::time::Duration,

    /// Exit code for an inconclusive verdict: 0 with `pass`, 7 with `fail` (default: 3).
    #[arg(long, value_name = "VERDICT")]
    pub(super) inconclusive: Option<InconclusiveChoice>,

    /// Write the report as JUnit XML to this file.
    #[arg(long, value_name = "FILE", value_parser = local_path_parser())]
    pub(super) junit: Option<PathBuf>,

    /// Write the report as Markdown to this file.
    ///
    /// GitHub's step summary is written in any case where `GITHUB_STEP_SUMMARY` is set.
    #[arg(long, value_name = "FILE", value_parser = local_path_parser())]
    pub(super) markdown: Option<PathBuf>,

    /// Show why the judge graded as it did, and error messages of runs.
    ///
    /// These texts can hold data of the runs: by default no report has them.
    #[arg(long)]
    pub(super) evidence: bool,

    /// Identify this gate, in place of the CI job and step.
    ///
    /// Dispatches of a gate with the same identity return the runs of the first one, as far as the
    /// API honours idempotency keys.
    #[arg(long, value_name = "TEXT")]
    pub(super) idempotency_key: Option<String>,

    #[command(flatten)]
    pub(super) connection: ConnectionArguments,
}

/// What a gate compares with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum BaselineChoice {
    /// Earlier runs in the lake.
    Lake,
    /// Nothing.
    None,
}

/// What an inconclusive verdict counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum InconclusiveChoice {
    /// A pass.
    Pass,
    /// A fail.
    Fail,
}

#[derive(Debug, Args)]
pub(super) struct InitArguments {
    /// Where to write the file; an existing file is left unchanged.
    #[arg(default_value = "armature-export.toml", value_parser = local_path_parser())]
    pub(super) path: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct SimulateArguments {
    /// Port on 127.0.0.1; 0 takes any free port.
    #[arg(long, default_value_t = 8787)]
    pub(super) port: u16,

    /// TOML file with the faults to inject.
    ///
    /// Faults are lists that change while they are read, runs with unusual histories, and requests
    /// that fail. config/faults.toml in the source explains every option. The options below
    /// override the file.
    #[arg(long, value_name = "FILE")]
    pub(super) faults: Option<PathBuf>,

    /// Seed of the simulated runs; the same seed gives the same runs (default: 7).
    #[arg(long)]
    pub(super) seed: Option<u64>,

    /// Number of runs in the past days (default: 1000).
    ///
    /// A hundred thousand cost little: bodies are generated on request.
    #[arg(long)]
    pub(super) runs: Option<u32>,

    /// Number of past days with runs (default: 29).
    #[arg(long)]
    pub(super) days: Option<f64>,

    /// Mean time between new runs while it serves, in seconds; 0 for no new runs (default: 20).
    #[arg(long, value_name = "SECONDS")]
    pub(super) seconds_between_runs: Option<f64>,

    /// Role of every key: `viewer`, `editor`, `admin` or `owner`.
    ///
    /// A viewer's key cannot dispatch runs, as `gate` does.
    #[arg(long, default_value = "viewer")]
    pub(super) role: String,

    /// Delay before each response, in milliseconds.
    #[arg(long, default_value_t = 0, value_name = "MS")]
    pub(super) latency_ms: u64,

    /// JSON key under which a list's rows are returned (default: `rows`).
    #[arg(long)]
    pub(super) envelope: Option<EnvelopeChoice>,

    /// Casing of member names (default: `snake`).
    #[arg(long)]
    pub(super) casing: Option<CasingChoice>,

    /// Number of the first page (default: 1).
    #[arg(long, value_parser = clap::value_parser!(u32).range(0..=1))]
    pub(super) page_base: Option<u32>,
}

/// The envelope of lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum EnvelopeChoice {
    /// `{"rows": []}`
    Rows,
    /// `{"runs": []}`
    Runs,
    /// `{"data": []}`
    Data,
    /// `{"items": []}`
    Items,
    /// `{"results": []}`
    Results,
    /// `[]`
    Bare,
}

/// The spelling of members.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum CasingChoice {
    /// `started_at`
    Snake,
    /// `startedAt`
    Camel,
}

#[derive(Debug, Args)]
pub(super) struct DemoArguments {
    /// Number of runs in the past 29 days.
    #[arg(long, default_value_t = 600)]
    pub(super) runs: u32,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_option_says_what_it_is_for() {
        let mut command = Arguments::command();
        command.build();
        let mut commands = vec![&command];
        while let Some(command) = commands.pop() {
            for argument in command.get_arguments() {
                assert!(
                    argument.get_help().is_some(),
                    "{} {}",
                    command.get_name(),
                    argument.get_id()
                );
            }
            commands.extend(command.get_subcommands().filter(|sub| sub.get_name() != "help"));
        }
    }
}
