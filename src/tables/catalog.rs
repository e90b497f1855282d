//! All tables.

use super::{
    CRITERIA, DOCUMENTS, EVALUATIONS, EXCERPTS, GAPS, ISSUES, MCP_SERVERS, OPEN_RUNS, RUNS, SPANS,
    SYNCS, TOOL_CALLS, Table, WORKFLOWS,
};

/// Every table, in the order people read them.
pub static ALL: &[&Table] = &[
    &RUNS,
    &SPANS,
    &TOOL_CALLS,
    &EVALUATIONS,
    &CRITERIA,
    &EXCERPTS,
    &OPEN_RUNS,
    &DOCUMENTS,
    &WORKFLOWS,
    &MCP_SERVERS,
    &SYNCS,
    &GAPS,
    &ISSUES,
];

/// The table of that name.
pub fn find(name: &str) -> Option<&'static Table> {
    ALL.iter().copied().find(|table| table.name == name)
}
