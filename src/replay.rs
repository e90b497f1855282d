//! Replay: rebuilds all tables from the raw bodies in `documents`, with today's mapping and without
//! the API, so that a corrected mapping also reaches runs that the API no longer lists.
//!
//! One commit replaces the data files of all earlier commits, group by group. The latest revision
//! of each run is raised by one, because a program that has loaded its rows must load them again.

mod bodies;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::Serialize;
use uuid::Uuid;

use crate::data_files::ChunkWriter;
use crate::event::Event;
use crate::extract::RunPaths;
use crate::job::{JobError, LakeJob};
use crate::lake::{
    CommitBuilder, DataFile, FileGroup, Lake, LakeError, LakeStore, LakeView, NewDataFile, Staging,
};
use crate::ledger::{Entry, Ledger, LedgerChange, LedgerError};
use crate::normalize::{ExportContext, dashboard_of};
use crate::query::LakeReader;
use crate::run::FetchedRun;
use crate::tables::{DOCUMENTS, Mapping, RUNS};
use crate::targets::{DeliveryReport, deliver_all};

use bodies::count_runs;
pub use bodies::{Bodies, BodyReader, read_bodies};

/// Result of a replay, or of [`plan`].
#[derive(Debug, Default, Serialize)]
pub struct ReplayReport {
    /// The commit that was made; `None` if none was.
    pub commit: Option<u64>,
    /// Rows of `runs` that were rebuilt, older revisions included.
    pub runs: u64,
    /// Rows of `runs` without documents, which stay unchanged.
    pub runs_without_documents: u64,
    /// Rows of `runs` whose documents cannot be read, which stay unchanged.
    pub runs_unreadable: u64,
    /// Rows by table in the data files that are replaced.
    pub rows_before: BTreeMap<String, u64>,
    /// Rows by table in the new data files.
    pub rows_after: BTreeMap<String, u64>,
    /// Bytes of the data files that are replaced.
    pub bytes_before: u64,
    /// Bytes of the new data files.
    pub bytes_after: u64,
    /// The delivery to each target; empty if nothing was rebuilt.
    pub deliveries: Vec<DeliveryReport>,
}

/// Rebuilds all tables in one commit, and brings the DuckDB file up to date.
///
/// # Errors
/// [`JobError`]; the lake is then unchanged.
pub async fn replay(job: &LakeJob) -> Result<ReplayReport, JobError> {
    let path = &job.lake;
    // Fails if there is no lake: `Lake::open` would create one.
    LakeView::open(path).await?;
    let mut lake = Lake::open(path).await?;
    let mut report = remake(&mut lake, job, |_| true).await?;
    if report.commit.is_some() {
        report.deliveries = deliver_all(&job.targets, lake.view(), &job.mapping).await;
    }
    Ok(report)
}

/// What [`replay`] would do; changes nothing.
///
/// # Errors
/// [`JobError`] if the lake cannot be read.
pub async fn plan(job: &LakeJob) -> Result<ReplayReport, JobError> {
    let lake = LakeView::open(&job.lake).await?;
    let groups = lake.snapshot().await?.groups();
    let commit = lake.head().map_or(1, |head| head.commit + 1);
    let mut replay = Replay::start(&lake, &groups, &job.mapping, job, commit).await?;
    let (mut draft, ledger) = (CommitBuilder::default(), Ledger::default());
    for group in &groups {
        replay.remake_group(group, None, &mut draft, &ledger).await?;
    }
    Ok(replay.report)
}

/// Rebuilds the groups of data files for which `is_wanted` is true, in one commit; makes no commit
/// if none can be rebuilt.
///
/// # Errors
/// [`JobError`]; the lake is then unchanged.
pub async fn remake(
    lake: &mut Lake,
    job: &LakeJob,
    is_wanted: impl Fn(&FileGroup) -> bool,
) -> Result<ReplayReport, JobError> {
    let mapping = Mapping::clone(&job.mapping).with_field_ids(lake.view().field_ids());
    let mapping = Arc::new(mapping);
    let mut staging = lake.stage();
    let view = lake.view().clone();
    let groups = view.snapshot().await?.groups();
    let mut replay = Replay::start(&view, &groups, &mapping, job, staging.commit()).await?;
    let mut draft = CommitBuilder {
        sync_id: replay.writer.sync_id.clone(),
        created_at: job.now,
        has_checkpoint: true,
        field_ids: replay.writer.mapping.field_ids().clone(),
        ..CommitBuilder::default()
    };
    for group in groups.iter().filter(|group| is_wanted(group)) {
        replay.remake_group(group, Some(&mut staging), &mut draft, lake.ledger()).await?;
    }
    let mut report = replay.report;
    if report.runs > 0 {
        report.commit = Some(commit(lake, staging, draft, job, report.runs).await?);
    }
    Ok(report)
}

