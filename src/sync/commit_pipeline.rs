//! The middle of a sync: turns the results of the extraction into commits.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::timeout;

use super::SyncError;
use super::accounts::Accounts;
use super::options::{SECOND, SyncOptions, microseconds};
use super::report::{GapReport, Outcome, RunCounts, ScanReport, SyncReport};
use super::transition::{observed, shown_open, transition};
use crate::api::{ApiError, Client, RequestStats};
use crate::config::Settings;
use crate::data_files::ChunkWriter;
use crate::digest::fingerprint;
use crate::event::{Event, Events};
use crate::extract::{
    ExtractEvent, Extraction, ListedRun, Range, RunPaths, ScanSummary, Window, out_of_reach,
    resource_list,
};
use crate::interval::{Interval, merge};
use crate::lake::{
    CommitBuilder, CommittedLake, DataFileOptions, DataFileWriter, Gap, Lake, Manifest, ScanRecord,
    Staging, SyncRecord,
};
use crate::ledger::{Change, Entry, FetchOutcome, RecheckPolicy, Transition};
use crate::normalize::{ExportContext, OpenRun, open_run_rows, resource_rows};
use crate::run::FetchedRun;
use crate::tables::{ISSUES, ListDocument, MCP_SERVERS, Mapping, OPEN_RUNS, Table, WORKFLOWS};
use crate::targets::DeliveryReport;

/// After this time without a new result, what is written is committed.
const IDLE: Duration = Duration::from_secs(5);

type LedgerChange = (String, Option<Entry>);

/// The state of a sync while it writes.
#[derive(Debug)]
pub(super) struct CommitPipeline {
    lake: Lake,
    settings: Settings,
    events: Events,
    writer: ChunkWriter,
    window: Window,
    recheck: RecheckPolicy,
    chunk: Chunk,
    writing: Option<PendingCommit>,
    open: BTreeMap<String, ListedRun>,
    counts: RunCounts,
    accounts: Accounts,
    /// What is incomplete besides runs and their list, as text.
    troubles: Vec<String>,
    scan: Option<ScanSummary>,
    unexpected_zero: bool,
    /// Fingerprint of how rows of the list are read ([`RunPaths::fingerprint`]).
    listing_mapping: u64,
    /// Whether the newest commit was made with a different one.
    is_mapped_anew: bool,
    rows: BTreeMap<String, u64>,
    commits: u64,
}

/// Runs that wait to be committed together.
#[derive(Debug, Default)]
struct Chunk {
    runs: Vec<FetchedRun>,
    changes: Vec<LedgerChange>,
    bytes: usize,
    since: Option<Instant>,
}

/// A chunk whose data files are being written while the next one fills.
#[derive(Debug)]
struct PendingCommit {
    /// Holds one task, which is aborted when this is dropped.
    task: JoinSet<Result<Staging, SyncError>>,
    changes: Vec<LedgerChange>,
    runs: u64,
}

impl PendingCommit {
    /// The data files, once all of them are staged and durable.
    async fn staged(&mut self) -> Result<Staging, SyncError> {
        match self.task.join_next().await {
            Some(done) => done?,
            None => Err(SyncError::Lost),
        }
    }
}

/// A sync after its last commit.
#[derive(Debug)]
pub(super) struct SyncResult {
    pub(super) lake: CommittedLake,
    report: SyncReport,
}

impl SyncResult {
    pub(super) fn report(
        self,
        traffic: RequestStats,
        deliveries: Vec<DeliveryReport>,
        elapsed: Duration,
    ) -> SyncReport {
        self.report.complete(traffic, deliveries, elapsed)
    }
}

impl CommitPipeline {
    pub(super) fn new(
        options: &SyncOptions,
        sync_id: String,
        lake: Lake,
        mapping: Arc<Mapping>,
        window: Window,
        export: ExportContext,
    ) -> Self {
        let settings = options.settings.clone();
        let compression_level = settings.lake.compression_level;
        let listing_mapping = RunPaths::new(&mapping).fingerprint();
        let is_mapped_anew = is_mapped_anew(lake.head(), listing_mapping);
        Self {
            lake,
            events: options.events.clone(),
            writer: ChunkWriter { mapping, export, sync_id, compression_level },
            window,
            recheck: RecheckPolicy {
                now: window.until,
                evaluation_grace: microseconds(settings.sync.evaluation_grace_secs),
                evaluation_recheck: microseconds(settings.sync.evaluation_recheck_secs),
            },
            settings,
            chunk: Chunk::default(),
            writing: None,
            open: BTreeMap::new(),
            counts: RunCounts::default(),
            accounts: Accounts::default(),
            troubles: Vec::new(),
            scan: None,
            unexpected_zero: false,
            listing_mapping,
            is_mapped_anew,
            rows: BTreeMap::new(),
            commits: 0,
        }
    }

