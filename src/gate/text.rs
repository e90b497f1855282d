//! Names and other texts of the API in reports. They are hostile input: the name of a workflow or
//! a criterion must not be able to move a terminal's cursor, to make markup or a link, or to
//! send a command to the runner of a CI system.

use std::fmt::Write as _;

use crate::config::mask_keys;

/// Maximum number of characters of a text in a report.
const LONGEST: usize = 300;

/// A text on one line, without keys, without control characters, without characters that change the
/// direction of the text, and without what GitHub Actions reads as a command (`::` and `##[`),
/// wherever it stands in a line. At most 300 characters.
pub fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (number, letter) in mask_keys(text).chars().enumerate() {
        if number == LONGEST {
            out.push('…');
            break;
        }
        match letter {
            letter if letter.is_whitespace() => out.push(' '),
            letter if is_hidden(letter) => {
                // Writing to a String cannot fail.
                let _infallible = write!(out, "\\u{{{:x}}}", u32::from(letter));
            }
            ':' if out.ends_with(':') => out.push_str(" :"),
            '[' if out.ends_with("##") => out.push_str(" ["),
            letter => out.push(letter),
        }
    }
    out
}

/// Control characters, characters that show nothing or change the direction of text, and those
/// that XML does not allow.
fn is_hidden(letter: char) -> bool {
    letter.is_control()
        || matches!(
            letter,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{202a}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{fffe}'..='\u{ffff}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

/// A text for Markdown: [`plain`], and every character with a meaning in Markdown or HTML is
/// escaped by a backslash (`CommonMark`: any ASCII punctuation can be).
pub(super) fn markdown(text: &str) -> String {
    // Without `www.` a dot has no meaning, and model names are full of dots.
    let text = plain(text);
    let has_address = text.to_ascii_lowercase().contains("www.");
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        let is_harmless =
            matches!(letter, '-' | ',' | '\'' | '"' | '(' | ')' | '/' | '%' | '=' | '…')
                || (letter == '.' && !has_address);
        if letter.is_ascii_punctuation() && !is_harmless {
            out.push('\\');
        }
        out.push(letter);
    }
    out
}

/// The target of a link in Markdown, in angle brackets; `None` for anything but an HTTP address.
pub(super) fn markdown_link(url: &str) -> Option<String> {
    let parsed = url::Url::parse(url).ok()?;
    if !matches!(parsed.scheme(), "http" | "https") {
        return None;
    }
    // What is parsed has no control characters and no spaces; these four would end the link.
    let url = parsed.as_str().replace('<', "%3C").replace('>', "%3E");
    let url = url.replace('|', "%7C").replace('\\', "%5C");
    Some(format!("<{url}>"))
}

/// The message of a workflow command of GitHub Actions.
pub fn command_data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A property of a workflow command of GitHub Actions.
pub(super) fn command_property(text: &str) -> String {
    command_data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_has_no_controls_and_no_commands() {
        assert_eq!(plain("a\nb\tc\r\n"), "a b c  ");
        assert_eq!(plain("\u{1b}[31mred"), "\\u{1b}[31mred");
        assert_eq!(plain("a\u{202e}b\u{200b}c"), "a\\u{202e}b\\u{200b}c");
        assert_eq!(plain("a\u{fffe}b\u{ffff}c\u{fffd}"), "a\\u{fffe}b\\u{ffff}c\u{fffd}");
        assert_eq!(plain("::error::x"), ": :error: :x");
        assert_eq!(plain(":::"), ": : :");
        assert_eq!(plain("##[error]x"), "## [error]x");
        assert_eq!(plain("key amt_a_b"), "key amt_***");
        assert_eq!(plain(&"é".repeat(400)).chars().count(), 301);
        assert_eq!(plain("Prüfung – ✅ 日本"), "Prüfung – ✅ 日本");
    }

    #[test]
    fn markdown_has_no_markup() {
        assert_eq!(markdown("a|b`c`<img src=x>"), "a\\|b\\`c\\`\\<img src=x\\>");
        assert_eq!(markdown("[x](javascript:y)"), "\\[x\\](javascript\\:y)");
        assert_eq!(markdown("gpt-4.5 (a/b)"), "gpt-4.5 (a/b)");
        assert_eq!(markdown("WWW.example.com"), "WWW\\.example\\.com");
        assert_eq!(markdown("*_~#!@&\\"), "\\*\\_\\~\\#\\!\\@\\&\\\\");
    }

    #[test]
    fn only_http_is_linked() {
        assert_eq!(
            markdown_link("https://a.example/runs/1").unwrap(),
            "<https://a.example/runs/1>"
        );
        assert_eq!(markdown_link("https://a/x>y|z").unwrap(), "<https://a/x%3Ey%7Cz>");
        for other in ["javascript:alert(1)", "data:text/html,x", "//a", ""] {
            assert_eq!(markdown_link(other), None, "{other}");
        }
    }

    #[test]
    fn commands_cannot_be_ended_or_extended() {
        assert_eq!(command_data("50%\r\n::warning::x"), "50%25%0D%0A::warning::x");
        assert_eq!(command_property("a:b,c=d\n"), "a%3Ab%2Cc=d%0A");
    }
}
