//! The sweep: the list of a window, looked at until it is proven that no run was overlooked.
//!
//! Pages are cut at positions, and the list moves while they are read. Runs that start push others
//! down, which only repeats rows. Runs that leave let others move up, past the reader: these would
//! be missed. A sweep is certified by one of three proofs (see [`Proof`]); each rests on what was
//! seen, and none on the server's good manners.

use std::collections::HashMap;
use std::time::Instant;

use super::order::Order;
use super::{ListedRun, RunPaths, Window};
use crate::api::{ApiError, Client, ListQuery, Listing, Page};
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
}

impl SweepTally {
    /// Whether every run of the window was seen.
    pub fn is_certified(&self) -> bool {
        self.doubts.is_empty()
    }

    fn add(&mut self, other: Self) {
        self.pages += other.pages;
        self.looks = self.looks.max(other.looks);
        self.runs += other.runs;
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
    }
}

/// Which list to look at.
#[derive(Clone, Copy, Debug)]
pub struct Sweep<'a> {
    /// The API.
    pub client: &'a Client,
    /// How far back to list.
    pub window: Window,
    /// Which runs.
    pub filters: &'a Filters,
    /// Where a run's members stand.
    pub paths: &'a RunPaths,
}

/// A list that has not come to rest after so many looks proves nothing today.
const MOST_LOOKS: u32 = 4;

/// Runs that started so little after the window's begin can leave it while it is listed.
const TAIL_MICROSECONDS: i64 = 6 * 3_600 * 1_000_000;

/// The server's clock has seconds in its header, and requests travel.
const CLOCK_MARGIN: i64 = 5 * 60 * 1_000_000;

impl Sweep<'_> {
    /// Lists each selected workflow, or all; waits for `wait` before each page, and hands every
    /// page's runs to `show`, each run once per list.
    ///
    /// # Errors
    /// [`ApiError`] where a page cannot be had, or is no list.
    pub async fn run<Wait: Future<Output = ()>>(
        &self,
        wait: impl Fn() -> Wait,
        mut show: impl FnMut(Vec<ListedRun>),
    ) -> Result<SweepTally, ApiError> {
        let mut tally = SweepTally::default();
        let workflows: Vec<Option<&String>> = match self.filters.workflow_ids.as_slice() {
            [] => vec![None],
            ids => ids.iter().map(Some).collect(),
        };
        for workflow in workflows {
            let query = list_query(self.window, self.filters, workflow, self.paths);
            let listing = Listing::new(self.client.clone(), query);
            let list = ListSweep {
                sweep: self,
                listing,
                wait: &wait,
                show: &mut show,
                order: Order::new(self.window.until),
                tally: SweepTally::default(),
                began: Instant::now(),
                head: None,
                first_total: None,
                last_total: None,
                no_younger: 0,
                unnamed: 0,
                between: 0,
                tail: HashMap::new(),
                now: self.window.until,
            };
            tally.add(list.run().await?);
        }
        self.client.events().emit(Event::ListingDone { runs: tally.runs });
        Ok(tally)
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

/// The sweep of one list.
struct ListSweep<'a, Wait, Show> {
    sweep: &'a Sweep<'a>,
    listing: Listing,
    wait: &'a Wait,
    show: &'a mut Show,
    order: Order,
    tally: SweepTally,
    began: Instant,
    /// The start of the first run that was listed.
    head: Option<i64>,
    /// How many runs there were when the first page was given.
    first_total: Option<u64>,
    last_total: Option<u64>,
    /// Runs that started no later than the first one.
    no_younger: u64,
    unnamed: u64,
    /// Runs that this look found for the first time, though they are no younger than the head.
    between: u64,
    /// Keys of runs near the end of the window, which time may take out of it, with their starts.
    tail: HashMap<u128, i64>,
    /// The server's clock at the last page.
    now: i64,
}

