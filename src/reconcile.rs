//! Compares the API's list with the ledger: is every listed run in the lake?
//!
//! A sync does not list covered time again. A reconciliation lists all time that the API can list,
//! and compares run by run. It thereby finds an error of an earlier sync, a ledger that was
//! restored from a backup, and a run that changed long after its end.

use std::collections::{BTreeMap, HashSet};
use std::time::Instant;

use serde::Serialize;

use crate::api::{ApiError, RequestStats};
use crate::config::RangeChoice;
use crate::digest::id_key;
use crate::extract::{Decision, ListedRun, RunPaths, ScanSummary, Window, WindowScan, decide};
use crate::job::JobError;
use crate::lake::{LakeError, LakeView};
use crate::ledger::{Entry, Ledger, LedgerError, RunState};
use crate::query::{LakeReader, QueryError};
use crate::sync::{ScanReport, Session, SyncOptions};
use crate::tables::RUNS;
use crate::time::{DAY, Timestamp};

/// How a listed run compares with the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Its row in the list is the same as in the tables, or it is open in both.
    Same,
    /// It ended, and is neither in the ledger nor in the tables.
    Missing,
    /// It is in the tables and not in the ledger: fetching it again would duplicate its rows.
    NotInLedger,
    /// It is in the tables, and its row in the list has changed.
    Changed,
    /// A document could not be fetched so far.
    Failed,
    /// It has ended, and the ledger has it as open or waiting: the next sync exports it.
    Pending,
}

/// Numbers of runs by [`Verdict`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// Runs that the API lists.
    pub listed: u64,
    /// Runs with [`Verdict::Same`].
    pub same: u64,
    /// Runs with [`Verdict::Missing`].
    pub missing: u64,
    /// Runs with [`Verdict::NotInLedger`].
    pub not_in_ledger: u64,
    /// Runs with [`Verdict::Changed`].
    pub changed: u64,
    /// Runs with [`Verdict::Failed`].
    pub failed: u64,
    /// Runs with [`Verdict::Pending`].
    pub pending: u64,
}

impl Comparison {
    fn add(&mut self, verdict: Verdict) {
        self.listed += 1;
        *self.of(verdict) += 1;
    }

    fn of(&mut self, verdict: Verdict) -> &mut u64 {
        match verdict {
            Verdict::Same => &mut self.same,
            Verdict::Missing => &mut self.missing,
            Verdict::NotInLedger => &mut self.not_in_ledger,
            Verdict::Changed => &mut self.changed,
            Verdict::Failed => &mut self.failed,
            Verdict::Pending => &mut self.pending,
        }
    }

    /// Adds the numbers of another comparison.
    pub fn merge(&mut self, other: Self) {
        self.listed += other.listed;
        self.same += other.same;
        self.missing += other.missing;
        self.not_in_ledger += other.not_in_ledger;
        self.changed += other.changed;
        self.failed += other.failed;
        self.pending += other.pending;
    }

    /// Whether every listed run is the same or pending.
    pub fn is_same(&self) -> bool {
        self.listed == self.same + self.pending
    }
}

/// The comparison of the runs of one day, workflow and status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Group {
    /// The UTC day on which they started, as `2026-11-23`; `None` if the list does not state it.
    pub day: Option<String>,
    /// The id of their workflow; `None` if the list does not state it.
    pub workflow_id: Option<String>,
    /// Their status in the list; `None` if the list does not state it.
    pub status: Option<String>,
    /// Numbers of runs.
    #[serde(rename = "runs")]
    pub comparison: Comparison,
}

/// A run that is neither the same nor pending.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The id of the run.
    pub run_id: String,
    /// How it compares.
    pub verdict: Verdict,
}

