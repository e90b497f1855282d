//! Checks the files of a lake: every data file must be intact and in its place, and there must be
//! no others (orphan files).

use std::collections::{HashMap, HashSet};

use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::metadata::FileMetaData;

use super::commit_log::{LogReplay, problem};
use super::{Finding, VerifyReport};
use crate::lake::{LakeError, LakeView, LiveFile};
use crate::tables::{DOCUMENTS, find};

/// Data files of an object store that are checked at once: each takes several requests.
const AT_ONCE: usize = 8;

/// Data files that are checked at once have at most so many bytes together, unless it is only one:
/// a local copy is in memory while it is made.
const BYTES_AT_ONCE: u64 = 64 * 1024 * 1024;

/// What was found at the place of a data file.
enum State {
    Intact,
    Missing,
    Damaged(String),
}

/// Reads every data file. Returns the paths of those that are missing or damaged.
pub(super) fn check_parts(
    view: &LakeView,
    log: &LogReplay,
    report: &mut VerifyReport,
) -> HashSet<String> {
    let mut problems: Vec<(&LiveFile, Option<String>)> = Vec::new();
    let at_once = if view.store().local_folder().is_some() { 1 } else { AT_ONCE };
    let all: Vec<&LiveFile> = log.live.iter().collect();
    let mut rest = all.as_slice();
    while !rest.is_empty() {
        let (batch, others) = rest.split_at(batch_length(rest, at_once));
        for (live, state) in batch.iter().zip(check_batch(view, batch)) {
            if let State::Missing = state {
                problems.push((live, None));
                continue;
            }
            report.parts += 1;
            report.bytes += live.part.bytes;
            if let State::Damaged(problem) = state {
                problems.push((live, Some(problem)));
            }
        }
        rest = others;
    }
    let bad: HashSet<String> = problems.iter().map(|(live, _)| live.part.path.clone()).collect();
    let remade = remakeable(log, &bad);
    for (LiveFile { commit, part }, problem) in problems {
        let (path, commit) = (part.path.clone(), *commit);
        let can_be_remade = remade.contains(&path);
        report.findings.push(match problem {
            None => Finding::PartMissing { path, commit, can_be_remade },
            Some(problem) => Finding::PartDamaged { path, commit, problem, can_be_remade },
        });
    }
    bad
}

/// How many of these data files are checked at once; at least one.
fn batch_length(files: &[&LiveFile], at_once: usize) -> usize {
    let mut bytes = 0_u64;
    let fits = |live: &&&LiveFile| {
        bytes = bytes.saturating_add(live.part.bytes);
        bytes <= BYTES_AT_ONCE
    };
    files.iter().take(at_once).take_while(fits).count().max(1)
}

/// Checks data files at once. The results are in the order of the files.
fn check_batch(view: &LakeView, batch: &[&LiveFile]) -> Vec<State> {
    if let [live] = batch {
        return vec![check_part(view, live)];
    }
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            batch.iter().map(|live| scope.spawn(move || check_part(view, live))).collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, State>| match thread.join() {
            Ok(state) => state,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        threads.into_iter().map(join).collect()
    })
}

fn check_part(view: &LakeView, live: &LiveFile) -> State {
    let found = match view.store().length(&live.part.path) {
        Ok(Some(length)) => part_problem(view, live, length),
        Ok(None) => return State::Missing,
        Err(error) => Some(problem(&error)),
    };
    found.map_or(State::Intact, State::Damaged)
}

/// The data files whose rows can be rebuilt: the `documents` of the same runs are intact.
fn remakeable(log: &LogReplay, bad: &HashSet<String>) -> HashSet<String> {
    let mut paths = HashSet::new();
    for group in log.live.groups() {
        let has_documents =
            group.parts.get(DOCUMENTS.name).is_some_and(|part| !bad.contains(&part.path));
        if has_documents {
            paths.extend(group.parts.into_values().map(|part| part.path));
        }
    }
    paths
}

