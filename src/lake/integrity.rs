//! Checks, when a lake is opened for writing, that the data files of the commits since the ledger's
//! checkpoint are in place, and that no data file belongs to a later commit than the newest one.
//! `verify` checks the rest.
//!
//! A copy made while a sync wrote, or a partly restored backup, lacks data files that its commits
//! name, or holds data files of commits that it does not have. A sync would then miss these runs
//! forever, or export them a second time beside the first.

use std::collections::BTreeMap;
use std::time::Duration;

use super::error::missing;
use super::paths::commit_of;
use super::{CommitFile, DataFile, LakeError, LakeStore};
use crate::tables::{ALL, WriteDisposition};

/// The data files that a sequence of commits states to be in place.
#[derive(Debug, Default)]
pub(super) struct ExpectedFiles {
    /// Length in bytes and commit, by path.
    added: BTreeMap<String, (u64, u64)>,
    /// SHA-256 and commit, by path: in earlier versions, later commits used the same file name.
    replaced: BTreeMap<String, (String, u64)>,
}

impl ExpectedFiles {
    /// Adds the data files of the next commit, and drops those that it supersedes.
    pub(super) fn note(&mut self, commit_file: &CommitFile) {
        for path in commit_file.superseded() {
            self.added.remove(path);
            self.replaced.remove(path);
        }
        let added = |part: &DataFile| (part.path.clone(), (part.bytes, commit_file.commit));
        self.added.extend(commit_file.parts.iter().map(added));
        let replaced =
            |part: &DataFile| (part.path.clone(), (part.sha256.clone(), commit_file.commit));
        self.replaced.extend(commit_file.replaced.iter().map(replaced));
    }

    /// Checks each file once: its length, or its SHA-256 if its name does not identify the commit.
    /// Reading all data files would make every opening slow; `verify` does that.
    ///
    /// `lengths` are those of files that were listed already.
    pub(super) fn check(
        &self,
        store: &LakeStore,
        lengths: &BTreeMap<String, u64>,
    ) -> Result<(), LakeError> {
        let damaged = |path: &str, problem: String| {
            Err(LakeError::Damaged { path: store.location(path), problem })
        };
        for (path, (bytes, commit)) in &self.added {
            let listed = lengths.get(path).copied();
            match listed.map_or_else(|| store.length(path), |length| Ok(Some(length)))? {
                Some(length) if length == *bytes => {}
                Some(length) => {
                    let problem =
                        format!("it has {length} of the {bytes} bytes of commit {commit}");
                    return damaged(path, problem);
                }
                None => return damaged(path, missing(*commit)),
            }
        }
        for (path, (sha256, commit)) in &self.replaced {
            match store.sha256(path)? {
                Some(found) if found == *sha256 => {}
                Some(_) => return damaged(path, format!("it is not the one of commit {commit}")),
                None => return damaged(path, missing(*commit)),
            }
        }
        Ok(())
    }
}

/// Data files of a later commit hold runs that started no longer than this before it: the API lists 30 days (documented), and some days are added for runs whose state was
/// not final.
const REACH: Duration = Duration::from_hours(46 * 24);

/// Refuses a lake that has a data file of a later commit than its newest one. The commit is taken
/// from the file name: folders are listed, and no file is opened. Returns the lengths of the files
/// where they were listed.
///
/// An object store lists whole tables at once, but only so many files with one request: there, only
/// the days are listed that a later commit can have files for.
pub(super) fn check_none_later(
    store: &LakeStore,
    head: Option<&CommitFile>,
) -> Result<BTreeMap<String, u64>, LakeError> {
    let newest = head.map_or(0, |head| head.commit);
    let check_name = |folder: &str, name: &str| {
        if let Some(commit) = commit_of(name).filter(|commit| *commit > newest) {
            let path = store.location(&format!("{folder}/{name}"));
            return Err(LakeError::Uncommitted { path, commit, newest });
        }
        Ok(())
    };
    let check =
        |folder: &str| store.list(folder)?.iter().try_for_each(|name| check_name(folder, name));
    let earliest = head.and_then(|head| (head.created_at - REACH).utc_day());
    let mut lengths = BTreeMap::new();
    for table in ALL {
        let offset = match (&earliest, table.write) {
            (Some(day), WriteDisposition::Append) => format!("{}/date={day}", table.name),
            _ => table.name.to_owned(),
        };
        let listed = match table.write {
            WriteDisposition::CommitLog => continue,
            _ => store.lengths_below(table.name, &offset)?,
        };
        if let Some(listed) = listed {
            for (folder, name) in listed.keys().filter_map(|path| path.rsplit_once('/')) {
                check_name(folder, name)?;
            }
            lengths.extend(listed);
            continue;
        }
        match table.write {
            WriteDisposition::Append => {
                let days = store.list(table.name)?;
                for day in days.iter().filter(|name| name.starts_with("date=")) {
                    check(&format!("{}/{day}", table.name))?;
                }
            }
            WriteDisposition::Replace => check(table.name)?,
            WriteDisposition::CommitLog => {}
        }
    }
    Ok(lengths)
}
