//! What every command needs: settings, output, events, and the stop signal.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use tokio::sync::watch;

use super::args::{ConnectionArguments, Global, OutputFormat, TargetArguments};
use crate::config::{ApiKey, Settings, StoreUrl, check_path, load};
use crate::event::Events;
use crate::failure::{Exit, Failure};
use crate::observe::{LogFormat, Progress, Verbosity, events, start_log};

/// The configuration file that is read if none is named and it exists.
const USUAL_FILE: &str = "armature-export.toml";

/// What every command needs.
#[derive(Clone, Debug)]
pub(super) struct Context {
    pub(super) settings: Settings,
    /// The path of the configuration file, if there is one.
    path: Option<PathBuf>,
    output: OutputFormat,
    quiet: bool,
    shows_progress: bool,
}

impl Context {
    pub(super) fn new(global: &Global) -> Result<Self, Failure> {
        let verbosity = i16::from(global.verbose) - i16::from(global.quiet);
        start_log(Verbosity(verbosity), global.log_format, stderr_has_colour());
        let path = match &global.config {
            Some(path) => Some(path.clone()),
            None => Some(PathBuf::from(USUAL_FILE)).filter(|path| path.is_file()),
        };
        let settings = path.as_deref().map(load).transpose()?.unwrap_or_default();
        set_umask(&settings);
        Ok(Self {
            settings,
            path,
            output: global.output,
            quiet: global.quiet > 0,
            shows_progress: std::io::stderr().is_terminal()
                && global.log_format == LogFormat::Text
                && verbosity == 0,
        })
    }

    /// The same context with the configuration file read again.
    pub(super) fn reread(&self) -> Result<Self, Failure> {
        let settings = self.path.as_deref().map(load).transpose()?.unwrap_or_default();
        Ok(Self { settings, ..self.clone() })
    }

    /// The settings with command-line arguments applied.
    pub(super) fn targets(&self, arguments: &TargetArguments) -> Settings {
        let mut settings = self.settings.clone();
        if let Some(lake) = &arguments.lake {
            settings.lake.path.clone_from(lake);
        }
        if let Some(duckdb) = &arguments.duckdb {
            settings.duckdb.path.clone_from(duckdb);
            settings.duckdb.enabled = true;
        }
        if StoreUrl::of_path(&settings.lake.path).is_none() {
            settings.lake.path = absolute(&settings.lake.path);
        }
        if let Some(publish) = &arguments.publish {
            settings.duckdb.publish = Some(publish.clone());
        }
        settings.duckdb.path = absolute(&settings.duckdb.path);
        settings.duckdb.publish = settings.duckdb.publish.as_deref().map(absolute);
        settings.report.path = settings.report.path.as_deref().map(absolute);
        settings
    }

    /// The settings, the API's URL and the key.
    pub(super) fn connection(
        &self,
        arguments: &ConnectionArguments,
    ) -> Result<(Settings, String, ApiKey), Failure> {
        let (settings, url) = self.service(arguments)?;
        let key = Self::key(&settings)?;
        if !key.looks_right() {
            tracing::warn!("the API key does not begin with `amt_`, as Armature's keys do");
        }
        Ok((settings, url, key))
    }

    /// The settings and the API's URL.
    pub(super) fn service(
        &self,
        arguments: &ConnectionArguments,
    ) -> Result<(Settings, String), Failure> {
        let settings = self.targets(&arguments.targets);
        let url = arguments.api_url.clone().or_else(|| settings.api.url.clone());
        let url = url.filter(|url| !url.trim().is_empty()).ok_or_else(|| {
            Failure::usage(
                "no API URL was given",
                "set ARMATURE_API_URL, or api.url in the configuration; `armature-export demo` needs none",
            )
        })?;
        Ok((settings, url))
    }

    /// The key, from the environment or from the file that the settings name.
    pub(super) fn key(settings: &Settings) -> Result<ApiKey, Failure> {
        let file = key_file_from_environment();
        if let Some(Err(problem)) = file.as_deref().map(check_path) {
            return Err(Failure::usage(
                format!("ARMATURE_API_KEY_FILE {problem}"),
                "give the full path of the file that holds the key",
            ));
        }
        let file = file.or_else(|| settings.api.key_file.clone());
        Ok(ApiKey::find(key_from_environment(), file.as_deref())?)
    }

    /// Whether work shows a progress line.
    pub(super) fn shows_progress(&self) -> bool {
        self.shows_progress
    }

    /// An event receiver for one operation, and its progress line if one is shown.
    pub(super) fn events(&self) -> (Events, Option<Arc<Progress>>) {
        let progress = self.shows_progress.then(|| Arc::new(Progress::start()));
        (events(progress.clone()), progress)
    }

    pub(super) fn is_json(&self) -> bool {
        self.output == OutputFormat::Json
    }

