//! `replay`: rebuilds all tables from the documents, with today's mapping.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::args::ReplayArguments;
use super::context::{Context, now};
use super::table::{bytes, count, counted, render};
use crate::failure::{Exit, Failure};
use crate::job::LakeJob;
use crate::replay::{ReplayReport, plan, replay};
use crate::targets::DeliveryReport;
use crate::time::Timestamp;

pub(super) async fn run(context: &Context, arguments: &ReplayArguments) -> Result<Exit, Failure> {
    let settings = context.targets(&arguments.targets);
    let (events, progress) = context.events();
    let job = LakeJob::new(&settings, events, Timestamp::from(now()), None)?;
    let replayed = if arguments.dry_run { plan(&job).await } else { replay(&job).await };
    if let Some(progress) = progress {
        progress.end();
    }
    let report = replayed?;
    context.print(&report, || text(&report, arguments.dry_run))?;
    if let Some(error) = report.deliveries.iter().find_map(DeliveryReport::error) {
        return Err(error.into());
    }
    if report.runs_unreadable > 0 {
        context.eprint_note(&format!(
            "incomplete: the documents of {} cannot be read (see `armature-export verify`)",
            counted(report.runs_unreadable, "run", "runs")
        ));
        return Ok(Exit::Incomplete);
    }
    Ok(Exit::Done)
}

fn text(report: &ReplayReport, is_dry: bool) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let mut line = |text: String| {
        let _infallible = writeln!(out, "{text}");
    };
    let runs = counted(report.runs, "run", "runs");
    match report.commit {
        Some(commit) => line(format!("replayed {runs} (commit {commit})")),
        None if is_dry => line(format!("would replay {runs}")),
        None => line("nothing to replay".to_owned()),
    }
    for (number, why) in [
        (report.runs_without_documents, "no documents"),
        (report.runs_unreadable, "documents that cannot be read"),
    ] {
        if number > 0 {
            let (runs, verb) =
                if number == 1 { ("run has", "stays") } else { ("runs have", "stay") };
            let they = if number == 1 { "it is" } else { "they are" };
            line(format!("  {} {runs} {why}, and {verb} as {they}", count(number)));
        }
    }
    if report.runs > 0 {
        let (before, after) = (bytes(report.bytes_before), bytes(report.bytes_after));
        line(format!("  bytes     {before} before · {after} after"));
        let tables: BTreeSet<&String> =
            report.rows_before.keys().chain(report.rows_after.keys()).collect();
        let rows = |rows: &std::collections::BTreeMap<String, u64>, table: &String| {
            count(rows.get(table).copied().unwrap_or(0))
        };
        let rows: Vec<Vec<String>> = tables
            .into_iter()
            .map(|table| {
                let (before, after) = (&report.rows_before, &report.rows_after);
                vec![table.clone(), rows(before, table), rows(after, table)]
            })
            .collect();
        line(format!("\n{}", render(&["table", "rows before", "rows after"], &rows)));
    }
    for delivery in report.deliveries.iter().filter_map(DeliveryReport::done) {
        line(format!("\n  {:<9} {} (up to date)", delivery.target, delivery.path));
    }
    out
}
