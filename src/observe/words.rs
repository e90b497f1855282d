//! Durations and counts in words.

use std::time::Duration;

/// A wait, rounded for a message.
pub(super) fn rough(wait: Duration) -> String {
    let seconds = wait.as_secs_f64().ceil();
    if seconds >= 120.0 { format!("{:.0} min", seconds / 60.0) } else { format!("{seconds:.0} s") }
}

/// A count with its noun.
pub(super) fn plural(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
