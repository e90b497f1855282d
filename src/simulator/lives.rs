//! Anomalies in the lives of runs. They are drawn from a separate random stream, so that a world
//! without anomalies does not depend on this module.

use serde::{Deserialize, Serialize};

use super::plan::Outcome;
use super::random::{Seeded, combine};

const LIFE_STREAM: u64 = 14;
const MINUTE: u64 = 60_000;
const DAY: f64 = 86_400_000.0;

/// How many runs have which anomaly. Percentages refer to all runs; by default there are no
/// anomalies.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lives {
    /// Runs that stay open for days.
    pub long_open_percent: u8,
    /// The longest time for which they stay open, in days; the shortest is a quarter of it.
    pub long_open_days: f64,
    /// Runs whose outcome requires an evaluation, and whose evaluation never appears.
    pub never_evaluated_percent: u8,
    /// Runs that end with an unknown status.
    pub unknown_status_percent: u8,
    /// Runs whose classification, cost and evaluation change after all of them existed.
    pub changed_percent: u8,
    /// The longest time until that change, in seconds; the shortest is a minute.
    pub changed_seconds: f64,
    /// Percentage of the runs that ended in `error` or `timed_out` that the next run of the same
    /// workflow names as `retry_of_run_id`.
    pub retried_percent: u8,
    /// Percentage of arguments, attributes and metadata that are replaced by
    /// `[redacted:sensitive-field]`.
    pub redacted_percent: u8,
}

impl Default for Lives {
    fn default() -> Self {
        Self {
            long_open_percent: 0,
            long_open_days: 2.0,
            never_evaluated_percent: 0,
            unknown_status_percent: 0,
            changed_percent: 0,
            changed_seconds: 14_400.0,
            retried_percent: 0,
            redacted_percent: 0,
        }
    }
}

/// The anomalies of one run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Life {
    /// Time from start to end in milliseconds, if the run stays open for long.
    pub(super) long_open: Option<u64>,
    pub(super) is_never_evaluated: bool,
    pub(super) has_unknown_status: bool,
    /// Time from the evaluation (or the end) to the change, in milliseconds.
    pub(super) changed_after: Option<u64>,
    pub(super) is_retried: bool,
}

impl Lives {
    /// The anomalies of the run with this seed. Every number is drawn whatever the percentages are,
    /// so that changing one of them leaves the runs of the others unchanged.
    pub(super) fn draw(&self, seed: u64, outcome: Outcome) -> Life {
        let mut random = Seeded::new(combine(seed, LIFE_STREAM));
        let mut is = |share: u8| random.percent(u64::from(share));
        let is_long_open = is(self.long_open_percent);
        let is_never_evaluated = is(self.never_evaluated_percent) && outcome.is_judged();
        let has_unknown_status = is(self.unknown_status_percent);
        let is_changed = is(self.changed_percent);
        let is_retried = is(self.retried_percent) && !outcome.is_judged();
        let longest = milliseconds(self.long_open_days, DAY);
        let open = random.between(longest / 4, longest);
        let latest = milliseconds(self.changed_seconds, 1_000.0).max(MINUTE);
        let changed_after = random.between(MINUTE, latest);
        Life {
            long_open: is_long_open.then_some(open),
            is_never_evaluated,
            has_unknown_status,
            // A run that ends out of reach of every list must not change there, where no client can
            // see it.
            changed_after: (is_changed && !is_long_open).then_some(changed_after),
            is_retried,
        }
    }
}

fn milliseconds(amount: f64, unit: f64) -> u64 {
    super::clock::milliseconds(amount * unit / 1_000.0)
}
