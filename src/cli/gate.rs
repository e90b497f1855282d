//! `gate`: runs workflows, waits for their verdicts, and turns them into an exit code for CI.

mod ci;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::args::{BaselineChoice, GateArguments, InconclusiveChoice};
use super::context::{Context, now, stop_on_signal};
use super::table::{counted, elapsed, render};
use crate::failure::{Exit, Failure};
use crate::gate::{
    Attempt, BaselineOptions, GateEvent, GateFailure, GateOptions, GateReport, GroupVerdict,
    Progress, Required, Rules, RunReference, Verdict, annotations, gate, junit, markdown, outputs,
    plain,
};
use crate::lake::LakeStore;
use crate::observe::events;
use crate::query::QueryOptions;
use crate::time::Timestamp;
use ci::Ci;

/// What is logged at a stop.
const STOPPING: &str = "stopping: runs that were dispatched go on at Armature";

/// How often the number of open runs is printed, if it does not change.
const TELL_AGAIN: Duration = Duration::from_mins(1);

/// For how long no run may be readable. Shorter outages are waited for.
const UNREACHABLE_AFTER: Duration = Duration::from_mins(5);

pub(super) async fn run(context: &Context, arguments: &GateArguments) -> Result<Exit, Failure> {
    let rules = rules(arguments)?;
    let (settings, url, key) = context.connection(&arguments.connection)?;
    let ci = Ci::detect(arguments.idempotency_key.as_deref());
    let baseline = match arguments.baseline {
        BaselineChoice::None => None,
        BaselineChoice::Lake => Some(BaselineOptions {
            store: LakeStore::configured(&settings)?,
            query: QueryOptions::new(&settings.duckdb),
            reach: Duration::from_hours(24).saturating_mul(arguments.baseline_days),
        }),
    };
    let options = GateOptions {
        mapping: settings.mapping()?,
        api: settings.api,
        url,
        key,
        // No progress line: the lines of the gate itself show how far it is.
        events: events(None),
        progress: told(context),
        stop: stop_on_signal(STOPPING),
        now: Timestamp::from(now()),
        workflows: arguments.workflows.clone(),
        repetitions: arguments.repeat,
        runs: arguments.runs.clone(),
        rules,
        baseline,
        timeout: arguments.timeout,
        evaluation_grace: arguments.evaluation_grace,
        poll_interval: arguments.poll_interval,
        unreachable_after: UNREACHABLE_AFTER,
        identity: ci.identity.clone(),
        reason: ci.reason.clone(),
        evidence: arguments.evidence,
    };
    match Box::pin(gate(&options)).await {
        Ok(report) => finish(context, arguments, &ci, &report),
        Err(GateFailure { error, running }) => {
            for run in &running {
                context.eprint_note(&running_line(run));
            }
            let failure = Failure::from(error);
            if ci.is_github {
                print_annotation(&ci::error_annotation(&failure.line()));
            }
            Err(failure)
        }
    }
}

fn rules(arguments: &GateArguments) -> Result<Rules, Failure> {
    let is_given = !arguments.runs.is_empty();
    let required = match arguments.min_passes {
        None => Required::DEFAULT,
        Some(number) if is_given => Required::Number(number),
        Some(passes) if passes <= arguments.repeat => {
            Required::Share { passes, of: arguments.repeat }
        }
        Some(passes) => {
            return Err(Failure::usage(
                format!("--min-passes {passes} is more than --repeat {}", arguments.repeat),
                "at most every repetition can pass",
            ));
        }
    };
    if arguments.baseline_blocks && arguments.baseline == BaselineChoice::None {
        return Err(Failure::usage(
            "--baseline-blocks cannot be used with --baseline none",
            "leave out one of them",
        ));
    }
    if let Some(id) = arguments.runs.iter().find(|id| matches!(id.as_str(), "" | "." | "..")) {
        return Err(Failure::usage(format!("`{id}` is not the id of a run"), "see the run's page"));
    }
    Ok(Rules {
        required,
        max_cost_per_pass: arguments.max_cost_per_pass,
        max_p95: arguments.max_p95,
        baseline_blocks: arguments.baseline_blocks,
    })
}

