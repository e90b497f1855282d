//! How far back to list, and what that proves.
//!
//! `range` is `24h`, `7d` or `30d` before the server's now, measured on the start of runs
//! (documented values; that it is the start is inferred). There is no `since`.

use crate::config::RangeChoice;
use crate::interval::Interval;

/// A day in microseconds.
pub const DAY: i64 = 86_400 * 1_000_000;

/// The windows end at the server's now, which moves while a request travels.
const MARGIN: i64 = 60 * 1_000_000;

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

    /// Its length in microseconds.
    pub fn length(self) -> i64 {
        match self {
            Self::Day => DAY,
            Self::Week => 7 * DAY,
            Self::Month => 30 * DAY,
        }
    }
}

/// What a sweep will cover. Times are microseconds since 1970 by the server's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// What to ask for.
    pub range: Range,
    /// Where it begins.
    pub from: i64,
    /// The server's now when it was planned: what a certified sweep proves ends here.
    pub until: i64,
    /// Runs that started before this, and after [`Window::from`], are all known already: a sweep
    /// that is verified to go from new to old may end here.
    pub known_before: Option<i64>,
    /// Time between what is proven and what can still be listed.
    pub gap: Option<Interval>,
}

/// Chooses the window: the smallest that joins what is proven, with `overlap` microseconds of it
/// listed again; the largest where nothing is proven.
pub fn plan(choice: RangeChoice, proven: &[Interval], now: i64, overlap: i64) -> Window {
    let last = proven.last();
    let needed_from = last.map(|last| last.until.min(now).saturating_sub(overlap));
    let covers = |range: &Range| {
        needed_from.is_some_and(|from| now.saturating_sub(range.length()) + MARGIN <= from)
    };
    let range = match choice {
        RangeChoice::Auto => Range::ALL.into_iter().find(covers).unwrap_or(Range::Month),
        RangeChoice::Day => Range::Day,
        RangeChoice::Week => Range::Week,
        RangeChoice::Month => Range::Month,
    };
    let from = now.saturating_sub(range.length());
    let reach = now.saturating_sub(Range::Month.length());
    let gap = last.filter(|last| last.until < reach);
    Window {
        range,
        from,
        until: now,
        known_before: last
            .filter(|last| last.from <= from.saturating_add(MARGIN))
            .and(needed_from)
            // Who names a range wants all of it listed.
            .filter(|known| choice == RangeChoice::Auto && *known > from),
        gap: gap.map(|last| Interval { from: last.until, until: reach }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOUR: i64 = DAY / 24;
    const NOW: i64 = 20_000 * DAY;

    fn auto(proven: &[(i64, i64)]) -> Window {
        let proven: Vec<Interval> =
            proven.iter().map(|&(from, until)| Interval { from, until }).collect();
        plan(RangeChoice::Auto, &proven, NOW, 2 * HOUR)
    }

    #[test]
    fn the_first_sync_looks_back_as_far_as_it_can() {
        let window = auto(&[]);
        assert_eq!((window.range, window.known_before, window.gap), (Range::Month, None, None));
    }

    #[test]
    fn the_smallest_range_that_joins_is_chosen() {
        let since = |hours: i64| auto(&[(NOW - 40 * DAY, NOW - hours * HOUR)]);
        assert_eq!(since(1).range, Range::Day);
        assert_eq!(since(21).range, Range::Day);
        assert_eq!(since(22).range, Range::Week);
        assert_eq!(since(24 * 6).range, Range::Week);
        assert_eq!(since(24 * 7).range, Range::Month);
        assert_eq!(since(1).known_before, Some(NOW - 3 * HOUR));
        assert_eq!(since(24 * 29).gap, None);
    }

    #[test]
    fn an_outage_beyond_reach_is_a_gap() {
        let window = auto(&[(NOW - 90 * DAY, NOW - 40 * DAY)]);
        assert_eq!(window.range, Range::Month);
        assert_eq!(window.gap, Some(Interval { from: NOW - 40 * DAY, until: NOW - 30 * DAY }));
        assert_eq!(window.known_before, None);
    }

    #[test]
    fn a_sweep_may_end_early_only_in_time_that_is_proven_to_its_end() {
        assert_eq!(auto(&[(NOW - DAY, NOW - HOUR)]).known_before, Some(NOW - 3 * HOUR));
        assert_eq!(auto(&[(NOW - 20 * HOUR, NOW - HOUR)]).known_before, None);
        let proven = [Interval { from: NOW - 40 * DAY, until: NOW - HOUR }];
        assert_eq!(plan(RangeChoice::Month, &proven, NOW, 2 * HOUR).known_before, None);
    }

    proptest! {
        #[test]
        fn a_window_joins_what_is_proven_or_shows_the_gap(age in 0_i64..80 * 24, length in 1_i64..40 * 24) {
            let until = NOW - age * HOUR;
            let window = auto(&[(until - length * HOUR, until)]);
            match window.gap {
                Some(gap) => prop_assert!(gap.from == until && gap.until >= window.from),
                None => prop_assert!(window.from <= until),
            }
            if let Some(known) = window.known_before {
                prop_assert!(known <= until && until - length * HOUR <= window.from + MARGIN);
            }
        }
    }
}
