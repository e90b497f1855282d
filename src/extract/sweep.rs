//! One pass over the list of a window, and whether it can be relied on.

use super::{ListedRun, RunPaths, Window};
use crate::api::{ApiError, Client, ListQuery, Listing, Page, PageBase};
use crate::config::Filters;
use crate::event::Event;

/// What a sweep saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SweepTally {
    /// Pages asked for.
    pub pages: u32,
    /// Distinct runs.
    pub runs: u64,
    /// Rows that stood on an earlier page too: the list moved, or pages overlap.
    pub repeats: u64,
    /// Runs that appeared at the head while the sweep was under way.
    pub head_moved: u64,
    /// Whether it ended early, in time that is proven already.
    pub ended_early: bool,
    /// Why it proves nothing; empty where it is certified.
    pub doubts: Vec<String>,
    /// The number of the first page, where it was found out.
    pub first_page: Option<PageBase>,
}

impl SweepTally {
    /// Whether every run of the window was seen.
    pub fn is_certified(&self) -> bool {
        self.doubts.is_empty()
    }

    fn add(&mut self, other: Self) {
        self.pages += other.pages;
        self.runs += other.runs;
        self.repeats += other.repeats;
        self.head_moved += other.head_moved;
        self.ended_early |= other.ended_early;
        self.doubts.extend(other.doubts);
        self.first_page = other.first_page.or(self.first_page);
    }
}

/// A sweep in the making.
pub(super) struct Sweep<'a> {
    pub(super) client: &'a Client,
    pub(super) window: Window,
    pub(super) filters: &'a Filters,
    pub(super) paths: &'a RunPaths,
    pub(super) first_page: Option<PageBase>,
}

/// Whether the list was seen to go from new to old so far.
#[derive(Default)]
struct Order {
    last: Option<i64>,
    broken: bool,
}

impl Order {
    fn note(&mut self, runs: &[ListedRun]) {
        for run in runs {
            match (run.started_at, self.last) {
                (None, _) => self.broken = true,
                (Some(start), Some(last)) if start > last => self.broken = true,
                (Some(start), _) => self.last = Some(start),
            }
        }
    }

    /// Whether everything further down started before `moment`.
    fn is_past(&self, moment: Option<i64>) -> bool {
        !self.broken && matches!((self.last, moment), (Some(last), Some(moment)) if last < moment)
    }
}

impl Sweep<'_> {
    /// Lists each selected workflow, or all; hands every page's runs to `show`.
    pub(super) async fn run(
        &self,
        mut show: impl FnMut(Vec<ListedRun>),
    ) -> Result<SweepTally, ApiError> {
        let mut tally = SweepTally { first_page: self.first_page, ..SweepTally::default() };
        let workflows: Vec<Option<&String>> = match self.filters.workflow_ids.as_slice() {
            [] => vec![None],
            ids => ids.iter().map(Some).collect(),
        };
        for workflow in workflows {
            let part = self.list(workflow, tally.first_page, &mut show).await?;
            tally.add(part);
        }
        self.client.events().emit(Event::ListingDone { runs: tally.runs });
        Ok(tally)
    }

    async fn list(
        &self,
        workflow: Option<&String>,
        base: Option<PageBase>,
        show: &mut impl FnMut(Vec<ListedRun>),
    ) -> Result<SweepTally, ApiError> {
        let mut listing = Listing::new(self.client.clone(), self.query(workflow), base);
        let mut tally = SweepTally::default();
        let (mut order, mut total, mut unnamed) = (Order::default(), None, 0);
        while let Some(page) = listing.next().await? {
            total = page.total.or(total);
            unnamed += page.unnamed;
            let runs = self.show(page, &mut tally, show, &mut |runs| order.note(runs));
            let event = Event::PageListed { runs, total };
            self.client.events().emit(event);
            if order.is_past(self.window.known_before) {
                tally.ended_early = true;
                break;
            }
        }
        if listing.pages() > 1 {
            let head = listing.head_again().await?;
            tally.head_moved = self.show(head, &mut tally, show, &mut |_| ());
        }
        tally.pages = listing.pages();
        tally.first_page = listing.base();
        tally.doubts = doubts(&tally, total, unnamed);
        if listing.ended_on_repeats() && tally.head_moved > 0 {
            let doubt = "new runs moved the list while it was read, perhaps by a whole page";
            tally.doubts.push(doubt.to_owned());
        }
        Ok(tally)
    }

    fn show(
        &self,
        page: Page,
        tally: &mut SweepTally,
        show: &mut impl FnMut(Vec<ListedRun>),
        note: &mut dyn FnMut(&[ListedRun]),
    ) -> u64 {
        let runs: Vec<ListedRun> =
            page.new.into_iter().map(|row| ListedRun::read(row, self.paths)).collect();
        note(&runs);
        let count = u64::try_from(runs.len()).unwrap_or(u64::MAX);
        tally.runs += count;
        tally.repeats += page.repeats;
        if !runs.is_empty() {
            show(runs);
        }
        count
    }

    fn query(&self, workflow: Option<&String>) -> ListQuery {
        let filters = self.filters;
        let mut parameters = vec![("range", self.window.range.name().to_owned())];
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
            id_paths: self.paths.run_id.clone(),
        }
    }
}

/// Why a sweep that came to its end cannot be relied on all the same.
fn doubts(tally: &SweepTally, total: Option<u64>, unnamed: u64) -> Vec<String> {
    let mut doubts = Vec::new();
    if let Some(total) = total.filter(|total| !tally.ended_early && *total > tally.runs) {
        doubts.push(format!("the API says that there are {total} runs, and listed {}", tally.runs));
    }
    if unnamed > 0 {
        doubts.push(format!("listed runs without an id: {unnamed}"));
    }
    doubts
}