    /// Processes the events of the extraction; returns the error that ended it early, if one did.
    pub(super) async fn run(
        &mut self,
        mut extraction: Extraction,
    ) -> Result<Option<ApiError>, SyncError> {
        loop {
            let extracted = match timeout(IDLE, extraction.next()).await {
                Ok(extracted) => extracted,
                // No new result, as during a long cooldown: what is written is committed now.
                Err(_) if self.chunk_is_full() => {
                    self.write_chunk().await?;
                    continue;
                }
                Err(_) => {
                    self.commit_written().await?;
                    continue;
                }
            };
            match extracted {
                ExtractEvent::Unchanged { runs } => {
                    self.counts.unchanged += runs;
                    self.accounts.add_unasked(runs);
                }
                ExtractEvent::Open { seen } => {
                    self.counts.open += 1;
                    self.accounts.add_unasked(1);
                    let known = self.lake.ledger().get(&seen.run_id);
                    let outcome = FetchOutcome::Open(observed(&seen));
                    let step = self.recheck.transition(known.as_ref(), None, outcome);
                    self.note(seen.run_id.clone(), step, Some(seen), None);
                }
                ExtractEvent::Done { task, outcome } => {
                    self.accounts.add(&task, &outcome);
                    let commit = self.chunk_commit();
                    let step = transition(&self.recheck, &task, &outcome, commit, &mut self.counts);
                    let seen = shown_open(&task, &outcome);
                    let run = match *outcome {
                        crate::extract::Outcome::Complete { run, .. } => Some(*run),
                        _ => None,
                    };
                    self.note(task.run_id, step, seen, run);
                }
                ExtractEvent::ListDone(mut summary) => {
                    self.counts.listed = summary.runs;
                    let zero = self.unexpected_zero(summary.runs);
                    self.unexpected_zero = zero.is_some();
                    summary.uncertainties.extend(zero);
                    self.window = summary.window.unwrap_or(self.window);
                    self.scan = Some(summary);
                }
                ExtractEvent::Finished => {
                    self.check_accounts();
                    return Ok(None);
                }
                ExtractEvent::Stopped(error) => return Ok(Some(error)),
                ExtractEvent::Broken(fault) => return Err(SyncError::Broken(fault)),
            }
            if self.chunk_is_full() {
                self.write_chunk().await?;
            }
        }
    }

    /// Adds the uncertainties of the accounts, once all runs have come out.
    fn check_accounts(&mut self) {
        let is_first = self.lake.ledger().iter().all(|(_, entry)| entry.revision == 0);
        if let Some(scan) = &mut self.scan {
            scan.uncertainties.extend(self.accounts.uncertainties(scan.runs, is_first));
        }
    }

    /// An uncertainty if the list is empty although runs of the window are known: they cannot all
    /// have left the list.
    fn unexpected_zero(&self, listed: u64) -> Option<String> {
        const MARGIN: i64 = 3600 * SECOND;
        let inside = |start: i64| {
            start > self.window.from.saturating_add(MARGIN) && start < self.window.until
        };
        let known = self.lake.ledger().iter();
        let known = known.filter(|(_, entry)| entry.started_at.is_some_and(inside)).count();
        (listed == 0 && known > 0).then(|| {
            format!("the API lists no run, and {known} that it listed before started then")
        })
    }

    /// Applies a step of a run: `seen` is the run as it shows while it is open, `run` has the
    /// documents of one that is complete.
    fn note(
        &mut self,
        run_id: String,
        step: Transition,
        seen: Option<ListedRun>,
        run: Option<FetchedRun>,
    ) {
        match step.change {
            Change::Open | Change::Waiting => {
                self.open.extend(seen.map(|seen| (run_id.clone(), seen)));
            }
            Change::New | Change::Changed => {
                if let Some(run) = run {
                    self.chunk.bytes += run.body_bytes();
                    self.chunk.runs.push(run);
                    self.chunk.since.get_or_insert_with(Instant::now);
                }
            }
            _ => {}
        }
        self.chunk.changes.extend(step.entry.map(|entry| (run_id, Some(entry))));
    }

