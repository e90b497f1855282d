//! `verify`: checks the lake and its targets, and repairs what can be repaired offline.

use std::fmt::Write as _;

use serde::Serialize;

use super::args::VerifyArguments;
use super::context::{Context, now};
use super::table::{bytes, counted};
use crate::failure::{Exit, Failure};
use crate::job::LakeJob;
use crate::time::Timestamp;
use crate::verify::{Finding, RepairAction, VerifyReport, repair, verify};

/// Maximum number of findings of a kind that are shown.
const SHOWN: usize = 10;

#[derive(Debug, Serialize)]
struct Answer<'r> {
    is_well: bool,
    commit: u64,
    parts: u64,
    bytes: u64,
    runs: u64,
    findings: Vec<ShownFinding<'r>>,
    unchecked: &'r [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    repaired: Option<&'r [RepairAction]>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    failed: &'r [String],
}

#[derive(Debug, Serialize)]
struct ShownFinding<'r> {
    #[serde(flatten)]
    finding: &'r Finding,
    message: String,
    remedy: &'static str,
}

pub(super) async fn run(context: &Context, arguments: &VerifyArguments) -> Result<Exit, Failure> {
    let settings = context.targets(&arguments.targets);
    let (events, progress) = context.events();
    let job = LakeJob::new(&settings, events, Timestamp::from(now()), None)?;
    let (report, repaired, failed) = if arguments.repair {
        let repaired = repair(&job, arguments.drop_parts).await?;
        (repaired.after, Some(repaired.repaired), repaired.failed)
    } else {
        (verify(&job).await?, None, Vec::new())
    };
    if let Some(progress) = progress {
        progress.end();
    }
    let shown = report.findings.iter().map(|finding| ShownFinding {
        finding,
        message: finding.to_string(),
        remedy: finding.remedy(),
    });
    let answer = Answer {
        is_well: report.is_well(),
        commit: report.commit,
        parts: report.parts,
        bytes: report.bytes,
        runs: report.runs,
        findings: shown.collect(),
        unchecked: &report.unchecked,
        repaired: repaired.as_deref(),
        failed: &failed,
    };
    context.print(&answer, || text(&report, repaired.as_deref().unwrap_or_default(), &failed))?;
    // A repair that cannot access the DuckDB file has failed, whatever else it found.
    let is_held = report.database_holder.is_some();
    Ok(match (report.is_well(), is_held && (arguments.repair || report.findings.is_empty())) {
        (true, _) => Exit::Done,
        (false, true) => Exit::Storage,
        (false, false) => Exit::Incomplete,
    })
}

fn text(report: &VerifyReport, repaired: &[RepairAction], failed: &[String]) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let mut line = |text: String| {
        let _infallible = writeln!(out, "{text}");
    };
    for repaired in repaired {
        line(format!("repaired: {repaired}"));
    }
    for problem in failed {
        line(format!("not repaired: {problem}"));
    }
    let mut rest = report.findings.as_slice();
    while let Some(first) = rest.first() {
        let length = rest.iter().take_while(|finding| finding.is_like(first)).count();
        let (own, others) = rest.split_at_checked(length).unwrap_or((rest, &[]));
        for finding in own.iter().take(SHOWN) {
            line(finding.to_string());
        }
        if own.len() > SHOWN {
            line(format!("and {} more like it (see --output json)", own.len() - SHOWN));
        }
        line(format!("  hint: {}", first.remedy()));
        rest = others;
    }
    for what in &report.unchecked {
        line(format!("not checked: {what}"));
    }
    let found = u64::try_from(report.findings.len()).unwrap_or(u64::MAX);
    let verdict = match (found, report.unchecked.is_empty()) {
        (0, true) => "all is well".to_owned(),
        (0, false) => "nothing is wrong in what was checked".to_owned(),
        _ => counted(found, "finding", "findings"),
    };
    line(format!(
        "{verdict}: {} · {} · {} · {}",
        counted(report.commit, "commit", "commits"),
        counted(report.parts, "data file", "data files"),
        bytes(report.bytes),
        counted(report.runs, "run", "runs")
    ));
    out
}
