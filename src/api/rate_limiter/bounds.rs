//! The two rates between which a limit is, and the rate at which requests are sent meanwhile.

use std::time::Duration;

use tokio::time::Instant;

/// The lowest rate, in requests a second: a sync must make progress whatever the server says.
pub(super) const SLOWEST: f64 = 0.2;

/// Right after a finding, the rate stays this much below the accepted bound, for so many seconds:
/// the server is given time to recover, and what it refuses now is stray. Where stray refusals are
/// known the distance is larger, so that a bound that is a little too high does not look like them.
const CAREFUL: f64 = 0.97;
const CAREFUL_IF_STRAY: f64 = 0.88;
const CAREFUL_SECONDS: f64 = 3.0;

/// Time constant of the approach to the rejected bound, in seconds: so many, and this share of the
/// time between the last two findings. A window of a minute shows only once a minute that it is
/// exceeded.
const APPROACH_SECONDS: f64 = 3.0;
const APPROACH_SHARE: f64 = 1.0 / 3.0;

/// After so many seconds without a finding, and so many requests, the rejected bound is passed: by
/// `PROBE` after `PROBE_SECONDS` more, by three times that after twice as many, by seven times that
/// after three times as many, and so on. A limit that was doubled is found in 40 seconds.
const HOLD_SECONDS: f64 = 12.0;
const HOLD_REQUESTS: f64 = 30.0;
const PROBE_SECONDS: f64 = 4.0;
const PROBE: f64 = 0.01;

/// At this multiple of the rejected bound, no limit is left.
const REFUTED: f64 = 9.0;

/// A first finding that is not confirmed within so many seconds of sending was a mistake.
const CONFIRMED_SECONDS: f64 = 20.0;

#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// A rate that the server accepts, in requests a second.
    pub(super) accepted: f64,
    /// A rate that it rejected, in requests a second.
    pub(super) rejected: f64,
    /// When the next request may be sent.
    pub(super) next: Instant,
    /// Whether a second finding confirmed the first one.
    pub(super) is_confirmed: bool,
    /// Seconds of spaced sending since the bounds were set.
    stable: f64,
    /// Seconds between the last two findings.
    cycle: f64,
    /// The part of the accepted bound that is used right after a finding.
    careful: f64,
}

impl Bounds {
    /// Bounds from a first finding, which ends a burst and therefore says little about the rate.
    pub(super) fn guess(
        accepted: f64,
        rejected: f64,
        cycle: f64,
        next: Instant,
        is_stray_known: bool,
    ) -> Self {
        let careful = careful(is_stray_known);
        let accepted = accepted.max(SLOWEST);
        let rejected = rejected.max(accepted);
        Self { accepted, rejected, next, is_confirmed: false, stable: 0.0, cycle, careful }
    }

    /// Sets measured bounds.
    pub(super) fn set(&mut self, accepted: f64, rejected: f64, cycle: f64, is_stray_known: bool) {
        let careful = careful(is_stray_known);
        let next = self.next;
        *self = Self { accepted, rejected, next, is_confirmed: true, stable: 0.0, cycle, careful };
    }

    /// The rate at which requests are sent, in requests a second.
    pub(super) fn rate(&self) -> f64 {
        let constant = APPROACH_SECONDS.max(APPROACH_SHARE * self.cycle);
        let approached = 1.0 - (-self.stable / constant).exp();
        let between = self.accepted + (self.rejected - self.accepted) * approached;
        let careful = if self.is_careful() { self.careful } else { 1.0 };
        between * self.probe() * careful
    }

    /// The factor by which the rejected bound is passed.
    fn probe(&self) -> f64 {
        let hold = HOLD_SECONDS.max(HOLD_REQUESTS / self.accepted);
        let steps = ((self.stable - hold) / PROBE_SECONDS).clamp(0.0, 20.0);
        1.0 + PROBE * (steps.exp2() - 1.0)
    }

    /// Records that requests were sent at this rate for so long.
    pub(super) fn sent_for(&mut self, time: Duration) {
        self.stable += time.as_secs_f64();
    }

    pub(super) fn is_careful(&self) -> bool {
        self.stable < CAREFUL_SECONDS
    }

    /// Whether requests are sent faster than at the rate that is known to be accepted.
    pub(super) fn is_above(&self) -> bool {
        self.rate() > self.accepted
    }

    /// Whether the limit turned out not to exist.
    pub(super) fn is_refuted(&self) -> bool {
        let is_mistake = !self.is_confirmed && self.stable > CONFIRMED_SECONDS;
        is_mistake || self.probe() > REFUTED
    }
}

fn careful(is_stray_known: bool) -> f64 {
    if is_stray_known { CAREFUL_IF_STRAY } else { CAREFUL }
}
