//! The result of a gate, and the parts of it that every form of the report shows.

use std::time::Duration;

use serde::Serialize;

use super::attempt::{Attempt, Cost, Outcome};
use super::error::RunReference;
use super::verdict::{GroupVerdict, Verdict};

/// The result of a gate. Names are as the API states them: they must be escaped where they are
/// shown.
#[derive(Clone, Debug, Serialize)]
pub struct GateReport {
    /// The verdict: the worst of the groups.
    pub verdict: Verdict,
    /// One verdict per workflow, model and harness.
    pub groups: Vec<GroupVerdict>,
    /// What a person should know besides, in the gate's words.
    pub notes: Vec<String>,
    /// Runs that had not ended: they go on at Armature.
    pub running: Vec<RunReference>,
    /// Requests sent, retries included.
    pub requests: u64,
    /// The time that the gate took, in milliseconds.
    pub elapsed_ms: u64,
}

impl GateReport {
    /// The verdict in one line, without names.
    pub fn headline(&self) -> String {
        let number = |verdict| self.groups.iter().filter(|group| group.verdict == verdict).count();
        let all = self.groups.len();
        let counts = [
            (number(Verdict::Fail), "failed"),
            (number(Verdict::Inconclusive), "inconclusive"),
            (number(Verdict::Pass), "passed"),
        ];
        let counts = counts.into_iter().filter(|(number, _)| *number > 0);
        let counts: Vec<String> = counts.map(|(number, word)| format!("{number} {word}")).collect();
        let noun = if all == 1 { "workflow and model" } else { "workflows and models" };
        format!("{} ({all} {noun}: {})", self.verdict.name(), counts.join(", "))
    }
}

impl GroupVerdict {
    /// How many passed, and how many must.
    pub fn passed_text(&self) -> String {
        format!("{} of {} ({} needed)", self.passed, self.counted, self.required)
    }

    /// The model, and the harness where it is stated; not escaped.
    pub fn model_text(&self) -> String {
        let model = self.model.as_deref().unwrap_or("model not stated");
        match &self.harness {
            Some(harness) => format!("{model} ({harness})"),
            None => model.to_owned(),
        }
    }

    /// The workflow's version, if all attempts that state one state the same; not escaped.
    pub fn version(&self) -> Option<&str> {
        let mut versions = self.attempts.iter().filter_map(|one| one.workflow_version.as_deref());
        let first = versions.next()?;
        versions.all(|version| version == first).then_some(first)
    }

    /// The cost of a passed run, or a dash.
    pub fn cost_text(&self) -> String {
        self.cost_per_pass.map_or_else(|| "–".to_owned(), Cost::text)
    }

    /// The 95th percentile of the duration, or a dash.
    pub fn p95_text(&self) -> String {
        self.p95_ms.map_or_else(|| "–".to_owned(), duration_text)
    }

    /// The comparison with earlier runs, or a dash.
    pub fn baseline_text(&self) -> String {
        self.baseline.map_or_else(
            || "–".to_owned(),
            |comparison| {
                let sample = comparison.baseline;
                let word = if comparison.is_lower { "lower" } else { "not lower" };
                let p = comparison.p_value;
                format!("{word} than {} of {} (p = {p:.3})", sample.passed, sample.decided)
            },
        )
    }
}

impl Attempt {
    /// What the attempt came to, in words, without names.
    pub fn outcome_text(&self) -> String {
        let text = match self.outcome {
            Outcome::Passed => "passed".to_owned(),
            Outcome::Failed => "did not pass".to_owned(),
            Outcome::Inconclusive(cause) => cause.text().to_owned(),
        };
        let note = self.note.as_ref().map(|note| format!(" ({note})")).unwrap_or_default();
        let replaced = if self.is_replaced { "; dispatched again" } else { "" };
        format!("{text}{note}{replaced}")
    }
}

/// A duration in milliseconds, to the second from a second on.
pub(super) fn duration_text(milliseconds: u64) -> String {
    let duration = if milliseconds < 1_000 {
        Duration::from_millis(milliseconds)
    } else {
        Duration::from_secs(milliseconds.saturating_add(500) / 1_000)
    };
    humantime::format_duration(duration).to_string()
}
