//! The simulated time: real time plus an offset, or frozen.

use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Duration, SecondsFormat, Utc};

#[derive(Debug, Clone, Copy)]
enum Reading {
    Offset(Duration),
    Frozen(DateTime<Utc>),
}

/// A clock that a test can move.
#[derive(Debug)]
pub struct SimulatedClock {
    reading: Mutex<Reading>,
}

impl SimulatedClock {
    /// A clock that shows real time, or is frozen at `start`.
    #[must_use]
    pub fn new(start: Option<DateTime<Utc>>) -> Self {
        let reading = start.map_or(Reading::Offset(Duration::zero()), Reading::Frozen);
        Self { reading: Mutex::new(reading) }
    }

    /// The current simulated time.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        match *self.reading.lock().unwrap_or_else(PoisonError::into_inner) {
            #[expect(clippy::disallowed_methods, reason = "the simulator's one look at real time")]
            Reading::Offset(offset) => later(Utc::now(), offset),
            Reading::Frozen(instant) => instant,
        }
    }

    /// Moves the clock by `step` (which may be negative), and leaves it running or frozen.
    pub fn advance(&self, step: Duration) {
        let mut reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        *reading = match *reading {
            Reading::Offset(offset) => Reading::Offset(offset.checked_add(&step).unwrap_or(offset)),
            Reading::Frozen(instant) => Reading::Frozen(later(instant, step)),
        };
    }

    /// Freezes the clock at `instant`.
    pub fn set_now(&self, instant: DateTime<Utc>) {
        *self.reading.lock().unwrap_or_else(PoisonError::into_inner) = Reading::Frozen(instant);
    }
}

fn later(instant: DateTime<Utc>, step: Duration) -> DateTime<Utc> {
    instant.checked_add_signed(step).unwrap_or(instant)
}

fn instant(milliseconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(milliseconds).unwrap_or_default()
}

/// RFC 3339 with milliseconds and `Z`, as Armature's TypeScript code writes instants.
pub(super) fn with_milliseconds(milliseconds: i64) -> String {
    instant(milliseconds).to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// RFC 3339 with exactly six fraction digits and `Z`.
pub(super) fn with_microseconds(milliseconds: i64) -> String {
    instant(milliseconds).to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// Seconds as whole milliseconds; 0 for a number that is not a duration.
pub(super) fn milliseconds(seconds: f64) -> u64 {
    let duration = std::time::Duration::try_from_secs_f64(seconds).unwrap_or_default();
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The form of the `Date` header (RFC 9110, IMF-fixdate).
pub(super) fn http_date(instant: DateTime<Utc>) -> String {
    instant.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frozen_clock_moves_only_when_told() {
        let start = DateTime::from_timestamp_millis(784_111_777_000).unwrap();
        let clock = SimulatedClock::new(Some(start));
        assert_eq!(clock.now(), start);
        clock.advance(Duration::seconds(5));
        assert_eq!(clock.now(), start + Duration::seconds(5));
        assert_eq!(http_date(start), "Sun, 06 Nov 1994 08:49:37 GMT");
    }

    #[test]
    fn a_running_clock_keeps_its_offset() {
        let clock = SimulatedClock::new(None);
        let before = clock.now();
        clock.advance(Duration::days(40));
        assert!(clock.now() - before >= Duration::days(40));
        clock.set_now(before);
        assert_eq!(clock.now(), before);
    }
}
