//! The page as a whole.

use std::path::Path;
use std::sync::LazyLock;

use askama::Template;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha256};

use super::chart::{ChangesChart, DaysChart, ModelsChart};
use super::days::{HeatTable, days_of, read_days, read_heat};
use super::definitions::{Definition, ViewDefinition, definitions, views};
use super::evidence::{Evidence, read_evidence};
use super::figures::{Figure, figures, quality, read_quality, read_together};
use super::file::{create_folder_of, write};
use super::format::name;
use super::narrow::{Selection, is_read, narrowed};
use super::rows::Rows;
use super::table::{Table, TableSpec};
use super::verdict::{Verdict, read_comparisons, read_ranges};
use super::{ReportError, tables};
use crate::config::{ReportRange, Settings};
use crate::event::Events;
use crate::job::{JobError, LakeJob};
use crate::lake::{CommitFile, LakeView, Snapshot, SyncRecord};
use crate::query::{LakeReader, newest_sync};
use crate::time::Timestamp;

/// Which report to make.
#[derive(Clone, Debug)]
pub struct ReportOptions {
    /// The lake, and how DuckDB reads it.
    pub job: LakeJob,
    /// How far back runs count.
    pub range: ReportRange,
    /// Names or ids of the workflows that count; empty for all.
    pub workflows: Vec<String>,
    /// Whether the page shows text out of runs: error messages, and what the judge wrote.
    pub evidence: bool,
}

impl ReportOptions {
    /// The report that is configured, on all workflows, without evidence. What does not fit into
    /// memory while it is made is written beside `page`, where the page will be.
    ///
    /// # Errors
    /// As [`LakeJob::new`].
    pub fn new(settings: &Settings, page: &Path, now: Timestamp) -> Result<Self, JobError> {
        let mut job = LakeJob::new(settings, Events::none(), now, None)?;
        page.clone_into(&mut job.query.path);
        job.query.memory_limit_mb = job.query.memory_limit_mb.max(LEAST_MEMORY_MB);
        let range = settings.report.range;
        Ok(Self { job, range, workflows: Vec::new(), evidence: false })
    }
}

/// The least memory limit of DuckDB for a report, in megabytes: with that much, the views over a
/// hundred thousand runs are computed without temporary files.
const LEAST_MEMORY_MB: u64 = 256;

/// A report.
#[derive(Clone, Debug)]
pub struct Report {
    /// The page.
    pub page: String,
    /// What it says first, without names out of the data.
    pub headline: String,
    /// The sentences after that. They can name workflows and versions.
    pub details: Vec<String>,
    /// The number of runs that it is about.
    pub runs: u64,
    /// Latest versions that are a regression.
    pub regressions: u64,
    /// Latest versions that are an improvement.
    pub improvements: u64,
    /// The newest commit that it knows; 0 if there is none.
    pub commit: u64,
}

/// How often a report is begun again because the lake changed while it was read.
const ATTEMPTS: u32 = 4;

/// Makes a report.
///
/// # Errors
/// [`ReportError`]: the lake cannot be read, or there is no run of a workflow that was asked for.
pub async fn make(options: &ReportOptions) -> Result<Report, ReportError> {
    create_folder_of(&options.job.query.path)?;
    let mut attempt = 1;
    loop {
        let view = LakeView::open(&options.job.lake).await?;
        let snapshot = view.snapshot().await?;
        let sync = newest_sync(&view).await?;
        let commit = view.head().map_or(0, |head| head.commit);
        let input = Input { view, snapshot, sync, options: options.clone() };
        let made = tokio::task::spawn_blocking(move || input.make());
        let made = made.await.map_err(JobError::from)?;
        let Err(error) = made else { return made };
        // A merge can move data files away while they are read: then there is a newer commit.
        let newest = LakeView::open(&options.job.lake).await?;
        let is_same = newest.head().map_or(0, |head| head.commit) == commit;
        if is_same || attempt == ATTEMPTS {
            return Err(error);
        }
        attempt += 1;
    }
}

/// Makes a report, and puts its page in place of the one before it (`write`).
///
/// # Errors
/// As [`make`], or [`ReportError::Write`]; the file is then as it was.
pub async fn make_file(options: &ReportOptions, path: &Path) -> Result<Report, ReportError> {
    let report = make(options).await?;
    let (page, path) = (report.page.clone(), path.to_owned());
    let written = tokio::task::spawn_blocking(move || write(&page, &path));
    written.await.map_err(JobError::from)??;
    Ok(report)
}

/// What a report is made from.
struct Input {
    view: LakeView,
    snapshot: Snapshot,
    sync: Option<(SyncRecord, CommitFile)>,
    options: ReportOptions,
}

impl Input {
    /// Makes the report. Blocks the thread.
    fn make(self) -> Result<Report, ReportError> {
        let Self { view, snapshot, sync, options } = self;
        let ReportOptions { job, range, workflows, evidence } = options;
        let selection =
            Selection::new(range, workflows, view.head(), sync.as_ref().map(|(sync, _)| sync));
        // The local copies stay until everything is read.
        let mut copies = Vec::new();
        for live in snapshot.iter().filter(|live| is_read(&live.part.table)) {
            copies.extend(view.store().fetch(&live.part)?);
        }
        let mut reader = narrowed(&view, &snapshot, sync.as_ref(), &job, &selection, evidence)?;
        let content = Content::read(&mut reader, &selection, evidence)?;
        drop((reader, copies));
        let commit = view.head().map_or(0, |head| head.commit);
        let organization = view.identity().and_then(|lake| lake.organization_id.as_deref());
        let page = Page {
            policy: policy(),
            style: STYLE,
            title: title(&selection),
            organization: organization.map(name),
            period: period(&selection),
            scope: scope(&selection),
            made_at: moment(job.now),
            version: env!("CARGO_PKG_VERSION"),
            commit,
            content: &content,
            definitions: definitions(),
            views: views(),
        };
        Ok(Report {
            page: page.render()?,
            headline: content.verdict.headline.clone(),
            details: content.verdict.details.clone(),
            runs: content.runs,
            regressions: content.verdict.regressions,
            improvements: content.verdict.improvements,
            commit,
        })
    }
}

