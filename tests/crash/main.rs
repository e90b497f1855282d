//! The worst days: the process is killed, the disk is full, two processes write at once, a file is
//! damaged, a copy is half. Whatever happens, readers never see a run twice, and the next sync
//! ends at the rows that the simulated world says there must be, or says why it cannot.
//!
//! The real binary against the simulator; for the crash points it is built with the feature
//! `crash-points`, as the Makefile's targets do.

#![cfg(test)]
#![cfg(feature = "crash-points")]

mod copies;
mod damage;
mod full_disk;
mod kills;
mod points;
#[path = "../support/seeded.rs"]
mod seeded;
mod trial;
mod writers;

#[path = "../world/kit.rs"]
#[expect(dead_code, reason = "the other tests of whole exports use all of it")]
mod kit;
#[path = "../world/rows.rs"]
mod rows;