/// Tells on stderr what happens.
fn told(context: &Context) -> Progress {
    let context = context.clone();
    let last: Mutex<Option<(usize, usize, Instant)>> = Mutex::new(None);
    Progress::new(move |event| {
        if let GateEvent::Waiting { open, awaiting_evaluation, .. } = &event {
            let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
            let is_told = last.is_some_and(|(told_open, told_awaiting, at)| {
                let is_same = (told_open, told_awaiting) == (*open, *awaiting_evaluation);
                is_same && at.elapsed() < TELL_AGAIN
            });
            if is_told {
                return;
            }
            *last = Some((*open, *awaiting_evaluation, Instant::now()));
        }
        context.eprint_note(&line_of(&event));
    })
}

fn line_of(event: &GateEvent) -> String {
    let on = |model: &Option<String>| {
        model.as_ref().map(|model| format!(" on {}", plain(model))).unwrap_or_default()
    };
    match event {
        GateEvent::Dispatched { workflow, repetition, repetitions, run_id, model, again } => {
            let again = if *again { ", again after an error" } else { "" };
            format!(
                "dispatched {} ({repetition} of {repetitions}{again}): run {}{}",
                plain(workflow.shown()),
                plain(run_id),
                on(model)
            )
        }
        GateEvent::NoRun { workflow, repetition, note } => {
            format!("no run for {} (repetition {repetition}): {note}", plain(workflow.shown()))
        }
        GateEvent::OutcomeUnknown { reason } => {
            format!("the answer to a dispatch was lost ({reason}); looking for its run")
        }
        GateEvent::Unnamed => {
            "the answer to a dispatch names no run; looking for it in the list".to_owned()
        }
        GateEvent::Judged { run_id, model, outcome } => {
            format!("run {}{}: {}", plain(run_id), on(model), outcome.name())
        }
        GateEvent::Waiting { open, awaiting_evaluation: 0, elapsed } => {
            format!("waiting for {} ({})", runs(*open), whole_seconds(*elapsed))
        }
        GateEvent::Waiting { open, awaiting_evaluation, elapsed } => format!(
            "waiting for {}, {awaiting_evaluation} of them for the evaluation ({})",
            runs(*open),
            whole_seconds(*elapsed)
        ),
    }
}

fn runs(number: usize) -> String {
    counted(u64::try_from(number).unwrap_or(u64::MAX), "run", "runs")
}

fn whole_seconds(duration: Duration) -> impl std::fmt::Display {
    humantime::format_duration(Duration::from_secs(duration.as_secs()))
}

/// Prints the verdict, writes the reports, and returns the exit code. A report that cannot be
/// written does not hide a verdict other than a pass.
fn finish(
    context: &Context,
    arguments: &GateArguments,
    ci: &Ci,
    report: &GateReport,
) -> Result<Exit, Failure> {
    context.print(report, || text(report))?;
    let exit = exit_of(report.verdict, arguments.inconclusive);
    let written = write_reports(arguments, ci, report);
    if ci.is_github {
        let passes = arguments.inconclusive == Some(InconclusiveChoice::Pass);
        for line in annotations(report, passes) {
            print_annotation(&line);
        }
    }
    let mut failures = written.into_iter();
    let first = if exit == Exit::Done { failures.next() } else { None };
    for failure in failures {
        failure.print(false);
    }
    first.map_or(Ok(exit), Err)
}

fn exit_of(verdict: Verdict, inconclusive: Option<InconclusiveChoice>) -> Exit {
    match (verdict, inconclusive) {
        (Verdict::Pass, _) | (Verdict::Inconclusive, Some(InconclusiveChoice::Pass)) => Exit::Done,
        (Verdict::Fail, _) | (Verdict::Inconclusive, Some(InconclusiveChoice::Fail)) => {
            Exit::GateFailed
        }
        (Verdict::Inconclusive, None) => Exit::Incomplete,
    }
}

/// Writes every report that can be written, and returns why the others could not.
fn write_reports(arguments: &GateArguments, ci: &Ci, report: &GateReport) -> Vec<Failure> {
    let write = |path: &Path, text: String| {
        std::fs::write(path, text).map_err(|error| unwritten(path, error))
    };
    let as_xml = |path: &Path| {
        let xml = junit(report).map_err(|error| Failure::new(Exit::Bug, error.into()))?;
        write(path, xml)
    };
    let written = [
        arguments.junit.as_deref().map(as_xml),
        arguments.markdown.as_deref().map(|path| write(path, markdown(report))),
        ci.step_summary.as_deref().map(|path| append(path, &format!("{}\n", markdown(report)))),
        ci.outputs.as_deref().map(|path| append(path, &outputs(report))),
    ];
    written.into_iter().flatten().filter_map(Result::err).collect()
}

