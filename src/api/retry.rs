//! Which responses are retried, and after which pauses (backoff). Attempts and time limits are
//! counted by the client.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

/// What the status of a response means for the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// Success: the body is used.
    Accept,
    /// The resource exists and has no content (204, 205).
    Empty,
    /// The resource is not ready yet (202).
    NotReady,
    /// Partial content or "not modified" (206, 304), which this program never requests. It is not
    /// accepted, because a part of a body must not be taken for the whole.
    Unexpected,
    /// The resource does not exist (404, 410), or it is not visible to the organization (documented
    /// for 404).
    Absent,
    /// The key is missing, wrong or revoked, or its role lacks permission. Never retried.
    Refused,
    /// The request itself is wrong. Never retried.
    Rejected,
    /// A redirect that the HTTP client did not follow. It follows redirects within the origin, so
    /// this one leads elsewhere, or there were too many.
    Redirected,
    /// The API asks to wait (429): the rate limiter tells whether all requests wait, or this one.
    RateLimited,
    /// A failure that may be temporary: retried with exponential backoff.
    Retry,
}

/// The table of statuses. Failures below HTTP (connecting, time limits, broken or cut-off bodies)
/// are retried like [`Disposition::Retry`].
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

/// The pauses between attempts: 0.5 s, doubling up to 30 s, with jitter so that workers that failed
/// together do not retry together.
pub(super) fn pauses() -> ExponentialBackoff {
    ExponentialBuilder::new()
        .with_min_delay(Duration::from_millis(500))
        .with_max_delay(Duration::from_secs(30))
        .with_jitter()
        .without_max_times()
        .build()
}

/// How many waits of one request follow `Retry-After` alone; later ones are at least as long as the
/// exponential delay.
const MOST_NAMED: u32 = 8;

/// How long to wait after a 429 that names a wait or not, and that is the `waits`th one for its
/// request: at least 50 ms.
///
/// A wait that the server names too short, again and again, would flood it, so after some waits the
/// exponential delay counts, too.
pub(super) fn wait_after_429(
    named: Option<Duration>,
    waits: u32,
    pauses: &mut ExponentialBackoff,
) -> Duration {
    let own = if named.is_none() || waits > MOST_NAMED { pauses.next() } else { None };
    let wait = named.unwrap_or_default().max(own.unwrap_or_default());
    wait.max(Duration::from_millis(50))
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
