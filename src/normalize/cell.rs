//! Type coercion: one JSON value is coerced to one typed cell that holds exactly it, or the problem is
//! reported.

use std::borrow::Cow;

use crate::json::{JsonKind, Node, REPLACED, TimeFormat, parse_timestamp, portable};
use crate::tables::Kind;
use crate::time::Timestamp;

/// A value that fits a column.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell<'a> {
    Text(Cow<'a, str>),
    Integer(i64),
    Float(f64),
    /// Scaled by ten to the power of [`Kind::DECIMAL_SCALE`].
    Decimal(i128),
    Boolean(bool),
    Timestamp(Timestamp),
    /// Days since 1970-01-01.
    Date(i32),
}

/// The result of reading a value: a cell, a problem, or both.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct CellReading<'a> {
    pub(super) cell: Option<Cell<'a>>,
    pub(super) problem: Option<&'static str>,
}

/// Coerces a JSON value that is not null to the type of its column.
pub(super) fn read(kind: Kind, node: Node<'_>, time: TimeFormat) -> CellReading<'_> {
    let result = match kind {
        Kind::Text => return text(node),
        Kind::Json => return json(node),
        Kind::Integer => integer(node).map(Cell::Integer),
        Kind::Float => float(node).map(Cell::Float),
        Kind::Boolean => boolean(node).map(Cell::Boolean),
        Kind::Timestamp => parse_timestamp(node, time).map(Cell::Timestamp),
        Kind::Decimal => return decimal(node),
        // Only the exporter fills such columns.
        Kind::Date => Err("not read from bodies"),
    };
    match result {
        Ok(cell) => CellReading { cell: Some(cell), problem: None },
        Err(problem) => CellReading { cell: None, problem: Some(problem) },
    }
}

/// Reads a scalar as text. An unpaired surrogate, as in texts that were cut off, is replaced.
fn text(node: Node<'_>) -> CellReading<'_> {
    let read = match node.kind() {
        JsonKind::Array | JsonKind::Object | JsonKind::Null => None,
        JsonKind::Text => node.lossy_text(),
        JsonKind::Number | JsonKind::Boolean => node.scalar_text().map(|text| (text, false)),
    };
    match read {
        Some((text, replaced)) => {
            CellReading { cell: Some(Cell::Text(text)), problem: replaced.then_some(REPLACED) }
        }
        None => CellReading { cell: None, problem: Some("not plain text") },
    }
}

/// Reads JSON as it was sent, apart from what readers reject; a string that holds a whole object or
/// array becomes that object or array.
fn json(node: Node<'_>) -> CellReading<'_> {
    if let Some((text, replaced)) = node.lossy_text() {
        let inner = text.trim();
        if inner.starts_with(['{', '[']) && Node::from_source(inner).is_ok() {
            let inner = portable(inner);
            let problem = replaced.then_some(REPLACED).or(inner.change);
            let cell = Cell::Text(Cow::Owned(inner.text.into_owned()));
            return CellReading { cell: Some(cell), problem };
        }
    }
    let portable = portable(node.source());
    CellReading { cell: Some(Cell::Text(portable.text)), problem: portable.change }
}

/// The text of a number, also of one that was sent as a string.
fn number_text(node: Node<'_>) -> Result<Cow<'_, str>, &'static str> {
    match node.kind() {
        JsonKind::Number => Ok(Cow::Borrowed(node.source())),
        JsonKind::Text => node.text().ok_or("a string that is no number"),
        _ => Err("not a number"),
    }
}

fn integer(node: Node<'_>) -> Result<i64, &'static str> {
    let text = number_text(node)?;
    let text = text.trim();
    if let Ok(number) = text.parse::<i64>() {
        return Ok(number);
    }
    let digits = Digits::parse(text).ok_or("a string that is no number")?;
    match digits.scaled(0) {
        Scaled::Exact(number) => i64::try_from(number).map_err(|_| "a number beyond 64 bits"),
        Scaled::Rounded(_) => Err("not a whole number"),
        Scaled::TooLarge => Err("a number beyond 64 bits"),
    }
}

fn float(node: Node<'_>) -> Result<f64, &'static str> {
    let text = number_text(node)?;
    if Digits::parse(text.trim()).is_none() {
        return Err("a string that is no number");
    }
    match text.trim().parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(number),
        _ => Err("a number beyond double precision"),
    }
}

fn boolean(node: Node<'_>) -> Result<bool, &'static str> {
    match node.scalar_text().as_deref() {
        Some("true") => Ok(true),
        Some("false") => Ok(false),
        _ => Err("neither true nor false"),
    }
}

fn decimal(node: Node<'_>) -> CellReading<'_> {
    let refused = |problem| CellReading { cell: None, problem: Some(problem) };
    let text = match number_text(node) {
        Ok(text) => text,
        Err(problem) => return refused(problem),
    };
    let Some(digits) = Digits::parse(text.trim()) else {
        return refused("a string that is no number");
    };
    let scale = u32::try_from(Kind::DECIMAL_SCALE).unwrap_or_default();
    match digits.scaled(scale) {
        Scaled::Exact(number) => CellReading { cell: Some(Cell::Decimal(number)), problem: None },
        Scaled::Rounded(number) => CellReading {
            cell: Some(Cell::Decimal(number)),
            problem: Some("rounded to 18 digits after the point"),
        },
        Scaled::TooLarge => refused("a number with more than 20 digits before the point"),
    }
}

/// A decimal number as written: digits, and the position of the point.
struct Digits<'a> {
    negative: bool,
    whole: &'a str,
    fraction: &'a str,
    exponent: i64,
}

enum Scaled {
    Exact(i128),
    Rounded(i128),
    TooLarge,
}

/// The largest number of digits that [`Kind::Decimal`] holds.
const PRECISION: i64 = 38;

impl<'a> Digits<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, read_exponent(exponent)?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let sound = !(whole.is_empty() && fraction.is_empty());
        (sound && all_digits(whole) && all_digits(fraction)).then_some(Self {
            negative,
            whole,
            fraction,
            exponent,
        })
    }

    /// The number times ten to the power of `scale`, rounded half up (away from zero).
    fn scaled(&self, scale: u32) -> Scaled {
        let digits = self.whole.bytes().chain(self.fraction.bytes());
        let digits: Vec<u8> = digits.map(|digit| digit - b'0').skip_while(|&d| d == 0).collect();
        let length = i64::try_from(digits.len()).unwrap_or(i64::MAX);
        let fraction = i64::try_from(self.fraction.len()).unwrap_or(i64::MAX);
        let shift = self.exponent.saturating_add(i64::from(scale)).saturating_sub(fraction);
        if digits.is_empty() {
            return Scaled::Exact(0);
        }
        // How many of the digits are before the (new) point.
        let kept = length.saturating_add(shift);
        if kept > PRECISION {
            return Scaled::TooLarge;
        }
        let digit = |place: i64| {
            usize::try_from(place).ok().and_then(|place| digits.get(place)).copied().unwrap_or(0)
        };
        let magnitude = (0..kept.max(0)).fold(0_i128, |n, place| n * 10 + i128::from(digit(place)));
        let rest = usize::try_from(kept.max(0)).unwrap_or(usize::MAX);
        let exact = digits.iter().skip(rest).all(|&digit| digit == 0);
        let up = kept >= 0 && digit(kept) >= 5;
        let magnitude = if exact || !up { magnitude } else { magnitude + 1 };
        let number = if self.negative { -magnitude } else { magnitude };
        if exact { Scaled::Exact(number) } else { Scaled::Rounded(number) }
    }
}

/// Exponents far outside any column's range have the same effect: too large, or nothing.
fn read_exponent(text: &str) -> Option<i64> {
    let digits = text.trim_start_matches(['+', '-']);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let limit = if text.starts_with('-') { -1_000_000 } else { 1_000_000 };
    Some(text.parse::<i64>().map_or(limit, |number| number.clamp(-1_000_000, 1_000_000)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(kind: Kind, json: &'static str) -> Result<Cell<'static>, &'static str> {
        let reading = read(kind, Node::parse(json.as_bytes()).unwrap(), TimeFormat::default());
        match (reading.cell, reading.problem) {
            (Some(cell), None) => Ok(cell),
            (_, problem) => Err(problem.unwrap()),
        }
    }

    #[test]
    fn numbers_are_exact_or_refused() {
        assert_eq!(cell(Kind::Integer, "42"), Ok(Cell::Integer(42)));
        assert_eq!(cell(Kind::Integer, "\"42\""), Ok(Cell::Integer(42)));
        assert_eq!(cell(Kind::Integer, "4.20e1"), Ok(Cell::Integer(42)));
        assert_eq!(cell(Kind::Integer, "-0.0"), Ok(Cell::Integer(0)));
        assert_eq!(cell(Kind::Integer, "1.5"), Err("not a whole number"));
        assert_eq!(cell(Kind::Integer, "1e400"), Err("a number beyond 64 bits"));
        assert_eq!(cell(Kind::Integer, "9223372036854775808"), Err("a number beyond 64 bits"));
        assert_eq!(cell(Kind::Integer, "1e-999999999999"), Err("not a whole number"));
        assert_eq!(cell(Kind::Integer, "true"), Err("not a number"));
        assert_eq!(cell(Kind::Float, "1e400"), Err("a number beyond double precision"));
        assert_eq!(cell(Kind::Float, "\"0.5\""), Ok(Cell::Float(0.5)));
        assert_eq!(cell(Kind::Float, "\"NaN\""), Err("a string that is no number"));
    }

    #[test]
    fn decimals_keep_every_digit() {
        let unit = 1_000_000_000_000_000_000_i128;
        assert_eq!(cell(Kind::Decimal, "0.0123"), Ok(Cell::Decimal(unit / 10_000 * 123)));
        assert_eq!(cell(Kind::Decimal, "\"12.50\""), Ok(Cell::Decimal(unit / 2 * 25)));
        assert_eq!(cell(Kind::Decimal, "-1e-18"), Ok(Cell::Decimal(-1)));
        assert_eq!(
            cell(Kind::Decimal, "99999999999999999999"),
            Ok(Cell::Decimal(unit * 99_999_999_999_999_999_999))
        );
        assert_eq!(cell(Kind::Decimal, "\"\""), Err("a string that is no number"));
        assert_eq!(
            cell(Kind::Decimal, "1e20"),
            Err("a number with more than 20 digits before the point")
        );
        let rounded = Node::parse(b"1.2345678901234567e-05").unwrap();
        let rounded = read(Kind::Decimal, rounded, TimeFormat::default());
        assert_eq!(rounded.cell, Some(Cell::Decimal(12_345_678_901_235)));
        assert!(rounded.problem.is_some());
    }

    #[test]
    fn json_stays_json() {
        let text = |json| match cell(Kind::Json, json) {
            Ok(Cell::Text(text)) => text.into_owned(),
            other => panic!("{other:?}"),
        };
        assert_eq!(text(r#"{"a": 1.0}"#), r#"{"a": 1.0}"#);
        assert_eq!(text(r#""{\"a\": 1}""#), r#"{"a": 1}"#);
        assert_eq!(text(r#""[redacted:jwt]""#), r#""[redacted:jwt]""#);
        assert_eq!(text(r#""{\"a\": 1""#), r#""{\"a\": 1""#);
        assert_eq!(text("12"), "12");
    }

    #[test]
    fn what_readers_reject_is_replaced_and_told() {
        let cell = |kind, json: &'static str| {
            let reading = read(kind, Node::parse(json.as_bytes()).unwrap(), TimeFormat::default());
            assert!(reading.problem.is_some(), "{json}");
            match reading.cell {
                Some(Cell::Text(text)) => text.into_owned(),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(cell(Kind::Text, r#""cut \ud83d""#), "cut \u{fffd}");
        assert_eq!(cell(Kind::Json, r#""cut \ud83d""#), "\"cut \u{fffd}\"");
        assert_eq!(cell(Kind::Json, r#"{"a":"\ud83d"}"#), "{\"a\":\"\u{fffd}\"}");
        assert_eq!(cell(Kind::Json, r#""{\"a\":\"\\ud83d\"}""#), "{\"a\":\"\u{fffd}\"}");
    }

    #[test]
    fn text_takes_scalars_only() {
        assert_eq!(cell(Kind::Text, "7"), Ok(Cell::Text("7".into())));
        assert_eq!(cell(Kind::Text, "true"), Ok(Cell::Text("true".into())));
        assert_eq!(cell(Kind::Text, "{}"), Err("not plain text"));
        assert_eq!(cell(Kind::Boolean, "\"true\""), Ok(Cell::Boolean(true)));
        assert_eq!(cell(Kind::Boolean, "1"), Err("neither true nor false"));
    }
}
