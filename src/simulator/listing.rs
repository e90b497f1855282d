//! `GET /runs`: range, filters, order and pages.

use std::collections::HashMap;

use serde_json::Value;

use super::documents::listing;
use super::overlay::{Overlay, RunOverride};
use super::plan::RunPlan;
use super::shape::{Page, Shape};
use super::world::World;

const HOUR: i64 = 3_600_000;

/// The query of a list of runs (parameter names and ranges are documented).
#[derive(Debug)]
pub(super) struct RunQuery {
    /// Milliseconds.
    range: i64,
    workflow: Option<String>,
    status: Option<String>,
    classification: Option<String>,
    search: Option<String>,
    is_oldest_first: bool,
    page: Page,
}

/// A parameter that does not hold what it should.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadParameter {
    pub(super) name: &'static str,
    pub(super) message: String,
}

impl RunQuery {
    pub(super) fn parse(
        parameters: &HashMap<String, String>,
        shape: &Shape,
    ) -> Result<Self, BadParameter> {
        let text = |name: &str| parameters.get(name).filter(|value| !value.is_empty()).cloned();
        let page = number(parameters, "page")?;
        let size = number(parameters, "pageSize")?;
        Ok(Self {
            range: range(parameters)?,
            workflow: text("workflowId"),
            status: text("status"),
            classification: text("classification"),
            search: text("search").map(|value| value.to_lowercase()),
            // Sort keys are not documented: others than this pair are ignored.
            is_oldest_first: text("sort").is_some_and(|key| key == "started_at"),
            page: shape.page(page, size),
        })
    }

    fn has_filters(&self) -> bool {
        let filters = [&self.workflow, &self.status, &self.classification, &self.search];
        filters.iter().any(|filter| filter.is_some())
    }

    fn takes(&self, plan: &RunPlan, now: i64) -> bool {
        let is = |filter: &Option<String>, value: &str| filter.as_ref().is_none_or(|f| f == value);
        is(&self.status, plan.status(now))
            && is(&self.classification, plan.classification_at(now).unwrap_or_default())
            && self.workflow.as_ref().is_none_or(|id| *id == plan.workflow_id.to_string())
            && self.search.as_ref().is_none_or(|words| {
                plan.workflow.name.contains(words)
                    || plan.model.id.contains(words)
                    || plan.id.to_string().contains(words)
            })
    }

    fn takes_override(&self, run: &RunOverride) -> bool {
        let is = |filter: &Option<String>, keys: [&str; 2]| {
            filter.as_ref().is_none_or(|wanted| {
                keys.iter().any(|key| run.listing.get(key).and_then(Value::as_str) == Some(wanted))
            })
        };
        is(&self.status, ["status", "status"])
            && is(&self.classification, ["classification", "classification"])
            && is(&self.workflow, ["workflow_id", "workflowId"])
            && self
                .search
                .as_ref()
                .is_none_or(|words| run.listing.to_string().to_lowercase().contains(words))
    }
}

fn range(parameters: &HashMap<String, String>) -> Result<i64, BadParameter> {
    match parameters.get("range").map(String::as_str) {
        None | Some("24h") => Ok(24 * HOUR),
        Some("7d") => Ok(7 * 24 * HOUR),
        Some("30d") => Ok(30 * 24 * HOUR),
        Some(other) => Err(BadParameter {
            name: "range",
            message: format!("range must be one of 24h, 7d, 30d, not {other:?}"),
        }),
    }
}

fn number(
    parameters: &HashMap<String, String>,
    name: &'static str,
) -> Result<Option<u32>, BadParameter> {
    let parse = |text: &String| {
        let message = || format!("{name} must be a whole number, not {text:?}");
        text.parse().map_err(|_| BadParameter { name, message: message() })
    };
    parameters.get(name).map(parse).transpose()
}

/// A run in the list, not yet written out.
enum Entry<'a> {
    Run(u64),
    Override(&'a RunOverride),
}

/// One page of the list as a body.
pub(super) fn page_of_runs(
    world: &World,
    overlay: &Overlay,
    shape: &Shape,
    query: &RunQuery,
    now: i64,
) -> Value {
    let from = world.started_at(now.saturating_sub(query.range).saturating_sub(1));
    let to = world.started_at(now);
    let (total, entries) = if query.has_filters() || !overlay.is_empty() {
        let all = scan(world, overlay, query, (from, to), now);
        (u64::try_from(all.len()).unwrap_or(u64::MAX), cut(all.into_iter(), shape, query))
    } else if query.is_oldest_first {
        (to - from, cut((from..to).map(Entry::Run), shape, query))
    } else {
        (to - from, cut((from..to).rev().map(Entry::Run), shape, query))
    };
    let records = entries.iter().map(|entry| match entry {
        Entry::Run(number) => shape.record(listing(&world.plan(*number), now)),
        Entry::Override(run) => run.listing.clone(),
    });
    shape.page_of_runs(records.collect(), query.page, total)
}

fn cut<'a>(
    all: impl Iterator<Item = Entry<'a>>,
    shape: &Shape,
    query: &RunQuery,
) -> Vec<Entry<'a>> {
    let offset = usize::try_from(shape.offset(query.page)).unwrap_or(usize::MAX);
    let size = usize::try_from(query.page.size).unwrap_or(usize::MAX);
    all.skip(offset).take(size).collect()
}

/// All entries that the query takes, in its order. Looks at every run of the range.
fn scan<'a>(
    world: &World,
    overlay: &'a Overlay,
    query: &RunQuery,
    (from, to): (u64, u64),
    now: i64,
) -> Vec<Entry<'a>> {
    let runs = (from..to)
        .filter(|number| !query.has_filters() || query.takes(&world.plan(*number), now))
        .filter(|number| overlay.is_empty() || overlay.shows(&world.id_of(*number).to_string()))
        .map(|number| (world.start_of(number), Entry::Run(number)));
    let mut all: Vec<(i64, Entry<'a>)> = runs.collect();
    let added = overlay.added().filter(|run| query.takes_override(run)).filter_map(|run| {
        let start = run.started_at.timestamp_millis();
        let is_in_range = start <= now && start >= now.saturating_sub(query.range);
        is_in_range.then_some((start, Entry::Override(run)))
    });
    all.extend(added);
    all.sort_by_key(|(start, _)| *start);
    if !query.is_oldest_first {
        all.reverse();
    }
    all.into_iter().map(|(_, entry)| entry).collect()
}