async fn commit(
    lake: &mut Lake,
    staging: Staging,
    draft: CommitBuilder,
    job: &LakeJob,
    runs: u64,
) -> Result<u64, JobError> {
    let rows = staging.rows().map(|(_, rows)| rows).sum();
    let commit = lake.commit(staging, draft).await?.commit;
    job.events.emit(Event::Committed { commit, runs, rows });
    Ok(commit)
}

/// State of a replay.
struct Replay<'v> {
    view: &'v LakeView,
    /// The number of the commit that is being made.
    commit: u64,
    writer: ChunkWriter,
    paths: Arc<RunPaths>,
    /// The highest revision of each run that has rows of more than one.
    latest: Arc<HashMap<String, i64>>,
    report: ReplayReport,
}

impl<'v> Replay<'v> {
    async fn start(
        view: &'v LakeView,
        groups: &[FileGroup],
        mapping: &Arc<Mapping>,
        job: &LakeJob,
        commit: u64,
    ) -> Result<Self, JobError> {
        let (store, known) = (view.store().clone(), groups.to_vec());
        let parts = tokio::task::spawn_blocking(move || telling_parts(&store, &known)).await?;
        let mut reader = LakeReader::open(view.store(), &parts, mapping, &job.query)?;
        let export = ExportContext {
            extracted_at: job.now,
            organization_id: view.identity().and_then(|identity| identity.organization_id.clone()),
            dashboard_url: dashboard(&mut reader, job)?,
            keep_documents: true,
        };
        let writer = ChunkWriter {
            mapping: Arc::clone(mapping),
            export,
            sync_id: Uuid::new_v4().to_string(),
            compression_level: job.compression_level,
        };
        Ok(Self {
            view,
            commit,
            writer,
            paths: Arc::new(RunPaths::new(mapping)),
            latest: Arc::new(latest(&mut reader)?),
            report: ReplayReport::default(),
        })
    }

    /// Rebuilds the data files of a group, some runs at a time, and stages each batch. Rebuilds
    /// nothing if the group's runs must stay unchanged.
    async fn remake_group(
        &mut self,
        group: &FileGroup,
        mut staging: Option<&mut Staging>,
        draft: &mut CommitBuilder,
        ledger: &Ledger,
    ) -> Result<(), JobError> {
        let stated = group.parts.get(RUNS.name).map_or(0, |part| part.rows);
        let Some(documents) = group.parts.get(DOCUMENTS.name).cloned() else {
            self.report.runs_without_documents += stated;
            return Ok(());
        };
        let (view, part) = (self.view.clone(), documents.clone());
        let task = tokio::task::spawn_blocking(move || count_runs(view.store(), &part));
        match task.await?? {
            None => {
                self.report.runs_unreadable += stated;
                return Ok(());
            }
            Some(count) if count < stated => {
                self.report.runs_without_documents += stated;
                return Ok(());
            }
            Some(count) => self.report.runs += count,
        }
        for part in group.parts.values() {
            *self.report.rows_before.entry(part.table.clone()).or_default() += part.rows;
            self.report.bytes_before += part.bytes;
        }
        let (view, paths) = (self.view.clone(), Arc::clone(&self.paths));
        let task =
            tokio::task::spawn_blocking(move || read_bodies(view.store(), &documents, &paths));
        let Some(mut reader) = task.await?? else { return Ok(()) };
        let mut old: BTreeMap<&str, &DataFile> =
            group.parts.iter().map(|(table, part)| (table.as_str(), part)).collect();
        loop {
            let task = tokio::task::spawn_blocking(move || (reader.next(), reader));
            let (bodies, back) = task.await?;
            reader = back;
            let Some(bodies) = bodies else { break };
            let (mut parts, latest) = self.write(bodies?).await?;
            for part in parts.iter_mut().filter(|part| part.day() == group.day) {
                part.replaces = old.remove(part.table.name).map(|part| part.path.clone());
            }
            for part in &parts {
                *self.report.rows_after.entry(part.table.name.to_owned()).or_default() +=
                    part.written.rows;
                self.report.bytes_after += u64::try_from(part.written.to.len()).unwrap_or(u64::MAX);
            }
            let commit = self.commit;
            let changes = ledger_changes(ledger, &latest, commit).map_err(LakeError::from)?;
            draft.ledger_changes.extend(changes);
            if let Some(staging) = &mut staging {
                staging.add(parts).await?;
            }
        }
        draft.removed.extend(old.into_values().map(|part| part.path.clone()));
        Ok(())
    }

