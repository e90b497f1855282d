//! Timestamps, and intervals of them.
//!
//! One rule for the whole program: an instant is a [`Timestamp`], and a length of time is a
//! [`Duration`], whether it is a setting, a constant, a timeout or the distance between two
//! timestamps. Raw integers stand only where text, JSON, Arrow or SQL is read or written, and in
//! the ledger's packed columns. Instants of other time zones, and calendar arithmetic of schedules,
//! use `chrono`; what a process measures of itself uses `std::time::Instant`.
//!
//! Two clocks are in use, that of the server and that of this machine, and a timestamp does not
//! say by which it was taken: the documentation of each field does.

use std::ops::{Add, AddAssign, Sub};
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeZone, Utc};
use serde::{Deserialize, Serialize};

/// A day.
pub const DAY: Duration = Duration::from_hours(24);

/// An instant, in microseconds since 1970-01-01T00:00:00 UTC; serialized as that number.
///
/// Adding and subtracting durations saturates at [`Timestamp::MIN`] and [`Timestamp::MAX`], and
/// ignores what is below a microsecond.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// 1970-01-01T00:00:00 UTC.
    pub const EPOCH: Self = Self(0);

    /// The earliest instant. No calendar date exists for it.
    pub const MIN: Self = Self(i64::MIN);

    /// The latest instant. No calendar date exists for it.
    pub const MAX: Self = Self(i64::MAX);

    /// From microseconds since 1970 in UTC.
    pub const fn from_micros(microseconds: i64) -> Self {
        Self(microseconds)
    }

    /// Microseconds since 1970 in UTC.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// As a calendar date and time; `None` if none exists for it.
    pub fn to_datetime(self) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp_micros(self.0)
    }

    /// As RFC 3339 text, to the second; `None` if no calendar date exists for it.
    pub fn rfc3339(self) -> Option<String> {
        Some(self.to_datetime()?.to_rfc3339_opts(SecondsFormat::Secs, true))
    }

    /// Its UTC day, as `2026-11-23`; `None` if no calendar date exists for it.
    pub fn utc_day(self) -> Option<String> {
        Some(self.to_datetime()?.format("%Y-%m-%d").to_string())
    }

    /// Its UTC day, in days since 1970-01-01; `None` if no calendar date exists for it.
    pub fn utc_day_number(self) -> Option<i32> {
        const MICROSECONDS: i64 = 86_400 * 1_000_000;
        self.to_datetime()?;
        i32::try_from(self.0.div_euclid(MICROSECONDS)).ok()
    }

    /// How long after `earlier` it is; zero if it is not after it.
    pub fn since(self, earlier: Self) -> Duration {
        self.checked_since(earlier).unwrap_or_default()
    }

    /// How long after `earlier` it is; `None` if it is before it.
    pub fn checked_since(self, earlier: Self) -> Option<Duration> {
        (self >= earlier).then(|| self.distance(earlier))
    }

    /// How far apart two instants are.
    pub fn distance(self, other: Self) -> Duration {
        Duration::from_micros(self.0.abs_diff(other.0))
    }
}

impl<Zone: TimeZone> From<DateTime<Zone>> for Timestamp {
    fn from(instant: DateTime<Zone>) -> Self {
        Self(instant.timestamp_micros())
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, length: Duration) -> Self {
        Self(self.0.saturating_add_unsigned(microseconds(length)))
    }
}

impl AddAssign<Duration> for Timestamp {
    fn add_assign(&mut self, length: Duration) {
        *self = *self + length;
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, length: Duration) -> Self {
        Self(self.0.saturating_sub_unsigned(microseconds(length)))
    }
}

fn microseconds(length: Duration) -> u64 {
    u64::try_from(length.as_micros()).unwrap_or(u64::MAX)
}

/// A time interval: `from` belongs to it, `until` does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Interval {
    /// Start, inclusive.
    pub from: Timestamp,
    /// End, exclusive.
    pub until: Timestamp,
}

