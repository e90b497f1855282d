//! `status`: what the lake holds, and what is missing.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use serde::Serialize;

use super::args::TargetArguments;
use super::context::{Context, now};
use super::table::{bytes, count, counted, elapsed, moment, render};
use crate::event::Events;
use crate::failure::{Exit, Failure};
use crate::lake::{Gap, LakeStore, LakeView, SyncRecord};
use crate::ledger::{Entries, Entry, RunState, RunTotals};
use crate::targets::{self, Target};
use crate::time::{Interval, Timestamp};

/// Maximum number of syncs and failed runs that are shown.
const SHOWN: usize = 10;

#[derive(Debug, Serialize)]
struct Status {
    lake: String,
    organization_id: Option<String>,
    commit: u64,
    parts: u64,
    bytes: u64,
    rows: BTreeMap<String, u64>,
    runs: BTreeMap<&'static str, u64>,
    #[serde(rename = "proven")]
    coverage: Vec<Moments>,
    behind_seconds: Option<u64>,
    gaps: Vec<Moments>,
    failed_runs: Vec<FailedRun>,
    /// Runs that are listed, and whose id returns 404.
    absent_runs: Vec<FailedRun>,
    /// Runs exported with fewer rows than the API announces.
    partial_runs: u64,
    syncs: Vec<SyncRecord>,
    targets: Vec<TargetStatus>,
    /// The page that `schedule` writes; left out if none is configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<ReportStatus>,
}

#[derive(Debug, Serialize)]
struct ReportStatus {
    path: PathBuf,
    /// When the page was last written, by this machine's clock.
    written_at: Option<String>,
}

#[derive(Debug, Serialize)]
struct Moments {
    from: String,
    until: String,
}

#[derive(Debug, Serialize)]
struct FailedRun {
    run_id: String,
    failures: u32,
    problem: Option<String>,
}

#[derive(Debug, Serialize)]
struct TargetStatus {
    target: &'static str,
    path: String,
    state: String,
    commits_behind: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    published: Option<CopyStatus>,
}

/// The published copy of a target.
#[derive(Debug, Serialize)]
struct CopyStatus {
    path: String,
    state: String,
    /// When it was written, by this machine's clock; `None` if it does not exist yet.
    written_at: Option<String>,
    age_seconds: Option<u64>,
}

pub(super) async fn run(context: &Context, arguments: &TargetArguments) -> Result<Exit, Failure> {
    let settings = context.targets(arguments);
    let lake = LakeView::open(LakeStore::configured(&settings)?).await?;
    let (ledger, _) = lake.ledger().await?;
    // Runs that failed or are absent are among those in memory.
    let mut status = base(&lake, ledger.recent(), lake.run_totals().await?);
    status.syncs = lake.last_syncs(SHOWN).await?;
    let totals = lake.totals().await?;
    (status.parts, status.bytes, status.rows) = (totals.files, totals.bytes, totals.rows);
    for target in targets::configured(&settings, lake.store(), &Events::none(), None) {
        status.targets.push(target_status(&*target, status.commit).await);
    }
    status.report = settings.report.path.map(report_status);
    context.print(&status, || text(&status))?;
    Ok(Exit::Done)
}

fn base(lake: &LakeView, ledger: &Entries, totals: RunTotals) -> Status {
    let head = lake.head();
    let coverage = head.map(|head| head.coverage.clone()).unwrap_or_default();
    let gaps = head.map(|head| head.gaps.clone()).unwrap_or_default();
    let behind = coverage.last().map(|last| Timestamp::from(now()).since(last.until).as_secs());
    Status {
        lake: lake.root().to_string(),
        organization_id: lake.identity().and_then(|identity| identity.organization_id.clone()),
        commit: head.map_or(0, |head| head.commit),
        parts: 0,
        bytes: 0,
        rows: BTreeMap::new(),
        runs: totals.counts().into_iter().collect(),
        coverage: coverage.iter().map(|Interval { from, until }| moments(*from, *until)).collect(),
        behind_seconds: behind,
        gaps: gaps.iter().map(|Gap { from, until, .. }| moments(*from, *until)).collect(),
        failed_runs: runs_with(ledger, |entry| entry.state == RunState::Failed),
        absent_runs: runs_with(ledger, Entry::is_absent),
        partial_runs: totals.partial,
        syncs: Vec::new(),
        targets: Vec::new(),
        report: None,
    }
}

fn report_status(path: PathBuf) -> ReportStatus {
    // A page whose metadata cannot be read counts as missing: readers cannot open it either.
    let written = std::fs::metadata(&path).and_then(|page| page.modified()).ok();
    let written_at = written.map(|at| moment(chrono::DateTime::<chrono::Utc>::from(at).into()));
    ReportStatus { path, written_at }
}

/// The runs for which `holds` is true, by id, with their problem.
fn runs_with(ledger: &Entries, holds: impl Fn(&Entry) -> bool) -> Vec<FailedRun> {
    let runs = ledger.iter().filter(|(_, entry)| holds(entry));
    let mut runs: Vec<FailedRun> = runs
        .map(|(run_id, entry)| FailedRun {
            run_id: run_id.to_owned(),
            failures: entry.failures,
            problem: entry.problem.as_deref().map(str::to_owned),
        })
        .collect();
    runs.sort_by(|a, b| a.run_id.cmp(&b.run_id));
    runs
}

