//! Compaction: merges small data files of closed days into fewer large ones. Readers open fewer
//! files, and see the same rows.
//!
//! One day at a time: merged data files are staged, one commit names them and the data files that
//! they replace, and then each folder is exchanged in one step (see `lake/store/rename.rs`). The old
//! data files are tombstoned, and kept for a while for programs that follow the commit log.

mod merge;
mod plan;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::watch;
use uuid::Uuid;

use crate::config::CompactSettings;
use crate::event::Event;
use crate::job::{JobError, LakeJob};
use crate::lake::{CommitBuilder, DataFileOptions, FileGroup, Lake, LakeView, LiveFile};
use crate::query::LakeReader;
use crate::tables::RUNS;
use crate::targets::{DeliveryReport, deliver_all};

use merge::Merge;
use plan::{CompactionPolicy, RewriteGroup, groups_to_rewrite};

/// Input of a compaction.
#[derive(Clone, Debug)]
pub struct CompactOptions {
    /// The lake, its tables and its targets.
    pub job: LakeJob,
    /// Which data files to merge.
    pub settings: CompactSettings,
    /// Whether rows of older revisions are left out of the merged data files.
    pub drop_older_revisions: bool,
    /// Becomes true when a stop is requested: no further day is started then.
    pub stop: Option<watch::Receiver<bool>>,
}

/// What a compaction merged, or what [`plan()`] found to merge.
#[derive(Debug, Default, Serialize)]
pub struct CompactReport {
    /// Days whose data files were merged, or would be.
    pub days: u64,
    /// Commits made: one for each of these days.
    pub commits: u64,
    /// Data files that were merged, or would be.
    pub parts_before: u64,
    /// Data files that hold their rows now; 0 in a plan.
    pub parts_after: u64,
    /// Bytes of the data files that were merged, or would be.
    pub bytes_before: u64,
    /// Bytes of the data files that hold their rows now; 0 in a plan.
    pub bytes_after: u64,
    /// Rows of older revisions that were left out.
    pub rows_dropped: u64,
    /// Paths of damaged data files. They and the data files of the same runs are not merged.
    pub damaged: Vec<String>,
    /// Earlier commits whose tombstoned data files were removed for good.
    pub removed_commits: u64,
    /// The delivery to each target; empty if nothing was merged.
    pub deliveries: Vec<DeliveryReport>,
}

/// Merges the small data files of closed days, with one commit for each day, and removes tombstoned
/// data files whose grace time is over.
///
/// # Errors
/// [`JobError`]; days that were merged before the error stay merged.
pub async fn compact(options: &CompactOptions) -> Result<CompactReport, JobError> {
    let path = &options.job.lake;
    // Fails if there is no lake: `Lake::open` would create one.
    LakeView::open(path).await?;
    let mut lake = Lake::open(path).await?;
    let mut report = CompactReport::default();
    let (groups_to_rewrite, highest) = look(lake.view(), options, &mut report).await?;
    for (day, groups_to_rewrite) in groups_to_rewrite {
        if options.stop.as_ref().is_some_and(|stop| *stop.borrow()) {
            break;
        }
        compact_day(&mut lake, &day, groups_to_rewrite, &highest, options, &mut report).await?;
    }
    let grace = Duration::from_secs(options.settings.grace_secs);
    report.removed_commits = lake.remove_retired(options.job.now, grace).await?;
    if report.commits > 0 {
        report.deliveries =
            deliver_all(&options.job.targets, lake.view(), &options.job.mapping).await;
    }
    Ok(report)
}

/// What [`compact`] would merge; changes nothing.
///
/// # Errors
/// [`JobError`] if the lake cannot be read.
pub async fn plan(options: &CompactOptions) -> Result<CompactReport, JobError> {
    let lake = LakeView::open(&options.job.lake).await?;
    let mut report = CompactReport::default();
    let (groups_to_rewrite, _) = look(&lake, options, &mut report).await?;
    for groups_to_rewrite in groups_to_rewrite.values() {
        report.days += 1;
        for rewrite in groups_to_rewrite {
            report.note_before(rewrite);
        }
    }
    Ok(report)
}

impl CompactReport {
    fn note_before(&mut self, rewrite: &RewriteGroup) {
        for part in rewrite.groups.iter().flat_map(|group| group.parts.values()) {
            self.parts_before += 1;
            self.bytes_before += part.bytes;
        }
    }
}

/// The highest revision of each run that has rows of more than one.
type Highest = Arc<HashMap<String, i64>>;

