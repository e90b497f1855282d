//! JSON text that every reader accepts.
//!
//! RFC 8259 allows more than readers do. DuckDB's JSON functions reject unpaired surrogates, and
//! end the process on values that are nested very deep; Polars and `BigQuery` reject numbers beyond
//! 64 bits and nesting of some hundred levels. Bodies hold all of these: texts that were cut in the
//! middle of an emoji, ids of forty digits, results of recursive tools.

use std::borrow::Cow;

use super::scan::after_string;

/// Values that are nested deeper than this are stored as strings: readers' own limits begin at 128.
const DEEPEST: usize = 100;

/// A JSON text, and what had to be changed about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Portable<'a> {
    /// The text.
    pub text: Cow<'a, str>,
    /// What was changed; `None` if nothing was.
    pub change: Option<&'static str>,
}

/// An unpaired surrogate was replaced by U+FFFD.
pub const REPLACED: &str = "half a surrogate pair; U+FFFD stands in its place";
const QUOTED: &str = "a number that fits no 64 bits; it stands as a string";
const FLATTENED: &str = "nested too deep for readers; it stands as a string";

/// The text in a form that readers accept. `source` is JSON that was checked before.
pub fn portable(source: &str) -> Portable<'_> {
    if is_portable(source) {
        return Portable { text: Cow::Borrowed(source), change: None };
    }
    if is_too_deep(source) {
        let inner = portable_strings(source).0;
        let text = Cow::Owned(serde_json::Value::from(inner.as_ref()).to_string());
        return Portable { text, change: Some(FLATTENED) };
    }
    let (text, replaced) = portable_strings(source);
    let (text, quoted) = match text {
        Cow::Borrowed(text) => portable_numbers(text),
        Cow::Owned(text) => {
            let (text, quoted) = portable_numbers(&text);
            (Cow::Owned(text.into_owned()), quoted)
        }
    };
    let change = if replaced { Some(REPLACED) } else { quoted.then_some(QUOTED) };
    Portable { text, change }
}

/// Whether every reader accepts the text unchanged, which is so for nearly all. Each byte outside
/// strings is read once.
fn is_portable(source: &str) -> bool {
    let text = source.as_bytes();
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(&byte) = text.get(at) {
        match byte {
            b'"' => match after_string(text, at + 1) {
                Some(after) => {
                    at = after;
                    continue;
                }
                None => return false,
            },
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'-' | b'0'..=b'9' => {
                let rest = text.get(at..).unwrap_or_default();
                let length = rest.iter().take_while(|byte| is_of_number(**byte)).count();
                if !fits(source.get(at..at + length).unwrap_or_default()) {
                    return false;
                }
                at += length;
                continue;
            }
            _ => {}
        }
        if depth > DEEPEST {
            return false;
        }
        at += 1;
    }
    memchr::memchr(b'\\', text).is_none() || !portable_strings(source).1
}

fn is_of_number(byte: u8) -> bool {
    matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9')
}

fn is_too_deep(source: &str) -> bool {
    // A value of that depth has at least two bytes for each level.
    if source.len() < 2 * DEEPEST {
        return false;
    }
    let text = source.as_bytes();
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(found) = text.get(at..).and_then(next_structural) {
        at += found;
        match text.get(at) {
            Some(b'"') => match after_string(text, at + 1) {
                Some(after) => at = after,
                None => return false,
            },
            Some(b'{' | b'[') => {
                depth += 1;
                if depth > DEEPEST {
                    return true;
                }
                at += 1;
            }
            _ => {
                depth = depth.saturating_sub(1);
                at += 1;
            }
        }
    }
    false
}

fn next_structural(text: &[u8]) -> Option<usize> {
    text.iter().position(|byte| matches!(byte, b'"' | b'{' | b'[' | b'}' | b']'))
}

/// Replaces each unpaired surrogate by U+FFFD; also returns whether there was one.
pub(super) fn portable_strings(source: &str) -> (Cow<'_, str>, bool) {
    let mut out = String::new();
    let (mut copied, mut at) = (0, 0);
    let text = source.as_bytes();
    // Only a `\u` escape can write one, and most texts have none.
    while let Some(found) = text.get(at..).and_then(|rest| memchr::memchr(b'\\', rest)) {
        let escape = at + found;
        // Any other escape takes one byte after the backslash, or is not a surrogate.
        at = escape + 2;
        let Some(unit) = unit_at(text, escape) else { continue };
        at = escape + 6;
        match unit {
            0xd800..=0xdbff if matches!(unit_at(text, at), Some(0xdc00..=0xdfff)) => at += 6,
            0xd800..=0xdfff => {
                out.push_str(source.get(copied..escape).unwrap_or_default());
                out.push('\u{fffd}');
                copied = at;
            }
            _ => {}
        }
    }
    if copied == 0 {
        return (Cow::Borrowed(source), false);
    }
    out.push_str(source.get(copied..).unwrap_or_default());
    (Cow::Owned(out), true)
}

