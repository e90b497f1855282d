//! Crontab expressions, read the way `crontab` reads them and followed through daylight saving.

use std::collections::BTreeSet;
use std::fmt;
use std::iter::successors;

use chrono::{
    DateTime, Datelike, MappedLocalTime, NaiveDateTime, Offset, TimeDelta, TimeZone, Timelike, Utc,
};
use chrono_tz::{GapInfo, Tz};
use cron::Schedule;

const FIRST_YEAR: u32 = 1970;
const LAST_YEAR: u32 = 2100;

/// Two days before 1970: earlier than the first local time that can match, in every zone.
const BEFORE_EVERYTHING: i64 = -2 * 24 * 60 * 60;

/// No clock is ever set back by more than this, so a repeated firing cannot be further away.
const LONGEST_REPEAT: TimeDelta = TimeDelta::hours(26);

const NICKNAMES: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

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
    /// The text begins with `@` but is none of the known nicknames.
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
        /// Two ranges that together go round the end of the field.
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
    /// Every field is in order, but no date matches all of them.
    #[error("`{text}` never fires: no date matches its day, month, weekday and year together")]
    NeverFires {
        /// The text as given.
        text: String,
    },
    /// The `cron` crate refused what the text was translated to.
    #[error("`{text}` cannot be scheduled: {reason}")]
    Refused {
        /// The text as given.
        text: String,
        /// What the `cron` crate said.
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
/// - **Fixed hours** (the hour field does not begin with `*`): every local time is kept once. One
///   that is skipped because the clock goes forward fires at the first instant after the gap, and
///   everything skipped in one gap fires once together there, also together with whatever is due
///   at that instant anyway. One that is repeated because the clock goes back fires the first time
///   only.
/// - **Any hour** (the hour field begins with `*`, as in `*` or `*/2`): it fires whenever the clock
///   on the wall shows a matching time. It therefore goes on through both passes of a repeated
///   hour, and what falls in a gap is not made up for: the clock shows another matching hour on the
///   same day.
///
/// # Limits
///
/// Nothing fires before 1970 or after 2100, and firings are on whole seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expression {
    text: String,
    zone: Tz,
    /// A local time matches if any of these does. They are evaluated as if local time were UTC,
    /// so that the changes of the clock are decided here and nowhere else.
    schedules: Vec<Schedule>,
    any_hour: bool,
}

impl Expression {
    /// Reads a crontab expression that follows the clock of `zone`.
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
        // Keeps the arithmetic below away from the ends of the calendar, where it would overflow.
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

    /// What the clock shows at `instant`, to the second below: firings are on whole seconds.
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

    /// The first firing after the clock goes back, if it goes back shortly after `start`.
    ///
    /// The search for later local times misses it when the clock showed that time before `start`
    /// already.
    fn next_repeated(&self, start: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let change = self.clock_set_back(start)?;
        let just_before = self.local(change)?.checked_sub_signed(TimeDelta::seconds(1))?;
        self.next_local(just_before)
            .and_then(|local| self.instants_of(local).into_iter().find(|firing| *firing >= change))
    }

    /// The first instant at which the clock shows an earlier time again, if that is shortly after
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

/// What one field of an expression may contain.
struct FieldKind {
    name: &'static str,
    lowest: u32,
    highest: u32,
    /// Where `*` and an open step end: Saturday for weekdays, so that Sunday is not counted twice.
    last: u32,
    largest_step: u32,
    /// Full names in order from `lowest`; the first three letters stand for them as well.
    names: &'static [&'static str],
    allowed: &'static str,
}

const SECOND: FieldKind = FieldKind {
    name: "second",
    lowest: 0,
    highest: 59,
    last: 59,
    largest_step: 59,
    names: &[],
    allowed: "0-59",
};

const MINUTE: FieldKind = FieldKind { name: "minute", ..SECOND };

const HOUR: FieldKind = FieldKind {
    name: "hour",
    lowest: 0,
    highest: 23,
    last: 23,
    largest_step: 23,
    names: &[],
    allowed: "0-23",
};

const DAY: FieldKind = FieldKind {
    name: "day",
    lowest: 1,
    highest: 31,
    last: 31,
    largest_step: 31,
    names: &[],
    allowed: "1-31",
};