/// The data files to merge, by day.
async fn look(
    lake: &LakeView,
    options: &CompactOptions,
    report: &mut CompactReport,
) -> Result<(BTreeMap<String, Vec<RewriteGroup>>, Highest), JobError> {
    let live = lake.snapshot().await?;
    let (highest, rewritten) = if options.drop_older_revisions {
        let runs = live.iter().filter(|live| live.part.table == RUNS.name);
        revisions(lake, runs, options)?
    } else {
        Default::default()
    };
    let settings = &options.settings;
    let open_from = options.job.now - Duration::from_secs(settings.closed_after_secs);
    let policy = CompactionPolicy {
        target_bytes: settings.target_bytes,
        open_from: open_from.utc_day().unwrap_or_default(),
        rewritten,
    };
    let (groups, store) = (live.groups(), lake.store().clone());
    let looked = tokio::task::spawn_blocking(move || {
        let mut damaged = Vec::new();
        let groups_to_rewrite =
            groups_to_rewrite(groups, &policy, |group| merge::shape(&store, group, &mut damaged));
        (groups_to_rewrite, damaged)
    });
    let (groups_to_rewrite, damaged) = looked.await?;
    report.damaged.extend(damaged);
    let mut days: BTreeMap<String, Vec<RewriteGroup>> = BTreeMap::new();
    for rewrite in groups_to_rewrite {
        days.entry(rewrite.day.clone()).or_default().push(rewrite);
    }
    Ok((days, Arc::new(highest)))
}

/// The highest revision of each run that has rows of more than one, and the commits of its older
/// revisions.
fn revisions<'p>(
    lake: &LakeView,
    runs: impl Iterator<Item = &'p LiveFile>,
    options: &CompactOptions,
) -> Result<(HashMap<String, i64>, BTreeSet<u64>), JobError> {
    let (parts, query) = (runs.map(|live| &live.part), &options.job.query);
    let mut reader = LakeReader::open(lake.store(), parts, &options.job.mapping, query)?;
    reader.execute(
        "look at the revisions",
        "CREATE TABLE highest AS SELECT run_id, max(_revision) AS revision FROM runs \
         GROUP BY run_id HAVING min(_revision) < max(_revision)",
    )?;
    let read = |row: Vec<Option<String>>| {
        let [run_id, revision] = <[_; 2]>::try_from(row).ok()?;
        Some((run_id?, revision?.parse().ok()?))
    };
    let highest = reader.rows("FROM highest")?.into_iter().filter_map(read).collect();
    let older = "SELECT DISTINCT _commit FROM runs JOIN highest USING (run_id) \
                 WHERE _revision < revision";
    let commits = reader.rows(older)?.into_iter().flatten().flatten();
    Ok((highest, commits.filter_map(|commit| commit.parse().ok()).collect()))
}

async fn compact_day(
    lake: &mut Lake,
    day: &str,
    groups_to_rewrite: Vec<RewriteGroup>,
    highest: &Highest,
    options: &CompactOptions,
    report: &mut CompactReport,
) -> Result<(), JobError> {
    let mut staging = lake.stage();
    let mut draft = CommitBuilder {
        sync_id: Uuid::new_v4().to_string(),
        created_at: options.job.now,
        is_merge: true,
        ..CommitBuilder::default()
    };
    let (mut runs, mut rows) = (0, 0);
    for rewrite in groups_to_rewrite {
        let merge = Merge {
            store: lake.store().clone(),
            mapping: Arc::clone(&options.job.mapping),
            highest: Arc::clone(highest),
            options: DataFileOptions {
                compression_level: options.job.compression_level,
                commit: staging.commit(),
                sync_id: draft.sync_id.clone(),
                runs: rewrite.groups.iter().filter_map(runs_of).sum(),
            },
        };
        let mut merged = staging.begin_merge(day);
        let task = tokio::task::spawn_blocking(move || {
            let dropped = merge.write(&rewrite, &mut merged);
            (rewrite, merged, dropped)
        });
        let (rewrite, merged, dropped) = task.await?;
        let dropped = match dropped {
            // A single group without rows to drop would only be written again unchanged.
            Ok(0) if rewrite.groups.len() < 2 => {
                merged.discard()?;
                continue;
            }
            Ok(dropped) => dropped,
            Err(JobError::DamagedPart { path }) => {
                report.damaged.push(path);
                merged.discard()?;
                continue;
            }
            Err(error) => return Err(error),
        };
        report.note_before(&rewrite);
        report.rows_dropped += dropped;
        for part in merged.parts() {
            rows += part.rows;
            runs += if part.table == RUNS.name { part.rows } else { 0 };
            report.parts_after += 1;
            report.bytes_after += part.bytes;
        }
        let old = rewrite.groups.into_iter().flat_map(|group| group.parts.into_values());
        draft.removed.extend(old.map(|part| part.path));
        staging.add_merged(merged);
    }
    if draft.removed.is_empty() {
        return Ok(staging.abandon()?);
    }
    let commit = lake.commit(staging, draft).await?.commit;
    report.days += 1;
    report.commits += 1;
    options.job.events.emit(Event::Committed { commit, runs, rows });
    Ok(())
}

fn runs_of(group: &FileGroup) -> Option<u64> {
    group.parts.get(RUNS.name).map(|part| part.rows)
}
