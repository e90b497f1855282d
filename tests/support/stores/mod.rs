//! Object stores for tests: real servers on loopback, a fake of GCS, and a proxy in front of them that loses,
//! delays and refuses requests.
#![allow(clippy::allow_attributes, reason = "what this is for differs from test to test")]
#![allow(dead_code, reason = "each test file uses what it needs")]

pub(crate) mod fake_gcs;
pub(crate) mod fault_proxy;
pub(crate) mod server;
