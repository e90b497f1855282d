//! What can be typed. The comments are what `--help` shows.

use std::path::PathBuf;

use clap::builder::{PathBufValueParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::RangeChoice;
use crate::observe::LogFormat;

const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    a bug in this program
  2    wrong usage or configuration
  3    finished, but incomplete (failed runs, gaps, a list that could not be relied on)
  4    the API refused (key, role)
  5    the API is unreachable, or asked for more patience than allowed
  6    the lake or the DuckDB file is not writable, or locked
  130  interrupted

The API key comes from ARMATURE_API_KEY, or from a file that ARMATURE_API_KEY_FILE or the
configuration names; never from an argument, where other users of the machine could see it.";

/// Exports Armature run history into incremental Parquet and DuckDB files for BI tools.
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
    /// The configuration file. Without it, `armature-export.toml` in this folder is taken if it
    /// is there, and else the defaults. `init` writes one with every option explained.
    #[arg(long, value_name = "FILE", global = true, env = "ARMATURE_EXPORT_CONFIG")]
    pub(super) config: Option<PathBuf>,

    /// How results are printed on stdout: for people, or as one JSON value for programs.
    #[arg(long, value_name = "FORMAT", global = true, default_value = "text")]
    pub(super) output: OutputFormat,

    /// Says more on stderr; twice for even more. Costs nothing but lines; never shows the key or
    /// anything out of a run.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(super) verbose: u8,

    /// Says less on stderr: errors only.
    #[arg(short, long, global = true, action = clap::ArgAction::Count, conflicts_with = "verbose")]
    pub(super) quiet: u8,

    /// How log lines on stderr look. `json` has one object a line, and turns progress off.
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
    /// Exports what is new, once, and exits.
    ///
    /// Asks the API for the list of runs and four documents for each run that ended since the
    /// last time; nothing for runs that are exported already. A sync that is killed costs nothing
    /// but the last few seconds' work: the next one goes on from there.
    Sync(SyncArguments),

    /// Shows what a sync would ask for: requests, runs, and the time at the rate of the last syncs.
    ///
    /// Asks for two requests, and changes nothing.
    Plan(PlanArguments),

    /// Compares the lake with all that the API lists, run by run.
    ///
    /// Lists the last 30 days, for one request per page, and changes nothing. Exit code 0 only
    /// where the list can be relied on and nothing is missing, changed or failed.
    Reconcile(ReconcileArguments),

    /// Stays up and syncs by a cron expression.
    ///
    /// One job at a time; a firing that falls into a running one is skipped, and missed ones
    /// collapse to one. Besides syncing it reconciles at night (`schedule.reconcile_cron`). Ends
    /// cleanly on SIGTERM and Ctrl-C, with exit code 0 and everything complete until then
    /// committed; a second signal ends it at once. SIGHUP reads the configuration again.
    Schedule(ScheduleArguments),

    /// Asks a running `schedule` how it stands, for health checks.
    ///
    /// Exit code 0 if its last good sync is fresh enough, 3 if it is stale or there was none yet,
    /// 5 if nobody answers.
    Ready(ReadyArguments),

    /// Checks key, API, mapping, lake and DuckDB file, and says what to do about each finding.
    ///
    /// Changes nothing. Sends about ten requests; some more where the list is paged in an unusual
    /// way. Exit code 0 only where a sync would work.
    Doctor(DoctorArguments),

    /// Shows what the lake holds, how far it is proven, and what is missing. Asks the API nothing.
    Status(TargetArguments),

    /// Prints the data dictionary: every table and column, its type, meaning and source.
    Schema(SchemaArguments),

    /// Brings the DuckDB file up to date with the lake. Asks the API nothing.
    Deliver(DeliverArguments),

    /// Makes all tables again from the raw documents in the lake, with today's mapping.
    ///
    /// For when `[[columns]]` or a newer version maps a body better than before: it also reaches
    /// runs that the API has forgotten. Asks the API nothing. One commit replaces the parts of all
    /// commits before, so the disk needs room for the tables twice while it is made.
    Replay(ReplayArguments),

    /// Merges the small Parquet files of days that are over into few large ones.
    ///
    /// A day at a time, as one commit each; rows stay as they are, and DuckDB needs nothing of it.
    /// Safe to kill. Readers see the old files of a day or the new one, never both; the old ones
    /// are kept out of sight for a day (`compact.grace_secs`). `schedule` can do it
    /// (`schedule.compact_cron`). Not for lakes whose every new file is loaded once somewhere.
    Compact(CompactArguments),

    /// Looks over the lake, its ledger and the DuckDB file, and says what is not as it must be.
    ///
    /// Reads every byte and every row; asks the API nothing, and changes nothing without --repair.
    /// Ends with 0 only where all is well.
    Verify(VerifyArguments),

    /// Writes a configuration file with every option explained.
    Init(InitArguments),

    /// Serves a fake Armature API on loopback, for trying things out and for your own tests.
    ///
    /// Its world lives: runs start, run and end while it serves. The same seed gives the same
    /// world. Any key that begins with `amt_` is accepted.
    Simulate(SimulateArguments),

    /// Shows it all in a few seconds, without an account: simulator, sync, lake, DuckDB, queries.
    ///
    /// Writes into ./armature-demo only. Run again, it syncs what happened in between.
    Demo(DemoArguments),

    /// Prints completions for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// Where the API is.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct ConnectionArguments {
    /// The API's base URL, such as `https://your-org.armature.app/api/armature/v1`. HTTPS, except
    /// on loopback. Goes before the configuration.
    #[arg(long, value_name = "URL", env = "ARMATURE_API_URL")]
    pub(super) api_url: Option<String>,

    #[command(flatten)]
    pub(super) targets: TargetArguments,
}

