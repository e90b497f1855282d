//! Chooses which data files a compaction merges. Pure: sizes and columns are arguments.

use std::collections::{BTreeMap, BTreeSet};

use crate::lake::FileGroup;
use crate::tables::{DOCUMENTS, RUNS};

/// The rules by which data files are chosen.
#[derive(Clone, Debug)]
pub(super) struct CompactionPolicy {
    /// Maximum size of a merged data file in bytes, estimated from the data files before the merge;
    /// set by `compact.target_bytes`.
    pub(super) target_bytes: u64,
    /// The first day that is not closed, as `2026-11-23` (UTC).
    pub(super) open_from: String,
    /// Commits with rows of older revisions that are to be dropped: data files with their rows are
    /// rewritten, even if nothing is merged with them.
    pub(super) rewritten: BTreeSet<u64>,
}

impl CompactionPolicy {
    fn rewrites(&self, group: &FileGroup) -> bool {
        let held = group.commits();
        self.rewritten.range(held.least..=held.greatest).next().is_some()
    }
}

/// Data files that are merged into one data file per table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RewriteGroup {
    /// The day on which their runs started, as `2026-11-23` (UTC).
    pub(super) day: String,
    /// The groups of data files, in the order of their commits.
    pub(super) groups: Vec<FileGroup>,
}

/// The columns of a group's tables, by table. Only data files with the same columns are merged.
pub(super) type SchemaSignature = BTreeMap<String, String>;

/// Below this size in bytes, rewriting a data file costs next to nothing.
const SMALL_BYTES: u64 = 8 * 1024 * 1024;

/// A large data file is rewritten if the files that join it have at least 1/8 of its size.
/// Otherwise each late run would rewrite the large data file of its day.
const WORTH: u64 = 8;

/// This many data files are merged in any case, because readers have to open all of them.
const MANY: usize = 9;

/// Chooses what a compaction merges. A group for which `shape` returns `None` is damaged, and is not merged.
pub(super) fn groups_to_rewrite(
    groups: Vec<FileGroup>,
    policy: &CompactionPolicy,
    mut shape: impl FnMut(&FileGroup) -> Option<SchemaSignature>,
) -> Vec<RewriteGroup> {
    let mut days: BTreeMap<String, Vec<FileGroup>> = BTreeMap::new();
    for group in groups {
        let is_closed = group.day < policy.open_from;
        let is_small = size(&group) < policy.target_bytes;
        if is_closed && (is_small || policy.rewrites(&group)) {
            days.entry(group.day.clone()).or_default().push(group);
        }
    }
    days.retain(|_, groups| groups.len() > 1 || groups.iter().any(|group| policy.rewrites(group)));
    let mut groups_to_rewrite = Vec::new();
    for (day, mut groups) in days {
        groups.sort_by_key(|group| (group.commits().least, group.commit));
        let mut open = BinPacker::default();
        for group in groups {
            let Some(shape) = shape(&group) else { continue };
            if !open.takes(&group, &shape, policy) {
                groups_to_rewrite.extend(std::mem::take(&mut open).rewrite(&day, policy));
            }
            open.add(group, shape);
        }
        groups_to_rewrite.extend(open.rewrite(&day, policy));
    }
    groups_to_rewrite
}

/// The size in bytes of the largest data file of a group.
fn size(group: &FileGroup) -> u64 {
    group.parts.values().map(|part| part.bytes).max().unwrap_or(0)
}

/// A group that is being filled.
#[derive(Default)]
struct BinPacker {
    groups: Vec<FileGroup>,
    bytes: u64,
    shape: SchemaSignature,
}

impl BinPacker {
    fn takes(&self, group: &FileGroup, shape: &SchemaSignature, policy: &CompactionPolicy) -> bool {
        let fits = self.bytes + size(group) <= policy.target_bytes;
        let is_like = |(table, columns): (&String, &String)| {
            self.shape.get(table).is_none_or(|known| known == columns)
        };
        // A replay rebuilds a group from its `documents`, as a whole or not at all. Groups that
        // have `runs` or `documents` are therefore not merged with groups that lack them.
        let whole = [RUNS.name, DOCUMENTS.name];
        let as_whole =
            whole.iter().all(|table| self.shape.contains_key(*table) == shape.contains_key(*table));
        self.groups.is_empty() || (fits && as_whole && shape.iter().all(is_like))
    }

    fn add(&mut self, group: FileGroup, shape: SchemaSignature) {
        self.bytes += size(&group);
        self.shape.extend(shape);
        self.groups.push(group);
    }