fn part_problem(
    view: &LakeView,
    LiveFile { commit, part }: &LiveFile,
    bytes: u64,
) -> Option<String> {
    let store = view.store();
    if bytes != part.bytes {
        return Some(format!("it has {bytes} bytes, and was written with {}", part.bytes));
    }
    match store.sha256(&part.path) {
        Ok(sha256) if sha256.as_ref() == Some(&part.sha256) => {}
        Ok(_) => return Some("its bytes are not those that were written".to_owned()),
        Err(error) => return Some(problem(&error)),
    }
    let opened = store
        .open(&part.path, Some(&part.sha256))
        .map_err(|error| problem(&error))
        .and_then(|file| {
            ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| error.to_string())
        });
    let builder = match opened {
        Ok(builder) => builder,
        Err(problem) => return Some(problem),
    };
    let metadata = builder.metadata().file_metadata();
    if u64::try_from(metadata.num_rows()).ok() != Some(part.rows) {
        let rows = metadata.num_rows();
        return Some(format!("it has {rows} rows, and its commit says {}", part.rows));
    }
    for (key, expected) in [("table", part.table.clone()), ("commit", commit.to_string())] {
        if note(metadata, key) != Some(expected.as_str()) {
            return Some(format!("it does not say that it is of {key} {expected}"));
        }
    }
    let table = find(&part.table)?;
    let columns = table.columns.iter().chain(table.system_columns()).map(|column| column.name);
    let mut required = columns.filter(|name| table.is_required(name));
    let missing = required.find(|name| builder.schema().field_with_name(name).is_err())?;
    Some(format!("it has no column `{missing}`"))
}

/// A value of the metadata in a data file's footer.
fn note<'m>(metadata: &'m FileMetaData, key: &str) -> Option<&'m str> {
    let notes = metadata.key_value_metadata()?.iter();
    let mut notes = notes.filter(|note| note.key.strip_prefix("armature.") == Some(key));
    notes.next()?.value.as_deref()
}

/// Looks for orphan files: files in the tables' folders that are not live data files. A repair
/// quarantines them.
pub(super) fn check_folders(
    view: &LakeView,
    log: &LogReplay,
    bad: &HashSet<String>,
    findings: &mut Vec<Finding>,
) -> Result<(), LakeError> {
    let copies: HashMap<(&str, u64), &str> = log
        .live
        .iter()
        .map(|LiveFile { part, .. }| ((part.sha256.as_str(), part.bytes), part.path.as_str()))
        .collect();
    for path in view.table_files()? {
        if log.live.get(&path).is_some() {
            continue;
        }
        let bytes = view.store().length(&path)?.unwrap_or(0);
        // A file that cannot be read is a copy of none.
        let sha256 = view.store().sha256(&path).ok().flatten().unwrap_or_default();
        findings.push(if let Some(of) = copies.get(&(sha256.as_str(), bytes)) {
            let (of, is_lost) = ((*of).to_owned(), bad.contains(*of));
            if is_lost {
                Finding::MovedPart { path, of }
            } else {
                Finding::DoubledFile { path, of }
            }
        } else if log.superseded.contains_key(&path) {
            Finding::SupersededFile { path }
        } else {
            let file = view.store().open(&path, None).ok();
            let builder = file.map(ParquetRecordBatchReaderBuilder::try_new);
            let said = builder.and_then(Result::ok).and_then(|builder| {
                note(builder.metadata().file_metadata(), "commit")?.parse().ok()
            });
            match said.filter(|commit| !log.commits.contains(commit)) {
                // The missing commit file is a finding already; do not add one for each of its
                // files.
                Some(commit) if log.lost.contains(&commit) => continue,
                Some(commit) => Finding::FileWithoutCommit { path, commit },
                None => Finding::UnknownFile { path },
            }
        });
    }
    Ok(())
}

/// Looks for staging folders that a crash left. Returns whether a commit is not fully published.
pub(super) fn check_staging(
    view: &LakeView,
    log: &LogReplay,
    findings: &mut Vec<Finding>,
) -> Result<bool, LakeError> {
    let mut is_unfinished = false;
    for folder in view.staged()? {
        findings.push(match &log.head {
            Some(head) if head.staging == folder => {
                is_unfinished = true;
                Finding::Unfinished { commit: head.commit }
            }
            _ => Finding::Leftover { path: view.staged_path(&folder) },
        });
    }
    Ok(is_unfinished)
}
