//! The rate limiter: spaces requests out at the highest rate that the server accepts.
//!
//! The API documents no limit, so the limit is learned from 429s alone, and some of these have
//! nothing to do with a rate: gateways and shared quotas refuse a few requests at any rate. Slowing
//! down after those would never end, because they go on at every rate. So three questions are kept
//! apart:
//!
//! - **Is there a limit?** Beyond a limit a large share of the requests is refused, and stray
//!   refusals are a small share. A CUSUM test over the responses finds the change ([`Evidence`]):
//!   each refusal adds evidence, each accepted request takes some away. Until the evidence is
//!   there, a refused request waits alone, as long as the server asked for.
//! - **How many refusals are stray?** Their share is measured where a limit cannot be the reason:
//!   before a limit is found, and shortly after each finding, when the rate stays below the
//!   accepted bound for that purpose ([`StrayShare`]). Above the bound only refusals beyond this
//!   share count, in a second CUSUM test. On a server without stray refusals, one is enough.
//! - **Which limit?** A finding sets two bounds ([`Bounds`]). The requests that were accepted since
//!   the previous finding, divided by the time, waits included, are at most what the server allows;
//!   for a token bucket they are exactly that, because it was empty at both findings. The rate that
//!   was tried was too high. From the first bound the rate approaches the second one, and then
//!   passes it ever faster, because limits change.

mod bounds;
mod evidence;

use std::time::Duration;

use tokio::time::Instant;

use bounds::{Bounds, SLOWEST};
use evidence::{Evidence, StrayShare};

/// How far a late timer may be caught up on: timers are exact to about a millisecond only.
const CREDIT: Duration = Duration::from_millis(5);

/// The bounds are measured again only after so many seconds, or so many accepted requests.
const LEAST_SECONDS: f64 = 0.9;
const LEAST_ACCEPTED: f64 = 20.0;

/// The accepted bound is lowered by a finding above it only if the measurement lasted for so many
/// seconds, and at most to this share of what it was: such a finding can be stray.
const LONG_SECONDS: f64 = 5.0;
const LOWERED: f64 = 0.9;
const LOWERED_IF_STRAY: f64 = 0.95;

/// Where the rate exceeded the rejected bound by this factor, the limit was raised.
const RAISED: f64 = 1.25;

/// The rejected bound is at least this multiple of the accepted one, so that the rate can rise.
const APART: f64 = 1.02;

/// How often a wait is doubled if the request after it is refused again, and up to which length.
const MOST_DOUBLED: u32 = 4;
const LONGEST_DOUBLED: Duration = Duration::from_secs(16);

/// What a 429 means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rejection {
    /// Whether the wait concerns every request, or the refused one alone.
    pub(super) is_shared: bool,
    /// How long to wait: as long as the server asked for, or longer if that was too short before.
    pub(super) wait: Duration,
    /// The new rate, in requests a second, if it changed.
    pub(super) rate: Option<f64>,
}

/// Decides when the next request may be sent. Does not wait itself.
#[derive(Debug, Default)]
pub(super) struct RateLimiter {
    evidence: Evidence,
    stray: StrayShare,
    /// `None` while no limit is known.
    bounds: Option<Bounds>,
    /// The last finding; `None` before the first one.
    found: Option<Finding>,
    measured: Measurement,
}

/// A limit was found, or was found to be lower or higher than assumed.
#[derive(Clone, Copy, Debug)]
struct Finding {
    at: Instant,
    is_shared: bool,
    /// Whether a request was accepted since the last wait that concerned every request.
    is_over: bool,
    /// How often that wait was doubled.
    doubled: u32,
    /// The share of stray refusals at that time.
    stray: StrayShare,
}

/// What happened since the last finding that set the bounds.
#[derive(Clone, Copy, Debug, Default)]
struct Measurement {
    since: Option<Instant>,
    accepted: f64,
    refused: f64,
    /// Refusals among them that turned out to be stray: the limit is not what refused them.
    stray: f64,
    /// Refusals of which it is not known yet.
    undecided: f64,
    /// Waits that concerned every request.
    waited: Duration,
}

impl Measurement {
    fn new(since: Instant) -> Self {
        Self { since: Some(since), ..Self::default() }
    }

