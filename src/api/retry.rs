//! What is tried again: the one place that decides.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

/// What an answer's status means for the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// The body is the answer.
    Accept,
    /// There is a thing, and nothing is in it.
    Empty,
    /// The thing is being made.
    NotReady,
    /// A success, or "not modified", that no request of this program can bring about: a part of a
    /// body must not be taken for the whole.
    Unexpected,
    /// There is no such thing, or it is not visible to the organization (documented for 404).
    Absent,
    /// The key is missing, wrong or revoked, or its role lacks permission. Never tried again.
    Refused,
    /// The request itself is wrong. Never tried again.
    Rejected,
    /// The answer is elsewhere. Redirects within the host are followed before this is asked.
    Redirected,
    /// The API asks for patience: every worker waits.
    RateLimited,
    /// The trouble may pass: tried again after a pause.
    Retry,
}

/// The table of statuses. Failures below HTTP (connecting, time limits, broken or cut-off bodies)
/// are tried again like [`Disposition::Retry`].
pub fn disposition(status: u16) -> Disposition {
    match status {
        202 => Disposition::NotReady,
        204 | 205 => Disposition::Empty,
        206 | 304 => Disposition::Unexpected,
        200..=299 => Disposition::Accept,
        300..=399 => Disposition::Redirected,
        401 | 403 => Disposition::Refused,
        404 | 410 => Disposition::Absent,
        408 | 425 | 500..=599 => Disposition::Retry,
        429 => Disposition::RateLimited,
        _ => Disposition::Rejected,
    }
}

/// The pauses between tries: half a second, doubling to half a minute, with jitter so that
/// workers that failed together do not return together.
pub(super) fn pauses() -> ExponentialBackoff {
    ExponentialBuilder::new()
        .with_min_delay(Duration::from_millis(500))
        .with_max_delay(Duration::from_secs(30))
        .with_jitter()
        .without_max_times()
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_its_place() {
        let mut table: Vec<(Disposition, Vec<String>)> = Vec::new();
        let mut from = 100;
        for status in 100..=599 {
            if status == 599 || disposition(status + 1) != disposition(from) {
                let range =
                    if from == status { from.to_string() } else { format!("{from}-{status}") };
                match table.iter_mut().find(|(known, _)| *known == disposition(from)) {
                    Some((_, ranges)) => ranges.push(range),
                    None => table.push((disposition(from), vec![range])),
                }
                from = status + 1;
            }
        }
        let lines: Vec<String> =
            table.iter().map(|(what, ranges)| format!("{what:?}: {}", ranges.join(", "))).collect();
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn pauses_grow_and_are_bounded() {
        let pauses: Vec<Duration> = pauses().take(12).collect();
        assert!(pauses.iter().all(|pause| *pause >= Duration::from_millis(500)));
        assert!(pauses.iter().all(|pause| *pause <= Duration::from_mins(1)));
    }
}
