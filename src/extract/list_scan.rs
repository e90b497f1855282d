//! One list, read in passes until it is certain that no run was overlooked, or that this cannot be
//! known.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use super::ListedRun;
use super::order::Order;
use super::scan::{Proof, ScanSummary, WindowScan};
use crate::api::ApiError;
use crate::digest::id_key;
use crate::event::Event;
use crate::listing::{ListQuery, Listing, Page};
use crate::time::Timestamp;

/// Maximum number of passes over a list that does not become stable, before the scan is reported as
/// uncertified.
const MOST_PASSES: u32 = 4;

/// Runs that started within this time after the window's start can leave the window while it is
/// listed.
const TAIL: Duration = Duration::from_hours(6);

/// Tolerance for the server's clock: its header has a resolution of seconds, and requests take
/// time.
const CLOCK_MARGIN: Duration = Duration::from_mins(5);

/// The result of scanning a list.
#[derive(Debug)]
pub(super) struct Scanned {
    pub(super) summary: ScanSummary,
    /// Set if the list, or a statement of the API about it, goes on beyond the rows received.
    pub(super) cut_off: Option<CutOff>,
}

/// A list that could not be read to its end.
#[derive(Debug)]
pub(super) struct CutOff {
    /// Why it counts as cut off.
    pub(super) reason: String,
    /// The total that the API stated with the first page, if it stated one.
    pub(super) total: Option<u64>,
    /// Keys of the listed runs that had started by then.
    pub(super) listed: HashSet<u128>,
    /// Whether the only evidence is the number of rows, which is a usual limit.
    pub(super) is_suspicion: bool,
}

/// The scan of one list.
pub(super) struct ListScan<'a, Wait, Show> {
    scan: &'a WindowScan<'a>,
    listing: Listing,
    wait: &'a Wait,
    show: &'a mut Show,
    order: Order,
    summary: ScanSummary,
    began: Instant,
    /// The start of the first run that was listed, by the server's clock.
    head: Option<Timestamp>,
    /// The total that the API stated with the first page.
    first_total: Option<u64>,
    last_total: Option<u64>,
    /// Runs that started no later than the first one.
    no_younger: u64,
    unnamed: u64,
    /// Number of runs with neither a readable status nor a readable start.
    unread: u64,
    /// Whether any run has a readable status or start.
    is_read: bool,
    /// Runs that this pass found for the first time although they are not younger than the head: an
    /// earlier pass overlooked them.
    between: u64,
    /// Keys of runs and their starts, by the server's clock, near the old end of the window, which
    /// can leave it as time passes.
    tail: HashMap<u128, Timestamp>,
    /// Keys of runs that started after the scan began.
    younger: HashSet<u128>,
    /// The server's clock at the last page.
    now: Timestamp,
}

