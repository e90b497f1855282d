//! When runs start: in a past that is busier in office hours, then at steady intervals without end.

use chrono::{DateTime, Datelike, Timelike, Utc, Weekday};

use super::random::{Seeded, combine};

const HOUR: i64 = 3_600_000;
const JITTER_STEPS: u64 = 1 << 20;
const JITTER_SEED: u64 = 0x0054_494D_454C_494E;

/// An interval of the past with a constant density of runs.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    from: i64,
    density: u64,
    /// Density times milliseconds, from the start of the past to the end of this interval.
    mass_at_end: u64,
}

/// The start of every run, as a function of its number. Stores nothing per run.
#[derive(Debug, Clone)]
pub(super) struct Timeline {
    seed: u64,
    birth: i64,
    past_runs: u64,
    /// Mean interval between starts after birth, in milliseconds; `None` if no run starts after
    /// birth.
    spacing: Option<i64>,
    /// Maximum number of runs that start after birth.
    future_runs: u64,
    stretches: Vec<Stretch>,
}

impl Timeline {
    /// Creates a timeline; all times are in milliseconds. No run starts after birth if `spacing` is
    /// not positive.
    pub(super) fn new(seed: u64, birth: i64, past: i64, past_runs: u32, spacing: i64) -> Self {
        let first = birth.saturating_sub(past.max(0));
        let mut stretches = Vec::new();
        let (mut from, mut mass) = (first, 0_u64);
        while from < birth {
            let end = (from - from.rem_euclid(HOUR) + HOUR).min(birth);
            let density = density_at(from);
            mass += density * u64::try_from(end - from).unwrap_or(0);
            stretches.push(Stretch { from, density, mass_at_end: mass });
            from = end;
        }
        let spacing = (spacing > 0).then_some(spacing);
        let past_runs = u64::from(past_runs);
        Self { seed, birth, past_runs, spacing, future_runs: u64::MAX, stretches }
    }

    /// The same timeline without starts later than this many milliseconds after birth; `None` for
    /// no end.
    pub(super) fn ending_after(self, future: Option<i64>) -> Self {
        let slots = future.zip(self.spacing).map(|(future, spacing)| future / spacing);
        let future_runs = slots.map_or(u64::MAX, |slots| u64::try_from(slots).unwrap_or(0));
        Self { future_runs, ..self }
    }

    /// The start of the run with this number, in milliseconds since 1970. Never decreases from
    /// one number to the next.
    pub(super) fn start_of(&self, number: u64) -> i64 {
        match number.checked_sub(self.past_runs) {
            None => self.start_in_the_past(number),
            Some(after_birth) => self.start_after_birth(after_birth),
        }
    }

    /// The number of runs that have started at `now` (this millisecond included), which are the
    /// runs with lower numbers.
    pub(super) fn started_at(&self, now: i64) -> u64 {
        if now < self.birth {
            return self.past_started_at(now);
        }
        let Some(spacing) = self.spacing else {
            return self.past_runs;
        };
        let slot = u64::try_from((now - self.birth) / spacing).unwrap_or(0);
        let begun = u64::from(self.start_after_birth(slot) <= now);
        self.past_runs + (slot + begun).min(self.future_runs)
    }

    fn jitter(&self, number: u64) -> u64 {
        Seeded::new(combine(self.seed ^ JITTER_SEED, number)).below(JITTER_STEPS)
    }

    fn start_in_the_past(&self, number: u64) -> i64 {
        let total = self.stretches.last().map_or(0, |stretch| stretch.mass_at_end);
        let share = u128::from(number) * u128::from(JITTER_STEPS) + u128::from(self.jitter(number));
        let whole = u128::from(self.past_runs.max(1)) * u128::from(JITTER_STEPS);
        let mass = u64::try_from(u128::from(total) * share / whole).unwrap_or(total);
        let position = self.stretches.partition_point(|stretch| stretch.mass_at_end <= mass);
        let before = position.checked_sub(1).and_then(|previous| self.stretches.get(previous));
        let mass_before = before.map_or(0, |stretch| stretch.mass_at_end);
        self.stretches.get(position).map_or(self.birth, |stretch| {
            let offset = mass.saturating_sub(mass_before) / stretch.density.max(1);
            stretch.from.saturating_add_unsigned(offset)
        })
    }

    fn start_after_birth(&self, slot: u64) -> i64 {
        let spacing = self.spacing.unwrap_or(i64::MAX);
        // Keep starts away from the borders of their slot, so that they are neither equal nor
        // regular.
        let permille = 100 + self.jitter(self.past_runs + slot) % 800;
        let within = i128::from(spacing) * i128::from(permille) / 1000;
        let since = i128::from(slot) * i128::from(spacing) + within;
        self.birth.saturating_add(i64::try_from(since).unwrap_or(i64::MAX))
    }

    fn past_started_at(&self, now: i64) -> u64 {
        let (mut low, mut high) = (0, self.past_runs);
        while low < high {
            let middle = low.midpoint(high);
            if self.start_in_the_past(middle) <= now {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }
}

fn density_at(milliseconds: i64) -> u64 {
    let instant: DateTime<Utc> = DateTime::from_timestamp_millis(milliseconds).unwrap_or_default();
    match (instant.weekday(), instant.hour()) {
        (Weekday::Sat | Weekday::Sun, _) => 3,
        (_, 7..=18) => 10,
        _ => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BIRTH: i64 = 1_790_000_000_123;
    const DAY: i64 = 24 * HOUR;

    #[test]
    fn starts_never_decrease_and_are_counted_right() {
        let timeline = Timeline::new(3, BIRTH, 29 * DAY, 500, 20_000);
        let mut previous = BIRTH - 29 * DAY;
        for number in 0..700 {
            let start = timeline.start_of(number);
            assert!(start >= previous, "run {number}");
            assert_eq!(start < BIRTH, number < 500);
            assert!(timeline.started_at(start) > number);
            assert!(timeline.started_at(start - 1) <= number);
            previous = start;
        }
    }

    #[test]
    fn a_world_without_past_or_future_is_empty() {
        let timeline = Timeline::new(3, BIRTH, 0, 0, 0);
        assert_eq!(timeline.started_at(BIRTH + 100 * DAY), 0);
        assert_eq!(timeline.started_at(BIRTH - 1), 0);
    }

    #[test]
    fn a_future_can_have_an_end() {
        let timeline = Timeline::new(3, BIRTH, DAY, 5, HOUR).ending_after(Some(DAY));
        assert_eq!(timeline.started_at(BIRTH + 12 * HOUR - 1), 5 + 12);
        assert_eq!(timeline.started_at(BIRTH + 90 * DAY), 5 + 24);
        assert!(timeline.start_of(5 + 23) < BIRTH + DAY);
    }

    #[test]
    fn weekdays_are_busier() {
        let timeline = Timeline::new(3, BIRTH, 28 * DAY, 4000, 0);
        let weekend =
            (0..4000).filter(|number| density_at(timeline.start_of(*number)) == 3).count();
        assert!((300..800).contains(&weekend), "{weekend} of 4000 at weekends");
    }
}
