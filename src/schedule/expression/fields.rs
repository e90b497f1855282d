//! The fields of a crontab expression: their allowed values and their meaning.

use std::collections::BTreeSet;

use cron::Schedule;

use super::{ExpressionError, FIRST_YEAR, LAST_YEAR};

pub(super) const NICKNAMES: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

/// What one field of an expression may contain.
pub(super) struct FieldKind {
    pub(super) name: &'static str,
    pub(super) lowest: u32,
    pub(super) highest: u32,
    /// The last value of `*` and of an open step: Saturday for weekdays, so that Sunday is not
    /// counted twice.
    pub(super) last: u32,
    pub(super) largest_step: u32,
    /// Full names in order from `lowest`; their first three letters are accepted too.
    pub(super) names: &'static [&'static str],
    pub(super) allowed: &'static str,
}

pub(super) const SECOND: FieldKind = FieldKind {
    name: "second",
    lowest: 0,
    highest: 59,
    last: 59,
    largest_step: 59,
    names: &[],
    allowed: "0-59",
};

pub(super) const MINUTE: FieldKind = FieldKind { name: "minute", ..SECOND };

pub(super) const HOUR: FieldKind = FieldKind {
    name: "hour",
    lowest: 0,
    highest: 23,
    last: 23,
    largest_step: 23,
    names: &[],
    allowed: "0-23",
};

pub(super) const DAY: FieldKind = FieldKind {
    name: "day",
    lowest: 1,
    highest: 31,
    last: 31,
    largest_step: 31,
    names: &[],
    allowed: "1-31",
};

pub(super) const MONTH: FieldKind = FieldKind {
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

pub(super) const WEEKDAY: FieldKind = FieldKind {
    name: "weekday",
    lowest: 0,
    highest: 7,
    last: 6,
    largest_step: 7,
    names: &["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"],
    allowed: "0-7 or names (0 and 7 are Sunday)",
};

pub(super) const YEAR: FieldKind = FieldKind {
    name: "year",
    lowest: FIRST_YEAR,
    highest: LAST_YEAR,
    last: LAST_YEAR,
    largest_step: LAST_YEAR - FIRST_YEAR,
    names: &[],
    allowed: "1970-2100",
};

impl FieldKind {
    pub(super) fn parse(&self, text: &str) -> Result<Field, ExpressionError> {
        let mut values = BTreeSet::new();
        for part in text.split(',') {
            if part.is_empty() {
                return Err(self.not_understood(text));
            }
            self.add_part(part, &mut values)?;
        }
        Ok(Field { values, starred: text.starts_with('*') })
    }

    pub(super) fn add_part(
        &self,
        part: &str,
        values: &mut BTreeSet<u32>,
    ) -> Result<(), ExpressionError> {
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

    pub(super) fn range(
        &self,
        part: &str,
        from: &str,
        to: &str,
    ) -> Result<(u32, u32), ExpressionError> {
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

    pub(super) fn value(&self, part: &str, text: &str) -> Result<u32, ExpressionError> {
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

    pub(super) fn step(&self, text: &str) -> Result<usize, ExpressionError> {
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

    pub(super) fn not_understood(&self, part: &str) -> ExpressionError {
        ExpressionError::NotUnderstood {
            field: self.name,
            part: part.to_owned(),
            allowed: self.allowed,
        }
    }
}

/// Whether a text has digits only: `parse` would also accept a leading `+`.
pub(super) fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

pub(super) struct Field {
    pub(super) values: BTreeSet<u32>,
    /// Whether the field begins with `*`, even if a step then leaves values out: `crontab` uses
    /// this criterion.
    pub(super) starred: bool,
}

impl Field {
    pub(super) fn list(&self) -> String {
        self.values.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
    }

    /// The weekdays in the numbering of the `cron` crate, from 1 for Sunday.
    pub(super) fn weekday_list(&self) -> String {
        let days: BTreeSet<u32> = self.values.iter().map(|day| day % 7 + 1).collect();
        Self { values: days, starred: self.starred }.list()
    }
}

pub(super) struct Fields {
    pub(super) second: Field,
    pub(super) minute: Field,
    pub(super) hour: Field,
    pub(super) day: Field,
    pub(super) month: Field,
    pub(super) weekday: Field,
    pub(super) year: Field,
}

impl Fields {
    pub(super) fn parse(text: &str) -> Result<Self, ExpressionError> {
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

    pub(super) fn schedules(&self, text: &str) -> Result<Vec<Schedule>, ExpressionError> {
        let (day, weekday) = (self.day.list(), self.weekday.weekday_list());
        // The `cron` crate requires day and weekday to match, so "either" needs one schedule for
        // each.
        let days = if self.day.starred || self.weekday.starred {
            vec![(day.as_str(), weekday.as_str())]
        } else {
            vec![(day.as_str(), "*"), ("*", weekday.as_str())]
        };
        days.into_iter().map(|(day, weekday)| self.schedule(text, day, weekday)).collect()
    }

    pub(super) fn schedule(
        &self,
        text: &str,
        day: &str,
        weekday: &str,
    ) -> Result<Schedule, ExpressionError> {
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

pub(super) fn expand_nickname(text: &str) -> Result<&str, ExpressionError> {
    if !text.starts_with('@') {
        return Ok(text);
    }
    NICKNAMES
        .iter()
        .find(|(nickname, _)| nickname.eq_ignore_ascii_case(text))
        .map(|(_, line)| *line)
        .ok_or_else(|| ExpressionError::Nickname { nickname: text.to_owned() })
}
