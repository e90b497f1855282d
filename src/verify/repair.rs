//! Repairs what can be repaired without the API. Only copies and the leftovers of unfinished commits
//! are deleted; every other file is kept.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use uuid::Uuid;

use super::finding::counted;
use super::ledger_repair::{Changes, fetch_again, ledger_changes, runs_of};
use super::{Finding, VerifyReport, verify};
use crate::job::{JobError, LakeJob};
use crate::lake::{CommitBuilder, FileGroup, Lake, LakeView};
use crate::replay::remake;
use crate::targets::TargetRepair;

/// One repair that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum RepairAction {
    /// An interrupted commit was published, or its staged data files were removed.
    Recovered {
        /// What was done.
        what: String,
    },
    /// A copy of a data file was deleted.
    Removed {
        /// The copy, relative to the lake's root.
        path: String,
    },
    /// A file was moved back to the path of the data file that it is.
    PutBack {
        /// The path of the file before, relative to the lake's root.
        path: String,
        /// The path of the data file, relative to the lake's root.
        of: String,
    },
    /// A file was quarantined: moved to where readers do not see it, and kept.
    SetAside {
        /// The path of the file before, relative to the lake's root.
        path: String,
        /// Its path now.
        to: String,
    },
    /// Missing or damaged data files were rebuilt from `documents`.
    Remade {
        /// Number of runs that they hold.
        runs: u64,
        /// The commit that added them.
        commit: u64,
    },
    /// A missing or damaged data file was removed from the snapshot.
    Dropped {
        /// The data file, relative to the lake's root.
        path: String,
        /// Path of the damaged file in the quarantine; `None` if it was missing.
        kept: Option<String>,
    },
    /// The ledger was written again, as a checkpoint.
    Ledger {
        /// The commit that holds it.
        commit: u64,
        /// Number of entries that changed.
        runs: u64,
        /// Number of runs that the next sync fetches again.
        awaited: u64,
    },
    /// A target was brought up to date.
    Delivered {
        /// Kind of the target: `duckdb` or `iceberg`.
        target: &'static str,
        /// What it is, for messages.
        #[serde(skip)]
        name: &'static str,
        /// The commit that it holds.
        commit: u64,
    },
    /// A target was rebuilt from the lake.
    Rebuilt {
        /// Kind of the target: `duckdb` or `iceberg`.
        target: &'static str,
        /// What it is, for messages.
        #[serde(skip)]
        name: &'static str,
        /// The commit that it holds.
        commit: u64,
    },
}

impl fmt::Display for RepairAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Recovered { what } => f.write_str(what),
            Self::Removed { path } => write!(f, "deleted the copy `{path}`"),
            Self::PutBack { path, of } => write!(f, "moved `{path}` back to `{of}`"),
            Self::SetAside { path, to } => write!(f, "quarantined `{path}` as `{to}`"),
            Self::Remade { runs, commit } => {
                let runs = counted(*runs, "run", "runs");
                write!(f, "regenerated the data files of {runs} from `documents` (commit {commit})")
            }
            Self::Dropped { path, kept: None } => {
                write!(f, "dropped the missing data file `{path}`")
            }
            Self::Dropped { path, kept: Some(kept) } => {
                write!(f, "dropped the damaged data file `{path}`, kept as `{kept}`")
            }
            Self::Ledger { commit, runs, awaited } => {
                let entries = counted(*runs, "entry", "entries");
                write!(f, "rewrote the ledger (commit {commit}): {entries} repaired")?;
                if *awaited == 0 {
                    return Ok(());
                }
                let runs = counted(*awaited, "run", "runs");
                write!(f, "; the next sync fetches {runs} again")
            }
            Self::Delivered { name, commit, .. } => {
                write!(f, "brought {name} up to date (commit {commit})")
            }
            Self::Rebuilt { name, commit, .. } => {
                write!(f, "rebuilt {name} from the lake (commit {commit})")
            }
        }
    }
}

/// Result of a repair.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RepairReport {
    /// The repairs that were made, in order.
    pub repaired: Vec<RepairAction>,
    /// The repairs that failed, and why.
    pub failed: Vec<String>,
    /// The result of the last check.
    pub after: VerifyReport,
}

/// Repairs what can be repaired without the API, and checks everything again. `drop_parts` also
/// removes the missing and damaged data files that cannot be rebuilt from the snapshot of live
/// files; the next sync fetches their runs again.
///
/// # Errors
/// [`JobError`]; repairs made before the error stay.
pub async fn repair(job: &LakeJob, drop_parts: bool) -> Result<RepairReport, JobError> {
    let before = verify(job).await?;
    let is_of_commit_file = |finding: &Finding| {
        use Finding::{
            CommitFileChanged, CommitFileMissing, CommitFileUnreadable, IdentityChanged,
        };
        matches!(
            finding,
            CommitFileMissing { .. }
                | CommitFileUnreadable { .. }
                | CommitFileChanged { .. }
                | IdentityChanged { .. }
        )
    };
    let mut repair = Repair { job, repaired: Vec::new(), failed: Vec::new() };
    // All other checks depend on the commit files: if one is damaged, a repair could destroy what
    // is intact.
    if before.is_well() || before.findings.iter().any(is_of_commit_file) {
        return Ok(repair.end(before));
    }
    let mut now = before;
    for step in RepairStep::ALL {
        let done = repair.repaired.len();
        repair.repair(step, &now.findings, drop_parts).await?;
        if repair.repaired.len() > done {
            now = verify(job).await?;
        }
    }
    Ok(repair.end(now))
}

