//! From the start of the process to where its first request arrives.

use std::sync::Arc;

use crate::figures::{median, spread};
use crate::process::{WHOLE, sync};
use crate::report::Table;

use super::Bench;

const RUNS: usize = 10;
const TIMES: usize = 5;

pub(super) fn measure(bench: &Bench) -> Table {
    let corpus = Arc::new(bench.corpus(RUNS));
    let server = bench.serve(&corpus);
    let mut milliseconds = Vec::new();
    for _ in 0..TIMES {
        let folder = tempfile::tempdir().unwrap();
        server.take_record();
        let started = sync(folder.path(), server.base(), WHOLE).started;
        let first = server.take_record().first.unwrap();
        milliseconds.push(first.duration_since(started).as_secs_f64() * 1e3);
    }
    let mut table = Table::new(
        "Cold start",
        "From the start of the process to its first request at the server.",
        &["median of", "ms", "least–most", "goal"],
    );
    let cells = milliseconds.iter().copied();
    table.row([
        TIMES.to_string(),
        format!("{:.1}", median(cells.clone())),
        spread(cells),
        "30".to_owned(),
    ]);
    table
}
