//! A client and a server in virtual time. `used` is the number of accepted requests divided by the
//! number that the limit allowed: the rate times the elapsed time, plus a bucket's burst.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use proptest::prelude::*;

use super::*;

fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap())
}

#[derive(Clone, Copy, Debug)]
enum Limit {
    None,
    /// Tokens.
    Bucket(f64),
    /// Seconds.
    Fixed(f64),
    Sliding(f64),
}
use Limit::{Bucket, Fixed, Sliding};

/// How a 429 states the wait; after `Nothing` the client waits for 0.5 s or more.
#[derive(Clone, Copy, Debug)]
enum Says {
    WholeSeconds,
    Exactly,
    Nothing,
}
use Says::{Exactly, Nothing, WholeSeconds};

#[derive(Clone, Copy, Debug)]
struct Case {
    limit: Limit,
    rate: f64,
    says: Says,
    requests: u32,
    workers: u32,
    latency: f64,
    /// Timers are late by up to this, in seconds.
    late: f64,
    /// Share of the requests that are refused for no reason that has to do with a rate.
    stray: f64,
    /// A second and a factor: from that second on, the rate is multiplied by the factor.
    change: (f64, f64),
}

const SEEDS: u64 = 4;

const CASE: Case = Case {
    limit: Limit::None,
    rate: 50.0,
    says: WholeSeconds,
    requests: 4000,
    workers: 8,
    latency: 0.1,
    late: 0.001,
    stray: 0.0,
    change: (f64::INFINITY, 1.0),
};

#[derive(Clone, Debug, Default)]
struct Outcome {
    used: f64,
    refused: f64,
    waited: bool,
    /// In seconds.
    elapsed: f64,
    /// Requests accepted in each second.
    seconds: Vec<u32>,
}

struct Server {
    limit: Limit,
    rate: f64,
    tokens: f64,
    at: f64,
    phase: f64,
    log: VecDeque<f64>,
}

impl Server {
    /// Returns how long to wait, in seconds, if the request is refused.
    fn ask(&mut self, now: f64) -> Option<f64> {
        match self.limit {
            Limit::None => return None,
            Bucket(burst) => {
                self.tokens = burst.min(self.tokens + (now - self.at) * self.rate);
                self.at = now;
                if self.tokens < 1.0 {
                    return Some((1.0 - self.tokens) / self.rate);
                }
                self.tokens -= 1.0;
            }
            Fixed(span) | Sliding(span) => {
                let begun = match self.limit {
                    Fixed(_) => ((now / span + self.phase).floor() - self.phase) * span,
                    _ => now - span,
                };
                while self.log.front().is_some_and(|asked| *asked <= begun) {
                    self.log.pop_front();
                }
                if number(self.log.len()) >= (self.rate * span).round() {
                    let again = if matches!(self.limit, Fixed(_)) { begun } else { self.log[0] };
                    return Some(again + span - now);
                }
                self.log.push_back(now);
            }
        }
        None
    }
}

/// Pseudo-random numbers from 0 to 1.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> f64 {
        for shift in [13_i32, -7, 17] {
            let bits = self.0;
            self.0 ^= if shift > 0 { bits << shift } else { bits >> -shift };
        }
        f64::from(u32::try_from(self.0 >> 32).unwrap()) / f64::from(u32::MAX)
    }
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    /// When the request was sent, whether the response is a 429, and the cooldown that it names.
    Response(Duration, bool, Option<Duration>),
    /// A refused request comes back after a wait of its own.
    Back,
    Turn,
}

