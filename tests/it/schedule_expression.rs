//! Compares crontab expressions with a slow and obvious reading of the rules, minute by minute and
//! second by second, mostly around the days on which the clock changes.
//!
//! The number of cases is small; `PROPTEST_CASES` sets it.

use armature_export::schedule::{Expression, ExpressionError};
use chrono::{
    DateTime, Datelike, Days, MappedLocalTime, NaiveDate, NaiveDateTime, TimeDelta, TimeZone,
    Timelike, Utc,
};
use chrono_tz::Tz;
use proptest::prelude::*;
use proptest::sample::select;

const ZONES: [Tz; 10] = [
    Tz::UTC,
    Tz::Europe__Berlin,
    Tz::America__New_York,
    Tz::Australia__Lord_Howe,
    Tz::Asia__Kolkata,
    // Clocks that change at midnight, so that a date begins late or has its last hour twice.
    Tz::America__Sao_Paulo,
    Tz::Asia__Beirut,
    // The clock changes twice around Ramadan, on dates that no rule gives.
    Tz::Africa__Casablanca,
    // A whole day left out, in 2011.
    Tz::Pacific__Apia,
    // Half-hour changes of the standard time besides daylight saving.
    Tz::America__Caracas,
];

const MONTHS: [&str; 13] =
    ["", "jan", "Feb", "MAR", "apr", "may", "June", "jul", "aug", "SEP", "oct", "nov", "december"];
const WEEKDAYS: [&str; 8] = ["SUN", "mon", "Tue", "wed", "thursday", "fri", "sat", "Sunday"];

/// One item of a list, as the values it covers.
#[derive(Debug, Clone)]
struct Part {
    text: String,
    first: u32,
    last: u32,
    step: u32,
}

#[derive(Debug, Clone)]
struct Field {
    parts: Vec<Part>,
}

impl Field {
    fn text(&self) -> String {
        self.parts.iter().map(|part| part.text.as_str()).collect::<Vec<_>>().join(",")
    }

    fn starred(&self) -> bool {
        self.text().starts_with('*')
    }

    fn matches(&self, value: u32) -> bool {
        self.parts.iter().any(|part| {
            value >= part.first
                && value <= part.last
                && (value - part.first).is_multiple_of(part.step)
        })
    }
}

#[derive(Debug, Clone)]
struct Line {
    second: Option<Field>,
    minute: Field,
    hour: Field,
    day: Field,
    month: Field,
    weekday: Field,
}

impl Line {
    fn text(&self) -> String {
        let fields = [&self.minute, &self.hour, &self.day, &self.month, &self.weekday];
        let texts: Vec<String> = self.second.iter().chain(fields).map(Field::text).collect();
        texts.join(" ")
    }

    fn matches_date(&self, date: NaiveDate) -> bool {
        let weekday = date.weekday().num_days_from_sunday();
        let day_matches = self.day.matches(date.day());
        let weekday_matches =
            self.weekday.matches(weekday) || (weekday == 0 && self.weekday.matches(7));
        let either = !self.day.starred() && !self.weekday.starred();
        self.month.matches(date.month())
            && if either { day_matches || weekday_matches } else { day_matches && weekday_matches }
    }

    fn matches(&self, local: NaiveDateTime) -> bool {
        let second_matches = match &self.second {
            Some(second) => second.matches(local.second()),
            None => local.second() == 0,
        };
        second_matches
            && self.minute.matches(local.minute())
            && self.hour.matches(local.hour())
            && self.matches_date(local.date())
    }

    /// Every firing from `start` up to `end`, found by looking at the clock every `tick`.
    ///
    /// With fixed hours each local time is due once: at the first instant at which the clock has
    /// reached or passed it.
    fn firings(
        &self,
        zone: Tz,
        start: DateTime<Utc>,
        end: DateTime<Utc>,
        tick: TimeDelta,
    ) -> Vec<DateTime<Utc>> {
        let mut firings = Vec::new();
        // Early enough to know what the clock has shown when `start` is in a repeated hour.
        let mut instant = start - TimeDelta::hours(5);
        let mut furthest = local(zone, instant);
        while instant < end {
            instant += tick;
            let now = local(zone, instant);
            let mut due = false;
            if self.hour.starred() {
                due = self.matches(now);
            }
            while furthest < now {
                furthest += tick;
                due |= !self.hour.starred() && self.matches(furthest);
            }
            if due && instant > start && instant <= end {
                firings.push(instant);
            }
        }
        firings
    }
}

fn local(zone: Tz, instant: DateTime<Utc>) -> NaiveDateTime {
    instant.with_timezone(&zone).naive_local()
}

fn year_start(year: i32) -> DateTime<Utc> {
    match Utc.with_ymd_and_hms(year, 1, 1, 0, 0, 0) {
        MappedLocalTime::Single(start) => start,
        _ => DateTime::UNIX_EPOCH,
    }
}

