//! Converts the documents of a run to the rows of all tables.

use std::borrow::Cow;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;

use super::builder::TableBuilder;
use super::cell::Cell;
use super::elements::{append_list, no_list, shortfall_issue};
use super::issues::append_issues;
use super::pages::Pages;
use super::report::{DocumentUsage, MappingReport};
use super::row::Issue;
use super::row::{Sources, append_row};
use super::row_context::{ExportContext, RowContext, integer, run_columns, system};
use crate::digest::sha256_hex;
use crate::json::{Node, Record, Unmapped};
use crate::run::{Document, FetchedRun, Resource, unwrap_run};
use crate::tables::{
    CRITERIA, DOCUMENTS, EVALUATIONS, EXCERPTS, ISSUES, ListDocument, ListSources, Mapping, RUNS,
    SPANS, TOOL_CALLS, Table,
};
use crate::time::Timestamp;

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
    pub(super) evaluations: TableBuilder<'m>,
    pub(super) criteria: TableBuilder<'m>,
    pub(super) excerpts: TableBuilder<'m>,
    documents: TableBuilder<'m>,
    issues: TableBuilder<'m>,
    pub(super) lists: Lists,
    pub(super) context: RowContext,
    pub(super) usage: Option<DocumentUsage>,
}

/// Where the lists of a run's documents are.
#[derive(Debug)]
pub(super) struct Lists {
    spans: ListSources,
    trace_tool_calls: ListSources,
    tool_calls: ListSources,
    pub(super) criteria: ListSources,
    /// Excerpts beside the criteria.
    pub(super) excerpts: ListSources,
    /// Excerpts in a criterion.
    pub(super) criterion_excerpts: ListSources,
}

impl Lists {
    fn new(mapping: &Mapping) -> Self {
        let list = |document, table| mapping.list_sources(document, table).clone();
        Self {
            spans: list(ListDocument::Trace, &SPANS),
            trace_tool_calls: list(ListDocument::Trace, &TOOL_CALLS),
            tool_calls: list(ListDocument::ToolCalls, &TOOL_CALLS),
            criteria: list(ListDocument::Evaluation, &CRITERIA),
            excerpts: list(ListDocument::Evaluation, &EXCERPTS),
            criterion_excerpts: list(ListDocument::Criterion, &EXCERPTS),
        }
    }
}

impl<'m> Normalizer<'m> {
    /// Starts without rows; those that are added belong to the commit of this number.
    pub fn new(mapping: &'m Mapping, export: ExportContext, commit: u64) -> Self {
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
            lists: Lists::new(mapping),
            context: RowContext::new(export, commit),
            usage: None,
        }
    }

    /// Also counts which path filled which column, for [`Normalizer::report`].
    #[must_use]
    pub fn observed(mut self) -> Self {
        for builder in self.builders_mut() {
            builder.observe();
        }
        self.usage = Some(DocumentUsage::default());
        self
    }

    /// What [`Normalizer::observed`] saw.
    pub fn report(&self) -> MappingReport {
        let tables = self.builders().into_iter().filter_map(TableBuilder::report);
        let tables = tables.collect();
        match &self.usage {
            Some(usage) => usage.report(tables),
            None => MappingReport { tables, ..MappingReport::default() },
        }
    }

    /// Adds every row of a run.
    pub fn append(&mut self, run: &FetchedRun) {
        // The partition of runs whose start is unknown is the first day of 1970.
        self.context.run_date =
            Some(run.started_at.and_then(Timestamp::utc_day_number).unwrap_or(0));
        let mut issues = Vec::new();
        let mut extra = Unmapped::default();
        let node = |resource| {
            run.document(resource).and_then(|document| Node::from_validated(&document.body))
        };
        let trace = Pages::of(run, Resource::Trace);
        let span_count = self.append_spans(run, &trace, &mut extra, &mut issues);
        let call_count = self.append_tool_calls(run, &trace, &mut extra, &mut issues);
        let evaluation = Pages::of(run, Resource::Evaluation);
        let judged = self.append_evaluation(run, &evaluation, &mut issues);
        let mut sources = run_sources(node(Resource::Detail), node(Resource::Listing));
        sources.extra = extra;
        judged.complete(&mut sources);
        let mut fixed = run_columns(run.run_id.as_str(), run.evaluation, &self.context);
        fixed.push(("tool_call_count", integer(call_count)));
        fixed.push(("span_count", integer(span_count)));
        fixed.extend(system(&self.context, run.revision));
        let key = Some(Cow::Borrowed(run.run_id.as_str()));
        append_row(&mut self.runs, &mut sources, &fixed, key.as_ref(), &mut issues);
        if self.context.export.keep_documents {
            self.append_documents(run);
        }
        issues.extend(run.shortfalls.iter().map(shortfall_issue));
        append_issues(&mut self.issues, &run.run_id, run.revision, &issues, &self.context);
    }

    /// Approximate size of the rows in memory, in bytes.
    pub fn bytes(&self) -> usize {
        self.builders().iter().map(|builder| builder.bytes()).sum()
    }

    /// Returns the rows so far, table by table, and empties the builders.
    ///
    /// # Errors
    /// Input data cannot cause one: an error is a bug in the table declarations.
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
        trace: &Pages<'_>,
        extra: &mut Unmapped,
        issues: &mut Vec<Issue>,
    ) -> usize {
        let Some(first) = trace.first() else { return 0 };
        let calls = self.lists.trace_tool_calls.find_in(first).map(|list| list.path);
        let list = trace.list(&self.lists.spans);
        if let Some(usage) = &mut self.usage {
            let taken = [list.as_ref().map(|list| &list.path), calls.as_ref()];
            usage.note_lists(ListDocument::Trace, first, &taken);
        }
        let Some(list) = list else {
            issues.push(no_list(&SPANS, first.node()));
            return 0;
        };
        trace.note_rest(extra, "trace", &[Some(&list.path), calls.as_ref()]);
        let parents = [("run_id", run.run_id.as_str())];
        append_list(&mut self.spans, &list.elements, &parents, run, &self.context, issues);
        list.elements.len()
    }

    /// Adds the calls of their own document; if that is absent, those that the trace repeats.
    fn append_tool_calls(
        &mut self,
        run: &FetchedRun,
        trace: &Pages<'_>,
        extra: &mut Unmapped,
        issues: &mut Vec<Issue>,
    ) -> usize {
        let calls = Pages::of(run, Resource::ToolCalls);
        let list = match calls.first() {
            Some(first) => {
                let list = calls.list(&self.lists.tool_calls);
                if list.is_none() {
                    issues.push(no_list(&TOOL_CALLS, first.node()));
                }
                let taken = [list.as_ref().map(|list| &list.path)];
                calls.note_rest(extra, "tool_calls", &taken);
                if let Some(usage) = &mut self.usage {
                    usage.note_lists(ListDocument::ToolCalls, first, &taken);
                }
                list
            }
            None => trace.list(&self.lists.trace_tool_calls),
        };
        let Some(list) = list else { return 0 };
        let parents = [("run_id", run.run_id.as_str())];
        append_list(&mut self.tool_calls, &list.elements, &parents, run, &self.context, issues);
        list.elements.len()
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
            fixed.extend(system(&self.context, run.revision));
            let mut sources = Sources::default();
            append_row(&mut self.documents, &mut sources, &fixed, None, &mut Vec::new());
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
    Sources { records, extra: Unmapped::default() }
}
