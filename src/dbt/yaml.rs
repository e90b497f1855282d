//! The few forms of YAML that properties of models need.

use std::fmt::Write as _;

/// The width of a line of prose.
const WIDTH: usize = 96;

/// Adds `key: text`, as a folded block with lines of a readable length. White space is what YAML
/// makes of it: one space between words.
pub(super) fn prose(out: &mut String, indent: usize, key: &str, text: &str) {
    let space = " ".repeat(indent);
    // Writing to a String cannot fail.
    let _infallible = write!(out, "{space}{key}: >-");
    let mut width = WIDTH;
    for word in literal(text).split_whitespace() {
        if width + 1 + word.chars().count() > WIDTH {
            let _infallible = write!(out, "\n{space}  {word}");
            width = indent + 2 + word.chars().count();
        } else {
            let _infallible = write!(out, " {word}");
            width += 1 + word.chars().count();
        }
    }
    out.push('\n');
}

/// A name as a scalar, in quotes where YAML would read something else than text.
pub(super) fn name(name: &str) -> String {
    let is_word = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '_';
    let is_plain = name.starts_with(|first: char| first.is_ascii_lowercase() || first == '_')
        && name.chars().all(is_word)
        && !matches!(name, "y" | "n" | "yes" | "no" | "on" | "off" | "true" | "false" | "null");
    if is_plain {
        return name.to_owned();
    }
    format!("'{}'", literal(name).replace('\'', "''"))
}

/// Text in which dbt finds no expression: it reads descriptions and names as templates.
fn literal(text: &str) -> String {
    if ["{{", "{%", "{#"].iter().any(|start| text.contains(start)) {
        text.replace('{', "{{ '{' }}")
    } else {
        text.to_owned()
    }
}
