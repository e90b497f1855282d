//! `doctor`: checks everything that a sync depends on, changes nothing, and suggests what to do.

mod checks;
mod mapping;
mod probe;

use std::fmt::Write as _;

use serde::Serialize;

use super::args::DoctorArguments;
use super::context::{Context, now, stop_on_signal};
use crate::failure::{Exit, Failure};
use crate::normalize::{MappingReport, TableReport};
use crate::time::Timestamp;

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    /// No problem.
    Ok,
    /// A problem that does not keep a sync from working.
    Warning,
    /// A problem that keeps a sync from working.
    Failed,
}

/// One check.
#[derive(Debug, Serialize)]
pub(super) struct Finding {
    /// What was checked.
    check: &'static str,
    verdict: Verdict,
    /// What was found.
    found: String,
    /// What the user can do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
    #[serde(skip)]
    exit: Option<Exit>,
}

/// All checks.
#[derive(Debug, Default, Serialize)]
pub(super) struct Examination {
    findings: Vec<Finding>,
    /// Which column was filled from which path, for the examined runs.
    mapping: MappingReport,
}

impl Examination {
    fn ok(&mut self, check: &'static str, found: impl Into<String>) {
        self.add(check, Verdict::Ok, found.into(), None, None);
    }

    fn warn(&mut self, check: &'static str, found: impl Into<String>, advice: impl Into<String>) {
        self.add(check, Verdict::Warning, found.into(), Some(advice.into()), None);
    }

    fn fail(&mut self, check: &'static str, failure: &Failure) {
        let causes: Vec<String> = failure.error.chain().map(ToString::to_string).collect();
        let found = crate::config::mask_keys(&causes.join(": "));
        self.add(check, Verdict::Failed, found, failure.hint.clone(), Some(failure.exit));
    }

    fn add(
        &mut self,
        check: &'static str,
        verdict: Verdict,
        found: String,
        advice: Option<String>,
        exit: Option<Exit>,
    ) {
        self.findings.push(Finding { check, verdict, found, advice, exit });
    }

    /// The exit code of the first check that failed.
    fn exit(&self) -> Exit {
        self.findings.iter().find_map(|finding| finding.exit).unwrap_or(Exit::Done)
    }
}

pub(super) async fn run(context: &Context, arguments: &DoctorArguments) -> Result<Exit, Failure> {
    let save_openapi = arguments.save_openapi.clone();
    let arguments = &arguments.connection;
    let mut examination = Examination::default();
    let settings = context.targets(&arguments.targets);
    let (events, progress) = context.events();
    match context.connection(arguments) {
        Err(failure) => examination.fail("configuration", &failure),
        Ok((settings, url, key)) => {
            let stop = stop_on_signal("stopping");
            let now = Timestamp::from(now());
            let probe = probe::Probe { settings, url, key, events, stop, now, save_openapi };
            probe.examine(&mut examination).await;
        }
    }
    checks::lake(&mut examination, &settings).await;
    checks::duckdb(&mut examination, &settings);
    checks::iceberg(&mut examination, &settings).await;
    if let Some(progress) = progress {
        progress.end();
    }
    context.print(&examination, || text(&examination))?;
    Ok(examination.exit())
}

fn text(examination: &Examination) -> String {
    let mut out = String::new();
    for finding in &examination.findings {
        let mark = match finding.verdict {
            Verdict::Ok => "ok     ",
            Verdict::Warning => "warning",
            Verdict::Failed => "FAILED ",
        };
        // Writing to a String cannot fail.
        let _infallible = writeln!(out, "{mark}  {:<14} {}", finding.check, finding.found);
        if let Some(advice) = &finding.advice {
            let _infallible = writeln!(out, "{:24} → {advice}", "");
        }
    }
    for table in examination.mapping.tables.iter().filter(|table| table.rows > 0) {
        out.push_str(&table_text(table));
    }
    if !examination.mapping.tables.is_empty() {
        out.push_str(
            "\nA column without a source stays null; unmapped members are kept in `_extra`. Add \
             columns, or\nother sources, as [[columns]] in the configuration.\n",
        );
    }
    let failed = examination.findings.iter().filter(|f| f.verdict == Verdict::Failed).count();
    let warned = examination.findings.iter().filter(|f| f.verdict == Verdict::Warning).count();
    let _infallible = match (failed, warned) {
        (0, 0) => writeln!(out, "\nready to sync"),
        (0, warned) => writeln!(out, "\nready to sync, warnings: {warned}"),
        (failed, _) => writeln!(out, "\nnot ready: {failed} failed"),
    };
    out
}

fn table_text(table: &TableReport) -> String {
    let (filled, unfilled): (Vec<_>, Vec<_>) =
        table.columns.iter().partition(|column| !column.filled_from.is_empty());
    let width = filled.iter().map(|column| column.column.len()).max().unwrap_or(0);
    let mut out = format!("\n{} ({} rows sampled)\n", table.table, table.rows);
    for column in filled {
        let paths: Vec<String> = column
            .filled_from
            .iter()
            .map(|(path, rows)| format!("`{path}` ({rows} of {})", table.rows))
            .collect();
        // Writing to a String cannot fail.
        let _infallible = writeln!(out, "  {:<width$} ← {}", column.column, paths.join(", "));
    }
    if !unfilled.is_empty() {
        let names: Vec<&str> = unfilled.iter().map(|column| column.column.as_str()).collect();
        let _infallible = writeln!(out, "  without a source: {}", names.join(", "));
    }
    if !table.untaken.is_empty() {
        let names: Vec<&str> = table.untaken.keys().map(String::as_str).collect();
        let _infallible = writeln!(out, "  unmapped: {}", names.join(", "));
    }
    out
}
