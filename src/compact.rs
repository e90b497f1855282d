//! Small parts of days that are over, merged into well-sized ones: readers open few files instead of
//! many, and see the same rows.
//!
//! A day at a time: parts of the same rows are written beside, one commit names them and what they
//! hold, and then each folder is exchanged at one instant (see `lake/settle.rs`). What was merged is
//! kept out of sight for a while, for readers that looked before.

mod error;
mod merge;
mod plan;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde::Serialize;
use tokio::sync::watch;
use uuid::Uuid;

use crate::config::Settings;
use crate::deliver::{DeliverError, Delivery, DeliveryOptions, LakeReader, deliver};
use crate::event::{Event, Events};
use crate::interval::utc_day;
use crate::lake::{Draft, Lake, LakeView, LivePart, PartGroup, PartOptions};
use crate::tables::{Mapping, RUNS};

pub use error::CompactError;
use merge::Merge;
use plan::{Bin, Rule, bins};

/// What compacting needs to know.
#[derive(Clone, Debug)]
pub struct CompactOptions {
    /// Everything configured.
    pub settings: Settings,
    /// Where to tell what happens.
    pub events: Events,
    /// This machine's clock, in microseconds since 1970.
    pub now: i64,
    /// Whether rows of earlier revisions are left out of what is written.
    pub drop_older_revisions: bool,
    /// Becomes true when somebody asks to stop: then no further day is begun.
    pub stop: Option<watch::Receiver<bool>>,
}

/// What was merged, or would be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CompactReport {
    /// Days that have fewer parts now.
    pub days: u64,
    /// The commits that were made: one for each of these days.
    pub commits: u64,
    /// Parts that were merged.
    pub parts_before: u64,
    /// Parts that hold their rows now; 0 in what was only planned.
    pub parts_after: u64,
    /// Bytes of the parts that were merged.
    pub bytes_before: u64,
    /// Bytes of the parts that hold their rows now; 0 in what was only planned.
    pub bytes_after: u64,
    /// Rows of earlier revisions that were left out.
    pub rows_dropped: u64,
    /// Parts that are not as they were written. They and those of the same runs stay as they are.
    pub damaged: Vec<String>,
    /// Earlier merges whose parts are removed for good now.
    pub removed_merges: u64,
    /// What was applied to the DuckDB file; `None` where it is turned off or could not be brought
    /// up to date, or nothing was done.
    pub delivery: Option<Delivery>,
}

/// A lake that was compacted.
#[derive(Debug)]
pub struct Compacted {
    /// What was done.
    pub report: CompactReport,
    /// Why the DuckDB file could not be brought up to date; the lake is whole all the same.
    pub delivery_error: Option<DeliverError>,
}

const DAY: i64 = 86_400 * 1_000_000;

/// Merges the small parts of days that are over, a commit for each day, and removes for good what
/// earlier merges kept long enough.
///
/// # Errors
/// [`CompactError`]; days that were merged until then stay so.
pub async fn compact(options: &CompactOptions) -> Result<Compacted, CompactError> {
    let mapping = Arc::new(Mapping::new(&options.settings.columns, &options.settings.lists)?);
    let path = &options.settings.lake.path;
    LakeView::open(path).await?;
    let mut lake = Lake::open(path).await?;
    let mut report = CompactReport::default();
    let (bins, highest) = look(lake.view(), &mapping, options, &mut report).await?;
    for (day, bins) in bins {
        if options.stop.as_ref().is_some_and(|stop| *stop.borrow()) {
            break;
        }
        compact_day(&mut lake, &day, bins, &highest, &mapping, options, &mut report).await?;
    }
    let grace = microseconds(options.settings.compact.grace_secs);
    report.removed_merges = lake.remove_retired(options.now, grace).await?;
    let mut delivery_error = None;
    if options.settings.duckdb.enabled && report.commits > 0 {
        let to = DeliveryOptions::new(&options.settings.duckdb, options.events.clone());
        let to = DeliveryOptions { stop: options.stop.clone(), ..to };
        match deliver(lake.view(), &mapping, &to).await {
            Ok(delivery) => report.delivery = Some(delivery),
            Err(error) => delivery_error = Some(error),
        }
    }
    Ok(Compacted { report, delivery_error })
}

/// What [`compact`] would merge; changes nothing.
///
/// # Errors
/// [`CompactError`] where the lake cannot be read.
pub async fn plan(options: &CompactOptions) -> Result<CompactReport, CompactError> {
    let mapping = Arc::new(Mapping::new(&options.settings.columns, &options.settings.lists)?);
    let lake = LakeView::open(&options.settings.lake.path).await?;
    let mut report = CompactReport::default();
    let (bins, _) = look(&lake, &mapping, options, &mut report).await?;
    for bins in bins.values() {
        report.days += 1;
        for bin in bins {
            report.note_before(bin);
        }
    }
    Ok(report)
}

