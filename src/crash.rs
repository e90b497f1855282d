//! Points at which a test can end the process, as a crash would.
//!
//! Empty without the feature `crash-points`. With it, a process with
//! `ARMATURE_EXPORT_CRASH_AT=after_commit_file` in its environment aborts when it first reaches that
//! point, and with `after_commit_file:3` when it reaches it for the third time.

/// All points; those of a sync in the order in which it reaches them, then those of rebuilds,
/// merges and reports.
pub const POINTS: [&str; 44] = [
    "lock_taken",
    "before_recovery",
    "discarding",
    "discarded",
    "recovered",
    "before_identity",
    "after_identity",
    "before_stage",
    "between_staged_parts",
    "after_stage",
    "after_ledger_shards",
    "after_ledger_checkpoint",
    "after_files_checkpoint",
    "after_seal",
    "before_commit_file",
    "after_commit_file",
    "between_taking_a_place_and_the_name",
    "between_moved_parts",
    "before_runs_are_moved",
    "before_folders_are_synced",
    "before_staging_is_removed",
    "after_staging_is_removed",
    "after_tables_are_created",
    "after_begin",
    "after_rows_are_inserted",
    "before_commit",
    "after_commit",
    "after_checkpoint",
    "between_views",
    "before_rebuilt_is_in_place",
    "after_rebuilt_is_in_place",
    "before_copy_is_in_place",
    "after_copy_is_in_place",
    "between_merged_parts",
    "before_exchange",
    "after_exchange",
    "between_exchanged_folders",
    "before_retired_are_removed",
    "before_iceberg_metadata",
    "after_iceberg_metadata",
    "before_rest_catalog_commit",
    "after_rest_catalog_commit",
    "before_iceberg_is_recorded",
    "half_of_the_report",
];

/// A crash point; does nothing in this build.
#[cfg(not(feature = "crash-points"))]
#[inline]
pub(crate) fn point(_name: &'static str) {}

/// A crash point: ends the process if a test requested it.
#[cfg(feature = "crash-points")]
pub(crate) fn point(name: &'static str) {
    use std::sync::atomic::{AtomicU64, Ordering};

    static REACHED: AtomicU64 = AtomicU64::new(0);
    debug_assert!(POINTS.contains(&name), "`{name}` is not declared");
    #[expect(clippy::disallowed_methods, reason = "tests only, and no setting of the program")]
    let Ok(wanted) = std::env::var("ARMATURE_EXPORT_CRASH_AT") else { return };
    let (place, time) = wanted.split_once(':').unwrap_or((&wanted, "1"));
    if place == name && time == (REACHED.fetch_add(1, Ordering::SeqCst) + 1).to_string() {
        std::process::abort();
    }
}
