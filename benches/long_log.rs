//! `cargo bench --bench long_log`: `status` of a lake with a year of commits, one every 15 minutes
//! (`-- 1000` for fewer), never compacted, and compacted as far as `compact` would have done it.
//!
//! The lake is made by the program's own commits; its data files are empty, as `status` opens none.

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on panics")]
#![expect(clippy::disallowed_methods, reason = "it is about real time, and blocks as it likes")]
#![expect(clippy::print_stdout, reason = "its result is printed")]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use armature_export::config::Filters;
use armature_export::digest::sha256_hex;
use armature_export::lake::{
    Bound, ColumnStatistics, CommitBuilder, FileStatistics, Lake, LakeView, NewDataFile,
    SyncRecord, WrittenFile,
};
use armature_export::ledger::{DocumentStates, Entry, RunState};
use armature_export::tables::{ALL, Table, WriteDisposition};
use armature_export::time::Timestamp;

/// A year of commits.
const COMMITS: u64 = 35_000;

/// Time between two commits.
const PAUSE: Duration = Duration::from_mins(15);

/// Runs that each commit adds.
const RUNS: u64 = 5;

/// Bounds that differ from file to file, as those of ids and times do.
fn statistics(table: &Table, at: Timestamp) -> FileStatistics {
    let at = at.as_micros();
    let column = |field_id: u32| {
        let text = sha256_hex(format!("{} {field_id} {at}", table.name).as_bytes());
        let (lower_bound, upper_bound) = if field_id.is_multiple_of(2) {
            (Bound::Integer(at - i64::from(field_id)), Bound::Integer(at + i64::from(field_id)))
        } else {
            let part = |from, until| Bound::Text(text.get(from..until).unwrap().to_owned());
            (part(0, 16), part(16, 32))
        };
        let (bytes, nulls) = (at.unsigned_abs() % 4096 + 60, u64::from(field_id % 3));
        let (lower_bound, upper_bound) = (Some(lower_bound), Some(upper_bound));
        ColumnStatistics { field_id, bytes, nulls, lower_bound, upper_bound }
    };
    let ids = table.columns.iter().chain(table.system_columns()).map(|column| column.id);
    FileStatistics { split_offsets: vec![4], columns: ids.map(column).collect() }
}

fn files(at: Timestamp) -> Vec<NewDataFile> {
    let tables = ALL.iter().filter(|table| table.write == WriteDisposition::Append);
    let file = |table: &&'static Table| NewDataFile {
        table,
        written: WrittenFile { to: vec![0; 16], rows: RUNS, statistics: statistics(table, at) },
        started: Some((at, at + PAUSE)),
        has_revisions: false,
        replaces: None,
    };
    tables.map(file).collect()
}

fn entry(commit: u64, at: Timestamp) -> Entry {
    Entry {
        state: RunState::Exported,
        status: Some("pass".into()),
        started_at: Some(at),
        ended_at: Some(at + PAUSE),
        first_listed_at: at,
        row_fingerprint: commit,
        content_fingerprint: commit,
        revision: 1,
        commit,
        documents: DocumentStates::default(),
        failures: 0,
        check_at: None,
        problem: None,
    }
}

fn record(commit: u64, at: Timestamp) -> SyncRecord {
    SyncRecord {
        sync_id: commit.to_string(),
        outcome: "complete".to_owned(),
        started_at: at,
        elapsed_ms: 900,
        range: "24h".to_owned(),
        sweep: None,
        certified: true,
        uncertified_because: Vec::new(),
        proven_until: Some(at),
        runs_listed: 480,
        runs_new: RUNS,
        runs_changed: 0,
        runs_open: 0,
        runs_failed: 0,
        runs_absent: Some(0),
        runs_partial: Some(0),
        requests: 22,
        bytes_received: 50_000,
    }
}

/// Makes the commits. If `is_compacted`, each day's files are removed when the day is over, and one
/// file a table takes their place.
async fn make(root: &Path, commits: u64, is_compacted: bool) {
    let mut lake = Lake::open(root).await.unwrap();
    lake.bind(Some("organization"), &Filters::default()).await.unwrap();
    let mut at = Timestamp::from_micros(1_764_000_000_000_000);
    let (mut of_day, mut day): (Vec<String>, Option<i32>) = (Vec::new(), None);
    while lake.next_commit() <= commits {
        at += PAUSE;
        let today = at.utc_day_number();
        let mut staging = lake.stage();
        let commit = staging.commit();
        let mut draft = CommitBuilder { created_at: at, ..CommitBuilder::default() };
        if is_compacted && today != day {
            draft.removed = std::mem::take(&mut of_day);
        } else {
            let changes = (0..RUNS).map(|n| (format!("run-{commit}-{n}"), Some(entry(commit, at))));
            draft.ledger_changes = changes.collect();
            // Runs that ended long ago leave the ledger.
            let old = commit.saturating_sub(4320);
            draft.ledger_changes.extend((0..RUNS).map(|n| (format!("run-{old}-{n}"), None)));
            draft.sync = Some(record(commit, at));
        }
        day = today;
        staging.add(files(at)).await.unwrap();
        let made = lake.commit(staging, draft).await.unwrap();
        if made.sync.is_some() {
            of_day.extend(made.parts.iter().map(|part| part.path.clone()));
        }
    }
}

/// Seconds and peak memory in megabytes of one `status`.
fn status(root: &Path) -> (f64, u64) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_armature-export"));
    command.args(["status", "--output", "json", "--lake"]).arg(root).stdout(Stdio::null());
    let started = Instant::now();
    let mut child = command.current_dir(root.parent().unwrap()).spawn().unwrap();
    let mut peak = 0;
    loop {
        let proc = std::fs::read_to_string(format!("/proc/{}/status", child.id()));
        let line = proc.ok().and_then(|text| {
            let line = text.lines().find(|line| line.starts_with("VmHWM:"))?;
            line.split_whitespace().nth(1)?.parse::<u64>().ok()
        });
        peak = peak.max(line.unwrap_or(0) / 1000);
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success());
            return (started.elapsed().as_secs_f64(), peak);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn main() {
    let commits = std::env::args().skip(1).find_map(|argument| argument.parse().ok());
    let commits = commits.unwrap_or(COMMITS);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    println!("| commits | data files | status, s: median | least–most | peak memory, MB |");
    println!("|---|---|---|---|---|");
    for is_compacted in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("lake");
        runtime.block_on(make(&root, commits, is_compacted));
        let live = runtime.block_on(async {
            LakeView::open(&root).await.unwrap().snapshot().await.unwrap().iter().count()
        });
        let mut times: Vec<(f64, u64)> = (0..7).map(|_| status(&root)).collect();
        times.sort_by(|one, other| one.0.total_cmp(&other.0));
        let (median, _) = times.get(3).copied().unwrap();
        let (least, most) = (times.first().unwrap().0, times.last().unwrap().0);
        let peak = times.iter().map(|(_, peak)| *peak).max().unwrap();
        println!("| {commits} | {live} | {median:.3} | {least:.3}–{most:.3} | {peak} |");
    }
}
