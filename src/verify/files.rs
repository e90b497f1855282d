//! The files of a lake: every part whole and in its place, and nothing beside them.

use std::collections::{HashMap, HashSet};
use std::fs::File;

use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::metadata::FileMetaData;

use super::manifests::Walk;
use super::{Finding, VerifyReport};
use crate::digest::sha256_of_file;
use crate::lake::{LakeError, LakeView, LivePart};
use crate::tables::{DOCUMENTS, SYSTEM_COLUMNS, find};

/// Reads every part; the paths of those that are not whole.
pub(super) fn check_parts(
    view: &LakeView,
    walk: &Walk,
    report: &mut VerifyReport,
) -> HashSet<String> {
    let mut problems: Vec<(&LivePart, Option<String>)> = Vec::new();
    for live in walk.live.iter() {
        if !view.root().join(&live.part.path).exists() {
            problems.push((live, None));
            continue;
        }
        report.parts += 1;
        report.bytes += live.part.bytes;
        if let Some(problem) = part_problem(view, live) {
            problems.push((live, Some(problem)));
        }
    }
    let bad: HashSet<String> = problems.iter().map(|(live, _)| live.part.path.clone()).collect();
    let remade = remakeable(walk, &bad);
    for (LivePart { commit, part }, problem) in problems {
        let (path, commit) = (part.path.clone(), *commit);
        let can_be_remade = remade.contains(&path);
        report.findings.push(match problem {
            None => Finding::PartMissing { path, commit, can_be_remade },
            Some(problem) => Finding::PartDamaged { path, commit, problem, can_be_remade },
        });
    }
    bad
}

/// The parts whose rows `documents` still has.
fn remakeable(walk: &Walk, bad: &HashSet<String>) -> HashSet<String> {
    let mut paths = HashSet::new();
    for group in walk.live.groups() {
        let has_documents =
            group.parts.get(DOCUMENTS.name).is_some_and(|part| !bad.contains(&part.path));
        if has_documents {
            paths.extend(group.parts.into_values().map(|part| part.path));
        }
    }
    paths
}

fn part_problem(view: &LakeView, LivePart { commit, part }: &LivePart) -> Option<String> {
    let path = view.root().join(&part.path);
    let file = match File::open(&path).and_then(|file| file.metadata().map(|data| (file, data))) {
        Ok((_, data)) if data.len() != part.bytes => {
            return Some(format!(
                "it has {} bytes, and was written with {}",
                data.len(),
                part.bytes
            ));
        }
        Ok((file, _)) => file,
        Err(error) => return Some(error.to_string()),
    };
    match sha256_of_file(&path) {
        Ok(sha256) if sha256 == part.sha256 => {}
        Ok(_) => return Some("its bytes are not those that were written".to_owned()),
        Err(error) => return Some(error.to_string()),
    }
    let builder = match ParquetRecordBatchReaderBuilder::try_new(file) {
        Ok(builder) => builder,
        Err(error) => return Some(error.to_string()),
    };
    let metadata = builder.metadata().file_metadata();
    if u64::try_from(metadata.num_rows()).ok() != Some(part.rows) {
        let rows = metadata.num_rows();
        return Some(format!("it has {rows} rows, and the manifest says {}", part.rows));
    }
    for (key, expected) in [("table", part.table.clone()), ("commit", commit.to_string())] {
        if note(metadata, key) != Some(expected.as_str()) {
            return Some(format!("it does not say that it is of {key} {expected}"));
        }
    }
    let table = find(&part.table)?;
    let columns = table.columns.iter().chain(SYSTEM_COLUMNS).map(|column| column.name);
    let mut required = columns.filter(|name| table.is_required(name));
    let missing = required.find(|name| builder.schema().field_with_name(name).is_err())?;
    Some(format!("it has no column `{missing}`"))
}

/// What a part says of itself.
fn note<'m>(metadata: &'m FileMetaData, key: &str) -> Option<&'m str> {
    let notes = metadata.key_value_metadata()?.iter();
    let mut notes = notes.filter(|note| note.key.strip_prefix("armature.") == Some(key));
    notes.next()?.value.as_deref()
}

/// Looks for files in the tables' folders that are no parts.
pub(super) fn check_folders(
    view: &LakeView,
    walk: &Walk,
    bad: &HashSet<String>,
    findings: &mut Vec<Finding>,
) -> Result<(), LakeError> {
    let copies: HashMap<(&str, u64), &str> = walk
        .live
        .iter()
        .map(|LivePart { part, .. }| ((part.sha256.as_str(), part.bytes), part.path.as_str()))
        .collect();
    for path in view.table_files()? {
        if walk.live.get(&path).is_some() {
            continue;
        }
        let file = view.root().join(&path);
        let bytes = file.metadata().map_or(0, |data| data.len());
        let sha256 = sha256_of_file(&file).unwrap_or_default();
        findings.push(if let Some(of) = copies.get(&(sha256.as_str(), bytes)) {
            let (of, is_lost) = ((*of).to_owned(), bad.contains(*of));
            if is_lost {
                Finding::MovedPart { path, of }
            } else {
                Finding::DoubledFile { path, of }
            }
        } else if walk.superseded.contains(&path) {
            Finding::SupersededFile { path }
        } else {
            let builder = File::open(&file).ok().map(ParquetRecordBatchReaderBuilder::try_new);
            let said = builder.and_then(Result::ok).and_then(|builder| {
                note(builder.metadata().file_metadata(), "commit")?.parse().ok()
            });
            match said.filter(|commit| !walk.commits.contains(commit)) {
                // The manifest is told of already, and so it is one finding and not hundreds.
                Some(commit) if walk.lost.contains(&commit) => continue,
                Some(commit) => Finding::FileWithoutManifest { path, commit },
                None => Finding::UnknownFile { path },
            }
        });
    }
    Ok(())
}

/// Looks for what a crash left; whether a commit is not all in place.
pub(super) fn check_staging(
    view: &LakeView,
    walk: &Walk,
    findings: &mut Vec<Finding>,
) -> Result<bool, LakeError> {
    let mut is_unfinished = false;
    for folder in view.staged()? {
        findings.push(match &walk.head {
            Some(head) if head.staging == folder => {
                is_unfinished = true;
                Finding::Unfinished { commit: head.commit }
            }
            _ => Finding::Leftover { path: format!("_armature/staging/{folder}") },
        });
    }
    Ok(is_unfinished)
}
