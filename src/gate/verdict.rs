//! The verdict of a gate. Pure: attempts and rules in, verdict and reasons out.
//!
//! A verdict has three values. An attempt that says nothing about what was tested (an error, no
//! evaluation, no run) counts neither for nor against: a group passes if it passes whatever these
//! attempts would have come to, fails if it fails whatever they would have come to, and is
//! inconclusive otherwise. An error is therefore never a failure.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::attempt::{Attempt, Cost, Outcome};
use super::fisher::{Sample, p_value_of_fewer_passes};

/// What a gate decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Everything that is required was met.
    Pass,
    /// It cannot be decided.
    Inconclusive,
    /// Something that is required was not met.
    Fail,
}

impl Verdict {
    /// The word in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Inconclusive => "inconclusive",
            Self::Fail => "fail",
        }
    }
}

/// How many attempts of a group must pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Required {
    /// This share of them, rounded up: `passes` of `of`.
    Share {
        /// The numerator; at most `of`.
        passes: u32,
        /// The denominator; at least 1.
        of: u32,
    },
    /// This number, whatever the number of attempts.
    Number(u32),
}

impl Required {
    /// Two of three.
    pub const DEFAULT: Self = Self::Share { passes: 2, of: 3 };

    /// The number that must pass of so many attempts; at least 1.
    pub fn of(self, attempts: u32) -> u32 {
        match self {
            Self::Number(number) => number.max(1),
            Self::Share { passes, of } => {
                let needed = u64::from(attempts) * u64::from(passes);
                let needed = needed.div_ceil(u64::from(of.max(1)));
                u32::try_from(needed).unwrap_or(attempts).max(1)
            }
        }
    }
}

/// The rules of a verdict.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// How many attempts must pass.
    pub required: Required,
    /// The highest cost of one passed run; `None` for no limit.
    pub max_cost_per_pass: Option<Cost>,
    /// The highest 95th percentile of the duration of decided runs; `None` for no limit.
    pub max_p95: Option<Duration>,
    /// Whether a pass rate significantly below the baseline fails the gate.
    pub baseline_blocks: bool,
}

/// A workflow, as the API names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct WorkflowName {
    /// The id; empty if the API states none.
    pub id: String,
    /// The name, if the API states one.
    pub name: Option<String>,
}

impl WorkflowName {
    /// The name; the id if there is none.
    pub fn shown(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.id)
    }
}

/// The attempts of one workflow on one model and harness.
#[derive(Clone, Debug)]
pub struct Group {
    /// The workflow.
    pub workflow: WorkflowName,
    /// The model; `None` if the API does not state it.
    pub model: Option<String>,
    /// The harness; `None` if the API does not state it.
    pub harness: Option<String>,
    /// The attempts in order, those that were replaced included.
    pub attempts: Vec<Attempt>,
}

/// Why a verdict is as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// A fixed word: `too_few_passes`, `undecided_attempts`, `cost_per_pass`, `p95`, `baseline`.
    pub kind: &'static str,
    /// The verdict that it leads to.
    pub verdict: Verdict,
    /// A clause in words, without names.
    pub text: String,
}

/// A criterion that was not met, over all attempts of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CriterionCount {
    /// What was asked of the runs.
    pub text: String,
    /// Whether a run passes only if this criterion does; `None` if the API does not state it.
    pub is_required: Option<bool>,
    /// Attempts in which it was not met.
    pub attempts: u32,
}

/// The comparison with earlier runs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// Earlier runs of the same workflow, model and harness.
    pub baseline: Sample,
    /// The probability of so few passes, if the pass rate were still that of the baseline (Fisher's
    /// exact test, one-sided).
    pub p_value: f64,
    /// Whether it is below [`SIGNIFICANT`].
    pub is_lower: bool,
}

/// The level below which a difference from the baseline is reported as significant.
pub const SIGNIFICANT: f64 = 0.05;

/// The verdict on a group.
#[derive(Clone, Debug, Serialize)]
pub struct GroupVerdict {
    /// The workflow.
    pub workflow: WorkflowName,
    /// The model; `None` if the API does not state it.
    pub model: Option<String>,
    /// The harness; `None` if the API does not state it.
    pub harness: Option<String>,
    /// The verdict.
    pub verdict: Verdict,
    /// Why it is not a pass; or remarks on a pass.
    pub reasons: Vec<Reason>,
    /// Attempts that count: those that were not replaced.
    pub counted: u32,
    /// How many of them must pass.
    pub required: u32,
    /// How many passed.
    pub passed: u32,
    /// How many did not pass.
    pub failed: u32,
    /// How many say nothing.
    pub inconclusive: u32,
    /// The criteria that were not met, most frequent first.
    pub criteria: Vec<CriterionCount>,
    /// The cost of the decided runs that state one, divided by the passed ones; `None` if none
    /// passed or none states a cost.
    pub cost_per_pass: Option<Cost>,
    /// The 95th percentile of the durations of decided runs (nearest rank, so the longest of fewer
    /// than 20), in milliseconds.
    pub p95_ms: Option<u64>,
    /// The comparison with the baseline; `None` if there is none.
    pub baseline: Option<Comparison>,
    /// The attempts in order, those that were replaced included.
    pub attempts: Vec<Attempt>,
}

