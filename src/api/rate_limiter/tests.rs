//! A client and a server in virtual time. The rule was tuned on the situations of `tuned` with the
//! seeds of `TUNED`; the situations of `held_out`, and the seeds of `HELD_OUT`, played no part.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::ops::RangeInclusive;

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
    /// Requests in flight.
    InFlight(u32),
}
use Limit::{Bucket, Fixed, InFlight, Sliding};

/// How a 429 states the wait; after `Nothing` the client waits for 0.5 s or more.
#[derive(Clone, Copy, Debug)]
enum Says {
    WholeSeconds,
    Exactly,
    Nothing,
    /// One second, however long the wait is.
    OneSecond,
}
use Says::{Exactly, Nothing, OneSecond, WholeSeconds};

#[derive(Clone, Copy, Debug)]
struct Case {
    limit: Limit,
    rate: f64,
    says: Says,
    /// Seconds.
    until: f64,
    /// The second from which on is counted. What was saved up for a burst counts if it is 0.
    from: f64,
    in_flight: u32,
    /// Seconds; a fifth more or less.
    latency: f64,
    /// Timers are late by up to this, in seconds.
    late: f64,
    /// Share of the requests that are refused for no reason that has to do with a rate.
    stray: f64,
    /// A second and a factor: from that second on, the rate is multiplied by the factor.
    change: (f64, f64),
}

const TUNED: RangeInclusive<u64> = 1..=4;
const HELD_OUT: RangeInclusive<u64> = 101..=104;

const CASE: Case = Case {
    limit: Bucket(50.0),
    rate: 50.0,
    says: WholeSeconds,
    until: 180.0,
    from: 60.0,
    in_flight: 8,
    latency: 0.1,
    late: 0.001,
    stray: 0.0,
    change: (f64::INFINITY, 1.0),
};

const FREE: Case = Case { limit: Limit::None, until: 60.0, from: 0.0, ..CASE };

/// What happened from `from` on.
#[derive(Clone, Copy, Debug)]
struct Outcome {
    /// Accepted requests, divided by the number that the limit allowed.
    used: f64,
    accepted: f64,
    /// Share of the requests.
    refused: f64,
    /// Whether the rate limiter ever delayed a request.
    waited: bool,
}

struct Server {
    limit: Limit,
    rate: f64,
    tokens: f64,
    at: f64,
    phase: f64,
    log: VecDeque<f64>,
    in_flight: u32,
}

impl Server {
    /// Returns how long to wait, in seconds, if the request is refused.
    fn ask(&mut self, now: f64) -> Option<f64> {
        match self.limit {
            Limit::None => return None,
            InFlight(most) => {
                if self.in_flight >= most {
                    return Some(1.0);
                }
                self.in_flight += 1;
            }
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

    fn answered(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }
}

/// Pseudo-random numbers from 0 to 1.
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        let mut dice = Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        for _ in 0..4 {
            dice.roll();
        }
        dice
    }

    fn roll(&mut self) -> f64 {
        for shift in [13_i32, -7, 17] {
            let bits = self.0;
            self.0 ^= if shift > 0 { bits << shift } else { bits >> -shift };
        }
        f64::from(u32::try_from(self.0 >> 32).unwrap()) / f64::from(u32::MAX)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Answer {
    Accepted,
    /// How long the server asks to wait, if it says so.
    Refused(Option<Duration>),
}

/// What happens next; the first member of each is when the request was sent.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    /// A request reaches the server.
    Arrival(Duration),
    /// Its response reaches the client.
    Response(Duration, Answer),
    /// The first request in line asks whether it can be sent.
    Turn,
}

/// A run of a case. More is always to be requested, so a request that waits alone is replaced at
/// once.
struct Simulation {
    case: Case,
    start: Instant,
    dice: Dice,
    server: Server,
    limiter: RateLimiter,
    steps: BinaryHeap<Reverse<(Duration, u32, Step)>>,
    /// Steps so far: those of the same moment happen in this order.
    order: u32,
    /// Requests that want to be sent. As in the client, only the first one asks the rate limiter.
    in_line: u32,
    /// When the cooldown ends.
    held: Duration,
    /// Seconds to wait after a refusal that names no wait.
    unnamed: f64,
    accepted: u32,
    refused: u32,
    waited: bool,
}

impl Simulation {
    fn new(case: Case, seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let (rate, limit, phase) = (case.rate, case.limit, dice.roll());
        let tokens = burst(limit);
        let log = VecDeque::new();
        Self {
            case,
            start: Instant::now(),
            dice,
            server: Server { limit, rate, tokens, at: 0.0, phase, log, in_flight: 0 },
            limiter: RateLimiter::default(),
            steps: BinaryHeap::from([Reverse((Duration::ZERO, 0, Step::Turn))]),
            order: 0,
            in_line: case.in_flight,
            held: Duration::ZERO,
            unnamed: 0.5,
            accepted: 0,
            refused: 0,
            waited: false,
        }
    }

