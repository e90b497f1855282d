//! Runs that are in the ledger only: so many that most of the ledger is in shards.

use armature_export::lake::{CommitBuilder, Lake, LakeStore};
use armature_export::ledger::{DocumentStates, Entry, LedgerChange, RunState};
use armature_export::time::Timestamp;

use super::{TestExport, block_on};

/// More runs than are kept in memory.
pub(crate) const MANY: i64 = 33_000;

/// An exported run that needs nothing. Its revision is 0, so that no rows are missed.
pub(crate) fn known_run(started_at: Timestamp) -> Entry {
    Entry {
        state: RunState::Exported,
        status: Some("pass".into()),
        started_at: Some(started_at),
        ended_at: Some(started_at),
        first_listed_at: started_at,
        row_fingerprint: 1,
        content_fingerprint: 1,
        revision: 0,
        commit: 0,
        documents: DocumentStates::default(),
        failures: 0,
        check_at: None,
        problem: None,
    }
}

impl TestExport {
    /// Commits changes of the ledger, with a checkpoint or without one.
    pub(crate) fn change_ledger(&self, ledger_changes: Vec<LedgerChange>, has_checkpoint: bool) {
        self.change_ledger_of(&LakeStore::local(&self.lake), ledger_changes, has_checkpoint);
    }

    fn change_ledger_of(
        &self,
        store: &LakeStore,
        ledger_changes: Vec<LedgerChange>,
        has_checkpoint: bool,
    ) {
        let created_at = self.simulator.now().into();
        block_on(async {
            let mut lake = Lake::open(store).await.unwrap();
            let draft = CommitBuilder {
                created_at,
                ledger_changes,
                has_checkpoint,
                ..CommitBuilder::default()
            };
            let staging = lake.stage();
            lake.commit(staging, draft).await.unwrap();
        });
    }

    /// Adds [`MANY`] exported runs, which started one second apart, beginning twenty days ago.
    pub(crate) fn add_known_runs(&self, has_checkpoint: bool) {
        self.add_known_runs_to(&LakeStore::local(&self.lake), has_checkpoint);
    }

    /// The same in another lake.
    pub(crate) fn add_known_runs_to(&self, store: &LakeStore, has_checkpoint: bool) {
        let now: Timestamp = self.simulator.now().into();
        let started_at = |number: i64| {
            Timestamp::from_micros(now.as_micros() + (number - 1_728_000) * 1_000_000)
        };
        let change = |number| (format!("known-{number}"), Some(known_run(started_at(number))));
        self.change_ledger_of(store, (0..MANY).map(change).collect(), has_checkpoint);
    }
}
