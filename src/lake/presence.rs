//! Whether a lake that is opened for writing has the parts that it says it has, and no others.
//!
//! A copy that was made while a sync wrote, or a backup that came back in part, lacks parts that
//! its manifests name, or holds parts of commits that it does not know: a sync would then miss
//! these runs for ever, or export them a second time beside the first.

use std::collections::BTreeMap;
use std::path::Path;

use super::commit::commit_of;
use super::{LakeError, Manifest, Part, files};
use crate::digest::sha256_hex;
use crate::tables::{ALL, Write};

/// The parts that some manifests, read in order, say are in place.
#[derive(Debug, Default)]
pub(super) struct ExpectedParts {
    /// Length and commit, by path.
    added: BTreeMap<String, (u64, u64)>,
    /// Digest and commit, by path: a later commit's file has the same name.
    replaced: BTreeMap<String, (String, u64)>,
}

impl ExpectedParts {
    /// Takes in the next commit, and what it takes away.
    pub(super) fn note(&mut self, manifest: &Manifest) {
        for path in manifest.superseded() {
            self.added.remove(path);
        }
        let added = |part: &Part| (part.path.clone(), (part.bytes, manifest.commit));
        self.added.extend(manifest.parts.iter().map(added));
        let replaced = |part: &Part| (part.path.clone(), (part.sha256.clone(), manifest.commit));
        self.replaced.extend(manifest.replaced.iter().map(replaced));
    }

    /// Looks at each file once: its length, and what is in it where the name does not say which
    /// commit's it is.
    pub(super) fn check(&self, lake: &Path) -> Result<(), LakeError> {
        let damaged = |path: &str, problem: String| {
            Err(LakeError::Damaged { path: lake.join(path), problem })
        };
        for (path, (bytes, commit)) in &self.added {
            match files::length(&lake.join(path))? {
                Some(length) if length == *bytes => {}
                Some(length) => {
                    let problem =
                        format!("it has {length} of the {bytes} bytes of commit {commit}");
                    return damaged(path, problem);
                }
                None => return damaged(path, nowhere(*commit)),
            }
        }
        for (path, (sha256, commit)) in &self.replaced {
            match files::content(&lake.join(path))? {
                Some(content) if sha256_hex(&content) == *sha256 => {}
                Some(_) => return damaged(path, format!("it is not the one of commit {commit}")),
                None => return damaged(path, nowhere(*commit)),
            }
        }
        Ok(())
    }
}

/// What is wrong with a part that is not there.
pub(super) fn nowhere(commit: u64) -> String {
    format!("commit {commit} lists it, and it is nowhere")
}

/// Refuses a lake with a part of a later commit than its newest one. Parts are told by their
/// names: the folders are listed, and no file is opened.
pub(super) fn check_none_later(lake: &Path, newest: u64) -> Result<(), LakeError> {
    for table in ALL.iter().filter(|table| table.write == Write::Append) {
        let folder = lake.join(table.name);
        for day in files::names(&folder)?.iter().filter(|name| name.starts_with("date=")) {
            for name in files::names(&folder.join(day))? {
                if let Some(commit) = commit_of(&name).filter(|commit| *commit > newest) {
                    let path = folder.join(day).join(name);
                    return Err(LakeError::Uncommitted { path, commit, newest });
                }
            }
        }
    }
    Ok(())
}