/// The hours of a year in which the offset of a zone changes; its first hour if there are none.
fn changes(zone: Tz, year: i32) -> Vec<DateTime<Utc>> {
    let start = year_start(year);
    let shift = |instant: DateTime<Utc>| local(zone, instant) - instant.naive_utc();
    let found: Vec<DateTime<Utc>> = (0..366 * 24)
        .map(|hour| start + TimeDelta::hours(hour))
        .filter(|hour| shift(*hour) != shift(*hour + TimeDelta::hours(1)))
        .collect();
    if found.is_empty() { vec![start] } else { found }
}

/// An instant up to `around` seconds before or after one at which the clock changes.
fn near_a_change(around: i64) -> impl Strategy<Value = (Tz, DateTime<Utc>)> {
    // Mostly years in which most of the zones change their clocks.
    let years = prop_oneof![4 => 1975..2037_i32, 1 => 2037..2090_i32];
    (select(&ZONES[..]), years).prop_flat_map(move |(zone, year)| {
        (select(changes(zone, year)), -around..around)
            .prop_map(move |(change, seconds)| (zone, change + TimeDelta::seconds(seconds)))
    })
}

fn named(names: &'static [&'static str], value: u32, by_name: bool) -> String {
    usize::try_from(value)
        .ok()
        .and_then(|index| names.get(index))
        .filter(|_| by_name)
        .map_or_else(|| value.to_string(), ToString::to_string)
}

/// Any part of a field that holds `lowest` to `highest`, whose `*` ends at `last`.
fn part(
    lowest: u32,
    highest: u32,
    last: u32,
    names: &'static [&'static str],
) -> impl Strategy<Value = Part> {
    let value = lowest..=highest;
    (0..6, value.clone(), value, 1..=last, any::<bool>()).prop_map(
        move |(form, one, other, step, by_name)| {
            let (from, to) = (one.min(other), one.max(other));
            let (from_text, to_text) = (named(names, from, by_name), named(names, to, by_name));
            // By name Sunday is 0, except at the end of a range that begins later.
            let sunday_by_name = by_name && last == 6;
            let from = if sunday_by_name && from == 7 { 0 } else { from };
            let to = if sunday_by_name && from == 0 && to == 7 { 0 } else { to };
            let (text, first, last, step) = match form {
                0 => ("*".to_owned(), lowest, last, 1),
                1 => (format!("*/{step}"), lowest, last, step),
                2 => (format!("{from_text}-{to_text}"), from, to, 1),
                3 => (format!("{from_text}-{to_text}/{step}"), from, to, step),
                4 => (format!("{from_text}/{step}"), from, last.max(from), step),
                _ => (from_text, from, from, 1),
            };
            Part { text, first, last, step }
        },
    )
}

fn field(
    lowest: u32,
    highest: u32,
    last: u32,
    names: &'static [&'static str],
) -> impl Strategy<Value = Field> {
    let any_part = || part(lowest, highest, last, names);
    let all = Field { parts: vec![Part { text: "*".to_owned(), first: lowest, last, step: 1 }] };
    prop_oneof![
        2 => Just(all),
        2 => any_part().prop_map(|part| Field { parts: vec![part] }),
        1 => prop::collection::vec(any_part(), 2..4).prop_map(|parts| Field { parts }),
    ]
}

/// Hours mostly from those in which clocks change, and often any hour.
fn hours() -> impl Strategy<Value = Field> {
    let early = prop::collection::vec(
        (0..=3_u32, 0..=3_u32).prop_map(|(one, other)| {
            let (first, last) = (one.min(other), one.max(other));
            Part { text: format!("{first}-{last}"), first, last, step: 1 }
        }),
        1..3,
    )
    .prop_map(|parts| Field { parts });
    prop_oneof![1 => field(0, 23, 23, &[]), 1 => early]
}

fn line(with_seconds: bool) -> impl Strategy<Value = Line> {
    let second = field(0, 59, 59, &[]).prop_map(move |second| with_seconds.then_some(second));
    let days = (field(1, 31, 31, &[]), field(1, 12, 12, &MONTHS), field(0, 7, 6, &WEEKDAYS));
    (second, field(0, 59, 59, &[]), hours(), days).prop_map(
        |(second, minute, hour, (day, month, weekday))| Line {
            second,
            minute,
            hour,
            day,
            month,
            weekday,
        },
    )
}

/// The same line on every date, so that the day on which the clock changes always counts.
fn daily_line(with_seconds: bool) -> impl Strategy<Value = Line> {
    let all =
        |first, last| Field { parts: vec![Part { text: "*".to_owned(), first, last, step: 1 }] };
    line(with_seconds).prop_map(move |line| Line {
        day: all(1, 31),
        month: all(1, 12),
        weekday: all(0, 6),
        ..line
    })
}

