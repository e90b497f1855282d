//! A crash between the ledger's shards and the checkpoint that names them.

use armature_export::lake::LakeView;
use armature_export::ledger::Entries;

use crate::support::{TestExport, block_on};

#[test]
fn shards_that_no_checkpoint_names_are_not_used_and_the_next_sync_writes_them() {
    for point in ["after_ledger_shards", "after_ledger_checkpoint", "before_commit_file"] {
        let export = TestExport::of_growing_world(8);
        export.sync_brings_everything();
        // The next sync writes a checkpoint.
        export.add_known_runs(false);
        export.simulator.advance(chrono::Duration::hours(2));
        export.crash(&["sync"], point);
        let shards = || {
            let files = std::fs::read_dir(export.lake.join("_armature/ledger/shards")).unwrap();
            files.count()
        };
        assert_eq!(shards(), 4, "{point}");
        block_on(export.assert_nothing_half_or_double(point));
        export.sync_brings_everything();
        block_on(export.assert_nothing_half_or_double(point));
        // And once more, where a crash left a checkpoint of that number.
        export.simulator.advance(chrono::Duration::hours(2));
        export.sync_brings_everything();
        let (ledger, expected) = block_on(async {
            let view = LakeView::open(&export.lake).await.unwrap();
            let mut expected = Entries::default();
            for commit in view.commits().unwrap() {
                expected.apply(view.commit_file(commit).await.unwrap().ledger_changes);
            }
            (view.ledger().await.unwrap().0, expected)
        });
        assert!(ledger.shards().len() >= 2, "{point}");
        assert!(ledger.to_entries().unwrap() == expected, "{point}");
    }
}
