//! A delivery: the commits that the file does not have yet, grouped into transactions.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use super::apply::DeliveryStep;
use super::database::Applied;
use super::open_file::OpenFile;
use super::options::DeliveryOptions;
use crate::event::Event;
use crate::lake::{CommitFile, DataFile, LakeError, LakeView};
use crate::query::check_path;
use crate::tables::Mapping;
use crate::targets::{DeliverError, Delivery};

/// Kind of this target in reports.
pub const KIND: &str = "duckdb";

/// Brings the DuckDB file up to date with a lake.
///
/// # Errors
/// [`DeliverError`]; the file then holds the commits before the failed transaction.
pub async fn deliver(
    lake: &LakeView,
    mapping: &Mapping,
    options: &DeliveryOptions,
) -> Result<Delivery, DeliverError> {
    check_path(lake.store())?;
    let mut file = OpenFile::open(lake, mapping, options).await?;
    let applied = file.applied().clone();
    check_history(lake, &applied, &options.path).await?;
    let applied = applied.commit;
    let mut delivery = Delivery {
        target: KIND,
        path: options.path.display().to_string(),
        state: "current",
        commit: applied,
        commits: 0,
        rows: BTreeMap::new(),
        published: None,
    };
    let pending = lake.commits_after(applied)?;
    let count = u64::try_from(pending.len()).unwrap_or(u64::MAX);
    if count > 0 {
        options.events.emit(Event::Delivering { commits: count });
    }
    let mut summary = PendingSummary::read(lake, &pending, applied).await?;
    let has_merged = !summary.merged.is_empty();
    let merged = std::mem::take(&mut summary.merged);
    let mut steps = merged_groups(merged).into_iter().map(DeliveryStep::Merged).collect::<Vec<_>>();
    steps.reverse();
    let mut pending = pending.into_iter().peekable();
    let changed = file.change_documents().await?;
    // Filling a table is a transaction with rows; replacing the view adds none.
    let mut is_begun = changed.as_ref().is_some_and(|rows| rows.values().any(|count| *count > 0));
    if let Some(rows) = changed {
        delivery.state = "applied";
        delivery.rows = rows;
    }
    // After a stop request, apply at most one transaction.
    while (!steps.is_empty() || pending.peek().is_some()) && (!is_begun || !options.is_stopped()) {
        if is_begun {
            // Open the file anew for each transaction: DuckDB keeps the metadata of every row group
            // that it wrote in memory (85 MB at 100,000 runs), until the file is closed.
            file.reopen().await?;
        }
        is_begun = true;
        let step = match steps.pop() {
            Some(step) => step,
            None => DeliveryStep::Commits {
                commit_files: next_group(lake, &mut pending, &summary).await?,
                after_merged: has_merged,
            },
        };
        let (step, rows) = file.apply(step).await?;
        delivery.state = "applied";
        if let DeliveryStep::Commits { commit_files, .. } = step {
            delivery.commits += u64::try_from(commit_files.len()).unwrap_or(0);
            delivery.commit = file.applied().commit;
        }
        for (table, count) in rows {
            *delivery.rows.entry(table).or_default() += count;
        }
    }
    file.create_views().await?;
    file.close().await?;
    Ok(delivery)
}

/// What the commits that are still to be applied state about data files.
#[derive(Debug, Default)]
struct PendingSummary {
    /// Paths of data files that one of these commits replaces or removes.
    superseded: HashSet<String>,
    /// Merged data files that hold rows of commits that are still to be applied. They are applied
    /// first, each run only if DuckDB does not have it in that revision: the data files that had
    /// these rows before the merge may be gone.
    merged: Vec<DataFile>,
    /// The last of these commits that replaces each table. Only its file is read: earlier versions
    /// gave it the same path in every commit.
    replacing: BTreeMap<String, u64>,
}