/// All that is on a page out of the lake.
struct Content {
    runs: u64,
    verdict: Verdict,
    figures: Vec<Figure>,
    days_chart: Option<DaysChart>,
    changes: Table,
    changes_chart: Option<ChangesChart>,
    versions: Table,
    moments: Table,
    heat: HeatTable,
    classes: Table,
    criteria: Table,
    tools: Table,
    models_charts: Vec<ModelsChart>,
    models: Table,
    stability: Table,
    failures: Table,
    evidence: Option<Vec<Evidence>>,
    quality: Vec<(&'static str, String)>,
    judges: Table,
}

impl Content {
    fn read(
        reader: &mut LakeReader,
        selection: &Selection,
        evidence: bool,
    ) -> Result<Self, ReportError> {
        reader.execute("select the latest failures", &tables::prepare_failures())?;
        let (days, has_earlier) = days_of(selection, reader)?;
        let read_table = |reader: &mut LakeReader, spec: &TableSpec| -> Result<_, ReportError> {
            let rows = spec.read(reader)?;
            let table = spec.show(&rows);
            Ok::<(Rows, Table), ReportError>((rows, table))
        };
        let (change_rows, changes) = read_table(reader, &tables::CHANGES)?;
        let (version_rows, versions) = read_table(reader, &tables::LATEST_VERSIONS)?;
        let (model_rows, models) = read_table(reader, &tables::MODELS)?;
        let (stability_rows, stability) = read_table(reader, &tables::STABILITY)?;
        let together = read_together(reader)?;
        let quality_row = read_quality(reader)?;
        let runs = together.first().map_or(0, |row| row.count("runs"));
        let comparisons = read_comparisons(reader)?;
        let ranges = read_ranges(reader)?;
        Ok(Self {
            runs,
            verdict: Verdict::new(runs, &comparisons, &change_rows, selection, &ranges),
            figures: figures(&together, &stability_rows, &quality_row),
            days_chart: DaysChart::new(&days, &read_days(reader, &days)?),
            changes,
            changes_chart: ChangesChart::new(&version_rows),
            versions,
            moments: read_table(reader, &tables::MOMENTS)?.1,
            heat: HeatTable::new(&days, has_earlier, &read_heat(reader, &days)?),
            classes: read_table(reader, &tables::CLASSES)?.1,
            criteria: read_table(reader, &tables::CRITERIA)?.1,
            tools: read_table(reader, &tables::TOOLS)?.1,
            models_charts: ModelsChart::of_workflows(&model_rows),
            models,
            stability,
            failures: read_table(reader, &tables::FAILURES)?.1,
            evidence: if evidence { Some(read_evidence(reader)?) } else { None },
            quality: quality(&quality_row),
            judges: read_table(reader, &tables::JUDGES)?.1,
        })
    }
}

#[derive(Template)]
#[template(path = "report/page.html")]
struct Page<'c> {
    policy: &'static str,
    style: &'static str,
    title: String,
    organization: Option<String>,
    period: String,
    scope: String,
    made_at: String,
    version: &'static str,
    commit: u64,
    content: &'c Content,
    definitions: Vec<Definition>,
    views: Vec<ViewDefinition>,
}

/// The styles. They are inside the page, and the only ones that its policy allows.
const STYLE: &str = include_str!("../../templates/report/style.css");

/// The content security policy of a page.
fn policy() -> &'static str {
    static POLICY: LazyLock<String> = LazyLock::new(|| {
        let digest = BASE64_STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
        format!(
            "default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
        )
    });
    &POLICY
}

fn moment(at: Timestamp) -> String {
    let at = at.to_datetime().map(|at| at.format("%Y-%m-%d %H:%M").to_string());
    at.unwrap_or_else(|| "an unknown time".to_owned())
}

fn title(selection: &Selection) -> String {
    let until = selection.until.and_then(Timestamp::utc_day);
    match until {
        Some(day) => format!("Armature runs until {day}"),
        None => "Armature runs".to_owned(),
    }
}

/// The time of the runs.
fn period(selection: &Selection) -> String {
    match (selection.since, selection.until) {
        (Some(since), Some(until)) => {
            format!("Runs that started from {} to {} UTC", moment(since), moment(until))
        }
        (_, Some(until)) => format!("All runs until {} UTC", moment(until)),
        (_, None) => "The lake has no sync yet".to_owned(),
    }
}

/// The workflows.
fn scope(selection: &Selection) -> String {
    let names: Vec<String> = selection.workflows.iter().map(|text| name(text)).collect();
    match names.as_slice() {
        [] => "all workflows".to_owned(),
        [one] => format!("the workflow {one}"),
        several => format!("the workflows {}", several.join(", ")),
    }
}
