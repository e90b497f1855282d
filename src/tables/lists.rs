//! Which list of which document fills which table.
//!
//! Bodies of runs are not documented, so each document has candidates of its own: the names that
//! hold its list and no other, and whether generic names (`rows`, `data`, …) count. No document
//! knows the names of another: tool calls never become spans, nor workflows runs.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    CRITERIA, EXCERPTS, MCP_SERVERS, MappingError, RUNS, SPANS, TOOL_CALLS, Table, WORKFLOWS,
};
use crate::json::{Body, List, ListNames, Node, is_path};

/// A body, or a part of one, that holds lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ListDocument {
    /// A page of `GET /runs`.
    Listing,
    /// `GET /runs/{id}/trace`
    Trace,
    /// `GET /runs/{id}/tool-calls`
    ToolCalls,
    /// `GET /runs/{id}/evaluation`
    Evaluation,
    /// An element of the list of criteria.
    Criterion,
    /// `GET /workflows`
    Workflows,
    /// `GET /mcp-servers`
    McpServers,
}

impl ListDocument {
    /// The name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Listing => "listing",
            Self::Trace => "trace",
            Self::ToolCalls => "tool_calls",
            Self::Evaluation => "evaluation",
            Self::Criterion => "criterion",
            Self::Workflows => "workflows",
            Self::McpServers => "mcp_servers",
        }
    }
}

/// A path at which a list stands, from `[[lists]]`. The paths for one document and table are tried
/// in order, in place of the built-in names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListOverride {
    /// The document.
    pub document: ListDocument,
    /// The table that the elements are rows of.
    pub table: String,
    /// A path of member names, such as `data.steps`; `""` or `.` where the body itself is the
    /// list; `[]` after a name goes through the elements of a list, as in `groups[].spans`.
    pub path: String,
}

/// Where the list of a document stands. Cloning it is cheap.
#[derive(Clone, Debug)]
pub struct ListSources(Arc<Sources>);

#[derive(Debug)]
struct Sources {
    document: ListDocument,
    table: &'static Table,
    names: ListNames,
    /// The paths that the user named; they replace `names`.
    paths: Vec<String>,
}

impl ListSources {
    /// The list of a body.
    pub fn find<'a>(&self, body: Node<'a>) -> Option<List<'a>> {
        self.find_in(&Body::new(body))
    }

    /// The list of a body whose members are read already.
    pub fn find_in<'a>(&self, body: &Body<'a>) -> Option<List<'a>> {
        if self.0.paths.is_empty() {
            return self.0.names.find(body);
        }
        let paths = || self.0.paths.iter();
        let keyed = || match self.0.names.keyed {
            [] => None,
            _ => paths().find_map(|path| List::keyed_at(body, path)),
        };
        paths().find_map(|path| List::at(body, path)).or_else(keyed)
    }

    /// The table that its elements are rows of.
    pub fn table(&self) -> &'static Table {
        self.0.table
    }

    /// The paths that the user named; none where the built-in names are used.
    pub fn user_paths(&self) -> &[String] {
        &self.0.paths
    }
}

const NAMES: ListNames = ListNames {
    specific: &[],
    generic: true,
    wrappers: &[],
    nested: &[],
    keyed: &[],
    marks: &[],
    single: false,
};

/// Names of excerpts, in a criterion and beside the criteria.
const EXCERPT_NAMES: &[&str] =
    &["excerpts", "supporting_excerpts", "supportingExcerpts", "evidence", "quotes", "citations"];

/// Criteria are also seen as an object of one grade per criterion.
const KEYED_CRITERIA: &[&str] =
    &["criteria", "criterion_results", "criterionResults", "scores", "grades"];

