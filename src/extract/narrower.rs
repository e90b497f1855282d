//! Narrower lists, for an API that limits how far it lists.
//!
//! Servers limit how deep a list can be paged (10,000 rows is usual for search engines). The runs
//! beyond the limit can still be listed by requesting less: a smaller range, one workflow, one
//! status. The lists are merged; only the API's own total shows whether they reach all runs.

use std::collections::{BTreeSet, HashSet};

use super::list_scan::{CutOff, ListScan};
use super::listed::first;
use super::query::list_query;
use super::resources::resource_list;
use super::scan::{Proof, ScanSummary, WindowScan};
use super::{ListedRun, Window};
use crate::api::ApiError;
use crate::digest::id_key;
use crate::event::Event;
use crate::json::Node;
use crate::listing::{ListQuery, Listing};

/// Maximum number of narrower lists for one list that was cut off.
const MOST_LISTS: u32 = 500;

/// Statuses to request besides those that were listed: documented, or seen in public code.
const STATUSES: &[&str] = &["pass", "fail", "partial", "error", "timed_out", "running", "pending"];

/// The filters of a narrower list, besides the scan's own.
#[derive(Clone, Debug, Default)]
struct Filter {
    window: Option<Window>,
    workflow: Option<String>,
    status: Option<String>,
}

/// The narrower lists of one list that was cut off.
pub(super) struct Narrowing<'a, Wait, Show> {
    scan: &'a WindowScan<'a>,
    workflow: Option<&'a String>,
    cut_off: CutOff,
    wait: &'a Wait,
    show: &'a mut Show,
    lists: u32,
    pages: u32,
    /// Number of runs in the list that was cut off.
    before: usize,
    /// Keys of the runs that were listed so far and had started when the first page was returned.
    listed: HashSet<u128>,
    failed: Vec<String>,
}

