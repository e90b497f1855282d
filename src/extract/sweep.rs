//! The sweep: the list of a window, looked at until it is proven that no run was overlooked.
//!
//! Pages are cut at positions, and the list moves while they are read. Runs that start push others
//! down, which only repeats rows. Runs that leave let others move up, past the reader: these would
//! be missed. A sweep is certified by one of three proofs (see [`Proof`]); each rests on what was
//! seen, and none on the server's good manners.

use std::collections::HashSet;

use super::list_scan::{ListScan, Scanned};
use super::narrower::Narrowing;
use super::{ListedRun, RunPaths, Window};
use crate::api::{ApiError, Client, ListQuery};
use crate::config::Filters;
use crate::digest::id_key;
use crate::event::Event;

/// Why a sweep can be relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Proof {
    /// All that had to be seen stood on one page: one answer is one moment.
    OnePage,
    /// As many runs that are no younger than the first one listed were seen as the server said
    /// there were when it gave the first page.
    Counted,
    /// Another look from the head found every run of the look before again, and none between: so
    /// nothing had moved up past the reader.
    SeenAgain,
}

impl Proof {
    /// The word for it in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::OnePage => "one_page",
            Self::Counted => "counted",
            Self::SeenAgain => "seen_again",
        }
    }
}

/// What a sweep saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SweepTally {
    /// Pages asked for.
    pub pages: u32,
    /// How often the list was read from its head, the first time included.
    pub looks: u32,
    /// Distinct runs.
    pub runs: u64,
    /// Rows that stood on an earlier page too: the list moved, or pages overlap.
    pub repeats: u64,
    /// Runs that started while the sweep was under way.
    pub head_moved: u64,
    /// Whether it ended early, in time that is proven already.
    pub ended_early: bool,
    /// Why it can be relied on; of several lists the weakest reason.
    pub proof: Option<Proof>,
    /// Why it proves nothing; empty where it is certified.
    pub doubts: Vec<String>,
    /// Whether the whole list went from new to old; `None` where not all of it was read.
    pub newest_first: Option<bool>,
    /// Runs that started before this may have left the window before they could be read, in
    /// microseconds since 1970 by the server's clock.
    pub reaches_to: Option<i64>,
    /// The window that was listed: a smaller one than planned where the API refused the range.
    pub window: Option<Window>,
    /// Narrower lists that were read because the API lists only so far down.
    pub narrower_lists: u32,
    /// Runs that the API says there are, and that no list reached.
    pub out_of_reach: u64,
}

impl SweepTally {
    /// Whether every run of the window was seen.
    pub fn is_certified(&self) -> bool {
        self.doubts.is_empty()
    }

    pub(super) fn add(&mut self, other: Self) {
        self.pages += other.pages;
        self.looks = self.looks.max(other.looks);
        self.repeats += other.repeats;
        self.head_moved += other.head_moved;
        self.ended_early |= other.ended_early;
        self.proof = self.proof.max(other.proof);
        self.doubts.extend(other.doubts);
        self.newest_first = match (self.newest_first, other.newest_first) {
            (Some(one), Some(other)) => Some(one && other),
            (one, other) => one.or(other),
        };
        self.reaches_to = self.reaches_to.max(other.reaches_to);
        self.narrower_lists += other.narrower_lists;
        self.out_of_reach += other.out_of_reach;
    }
}

/// Which list to look at.
#[derive(Clone, Copy, Debug)]
pub struct Sweep<'a> {
    /// The API.
    pub client: &'a Client,
    /// How far back to list.
    pub window: Window,
    /// Whether a smaller range may be listed where the API refuses the window's.
    pub may_shrink: bool,
    /// Which runs.
    pub filters: &'a Filters,
    /// Where a run's members stand.
    pub paths: &'a RunPaths,
}

