//! What can be mended without the API, and no more than that: nothing that holds rows is deleted.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use uuid::Uuid;

use super::finding::counted;
use super::mend::{Changes, fetch_again, ledger_changes, runs_of};
use super::{Finding, VerifyError, VerifyOptions, VerifyReport, verify};
use crate::deliver::{Delivery, DeliveryOptions, deliver, rebuild};
use crate::lake::{Draft, Lake, LakeView, PartGroup};
use crate::replay::{ReplayOptions, remake};
use crate::tables::Mapping;

/// Something that was mended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Mended {
    /// What a sync that was cut off left was finished or removed.
    Recovered {
        /// What was done.
        what: String,
    },
    /// A copy of a part was deleted.
    Removed {
        /// The copy, from the lake's root.
        path: String,
    },
    /// A file was moved to the place of the part that it is.
    PutBack {
        /// The file, from the lake's root.
        path: String,
        /// The part.
        of: String,
    },
    /// A file was moved out of readers' sight, and kept.
    SetAside {
        /// The file, from the lake's root.
        path: String,
        /// Where it is now.
        to: String,
    },
    /// Missing or damaged parts were made again from `documents`.
    Remade {
        /// Runs that they hold.
        runs: u64,
        /// The commit that has them.
        commit: u64,
    },
    /// A missing or damaged part was given up.
    Dropped {
        /// The part, from the lake's root.
        path: String,
        /// Where what is left of it is now.
        kept: Option<String>,
    },
    /// The ledger was written again.
    Ledger {
        /// The commit that has it.
        commit: u64,
        /// Entries that changed.
        runs: u64,
        /// Those whose runs the next sync fetches again.
        awaited: u64,
    },
    /// The DuckDB file was brought up to date.
    Delivered {
        /// The commit that it holds.
        commit: u64,
    },
    /// The DuckDB file was made again from the lake.
    Rebuilt {
        /// The commit that it holds.
        commit: u64,
    },
}

impl fmt::Display for Mended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Recovered { what } => f.write_str(what),
            Self::Removed { path } => write!(f, "deleted the copy `{path}`"),
            Self::PutBack { path, of } => write!(f, "moved `{path}` back to `{of}`"),
            Self::SetAside { path, to } => write!(f, "moved `{path}` out of sight to `{to}`"),
            Self::Remade { runs, commit } => {
                let runs = counted(*runs, "run", "runs");
                write!(f, "made the parts of {runs} again from `documents` (commit {commit})")
            }
            Self::Dropped { path, kept: None } => write!(f, "gave up the missing part `{path}`"),
            Self::Dropped { path, kept: Some(kept) } => {
                write!(f, "gave up the damaged part `{path}`, kept as `{kept}`")
            }
            Self::Ledger { commit, runs, awaited } => {
                let entries = counted(*runs, "entry", "entries");
                write!(f, "wrote the ledger again (commit {commit}): {entries} mended")?;
                if *awaited == 0 {
                    return Ok(());
                }
                let runs = counted(*awaited, "run", "runs");
                write!(f, "; the next sync fetches {runs} again")
            }
            Self::Delivered { commit } => {
                write!(f, "brought the DuckDB file up to date (commit {commit})")
            }
            Self::Rebuilt { commit } => {
                write!(f, "made the DuckDB file again from the lake (commit {commit})")
            }
        }
    }
}

/// What a repair did, and how things are now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RepairReport {
    /// What was mended, in order.
    pub mended: Vec<Mended>,
    /// What was tried and did not work.
    pub failed: Vec<String>,
    /// The lake as it is now.
    pub after: VerifyReport,
}

/// Mends what can be mended without the API, and looks over all of it again. `drop_parts` also
/// gives up missing and damaged parts that cannot be made again.
///
/// # Errors
/// [`VerifyError`]; what was mended until then stays mended.
pub async fn repair(
    options: &VerifyOptions,
    drop_parts: bool,
) -> Result<RepairReport, VerifyError> {
    let before = verify(options).await?;
    let is_of_manifest = |finding: &Finding| {
        use Finding::{IdentityChanged, ManifestChanged, ManifestMissing, ManifestUnreadable};
        matches!(
            finding,
            ManifestMissing { .. }
                | ManifestUnreadable { .. }
                | ManifestChanged { .. }
                | IdentityChanged { .. }
        )
    };
    let mut repair = Repair {
        mapping: Arc::new(Mapping::new(&options.settings.columns, &options.settings.lists)?),
        options,
        mended: Vec::new(),
        failed: Vec::new(),
    };
    // All else goes by the manifests.
    if before.is_well() || before.findings.iter().any(is_of_manifest) {
        return Ok(repair.end(before));
    }
    let mut now = before;
    for step in Step::ALL {
        let done = repair.mended.len();
        repair.mend(step, &now.findings, drop_parts).await?;
        if repair.mended.len() > done {
            now = verify(options).await?;
        }
    }
    Ok(repair.end(now))
}

