//! The evaluation of a run: its row, its criteria and their excerpts.

use std::borrow::Cow;
use std::collections::HashMap;

use super::cell::Cell;
use super::choose::read_value;
use super::elements::{Keys, append_list, element_sources, no_object};
use super::pages::Pages;
use super::row::{Issue, Sources, append_row};
use super::row_context::{child_columns, set_position, system};
use super::run::Normalizer;
use crate::json::{Body, JsonKind, List, Node, Record, Unmapped};
use crate::run::FetchedRun;
use crate::tables::{EVALUATIONS, ListDocument, MappedTable};

/// Objects that can contain an evaluation.
const WRAPPERS: &[&str] =
    &["evaluation", "data", "result", "run", "evaluator_output", "evaluatorOutput", "output"];

/// Maximum number of them, inside each other, that are searched.
const MOST_WRAPPERS: usize = 4;

/// Members of an evaluation itself: an object that has one is not searched deeper.
const OWN: &[&str] = &["verdict", "judge_model", "judgeModel", "overall_verdict", "overallVerdict"];

impl Normalizer<'_> {
    /// Adds the rows of an evaluation; returns what the run's own row may take from it.
    pub(super) fn append_evaluation<'a>(
        &mut self,
        run: &FetchedRun,
        pages: &Pages<'a>,
        issues: &mut Vec<Issue>,
    ) -> Judged<'a> {
        let Some(body) = pages.first() else { return Judged::default() };
        let list = pages.list(&self.lists.criteria);
        let excerpts = pages.list(&self.lists.excerpts);
        if list.is_none() && body.node().kind() != JsonKind::Object {
            issues.push(no_object(&EVALUATIONS, body.node()));
            return Judged::default();
        }
        if let Some(usage) = &mut self.usage {
            let taken = [list.as_ref(), excerpts.as_ref()].map(|list| list.map(|list| &list.path));
            usage.note_lists(ListDocument::Evaluation, body, &taken);
            if list.as_ref().is_none_or(|list| list.elements.is_empty()) {
                usage.note_evaluation_without_criteria();
            }
        }
        let objects = match &list {
            Some(list) => list.enclosing.clone(),
            None => enclosing_objects(body),
        };
        let lists = [list.as_ref(), excerpts.as_ref()];
        let mut sources = evaluation_sources(&objects, &lists, self.evaluations.mapped);
        pages.note_later(&mut sources.extra, &lists);
        let judged = Judged::of(&sources.records, self.evaluations.mapped);
        let mut counts = HashMap::new();
        if let Some(list) = list {
            self.append_criteria(run, &list, &mut counts, issues);
        }
        if let Some(list) = excerpts {
            self.append_excerpts_beside(run, &list, &mut counts, issues);
        }
        let mut fixed = vec![("run_id", Some(Cell::Text(Cow::Borrowed(run.run_id.as_str()))))];
        fixed.extend(system(&self.context, run.revision));
        append_row(&mut self.evaluations, &mut sources, &fixed, None, issues);
        judged
    }

    fn append_criteria<'a>(
        &mut self,
        run: &FetchedRun,
        list: &List<'a>,
        counts: &mut HashMap<Cow<'a, str>, usize>,
        issues: &mut Vec<Issue>,
    ) {
        let parents = [("run_id", run.run_id.as_str())];
        let mut keys = Keys::new(self.criteria.mapped, &list.elements);
        let mut fixed = child_columns(&parents, 0, run.revision, &self.context);
        for (position, &element) in list.elements.iter().enumerate() {
            let body = Body::new(element);
            let excerpts = self.lists.criterion_excerpts.find_in(&body);
            let record = body.into_record();
            let name = list.names.get(position).copied();
            let key = keys.next(record.as_ref(), name.and_then(Node::text), issues);
            let mut sources = match name {
                Some(_) if element.scalar_text().is_some() => bare_grade(element),
                _ => element_sources(element, record, self.criteria.mapped, &key, issues),
            };
            sources.records.extend(name.map(|name| Record::of("name", name)));
            if let (Some(list), Some(record)) = (excerpts, sources.records.first_mut()) {
                record.take_path(&list.path);
                counts.insert(key.clone(), list.elements.len());
                let parents = [("run_id", run.run_id.as_str()), ("criterion_id", key.as_ref())];
                let (builder, context) = (&mut self.excerpts, &self.context);
                append_list(builder, &list.elements, &parents, run, context, issues);
            }
            set_position(&mut fixed, position);
            append_row(&mut self.criteria, &mut sources, &fixed, Some(&key), issues);
        }
    }

    /// Adds excerpts that are beside the criteria and name their criterion; one that names none
    /// belongs to the evaluation as a whole, and its `criterion_id` is empty.
    fn append_excerpts_beside<'a>(
        &mut self,
        run: &FetchedRun,
        list: &List<'a>,
        counts: &mut HashMap<Cow<'a, str>, usize>,
        issues: &mut Vec<Issue>,
    ) {
        let mapped = self.excerpts.mapped;
        let paths = mapped.columns.iter().find(|column| column.name == "criterion_id");
        let paths = paths.map_or(&[][..], |column| &column.sources);
        for &element in &list.elements {
            let record = Record::new(element);
            let named = record
                .as_ref()
                .and_then(|record| paths.iter().find_map(|path| record.at(path)?.scalar_text()));
            let criterion = named.unwrap_or_default();
            let position = counts.entry(criterion.clone()).or_default();
            let parents = [("run_id", run.run_id.as_str()), ("criterion_id", criterion.as_ref())];
            let mut sources = element_sources(element, record, mapped, &criterion, issues);
            let fixed = child_columns(&parents, *position, run.revision, &self.context);
            *position += 1;
            append_row(&mut self.excerpts, &mut sources, &fixed, None, issues);
        }
    }
}

