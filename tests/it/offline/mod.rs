//! What can be done without the API: tables made again from the documents, and a lake looked over
//! and mended. Real files, real DuckDB, and a simulated world to compare with.

mod binary;
pub(crate) mod replay;
pub(crate) mod verify;
