//! `report`: one HTML page with the metrics of the lake.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::args::ReportArguments;
use super::context::{Context, absolute, now, write_stdout};
use super::table::counted;
use crate::config::Settings;
use crate::failure::{Exit, Failure};
use crate::report::{ReportOptions, make, make_file};

/// The file of the page unless another one is named.
const USUAL_FILE: &str = "armature-report.html";

#[derive(Debug, Serialize)]
struct Written<'w> {
    path: &'w Path,
    bytes: usize,
    commit: u64,
    runs: u64,
    regressions: u64,
    improvements: u64,
}

pub(super) async fn run(context: &Context, arguments: &ReportArguments) -> Result<Exit, Failure> {
    let mut settings = context.targets(&arguments.targets);
    let is_stdout = arguments.out.as_deref() == Some(Path::new("-"));
    if let Some(out) = arguments.out.as_ref().filter(|_| !is_stdout) {
        settings.report.path = Some(out.clone());
    }
    if is_stdout && context.is_json() {
        return Err(Failure::usage(
            "`--out -` prints the page on stdout, where `--output json` prints a JSON value",
            "leave one of them out",
        ));
    }
    settings.report.range = arguments.range.unwrap_or(settings.report.range);
    let path = if is_stdout { usual_path() } else { report_path(&settings) };
    let options = ReportOptions {
        workflows: arguments.workflows.clone(),
        evidence: arguments.evidence,
        ..ReportOptions::new(&settings, &path, now().into())?
    };
    let made = if is_stdout {
        let made = make(&options).await?;
        write_stdout(&made.page)?;
        made
    } else {
        let made = make_file(&options, &path).await?;
        let written = Written {
            path: &path,
            bytes: made.page.len(),
            commit: made.commit,
            runs: made.runs,
            regressions: made.regressions,
            improvements: made.improvements,
        };
        context.print(&written, || path.display().to_string())?;
        made
    };
    let runs = counted(made.runs, "run", "runs");
    context.eprint_note(&format!("report on {runs}: {}", made.headline));
    Ok(Exit::Done)
}

/// The absolute path of the page.
pub(super) fn report_path(settings: &Settings) -> PathBuf {
    settings.report.path.as_deref().map_or_else(usual_path, absolute)
}

fn usual_path() -> PathBuf {
    absolute(Path::new(USUAL_FILE))
}