    fn rewrite(self, day: &str, policy: &CompactionPolicy) -> Option<RewriteGroup> {
        let largest = self.groups.iter().map(size).max().unwrap_or(0);
        let others = self.bytes - largest;
        let count = self.groups.len();
        let is_worth_it =
            largest < SMALL_BYTES || others.saturating_mul(WORTH) >= largest || count >= MANY;
        let is_due =
            (count > 1 && is_worth_it) || self.groups.iter().any(|group| policy.rewrites(group));
        is_due.then(|| RewriteGroup { day: day.to_owned(), groups: self.groups })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lake::DataFile;
    use proptest::prelude::*;

    const MB: u64 = 1024 * 1024;

    fn group(commit: u64, day: &str, bytes: u64) -> FileGroup {
        let part = DataFile {
            table: "runs".to_owned(),
            path: format!("runs/date={day}/{commit:08}-x.parquet"),
            rows: 1,
            bytes,
            sha256: String::new(),
            least_started_at: None,
            greatest_started_at: None,
            has_revisions: false,
            replaces: None,
            statistics: None,
            merged: None,
        };
        FileGroup {
            commit,
            day: day.to_owned(),
            parts: BTreeMap::from([("runs".to_owned(), part)]),
        }
    }

    fn policy() -> CompactionPolicy {
        CompactionPolicy {
            target_bytes: 128 * MB,
            open_from: "2026-11-23".into(),
            rewritten: BTreeSet::new(),
        }
    }

    fn same(group: &FileGroup) -> Option<SchemaSignature> {
        let columns = |table: &String| (table.clone(), "run_id".to_owned());
        (!group.parts.is_empty()).then(|| group.parts.keys().map(columns).collect())
    }

    /// The commits of each rewrite group.
    fn commits(
        groups: Vec<FileGroup>,
        shape: impl FnMut(&FileGroup) -> Option<SchemaSignature>,
    ) -> Vec<Vec<u64>> {
        let groups_to_rewrite = groups_to_rewrite(groups, &policy(), shape).into_iter();
        groups_to_rewrite
            .map(|rewrite| rewrite.groups.iter().map(|group| group.commit).collect())
            .collect()
    }

    #[test]
    fn small_parts_of_days_that_are_over_are_merged_by_day() {
        let groups = vec![
            group(1, "2026-11-21", MB),
            group(2, "2026-11-21", MB),
            group(3, "2026-11-22", MB),
            group(4, "2026-11-22", MB),
            group(5, "2026-11-23", MB),
            group(6, "2026-11-23", MB),
            group(7, "2026-11-20", MB),
        ];
        assert_eq!(commits(groups, same), [[1, 2], [3, 4]]);
    }

    #[test]
    fn no_part_grows_beyond_the_target_and_large_ones_stay() {
        let day = "2026-11-21";
        let groups = vec![
            group(1, day, 60 * MB),
            group(2, day, 60 * MB),
            group(3, day, 60 * MB),
            group(4, day, 200 * MB),
            group(5, day, 30 * MB),
        ];
        assert_eq!(commits(groups, same), [vec![1, 2], vec![3, 5]]);
    }

    #[test]
    fn a_large_part_is_not_written_again_for_little() {
        let day = "2026-11-21";
        let late = |count: u64| (2..2 + count).map(|commit| group(commit, day, MB));
        let with = |count| std::iter::once(group(1, day, 100 * MB)).chain(late(count)).collect();
        assert!(commits(with(1), same).is_empty());
        assert_eq!(commits(with(8), same), [(1..=9).collect::<Vec<u64>>()]);
    }

    #[test]
    fn parts_of_other_columns_and_damaged_ones_stay_apart() {
        let day = "2026-11-21";
        let groups = || (1..=5).map(|commit| group(commit, day, MB)).collect();
        let shape = |group: &FileGroup| {
            let columns = if group.commit < 3 { "run_id" } else { "run_id, team" };
            Some(SchemaSignature::from([("runs".to_owned(), columns.to_owned())]))
        };
        assert_eq!(commits(groups(), shape), [vec![1, 2], vec![3, 4, 5]]);
        let without_documents = |group: &FileGroup| {
            let mut shape = same(group)?;
            if group.commit > 2 {
                shape.insert("documents".to_owned(), "body".to_owned());
            }
            Some(shape)
        };
        assert_eq!(commits(groups(), without_documents), [vec![1, 2], vec![3, 4, 5]]);
        let damaged = |group: &FileGroup| same(group).filter(|_| group.commit != 2);
        assert_eq!(commits(groups(), damaged), [[1, 3, 4, 5]]);
    }

    proptest! {
        /// Merging is repeated until it finds nothing to do; no group of data files is merged twice
        /// in one round, and none grows too large.
        #[test]
        fn merging_comes_to_rest(sizes in prop::collection::vec((0_u64..200, 20_u32..25), 0..40)) {
            let groups: Vec<FileGroup> = (1..)
                .zip(&sizes)
                .map(|(commit, (size, day))| group(commit, &format!("2026-11-{day}"), size * MB))
                .collect();
            let mut left = groups.clone();
            let first = groups_to_rewrite(groups, &policy(), same);
            let mut merged = Vec::new();
            for rewrite in &first {
                prop_assert!(rewrite.groups.len() > 1);
                let bytes: u64 = rewrite.groups.iter().map(size).sum();
                prop_assert!(bytes <= policy().target_bytes);
                let before = left.len();
                left.retain(|group| !rewrite.groups.contains(group));
                prop_assert_eq!(left.len() + rewrite.groups.len(), before);
                merged.push(group(rewrite.groups[0].commit, &rewrite.day, bytes));
            }
            left.extend(merged);
            // Groups that did not fit at first can still be merged in later rounds, of which there
            // are few.
            let mut rounds = 0;
            while !groups_to_rewrite(left.clone(), &policy(), same).is_empty() {
                for rewrite in groups_to_rewrite(left.clone(), &policy(), same) {
                    left.retain(|group| !rewrite.groups.contains(group));
                    let bytes = rewrite.groups.iter().map(size).sum();
                    left.push(group(rewrite.groups[0].commit, &rewrite.day, bytes));
                }
                rounds += 1;
                prop_assert!(rounds < 40);
            }
        }
    }
}
