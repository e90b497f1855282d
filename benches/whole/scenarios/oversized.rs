//! One run that is far larger than all others, and whether those wait for it.

use std::sync::Arc;

use crate::corpus::Corpus;
use crate::exported;
use crate::figures::{Series, count, median, megabytes};
use crate::process::{WHOLE, sync};
use crate::report::Table;

use super::Bench;

const TIMES: usize = 3;

/// Where in the list the large run stands: nearly all others come after it.
const NUMBER: usize = 20;

pub(super) fn measure(bench: &Bench) -> Table {
    let (usual, large) = (bench.sizes.usual, bench.sizes.large);
    let mut table = Table::new(
        "One large run among usual ones",
        "It is one of the first in the list. The others do not wait for it where their last \
         document is answered as early as without it.",
        &[
            "runs",
            "median of",
            "s",
            "least–most",
            "last usual document answered after, s",
            "peak memory, MB: median, most",
            "goal",
        ],
    );
    let alone = bench.corpus(usual);
    table.row(row(bench, format!("{} usual", count(usual)), alone, ""));
    let beside = bench.corpus(usual + 1).with_large(NUMBER, large);
    let what = format!("{} usual, one with a trace of {:.0} MB", count(usual), megabytes(large));
    table.row(row(bench, what, beside, "600"));
    table
}

fn row(bench: &Bench, what: String, corpus: Corpus, goal: &str) -> [String; 7] {
    let corpus = Arc::new(corpus);
    let server = bench.serve(&corpus);
    let (mut series, mut usual) = (Series::default(), Vec::new());
    for _ in 0..TIMES {
        let folder = tempfile::tempdir().unwrap();
        server.take_record();
        let taken = sync(folder.path(), server.base(), WHOLE);
        exported::check(folder.path(), corpus.runs());
        let last = server.take_record().last_usual.unwrap();
        usual.push(last.duration_since(taken.started).as_secs_f64());
        series.0.push(taken);
    }
    [
        what,
        TIMES.to_string(),
        format!("{:.2}", series.seconds()),
        series.spread(),
        format!("{:.2}", median(usual)),
        series.memory(),
        goal.to_owned(),
    ]
}