    /// How long it has lasted, in seconds.
    fn seconds(&self, until: Instant) -> f64 {
        self.since.map_or(0.0, |since| until.saturating_duration_since(since).as_secs_f64())
    }

    /// How long requests were sent, in seconds.
    fn sending_seconds(&self, until: Instant) -> f64 {
        (self.seconds(until) - self.waited.as_secs_f64()).max(0.05)
    }

    /// Requests that the limit allowed.
    fn allowed(&self) -> f64 {
        self.accepted + self.stray
    }
}

impl RateLimiter {
    /// Takes the permission to send one request now, or returns how long to wait before asking
    /// again. Callers ask one at a time, and not during a shared wait.
    pub(super) fn take(&mut self, now: Instant) -> Option<Duration> {
        if let Some(bounds) = &mut self.bounds {
            let wait = bounds.next.saturating_duration_since(now);
            if !wait.is_zero() {
                return Some(wait);
            }
            let gap = Duration::from_secs_f64(1.0 / bounds.rate());
            let late = now.saturating_duration_since(bounds.next);
            bounds.next =
                if late < CREDIT { bounds.next + gap } else { now + gap.saturating_sub(CREDIT) };
            // Where far fewer requests are sent than the rate allows, nothing is learned about it.
            if late < gap.max(CREDIT) {
                bounds.sent_for(gap);
            }
            if bounds.is_refuted() {
                self.bounds = None;
            }
        }
        self.measured.since.get_or_insert(now);
        None
    }

    /// Records a response that is not a 429.
    pub(super) fn record_acceptance(&mut self) {
        self.count_response();
        self.evidence.record_acceptance(self.stray.share());
        if self.evidence.is_none(self.bounds.is_some()) {
            if self.bounds.is_none() {
                self.stray.count_refusals(self.measured.undecided);
            }
            self.measured.stray += self.measured.undecided;
            self.measured.undecided = 0.0;
        }
        self.measured.accepted += 1.0;
        if let Some(found) = &mut self.found {
            (found.is_over, found.doubled) = (true, 0);
        }
    }

    /// Records a 429 for a request that was sent at `sent_at`, whose server asks to wait for `wait`
    /// from `now`.
    pub(super) fn record_rejection(
        &mut self,
        sent_at: Instant,
        now: Instant,
        wait: Duration,
    ) -> Rejection {
        // It was sent before the last finding: part of what was found.
        if let Some(found) = self.found.filter(|found| sent_at <= found.at) {
            return Rejection { is_shared: found.is_shared, wait, rate: None };
        }
        self.count_response();
        self.evidence.record_rejection(self.stray.share());
        self.measured.refused += 1.0;
        self.measured.undecided += 1.0;
        // After a shared wait, the first request is refused again: the wait was too short. Windows
        // whose end the server does not name are like that.
        let is_too_short = self.bounds.is_some() && self.found.is_some_and(|found| !found.is_over);
        let is_dense = self.evidence.is_dense(self.speed(sent_at));
        if !is_too_short && !is_dense && !self.is_excess() {
            if self.bounds.is_some() && self.is_measuring_stray() {
                self.stray.count_refusals(1.0);
            }
            return Rejection { is_shared: false, wait, rate: None };
        }
        let doubled = self.found.map_or(0, |found| found.doubled);
        let doubled = if is_too_short { MOST_DOUBLED.min(doubled + 1) } else { doubled };
        let wait = wait.max(wait.saturating_mul(1 << doubled).min(LONGEST_DOUBLED));
        // Where stray refusals are known, a few more of them must not stop everything.
        let is_shared = is_too_short || is_dense || !self.stray.is_known();
        let before = self.bounds.map(|bounds| bounds.rate());
        self.find(sent_at, now, if is_shared { wait } else { Duration::ZERO });
        let is_over = !is_shared && self.found.is_none_or(|found| found.is_over);
        self.found = Some(Finding { at: now, is_shared, is_over, doubled, stray: self.stray });
        self.evidence.reset(is_shared);
        let rate = self.bounds.map(|bounds| bounds.rate()).filter(|rate| before != Some(*rate));
        Rejection { is_shared, wait, rate }
    }