const MONTH: FieldKind = FieldKind {
    name: "month",
    lowest: 1,
    highest: 12,
    last: 12,
    largest_step: 12,
    names: &[
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ],
    allowed: "1-12 or names (jan to dec)",
};

const WEEKDAY: FieldKind = FieldKind {
    name: "weekday",
    lowest: 0,
    highest: 7,
    last: 6,
    largest_step: 7,
    names: &["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"],
    allowed: "0-7 or names (0 and 7 are Sunday)",
};

const YEAR: FieldKind = FieldKind {
    name: "year",
    lowest: FIRST_YEAR,
    highest: LAST_YEAR,
    last: LAST_YEAR,
    largest_step: LAST_YEAR - FIRST_YEAR,
    names: &[],
    allowed: "1970-2100",
};

impl FieldKind {
    fn parse(&self, text: &str) -> Result<Field, ExpressionError> {
        let mut values = BTreeSet::new();
        for part in text.split(',') {
            if part.is_empty() {
                return Err(self.not_understood(text));
            }
            self.add_part(part, &mut values)?;
        }
        Ok(Field { values, starred: text.starts_with('*') })
    }

    fn add_part(&self, part: &str, values: &mut BTreeSet<u32>) -> Result<(), ExpressionError> {
        let (span, step) = match part.split_once('/') {
            Some((span, step)) => (span, Some(self.step(step)?)),
            None => (part, None),
        };
        let (first, last) = if span == "*" {
            (self.lowest, self.last)
        } else if let Some((first, last)) = span.split_once('-') {
            self.range(part, first, last)?
        } else {
            let first = self.value(part, span)?;
            (first, if step.is_some() { self.last.max(first) } else { first })
        };
        values.extend((first..=last).step_by(step.unwrap_or(1)));
        Ok(())
    }

    fn range(&self, part: &str, from: &str, to: &str) -> Result<(u32, u32), ExpressionError> {
        let first = self.value(part, from)?;
        let last = self.value(part, to)?;
        if first <= last {
            Ok((first, last))
        } else if last == self.lowest && self.last < self.highest {
            // Sunday is the only value with two numbers: at the end of a range it is the later one.
            Ok((first, self.highest))
        } else {
            let (highest, lowest) = (self.last, self.lowest);
            Err(ExpressionError::Backwards {
                field: self.name,
                range: format!("{from}-{to}"),
                split: format!("{from}-{highest},{lowest}-{to}"),
            })
        }
    }

    fn value(&self, part: &str, text: &str) -> Result<u32, ExpressionError> {
        if is_number(text) {
            return text
                .parse()
                .ok()
                .filter(|value| (self.lowest..=self.highest).contains(value))
                .ok_or_else(|| ExpressionError::OutOfRange {
                    field: self.name,
                    part: text.to_owned(),
                    allowed: self.allowed,
                });
        }
        (self.lowest..)
            .zip(self.names)
            .find(|(_, name)| {
                name.eq_ignore_ascii_case(text)
                    || name.get(..3).is_some_and(|short| short.eq_ignore_ascii_case(text))
            })
            .map(|(value, _)| value)
            .ok_or_else(|| self.not_understood(part))
    }

    fn step(&self, text: &str) -> Result<usize, ExpressionError> {
        let largest = self.largest_step;
        text.parse::<u32>()
            .ok()
            .filter(|step| is_number(text) && (1..=largest).contains(step))
            .and_then(|step| usize::try_from(step).ok())
            .ok_or_else(|| ExpressionError::Step {
                field: self.name,
                step: text.to_owned(),
                largest,
            })
    }

    fn not_understood(&self, part: &str) -> ExpressionError {
        ExpressionError::NotUnderstood {
            field: self.name,
            part: part.to_owned(),
            allowed: self.allowed,
        }
    }
}

/// Digits alone: `parse` would also take a leading `+`.
fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

struct Field {
    values: BTreeSet<u32>,
    /// Begins with `*`, even if a step then leaves values out: that is what crontab goes by.
    starred: bool,
}

impl Field {
    fn list(&self) -> String {
        self.values.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
    }

    /// The same weekdays as the `cron` crate numbers them, from 1 for Sunday.
    fn weekday_list(&self) -> String {
        let days: BTreeSet<u32> = self.values.iter().map(|day| day % 7 + 1).collect();
        Self { values: days, starred: self.starred }.list()
    }
}

