//! Summarizing: what a sync saw, and what follows from it: coverage, gaps, outcome, and the record
//! and report of the sync. Pure: times and the newest commit are arguments.

use std::collections::BTreeMap;
use std::time::Duration;

use super::accounts::Accounts;
use super::report::{GapReport, RunCounts, ScanReport, SyncOutcome, SyncReport};
use crate::api::{ApiError, RequestStats};
use crate::extract::{Range, ScanSummary, Window, out_of_reach};
use crate::lake::{CommitFile, Gap, ScanRecord, SyncRecord};
use crate::ledger::{Ledger, LedgerError, StateCounts};
use crate::tables::ISSUES;
use crate::targets::DeliveryReport;
use crate::time::{Interval, Timestamp, merge};

/// What a sync saw so far.
#[derive(Debug)]
pub(super) struct SyncSummary {
    pub(super) window: Window,
    pub(super) counts: RunCounts,
    pub(super) accounts: Accounts,
    /// What is incomplete besides runs and their list, as text.
    pub(super) troubles: Vec<String>,
    /// The result of the list scan; `None` until it has ended.
    pub(super) scan: Option<ScanSummary>,
    pub(super) unexpected_zero: bool,
    /// Rows written, by table.
    pub(super) rows: BTreeMap<String, u64>,
    /// Commits made.
    pub(super) commits: u64,
}

/// How a sync ended, as its last commit states it.
#[derive(Debug)]
pub(super) struct Ending {
    pub(super) sync_id: String,
    pub(super) outcome: SyncOutcome,
    /// All gaps after the last commit.
    pub(super) gaps: Vec<Gap>,
    pub(super) has_new_gap: bool,
    /// Runs in the ledger, by state.
    pub(super) ledger: StateCounts,
    /// The error that ended it early.
    pub(super) stopped: Option<ApiError>,
}

/// What is known only once everything else is done.
#[derive(Debug)]
pub(super) struct Totals {
    pub(super) traffic: RequestStats,
    pub(super) deliveries: Vec<DeliveryReport>,
    pub(super) elapsed: Duration,
}

impl SyncSummary {
    pub(super) fn new(window: Window) -> Self {
        Self {
            window,
            counts: RunCounts::default(),
            accounts: Accounts::default(),
            troubles: Vec::new(),
            scan: None,
            unexpected_zero: false,
            rows: BTreeMap::new(),
            commits: 0,
        }
    }

    /// Takes the result of the list scan.
    ///
    /// # Errors
    /// [`LedgerError`] if no run was listed, and the ledger cannot be read.
    pub(super) fn add_scan(
        &mut self,
        mut scan: ScanSummary,
        ledger: &Ledger,
    ) -> Result<(), LedgerError> {
        self.counts.listed = scan.runs;
        let zero = if scan.runs == 0 { self.unexpected_zero(ledger)? } else { None };
        self.unexpected_zero = zero.is_some();
        scan.uncertainties.extend(zero);
        self.window = scan.window.unwrap_or(self.window);
        self.scan = Some(scan);
        Ok(())
    }

    /// An uncertainty if the list is empty although runs of the window are known: they cannot all
    /// have left the list.
    fn unexpected_zero(&self, ledger: &Ledger) -> Result<Option<String>, LedgerError> {
        const MARGIN: Duration = Duration::from_hours(1);
        let (from, until) = (self.window.from + MARGIN, self.window.until);
        let mut known = 0_u64;
        ledger.for_each_started(from, until, |_, entry| {
            let inside = |start: Timestamp| start > from && start < until;
            known += u64::from(entry.started_at.is_some_and(inside));
        })?;
        Ok((known > 0).then(|| {
            format!("the API lists no run, and {known} that it listed before started then")
        }))
    }

    /// Adds the uncertainties of the accounts, once all runs have come out.
    pub(super) fn check_accounts(&mut self, ledger: &Ledger) {
        let is_first = !ledger.has_exported();
        if let Some(scan) = &mut self.scan {
            scan.uncertainties.extend(self.accounts.uncertainties(scan.runs, is_first));
        }
    }

    fn is_certified(&self) -> bool {
        self.scan.as_ref().is_some_and(ScanSummary::is_certified)
    }