    fn then(&mut self, at: Duration, step: Step) {
        self.order += 1;
        self.steps.push(Reverse((at, self.order, step)));
    }

    /// A number of seconds between `least` and `most`.
    fn between(&mut self, least: f64, most: f64) -> Duration {
        Duration::from_secs_f64(least + (most - least) * self.dice.roll())
    }

    fn turn(&mut self, now: Duration) {
        let late = self.case.late;
        if self.held > now {
            let late = self.between(0.0, late);
            self.then(self.held + late, Step::Turn);
        } else if let Some(wait) = self.limiter.take(self.start + now) {
            self.waited = true;
            let late = self.between(0.0, late);
            self.then(now + wait + late, Step::Turn);
        } else {
            self.in_line -= 1;
            if self.in_line > 0 {
                self.then(now + Duration::from_micros(1), Step::Turn);
            }
            let there = self.between(0.3 * self.case.latency, 0.5 * self.case.latency);
            self.then(now + there, Step::Arrival(now));
        }
    }

    fn arrival(&mut self, now: Duration, sent: Duration) {
        let seconds = now.as_secs_f64();
        let stray = (self.dice.roll() < self.case.stray).then_some(1.0);
        let wait = stray.or_else(|| self.server.ask(seconds));
        let named = |wait: f64| match self.case.says {
            WholeSeconds => Some(wait.ceil().max(1.0)),
            Exactly => Some(wait.max(0.05)),
            OneSecond => Some(1.0),
            Nothing => None,
        };
        if seconds > self.case.from {
            self.accepted += u32::from(wait.is_none());
            self.refused += u32::from(wait.is_some());
        }
        let answer = match wait {
            None => Answer::Accepted,
            Some(wait) => Answer::Refused(named(wait).map(Duration::from_secs_f64)),
        };
        let back = self.between(0.5 * self.case.latency, 0.7 * self.case.latency);
        self.then(now + back, Step::Response(sent, answer));
    }

