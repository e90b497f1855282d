//! Reads a run as far as a gate needs it: its detail, and once it has ended its evaluation.

use std::borrow::Cow;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Decimal128Type, Int64Type};

use super::attempt::{Attempt, Cause, Cost, FailedCriterion, Outcome};
use super::error::GateError;
use super::verdict::WorkflowName;
use crate::api::{ApiError, Client, FetchResult, Response};
use crate::extract::{ListedRun, RunPaths, fetch_document};
use crate::json::Node;
use crate::normalize::{ExportContext, Normalizer};
use crate::run::{
    Document, DocumentState, EvaluationState, FetchedRun, Meaning, Resource, encode_id,
    evaluation_state_of,
};
use crate::tables::{CRITERIA, Mapping, RUNS, Table};
use crate::time::Timestamp;

/// Reads runs.
#[derive(Debug)]
pub(super) struct RunReader<'a> {
    pub(super) client: &'a Client,
    pub(super) mapping: &'a Mapping,
    pub(super) paths: &'a RunPaths,
    pub(super) export: ExportContext,
    /// Whether the judge's rationale and error messages are kept.
    pub(super) evidence: bool,
}

/// What the documents of a run state.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct RunFacts {
    pub(super) run_id: String,
    pub(super) run_url: Option<String>,
    pub(super) workflow: Option<WorkflowName>,
    pub(super) workflow_version: Option<String>,
    pub(super) model: Option<String>,
    pub(super) harness: Option<String>,
    pub(super) status: Option<String>,
    /// The judge's verdict, in the API's word.
    verdict: Option<String>,
    pub(super) started_at: Option<Timestamp>,
    cost: Option<Cost>,
    duration_ms: Option<u64>,
    failed_criteria: Vec<FailedCriterion>,
    error_message: Option<String>,
}

/// What a look at a run found.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Look {
    /// The API does not know the run.
    NotVisible,
    /// The run has not ended, or shows no detail yet.
    Open(Box<RunFacts>),
    /// The run has ended, and its evaluation may still come.
    NotEvaluated(Box<RunFacts>),
    /// The run has ended, and the judge failed to evaluate it.
    EvaluationFailed(Box<RunFacts>),
    /// Everything is there.
    Complete(Box<RunFacts>),
}

impl RunFacts {
    /// Facts of a run of which nothing is known but its id.
    pub(super) fn of_id(run_id: &str) -> Self {
        Self { run_id: run_id.to_owned(), ..Self::default() }
    }

    fn meaning(&self) -> Meaning {
        self.status.as_deref().map_or(Meaning::Unknown, Meaning::of)
    }

    /// The outcome by status and verdict.
    pub(super) fn outcome(&self) -> Outcome {
        let verdict = self.verdict.as_deref().map_or(Meaning::Unknown, Meaning::of);
        Outcome::of(self.meaning(), verdict)
    }

    /// The attempt that the run is.
    pub(super) fn into_attempt(self, repetition: u32, outcome: Outcome) -> Attempt {
        let is_decided = matches!(outcome, Outcome::Passed | Outcome::Failed);
        Attempt {
            repetition,
            run_id: Some(self.run_id),
            run_url: self.run_url,
            model: self.model,
            harness: self.harness,
            workflow_version: self.workflow_version,
            status: self.status,
            outcome,
            note: None,
            cost: self.cost,
            duration_ms: self.duration_ms,
            // The grades of a run that says nothing say nothing either.
            failed_criteria: if is_decided { self.failed_criteria } else { Vec::new() },
            error_message: self.error_message,
            is_replaced: false,
        }
    }
}