/// Groups the attempts of a workflow by model and harness.
///
/// `repetitions` is how often each model was to run; `None` for runs that were given. An attempt
/// whose model is not known fills the place of a missing repetition, and a place that stays empty
/// becomes an attempt without a run: no group is judged by fewer attempts than it should have. An
/// attempt that states only the model belongs to the one harness of that model, if there is one.
pub fn groups(
    workflow: &WorkflowName,
    repetitions: Option<u32>,
    attempts: Vec<Attempt>,
) -> Vec<Group> {
    let mut known: BTreeMap<(Option<String>, Option<String>), Vec<Attempt>> = BTreeMap::new();
    let (named, mut unnamed): (Vec<_>, Vec<_>) =
        attempts.into_iter().partition(|attempt| attempt.model.is_some());
    let (whole, partial): (Vec<_>, Vec<_>) =
        named.into_iter().partition(|attempt| attempt.harness.is_some());
    for attempt in whole {
        let key = (attempt.model.clone(), attempt.harness.clone());
        known.entry(key).or_default().push(attempt);
    }
    let of_model = |model: &Option<String>| -> Vec<Option<String>> {
        let keys = known.keys().filter(|(other, _)| other == model);
        keys.map(|(_, harness)| harness.clone()).collect()
    };
    let keyed = partial.into_iter().map(|attempt| {
        let harnesses = of_model(&attempt.model);
        let harness = if let [only] = harnesses.as_slice() { only.clone() } else { None };
        ((attempt.model.clone(), harness), attempt)
    });
    let keyed: Vec<_> = keyed.collect();
    for (key, attempt) in keyed {
        known.entry(key).or_default().push(attempt);
    }
    for repetition in 1..=repetitions.unwrap_or(0) {
        for attempts in known.values_mut() {
            if attempts.iter().any(|one| one.repetition == repetition && !one.is_replaced) {
                continue;
            }
            let place = unnamed.iter().position(|one| one.repetition == repetition);
            attempts.push(match place {
                Some(place) => unnamed.remove(place),
                None => Attempt::without_run(repetition, "no run of this model was dispatched"),
            });
        }
    }
    // Without any model, these attempts are a group of their own. Beside groups of known models, an
    // attempt without a run that found no empty place stands for nothing.
    let is_alone = known.is_empty();
    unnamed.retain(|attempt| is_alone || attempt.run_id.is_some());
    if !unnamed.is_empty() {
        known.entry((None, None)).or_default().extend(unnamed);
    }
    let grouped = known.into_iter().map(|((model, harness), mut attempts)| {
        attempts.sort_by_key(|attempt| (attempt.repetition, !attempt.is_replaced));
        Group { workflow: workflow.clone(), model, harness, attempts }
    });
    grouped.collect()
}

/// Judges a group. `baseline` holds earlier runs of the same workflow, model and harness.
pub fn judge(group: Group, rules: &Rules, baseline: Option<Sample>) -> GroupVerdict {
    let Group { workflow, model, harness, attempts } = group;
    let counted: Vec<&Attempt> = attempts.iter().filter(|one| !one.is_replaced).collect();
    let number = |of: &dyn Fn(&Attempt) -> bool| count(counted.iter().filter(|one| of(one)));
    let passed = number(&|one| one.outcome == Outcome::Passed);
    let failed = number(&|one| one.outcome == Outcome::Failed);
    let inconclusive = number(&|one| !one.is_decided());
    let all = count(counted.iter());
    let required = rules.required.of(all);
    let decided: Vec<&Attempt> =
        counted.iter().copied().filter(|attempt| attempt.is_decided()).collect();
    let costs = Costs::of(&decided);
    let p95_ms = percentile_95(&decided);
    let comparison = baseline.filter(|sample| sample.decided > 0 && !decided.is_empty());
    let comparison = comparison.map(|baseline| {
        let gate = Sample { passed, decided: passed + failed };
        let p_value = p_value_of_fewer_passes(gate, baseline);
        Comparison { baseline, p_value, is_lower: p_value < SIGNIFICANT }
    });
    let mut reasons = Vec::new();
    reasons.extend(passes_reason(passed, inconclusive, required, all));
    if let Some(limit) = rules.max_cost_per_pass {
        reasons.extend(costs.reason(limit, passed, inconclusive));
    }
    if let Some(limit) = rules.max_p95 {
        reasons.extend(duration_reason(&decided, p95_ms, limit));
    }
    if let Some(comparison) = comparison.filter(|comparison| comparison.is_lower) {
        let verdict = if rules.baseline_blocks { Verdict::Fail } else { Verdict::Pass };
        let Sample { passed: before, decided: runs } = comparison.baseline;
        let p = comparison.p_value;
        let text =
            format!("the pass rate is below that of earlier runs ({before} of {runs}, p = {p:.4})");
        reasons.push(Reason { kind: "baseline", verdict, text });
    }
    let verdict = reasons.iter().map(|reason| reason.verdict).max().unwrap_or(Verdict::Pass);
    let criteria = criteria(&counted);
    let cost_per_pass = costs.stated.and_then(|cost| cost.per(passed));
    GroupVerdict {
        workflow,
        model,
        harness,
        verdict,
        reasons,
        counted: all,
        required,
        passed,
        failed,
        inconclusive,
        criteria,
        cost_per_pass,
        p95_ms,
        baseline: comparison,
        attempts,
    }
}