    fn response(&mut self, now: Duration, sent: Duration, answer: Answer) {
        if let Answer::Refused(named) = answer {
            let wait = named.unwrap_or(Duration::from_secs_f64(self.unnamed));
            self.unnamed = 30_f64.min(self.unnamed * if now >= self.held { 1.5 } else { 1.0 });
            let (sent, received) = (self.start + sent, self.start + now);
            let rejection = self.limiter.record_rejection(sent, received, wait);
            if rejection.is_shared {
                self.held = self.held.max(now + rejection.wait);
            }
        } else {
            self.server.answered();
            self.limiter.record_acceptance();
            self.unnamed = 0.5;
        }
        self.in_line += 1;
        if self.in_line == 1 {
            self.then(now, Step::Turn);
        }
    }
}

fn burst(limit: Limit) -> f64 {
    if let Bucket(burst) = limit { burst } else { 0.0 }
}

fn simulate(case: Case, seed: u64) -> Outcome {
    let mut simulation = Simulation::new(case, seed);
    let mut allowed = if case.from > 0.0 { 0.0 } else { burst(case.limit) };
    let mut last = case.from;
    while let Some(Reverse((now, _, step))) = simulation.steps.pop() {
        let seconds = now.as_secs_f64();
        if seconds > case.until {
            break;
        }
        if seconds > case.change.0 {
            simulation.server.rate = case.rate * case.change.1;
        }
        allowed += (seconds - last).max(0.0) * simulation.server.rate;
        last = seconds.max(case.from);
        match step {
            Step::Turn => simulation.turn(now),
            Step::Arrival(sent) => simulation.arrival(now, sent),
            Step::Response(sent, answer) => simulation.response(now, sent, answer),
        }
    }
    let Simulation { accepted, refused, waited, .. } = simulation;
    let (accepted, refused) = (f64::from(accepted), f64::from(refused));
    let (used, refused) = (accepted / allowed, refused / (accepted + refused).max(1.0));
    Outcome { used, accepted, refused, waited }
}

/// The share that was used, and the share that was refused, on average over the seeds.
fn mean(case: Case, seeds: &RangeInclusive<u64>) -> (f64, f64) {
    let outcomes: Vec<_> = seeds.clone().map(|seed| simulate(case, seed)).collect();
    let mean =
        |of: fn(&Outcome) -> f64| outcomes.iter().map(of).sum::<f64>() / number(outcomes.len());
    (mean(|outcome| outcome.used), mean(|outcome| outcome.refused))
}

/// A situation, and the least share to be used and the most to be refused.
type Situation = (&'static str, Case, f64, f64);

fn assert_met(situations: &[Situation], seeds: &RangeInclusive<u64>) {
    let unmet: Vec<_> = situations
        .iter()
        .map(|(name, case, least, most)| (name, mean(*case, seeds), least, most))
        .filter(|(_, (used, refused), least, most)| used < least || refused > most)
        .collect();
    assert!(unmet.is_empty(), "name, (used, refused), least, most: {unmet:?}");
}

fn bucket(rate: f64, burst: f64) -> Case {
    Case { limit: Bucket(burst), rate, ..CASE }
}

/// A window of so many requests.
fn window(limit: fn(f64) -> Limit, requests: f64, seconds: f64) -> Case {
    let until = CASE.until.max(60.0 + 4.0 * seconds);
    Case { limit: limit(seconds), rate: requests / seconds, until, ..CASE }
}

/// The rate changes after three minutes, and is measured from a minute after that on.
fn changed(case: Case, factor: f64) -> Case {
    Case { change: (180.0, factor), from: 240.0, until: 360.0, in_flight: 16, ..case }
}

/// Without stray refusals, 90 % or more is used from a minute on, and few requests are refused.
fn tuned_limits() -> Vec<Situation> {
    let slow = bucket(5.0, 5.0);
    let slower = Case { until: 360.0, ..bucket(1.0, 1.0) };
    vec![
        ("50/s, burst 50, from the first second", Case { from: 0.0, ..CASE }, 0.95, 0.02),
        ("50/s, burst 10", bucket(50.0, 10.0), 0.9, 0.02),
        ("50/s, burst 200", bucket(50.0, 200.0), 0.9, 0.02),
        ("5/s, burst 5", slow, 0.9, 0.03),
        ("5/s, burst 5, 400 ms", Case { latency: 0.4, ..slow }, 0.9, 0.03),
        ("1/s, burst 1", slower, 0.9, 0.05),
        ("1/s, burst 1, 16 in flight", Case { in_flight: 16, ..slower }, 0.9, 0.05),
        // The requests' arrival varies by a twelfth of the time between two of them.
        ("1/s, burst 1, 400 ms", Case { latency: 0.4, ..slower }, 0.8, 0.1),
        ("100 per 10 s, fixed", window(Fixed, 100.0, 10.0), 0.9, 0.03),
        ("100 per 10 s, sliding", window(Sliding, 100.0, 10.0), 0.9, 0.02),
        ("1000 per minute, fixed", window(Fixed, 1000.0, 60.0), 0.9, 0.02),
        ("50 per second, fixed", window(Fixed, 50.0, 1.0), 0.9, 0.02),
        ("50/s, then 100/s", changed(CASE, 2.0), 0.9, 0.02),
        ("50/s, then 25/s", changed(CASE, 0.5), 0.9, 0.02),
        ("4 in flight", Case { limit: InFlight(4), rate: 40.0, ..CASE }, 0.9, 0.02),
    ]
}

/// A limit together with stray refusals.
fn tuned_stray() -> Vec<Situation> {
    let stray = |stray: f64, case: Case| Case { stray, until: 240.0, ..case };
    let twice = Case { stray: 0.02, ..changed(CASE, 2.0) };
    vec![
        ("50/s, 2 % stray", stray(0.02, CASE), 0.85, 0.06),
        ("50/s, burst 10, 2 % stray", stray(0.02, bucket(50.0, 10.0)), 0.9, 0.06),
        ("50/s, 5 % stray", stray(0.05, CASE), 0.85, 0.1),
        ("50/s, 2 % stray, 16", stray(0.02, Case { in_flight: 16, ..CASE }), 0.85, 0.06),
        ("50/s, 2 % stray, 20 ms", stray(0.02, Case { latency: 0.02, ..CASE }), 0.85, 0.06),
        // Five requests a second take minutes to show which refusals are stray.
        ("5/s, 2 % stray", Case { until: 600.0, ..stray(0.02, bucket(5.0, 5.0)) }, 0.85, 0.1),
        ("100 per 10 s, 2 % stray", stray(0.02, window(Fixed, 100.0, 10.0)), 0.85, 0.1),
        ("50/s, then 100/s, 2 % stray", twice, 0.85, 0.06),
    ]
}

/// Situations that the rule was not tuned on.
fn held_out() -> Vec<Situation> {
    let fast = Case { in_flight: 16, latency: 0.02, until: 120.0, ..bucket(200.0, 100.0) };
    let thirty = Case { in_flight: 8, ..changed(bucket(30.0, 30.0), 2.0) };
    let third = changed(bucket(30.0, 30.0), 1.0 / 3.0);
    let many = Case { limit: InFlight(10), rate: 100.0, in_flight: 16, ..CASE };
    vec![
        ("13/s, burst 13", bucket(13.0, 13.0), 0.9, 0.02),
        ("200/s, burst 100", fast, 0.9, 0.02),
        ("7 per second, fixed", window(Fixed, 7.0, 1.0), 0.9, 0.04),
        ("70 per 7 s, fixed", window(Fixed, 70.0, 7.0), 0.9, 0.03),
        ("300 per minute, burst 60", Case { until: 360.0, ..bucket(5.0, 60.0) }, 0.9, 0.03),
        ("120 per minute, fixed", window(Fixed, 120.0, 60.0), 0.9, 0.02),
        ("30/s, then 60/s", thirty, 0.9, 0.02),
        ("30/s, then 10/s", third, 0.9, 0.02),
        ("5/s, then 10/s", changed(bucket(5.0, 5.0), 2.0), 0.9, 0.04),
        ("10 in flight", many, 0.9, 0.02),
        ("13/s, 3 % stray", Case { stray: 0.03, ..bucket(13.0, 13.0) }, 0.85, 0.1),
        ("200/s, 4 % stray", Case { stray: 0.04, ..fast }, 0.85, 0.1),
    ]
}

#[test]
fn it_uses_what_there_is_and_is_rarely_refused() {
    assert_met(&tuned_limits(), &TUNED);
}

#[test]
fn a_limit_is_used_although_some_refusals_are_stray() {
    assert_met(&tuned_stray(), &TUNED);
}

#[test]
fn situations_that_it_was_not_tuned_on() {
    assert_met(&held_out(), &HELD_OUT);
}

#[test]
fn waits_that_are_exact_or_not_named() {
    let saying = |says: Says, case: Case| Case { says, ..case };
    let situations = [
        ("50/s, exact", saying(Exactly, CASE), 0.95, 0.02),
        ("50/s, none", saying(Nothing, CASE), 0.95, 0.02),
        ("5/s, exact", saying(Exactly, bucket(5.0, 5.0)), 0.9, 0.04),
        ("5/s, none", saying(Nothing, bucket(5.0, 5.0)), 0.9, 0.04),
        ("100 per 10 s, exact", saying(Exactly, window(Fixed, 100.0, 10.0)), 0.9, 0.03),
        ("100 per 10 s, none", saying(Nothing, window(Fixed, 100.0, 10.0)), 0.85, 0.06),
        ("100 per 10 s, 1 s", saying(OneSecond, window(Fixed, 100.0, 10.0)), 0.9, 0.06),
        ("1000 per minute, none", saying(Nothing, window(Fixed, 1000.0, 60.0)), 0.9, 0.05),
        ("1000 per minute, 1 s", saying(OneSecond, window(Fixed, 1000.0, 60.0)), 0.9, 0.05),
    ];
    assert_met(&situations, &TUNED);
    assert_met(&situations, &HELD_OUT);
}

/// Stray refusals cost what the server asked for, and hardly more, however fast the server is.
#[test]
fn stray_refusals_do_not_set_a_rate() {
    for (in_flight, latency) in [(8, 0.4), (8, 0.1), (16, 0.1), (8, 0.02), (16, 0.02)] {
        let free =
            Case { in_flight, latency, until: if latency < 0.1 { 20.0 } else { 60.0 }, ..FREE };
        for seed in TUNED.chain(HELD_OUT) {
            let without = simulate(free, seed).accepted;
            for (stray, share) in [(0.005, 0.95), (0.02, 0.9), (0.05, 0.5)] {
                let with = simulate(Case { stray, ..free }, seed).accepted;
                assert!(with >= share * without, "{with} of {without}: {stray} {free:?} {seed}");
            }
        }
    }
}

#[test]
fn a_429_that_stays_alone_changes_nothing_but_its_own_wait() {
    let (mut limiter, start) = (RateLimiter::default(), Instant::now());
    let wait = Duration::from_secs(1);
    for minutes in (0..60).step_by(5) {
        let now = start + Duration::from_mins(minutes);
        for request in 0..40 {
            assert_eq!(limiter.take(now + Duration::from_millis(request)), None);
        }
        let sent_at = now + Duration::from_millis(39);
        let told = limiter.record_rejection(sent_at, now + Duration::from_secs(1), wait);
        assert_eq!(told, Rejection { is_shared: false, wait, rate: None });
        for _ in 0..40 {
            limiter.record_acceptance();
        }
    }
}

/// Four requests of 20 are refused at once: that can be an accident.
fn found_by_mistake(start: Instant) -> RateLimiter {
    let mut limiter = RateLimiter::default();
    for request in 0..20 {
        assert_eq!(limiter.take(start + Duration::from_millis(request)), None);
    }
    for _ in 0..16 {
        limiter.record_acceptance();
    }
    let (sent_at, now) = (start + Duration::from_millis(19), start + Duration::from_millis(100));
    let shared: Vec<_> = (0..4)
        .map(|_| limiter.record_rejection(sent_at, now, Duration::from_secs(1)).is_shared)
        .collect();
    assert_eq!(shared, [false, false, false, true]);
    limiter
}

#[test]
fn a_first_finding_that_nothing_confirms_is_forgotten() {
    let start = Instant::now();
    let (mut limiter, mut now) = (found_by_mistake(start), start);
    let mut spaced = Duration::ZERO;
    while let Some(wait) = limiter.take(now) {
        now += wait;
        spaced = now - start;
        if limiter.take(now).is_none() {
            limiter.record_acceptance();
        }
    }
    assert!(spaced > Duration::from_secs(10) && spaced < Duration::from_secs(30), "{spaced:?}");
    for _ in 0..1000 {
        assert_eq!(limiter.take(now), None);
    }
}

/// A server that asks to wait for a second although its window ends much later.
#[test]
fn a_wait_that_was_too_short_is_doubled() {
    let start = Instant::now();
    let (mut limiter, mut now) = (found_by_mistake(start), start + Duration::from_secs(2));
    let mut waits = Vec::new();
    for _ in 0..6 {
        while let Some(wait) = limiter.take(now) {
            now += wait;
        }
        let told = limiter.record_rejection(now, now, Duration::from_secs(1));
        assert!(told.is_shared);
        waits.push(told.wait.as_secs());
        now += told.wait;
    }
    assert_eq!(waits, [2, 4, 8, 16, 16, 16]);
    // A longer wait that the server names is not extended, and an accepted request ends it.
    assert_eq!(limiter.take(now), None);
    let named = limiter.record_rejection(now, now, Duration::from_mins(2));
    assert_eq!(named.wait, Duration::from_mins(2));
    now += named.wait;
    assert_eq!(limiter.take(now), None);
    limiter.record_acceptance();
    now += Duration::from_secs(5);
    assert_eq!(limiter.take(now), None);
    let told = limiter.record_rejection(now, now, Duration::from_secs(1));
    assert_eq!(told.wait, Duration::from_secs(1));
}

proptest! {
    #[test]
    fn without_a_limit_nothing_waits(in_flight in 1_u32..200, latency in 0.001..3.0_f64) {
        let until = 2000.0 * latency / f64::from(in_flight);
        let outcome = simulate(Case { until, in_flight, latency, ..FREE }, 1);
        prop_assert!(!outcome.waited);
    }
}

/// The figures of docs/BENCHMARKS.md.
#[test]
#[ignore = "prints a table, in a minute or more"]
fn table_of_situations() {
    let (tuned, not) = (1..=6, 101..=108);
    let percent = |share: f64| format!("{:.1} %", share * 100.0);
    let least = |shares: &[f64]| shares.iter().copied().fold(f64::INFINITY, f64::min);
    let situations = [(tuned_limits(), &tuned), (tuned_stray(), &tuned), (held_out(), &not)];
    for (situations, seeds) in situations {
        for (name, case, goal, most) in situations {
            let each: Vec<_> = seeds.clone().map(|seed| simulate(case, seed).used).collect();
            let (used, refused) = mean(case, seeds);
            let shares = [used, least(&each), goal, refused, most].map(percent);
            println!("| {name} | {} |", shares.join(" | "));
        }
    }
    for (in_flight, latency) in [(8, 0.1), (16, 0.1), (8, 0.02), (16, 0.02)] {
        for stray in [0.02, 0.05] {
            let free = Case { in_flight, latency, ..FREE };
            let with = |seed| simulate(Case { stray, ..free }, seed).accepted;
            let shares: Vec<f64> =
                not.clone().map(|seed| with(seed) / simulate(free, seed).accepted).collect();
            let mean = shares.iter().sum::<f64>() / number(shares.len());
            let shares = [stray, mean, least(&shares)].map(percent);
            println!("| {in_flight} | {latency} s | {} |", shares.join(" | "));
        }
    }
}
