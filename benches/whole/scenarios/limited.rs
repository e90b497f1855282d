//! A server that allows so many requests a second, and takes its time for each.

use std::sync::Arc;
use std::time::Duration;

use crate::exported;
use crate::figures::{count, number};
use crate::process::{WHOLE, sync};
use crate::report::Table;
use crate::server::Limit;

use super::Bench;

const LIMIT: Limit = Limit { rate: 50.0, burst: 50.0, latency: Duration::from_millis(100) };

pub(super) fn measure(bench: &Bench) -> Table {
    let runs = bench.sizes.limited;
    let corpus = Arc::new(bench.corpus(runs));
    let server = bench.serve(&corpus, Some(LIMIT));
    let folder = tempfile::tempdir().unwrap();
    let taken = sync(folder.path(), server.base(), WHOLE);
    exported::check(folder.path(), runs);
    let record = server.take_record();
    let asking = record.last.unwrap().duration_since(record.first.unwrap()).as_secs_f64();
    let allowed = LIMIT.rate * asking + LIMIT.burst;
    let used = number(record.requests - record.refused) / allowed;
    let refused = number(record.refused) / number(record.requests);
    let mut table = Table::new(
        "A limited rate",
        "50 requests a second, 50 at once after a rest, and 429 with `Retry-After: 1` beyond; \
         100 ms before each answer. One sync. The allowed rate counts from the first request to \
         the last answer, and the first 50 with it.",
        &["runs", "s", "requests", "used of the allowed rate", "goal", "answered 429", "goal"],
    );
    table.row([
        count(runs),
        format!("{:.1}", taken.seconds),
        count(record.requests),
        format!("{:.1} %", used * 100.0),
        "95 %".to_owned(),
        format!("{:.1} %", refused * 100.0),
        "2 %".to_owned(),
    ]);
    table
}
