//! The figures as a table, and where it stands.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

/// A measurement.
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) seconds: f64,
    pub(crate) spread: String,
    /// Against the bare requests of the same runs.
    pub(crate) ratio: Option<f64>,
    pub(crate) megabytes: Option<f64>,
}

pub(crate) fn median(times: &[Duration]) -> Duration {
    let mut times = times.to_vec();
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// The least and the most.
pub(crate) fn spread(times: &[Duration]) -> String {
    let seconds = |time: Option<&Duration>| time.copied().unwrap_or_default().as_secs_f64();
    format!("{:.2}–{:.2}", seconds(times.iter().min()), seconds(times.iter().max()))
}

pub(crate) fn table(rows: &[Row]) -> String {
    let mut out = String::from(
        "| what | median, s | least–most | × bare requests | peak memory, MB |\n|---|---|---|---|---|\n",
    );
    for Row { what, seconds, spread, ratio, megabytes } in rows {
        let ratio = ratio.map(|ratio| format!("{ratio:.1}")).unwrap_or_default();
        let megabytes = megabytes.map(|megabytes| format!("{megabytes:.0}")).unwrap_or_default();
        // Writing to a String cannot fail.
        let _infallible =
            writeln!(out, "| {what} | {seconds:.2} | {spread} | {ratio} | {megabytes} |");
    }
    out
}

const BEGIN: &str = "<!-- make bench: begin -->";
const END: &str = "<!-- make bench: end -->";

/// Puts the table where the last one stands.
pub(crate) fn write(path: &Path, table: &str) {
    let text = std::fs::read_to_string(path).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let date = chrono::Utc::now().format("%Y-%m-%d");
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let machine =
        format!("{date}, {} {}, {cores} cores", std::env::consts::OS, std::env::consts::ARCH);
    std::fs::write(path, format!("{before}{BEGIN}\n\n{machine}\n\n{table}\n{END}{after}")).unwrap();
}
