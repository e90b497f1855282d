//! Converts JSON to Arrow. Pure: no I/O and no clock; it never fails on data.
//!
//! A value that does not fit its column leaves a null, stays in the row's `_extra` and becomes a
//! row of `_issues`; a body of an unexpected shape is handled in the same way.

mod builder;
mod candidate;
mod cell;
mod choose;
mod duration;
mod elements;
mod evaluation;
mod failure;
mod issues;
mod pages;
mod report;
mod row;
mod row_context;
mod run;
mod snapshot_tables;

pub use report::{ColumnReport, MappingReport, TableReport, UnusedList};
pub use row_context::{ExportContext, dashboard_of};
pub use run::{Batch, Normalizer};
pub use snapshot_tables::{OpenRun, open_run_rows, resource_rows};
