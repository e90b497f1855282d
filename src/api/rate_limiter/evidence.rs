//! Statistics that distinguish a limit from stray refusals.
//!
//! A CUSUM test sums the logarithm of how much more likely each response is with a limit than
//! without one, and never falls below 0. With a threshold `t`, about `e^t` responses come between
//! two false findings.

/// Share of refused requests that stray refusals are expected to reach, and share far beyond a
/// limit, as long as no limit is known.
const STRAY_SHARE: f64 = 0.03;
const LIMITED_SHARE: f64 = 0.35;

/// Evidence at which refusals are dense: about four without an accepted request between.
const DENSE: f64 = 7.5;

/// While a limit is known: the share by which it exceeds the stray ones when the rate is too high.
const EXCESS_SHARE: f64 = 0.1;

/// Evidence at which there is an excess above the accepted bound: a single refusal, if no stray
/// ones are known. A bound that was accepted before needs more: about three.
const EXCESS: f64 = 5.0;
const EXCESS_BELOW: f64 = 8.0;

/// Above this rate, in requests a second, thresholds rise with the rate's logarithm, so that false
/// findings become no more frequent in time.
const THRESHOLD_RATE: f64 = 50.0;

/// Before the first refusal, the share of stray ones is assumed to be as if `PRIOR_REFUSALS` of
/// `PRIOR_RESPONSES` had been refused.
const PRIOR_REFUSALS: f64 = 0.03;
const PRIOR_RESPONSES: f64 = 50.0;

/// The share's range: stray refusals are never impossible, and never the rule.
const LEAST_SHARE: f64 = 5e-4;
const MOST_SHARE: f64 = 0.2;

/// Responses after which the memory of earlier ones has faded to a third.
const MEMORY: f64 = 600.0;

/// From this share on, the server is known to refuse stray requests.
const KNOWN_SHARE: f64 = 0.003;

/// Two CUSUM tests; both sums are 0 or more.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    /// For a limit that is far exceeded.
    dense: f64,
    /// For more refusals than stray ones.
    excess: f64,
}

impl Evidence {
    /// Records an accepted request; `stray` is the share of stray refusals.
    pub(super) fn record_acceptance(&mut self, stray: f64) {
        let dense = ((1.0 - STRAY_SHARE) / (1.0 - LIMITED_SHARE)).ln();
        let excess = ((1.0 - stray) / (1.0 - stray - EXCESS_SHARE)).ln();
        self.dense = (self.dense - dense).max(0.0);
        self.excess = (self.excess - excess).max(0.0);
    }

    /// Records a refusal; `stray` is the share of stray refusals.
    pub(super) fn record_rejection(&mut self, stray: f64) {
        let usual = stray.max(STRAY_SHARE);
        self.dense += (LIMITED_SHARE.max(2.0 * usual) / usual).ln();
        self.excess += ((stray + EXCESS_SHARE) / stray).ln();
    }

    /// Whether refusals are dense at a rate, in requests a second.
    pub(super) fn is_dense(&self, rate: f64) -> bool {
        self.dense >= DENSE + for_rate(rate)
    }

    /// Whether there are more refusals than stray ones at a rate, in requests a second.
    pub(super) fn is_excess(&self, rate: f64, is_above: bool) -> bool {
        let needed = if is_above { EXCESS } else { EXCESS_BELOW };
        self.excess >= needed + for_rate(rate)
    }

    /// Whether nothing suggests that the refusals so far were a limit's.
    pub(super) fn is_none(&self, is_limited: bool) -> bool {
        let sum = if is_limited { self.excess } else { self.dense };
        sum <= 0.0
    }

    /// Starts again after a finding. What was seen of a limit that is far exceeded stays, unless
    /// all requests wait now.
    pub(super) fn reset(&mut self, is_shared: bool) {
        self.excess = 0.0;
        if is_shared {
            self.dense = 0.0;
        }
    }
}

fn for_rate(rate: f64) -> f64 {
    (rate / THRESHOLD_RATE).max(1.0).ln()
}

/// The share of requests that are refused whatever their rate is. Later responses weigh more.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct StrayShare {
    refusals: f64,
    responses: f64,
}

impl StrayShare {
    pub(super) fn count_response(&mut self) {
        let kept = 1.0 - 1.0 / MEMORY;
        self.responses = self.responses * kept + 1.0;
        self.refusals *= kept;
    }

    /// Records that so many of the counted responses were stray refusals.
    pub(super) fn count_refusals(&mut self, refusals: f64) {
        self.refusals += refusals;
    }

    pub(super) fn share(&self) -> f64 {
        let share = (self.refusals + PRIOR_REFUSALS) / (self.responses + PRIOR_RESPONSES);
        share.clamp(LEAST_SHARE, MOST_SHARE)
    }

    /// Whether the server is known to refuse stray requests.
    pub(super) fn is_known(&self) -> bool {
        self.share() >= KNOWN_SHARE
    }
}
