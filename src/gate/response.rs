//! Finds the runs in the response to a dispatch. The response is not documented; Armature's own
//! clients read `{"runs": [{"runId", "modelId", "harness"}]}` from a related endpoint.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::json::{JsonKind, Node};

/// A run that a dispatch started, as far as the response names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DispatchedRun {
    /// The run's id.
    pub run_id: String,
    /// The tester agent's model.
    pub model: Option<String>,
    /// The harness of the tester agent.
    pub harness: Option<String>,
}

/// Members whose elements are runs, or ids of runs.
const LISTS: &[&str] = &["runs", "run_ids", "runIds", "workflow_runs", "workflowRuns"];
/// Members that may hold a list of runs, one run, or an object around them.
const WRAPPERS: &[&str] = &["data", "rows", "items", "results", "result", "response"];
/// Members that hold one run.
const SINGLE: &[&str] = &["run", "workflow_run", "workflowRun"];
/// Members that hold the id of a run, whatever object they are in.
const RUN_IDS: &[&str] = &["run_id", "runId", "workflow_run_id", "workflowRunId"];
const MODELS: &[&str] = &["model_id", "modelId", "tester_model_id", "testerModelId", "model"];
const HARNESSES: &[&str] = &["harness", "harness_id", "harnessId"];
/// Maximum nesting of the wrappers that are searched.
const DEEPEST: usize = 4;

/// The runs that a response names, each once; none if its form is not known. `workflow_id` is never
/// taken for the id of a run.
pub fn dispatched_runs(
    body: &[u8],
    location: Option<&str>,
    workflow_id: &str,
) -> Vec<DispatchedRun> {
    let mut found = Vec::new();
    if let Ok(node) = Node::parse(body) {
        collect(node, DEEPEST, &mut found);
    }
    if found.is_empty() {
        let run_id = location.and_then(run_of_address);
        found.extend(run_id.map(|run_id| DispatchedRun { run_id, model: None, harness: None }));
    }
    let mut runs: Vec<DispatchedRun> = Vec::new();
    for run in found {
        let is_new = runs.iter().all(|known| known.run_id != run.run_id);
        // No URL can name a run with one of these two ids.
        let is_usable = !matches!(run.run_id.as_str(), "" | "." | "..");
        if is_new && is_usable && run.run_id != workflow_id {
            runs.push(run);
        }
    }
    runs
}

fn collect(node: Node<'_>, depth: usize, found: &mut Vec<DispatchedRun>) {
    let Some(deeper) = depth.checked_sub(1) else { return };
    if let Some(elements) = node.elements() {
        for element in elements {
            collect_run(element, deeper, found);
        }
        return;
    }
    // Lists first: an object with a list of runs may have an id of its own.
    if let Some(list) = LISTS.iter().find_map(|name| node.get(name)?.elements()) {
        for element in list {
            collect_run(element, deeper, found);
        }
        return;
    }
    if let Some(run) = SINGLE.iter().find_map(|name| node.get(name)) {
        return collect_run(run, deeper, found);
    }
    if let Some(run_id) = first_text(node, RUN_IDS) {
        return found.push(run_of(node, run_id));
    }
    for inner in WRAPPERS.iter().filter_map(|name| node.get(name)) {
        if matches!(inner.kind(), JsonKind::Object | JsonKind::Array) {
            return collect(inner, deeper, found);
        }
    }
    if let Some(run_id) = first_text(node, &["id"]) {
        found.push(run_of(node, run_id));
    }
}

/// A run: an object, or its id alone.
fn collect_run(node: Node<'_>, depth: usize, found: &mut Vec<DispatchedRun>) {
    match node.kind() {
        JsonKind::Text | JsonKind::Number => {
            let run_id = node.scalar_text().map(Cow::into_owned).unwrap_or_default();
            found.push(DispatchedRun { run_id, model: None, harness: None });
        }
        JsonKind::Object => collect(node, depth, found),
        _ => {}
    }
}

fn run_of(node: Node<'_>, run_id: String) -> DispatchedRun {
    let model = first_text(node, MODELS).or_else(|| first_text(node.get("model")?, &["id"]));
    DispatchedRun { run_id, model, harness: first_text(node, HARNESSES) }
}

