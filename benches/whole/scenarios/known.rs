//! Lakes that know very many runs, of which a sync looks at few: a million a day.

use std::sync::Arc;

use crate::figures::{Series, count};
use crate::known;
use crate::process::{WHOLE, command, sync};
use crate::report::Table;

use super::Bench;

/// Runs that the server lists: these are exported with their documents.
const LISTED: usize = 1_000;

/// Milliseconds between two starts: a million a day.
const STEP: i64 = 86;

const TIMES: usize = 5;

pub(super) fn measure(bench: &Bench) -> Table {
    let mut table = Table::new(
        "Lakes that know many runs",
        "A million runs a day. The server lists the newest thousand, which are exported with their \
         documents; all others are in the ledger only. Nothing is new.",
        &[
            "runs known",
            "what",
            "median of",
            "s",
            "least–most",
            "goal",
            "peak memory, MB: median, most",
            "goal",
        ],
    );
    for runs in &bench.sizes.known {
        measure_lake(bench, *runs, &mut table);
    }
    table
}

fn measure_lake(bench: &Bench, runs: usize, table: &mut Table) {
    let corpus = Arc::new(bench.corpus(LISTED).with_step(STEP));
    let server = bench.serve(&corpus);
    let folder = tempfile::tempdir().unwrap();
    let lake = folder.path().join("lake");
    sync(folder.path(), server.base(), WHOLE);
    eprintln!("  {runs} runs: adding them to the ledger");
    let more = runs.saturating_sub(LISTED);
    bench.runtime.block_on(known::add(&lake, more, corpus.oldest(), STEP));
    // Delivers the commits, which is new once.
    sync(folder.path(), server.base(), WHOLE);
    for (name, goals) in [("sync", ["0.5", "150"]), ("plan", ["", ""]), ("status", ["", ""])] {
        let goals = match runs {
            100_000 if name == "sync" => ["0.15", "100"],
            _ => goals,
        };
        let mut series = Series::default();
        for time in 1..=TIMES {
            eprintln!("  {runs} runs, {name}, {time} of {TIMES}");
            series.0.push(command(folder.path(), server.base(), WHOLE, name));
        }
        table.row([
            count(runs),
            name.to_owned(),
            TIMES.to_string(),
            format!("{:.3}", series.seconds()),
            series.spread(),
            goals[0].to_owned(),
            series.memory(),
            goals[1].to_owned(),
        ]);
    }
}
