//! Checks the commit log: the numbers of the commits, their chain of SHA-256, and the ledger that
//! follows from them.

use std::collections::{HashMap, HashSet};

use super::Finding;
use crate::lake::{CommitFile, LakeError, LakeView, Snapshot};
use crate::ledger::{Entries, RunTotals};

/// The state that follows from all commits.
#[derive(Debug, Default)]
pub(super) struct LogReplay {
    /// The number of the newest commit file, readable or not.
    pub(super) newest: Option<u64>,
    /// The newest commit that can be read.
    pub(super) head: Option<CommitFile>,
    /// The data files that readers see.
    pub(super) live: Snapshot,
    /// Paths of data files that a later commit replaced or removed, with the last such commit.
    pub(super) superseded: HashMap<String, u64>,
    /// The ledger after all changes.
    pub(super) ledger: Entries,
    /// The ledger after the changes up to its newest checkpoint, and the commit of that checkpoint.
    at_checkpoint: Option<(u64, Entries)>,
    /// The commit of the newest checkpoint of the live files.
    files_checkpoint: Option<u64>,
    /// The live files at that checkpoint, and its commit.
    files_at_checkpoint: Option<(u64, Snapshot)>,
    /// The commits that end a sync, without their data files and changes, to save memory.
    pub(super) syncs: Vec<CommitFile>,
    /// The numbers whose commit file is missing or cannot be read.
    pub(super) lost: HashSet<u64>,
    /// The numbers of the commits that can be read.
    pub(super) commits: HashSet<u64>,
    /// Whether every commit file exists and is unchanged, as far as can be determined.
    pub(super) is_whole: bool,
}

/// Reads and checks all commits.
pub(super) async fn log(
    view: &LakeView,
    findings: &mut Vec<Finding>,
) -> Result<LogReplay, LakeError> {
    let before = findings.len();
    let mut log = LogReplay::default();
    let mut last: Option<(u64, String)> = None;
    let mut is_chained = false;
    let listed = view.listed_commits()?;
    // Only the newest checkpoint is compared: copies of the live files can be large.
    let newest = match listed.last() {
        Some(newest) => view.commit_file(*newest).await.ok(),
        None => None,
    };
    log.files_checkpoint = newest.and_then(|newest| newest.files_checkpoint);
    for commit in listed {
        let expected = last.as_ref().map_or(1, |(last, _)| last + 1);
        for commit in expected..commit {
            log.lost.insert(commit);
            findings.push(Finding::CommitFileMissing { commit });
        }
        let read = view.commit_file_with_digest(commit).await;
        let (commit_file, sha256) = match read {
            Ok(read) => read,
            // This is not damage: a newer version of this program can read the lake.
            Err(error @ LakeError::NewerTables { .. }) => return Err(error),
            Err(error) => {
                let problem = problem(&error);
                log.lost.insert(commit);
                findings.push(Finding::CommitFileUnreadable { commit, problem });
                last = Some((commit, String::new()));
                continue;
            }
        };
        let before =
            last.as_ref().filter(|(last, sha256)| last + 1 == commit && !sha256.is_empty());
        match (&commit_file.previous, before) {
            (Some(previous), Some((before, sha256))) if previous != sha256 => {
                findings.push(Finding::CommitFileChanged { commit: *before });
            }
            // Once a commit names the SHA-256 of the previous one, all later commits do.
            (None, _) if is_chained => findings.push(Finding::CommitFileChanged { commit }),
            _ => {}
        }
        is_chained |= commit_file.previous.is_some();
        last = Some((commit, sha256));
        log.take(commit_file);
    }
    log.newest = last.map(|(commit, _)| commit);
    let checked = log.head.as_ref().map_or(Ok(()), |head| view.check_identity(head));
    findings
        .extend(checked.err().map(|error| Finding::IdentityChanged { problem: problem(&error) }));
    log.is_whole = findings.len() == before;
    Ok(log)
}

impl LogReplay {
    /// Forgets the copies that are compared with the checkpoints.
    pub(super) fn drop_checkpoints(&mut self) {
        (self.at_checkpoint, self.files_at_checkpoint) = (None, None);
    }

