//! Instants and durations as APIs write them.

use std::str::FromStr;

use chrono::{DateTime, NaiveDateTime, TimeDelta, TimeZone};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::{JsonKind, Node};
use crate::time::Timestamp;

/// 1970-01-01 to 2262-04-11: the instants that readers with nanosecond clocks can hold too.
const ACCEPTED: std::ops::RangeInclusive<Timestamp> =
    Timestamp::EPOCH..=Timestamp::from_micros(9_223_372_036_854_775);

/// Numbers whose size alone shows that they are epoch seconds: 2001-09-09 to 2100-01-01. A smaller
/// number is more likely a duration, a larger one has another unit.
const PLAUSIBLE_SECONDS: std::ops::RangeInclusive<i128> = 1_000_000_000..=4_102_444_800;

/// Numbers below this are not epoch milliseconds of any run: it is March 1973.
const LEAST_EPOCH_MILLISECONDS: i128 = 100_000_000_000;

/// The unit of a number that states a time or a duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TimeUnit {
    /// Seconds.
    #[serde(rename = "s")]
    Seconds,
    /// Milliseconds.
    #[serde(rename = "ms")]
    Milliseconds,
    /// Microseconds.
    #[serde(rename = "us")]
    Microseconds,
    /// Nanoseconds.
    #[serde(rename = "ns")]
    Nanoseconds,
}

impl TimeUnit {
    /// All of them, the largest first.
    pub const ALL: [Self; 4] =
        [Self::Seconds, Self::Milliseconds, Self::Microseconds, Self::Nanoseconds];

    /// The name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Seconds => "s",
            Self::Milliseconds => "ms",
            Self::Microseconds => "us",
            Self::Nanoseconds => "ns",
        }
    }

    /// How many nanoseconds one is.
    pub fn nanoseconds(self) -> i128 {
        match self {
            Self::Seconds => 1_000_000_000,
            Self::Milliseconds => 1_000_000,
            Self::Microseconds => 1_000,
            Self::Nanoseconds => 1,
        }
    }
}

/// What the user declares about the times of a column, because bodies do not state it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeFormat {
    /// The zone of times that state none.
    pub zone: Option<Tz>,
    /// The unit of times and durations that are numbers.
    pub unit: Option<TimeUnit>,
}

/// A number of some unit, in nanoseconds; digits beyond them are cut off. `None` if the text is not
/// a plain decimal number, or is absurdly large.
pub fn nanoseconds(number: &str, unit: TimeUnit) -> Option<i128> {
    let (negative, digits) = match number.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, number),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || whole.len() > 20 || !is_number(whole) || !is_number(fraction) {
        return None;
    }
    let scale = unit.nanoseconds();
    let mut total = i128::from_str(whole).ok()?.checked_mul(scale)?;
    let mut place = scale;
    for digit in fraction.bytes() {
        place /= 10;
        total += place * i128::from(digit - b'0');
    }
    Some(if negative { -total } else { total })
}

/// Reads an instant.
///
/// Accepts RFC 3339 with any number of fraction digits (those beyond the sixth are cut off); the
/// same with an offset such as `+0000`, `+00` or ` UTC`, as databases and languages print it; RFC
/// 2822; and numbers since 1970 in seconds, milliseconds, microseconds or nanoseconds, recognized
/// by their size unless `format` names the unit. A time without a zone is refused unless `format`
/// names one: taking it for UTC would be a guess. If a clock that is set back shows a local time
/// twice, the earlier instant counts.
///
/// # Errors
/// What is wrong, as a short phrase without the value.
pub fn parse_timestamp(node: Node<'_>, format: TimeFormat) -> Result<Timestamp, &'static str> {
    let at = match node.kind() {
        JsonKind::Text => {
            let text = node.text().ok_or("a string that is no Unicode text")?;
            from_text(text.trim(), format)?
        }
        JsonKind::Number => from_number(node.source(), format)?,
        JsonKind::Null | JsonKind::Boolean | JsonKind::Array | JsonKind::Object => {
            return Err("no time stamp");
        }
    };
    if ACCEPTED.contains(&at) { Ok(at) } else { Err("a time outside 1970 to 2262") }
}

fn from_text(text: &str, format: TimeFormat) -> Result<Timestamp, &'static str> {
    if let Ok(instant) = DateTime::parse_from_rfc3339(text) {
        return Ok(instant.into());
    }
    if text.starts_with(|first: char| first.is_ascii_digit() || first == '-')
        && text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-'))
        && text.bytes().skip(1).all(|byte| byte != b'-')
    {
        return from_number(text, format);
    }
    if let Some(instant) = with_offset(text) {
        return Ok(instant);
    }
    if let Ok(instant) = DateTime::parse_from_rfc2822(text) {
        return Ok(instant.into());
    }
    let Some(local) = local_time(text) else {
        return Err("a string that is no time of a known form (such as RFC 3339)");
    };
    let zone = format.zone.ok_or("a time without a zone (declare `time_zone`)")?;
    let instant = zone.from_local_datetime(&local).earliest();
    instant.map(Timestamp::from).ok_or("a local time that the clock of its zone skipped")
}

