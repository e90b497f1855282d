//! The commit pipeline: turns the results of the extraction into commits.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::timeout;

use super::SyncError;
use super::chunk::Chunk;
use super::options::SyncOptions;
use super::summary::{Ending, SyncSummary};
use super::transition::{observed, shown_open, transition};
use crate::api::{ApiError, Client};
use crate::config::SyncSettings;
use crate::data_files::ChunkWriter;
use crate::digest::fingerprint;
use crate::event::{Event, Events};
use crate::extract::{ExtractEvent, Extraction, ListedRun, RunPaths, Window, resource_list};
use crate::lake::{
    CommitBuilder, CommitFile, CommittedLake, DataFileOptions, DataFileWriter, Lake, Staging,
};
use crate::ledger::{Change, FetchOutcome, LedgerChange, RecheckPolicy, Transition};
use crate::normalize::{ExportContext, OpenRun, open_run_rows, resource_rows};
use crate::run::FetchedRun;
use crate::tables::{ListDocument, MCP_SERVERS, Mapping, OPEN_RUNS, Table, WORKFLOWS};

/// After this time without a new result, what is written is committed.
const IDLE: Duration = Duration::from_secs(5);

/// The state of a sync while it writes.
#[derive(Debug)]
pub(super) struct CommitPipeline {
    lake: Lake,
    settings: SyncSettings,
    events: Events,
    writer: ChunkWriter,
    recheck: RecheckPolicy,
    chunk: Chunk,
    writing: Option<PendingCommit>,
    open: BTreeMap<String, ListedRun>,
    summary: SyncSummary,
    /// Fingerprint of how rows of the list are read ([`RunPaths::fingerprint`]).
    listing_mapping: u64,
    /// Whether the newest commit was made with a different one.
    is_mapped_anew: bool,
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
    pub(super) summary: SyncSummary,
    pub(super) ending: Ending,
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
        let settings = options.sync.clone();
        let compression_level = options.lake.compression_level;
        let listing_mapping = RunPaths::new(&mapping).fingerprint();
        let is_mapped_anew = is_mapped_anew(lake.head(), listing_mapping);
        Self {
            lake,
            events: options.events.clone(),
            writer: ChunkWriter { mapping, export, sync_id, compression_level },
            recheck: RecheckPolicy {
                now: window.until,
                evaluation_grace: Duration::from_secs(settings.evaluation_grace_secs),
                evaluation_recheck: Duration::from_secs(settings.evaluation_recheck_secs),
            },
            settings,
            chunk: Chunk::default(),
            writing: None,
            open: BTreeMap::new(),
            summary: SyncSummary::new(window),
            listing_mapping,
            is_mapped_anew,
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
                Err(_) if self.chunk.is_full(&self.settings) => {
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
                    self.summary.counts.unchanged += runs;
                    self.summary.accounts.add_unasked(runs);
                }
                ExtractEvent::Open { seen } => {
                    self.summary.counts.open += 1;
                    self.summary.accounts.add_unasked(1);
                    let known = self.lake.ledger().get(&seen.run_id, seen.started_at)?;
                    let outcome = FetchOutcome::Open(observed(&seen));
                    let step = self.recheck.transition(known.as_ref(), None, outcome);
                    self.note(seen.run_id.clone(), step, Some(seen), None);
                }
                ExtractEvent::Done { task, outcome } => {
                    self.summary.accounts.add(&task, &outcome);
                    let commit = self.chunk_commit();
                    let step = transition(
                        &self.recheck,
                        &task,
                        &outcome,
                        commit,
                        &mut self.summary.counts,
                    );
                    let seen = shown_open(&task, &outcome);
                    let run = match *outcome {
                        crate::extract::TaskOutcome::Complete { run, .. } => Some(*run),
                        _ => None,
                    };
                    self.note(task.run_id, step, seen, run);
                }
                ExtractEvent::ListDone(scan) => self.summary.add_scan(scan, self.lake.ledger())?,
                ExtractEvent::Finished => {
                    self.summary.check_accounts(self.lake.ledger());
                    return Ok(None);
                }
                ExtractEvent::Stopped(error) => return Ok(Some(error)),
                ExtractEvent::LedgerUnreadable(error) => return Err(error.into()),
                ExtractEvent::Broken(fault) => return Err(SyncError::Broken(fault)),
            }
            if self.chunk.is_full(&self.settings) {
                self.write_chunk().await?;
            }
        }
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
                    self.chunk.add(run);
                }
            }
            _ => {}
        }
        self.chunk.changes.extend(step.entry.map(|entry| (run_id, Some(entry))));
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
        // The ledger must name the commit that has the rows.
        if chunk.is_of_other_commit(commit) {
            let fault = format!("runs were counted to another commit than {commit}");
            return Err(SyncError::Broken(fault));
        }
        let changes = chunk.changes;
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
    ) -> Result<CommitFile, SyncError> {
        let mut rows = 0;
        for (table, count) in staging.rows() {
            *self.summary.rows.entry(table.to_owned()).or_default() += count;
            rows += count;
        }
        let commit_file = self.lake.commit(staging, draft).await?;
        self.summary.commits += 1;
        self.events.emit(Event::Committed { commit: commit_file.commit, runs, rows });
        Ok(commit_file)
    }

    fn draft(&self) -> CommitBuilder {
        CommitBuilder {
            sync_id: self.writer.sync_id.clone(),
            created_at: self.summary.window.until,
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
        let mut forgotten = self.lake.ledger().out_of_reach(self.summary.window.until)?;
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
        let (head, summary) = (self.lake.head(), &self.summary);
        let coverage = summary.coverage(head, stopped.is_some());
        // A gap is recorded once: by the sync that covers what follows it.
        let new_gaps = coverage.as_deref().map(|coverage| summary.new_gaps(head, coverage));
        let new_gaps = new_gaps.unwrap_or_default();
        let has_new_gap = !new_gaps.is_empty();
        let outcome = summary.outcome(stopped.as_ref(), has_new_gap);
        let before = head.map(|head| head.coverage.as_slice()).unwrap_or_default();
        let covered = coverage.as_deref().unwrap_or(before);
        let (sync_id, traffic) = (self.writer.sync_id.clone(), client.request_stats());
        let record = summary.record(&sync_id, outcome, covered, traffic, started.elapsed());
        // Until a sync with the new mapping is certified, the covered time is listed again each
        // time.
        let is_mapping_applied = coverage.is_some() || !self.is_mapped_anew;
        let draft = CommitBuilder {
            ledger_changes: writing.changes,
            coverage,
            new_gaps,
            newest_first: self.summary.scan.as_ref().and_then(|scan| scan.newest_first),
            listing_mapping: is_mapping_applied.then_some(self.listing_mapping),
            sync: Some(record),
            ..self.draft()
        };
        let commit_file = self.commit(staging, draft, writing.runs).await?;
        let ledger = self.lake.run_totals().counts();
        let ending =
            Ending { sync_id, outcome, gaps: commit_file.gaps, has_new_gap, ledger, stopped };
        Ok(SyncResult { lake: self.lake.committed(), summary: self.summary, ending })
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
            let is_due = self.summary.counts.new + self.summary.counts.changed > 0
                || self.content(table).is_none();
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
                self.summary.troubles.push(notice);
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
}

/// Whether the newest commit has another mapping of list rows. A commit of an earlier version does
/// not state its mapping, and counts as unchanged.
pub(super) fn is_mapped_anew(head: Option<&CommitFile>, listing_mapping: u64) -> bool {
    head.and_then(|head| head.listing_mapping).is_some_and(|before| before != listing_mapping)
}
