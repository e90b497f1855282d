//! `schedule` as people run it: the real binary for as long as a test lasts, with signals, a
//! webhook receiver, and its endpoints; and at the end, everything that the world holds.

#![cfg(test)]

mod conversation;
mod daemon;
mod endpoints;
mod exposition;
mod signals;
mod soak;

#[path = "../world/kit.rs"]
#[expect(dead_code, reason = "the other tests of whole exports use all of it")]
mod kit;
#[path = "../world/rows.rs"]
#[expect(dead_code, reason = "the other tests of whole exports use all of it")]
mod rows;