impl CompactReport {
    fn note_before(&mut self, bin: &Bin) {
        for part in bin.groups.iter().flat_map(|group| group.parts.values()) {
            self.parts_before += 1;
            self.bytes_before += part.bytes;
        }
    }
}

/// The highest revision of each run that has rows of several.
type Highest = Arc<HashMap<String, i64>>;

/// What there is to merge, by day.
async fn look(
    lake: &LakeView,
    mapping: &Arc<Mapping>,
    options: &CompactOptions,
    report: &mut CompactReport,
) -> Result<(BTreeMap<String, Vec<Bin>>, Highest), CompactError> {
    let live = lake.live_parts().await?;
    let (highest, rewritten) = if options.drop_older_revisions {
        let runs = live.iter().filter(|live| live.part.table == RUNS.name);
        revisions(lake, runs, mapping, options)?
    } else {
        Default::default()
    };
    let settings = &options.settings.compact;
    let open_from = options.now.saturating_sub(microseconds(settings.closed_after_secs));
    let rule = Rule {
        target_bytes: settings.target_bytes,
        open_from: utc_day(open_from.div_euclid(DAY).saturating_mul(DAY)).unwrap_or_default(),
        rewritten,
    };
    let (groups, root) = (live.groups(), lake.root().to_owned());
    let looked = tokio::task::spawn_blocking(move || {
        let mut damaged = Vec::new();
        let bins = bins(groups, &rule, |group| merge::shape(&root, group, &mut damaged));
        (bins, damaged)
    });
    let (bins, damaged) = looked.await?;
    report.damaged.extend(damaged);
    let mut days: BTreeMap<String, Vec<Bin>> = BTreeMap::new();
    for bin in bins {
        days.entry(bin.day.clone()).or_default().push(bin);
    }
    Ok((days, Arc::new(highest)))
}

/// The highest revision of each run that has rows of several, and the commits of its lower ones.
fn revisions<'p>(
    lake: &LakeView,
    runs: impl Iterator<Item = &'p LivePart>,
    mapping: &Mapping,
    options: &CompactOptions,
) -> Result<(HashMap<String, i64>, BTreeSet<u64>), CompactError> {
    let to = DeliveryOptions::new(&options.settings.duckdb, options.events.clone());
    let mut reader = LakeReader::open(lake.root(), runs.map(|live| &live.part), mapping, &to)?;
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
    bins: Vec<Bin>,
    highest: &Highest,
    mapping: &Arc<Mapping>,
    options: &CompactOptions,
    report: &mut CompactReport,
) -> Result<(), CompactError> {
    let mut staging = lake.stage();
    let mut draft = Draft {
        sync_id: Uuid::new_v4().to_string(),
        created_at: options.now,
        is_merge: true,
        ..Draft::default()
    };
    let (mut runs, mut rows) = (0, 0);
    for bin in bins {
        let merge = Merge {
            lake: lake.root().to_owned(),
            mapping: Arc::clone(mapping),
            highest: Arc::clone(highest),
            options: PartOptions {
                compression_level: options.settings.lake.compression_level,
                commit: staging.commit(),
                sync_id: draft.sync_id.clone(),
                runs: bin.groups.iter().filter_map(runs_of).sum(),
            },
        };
        let mut merged = staging.begin_merge(day);
        let task = tokio::task::spawn_blocking(move || {
            let dropped = merge.write(&bin, &mut merged);
            (bin, merged, dropped)
        });
        let (bin, merged, dropped) = task.await?;
        let dropped = match dropped {
            // Of a part alone, all of it would only be written again.
            Ok(0) if bin.groups.len() < 2 => {
                merged.discard()?;
                continue;
            }
            Ok(dropped) => dropped,
            Err(CompactError::DamagedPart { path }) => {
                report.damaged.push(path);
                merged.discard()?;
                continue;
            }
            Err(error) => return Err(error),
        };
        report.note_before(&bin);
        report.rows_dropped += dropped;
        for part in merged.parts() {
            rows += part.rows;
            runs += if part.table == RUNS.name { part.rows } else { 0 };
            report.parts_after += 1;
            report.bytes_after += part.bytes;
        }
        let old = bin.groups.into_iter().flat_map(|group| group.parts.into_values());
        draft.removed.extend(old.map(|part| part.path));
        staging.add_merged(merged);
    }
    if draft.removed.is_empty() {
        return Ok(staging.abandon()?);
    }
    let commit = lake.commit(staging, draft).await?.commit;
    report.days += 1;
    report.commits += 1;
    options.events.emit(Event::Committed { commit, runs, rows });
    Ok(())
}

fn runs_of(group: &PartGroup) -> Option<u64> {
    group.parts.get(RUNS.name).map(|part| part.rows)
}

fn microseconds(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000_000)
}