/// A grade that is directly under its criterion's name, without an object of its own.
fn bare_grade(element: Node<'_>) -> Sources<'_> {
    let column = if element.kind() == JsonKind::Number { "score" } else { "verdict" };
    Sources { records: vec![Record::of(column, element)], extra: Unmapped::default() }
}

/// The objects around an evaluation, the outermost first, if no list shows them.
fn enclosing_objects<'a>(body: &Body<'a>) -> Vec<Body<'a>> {
    let mut objects = vec![body.clone()];
    while objects.len() <= MOST_WRAPPERS
        && let Some((_, inner)) = objects.last().and_then(|outer| outer.unwrap(WRAPPERS, OWN))
    {
        objects.push(inner);
    }
    objects
}

fn is_same(body: &Body<'_>, node: Node<'_>) -> bool {
    std::ptr::eq(body.node().source(), node.source())
}

/// The name of the member of `outer` that `inner` is.
fn name_in<'o>(outer: &'o Body<'_>, inner: &Body<'_>) -> Option<&'o str> {
    let found = outer.members().iter().find(|(_, node)| is_same(inner, *node));
    found.map(|(name, _)| name.as_ref())
}

/// The sources of the evaluation's row, from the `objects` around its lists.
///
/// A run around an evaluation states nothing about it, because its `status` and `model` are the
/// run's: it, and what is around it, is only kept.
fn evaluation_sources<'a>(
    objects: &[Body<'a>],
    lists: &[Option<&List<'a>>],
    mapped: &MappedTable,
) -> Sources<'a> {
    let mut records = Vec::with_capacity(objects.len());
    let (mut own, mut outer) = (0, None);
    for (depth, body) in objects.iter().enumerate() {
        let Some(mut record) = body.clone().into_record() else { continue };
        for list in lists.iter().flatten() {
            if list.enclosing.last().is_some_and(|innermost| is_same(innermost, body.node())) {
                record.take_path(&list.member);
            }
        }
        let name = objects.get(depth + 1).and_then(|inner| name_in(body, inner));
        if name == Some("run") {
            (own, outer) = (records.len() + 1, objects.first());
        }
        if let Some(name) = name {
            record.take_named(name);
        }
        records.push(record);
    }
    let mut records: Vec<Record<'a>> = records.into_iter().skip(own).collect();
    // The object with the evaluation's own members comes first, then the objects around its lists.
    let is_known =
        |record: &Record<'a>| record.members().any(|(_, name, _)| mapped.routes.contains_key(name));
    if let Some(main) = records.iter().rposition(is_known) {
        let main = records.remove(main);
        records.push(main);
    }
    records.reverse();
    let extra = outer.map(|outer| rest_around_run(outer, objects)).unwrap_or_default();
    Sources { records, extra }
}