    fn count_response(&mut self) {
        if self.is_measuring_stray() {
            self.stray.count_response();
        }
    }

    /// Whether a refusal now cannot be the limit's.
    fn is_measuring_stray(&self) -> bool {
        self.bounds.is_none_or(|bounds| bounds.is_careful() && !bounds.is_above())
    }

    /// Whether more is refused than stray refusals explain.
    fn is_excess(&self) -> bool {
        let Some(bounds) = &self.bounds else { return false };
        // The first finding can be a mistake, and its bounds are a guess. Where stray refusals are
        // known, only a second one that is as clear confirms it.
        let is_trusted = bounds.is_confirmed || !self.stray.is_known();
        is_trusted && self.evidence.is_excess(bounds.rate(), bounds.is_above())
    }

    /// The rate at which requests are sent, in requests a second.
    fn speed(&self, until: Instant) -> f64 {
        let sent = self.measured.accepted / self.measured.seconds(until).max(1.0);
        self.bounds.map_or(sent, |bounds| bounds.rate())
    }

    /// A limit was found: sets the bounds from what the server accepted since the last finding.
    fn find(&mut self, sent_at: Instant, now: Instant, wait: Duration) {
        let measured = self.measured;
        let seconds = measured.seconds(sent_at);
        let next = now + wait;
        let is_measured = measured.accepted > 0.0
            && (seconds >= LEAST_SECONDS || measured.accepted >= LEAST_ACCEPTED);
        match &mut self.bounds {
            None => {
                // The wait that is about to begin counts: a server that allows a burst allows it
                // after a rest of that length, or never.
                let seconds = seconds + wait.as_secs_f64();
                let accepted = measured.allowed().max(1.0) / seconds;
                let tried = measured.allowed() + measured.refused;
                let rejected = tried / measured.sending_seconds(sent_at);
                let is_stray_known = self.stray.is_known();
                self.bounds =
                    Some(Bounds::guess(accepted, rejected, seconds, next, is_stray_known));
                self.measured = Measurement::new(sent_at);
            }
            Some(bounds) => {
                if let (false, Some(found)) = (bounds.is_above(), self.found) {
                    // The accepted bound is too high, so what was measured below it was not stray.
                    self.stray = found.stray;
                }
                bounds.next = bounds.next.max(next);
                // What comes too early to measure anything is part of the next measurement.
                if is_measured {
                    let accepted = lowered(bounds, &measured, sent_at, self.stray.is_known());
                    let (accepted, rejected) = raised(bounds, accepted, &measured, sent_at);
                    bounds.set(accepted, rejected, seconds, self.stray.is_known());
                    self.measured = Measurement::new(sent_at);
                }
            }
        }
        self.measured.waited = self.measured.waited.saturating_add(wait);
        self.measured.undecided = 0.0;
    }
}

/// The accepted bound after a finding: what was measured, but not far below the bound if the finding
/// can be stray.
fn lowered(bounds: &Bounds, measured: &Measurement, until: Instant, is_stray_known: bool) -> f64 {
    let seconds = measured.seconds(until);
    let rate = bounds.rate();
    let accepted = (measured.allowed() / seconds).max(SLOWEST).min(rate);
    let least = if !bounds.is_above() {
        0.0
    } else if is_stray_known {
        LOWERED_IF_STRAY
    } else if seconds >= LONG_SECONDS {
        LOWERED
    } else {
        1.0
    };
    accepted.max(bounds.accepted * least)
}

/// Both bounds after a finding; they rise if the rate had passed the rejected bound.
fn raised(bounds: &Bounds, accepted: f64, measured: &Measurement, until: Instant) -> (f64, f64) {
    let rate = bounds.rate();
    if rate > RAISED * bounds.rejected {
        // What was accepted since the last finding was mostly sent at the old rate.
        let accepted = accepted.max((bounds.rejected * rate).sqrt());
        return (accepted, rate.max(accepted * APART));
    }
    // The accepted requests divided by the time of sending alone exceed the limit only by what the
    // server saved up during waits. The tried rate can be far higher.
    let sending = (measured.allowed() / measured.sending_seconds(until)).max(accepted);
    (accepted, rate.min((sending * rate).sqrt()).max(accepted * APART))
}

#[cfg(test)]
mod tests;
