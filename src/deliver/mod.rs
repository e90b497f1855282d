//! Committed manifests → DuckDB. Knows manifests, Parquet and tables, not the API.
//!
//! A delivery applies commits in order and remembers the last one in the same transaction as the
//! rows. So it can be late, can be repeated, and can be made again from the lake at any time.

mod apply;
mod compare;
mod database;
mod error;
mod fault;
mod reader;
mod rebuild;
mod session;
mod sql;
mod views;

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::watch;

use crate::config::DuckdbSettings;
use crate::event::{Event, Events};
use crate::lake::{LakeError, LakeView, Manifest, Part};
use crate::tables::Mapping;

use apply::Step;
pub use compare::{Delivered, Difference};
use database::{Applied, more_memory};
pub use database::{inspect, query, try_folder};
pub use error::DeliverError;
pub use fault::Fault;
pub use reader::LakeReader;
pub use rebuild::rebuild;
use session::Session;
pub use sql::lake_views;

/// Where and how to deliver.
#[derive(Clone, Debug)]
pub struct DeliveryOptions {
    /// The DuckDB file.
    pub path: PathBuf,
    /// How long to wait for somebody who holds it.
    pub lock_wait: Duration,
    /// How much memory DuckDB may take, in megabytes.
    pub memory_limit_mb: u64,
    /// Where to tell of waits.
    pub events: Events,
    /// Becomes true when somebody asks to stop: then nobody waits for a reader any more, and
    /// no more than one group of commits is applied.
    pub stop: Option<watch::Receiver<bool>>,
}

impl DeliveryOptions {
    /// As configured.
    pub fn new(settings: &DuckdbSettings, events: Events) -> Self {
        Self {
            path: settings.path.clone(),
            lock_wait: Duration::from_secs(settings.lock_wait_secs),
            memory_limit_mb: settings.memory_limit_mb,
            events,
            stop: None,
        }
    }

    /// Waits for a reader only as long as nobody asks to stop.
    pub fn until(self, stop: watch::Receiver<bool>) -> Self {
        Self { stop: Some(stop), ..self }
    }

    /// The file itself, where the path is a symbolic link: DuckDB's journal and temporary files belong
    /// beside it, and a rebuild replaces it. A link to nothing names the file that is to be made.
    fn file(&self) -> PathBuf {
        // As many as Linux follows. What cannot be followed fails when it is opened.
        const MOST_LINKS: usize = 40;
        let mut file = self.path.clone();
        for _ in 0..MOST_LINKS {
            let Ok(target) = std::fs::read_link(&file) else { return file };
            file = file.parent().map(|folder| folder.join(&target)).unwrap_or(target);
        }
        self.path.clone()
    }

    /// More memory for DuckDB than it had, in megabytes, and a notice of it; `None` where it had a lot
    /// already.
    fn raise_memory(&self, megabytes: u64, action: &str) -> Option<u64> {
        let more = more_memory(megabytes)?;
        let notice =
            format!("DuckDB needs more than {megabytes} MB to {action}: it may take {more} MB");
        self.events.emit(Event::Notice(notice));
        Some(more)
    }

    fn is_stopped(&self) -> bool {
        self.stop.as_ref().is_some_and(|stop| *stop.borrow())
    }

    /// Becomes ready when somebody asks to stop.
    async fn stopped(&self) {
        if let Some(mut stop) = self.stop.clone()
            && stop.wait_for(|stop| *stop).await.is_ok()
        {
            return;
        }
        std::future::pending::<()>().await;
    }
}

/// What a delivery did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Delivery {
    /// `duckdb`.
    pub target: &'static str,
    /// The file.
    pub path: String,
    /// `applied`, or `current` where there was nothing to do.
    pub state: &'static str,
    /// The last commit that the file holds.
    pub commit: u64,
    /// Commits applied.
    pub commits: u64,
    /// Rows added, by table.
    pub rows: BTreeMap<String, u64>,
}

/// Brings the DuckDB file up to date with a lake.
///
/// # Errors
/// [`DeliverError`]; the file then holds the commits before the one that failed.
pub async fn deliver(
    lake: &LakeView,
    mapping: &Mapping,
    options: &DeliveryOptions,
) -> Result<Delivery, DeliverError> {
    check_path(lake.root())?;
    let mut delivery = Delivery {
        target: "duckdb",
        path: options.path.display().to_string(),
        state: "current",
        commit: 0,
        commits: 0,
        rows: BTreeMap::new(),
    };
    let mut session = Session::open(lake, mapping, options).await?;
    let applied = session.applied().clone();
    check_history(lake, &applied, &options.path).await?;
    let applied = applied.commit;
    delivery.commit = applied;
    let pending: Vec<u64> =
        lake.commits()?.into_iter().filter(|commit| *commit > applied).collect();
    let count = u64::try_from(pending.len()).unwrap_or(u64::MAX);
    if count > 0 {
        options.events.emit(Event::Delivering { commits: count });
    }
    let ahead = Ahead::look(lake, &pending, applied).await?;
    let has_merged = !ahead.merged.is_empty();
    let mut steps = merged_groups(ahead.merged).into_iter().map(Step::Merged).collect::<Vec<_>>();
    steps.reverse();
    let mut pending = pending.into_iter().peekable();
    let mut is_begun = false;
    // Whoever asks to stop gets what one transaction takes, and no more.
    while (!steps.is_empty() || pending.peek().is_some()) && (!is_begun || !options.is_stopped()) {
        if is_begun {
            // DuckDB keeps what it knows of each row group that it wrote: opened anew, it does not.
            session.reopen().await?;
        }
        is_begun = true;
        let step = match steps.pop() {
            Some(step) => step,
            None => Step::Commits {
                manifests: next_group(lake, &mut pending, &ahead.superseded).await?,
                after_merged: has_merged,
            },
        };
        let (step, rows) = session.apply(step).await?;
        delivery.state = "applied";
        if let Step::Commits { manifests, .. } = step {
            delivery.commits += u64::try_from(manifests.len()).unwrap_or(0);
            delivery.commit = session.applied().commit;
        }
        for (table, count) in rows {
            *delivery.rows.entry(table).or_default() += count;
        }
    }
    session.close().await?;
    Ok(delivery)
}