/// The members around an evaluation in a run, without the evaluation.
fn rest_around_run(outer: &Body<'_>, objects: &[Body<'_>]) -> Unmapped {
    let names = objects.windows(2).filter_map(|pair| match pair {
        [outer, inner] => name_in(outer, inner),
        _ => None,
    });
    let mut rest = Unmapped::default();
    if let Some(mut record) = outer.clone().into_record() {
        record.take_path(&names.collect::<Vec<_>>().join("."));
        record.write_unmapped(&mut rest, &|_| true);
    }
    rest
}

/// Values of the evaluation for which the run's row has a column, too.
#[derive(Default)]
pub(super) struct Judged<'a> {
    verdict: Option<Node<'a>>,
    classification: Option<Node<'a>>,
}

impl<'a> Judged<'a> {
    /// The values at the sources of the evaluation's own columns.
    fn of(records: &[Record<'a>], mapped: &MappedTable) -> Self {
        let find = |name: &str| {
            let column = mapped.columns.iter().find(|column| column.name == name)?;
            let is_text = |source: &str, node: Node<'a>| {
                let cell = read_value(column, source, node).and_then(|reading| reading.cell);
                matches!(cell, Some(Cell::Text(_)))
            };
            column.sources.iter().find_map(|source| {
                let mut found = records.iter().filter_map(|record| record.at(source));
                found.find(|node| is_text(source, *node))
            })
        };
        Self { verdict: find("verdict"), classification: find("classification") }
    }

