//! Statistics of the lake, updated after each job by reading only the new commits.

use std::collections::HashMap;
use std::path::Path;

use uuid::Uuid;

use crate::config::Settings;
use crate::digest::fingerprint;
use crate::event::Events;
use crate::lake::{LakeError, LakeView, Manifest};
use crate::ledger::StateCounts;
use crate::observe::LakeFigures;
use crate::targets;

/// Statistics of one lake over time. A lake that is written for a year has tens of thousands of
/// commits and some hundred thousand data files, so each commit is read once, and little of it is
/// kept.
#[derive(Debug, Default)]
pub(super) struct LakeWatch {
    lake_id: Option<Uuid>,
    read: u64,
    /// Bytes of each live data file, by the fingerprint of its path. Two paths with the same
    /// fingerprint would make the sum wrong, which is too unlikely to matter.
    parts: HashMap<u64, u64>,
    lake_stats: Option<LakeFigures>,
}

impl LakeWatch {
    /// The statistics of the lake; `None` if there is no lake. The numbers of runs come from
    /// `runs`, or from the ledger if that is `None`.
    pub(super) async fn look(
        &mut self,
        lake: &Path,
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
        if lake_id != self.lake_id || newest < self.read {
            *self = Self { lake_id, ..Self::default() };
        }
        if newest == self.read && self.lake_stats.is_some() {
            return Ok(self.lake_stats.clone());
        }
        if self.read == 0 {
            for live in view.snapshot().await?.iter() {
                self.parts.insert(key(&live.part.path), live.part.bytes);
            }
            self.read = newest;
        }
        let read = self.read;
        for commit in view.commits()?.into_iter().filter(|commit| *commit > read) {
            self.take(&view.manifest(commit).await?);
        }
        let runs = match runs {
            Some(runs) => runs.clone(),
            None => view.ledger().await?.0.counts(),
        };
        let head = view.head();
        let gaps = head.map(Manifest::gap_intervals).unwrap_or_default();
        let gap_seconds: i64 = gaps.iter().map(|gap| (gap.until - gap.from) / 1_000_000).sum();
        let lake_stats = LakeFigures {
            bytes: self.parts.values().sum(),
            parts: u64::try_from(self.parts.len()).unwrap_or(u64::MAX),
            commit: newest,
            proven_until: head.and_then(|head| head.coverage.last()).map(|last| last.until),
            gaps: u64::try_from(gaps.len()).unwrap_or(u64::MAX),
            gap_seconds: u64::try_from(gap_seconds).unwrap_or(0),
            runs,
        };
        self.lake_stats = Some(lake_stats.clone());
        Ok(Some(lake_stats))
    }

    fn take(&mut self, manifest: &Manifest) {
        for path in manifest.superseded() {
            self.parts.remove(&key(path));
        }
        for part in manifest.all_parts() {
            self.parts.insert(key(&part.path), part.bytes);
        }
        self.read = manifest.commit;
    }
}

fn key(path: &str) -> u64 {
    fingerprint([path.as_bytes()])
}

/// The last commit that every target has; `None` if there is no target, or one cannot be read now.
pub(super) fn applied(settings: &Settings) -> Option<u64> {
    let targets = targets::configured(settings, &Events::none(), None);
    let applied = targets.iter().map(|target| target.applied().ok().flatten());
    applied.collect::<Option<Vec<u64>>>()?.into_iter().min()
}
