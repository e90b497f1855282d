//! `compact`: merges the small data files of closed days.

use std::fmt::Write as _;

use super::args::CompactArguments;
use super::context::{Context, now};
use super::table::{bytes, count, counted};
use crate::compact::{CompactOptions, CompactReport, compact, plan};
use crate::failure::{Exit, Failure};
use crate::job::LakeJob;
use crate::targets::DeliveryReport;
use crate::time::Timestamp;

pub(super) async fn run(context: &Context, arguments: &CompactArguments) -> Result<Exit, Failure> {
    let settings = context.targets(&arguments.targets);
    let (events, progress) = context.events();
    let options = CompactOptions {
        job: LakeJob::new(&settings, events, Timestamp::from(now()), None)?,
        settings: settings.compact,
        drop_older_revisions: arguments.drop_older_revisions,
        stop: None,
    };
    let compacted = if arguments.dry_run { plan(&options).await } else { compact(&options).await };
    if let Some(progress) = progress {
        progress.end();
    }
    let report = compacted?;
    context.print(&report, || text(&report, arguments.dry_run))?;
    if let Some(error) = report.deliveries.iter().find_map(DeliveryReport::error) {
        return Err(error.into());
    }
    for part in &report.damaged {
        context.eprint_note(&format!("incomplete: `{part}` is damaged and was not merged"));
    }
    if report.damaged.is_empty() {
        return Ok(Exit::Done);
    }
    context
        .eprint_note("hint: `armature-export verify` gives details; --repair repairs some damage");
    Ok(Exit::Incomplete)
}

fn text(report: &CompactReport, is_dry: bool) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let mut line = |text: String| {
        let _infallible = writeln!(out, "{text}");
    };
    let days = counted(report.days, "day", "days");
    let before = counted(report.parts_before, "file", "files");
    let (bytes_before, bytes_after) = (bytes(report.bytes_before), bytes(report.bytes_after));
    if report.days == 0 {
        line("nothing to compact".to_owned());
    } else if is_dry {
        line(format!("would compact {days}: {before}, {bytes_before}"));
    } else {
        line(format!("compacted {days}"));
        line(format!("  files     {before} became {}", count(report.parts_after)));
        line(format!("  bytes     {bytes_before} became {bytes_after}"));
    }
    if report.rows_dropped > 0 {
        let rows = counted(report.rows_dropped, "row", "rows");
        line(format!("  dropped   {rows} of earlier revisions"));
    }
    if report.removed_commits > 0 {
        let commits = counted(report.removed_commits, "earlier commit", "earlier commits");
        line(format!("  removed   old files of {commits}"));
    }
    for delivery in report.deliveries.iter().filter_map(DeliveryReport::done) {
        line(format!("  {:<9} {} (up to date)", delivery.target, delivery.path));
    }
    out
}
