//! Exports Armature run history into incremental Parquet and DuckDB files.
//!
//! Start reading at [`sync`]: open lake → plan → extract → normalize → commit → deliver.
//! `docs/ARCHITECTURE.md` shows which module may use which.

pub mod api;
pub mod cli;
pub mod compact;
pub mod config;
pub mod crash;
pub mod data_files;
pub mod dbt;
pub mod digest;
pub mod event;
pub mod extract;
pub mod failure;
pub mod gate;
pub mod job;
pub mod json;
pub mod lake;
pub mod ledger;
pub mod listing;
pub mod metrics;
pub mod normalize;
pub mod notify;
pub mod observe;
pub mod query;
pub mod reconcile;
pub mod replay;
pub mod report;
pub mod run;
pub mod schedule;
pub mod service;
pub mod simulator;
pub mod sync;
pub mod tables;
pub mod targets;
pub mod time;
pub mod tls;
pub mod verify;
pub mod warehouse;
