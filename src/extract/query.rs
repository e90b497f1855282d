//! Queries of `GET /runs`, and refusals of them.

use super::{RunPaths, Window};
use crate::api::ApiError;
use crate::config::Filters;
use crate::listing::ListQuery;

/// Whether the server refuses the parameters of a request, and not the client as such.
pub fn is_refusal(error: &ApiError) -> bool {
    const DOCUMENTED: [&str; 2] = ["forbidden_role", "feature_disabled"];
    match error {
        ApiError::Rejected { .. } => true,
        // A plan can refuse to list that far back; the documented codes concern the key.
        ApiError::Refused { status: 403, code, .. } => {
            !code.as_ref().is_some_and(|code| DOCUMENTED.contains(&code.as_str()))
        }
        _ => false,
    }
}

/// The query for the list of a window: of one workflow, or of all.
pub fn list_query(
    window: Window,
    filters: &Filters,
    workflow: Option<&String>,
    paths: &RunPaths,
) -> ListQuery {
    let mut parameters = vec![("range", window.range.name().to_owned())];
    parameters.extend(workflow.map(|id| ("workflowId", id.clone())));
    let optional = [
        ("status", &filters.status),
        ("classification", &filters.classification),
        ("search", &filters.search),
    ];
    parameters.extend(optional.into_iter().filter_map(|(name, v)| Some((name, v.clone()?))));
    ListQuery {
        parameters,
        sort: filters.sort.clone(),
        page_size: filters.page_size,
        id_paths: paths.run_id.clone(),
        list: paths.list.clone(),
    }
}
