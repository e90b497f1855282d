//! The manifests one after another: their numbers, their chain, and what they say together.

use std::collections::HashSet;

use super::Finding;
use crate::lake::{LakeError, LakeView, LiveParts, Manifest};
use crate::ledger::Ledger;

/// What all manifests say together.
#[derive(Debug, Default)]
pub(super) struct Walk {
    /// The number of the newest one.
    pub(super) newest: Option<u64>,
    /// The newest one that can be read.
    pub(super) head: Option<Manifest>,
    /// The parts that readers see.
    pub(super) live: LiveParts,
    /// Paths whose place other parts took, or that were given up.
    pub(super) superseded: HashSet<String>,
    /// The ledger after all changes.
    pub(super) ledger: Ledger,
    /// The ledger after the changes up to its newest checkpoint.
    at_checkpoint: Option<(u64, Ledger)>,
    /// Those that end a sync, without their parts and changes.
    pub(super) syncs: Vec<Manifest>,
    /// The numbers whose manifest is missing, or cannot be read.
    pub(super) lost: HashSet<u64>,
    /// The numbers that have a manifest.
    pub(super) commits: HashSet<u64>,
    /// Whether every manifest is there and as it was written, as far as can be told.
    pub(super) is_whole: bool,
}

/// Reads all manifests.
pub(super) async fn walk(view: &LakeView, findings: &mut Vec<Finding>) -> Result<Walk, LakeError> {
    let before = findings.len();
    let mut walk = Walk::default();
    let mut last: Option<(u64, String)> = None;
    let mut is_chained = false;
    for commit in view.listed_commits()? {
        let expected = last.as_ref().map_or(1, |(last, _)| last + 1);
        for commit in expected..commit {
            walk.lost.insert(commit);
            findings.push(Finding::ManifestMissing { commit });
        }
        let read = view.manifest_with_digest(commit).await;
        let (manifest, sha256) = match read {
            Ok(read) => read,
            // Not damage, and nothing to mend.
            Err(error @ LakeError::NewerTables { .. }) => return Err(error),
            Err(error) => {
                let problem = problem(&error);
                walk.lost.insert(commit);
                findings.push(Finding::ManifestUnreadable { commit, problem });
                last = Some((commit, String::new()));
                continue;
            }
        };
        let before =
            last.as_ref().filter(|(last, sha256)| last + 1 == commit && !sha256.is_empty());
        match (&manifest.previous, before) {
            (Some(previous), Some((before, sha256))) if previous != sha256 => {
                findings.push(Finding::ManifestChanged { commit: *before });
            }
            // From the first that names the one before it, each does.
            (None, _) if is_chained => findings.push(Finding::ManifestChanged { commit }),
            _ => {}
        }
        is_chained |= manifest.previous.is_some();
        last = Some((commit, sha256));
        walk.take(manifest);
    }
    walk.newest = last.map(|(commit, _)| commit);
    let checked = walk.head.as_ref().map_or(Ok(()), |head| view.check_identity(head));
    findings
        .extend(checked.err().map(|error| Finding::IdentityChanged { problem: problem(&error) }));
    walk.is_whole = findings.len() == before;
    Ok(walk)
}

impl Walk {
    fn take(&mut self, mut manifest: Manifest) {
        self.commits.insert(manifest.commit);
        self.live.apply(&manifest);
        self.superseded.extend(manifest.superseded().map(str::to_owned));
        self.ledger.apply(std::mem::take(&mut manifest.ledger_changes));
        if manifest.ledger_checkpoint == Some(manifest.commit) {
            self.at_checkpoint = Some((manifest.commit, self.ledger.clone()));
        }
        if manifest.sync.is_some() {
            let light = Manifest { parts: Vec::new(), replaced: Vec::new(), ..manifest.clone() };
            self.syncs.push(Manifest { removed: Vec::new(), ..light });
        }
        self.head = Some(manifest);
    }
}

/// Compares the ledger's checkpoint with the changes that all commits name.
pub(super) async fn check_ledger(view: &LakeView, walk: &Walk, findings: &mut Vec<Finding>) {
    let Some(head) = &walk.head else { return };
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
        walk.at_checkpoint.as_ref().filter(|(at, _)| *at == commit && walk.is_whole)
    else {
        return;
    };
    if found == *expected {
        return;
    }
    let differing = |one: &Ledger, other: &Ledger| {
        one.iter().filter(|(run_id, entry)| other.get(run_id).as_ref() != Some(entry)).count()
    };
    let missing = expected.iter().filter(|(run_id, _)| found.get(run_id).is_none()).count();
    let runs = u64::try_from(differing(&found, expected) + missing).unwrap_or(u64::MAX);
    findings.push(Finding::LedgerDiffers { commit, runs });
}

/// An error's words without the path, which stands beside them.
fn problem(error: &LakeError) -> String {
    match error {
        LakeError::Damaged { problem, .. } => problem.clone(),
        LakeError::Parquet { source, .. } => source.to_string(),
        LakeError::Store { source, .. } => source.to_string(),
        other => other.to_string(),
    }
}
