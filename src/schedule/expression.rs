//! Crontab expressions, interpreted as `crontab` does, in local time with daylight saving.

mod fields;
#[cfg(test)]
mod tests;

use std::fmt;
use std::iter::successors;

use chrono::{
    DateTime, Datelike, MappedLocalTime, NaiveDateTime, Offset, TimeDelta, TimeZone, Timelike, Utc,
};
use chrono_tz::{GapInfo, Tz};
use cron::Schedule;

use fields::Fields;

const FIRST_YEAR: u32 = 1970;
const LAST_YEAR: u32 = 2100;

/// Two days before 1970: earlier than the first local time that can match, in every zone.
const BEFORE_EVERYTHING: i64 = -2 * 24 * 60 * 60;

/// Maximum time by which a clock is set back at a change of the offset: a repeated firing is at
/// most this far away.
const LONGEST_REPEAT: TimeDelta = TimeDelta::hours(26);

/// Why a text is not a usable crontab expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExpressionError {
    /// The text has too few or too many fields.
    #[error(
        "an expression has 5 fields (minute hour day month weekday), found {found}; \
         6 fields start with the second, and 7 also end with the year"
    )]
    FieldCount {
        /// How many fields the text has.
        found: usize,
    },
    /// The text starts with `@` and is not a known nickname.
    #[error(
        "`{nickname}` is not a known nickname: use @yearly, @annually, @monthly, @weekly, @daily, \
         @midnight or @hourly"
    )]
    Nickname {
        /// The text as given.
        nickname: String,
    },
    /// A number lies outside what its field allows.
    #[error("{field} `{part}` is out of range: use {allowed}")]
    OutOfRange {
        /// The name of the field.
        field: &'static str,
        /// The number that is wrong.
        part: String,
        /// What the field allows.
        allowed: &'static str,
    },
    /// A part of a field is neither a value nor a range, step or list of values.
    #[error("{field} `{part}` is not understood: use {allowed}, `*`, ranges, steps and lists")]
    NotUnderstood {
        /// The name of the field.
        field: &'static str,
        /// The part that is wrong.
        part: String,
        /// What the field allows.
        allowed: &'static str,
    },
    /// A range ends before it begins.
    #[error(
        "{field} range `{range}` runs backwards: put the smaller value first, or write `{split}`"
    )]
    Backwards {
        /// The name of the field.
        field: &'static str,
        /// The range that is wrong.
        range: String,
        /// Two ranges that together wrap around the end of the field.
        split: String,
    },
    /// A step is zero, too long for its field, or not a number.
    #[error("{field} step `{step}` is out of range: use 1-{largest}")]
    Step {
        /// The name of the field.
        field: &'static str,
        /// The step as given.
        step: String,
        /// The longest step that makes sense in the field.
        largest: u32,
    },
    /// All fields are valid, but no date matches all of them.
    #[error("`{text}` never fires: no date matches its day, month, weekday and year together")]
    NeverFires {
        /// The text as given.
        text: String,
    },
    /// The `cron` crate rejected the translated expression.
    #[error("`{text}` cannot be scheduled: {reason}")]
    Refused {
        /// The text as given.
        text: String,
        /// The error of the `cron` crate.
        reason: String,
    },
}

/// A crontab expression together with the time zone whose clock it follows.
///
/// # What is accepted
///
/// - Five fields, `minute hour day month weekday`; six, with the second first; seven, with the
///   year (1970 to 2100) last as well. Without a second field the second is 0.
/// - In each field `*`, a value, a range `a-b`, a step `*/n`, `a-b/n` or `a/n` (from `a` to the end
///   of the field), and lists of these with commas.
/// - Months and weekdays also by name (`jan` or `January`, in any case), in ranges and lists too.
///   Weekdays 0 and 7 are both Sunday, and a range may end on Sunday (`5-7`, `fri-sun`).
/// - `@yearly`, `@annually`, `@monthly`, `@weekly`, `@daily`, `@midnight` and `@hourly`.
///
/// When both the day and the weekday are restricted (neither begins with `*`), a date matches if
/// *either* matches; otherwise it has to match both. `0 0 13 * 5` is every 13th and every Friday.
///
/// # Daylight saving
///
/// The hour field decides, much as in Vixie cron (which looks at the minute field as well):
///
/// - **Fixed hours** (the hour field does not begin with `*`): every local time fires once. A time
///   that is skipped because the clock goes forward fires at the first instant after the gap; all
///   times skipped in one gap fire once together there, also together with a firing that is due at
///   that instant anyway. A time that is repeated because the clock goes back fires the first time
///   only.
/// - **Any hour** (the hour field begins with `*`, as in `*` or `*/2`): it fires whenever the local
///   clock shows a matching time. It therefore fires in both passes of a repeated hour, and a time
///   in a gap is not caught up: the clock shows another matching hour on the same day.
///
/// # Limits
///
/// Nothing fires before 1970 or after 2100, and firings are on whole seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expression {
    text: String,
    zone: Tz,
    /// A local time matches if any of these does. They are evaluated as if local time were UTC, so
    /// that only this module decides how changes of the clock are treated.
    schedules: Vec<Schedule>,
    any_hour: bool,
}

