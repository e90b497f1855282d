//! The worst days: the process is killed, the disk is full, two processes write at once, a file is
//! damaged, a copy is half. Whatever happens, readers never see a run twice, and the next sync
//! ends at the rows that the simulated world says there must be, or says why it cannot.
//!
//! The real binary against the simulator; for the crash points it is built with the feature
//! `crash-points`, as the Makefile's targets do.

#![cfg(test)]

/// Without the feature the program never crashes, and nothing of this would be tested.
#[cfg(not(feature = "crash-points"))]
#[test]
fn the_crash_points_are_built_in() {
    support::skip::may_skip("crash tests need `cargo test --features crash-points`");
}

#[cfg(feature = "crash-points")]
mod copies;
#[cfg(feature = "crash-points")]
mod damage;
#[cfg(feature = "crash-points")]
mod documents;
#[cfg(feature = "crash-points")]
mod full_disk;
#[cfg(feature = "crash-points")]
mod kills;
#[cfg(feature = "crash-points")]
mod ledger_shards;
#[cfg(feature = "crash-points")]
mod points;
#[cfg(feature = "crash-points")]
mod small_commits;
#[path = "../support/mod.rs"]
mod support;
#[cfg(feature = "crash-points")]
mod writers;
