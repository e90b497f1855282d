//! How far back to list, and which time that can cover.
//!
//! `range` is `24h`, `7d` or `30d` before the server's current time, measured on the start of runs
//! (documented values; that it is the start is inferred). There is no `since`. Each window overlaps the
//! one before, for runs that arrive late in the list.

use std::time::Duration;

use crate::config::RangeChoice;
use crate::time::{DAY, Interval, Timestamp, holes, without};

/// Tolerance: windows end at the server's current time, which moves while a request is in transit.
const MARGIN: Duration = Duration::from_mins(1);

/// A value of the `range` parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Range {
    /// `24h`
    Day,
    /// `7d`
    Week,
    /// `30d`, the largest.
    Month,
}

impl Range {
    const ALL: [Self; 3] = [Self::Day, Self::Week, Self::Month];

    /// The parameter's value.
    pub fn name(self) -> &'static str {
        match self {
            Self::Day => "24h",
            Self::Week => "7d",
            Self::Month => "30d",
        }
    }

    /// Its length.
    pub fn length(self) -> Duration {
        match self {
            Self::Day => DAY,
            Self::Week => DAY * 7,
            Self::Month => DAY * 30,
        }
    }
}

/// The time that a scan lists, by the server's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The range to request.
    pub range: Range,
    /// Start of the window.
    pub from: Timestamp,
    /// The server's time when the window was planned: the coverage of a certified scan ends here.
    pub until: Timestamp,
    /// Runs that started before this, and after [`Window::from`], are all known already. A scan of
    /// a list that verifiably goes from new to old may end here; `None` if the whole list must be
    /// read.
    pub known_before: Option<Timestamp>,
}

impl Window {
    /// The next smaller range, up to the same moment; `None` for the smallest.
    pub fn shrunk(self) -> Option<Self> {
        let range = match self.range {
            Range::Month => Range::Week,
            Range::Week => Range::Day,
            Range::Day => return None,
        };
        let from = self.until - range.length();
        Some(Self { range, from, known_before: self.known_before.filter(|at| *at > from), ..self })
    }
}

/// Chooses the window: the smallest that joins `coverage`, with `overlap` of it listed again; the
/// largest if nothing is covered. A hole in the coverage is listed again as long as it is within
/// reach; time in `gaps` is given up.
pub fn plan(
    choice: RangeChoice,
    coverage: &[Interval],
    gaps: &[Interval],
    now: Timestamp,
    overlap: Duration,
) -> Window {
    let needed_from = earliest_unproven(coverage, gaps, now).map(|from| from - overlap);
    let covers =
        |range: &Range| needed_from.is_some_and(|from| now - range.length() + MARGIN <= from);
    let range = match choice {
        RangeChoice::Auto => Range::ALL.into_iter().find(covers).unwrap_or(Range::Month),
        RangeChoice::Day => Range::Day,
        RangeChoice::Week => Range::Week,
        RangeChoice::Month | RangeChoice::Longest => Range::Month,
    };
    let from = now - range.length();
    // Ending early is safe only if one covered interval holds all time from the window's start.
    let is_known = |until: Timestamp| {
        let joins = |known: &Interval| known.from <= from + MARGIN && until <= known.until;
        until > from && coverage.iter().any(joins)
    };
    // If the user names a range, all of it is listed.
    let known_before = needed_from.filter(|_| choice == RangeChoice::Auto);
    Window { range, from, until: now, known_before: known_before.filter(|until| is_known(*until)) }
}

/// Start of the first interval that is within reach, follows covered time, and is not covered
/// itself; `None` if nothing is covered.
fn earliest_unproven(
    coverage: &[Interval],
    gaps: &[Interval],
    now: Timestamp,
) -> Option<Timestamp> {
    let reach = now - Range::Month.length();
    let last = coverage.last()?.until.min(now);
    let open = holes(coverage).into_iter().flat_map(|hole| without(hole, gaps));
    open.filter(|hole| hole.until > reach).map(|hole| hole.from).chain([last]).min()
}