/// Date and time without a zone, with a `T` or a space between them.
fn local_time(text: &str) -> Option<NaiveDateTime> {
    let forms = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"];
    forms.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())
}

/// Offsets that RFC 3339 does not have: `+0000`, `+00`, ` UTC`, ` GMT`, and a space before one.
fn with_offset(text: &str) -> Option<Timestamp> {
    let utc = ["UTC", "GMT", "Z"].iter().find_map(|name| text.strip_suffix(name));
    let Some(before) = utc else { return with_digits(text) };
    let before = before.trim_end();
    // Go prints `+0000 UTC`.
    with_digits(before).or_else(|| Some(local_time(before)?.and_utc().into()))
}

/// `+0000`, `+00` or `+00:00`, also after a space.
fn with_digits(text: &str) -> Option<Timestamp> {
    // The sign of the offset comes after the date, whose parts are joined by `-`, too.
    let at = text.rfind(['+', '-']).filter(|at| *at > "2026-11-25".len())?;
    let (local, offset) = text.split_at_checked(at)?;
    let sign = if offset.starts_with('-') { -1 } else { 1 };
    let digits: String = offset.chars().skip(1).filter(|c| *c != ':').collect();
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes) = match digits.len() {
        2 => (digits.as_str(), "0"),
        4 => digits.split_at_checked(2)?,
        _ => return None,
    };
    let (hours, minutes) = (i64::from_str(hours).ok()?, i64::from_str(minutes).ok()?);
    let offset = TimeDelta::seconds(sign * (hours * 3600 + minutes * 60));
    let local = local_time(local.trim_end())?;
    let is_offset = hours < 24 && minutes < 60;
    Some(local.and_utc().checked_sub_signed(offset).filter(|_| is_offset)?.into())
}

fn from_number(text: &str, format: TimeFormat) -> Result<Timestamp, &'static str> {
    let unit = match format.unit {
        Some(unit) => unit,
        None => unit_by_size(text)?,
    };
    let nanoseconds = nanoseconds(text, unit).ok_or("a number that is no time since 1970")?;
    let microseconds = i64::try_from(nanoseconds / 1000);
    microseconds.map(Timestamp::from_micros).map_err(|_| "a time outside 1970 to 2262")
}

