//! `schedule` as people run it: the real binary for as long as a test lasts, with signals, a
//! webhook receiver, and its endpoints; and at the end, everything that the world holds.

mod conversation;
pub(crate) mod daemon;
mod endpoints;
mod exposition;
mod signals;
mod soak;
mod targets;
