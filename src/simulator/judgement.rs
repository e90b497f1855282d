//! The evaluation of one run.

use super::catalog::Criterion;
use super::content::Content;
use super::plan::{Outcome, RunPlan};
use super::random::{Seeded, combine};
use super::world::shared_id;

const JUDGEMENT_STREAM: u64 = 12;
const CRITERION_STREAM: u64 = 4;
const EXCERPT_LENGTH: usize = 160;

/// One criterion with its result.
#[derive(Debug)]
pub(super) struct JudgedCriterion {
    /// Its id, which is the same for all runs of the workflow.
    pub(super) id: String,
    pub(super) text: &'static str,
    pub(super) is_required: bool,
    pub(super) verdict: &'static str,
    /// The score in hundredths.
    pub(super) score: u32,
    pub(super) rationale: String,
    pub(super) excerpts: Vec<Excerpt>,
}

/// A piece of evidence.
#[derive(Debug)]
pub(super) struct Excerpt {
    pub(super) text: String,
    pub(super) source: String,
}

/// The evaluation of a run.
#[derive(Debug)]
pub(super) struct Judgement {
    pub(super) verdict: &'static str,
    /// The score in hundredths: the mean of the required criteria.
    pub(super) score: u32,
    pub(super) classification: Option<&'static str>,
    pub(super) summary: &'static str,
    pub(super) criteria: Vec<JudgedCriterion>,
}

/// Converts hundredths to a score.
pub(super) fn score(hundredths: u32) -> f64 {
    f64::from(hundredths) / 100.0
}

/// The evaluation of a run at `now`; `None` for a run that is never evaluated.
pub(super) fn judgement_of(plan: &RunPlan, content: &Content, now: i64) -> Option<Judgement> {
    if !plan.is_judged {
        return None;
    }
    let mut random = Seeded::new(combine(plan.seed, JUDGEMENT_STREAM));
    let criteria: Vec<JudgedCriterion> = plan
        .workflow
        .criteria
        .iter()
        .enumerate()
        .map(|(position, criterion)| judge(plan, content, position, criterion, &mut random))
        .collect();
    let required = criteria.iter().filter(|criterion| criterion.is_required);
    let (sum, count) =
        required.fold((0, 0), |(sum, count), criterion| (sum + criterion.score, count + 1));
    Some(Judgement {
        verdict: plan.outcome.name(),
        score: sum / count.max(1),
        classification: plan.classification_at(now),
        summary: summary_of(plan, now),
        criteria,
    })
}

fn summary_of(plan: &RunPlan, now: i64) -> &'static str {
    match plan.outcome {
        _ if plan.is_changed(now) => "Read again by a person, who found otherwise.",
        Outcome::Pass => "All required criteria are met.",
        Outcome::Partial => "Some required criteria are not met.",
        _ => "Required criteria are not met; the run did not reach its goal.",
    }
}

fn judge(
    plan: &RunPlan,
    content: &Content,
    position: usize,
    criterion: &Criterion,
    random: &mut Seeded,
) -> JudgedCriterion {
    let is_weak = position == plan.workflow.weak_criterion;
    let verdict = match plan.outcome {
        Outcome::Pass if criterion.is_required || !random.percent(15) => "pass",
        Outcome::Fail if is_weak => "fail",
        Outcome::Partial if is_weak => random.pick(&["fail", "partial"]),
        Outcome::Fail => random.pick(&["pass", "pass", "fail", "partial"]),
        Outcome::Pass => "fail",
        _ => "pass",
    };
    let hundredths = match verdict {
        "pass" => random.between(90, 100),
        "partial" => random.between(35, 70),
        _ => random.between(0, 20),
    };
    let text = if verdict == "pass" { criterion.praise } else { criterion.blame };
    JudgedCriterion {
        id: criterion_id(plan, position),
        text: criterion.text,
        is_required: criterion.is_required,
        verdict,
        score: u32::try_from(hundredths).unwrap_or(0),
        rationale: text.to_owned(),
        excerpts: draw_excerpts(content, verdict != "pass", random),
    }
}

fn criterion_id(plan: &RunPlan, position: usize) -> String {
    let stream = combine(CRITERION_STREAM, u64::from(plan.workflow_id.as_fields().0));
    shared_id(plan.world_seed, stream, position).to_string()
}

/// Zero to two pieces of evidence; a criterion that is not met has at least one.
fn draw_excerpts(content: &Content, is_needed: bool, random: &mut Seeded) -> Vec<Excerpt> {
    let mut excerpts = Vec::new();
    let failed = content.tool_calls.iter().find(|call| call.error.is_some());
    let call = failed.filter(|_| is_needed).or_else(|| content.tool_calls.last());
    if let Some(call) = call.filter(|_| is_needed || random.percent(60)) {
        let text = call.error.clone().unwrap_or_else(|| call.result.to_string());
        excerpts.push(excerpt(&text, format!("tool_call:{}", call.id)));
    }
    if excerpts.is_empty() && is_needed || random.percent(50) {
        excerpts.push(excerpt(content.answer, "final_answer".to_owned()));
    }
    excerpts
}

fn excerpt(text: &str, source: String) -> Excerpt {
    Excerpt { text: text.chars().take(EXCERPT_LENGTH).collect(), source }
}
