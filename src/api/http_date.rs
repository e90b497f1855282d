//! Dates in HTTP headers.

use std::time::UNIX_EPOCH;

use chrono::DateTime;

/// Reads a date in microseconds since 1970: the three forms of RFC 9110, section 5.6.7, and an
/// RFC 2822 date with a numeric zone, which some servers send although HTTP does not allow it.
pub(super) fn parse_http_date(text: &str) -> Option<i64> {
    let text = text.trim();
    match httpdate::parse_http_date(text) {
        Ok(instant) => i64::try_from(instant.duration_since(UNIX_EPOCH).ok()?.as_micros()).ok(),
        Err(_) => Some(DateTime::parse_from_rfc2822(text).ok()?.timestamp_micros()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_one_instant() {
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "Sun, 06 Nov 1994 09:49:37 +0100",
        ] {
            assert_eq!(parse_http_date(text), Some(784_111_777_000_000), "{text}");
        }
        assert_eq!(parse_http_date("soon"), None);
    }
}
