//! Dates in HTTP headers.

use std::time::UNIX_EPOCH;

use chrono::DateTime;

use crate::time::Timestamp;

/// Reads a date: the three forms of RFC 9110, section 5.6.7, and an
/// RFC 2822 date with a numeric zone, which some servers send although HTTP does not allow it.
pub(super) fn parse_http_date(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    match httpdate::parse_http_date(text) {
        Ok(instant) => Some(Timestamp::EPOCH + instant.duration_since(UNIX_EPOCH).ok()?),
        Err(_) => Some(DateTime::parse_from_rfc2822(text).ok()?.into()),
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
            let expected = Timestamp::from_micros(784_111_777_000_000);
            assert_eq!(parse_http_date(text), Some(expected), "{text}");
        }
        assert_eq!(parse_http_date("soon"), None);
    }
}