/// Every list that fills a table.
///
/// Sources: `rows` is documented for `/mcp-servers` and said of tool calls; `{session, events}` is
/// the trace of the sibling endpoint `/insights/sessions/{id}/trace`; the others are names of
/// similar APIs (Langfuse `observations`, OpenTelemetry `resourceSpans`, Verial `criterion-runs`).
const DECLARED: &[(ListDocument, &Table, ListNames)] = &[
    (
        ListDocument::Listing,
        &RUNS,
        ListNames { specific: &["runs", "workflow_runs", "workflowRuns"], ..NAMES },
    ),
    (
        ListDocument::Trace,
        &SPANS,
        ListNames {
            specific: &[
                "spans",
                "trace_spans",
                "traceSpans",
                "observations",
                "events",
                "trace_events",
                "traceEvents",
                "steps",
                "messages",
                "trace",
            ],
            wrappers: &["trace", "run"],
            nested: &[
                "resourceSpans[].scopeSpans[].spans",
                "resource_spans[].scope_spans[].spans",
                "resourceSpans[].instrumentationLibrarySpans[].spans",
                "trace.resourceSpans[].scopeSpans[].spans",
                "data.resourceSpans[].scopeSpans[].spans",
            ],
            ..NAMES
        },
    ),
    // The trace is documented to hold tool calls too; they count where their own document is
    // absent.
    (
        ListDocument::Trace,
        &TOOL_CALLS,
        ListNames {
            specific: &["tool_calls", "toolCalls"],
            generic: false,
            wrappers: &["trace", "run"],
            ..NAMES
        },
    ),
    (
        ListDocument::ToolCalls,
        &TOOL_CALLS,
        ListNames {
            specific: &["tool_calls", "toolCalls", "calls", "events"],
            wrappers: &["run"],
            ..NAMES
        },
    ),
    (
        ListDocument::Evaluation,
        &CRITERIA,
        ListNames {
            specific: &[
                "criteria",
                "criterion_results",
                "criterionResults",
                "criteria_results",
                "criteriaResults",
                "criterion_runs",
                "criterionRuns",
                "scores",
                "grades",
                "evaluation",
            ],
            wrappers: &["evaluation", "run", "evaluator_output", "evaluatorOutput"],
            keyed: KEYED_CRITERIA,
            marks: &["verdict", "passed", "score", "grade", "rationale"],
            ..NAMES
        },
    ),
    // The documentation names excerpts as a sibling of the criteria.
    (
        ListDocument::Evaluation,
        &EXCERPTS,
        ListNames {
            specific: EXCERPT_NAMES,
            generic: false,
            wrappers: &["evaluation", "run", "evaluator_output", "evaluatorOutput"],
            ..NAMES
        },
    ),
    (
        ListDocument::Criterion,
        &EXCERPTS,
        ListNames { specific: EXCERPT_NAMES, generic: false, single: true, ..NAMES },
    ),
    (ListDocument::Workflows, &WORKFLOWS, ListNames { specific: &["workflows"], ..NAMES }),
    (
        ListDocument::McpServers,
        &MCP_SERVERS,
        ListNames { specific: &["mcp_servers", "mcpServers", "servers"], ..NAMES },
    ),
];

/// The lists of all documents as a sync reads them.
#[derive(Clone, Debug)]
pub(super) struct Lists {
    declared: Vec<ListSources>,
}

impl Lists {
    /// The declarations with the user's paths.
    pub(super) fn new(overrides: &[ListOverride]) -> Result<Self, MappingError> {
        overrides.iter().try_for_each(check)?;
        let sources = |&(document, table, names): &(ListDocument, &'static Table, ListNames)| {
            let of =
                |change: &&ListOverride| change.document == document && change.table == table.name;
            let paths = overrides.iter().filter(of).map(|change| change.path.trim().to_owned());
            ListSources(Arc::new(Sources { document, table, names, paths: paths.collect() }))
        };
        Ok(Self { declared: DECLARED.iter().map(sources).collect() })
    }

    pub(super) fn find(&self, document: ListDocument, table: &Table) -> Option<&ListSources> {
        let is_it =
            |list: &&ListSources| list.0.document == document && list.0.table.name == table.name;
        self.declared.iter().find(is_it)
    }
}

