//! Finds the workflows that a gate names, by id or by exact name.

use std::borrow::Cow;

use super::error::GateError;
use super::text::plain;
use super::verdict::WorkflowName;
use crate::api::{Client, FetchResult};
use crate::extract::{ResourceList, resource_list};
use crate::json::{Node, unwrap};
use crate::run::encode_id;
use crate::tables::{ListDocument, Mapping, Table, WORKFLOWS};

/// A workflow, and on how many models each dispatch runs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Workflow {
    pub(super) name: WorkflowName,
    /// The number of models that its record states; `None` if it states none.
    pub(super) models: Option<usize>,
}

/// How many similar names an error shows.
const MOST_SIMILAR: usize = 5;

/// Similarity (Jaro-Winkler, 0 to 1) from which a name is shown.
const SIMILAR: f64 = 0.7;

/// Lists in a workflow's record with one element per model.
const MODEL_LISTS: &[&str] =
    &["tester_targets", "testerTargets", "tester_model_ids", "testerModelIds"];

/// The text of a column, from the first of its sources that has one.
pub(super) fn column_text(
    node: Node<'_>,
    mapping: &Mapping,
    table: &'static Table,
    name: &str,
) -> Option<String> {
    let column = mapping.table(table).columns.iter().find(|column| column.name == name)?;
    let text = column.sources.iter().find_map(|path| node.at(path)?.scalar_text());
    text.map(Cow::into_owned).filter(|text| !text.is_empty())
}

impl Workflow {
    fn read(node: Node<'_>, mapping: &Mapping) -> Option<Self> {
        let id = column_text(node, mapping, &WORKFLOWS, "workflow_id")?;
        let name = column_text(node, mapping, &WORKFLOWS, "name");
        let lists = MODEL_LISTS.iter().filter_map(|name| node.get(name)?.elements());
        let models = lists.map(|list| list.len()).find(|length| *length > 0);
        Some(Self { name: WorkflowName { id, name }, models })
    }
}

/// The workflows with these ids or exact names, each once.
///
/// The list has only active workflows of production, so an id that is not in it is requested by
/// itself.
///
/// # Errors
/// [`GateError::UnknownWorkflow`] and [`GateError::AmbiguousWorkflow`]; [`GateError::Api`] if the
/// list cannot be fetched.
pub(super) async fn find_workflows(
    client: &Client,
    mapping: &Mapping,
    wanted: &[String],
) -> Result<Vec<Workflow>, GateError> {
    let sources = mapping.list_sources(ListDocument::Workflows, &WORKFLOWS);
    let list = resource_list(client, "/workflows", sources).await?;
    let elements = list.as_ref().map(ResourceList::elements).unwrap_or_default();
    let known = elements.into_iter().filter_map(|element| Workflow::read(element, mapping));
    let known: Vec<Workflow> = known.collect();
    let mut found: Vec<Workflow> = Vec::new();
    for wanted in wanted {
        let workflow = match choose(&known, wanted)? {
            Some(workflow) => workflow,
            None => match request(client, mapping, wanted).await? {
                Some(workflow) => workflow,
                None => return Err(unknown(&known, wanted)),
            },
        };
        if found.iter().all(|other| other.name.id != workflow.name.id) {
            found.push(workflow);
        }
    }
    Ok(found)
}

/// The workflow of that id, or the only one of that name.
fn choose(known: &[Workflow], wanted: &str) -> Result<Option<Workflow>, GateError> {
    if let Some(workflow) = known.iter().find(|workflow| workflow.name.id == wanted) {
        return Ok(Some(workflow.clone()));
    }
    let of_name = known.iter().filter(|workflow| workflow.name.name.as_deref() == Some(wanted));
    let of_name: Vec<&Workflow> = of_name.collect();
    match of_name.as_slice() {
        [] => Ok(None),
        [workflow] => Ok(Some((*workflow).clone())),
        several => Err(GateError::AmbiguousWorkflow {
            name: plain(wanted),
            ids: several.iter().map(|workflow| plain(&workflow.name.id)).collect(),
        }),
    }
}

/// A workflow that is not listed, by its id.
async fn request(
    client: &Client,
    mapping: &Mapping,
    id: &str,
) -> Result<Option<Workflow>, GateError> {
    if matches!(id, "" | "." | "..") {
        return Ok(None);
    }
    let FetchResult::Body(response) =
        client.get(&format!("/workflows/{}", encode_id(id)), &[]).await?
    else {
        return Ok(None);
    };
    let Some(node) = Node::from_validated(&response.body) else { return Ok(None) };
    let inner = unwrap(node, &["workflow", "data", "result"], &["id", "workflow_id", "workflowId"]);
    let workflow = Workflow::read(inner.map_or(node, |(_, inner)| inner), mapping);
    Ok(workflow.filter(|workflow| workflow.name.id == id))
}

fn unknown(known: &[Workflow], wanted: &str) -> GateError {
    let lower = wanted.to_lowercase();
    let rated = known.iter().filter_map(|workflow| {
        let name = workflow.name.name.as_deref()?;
        let similarity = strsim::jaro_winkler(&name.to_lowercase(), &lower);
        (similarity >= SIMILAR).then_some((similarity, name, &workflow.name.id))
    });
    let mut rated: Vec<_> = rated.collect();
    rated.sort_by(|one, other| other.0.total_cmp(&one.0));
    let similar = rated.into_iter().take(MOST_SIMILAR);
    let similar = similar.map(|(_, name, id)| format!("{} ({})", plain(name), plain(id)));
    GateError::UnknownWorkflow { name: plain(wanted), similar: similar.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workflow(id: &str, name: &str) -> Workflow {
        let name = WorkflowName { id: id.to_owned(), name: Some(name.to_owned()) };
        Workflow { name, models: None }
    }

    #[test]
    fn an_id_comes_before_a_name_and_a_name_must_be_exact() {
        let known = [
            workflow("a", "b"),
            workflow("b", "checkout"),
            workflow("c", "twice"),
            workflow("d", "twice"),
        ];
        let id = |wanted: &str| choose(&known, wanted).unwrap().map(|found| found.name.id);
        assert_eq!(id("b").as_deref(), Some("b"));
        assert_eq!(id("checkout").as_deref(), Some("b"));
        assert_eq!(id("Checkout"), None);
        assert_eq!(id("check"), None);
        let error = choose(&known, "twice").unwrap_err();
        let GateError::AmbiguousWorkflow { ids, .. } = error else { panic!("{error}") };
        assert_eq!(ids, ["c", "d"]);
    }

    #[test]
    fn similar_names_are_told() {
        let known = [workflow("a", "refund request"), workflow("b", "checkout flow")];
        let similar = |wanted: &str| match unknown(&known, wanted) {
            GateError::UnknownWorkflow { similar, .. } => similar,
            other => panic!("{other}"),
        };
        assert_eq!(similar("Checkout Flw"), ["checkout flow (b)"]);
        assert_eq!(similar("zzz"), [""; 0]);
    }

    #[test]
    fn the_number_of_models_is_that_of_the_record() {
        let mapping = Mapping::new(&[], &[]).unwrap();
        let models = |json: &str| {
            Workflow::read(Node::parse(json.as_bytes()).unwrap(), &mapping).unwrap().models
        };
        assert_eq!(models(r#"{"id":"w","testerModelIds":["a","b"]}"#), Some(2));
        assert_eq!(models(r#"{"id":"w","tester_targets":[{"modelId":"a"}]}"#), Some(1));
        assert_eq!(models(r#"{"id":"w","testerModelIds":[]}"#), None);
    }
}