impl Interval {
    /// How long it is; zero if it ends before it starts.
    pub fn length(self) -> Duration {
        self.until.since(self.from)
    }
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
        Interval { from: Timestamp::from_micros(from), until: Timestamp::from_micros(until) }
    }

    const NOON: Timestamp = Timestamp::from_micros(1_795_435_200_000_000);

    #[test]
    fn an_instant_as_text_and_as_a_day() {
        assert_eq!(NOON.rfc3339().as_deref(), Some("2026-11-23T12:00:00Z"));
        assert_eq!(NOON.utc_day().as_deref(), Some("2026-11-23"));
        assert_eq!(NOON.utc_day_number(), Some(20_780));
        let before = Timestamp::EPOCH - Duration::from_micros(1);
        assert_eq!(before.utc_day().as_deref(), Some("1969-12-31"));
        assert_eq!(before.utc_day_number(), Some(-1));
        for end in [Timestamp::MIN, Timestamp::MAX] {
            assert_eq!((end.rfc3339(), end.utc_day(), end.utc_day_number()), (None, None, None));
        }
    }

    #[test]
    fn it_is_a_bare_number_in_json() {
        assert_eq!(serde_json::to_string(&NOON).unwrap(), "1795435200000000");
        let list = serde_json::to_string(&interval(-1, 2)).unwrap();
        assert_eq!(list, r#"{"from":-1,"until":2}"#);
    }

    #[test]
    fn arithmetic_ends_at_the_ends() {
        assert_eq!(Timestamp::MAX + Duration::from_micros(1), Timestamp::MAX);
        assert_eq!(Timestamp::MIN - Duration::MAX, Timestamp::MIN);
        assert_eq!(Timestamp::MIN + Duration::from_micros(u64::MAX), Timestamp::MAX);
        assert_eq!(Timestamp::MAX.since(Timestamp::MIN), Duration::from_micros(u64::MAX));
        assert_eq!(NOON + Duration::from_nanos(999), NOON);
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
        fn a_timestamp_survives_every_form(micros in any::<i64>(), other in any::<i64>()) {
            let (at, other) = (Timestamp::from_micros(micros), Timestamp::from_micros(other));
            prop_assert_eq!(at.as_micros(), micros);
            let json = serde_json::to_string(&at).unwrap();
            prop_assert_eq!(&json, &micros.to_string());
            prop_assert_eq!(serde_json::from_str::<Timestamp>(&json).unwrap(), at);
            prop_assert_eq!(at.cmp(&other), micros.cmp(&other.as_micros()));
            if let Some(instant) = at.to_datetime() {
                prop_assert_eq!(Timestamp::from(instant), at);
            }
        }

        #[test]
        fn the_text_and_the_day_are_those_of_the_calendar(micros in -4_000_000_000_000_000_i64..9_000_000_000_000_000) {
            let at = Timestamp::from_micros(micros);
            let text = at.rfc3339().unwrap();
            let read = Timestamp::from(DateTime::parse_from_rfc3339(&text).unwrap());
            prop_assert!(read <= at && at.since(read) < Duration::from_secs(1));
            let (date, _) = text.split_once('T').unwrap();
            prop_assert_eq!(at.utc_day().unwrap(), date);
            let day = chrono::NaiveDate::from_epoch_days(at.utc_day_number().unwrap()).unwrap();
            prop_assert_eq!(day.to_string(), date);
        }

        #[test]
        fn sums_are_exact_or_at_an_end(micros in any::<i64>(), length in any::<u64>()) {
            let (at, span) = (Timestamp::from_micros(micros), Duration::from_micros(length));
            let exact = |sum: i128| {
                Timestamp::from_micros(
                    i64::try_from(sum).unwrap_or(if sum < 0 { i64::MIN } else { i64::MAX }),
                )
            };
            prop_assert_eq!(at + span, exact(i128::from(micros) + i128::from(length)));
            prop_assert_eq!(at - span, exact(i128::from(micros) - i128::from(length)));
        }

        #[test]
        fn a_difference_leads_back(one in any::<i64>(), two in any::<i64>()) {
            let (one, two) = (Timestamp::from_micros(one), Timestamp::from_micros(two));
            let (early, late) = (one.min(two), one.max(two));
            prop_assert_eq!(early + late.since(early), late);
            prop_assert_eq!(late - late.since(early), early);
            prop_assert_eq!(one.distance(two), late.since(early));
            prop_assert_eq!(early.since(late), Duration::ZERO);
            prop_assert_eq!(one.checked_since(two).is_some(), one >= two);
        }

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
                let moment = Timestamp::from_micros(moment);
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
                let moment = Timestamp::from_micros(moment);
                let found = merged.iter().filter(|i| i.from <= moment && moment < i.until).count();
                prop_assert_eq!(found, usize::from(expected));
            }
            prop_assert!(merged.windows(2).all(|pair| pair[0].until < pair[1].from));
        }
    }
}
