//! What GitHub Actions reads besides the step summary: annotations and outputs.

use super::report::GateReport;
use super::text::{command_data, command_property, plain};
use super::verdict::{GroupVerdict, Verdict};

/// Maximum number of annotations: GitHub shows ten errors and ten warnings per step.
const MOST_ANNOTATIONS: usize = 10;

/// One workflow command per group that does not pass: an error, or a warning if it is inconclusive
/// and `inconclusive_passes`.
pub fn annotations(report: &GateReport, inconclusive_passes: bool) -> Vec<String> {
    let groups = report.groups.iter().filter(|group| group.verdict != Verdict::Pass);
    let lines = groups.take(MOST_ANNOTATIONS).map(|group| {
        let is_warning = group.verdict == Verdict::Inconclusive && inconclusive_passes;
        let command = if is_warning { "warning" } else { "error" };
        let title = format!("Armature gate: {}", group.verdict.name());
        format!("::{command} title={}::{}", command_property(&title), command_data(&message(group)))
    });
    lines.collect()
}

fn message(group: &GroupVerdict) -> String {
    let (workflow, model) = (plain(group.workflow.shown()), plain(&group.model_text()));
    let reasons: Vec<&str> = group.reasons.iter().map(|reason| reason.text.as_str()).collect();
    let mut lines = vec![format!("{workflow} on {model}: {}", reasons.join("; "))];
    lines.extend(group.criteria.iter().map(|criterion| {
        let text = plain(&criterion.text);
        format!("not met in {} of {}: {text}", criterion.attempts, group.counted)
    }));
    lines.join("\n")
}

/// Lines for the file of outputs: `verdict`, and `summary` in one line. Neither has names in it.
pub fn outputs(report: &GateReport) -> String {
    format!("verdict={}\nsummary={}\n", report.verdict.name(), report.headline())
}
