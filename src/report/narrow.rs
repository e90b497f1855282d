//! The runs that a report is about: the tables of the lake, narrowed to a time and to workflows,
//! and over them the views of the metrics as they are declared everywhere else. So every definition
//! holds for these runs as it stands.

use std::fmt::Write as _;
use std::time::Duration;

use super::ReportError;
use crate::config::ReportRange;
use crate::lake::{CommitFile, LakeView, Snapshot, SyncRecord};
use crate::metrics::{
    CRITERION_HEALTH, DATA_QUALITY, FAILURE_CLASSES, JUDGE_CONSISTENCY, MODEL_COMPARISON,
    RUN_FACTS, TOOL_HEALTH, View, WORKFLOW_DAILY, WORKFLOW_STABILITY, WORKFLOW_VERSIONS,
};
use crate::query::{LATEST_RUNS, LakeReader, QueryError, gap_rows, identifier, literal, sync_row};
use crate::tables::{CRITERIA, EVALUATIONS, ISSUES, OPEN_RUNS, RUNS, TOOL_CALLS};
use crate::time::Timestamp;

/// The views that the page shows, each after those that it reads.
pub(super) static SHOWN: [&View; 10] = [
    &RUN_FACTS,
    &WORKFLOW_DAILY,
    &WORKFLOW_VERSIONS,
    &WORKFLOW_STABILITY,
    &TOOL_HEALTH,
    &CRITERION_HEALTH,
    &MODEL_COMPARISON,
    &FAILURE_CLASSES,
    &JUDGE_CONSISTENCY,
    &DATA_QUALITY,
];

/// The tables whose data files are read. Trace and raw documents, most of a lake, are not.
pub(super) fn is_read(table: &str) -> bool {
    [&RUNS, &TOOL_CALLS, &CRITERIA, &EVALUATIONS, &ISSUES, &OPEN_RUNS]
        .iter()
        .any(|read| read.name == table)
}

/// Which runs a report is about.
#[derive(Clone, Debug)]
pub(super) struct Selection {
    /// Only runs that started at this time or later, by the server's clock; `None` for all.
    pub(super) since: Option<Timestamp>,
    /// The end of the time that the report is about: the end of the coverage, or else the start of
    /// the newest sync, by the server's clock. `None` if there was no sync.
    pub(super) until: Option<Timestamp>,
    /// The number of days of the range; `None` for all runs.
    pub(super) days: Option<u32>,
    /// Names or ids of workflows; empty for all.
    pub(super) workflows: Vec<String>,
}

impl Selection {
    /// The runs of a range that ends where the lake does.
    pub(super) fn new(
        range: ReportRange,
        workflows: Vec<String>,
        head: Option<&CommitFile>,
        sync: Option<&SyncRecord>,
    ) -> Self {
        let covered = head.and_then(|head| head.coverage.last()).map(|last| last.until);
        let until = covered.or(sync.map(|sync| sync.started_at));
        let days = range.days();
        let since = until.zip(days).map(|(until, days)| until - length(days));
        Self { since, until, days, workflows }
    }

    /// The time before the range, which is as long: its start, and its end.
    fn before(&self) -> Option<(Timestamp, Timestamp)> {
        self.since.zip(self.days).map(|(since, days)| (since - length(days), since))
    }
}

fn length(days: u32) -> Duration {
    Duration::from_hours(24 * u64::from(days))
}

/// The schema of the narrowed tables and of the views over them.
const NARROWED: &str = "narrowed";

/// The schema in which all runs are those of one workflow and one model. There, the views give the
/// figures of all runs together, by the same definitions.
const TOGETHER: &str = "together";

/// The schema in which the version of a run is the time that it started in: the range, or the one
/// before. There, `workflow_versions` compares the two by its own definitions.
pub(super) const RANGES: &str = "ranges";

/// Columns of `runs` that the views read, and the revision.
const RUN_COLUMNS: &str = "run_id, run_url, workflow_id, workflow_name, workflow_version, \
    mcp_server_id, status, classification, verdict, trigger_type, model, harness, started_at, \
    ended_at, duration_ms, cost, cost_currency, input_tokens, output_tokens, evaluation_state, \
    tool_call_count, span_count, status_meaning, verdict_meaning, _revision";

/// Opens the data files of a snapshot, narrowed to a selection, with the views of the metrics. The
/// data files must be readable ([`crate::lake::LakeStore::fetch`]).
///
/// # Errors
/// [`ReportError`]: DuckDB's error, or a workflow of which there is no run.
pub(super) fn narrowed(
    view: &LakeView,
    snapshot: &Snapshot,
    sync: Option<&(SyncRecord, CommitFile)>,
    job: &crate::job::LakeJob,
    selection: &Selection,
    evidence: bool,
) -> Result<LakeReader, ReportError> {
    let parts = snapshot.iter().map(|live| &live.part).filter(|part| is_read(&part.table));
    let mut reader = LakeReader::open(view.store(), parts, &job.mapping, &job.query)?;
    if let Some((sync, commit_file)) = sync {
        reader.execute("record the sync", &sync_row(sync, commit_file))?;
    }
    if let Some(head) = view.head() {
        reader.execute("record gaps", &gap_rows(&head.gaps, head))?;
    }
    select_workflows(&mut reader, &selection.workflows)?;
    narrow(&mut reader, selection, evidence)?;
    create_views(&mut reader, NARROWED, &SHOWN)?;
    let together = format!(
        "CREATE SCHEMA {TOGETHER}; CREATE VIEW {TOGETHER}.runs AS SELECT * REPLACE \
         ('all' AS workflow_id, 'all' AS workflow_name, NULL::VARCHAR AS model, \
         NULL::VARCHAR AS harness) FROM {NARROWED}.runs"
    );
    reader.execute("take all runs together", &together)?;
    create_views(&mut reader, TOGETHER, &[&RUN_FACTS, &MODEL_COMPARISON])?;
    compare_ranges(&mut reader, selection)?;
    reader.execute("use the narrowed tables", &format!("USE {NARROWED}"))?;
    Ok(reader)
}

