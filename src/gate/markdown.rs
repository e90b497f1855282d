//! The report as Markdown, for step summaries and comments.

use std::fmt::Write as _;

use super::attempt::Attempt;
use super::report::GateReport;
use super::text::{markdown as escaped, markdown_link};
use super::verdict::{GroupVerdict, Verdict};

/// The report as Markdown.
pub fn markdown(report: &GateReport) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _infallible = writeln!(out, "### Armature gate: {}\n", report.headline());
    out.push_str("| workflow | model | verdict | passed | cost per pass | p95 | earlier runs |\n");
    out.push_str("|---|---|---|---|---|---|---|\n");
    for group in &report.groups {
        let _infallible = writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {} |",
            workflow_text(group),
            escaped(&group.model_text()),
            marked(group.verdict),
            group.passed_text(),
            group.cost_text(),
            group.p95_text(),
            group.baseline_text()
        );
    }
    for group in report.groups.iter().filter(|group| has_details(group)) {
        details(&mut out, group);
    }
    if !(report.notes.is_empty() && report.running.is_empty()) {
        out.push('\n');
    }
    for note in &report.notes {
        let _infallible = writeln!(out, "- {}", escaped(note));
    }
    for run in &report.running {
        let workflow = escaped(run.workflow.shown());
        let _infallible = match &run.run_id {
            Some(id) => {
                let shown = linked(&escaped(id), run.run_url.as_deref());
                writeln!(out, "- Run {shown} of {workflow} goes on at Armature.")
            }
            None => writeln!(out, "- A dispatch of {workflow} may have started a run."),
        };
    }
    out
}

fn workflow_text(group: &GroupVerdict) -> String {
    let name = escaped(group.workflow.shown());
    match group.version() {
        Some(version) => format!("{name}, version {}", escaped(version)),
        None => name,
    }
}

fn marked(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "✅ pass",
        Verdict::Inconclusive => "❔ inconclusive",
        Verdict::Fail => "❌ fail",
    }
}

fn has_details(group: &GroupVerdict) -> bool {
    let all_passed = group.failed == 0 && group.inconclusive == 0;
    group.verdict != Verdict::Pass || !group.reasons.is_empty() || !all_passed
}

fn details(out: &mut String, group: &GroupVerdict) {
    let (workflow, model) = (escaped(group.workflow.shown()), escaped(&group.model_text()));
    // Writing to a String cannot fail.
    let _infallible = writeln!(out, "\n#### {workflow} on {model}: {}\n", group.verdict.name());
    for reason in &group.reasons {
        let _infallible = writeln!(out, "- {}", escaped(&reason.text));
    }
    for criterion in &group.criteria {
        let optional = if criterion.is_required == Some(false) { " (optional)" } else { "" };
        let _infallible = writeln!(
            out,
            "- not met in {} of {}{optional}: {}",
            criterion.attempts,
            group.counted,
            escaped(&criterion.text)
        );
    }
    for attempt in &group.attempts {
        attempt_line(out, attempt);
    }
}

fn attempt_line(out: &mut String, attempt: &Attempt) {
    let name = match &attempt.run_id {
        Some(id) => linked(&escaped(id), attempt.run_url.as_deref()),
        None => "no run".to_owned(),
    };
    let outcome = escaped(&attempt.outcome_text());
    // Writing to a String cannot fail.
    let _infallible = writeln!(out, "- repetition {}: {name} {outcome}", attempt.repetition);
    for criterion in &attempt.failed_criteria {
        if let Some(rationale) = &criterion.rationale {
            let (text, rationale) = (escaped(&criterion.text), escaped(rationale));
            let _infallible = writeln!(out, "  - {text}: {rationale}");
        }
    }
    if let Some(message) = &attempt.error_message {
        let _infallible = writeln!(out, "  - {}", escaped(message));
    }
}

/// A link with an escaped text, if the address can be linked.
fn linked(text: &str, url: Option<&str>) -> String {
    match url.and_then(markdown_link) {
        Some(target) => format!("[{text}]({target})"),
        None => text.to_owned(),
    }
}
