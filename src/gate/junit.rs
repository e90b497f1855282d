//! The report as a JUnit XML file: one test suite per workflow, one test case per model and
//! repetition.
//!
//! A reader of such a file counts failures, so it shows what the gate decided: in a group that
//! passes, an attempt that did not pass is skipped, with the reason. A limit, or the comparison
//! with earlier runs, has a test case of its own where it is not met.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, SerializeError, TestCase, TestCaseStatus, TestSuite};

use super::attempt::{Attempt, Outcome};
use super::report::GateReport;
use super::text::plain;
use super::verdict::{GroupVerdict, Reason, Verdict};

/// The report as JUnit XML.
///
/// # Errors
/// [`SerializeError`] if it cannot be written, which no content can cause.
pub fn junit(report: &GateReport) -> Result<String, SerializeError> {
    let mut suites: Vec<(&str, TestSuite)> = Vec::new();
    for group in &report.groups {
        let id = group.workflow.id.as_str();
        let place = suites.iter().position(|(known, _)| *known == id).unwrap_or_else(|| {
            suites.push((id, TestSuite::new(plain(group.workflow.shown()))));
            suites.len() - 1
        });
        if let Some((_, suite)) = suites.get_mut(place) {
            suite.add_test_cases(cases(group));
        }
    }
    let mut out = Report::new("armature-export gate");
    out.add_test_suites(suites.into_iter().map(|(_, suite)| suite));
    out.to_string()
}

fn cases(group: &GroupVerdict) -> Vec<TestCase> {
    let class = plain(group.workflow.shown());
    let model = plain(&group.model_text());
    let attempts = group.attempts.iter().filter(|attempt| !attempt.is_replaced);
    let attempts = attempts.map(|attempt| {
        let name = format!("{model}, repetition {}", attempt.repetition);
        let mut case = TestCase::new(name, status(group, attempt));
        if let Some(milliseconds) = attempt.duration_ms {
            case.set_time(Duration::from_millis(milliseconds));
        }
        if let Some(url) = &attempt.run_url {
            case.set_system_out(plain(url));
        }
        case
    });
    let is_other = |reason: &&Reason| {
        reason.verdict != Verdict::Pass
            && matches!(reason.kind, "cost_per_pass" | "p95" | "baseline")
    };
    let others = group.reasons.iter().filter(is_other).map(|reason| {
        let kind = match reason.verdict {
            Verdict::Fail => NonSuccessKind::Failure,
            Verdict::Pass | Verdict::Inconclusive => NonSuccessKind::Error,
        };
        let mut status = TestCaseStatus::non_success(kind);
        status.set_type(reason.kind).set_message(plain(&reason.text));
        TestCase::new(format!("{model}, {}", reason.kind), status)
    });
    let mut cases: Vec<TestCase> = attempts.chain(others).collect();
    for case in &mut cases {
        case.set_classname(class.clone());
    }
    cases
}

fn status(group: &GroupVerdict, attempt: &Attempt) -> TestCaseStatus {
    let has_enough = group.passed >= group.required;
    let mut status = match attempt.outcome {
        Outcome::Passed => return TestCaseStatus::success(),
        _ if has_enough => TestCaseStatus::skipped(),
        Outcome::Failed => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Outcome::Inconclusive(_) => TestCaseStatus::non_success(NonSuccessKind::Error),
    };
    let enough = if has_enough {
        format!("; enough runs passed: {}", group.passed_text())
    } else {
        String::new()
    };
    let message = plain(&format!("{}{enough}", attempt.outcome_text()));
    status.set_type(attempt.outcome.name()).set_message(message);
    let mut lines: Vec<String> = Vec::new();
    for criterion in &attempt.failed_criteria {
        let optional = if criterion.is_required == Some(false) { " (optional)" } else { "" };
        lines.push(format!("not met{optional}: {}", plain(&criterion.text)));
        lines.extend(criterion.rationale.as_ref().map(|text| format!("  {}", plain(text))));
    }
    lines.extend(attempt.error_message.as_ref().map(|text| plain(text)));
    if !lines.is_empty() {
        status.set_description(lines.join("\n"));
    }
    status
}
