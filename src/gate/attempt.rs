//! What a gate judges: one attempt per repetition, and what its run came to.

use serde::{Serialize, Serializer};

use crate::run::Meaning;
use crate::tables::Kind;

/// A cost in the unit of the API (likely US dollars, not documented), exact to 18 decimal places.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cost(i128);

/// The number of decimal places that text shows at most.
const SHOWN_PLACES: usize = 4;

impl Cost {
    /// A cost in units of the last place of [`Kind::DECIMAL_SCALE`].
    pub fn from_scaled(scaled: i128) -> Self {
        Self(scaled)
    }

    /// Reads a decimal number such as `0.25`.
    ///
    /// # Errors
    /// A text that says what is expected, if it is not a number from 0 on with at most 18 decimal
    /// places.
    pub fn parse(text: &str) -> Result<Self, String> {
        const EXPECTED: &str = "expected a number from 0 on, such as 0.25";
        let scale = usize::from(Kind::DECIMAL_SCALE.unsigned_abs());
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let is_number = |digits: &str| digits.bytes().all(|digit| digit.is_ascii_digit());
        let has_digits = !(whole.is_empty() && fraction.is_empty());
        if !has_digits || !is_number(whole) || !is_number(fraction) || fraction.len() > scale {
            return Err(EXPECTED.to_owned());
        }
        let digits = format!("{whole}{fraction:0<scale$}");
        digits.parse().map(Self).map_err(|_| EXPECTED.to_owned())
    }

    /// The sum; the largest cost if it does not fit.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The cost so many times over.
    #[must_use]
    pub fn times(self, number: u32) -> Self {
        Self(self.0.saturating_mul(number.into()))
    }

    /// The cost divided by a number; `None` for 0.
    pub fn per(self, number: u32) -> Option<Self> {
        self.0.checked_div(number.into()).map(Self)
    }

    /// Plain decimal text with at most four places, rounded half up.
    pub fn text(self) -> String {
        let scale = u32::from(Kind::DECIMAL_SCALE.unsigned_abs());
        let places = u32::try_from(SHOWN_PLACES).unwrap_or(0);
        let unit = 10_i128.pow(scale - places);
        let rounded = self.0.saturating_add(unit / 2) / unit;
        let (whole, fraction) = (rounded / 10_i128.pow(places), rounded % 10_i128.pow(places));
        let text = format!("{whole}.{fraction:0SHOWN_PLACES$}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

impl Serialize for Cost {
    /// As text, because a JSON number would lose digits.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text())
    }
}

/// What an attempt came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The run passed.
    Passed,
    /// The run was judged, and did not pass. A partial success is not a pass.
    Failed,
    /// The run says nothing about what was tested.
    Inconclusive(Cause),
}

/// Why an attempt is inconclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The run ended in an error, or timed out at Armature.
    Error,
    /// The run ended, and no evaluation came in time.
    NoEvaluation,
    /// The judge failed to evaluate the run.
    EvaluationFailed,
    /// The run had not ended when the gate's time was up.
    NotEnded,
    /// The API did not show the run in a readable form.
    Unreadable,
    /// The API named the run, and then did not know it.
    NotVisible,
    /// The run was graded without a decision.
    Undecided,
    /// The run was cancelled.
    Cancelled,
    /// The run ended with a status that is not known.
    UnknownStatus,
    /// The run is of another workflow, or began before the gate.
    NotOurs,
    /// There is no run for the repetition.
    NoRun,
}

impl Cause {
    /// The name in JSON and JUnit files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::NoEvaluation => "no_evaluation",
            Self::EvaluationFailed => "evaluation_failed",
            Self::NotEnded => "not_ended",
            Self::Unreadable => "unreadable",
            Self::NotVisible => "not_visible",
            Self::Undecided => "undecided",
            Self::Cancelled => "cancelled",
            Self::UnknownStatus => "unknown_status",
            Self::NotOurs => "not_ours",
            Self::NoRun => "no_run",
        }
    }

    /// What it means, as the rest of a sentence about a run.
    pub fn text(self) -> &'static str {
        match self {
            Self::Error => "ended in an error, or timed out",
            Self::NoEvaluation => "has no evaluation",
            Self::EvaluationFailed => "could not be evaluated by the judge",
            Self::NotEnded => "has not ended in time",
            Self::Unreadable => "could not be read",
            Self::NotVisible => "is not known to the API",
            Self::Undecided => "was graded without a decision",
            Self::Cancelled => "was cancelled",
            Self::UnknownStatus => "ended with a status that is not known",
            Self::NotOurs => "is not a run of this gate",
            Self::NoRun => "is missing",
        }
    }
}