fn simulate(case: Case, seed: u64) -> Outcome {
    let start = Instant::now();
    let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let burst = if let Bucket(burst) = case.limit { burst } else { 0.0 };
    let (rate, limit, phase, log) = (case.rate, case.limit, dice.roll(), VecDeque::new());
    let mut server = Server { limit, rate, tokens: burst, at: 0.0, phase, log };
    let (mut pace, mut outcome) = (RateLimiter::default(), Outcome::default());
    // As in the client, only the first request in line asks the rate limiter; the others wait.
    let (mut in_line, mut held, mut unnamed) = (case.workers, Duration::ZERO, 0.5);
    let (mut accepted, mut refused, mut allowed, mut last) = (0_u32, 0_u32, burst, 0.0);
    let mut steps = BinaryHeap::from([Reverse((Duration::ZERO, 0_u32, Step::Turn))]);
    let mut order = 0_u32;
    while accepted < case.requests {
        let Reverse((now, _, step)) = steps.pop().unwrap();
        let seconds = now.as_secs_f64();
        if seconds > case.change.0 {
            server.rate = case.rate * case.change.1;
        }
        allowed += (seconds - last) * server.rate;
        last = seconds;
        let mut late = || Duration::from_secs_f64(case.late * dice.roll());
        let mut then = |at: Duration, step: Step| {
            order += 1;
            steps.push(Reverse((at, order, step)));
        };
        let mut returning = false;
        match step {
            Step::Turn if held > now => then(held + late(), Step::Turn),
            Step::Turn => {
                if let Some(wait) = pace.take(start + now) {
                    outcome.waited = true;
                    then(now + wait + late(), Step::Turn);
                } else {
                    in_line -= 1;
                    if in_line > 0 {
                        then(now + Duration::from_micros(1), Step::Turn);
                    }
                    let latency = case.latency * (0.8 + 0.4 * dice.roll());
                    let stray = (dice.roll() < case.stray).then_some(1.0);
                    let wait = stray.or_else(|| server.ask(seconds));
                    let hold = wait.and_then(|wait| match case.says {
                        WholeSeconds => Some(wait.ceil().max(1.0)),
                        Exactly => Some(wait.max(0.05)),
                        Nothing => None,
                    });
                    let hold = hold.map(Duration::from_secs_f64);
                    let answered = now + Duration::from_secs_f64(latency);
                    then(answered, Step::Response(now, wait.is_some(), hold));
                }
            }
            Step::Back => returning = true,
            Step::Response(sent, is_refusal, hold) => {
                if is_refusal {
                    refused += 1;
                    let hold = hold.unwrap_or(Duration::from_secs_f64(unnamed));
                    unnamed *= if now >= held { 1.5 } else { 1.0 };
                    if pace.record_rejection(start + sent, start + now, hold).is_shared {
                        held = held.max(now + hold);
                        returning = true;
                    } else {
                        then(now + hold, Step::Back);
                    }
                } else {
                    pace.record_acceptance();
                    (accepted, unnamed) = (accepted + 1, 0.5);
                    let second = usize::try_from(now.as_secs()).unwrap();
                    outcome.seconds.resize(outcome.seconds.len().max(second + 1), 0);
                    outcome.seconds[second] += 1;
                    returning = true;
                }
            }
        }
        in_line += u32::from(returning);
        if returning && in_line == 1 {
            then(now, Step::Turn);
        }
    }
    outcome.elapsed = last;
    outcome.used = f64::from(accepted) / allowed;
    outcome.refused = f64::from(refused) / f64::from(accepted + refused);
    outcome
}

/// Asserts that, on average over the seeds, at least `used` percent are used and at most `refused`
/// percent are refused.
fn expect(case: Case, used: f64, refused: f64) {
    let outcomes: Vec<_> = (1..=SEEDS).map(|seed| simulate(case, seed)).collect();
    let mean = |of: fn(&Outcome) -> f64| {
        outcomes.iter().map(of).sum::<f64>() / number(outcomes.len()) * 100.0
    };
    let (was_used, was_refused) = (mean(|outcome| outcome.used), mean(|outcome| outcome.refused));
    assert!(was_used >= used && was_refused <= refused, "{was_used} {was_refused} {case:?}");
}

