//! JSON into Arrow, pure: no I/O, no clock, and it never fails on data.
//!
//! A value that does not fit its column leaves a null, stays in the row's `_extra` and becomes a
//! row of `_issues`; a body of another shape than expected does the same.

mod builder;
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
mod run;
mod single;
mod stamp;

pub use report::{ColumnReport, MappingReport, TableReport, UnusedList};
pub use run::{Batch, Normalizer};
pub use single::{OpenRun, open_run_rows, resource_rows};
pub use stamp::{Stamp, dashboard_of};
