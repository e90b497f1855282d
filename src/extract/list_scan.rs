//! One list, read in passes until it is certain that no run was overlooked, or that this cannot be
//! known.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use super::ListedRun;
use super::order::Order;
use super::sweep::{Proof, Sweep, SweepTally};
use crate::api::{ApiError, ListQuery, Listing, Page};
use crate::digest::id_key;
use crate::event::Event;

/// Maximum number of passes over a list that does not come to rest: after them, nothing is proven.
const MOST_PASSES: u32 = 4;

/// Runs that started so little after the window's begin can leave it while it is listed.
const TAIL_MICROSECONDS: i64 = 6 * 3_600 * 1_000_000;

/// The server's clock has seconds in its header, and requests travel.
const CLOCK_MARGIN: i64 = 5 * 60 * 1_000_000;

/// What came of a list.
#[derive(Debug)]
pub(super) struct Scanned {
    pub(super) tally: SweepTally,
    /// Set where the list, or what the API says of it, goes on beyond the rows that came.
    pub(super) cut_off: Option<CutOff>,
}

/// A list that could not be read to its end.
#[derive(Debug)]
pub(super) struct CutOff {
    /// Why it is taken for cut off.
    pub(super) reason: String,
    /// How many runs there were when the first page was given, where the API said so.
    pub(super) total: Option<u64>,
    /// Keys of the runs that came and had started by then.
    pub(super) listed: HashSet<u128>,
    /// Whether only the number of rows speaks for it: as many as limits usually are.
    pub(super) is_suspicion: bool,
}

/// The scan of one list.
pub(super) struct ListScan<'a, Wait, Show> {
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
    /// Runs without a status and a start that can be read, and whether there is one that has.
    unread: u64,
    is_read: bool,
    /// Runs that this pass found for the first time, though they are no younger than the head.
    between: u64,
    /// Keys of runs near the end of the window, which time may take out of it, with their starts.
    tail: HashMap<u128, i64>,
    /// Keys of runs that started after the scan did.
    younger: HashSet<u128>,
    /// The server's clock at the last page.
    now: i64,
}