impl<Wait, Waiting, Show> ListSweep<'_, Wait, Show>
where
    Wait: Fn() -> Waiting,
    Waiting: Future<Output = ()>,
    Show: FnMut(Vec<ListedRun>),
{
    async fn run(mut self) -> Result<SweepTally, ApiError> {
        self.first_look().await?;
        let proof = match self.proof_of_first_look() {
            None => self.look_until_at_rest().await?,
            proof => proof,
        };
        self.tally.pages = self.listing.pages();
        self.tally.proof = proof;
        self.tally.doubts = self.doubts(proof);
        Ok(self.tally)
    }

    async fn first_look(&mut self) -> Result<(), ApiError> {
        self.tally.looks = 1;
        while let Some(page) = self.next_page().await? {
            if self.listing.pages() == 1 {
                self.first_total = page.total;
            }
            let runs = self.take(page);
            self.order.note(&runs);
            self.head = self.head.or(runs.first().and_then(|run| run.started_at));
            let head = self.head;
            let no_younger = runs.iter().filter(|run| run.started_at <= head).count();
            self.no_younger += u64::try_from(no_younger).unwrap_or(0);
            let began = self.sweep.window.until;
            let younger = runs.iter().filter(|run| run.started_at > Some(began)).count();
            self.tally.head_moved += u64::try_from(younger).unwrap_or(0);
            self.hand_over(runs);
            if self.order.is_past(self.sweep.window.known_before) {
                self.tally.ended_early = true;
                return Ok(());
            }
        }
        self.tally.newest_first = self.order.is_newest_first();
        self.tally.reaches_to = Some(self.least_start());
        Ok(())
    }

    async fn next_page(&mut self) -> Result<Option<Page>, ApiError> {
        (self.wait)().await;
        self.listing.next().await
    }

    /// The earliest start that the window still had when its end was read.
    fn least_start(&self) -> i64 {
        let by_date = self.now.saturating_sub(self.sweep.window.until);
        let by_watch = i64::try_from(self.began.elapsed().as_micros()).unwrap_or(i64::MAX);
        self.sweep.window.from.saturating_add(by_date.max(by_watch))
    }

    fn proof_of_first_look(&self) -> Option<Proof> {
        if self.tally.ended_early {
            return (self.listing.pages() == 1).then_some(Proof::OnePage);
        }
        let counted = self.tally.newest_first != Some(false)
            && self.unnamed == 0
            && self.first_total == Some(self.no_younger);
        counted.then_some(Proof::Counted)
    }

    /// Looks again until a look finds all that the one before found, and nothing between.
    async fn look_until_at_rest(&mut self) -> Result<Option<Proof>, ApiError> {
        while self.tally.looks < MOST_LOOKS {
            self.tally.looks += 1;
            let is_at_rest = if self.tally.ended_early {
                self.look_again_above_last_page().await?
            } else {
                self.look_again().await?
            };
            if is_at_rest {
                return Ok(Some(Proof::SeenAgain));
            }
        }
        Ok(None)
    }

    async fn look_again(&mut self) -> Result<bool, ApiError> {
        self.listing.again();
        self.between = 0;
        while let Some(page) = self.next_page().await? {
            self.take_again(page);
        }
        self.tally.reaches_to = Some(self.least_start());
        let lost = self.listing.not_seen_again().any(|run| !self.may_have_left(run));
        Ok(!lost && self.between == 0)
    }

    /// As far down as it takes to find what stood above the last page of the look before.
    async fn look_again_above_last_page(&mut self) -> Result<bool, ApiError> {
        let most = self.listing.pages() * 2 + 4;
        self.listing.again_above_last_page();
        self.between = 0;
        while self.listing.pages() < most {
            let Some(page) = self.next_page().await? else { break };
            self.take_again(page);
            if self.listing.not_seen_again().next().is_none() {
                return Ok(self.between == 0);
            }
        }
        Ok(false)
    }

    fn take_again(&mut self, page: Page) {
        let runs = self.take(page);
        let known_before = self.sweep.window.known_before.filter(|_| self.tally.ended_early);
        for run in &runs {
            if self.order.is_unbroken() && run.started_at > self.head {
                self.tally.head_moved += 1;
            } else if known_before.is_none() || run.started_at >= known_before {
                self.between += 1;
            }
        }
        self.hand_over(runs);
    }

    /// Whether a run that is no longer listed only grew too old for the window.
    fn may_have_left(&self, run: u128) -> bool {
        let least = self.now.saturating_sub(self.sweep.window.range.length());
        let start = self.tail.get(&run);
        start.is_some_and(|start| *start <= least.saturating_add(CLOCK_MARGIN))
    }

    /// Counts a page; gives the runs that were never listed before.
    fn take(&mut self, page: Page) -> Vec<ListedRun> {
        self.last_total = page.total.or(self.last_total);
        self.now = page.date.unwrap_or(self.now).max(self.now);
        self.unnamed = self.unnamed.max(page.unnamed);
        self.tally.repeats += page.repeats;
        let paths = self.sweep.paths;
        let runs: Vec<ListedRun> =
            page.new.into_iter().map(|row| ListedRun::read(row, paths)).collect();
        let count = u64::try_from(runs.len()).unwrap_or(u64::MAX);
        self.tally.runs += count;
        let end = self.sweep.window.from.saturating_add(TAIL_MICROSECONDS);
        let tail = runs.iter().filter_map(|run| Some((id_key(&run.run_id), run.started_at?)));
        self.tail.extend(tail.filter(|(_, start)| *start < end));
        let event = Event::PageListed { runs: count, total: self.last_total };
        self.sweep.client.events().emit(event);
        runs
    }

    fn hand_over(&mut self, runs: Vec<ListedRun>) {
        if !runs.is_empty() {
            (self.show)(runs);
        }
    }

    /// Why this list cannot be relied on.
    fn doubts(&self, proof: Option<Proof>) -> Vec<String> {
        let mut doubts = Vec::new();
        let runs = self.tally.runs;
        if proof.is_none() {
            let looks = self.tally.looks;
            doubts.push(format!("it was still moving after {looks} looks at it"));
        }
        let total = self.last_total.filter(|_| !self.tally.ended_early);
        if let Some(total) = total.filter(|total| *total > runs) {
            doubts.push(format!("the API says that there are {total} runs, and listed {runs}"));
        }
        if self.unnamed > 0 {
            doubts.push(format!("listed runs without an id: {}", self.unnamed));
        }
        doubts
    }
}