struct Fields {
    second: Field,
    minute: Field,
    hour: Field,
    day: Field,
    month: Field,
    weekday: Field,
    year: Field,
}

impl Fields {
    fn parse(text: &str) -> Result<Self, ExpressionError> {
        let line = expand_nickname(text)?;
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (second, minute, hour, day, month, weekday, year) = match fields.as_slice() {
            [minute, hour, day, month, weekday] => {
                ("0", *minute, *hour, *day, *month, *weekday, "*")
            }
            [second, minute, hour, day, month, weekday] => {
                (*second, *minute, *hour, *day, *month, *weekday, "*")
            }
            [second, minute, hour, day, month, weekday, year] => {
                (*second, *minute, *hour, *day, *month, *weekday, *year)
            }
            other => return Err(ExpressionError::FieldCount { found: other.len() }),
        };
        Ok(Self {
            second: SECOND.parse(second)?,
            minute: MINUTE.parse(minute)?,
            hour: HOUR.parse(hour)?,
            day: DAY.parse(day)?,
            month: MONTH.parse(month)?,
            weekday: WEEKDAY.parse(weekday)?,
            year: YEAR.parse(year)?,
        })
    }

    fn schedules(&self, text: &str) -> Result<Vec<Schedule>, ExpressionError> {
        let (day, weekday) = (self.day.list(), self.weekday.weekday_list());
        // The `cron` crate wants both to match, so "either" takes one schedule for each.
        let days = if self.day.starred || self.weekday.starred {
            vec![(day.as_str(), weekday.as_str())]
        } else {
            vec![(day.as_str(), "*"), ("*", weekday.as_str())]
        };
        days.into_iter().map(|(day, weekday)| self.schedule(text, day, weekday)).collect()
    }

    fn schedule(&self, text: &str, day: &str, weekday: &str) -> Result<Schedule, ExpressionError> {
        let line = format!(
            "{} {} {} {day} {} {weekday} {}",
            self.second.list(),
            self.minute.list(),
            self.hour.list(),
            self.month.list(),
            self.year.list(),
        );
        line.parse().map_err(|error: cron::error::Error| ExpressionError::Refused {
            text: text.to_owned(),
            reason: error.to_string(),
        })
    }
}

