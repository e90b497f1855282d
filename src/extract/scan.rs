//! A list scan: what to scan, and what came of it. The commit file and `_syncs` call it a sweep.

use super::{RunPaths, Window};
use crate::api::Client;
use crate::config::Filters;
use crate::event::Events;
use crate::time::Timestamp;

/// The evidence that certifies the completeness of a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Proof {
    /// Everything that is not yet covered was on one page: one response shows one moment.
    OnePage,
    /// The number of runs seen that started no later than the first one listed equals the total that
    /// the server stated with the first page.
    Counted,
    /// Another pass from the head found every run of the previous pass again, and none between: so
    /// no run had moved up to a page that was already read.
    SeenAgain,
}

impl Proof {
    /// The name in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::OnePage => "one_page",
            Self::Counted => "counted",
            Self::SeenAgain => "seen_again",
        }
    }
}

/// The results of a list scan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScanSummary {
    /// Pages requested.
    pub pages: u32,
    /// Number of passes: how often the list was read from its head, the first time included.
    pub passes: u32,
    /// Distinct runs.
    pub runs: u64,
    /// Rows that were on an earlier page, too: the list moved, or pages overlap.
    pub repeats: u64,
    /// Runs that started during the scan.
    pub head_moved: u64,
    /// Whether it ended early, in covered time.
    pub ended_early: bool,
    /// The evidence that certifies it; of several lists the weakest.
    pub proof: Option<Proof>,
    /// Why it is uncertified; empty if it is certified.
    pub uncertainties: Vec<String>,
    /// Whether the whole list went from new to old; `None` if not all of it was read.
    pub newest_first: Option<bool>,
    /// Runs that started before this may have left the window before they could be read, by
    /// the server's clock. New coverage does not start earlier.
    pub reaches_to: Option<Timestamp>,
    /// The window that was listed: a smaller one than planned if the API refused the range.
    pub window: Option<Window>,
    /// Number of narrower lists that were read because the API limits how far it lists.
    pub narrower_lists: u32,
    /// Runs that the API's total includes, and that no list reached.
    pub out_of_reach: u64,
}

impl ScanSummary {
    /// Whether the scan is certified as complete: every run of the window was seen.
    pub fn is_certified(&self) -> bool {
        self.uncertainties.is_empty()
    }

    pub(super) fn add(&mut self, other: Self) {
        self.pages += other.pages;
        self.passes = self.passes.max(other.passes);
        self.repeats += other.repeats;
        self.head_moved += other.head_moved;
        self.ended_early |= other.ended_early;
        self.proof = self.proof.max(other.proof);
        self.uncertainties.extend(other.uncertainties);
        self.newest_first = match (self.newest_first, other.newest_first) {
            (Some(one), Some(other)) => Some(one && other),
            (one, other) => one.or(other),
        };
        self.reaches_to = self.reaches_to.max(other.reaches_to);
        self.narrower_lists += other.narrower_lists;
        self.out_of_reach += other.out_of_reach;
    }
}

/// The scan of a window.
#[derive(Clone, Copy, Debug)]
pub struct WindowScan<'a> {
    /// The API.
    pub client: &'a Client,
    /// Receives what happens.
    pub events: &'a Events,
    /// The window to list.
    pub window: Window,
    /// Whether a smaller range may be listed if the API refuses the window's.
    pub may_shrink: bool,
    /// Filters on the runs.
    pub filters: &'a Filters,
    /// Where a run's members are.
    pub paths: &'a RunPaths,
}