impl<'a, Wait, Waiting, Show> Narrowing<'a, Wait, Show>
where
    Wait: Fn() -> Waiting,
    Waiting: Future<Output = ()>,
    Show: FnMut(Vec<ListedRun>),
{
    pub(super) fn new(
        scan: &'a WindowScan<'a>,
        workflow: Option<&'a String>,
        mut cut_off: CutOff,
        wait: &'a Wait,
        show: &'a mut Show,
    ) -> Self {
        let listed = std::mem::take(&mut cut_off.listed);
        let (lists, pages, before, failed) = (0, 0, listed.len(), Vec::new());
        Self { scan, workflow, cut_off, wait, show, lists, pages, before, listed, failed }
    }

    /// Reads narrower lists until the total is reached, or no list is left to read. `summary` is
    /// that of the list that was cut off.
    pub(super) async fn run(mut self, mut summary: ScanSummary) -> Result<ScanSummary, ApiError> {
        let notice =
            format!("the list seems cut off ({}); reading narrower lists", self.cut_off.reason);
        self.scan.events.emit(Event::Notice(notice));
        self.ranges().await?;
        if !self.is_complete() {
            let (workflows, statuses) = self.values().await?;
            self.by_workflow(&workflows, &statuses).await?;
            if self.workflow.is_some() || workflows.is_empty() {
                self.by_status(&Filter::default(), &statuses).await?;
            }
        }
        let found = self.listed.len().saturating_sub(self.before);
        summary.narrower_lists += self.lists;
        summary.pages += self.pages;
        self.judge(&mut summary, u64::try_from(found).unwrap_or(u64::MAX));
        Ok(summary)
    }

    /// Updates the summary of the list that was cut off by what the narrower lists found.
    fn judge(&self, summary: &mut ScanSummary, found: u64) {
        if self.cut_off.is_suspicion && found == 0 {
            // Narrower lists contain no other run: the list was not cut off.
            return;
        }
        let count = u64::try_from(self.listed.len()).unwrap_or(u64::MAX);
        if self.is_complete() {
            summary.uncertainties.clear();
            summary.proof = Some(Proof::Counted);
            return;
        }
        summary.proof = None;
        let missing = self.cut_off.total.map(|total| total.saturating_sub(count));
        summary.out_of_reach = missing.unwrap_or(0);
        if self.cut_off.is_suspicion {
            summary.uncertainties.push(self.cut_off.reason.clone());
        }
        let reach = match missing {
            Some(0) | None => "whether they reach all runs is not known".to_owned(),
            Some(runs) => format!("{runs} runs stay out of reach"),
        };
        let lists = self.lists;
        summary
            .uncertainties
            .push(format!("{lists} narrower lists brought {found} more runs; {reach}"));
        summary.uncertainties.extend(self.failed.iter().take(3).cloned());
    }

    fn is_complete(&self) -> bool {
        let count = u64::try_from(self.listed.len()).unwrap_or(u64::MAX);
        self.cut_off.total.is_some_and(|total| count >= total)
    }

    /// The workflows and statuses of the runs that can be listed, and the workflows of the API. The
    /// rows are read once more for this: keeping all of them would cost memory in every sync.
    async fn values(&mut self) -> Result<(BTreeSet<String>, BTreeSet<String>), ApiError> {
        let (mut workflows, mut statuses) = (BTreeSet::new(), BTreeSet::new());
        statuses.extend(STATUSES.iter().map(|status| (*status).to_owned()));
        let mut listing = Listing::new(
            self.scan.client.clone(),
            self.scan.events.clone(),
            self.query(&Filter::default()),
        );
        while let Some(page) = self.read(&mut listing).await? {
            for row in page.new {
                let run = ListedRun::read(row, self.scan.paths);
                workflows.extend(run.workflow_id(self.scan.paths));
                statuses.extend(run.status);
            }
        }
        self.pages += listing.pages();
        match resource_list(self.scan.client, "/workflows", &self.scan.paths.lists.workflows).await
        {
            Ok(Some(list)) => {
                let paths = &self.scan.paths.own_workflow_id;
                let ids = list.elements().into_iter();
                let ids =
                    ids.filter_map(|workflow| first(Some(workflow), paths, Node::scalar_text));
                workflows.extend(ids.map(std::borrow::Cow::into_owned).collect::<Vec<_>>());
            }
            Err(error) if error.is_fatal() => return Err(error),
            // Not fatal: the workflows of the runs that were listed are known.
            Ok(None) | Err(_) => {}
        }
        Ok((workflows, statuses))
    }

    async fn read(&self, listing: &mut Listing) -> Result<Option<crate::listing::Page>, ApiError> {
        (self.wait)().await;
        match listing.next().await {
            Err(error) if error.is_fatal() => Err(error),
            other => Ok(other.ok().flatten()),
        }
    }

    async fn ranges(&mut self) -> Result<(), ApiError> {
        let mut window = self.scan.window;
        while let Some(smaller) = window.shrunk() {
            window = smaller;
            let filter = Filter { window: Some(window), ..Filter::default() };
            self.list(&filter).await?;
        }
        Ok(())
    }

    async fn by_workflow(
        &mut self,
        workflows: &BTreeSet<String>,
        statuses: &BTreeSet<String>,
    ) -> Result<(), ApiError> {
        if self.workflow.is_some() {
            return Ok(());
        }
        for workflow in workflows {
            let filter = Filter { workflow: Some(workflow.clone()), ..Filter::default() };
            let is_cut_off = self.list(&filter).await?;
            // If narrower lists bring no new run, still narrower ones would not either: such a
            // server always states that there are more.
            if is_cut_off && self.listed.len() > self.before {
                self.by_status(&filter, statuses).await?;
            }
        }
        Ok(())
    }

    async fn by_status(
        &mut self,
        filter: &Filter,
        statuses: &BTreeSet<String>,
    ) -> Result<(), ApiError> {
        if self.scan.filters.status.is_some() {
            return Ok(());
        }
        for status in statuses {
            let filter = Filter { status: Some(status.clone()), ..filter.clone() };
            self.list(&filter).await?;
        }
        Ok(())
    }

    /// Reads a narrower list. Returns whether it is cut off, too.
    async fn list(&mut self, filter: &Filter) -> Result<bool, ApiError> {
        if self.is_complete() || self.lists >= MOST_LISTS {
            return Ok(false);
        }
        self.lists += 1;
        let query = self.query(filter);
        let until = self.scan.window.until;
        let (listed, show) = (&mut self.listed, &mut *self.show);
        let mut note = |runs: Vec<ListedRun>| {
            let old = runs.iter().filter(|run| run.started_at <= Some(until));
            listed.extend(old.map(|run| id_key(&run.run_id)));
            show(runs);
        };
        // Without an early end: the runs that are searched are further down.
        let window = Window { known_before: None, ..self.scan.window };
        let scan = WindowScan { window, ..*self.scan };
        let scanned = ListScan::new(&scan, query, self.wait, &mut note).run_once().await;
        match scanned {
            Ok(scanned) => {
                self.pages += scanned.summary.pages;
                Ok(scanned.cut_off.is_some())
            }
            Err(error) if error.is_fatal() => Err(error),
            Err(error) => {
                self.failed.push(error.to_string());
                Ok(false)
            }
        }
    }

    fn query(&self, filter: &Filter) -> ListQuery {
        let window = filter.window.unwrap_or(self.scan.window);
        let workflow = filter.workflow.as_ref().or(self.workflow);
        let mut query = list_query(window, self.scan.filters, workflow, self.scan.paths);
        query.parameters.extend(filter.status.clone().map(|status| ("status", status)));
        query
    }
}