    fn chunk_is_full(&self) -> bool {
        let settings = &self.settings.sync;
        let bytes = u64::try_from(self.chunk.bytes).unwrap_or(u64::MAX);
        let age = self.chunk.since.map(|since| since.elapsed()).unwrap_or_default();
        bytes >= settings.commit_bytes || age >= Duration::from_secs(settings.commit_secs)
    }

    /// Commits the previous chunk, and starts to write this one beside the fan-out.
    async fn write_chunk(&mut self) -> Result<(), SyncError> {
        self.commit_written().await?;
        let chunk = std::mem::take(&mut self.chunk);
        self.writing = Some(self.start_writing(chunk)?);
        Ok(())
    }

    /// The number of the commit that will hold the chunk that is being filled. It stays the same
    /// while the chunk before it is written and committed.
    fn chunk_commit(&self) -> u64 {
        self.lake.next_commit() + u64::from(self.writing.is_some())
    }

    fn start_writing(&self, chunk: Chunk) -> Result<PendingCommit, SyncError> {
        let mut staging = self.lake.stage();
        let commit = staging.commit();
        let writer = self.writer.clone();
        let runs = u64::try_from(chunk.runs.len()).unwrap_or(u64::MAX);
        let changes = chunk.changes;
        // The ledger must name the commit that has the rows.
        let exported: HashSet<&str> = chunk.runs.iter().map(|run| run.run_id.as_str()).collect();
        let is_of_other = |(run_id, entry): &LedgerChange| {
            let entry = entry.as_ref().filter(|_| exported.contains(run_id.as_str()));
            entry.is_some_and(|entry| entry.commit != commit)
        };
        if changes.iter().any(is_of_other) {
            return Err(SyncError::Broken(format!(
                "runs were counted to another commit than {commit}"
            )));
        }
        let mut task = JoinSet::new();
        // Writing to disk is beside the fan-out, too: it mostly waits.
        task.spawn(async move {
            let parts = spawn_blocking(move || writer.write(commit, chunk.runs)).await??;
            staging.add(parts).await?;
            Ok(staging)
        });
        Ok(PendingCommit { task, changes, runs })
    }

    async fn commit_written(&mut self) -> Result<(), SyncError> {
        let Some(mut writing) = self.writing.take() else { return Ok(()) };
        let staging = writing.staged().await?;
        let draft = CommitBuilder { ledger_changes: writing.changes, ..self.draft() };
        self.commit(staging, draft, writing.runs).await?;
        Ok(())
    }

    async fn commit(
        &mut self,
        staging: Staging,
        draft: CommitBuilder,
        runs: u64,
    ) -> Result<Manifest, SyncError> {
        let mut rows = 0;
        for (table, count) in staging.rows() {
            *self.rows.entry(table.to_owned()).or_default() += count;
            rows += count;
        }
        let manifest = self.lake.commit(staging, draft).await?;
        self.commits += 1;
        self.events.emit(Event::Committed { commit: manifest.commit, runs, rows });
        Ok(manifest)
    }

    fn draft(&self) -> CommitBuilder {
        CommitBuilder {
            sync_id: self.writer.sync_id.clone(),
            created_at: self.window.until,
            field_ids: self.writer.mapping.field_ids().clone(),
            ..CommitBuilder::default()
        }
    }

