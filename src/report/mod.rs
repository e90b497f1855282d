//! The report: one HTML page with the metrics of a lake, to read and to share.
//!
//! A page is made from the data files of the lake alone, by an in-memory DuckDB: the tables are
//! narrowed to the runs that the report is about (`narrow`), and the views of [`crate::metrics`]
//! are created over them. So the page needs no DuckDB file, and holds none.
//!
//! A page is one file: styles and charts are inside, there is no script, and nothing is loaded. Its
//! content security policy forbids both. All text out of the data goes through `format::name` and
//! is escaped by the templates, which are in `templates/report`. Nothing out of prompts, arguments,
//! results or error messages is on it unless it is asked for ([`ReportOptions::evidence`]).

mod chart;
mod days;
mod definitions;
mod error;
mod evidence;
mod figures;
mod file;
mod format;
mod narrow;
mod page;
mod rows;
mod scale;
mod table;
mod tables;
mod verdict;

pub use error::ReportError;
pub use file::write;
pub use page::{Report, ReportOptions, make};
