//! All tables made again from the raw bodies in `documents`, with today's mapping and without the
//! API: so that a corrected mapping also reaches runs that the API has forgotten.
//!
//! One commit replaces the parts of all commits before, group by group: the latest revision of
//! each run becomes one higher, as whoever loaded its rows already must load them again.

mod bodies;
mod error;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use uuid::Uuid;

use crate::config::Settings;
use crate::deliver::{DeliverError, Delivery, DeliveryOptions, LakeReader, deliver};
use crate::digest::sha256_of_file;
use crate::event::{Event, Events};
use crate::extract::RunPaths;
use crate::lake::{Draft, Lake, LakeView, NewPart, Part, PartGroup, Staging};
use crate::ledger::{Entry, Ledger};
use crate::normalize::{Stamp, dashboard_of};
use crate::parts::ChunkWriter;
use crate::run::FetchedRun;
use crate::tables::{DOCUMENTS, Mapping, RUNS};

use bodies::count_runs;
pub use bodies::{Bodies, BodyReader, read_bodies};
pub use error::ReplayError;

/// What a replay needs to know.
#[derive(Clone, Debug)]
pub struct ReplayOptions {
    /// Everything configured.
    pub settings: Settings,
    /// Where to tell what happens.
    pub events: Events,
    /// This machine's clock, in microseconds since 1970.
    pub now: i64,
}

/// What a replay did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ReplayReport {
    /// The commit that it made; `None` where it made none.
    pub commit: Option<u64>,
    /// Rows of `runs` made again, earlier revisions included.
    pub runs: u64,
    /// Those that have no documents, and stay as they are.
    pub runs_without_documents: u64,
    /// Those whose documents cannot be read, and that stay as they are.
    pub runs_unreadable: u64,
    /// Rows by table in the parts that are replaced.
    pub rows_before: BTreeMap<String, u64>,
    /// Rows by table in the parts that take their place.
    pub rows_after: BTreeMap<String, u64>,
    /// Bytes of the parts that are replaced.
    pub bytes_before: u64,
    /// Bytes of the parts that take their place.
    pub bytes_after: u64,
    /// What was applied to the DuckDB file; `None` where it is turned off or could not be brought
    /// up to date, or nothing was done.
    pub delivery: Option<Delivery>,
}

/// A replay that was made.
#[derive(Debug)]
pub struct Replayed {
    /// What it did.
    pub report: ReplayReport,
    /// Why the DuckDB file could not be brought up to date; the lake is whole all the same.
    pub delivery_error: Option<DeliverError>,
}

/// Makes all tables again, as one commit, and brings the DuckDB file up to date.
///
/// # Errors
/// [`ReplayError`]; the lake is then as it was.
pub async fn replay(options: &ReplayOptions) -> Result<Replayed, ReplayError> {
    let mapping = Arc::new(Mapping::new(&options.settings.columns, &options.settings.lists)?);
    let path = &options.settings.lake.path;
    LakeView::open(path).await?;
    let mut lake = Lake::open(path).await?;
    let mut report = remake(&mut lake, &mapping, options, |_| true).await?;
    if options.settings.duckdb.enabled && report.commit.is_some() {
        let to = DeliveryOptions::new(&options.settings.duckdb, options.events.clone());
        match deliver(lake.view(), &mapping, &to).await {
            Ok(delivery) => report.delivery = Some(delivery),
            Err(error) => return Ok(Replayed { report, delivery_error: Some(error) }),
        }
    }
    Ok(Replayed { report, delivery_error: None })
}

/// What [`replay`] would do; changes nothing.
///
/// # Errors
/// [`ReplayError`] where the lake cannot be read.
pub async fn plan(options: &ReplayOptions) -> Result<ReplayReport, ReplayError> {
    let mapping = Arc::new(Mapping::new(&options.settings.columns, &options.settings.lists)?);
    let lake = LakeView::open(&options.settings.lake.path).await?;
    let groups = lake.live_parts().await?.groups();
    let commit = lake.head().map_or(1, |head| head.commit + 1);
    let mut replay = Replay::start(&lake, &groups, &mapping, options, commit).await?;
    let (mut draft, ledger) = (Draft::default(), Ledger::default());
    for group in &groups {
        replay.remake_group(group, None, &mut draft, &ledger).await?;
    }
    Ok(replay.report)
}