impl Sweep<'_> {
    /// Lists each selected workflow, or all; waits for `wait` before each page, and hands every
    /// page's runs to `show`, each run once. Returns also the keys ([`id_key`]) of all runs listed.
    ///
    /// A list that fails is a doubt; the others, and what it gave before, are good.
    ///
    /// # Errors
    /// [`ApiError`] where no list gives a page, or the error concerns the whole API.
    pub async fn run<Wait: Future<Output = ()>>(
        &self,
        wait: impl Fn() -> Wait,
        mut show: impl FnMut(Vec<ListedRun>),
    ) -> Result<(SweepTally, HashSet<u128>), ApiError> {
        let mut listed = HashSet::new();
        // Lists of several workflows, and narrower ones, can overlap.
        let mut show_new = |mut runs: Vec<ListedRun>| {
            runs.retain(|run| listed.insert(id_key(&run.run_id)));
            if !runs.is_empty() {
                show(runs);
            }
        };
        let (mut window, mut refused) = (self.window, None);
        let mut tally = loop {
            let sweep = Self { window, ..*self };
            match sweep.all_lists(&wait, &mut show_new).await {
                Err(error) if self.may_shrink && is_refusal(&error) => {
                    // Which parameter it refuses shows only in what helps.
                    let first = refused.get_or_insert(error);
                    let Some(smaller) = window.shrunk() else { return Err(first.clone()) };
                    window = smaller;
                }
                other => break other?,
            }
        };
        if let Some(error) = refused {
            let (asked, used) = (self.window.range.name(), window.range.name());
            let notice = format!("{error}; listed range={used} instead of range={asked}");
            self.client.events().emit(Event::Notice(notice));
        }
        tally.runs = u64::try_from(listed.len()).unwrap_or(u64::MAX);
        tally.window = Some(window);
        self.client.events().emit(Event::ListingDone { runs: tally.runs });
        Ok((tally, listed))
    }

    async fn all_lists<Wait, Waiting, Show>(
        &self,
        wait: &Wait,
        show: &mut Show,
    ) -> Result<SweepTally, ApiError>
    where
        Wait: Fn() -> Waiting,
        Waiting: Future<Output = ()>,
        Show: FnMut(Vec<ListedRun>),
    {
        let workflows: Vec<Option<&String>> = match self.filters.workflow_ids.as_slice() {
            [] => vec![None],
            ids => ids.iter().map(Some).collect(),
        };
        let (mut tally, mut failed, mut good) = (SweepTally::default(), None, 0_u32);
        for workflow in workflows {
            let query = list_query(self.window, self.filters, workflow, self.paths);
            match ListScan::new(self, query, wait, show).run().await {
                Err(error) if error.is_fatal() => return Err(error),
                Err(error) => {
                    let name = workflow.map(String::as_str).unwrap_or_default();
                    let doubt = format!("the list of workflow `{name}` cannot be had: {error}");
                    tally.doubts.push(self.client.mask(&doubt));
                    failed.get_or_insert(error);
                }
                Ok(scanned) => {
                    good += 1;
                    tally.add(self.complete(scanned, workflow, wait, show).await?);
                }
            }
        }
        match failed {
            Some(error) if good == 0 => Err(error),
            _ => Ok(tally),
        }
    }

    /// Reads narrower lists where the API did not list all the way down.
    async fn complete<Wait, Waiting, Show>(
        &self,
        scanned: Scanned,
        workflow: Option<&String>,
        wait: &Wait,
        show: &mut Show,
    ) -> Result<SweepTally, ApiError>
    where
        Wait: Fn() -> Waiting,
        Waiting: Future<Output = ()>,
        Show: FnMut(Vec<ListedRun>),
    {
        match scanned.cut_off {
            None => Ok(scanned.tally),
            Some(cut_off) => {
                let narrowing = Narrowing::new(self, workflow, cut_off, wait, show);
                narrowing.run(scanned.tally).await
            }
        }
    }
}

/// Whether the server refuses what was asked for, rather than to speak at all.
pub fn is_refusal(error: &ApiError) -> bool {
    const DOCUMENTED: [&str; 2] = ["forbidden_role", "feature_disabled"];
    match error {
        ApiError::Rejected { .. } => true,
        // A plan that does not go so far back; the documented codes speak of the key.
        ApiError::Refused { status: 403, code, .. } => {
            !code.as_ref().is_some_and(|code| DOCUMENTED.contains(&code.as_str()))
        }
        _ => false,
    }
}

/// What is asked for to list a window: of one workflow, or of all.
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