    fn take(&mut self, mut commit_file: CommitFile) {
        self.commits.insert(commit_file.commit);
        self.live.apply(&commit_file);
        let commit = commit_file.commit;
        self.superseded.extend(commit_file.superseded().map(|path| (path.to_owned(), commit)));
        self.ledger.apply(std::mem::take(&mut commit_file.ledger_changes));
        if commit_file.ledger_checkpoint == Some(commit_file.commit) {
            self.at_checkpoint = Some((commit_file.commit, self.ledger.clone()));
        }
        if self.files_checkpoint == Some(commit_file.commit) {
            self.files_at_checkpoint = Some((commit_file.commit, self.live.clone()));
        }
        if commit_file.sync.is_some() {
            let light =
                CommitFile { parts: Vec::new(), replaced: Vec::new(), ..commit_file.clone() };
            self.syncs.push(CommitFile { removed: Vec::new(), ..light });
        }
        self.head = Some(commit_file);
    }
}

/// Compares the ledger's checkpoint with the changes in all commits.
pub(super) async fn check_ledger(view: &LakeView, log: &LogReplay, findings: &mut Vec<Finding>) {
    let Some(head) = &log.head else { return };
    let Some(commit) = head.ledger_checkpoint else { return };
    let sha256 = head.ledger_checkpoint_sha256.as_deref();
    let found = match view.checkpoint(commit, sha256).await {
        Ok(found) => found,
        Err(error) => {
            findings.push(Finding::LedgerUnreadable { commit, problem: problem(&error) });
            return;
        }
    };
    let Some((_, expected)) =
        log.at_checkpoint.as_ref().filter(|(at, _)| *at == commit && log.is_whole)
    else {
        return;
    };
    if found == *expected {
        return;
    }
    let differing = |one: &Entries, other: &Entries| {
        one.iter().filter(|(run_id, entry)| other.get(run_id).as_ref() != Some(entry)).count()
    };
    let missing = expected.iter().filter(|(run_id, _)| found.get(run_id).is_none()).count();
    let runs = u64::try_from(differing(&found, expected) + missing).unwrap_or(u64::MAX);
    findings.push(Finding::LedgerDiffers { commit, runs });
}

/// Compares the numbers of runs that the newest commit states with the ledger, unless a finding says
/// already that the ledger differs.
pub(super) fn check_totals(log: &LogReplay, findings: &mut Vec<Finding>) {
    let Some(head) = log.head.as_ref() else { return };
    let Some(stated) = head.ledger_totals else { return };
    let is_known = |finding: &Finding| {
        matches!(finding, Finding::RunNotInLedger { .. } | Finding::RowsLost { .. })
    };
    let is_same = stated == RunTotals::of(log.ledger.iter().map(|(_, entry)| entry));
    if !is_same && !findings.iter().any(is_known) {
        findings.push(Finding::LedgerTotalsDiffer { commit: head.commit });
    }
}

/// Compares the checkpoint of the live files with the commits.
pub(super) fn check_files_checkpoint(
    view: &LakeView,
    log: &LogReplay,
    findings: &mut Vec<Finding>,
) {
    let Some(head) = log.head.as_ref().filter(|_| log.is_whole) else { return };
    let Some(commit) = head.files_checkpoint else { return };
    let expected = log.files_at_checkpoint.as_ref().filter(|(at, _)| *at == commit);
    let problem = match view.checkpointed_files(head) {
        Ok(found) if expected.is_some_and(|(_, expected)| found == *expected) => return,
        Ok(_) => "it is not what follows from the commits".to_owned(),
        Err(error) => problem(&error),
    };
    findings.push(Finding::FileListDiffers { commit, problem });
}

/// The error's message without the path, which the finding does not need.
pub(super) fn problem(error: &LakeError) -> String {
    match error {
        LakeError::Damaged { problem, .. } => problem.clone(),
        LakeError::Parquet { source, .. } => source.to_string(),
        LakeError::Store { source, .. } => source.to_string(),
        LakeError::Io { source, .. } => source.to_string(),
        other => other.to_string(),
    }
}