impl Expression {
    /// Parses a crontab expression that follows the clock of `zone`.
    ///
    /// # Errors
    ///
    /// Returns an [`ExpressionError`] naming the field and the part that is wrong, or saying that
    /// the expression is well formed but never fires, such as `0 0 30 2 *`.
    pub fn parse(text: &str, zone: Tz) -> Result<Self, ExpressionError> {
        let text = text.trim();
        let fields = Fields::parse(text)?;
        let expression = Self {
            text: text.to_owned(),
            zone,
            schedules: fields.schedules(text)?,
            any_hour: fields.hour.starred,
        };
        let fires = DateTime::from_timestamp(BEFORE_EVERYTHING, 0)
            .and_then(|start| expression.next_local(start.naive_utc()))
            .is_some();
        if fires {
            Ok(expression)
        } else {
            Err(ExpressionError::NeverFires { text: text.to_owned() })
        }
    }

    /// The expression as it was given, without surrounding white space.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The time zone whose clock the expression follows.
    #[must_use]
    pub fn zone(&self) -> Tz {
        self.zone
    }

    /// The first firing strictly later than `instant`, or `None` if there is none up to the year
    /// 2100.
    #[must_use]
    pub fn next_after(&self, instant: DateTime<Utc>) -> Option<DateTime<Utc>> {
        // Keep the arithmetic below away from the ends of the calendar, where it would overflow.
        let start = instant.max(DateTime::from_timestamp(BEFORE_EVERYTHING, 0)?);
        if i64::from(start.year()) > i64::from(LAST_YEAR) + 1 {
            return None;
        }
        let ordinary = self
            .locals_after(self.local(start)?)
            .flat_map(|local| self.instants_of(local))
            .find(|firing| *firing > start);
        if self.any_hour { earliest(ordinary, self.next_repeated(start)) } else { ordinary }
    }

    /// The first `count` firings strictly later than `after`, in order; fewer if there are fewer up
    /// to the year 2100.
    #[must_use]
    pub fn upcoming(&self, after: DateTime<Utc>, count: usize) -> Vec<DateTime<Utc>> {
        successors(self.next_after(after), |firing| self.next_after(*firing)).take(count).collect()
    }

    /// The local time at `instant`, rounded down to the second: firings are on whole seconds.
    fn local(&self, instant: DateTime<Utc>) -> Option<NaiveDateTime> {
        instant.with_timezone(&self.zone).naive_local().with_nanosecond(0)
    }

    /// The first local time later than `after` that matches the fields.
    fn next_local(&self, after: NaiveDateTime) -> Option<NaiveDateTime> {
        let after = after.and_utc();
        self.schedules
            .iter()
            .filter_map(|schedule| schedule.after(&after).next())
            .min()
            .map(|local| local.naive_utc())
    }

    fn locals_after(&self, after: NaiveDateTime) -> impl Iterator<Item = NaiveDateTime> {
        successors(self.next_local(after), |local| self.next_local(*local))
    }

    /// The instants at which a matching local time fires, in order.
    fn instants_of(&self, local: NaiveDateTime) -> Vec<DateTime<Utc>> {
        match self.zone.from_local_datetime(&local) {
            MappedLocalTime::Single(only) => vec![only.to_utc()],
            MappedLocalTime::Ambiguous(one, other) => {
                let first = one.min(other).to_utc();
                let second = one.max(other).to_utc();
                if self.any_hour { vec![first, second] } else { vec![first] }
            }
            MappedLocalTime::None if self.any_hour => Vec::new(),
            MappedLocalTime::None => GapInfo::new(&local, &self.zone)
                .and_then(|gap| gap.end)
                .map(|end| end.to_utc())
                .into_iter()
                .collect(),
        }
    }

    /// The first firing after the clock is set back, if that happens shortly after `start`.
    ///
    /// The search for later local times misses it if the clock showed that local time before
    /// `start`.
    fn next_repeated(&self, start: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let change = self.clock_set_back(start)?;
        let just_before = self.local(change)?.checked_sub_signed(TimeDelta::seconds(1))?;
        self.next_local(just_before)
            .and_then(|local| self.instants_of(local).into_iter().find(|firing| *firing >= change))
    }

    /// The first instant at which the local clock has been set back, if that is shortly after
    /// `start`.
    fn clock_set_back(&self, start: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let mut before = start.timestamp();
        let mut after = start.checked_add_signed(LONGEST_REPEAT)?.timestamp();
        let old = self.offset_seconds(before)?;
        if self.offset_seconds(after)? >= old {
            return None;
        }
        while after - before > 1 {
            let middle = before.midpoint(after);
            if self.offset_seconds(middle)? == old {
                before = middle;
            } else {
                after = middle;
            }
        }
        DateTime::from_timestamp(after, 0)
    }

    fn offset_seconds(&self, timestamp: i64) -> Option<i32> {
        let instant = DateTime::from_timestamp(timestamp, 0)?;
        let offset = self.zone.offset_from_utc_datetime(&instant.naive_utc());
        Some(offset.fix().local_minus_utc())
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({})", self.text, self.zone)
    }
}

fn earliest(one: Option<DateTime<Utc>>, other: Option<DateTime<Utc>>) -> Option<DateTime<Utc>> {
    one.into_iter().chain(other).min()
}
