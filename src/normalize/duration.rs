//! Durations: the unit in which they are stated, and how many milliseconds that is.

use std::borrow::Cow;

use crate::json::{JsonKind, Node, TimeUnit, last_word, nanoseconds};
use crate::time::Interval;

/// How a duration was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Duration {
    pub(super) milliseconds: i64,
    pub(super) unit: TimeUnit,
    /// Whether a fraction of a millisecond was cut off.
    pub(super) is_rounded: bool,
}

/// Endings of member names that state a unit, in lower case and without separators.
const ENDINGS: &[(TimeUnit, &[&str])] = &[
    (TimeUnit::Milliseconds, &["millis", "milliseconds", "millisecond"]),
    (TimeUnit::Microseconds, &["micros", "microseconds", "microsecond"]),
    (TimeUnit::Nanoseconds, &["nanos", "nanoseconds", "nanosecond", "nano"]),
    (TimeUnit::Seconds, &["seconds", "secs", "sec", "second"]),
];

/// Short endings count only if the name shows that they are a part of their own: `duration_s`,
/// `durationMs`.
const SHORT_ENDINGS: &[(TimeUnit, &[&str])] = &[
    (TimeUnit::Milliseconds, &["_ms", "Ms", "MS", "-ms", "_msec", "Msec"]),
    (TimeUnit::Microseconds, &["_us", "Us", "_µs", "-us", "_usec", "Usec"]),
    (TimeUnit::Nanoseconds, &["_ns", "Ns", "-ns", "_nsec", "Nsec"]),
    (TimeUnit::Seconds, &["_s", "S", "-s"]),
];

/// The unit that the last name of a path states.
pub(super) fn unit_of(path: &str) -> Option<TimeUnit> {
    let name = last_word(path);
    let ends_short = |(unit, endings): &(TimeUnit, &[&str])| {
        endings.iter().any(|ending| name.ends_with(ending)).then_some(*unit)
    };
    // The short ones come first: `_nsec` ends with `sec`, too.
    SHORT_ENDINGS.iter().find_map(ends_short).or_else(|| {
        let lower = name.to_ascii_lowercase();
        let ends = |(unit, endings): &(TimeUnit, &[&str])| {
            endings.iter().any(|ending| lower.ends_with(ending)).then_some(*unit)
        };
        ENDINGS.iter().find_map(ends)
    })
}

/// Reads a duration. `stated` is the unit that the path or the user states; without one, the unit
/// is the one in which it fits the time from start to end of the same row.
pub(super) fn read_duration(
    node: Node<'_>,
    stated: Option<TimeUnit>,
    row: Option<Interval>,
) -> Result<Duration, &'static str> {
    let text = match node.kind() {
        JsonKind::Number | JsonKind::Text => node.scalar_text(),
        _ => return Err("not a number"),
    };
    let text = text.ok_or("a string that is no number")?;
    let (number, suffix) = with_suffix(text.trim());
    let plain = plain_number(number)?;
    let unit = match suffix.or(stated) {
        Some(unit) => unit,
        None => unit_that_fits(&plain, row)?,
    };
    let nanoseconds = nanoseconds(&plain, unit).ok_or("a number beyond 64 bits")?;
    let per_millisecond = TimeUnit::Milliseconds.nanoseconds();
    let milliseconds = i64::try_from(nanoseconds / per_millisecond);
    let milliseconds = milliseconds.map_err(|_| "a number beyond 64 bits")?;
    Ok(Duration { milliseconds, unit, is_rounded: nanoseconds % per_millisecond != 0 })
}

/// A number with its unit after it, as in `1.5s`.
fn with_suffix(text: &str) -> (&str, Option<TimeUnit>) {
    let suffixes = [
        ("ms", TimeUnit::Milliseconds),
        ("us", TimeUnit::Microseconds),
        ("µs", TimeUnit::Microseconds),
        ("ns", TimeUnit::Nanoseconds),
        ("s", TimeUnit::Seconds),
    ];
    let found = suffixes.iter().find_map(|(suffix, unit)| {
        let number = text.strip_suffix(suffix)?.trim_end();
        number.ends_with(|last: char| last.is_ascii_digit()).then_some((number, Some(*unit)))
    });
    found.unwrap_or((text, None))
}

/// The number without an exponent.
fn plain_number(text: &str) -> Result<Cow<'_, str>, &'static str> {
    if nanoseconds(text, TimeUnit::Nanoseconds).is_some() {
        return Ok(Cow::Borrowed(text));
    }
    let is_number = text.starts_with(|first: char| first.is_ascii_digit() || first == '-');
    let number: Option<f64> = text.parse().ok().filter(|_| is_number);
    match number {
        Some(number) if number.abs() < 1e18 => Ok(Cow::Owned(format!("{number}"))),
        Some(_) => Err("a number beyond 64 bits"),
        None => Err("a string that is no number"),
    }
}

