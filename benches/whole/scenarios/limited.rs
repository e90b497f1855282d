//! Servers that allow only so many requests, or refuse some for no reason, and take their time for
//! each.

use std::sync::Arc;
use std::time::Duration;

use crate::exported;
use crate::figures::{count, number};
use crate::process::{Taken, WHOLE, sync};
use crate::report::Table;
use crate::server::{Limit, Record, Treatment};

use super::Bench;

const LATENCY: Duration = Duration::from_millis(100);
/// How long an exporter that meets a limit, or another one, has to find it out.
const MINUTE: Duration = Duration::from_mins(1);
/// The share of requests that a server refuses for no reason.
const STRAY: f64 = 0.02;
const REQUESTS_PER_RUN: f64 = 4.0;

const BUCKET: Limit = Limit::Bucket { rate: 50.0, burst: 50.0 };

pub(super) fn measure(bench: &Bench) -> Vec<Table> {
    vec![limits(bench), stray(bench)]
}

/// A limit, from when on it counts, and the goal.
struct Case {
    name: &'static str,
    limit: Limit,
    counts_after: Duration,
    stray: f64,
    goal: &'static str,
}

fn limits(bench: &Bench) -> Table {
    let seconds = Duration::from_secs(u64::try_from(bench.sizes.limited).unwrap());
    let half = seconds / 2;
    let windows = Limit::Windows { requests: 100.0, period: Duration::from_secs(10) };
    let change = |from, to| Limit::Change { from, to, after: half };
    // A short measurement has no minute to spare.
    let settled = MINUTE.min(seconds / 3);
    let case =
        |name, limit, counts_after| Case { name, limit, counts_after, stray: 0.0, goal: "90 %" };
    let cases = [
        Case { goal: "95 %", ..case("50 a second, 50 at once", BUCKET, Duration::ZERO) },
        case("5 a second, 5 at once", Limit::Bucket { rate: 5.0, burst: 5.0 }, settled),
        case("1 a second", Limit::Bucket { rate: 1.0, burst: 1.0 }, settled),
        case("100 in each 10 s", windows, settled),
        case("50 a second, then 100", change(50.0, 100.0), half + settled),
        case("50 a second, then 25", change(50.0, 25.0), half + settled),
        Case { stray: STRAY, ..case("50 a second, 50 at once, and 2 % stray", BUCKET, settled) },
    ];
    let mut table = Table::new(
        "Limited rates",
        "429 with `Retry-After: 1` beyond the limit; 100 ms before each answer. One sync each. The \
         share of the allowed requests counts from the first request on, or, for a goal of 90 %, from a \
         minute after the first request or the change on.",
        &[
            "limit",
            "runs",
            "s",
            "requests",
            "used of the allowed rate",
            "goal",
            "answered 429",
            "goal",
        ],
    );
    for case in cases {
        let runs = runs_for(case.limit, seconds);
        let treatment = Treatment { limit: Some(case.limit), stray: case.stray, latency: LATENCY };
        let (taken, record) = export(bench, runs, treatment);
        let refused = number(record.refused) / number(record.requests);
        let used = used(&record, case.limit, case.counts_after);
        table.row([
            case.name.to_owned(),
            count(runs),
            format!("{:.1}", taken.seconds),
            count(record.requests),
            used.map_or_else(|| "too short".to_owned(), |used| format!("{:.1} %", used * 100.0)),
            case.goal.to_owned(),
            format!("{:.1} %", refused * 100.0),
            if case.stray > 0.0 { String::new() } else { "2 %".to_owned() },
        ]);
    }
    table
}

fn stray(bench: &Bench) -> Table {
    let runs = bench.sizes.stray;
    let mut table = Table::new(
        "Stray 429s",
        "A server without a limit that answers 2 % of all requests with 429 and `Retry-After: 1`; 100 ms \
         before each answer. Each such answer delays its own request by a second.",
        &["runs", "stray", "s", "× without", "goal", "answered 429"],
    );
    let (without, _) = export(bench, runs, Treatment { latency: LATENCY, ..Treatment::default() });
    let treatment = Treatment { stray: STRAY, latency: LATENCY, limit: None };
    let (with, record) = export(bench, runs, treatment);
    let seconds = |taken: Taken| format!("{:.1}", taken.seconds);
    table.row([
        count(runs),
        "none".to_owned(),
        seconds(without),
        "1.0".to_owned(),
        String::new(),
        count(0),
    ]);
    table.row([
        count(runs),
        "2 %".to_owned(),
        seconds(with),
        format!("{:.2}", with.seconds / without.seconds),
        "2".to_owned(),
        count(record.refused),
    ]);
    table
}

/// Exports everything from a new server.
fn export(bench: &Bench, runs: usize, treatment: Treatment) -> (Taken, Record) {
    let corpus = Arc::new(bench.corpus(runs));
    let server = bench.serve_with(&corpus, treatment);
    let folder = tempfile::tempdir().unwrap();
    let taken = sync(folder.path(), server.base(), WHOLE);
    exported::check(folder.path(), runs);
    (taken, server.take_record())
}

/// So many runs that their export takes about this time.
#[expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a small positive number"
)]
fn runs_for(limit: Limit, time: Duration) -> usize {
    ((limit.allows(time) / REQUESTS_PER_RUN) as usize).max(2)
}

/// The share of the allowed requests that were made and accepted, from a time after the first
/// request on; `None` if the export was over before.
fn used(record: &Record, limit: Limit, after: Duration) -> Option<f64> {
    let first = record.first?;
    let mut end = record.last?.duration_since(first);
    if let Limit::Windows { period, .. } = limit {
        // The last period is not used to its end.
        let periods = (end.as_secs_f64() / period.as_secs_f64()).floor();
        end = period.mul_f64(periods).saturating_sub(Duration::from_millis(1));
    }
    if end <= after {
        return None;
    }
    let counts = |at: &&std::time::Instant| {
        let at = at.duration_since(first);
        at <= end && (after.is_zero() || at > after)
    };
    let accepted = number(record.accepted.iter().filter(counts).count());
    let before = if after.is_zero() { 0.0 } else { limit.allows(after) };
    Some(accepted / (limit.allows(end) - before))
}