fn moments(from: Timestamp, until: Timestamp) -> Moments {
    Moments { from: moment(from), until: moment(until) }
}

async fn target_status(target: &dyn Target, newest: u64) -> TargetStatus {
    let (state, commits_behind) = match target.applied().await {
        Ok(None) => ("not there yet".to_owned(), None),
        Ok(Some(applied)) => {
            let behind = newest.saturating_sub(applied);
            (if behind == 0 { "up to date" } else { "behind" }.to_owned(), Some(behind))
        }
        Err(error) => (error.to_string(), None),
    };
    let published = copy_status(target);
    TargetStatus {
        target: target.kind(),
        path: target.location(),
        state,
        commits_behind,
        published,
    }
}

fn copy_status(target: &dyn Target) -> Option<CopyStatus> {
    let copy = match target.published() {
        Ok(copy) => copy?,
        Err(error) => {
            let (path, state) = (String::new(), error.to_string());
            return Some(CopyStatus { path, state, written_at: None, age_seconds: None });
        }
    };
    let state = match copy.written {
        None => "not there yet",
        Some(_) if copy.is_current => "up to date",
        Some(_) => "differs from the file",
    };
    Some(CopyStatus {
        path: copy.path,
        state: state.to_owned(),
        written_at: copy.written.map(moment),
        age_seconds: copy.written.map(|written| Timestamp::from(now()).since(written).as_secs()),
    })
}

fn text(status: &Status) -> String {
    let mut out = String::new();
    let mut line = |text: String| {
        // Writing to a String cannot fail.
        let _infallible = writeln!(out, "{text}");
    };
    line(format!("lake {}", status.lake));
    let organization = status.organization_id.as_deref().unwrap_or("unknown");
    line(format!("  organization  {organization}"));
    line(format!(
        "  commits       {} · {} · {}",
        count(status.commit),
        counted(status.parts, "data file", "data files"),
        bytes(status.bytes)
    ));
    let runs = status.runs.iter().filter(|(_, number)| **number > 0);
    let runs: Vec<String> =
        runs.map(|(state, number)| format!("{} {state}", count(*number))).collect();
    line(format!(
        "  runs          {}",
        if runs.is_empty() { "none".into() } else { runs.join(" · ") }
    ));
    if status.partial_runs > 0 {
        let runs = counted(status.partial_runs, "run has", "runs have");
        line(format!("  partial       {runs} fewer rows than the API announces (see _issues)"));
    }
    for coverage in &status.coverage {
        line(format!("  proven        {} to {}", coverage.from, coverage.until));
    }
    match status.behind_seconds {
        Some(seconds) => {
            let milliseconds = seconds.saturating_mul(1000);
            line(format!("  behind        {}", elapsed(milliseconds)));
        }
        None => line("  proven        nothing yet".to_owned()),
    }
    for gap in &status.gaps {
        line(format!(
            "  gap           {} to {} (never exported, no longer listed)",
            gap.from, gap.until
        ));
    }
    for target in &status.targets {
        let behind = match target.commits_behind {
            Some(number) if number > 0 => format!(", {}", counted(number, "commit", "commits")),
            _ => String::new(),
        };
        line(format!("  {:<13} {} ({}{behind})", target.target, target.path, target.state));
        if let Some(copy) = &target.published {
            let age = copy.age_seconds.map(|seconds| elapsed(seconds.saturating_mul(1000)));
            let age = age.map(|age| format!(", written {age} ago")).unwrap_or_default();
            line(format!("  {:<13} {} ({}{age})", "copy", copy.path, copy.state));
        }
    }
    if let Some(report) = &status.report {
        let written = report.written_at.as_ref().map(|at| format!("written at {at}"));
        let written = written.unwrap_or_else(|| "not there yet".to_owned());
        line(format!("  report        {} ({written})", report.path.display()));
    }
    let rows: Vec<Vec<String>> =
        status.rows.iter().map(|(table, rows)| vec![table.clone(), count(*rows)]).collect();
    line(format!("\n{}", render(&["table", "rows"], &rows)));
    let troubled = [
        ("failed runs, tried again at each sync", &status.failed_runs),
        (
            "absent runs, tried again for some syncs and whenever they are listed",
            &status.absent_runs,
        ),
    ];
    for (title, runs) in troubled.iter().filter(|(_, runs)| !runs.is_empty()) {
        line(format!("\n{title}"));
        for run in runs.iter().take(SHOWN) {
            let problem = run.problem.as_deref().unwrap_or("unknown");
            line(format!("  {} ({}x): {problem}", run.run_id.escape_debug(), run.failures));
        }
        if runs.len() > SHOWN {
            line(format!("  and {} more (see --output json)", runs.len() - SHOWN));
        }
    }
    line(format!("\nlast syncs\n{}", syncs(&status.syncs)));
    out
}

fn syncs(syncs: &[SyncRecord]) -> String {
    let rows: Vec<Vec<String>> = syncs
        .iter()
        .rev()
        .map(|sync| {
            vec![
                moment(sync.started_at),
                sync.outcome.clone(),
                sync.range.clone(),
                count(sync.runs_listed),
                count(sync.runs_new + sync.runs_changed),
                count(sync.runs_failed),
                count(sync.requests),
                elapsed(sync.elapsed_ms),
            ]
        })
        .collect();
    render(
        &["started", "outcome", "range", "listed", "exported", "failed", "requests", "took"],
        &rows,
    )
}
