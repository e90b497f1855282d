//! Checks, when a lake is opened for writing, that the data files of the commits since the ledger's
//! checkpoint are in place, and that no data file belongs to a later commit than the newest one.
//! `verify` checks the rest.
//!
//! A copy made while a sync wrote, or a partly restored backup, lacks data files that its commits
//! name, or holds data files of commits that it does not have. A sync would then miss these runs
//! forever, or export them a second time beside the first.

use std::collections::BTreeMap;

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
    pub(super) fn check(&self, store: &LakeStore) -> Result<(), LakeError> {
        let damaged = |path: &str, problem: String| {
            Err(LakeError::Damaged { path: store.location(path), problem })
        };
        for (path, (bytes, commit)) in &self.added {
            match store.length(path)? {
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

/// Refuses a lake that has a data file of a later commit than its newest one. The commit is taken
/// from the file name: folders are listed, and no file is opened.
pub(super) fn check_none_later(store: &LakeStore, newest: u64) -> Result<(), LakeError> {
    let check = |folder: &str| {
        for name in store.list(folder)? {
            if let Some(commit) = commit_of(&name).filter(|commit| *commit > newest) {
                let path = store.location(&format!("{folder}/{name}"));
                return Err(LakeError::Uncommitted { path, commit, newest });
            }
        }
        Ok(())
    };
    for table in ALL {
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
    Ok(())
}