    /// Adds them as the last records: they count only if the run's own bodies state nothing.
    pub(super) fn complete(self, sources: &mut Sources<'a>) {
        for (column, node) in [("verdict", self.verdict), ("classification", self.classification)] {
            sources.records.extend(node.map(|node| Record::of(column, node)));
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow::util::display::array_value_to_string;
    use bytes::Bytes;

    use super::super::row_context::ExportContext;
    use super::*;
    use crate::run::{Document, DocumentState, Resource};
    use crate::tables::Mapping;

    /// The rows of some columns of a table, for a run whose evaluation is this body.
    fn rows(json: &str, table: &str, columns: &[&str]) -> String {
        let mapping = Mapping::new(&[], &[]).unwrap();
        let export = ExportContext {
            extracted_at: crate::time::Timestamp::EPOCH,
            organization_id: None,
            dashboard_url: String::new(),
            keep_documents: false,
        };
        let document = |resource, body: &str| Document {
            resource,
            page: 1,
            body: Bytes::copy_from_slice(body.as_bytes()),
            http_date: None,
        };
        let run = FetchedRun {
            run_id: "r".to_owned(),
            started_at: None,
            ended_at: None,
            status: None,
            revision: 1,
            evaluation: DocumentState::Ok,
            documents: vec![
                document(Resource::Detail, r#"{"id":"r"}"#),
                document(Resource::Evaluation, json),
            ],
            shortfalls: Vec::new(),
        };
        let mut normalizer = Normalizer::new(&mapping, export, 1);
        normalizer.append(&run);
        let batches = normalizer.finish().unwrap();
        let Some(batch) = batches.iter().find(|batch| batch.table.name == table) else {
            return "no rows".to_owned();
        };
        let schema = batch.rows.schema();
        let indexes: Vec<usize> =
            columns.iter().map(|name| schema.index_of(name).unwrap()).collect();
        let cell =
            |index: &usize, row| array_value_to_string(batch.rows.column(*index), row).unwrap();
        let line = |row| indexes.iter().map(|index| cell(index, row)).collect::<Vec<_>>().join("|");
        (0..batch.rows.num_rows()).map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn criteria_are_the_same_in_every_form() {
        let columns = ["criterion_id", "verdict", "verdict_meaning"];
        let expected = rows(
            r#"{"criteria":[{"id":"a","verdict":"pass"},{"id":"b","verdict":"fail"}]}"#,
            "criteria",
            &columns,
        );
        assert!(expected.contains("passed") && expected.contains("failed"), "{expected}");
        for json in [
            r#"[{"criterion_id":"a","verdict":"pass"},{"id":"b","verdict":"fail"}]"#,
            r#"{"evaluation":[{"id":"a","passed":true},{"id":"b","passed":false}]}"#,
            r#"{"data":{"items":[{"id":"a","grade":"pass"},{"id":"b","grade":"fail"}]}}"#,
            r#"{"scores":[{"id":"a","verdict":{"name":"pass"}},{"id":"b","status":"fail"}]}"#,
            r#"{"criteria":{"a":"pass","b":{"verdict":"fail"}}}"#,
            r#"{"evaluation":{"a":{"verdict":"pass"},"b":{"passed":false}}}"#,
            r#"{"run":{"id":"r","evaluation":{"criteria":[{"criterion":{"id":"a"},"verdict":"pass"},
                {"id":2,"criterion_id":"b","verdict":"fail"}]}}}"#,
        ] {
            assert_eq!(rows(json, "criteria", &columns), expected, "{json}");
        }
    }

    /// The run's row states the same about its evaluation as the evaluation's own row.
    #[test]
    fn a_run_has_the_verdict_of_its_evaluation() {
        for json in [
            r#"{"verdict":"fail","classification":"flaky"}"#,
            r#"{"overall":{"verdict":"fail"},"category":"flaky"}"#,
            r#"{"passed":false,"classification":{"name":"flaky"}}"#,
            r#"{"evaluation":{"status":"fail","category":"flaky"}}"#,
        ] {
            for table in ["evaluations", "runs"] {
                let told = rows(json, table, &["verdict", "verdict_meaning", "classification"]);
                assert_eq!(told, "fail|failed|flaky", "{table} {json}");
            }
        }
        assert_eq!(rows(r#"{"status":"done"}"#, "runs", &["verdict"]), "");
    }

    #[test]
    fn the_state_of_a_process_is_no_verdict() {
        let columns = ["verdict", "status", "error_message", "judge_model"];
        let failed = r#"{"status":"error","error":"no judge","judge":{"model":"j"}}"#;
        insta::assert_snapshot!(rows(failed, "evaluations", &columns), @"|error|no judge|j");
        let passed = r#"{"run":{"status":"running","model":"tester","evaluation":{"status":"pass",
            "judgeModel":{"id":"j"}}}}"#;
        insta::assert_snapshot!(rows(passed, "evaluations", &columns), @"pass|pass||j");
    }

    #[test]
    fn excerpts_beside_the_criteria_go_to_theirs() {
        let json = r#"{"criteria":[{"id":"a","excerpts":["one"]},{"id":"b"}],"excerpts":[
            {"criterion_id":"b","text":"two"},{"criterion_id":"a","text":"three"},"four"]}"#;
        let columns = ["criterion_id", "position", "excerpt"];
        insta::assert_snapshot!(rows(json, "excerpts", &columns), @"
        a|0|one
        b|0|two
        a|1|three
        |0|four
        ");
    }
}
