//! How the lake stands, read after each job: only what is new since the last look.

use std::path::Path;

use crate::deliver::inspect;
use crate::lake::{LakeError, LakeView, LiveParts};
use crate::ledger::RunState;
use crate::observe::LakeFigures;

/// Looks at a lake again and again. A lake that stays up for a year has tens of thousands of
/// manifests: each is read once.
#[derive(Debug, Default)]
pub(super) struct LakeWatch {
    read: u64,
    parts: LiveParts,
    name: Option<uuid::Uuid>,
}

impl LakeWatch {
    /// How the lake stands; `None` where there is none yet.
    pub(super) async fn look(&mut self, lake: &Path) -> Result<Option<LakeFigures>, LakeError> {
        let view = match LakeView::open(lake).await {
            Err(LakeError::Missing { .. }) => return Ok(None),
            opened => opened?,
        };
        let name = view.identity().map(|identity| identity.lake_id);
        if name != self.name || view.head().map_or(0, |head| head.commit) < self.read {
            *self = Self { name, ..Self::default() };
        }
        let read = self.read;
        for commit in view.commits()?.into_iter().filter(|commit| *commit > read) {
            self.parts.apply(&view.manifest(commit).await?);
            self.read = commit;
        }
        let (ledger, _) = view.ledger().await?;
        let head = view.head();
        Ok(Some(LakeFigures {
            bytes: self.parts.iter().map(|live| live.part.bytes).sum(),
            parts: u64::try_from(self.parts.iter().count()).unwrap_or(u64::MAX),
            commit: head.map_or(0, |head| head.commit),
            proven_until: head.and_then(|head| head.proven.last()).map(|last| last.until),
            gaps: head.map_or(0, |head| u64::try_from(head.gaps.len()).unwrap_or(u64::MAX)),
            runs: RunState::ALL.iter().map(|state| (state.name(), ledger.count(*state))).collect(),
        }))
    }
}

/// The last commit that a DuckDB file has; `None` where nobody can tell now.
pub(super) fn applied(file: &Path) -> Option<u64> {
    file.exists().then(|| inspect(file, &[]).ok().map(|(commit, _)| commit)).flatten()
}