/// Makes those groups of parts again that are wanted, as one commit; none where nothing can be.
///
/// # Errors
/// [`ReplayError`]; the lake is then as it was.
pub async fn remake(
    lake: &mut Lake,
    mapping: &Arc<Mapping>,
    options: &ReplayOptions,
    is_wanted: impl Fn(&PartGroup) -> bool,
) -> Result<ReplayReport, ReplayError> {
    let mut staging = lake.stage();
    let view = lake.view().clone();
    let groups = view.live_parts().await?.groups();
    let mut replay = Replay::start(&view, &groups, mapping, options, staging.commit()).await?;
    let mut draft = Draft {
        sync_id: replay.writer.sync_id.clone(),
        created_at: options.now,
        has_checkpoint: true,
        ..Draft::default()
    };
    for group in groups.iter().filter(|group| is_wanted(group)) {
        replay.remake_group(group, Some(&mut staging), &mut draft, lake.ledger()).await?;
    }
    let mut report = replay.report;
    if report.runs > 0 {
        report.commit = Some(commit(lake, staging, draft, options, report.runs).await?);
    }
    Ok(report)
}

async fn commit(
    lake: &mut Lake,
    staging: Staging,
    draft: Draft,
    options: &ReplayOptions,
    runs: u64,
) -> Result<u64, ReplayError> {
    let rows = staging.rows().map(|(_, rows)| rows).sum();
    let commit = lake.commit(staging, draft).await?.commit;
    options.events.emit(Event::Committed { commit, runs, rows });
    Ok(commit)
}

/// A replay while it goes on.
struct Replay<'v> {
    view: &'v LakeView,
    writer: ChunkWriter,
    paths: Arc<RunPaths>,
    /// Runs that have rows of several revisions: the highest.
    latest: Arc<HashMap<String, i64>>,
    report: ReplayReport,
}

impl<'v> Replay<'v> {
    async fn start(
        view: &'v LakeView,
        groups: &[PartGroup],
        mapping: &Arc<Mapping>,
        options: &ReplayOptions,
        commit: u64,
    ) -> Result<Self, ReplayError> {
        let to = DeliveryOptions::new(&options.settings.duckdb, options.events.clone());
        let (root, known) = (view.root().to_owned(), groups.to_vec());
        let parts = tokio::task::spawn_blocking(move || telling_parts(&root, &known)).await?;
        let mut reader = LakeReader::open(view.root(), &parts, mapping, &to)?;
        let stamp = Stamp {
            commit,
            extracted_at: options.now,
            organization_id: view.identity().and_then(|identity| identity.organization_id.clone()),
            dashboard_url: dashboard(&mut reader, &options.settings)?,
            keep_documents: true,
        };
        let writer = ChunkWriter {
            mapping: Arc::clone(mapping),
            stamp,
            sync_id: Uuid::new_v4().to_string(),
            compression_level: options.settings.lake.compression_level,
        };
        Ok(Self {
            view,
            writer,
            paths: Arc::new(RunPaths::new(mapping)),
            latest: Arc::new(latest(&mut reader)?),
            report: ReplayReport::default(),
        })
    }

