//! The body of an error response, read leniently: its shape is only partly documented.

use std::time::Duration;

use super::http_date::parse_http_date;

use crate::json::{JsonKind, Node};
use crate::time::Timestamp;

/// The parts of an error response that messages and the retry logic need.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ErrorBody {
    /// `error.code`, or a top-level `errorCode`.
    pub(super) code: Option<String>,
    /// `error.message`, `error` itself if it is a string, or a top-level `message`. At most 300
    /// characters.
    pub(super) message: Option<String>,
    /// `error.details.retryAfterSec`, `error.retryAfterSec` or a top-level `retryAfterSec`.
    pub(super) retry_after: Option<Duration>,
    /// Whether the body is JSON at all: a proxy's error page is not.
    pub(super) is_json: bool,
}

/// Members that an error body may have. A body with any other member is not an error body.
const ERROR_MEMBERS: &[&str] = &[
    "error",
    "errors",
    "errorCode",
    "code",
    "message",
    "details",
    "status",
    "statusCode",
    "ok",
    "success",
    "requestId",
    "request_id",
    "retryAfterSec",
    "traceId",
    "timestamp",
    "path",
    "data",
    "result",
    "detail",
    "title",
    "type",
    "instance",
    "msg",
    "reason",
    "description",
    "statusText",
    "request",
];

impl ErrorBody {
    pub(super) fn read(body: &[u8]) -> Self {
        let Ok(node) = Node::parse(body) else { return Self::default() };
        let error = node.get("error");
        let text = |node: Option<Node<'_>>| node.and_then(Node::text).map(|text| shorten(&text));
        let inner = |name: &str| text(error.and_then(|error| error.get(name)));
        let code = inner("code").or_else(|| text(node.get("errorCode")));
        let message =
            inner("message").or_else(|| text(error)).or_else(|| text(node.get("message")));
        let seconds = node
            .at("error.details.retryAfterSec")
            .or_else(|| node.at("error.retryAfterSec"))
            .or_else(|| node.get("retryAfterSec"));
        let retry_after = seconds.and_then(Node::scalar_text).and_then(|text| seconds_of(&text));
        Self { code: code.filter(|code| is_code(code)), message, retry_after, is_json: true }
    }

    /// Whether the body of a success status is an error. It must state an error, hold no data, and
    /// have no member but those of error bodies: documents of a run can have members such as
    /// `error` and `status`, too.
    pub(super) fn is_error(node: Node<'_>) -> bool {
        let Some(members) = node.members() else { return false };
        let is_content = |value: Node<'_>| match value.kind() {
            JsonKind::Null => false,
            JsonKind::Array => value.elements().is_some_and(|elements| !elements.is_empty()),
            JsonKind::Object => value.members().is_some_and(|members| !members.is_empty()),
            _ => true,
        };
        let says_error = members.iter().any(|(key, value)| match key.as_ref() {
            "error" | "errors" | "errorCode" => is_content(*value),
            "ok" | "success" => value.source() == "false",
            "status" | "statusCode" | "code" => is_error_status(*value),
            _ => false,
        });
        let holds_data = members
            .iter()
            .any(|(key, value)| matches!(key.as_ref(), "data" | "result") && is_content(*value));
        says_error
            && !holds_data
            && members.iter().all(|(key, _)| ERROR_MEMBERS.contains(&key.as_ref()))
    }
}

/// Whether a value is the HTTP status of an error, repeated in the body.
fn is_error_status(value: Node<'_>) -> bool {
    let status = value.scalar_text().and_then(|text| text.parse::<u16>().ok());
    status.is_some_and(|status| (400..600).contains(&status))
}

/// `Retry-After`: seconds, or a date, which is compared with the server's own clock. `None` if it
/// names no time in the future.
pub(super) fn retry_after_header(value: &str, server_now: Option<Timestamp>) -> Option<Duration> {
    if let Some(duration) = seconds_of(value.trim()) {
        return Some(duration);
    }
    let until = parse_http_date(value)?;
    let now = server_now?;
    let wait = until.since(now);
    (!wait.is_zero()).then_some(wait)
}

/// Zero seconds count as absent: otherwise a client that was too fast would retry at once.
fn seconds_of(text: &str) -> Option<Duration> {
    let seconds: f64 = text.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok().filter(|wait| !wait.is_zero())
}

/// The grammar that Armature's own clients accept for codes.
fn is_code(code: &str) -> bool {
    code.len() <= 100
        && code.starts_with(|c: char| c.is_ascii_alphanumeric())
        && code.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '-'))
}

fn shorten(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_known_forms() {
        let read = |body: &str| ErrorBody::read(body.as_bytes());
        let nested = read(
            r#"{"error":{"code":"rate_limited","message":"slow","details":{"retryAfterSec":7}}}"#,
        );
        assert_eq!(nested.code.as_deref(), Some("rate_limited"));
        assert_eq!(nested.message.as_deref(), Some("slow"));
        assert_eq!(nested.retry_after, Some(Duration::from_secs(7)));
        let flat = read(r#"{"error":"no","errorCode":"x:y","retryAfterSec":1.5}"#);
        assert_eq!(flat.code.as_deref(), Some("x:y"));
        assert_eq!(flat.message.as_deref(), Some("no"));
        assert_eq!(flat.retry_after, Some(Duration::from_millis(1500)));
        assert_eq!(read("<html>"), ErrorBody::default());
    }

    #[test]
    fn retry_after_takes_seconds_and_dates() {
        let now = Some(Timestamp::from_micros(784_111_777_000_000));
        assert_eq!(retry_after_header("12", None), Some(Duration::from_secs(12)));
        let date = "Sun, 06 Nov 1994 08:50:07 GMT";
        assert_eq!(retry_after_header(date, now), Some(Duration::from_secs(30)));
        assert_eq!(retry_after_header("Sun, 06 Nov 1994 08:00:00 GMT", now), None);
        assert_eq!(retry_after_header("0", now), None);
        assert_eq!(retry_after_header("soon", now), None);
        assert_eq!(retry_after_header("-3", now), None);
    }

    #[test]
    fn a_run_that_failed_is_no_error_body() {
        let is_error = |json: &str| ErrorBody::is_error(Node::parse(json.as_bytes()).unwrap());
        assert!(is_error(r#"{"error":{"code":"internal"}}"#));
        assert!(!is_error(r#"{"id":"r","status":"error","error":"unreachable"}"#));
        assert!(!is_error(r#"{"error":null}"#));
        assert!(!is_error(r#"{"rows":[]}"#));
        for error in [
            r#"{"success":false,"message":"no"}"#,
            r#"{"data":null,"errors":[{"message":"no"}]}"#,
            r#"{"statusCode":500,"message":"no"}"#,
            r#"{"type":"about:blank","title":"Gone","status":503,"detail":"x"}"#,
            r#"{"ok":false,"reason":"no"}"#,
        ] {
            assert!(is_error(error), "{error}");
        }
        assert!(!is_error(r#"{"ok":true,"data":{"spans":[]}}"#));
        assert!(!is_error(r#"{"errors":[],"data":{"id":1}}"#));
    }
}