/// The unit in which a number is a time between 2001 and 2100.
fn unit_by_size(text: &str) -> Result<TimeUnit, &'static str> {
    let whole = text.split_once('.').map_or(text, |(whole, _)| whole);
    let number = i128::from_str(whole).map_err(|_| "a number that is no time since 1970")?;
    let is_plausible = |unit: &TimeUnit| {
        let per_second = 1_000_000_000 / unit.nanoseconds();
        let is_old = *unit == TimeUnit::Milliseconds && number >= LEAST_EPOCH_MILLISECONDS;
        let seconds = number / per_second;
        PLAUSIBLE_SECONDS.contains(&seconds) || is_old && seconds < *PLAUSIBLE_SECONDS.start()
    };
    let unit = TimeUnit::ALL.into_iter().find(is_plausible);
    unit.ok_or("a number that is no time between 2001 and 2100 in any unit (declare `unit`)")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: i64 = 1_795_435_200_000_000;

    fn parse_as(json: &str, format: TimeFormat) -> Result<i64, &'static str> {
        let at = parse_timestamp(Node::parse(json.as_bytes()).unwrap(), format);
        at.map(Timestamp::as_micros)
    }

    fn parse(json: &str) -> Result<i64, &'static str> {
        parse_as(json, TimeFormat::default())
    }

    #[test]
    fn any_fraction_and_any_zone() {
        assert_eq!(parse("\"2026-11-23T12:00:00Z\""), Ok(NOON));
        assert_eq!(parse("\"2026-11-23T12:00:00.1Z\""), Ok(NOON + 100_000));
        assert_eq!(parse("\"2026-11-23T12:00:00.123456789Z\""), Ok(NOON + 123_456));
        for text in [
            "2026-11-23T14:00:00+02:00",
            "2026-11-23 12:00:00Z",
            "2026-11-23T12:00:00.000+0000",
            "2026-11-23 12:00:00+00",
            "2026-11-23 06:30:00-0530",
            "2026-11-23 12:00:00 +0000",
            "2026-11-23 12:00:00 UTC",
            "2026-11-23 12:00:00 GMT",
            "2026-11-23 12:00:00.000 +0000 UTC",
            "Mon, 23 Nov 2026 12:00:00 GMT",
        ] {
            assert_eq!(parse(&format!("\"{text}\"")), Ok(NOON), "{text}");
        }
    }

    #[test]
    fn numbers_are_told_by_their_size() {
        for json in [
            "1795435200",
            "1795435200.0",
            "\"1795435200\"",
            "1795435200000",
            "1795435200000000",
            "1795435200000000000",
            "\"1795435200000000000\"",
        ] {
            assert_eq!(parse(json), Ok(NOON), "{json}");
        }
        assert_eq!(parse("1795435200.123"), Ok(NOON + 123_000));
        assert_eq!(parse("1795435200000.5"), Ok(NOON + 500));
        assert_eq!(parse("100000000000"), Ok(100_000_000_000_000), "March 1973");
    }

    #[test]
    fn what_a_user_declares_goes_before_size() {
        let unit = |unit| TimeFormat { unit: Some(unit), ..TimeFormat::default() };
        assert_eq!(parse_as("12", unit(TimeUnit::Seconds)), Ok(12_000_000));
        assert_eq!(parse_as("1795435200", unit(TimeUnit::Milliseconds)), Ok(1_795_435_200_000));
        let zone = TimeFormat { zone: Some(Tz::Europe__Berlin), ..TimeFormat::default() };
        assert_eq!(parse_as("\"2026-11-23T13:00:00\"", zone), Ok(NOON));
        assert_eq!(parse_as("\"2026-11-23 13:00:00.000\"", zone), Ok(NOON));
        assert_eq!(parse_as("\"2026-11-23T12:00:00Z\"", zone), Ok(NOON), "a stated zone counts");
        let twice = parse_as("\"2026-10-25T02:30:00\"", zone);
        assert_eq!(twice, parse("\"2026-10-25T02:30:00+02:00\""));
        assert!(parse_as("\"2026-03-29T02:30:00\"", zone).is_err(), "a time that was skipped");
    }

    #[test]
    fn no_guesses() {
        for json in [
            "\"2026-11-23T12:00:00\"",
            "\"2026-11-23\"",
            "\"2026-11-23 12:00:00 CET\"",
            "\"2026-11-23 12:00:00+1\"",
            "\"2026-11-23 12:00:00+2460\"",
            "\"yesterday\"",
            "\"1795435200Z\"",
            "12",
            "179543520",
            "1.5e12",
            "-1795435200000",
            "99999999999999999",
            "99999999999999999999999999999999999999999999",
            "\"0001-01-01T00:00:00Z\"",
            "\"9999-12-31T23:59:59Z\"",
            "true",
            "{}",
        ] {
            assert!(parse(json).is_err(), "{json}");
        }
    }

    #[test]
    fn fractions_of_a_unit_are_exact_to_the_nanosecond() {
        assert_eq!(nanoseconds("1.5", TimeUnit::Seconds), Some(1_500_000_000));
        assert_eq!(nanoseconds("-0.0000000019", TimeUnit::Seconds), Some(-1));
        assert_eq!(nanoseconds("2.5", TimeUnit::Nanoseconds), Some(2));
        assert_eq!(nanoseconds("1e3", TimeUnit::Seconds), None);
        assert_eq!(nanoseconds("", TimeUnit::Seconds), None);
    }
}