/// The UTF-16 unit that the escape at `at` writes, if it is of the form `\uXXXX`.
fn unit_at(text: &[u8], at: usize) -> Option<u16> {
    let digits = text.get(at..at + 6)?.strip_prefix(b"\\u")?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// Quotes numbers that are beyond 64 bits, as integers or as floating-point numbers.
fn portable_numbers(source: &str) -> (Cow<'_, str>, bool) {
    let text = source.as_bytes();
    let mut out = String::new();
    let (mut copied, mut at) = (0, 0);
    while let Some(&byte) = text.get(at) {
        match byte {
            b'"' => match after_string(text, at + 1) {
                Some(after) => at = after,
                None => break,
            },
            b'-' | b'0'..=b'9' => {
                let rest = text.get(at..).unwrap_or_default();
                let length = rest.iter().take_while(|byte| is_of_number(**byte)).count();
                let number = source.get(at..at + length).unwrap_or_default();
                if !fits(number) {
                    out.push_str(source.get(copied..at).unwrap_or_default());
                    for piece in ["\"", number, "\""] {
                        out.push_str(piece);
                    }
                    copied = at + length;
                }
                at += length;
            }
            _ => at += 1,
        }
    }
    if copied == 0 {
        return (Cow::Borrowed(source), false);
    }
    out.push_str(source.get(copied..).unwrap_or_default());
    (Cow::Owned(out), true)
}

/// Whether a JSON number fits a 64-bit integer, or is finite as an `f64`.
fn fits(number: &str) -> bool {
    // A short number without an exponent cannot be too large.
    if number.len() < 19 && !number.contains(['e', 'E']) {
        return true;
    }
    if number.contains(['.', 'e', 'E']) {
        return number.parse::<f64>().is_ok_and(f64::is_finite);
    }
    number.parse::<i64>().is_ok() || number.parse::<u64>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn changed(source: &str) -> String {
        let portable = portable(source);
        assert!(portable.change.is_some(), "{source}");
        portable.text.into_owned()
    }

    #[test]
    fn half_a_surrogate_pair_is_replaced() {
        assert_eq!(changed(r#"{"a":"cut \ud83d"}"#), "{\"a\":\"cut \u{fffd}\"}");
        assert_eq!(changed(r#"{"\udc00":1}"#), "{\"\u{fffd}\":1}");
        assert_eq!(changed(r#"["\ud83d\ud83d\ude00"]"#), "[\"\u{fffd}\\ud83d\\ude00\"]");
        assert_eq!(changed(r#""\\\ud83d""#), "\"\\\\\u{fffd}\"");
    }

    #[test]
    fn numbers_beyond_64_bits_are_quoted() {
        assert_eq!(changed(r#"{"a":1e400,"b":[-1E999]}"#), r#"{"a":"1e400","b":["-1E999"]}"#);
        assert_eq!(changed("18446744073709551616"), "\"18446744073709551616\"");
    }

    #[test]
    fn what_is_nested_too_deep_is_a_string() {
        let deep = "[".repeat(101) + "\"\\ud83d\"" + &"]".repeat(101);
        let text = changed(&deep);
        let held: String = serde_json::from_str(&text).unwrap();
        assert_eq!(held, deep.replace("\\ud83d", "\u{fffd}"));
        changed(&("{\"a\":".repeat(100_000) + "1" + &"}".repeat(100_000)));
    }

    #[test]
    fn everything_else_stays_as_it_is() {
        let deep = "[".repeat(100) + &"]".repeat(100);
        let wide = format!("[{}]", ["{\"a\":[\"{[\"]}"; 300].join(","));
        for source in [
            r#"{"a":"😀 \ud83d\ude00 \\ud83d \u0000 \u00e9 \"[1e400"}"#,
            "[18446744073709551615,-9223372036854775808,1e308,0.1234567890123456789012]",
            deep.as_str(),
            wide.as_str(),
        ] {
            assert_eq!(portable(source), Portable { text: source.into(), change: None });
        }
    }

    proptest! {
        #[test]
        fn the_result_is_json_that_a_strict_reader_takes(
            parts in prop::collection::vec(
                prop::sample::select(vec![
                    "\\ud83d", "\\ude00", "\\\\", "\\\"", "\\u0000", "a", "1e400", "{", "\\n",
                ]),
                0..12,
            ),
            number in "-?[1-9][0-9]{0,30}([.][0-9]{1,30})?([eE][+-]?[0-9]{1,4})?",
        ) {
            let source = format!("{{\"{0}\":[\"{0}\",{number}]}}", parts.concat());
            let portable = portable(&source);
            prop_assert!(serde_json::from_str::<serde_json::Value>(&portable.text).is_ok());
            let unchanged = portable.text == source;
            prop_assert_eq!(portable.change.is_none(), unchanged);
        }
    }
}
