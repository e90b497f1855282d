//! Numbers, times and names as the page shows them: in English, with units.

/// Between a number and its unit, so that no line breaks there.
const NARROW_SPACE: char = '\u{202f}';

/// U+2212, which is as wide as a plus sign.
const MINUS: char = '\u{2212}';

/// What stands where the data states nothing.
pub(super) const ABSENT: &str = "–";

/// The most characters of a name that a table shows.
const NAME: usize = 200;

/// Inserts commas between groups of three digits before the point.
pub(super) fn grouped(number: &str) -> String {
    let (sign, digits) = match number.strip_prefix('-') {
        Some(digits) => (Some(MINUS), digits),
        None => (None, number),
    };
    let (whole, rest) = match digits.find('.') {
        Some(point) => digits.split_at(point),
        None => (digits, ""),
    };
    let length = whole.len();
    let mut out = String::from_iter(sign);
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (length - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out.push_str(rest);
    out
}

/// A share from 0 to 1 as whole percent. Only what is none or all is 0 or 100.
pub(super) fn percent(share: f64) -> String {
    let rounded = format!("{:.0}", share * 100.0);
    match rounded.as_str() {
        "0" | "-0" if share > 0.0 => format!("<1{NARROW_SPACE}%"),
        "100" if share < 1.0 => format!(">99{NARROW_SPACE}%"),
        _ => format!("{}{NARROW_SPACE}%", grouped(&rounded)),
    }
}

/// The bounds of an interval of shares, in percent.
pub(super) fn percent_interval(low: f64, high: f64) -> String {
    format!("{} to {}", points(low), points(high))
}

/// A share, or a difference of shares, in whole percentage points without a unit.
pub(super) fn points(share: f64) -> String {
    let rounded = format!("{:.0}", share * 100.0);
    grouped(if rounded == "-0" { "0" } else { &rounded })
}

/// A difference of shares in percentage points, with its sign.
pub(super) fn signed_points(difference: f64) -> String {
    let shown = points(difference);
    let sign = if difference > 0.0 && shown != "0" { "+" } else { "" };
    format!("{sign}{shown}")
}

/// An amount of money. Dollars where the API states them; otherwise the currency's own name, or
/// none.
pub(super) fn money(amount: f64, currency: Option<&str>) -> String {
    let decimals = match amount.abs() {
        size if size >= 100.0 || size == 0.0 => 0,
        size if size >= 1.0 => 2,
        size if size >= 0.01 => 3,
        size if size >= 0.001 => 4,
        _ => 6,
    };
    let number = grouped(&format!("{amount:.decimals$}"));
    match currency {
        Some(name) if name.eq_ignore_ascii_case("usd") || name == "$" => format!("${number}"),
        Some(name) => format!("{number}{NARROW_SPACE}{}", short(name, 12)),
        None => number,
    }
}

/// A duration in milliseconds, with units.
pub(super) fn duration(milliseconds: f64) -> String {
    let unit = |number: String, unit: &str| format!("{number}{NARROW_SPACE}{unit}");
    let seconds = milliseconds / 1000.0;
    match seconds {
        _ if milliseconds < 999.5 => unit(format!("{milliseconds:.0}"), "ms"),
        _ if seconds < 59.95 => unit(format!("{seconds:.1}"), "s"),
        _ if seconds < 3600.0 => unit(format!("{:.1}", seconds / 60.0), "min"),
        _ => unit(grouped(&format!("{:.1}", seconds / 3600.0)), "h"),
    }
}

/// A time that DuckDB states, to the minute.
pub(super) fn moment(text: &str) -> String {
    text.get(..16).unwrap_or(text).to_owned()
}

/// A number of things, with thousands separators.
pub(crate) fn count(number: u64) -> String {
    grouped(&number.to_string())
}

/// A number of things, with their name.
pub(crate) fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// A name out of the data: characters that would not be seen, or that change the direction of what
/// is around them, are shown by their number. A longer one than anybody reads is cut.
pub(super) fn name(text: &str) -> String {
    short(text, NAME)
}

/// The beginning of a name, of at most so many characters, with the same care.
pub(super) fn short(text: &str, most: usize) -> String {
    let mut out = String::new();
    let mut length = 0;
    for character in text.chars() {
        let shown = if is_hidden(character) {
            format!("⟨U+{:04X}⟩", u32::from(character))
        } else {
            character.to_string()
        };
        length += shown.chars().count();
        if length > most {
            out.push('…');
            break;
        }
        out.push_str(&shown);
    }
    out
}

/// The beginning of a name that fits into so many columns of a chart, where wide characters take
/// two.
pub(super) fn fitting(text: &str, columns: usize) -> String {
    let shown = name(text);
    let width = |character: char| if u32::from(character) < 0x1100 { 1 } else { 2 };
    if shown.chars().map(width).sum::<usize>() <= columns {
        return shown;
    }
    let mut used = 1;
    let fits = |character: &char| {
        used += width(*character);
        used <= columns
    };
    let mut out: String = shown.chars().take_while(fits).collect();
    out.push('…');
    out
}

/// Whether a character is not seen, or changes how others are shown: control characters, controls
/// of the direction of text, separators of lines, and tags. The joiners are left alone: scripts and
/// emoji need them.
fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
                | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_have_commas_and_units() {
        assert_eq!(grouped("1234567"), "1,234,567");
        assert_eq!(grouped("-1234.50"), "\u{2212}1,234.50");
        assert_eq!(grouped("999"), "999");
        let shares = [0.0, 0.004, 0.125, 0.5, 0.996, 1.0].map(percent);
        let narrow = shares.map(|text| text.replace(NARROW_SPACE, "_"));
        assert_eq!(narrow, ["0_%", "<1_%", "12_%", "50_%", ">99_%", "100_%"]);
        assert_eq!(signed_points(-0.391), "\u{2212}39");
        assert_eq!([0.004, -0.004, 0.25].map(signed_points), ["0", "0", "+25"]);
        let amounts =
            [0.0, 0.000_123_4, 0.006_8, 0.012_34, 3.456, 1_234.5].map(|it| money(it, Some("USD")));
        assert_eq!(amounts, ["$0", "$0.000123", "$0.0068", "$0.012", "$3.46", "$1,234"]);
        assert_eq!(money(2.5, Some("credits")), "2.50\u{202f}credits");
        let lengths = [0.4, 999.0, 999.6, 59_949.0, 90_000.0, 7_200_000.0].map(duration);
        let lengths = lengths.map(|text| text.replace(NARROW_SPACE, "_"));
        assert_eq!(lengths, ["0_ms", "999_ms", "1.0_s", "59.9_s", "1.5_min", "2.0_h"]);
    }

    #[test]
    fn what_is_not_seen_is_shown() {
        assert_eq!(name("a\u{202e}b\u{7}\n"), "a⟨U+202E⟩b⟨U+0007⟩⟨U+000A⟩");
        assert_eq!(name("👩\u{200d}🔧 größe"), "👩\u{200d}🔧 größe");
        assert_eq!(name(&"x".repeat(201)), format!("{}…", "x".repeat(200)));
        assert_eq!(fitting("refund request", 14), "refund request");
        assert_eq!(fitting("refund requests", 14), "refund reques…");
        assert_eq!(fitting("検査検査検査", 8), "検査検…");
    }

    proptest! {
        #[test]
        fn a_name_shows_no_hidden_character_and_has_a_bound(text in any::<String>()) {
            let shown = name(&text);
            prop_assert!(!shown.chars().any(is_hidden), "{shown:?}");
            let fitting = fitting(&text, 20);
            prop_assert!(fitting.chars().count() <= 20, "{fitting:?}");
            prop_assert!(fitting.ends_with('…') || fitting == shown);
        }

        #[test]
        fn a_share_is_never_rounded_to_none_or_all(share in 0.000_001..0.999_999_f64) {
            let shown = percent(share);
            prop_assert!(!shown.starts_with("0\u{202f}") && !shown.starts_with("100"), "{shown}");
        }

        #[test]
        fn commas_change_no_digit(number in any::<i64>()) {
            let shown = grouped(&number.to_string()).replace(',', "").replace(MINUS, "-");
            prop_assert_eq!(shown, number.to_string());
        }
    }
}