/// The unit in which a number is about as long as the time between start and end. Units are a
/// factor of a thousand apart, so a tolerance of a factor of two either way is unambiguous.
fn unit_that_fits(number: &str, row: Option<Interval>) -> Result<TimeUnit, &'static str> {
    const UNKNOWN: &str =
        "a duration without a unit, and no start and end to tell it by (declare `unit`)";
    let row = row.ok_or(UNKNOWN)?;
    let elapsed = row.until.checked_since(row.from).ok_or(NO_UNIT_FITS)?;
    let elapsed = i128::try_from(elapsed.as_nanos()).unwrap_or(i128::MAX);
    let length = |unit| nanoseconds(number, unit).unwrap_or(i128::MAX);
    if length(TimeUnit::Nanoseconds) == 0 && length(TimeUnit::Seconds) == 0 {
        let is_short = (0..TimeUnit::Seconds.nanoseconds()).contains(&elapsed);
        return if is_short { Ok(TimeUnit::Milliseconds) } else { Err(NO_UNIT_FITS) };
    }
    let fits = |unit: &TimeUnit| {
        let length = length(*unit);
        length > 0 && elapsed > 0 && length / 2 <= elapsed && elapsed / 2 <= length
    };
    TimeUnit::ALL.into_iter().find(fits).ok_or(NO_UNIT_FITS)
}

const NO_UNIT_FITS: &str = "a duration without a unit, which fits end minus start in no unit";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    fn read(json: &str, path: &str, elapsed: Option<i64>) -> Result<i64, &'static str> {
        let node = Node::parse(json.as_bytes()).unwrap();
        let row = elapsed.map(|elapsed| Interval {
            from: Timestamp::EPOCH,
            until: Timestamp::from_micros(elapsed),
        });
        read_duration(node, unit_of(path), row).map(|duration| duration.milliseconds)
    }

    #[test]
    fn names_state_units() {
        for (path, unit) in [
            ("duration_ms", Some(TimeUnit::Milliseconds)),
            ("durationMs", Some(TimeUnit::Milliseconds)),
            ("a.latency_ms", Some(TimeUnit::Milliseconds)),
            ("\"gen.latencyMs\"", Some(TimeUnit::Milliseconds)),
            ("duration_seconds", Some(TimeUnit::Seconds)),
            ("durationSec", Some(TimeUnit::Seconds)),
            ("duration_nsec", Some(TimeUnit::Nanoseconds)),
            ("duration_s", Some(TimeUnit::Seconds)),
            ("duration_us", Some(TimeUnit::Microseconds)),
            ("durationMicros", Some(TimeUnit::Microseconds)),
            ("durationNano", Some(TimeUnit::Nanoseconds)),
            ("duration_ns", Some(TimeUnit::Nanoseconds)),
            ("duration", None),
            ("latency", None),
            ("status", None),
        ] {
            assert_eq!(unit_of(path), unit, "{path}");
        }
    }

    #[test]
    fn a_unit_is_stated_or_fits() {
        let minute = Some(60_000_000);
        assert_eq!(read("60000", "duration_ms", None), Ok(60_000));
        assert_eq!(read("60", "duration", minute), Ok(60_000));
        assert_eq!(read("60.5", "duration", minute), Ok(60_500));
        assert_eq!(read("60000", "duration", minute), Ok(60_000));
        assert_eq!(read("\"60000000\"", "duration", minute), Ok(60_000));
        assert_eq!(read("6.0e10", "duration", minute), Ok(60_000));
        assert_eq!(read("\"1.5s\"", "duration", None), Ok(1_500));
        assert_eq!(read("0", "duration", Some(400_000)), Ok(0));
    }

    #[test]
    fn a_unit_is_never_guessed() {
        let minute = Some(60_000_000);
        for (json, elapsed) in [
            ("60", None),
            ("1", minute),
            ("600", minute),
            ("0", minute),
            ("5", Some(0)),
            ("0", Some(-1)),
            ("1", Some(-1)),
        ] {
            assert!(read(json, "duration", elapsed).is_err(), "{json} {elapsed:?}");
        }
        for json in ["\"long\"", "{}", "true", "\"\"", "1e400"] {
            assert!(read(json, "duration_ms", None).is_err(), "{json}");
        }
    }
}
