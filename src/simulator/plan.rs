//! The life of one run, without its content: cheap enough to be computed again for each listing.

use serde_json::Value;
use uuid::Uuid;

use super::catalog::{Model, Trouble, Workflow};
use super::random::Seeded;

/// A status that occurs neither in Armature's documentation nor in its code.
const UNKNOWN_STATUS: &str = "galvanized";
/// The classification after a change. Invented.
const CHANGED_CLASSIFICATION: &str = "reviewed";
/// Millionths of a dollar by which such a change raises the cost.
const CHANGED_COST: u64 = 1_700;
/// How long after its end a run with an unknown status counts as open, in milliseconds (a guarantee
/// of the exporter).
const SETTLE_TIME: i64 = 2 * 3_600_000;

/// How a run ends. `error` and `timed_out` are not evaluated (documented: an infrastructure failure
/// has no final answer; inferred: it has no evaluation).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Pass,
    Partial,
    Fail,
    Error,
    TimedOut,
}

impl Outcome {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Partial => "partial",
            Self::Fail => "fail",
            Self::Error => "error",
            Self::TimedOut => "timed_out",
        }
    }

    pub(super) const fn is_judged(self) -> bool {
        matches!(self, Self::Pass | Self::Partial | Self::Fail)
    }
}

/// The phase of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Pending,
    Running,
    /// Final, and the evaluation does not exist yet.
    Unjudged,
    /// Final, and nothing changes any more.
    Settled,
}

impl Phase {
    pub(super) const fn is_open(self) -> bool {
        matches!(self, Self::Pending | Self::Running)
    }
}

/// The properties of a run. Times are milliseconds since 1970.
#[derive(Debug, Clone, Copy)]
pub(super) struct RunPlan {
    pub(super) id: Uuid,
    pub(super) workflow_id: Uuid,
    pub(super) server_id: Uuid,
    /// The seed of the run's content.
    pub(super) seed: u64,
    /// The seed of the ids that all runs share.
    pub(super) world_seed: u64,
    pub(super) workflow: &'static Workflow,
    pub(super) version: u32,
    pub(super) model: &'static Model,
    pub(super) trigger: &'static str,
    pub(super) outcome: Outcome,
    pub(super) classification: Option<&'static str>,
    pub(super) start: i64,
    pub(super) running_from: i64,
    pub(super) end: i64,
    /// When the evaluation appears; equals the end for runs that are never evaluated.
    pub(super) settled: i64,
    /// Whether an evaluation exists from then on.
    pub(super) is_judged: bool,
    pub(super) has_unknown_status: bool,
    /// When classification, cost and evaluation change; `None` for never.
    pub(super) changed: Option<i64>,
    /// Whether the next run of the same workflow is a retry of this one.
    pub(super) is_retried: bool,
    /// The run that this one retries. Set only where documents are built.
    pub(super) retry_of: Option<Uuid>,
    /// Percentage of payloads that are a redaction marker.
    pub(super) redacted_percent: u8,
    pub(super) input_tokens: u64,
    pub(super) output_tokens: u64,
}

impl RunPlan {
    pub(super) const fn phase(&self, now: i64) -> Phase {
        if now < self.running_from {
            Phase::Pending
        } else if now < self.end {
            Phase::Running
        } else if now < self.settled {
            Phase::Unjudged
        } else {
            Phase::Settled
        }
    }

    pub(super) const fn status(&self, now: i64) -> &'static str {
        match self.phase(now) {
            Phase::Pending => "pending",
            Phase::Running => "running",
            Phase::Unjudged | Phase::Settled if self.has_unknown_status => UNKNOWN_STATUS,
            Phase::Unjudged | Phase::Settled => self.outcome.name(),
        }
    }

    /// Whether the run counts as open for a client that does not know its status.
    pub(super) const fn passes_for_open(&self, now: i64) -> bool {
        let is_doubtful = self.has_unknown_status && now - self.end <= SETTLE_TIME;
        self.phase(now).is_open() || is_doubtful
    }

    /// Whether the change after the end has happened at `now`.
    pub(super) fn is_changed(&self, now: i64) -> bool {
        self.changed.is_some_and(|changed| changed <= now)
    }

    /// The classification at `now`: it appears with the evaluation, or at the end if there will be
    /// none.
    pub(super) fn classification_at(&self, now: i64) -> Option<&'static str> {
        if self.is_changed(now) {
            return Some(CHANGED_CLASSIFICATION);
        }
        self.classification.filter(|_| self.phase(now) == Phase::Settled)
    }

    pub(super) const fn duration(&self) -> i64 {
        self.end - self.start
    }

    /// The run's cost at `now` in dollars, as decimal text without trailing zeros.
    pub(super) fn cost(&self, now: i64) -> String {
        let cents_per_million = self.input_tokens * self.model.input_price
            + self.output_tokens * self.model.output_price;
        let more = if self.is_changed(now) { CHANGED_COST } else { 0 };
        decimal(cents_per_million / 100 + more)
    }

    /// The same cost as a JSON number.
    pub(super) fn cost_number(&self, now: i64) -> Value {
        self.cost(now).parse::<f64>().map_or(Value::Null, Value::from)
    }
}

/// Millionths as decimal text without trailing zeros.
fn decimal(millionths: u64) -> String {
    let text = format!("{}.{:06}", millionths / 1_000_000, millionths % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Draws how a run ends. Failures are concentrated as [`Trouble`] states.
pub(super) fn draw_outcome(
    random: &mut Seeded,
    workflow: &Workflow,
    version: u32,
    model: &Model,
) -> Outcome {
    const OUTCOMES: [Outcome; 5] =
        [Outcome::Pass, Outcome::Partial, Outcome::Fail, Outcome::Error, Outcome::TimedOut];
    let weights = match workflow.trouble {
        Trouble::Regression if version == workflow.version => [44, 11, 40, 3, 2],
        Trouble::SmallModel if model.is_small => [42, 24, 29, 4, 1],
        _ => [88, 4, 4, 3, 1],
    };
    OUTCOMES.get(random.weighted(&weights)).copied().unwrap_or(Outcome::Pass)
}

/// Draws a classification that fits an outcome. The values are invented, because none are
/// documented.
pub(super) fn draw_classification(
    random: &mut Seeded,
    workflow: &Workflow,
    outcome: Outcome,
) -> Option<&'static str> {
    match outcome {
        Outcome::Pass => None,
        Outcome::Error => Some("infrastructure_error"),
        Outcome::TimedOut => Some("evaluator_not_started"),
        Outcome::Partial | Outcome::Fail => Some(match workflow.trouble {
            Trouble::Regression => {
                random.pick(&["tool_error", "tool_error", "tool_error", "agent_error"])
            }
            Trouble::SmallModel => {
                random.pick(&["agent_error", "agent_error", "agent_error", "tool_error"])
            }
            Trouble::Ordinary => random.pick(&["agent_error", "tool_error", "prompt_gap"]),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_are_plain_decimals() {
        assert_eq!(decimal(12_300), "0.0123");
        assert_eq!(decimal(2_000_000), "2");
        assert_eq!(decimal(0), "0");
        assert_eq!(decimal(1_000_001), "1.000001");
    }
}