fn local_path_parser() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(crate::config::local_path)
}

/// Where the data goes.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct TargetArguments {
    /// The folder for the Parquet files. Goes before the configuration (default: `lake`).
    #[arg(long, value_name = "DIR", value_parser = local_path_parser())]
    pub(super) lake: Option<PathBuf>,

    /// The DuckDB file. Goes before the configuration (default: `armature.duckdb`).
    #[arg(long, value_name = "FILE", value_parser = local_path_parser())]
    pub(super) duckdb: Option<PathBuf>,
}

/// What `doctor` takes.
#[derive(Debug, Args)]
pub(super) struct DoctorArguments {
    #[command(flatten)]
    pub(super) connection: ConnectionArguments,

    /// Save the API's own description (`GET /openapi`) as this file, to look up what a body holds.
    #[arg(long, value_name = "FILE")]
    pub(super) save_openapi: Option<PathBuf>,
}

#[derive(Debug, Default, Args)]
pub(super) struct SyncArguments {
    #[command(flatten)]
    pub(super) connection: ConnectionArguments,

    /// How far back to list. `auto` takes the smallest range that covers what is not yet proven,
    /// and 30 days the first time. A range that is named is listed whole again, for one request
    /// per hundred runs in it, and nothing for runs that are exported and unchanged.
    #[arg(long, value_name = "RANGE")]
    pub(super) range: Option<RangeChoice>,

    #[command(flatten)]
    pub(super) budget: BudgetArguments,
}

#[derive(Debug, Default, Args)]
pub(super) struct ReconcileArguments {
    #[command(flatten)]
    pub(super) connection: ConnectionArguments,

    /// Fetches what is missing, changed or failed, by a sync over 30 days, and compares again.
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

/// How much a sync may ask for.
#[derive(Debug, Default, Args)]
pub(super) struct BudgetArguments {
    /// Requests that this sync may send, retries included. Newest runs come first; where it is
    /// spent, what is complete is committed, and the exit code is 3. Give it more than the list
    /// has pages, or no sync comes to its end: `plan` shows both.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) max_requests: Option<u64>,

    /// How long this sync may ask the API, such as `90s`, `10m` or `1h 30m`; otherwise as for
    /// --max-requests. Bringing DuckDB up to date comes after it.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub(super) deadline: Option<std::time::Duration>,
}

#[derive(Clone, Debug, Args)]
pub(super) struct ScheduleArguments {
    #[command(flatten)]
    pub(super) connection: ConnectionArguments,

    /// When to sync, as in a crontab: minute, hour, day of month, month, day of week. Also
    /// `@hourly` and the like. Goes before the configuration (default: every 15 minutes), and
    /// turns its other jobs off.
    #[arg(long, value_name = "EXPRESSION")]
    pub(super) cron: Option<String>,

