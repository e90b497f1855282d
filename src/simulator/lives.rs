//! What is odd in some runs' lives. All of it is drawn from a stream of its own, so that a world
//! without oddities is the same with and without this module.

use serde::{Deserialize, Serialize};

use super::plan::Outcome;
use super::random::{Seeded, combine};

const LIFE_STREAM: u64 = 14;
const MINUTE: u64 = 60_000;
const DAY: f64 = 86_400_000.0;

/// How many runs live oddly, and how. Shares are percent of all runs; by default there are none.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lives {
    /// Runs that stay open for days.
    pub long_open_percent: u8,
    /// The longest time for which they do, in days; the shortest is a quarter of it.
    pub long_open_days: f64,
    /// Runs whose outcome is a judged one, and whose evaluation never comes.
    pub never_evaluated_percent: u8,
    /// Runs that end with a status that nobody knows.
    pub unknown_status_percent: u8,
    /// Runs whose classification, cost and evaluation change after all was there.
    pub changed_percent: u8,
    /// The longest time from there to the change, in seconds; the shortest is a minute.
    pub changed_seconds: f64,
    /// Of the runs that ended in `error` or `timed_out`: those that the next run of the same
    /// workflow names as `retry_of_run_id`.
    pub retried_percent: u8,
    /// Arguments, attributes and metadata in whose place stands `[redacted:sensitive-field]`.
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

/// What one run's life has of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Life {
    /// From start to end, in milliseconds, where that is long.
    pub(super) long_open: Option<u64>,
    pub(super) is_never_evaluated: bool,
    pub(super) has_unknown_status: bool,
    /// From the evaluation (or the end) to the change, in milliseconds.
    pub(super) changed_after: Option<u64>,
    pub(super) is_retried: bool,
}

impl Lives {
    /// The life of the run with this seed. Each draw is made whatever the shares are, so that
    /// changing one of them leaves the others' runs as they are.
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
            // A run that ends out of every list's reach must not change there unseen.
            changed_after: (is_changed && !is_long_open).then_some(changed_after),
            is_retried,
        }
    }
}

fn milliseconds(amount: f64, unit: f64) -> u64 {
    super::world::milliseconds(amount * unit / 1_000.0)
}
