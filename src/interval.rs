//! Time intervals, and lists of them.

use serde::{Deserialize, Serialize};

/// A time interval, in microseconds since 1970: `from` belongs to it, `until` does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Interval {
    /// Start, inclusive.
    pub from: i64,
    /// End, exclusive.
    pub until: i64,
}

/// The UTC day of an instant in microseconds since 1970, as `2026-11-23`; `None` if no calendar
/// date exists for it.
pub fn utc_day(microseconds: i64) -> Option<String> {
    let instant = chrono::DateTime::from_timestamp_micros(microseconds)?;
    Some(instant.format("%Y-%m-%d").to_string())
}

/// The UTC day of an instant in microseconds since 1970, in days since 1970-01-01; `None` if no
/// calendar date exists for it.
pub fn utc_day_number(microseconds: i64) -> Option<i32> {
    const DAY: i64 = 86_400 * 1_000_000;
    chrono::DateTime::from_timestamp_micros(microseconds)?;
    i32::try_from(microseconds.div_euclid(DAY)).ok()
}

/// An instant in microseconds since 1970 as RFC 3339 text, to the second; `None` if no calendar
/// date exists for it.
pub fn rfc3339(microseconds: i64) -> Option<String> {
    let instant = chrono::DateTime::from_timestamp_micros(microseconds)?;
    Some(instant.to_rfc3339_opts(chrono::SecondsFormat::Secs, true))
}

/// Adds an interval to a list of them. The result is sorted, and intervals that overlap or touch
/// are one.
pub fn merge(intervals: &[Interval], added: Interval) -> Vec<Interval> {
    let mut all: Vec<Interval> = intervals.iter().copied().chain([added]).collect();
    all.retain(|interval| interval.from < interval.until);
    all.sort();
    let mut merged: Vec<Interval> = Vec::with_capacity(all.len());
    for interval in all {
        match merged.last_mut() {
            Some(last) if interval.from <= last.until => {
                last.until = last.until.max(interval.until);
            }
            _ => merged.push(interval),
        }
    }
    merged
}

/// The intervals between those of a sorted list.
pub fn holes(intervals: &[Interval]) -> Vec<Interval> {
    let pairs = intervals.iter().zip(intervals.iter().skip(1));
    let between = pairs.map(|(one, next)| Interval { from: one.until, until: next.from });
    between.filter(|hole| hole.from < hole.until).collect()
}

/// What remains of an interval without those of a list, which can be in any order.
pub fn without(interval: Interval, taken: &[Interval]) -> Vec<Interval> {
    let mut left = vec![interval];
    for taken in taken {
        let cut = |part: Interval| {
            let before = Interval { from: part.from, until: part.until.min(taken.from) };
            let after = Interval { from: part.from.max(taken.until), until: part.until };
            [before, after]
        };
        left = left.into_iter().flat_map(cut).filter(|part| part.from < part.until).collect();
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn interval(from: i64, until: i64) -> Interval {
        Interval { from, until }
    }

    #[test]
    fn stretches_that_touch_become_one() {
        let list = merge(&[interval(0, 10), interval(20, 30)], interval(10, 15));
        assert_eq!(list, [interval(0, 15), interval(20, 30)]);
        assert_eq!(merge(&list, interval(14, 21)), [interval(0, 30)]);
        assert_eq!(merge(&list, interval(5, 5)), list);
    }

    #[test]
    fn holes_lie_between() {
        let list = [interval(0, 10), interval(20, 30), interval(30, 40)];
        assert_eq!(holes(&list), [interval(10, 20)]);
        assert_eq!(holes(&list[..1]), []);
    }

    proptest! {
        #[test]
        fn what_is_taken_away_is_gone_and_the_rest_stays(
            (from, until) in (0_i64..60, 0_i64..60),
            list in prop::collection::vec((0_i64..60, 0_i64..60), 0..6)
        ) {
            // An interval that ends before it starts is empty.
            let list: Vec<Interval> =
                list.iter().map(|&(a, b)| interval(a.min(b), a.max(b))).collect();
            let left = without(interval(from, until), &list);
            for moment in 0..60 {
                let holds = |i: &Interval| i.from <= moment && moment < i.until;
                let expected = holds(&interval(from, until)) && !list.iter().any(holds);
                prop_assert_eq!(left.iter().filter(|i| holds(i)).count(), usize::from(expected));
            }
        }

        #[test]
        fn merging_loses_and_invents_nothing(list in prop::collection::vec((0_i64..60, 0_i64..60), 0..12)) {
            let mut merged = Vec::new();
            for &(from, until) in &list {
                merged = merge(&merged, interval(from, until));
            }
            for moment in 0..60 {
                let expected = list.iter().any(|&(from, until)| from <= moment && moment < until);
                let found = merged.iter().filter(|i| i.from <= moment && moment < i.until).count();
                prop_assert_eq!(found, usize::from(expected));
            }
            prop_assert!(merged.windows(2).all(|pair| pair[0].until < pair[1].from));
        }
    }
}