/// Appends to a file: other steps have written to it, too.
fn append(path: &Path, text: &str) -> Result<(), Failure> {
    let file = std::fs::OpenOptions::new().append(true).create(true).open(path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| unwritten(path, error))
}

fn unwritten(path: &Path, error: std::io::Error) -> Failure {
    let error = anyhow::Error::new(error).context(format!("failed to write `{}`", path.display()));
    let hint = Some("the verdict is printed above".to_owned());
    Failure { exit: Exit::Storage, error, hint }
}

/// Prints a workflow command. GitHub's runner reads it from stderr, too, so that stdout keeps the
/// result only.
#[expect(clippy::print_stderr, reason = "a command to the runner, whatever is logged")]
fn print_annotation(line: &str) {
    eprintln!("{line}");
}

/// The report for a terminal.
fn text(report: &GateReport) -> String {
    let headings = ["workflow", "model", "verdict", "passed", "cost/pass", "p95", "earlier runs"];
    let rows: Vec<Vec<String>> = report.groups.iter().map(row).collect();
    let mut out = format!("{}\n", render(&headings, &rows));
    for group in &report.groups {
        details(&mut out, group);
    }
    let mut line = |text: &str| {
        // Writing to a String cannot fail.
        let _infallible = writeln!(out, "{text}");
    };
    if !(report.notes.is_empty() && report.running.is_empty()) {
        line("");
    }
    for note in &report.notes {
        line(&format!("note: {note}"));
    }
    for run in &report.running {
        line(&running_line(run));
    }
    let took = elapsed(report.elapsed_ms);
    line(&format!("\ngate: {}, after {took}", report.headline()));
    out
}

fn row(group: &GroupVerdict) -> Vec<String> {
    let name = plain(group.workflow.shown());
    let version = group.version().map(|version| match plain(version) {
        number if number.starts_with(|first: char| first.is_ascii_digit()) => format!(" v{number}"),
        id => format!(" {id}"),
    });
    vec![
        format!("{name}{}", version.unwrap_or_default()),
        plain(&group.model_text()),
        group.verdict.name().to_owned(),
        group.passed_text(),
        group.cost_text(),
        group.p95_text(),
        group.baseline_text(),
    ]
}

fn details(out: &mut String, group: &GroupVerdict) {
    if group.reasons.is_empty() && group.passed == group.counted {
        return;
    }
    let mut line = |text: String| {
        // Writing to a String cannot fail.
        let _infallible = writeln!(out, "{text}");
    };
    line(format!("\n{} on {}", plain(group.workflow.shown()), plain(&group.model_text())));
    for reason in &group.reasons {
        line(format!("  {}", reason.text));
    }
    for criterion in &group.criteria {
        let optional = if criterion.is_required == Some(false) { " (optional)" } else { "" };
        let (attempts, counted) = (criterion.attempts, group.counted);
        line(format!("  not met in {attempts} of {counted}{optional}: {}", plain(&criterion.text)));
    }
    for attempt in &group.attempts {
        attempt_lines(&mut line, attempt);
    }
}

fn attempt_lines(line: &mut impl FnMut(String), attempt: &Attempt) {
    let place = attempt.run_url.as_deref().or(attempt.run_id.as_deref()).map(plain);
    let place = place.map(|place| format!("  {place}")).unwrap_or_default();
    line(format!("  repetition {}: {}{place}", attempt.repetition, attempt.outcome_text()));
    for criterion in &attempt.failed_criteria {
        if let Some(rationale) = &criterion.rationale {
            line(format!("    {}: {}", plain(&criterion.text), plain(rationale)));
        }
    }
    if let Some(message) = &attempt.error_message {
        line(format!("    {}", plain(message)));
    }
}

fn running_line(run: &RunReference) -> String {
    let workflow = plain(run.workflow.shown());
    let Some(id) = &run.run_id else {
        return format!("a dispatch of {workflow} may have started a run at Armature");
    };
    let url = run.run_url.as_deref().map(plain).unwrap_or_default();
    format!("run {} of {workflow} goes on at Armature: {url}", plain(id))
}
