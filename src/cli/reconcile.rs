//! `reconcile`: compares the API's list with the lake.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;
use tokio::sync::watch;

use super::args::ReconcileArguments;
use super::context::{COMMITTING, Context, now, stop_on_signal};
use super::sync::{run_once, summary};
use super::table::{count, counted, render};
use crate::config::{ApiKey, RangeChoice, Settings};
use crate::failure::{Exit, Failure};
use crate::reconcile::{Comparison, Reconciliation, Verdict, reconcile};
use crate::sync::{SyncOptions, SyncReport};
use crate::time::Timestamp;

/// Maximum number of runs and groups that are named; `--output json` has all of them.
const SHOWN: usize = 20;

/// What `--output json` prints.
#[derive(Debug, Serialize)]
struct Reconciled<'a> {
    before: &'a Reconciliation,
    repair: Option<&'a SyncReport>,
    after: Option<&'a Reconciliation>,
}

pub(super) async fn run(
    context: &Context,
    arguments: &ReconcileArguments,
) -> Result<Exit, Failure> {
    let (settings, url, key) = context.connection(&arguments.connection)?;
    let stop = stop_on_signal(COMMITTING);
    let compare = || compare(context, &settings, &url, &key, &stop);
    let before = compare().await?;
    if !arguments.repair || before.total.is_same() {
        let result = Reconciled { before: &before, repair: None, after: None };
        context.print(&result, || text(&before))?;
        return Ok(exit(&before));
    }
    if before.total.not_in_ledger > 0 {
        let result = Reconciled { before: &before, repair: None, after: None };
        context.print(&result, || text(&before))?;
        context.eprint_note(
            "not repaired: fetching runs that are not in the ledger would duplicate them",
        );
        return Ok(exit(&before));
    }
    let mut month = settings.clone();
    month.sync.range = RangeChoice::Longest;
    let report = run_once(context, month, url.clone(), key.clone(), stop.clone()).await?;
    let after = compare().await?;
    let result = Reconciled { before: &before, repair: Some(&report), after: Some(&after) };
    context.print(&result, || {
        let lake = settings.lake.path.display().to_string();
        let repaired = summary(&report, &lake, str::to_owned);
        format!("{}\nrepair: {repaired}\nafter repair:\n{}", text(&before), text(&after))
    })?;
    Ok(exit(&after))
}

fn exit(found: &Reconciliation) -> Exit {
    if found.is_well() { Exit::Done } else { Exit::Incomplete }
}

async fn compare(
    context: &Context,
    settings: &Settings,
    url: &str,
    key: &ApiKey,
    stop: &watch::Receiver<bool>,
) -> Result<Reconciliation, Failure> {
    let (events, progress) = context.events();
    let (url, key, now) = (url.to_owned(), key.clone(), Timestamp::from(now()));
    let options = SyncOptions::new(settings, url, key, events, stop.clone(), now)?;
    let found = reconcile(&options).await;
    if let Some(progress) = progress {
        progress.end();
    }
    Ok(found?)
}

fn text(found: &Reconciliation) -> String {
    let mut out = String::new();
    let mut line = |text: String| {
        // Writing to a String cannot fail.
        let _infallible = writeln!(out, "{text}");
    };
    let total = &found.total;
    line(format!(
        "reconciled {} of the last 30 days with the lake",
        counted(total.listed, "run", "runs")
    ));
    let parts = [
        (total.same, "as listed"),
        (total.missing, "missing"),
        (total.not_in_ledger, "in the lake but not in its ledger"),
        (total.changed, "changed"),
        (total.failed, "failed"),
        (total.pending, "ended since the last sync"),
    ];
    let shown = parts.iter().filter(|(number, name)| *number > 0 || *name == "as listed");
    let shown: Vec<String> =
        shown.map(|(number, name)| format!("{} {name}", count(*number))).collect();
    line(format!("  runs      {}", shown.join(" · ")));
    let list = match found.sweep.proof {
        Some(proof) if found.sweep.certified => format!("certified ({proof})"),
        _ => format!("uncertified: {}", found.sweep.doubts.join("; ")),
    };
    line(format!("  list      {list}, {}", counted(u64::from(found.sweep.pages), "page", "pages")));
    if found.no_longer_listed > 0 {
        let runs = counted(found.no_longer_listed, "run", "runs");
        line(format!("  unlisted  {runs} of the lake are no longer listed; they are kept"));
    }
    line(format!("\n{}", by_day(found)));
    if !total.is_same() {
        line(format!("\n{}", groups(found)));
        line(differences(found));
        line(if total.not_in_ledger > 0 {
            "\nhint: `verify --repair` adds runs of the lake to its ledger again".to_owned()
        } else {
            "\nhint: `reconcile --repair` fetches them".to_owned()
        });
    }
    out
}

/// One line per day, newest first.
fn by_day(found: &Reconciliation) -> String {
    let mut days: BTreeMap<&str, Comparison> = BTreeMap::new();
    for group in &found.groups {
        let day = group.day.as_deref().unwrap_or("unknown");
        days.entry(day).or_default().merge(group.comparison);
    }
    let rows: Vec<Vec<String>> = days.iter().rev().map(|(day, it)| cells(&[day], it)).collect();
    render(&[&["day"], HEADINGS].concat(), &rows)
}

/// The days, workflows and statuses with differences.
fn groups(found: &Reconciliation) -> String {
    let differing = found.groups.iter().filter(|group| !group.comparison.is_same());
    let rows: Vec<Vec<String>> = differing
        .take(SHOWN)
        .map(|group| {
            let shown = |text: &Option<String>| text.clone().unwrap_or_else(|| "?".to_owned());
            let names = [shown(&group.day), shown(&group.workflow_id), shown(&group.status)];
            cells(&names.each_ref().map(String::as_str), &group.comparison)
        })
        .collect();
    render(&[&["day", "workflow", "status"], HEADINGS].concat(), &rows)
}

const HEADINGS: &[&str] =
    &["listed", "as listed", "missing", "not in ledger", "changed", "failed", "ended since"];

fn cells(names: &[&str], runs: &Comparison) -> Vec<String> {
    let numbers = [
        runs.listed,
        runs.same,
        runs.missing,
        runs.not_in_ledger,
        runs.changed,
        runs.failed,
        runs.pending,
    ];
    let numbers = numbers.map(count);
    names.iter().map(|name| (*name).to_owned()).chain(numbers).collect()
}

fn differences(found: &Reconciliation) -> String {
    let mut lines = Vec::new();
    for (verdict, word) in [
        (Verdict::Missing, "missing"),
        (Verdict::NotInLedger, "not in ledger"),
        (Verdict::Changed, "changed"),
        (Verdict::Failed, "failed"),
    ] {
        let runs: Vec<&str> = found.with_verdict(verdict).collect();
        for run_id in runs.iter().take(SHOWN) {
            lines.push(format!("  {word}  {}", run_id.escape_debug()));
        }
        if runs.len() > SHOWN {
            lines.push(format!("  and {} more {word} (see --output json)", runs.len() - SHOWN));
        }
    }
    lines.join("\n")
}
