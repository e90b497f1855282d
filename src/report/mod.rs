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
pub(crate) use format::{count, counted};
pub use page::{Report, ReportOptions, make, make_file};

/// The content security policy with which a server sends a page. The page itself names the digest
/// of its styles; a page of another version, which can be there after an update, has others.
pub const SERVED_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'";
