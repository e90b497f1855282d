//! Which job is due when. Pure: the clock comes as an argument, and may do what clocks do.

use chrono::{DateTime, TimeDelta, Utc};

use super::Expression;

/// A clock that is set back by less than this repeats no firing: it was only adjusted.
const ADJUSTMENT: TimeDelta = TimeDelta::minutes(2);

/// So many firings are counted as missed or skipped at the most.
const MOST_COUNTED: usize = 10_000;

/// How far [`longest_pause`] looks ahead: a week, so that it sees a weekend, and a bit.
const AHEAD: TimeDelta = TimeDelta::days(8);
/// It looks at no more firings than this.
const MOST_LOOKED_AT: usize = 2000;

/// What a firing starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Job {
    /// Exports what is new.
    Sync,
    /// Compares the lake with all that the API lists.
    Reconcile,
}

impl Job {
    /// Every job, the most urgent first.
    pub const ALL: [Self; 2] = [Self::Sync, Self::Reconcile];

    /// The word for it, as the command is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sync => "sync",
            Self::Reconcile => "reconcile",
        }
    }
}

/// A job whose time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// The job.
    pub job: Job,
    /// Firings that passed before this one with nobody there to see them, as while the machine
    /// slept. They collapse into it.
    pub missed: usize,
}

/// The firings of all jobs.
#[derive(Clone, Debug)]
pub struct Timetable {
    lines: Vec<Line>,
}

#[derive(Clone, Debug)]
struct Line {
    job: Job,
    expression: Expression,
    /// Firings up to this instant are over.
    seen: DateTime<Utc>,
}

impl Timetable {
    /// The firings later than `now`.
    pub fn new(jobs: Vec<(Job, Expression)>, now: DateTime<Utc>) -> Self {
        let mut lines: Vec<Line> =
            jobs.into_iter().map(|(job, expression)| Line { job, expression, seen: now }).collect();
        lines.sort_by_key(|line| line.job);
        Self { lines }
    }

    /// The next firing of any job, seen at `now`; `None` where none ever fires again.
    pub fn next(&mut self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.follow_the_clock(now);
        self.lines.iter().filter_map(|line| line.expression.next_after(line.seen)).min()
    }

    /// The next firing of one job; `None` where it has none.
    pub fn next_of(&self, job: Job) -> Option<DateTime<Utc>> {
        let line = self.lines.iter().find(|line| line.job == job)?;
        line.expression.next_after(line.seen)
    }

    /// Takes the jobs whose time has come, each once, the most urgent first.
    pub fn take_due(&mut self, now: DateTime<Utc>) -> Vec<Due> {
        self.follow_the_clock(now);
        let due = self.lines.iter_mut().filter_map(|line| {
            let fired = line.pass(now);
            (fired > 0).then(|| Due { job: line.job, missed: fired - 1 })
        });
        due.collect()
    }

    /// Passes over the firings up to `now`, as something else ran: how many there were of each job.
    pub fn skip(&mut self, now: DateTime<Utc>) -> Vec<(Job, usize)> {
        let skipped = self.lines.iter_mut().map(|line| (line.job, line.pass(now)));
        skipped.filter(|(_, count)| *count > 0).collect()
    }

    /// The next `count` firings after `now`, in order.
    pub fn upcoming(&self, now: DateTime<Utc>, count: usize) -> Vec<(DateTime<Utc>, Job)> {
        let firings = self.lines.iter().flat_map(|line| {
            let firings = line.expression.upcoming(now, count).into_iter();
            firings.map(|firing| (firing, line.job))
        });
        let mut firings: Vec<_> = firings.collect();
        firings.sort();
        firings.truncate(count);
        firings
    }

    /// A clock that was set back by more than an adjustment starts the day again.
    fn follow_the_clock(&mut self, now: DateTime<Utc>) {
        for line in &mut self.lines {
            if line.seen.signed_duration_since(now) > ADJUSTMENT {
                line.seen = now;
            }
        }
    }
}

impl Line {
    /// Goes on to `now`: how many firings that passes.
    fn pass(&mut self, now: DateTime<Utc>) -> usize {
        let mut fired = 0;
        while fired < MOST_COUNTED
            && let Some(next) = self.expression.next_after(self.seen)
            && next <= now
        {
            self.seen = next;
            fired += 1;
        }
        self.seen = self.seen.max(now);
        fired
    }
}

