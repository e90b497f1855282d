//! `make bench`: whole exports of the released program against a static server in this process,
//! beside the bare requests for the same bodies. Writes docs/BENCHMARKS.md's table.
//!
//! Figures of one machine and one hour only compare with each other: hence the ratios. Nothing
//! here fails for being slow.

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on panics")]
#![expect(clippy::disallowed_methods, reason = "it is about real time, and blocks as it likes")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "its result is printed")]
#![expect(clippy::indexing_slicing, reason = "of JSON that the simulator made")]

mod corpus;
mod process;
mod report;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{StatusCode, Uri, header};
use axum::response::IntoResponse;

use corpus::{BASE, Corpus, bare_requests};
use process::{Taken, run, sync};
use report::{Row, median, spread};

/// Runs of each measurement.
const TIMES: usize = 5;

/// Lake with raw documents, and DuckDB: the defaults.
const WHOLE: &str = "";
/// The least that an export can be.
const LAKE_ONLY: &str = "[lake]\ndocuments = false\n[duckdb]\nenabled = false\n";

fn main() {
    let runs = std::env::args().filter_map(|argument| argument.parse::<u32>().ok());
    let sizes: Vec<u32> = runs.collect();
    let sizes = if sizes.is_empty() { vec![1_000, 5_000, 20_000] } else { sizes };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    armature_export::api::install_tls();
    let mut rows = vec![cold_start()];
    for runs in sizes {
        eprintln!("making {runs} runs");
        let corpus = Arc::new(runtime.block_on(Corpus::make(runs)));
        let base = runtime.block_on(serve(Arc::clone(&corpus)));
        rows.extend(measure(&runtime, &corpus, &base));
    }
    let table = report::table(&rows);
    println!("{table}");
    report::write(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/BENCHMARKS.md")), &table);
}

/// Answers from memory, on loopback.
async fn serve(corpus: Arc<Corpus>) -> String {
    let answer = move |uri: Uri| {
        let body = corpus.answer(uri.path(), uri.query());
        async move {
            let json = [(header::CONTENT_TYPE, "application/json")];
            match body {
                Some(body) => (json, body).into_response(),
                None => (StatusCode::NOT_FOUND, "{}").into_response(),
            }
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    format!("http://{address}{BASE}")
}

fn measure(runtime: &tokio::runtime::Runtime, corpus: &Corpus, base: &str) -> Vec<Row> {
    let runs = corpus.runs;
    let what = format!("{runs} runs, {:.0} MB", megabytes(corpus.bytes()));
    let paths = corpus.paths();
    let (mut bare, mut whole, mut again, mut lake_only) = (vec![], vec![], vec![], vec![]);
    let mut size = 0.0;
    // In turn, so that a machine that grows slower does so for all of them.
    for _ in 0..TIMES {
        bare.push(runtime.block_on(bare_requests(base, &paths)));
        let folder = tempfile::tempdir().unwrap();
        whole.push(sync(folder.path(), base, WHOLE));
        again.push(sync(folder.path(), base, WHOLE));
        let folder = tempfile::tempdir().unwrap();
        lake_only.push(sync(folder.path(), base, LAKE_ONLY));
        size = megabytes(parquet_bytes(&folder.path().join("lake")));
    }
    let bare = median(&bare);
    let row = |name: &str, taken: &[Taken]| {
        let walls: Vec<Duration> = taken.iter().map(|taken| taken.wall).collect();
        let most = taken.iter().map(|taken| taken.megabytes).fold(0.0, f64::max);
        Row {
            what: format!("{name}, {what}"),
            seconds: median(&walls).as_secs_f64(),
            spread: spread(&walls),
            ratio: Some(median(&walls).as_secs_f64() / bare.as_secs_f64()),
            megabytes: Some(most),
        }
    };
    let requests = Row {
        what: format!("bare requests, {what}"),
        seconds: bare.as_secs_f64(),
        spread: String::new(),
        ratio: Some(1.0),
        megabytes: None,
    };
    let mut lake_only = row("lake only, without raw documents", &lake_only);
    lake_only.what = format!("{} ({size:.1} MB of Parquet)", lake_only.what);
    vec![requests, row("whole export", &whole), lake_only, row("second sync, nothing new", &again)]
}

/// From the start of the process to where it would ask: a command that asks nobody.
fn cold_start() -> Row {
    let folder = tempfile::tempdir().unwrap();
    let mut walls = Vec::new();
    for _ in 0..TIMES {
        let mut command = Command::new(env!("CARGO_BIN_EXE_armature-export"));
        command.current_dir(folder.path()).args(["schema", "runs"]);
        walls.push(run(command.stdout(std::process::Stdio::null())).wall);
    }
    let seconds = median(&walls).as_secs_f64();
    let what = "start and end of the process, nothing asked".to_owned();
    Row { what, seconds, spread: spread(&walls), ratio: None, megabytes: None }
}

fn parquet_bytes(folder: &Path) -> usize {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("_armature") {
            bytes += parquet_bytes(&path);
        } else if path.extension().is_some_and(|extension| extension == "parquet") {
            bytes += usize::try_from(path.metadata().unwrap().len()).unwrap();
        }
    }
    bytes
}

#[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "for people")]
fn megabytes(bytes: usize) -> f64 {
    bytes as f64 / 1e6
}