impl<'a, Wait, Waiting, Show> ListScan<'a, Wait, Show>
where
    Wait: Fn() -> Waiting,
    Waiting: Future<Output = ()>,
    Show: FnMut(Vec<ListedRun>),
{
    /// Creates the scan of the list of a query.
    pub(super) fn new(
        scan: &'a WindowScan<'a>,
        query: ListQuery,
        wait: &'a Wait,
        show: &'a mut Show,
    ) -> Self {
        Self {
            scan,
            listing: Listing::new(scan.client.clone(), scan.events.clone(), query),
            wait,
            show,
            order: Order::new(scan.window.until),
            summary: ScanSummary::default(),
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
            now: scan.window.until,
        }
    }

    /// Reads the list in as many passes as a proof needs, up to the maximum.
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
        self.summary.pages = self.listing.pages();
        self.summary.proof = proof;
        self.summary.uncertainties = self.uncertainties(proof);
        let cut_off = self.cut_off();
        Scanned { summary: self.summary, cut_off }
    }

    async fn first_pass(&mut self) -> Result<(), ApiError> {
        self.summary.passes = 1;
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
            let began = self.scan.window.until;
            let younger = runs.iter().filter(|run| run.started_at > Some(began));
            self.younger.extend(younger.map(|run| id_key(&run.run_id)));
            self.summary.head_moved = u64::try_from(self.younger.len()).unwrap_or(u64::MAX);
            self.hand_over(runs);
            // All runs further down started in covered time, and are known.
            if self.order.is_past(self.scan.window.known_before) {
                self.summary.ended_early = true;
                return Ok(());
            }
        }
        self.summary.newest_first = self.order.is_newest_first().filter(|_| !self.ended_by_error());
        self.summary.reaches_to = Some(self.least_start());
        Ok(())
    }

    async fn next_page(&mut self) -> Result<Option<Page>, ApiError> {
        (self.wait)().await;
        self.listing.next().await
    }

    /// The window's start when its end was read: the window moves meanwhile, so coverage cannot
    /// start earlier. The server's clock can be missing, so the larger of two measurements counts.
    fn least_start(&self) -> Timestamp {
        let by_date = self.now.since(self.scan.window.until);
        self.scan.window.from + by_date.max(self.began.elapsed())
    }

    /// Whether an error ended the pass, and the API did not state that the list was complete.
    /// Another pass would end there, too, and finding the same runs again would prove nothing.
    fn ended_by_error(&self) -> bool {
        let ending = self.listing.ending();
        !self.summary.ended_early && ending.error.is_some() && !ending.is_stated
    }

    /// The proof of completeness after one pass; `None` if another pass is needed.
    fn proof_of_first_pass(&self) -> Option<Proof> {
        if self.summary.ended_early {
            // One response shows one moment, so nothing moved while it was read. With more pages,
            // the runs above the last one must be found again.
            return (self.listing.pages() == 1).then_some(Proof::OnePage);
        }
        // Runs that start during the scan are younger than the first one, so these numbers can be
        // equal only if no run was overlooked. A run without an id cannot be counted.
        let counted = self.summary.newest_first != Some(false)
            && self.unnamed == 0
            && self.first_total == Some(self.no_younger)
            && !self.listing.ending().is_cut_off();
        counted.then_some(Proof::Counted)
    }

    /// Reads the list again until a pass finds every run of the previous pass, and no other except
    /// younger ones at the head.
    async fn scan_until_stable(&mut self) -> Result<Option<Proof>, ApiError> {
        while self.summary.passes < MOST_PASSES {
            self.summary.passes += 1;
            if self.summary.ended_early {
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
                // The same runs, and the same statement that there are more: further passes would
                // not help.
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
        self.summary.reaches_to = Some(self.least_start());
        // A run that left the list can have let another one move up to a page that was already
        // read. One that only became too old for the window does not count.
        let lost = self.listing.not_seen_again().any(|run| !self.may_have_left(run));
        Ok(!lost && self.between == 0)
    }

    /// Reads from the head until every run above the last page of the previous pass was found
    /// again.
    async fn scan_again_above_last_page(&mut self) -> Result<bool, ApiError> {
        let most = self.listing.pages() * 2 + 4;
        // If the previous pass had a hole, the missing runs belong above its last page: only a pass
        // that reads down to that page itself has read past them.
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
                // A page that is missing in both passes shows only as a hole.
                return Ok(self.between == 0 && !self.listing.ending().has_hole);
            }
        }
        Ok(false)
    }

    /// Takes a page of a later pass. A run that is new in it started meanwhile, at the head, or was
    /// overlooked by an earlier pass.
    fn take_again(&mut self, page: Page) {
        let runs = self.take(page);
        let known_before = self.scan.window.known_before.filter(|_| self.summary.ended_early);
        for run in &runs {
            if self.order.is_unbroken() && run.started_at > self.head {
                self.summary.head_moved += 1;
                self.younger.insert(id_key(&run.run_id));
            } else if known_before.is_none() || run.started_at >= known_before {
                self.between += 1;
            }
        }
        self.hand_over(runs);
    }

    /// Whether a run that is no longer listed can have become too old for the window.
    fn may_have_left(&self, run: u128) -> bool {
        let least = self.now - self.scan.window.range.length();
        let start = self.tail.get(&run);
        start.is_some_and(|start| *start <= least + CLOCK_MARGIN)
    }

    /// Counts a page; returns the runs that were not listed before, in any pass.
    fn take(&mut self, page: Page) -> Vec<ListedRun> {
        self.last_total = page.total.or(self.last_total);
        self.now = page.date.unwrap_or(self.now).max(self.now);
        self.unnamed = self.unnamed.max(page.unnamed);
        self.summary.repeats += page.repeats;
        let paths = self.scan.paths;
        let runs: Vec<ListedRun> =
            page.new.into_iter().map(|row| ListedRun::read(row, paths)).collect();
        let count = u64::try_from(runs.len()).unwrap_or(u64::MAX);
        for run in &runs {
            let is_read = run.status.is_some() || run.started_at.is_some();
            self.is_read |= is_read;
            self.unread += u64::from(!is_read);
        }
        let end = self.scan.window.from + TAIL;
        let tail = runs.iter().filter_map(|run| Some((id_key(&run.run_id), run.started_at?)));
        self.tail.extend(tail.filter(|(_, start)| *start < end));
        let event = Event::PageListed { runs: count, total: self.last_total };
        self.scan.events.emit(event);
        runs
    }

    fn hand_over(&mut self, runs: Vec<ListedRun>) {
        if !runs.is_empty() {
            (self.show)(runs);
        }
    }

    /// Why the scan of this list is uncertified; empty if it is certified.
    fn uncertainties(&self, proof: Option<Proof>) -> Vec<String> {
        let mut uncertainties = Vec::new();
        let ending = self.listing.ending();
        if !self.summary.ended_early {
            let error = ending.error.filter(|_| !ending.is_stated);
            let pages = ending.pages;
            let noun = if pages == 1 { "page" } else { "pages" };
            let error = error.map(|error| format!("after {pages} {noun}: {error}"));
            uncertainties.extend(error.into_iter().chain(ending.contradiction));
        }
        if proof.is_none() && uncertainties.is_empty() {
            let passes = self.summary.passes;
            uncertainties.push(if ending.has_hole {
                format!("pages without a new run came before others, in each of {passes} passes")
            } else {
                format!("it was still changing after {passes} passes")
            });
        }
        if self.unnamed > 0 {
            uncertainties.push(format!("listed runs without an id: {}", self.unnamed));
        }
        if self.unread > 0 && !self.is_read {
            uncertainties.push(format!(
                "none of {} listed runs has a status or a start that is read: `armature-export \
                 doctor` shows the members, and [[columns]] names the right ones",
                self.unread
            ));
        }
        uncertainties
    }

    fn cut_off(&self) -> Option<CutOff> {
        let ending = self.listing.ending();
        if self.summary.ended_early || !(ending.is_cut_off() || ending.is_suspicious) {
            return None;
        }
        let listed: HashSet<u128> =
            self.listing.keys().filter(|key| !self.younger.contains(key)).collect();
        let reason = self.summary.uncertainties.first().cloned().unwrap_or_else(|| {
            format!("it ends after exactly {} runs, as limits do", self.listing.keys().count())
        });
        let is_suspicion = !ending.is_cut_off();
        Some(CutOff { reason, total: self.first_total, listed, is_suspicion })
    }
}