    /// Prints a result on stdout: as a JSON value or as text, depending on `--output`.
    pub(super) fn print(
        &self,
        value: &impl Serialize,
        text: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        let text = if self.is_json() {
            let json = serde_json::to_string_pretty(value);
            json.map_err(|error| Failure::new(Exit::Bug, error.into()))?
        } else {
            text()
        };
        write_stdout(&text)
    }

    /// Prints a note on stderr that is neither a result nor a log line, unless `--quiet` is set.
    #[expect(clippy::print_stderr, reason = "talk goes to stderr")]
    pub(super) fn eprint_note(&self, text: &str) {
        if !self.quiet {
            eprintln!("{text}");
        }
    }
}

/// Sets the umask from the configuration. It applies to everything that this process creates from
/// now on: lake, DuckDB file, and the files of libraries beside them.
fn set_umask(settings: &Settings) {
    #[cfg(unix)]
    if let Some(umask) = settings.lake.access.umask() {
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(umask));
    }
    #[cfg(not(unix))]
    let _ = settings;
}

/// Prints on stdout. A closed pipe, as with `head`, is not a failure.
pub(super) fn write_stdout(text: &str) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    let written = writeln!(stdout, "{}", text.trim_end_matches('\n')).and_then(|()| stdout.flush());
    match written {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            let error = anyhow::Error::new(error).context("failed to print the result");
            Err(Failure::new(Exit::Storage, error))
        }
        _ => Ok(()),
    }
}

/// Whether output on stderr is colored.
pub(super) fn stderr_has_colour() -> bool {
    #[expect(clippy::disallowed_methods, reason = "a convention of terminals, not configuration")]
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    std::io::stderr().is_terminal() && !refused
}

/// This machine's clock.
#[expect(clippy::disallowed_methods, reason = "the one look at this machine's clock")]
pub(super) fn now() -> DateTime<Utc> {
    Utc::now()
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the key's variable")]
fn key_from_environment() -> Option<String> {
    std::env::var("ARMATURE_API_KEY").ok()
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the variable")]
fn key_file_from_environment() -> Option<PathBuf> {
    std::env::var_os("ARMATURE_API_KEY_FILE").filter(|file| !file.is_empty()).map(PathBuf::from)
}

/// A path from the root, for messages and for work that goes on in another folder.
pub(super) fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// What is logged at a stop of a command that commits.
pub(super) const COMMITTING: &str = "stopping: committing what is complete";

/// The signal for a graceful shutdown: becomes true on the first Ctrl-C or SIGTERM. The second one ends the process
/// immediately, which is safe at any moment: an unfinished commit is finished or discarded when the
/// lake is next opened.
pub(super) fn stop_on_signal(words: &'static str) -> watch::Receiver<bool> {
    let (send, receive) = watch::channel(false);
    let mut signals = Signals::listen();
    tokio::spawn(async move {
        signals.next().await;
        tracing::warn!("{words} (send the signal again to stop at once)");
        send.send_replace(true);
        signals.next().await;
        #[expect(clippy::exit, reason = "the second signal means now; the lake is safe by design")]
        std::process::exit(Exit::Interrupted.code().into());
    });
    receive
}

/// Ends the process if a graceful shutdown takes longer than `schedule.stop_secs`. This is safe at any moment;
/// runs that are not committed are fetched again.
pub(super) fn force_exit_after(settings: &Settings, mut stop: watch::Receiver<bool>) {
    let within = Duration::from_secs(settings.schedule.stop_secs);
    tokio::spawn(async move {
        if stop.wait_for(|stop| *stop).await.is_err() {
            return;
        }
        tokio::time::sleep(within).await;
        tracing::error!(
            "stopping takes longer than {within:?} (schedule.stop_secs): ending at once; committed data is kept"
        );
        #[expect(clippy::exit, reason = "whoever stops it expects it to end")]
        std::process::exit(Exit::Interrupted.code().into());
    });
}

/// Streams of Ctrl-C and SIGTERM. They are registered once, so that no signal is lost between two
/// calls of [`Signals::next`].
struct Signals {
    #[cfg(unix)]
    streams: Option<[tokio::signal::unix::Signal; 2]>,
}

impl Signals {
    fn listen() -> Self {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            let streams = [signal(SignalKind::interrupt()), signal(SignalKind::terminate())];
            // If handlers cannot be registered, signals end the process, as by default.
            let streams = match streams {
                [Ok(interrupt), Ok(terminate)] => Some([interrupt, terminate]),
                _ => None,
            };
            Self { streams }
        }
        #[cfg(not(unix))]
        Self {}
    }

    async fn next(&mut self) {
        #[cfg(unix)]
        if let Some([interrupt, terminate]) = &mut self.streams {
            tokio::select! {
                Some(()) = interrupt.recv() => return,
                Some(()) = terminate.recv() => return,
                else => {}
            }
        }
        #[cfg(not(unix))]
        if tokio::signal::ctrl_c().await.is_ok() {
            return;
        }
        std::future::pending::<()>().await;
    }
}
