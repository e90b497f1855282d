//! What a sync did, as the JSON result and the closing summary show it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::api::{ApiError, Traffic};
use crate::deliver::{DeliverError, Delivery};
use crate::extract::{Proof, SweepTally, Window};
use crate::interval::rfc3339;
use crate::lake::Gap;
use crate::ledger::StateCounts;

/// How a sync ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Everything that was listed is exported, or open.
    Complete,
    /// Some runs failed, a gap was found, or the list could not be relied on.
    Incomplete,
    /// It ended before its end; the next one goes on.
    Stopped,
    /// Somebody asked it to stop.
    Interrupted,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Complete, Self::Incomplete, Self::Stopped, Self::Interrupted];

    /// The word for it.
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
    /// As they were exported before.
    pub unchanged: u64,
    /// Their documents could not be had; tried again at the next sync.
    pub failed: u64,
    /// Listed, but the API says that there is no such run; tried again at the next sync.
    pub absent: u64,
    /// Exported with fewer rows than the API announces. They count among the others, too.
    pub partial: u64,
}

/// The time that was listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WindowReport {
    /// The `range` asked for.
    pub range: &'static str,
    /// Where it began, RFC 3339.
    pub from: Option<String>,
    /// The server's now.
    pub until: Option<String>,
}

/// How the list came out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SweepSummary {
    /// Pages asked for.
    pub pages: u32,
    /// How often the list was read from its head.
    pub looks: u32,
    /// Rows that stood on an earlier page too.
    pub repeats: u64,
    /// Runs that appeared at the head in the meantime.
    pub head_moved: u64,
    /// Whether the list ended early, in time that is proven.
    pub ended_early: bool,
    /// Whether every run of the window was seen.
    pub certified: bool,
    /// What proves it: `one_page`, `counted` or `seen_again`.
    pub proof: Option<&'static str>,
    /// Why it proves nothing.
    pub doubts: Vec<String>,
    /// Narrower lists that were read because the API lists only so far down.
    pub narrower_lists: u32,
    /// Runs that the API says there are, and that no list reached.
    pub out_of_reach: u64,
}

impl From<&SweepTally> for SweepSummary {
    fn from(tally: &SweepTally) -> Self {
        Self {
            pages: tally.pages,
            looks: tally.looks,
            repeats: tally.repeats,
            head_moved: tally.head_moved,
            ended_early: tally.ended_early,
            certified: tally.is_certified(),
            proof: tally.proof.map(Proof::name),
            doubts: tally.doubts.clone(),
            narrower_lists: tally.narrower_lists,
            out_of_reach: tally.out_of_reach,
        }
    }
}

/// A gap, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GapReport {
    /// Its begin, RFC 3339.
    pub from: Option<String>,
    /// Its end.
    pub until: Option<String>,
}

impl From<&Gap> for GapReport {
    fn from(gap: &Gap) -> Self {
        Self { from: rfc3339(gap.from), until: rfc3339(gap.until) }
    }
}

/// What became of the DuckDB file.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum DeliveryReport {
    /// It is up to date, or will be.
    Done(Delivery),
    /// It could not be brought up to date; the lake is whole.
    Failed {
        /// `duckdb`.
        target: &'static str,
        /// `failed`.
        state: &'static str,
        /// Why.
        error: String,
        /// The same, for the exit code.
        #[serde(skip)]
        source: DeliverError,
    },
}

/// What a sync did.
#[derive(Debug, Serialize)]
pub struct SyncReport {
    /// The sync.
    pub sync_id: String,
    /// How it ended.
    pub outcome: Outcome,
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
    /// How long it took.
    pub elapsed_ms: u64,
    /// Gaps known after it, also from earlier.
    pub gaps: Vec<GapReport>,
    /// Whether one of them was found by this sync.
    pub new_gap: bool,
    /// Whether the API listed no run where some are known to be.
    pub unexpected_zero: bool,
    /// Values that did not fit their column.
    pub issues: u64,
    /// What became of each target.
    pub deliveries: Vec<DeliveryReport>,
    /// What is not whole besides runs and their list, in words.
    pub other_troubles: Vec<String>,
    /// How the list came out.
    pub sweep: SweepSummary,
    /// Commits made.
    pub commits: u64,
    /// Runs of the ledger after it, by state.
    #[serde(skip)]
    pub ledger: StateCounts,
    /// Why it stopped before its end, in one line.
    pub stopped_by: Option<String>,
    /// The same, for the exit code.
    #[serde(skip)]
    pub stop: Option<ApiError>,
}

impl SyncReport {
    pub(super) fn complete(
        mut self,
        traffic: Traffic,
        delivery: Option<Result<Delivery, DeliverError>>,
        elapsed: Duration,
    ) -> Self {
        self.requests = traffic.requests;
        self.retries = traffic.retries;
        self.bytes_received = traffic.bytes_received;
        self.elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        self.deliveries.extend(delivery.map(|delivery| match delivery {
            Ok(delivery) => DeliveryReport::Done(delivery),
            Err(source) => DeliveryReport::Failed {
                target: "duckdb",
                state: "failed",
                error: source.to_string(),
                source,
            },
        }));
        self
    }

    /// Why a sync that came to its end is not complete, in words.
    pub fn reasons(&self) -> Vec<String> {
        let lost = "time that the API no longer lists was never exported (see `status`)";
        self.new_gap.then(|| lost.to_owned()).into_iter().chain(self.troubles()).collect()
    }

    /// The same without a new gap, which is a fact: nothing can be done about it any more.
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
        let doubts = doubts.map(|doubt| format!("the list could not be relied on: {doubt}"));
        let others = self.other_troubles.iter().cloned();
        failed.into_iter().chain(absent).chain(partial).chain(others).chain(doubts).collect()
    }

    /// Whether the lake is now proven up to this sync, and the DuckDB file has all of it.
    pub fn is_fresh(&self) -> bool {
        self.stop.is_none() && self.sweep.certified && self.delivery_error().is_none()
    }

    /// Why a target could not be brought up to date.
    pub fn delivery_error(&self) -> Option<&DeliverError> {
        self.deliveries.iter().find_map(|delivery| match delivery {
            DeliveryReport::Failed { source, .. } => Some(source),
            DeliveryReport::Done(_) => None,
        })
    }
}

impl From<Window> for WindowReport {
    fn from(window: Window) -> Self {
        Self {
            range: window.range.name(),
            from: rfc3339(window.from),
            until: rfc3339(window.until),
        }
    }
}
