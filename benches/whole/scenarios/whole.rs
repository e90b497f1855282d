//! First exports of several sizes, and second ones with nothing new.

use std::sync::Arc;

use crate::bare::{Bare, bare_requests};
use crate::exported;
use crate::figures::Series;
use crate::process::{LAKE_ONLY, WHOLE, sync, verify};
use crate::report::Table;

use super::{Bench, tables};

/// All measurements of one size.
#[derive(Debug, Default)]
pub(super) struct Measured {
    pub(super) runs: usize,
    pub(super) bare: Vec<Bare>,
    pub(super) whole: Series,
    pub(super) again: Series,
    pub(super) verify: Series,
    pub(super) lake_only: Series,
    /// Requests of a first sync, and the fewest that it can do with.
    pub(super) requests: usize,
    pub(super) least_requests: usize,
    /// Requests of a second sync; the most of all.
    pub(super) requests_again: usize,
    /// Megabytes of Parquet, with raw documents and without.
    pub(super) size: f64,
    pub(super) size_lake_only: f64,
}

pub(super) fn measure(bench: &Bench) -> Vec<Table> {
    let measured: Vec<Measured> =
        bench.sizes.exports.iter().map(|runs| measure_size(bench, *runs)).collect();
    tables::whole(&measured)
}

/// How often each is measured: what takes longer varies less.
const fn times(runs: usize) -> usize {
    match runs {
        0..=5_000 => 5,
        5_001..=20_000 => 3,
        _ => 1,
    }
}

fn measure_size(bench: &Bench, runs: usize) -> Measured {
    let corpus = Arc::new(bench.corpus(runs));
    let server = bench.serve(&corpus);
    let least_requests = corpus.least_requests();
    let mut measured = Measured { runs, least_requests, ..Measured::default() };
    // In turn, so that a machine that grows slower does so for all of them.
    for time in 1..=times(runs) {
        eprintln!("  {runs} runs, {time} of {}", times(runs));
        measured.bare.push(bench.runtime.block_on(bare_requests(server.base(), &corpus)));
        server.take_record();
        let folder = tempfile::tempdir().unwrap();
        measured.whole.0.push(sync(folder.path(), server.base(), WHOLE));
        measured.requests = measured.requests.max(server.take_record().requests);
        measured.again.0.push(sync(folder.path(), server.base(), WHOLE));
        measured.requests_again = measured.requests_again.max(server.take_record().requests);
        measured.verify.0.push(verify(folder.path()));
        exported::check(folder.path(), runs);
        measured.size = exported::parquet_size(&folder.path().join("lake"));
        let folder = tempfile::tempdir().unwrap();
        measured.lake_only.0.push(sync(folder.path(), server.base(), LAKE_ONLY));
        exported::check(folder.path(), runs);
        measured.size_lake_only = exported::parquet_size(&folder.path().join("lake"));
    }
    measured
}
