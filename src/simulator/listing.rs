//! `GET /runs`: range, filters, order and pages.

use std::collections::HashMap;

use serde_json::Value;

use super::dispatch::Dispatched;
use super::documents::listing;
use super::faulty::{Disturbance, Faulty, Total};
use super::overlay::{Overlay, RunOverride};
use super::paging::{PagingStyle, PastEnd};
use super::plan::RunPlan;
use super::shape::{Page, Shape};
use super::world::World;

const HOUR: i64 = 3_600_000;

/// The query of a list of runs (parameter names and ranges are documented).
#[derive(Debug)]
pub(super) struct RunQuery {
    /// The length of the range, in milliseconds.
    range: i64,
    workflow: Option<String>,
    status: Option<String>,
    classification: Option<String>,
    search: Option<String>,
    is_oldest_first: bool,
    page: Page,
    /// The id of the run after which the page starts, if pages are requested by ids.
    after: Option<String>,
}

/// A parameter with an invalid value.
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
        let paging = &shape.paging;
        let page = number(parameters, "page")?;
        let size = number(parameters, "pageSize")?;
        if paging.needs_number && page.is_none() {
            let message = "page is required".to_owned();
            return Err(BadParameter { name: "page", message });
        }
        let skip = paging.skip(parameters, |_| Some(0));
        let page = Page { skip, ..shape.page(page, size) };
        let after = parameters.get("starting_after").cloned();
        let deepest = paging.deepest_row.map(u64::from);
        if deepest.is_some_and(|deepest| shape.offset(page) >= deepest) {
            let message = "the page lies too deep".to_owned();
            return Err(BadParameter { name: "page", message });
        }
        Ok(Self {
            range: range(parameters, paging.largest_range_days)?,
            workflow: text("workflowId"),
            status: text("status"),
            classification: text("classification"),
            search: text("search").map(|value| value.to_lowercase()),
            // Sort keys are not documented: all but this pair are ignored.
            is_oldest_first: text("sort").is_some_and(|key| key == "started_at"),
            page,
            after: after.filter(|_| paging.style == PagingStyle::LastId),
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

fn range(
    parameters: &HashMap<String, String>,
    largest_days: Option<u32>,
) -> Result<i64, BadParameter> {
    let largest = largest_days.map_or(i64::MAX, |days| i64::from(days) * 24 * HOUR);
    let range = whole_range(parameters)?;
    if range > largest {
        let message = "the range is not available on this plan".to_owned();
        return Err(BadParameter { name: "range", message });
    }
    Ok(range)
}

fn whole_range(parameters: &HashMap<String, String>) -> Result<i64, BadParameter> {
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

/// A run in the list, before it is converted to JSON.
enum Entry<'a> {
    Run(u64),
    Dispatched(&'a RunPlan),
    Override(&'a RunOverride),
}

/// Serves the list, unchanged or with faults.
pub(super) struct Lister<'a> {
    pub(super) world: &'a World,
    pub(super) overlay: &'a Overlay,
    pub(super) dispatched: &'a Dispatched,
    pub(super) shape: &'a Shape,
    /// The current simulated time, in milliseconds since 1970.
    pub(super) now: i64,
    /// The path and query of the request.
    pub(super) address: &'a str,
}

/// A served page of the list.
pub(super) enum Served {
    Page {
        body: Value,
        link: Option<String>,
    },
    /// Errors for a page after the last one.
    BadRequest,
    NotFound,
}

impl<'a> Lister<'a> {
    /// One page as a body.
    pub(super) fn page(&self, query: &RunQuery) -> Served {
        let (from, to) = self.bounds(query);
        let has_more = !self.overlay.is_empty() || !self.dispatched.is_empty();
        let is_filtered = query.has_filters() || query.after.is_some() || has_more;
        let mut all =
            if is_filtered { self.scan(query, query.is_oldest_first) } else { Vec::new() };
        let total = if is_filtered { length(&all) } else { to - from };
        let page = match self.served(self.asked(query, &all), total) {
            Ok(page) => page,
            Err(refused) => return refused,
        };
        let entries = if is_filtered {
            self.cut(all.drain(..), page)
        } else if query.is_oldest_first {
            self.cut((from..to).map(Entry::Run), page)
        } else {
            self.cut((from..to).rev().map(Entry::Run), page)
        };
        self.body(&entries, page, Some(total), total)
    }

    /// The requested page. After a run that is not in the list, there are no rows.
    fn asked(&self, query: &RunQuery, all: &[Entry<'_>]) -> Page {
        let Some(after) = &query.after else { return query.page };
        let is_it = |entry: &Entry<'_>| match entry {
            Entry::Run(number) => self.world.id_of(*number).to_string() == *after,
            Entry::Dispatched(run) => run.id.to_string() == *after,
            Entry::Override(run) => run.id == *after,
        };
        let before = all.iter().position(is_it).and_then(|place| u64::try_from(place).ok());
        Page { skip: Some(before.map_or(u64::MAX, |before| before + 1)), ..query.page }
    }

    /// The served page for a requested one: after the last page, the shape decides.
    fn served(&self, page: Page, rows: u64) -> Result<Page, Served> {
        let offset = self.shape.offset(page);
        if offset == 0 || offset < rows {
            return Ok(page);
        }
        let first = Page { number: self.shape.page_base, skip: page.skip.map(|_| 0), ..page };
        match self.shape.paging.past_end {
            PastEnd::Empty => Ok(page),
            PastEnd::First => Ok(first),
            PastEnd::BadRequest => Err(Served::BadRequest),
            PastEnd::NotFound => Err(Served::NotFound),
        }
    }

    /// One page with faults.
    pub(super) fn disturbed_page(
        &self,
        query: &RunQuery,
        disturbance: Disturbance,
        faulty: &mut Faulty,
    ) -> Served {
        let everything = self.scan(query, query.is_oldest_first || disturbance.oldest_first);
        let offset = self.shape.offset(self.asked(query, &everything));
        if let Some((mut random, requests)) = disturbance.vanishing {
            let (from, to) = self.bounds(query);
            let above = offset.min(to - from);
            if above > 0 {
                faulty.hide(to - 1 - random.below(above), requests);
            }
        }
        let hidden = faulty.hidden();
        let mut all = everything;
        all.retain(|entry| !matches!(entry, Entry::Run(number) if hidden.contains(number)));
        let right = length(&all);
        if let Some(mut random) = disturbance.shuffle {
            all.sort_by_cached_key(|_| random.draw());
        }
        let asked = match self.served(self.asked(query, &all), right) {
            Ok(page) => page,
            Err(refused) => return refused,
        };
        let before = Page {
            number: asked.number.saturating_sub(1),
            skip: asked.skip.map(|rows| rows.saturating_sub(asked.size.into())),
            ..asked
        };
        let page = if disturbance.repeats_page && offset > 0 { before } else { asked };
        let mut entries = self.cut(all.into_iter(), page);
        if disturbance.is_empty && offset > 0 {
            entries.clear();
        }
        let total = match disturbance.total {
            Total::Right => Some(right),
            Total::TooLow => Some(right / 2),
            Total::TooHigh => Some(right + right / 2 + 1),
            Total::Missing => None,
        };
        self.body(&entries, asked, total, right)
    }

    /// The numbers of the runs in the range: the first, and the one after the last.
    fn bounds(&self, query: &RunQuery) -> (u64, u64) {
        let from = self.now.saturating_sub(query.range).saturating_sub(1);
        (self.world.started_at(from), self.world.started_at(self.now))
    }

    fn cut(&self, all: impl Iterator<Item = Entry<'a>>, page: Page) -> Vec<Entry<'a>> {
        let offset = usize::try_from(self.shape.offset(page)).unwrap_or(usize::MAX);
        let size = usize::try_from(page.size).unwrap_or(usize::MAX);
        all.skip(offset).take(size).collect()
    }

    fn body(&self, entries: &[Entry<'_>], page: Page, total: Option<u64>, rows: u64) -> Served {
        let records = entries.iter().map(|entry| match entry {
            Entry::Run(number) => {
                let row = listing(&self.world.plan(*number), self.now);
                self.shape.record(self.shape.documents.run(row))
            }
            Entry::Dispatched(run) => {
                self.shape.record(self.shape.documents.run(listing(run, self.now)))
            }
            Entry::Override(run) => run.listing.clone(),
        });
        let records = records.collect();
        let body = self.shape.page_of_runs(records, page, total, rows, self.address);
        Served::Page {
            body,
            link: self.shape.paging.link(self.shape.cut(page, rows), self.address),
        }
    }

    /// All entries that match the query, in order. Examines every run of the range.
    fn scan(&self, query: &RunQuery, is_oldest_first: bool) -> Vec<Entry<'a>> {
        let (world, overlay, now) = (self.world, self.overlay, self.now);
        let (from, to) = self.bounds(query);
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
        let ordered = self.dispatched.started(now).map(|(run, _)| run);
        let ordered = ordered.filter(|run| run.start >= now.saturating_sub(query.range));
        let ordered = ordered.filter(|run| query.takes(run, now));
        all.extend(ordered.map(|run| (run.start, Entry::Dispatched(run))));
        all.sort_by_key(|(start, _)| *start);
        if !is_oldest_first {
            all.reverse();
        }
        all.into_iter().map(|(_, entry)| entry).collect()
    }
}

fn length(entries: &[Entry<'_>]) -> u64 {
    u64::try_from(entries.len()).unwrap_or(u64::MAX)
}
