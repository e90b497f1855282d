//! What can be done without the API: tables made again from the documents, and a lake looked over
//! and mended. Real files, real DuckDB, and a simulated world to compare with.

#![cfg(test)]

mod binary;
#[expect(dead_code, reason = "shared with tests that need more of it")]
#[path = "../world/kit.rs"]
mod kit;
mod replay;
#[path = "../world/rows.rs"]
mod rows;
#[path = "../support/mod.rs"]
mod support;
mod verify;