/// The steps of a repair: each looks at what the ones before left.
#[derive(Clone, Copy)]
enum Step {
    Recover,
    Files,
    Parts,
    Ledger,
    Deliver,
    Rebuild,
}

impl Step {
    const ALL: [Self; 6] =
        [Self::Recover, Self::Files, Self::Parts, Self::Ledger, Self::Deliver, Self::Rebuild];
}

struct Repair<'o> {
    options: &'o VerifyOptions,
    mapping: Arc<Mapping>,
    mended: Vec<Mended>,
    failed: Vec<String>,
}

impl Repair<'_> {
    fn end(self, after: VerifyReport) -> RepairReport {
        RepairReport { mended: self.mended, failed: self.failed, after }
    }

    fn delivery(&self) -> DeliveryOptions {
        DeliveryOptions::new(&self.options.settings.duckdb, self.options.events.clone())
    }

    async fn mend(
        &mut self,
        step: Step,
        findings: &[Finding],
        drop_parts: bool,
    ) -> Result<(), VerifyError> {
        match step {
            Step::Recover => self.recover(findings).await,
            Step::Files => self.mend_files(findings).await,
            Step::Parts => self.mend_parts(findings, drop_parts).await,
            Step::Ledger => self.mend_ledger(findings).await,
            Step::Deliver => self.mend_database(findings, false).await,
            Step::Rebuild => self.mend_database(findings, true).await,
        }
    }

    async fn open(&self) -> Result<Lake, VerifyError> {
        Ok(Lake::open_to_mend(&self.options.settings.lake.path).await?)
    }

    async fn recover(&mut self, findings: &[Finding]) -> Result<(), VerifyError> {
        let left = findings.iter().filter_map(|finding| match finding {
            Finding::Unfinished { commit } => Some(Mended::Recovered {
                what: format!("put the parts of commit {commit} in place"),
            }),
            Finding::Leftover { path } => {
                Some(Mended::Recovered { what: format!("removed `{path}`") })
            }
            _ => None,
        });
        let left: Vec<Mended> = left.collect();
        if !left.is_empty() {
            // Opening a lake finishes commits.
            self.open().await?.clear_staging()?;
            self.mended.extend(left);
        }
        Ok(())
    }

    async fn mend_files(&mut self, findings: &[Finding]) -> Result<(), VerifyError> {
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
            let mended = match finding {
                Finding::MovedPart { path, of } if put_back.insert(of) => {
                    lake.put_back(path, of)?;
                    Mended::PutBack { path: path.clone(), of: of.clone() }
                }
                Finding::DoubledFile { path, .. } => {
                    lake.remove(path)?;
                    Mended::Removed { path: path.clone() }
                }
                Finding::MovedPart { path, .. }
                | Finding::SupersededFile { path }
                | Finding::UnknownFile { path } => {
                    let to = lake.set_aside(path)?.display().to_string();
                    Mended::SetAside { path: path.clone(), to }
                }
                _ => continue,
            };
            self.mended.push(mended);
        }
        Ok(())
    }

    async fn mend_parts(
        &mut self,
        findings: &[Finding],
        drop_parts: bool,
    ) -> Result<(), VerifyError> {
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

    async fn remake(
        &mut self,
        lake: &mut Lake,
        parts: &BTreeSet<String>,
    ) -> Result<(), VerifyError> {
        if parts.is_empty() {
            return Ok(());
        }
        let options = ReplayOptions {
            settings: self.options.settings.clone(),
            events: self.options.events.clone(),
            now: self.options.now,
        };
        let is_wanted =
            |group: &PartGroup| group.parts.values().any(|part| parts.contains(&part.path));
        let report = remake(lake, &self.mapping, &options, is_wanted).await?;
        if let Some(commit) = report.commit {
            self.mended.push(Mended::Remade { runs: report.runs, commit });
        }
        Ok(())
    }

    async fn drop_parts(
        &mut self,
        lake: &mut Lake,
        lost: &BTreeSet<String>,
    ) -> Result<(), VerifyError> {
        let live = lake.view().live_parts().await?;
        let mut changes = Changes::new();
        for group in live.groups() {
            if group.parts.values().any(|part| lost.contains(&part.path)) {
                let to = self.delivery();
                let (root, lost) = (lake.root().to_owned(), lost.clone());
                let mapping = Arc::clone(&self.mapping);
                let task = tokio::task::spawn_blocking(move || {
                    runs_of(&root, &group, &lost, &mapping, &to)
                });
                let runs = task.await??;
                changes.extend(fetch_again(lake, runs.iter().map(String::as_str)));
            }
        }
        if lost.is_empty() {
            return Ok(());
        }
        let mut dropped = Vec::new();
        for path in lost {
            let is_there = lake.root().join(path).exists();
            let kept = if is_there { Some(lake.set_aside(path)?) } else { None };
            let kept = kept.map(|kept| kept.display().to_string());
            dropped.push(Mended::Dropped { path: path.clone(), kept });
        }
        let removed = lost.iter().cloned().collect();
        let ledger = self.commit(lake, changes, removed).await?;
        self.mended.extend(dropped);
        self.mended.push(ledger);
        Ok(())
    }

    async fn mend_ledger(&mut self, findings: &[Finding]) -> Result<(), VerifyError> {
        let is_of_ledger = |finding: &Finding| {
            matches!(
                finding,
                Finding::LedgerUnreadable { .. }
                    | Finding::LedgerDiffers { .. }
                    | Finding::RunNotInLedger { .. }
                    | Finding::RowsLost { .. }
                    | Finding::RowsWithoutRun { .. }
                    | Finding::CountDiffers { .. }
                    | Finding::LedgerBehind { .. }
            )
        };
        let is_unusable = |finding: &Finding| {
            matches!(finding, Finding::LedgerUnreadable { .. } | Finding::LedgerDiffers { .. })
        };
        if !findings.iter().any(is_of_ledger) {
            return Ok(());
        }
        let mut lake = self.open().await?;
        let changes = ledger_changes(&lake, &self.mapping, findings, self.options).await?;
        if changes.is_empty() && !findings.iter().any(is_unusable) {
            return Ok(());
        }
        let ledger = self.commit(&mut lake, changes, Vec::new()).await?;
        self.mended.push(ledger);
        Ok(())
    }

    async fn commit(
        &self,
        lake: &mut Lake,
        changes: Changes,
        removed: Vec<String>,
    ) -> Result<Mended, VerifyError> {
        use crate::ledger::RunState::Failed;
        let awaited = changes.values().flatten().filter(|entry| entry.state == Failed).count();
        let (runs, awaited) =
            (u64::try_from(changes.len()).unwrap_or(0), u64::try_from(awaited).unwrap_or(0));
        let draft = Draft {
            sync_id: Uuid::new_v4().to_string(),
            created_at: self.options.now,
            ledger_changes: changes.into_iter().collect(),
            removed,
            has_checkpoint: true,
            ..Draft::default()
        };
        let staging = lake.stage();
        let commit = lake.commit(staging, draft).await?.commit;
        Ok(Mended::Ledger { commit, runs, awaited })
    }

    /// Brings the DuckDB file up to date, or makes it `again`, where the findings ask for it.
    async fn mend_database(
        &mut self,
        findings: &[Finding],
        again: bool,
    ) -> Result<(), VerifyError> {
        let asks = |finding: &Finding| match finding {
            Finding::DatabaseMissing { .. } | Finding::DatabaseBehind { .. } => !again,
            Finding::DatabaseUnreadable { .. }
            | Finding::DatabaseHistory { .. }
            | Finding::DatabaseDiffers { .. } => again,
            _ => false,
        };
        if !findings.iter().any(asks) {
            return Ok(());
        }
        let lake = LakeView::open(&self.options.settings.lake.path).await?;
        let to = self.delivery();
        let done = if again {
            rebuild(&lake, &self.mapping, &to).await
        } else {
            deliver(&lake, &self.mapping, &to).await
        };
        match done {
            Ok(Delivery { commit, .. }) if again => self.mended.push(Mended::Rebuilt { commit }),
            Ok(Delivery { commit, .. }) => self.mended.push(Mended::Delivered { commit }),
            Err(error) => {
                self.failed.push(format!("the DuckDB file stays as it is: {error}"));
            }
        }
        Ok(())
    }
}
