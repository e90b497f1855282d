//! The rate limiter: spaces requests out at the highest rate that the server accepts.
//!
//! The API documents no limit, so the limit is learned from 429s alone, and some of these have
//! nothing to do with a rate: gateways and shared quotas refuse a few requests at any rate. Slowing
//! down after those would never end, because they go on at every rate. So two questions are kept
//! apart:
//!
//! - **Is there a limit?** Beyond a limit a large share of the requests is refused, and stray
//!   refusals are a small share. A CUSUM test over the responses finds the change: each refusal adds
//!   evidence, each accepted request takes some away. Until the evidence is there, a refused request
//!   waits alone, as long as the server asked for.
//! - **Which limit?** From the second finding on there are two bounds: the rate accepted between two
//!   findings, waits included, is at most what the server allows (exactly that for a token bucket, a
//!   little less for fixed windows), and the rate that was tried was rejected. Requests are spaced
//!   from the accepted towards the rejected bound, quickly first and then ever more slowly, and past
//!   it after a long time without a finding, because limits change.
//!
//! While requests are spaced, a refusal at or below the accepted bound is stray; the share of stray
//! refusals is measured there, and as many are expected above the bound before it is lowered.

use std::time::Duration;

use tokio::time::Instant;

/// The lowest rate, in requests a second: a sync must make progress whatever the server says.
const SLOWEST: f64 = 0.2;

/// How far a late timer may be caught up on: timers are exact to about a millisecond only.
const CREDIT: Duration = Duration::from_millis(5);

/// Share of refused requests that stray refusals are expected to reach, and share beyond a limit.
/// The CUSUM test decides between the two.
const STRAY_SHARE: f64 = 0.03;
const LIMITED_SHARE: f64 = 0.35;

/// Evidence at which a limit is found: about four refusals without an accepted request between.
const FOUND: f64 = 7.5;

/// The same soon after a finding, when a limit is known to exist: about three.
const FOUND_AGAIN: f64 = 4.8;
const SOON: Duration = Duration::from_mins(1);

/// Time constant of the approach to the rejected bound, in seconds of spaced sending.
const APPROACH_SECONDS: f64 = 8.0;

/// After this time without a finding the rejected bound is passed: by `PROBE` after `PROBE_SECONDS`
/// more, by four times that after twice as many, and so on.
const STABLE_SECONDS: f64 = 40.0;
const PROBE_SECONDS: f64 = 20.0;
const PROBE: f64 = 0.02;

/// Right after a finding the rate stays this much below the accepted bound, for so many seconds: the
/// measured rate holds what the server had saved up.
const CAREFUL: f64 = 0.97;
const CAREFUL_SECONDS: f64 = 3.0;

/// The accepted rate is measured over at least so many seconds.
const LEAST_SECONDS: f64 = 0.9;

/// Responses below the accepted bound that are needed to measure the share of stray refusals.
const LEAST_BELOW: f64 = 50.0;

/// Fewer are enough to trust that a server without any stray refusal means each one.
const LEAST_QUIET: f64 = 30.0;

/// Refusals that come within so many accepted requests belong to one episode, and count once.
const EPISODE: u32 = 4;

/// What a 429 means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rejection {
    /// Whether the wait that the server asked for concerns every request, or the refused one alone.
    pub(super) is_shared: bool,
    /// The new rate, in requests a second, if it changed.
    pub(super) rate: Option<f64>,
}

/// Decides when the next request may be sent. Does not wait itself.
#[derive(Debug, Default)]
pub(super) struct RateLimiter {
    /// CUSUM of the evidence for a limit; 0 or more.
    evidence: f64,
    /// When a limit was last found; `None` before the first time.
    found_at: Option<Instant>,
    /// Start of the measurement, and requests accepted since.
    since: Option<Instant>,
    accepted: u32,
    /// Requests refused since.
    refused: u32,
    /// Shared waits since.
    waited: Duration,
    bounds: Option<Bounds>,
    /// Responses, and refusals among them, while the rate was at or below the accepted bound.
    below: f64,
    refused_below: f64,
    /// Accepted requests, and refusals above the accepted bound, since the bounds were set.
    accepted_at_bounds: f64,
    refused_above: f64,
    /// Accepted requests until a refusal counts as another episode.
    episode: u32,
}

#[derive(Clone, Copy, Debug)]
struct Bounds {
    /// A rate that the server accepts, in requests a second.
    accepted: f64,
    /// A rate that it rejected, in requests a second.
    rejected: f64,
    /// Seconds of spaced sending since the bounds were set.
    stable: f64,
    /// When the next request may be sent.
    next: Instant,
    /// Whether a refusal confirmed the rejected bound while requests were spaced. Before that it is
    /// only what the requests in flight happened to reach.
    is_confirmed: bool,
}

impl Bounds {
    fn new(accepted: f64, rejected: f64, next: Instant) -> Self {
        let accepted = accepted.max(SLOWEST);
        Self { accepted, rejected: rejected.max(accepted), stable: 0.0, next, is_confirmed: true }
    }

    fn rate(&self) -> f64 {
        let approached = 1.0 - (-self.stable / APPROACH_SECONDS).exp();
        let probe = ((self.stable - STABLE_SECONDS) / PROBE_SECONDS).max(0.0);
        let between = self.accepted + (self.rejected - self.accepted) * approached;
        let beyond =
            if self.is_confirmed { 0.0 } else { 2.0 * (self.stable / APPROACH_SECONDS - 1.0) };
        let between = between * beyond.clamp(0.0, 16.0).exp2();
        let careful = if self.stable < CAREFUL_SECONDS { CAREFUL } else { 1.0 };
        between * (1.0 + PROBE * probe * probe) * careful
    }