impl RunReader<'_> {
    /// Looks at a run: one request while it is open, two once it has ended.
    ///
    /// # Errors
    /// [`ApiError`] as [`GateError::Api`] if a document cannot be fetched.
    pub(super) async fn look(&self, run_id: &str) -> Result<Look, GateError> {
        let path = format!("/runs/{}", encode_id(run_id));
        let detail = match self.client.get(&path, &[]).await? {
            FetchResult::Body(detail) => detail,
            FetchResult::Absent { .. } => return Ok(Look::NotVisible),
            FetchResult::Empty { .. } | FetchResult::NotReady => {
                return Ok(Look::Open(Box::new(RunFacts::of_id(run_id))));
            }
        };
        let shown = ListedRun::from_body(run_id.to_owned(), detail.body.clone(), self.paths);
        let meaning = shown.status.as_deref().map_or(Meaning::Unknown, Meaning::of);
        // A word that is not known is that of a run that has ended if the run has an end. Without
        // one, it may be the name of a phase.
        let has_ended =
            meaning.is_final() || (meaning == Meaning::Unknown && shown.ended_at.is_some());
        let mut run = fetched_run(&shown, &detail);
        if !has_ended {
            return Ok(Look::Open(Box::new(self.facts(&run)?)));
        }
        if matches!(meaning, Meaning::Error | Meaning::Cancelled) {
            // Runs without a final answer are not evaluated.
            return Ok(Look::Complete(Box::new(self.facts(&run)?)));
        }
        let evaluation = format!("{path}{}", Resource::Evaluation.path_suffix());
        let fetched =
            fetch_document(self.client, &evaluation, Resource::Evaluation, self.paths).await;
        let pages = match fetched {
            Ok(Some(document)) => document.pages,
            Ok(None) | Err(ApiError::NotReady { .. }) => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        let first = pages.first().and_then(|page| Node::from_validated(&page.body));
        let state = first.map_or(EvaluationState::Absent, evaluation_state_of);
        if matches!(state, EvaluationState::Present | EvaluationState::Failed) {
            run.evaluation = DocumentState::Ok;
            for (page, response) in (1..).zip(pages) {
                let Response { body, date, .. } = response;
                let resource = Resource::Evaluation;
                run.documents.push(Document { resource, page, body, http_date: date });
            }
        }
        let facts = Box::new(self.facts(&run)?);
        Ok(match state {
            EvaluationState::Present => Look::Complete(facts),
            EvaluationState::Failed => Look::EvaluationFailed(facts),
            EvaluationState::Absent | EvaluationState::Pending => Look::NotEvaluated(facts),
        })
    }

    /// Reads the facts from the rows that an export of the run would write, so that a gate
    /// understands every form of a body that the tables understand, and the configured columns.
    fn facts(&self, run: &FetchedRun) -> Result<RunFacts, GateError> {
        let mut normalizer = Normalizer::new(self.mapping, self.export.clone(), 1);
        normalizer.append(run);
        let batches = normalizer.finish()?;
        let rows = |table: &Table| {
            batches.iter().find(|batch| batch.table.name == table.name).map(|batch| &batch.rows)
        };
        let mut facts = RunFacts::of_id(&run.run_id);
        if let Some(rows) = rows(&RUNS) {
            let of = |name| text(rows, 0, name);
            let id = of("workflow_id").unwrap_or_default();
            let workflow = WorkflowName { id, name: of("workflow_name") };
            facts.workflow = (!workflow.shown().is_empty()).then_some(workflow);
            facts.run_url = of("run_url");
            facts.workflow_version = of("workflow_version");
            facts.model = of("model");
            facts.harness = of("harness");
            facts.status = of("status");
            facts.verdict = of("verdict");
            facts.error_message = of("error_message").filter(|_| self.evidence);
            facts.started_at = run.started_at;
            facts.cost = decimal(rows, 0, "cost").map(Cost::from_scaled);
            facts.duration_ms =
                integer(rows, 0, "duration_ms").and_then(|number| u64::try_from(number).ok());
        }
        if let Some(rows) = rows(&CRITERIA) {
            facts.failed_criteria =
                (0..rows.num_rows()).filter_map(|row| self.failed_criterion(rows, row)).collect();
        }
        Ok(facts)
    }

    fn failed_criterion(&self, rows: &RecordBatch, row: usize) -> Option<FailedCriterion> {
        let verdict = text(rows, row, "verdict");
        let is_met = verdict.as_deref().map(Meaning::of) == Some(Meaning::Passed);
        let named =
            || text(rows, row, "criterion_text").or_else(|| text(rows, row, "criterion_id"));
        (!is_met).then(|| FailedCriterion {
            text: named().unwrap_or_default(),
            is_required: boolean(rows, row, "is_required"),
            verdict,
            rationale: text(rows, row, "rationale").filter(|_| self.evidence),
        })
    }
}

fn fetched_run(shown: &ListedRun, detail: &Response) -> FetchedRun {
    FetchedRun {
        run_id: shown.run_id.clone(),
        started_at: shown.started_at,
        ended_at: shown.ended_at,
        status: shown.status.clone(),
        revision: 1,
        evaluation: DocumentState::Absent,
        documents: vec![Document {
            resource: Resource::Detail,
            page: 1,
            body: detail.body.clone(),
            http_date: detail.date,
        }],
        shortfalls: Vec::new(),
    }
}

/// The outcome of a run that has ended, and whose evaluation is no longer awaited.
pub(super) fn outcome_without_evaluation(facts: &RunFacts) -> Outcome {
    match facts.outcome() {
        Outcome::Passed | Outcome::Failed | Outcome::Inconclusive(Cause::Undecided) => {
            Outcome::Inconclusive(Cause::NoEvaluation)
        }
        other @ Outcome::Inconclusive(_) => other,
    }
}

fn text(rows: &RecordBatch, row: usize, name: &str) -> Option<String> {
    let column = rows.column_by_name(name)?.as_string_opt::<i32>()?;
    (row < column.len() && column.is_valid(row)).then(|| column.value(row).to_owned())
}

fn boolean(rows: &RecordBatch, row: usize, name: &str) -> Option<bool> {
    let column = rows.column_by_name(name)?.as_boolean_opt()?;
    (row < column.len() && column.is_valid(row)).then(|| column.value(row))
}

fn integer(rows: &RecordBatch, row: usize, name: &str) -> Option<i64> {
    let column = rows.column_by_name(name)?.as_primitive_opt::<Int64Type>()?;
    (row < column.len() && column.is_valid(row)).then(|| column.value(row))
}

fn decimal(rows: &RecordBatch, row: usize, name: &str) -> Option<i128> {
    let column = rows.column_by_name(name)?.as_primitive_opt::<Decimal128Type>()?;
    (row < column.len() && column.is_valid(row)).then(|| column.value(row))
}

/// Whether a body holds a text, in a member of any name.
pub(super) fn holds_text(body: &[u8], wanted: &str) -> bool {
    let body: Cow<'_, str> = String::from_utf8_lossy(body);
    body.contains(wanted)
}
