//! The result of a sync, as the JSON result and the closing summary show it.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::api::ApiError;
use crate::extract::{Proof, ScanSummary, Window};
use crate::lake::Gap;
use crate::ledger::StateCounts;
use crate::targets::{DeliverError, DeliveryReport};

/// How a sync ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SyncOutcome {
    /// Everything that was listed is exported, or open.
    Complete,
    /// Some runs failed, a gap was found, or the list scan is uncertified.
    Incomplete,
    /// It ended early; the next sync continues.
    Stopped,
    /// A stop was requested.
    Interrupted,
}

impl SyncOutcome {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Complete, Self::Incomplete, Self::Stopped, Self::Interrupted];

    /// The name in JSON and in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Incomplete => "incomplete",
            Self::Stopped => "stopped",
            Self::Interrupted => "interrupted",
        }
    }
}

/// Runs by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RunCounts {
    /// Listed by the API in the window.
    pub listed: u64,
    /// Exported for the first time.
    pub new: u64,
    /// Exported again at a higher revision: changed, or evaluated late.
    pub changed: u64,
    /// Not ended yet.
    pub open: u64,
    /// Ended, and waiting for their evaluation.
    pub waiting: u64,
    /// Unchanged since their last export.
    pub unchanged: u64,
    /// A document could not be fetched; retried at the next sync.
    pub failed: u64,
    /// Listed, but the API states that there is no such run; retried at the next sync.
    pub absent: u64,
    /// Exported with fewer rows than the API announces. They are also counted among the others.
    pub partial: u64,
}

/// The time that was listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WindowReport {
    /// The requested `range`.
    pub range: &'static str,
    /// Start of the window, RFC 3339.
    pub from: Option<String>,
    /// End of the window: the server's time when it was planned, RFC 3339.
    pub until: Option<String>,
}

/// The results of the list scan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ScanReport {
    /// Pages requested.
    pub pages: u32,
    /// Number of passes: how often the list was read from its head.
    pub looks: u32,
    /// Rows that were on an earlier page, too.
    pub repeats: u64,
    /// Runs that appeared at the head during the scan.
    pub head_moved: u64,
    /// Whether the scan ended early, in covered time.
    pub ended_early: bool,
    /// Whether the scan is certified: every run of the window was seen.
    pub certified: bool,
    /// The evidence: `one_page`, `counted` or `seen_again`.
    pub proof: Option<&'static str>,
    /// Why the scan is uncertified; empty if it is certified.
    pub doubts: Vec<String>,
    /// Number of narrower lists that were read because the API limits how far it lists.
    pub narrower_lists: u32,
    /// Runs that the API's total includes, and that no list reached.
    pub out_of_reach: u64,
}

impl From<&ScanSummary> for ScanReport {
    fn from(summary: &ScanSummary) -> Self {
        Self {
            pages: summary.pages,
            looks: summary.passes,
            repeats: summary.repeats,
            head_moved: summary.head_moved,
            ended_early: summary.ended_early,
            certified: summary.is_certified(),
            proof: summary.proof.map(Proof::name),
            doubts: summary.uncertainties.clone(),
            narrower_lists: summary.narrower_lists,
            out_of_reach: summary.out_of_reach,
        }
    }
}

/// A gap, with its times as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GapReport {
    /// Start, RFC 3339.
    pub from: Option<String>,
    /// End, RFC 3339.
    pub until: Option<String>,
}

impl From<&Gap> for GapReport {
    fn from(gap: &Gap) -> Self {
        Self { from: gap.from.rfc3339(), until: gap.until.rfc3339() }
    }
}

/// The result of a sync.
#[derive(Debug, Serialize)]
pub struct SyncReport {
    /// The id of the sync.
    pub sync_id: String,
    /// How it ended.
    pub outcome: SyncOutcome,
    /// The time that was listed.
    pub window: WindowReport,
    /// Runs by what became of them.
    pub runs: RunCounts,
    /// Rows written, by table.
    pub rows: BTreeMap<String, u64>,
    /// Requests sent, retries included.
    pub requests: u64,
    /// Requests that were sent again.
    pub retries: u64,
    /// Bytes of bodies, decompressed.
    pub bytes_received: u64,
    /// Duration of the sync, in milliseconds.
    pub elapsed_ms: u64,
    /// All known gaps, earlier ones included.
    pub gaps: Vec<GapReport>,
    /// Whether one of them was found by this sync.
    pub new_gap: bool,
    /// Whether the API listed no run although the ledger knows runs of the window.
    pub unexpected_zero: bool,
    /// Values that did not fit their column.
    pub issues: u64,
    /// The delivery to each target.
    pub deliveries: Vec<DeliveryReport>,
    /// What is incomplete besides runs and their list, as text.
    pub other_troubles: Vec<String>,
    /// The results of the list scan.
    pub sweep: ScanReport,
    /// Commits made.
    pub commits: u64,
    /// Runs in the ledger after the sync, by state.
    #[serde(skip)]
    pub ledger: StateCounts,
    /// Why it stopped early, in one line.
    pub stopped_by: Option<String>,
    /// The error itself, for the exit code.
    #[serde(skip)]
    pub stop: Option<ApiError>,
}

impl SyncReport {
    /// Why a sync that was not stopped is incomplete, as text.
    pub fn reasons(&self) -> Vec<String> {
        let lost = "a period that the API no longer lists was never exported (see `status`)";
        self.new_gap.then(|| lost.to_owned()).into_iter().chain(self.troubles()).collect()
    }

    /// The reasons without a new gap, which cannot be repaired: its runs are no longer listed.
    pub fn troubles(&self) -> Vec<String> {
        let failed = self.runs.failed;
        let noun = if failed == 1 { "run" } else { "runs" };
        let failed = (failed > 0).then(|| {
            format!("{failed} {noun} could not be fetched; tried again next time (see `status`)")
        });
        let many = |number: u64| if number == 1 { "run" } else { "runs" };
        let absent = self.runs.absent;
        let absent = (absent > 0).then(|| {
            format!(
                "{absent} listed {}; tried again next time (see `status`)",
                if absent == 1 {
                    "run is answered with 404 by its id"
                } else {
                    "runs are answered with 404 by their ids"
                }
            )
        });
        let partial = self.runs.partial;
        let partial = (partial > 0).then(|| {
            format!(
                "{partial} {} came with fewer rows than the API announces; tried again later (see \
                 table _issues)",
                many(partial)
            )
        });
        let doubts = self.sweep.doubts.iter();
        let doubts = doubts.map(|doubt| format!("the list is uncertified: {doubt}"));
        let others = self.other_troubles.iter().cloned();
        failed.into_iter().chain(absent).chain(partial).chain(others).chain(doubts).collect()
    }

    /// Whether the coverage now reaches this sync, and every target was brought up to date.
    pub fn is_fresh(&self) -> bool {
        self.stop.is_none() && self.sweep.certified && self.delivery_error().is_none()
    }

    /// Why a target could not be brought up to date.
    pub fn delivery_error(&self) -> Option<&DeliverError> {
        self.deliveries.iter().find_map(DeliveryReport::error)
    }
}

impl From<Window> for WindowReport {
    fn from(window: Window) -> Self {
        Self {
            range: window.range.name(),
            from: window.from.rfc3339(),
            until: window.until.rfc3339(),
        }
    }
}
