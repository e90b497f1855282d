//! Integration tests: the binary and the library against the simulator, with real HTTP over loopback,
//! real files and a real DuckDB. One binary, so that it links once and its tests share the cores.
//! `cargo test --test it MODULE` runs one module. The crash suite is a binary of its own, as it needs
//! a feature.

#![cfg(test)]

mod absent_runs;
mod bad_answers;
mod bad_documents;
mod bad_input;
mod bad_lakes;
mod budget;
mod chaos;
mod checkpoints;
mod compact;
mod doctor;
mod duckdb_documents;
mod file_modes;
mod foreign_files;
mod gate;
mod hostile_json;
mod iceberg;
mod iceberg_engines;
mod iceberg_rest;
mod iceberg_stores;
mod iceberg_verify;
mod lakehouse;
mod layering;
mod ledger_shards;
mod long_absence;
mod memory;
mod metrics;
mod object_stores;
mod offline;
mod one_document;
mod published_copy;
mod readme;
mod recipes;
mod reconcile;
mod report;
mod retry_after;
mod schedule_expression;
mod secrecy;
mod service;
mod store_lakes;
#[path = "../support/stores/mod.rs"]
mod stores;
#[path = "../support/mod.rs"]
mod support;
mod table_formats;
mod this_machine;
mod upgrades;
mod warehouses;
mod world;