/// Result of a reconciliation.
#[derive(Clone, Debug, Serialize)]
pub struct Reconciliation {
    /// The result of the list scan.
    pub sweep: ScanReport,
    /// Numbers of all listed runs.
    pub total: Comparison,
    /// Numbers by day, workflow and status.
    pub groups: Vec<Group>,
    /// Every run that is neither the same nor pending.
    pub differences: Vec<Difference>,
    /// Exported runs that started in the window and are not listed any more. They stay in the lake.
    pub no_longer_listed: u64,
    /// Requests sent.
    pub requests: u64,
}

impl Reconciliation {
    /// Whether the list scan is certified, and no listed run differs.
    pub fn is_well(&self) -> bool {
        self.sweep.certified && self.total.is_same()
    }

    /// The ids of the differing runs with a verdict.
    pub fn with_verdict(&self, verdict: Verdict) -> impl Iterator<Item = &str> {
        let found = self.differences.iter().filter(move |one| one.verdict == verdict);
        found.map(|one| one.run_id.as_str())
    }
}

/// Why a comparison failed.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// A request to the API failed.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The lake, or its data files, cannot be read.
    #[error(transparent)]
    Job(#[from] JobError),
}

impl From<LakeError> for ReconcileError {
    fn from(error: LakeError) -> Self {
        Self::Job(error.into())
    }
}

impl From<LedgerError> for ReconcileError {
    fn from(error: LedgerError) -> Self {
        LakeError::from(error).into()
    }
}

impl From<QueryError> for ReconcileError {
    fn from(error: QueryError) -> Self {
        Self::Job(error.into())
    }
}

/// Lists all time that the API can list, and compares it with the ledger. Changes nothing, and
/// takes no lock.
///
/// # Errors
/// [`ReconcileError`] if the API cannot be listed, or the lake cannot be read.
pub async fn reconcile(options: &SyncOptions) -> Result<Reconciliation, ReconcileError> {
    let session = Session::open(options, Instant::now()).await?;
    let Session { client, organization, .. } = &session;
    let filters = &options.filters;
    let lake = LakeView::open(&options.store).await?;
    lake.check_export(organization.id.as_deref(), filters)?;
    let (ledger, _) = lake.ledger().await?;
    let window = session.window(options, RangeChoice::Month, lake.head());
    let paths = RunPaths::new(&options.mapping);
    let scan = WindowScan {
        client,
        events: &options.events,
        window,
        may_shrink: true,
        filters,
        paths: &paths,
    };
    let mut compared = Compared::new(&ledger, window, &paths);
    let mut unreadable = None;
    let compare = |runs| {
        if unreadable.is_none() {
            unreadable = compared.add(runs).err();
        }
    };
    let (summary, listed) = scan.run(|| std::future::ready(()), compare).await?;
    if let Some(error) = unreadable {
        return Err(error.into());
    }
    let in_tables = in_tables(&lake, &compared.missing(), options).await?;
    Ok(compared.finish(&summary, &listed, &in_tables, client.request_stats())?)
}

/// The runs of a list that are in the tables.
async fn in_tables(
    lake: &LakeView,
    runs: &[String],
    options: &SyncOptions,
) -> Result<HashSet<String>, ReconcileError> {
    if runs.is_empty() {
        return Ok(HashSet::new());
    }
    let live = lake.snapshot().await?;
    let parts = live.iter().map(|live| &live.part).filter(|part| part.table == RUNS.name);
    let SyncOptions { mapping, query, .. } = options;
    let mut reader = LakeReader::open(lake.store(), parts, mapping, query)?;
    reader.load("missing", runs.iter().map(|run_id| (run_id.as_str(), 0)))?;
    let found = reader.rows("SELECT id FROM missing SEMI JOIN runs ON run_id = id")?;
    Ok(found.into_iter().filter_map(|mut row| row.pop().flatten()).collect())
}

/// Day, workflow and status.
type GroupKey = (Option<String>, Option<String>, Option<String>);