fn first_text(node: Node<'_>, names: &[&str]) -> Option<String> {
    let found = names.iter().find_map(|name| node.get(name)?.scalar_text());
    found.map(Cow::into_owned).filter(|text| !text.is_empty())
}

/// The id in an address such as `https://host/api/armature/v1/runs/{id}`.
fn run_of_address(address: &str) -> Option<String> {
    let path = address.split(['?', '#']).next()?.trim_end_matches('/');
    let (before, id) = path.rsplit_once('/')?;
    let is_run = before == "runs" || before.ends_with("/runs");
    let id = percent_decode_str(id).decode_utf8().ok()?;
    is_run.then(|| id.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(body: &str) -> Vec<String> {
        dispatched_runs(body.as_bytes(), None, "wf").into_iter().map(|run| run.run_id).collect()
    }

    #[test]
    fn every_known_form_names_its_runs() {
        for (body, expected) in [
            (r#"{"runs":[{"runId":"a","modelId":"m","wave":1},{"runId":"b"}]}"#, &["a", "b"][..]),
            (r#"{"id":"a","status":"pending"}"#, &["a"]),
            (r#"{"run":{"id":"a"}}"#, &["a"]),
            (r#"{"run":"a"}"#, &["a"]),
            (r#"{"run_id":"a","id":"dispatch"}"#, &["a"]),
            (r#"{"runId":7}"#, &["7"]),
            (r#"[{"id":"a"},{"run_id":"b"}]"#, &["a", "b"]),
            (r#"["a","b"]"#, &["a", "b"]),
            (r#"{"data":{"id":"a"}}"#, &["a"]),
            (r#"{"data":[{"id":"a"},{"id":"b"}]}"#, &["a", "b"]),
            (r#"{"data":{"runs":[{"id":"a"}]},"id":"dispatch"}"#, &["a"]),
            (r#"{"rows":[{"id":"a"}],"total":1}"#, &["a"]),
            (r#"{"id":"dispatch","runs":[{"id":"a"}]}"#, &["a"]),
            (r#"{"runIds":["a","a","b"]}"#, &["a", "b"]),
            (r#"{"workflowRun":{"workflowRunId":"a"}}"#, &["a"]),
        ] {
            assert_eq!(ids(body), expected, "{body}");
        }
    }

    #[test]
    fn what_names_no_run_is_not_taken_for_one() {
        for body in [
            "",
            "null",
            "true",
            "<html>",
            r#"{"queued":true}"#,
            r#"{"runs":[]}"#,
            r#"{"runs":[null,{"status":"pending"}],"id":"dispatch"}"#,
            r#"{"id":"wf","name":"the workflow itself"}"#,
            r#"{"id":""}"#,
            r#"{"runIds":[".",".."]}"#,
            r#"{"run":{"data":{"data":{"data":{"data":{"id":"deep"}}}}}}"#,
        ] {
            assert_eq!(ids(body), [""; 0], "{body}");
        }
    }

    #[test]
    fn model_and_harness_are_read() {
        let body = br#"{"runs":[{"runId":"a","modelId":"m","harness":"codex"},
                                {"id":"b","model":{"id":"n"}}]}"#;
        let run = |run_id: &str, model: &str, harness: Option<&str>| DispatchedRun {
            run_id: run_id.to_owned(),
            model: Some(model.to_owned()),
            harness: harness.map(str::to_owned),
        };
        assert_eq!(
            dispatched_runs(body, None, "wf"),
            [run("a", "m", Some("codex")), run("b", "n", None)]
        );
    }

    #[test]
    fn an_address_counts_if_the_body_names_nothing() {
        let of = |body: &str, address: &str| {
            let runs = dispatched_runs(body.as_bytes(), Some(address), "wf");
            runs.into_iter().map(|run| run.run_id).collect::<Vec<_>>()
        };
        assert_eq!(of("", "/api/armature/v1/runs/a%2Fb?x=1"), ["a/b"]);
        assert_eq!(of("{}", "https://example.com/runs/a/"), ["a"]);
        assert_eq!(of(r#"{"id":"b"}"#, "/runs/a"), ["b"]);
        assert_eq!(of("", "/api/armature/v1/dispatches/a"), [""; 0]);
        assert_eq!(of("", "/runs"), [""; 0]);
    }
}