/// Time between covered intervals that no list reaches any more, without what is in `gaps` already.
/// `reach` is how far back the API lists, by the server's clock.
pub fn out_of_reach(coverage: &[Interval], gaps: &[Interval], reach: Timestamp) -> Vec<Interval> {
    let lost = holes(coverage).into_iter().flat_map(|hole| without(hole, gaps));
    let lost = lost.map(|hole| Interval { from: hole.from, until: hole.until.min(reach) });
    lost.filter(|hole| hole.from < hole.until).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::merge;
    use proptest::prelude::*;

    const HOUR: Duration = Duration::from_hours(1);
    const NOW: Timestamp = Timestamp::from_micros(20_000 * 86_400_000_000);

    fn intervals(list: &[(Timestamp, Timestamp)]) -> Vec<Interval> {
        list.iter().map(|&(from, until)| Interval { from, until }).collect()
    }

    fn auto(coverage: &[(Timestamp, Timestamp)]) -> Window {
        plan(RangeChoice::Auto, &intervals(coverage), &[], NOW, HOUR * 2)
    }

    #[test]
    fn the_first_sync_looks_back_as_far_as_it_can() {
        let window = auto(&[]);
        assert_eq!((window.range, window.known_before), (Range::Month, None));
    }

    #[test]
    fn the_smallest_range_that_joins_is_chosen() {
        let since = |hours: u32| auto(&[(NOW - DAY * 40, NOW - HOUR * hours)]);
        assert_eq!(since(1).range, Range::Day);
        assert_eq!(since(21).range, Range::Day);
        assert_eq!(since(22).range, Range::Week);
        assert_eq!(since(24 * 6).range, Range::Week);
        assert_eq!(since(24 * 7).range, Range::Month);
        assert_eq!(since(1).known_before, Some(NOW - HOUR * 3));
    }

    #[test]
    fn an_outage_beyond_reach_is_lost() {
        let coverage = intervals(&[(NOW - DAY * 90, NOW - DAY * 40), (NOW - DAY * 30, NOW)]);
        let lost = intervals(&[(NOW - DAY * 40, NOW - DAY * 30)]);
        assert_eq!(out_of_reach(&coverage, &[], NOW - DAY * 30), lost);
        assert_eq!(out_of_reach(&coverage, &lost, NOW - DAY * 29), []);
        assert_eq!(auto(&[(NOW - DAY * 90, NOW - DAY * 40)]).known_before, None);
    }

    #[test]
    fn a_hole_in_reach_is_listed_again() {
        let coverage = [(NOW - DAY * 60, NOW - DAY * 5), (NOW - DAY * 4, NOW - HOUR)];
        let window = auto(&coverage);
        assert_eq!(window.range, Range::Week);
        assert_eq!(window.known_before, Some(NOW - DAY * 5 - HOUR * 2));
        let given_up = intervals(&[(NOW - DAY * 5, NOW - DAY * 4)]);
        let window = plan(RangeChoice::Auto, &intervals(&coverage), &given_up, NOW, HOUR * 2);
        assert_eq!(window.range, Range::Day);
    }

    #[test]
    fn a_sweep_may_end_early_only_in_time_that_is_proven_to_its_end() {
        assert_eq!(auto(&[(NOW - DAY, NOW - HOUR)]).known_before, Some(NOW - HOUR * 3));
        assert_eq!(auto(&[(NOW - HOUR * 20, NOW - HOUR)]).known_before, None);
        let coverage = intervals(&[(NOW - DAY * 40, NOW - HOUR)]);
        assert_eq!(plan(RangeChoice::Month, &coverage, &[], NOW, HOUR * 2).known_before, None);
    }

    proptest! {
        #[test]
        fn all_time_in_reach_is_proven_or_listed(
            list in prop::collection::vec((0_u32..80 * 24, 1_u32..10 * 24), 1..6)
        ) {
            let coverage = list.iter().fold(Vec::new(), |coverage, &(age, length)| {
                let until = NOW - HOUR * age;
                merge(&coverage, Interval { from: until - HOUR * length, until })
            });
            let window = plan(RangeChoice::Auto, &coverage, &[], NOW, Duration::ZERO);
            let listed_from = window.known_before.unwrap_or(window.from);
            let after = merge(&coverage, Interval { from: listed_from, until: NOW });
            let reach = NOW - Range::Month.length();
            // Time that is afterwards neither covered nor lost is a hole within reach.
            let lost = out_of_reach(&after, &[], reach);
            for hole in holes(&after) {
                prop_assert!(without(hole, &lost).iter().all(|left| left.from >= left.until));
            }
            if let Some(known) = window.known_before {
                let joins = |p: &Interval| p.from <= window.from + MARGIN && known <= p.until;
                prop_assert!(coverage.iter().any(joins));
            }
        }
    }
}