impl Outcome {
    /// The outcome by what the status and the verdict mean, as the metrics count it: a status that
    /// does not state the result, such as `completed`, leaves it to the verdict; any other status
    /// stands.
    pub fn of(status: Meaning, verdict: Meaning) -> Self {
        match (status, verdict) {
            (Meaning::Passed, _) | (Meaning::Ended, Meaning::Passed) => Self::Passed,
            (Meaning::Partial | Meaning::Failed, _)
            | (Meaning::Ended, Meaning::Partial | Meaning::Failed) => Self::Failed,
            (Meaning::Error, _) => Self::Inconclusive(Cause::Error),
            (Meaning::Cancelled, _) => Self::Inconclusive(Cause::Cancelled),
            (Meaning::Unknown, _) => Self::Inconclusive(Cause::UnknownStatus),
            (Meaning::Open, _) => Self::Inconclusive(Cause::NotEnded),
            (Meaning::Undecided | Meaning::Ended, _) => Self::Inconclusive(Cause::Undecided),
        }
    }

    /// The name in JSON and JUnit files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Inconclusive(cause) => cause.name(),
        }
    }
}

impl Serialize for Outcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// A criterion that the judge did not grade as met.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FailedCriterion {
    /// What was asked of the run; its id if the API gives no text.
    pub text: String,
    /// Whether the run passes only if this criterion does; `None` if the API does not state it.
    pub is_required: Option<bool>,
    /// The grade, in the API's word.
    pub verdict: Option<String>,
    /// Why the judge graded so; only if evidence was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rationale: Option<String>,
}

/// One run of a gate, or a repetition without a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Attempt {
    /// The repetition, from 1.
    pub repetition: u32,
    /// The run's id; `None` if there is no run.
    pub run_id: Option<String>,
    /// The run's page in the dashboard.
    pub run_url: Option<String>,
    /// The tester agent's model, if the API states it.
    pub model: Option<String>,
    /// The harness that ran the tester agent, if the API states it.
    pub harness: Option<String>,
    /// The workflow's version that was dispatched, if the API states it.
    pub workflow_version: Option<String>,
    /// The status, in the API's word.
    pub status: Option<String>,
    /// What it came to.
    pub outcome: Outcome,
    /// What explains an inconclusive outcome further, in the gate's words.
    pub note: Option<String>,
    /// The cost that the API states.
    pub cost: Option<Cost>,
    /// The duration that the API states, in milliseconds.
    pub duration_ms: Option<u64>,
    /// The criteria that were not met.
    pub failed_criteria: Vec<FailedCriterion>,
    /// Why the run could not finish, as the API states it; only if evidence was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
    /// Whether it ended in an error and was dispatched again: the new run counts in its place.
    pub is_replaced: bool,
}

impl Attempt {
    /// An attempt without a run.
    pub fn without_run(repetition: u32, note: impl Into<String>) -> Self {
        Self {
            repetition,
            run_id: None,
            run_url: None,
            model: None,
            harness: None,
            workflow_version: None,
            status: None,
            outcome: Outcome::Inconclusive(Cause::NoRun),
            note: Some(note.into()),
            cost: None,
            duration_ms: None,
            failed_criteria: Vec::new(),
            error_message: None,
            is_replaced: false,
        }
    }

    /// Whether it was judged.
    pub fn is_decided(&self) -> bool {
        matches!(self.outcome, Outcome::Passed | Outcome::Failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_are_exact() {
        let cost = |text: &str| Cost::parse(text).unwrap();
        assert_eq!(cost("0.1").plus(cost("0.2")), cost("0.3"));
        assert_eq!(cost(".5").times(3).text(), "1.5");
        assert_eq!(cost("1").per(3).unwrap().text(), "0.3333");
        assert_eq!(cost("2").per(3).unwrap().text(), "0.6667");
        assert_eq!(cost("12").text(), "12");
        assert_eq!(cost("1").per(0), None);
        for wrong in ["", ".", "-1", "1e3", "NaN", "1,5", "0.1234567890123456789"] {
            assert!(Cost::parse(wrong).is_err(), "{wrong}");
        }
        assert!(Cost::parse(&"9".repeat(40)).is_err());
    }

    #[test]
    fn an_outcome_follows_the_status_and_only_a_silent_one_leaves_it_to_the_verdict() {
        use Cause::{Cancelled, Error, NotEnded, Undecided, UnknownStatus};
        use Outcome::{Failed, Inconclusive, Passed};
        let table = [
            ("pass", "fail", Passed),
            ("partial", "pass", Failed),
            ("fail", "pass", Failed),
            ("completed", "pass", Passed),
            ("completed", "partial", Failed),
            ("completed", "", Inconclusive(Undecided)),
            ("error", "pass", Inconclusive(Error)),
            ("timed_out", "", Inconclusive(Error)),
            ("cancelled", "pass", Inconclusive(Cancelled)),
            ("inconclusive", "pass", Inconclusive(Undecided)),
            ("galvanized", "pass", Inconclusive(UnknownStatus)),
            ("running", "pass", Inconclusive(NotEnded)),
        ];
        for (status, verdict, expected) in table {
            let found = Outcome::of(Meaning::of(status), Meaning::of(verdict));
            assert_eq!(found, expected, "{status} {verdict}");
        }
    }
}
