//! Detects whether a tool call failed, in all the ways in which APIs state it.
//!
//! MCP returns `isError` inside the result; Armature's own SDKs record `ok: false` and an `error`;
//! others have `success: false` or a status word. If two statements contradict each other, the
//! error counts: a call that one member calls failed needs attention, and counting it as good would
//! hide it. If nothing is stated, the outcome is unknown.

use crate::json::{JsonKind, Node, last_word};
use crate::run::Meaning;

/// Members that are true if the call succeeded.
const GOOD: &[&str] = &["ok", "success", "succeeded", "successful", "isSuccess", "is_success"];

/// Members that hold an error, or are empty.
const ERRORS: &[&str] = &["error", "errors", "error_message", "errorMessage", "exception"];

/// Members that hold the result, in which MCP states whether it is an error.
const RESULTS: &[&str] =
    &["result", "result_body", "resultBody", "result_preview", "output", "response"];

/// The statement of one member: `Some(true)` if the call failed, `None` if it states nothing.
/// `path` is where the value is.
pub(super) fn states_failure(path: &str, node: Node<'_>) -> Option<bool> {
    let name = last_word(path);
    if RESULTS.contains(&name) {
        return result_states_failure(node);
    }
    if ERRORS.contains(&name) {
        return match node.kind() {
            JsonKind::Boolean => Some(node.source() == "true"),
            _ => (!node.is_blank(0)).then_some(true),
        };
    }
    let is_good = word_or_boolean(node)?;
    let is_flag = matches!(node.scalar_text().as_deref(), Some("true" | "false"));
    // `is_error: true` is bad, `ok: true` is good, and so is `status: "ok"`.
    Some(if is_flag && !GOOD.contains(&name) { is_good } else { !is_good })
}

/// The value of a boolean; of a word, whether it states success.
fn word_or_boolean(node: Node<'_>) -> Option<bool> {
    let text = node.scalar_text()?;
    match text.as_ref() {
        "true" => Some(true),
        "false" => Some(false),
        word => match Meaning::of(word) {
            Meaning::Passed | Meaning::Ended => Some(true),
            Meaning::Failed | Meaning::Error => Some(false),
            _ => None,
        },
    }
}

/// The `isError` of an MCP result, also of one that is JSON in a string.
fn result_states_failure(node: Node<'_>) -> Option<bool> {
    // Most results do not contain this text, and need not be parsed.
    memchr::memmem::find(node.source().as_bytes(), b"rror")?;
    let text = node.text();
    let node = match &text {
        // Only an object can hold this member: parsing all other texts would cost more than it
        // brings.
        Some(text) if text.contains("rror\"") => Node::from_source(text.trim()).ok()?,
        Some(_) => return None,
        None => node,
    };
    if node.kind() != JsonKind::Object {
        return None;
    }
    let stated = ["isError", "is_error"].iter().find_map(|name| node.get(name))?;
    match stated.scalar_text().as_deref() {
        Some("true") => Some(true),
        Some("false") => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn states(path: &str, json: &str) -> Option<bool> {
        states_failure(path, Node::parse(json.as_bytes()).unwrap())
    }

    #[test]
    fn every_form_is_understood() {
        for (path, json) in [
            ("is_error", "true"),
            ("isError", "\"true\""),
            ("ok", "false"),
            ("success", "\"false\""),
            ("status", "\"error\""),
            ("status", "\"timed_out\""),
            ("error", "\"boom\""),
            ("error", "{\"message\":\"boom\"}"),
            ("error", "true"),
            ("result", "{\"isError\":true,\"content\":[]}"),
            ("result", "\"{\\\"isError\\\":true}\""),
            ("result.isError", "true"),
        ] {
            assert_eq!(states(path, json), Some(true), "{path} {json}");
        }
        for (path, json) in [
            ("is_error", "false"),
            ("ok", "true"),
            ("status", "\"ok\""),
            ("status", "\"completed\""),
            ("error", "false"),
            ("result", "{\"isError\":false}"),
        ] {
            assert_eq!(states(path, json), Some(false), "{path} {json}");
        }
        for (path, json) in [
            ("is_error", "\"maybe\""),
            ("status", "\"galvanized\""),
            ("status", "\"running\""),
            ("error", "\"\""),
            ("error", "{}"),
            ("result", "{\"ok\":true}"),
            ("result", "\"an Error\\\" in text\""),
            ("result", "[{\"isError\":true}]"),
        ] {
            assert_eq!(states(path, json), None, "{path} {json}");
        }
    }
}