    /// Writes the data files of some runs. Returns them, and the runs at their latest revision,
    /// without documents.
    async fn write(&self, bodies: Bodies) -> Result<(Vec<NewDataFile>, Vec<FetchedRun>), JobError> {
        let export =
            ExportContext { extracted_at: bodies.extracted_at, ..self.writer.export.clone() };
        let (writer, commit) = (ChunkWriter { export, ..self.writer.clone() }, self.commit);
        let known = Arc::clone(&self.latest);
        let task = tokio::task::spawn_blocking(move || {
            let mut runs = bodies.runs;
            let mut latest = Vec::new();
            for run in &mut runs {
                if known.get(&run.run_id).is_none_or(|highest| *highest <= run.revision) {
                    run.revision += 1;
                    latest.push(FetchedRun { documents: Vec::new(), ..run.clone() });
                }
            }
            writer.write(commit, runs).map(|parts| (parts, latest))
        });
        Ok(task.await??)
    }
}

/// The data files from which the revisions are read: of each group its `runs`, or its `documents`
/// if `runs` is damaged.
fn telling_parts(store: &LakeStore, groups: &[FileGroup]) -> Vec<DataFile> {
    let is_whole = |part: &&DataFile| {
        store.sha256(&part.path).is_ok_and(|sha256| sha256.as_ref() == Some(&part.sha256))
    };
    let telling = |group: &FileGroup| {
        let tables = [RUNS.name, DOCUMENTS.name].into_iter();
        tables.filter_map(|table| group.parts.get(table)).find(is_whole).cloned()
    };
    groups.iter().filter_map(telling).collect()
}

/// The dashboard's address from the newest rows: the configuration may not name it, and the API's
/// address is not known offline.
fn dashboard(reader: &mut LakeReader, job: &LakeJob) -> Result<String, JobError> {
    let sql = "SELECT run_id, run_url FROM runs ORDER BY _commit DESC LIMIT 1";
    let rows = reader.rows(sql)?;
    let found = rows.first().and_then(|row| match row.as_slice() {
        [Some(run_id), Some(run_url)] => dashboard_of(run_url, run_id).map(str::to_owned),
        _ => None,
    });
    Ok(found.or_else(|| job.dashboard_url.clone()).unwrap_or_default())
}

/// The highest revision of each run that has rows of more than one. Other runs are left out to save
/// memory.
fn latest(reader: &mut LakeReader) -> Result<HashMap<String, i64>, JobError> {
    let sql = "SELECT run_id, max(_revision) FROM (SELECT run_id, _revision FROM runs UNION ALL \
               SELECT run_id, _revision FROM documents) GROUP BY run_id \
               HAVING min(_revision) < max(_revision)";
    let read = |row: Vec<Option<String>>| {
        let [run_id, revision] = <[_; 2]>::try_from(row).ok()?;
        Some((run_id?, revision?.parse().ok()?))
    };
    Ok(reader.rows(sql)?.into_iter().filter_map(read).collect())
}

/// The ledger's new entries of the runs. A higher revision in the ledger is kept.
fn ledger_changes(
    ledger: &Ledger,
    latest: &[FetchedRun],
    commit: u64,
) -> Result<Vec<LedgerChange>, LedgerError> {
    let mut changes = Vec::with_capacity(latest.len());
    for run in latest {
        // With another mapping, the start can be another one: the run is found all the same.
        let known = ledger.get(&run.run_id, run.started_at)?;
        let Some(known) = known.filter(|known| known.revision > 0) else { continue };
        let entry = Entry {
            status: run.status.as_deref().map(Arc::from),
            started_at: run.started_at,
            ended_at: run.ended_at,
            revision: run.revision.max(known.revision),
            commit,
            ..known
        };
        changes.push((run.run_id.clone(), Some(entry)));
    }
    Ok(changes)
}