/// What `Expression` gives for as long as the oracle has looked, up to a number of firings.
fn compare(
    line: &Line,
    zone: Tz,
    start: DateTime<Utc>,
    span: TimeDelta,
    tick: TimeDelta,
) -> Result<(), TestCaseError> {
    const MOST: usize = 400;
    let end = start + span;
    let mut expected = line.firings(zone, whole(start), end, tick);
    expected.retain(|firing| *firing > start);
    expected.truncate(MOST);
    match Expression::parse(&line.text(), zone) {
        Ok(expression) => {
            let mut found = Vec::new();
            let mut previous = start;
            while let Some(firing) = expression.next_after(previous).filter(|next| *next <= end) {
                prop_assert!(firing > previous, "{firing} is not later than {previous}");
                previous = firing;
                found.push(firing);
                if found.len() == MOST {
                    break;
                }
            }
            prop_assert_eq!(&found, &expected, "{} from {}", &expression, start);
            prop_assert_eq!(expression.upcoming(start, found.len()), found);
            Ok(())
        }
        Err(error) => {
            prop_assert!(matches!(error, ExpressionError::NeverFires { .. }), "{}", error);
            // Dates and weekdays come round again every 28 years.
            let first = year_start(1996).date_naive();
            let date = first.iter_days().take(28 * 366).find(|date| line.matches_date(*date));
            prop_assert_eq!(date, None, "{}", line.text());
            Ok(())
        }
    }
}

/// The minute that has begun.
fn whole(instant: DateTime<Utc>) -> DateTime<Utc> {
    let seconds = instant.timestamp();
    DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds - seconds.rem_euclid(60))
}

#[expect(clippy::disallowed_methods, reason = "how a person asks for more cases")]
fn config() -> ProptestConfig {
    let mut config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = 64;
    }
    config
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn minutes_around_a_change_of_the_clock(
        line in daily_line(false),
        (zone, start) in near_a_change(4 * 60 * 60),
    ) {
        compare(&line, zone, start, TimeDelta::days(1), TimeDelta::minutes(1))?;
    }

    #[test]
    fn weeks_around_a_change_of_the_clock(
        line in line(false),
        (zone, start) in near_a_change(14 * 24 * 60 * 60),
    ) {
        compare(&line, zone, start, TimeDelta::days(21), TimeDelta::minutes(1))?;
    }

    #[test]
    fn seconds_around_a_change_of_the_clock(
        line in daily_line(true),
        (zone, start) in near_a_change(3 * 60 * 60),
    ) {
        compare(&line, zone, start, TimeDelta::hours(4), TimeDelta::seconds(1))?;
    }

    #[test]
    fn any_week_of_any_year(
        line in line(false),
        zone in select(&ZONES[..]),
        start in 0..3_786_912_000_i64,
        nanoseconds in 0..1_000_000_000_i64,
    ) {
        let start = DateTime::UNIX_EPOCH
            + TimeDelta::seconds(start)
            + TimeDelta::nanoseconds(nanoseconds);
        let start = start.max(DateTime::UNIX_EPOCH + TimeDelta::days(400));
        compare(&line, zone, start, TimeDelta::days(7), TimeDelta::minutes(1))?;
    }

    /// Dates that are years apart, where the clock never changes.
    #[test]
    fn dates_of_many_years(line in line(false), year in 1971..2080_i32) {
        let Ok(expression) = Expression::parse(&line.text(), Tz::UTC) else {
            return Ok(());
        };
        let start = year_start(year) - TimeDelta::seconds(1);
        let dates = year_start(year).date_naive();
        let end = dates.checked_add_days(Days::new(4000)).unwrap_or(dates);
        let expected: Vec<NaiveDate> = dates
            .iter_days()
            .take_while(|date| *date < end)
            .filter(|date| line.matches_date(*date))
            .take(20)
            .collect();
        let mut found = Vec::new();
        let mut previous = start;
        while let Some(firing) = expression.next_after(previous).filter(|_| found.len() < 20) {
            let date = firing.date_naive();
            if date >= end {
                break;
            }
            found.push(date);
            previous = date.and_time(chrono::NaiveTime::MIN).and_utc() + TimeDelta::seconds(86_399);
        }
        prop_assert_eq!(found, expected, "{} from {}", expression, start);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[-0-9*/,@a-zA-Z ?#]{0,24}|\\PC{0,24}") {
        if let Ok(expression) = Expression::parse(&text, Tz::Europe__Berlin) {
            let start = year_start(2024);
            let next = expression.next_after(start);
            prop_assert!(next.is_none_or(|next| next > start));
        }
    }
}