fn check(change: &ListOverride) -> Result<(), MappingError> {
    let of_document = || DECLARED.iter().filter(|(document, ..)| *document == change.document);
    if !of_document().any(|(_, table, _)| table.name == change.table) {
        let known: Vec<&str> = of_document().map(|(_, table, _)| table.name).collect();
        return Err(MappingError::UnknownList {
            document: change.document.name(),
            table: change.table.clone(),
            known: known.join(", "),
        });
    }
    let path = change.path.trim();
    if matches!(path, "" | ".") || is_path(path) {
        return Ok(());
    }
    let (document, table) = (change.document.name(), change.table.clone());
    Err(MappingError::BadListPath { document, table, path: change.path.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::Mapping;

    /// The sources of the elements, and where they stood.
    fn found(document: ListDocument, table: &'static Table, json: &str) -> Option<String> {
        let mapping = Mapping::new(&[], &[]).unwrap();
        shown(mapping.list_sources(document, table), json)
    }

    fn shown(sources: &ListSources, json: &str) -> Option<String> {
        let list = sources.find(Node::parse(json.as_bytes()).unwrap())?;
        let elements: Vec<&str> = list.elements.iter().map(|node| node.source()).collect();
        let names: Vec<&str> = list.names.iter().map(|node| node.source()).collect();
        let depth = list.enclosing.len();
        Some(format!("{}:{depth} {}{}", list.path, names.join(","), elements.join(",")))
    }

    fn all(document: ListDocument, table: &'static Table, bodies: &[&str]) -> String {
        let line = |body: &&str| {
            let found = found(document, table, body).unwrap_or_else(|| "none".to_owned());
            format!("{body}  =>  {found}")
        };
        bodies.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn runs_are_found_and_nothing_else() {
        insta::assert_snapshot!(all(
            ListDocument::Listing,
            &RUNS,
            &[
                "[1,2]",
                r#"{"rows":[1],"total":1}"#,
                r#"{"rows":[1],"runs":[2,3]}"#,
                r#"{"data":{"items":[1]}}"#,
                r#"{"data":{"runs":[1]},"items":[2]}"#,
                r#"{"workflows":[8],"runs":{"rows":[1]}}"#,
                r#"{"workflows":[8],"sessions":[9]}"#,
                r#"{"result":{"data":{"list":[1]}}}"#,
                r#"{"rows":{}}"#,
                r#""rows""#,
            ]
        ));
    }

    #[test]
    fn spans_are_no_tool_calls() {
        insta::assert_snapshot!(all(
            ListDocument::Trace,
            &SPANS,
            &[
                r#"{"tool_calls":[8],"steps":[1]}"#,
                r#"{"tool_calls":[8]}"#,
                r#"{"trace":{"spans":[1],"tool_calls":[8]}}"#,
                r#"{"trace":[1]}"#,
                r#"{"session":{},"events":[1]}"#,
                r#"{"data":{"observations":[1]}}"#,
                r#"{"resourceSpans":[{"scopeSpans":[{"spans":[1]},{"spans":[2]}]},{"scopeSpans":[]}]}"#,
            ]
        ));
        insta::assert_snapshot!(all(
            ListDocument::Trace,
            &TOOL_CALLS,
            &[
                r#"{"tool_calls":[1],"steps":[8]}"#,
                r#"{"trace":{"toolCalls":[1],"rows":[8]}}"#,
                r#"{"rows":[8]}"#,
                "[8]",
            ]
        ));
    }

    #[test]
    fn criteria_are_found_in_every_form() {
        insta::assert_snapshot!(all(
            ListDocument::Evaluation,
            &CRITERIA,
            &[
                "[1]",
                r#"{"verdict":"pass","criteria":[1]}"#,
                r#"{"evaluation":{"verdict":"pass","criteria":[1]}}"#,
                r#"{"evaluation":[1]}"#,
                r#"{"run":{"evaluation":{"criteria":[1]}}}"#,
                r#"{"data":[1]}"#,
                r#"{"scores":[1]}"#,
                r#"{"criteria":{"polite":"pass","right":{"verdict":"fail"}}}"#,
                r#"{"criteria":{"total":3,"passed":2},"rows":[1]}"#,
                r#"{"evaluation":{"verdict":"pass","score":1}}"#,
                r#"{"evaluation":{"polite":{"verdict":"pass"},"right":{"passed":true}}}"#,
                r#"{"polite":{"verdict":"pass"}}"#,
                r#"{"verdict":{"score":1}}"#,
            ]
        ));
        insta::assert_snapshot!(all(
            ListDocument::Criterion,
            &EXCERPTS,
            &[
                r#"{"excerpts":[1,2]}"#,
                r#"{"evidence":"so"}"#,
                r#"{"excerpts":null,"quotes":{"text":"so"}}"#,
                r#"{"rows":[8]}"#,
            ]
        ));
    }

    #[test]
    fn users_name_paths_in_place_of_the_built_in_names() {
        let change = |path: &str| ListOverride {
            document: ListDocument::Trace,
            table: "spans".into(),
            path: path.into(),
        };
        let found = |path: &str, json: &str| {
            let mapping = Mapping::new(&[], &[change(path)]).unwrap();
            shown(mapping.list_sources(ListDocument::Trace, &SPANS), json)
        };
        let body = r#"{"spans":[8],"a":{"b.c":[1],"d":[{"e":[2]},{"e":[3]}]}}"#;
        assert_eq!(found("a.b.c", body).as_deref(), Some("a.b.c:2 1"));
        assert_eq!(found("a.\"b.c\"", body).as_deref(), Some("a.\"b.c\":2 1"));
        assert_eq!(found("a.d[].e", body).as_deref(), Some("a.d[].e:2 2,3"));
        assert_eq!(found("a.x", body), None);
        assert_eq!(found("", "[1]").as_deref(), Some(":0 1"));
        assert_eq!(found(".", body), None);
    }

    #[test]
    fn wrong_lists_are_refused_by_name() {
        let message = |document, table: &str, path: &str| {
            let change = ListOverride { document, table: table.into(), path: path.into() };
            Mapping::new(&[], &[change]).unwrap_err().to_string()
        };
        insta::assert_snapshot!(
            [
                message(ListDocument::Trace, "runs", "a"),
                message(ListDocument::Evaluation, "criteria", "a..b"),
            ]
            .join("\n")
        );
    }
}
