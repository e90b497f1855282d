//! Log lines, on stderr.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::time::ChronoUtc;

/// The format of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line, for collectors.
    Json,
}

/// The log level: -2 and less is off, -1 errors, 0 milestones, 1 and more debugging.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verbosity(pub i16);

impl Verbosity {
    fn filter(self) -> &'static str {
        match self.0 {
            i16::MIN..=-2 => "off",
            -1 => "error",
            0 => "warn,armature_export=info",
            1 => "warn,armature_export=debug",
            2 => "info,armature_export=trace",
            3.. => "debug,armature_export=trace",
        }
    }
}

/// Starts logging for this process. Only the first call has an effect.
pub fn start_log(verbosity: Verbosity, format: LogFormat, colour: bool) {
    let filter = EnvFilter::new(verbosity.filter());
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Json => builder
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_timer(ChronoUtc::rfc_3339())
            .try_init(),
        LogFormat::Text => builder
            .with_ansi(colour)
            .with_target(false)
            .with_timer(ChronoUtc::new("%H:%M:%S".to_owned()))
            .try_init(),
    };
    if let Err(error) = started {
        tracing::debug!("logging was started before: {error}");
    }
}
