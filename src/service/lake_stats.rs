//! Statistics of the lake, read again after each job that changed it.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::config::Settings;
use crate::event::Events;
use crate::lake::{CommitFile, LakeError, LakeStore, LakeView};
use crate::ledger::StateCounts;
use crate::observe::LakeFigures;
use crate::targets;
use crate::time::Timestamp;

/// Statistics of one lake over time.
#[derive(Debug, Default)]
pub(super) struct LakeWatch {
    lake_id: Option<Uuid>,
    lake_stats: Option<LakeFigures>,
}

impl LakeWatch {
    /// The statistics of the lake; `None` if there is no lake. The numbers of runs come from
    /// `runs`, or from the newest commit if that is `None`.
    pub(super) async fn look(
        &mut self,
        lake: &LakeStore,
        runs: Option<&StateCounts>,
    ) -> Result<Option<LakeFigures>, LakeError> {
        let view = match LakeView::open(lake).await {
            Err(LakeError::Missing { .. }) => {
                *self = Self::default();
                return Ok(None);
            }
            opened => opened?,
        };
        let lake_id = view.identity().map(|identity| identity.lake_id);
        let newest = view.head().map_or(0, |head| head.commit);
        if lake_id != self.lake_id {
            *self = Self { lake_id, ..Self::default() };
        }
        if let Some(known) = self.lake_stats.as_ref().filter(|known| known.commit == newest) {
            return Ok(Some(known.clone()));
        }
        let totals = view.totals().await?;
        let runs = match runs {
            Some(runs) => runs.clone(),
            None => view.run_totals().await?.counts(),
        };
        let head = view.head();
        let gaps = head.map(CommitFile::gap_intervals).unwrap_or_default();
        let gap_seconds = gaps.iter().map(|gap| gap.length().as_secs()).sum();
        let lake_stats = LakeFigures {
            bytes: totals.bytes,
            parts: totals.files,
            commit: newest,
            proven_until: head.and_then(|head| head.coverage.last()).map(|last| last.until),
            gaps: u64::try_from(gaps.len()).unwrap_or(u64::MAX),
            gap_seconds,
            runs,
        };
        self.lake_stats = Some(lake_stats.clone());
        Ok(Some(lake_stats))
    }
}

/// The last commit that each configured target has, by its kind: 0 if it does not exist yet, and
/// `None` if it cannot be read now. The next delivery then reports why.
pub(super) async fn applied(settings: &Settings) -> Result<AppliedCommits, LakeError> {
    let lake = LakeStore::configured(settings)?;
    let mut commits = AppliedCommits::new();
    for target in targets::configured(settings, &lake, &Events::none(), None) {
        let applied = target.applied().await.ok();
        commits.insert(target.kind(), applied.map(Option::unwrap_or_default));
    }
    Ok(commits)
}

/// When the published copy of each configured target that has one was written, by the target's
/// kind: `None` if it does not exist yet, or cannot be read.
pub(super) fn copies(
    settings: &Settings,
    lake: &LakeStore,
) -> BTreeMap<&'static str, Option<Timestamp>> {
    let targets = targets::configured(settings, lake, &Events::none(), None);
    let copies = targets.iter().filter_map(|target| match target.published() {
        Ok(copy) => Some((target.kind(), copy?.written)),
        Err(_) => Some((target.kind(), None)),
    });
    copies.collect()
}

/// By the kind of a target, the last commit that it has; `None` if that is not known.
pub(super) type AppliedCommits = BTreeMap<&'static str, Option<u64>>;