    fn is_above(&self) -> bool {
        self.rate() > self.accepted
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
            let gap = 1.0 / bounds.rate();
            let late = now.saturating_duration_since(bounds.next);
            bounds.next = if late < CREDIT {
                bounds.next + Duration::from_secs_f64(gap)
            } else {
                now + Duration::from_secs_f64(gap).saturating_sub(CREDIT)
            };
            // Also where fewer requests are sent than the rate allows: the server accepts that.
            bounds.stable += gap;
        }
        self.since.get_or_insert(now);
        None
    }

    /// Records a response that is not a 429.
    pub(super) fn record_acceptance(&mut self) {
        let less = ((1.0 - STRAY_SHARE) / (1.0 - LIMITED_SHARE)).ln();
        self.evidence = (self.evidence - less).max(0.0);
        self.accepted = self.accepted.saturating_add(1);
        self.accepted_at_bounds += 1.0;
        self.episode = self.episode.saturating_sub(1);
        if self.bounds.is_some_and(|bounds| !bounds.is_above()) {
            self.below += 1.0;
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
        if self.found_at.is_some_and(|found| sent_at <= found) {
            return Rejection { is_shared: true, rate: None };
        }
        self.evidence += (LIMITED_SHARE / STRAY_SHARE).ln();
        self.refused = self.refused.saturating_add(1);
        if self.is_limit(now, wait) {
            let before = self.bounds.map(|bounds| bounds.rate());
            self.find(sent_at, now, wait);
            let rate = self.bounds.map(|bounds| bounds.rate()).filter(|rate| before != Some(*rate));
            return Rejection { is_shared: true, rate };
        }
        Rejection { is_shared: false, rate: self.lower(sent_at) }
    }

    /// Whether the refusals so far mean a limit.
    fn is_limit(&self, now: Instant, wait: Duration) -> bool {
        let is_soon =
            self.found_at.is_some_and(|found| now.saturating_duration_since(found) <= SOON);
        let needed = if is_soon { FOUND_AGAIN } else { FOUND };
        // A server that refused nothing below the bound means this one, and a wait that many
        // requests would fall into is worth keeping.
        let is_meant = self.bounds.is_some_and(|bounds| {
            let is_quiet = self.below >= LEAST_QUIET && self.refused_below == 0.0;
            is_quiet && bounds.is_above() && wait.as_secs_f64() * bounds.rate() > 2.0
        });
        self.evidence >= needed || is_meant
    }

    /// A limit was found: measures what the server accepted since the last finding.
    fn find(&mut self, sent_at: Instant, now: Instant, wait: Duration) {
        let seconds = self.measured_seconds(sent_at);
        let requests = f64::from(self.accepted);
        let is_first = self.found_at.is_none();
        let is_measured = !is_first && self.accepted > 0 && seconds >= LEAST_SECONDS;
        if is_measured {
            let accepted = requests / seconds;
            let sending = (seconds - self.waited.as_secs_f64()).max(0.05);
            let tried = (requests + f64::from(self.refused)) / sending;
            let rejected = self.bounds.map_or(tried, |bounds| bounds.rate());
            let is_confirmed = self.bounds.is_some();
            self.set(Bounds { is_confirmed, ..Bounds::new(accepted, rejected, now + wait) });
        } else if let Some(bounds) = &mut self.bounds {
            bounds.next = bounds.next.max(now + wait);
        }
        // The first finding ends a burst, which says nothing about the rate. One that comes too
        // early to measure anything is part of the next measurement.
        if is_first || is_measured {
            self.measure_from(sent_at);
        }
        self.waited = self.waited.saturating_add(wait);
        self.evidence = 0.0;
        self.found_at = Some(now);
    }

    /// A refusal that is not evidence of a limit: lowers the rejected bound if there are more of them above the
    /// accepted bound than stray ones explain. Returns the new rate if it did.
    fn lower(&mut self, sent_at: Instant) -> Option<f64> {
        let bounds = self.bounds?;
        if !bounds.is_above() {
            self.below += 1.0;
            self.refused_below += 1.0;
            return None;
        }
        if self.episode > 0 {
            return None;
        }
        self.episode = EPISODE;
        self.refused_above += 1.0;
        let stray = if self.below >= LEAST_BELOW { self.refused_below / self.below } else { 0.0 };
        let expected = 1.5 + 2.0 * stray * self.accepted_at_bounds;
        if stray > 0.0 && self.refused_above <= expected || self.accepted < 3 {
            return None;
        }
        let seconds = self.measured_seconds(sent_at);
        let (rate, measured) = (bounds.rate(), f64::from(self.accepted) / seconds.max(0.05));
        self.set(Bounds::new(measured.min(rate), rate, bounds.next));
        self.measure_from(sent_at);
        self.bounds.map(|bounds| bounds.rate())
    }

    /// How long the measurement has lasted, in seconds.
    fn measured_seconds(&self, until: Instant) -> f64 {
        self.since.map_or(0.0, |since| until.saturating_duration_since(since).as_secs_f64())
    }

    fn measure_from(&mut self, sent_at: Instant) {
        (self.since, self.accepted, self.refused) = (Some(sent_at), 0, 0);
        self.waited = Duration::ZERO;
    }

    fn set(&mut self, bounds: Bounds) {
        self.bounds = Some(bounds);
        (self.accepted_at_bounds, self.refused_above) = (0.0, 0.0);
    }
}

#[cfg(test)]
mod tests;
