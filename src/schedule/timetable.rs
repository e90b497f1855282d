//! Which job is due when. Pure: the current time is an argument, and may jump forward and back.

use chrono::{DateTime, TimeDelta, Utc};

use super::Expression;

/// A clock that is set back by less than this was only adjusted, and no firing is repeated.
const ADJUSTMENT: TimeDelta = TimeDelta::minutes(2);

/// Maximum number of firings that are counted as missed or skipped.
const MOST_COUNTED: usize = 10_000;

/// How far [`longest_pause`] looks ahead: more than a week, so that it sees a weekend.
const AHEAD: TimeDelta = TimeDelta::days(8);
/// [`longest_pause`] examines this many firings one by one, and later ones in strides of this
/// length.
const LOOKED_AT: usize = 100;
const STRIDE: TimeDelta = TimeDelta::seconds(59);

/// The job that a firing starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Job {
    /// An incremental sync.
    Sync,
    /// Compares the lake with everything that the API lists.
    Reconcile,
    /// Merges small data files of the lake.
    Compact,
}

impl Job {
    /// All jobs, the most urgent first.
    pub const ALL: [Self; 3] = [Self::Sync, Self::Reconcile, Self::Compact];

    /// The name, which is that of the command.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sync => "sync",
            Self::Reconcile => "reconcile",
            Self::Compact => "compact",
        }
    }

    /// Whether a firing during another job is caught up afterwards: a daily job must not be lost to
    /// a job that runs every few minutes.
    fn is_put_off(self) -> bool {
        self != Self::Sync
    }
}

/// A job that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// The job.
    pub job: Job,
    /// Firings that were missed before this one, for example while the machine was suspended. This
    /// firing replaces them.
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
    /// Firings up to this instant have been handled.
    seen: DateTime<Utc>,
    /// Whether one of them is still to be caught up.
    owed: bool,
}

impl Timetable {
    /// A timetable of the firings later than `now`.
    pub fn new(jobs: Vec<(Job, Expression)>, now: DateTime<Utc>) -> Self {
        let mut lines: Vec<Line> = jobs
            .into_iter()
            .map(|(job, expression)| Line { job, expression, seen: now, owed: false })
            .collect();
        lines.sort_by_key(|line| line.job);
        Self { lines }
    }

    /// Replaces another timetable. A due firing that the old one had not handled is kept.
    #[must_use]
    pub fn in_place_of(mut self, old: &Self, now: DateTime<Utc>) -> Self {
        for line in &mut self.lines {
            let Some(old) = old.lines.iter().find(|old| old.job == line.job) else { continue };
            if old.expression == line.expression {
                (line.seen, line.owed) = (old.seen, old.owed);
            } else {
                line.owed = old.next(now).is_some_and(|next| next <= now);
            }
        }
        self
    }

    /// The next firing of any job, as of `now`; `None` if there is none.
    pub fn next(&mut self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.follow_the_clock(now);
        self.lines.iter().filter_map(|line| line.next(now)).min()
    }

    /// Time from an instant to the next firing of any job; `None` if there is none.
    pub fn pause_after(&self, instant: DateTime<Utc>) -> Option<TimeDelta> {
        let next = self.lines.iter().filter_map(|line| line.expression.next_after(instant)).min();
        next.map(|next| next.signed_duration_since(instant))
    }

    /// The next firing of one job, as of `now`; `None` if there is none.
    pub fn next_of(&self, job: Job, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.lines.iter().find(|line| line.job == job)?.next(now)
    }

    /// Takes the jobs that are due, each once, the most urgent first.
    pub fn take_due(&mut self, now: DateTime<Utc>) -> Vec<Due> {
        self.follow_the_clock(now);
        let due = self.lines.iter_mut().filter_map(|line| {
            let fired = line.pass(now) + usize::from(std::mem::take(&mut line.owed));
            (fired > 0).then(|| Due { job: line.job, missed: fired - 1 })
        });
        due.collect()
    }

    /// Skips the firings up to `now`, because another job was running. Returns the number of
    /// firings of each job that are not caught up.
    pub fn skip(&mut self, now: DateTime<Utc>) -> Vec<(Job, usize)> {
        let skipped = self.lines.iter_mut().map(|line| {
            let fired = line.pass(now);
            let puts_off = fired > 0 && !line.owed && line.job.is_put_off();
            line.owed |= puts_off;
            (line.job, fired - usize::from(puts_off))
        });
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

    /// If the clock was set back by more than an adjustment, firings from the new time on are due
    /// again.
    fn follow_the_clock(&mut self, now: DateTime<Utc>) {
        for line in &mut self.lines {
            if line.seen.signed_duration_since(now) > ADJUSTMENT {
                line.seen = now;
            }
        }
    }
}

impl Line {
    /// The next firing; one that is to be caught up is due at once.
    fn next(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        if self.owed { Some(now) } else { self.expression.next_after(self.seen) }
    }

    /// Advances to `now`. Returns the number of firings in between.
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

/// The longest pause between two firings of the next days, as of `now`; zero if there are fewer
/// than two. Firings every few seconds are examined a minute apart.
pub fn longest_pause(expression: &Expression, now: DateTime<Utc>) -> TimeDelta {
    let mut longest = TimeDelta::zero();
    let Some(mut last) = expression.next_after(now) else { return longest };
    for place in 1.. {
        let from = if place < LOOKED_AT { last } else { last + STRIDE };
        let Some(next) = expression.next_after(from) else { break };
        let pause = next.signed_duration_since(last);
        // The firings within a stride were not examined.
        if place < LOOKED_AT || pause > STRIDE * 2 {
            longest = longest.max(pause);
        }
        last = next;
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
        assert_eq!(table.skip(at("24T03:46:00")), [(Job::Sync, 3)]);
        // A daily job is caught up, not skipped.
        assert_eq!(table.next(at("24T03:46:00")), Some(at("24T03:46:00")));
        assert_eq!(table.skip(at("24T03:47:00")), []);
        let reconcile = Due { job: Job::Reconcile, missed: 0 };
        assert_eq!(table.take_due(at("24T03:50:00")), [reconcile]);
        assert_eq!(table.take_due(at("24T03:59:59")), []);
        assert_eq!(table.next(at("24T03:59:59")), Some(at("24T04:00:00")));
    }

    #[test]
    fn a_new_timetable_forgets_nothing_that_is_due() {
        let old = timetable("24T03:20:00");
        let now = at("24T03:31:00");
        let same = timetable("24T03:31:00").in_place_of(&old, now).take_due(now);
        assert_eq!(same.len(), 2, "both were due: {same:?}");
        let hourly = vec![(Job::Sync, expression("0 * * * *"))];
        let mut hourly = Timetable::new(hourly, now).in_place_of(&old, now);
        assert_eq!(hourly.take_due(now), [Due { job: Job::Sync, missed: 0 }]);
        assert_eq!(hourly.take_due(at("24T03:59:59")), []);
        let quiet = timetable("24T03:20:00");
        let early = at("24T03:25:00");
        assert_eq!(timetable("24T03:25:00").in_place_of(&quiet, early).take_due(early), []);
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
        assert_eq!(pause("* 9-17 * * 1-5"), TimeDelta::minutes(63 * 60 + 1));
        // Exact to one stride.
        let weekend = pause("* * 9-17 * * 1-5") - TimeDelta::hours(63);
        assert!((1..=60).contains(&weekend.num_seconds()), "{weekend}");
        assert_eq!(pause("0 6 1 * *"), TimeDelta::days(31));
        assert_eq!(pause("0 0 0 1 1 * 2027"), TimeDelta::zero());
    }
}
