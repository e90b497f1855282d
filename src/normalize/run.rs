//! The documents of a run into the rows of all tables.

use std::borrow::Cow;
use std::collections::HashSet;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;

use super::builder::TableBuilder;
use super::cell::{Cell, read};
use super::elements::{append_list, element_sources, no_list, no_object, note_rest, own_key};
use super::issues::append_issues;
use super::report::MappingReport;
use super::row::{Issue, Sources, append_row};
use super::stamp::{Stamp, child_columns, integer, run_columns, system};
use crate::digest::sha256_hex;
use crate::json::{Body, Kind as JsonKind, Node, Record, unwrap};
use crate::run::{Document, FetchedRun, Resource, unwrap_run};
use crate::tables::{
    CRITERIA, DOCUMENTS, EVALUATIONS, EXCERPTS, ISSUES, Kind, Mapping, RUNS, SPANS, TOOL_CALLS,
    Table,
};

/// Rows of one table.
#[derive(Debug)]
pub struct Batch {
    /// The table.
    pub table: &'static Table,
    /// Its rows.
    pub rows: RecordBatch,
}

/// Turns runs into rows of all append tables.
#[derive(Debug)]
pub struct Normalizer<'m> {
    runs: TableBuilder<'m>,
    spans: TableBuilder<'m>,
    tool_calls: TableBuilder<'m>,
    evaluations: TableBuilder<'m>,
    criteria: TableBuilder<'m>,
    excerpts: TableBuilder<'m>,
    documents: TableBuilder<'m>,
    issues: TableBuilder<'m>,
    stamp: Stamp,
}

/// Names of lists inside documents: the likeliest first, then what siblings of the API use.
const SPAN_LISTS: &[&str] = &["spans", "events"];
const TOOL_CALL_LISTS: &[&str] = &["rows", "tool_calls", "toolCalls"];
const CRITERION_LISTS: &[&str] =
    &["criteria", "criterionResults", "criterion_results", "criteriaResults", "results"];
const EXCERPT_LISTS: &[&str] =
    &["excerpts", "evidence", "quotes", "supportingExcerpts", "supporting_excerpts"];

impl<'m> Normalizer<'m> {
    /// Starts without rows.
    pub fn new(mapping: &'m Mapping, stamp: Stamp) -> Self {
        let builder = |table| TableBuilder::new(mapping.table(table));
        Self {
            runs: builder(&RUNS),
            spans: builder(&SPANS),
            tool_calls: builder(&TOOL_CALLS),
            evaluations: builder(&EVALUATIONS),
            criteria: builder(&CRITERIA),
            excerpts: builder(&EXCERPTS),
            documents: builder(&DOCUMENTS),
            issues: builder(&ISSUES),
            stamp,
        }
    }

    /// Also keeps count of which path filled which column, for [`Normalizer::report`].
    #[must_use]
    pub fn observed(mut self) -> Self {
        for builder in self.builders_mut() {
            builder.observe();
        }
        self
    }

    /// What [`Normalizer::observed`] saw.
    pub fn report(&self) -> MappingReport {
        let tables = self.builders().into_iter().filter_map(TableBuilder::report);
        MappingReport { tables: tables.collect() }
    }

    /// Adds every row of a run.
    pub fn append(&mut self, run: &FetchedRun) {
        let mut issues = Vec::new();
        let mut extra = String::new();
        let node =
            |resource| run.document(resource).and_then(|document| Node::accepted(&document.body));
        let trace = node(Resource::Trace).map(trace_body);
        let span_count = self.append_spans(run, trace.as_ref(), &mut extra, &mut issues);
        let calls = node(Resource::ToolCalls).map(Body::new);
        let call_count =
            self.append_tool_calls(run, calls, trace.as_ref(), &mut extra, &mut issues);
        let judged = node(Resource::Evaluation)
            .map(|evaluation| self.append_evaluation(run, evaluation, &mut issues))
            .unwrap_or_default();
        let mut sources = run_sources(node(Resource::Detail), node(Resource::Listing));
        sources.extra = extra;
        judged.complete(&mut sources);
        let mut fixed = run_columns(run.run_id.as_str(), run.evaluation, &self.stamp);
        fixed.push(("tool_call_count", integer(call_count)));
        fixed.push(("span_count", integer(span_count)));
        fixed.extend(system(&self.stamp, run.revision));
        let key = Some(Cow::Borrowed(run.run_id.as_str()));
        append_row(&mut self.runs, &mut sources, &fixed, key.as_ref(), &mut issues);
        if self.stamp.keep_documents {
            self.append_documents(run);
        }
        append_issues(&mut self.issues, &run.run_id, run.revision, &issues, &self.stamp);
    }

