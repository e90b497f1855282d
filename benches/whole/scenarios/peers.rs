//! The same export by dlt, over the same server, in the same hour.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use serde_json::Value;

use crate::exported;
use crate::figures::{Series, count};
use crate::process::{LAKE_ONLY, Taken, WHOLE, run_family, sync};
use crate::report::Table;

use super::Bench;

/// How often this program is measured. A peer is measured once: it takes a minute or more.
const TIMES: usize = 3;

const COLUMNS: [&str; 9] = [
    "what",
    "median of",
    "s",
    "× ours",
    "goal",
    "peak memory, MB",
    "Parquet, MB",
    "ours × dlt's",
    "goal",
];

pub(super) fn measure(bench: &Bench) -> Table {
    let runs = bench.sizes.peers;
    let title = format!("Against dlt, {} runs", count(runs));
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join(".peers");
    // Written when everything else is there.
    let Ok(packages) = fs::read_to_string(tools.join("packages")) else {
        let note = "Left out: there is no dlt here. `make bench` fetches \
                    it, and needs Python 3 with `venv`.";
        return Table::new(&title, note, &COLUMNS);
    };
    let note = format!(
        "{packages}, with benches/peers/dlt_export.py. Of its memory, that of its largest process \
         counts. Against DuckDB stands the whole export, and against Parquet the lake only."
    );
    let mut table = Table::new(&title, &note, &COLUMNS);
    let python = tools.join("bin/python");
    compare(bench, runs, &python, Form::Database, &mut table);
    compare(bench, runs, &python, Form::Parquet, &mut table);
    table
}

/// What is exported into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Database,
    Parquet,
}

impl Form {
    /// What dlt's script takes, what it is here, and the configuration for that.
    const fn names(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Database => ("duckdb", "whole export", WHOLE),
            Self::Parquet => ("parquet", "lake only", LAKE_ONLY),
        }
    }
}

fn compare(bench: &Bench, runs: usize, python: &Path, form: Form, table: &mut Table) {
    let corpus = Arc::new(bench.corpus(runs));
    let server = bench.serve(&corpus);
    let (word, name, configuration) = form.names();
    let (mut ours, mut our_size) = (Series::default(), 0.0);
    for _ in 0..TIMES {
        let folder = tempfile::tempdir().unwrap();
        ours.0.push(sync(folder.path(), server.base(), configuration));
        exported::check(folder.path(), runs);
        our_size = exported::parquet_size(&folder.path().join("lake"));
    }
    let folder = tempfile::tempdir().unwrap();
    eprintln!("  dlt into {word}");
    let theirs = dlt(python, server.base(), folder.path(), word, runs);
    let is_parquet = form == Form::Parquet;
    let only_parquet = |cell: String| if is_parquet { cell } else { String::new() };
    let size = |size: f64| only_parquet(format!("{size:.1}"));
    table.row([
        name.to_owned(),
        TIMES.to_string(),
        format!("{:.2}", ours.seconds()),
        "1.0".to_owned(),
        String::new(),
        ours.memory(),
        size(our_size),
        String::new(),
        String::new(),
    ]);
    let their_size =
        if is_parquet { exported::parquet_size(&folder.path().join("lake")) } else { 0.0 };
    table.row([
        format!("dlt into {}", if is_parquet { "Parquet" } else { "DuckDB" }),
        "1".to_owned(),
        format!("{:.2}", theirs.seconds),
        format!("{:.1}", theirs.seconds / ours.seconds()),
        "40".to_owned(),
        format!("{:.0}", theirs.megabytes),
        size(their_size),
        only_parquet(format!("{:.2}", our_size / their_size)),
        only_parquet("0.8".to_owned()),
    ]);
}

/// Panics unless all runs and their documents came through.
fn dlt(python: &Path, base: &str, folder: &Path, form: &str, runs: usize) -> Taken {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers/dlt_export.py");
    let told = folder.join("told.json");
    let mut command = Command::new(python);
    command.current_dir(folder).arg(script).arg(base).arg(folder).arg(form);
    let taken = run_family(command.stdout(File::create(&told).unwrap()));
    let told: Value = serde_json::from_slice(&fs::read(told).unwrap()).unwrap();
    for table in ["runs", "details"] {
        assert_eq!(told[table].as_u64(), u64::try_from(runs).ok(), "{table} by dlt");
    }
    taken
}
