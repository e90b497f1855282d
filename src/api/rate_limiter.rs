//! The rate limiter: spaces requests out at the highest rate that the server accepts.
//!
//! The API documents no limit, so the limit is learned from 429s alone. Nothing is spaced before
//! the second 429, because a single one may be noise. Two of them give two bounds: the rate at
//! which the second one came was rejected; and the rate accepted between the two, cooldown
//! included, is at most what the server allows (exactly that for a token bucket, a little less for
//! fixed windows). From then on requests are spaced. The rate rises from the accepted towards the
//! rejected bound, quickly first and then ever more slowly, and passes it after a long time without
//! a 429, because limits change.

use std::time::Duration;

use tokio::time::Instant;

/// The lowest rate, in requests per second: a sync must make progress whatever the server does.
const SLOWEST: f64 = 0.2;

/// How far a late timer may be caught up on: timers are exact to about a millisecond only.
const CREDIT: Duration = Duration::from_millis(5);

/// Time constant of the approach to the rejected bound, in seconds of spaced sending.
const APPROACH_SECONDS: f64 = 8.0;

/// After this time without a 429 the rejected bound is passed: by `PROBE` after `PROBE_SECONDS`
/// more, by four times that after twice as many, and so on. A limit that doubled is found within
/// three minutes.
const STABLE_SECONDS: f64 = 40.0;
const PROBE_SECONDS: f64 = 20.0;
const PROBE: f64 = 0.02;

/// The accepted rate is measured over at least this many requests, and this many seconds.
const LEAST_SENDS: u32 = 3;
const LEAST_SECONDS: f64 = 0.05;

/// Two 429s that are further apart than this, in seconds, do not count as one limit.
const MOST_SECONDS: f64 = 150.0;

/// Factor on the accepted bound if a 429 came before anything could be measured: the cooldown may
/// have been too short, which does not show a rate.
const EASE: f64 = 0.8;

/// Decides when the next request may be sent. Does not wait itself.
#[derive(Debug, Default)]
pub(super) struct RateLimiter {
    /// Requests sent since the last 429.
    sent: u32,
    /// When the first of them was sent.
    since: Option<Instant>,
    /// The bounds learned from 429s; `None` before the second one.
    bounds: Option<Bounds>,
    /// End of the last cooldown. A request sent before it belongs to the 429 that is counted.
    cooldown_until: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Bounds {
    /// A rate that the server accepts, in requests a second.
    accepted: f64,
    /// A rate that it rejected, in requests a second.
    rejected: f64,
    /// Seconds of spaced sending without a 429.
    stable: f64,
    /// When the next request may be sent.
    next: Instant,
}

impl Bounds {
    fn rate(&self) -> f64 {
        let approached = 1.0 - (-self.stable / APPROACH_SECONDS).exp();
        let probe = ((self.stable - STABLE_SECONDS) / PROBE_SECONDS).max(0.0);
        let between = self.accepted + (self.rejected - self.accepted) * approached;
        between * (1.0 + PROBE * probe * probe)
    }
}

impl RateLimiter {
    /// Takes the permission to send one request now, or returns how long to wait before asking
    /// again. Callers ask one at a time, and not during a cooldown.
    pub(super) fn take(&mut self, now: Instant) -> Option<Duration> {
        if let Some(bounds) = &mut self.bounds {
            let wait = bounds.next.saturating_duration_since(now);
            if !wait.is_zero() {
                return Some(wait);
            }
            let gap = 1.0 / bounds.rate();
            let late = now.saturating_duration_since(bounds.next);
            if late < CREDIT {
                // A timer that is a little late keeps the schedule, so that no rate is lost to
                // timers.
                bounds.stable += gap;
                bounds.next += Duration::from_secs_f64(gap);
            } else {
                // Nothing was sent for a while. The schedule restarts now: saved-up permissions
                // would be a burst. Idle time is not stable time either, as it does not show that
                // the rate is accepted.
                bounds.next = now + Duration::from_secs_f64(gap).saturating_sub(CREDIT);
            }
        }
        self.since.get_or_insert(now);
        self.sent = self.sent.saturating_add(1);
        None
    }

    /// Records a 429 for a request that was sent at `sent_at`, and a cooldown of `wait` from `now`.
    /// Returns the new rate, in requests a second, if it changed. Requests that were in flight
    /// together count as one 429.
    pub(super) fn record_rejection(
        &mut self,
        sent_at: Instant,
        now: Instant,
        wait: Duration,
    ) -> Option<f64> {
        let until = now + wait;
        // The rejected request does not count as accepted.
        self.sent = self.sent.saturating_sub(1);
        let last_cooldown = self.cooldown_until;
        self.cooldown_until = last_cooldown.max(Some(until));
        if last_cooldown.is_some_and(|end| sent_at <= end) {
            if let Some(bounds) = &mut self.bounds {
                bounds.next = bounds.next.max(until);
            }
            return None;
        }
        let seconds_since = |from: Option<Instant>| {
            let from = from.unwrap_or(sent_at);
            sent_at.saturating_duration_since(from).as_secs_f64().max(LEAST_SECONDS)
        };
        let (in_all, sending) = (seconds_since(self.since), seconds_since(last_cooldown));
        let requests = f64::from(self.sent);
        let is_measured = self.sent >= LEAST_SENDS;
        let bounds = match (&self.bounds, last_cooldown) {
            // The first 429 may be noise. A token bucket sends it only after its burst is used up,
            // so the rate before it is higher than the bucket allows; the rate after it counts.
            (None, None) => None,
            // Too few requests to measure a rate, or 429s too far apart to belong to one limit.
            (None, Some(_)) if !is_measured || in_all > MOST_SECONDS => None,
            (None, Some(_)) => {
                let accepted = (requests / in_all).max(SLOWEST);
                let rejected = (requests / sending).max(accepted);
                Some(Bounds { accepted, rejected, stable: 0.0, next: until })
            }
            (Some(bounds), _) => {
                // The current rate was rejected: it is the new upper bound.
                let rejected = bounds.rate();
                let accepted = if is_measured { requests / in_all } else { bounds.accepted * EASE };
                let accepted = accepted.min(rejected).max(SLOWEST);
                let rejected = rejected.max(accepted);
                Some(Bounds { accepted, rejected, stable: 0.0, next: until })
            }
        };
        (self.sent, self.since) = (0, Some(sent_at));
        self.bounds = bounds;
        bounds.map(|bounds| bounds.rate())
    }
}

#[cfg(test)]
mod tests;