    /// About how much memory the rows hold, in bytes.
    pub fn bytes(&self) -> usize {
        self.builders().iter().map(|builder| builder.bytes()).sum()
    }

    /// Hands over the rows so far, table by table, and starts anew.
    ///
    /// # Errors
    /// Never on data: an error here is a fault of the declarations.
    pub fn finish(&mut self) -> Result<Vec<Batch>, ArrowError> {
        let mut batches = Vec::new();
        for builder in self.builders_mut() {
            if builder.rows() > 0 {
                batches.push(Batch { table: builder.mapped.table, rows: builder.finish()? });
            }
        }
        Ok(batches)
    }

    fn builders(&self) -> [&TableBuilder<'m>; 8] {
        [
            &self.spans,
            &self.tool_calls,
            &self.evaluations,
            &self.criteria,
            &self.excerpts,
            &self.documents,
            &self.issues,
            &self.runs,
        ]
    }

    fn builders_mut(&mut self) -> [&mut TableBuilder<'m>; 8] {
        [
            &mut self.spans,
            &mut self.tool_calls,
            &mut self.evaluations,
            &mut self.criteria,
            &mut self.excerpts,
            &mut self.documents,
            &mut self.issues,
            &mut self.runs,
        ]
    }

    fn append_spans(
        &mut self,
        run: &FetchedRun,
        trace: Option<&Body<'_>>,
        extra: &mut String,
        issues: &mut Vec<Issue>,
    ) -> usize {
        let Some(body) = trace else { return 0 };
        let Some(list) = body.list(SPAN_LISTS) else {
            issues.push(no_list(&SPANS, body.node()));
            return 0;
        };
        let known = [list.name.unwrap_or_default(), "run_id", "runId"];
        let repeated: &[&str] = match run.document(Resource::ToolCalls) {
            Some(_) => &["tool_calls", "toolCalls"],
            None => &[],
        };
        note_rest(extra, "trace", body.clone(), &[&known, repeated].concat());
        let parents = [("run_id", run.run_id.as_str())];
        append_list(&mut self.spans, &list.elements, &parents, run, &self.stamp, issues);
        list.elements.len()
    }

    /// The calls of their own document; where that is absent, those that the trace repeats.
    fn append_tool_calls(
        &mut self,
        run: &FetchedRun,
        calls: Option<Body<'_>>,
        trace: Option<&Body<'_>>,
        extra: &mut String,
        issues: &mut Vec<Issue>,
    ) -> usize {
        let elements = match (calls, trace) {
            (Some(body), _) => {
                let Some(list) = body.list(TOOL_CALL_LISTS) else {
                    issues.push(no_list(&TOOL_CALLS, body.node()));
                    return 0;
                };
                let known = [list.name.unwrap_or_default(), "run_id", "runId"];
                note_rest(extra, "tool_calls", body, &known);
                list.elements
            }
            (None, Some(trace)) => {
                let list = ["tool_calls", "toolCalls"].iter().find_map(|name| trace.get(name));
                list.and_then(Node::elements).unwrap_or_default()
            }
            (None, None) => Vec::new(),
        };
        let parents = [("run_id", run.run_id.as_str())];
        append_list(&mut self.tool_calls, &elements, &parents, run, &self.stamp, issues);
        elements.len()
    }