    /// Makes the last commit: the remaining runs, the small tables, the coverage, and the record of
    /// the sync.
    pub(super) async fn finish(
        mut self,
        client: &Client,
        stopped: Option<ApiError>,
        started: Instant,
    ) -> Result<SyncResult, SyncError> {
        self.commit_written().await?;
        let mut chunk = std::mem::take(&mut self.chunk);
        let changed: HashSet<&String> = chunk.changes.iter().map(|(run_id, _)| run_id).collect();
        let mut forgotten = self.lake.ledger().out_of_reach(self.window.until);
        if self.is_mapped_anew {
            // Their ids may have been read from the wrong member.
            let absent = self.lake.ledger().never_found();
            forgotten.extend(absent.map(|run_id| (run_id.to_owned(), None)));
        }
        forgotten.retain(|(run_id, _)| !changed.contains(run_id));
        chunk.changes.extend(forgotten);
        let mut writing = self.start_writing(chunk)?;
        let mut staging = writing.staged().await?;
        // A sync that was stopped has not seen every run: it leaves the replaced tables as they
        // were.
        if stopped.is_none() {
            self.stage_open_runs(&mut staging).await?;
            self.stage_resources(&mut staging, client).await?;
        }
        let coverage = self.coverage(stopped.is_some());
        // A gap is recorded once: by the sync that covers what follows it.
        let new_gaps =
            coverage.as_deref().map(|coverage| self.new_gaps(coverage)).unwrap_or_default();
        let has_new_gap = !new_gaps.is_empty();
        let outcome = self.outcome(stopped.as_ref(), has_new_gap);
        let record = self.record(outcome, coverage.as_deref(), client.request_stats(), started);
        // Until a sync with the new mapping is certified, the covered time is listed again each
        // time.
        let is_mapping_applied = coverage.is_some() || !self.is_mapped_anew;
        let draft = CommitBuilder {
            ledger_changes: writing.changes,
            coverage,
            new_gaps,
            newest_first: self.scan.as_ref().and_then(|scan| scan.newest_first),
            listing_mapping: is_mapping_applied.then_some(self.listing_mapping),
            sync: Some(record),
            ..self.draft()
        };
        let manifest = self.commit(staging, draft, writing.runs).await?;
        let report = self.report(outcome, &manifest, has_new_gap, stopped);
        Ok(SyncResult { lake: self.lake.committed(), report })
    }

    async fn stage_open_runs(&self, staging: &mut Staging) -> Result<(), SyncError> {
        let runs = self.open.values();
        let parts = runs.flat_map(|run| [run.run_id.as_bytes(), run.body.as_ref()]);
        let content = fingerprint(parts);
        let known = self.content(&OPEN_RUNS);
        if known == Some(content) || (known.is_none() && self.open.is_empty()) {
            return Ok(());
        }
        let runs = self.open.values();
        let runs: Vec<OpenRun> = runs
            .map(|run| OpenRun { run_id: run.run_id.clone(), body: run.body.clone() })
            .collect();
        let rows =
            open_run_rows(&self.writer.mapping, &runs, &self.writer.export, staging.commit())?;
        self.replace(staging, &OPEN_RUNS, &rows, content).await
    }

    /// Stages workflows and MCP servers. They change rarely, so they are requested only if a run
    /// was exported, or if the lake has none yet.
    async fn stage_resources(
        &mut self,
        staging: &mut Staging,
        client: &Client,
    ) -> Result<(), SyncError> {
        const LISTS: [(ListDocument, &Table, &str); 2] = [
            (ListDocument::Workflows, &WORKFLOWS, "/workflows"),
            (ListDocument::McpServers, &MCP_SERVERS, "/mcp-servers"),
        ];
        for (document, table, path) in LISTS {
            let is_due = self.counts.new + self.counts.changed > 0 || self.content(table).is_none();
            if !is_due {
                continue;
            }
            let sources = self.writer.mapping.list_sources(document, table);
            let list = match resource_list(client, path, sources).await {
                Ok(Some(list)) => list,
                Ok(None) => continue,
                Err(error) => {
                    let notice = format!("`{}` stays as it was: {error}", table.name);
                    self.events.emit(Event::Notice(notice));
                    continue;
                }
            };
            if let Some(missing) = list.missing {
                let notice = format!(
                    "`{}` is not whole: the API gave {} rows, and says that there are more",
                    table.name, missing.received
                );
                self.troubles.push(notice);
            }
            let content = list.fingerprint();
            if self.content(table) == Some(content) {
                continue;
            }
            let mapped = self.writer.mapping.table(table);
            let rows =
                resource_rows(mapped, &list.elements(), &self.writer.export, staging.commit())?;
            self.replace(staging, table, &rows, content).await?;
        }
        Ok(())
    }

    async fn replace(
        &self,
        staging: &mut Staging,
        table: &'static Table,
        rows: &arrow::array::RecordBatch,
        content: u64,
    ) -> Result<(), SyncError> {
        let options = DataFileOptions {
            compression_level: self.writer.compression_level,
            commit: staging.commit(),
            sync_id: self.writer.sync_id.clone(),
            runs: u64::try_from(rows.num_rows()).unwrap_or(u64::MAX),
        };
        let mut part = DataFileWriter::new(self.writer.mapping.table(table), &options)?;
        part.write(rows)?;
        let old = self.lake.head().and_then(|head| head.replaced_path(table.name));
        Ok(staging.replace(table, part.finish()?, content, old).await?)
    }

