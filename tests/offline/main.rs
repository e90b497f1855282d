//! What can be done without the API: tables made again from the documents, and a lake looked over
//! and mended. Real files, real DuckDB, and a simulated world to compare with.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on panics")]

#[expect(dead_code, reason = "shared with tests that need more of it")]
#[path = "../world/kit.rs"]
mod kit;
mod replay;
#[path = "../world/rows.rs"]
mod rows;
mod verify;