/// The longest pause between two firings of the next days, as of `now`; zero where there are no
/// two.
pub fn longest_pause(expression: &Expression, now: DateTime<Utc>) -> TimeDelta {
    let mut longest = TimeDelta::zero();
    let mut last = now;
    for (place, firing) in expression.upcoming(now, MOST_LOOKED_AT).into_iter().enumerate() {
        // The time until the first firing is only the rest of a pause.
        if place > 0 {
            longest = longest.max(firing.signed_duration_since(last));
        }
        last = firing;
        if place > 1 && last.signed_duration_since(now) > AHEAD {
            break;
        }
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono_tz::Tz;

    fn at(text: &str) -> DateTime<Utc> {
        format!("2026-11-{text}Z").parse().unwrap()
    }

    fn expression(text: &str) -> Expression {
        Expression::parse(text, Tz::UTC).unwrap()
    }

    fn timetable(now: &str) -> Timetable {
        let jobs = vec![
            (Job::Reconcile, expression("30 3 * * *")),
            (Job::Sync, expression("*/15 * * * *")),
        ];
        Timetable::new(jobs, at(now))
    }

    #[test]
    fn firings_of_both_jobs_come_in_order_and_together() {
        let mut table = timetable("24T03:20:00");
        assert_eq!(table.next(at("24T03:20:00")), Some(at("24T03:30:00")));
        assert_eq!(table.take_due(at("24T03:29:59")), []);
        let due = table.take_due(at("24T03:30:00"));
        let once = |job| Due { job, missed: 0 };
        assert_eq!(due, [once(Job::Sync), once(Job::Reconcile)]);
        assert_eq!(table.take_due(at("24T03:30:00")), [], "no firing comes twice");
        assert_eq!(table.next(at("24T03:30:01")), Some(at("24T03:45:00")));
        let shown = table.upcoming(at("24T03:10:00"), 3);
        let expected = [("15", Job::Sync), ("30", Job::Sync), ("30", Job::Reconcile)];
        assert_eq!(shown, expected.map(|(minute, job)| (at(&format!("24T03:{minute}:00")), job)));
    }

    #[test]
    fn what_a_sleeping_machine_missed_collapses_to_one() {
        let mut table = timetable("20T12:00:00");
        let due = table.take_due(at("24T12:07:00"));
        let syncs = 4 * 24 * 4;
        let expected =
            [Due { job: Job::Sync, missed: syncs - 1 }, Due { job: Job::Reconcile, missed: 3 }];
        assert_eq!(due, expected);
        assert_eq!(table.next(at("24T12:07:00")), Some(at("24T12:15:00")));
    }

    #[test]
    fn what_falls_into_a_running_job_is_skipped_and_counted() {
        let mut table = timetable("24T03:00:00");
        assert_eq!(table.skip(at("24T03:46:00")), [(Job::Sync, 3), (Job::Reconcile, 1)]);
        assert_eq!(table.take_due(at("24T03:59:59")), []);
        assert_eq!(table.next(at("24T03:59:59")), Some(at("24T04:00:00")));
    }

    #[test]
    fn a_clock_that_is_set_back_stops_nothing() {
        let mut table = timetable("24T12:00:00");
        assert_eq!(table.take_due(at("24T12:15:00")).len(), 1);
        assert_eq!(table.take_due(at("24T12:14:59")), [], "an adjustment repeats nothing");
        assert_eq!(table.next(at("24T12:14:59")), Some(at("24T12:30:00")));
        assert_eq!(table.next(at("20T08:01:00")), Some(at("20T08:15:00")));
    }

    #[test]
    fn pauses_are_those_of_the_expression() {
        let now = at("24T12:07:00");
        let pause = |text: &str| longest_pause(&expression(text), now);
        assert_eq!(pause("*/15 * * * *"), TimeDelta::minutes(15));
        assert_eq!(pause("*/5 * * * * *"), TimeDelta::seconds(5));
        assert_eq!(pause("*/15 9-17 * * 1-5"), TimeDelta::minutes(63 * 60 + 15));
        assert_eq!(pause("0 6 1 * *"), TimeDelta::days(31));
        assert_eq!(pause("0 0 0 1 1 * 2027"), TimeDelta::zero());
    }
}
