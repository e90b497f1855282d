//! How many requests a second: as many as the server takes, which only its 429s tell.
//!
//! Until the second 429 nothing is spaced: a single one may be an accident. Two give two numbers: the
//! rate at which the second came was too much, and what was accepted since the first, its hold
//! included, is no more than the server takes: exactly that where it hands out tokens, and a little
//! less where it counts in windows. From then on requests are spaced, from the lower number towards the higher one: quickly first, then
//! ever more slowly, and past it once all has gone well for long, as limits change.

use std::time::Duration;

use tokio::time::Instant;

/// In requests a second: whatever a server says, some go out.
const SLOWEST: f64 = 0.2;

/// Timers are only good to a millisecond: so much may be caught up on.
const CREDIT: Duration = Duration::from_millis(5);

/// In how many seconds, of paced sending, most of the way to the higher number is gone.
const APPROACH_SECONDS: f64 = 8.0;

/// After so many it is passed: by `PROBE` after as many again as `PROBE_SECONDS`, four times that
/// after twice as many, and so on. A limit that doubled is found within three minutes.
const CALM_SECONDS: f64 = 40.0;
const PROBE_SECONDS: f64 = 20.0;
const PROBE: f64 = 0.02;

/// What was accepted can be measured where there is so much of it, in requests and in seconds.
const LEAST_SENDS: u32 = 3;
const LEAST_SECONDS: f64 = 0.05;

/// Two 429s that are further apart have little to do with each other.
const MOST_SECONDS: f64 = 150.0;

/// A hold that was too short says nothing of the rate; asked less often, it may be long enough.
const EASE: f64 = 0.8;

/// Spaces requests out. Does no waiting itself.
#[derive(Debug, Default)]
pub(super) struct Rate {
    /// Sent since the last 429, and when that began.
    sent: u32,
    since: Option<Instant>,
    /// What 429s taught; `None` before the second.
    bounds: Option<Bounds>,
    /// Requests that were sent before this moment tell of the last 429 once more.
    held_until: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Bounds {
    /// Requests a second that the server takes.
    good: f64,
    /// Requests a second at which it refused.
    bad: f64,
    /// Seconds for which requests were spaced by this, and all went well.
    calm: f64,
    next: Instant,
}

impl Bounds {
    fn rate(&self) -> f64 {
        let approached = 1.0 - (-self.calm / APPROACH_SECONDS).exp();
        let probe = ((self.calm - CALM_SECONDS) / PROBE_SECONDS).max(0.0);
        (self.good + (self.bad - self.good) * approached) * (1.0 + PROBE * probe * probe)
    }
}

impl Rate {
    /// Takes the right to send one request now. Where it is too early, says how long to wait before
    /// asking again. To be asked by one at a time, and not while a 429 holds everybody.
    pub(super) fn take(&mut self, now: Instant) -> Option<Duration> {
        if let Some(bounds) = &mut self.bounds {
            let wait = bounds.next.saturating_duration_since(now);
            if !wait.is_zero() {
                return Some(wait);
            }
            let gap = 1.0 / bounds.rate();
            let late = now.saturating_duration_since(bounds.next);
            if late < CREDIT {
                bounds.calm += gap;
                bounds.next += Duration::from_secs_f64(gap);
            } else {
                bounds.next = now + Duration::from_secs_f64(gap).saturating_sub(CREDIT);
            }
        }
        self.since.get_or_insert(now);
        self.sent = self.sent.saturating_add(1);
        None
    }

    /// A request that was sent at `sent_at` was answered with a 429, and everybody is held for
    /// `hold`. What was under way together tells of the same. Returns the new rate, in requests a
    /// second, where that is news.
    pub(super) fn refused(
        &mut self,
        sent_at: Instant,
        now: Instant,
        hold: Duration,
    ) -> Option<f64> {
        let until = now + hold;
        self.sent = self.sent.saturating_sub(1);
        let is_old_news = self.held_until.is_some_and(|held| sent_at <= held);
        let held = self.held_until;
        self.held_until = held.max(Some(until));
        if is_old_news {
            if let Some(bounds) = &mut self.bounds {
                bounds.next = bounds.next.max(until);
            }
            return None;
        }
        let since = |from: Option<Instant>| {
            let from = from.unwrap_or(sent_at);
            sent_at.saturating_duration_since(from).as_secs_f64().max(LEAST_SECONDS)
        };
        let (all, sending) = (since(self.since), since(held));
        let accepted = f64::from(self.sent);
        let is_measured = self.sent >= LEAST_SENDS;
        let bounds = match (&self.bounds, held) {
            // The first one may be an accident, and comes when the server has given what it had
            // saved up: only what follows it tells the rate.
            (None, None) => None,
            (None, Some(_)) if !is_measured || all > MOST_SECONDS => None,
            (None, Some(_)) => {
                let good = (accepted / all).max(SLOWEST);
                Some(Bounds { good, bad: (accepted / sending).max(good), calm: 0.0, next: until })
            }
            (Some(bounds), _) => {
                let bad = bounds.rate();
                let good = if is_measured { accepted / all } else { bounds.good * EASE };
                let good = good.min(bad).max(SLOWEST);
                Some(Bounds { good, bad: bad.max(good), calm: 0.0, next: until })
            }
        };
        (self.sent, self.since) = (0, Some(sent_at));
        self.bounds = bounds;
        bounds.map(|bounds| bounds.rate())
    }
}

#[cfg(test)]
mod tests;