struct Compared<'a> {
    ledger: &'a Ledger,
    window: Window,
    paths: &'a RunPaths,
    groups: BTreeMap<GroupKey, Comparison>,
    differences: Vec<(Difference, GroupKey)>,
}

impl<'a> Compared<'a> {
    fn new(ledger: &'a Ledger, window: Window, paths: &'a RunPaths) -> Self {
        Self { ledger, window, paths, groups: BTreeMap::new(), differences: Vec::new() }
    }

    /// Compares runs, none of which came before.
    fn add(&mut self, runs: Vec<ListedRun>) -> Result<(), LedgerError> {
        for run in runs {
            let known = self.ledger.get(&run.run_id, run.started_at)?;
            let verdict = verdict(&run, known.as_ref(), self.window.until);
            let day = run.started_at.and_then(Timestamp::utc_day);
            let key = (day, run.workflow_id(self.paths), run.status.clone());
            self.groups.entry(key.clone()).or_default().add(verdict);
            if !matches!(verdict, Verdict::Same | Verdict::Pending) {
                self.differences.push((Difference { run_id: run.run_id, verdict }, key));
            }
        }
        Ok(())
    }

    fn missing(&self) -> Vec<String> {
        let differences = self.differences.iter().map(|(difference, _)| difference);
        let missing = differences.filter(|one| one.verdict == Verdict::Missing);
        missing.map(|one| one.run_id.clone()).collect()
    }

    fn finish(
        mut self,
        tally: &ScanSummary,
        listed: &HashSet<u128>,
        in_tables: &HashSet<String>,
        traffic: RequestStats,
    ) -> Result<Reconciliation, LedgerError> {
        for (difference, key) in &mut self.differences {
            if in_tables.contains(&difference.run_id) {
                difference.verdict = Verdict::NotInLedger;
                let group = self.groups.entry(key.clone()).or_default();
                group.missing = group.missing.saturating_sub(1);
                group.not_in_ledger += 1;
            }
        }
        let mut total = Comparison::default();
        self.groups.values().for_each(|group| total.merge(*group));
        // Runs near the start of the window may have left it during the scan: skip one day.
        let window = tally.window.unwrap_or(self.window);
        let from = window.from + DAY;
        let (mut no_longer_listed, forever) = (0, Timestamp::from_micros(i64::MAX));
        self.ledger.for_each_started(from, forever, |run_id, entry| {
            let is_gone = entry.state == RunState::Exported && !listed.contains(&id_key(run_id));
            no_longer_listed += u64::from(is_gone);
        })?;
        let groups = self.groups.into_iter().map(|((day, workflow_id, status), comparison)| {
            Group { day, workflow_id, status, comparison }
        });
        Ok(Reconciliation {
            sweep: ScanReport::from(tally),
            total,
            groups: groups.collect(),
            differences: self.differences.into_iter().map(|(difference, _)| difference).collect(),
            no_longer_listed,
            requests: traffic.requests,
        })
    }
}

fn verdict(run: &ListedRun, known: Option<&Entry>, now: Timestamp) -> Verdict {
    let state = known.map(|entry| entry.state);
    match (decide(run, known, now), state) {
        (Decision::Open | Decision::Unchanged, _) => Verdict::Same,
        (_, Some(RunState::Failed)) => Verdict::Failed,
        (_, Some(RunState::Open | RunState::Waiting)) => Verdict::Pending,
        // Its evaluation is due to be requested again; its row in the list has not changed.
        (Decision::CheckEvaluation, _) => Verdict::Same,
        // Missing rows of its documents are due to be requested again; its row in the list has not
        // changed.
        (Decision::Fetch, Some(RunState::Exported))
            if known.is_some_and(|entry| entry.row_fingerprint == run.fingerprint) =>
        {
            Verdict::Same
        }
        (Decision::Fetch, Some(RunState::Exported)) => Verdict::Changed,
        (Decision::Fetch, None | Some(RunState::Absent)) => Verdict::Missing,
    }
}