/// The verdict of the gate: the worst of its groups. A gate without groups decides nothing.
pub fn overall(groups: &[GroupVerdict]) -> Verdict {
    groups.iter().map(|group| group.verdict).max().unwrap_or(Verdict::Inconclusive)
}

fn passes_reason(passed: u32, inconclusive: u32, required: u32, all: u32) -> Option<Reason> {
    let possible = passed.saturating_add(inconclusive);
    if passed >= required {
        None
    } else if possible < required {
        let text = format!("{passed} of {all} runs passed, and {required} must");
        Some(Reason { kind: "too_few_passes", verdict: Verdict::Fail, text })
    } else {
        let text = format!(
            "{passed} of {all} runs passed and {required} must, but {inconclusive} cannot be judged"
        );
        Some(Reason { kind: "undecided_attempts", verdict: Verdict::Inconclusive, text })
    }
}

/// The costs of the decided runs of a group. Costs of errors are left out, because an error must
/// never fail a gate.
struct Costs {
    /// The sum of those that are stated; `None` if none is.
    stated: Option<Cost>,
    /// Decided runs that state none.
    missing: u32,
}

impl Costs {
    fn of(decided: &[&Attempt]) -> Self {
        let costs = decided.iter().filter_map(|attempt| attempt.cost);
        let stated = costs.reduce(Cost::plus);
        let missing = count(decided.iter().filter(|attempt| attempt.cost.is_none()));
        Self { stated, missing }
    }

    /// Compares with the limit. Attempts that cannot be judged might have passed and would lower
    /// the cost of a pass: only what exceeds the limit even then is a failure. Without a pass there
    /// is no cost of one, and the number of passes decides.
    fn reason(&self, limit: Cost, passed: u32, inconclusive: u32) -> Option<Reason> {
        let kind = "cost_per_pass";
        let sum = self.stated.unwrap_or_default();
        let shown = sum.per(passed)?.text();
        let limit_text = limit.text();
        if sum > limit.times(passed.saturating_add(inconclusive)) {
            let text = format!("a pass costs {shown}, more than {limit_text}");
            return Some(Reason { kind, verdict: Verdict::Fail, text });
        }
        let verdict = Verdict::Inconclusive;
        if sum > limit.times(passed) {
            let text = format!(
                "a pass costs {shown}, more than {limit_text}, but runs that cannot be judged \
                 ({inconclusive}) may have passed"
            );
            return Some(Reason { kind, verdict, text });
        }
        let missing = self.missing;
        (missing > 0).then(|| {
            let text =
                format!("judged runs that state no cost: {missing}; the limit cannot be checked");
            Reason { kind, verdict, text }
        })
    }
}

/// The smallest duration that at least 95 % of the decided runs do not exceed.
fn percentile_95(decided: &[&Attempt]) -> Option<u64> {
    let mut durations: Vec<u64> =
        decided.iter().filter_map(|attempt| attempt.duration_ms).collect();
    durations.sort_unstable();
    let rank = (durations.len() * 95).div_ceil(100);
    durations.get(rank.checked_sub(1)?).copied()
}

fn duration_reason(decided: &[&Attempt], p95_ms: Option<u64>, limit: Duration) -> Option<Reason> {
    let kind = "p95";
    let shown = |milliseconds| humantime::format_duration(Duration::from_millis(milliseconds));
    let most = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
    if let Some(p95) = p95_ms.filter(|p95| *p95 > most) {
        let text = format!("the p95 of the duration is {}, more than {}", shown(p95), shown(most));
        return Some(Reason { kind, verdict: Verdict::Fail, text });
    }
    let missing = count(decided.iter().filter(|attempt| attempt.duration_ms.is_none()));
    (missing > 0).then(|| {
        let text =
            format!("judged runs that state no duration: {missing}; the limit cannot be checked");
        Reason { kind, verdict: Verdict::Inconclusive, text }
    })
}

/// The criteria that were not met, most frequent first.
fn criteria(counted: &[&Attempt]) -> Vec<CriterionCount> {
    let mut counts: Vec<CriterionCount> = Vec::new();
    for criterion in counted.iter().flat_map(|attempt| &attempt.failed_criteria) {
        match counts.iter_mut().find(|one| one.text == criterion.text) {
            Some(one) => one.attempts += 1,
            None => counts.push(CriterionCount {
                text: criterion.text.clone(),
                is_required: criterion.is_required,
                attempts: 1,
            }),
        }
    }
    counts.sort_by_key(|one| (one.is_required == Some(false), std::cmp::Reverse(one.attempts)));
    counts
}

fn count<T>(items: impl Iterator<Item = T>) -> u32 {
    u32::try_from(items.count()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
