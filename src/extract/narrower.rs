//! Narrower lists, where the API lists only so far down.
//!
//! Servers limit how deep a list can be paged (10,000 rows is usual for search engines). The runs
//! beyond the limit can still be listed by asking for less: a smaller range, one workflow, one
//! status. The lists are merged; only the API's own total shows whether they reach all runs.

use std::collections::{BTreeSet, HashSet};

use super::list_scan::{CutOff, ListScan};
use super::listed::first;
use super::resources::resource_list;
use super::sweep::{Proof, Sweep, SweepTally, list_query};
use super::{ListedRun, Window};
use crate::api::{ApiError, ListQuery, Listing};
use crate::digest::id_key;
use crate::event::Event;
use crate::json::Node;

/// Narrower lists of one sweep at the most.
const MOST_LISTS: u32 = 500;

/// Statuses to ask for besides those that were listed: documented, or seen in public code.
const STATUSES: &[&str] = &["pass", "fail", "partial", "error", "timed_out", "running", "pending"];

/// What is asked for besides the sweep's own filters.
#[derive(Clone, Debug, Default)]
struct Filter {
    window: Option<Window>,
    workflow: Option<String>,
    status: Option<String>,
}

/// The narrower lists of one list that was cut off.
pub(super) struct Narrowing<'a, Wait, Show> {
    sweep: &'a Sweep<'a>,
    workflow: Option<&'a String>,
    cut_off: CutOff,
    wait: &'a Wait,
    show: &'a mut Show,
    lists: u32,
    pages: u32,
    /// How many runs the list that was cut off gave.
    before: usize,
    /// Distinct runs that were listed by now and had started when the first page was given.
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
        sweep: &'a Sweep<'a>,
        workflow: Option<&'a String>,
        mut cut_off: CutOff,
        wait: &'a Wait,
        show: &'a mut Show,
    ) -> Self {
        let listed = std::mem::take(&mut cut_off.listed);
        let (lists, pages, before, failed) = (0, 0, listed.len(), Vec::new());
        Self { sweep, workflow, cut_off, wait, show, lists, pages, before, listed, failed }
    }

    /// Reads narrower lists until the total is reached, or there is nothing left to ask for.
    /// `tally` is that of the list that was cut off.
    pub(super) async fn run(mut self, mut tally: SweepTally) -> Result<SweepTally, ApiError> {
        let notice =
            format!("the list seems cut off ({}); reading narrower lists", self.cut_off.reason);
        self.sweep.client.events().emit(Event::Notice(notice));
        self.ranges().await?;
        if !self.is_complete() {
            let (workflows, statuses) = self.values().await?;
            self.by_workflow(&workflows, &statuses).await?;
            if self.workflow.is_some() || workflows.is_empty() {
                self.by_status(&Filter::default(), &statuses).await?;
            }
        }
        let found = self.listed.len().saturating_sub(self.before);
        tally.narrower_lists += self.lists;
        tally.pages += self.pages;
        self.judge(&mut tally, u64::try_from(found).unwrap_or(u64::MAX));
        Ok(tally)
    }

    /// What the narrower lists say about the list that was cut off.
    fn judge(&self, tally: &mut SweepTally, found: u64) {
        if self.cut_off.is_suspicion && found == 0 {
            // Narrower lists hold nothing else: its end was its end.
            return;
        }
        let count = u64::try_from(self.listed.len()).unwrap_or(u64::MAX);
        if self.is_complete() {
            tally.doubts.clear();
            tally.proof = Some(Proof::Counted);
            return;
        }
        tally.proof = None;
        let missing = self.cut_off.total.map(|total| total.saturating_sub(count));
        tally.out_of_reach = missing.unwrap_or(0);
        if self.cut_off.is_suspicion {
            tally.doubts.push(self.cut_off.reason.clone());
        }
        let reach = match missing {
            Some(0) | None => "whether they reach all runs is not known".to_owned(),
            Some(runs) => format!("{runs} runs stay out of reach"),
        };
        let lists = self.lists;
        tally.doubts.push(format!("{lists} narrower lists brought {found} more runs; {reach}"));
        tally.doubts.extend(self.failed.iter().take(3).cloned());
    }

    fn is_complete(&self) -> bool {
        let count = u64::try_from(self.listed.len()).unwrap_or(u64::MAX);
        self.cut_off.total.is_some_and(|total| count >= total)
    }

    /// The workflows and statuses of the runs that can be listed, and the workflows of the API.
    /// The rows are read once more for it: keeping all of them would cost every sync memory.
    async fn values(&mut self) -> Result<(BTreeSet<String>, BTreeSet<String>), ApiError> {
        let (mut workflows, mut statuses) = (BTreeSet::new(), BTreeSet::new());
        statuses.extend(STATUSES.iter().map(|status| (*status).to_owned()));
        let mut listing = Listing::new(self.sweep.client.clone(), self.query(&Filter::default()));
        while let Some(page) = self.read(&mut listing).await? {
            for row in page.new {
                let run = ListedRun::read(row, self.sweep.paths);
                workflows.extend(run.workflow_id(self.sweep.paths));
                statuses.extend(run.status);
            }
        }
        self.pages += listing.pages();
        match resource_list(self.sweep.client, "/workflows", &self.sweep.paths.lists.workflows)
            .await
        {
            Ok(Some(list)) => {
                let paths = &self.sweep.paths.own_workflow_id;
                let ids = list.elements().into_iter();
                let ids =
                    ids.filter_map(|workflow| first(Some(workflow), paths, Node::scalar_text));
                workflows.extend(ids.map(std::borrow::Cow::into_owned).collect::<Vec<_>>());
            }
            Err(error) if error.is_fatal() => return Err(error),
            // The workflows of the runs that were listed are known all the same.
            Ok(None) | Err(_) => {}
        }
        Ok((workflows, statuses))
    }

    async fn read(&self, listing: &mut Listing) -> Result<Option<crate::api::Page>, ApiError> {
        (self.wait)().await;
        match listing.next().await {
            Err(error) if error.is_fatal() => Err(error),
            other => Ok(other.ok().flatten()),
        }
    }

    async fn ranges(&mut self) -> Result<(), ApiError> {
        let mut window = self.sweep.window;
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
            // Where narrower lists bring nothing, still narrower ones would not either: such a
            // server says that there are more, whatever there is.
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
        if self.sweep.filters.status.is_some() {
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
        let until = self.sweep.window.until;
        let (listed, show) = (&mut self.listed, &mut *self.show);
        let mut note = |runs: Vec<ListedRun>| {
            let old = runs.iter().filter(|run| run.started_at <= Some(until));
            listed.extend(old.map(|run| id_key(&run.run_id)));
            show(runs);
        };
        // A list that may end early would end before it reaches what is looked for.
        let window = Window { known_before: None, ..self.sweep.window };
        let sweep = Sweep { window, ..*self.sweep };
        let scanned = ListScan::new(&sweep, query, self.wait, &mut note).run_once().await;
        match scanned {
            Ok(scanned) => {
                self.pages += scanned.tally.pages;
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
        let window = filter.window.unwrap_or(self.sweep.window);
        let workflow = filter.workflow.as_ref().or(self.workflow);
        let mut query = list_query(window, self.sweep.filters, workflow, self.sweep.paths);
        query.parameters.extend(filter.status.clone().map(|status| ("status", status)));
        query
    }
}