fn expand_nickname(text: &str) -> Result<&str, ExpressionError> {
    if !text.starts_with('@') {
        return Ok(text);
    }
    NICKNAMES
        .iter()
        .find(|(nickname, _)| nickname.eq_ignore_ascii_case(text))
        .map(|(_, line)| *line)
        .ok_or_else(|| ExpressionError::Nickname { nickname: text.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expression(text: &str, zone: Tz) -> Expression {
        Expression::parse(text, zone).expect(text)
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect(text)
    }

    /// The firings later than `from` and before `to`, as local times with their offsets.
    fn firings(text: &str, zone: Tz, from: &str, to: &str) -> Vec<String> {
        expression(text, zone)
            .upcoming(at(from), 1000)
            .into_iter()
            .take_while(|firing| *firing < at(to))
            .map(|firing| firing.with_timezone(&zone).format("%d %H:%M:%S%:z").to_string())
            .collect()
    }

    fn values(kind: &FieldKind, text: &str) -> Vec<u32> {
        kind.parse(text).expect(text).values.into_iter().collect()
    }

    fn error(text: &str) -> String {
        Expression::parse(text, Tz::UTC).expect_err(text).to_string()
    }

    #[test]
    fn five_six_and_seven_fields() {
        let from = at("2024-01-01T00:00:00Z");
        for (text, expected) in [
            ("30 2 * * *", "2024-01-01T02:30:00Z"),
            ("15 30 2 * * *", "2024-01-01T02:30:15Z"),
            ("15 30 2 1 1 * 2030", "2030-01-01T02:30:15Z"),
            ("  30\t2 *  * * ", "2024-01-01T02:30:00Z"),
        ] {
            assert_eq!(expression(text, Tz::UTC).next_after(from), Some(at(expected)), "{text}");
        }
    }

    #[test]
    fn values_ranges_steps_and_lists() {
        assert_eq!(values(&MINUTE, "5,1-3,50-59/4,*/30"), [0, 1, 2, 3, 5, 30, 50, 54, 58]);
        assert_eq!(values(&HOUR, "20/2"), [20, 22]);
        assert_eq!(values(&DAY, "*/10"), [1, 11, 21, 31]);
        assert_eq!(values(&MONTH, "JAN,mar-May,December"), [1, 3, 4, 5, 12]);
        assert_eq!(values(&YEAR, "2024/40"), [2024, 2064]);
    }

    #[test]
    fn weekdays_count_as_in_crontab() {
        for (text, expected) in [
            ("0", "1"),
            ("7", "1"),
            ("0,7", "1"),
            ("1", "2"),
            ("mon", "2"),
            ("Saturday", "7"),
            ("5-7", "1,6,7"),
            ("5-7/2", "1,6"),
            ("1-5/2", "2,4,6"),
            ("fri-sun", "1,6,7"),
            ("5-0", "1,6,7"),
            ("sun-tue", "1,2,3"),
            ("sun-sun", "1"),
            ("mon,3,FRI-6", "2,4,6,7"),
            ("0-7", "1,2,3,4,5,6,7"),
            ("*", "1,2,3,4,5,6,7"),
            ("*/2", "1,3,5,7"),
            ("1/2", "2,4,6"),
            ("7/2", "1"),
        ] {
            assert_eq!(WEEKDAY.parse(text).expect(text).weekday_list(), expected, "{text}");
        }
    }

    #[test]
    fn weekday_one_is_monday() {
        let monday = at("2024-01-01T00:00:00Z");
        let before = at("2023-12-29T00:00:00Z");
        assert_eq!(expression("0 0 * * 1", Tz::UTC).next_after(before), Some(monday));
    }

    #[test]
    fn both_day_fields_restricted_match_either() {
        let days = firings("0 0 13 * 5", Tz::UTC, "2024-05-01T00:00:00Z", "2024-06-01T00:00:00Z");
        let expected =
            ["03", "10", "13", "17", "24", "31"].map(|day| format!("{day} 00:00:00+00:00"));
        assert_eq!(days, expected);
    }

    #[test]
    fn a_day_field_beginning_with_a_star_has_to_match_too() {
        let days = firings("0 0 */10 * 6", Tz::UTC, "2024-05-01T00:00:00Z", "2024-09-01T00:00:00Z");
        assert_eq!(days, ["11 00:00:00+00:00", "01 00:00:00+00:00", "31 00:00:00+00:00"].to_vec());
    }

    #[test]
    fn nicknames() {
        let from = at("2024-05-15T12:30:00Z");
        for (text, expected) in [
            ("@yearly", "2025-01-01T00:00:00Z"),
            ("@annually", "2025-01-01T00:00:00Z"),
            ("@monthly", "2024-06-01T00:00:00Z"),
            ("@weekly", "2024-05-19T00:00:00Z"),
            ("@daily", "2024-05-16T00:00:00Z"),
            ("@Midnight", "2024-05-16T00:00:00Z"),
            ("@hourly", "2024-05-15T13:00:00Z"),
        ] {
            assert_eq!(expression(text, Tz::UTC).next_after(from), Some(at(expected)), "{text}");
        }
    }

    #[test]
    fn a_skipped_local_time_fires_right_after_the_gap() {
        let day = ("2024-03-30T23:00:00Z", "2024-03-31T22:00:00Z");
        for text in ["30 2 * * *", "* 2 * * *", "0 2,3 * * *", "*/20 2,2-2 * * *"] {
            let found = firings(text, Tz::Europe__Berlin, day.0, day.1);
            assert_eq!(found, ["31 03:00:00+02:00"], "{text}");
        }
        let both = firings("30 2,3 * * *", Tz::Europe__Berlin, day.0, day.1);
        assert_eq!(both, ["31 03:00:00+02:00", "31 03:30:00+02:00"]);
    }

    #[test]
    fn a_repeated_local_time_fires_the_first_time_only() {
        let day = ("2024-10-26T22:00:00Z", "2024-10-27T23:00:00Z");
        let once = firings("30 2 * * *", Tz::Europe__Berlin, day.0, day.1);
        assert_eq!(once, ["27 02:30:00+02:00"]);
        let every_half_hour = firings("*/30 2,3 * * *", Tz::Europe__Berlin, day.0, day.1);
        assert_eq!(
            every_half_hour,
            ["27 02:00:00+02:00", "27 02:30:00+02:00", "27 03:00:00+01:00", "27 03:30:00+01:00"]
        );
    }

    #[test]
    fn an_instant_in_the_second_pass_does_not_fire_again() {
        let second_pass = at("2024-10-27T01:15:00Z");
        let next = expression("30 2 * * *", Tz::Europe__Berlin).next_after(second_pass);
        assert_eq!(next, Some(at("2024-10-28T01:30:00Z")));
    }

    #[test]
    fn any_hour_goes_on_through_a_repeated_hour() {
        let night = ("2024-10-26T23:00:00Z", "2024-10-27T02:30:00Z");
        let expected = [
            "27 01:30:00+02:00",
            "27 02:00:00+02:00",
            "27 02:30:00+02:00",
            "27 02:00:00+01:00",
            "27 02:30:00+01:00",
            "27 03:00:00+01:00",
        ];
        assert_eq!(firings("*/30 * * * *", Tz::Europe__Berlin, night.0, night.1), expected);
        let every_second_hour = firings("0 */2 * * *", Tz::Europe__Berlin, night.0, night.1);
        assert_eq!(every_second_hour, ["27 02:00:00+02:00", "27 02:00:00+01:00"]);
    }

    #[test]
    fn any_hour_does_not_make_up_for_a_gap() {
        let night = ("2024-03-31T00:00:00Z", "2024-03-31T02:00:00Z");
        let found = firings("30 * * * *", Tz::Europe__Berlin, night.0, night.1);
        assert_eq!(found, ["31 01:30:00+01:00", "31 03:30:00+02:00"]);
    }

    #[test]
    fn half_an_hour_of_daylight_saving() {
        let back = ("2024-04-06T14:00:00Z", "2024-04-06T16:00:00Z");
        let twice = firings("45 * * * *", Tz::Australia__Lord_Howe, back.0, back.1);
        assert_eq!(twice, ["07 01:45:00+11:00", "07 01:45:00+10:30"]);
        let once = firings("45 1 * * *", Tz::Australia__Lord_Howe, back.0, back.1);
        assert_eq!(once, ["07 01:45:00+11:00"]);
        let forward = ("2024-10-05T15:00:00Z", "2024-10-05T17:00:00Z");
        let late = firings("15 2 * * *", Tz::Australia__Lord_Howe, forward.0, forward.1);
        assert_eq!(late, ["06 02:30:00+11:00"]);
    }

    #[test]
    fn a_whole_day_that_is_skipped_fires_once_after_it() {
        let found = firings(
            "0 8-18 30 12 *",
            Tz::Pacific__Apia,
            "2011-12-01T00:00:00Z",
            "2012-01-31T00:00:00Z",
        );
        assert_eq!(found, ["31 00:00:00+14:00"]);
    }

    #[test]
    fn strictly_later_also_within_a_second() {
        let every_second = expression("* * * * * *", Tz::UTC);
        let next = |from: &str| every_second.next_after(at(from));
        assert_eq!(next("2024-01-01T00:00:00Z"), Some(at("2024-01-01T00:00:01Z")));
        assert_eq!(next("2024-01-01T00:00:00.5Z"), Some(at("2024-01-01T00:00:01Z")));
        assert_eq!(next("2023-12-31T23:59:59.999Z"), Some(at("2024-01-01T00:00:00Z")));
    }

    #[test]
    fn the_ends_of_the_calendar() {
        for text in ["* * * * *", "0 5 * * *"] {
            let every = expression(text, Tz::America__New_York);
            assert_eq!(every.next_after(DateTime::<Utc>::MAX_UTC), None);
            assert!(every.next_after(DateTime::<Utc>::MIN_UTC).is_some());
            assert_eq!(every.next_after(at("2101-01-02T00:00:00Z")), None);
        }
        let past = expression("0 0 0 1 1 * 1999", Tz::UTC);
        assert_eq!(past.next_after(at("2024-01-01T00:00:00Z")), None);
        assert_eq!(past.upcoming(at("1990-01-01T00:00:00Z"), 5).len(), 1);
    }

    #[test]
    fn leap_days_are_found() {
        let next = expression("0 0 29 2 *", Tz::UTC).next_after(at("2096-03-01T00:00:00Z"));
        assert_eq!(next, None, "2100 is not a leap year");
        let next = expression("0 0 29 2 *", Tz::UTC).next_after(at("2024-03-01T00:00:00Z"));
        assert_eq!(next, Some(at("2028-02-29T00:00:00Z")));
    }

    #[test]
    fn display_gives_text_and_zone() {
        let shown = expression(" 30 2 * * mon ", Tz::Europe__Berlin).to_string();
        assert_eq!(shown, "30 2 * * mon (Europe/Berlin)");
        let daily = expression("@daily", Tz::UTC);
        assert_eq!((daily.to_string().as_str(), daily.text()), ("@daily (UTC)", "@daily"));
        assert_eq!(daily.zone(), Tz::UTC);
    }

    #[test]
    fn errors_about_the_whole_expression() {
        let fields = "an expression has 5 fields (minute hour day month weekday), found";
        let more = "6 fields start with the second, and 7 also end with the year";
        assert_eq!(error("1 2 3"), format!("{fields} 3; {more}"));
        assert_eq!(error(""), format!("{fields} 0; {more}"));
        assert_eq!(error("* * * * * * * *"), format!("{fields} 8; {more}"));
        assert_eq!(
            error("@reboot"),
            "`@reboot` is not a known nickname: use @yearly, @annually, @monthly, @weekly, @daily, \
             @midnight or @hourly"
        );
        assert_eq!(
            error("0 0 30 2 *"),
            "`0 0 30 2 *` never fires: no date matches its day, month, weekday and year together"
        );
        assert_eq!(
            error("0 0 31 4,6 *"),
            "`0 0 31 4,6 *` never fires: no date matches its day, month, weekday and year together"
        );
        assert!(Expression::parse("0 0 30 2 1", Tz::UTC).is_ok(), "mondays in february");
    }

    #[test]
    fn values_out_of_range() {
        for (text, expected) in [
            ("0 0 * * 8", "weekday `8` is out of range: use 0-7 or names (0 and 7 are Sunday)"),
            ("1,60 * * * *", "minute `60` is out of range: use 0-59"),
            ("60 0 0 * * *", "second `60` is out of range: use 0-59"),
            ("0 24 * * *", "hour `24` is out of range: use 0-23"),
            ("0 0 0 * *", "day `0` is out of range: use 1-31"),
            ("0 0 * 1-13 *", "month `13` is out of range: use 1-12 or names (jan to dec)"),
            ("99999999999 0 * * *", "minute `99999999999` is out of range: use 0-59"),
            ("0 0 0 * * * 2101", "year `2101` is out of range: use 1970-2100"),
            ("*/0 * * * *", "minute step `0` is out of range: use 1-59"),
            ("*/90 * * * *", "minute step `90` is out of range: use 1-59"),
            ("*/ * * * *", "minute step `` is out of range: use 1-59"),
            ("* 1-5/x * * *", "hour step `x` is out of range: use 1-23"),
        ] {
            assert_eq!(error(text), expected, "{text}");
        }
    }

    #[test]
    fn backward_ranges() {
        let advice = "runs backwards: put the smaller value first, or write";
        for (text, expected) in [
            ("0 22-2/2 * * *", format!("hour range `22-2` {advice} `22-23,0-2`")),
            ("0 0 * nov-feb *", format!("month range `nov-feb` {advice} `nov-12,1-feb`")),
            ("0 0 * * 6-mon", format!("weekday range `6-mon` {advice} `6-6,0-mon`")),
        ] {
            assert_eq!(error(text), expected, "{text}");
        }
    }

    #[test]
    fn parts_that_are_not_understood() {
        for (text, expected) in [
            ("1,,2 * * * *", "minute `1,,2` is not understood: use 0-59"),
            ("+5 * * * *", "minute `+5` is not understood: use 0-59"),
            ("1,5- * * * *", "minute `5-` is not understood: use 0-59"),
            ("1-2-3 * * * *", "minute `1-2-3` is not understood: use 0-59"),
            ("0 0 L * *", "day `L` is not understood: use 1-31"),
            ("0 0 ? * *", "day `?` is not understood: use 1-31"),
            ("0 0 * mo *", "month `mo` is not understood: use 1-12 or names (jan to dec)"),
            (
                "0 0 * * mon#1",
                "weekday `mon#1` is not understood: use 0-7 or names (0 and 7 are Sunday)",
            ),
        ] {
            assert_eq!(error(text), format!("{expected}, `*`, ranges, steps and lists"), "{text}");
        }
    }
}