#[test]
fn it_uses_what_there_is_and_is_rarely_refused() {
    for says in [WholeSeconds, Exactly, Nothing] {
        for limit in [Bucket(50.0), Bucket(200.0)] {
            expect(Case { limit, says, ..CASE }, 97.0, 2.0);
        }
        // A small bucket or a window cannot keep all that is allowed during a cooldown.
        expect(Case { limit: Bucket(10.0), says, ..CASE }, 88.0, 2.0);
        for limit in [Fixed(1.0), Sliding(1.0)] {
            expect(Case { limit, says, ..CASE }, 84.0, 2.0);
        }
    }
}

#[test]
fn a_429_that_stays_alone_changes_nothing_but_the_hold() {
    let (mut rate, start) = (RateLimiter::default(), Instant::now());
    let hold = Duration::from_secs(1);
    for minutes in (0..60).step_by(5) {
        let now = start + Duration::from_mins(minutes);
        for request in 0..40 {
            assert_eq!(rate.take(now + Duration::from_millis(request)), None);
        }
        let told = rate.record_rejection(
            now + Duration::from_millis(39),
            now + Duration::from_secs(1),
            hold,
        );
        assert_eq!(told, Rejection { is_shared: false, rate: None });
        for _ in 0..40 {
            rate.record_acceptance();
        }
    }
}

/// Stray refusals cost what the server asked for, and hardly more, however fast the server is.
#[test]
fn stray_refusals_do_not_set_a_rate() {
    for (latency, workers) in [(0.1, 8), (0.005, 8), (0.015, 4)] {
        for stray in [0.01, 0.02] {
            let case = Case { latency, workers, requests: 4000, ..CASE };
            for seed in 1..=SEEDS {
                let without = simulate(case, seed).elapsed;
                let with = simulate(Case { stray, ..case }, seed);
                // Each refusal keeps one worker for a second.
                let waits = with.refused * f64::from(case.requests) / f64::from(workers);
                assert!(with.elapsed < 2.0 * without + waits + 2.0, "{with:?} {without} {case:?}");
            }
        }
    }
}

#[test]
fn it_finds_low_and_high_limits() {
    for says in [WholeSeconds, Exactly] {
        for limit in [Bucket(10.0), Fixed(1.0), Sliding(1.0)] {
            let case = Case { limit, says, requests: 1000, ..CASE };
            expect(Case { rate: 5.0, ..case }, 92.0, 6.0);
            // A bucket of a fiftieth of a second is found late.
            expect(Case { rate: 500.0, requests: 20_000, workers: 80, ..case }, 60.0, 4.0);
        }
        for limit in [Bucket(60.0), Fixed(60.0), Sliding(60.0)] {
            expect(Case { limit, says, rate: 1.0, requests: 1000, ..CASE }, 95.0, 7.0);
        }
    }
}

#[test]
fn a_changed_limit_is_found() {
    for says in [WholeSeconds, Exactly, Nothing] {
        for limit in [Bucket(10.0), Bucket(200.0), Fixed(1.0), Sliding(1.0)] {
            for (factor, within) in [(0.5, 40), (2.0, 240)] {
                let case = Case { limit, says, workers: 20, requests: 20_000, ..CASE };
                let outcome = simulate(Case { change: (60.0, factor), ..case }, 1);
                // Found means ten seconds in a row with 90 % of the new limit.
                let good = |ten: &[u32]| f64::from(ten.iter().sum::<u32>()) >= 450.0 * factor;
                let found = outcome.seconds[60..].windows(10).position(good);
                assert!(found.is_some_and(|found| found + 10 <= within), "{found:?} {case:?}");
                assert!(outcome.refused < 0.025, "{} {case:?}", outcome.refused);
            }
        }
    }
}

proptest! {
    #[test]
    fn without_a_limit_nothing_waits(workers in 1_u32..200, latency in 0.001..3.0_f64) {
        let outcome = simulate(Case { workers, latency, requests: 2000, ..CASE }, 1);
        prop_assert!(!outcome.waited);
    }
}