    fn content(&self, table: &Table) -> Option<u64> {
        self.lake.head().and_then(|head| head.contents.get(table.name).copied())
    }

    /// The coverage after this sync; `None` if it does not change.
    fn coverage(&self, stopped: bool) -> Option<Vec<Interval>> {
        let certified = self.scan.as_ref().is_some_and(ScanSummary::is_certified);
        if stopped || !certified {
            return None;
        }
        let before = self.lake.head().map(|head| head.coverage.as_slice()).unwrap_or_default();
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
    fn listed_from(&self) -> i64 {
        let reaches_to = self.scan.as_ref().and_then(|scan| scan.reaches_to);
        reaches_to.unwrap_or(self.window.from).max(self.window.from)
    }

    /// Time that is now out of reach and was never covered.
    fn new_gaps(&self, coverage: &[Interval]) -> Vec<Gap> {
        let known = self.lake.head().map(Manifest::gap_intervals).unwrap_or_default();
        let month = self.window.until.saturating_sub(Range::Month.length());
        let reach = if self.window.range == Range::Month { self.listed_from() } else { month };
        let lost = out_of_reach(coverage, &known, reach).into_iter();
        let found_at = self.window.until;
        lost.map(|lost| Gap { from: lost.from, until: lost.until, found_at }).collect()
    }

    fn outcome(&self, stopped: Option<&ApiError>, new_gap: bool) -> Outcome {
        let certified = self.scan.as_ref().is_some_and(ScanSummary::is_certified);
        match stopped {
            Some(ApiError::Interrupted) => Outcome::Interrupted,
            Some(_) => Outcome::Stopped,
            None if self.counts.failed + self.counts.absent + self.counts.partial > 0
                || new_gap
                || !self.troubles.is_empty()
                || !certified =>
            {
                Outcome::Incomplete
            }
            None => Outcome::Complete,
        }
    }

    fn record(
        &self,
        outcome: Outcome,
        coverage: Option<&[Interval]>,
        traffic: RequestStats,
        started: Instant,
    ) -> SyncRecord {
        let before = self.lake.head().map(|head| head.coverage.as_slice()).unwrap_or_default();
        let scan = self.scan.as_ref();
        SyncRecord {
            sync_id: self.writer.sync_id.clone(),
            outcome: outcome.name().to_owned(),
            started_at: self.window.until,
            elapsed_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            range: self.window.range.name().to_owned(),
            sweep: Some(scan.map(scan_record).unwrap_or_default()),
            certified: scan.is_some_and(ScanSummary::is_certified),
            uncertified_because: scan.map(|scan| scan.uncertainties.clone()).unwrap_or_default(),
            proven_until: coverage.unwrap_or(before).last().map(|last| last.until),
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

    fn report(
        &self,
        outcome: Outcome,
        manifest: &Manifest,
        new_gap: bool,
        stopped: Option<ApiError>,
    ) -> SyncReport {
        let mut rows = self.rows.clone();
        let issues = rows.remove(ISSUES.name).unwrap_or(0);
        SyncReport {
            sync_id: self.writer.sync_id.clone(),
            outcome,
            window: self.window.into(),
            runs: self.counts,
            rows,
            requests: 0,
            retries: 0,
            bytes_received: 0,
            elapsed_ms: 0,
            gaps: manifest.gaps.iter().map(GapReport::from).collect(),
            new_gap,
            unexpected_zero: self.unexpected_zero,
            issues,
            deliveries: Vec::new(),
            other_troubles: self.troubles.clone(),
            sweep: self.scan.as_ref().map(ScanReport::from).unwrap_or_default(),
            commits: self.commits,
            ledger: self.lake.ledger().counts(),
            stopped_by: stopped.as_ref().map(ToString::to_string),
            stop: stopped,
        }
    }
}

/// Whether the newest commit has another mapping of list rows. A commit of an earlier version does
/// not state its mapping, and counts as unchanged.
pub(super) fn is_mapped_anew(head: Option<&Manifest>, listing_mapping: u64) -> bool {
    head.and_then(|head| head.listing_mapping).is_some_and(|before| before != listing_mapping)
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