/// Creates the table `selected_workflows` with the keys of the selected workflows. A name selects a
/// workflow with all its runs, also those under an earlier name.
fn select_workflows(reader: &mut LakeReader, workflows: &[String]) -> Result<(), ReportError> {
    let keys = "SELECT DISTINCT coalesce(workflow_id, workflow_name) AS workflow_key";
    reader.execute(
        "select workflows",
        &format!(
            "CREATE TABLE selected_workflows (workflow_key VARCHAR); \
             CREATE VIEW named_workflows AS {keys}, workflow_id, workflow_name FROM {LATEST_RUNS}"
        ),
    )?;
    for name in workflows {
        let name_literal = literal(name);
        let named = format!(
            "FROM named_workflows WHERE workflow_key IS NOT NULL \
             AND (workflow_id = {name_literal} OR workflow_name = {name_literal})"
        );
        if reader.rows(&format!("SELECT 1 {named} LIMIT 1"))?.is_empty() {
            return Err(ReportError::UnknownWorkflow { name: name.clone() });
        }
        let sql = format!("INSERT INTO selected_workflows SELECT DISTINCT workflow_key {named}");
        reader.execute("select workflows", &sql)?;
    }
    Ok(())
}

/// Creates the schema [`RANGES`]. It has no runs if none started in the time before the range.
fn compare_ranges(reader: &mut LakeReader, selection: &Selection) -> Result<(), QueryError> {
    let before = selection.before().map_or("false".to_owned(), |(since, until)| {
        let (since, until) = (since.as_micros(), until.as_micros());
        format!(
            "epoch_us(started_at) >= {since} AND epoch_us(started_at) < {until} AND {}",
            of_workflows(selection)
        )
    });
    let sql = format!(
        "CREATE SCHEMA {RANGES};
         CREATE TABLE {RANGES}.before AS SELECT {RUN_COLUMNS} FROM {LATEST_RUNS} WHERE {before};
         CREATE VIEW {RANGES}.runs AS
           SELECT * REPLACE ('before' AS workflow_version) FROM {RANGES}.before
           UNION ALL BY NAME
           SELECT * EXCLUDE (error_message) REPLACE ('range' AS workflow_version)
           FROM {NARROWED}.runs WHERE EXISTS (FROM {RANGES}.before)"
    );
    reader.execute("take the time before the range", &sql)?;
    create_views(reader, RANGES, &[&RUN_FACTS, &WORKFLOW_VERSIONS])
}

/// The condition that a run is of a selected workflow.
fn of_workflows(selection: &Selection) -> &'static str {
    if selection.workflows.is_empty() {
        return "true";
    }
    "coalesce(workflow_id, workflow_name) IN (SELECT workflow_key FROM main.selected_workflows)"
}

fn narrow(
    reader: &mut LakeReader,
    selection: &Selection,
    evidence: bool,
) -> Result<(), QueryError> {
    let mut conditions = of_workflows(selection).to_owned();
    if let Some(since) = selection.since {
        // Writing to a String cannot fail.
        let _infallible = write!(conditions, " AND epoch_us(started_at) >= {}", since.as_micros());
    }
    let since = selection.since.unwrap_or(Timestamp::MIN).as_micros();
    // A table, as every view reads it: data files are opened once. Error messages are not even
    // loaded unless they are asked for.
    let error_message = if evidence { "error_message" } else { "NULL::VARCHAR AS error_message" };
    let mut sql = format!(
        "CREATE SCHEMA {NARROWED};
         CREATE TABLE {NARROWED}.runs AS SELECT {RUN_COLUMNS}, {error_message} FROM {LATEST_RUNS}
           WHERE {conditions};
         CREATE VIEW {NARROWED}.open_runs AS SELECT * FROM main.open_runs WHERE {conditions};
         CREATE VIEW {NARROWED}._syncs AS SELECT * FROM main._syncs;
         CREATE VIEW {NARROWED}._gaps AS SELECT * FROM main._gaps
           WHERE epoch_us(gap_until) > {since};"
    );
    for table in [&TOOL_CALLS, &CRITERIA, &EVALUATIONS, &ISSUES] {
        let name = identifier(table.name);
        // Writing to a String cannot fail.
        let _infallible = write!(
            sql,
            "CREATE VIEW {NARROWED}.{name} AS SELECT * FROM main.{name} \
             SEMI JOIN {NARROWED}.runs USING (run_id, _revision);"
        );
    }
    reader.execute("narrow the tables", &sql)
}

/// Creates views in a schema, over the tables and views of that schema. Those that are read several
/// times are computed once, as tables: with a hundred thousand runs, that is a quarter of the time.
fn create_views(reader: &mut LakeReader, schema: &str, views: &[&View]) -> Result<(), QueryError> {
    let read_again = [&RUN_FACTS, &WORKFLOW_DAILY, &WORKFLOW_VERSIONS, &WORKFLOW_STABILITY];
    let mut sql = format!("USE {schema};");
    for view in views {
        let is_read_again = read_again.iter().any(|again| again.name == view.name);
        let kind = if is_read_again { "TABLE" } else { "VIEW" };
        // Writing to a String cannot fail.
        let _infallible =
            writeln!(sql, "CREATE {kind} {} AS {};", identifier(view.name), view.query());
    }
    reader.execute("create the views", &sql)
}
