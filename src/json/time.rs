//! Instants as APIs write them.

use chrono::DateTime;

use super::{Kind, Node};

/// 1970-01-01 to 2262-04-11: the instants that readers with nanosecond clocks can hold too.
const MICROSECONDS: std::ops::RangeInclusive<i64> = 0..=9_223_372_036_854_775;

/// Numbers below this are no epoch milliseconds of any run (it is March 1973); a smaller number
/// is more likely seconds or a duration, and guessing would be wrong by a factor of 1000.
const LEAST_EPOCH_MILLISECONDS: i64 = 100_000_000_000;

/// Microseconds since 1970 in UTC.
///
/// Takes RFC 3339 with any number of fraction digits (those beyond the sixth are cut off) and,
/// as a last resort, epoch milliseconds. A time without a zone is refused: taking it for UTC
/// would be a guess.
///
/// # Errors
/// What is wrong, as a short phrase without the value.
pub fn parse_timestamp(node: Node<'_>) -> Result<i64, &'static str> {
    let microseconds = match node.kind() {
        Kind::Text => {
            let text = node.text().ok_or("a string that is no Unicode text")?;
            from_text(text.trim())?
        }
        Kind::Number => from_milliseconds(node.source())?,
        Kind::Null | Kind::Boolean | Kind::Array | Kind::Object => {
            return Err("no time stamp");
        }
    };
    if MICROSECONDS.contains(&microseconds) {
        Ok(microseconds)
    } else {
        Err("a time outside 1970 to 2262")
    }
}

fn from_text(text: &str) -> Result<i64, &'static str> {
    if let Ok(instant) = DateTime::parse_from_rfc3339(text) {
        return Ok(instant.timestamp_micros());
    }
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return from_milliseconds(text);
    }
    Err("a string that is no RFC 3339 time with a zone")
}

fn from_milliseconds(text: &str) -> Result<i64, &'static str> {
    match text.parse::<i64>() {
        Ok(number) if number >= LEAST_EPOCH_MILLISECONDS => {
            number.checked_mul(1000).ok_or("a time outside 1970 to 2262")
        }
        Ok(_) => Err("a number too small for epoch milliseconds"),
        Err(_) => Err("a number that is no epoch milliseconds"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<i64, &'static str> {
        parse_timestamp(Node::parse(json.as_bytes()).unwrap())
    }

    #[test]
    fn any_fraction_and_any_zone() {
        assert_eq!(parse("\"2026-11-23T12:00:00Z\""), Ok(1_795_435_200_000_000));
        assert_eq!(parse("\"2026-11-23T12:00:00.1Z\""), Ok(1_795_435_200_100_000));
        assert_eq!(parse("\"2026-11-23T12:00:00.123456789Z\""), Ok(1_795_435_200_123_456));
        assert_eq!(parse("\"2026-11-23T14:00:00+02:00\""), Ok(1_795_435_200_000_000));
        assert_eq!(parse("\"2026-11-23 12:00:00Z\""), Ok(1_795_435_200_000_000));
        assert_eq!(parse("1795435200000"), Ok(1_795_435_200_000_000));
    }

    #[test]
    fn no_guesses() {
        for json in [
            "\"2026-11-23T12:00:00\"",
            "\"2026-11-23\"",
            "\"yesterday\"",
            "1795435200",
            "12",
            "1.5e12",
            "-1795435200000",
            "99999999999999999",
            "\"0001-01-01T00:00:00Z\"",
            "\"9999-12-31T23:59:59Z\"",
            "true",
            "{}",
        ] {
            assert!(parse(json).is_err(), "{json}");
        }
    }
}
