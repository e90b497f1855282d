//! What is merged with what. Pure: sizes and shapes come as arguments.

use std::collections::{BTreeMap, BTreeSet};

use crate::lake::PartGroup;
use crate::tables::{DOCUMENTS, RUNS};

/// Which parts are merged.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    /// The largest part of what is merged together has about this size at the most.
    pub(super) target_bytes: u64,
    /// The first day that is not over, as `2026-11-23`.
    pub(super) open_from: String,
    /// Parts with rows of these commits are written again, alone if need be.
    pub(super) rewritten: BTreeSet<u64>,
}

impl Rule {
    fn rewrites(&self, group: &PartGroup) -> bool {
        let held = group.commits();
        self.rewritten.range(held.least..=held.greatest).next().is_some()
    }
}

/// Parts that are merged into one for each table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bin {
    /// The day of their runs.
    pub(super) day: String,
    /// Groups of parts, in the order of their commits.
    pub(super) groups: Vec<PartGroup>,
}

/// The columns of a group's tables: only parts of the same columns are merged.
pub(super) type Shape = BTreeMap<String, String>;

/// Below this size, writing a part again costs nothing that counts.
const SMALL_BYTES: u64 = 8 * 1024 * 1024;

/// A large part is written again where what joins it has at least this share of its size.
const WORTH: u64 = 8;

/// So many parts are merged in any case: readers open all of them.
const MANY: usize = 9;

/// Chooses what to merge. A group without a shape is not as it was written: it stays as it is.
pub(super) fn bins(
    groups: Vec<PartGroup>,
    rule: &Rule,
    mut shape: impl FnMut(&PartGroup) -> Option<Shape>,
) -> Vec<Bin> {
    let mut days: BTreeMap<String, Vec<PartGroup>> = BTreeMap::new();
    for group in groups {
        let is_closed = group.day < rule.open_from;
        let is_small = size(&group) < rule.target_bytes;
        if is_closed && (is_small || rule.rewrites(&group)) {
            days.entry(group.day.clone()).or_default().push(group);
        }
    }
    days.retain(|_, groups| groups.len() > 1 || groups.iter().any(|group| rule.rewrites(group)));
    let mut bins = Vec::new();
    for (day, mut groups) in days {
        groups.sort_by_key(|group| (group.commits().least, group.commit));
        let mut open = Filling::default();
        for group in groups {
            let Some(shape) = shape(&group) else { continue };
            if !open.takes(&group, &shape, rule) {
                bins.extend(std::mem::take(&mut open).bin(&day, rule));
            }
            open.add(group, shape);
        }
        bins.extend(open.bin(&day, rule));
    }
    bins
}

/// The largest of a group's parts, in bytes.
fn size(group: &PartGroup) -> u64 {
    group.parts.values().map(|part| part.bytes).max().unwrap_or(0)
}

/// A bin that may take more.
#[derive(Default)]
struct Filling {
    groups: Vec<PartGroup>,
    bytes: u64,
    shape: Shape,
}

impl Filling {
    fn takes(&self, group: &PartGroup, shape: &Shape, rule: &Rule) -> bool {
        let fits = self.bytes + size(group) <= rule.target_bytes;
        let is_like = |(table, columns): (&String, &String)| {
            self.shape.get(table).is_none_or(|known| known == columns)
        };
        // What is made again from `documents`, and told by `runs`, is a group as a whole.
        let whole = [RUNS.name, DOCUMENTS.name];
        let as_whole =
            whole.iter().all(|table| self.shape.contains_key(*table) == shape.contains_key(*table));
        self.groups.is_empty() || (fits && as_whole && shape.iter().all(is_like))
    }

    fn add(&mut self, group: PartGroup, shape: Shape) {
        self.bytes += size(&group);
        self.shape.extend(shape);
        self.groups.push(group);
    }