    fn append_evaluation<'a>(
        &mut self,
        run: &FetchedRun,
        body: Node<'a>,
        issues: &mut Vec<Issue>,
    ) -> Judged<'a> {
        let own = [CRITERION_LISTS, &["verdict", "judge_model", "judgeModel"]].concat();
        let inner = unwrap(body, &["evaluation", "data", "result"], &own);
        let node = inner.map_or(body, |(_, node)| node);
        let Some(mut record) = Record::new(node) else {
            issues.push(no_object(&EVALUATIONS, body));
            return Judged::default();
        };
        let judged = Judged::of(node);
        let criteria = CRITERION_LISTS.iter().find_map(|&name| {
            let elements = node.get(name)?.elements()?;
            Some((name, elements))
        });
        if let Some((name, elements)) = criteria {
            record.take_named(name);
            self.append_criteria(run, &elements, issues);
        }
        let mut sources = Sources { records: vec![record], extra: String::new() };
        if let (Some((wrapper, _)), Some(mut outer)) = (inner, Record::new(body)) {
            outer.take_named(wrapper);
            sources.records.push(outer);
        }
        let mut fixed = vec![("run_id", Some(Cell::Text(Cow::Borrowed(run.run_id.as_str()))))];
        fixed.extend(system(&self.stamp, run.revision));
        append_row(&mut self.evaluations, &mut sources, &fixed, None, issues);
        judged
    }

    fn append_criteria(&mut self, run: &FetchedRun, list: &[Node<'_>], issues: &mut Vec<Issue>) {
        let parents = [("run_id", run.run_id.as_str())];
        let (stamp, mut seen) = (&self.stamp, HashSet::new());
        for (position, &element) in list.iter().enumerate() {
            let record = Record::new(element);
            let key = own_key(self.criteria.mapped, record.as_ref(), position, &mut seen, issues);
            let excerpts = EXCERPT_LISTS.iter().find_map(|&name| Some((name, element.get(name)?)));
            let mut sources = element_sources(element, record, self.criteria.mapped, &key, issues);
            if let (Some((name, node)), Some(record)) = (excerpts, sources.records.first_mut()) {
                record.take_named(name);
                let elements = match node.kind() {
                    JsonKind::Null => Vec::new(),
                    _ => node.elements().unwrap_or_else(|| vec![node]),
                };
                let parents = [("run_id", run.run_id.as_str()), ("criterion_id", key.as_ref())];
                append_list(&mut self.excerpts, &elements, &parents, run, stamp, issues);
            }
            let fixed = child_columns(&parents, position, run.revision, stamp);
            append_row(&mut self.criteria, &mut sources, &fixed, Some(&key), issues);
        }
    }

    fn append_documents(&mut self, run: &FetchedRun) {
        for Document { resource, page, body, http_date } in &run.documents {
            let text = std::str::from_utf8(body).map(Cow::Borrowed);
            let text = text.unwrap_or_else(|_| String::from_utf8_lossy(body));
            let mut fixed = vec![
                ("run_id", Some(Cell::Text(Cow::Borrowed(run.run_id.as_str())))),
                ("resource", Some(Cell::Text(Cow::Borrowed(resource.name())))),
                ("page", Some(Cell::Integer(i64::from(*page)))),
                ("body", Some(Cell::Text(text))),
                ("bytes", integer(body.len())),
                ("sha256", Some(Cell::Text(Cow::Owned(sha256_hex(body))))),
                ("http_date", http_date.map(Cell::Timestamp)),
            ];
            fixed.extend(system(&self.stamp, run.revision));
            let mut sources = Sources::default();
            append_row(&mut self.documents, &mut sources, &fixed, None, &mut Vec::new());
        }
    }
}

/// A trace, also one that is wrapped as `{"trace": {…}}`.
fn trace_body(node: Node<'_>) -> Body<'_> {
    let body = Body::new(node);
    match body.unwrap(&["trace", "data", "result"], SPAN_LISTS) {
        Some((_, inner)) => inner,
        None => body,
    }
}

/// What the evaluation says that the run's row also has a column for.
#[derive(Default)]
struct Judged<'a> {
    verdict: Option<Node<'a>>,
    classification: Option<Node<'a>>,
}

impl<'a> Judged<'a> {
    fn of(evaluation: Node<'a>) -> Self {
        let find = |names: &[&str]| {
            let found = names.iter().find_map(|name| evaluation.get(name));
            found.filter(|node| matches!(read(Kind::Text, *node).cell, Some(Cell::Text(_))))
        };
        Self {
            verdict: find(&["verdict", "overall_verdict", "overallVerdict"]),
            classification: find(&["classification"]),
        }
    }

    /// The evaluation speaks where the run's own bodies do not: it is asked last.
    fn complete(self, sources: &mut Sources<'a>) {
        for (column, node) in [("verdict", self.verdict), ("classification", self.classification)] {
            sources.records.extend(node.map(|node| Record::of(column, node)));
        }
    }
}

pub(super) fn run_sources<'a>(detail: Option<Node<'a>>, listing: Option<Node<'a>>) -> Sources<'a> {
    let mut records = Vec::with_capacity(3);
    if let Some(body) = detail {
        match unwrap_run(body) {
            Some((wrapper, inner)) => {
                records.extend(Record::new(inner));
                if let Some(mut outer) = Record::new(body) {
                    outer.take_named(wrapper);
                    records.push(outer);
                }
            }
            None => records.extend(Record::new(body)),
        }
    }
    records.extend(listing.and_then(Record::new));
    Sources { records, extra: String::new() }
}