    /// Makes the parts of a group again, some runs at a time, and hands each lot over. Where its
    /// runs must stay as they are, none.
    async fn remake_group(
        &mut self,
        group: &PartGroup,
        mut staging: Option<&mut Staging>,
        draft: &mut Draft,
        ledger: &Ledger,
    ) -> Result<(), ReplayError> {
        let stated = group.parts.get(RUNS.name).map_or(0, |part| part.rows);
        let Some(documents) = group.parts.get(DOCUMENTS.name).cloned() else {
            self.report.runs_without_documents += stated;
            return Ok(());
        };
        let (view, part) = (self.view.clone(), documents.clone());
        let task = tokio::task::spawn_blocking(move || count_runs(view.root(), &part));
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
            tokio::task::spawn_blocking(move || read_bodies(view.root(), &documents, &paths));
        let Some(mut reader) = task.await?? else { return Ok(()) };
        let mut old: BTreeMap<&str, &Part> =
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
                *self.report.rows_after.entry(part.table.name.to_owned()).or_default() += part.rows;
                self.report.bytes_after += u64::try_from(part.bytes.len()).unwrap_or(u64::MAX);
            }
            let commit = self.writer.stamp.commit;
            draft.ledger_changes.extend(ledger_changes(ledger, &latest, commit));
            if let Some(staging) = &mut staging {
                staging.add(parts).await?;
            }
        }
        draft.removed.extend(old.into_values().map(|part| part.path.clone()));
        Ok(())
    }

    /// The parts of some runs, and the latest revisions among these, without their documents.
    async fn write(&self, bodies: Bodies) -> Result<(Vec<NewPart>, Vec<FetchedRun>), ReplayError> {
        let stamp = Stamp { extracted_at: bodies.extracted_at, ..self.writer.stamp.clone() };
        let writer = ChunkWriter { stamp, ..self.writer.clone() };
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
            writer.write(runs).map(|parts| (parts, latest))
        });
        Ok(task.await??)
    }
}

/// The parts that tell which revisions there are: of each group `runs`, or `documents` where that
/// one is not as it was written.
fn telling_parts(lake: &Path, groups: &[PartGroup]) -> Vec<Part> {
    let is_whole = |part: &&Part| {
        sha256_of_file(&lake.join(&part.path)).is_ok_and(|sha256| sha256 == part.sha256)
    };
    let telling = |group: &PartGroup| {
        let tables = [RUNS.name, DOCUMENTS.name].into_iter();
        tables.filter_map(|table| group.parts.get(table)).find(is_whole).cloned()
    };
    groups.iter().filter_map(telling).collect()
}

/// The dashboard's address as the newest rows have it: the configuration may not name it, and the
/// API's address is not known offline.
fn dashboard(reader: &mut LakeReader, settings: &Settings) -> Result<String, ReplayError> {
    let sql = "SELECT run_id, run_url FROM runs ORDER BY _commit DESC LIMIT 1";
    let rows = reader.rows(sql)?;
    let found = rows.first().and_then(|row| match row.as_slice() {
        [Some(run_id), Some(run_url)] => dashboard_of(run_url, run_id).map(str::to_owned),
        _ => None,
    });
    Ok(found.or_else(|| settings.api.dashboard_url.clone()).unwrap_or_default())
}

/// The highest revision of each run that has rows of several. The others need no memory.
fn latest(reader: &mut LakeReader) -> Result<HashMap<String, i64>, ReplayError> {
    let sql = "SELECT run_id, max(_revision) FROM (SELECT run_id, _revision FROM runs UNION ALL \
               SELECT run_id, _revision FROM documents) GROUP BY run_id \
               HAVING min(_revision) < max(_revision)";
    let read = |row: Vec<Option<String>>| {
        let [run_id, revision] = <[_; 2]>::try_from(row).ok()?;
        Some((run_id?, revision?.parse().ok()?))
    };
    Ok(reader.rows(sql)?.into_iter().filter_map(read).collect())
}

/// What the ledger says of the runs from now on. A higher revision that it knows stays.
fn ledger_changes(
    ledger: &Ledger,
    latest: &[FetchedRun],
    commit: u64,
) -> Vec<(String, Option<Entry>)> {
    let change = |run: &FetchedRun| {
        let known = ledger.get(&run.run_id).filter(|known| known.revision > 0)?;
        let entry = Entry {
            status: run.status.as_deref().map(Arc::from),
            started_at: run.started_at,
            ended_at: run.ended_at,
            revision: run.revision.max(known.revision),
            commit,
            ..known
        };
        Some((run.run_id.clone(), Some(entry)))
    };
    latest.iter().filter_map(change).collect()
}