/// The steps of a repair. Each works on a new check, made after the steps before.
#[derive(Clone, Copy)]
enum RepairStep {
    Recover,
    Files,
    Parts,
    Ledger,
    Deliver,
    Rebuild,
}

impl RepairStep {
    const ALL: [Self; 6] =
        [Self::Recover, Self::Files, Self::Parts, Self::Ledger, Self::Deliver, Self::Rebuild];
}

struct Repair<'o> {
    job: &'o LakeJob,
    repaired: Vec<RepairAction>,
    failed: Vec<String>,
}

impl Repair<'_> {
    fn end(self, after: VerifyReport) -> RepairReport {
        RepairReport { repaired: self.repaired, failed: self.failed, after }
    }

    async fn repair(
        &mut self,
        step: RepairStep,
        findings: &[Finding],
        drop_parts: bool,
    ) -> Result<(), JobError> {
        match step {
            RepairStep::Recover => self.recover(findings).await,
            RepairStep::Files => self.repair_files(findings).await,
            RepairStep::Parts => self.repair_parts(findings, drop_parts).await,
            RepairStep::Ledger => self.repair_ledger(findings).await,
            RepairStep::Deliver => self.repair_targets(findings, TargetRepair::Deliver).await,
            RepairStep::Rebuild => self.repair_targets(findings, TargetRepair::Rebuild).await,
        }
    }

    async fn open(&self) -> Result<Lake, JobError> {
        Ok(Lake::open_for_repair(&self.job.lake).await?)
    }

    async fn recover(&mut self, findings: &[Finding]) -> Result<(), JobError> {
        let left = findings.iter().filter_map(|finding| match finding {
            Finding::Unfinished { commit } => Some(RepairAction::Recovered {
                what: format!("published the data files of commit {commit}"),
            }),
            Finding::Leftover { path } => {
                Some(RepairAction::Recovered { what: format!("removed `{path}`") })
            }
            _ => None,
        });
        let left: Vec<RepairAction> = left.collect();
        if !left.is_empty() {
            // Opening a lake publishes unfinished commits.
            self.open().await?.clear_staging()?;
            self.repaired.extend(left);
        }
        Ok(())
    }

    async fn repair_files(&mut self, findings: &[Finding]) -> Result<(), JobError> {
        let is_of_file = |finding: &&Finding| {
            matches!(
                finding,
                Finding::DoubledFile { .. }
                    | Finding::MovedPart { .. }
                    | Finding::SupersededFile { .. }
                    | Finding::UnknownFile { .. }
            )
        };
        if !findings.iter().any(|finding| is_of_file(&finding)) {
            return Ok(());
        }
        let lake = self.open().await?;
        let mut put_back = BTreeSet::new();
        for finding in findings {
            let repaired = match finding {
                Finding::MovedPart { path, of } if put_back.insert(of) => {
                    lake.put_back(path, of)?;
                    RepairAction::PutBack { path: path.clone(), of: of.clone() }
                }
                Finding::DoubledFile { path, .. } => {
                    lake.remove(path)?;
                    RepairAction::Removed { path: path.clone() }
                }
                Finding::MovedPart { path, .. }
                | Finding::SupersededFile { path }
                | Finding::UnknownFile { path } => {
                    let to = lake.quarantine(path)?.to_string();
                    RepairAction::SetAside { path: path.clone(), to }
                }
                _ => continue,
            };
            self.repaired.push(repaired);
        }
        Ok(())
    }

    async fn repair_parts(
        &mut self,
        findings: &[Finding],
        drop_parts: bool,
    ) -> Result<(), JobError> {
        let (mut remakeable, mut lost) = (BTreeSet::new(), BTreeSet::new());
        for finding in findings {
            if let Finding::PartMissing { path, can_be_remade, .. }
            | Finding::PartDamaged { path, can_be_remade, .. } = finding
            {
                let parts = if *can_be_remade { &mut remakeable } else { &mut lost };
                parts.insert(path.clone());
            }
        }
        if remakeable.is_empty() && (lost.is_empty() || !drop_parts) {
            return Ok(());
        }
        let mut lake = self.open().await?;
        self.remake(&mut lake, &remakeable).await?;
        if drop_parts {
            self.drop_parts(&mut lake, &lost).await?;
        }
        Ok(())
    }

    async fn remake(&mut self, lake: &mut Lake, parts: &BTreeSet<String>) -> Result<(), JobError> {
        if parts.is_empty() {
            return Ok(());
        }
        let is_wanted =
            |group: &FileGroup| group.parts.values().any(|part| parts.contains(&part.path));
        let report = remake(lake, self.job, is_wanted).await?;
        if let Some(commit) = report.commit {
            self.repaired.push(RepairAction::Remade { runs: report.runs, commit });
        }
        Ok(())
    }

    async fn drop_parts(
        &mut self,
        lake: &mut Lake,
        lost: &BTreeSet<String>,
    ) -> Result<(), JobError> {
        let live = lake.view().snapshot().await?;
        let mut changes = Changes::new();
        for group in live.groups() {
            if group.parts.values().any(|part| lost.contains(&part.path)) {
                let (store, lost) = (lake.store().clone(), lost.clone());
                let (mapping, query) = (Arc::clone(&self.job.mapping), self.job.query.clone());
                let task = tokio::task::spawn_blocking(move || {
                    runs_of(&store, &group, &lost, &mapping, &query)
                });
                let runs = task.await??;
                changes.extend(fetch_again(lake, runs.iter().map(String::as_str))?);
            }
        }
        if lost.is_empty() {
            return Ok(());
        }
        let mut dropped = Vec::new();
        for path in lost {
            let is_there = lake.store().contains(path)?;
            let kept = if is_there { Some(lake.quarantine(path)?) } else { None };
            let kept = kept.map(|kept| kept.to_string());
            dropped.push(RepairAction::Dropped { path: path.clone(), kept });
        }
        let removed = lost.iter().cloned().collect();
        let ledger = self.commit(lake, changes, removed).await?;
        self.repaired.extend(dropped);
        self.repaired.push(ledger);
        Ok(())
    }

    async fn repair_ledger(&mut self, findings: &[Finding]) -> Result<(), JobError> {
        let is_of_ledger = |finding: &Finding| {
            matches!(
                finding,
                Finding::LedgerUnreadable { .. }
                    | Finding::LedgerDiffers { .. }
                    | Finding::LedgerTotalsDiffer { .. }
                    | Finding::FileListDiffers { .. }
                    | Finding::RunNotInLedger { .. }
                    | Finding::RowsLost { .. }
                    | Finding::RowsWithoutRun { .. }
                    | Finding::CountDiffers { .. }
                    | Finding::LedgerBehind { .. }
            )
        };
        let is_unusable = |finding: &Finding| {
            matches!(
                finding,
                Finding::LedgerUnreadable { .. }
                    | Finding::LedgerDiffers { .. }
                    | Finding::LedgerTotalsDiffer { .. }
                    | Finding::FileListDiffers { .. }
            )
        };
        if !findings.iter().any(is_of_ledger) {
            return Ok(());
        }
        let mut lake = self.open().await?;
        let changes = ledger_changes(&lake, findings, self.job).await?;
        if changes.is_empty() && !findings.iter().any(is_unusable) {
            return Ok(());
        }
        let ledger = self.commit(&mut lake, changes, Vec::new()).await?;
        self.repaired.push(ledger);
        Ok(())
    }

    async fn commit(
        &self,
        lake: &mut Lake,
        changes: Changes,
        removed: Vec<String>,
    ) -> Result<RepairAction, JobError> {
        use crate::ledger::RunState::Failed;
        let awaited = changes.values().flatten().filter(|entry| entry.state == Failed).count();
        let (runs, awaited) =
            (u64::try_from(changes.len()).unwrap_or(0), u64::try_from(awaited).unwrap_or(0));
        let draft = CommitBuilder {
            sync_id: Uuid::new_v4().to_string(),
            created_at: self.job.now,
            ledger_changes: changes.into_iter().collect(),
            removed,
            has_checkpoint: true,
            ..CommitBuilder::default()
        };
        let staging = lake.stage();
        let commit = lake.commit(staging, draft).await?.commit;
        Ok(RepairAction::Ledger { commit, runs, awaited })
    }

    /// Brings the targets up to date, or rebuilds them, whose findings require it.
    async fn repair_targets(
        &mut self,
        findings: &[Finding],
        how: TargetRepair,
    ) -> Result<(), JobError> {
        let needs = |kind: &str| {
            findings.iter().any(|finding| match finding {
                Finding::Target { target, finding } => {
                    *target == kind && finding.repair() == Some(how)
                }
                _ => false,
            })
        };
        for target in self.job.targets.iter().filter(|target| needs(target.kind())) {
            let lake = LakeView::open(&self.job.lake).await?;
            let done = match how {
                TargetRepair::Deliver => target.deliver(&lake, &self.job.mapping).await,
                TargetRepair::Rebuild => target.rebuild(&lake, &self.job.mapping).await,
            };
            let (name, target) = (target.name(), target.kind());
            match done.map(|delivery| delivery.commit) {
                Ok(commit) => self.repaired.push(match how {
                    TargetRepair::Deliver => RepairAction::Delivered { target, name, commit },
                    TargetRepair::Rebuild => RepairAction::Rebuilt { target, name, commit },
                }),
                Err(error) => self.failed.push(format!("{name}: {error}")),
            }
        }
        Ok(())
    }
}