    fn bin(self, day: &str, rule: &Rule) -> Option<Bin> {
        let largest = self.groups.iter().map(size).max().unwrap_or(0);
        let others = self.bytes - largest;
        let count = self.groups.len();
        let is_worth_it =
            largest < SMALL_BYTES || others.saturating_mul(WORTH) >= largest || count >= MANY;
        let is_due =
            (count > 1 && is_worth_it) || self.groups.iter().any(|group| rule.rewrites(group));
        is_due.then(|| Bin { day: day.to_owned(), groups: self.groups })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lake::Part;
    use proptest::prelude::*;

    const MB: u64 = 1024 * 1024;

    fn group(commit: u64, day: &str, bytes: u64) -> PartGroup {
        let part = Part {
            table: "runs".to_owned(),
            path: format!("runs/date={day}/{commit:08}-x.parquet"),
            rows: 1,
            bytes,
            sha256: String::new(),
            least_started_at: None,
            greatest_started_at: None,
            has_revisions: false,
            replaces: None,
            merged: None,
        };
        PartGroup {
            commit,
            day: day.to_owned(),
            parts: BTreeMap::from([("runs".to_owned(), part)]),
        }
    }

    fn rule() -> Rule {
        Rule { target_bytes: 128 * MB, open_from: "2026-11-23".into(), rewritten: BTreeSet::new() }
    }

    fn same(group: &PartGroup) -> Option<Shape> {
        let columns = |table: &String| (table.clone(), "run_id".to_owned());
        (!group.parts.is_empty()).then(|| group.parts.keys().map(columns).collect())
    }

    /// The commits of each bin.
    fn commits(
        groups: Vec<PartGroup>,
        shape: impl FnMut(&PartGroup) -> Option<Shape>,
    ) -> Vec<Vec<u64>> {
        let bins = bins(groups, &rule(), shape).into_iter();
        bins.map(|bin| bin.groups.iter().map(|group| group.commit).collect()).collect()
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
        let shape = |group: &PartGroup| {
            let columns = if group.commit < 3 { "run_id" } else { "run_id, team" };
            Some(Shape::from([("runs".to_owned(), columns.to_owned())]))
        };
        assert_eq!(commits(groups(), shape), [vec![1, 2], vec![3, 4, 5]]);
        let without_documents = |group: &PartGroup| {
            let mut shape = same(group)?;
            if group.commit > 2 {
                shape.insert("documents".to_owned(), "body".to_owned());
            }
            Some(shape)
        };
        assert_eq!(commits(groups(), without_documents), [vec![1, 2], vec![3, 4, 5]]);
        let damaged = |group: &PartGroup| same(group).filter(|_| group.commit != 2);
        assert_eq!(commits(groups(), damaged), [[1, 3, 4, 5]]);
    }

    proptest! {
        /// Merging again finds nothing to do, no group is in two bins, and none grows too large.
        #[test]
        fn merging_comes_to_rest(sizes in prop::collection::vec((0_u64..200, 20_u32..25), 0..40)) {
            let groups: Vec<PartGroup> = (1..)
                .zip(&sizes)
                .map(|(commit, (size, day))| group(commit, &format!("2026-11-{day}"), size * MB))
                .collect();
            let mut left = groups.clone();
            let first = bins(groups, &rule(), same);
            let mut merged = Vec::new();
            for bin in &first {
                prop_assert!(bin.groups.len() > 1);
                let bytes: u64 = bin.groups.iter().map(size).sum();
                prop_assert!(bytes <= rule().target_bytes);
                let before = left.len();
                left.retain(|group| !bin.groups.contains(group));
                prop_assert_eq!(left.len() + bin.groups.len(), before);
                merged.push(group(bin.groups[0].commit, &bin.day, bytes));
            }
            left.extend(merged);
            // Leftovers of bins that were too full can still join: never more than a few times.
            let mut rounds = 0;
            while !bins(left.clone(), &rule(), same).is_empty() {
                for bin in bins(left.clone(), &rule(), same) {
                    left.retain(|group| !bin.groups.contains(group));
                    let bytes = bin.groups.iter().map(size).sum();
                    left.push(group(bin.groups[0].commit, &bin.day, bytes));
                }
                rounds += 1;
                prop_assert!(rounds < 40);
            }
        }
    }
}