    /// The coverage, a watermark with holes, as this sync advances it; `None` if it does not change.
    pub(super) fn coverage(
        &self,
        head: Option<&CommitFile>,
        stopped: bool,
    ) -> Option<Vec<Interval>> {
        if stopped || !self.is_certified() {
            return None;
        }
        let before = head.map(|head| head.coverage.as_slice()).unwrap_or_default();
        // An empty first list is more likely a mistake than an empty month.
        if before.is_empty() && self.counts.listed == 0 {
            return None;
        }
        // A scan that ended early joins the coverage where it ended.
        let early = self.scan.as_ref().is_some_and(|scan| scan.ended_early);
        let known = self.window.known_before.filter(|_| early);
        let from = known.unwrap_or_else(|| self.listed_from());
        Some(merge(before, Interval { from, until: self.window.until }))
    }

    /// The start of the window when the end of the list was read: the window moves meanwhile.
    fn listed_from(&self) -> Timestamp {
        let reaches_to = self.scan.as_ref().and_then(|scan| scan.reaches_to);
        reaches_to.unwrap_or(self.window.from).max(self.window.from)
    }

    /// Time that is now out of reach and was never covered.
    pub(super) fn new_gaps(&self, head: Option<&CommitFile>, coverage: &[Interval]) -> Vec<Gap> {
        let known = head.map(CommitFile::gap_intervals).unwrap_or_default();
        let month = self.window.until - Range::Month.length();
        let reach = if self.window.range == Range::Month { self.listed_from() } else { month };
        let lost = out_of_reach(coverage, &known, reach).into_iter();
        let found_at = self.window.until;
        lost.map(|lost| Gap { from: lost.from, until: lost.until, found_at }).collect()
    }

    pub(super) fn outcome(&self, stopped: Option<&ApiError>, has_new_gap: bool) -> SyncOutcome {
        match stopped {
            Some(ApiError::Interrupted) => SyncOutcome::Interrupted,
            Some(_) => SyncOutcome::Stopped,
            None if self.counts.failed + self.counts.absent + self.counts.partial > 0
                || has_new_gap
                || !self.troubles.is_empty()
                || !self.is_certified() =>
            {
                SyncOutcome::Incomplete
            }
            None => SyncOutcome::Complete,
        }
    }

    /// The record of the sync for its last commit. `coverage` is the coverage after it.
    pub(super) fn record(
        &self,
        sync_id: &str,
        outcome: SyncOutcome,
        coverage: &[Interval],
        traffic: RequestStats,
        elapsed: Duration,
    ) -> SyncRecord {
        let scan = self.scan.as_ref();
        SyncRecord {
            sync_id: sync_id.to_owned(),
            outcome: outcome.name().to_owned(),
            started_at: self.window.until,
            elapsed_ms: milliseconds(elapsed),
            range: self.window.range.name().to_owned(),
            sweep: Some(scan.map(scan_record).unwrap_or_default()),
            certified: self.is_certified(),
            uncertified_because: scan.map(|scan| scan.uncertainties.clone()).unwrap_or_default(),
            proven_until: coverage.last().map(|last| last.until),
            runs_listed: self.counts.listed,
            runs_new: self.counts.new,
            runs_changed: self.counts.changed,
            runs_open: self.counts.open + self.counts.waiting,
            runs_failed: self.counts.failed,
            runs_absent: Some(self.counts.absent),
            runs_partial: Some(self.counts.partial),
            requests: traffic.requests,
            bytes_received: traffic.bytes_received,
        }
    }

    /// The report of the sync, once everything is done.
    pub(super) fn report(self, ending: Ending, totals: Totals) -> SyncReport {
        let mut rows = self.rows;
        let issues = rows.remove(ISSUES.name).unwrap_or(0);
        SyncReport {
            sync_id: ending.sync_id,
            outcome: ending.outcome,
            window: self.window.into(),
            runs: self.counts,
            rows,
            requests: totals.traffic.requests,
            retries: totals.traffic.retries,
            bytes_received: totals.traffic.bytes_received,
            elapsed_ms: milliseconds(totals.elapsed),
            gaps: ending.gaps.iter().map(GapReport::from).collect(),
            new_gap: ending.has_new_gap,
            unexpected_zero: self.unexpected_zero,
            issues,
            deliveries: totals.deliveries,
            other_troubles: self.troubles,
            sweep: self.scan.as_ref().map(ScanReport::from).unwrap_or_default(),
            commits: self.commits,
            ledger: ending.ledger,
            stopped_by: ending.stopped.as_ref().map(ToString::to_string),
            stop: ending.stopped,
        }
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn scan_record(summary: &ScanSummary) -> ScanRecord {
    ScanRecord {
        pages: summary.pages,
        looks: summary.passes,
        repeats: summary.repeats,
        head_moved: summary.head_moved,
        ended_early: summary.ended_early,
        proof: summary.proof.map(|proof| proof.name().to_owned()),
    }
}