impl<'a, Wait, Waiting, Show> ListScan<'a, Wait, Show>
where
    Wait: Fn() -> Waiting,
    Waiting: Future<Output = ()>,
    Show: FnMut(Vec<ListedRun>),
{
    /// Of the list that a query gives.
    pub(super) fn new(
        sweep: &'a Sweep<'a>,
        query: ListQuery,
        wait: &'a Wait,
        show: &'a mut Show,
    ) -> Self {
        Self {
            sweep,
            listing: Listing::new(sweep.client.clone(), query),
            wait,
            show,
            order: Order::new(sweep.window.until),
            tally: SweepTally::default(),
            began: Instant::now(),
            head: None,
            first_total: None,
            last_total: None,
            no_younger: 0,
            unnamed: 0,
            unread: 0,
            is_read: false,
            between: 0,
            tail: HashMap::new(),
            younger: HashSet::new(),
            now: sweep.window.until,
        }
    }

    /// Reads the list in as many passes as it takes.
    pub(super) async fn run(mut self) -> Result<Scanned, ApiError> {
        self.first_pass().await?;
        let proof = match self.proof_of_first_pass() {
            None if !self.ended_by_error() => self.scan_until_stable().await?,
            proof => proof,
        };
        Ok(self.finish(proof))
    }

    /// Reads the list once, for runs that another list did not reach.
    pub(super) async fn run_once(mut self) -> Result<Scanned, ApiError> {
        self.first_pass().await?;
        Ok(self.finish(None))
    }

    fn finish(mut self, proof: Option<Proof>) -> Scanned {
        self.tally.pages = self.listing.pages();
        self.tally.proof = proof;
        self.tally.doubts = self.doubts(proof);
        let cut_off = self.cut_off();
        Scanned { tally: self.tally, cut_off }
    }

    async fn first_pass(&mut self) -> Result<(), ApiError> {
        self.tally.looks = 1;
        let mut is_first = true;
        while let Some(page) = self.next_page().await? {
            if std::mem::replace(&mut is_first, false) {
                self.first_total = page.total;
            }
            let runs = self.take(page);
            self.order.note(&runs);
            self.head = self.head.or(runs.first().and_then(|run| run.started_at));
            let head = self.head;
            let no_younger = runs.iter().filter(|run| run.started_at <= head).count();
            self.no_younger += u64::try_from(no_younger).unwrap_or(0);
            let began = self.sweep.window.until;
            let younger = runs.iter().filter(|run| run.started_at > Some(began));
            self.younger.extend(younger.map(|run| id_key(&run.run_id)));
            self.tally.head_moved = u64::try_from(self.younger.len()).unwrap_or(u64::MAX);
            self.hand_over(runs);
            if self.order.is_past(self.sweep.window.known_before) {
                self.tally.ended_early = true;
                return Ok(());
            }
        }
        self.tally.newest_first = self.order.is_newest_first().filter(|_| !self.ended_by_error());
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

    /// Whether an error ended the pass where the API did not say that it was complete. Another
    /// pass would end there, too, and finding the same runs again would prove nothing.
    fn ended_by_error(&self) -> bool {
        let ending = self.listing.ending();
        !self.tally.ended_early && ending.error.is_some() && !ending.is_stated
    }

    fn proof_of_first_pass(&self) -> Option<Proof> {
        if self.tally.ended_early {
            return (self.listing.pages() == 1).then_some(Proof::OnePage);
        }
        let counted = self.tally.newest_first != Some(false)
            && self.unnamed == 0
            && self.first_total == Some(self.no_younger)
            && !self.listing.ending().is_cut_off();
        counted.then_some(Proof::Counted)
    }

    /// Reads the list again until a pass finds all that the one before found, and nothing between.
    async fn scan_until_stable(&mut self) -> Result<Option<Proof>, ApiError> {
        while self.tally.looks < MOST_PASSES {
            self.tally.looks += 1;
            if self.tally.ended_early {
                if self.scan_again_above_last_page().await? {
                    return Ok(Some(Proof::SeenAgain));
                }
                continue;
            }
            let is_stable = self.scan_again().await? && !self.listing.ending().has_hole;
            if self.ended_by_error() {
                break;
            }
            match (is_stable, self.listing.ending().is_cut_off()) {
                (true, false) => return Ok(Some(Proof::SeenAgain)),
                // The same runs, and the same statement that there are more.
                (true, true) => break,
                (false, _) => {}
            }
        }
        Ok(None)
    }

    async fn scan_again(&mut self) -> Result<bool, ApiError> {
        self.listing.again();
        self.between = 0;
        while let Some(page) = self.next_page().await? {
            self.take_again(page);
        }
        self.tally.reaches_to = Some(self.least_start());
        let lost = self.listing.not_seen_again().any(|run| !self.may_have_left(run));
        Ok(!lost && self.between == 0)
    }

    /// As far down as it takes to find what stood above the last page of the pass before.
    async fn scan_again_above_last_page(&mut self) -> Result<bool, ApiError> {
        let most = self.listing.pages() * 2 + 4;
        // What is missing where the pass before had a hole stands above its last page: only a pass
        // that comes down to that page itself has read over it.
        if self.listing.ending().has_hole {
            self.listing.again();
        } else {
            self.listing.again_above_last_page();
        }
        self.between = 0;
        while self.listing.pages() < most {
            let Some(page) = self.next_page().await? else { break };
            self.take_again(page);
            if self.listing.not_seen_again().next().is_none() {
                // A page that is left out of two passes shows as a hole only.
                return Ok(self.between == 0 && !self.listing.ending().has_hole);
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
                self.younger.insert(id_key(&run.run_id));
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
        for run in &runs {
            let is_read = run.status.is_some() || run.started_at.is_some();
            self.is_read |= is_read;
            self.unread += u64::from(!is_read);
        }
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
        let ending = self.listing.ending();
        if !self.tally.ended_early {
            let error = ending.error.filter(|_| !ending.is_stated);
            let pages = ending.pages;
            let noun = if pages == 1 { "page" } else { "pages" };
            let error = error.map(|error| format!("after {pages} {noun}: {error}"));
            doubts.extend(error.into_iter().chain(ending.contradiction));
        }
        if proof.is_none() && doubts.is_empty() {
            let passes = self.tally.looks;
            doubts.push(if ending.has_hole {
                format!("pages without a new run came before others, in each of {passes} passes")
            } else {
                format!("it was still moving after {passes} looks at it")
            });
        }
        if self.unnamed > 0 {
            doubts.push(format!("listed runs without an id: {}", self.unnamed));
        }
        if self.unread > 0 && !self.is_read {
            doubts.push(format!(
                "none of {} listed runs has a status or a start that is read: `armature-export \
                 doctor` shows the members, and [[columns]] names the right ones",
                self.unread
            ));
        }
        doubts
    }

    fn cut_off(&self) -> Option<CutOff> {
        let ending = self.listing.ending();
        if self.tally.ended_early || !(ending.is_cut_off() || ending.is_suspicious) {
            return None;
        }
        let listed: HashSet<u128> =
            self.listing.keys().filter(|key| !self.younger.contains(key)).collect();
        let reason = self.tally.doubts.first().cloned().unwrap_or_else(|| {
            format!("it ends after exactly {} runs, as limits do", self.listing.keys().count())
        });
        let is_suspicion = !ending.is_cut_off();
        Some(CutOff { reason, total: self.first_total, listed, is_suspicion })
    }
}