/// What the commits that are still to be applied say of parts.
#[derive(Debug, Default)]
struct Ahead {
    /// Paths of parts that are gone with one of these commits.
    superseded: HashSet<String>,
    /// Merged parts with rows of commits that are still to be applied. They come first, each row
    /// unless it is there already: the parts that had these rows may be gone.
    merged: Vec<Part>,
}

impl Ahead {
    async fn look(lake: &LakeView, pending: &[u64], applied: u64) -> Result<Self, DeliverError> {
        let mut ahead = Self::default();
        let mut merges = Vec::new();
        for commit in pending {
            let mut manifest = lake.manifest(*commit).await?;
            ahead.superseded.extend(manifest.superseded().map(str::to_owned));
            if manifest.is_merge {
                manifest.removed = Vec::new();
                merges.push(manifest);
            }
        }
        for mut merge in merges {
            merge.parts.retain(|part| {
                let is_news = part.merged.is_none_or(|commits| commits.greatest > applied);
                is_news && !ahead.superseded.contains(&part.path)
            });
            check_in_place(lake, &merge)?;
            ahead.merged.extend(merge.parts);
        }
        Ok(ahead)
    }
}

/// Merged parts in transactions of a good size. Those of the same runs stay together.
fn merged_groups(parts: Vec<Part>) -> Vec<Vec<Part>> {
    let mut of_runs: BTreeMap<String, Vec<Part>> = BTreeMap::new();
    for part in parts {
        let name = part.path.split_once('/').map(|(_, name)| name.to_owned());
        of_runs.entry(name.unwrap_or_default()).or_default().push(part);
    }
    let mut groups: Vec<Vec<Part>> = Vec::new();
    let bytes = |parts: &[Part]| parts.iter().map(|part| part.bytes).sum::<u64>();
    for parts in of_runs.into_values() {
        match groups.last_mut().filter(|group| bytes(group) + bytes(&parts) <= GROUP_BYTES) {
            Some(group) => group.extend(parts),
            None => groups.push(parts),
        }
    }
    groups
}

/// The file must hold commits of this lake as it is, not as it was before it was restored.
async fn check_history(
    lake: &LakeView,
    applied: &Applied,
    path: &Path,
) -> Result<(), DeliverError> {
    let newest = lake.head().map_or(0, |head| head.commit);
    let (path, commit) = (path.to_owned(), applied.commit);
    if commit > newest {
        return Err(DeliverError::Ahead { path, applied: commit, newest });
    }
    if commit > 0 && lake.manifest(commit).await?.staging != applied.name {
        return Err(DeliverError::OtherHistory { path, commit });
    }
    Ok(())
}

/// What one transaction takes, about.
const GROUP_BYTES: u64 = 64 * 1024 * 1024;

/// As many commits as make up a good transaction, without the parts that are gone by now: a later
/// one of the commits has their rows.
async fn next_group(
    lake: &LakeView,
    pending: &mut std::iter::Peekable<std::vec::IntoIter<u64>>,
    superseded: &HashSet<String>,
) -> Result<Vec<Manifest>, DeliverError> {
    const GROUP_COMMITS: usize = 256;
    let (mut group, mut bytes) = (Vec::new(), 0_u64);
    while let Some(commit) = pending.next_if(|_| bytes < GROUP_BYTES && group.len() < GROUP_COMMITS)
    {
        let mut manifest = lake.manifest(commit).await?;
        // DuckDB knows nothing of it, and it is the largest part of a manifest.
        manifest.ledger_changes = Vec::new();
        manifest.parts.retain(|part| part.merged.is_none() && !superseded.contains(&part.path));
        bytes += manifest.parts.iter().map(|part| part.bytes).sum::<u64>();
        check_in_place(lake, &manifest)?;
        group.push(manifest);
    }
    Ok(group)
}

/// After a crash, the parts of the last commit may not be in place yet.
fn check_in_place(lake: &LakeView, manifest: &Manifest) -> Result<(), DeliverError> {
    let staging = lake.root().join("_armature/staging").join(&manifest.staging);
    let is_moving = |part: &&Part| {
        let (own, old) = (lake.root().join(&part.path), part.replaces.as_ref());
        staging.join(&part.path).exists()
            || !own.exists() && old.is_some_and(|old| lake.root().join(old).exists())
    };
    if let Some(part) = manifest.all_parts().find(is_moving) {
        let path = lake.root().join(&part.path);
        return Err(DeliverError::NotInPlace { path, commit: manifest.commit });
    }
    let missing = manifest.parts.iter().find(|part| !lake.locate(&part.path).exists());
    let Some(part) = missing else { return Ok(()) };
    let problem = format!("commit {} lists it, and it is not there", manifest.commit);
    Err(LakeError::Damaged { path: lake.root().join(&part.path), problem }.into())
}

fn check_path(lake: &Path) -> Result<(), DeliverError> {
    let text = lake.to_string_lossy();
    if text.contains(['*', '?', '[']) {
        return Err(DeliverError::Pattern { path: lake.to_owned() });
    }
    Ok(())
}