impl PendingSummary {
    async fn read(lake: &LakeView, pending: &[u64], applied: u64) -> Result<Self, DeliverError> {
        let mut summary = Self::default();
        let mut merges = Vec::new();
        for commit in pending {
            let mut commit_file = lake.commit_file(*commit).await?;
            summary.superseded.extend(commit_file.superseded().map(str::to_owned));
            let tables = commit_file.replaced.iter().map(|part| part.table.clone());
            summary.replacing.extend(tables.map(|table| (table, *commit)));
            if commit_file.is_merge {
                commit_file.removed = Vec::new();
                merges.push(commit_file);
            }
        }
        for mut merge in merges {
            merge.parts.retain(|part| {
                let is_news = part.merged.is_none_or(|commits| commits.greatest > applied);
                is_news && !summary.superseded.contains(&part.path)
            });
            check_in_place(lake, &merge)?;
            summary.merged.extend(merge.parts);
        }
        Ok(summary)
    }
}

/// Groups merged data files into transactions of a suitable size. Data files of the same runs stay
/// together.
fn merged_groups(parts: Vec<DataFile>) -> Vec<Vec<DataFile>> {
    let mut of_runs: BTreeMap<String, Vec<DataFile>> = BTreeMap::new();
    for part in parts {
        let name = part.path.split_once('/').map(|(_, name)| name.to_owned());
        of_runs.entry(name.unwrap_or_default()).or_default().push(part);
    }
    let mut groups: Vec<Vec<DataFile>> = Vec::new();
    let bytes = |parts: &[DataFile]| parts.iter().map(|part| part.bytes).sum::<u64>();
    for parts in of_runs.into_values() {
        match groups.last_mut().filter(|group| bytes(group) + bytes(&parts) <= GROUP_BYTES) {
            Some(group) => group.extend(parts),
            None => groups.push(parts),
        }
    }
    groups
}

/// Refuses a file that holds commits of another history, which happens if the lake was restored
/// from a backup.
async fn check_history(
    lake: &LakeView,
    applied: &Applied,
    path: &Path,
) -> Result<(), DeliverError> {
    let newest = lake.head().map_or(0, |head| head.commit);
    let (path, commit) = (path.to_owned(), applied.commit);
    if commit > newest {
        return Err(DeliverError::NewerThanLake { path, applied: commit, newest });
    }
    if commit > 0 && lake.commit_file(commit).await?.staging != applied.name {
        return Err(DeliverError::OtherHistory { path, commit });
    }
    Ok(())
}

/// Target size of one transaction: bytes of its data files.
const GROUP_BYTES: u64 = 64 * 1024 * 1024;

/// The next commits that fit in one transaction, without the data files that one of the pending
/// commits supersedes: a later one of these commits has their rows.
async fn next_group(
    lake: &LakeView,
    pending: &mut std::iter::Peekable<std::vec::IntoIter<u64>>,
    summary: &PendingSummary,
) -> Result<Vec<CommitFile>, DeliverError> {
    const GROUP_COMMITS: usize = 256;
    let (mut group, mut bytes) = (Vec::new(), 0_u64);
    while let Some(commit) = pending.next_if(|_| bytes < GROUP_BYTES && group.len() < GROUP_COMMITS)
    {
        let mut commit_file = lake.commit_file(commit).await?;
        // Not delivered, and usually the largest part of a commit.
        commit_file.ledger_changes = Vec::new();
        let is_there = |part: &DataFile| !summary.superseded.contains(&part.path);
        commit_file.parts.retain(|part| part.merged.is_none() && is_there(part));
        let is_last = |part: &DataFile| summary.replacing.get(&part.table) == Some(&commit);
        commit_file.replaced.retain(|part| is_last(part) && is_there(part));
        bytes += commit_file.parts.iter().map(|part| part.bytes).sum::<u64>();
        check_in_place(lake, &commit_file)?;
        group.push(commit_file);
    }
    Ok(group)
}

/// Refuses a commit that is not fully published, which a crash can leave: a delivery takes no lock
/// and moves nothing, so only the next sync can finish it.
fn check_in_place(lake: &LakeView, commit_file: &CommitFile) -> Result<(), DeliverError> {
    if let Some(part) = lake.store().unpublished(commit_file)? {
        let path = lake.store().location(&part.path);
        return Err(DeliverError::NotInPlace { path, commit: commit_file.commit });
    }
    for part in commit_file.all_parts() {
        if !lake.store().is_kept(&part.path)? {
            let problem = format!("commit {} lists it, and it is not there", commit_file.commit);
            return Err(
                LakeError::Damaged { path: lake.store().location(&part.path), problem }.into()
            );
        }
    }
    Ok(())
}