    /// Where to serve /healthz, /readyz and /metrics: a port of 127.0.0.1, or an address and a
    /// port. Nowhere by default. On an address that others reach, anyone can read them.
    #[arg(long, value_name = "ADDRESS")]
    pub(super) listen: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct ReadyArguments {
    /// Where it listens. Goes before the configuration (default: 127.0.0.1:9464).
    #[arg(long, value_name = "ADDRESS")]
    pub(super) listen: Option<String>,

    /// Asks only whether it is alive, not whether the export is fresh.
    #[arg(long)]
    pub(super) alive: bool,
}

#[derive(Debug, Args)]
pub(super) struct SchemaArguments {
    /// One table; without it, all of them.
    pub(super) table: Option<String>,

    /// How to print it. `sql` gives views over the lake's files for any DuckDB session, each with
    /// the latest revision of every run only. `--output json` is the same as `--format json`.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(super) format: SchemaFormat,

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
}

#[derive(Debug, Args)]
pub(super) struct DeliverArguments {
    #[command(flatten)]
    pub(super) targets: TargetArguments,

    /// Makes the file again from the whole lake, beside the old one, and puts it in its place at
    /// the end. Takes as long as reading the lake; readers keep what they have open.
    #[arg(long)]
    pub(super) rebuild: bool,
}

#[derive(Debug, Args)]
pub(super) struct ReplayArguments {
    #[command(flatten)]
    pub(super) targets: TargetArguments,

    /// Shows how many runs, rows and bytes it would write, and changes nothing. Takes as long as
    /// a replay.
    #[arg(long)]
    pub(super) dry_run: bool,
}

#[derive(Debug, Args)]
pub(super) struct CompactArguments {
    #[command(flatten)]
    pub(super) targets: TargetArguments,

    /// Leaves out rows of earlier revisions: of runs that were exported again, only the latest
    /// rows stay in the lake, as DuckDB has them. They are gone for good after the grace time.
    #[arg(long)]
    pub(super) drop_older_revisions: bool,

    /// Shows how many files it would merge, and changes nothing.
    #[arg(long)]
    pub(super) dry_run: bool,
}

#[derive(Debug, Args)]
pub(super) struct VerifyArguments {
    #[command(flatten)]
    pub(super) targets: TargetArguments,

    /// Mends what can be mended without the API, says what it did, and looks again. Nothing that
    /// holds rows is deleted.
    #[arg(long)]
    pub(super) repair: bool,

    /// With --repair, also gives up missing and damaged parts that cannot be made again from
    /// `documents`. The next sync fetches their runs again, as far as the API still has them.
    #[arg(long, requires = "repair")]
    pub(super) drop_parts: bool,
}

#[derive(Debug, Args)]
pub(super) struct InitArguments {
    /// Where to write it. A file that is there already stays as it is.
    #[arg(default_value = "armature-export.toml", value_parser = local_path_parser())]
    pub(super) path: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct SimulateArguments {
    /// The port on 127.0.0.1; 0 takes any that is free.
    #[arg(long, default_value_t = 8787)]
    pub(super) port: u16,

    /// A TOML file that says what goes wrong: lists that move, runs that live oddly, requests that
    /// fail. The source has one with every option explained, config/faults.toml. The options below
    /// go before it.
    #[arg(long, value_name = "FILE")]
    pub(super) faults: Option<PathBuf>,

    /// The same seed gives the same world (default: 7).
    #[arg(long)]
    pub(super) seed: Option<u64>,

    /// Runs in the past days (default: 1000). A hundred thousand cost little: bodies are made when
    /// asked for.
    #[arg(long)]
    pub(super) runs: Option<u32>,

    /// How many days that past is long (default: 29).
    #[arg(long)]
    pub(super) days: Option<f64>,

    /// How often a new run starts while it serves, in seconds on average; 0 for never (default:
    /// 20).
    #[arg(long, value_name = "SECONDS")]
    pub(super) seconds_between_runs: Option<f64>,

    /// A wait before each answer, in milliseconds.
    #[arg(long, default_value_t = 0, value_name = "MS")]
    pub(super) latency_ms: u64,

    /// The member that holds a list's rows (default: `rows`).
    #[arg(long)]
    pub(super) envelope: Option<EnvelopeChoice>,

    /// The spelling of members (default: `snake`).
    #[arg(long)]
    pub(super) casing: Option<CasingChoice>,

    /// The number of the first page (default: 1).
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
    /// Runs in the past 29 days.
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
