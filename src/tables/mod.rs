//! The table schemas: what a row is, declared once per table.
//!
//! The Arrow schema, the Parquet metadata, the DuckDB tables, the data dictionary and the JSON
//! mapping all come from these declarations. One file per table; [`ALL`] lists them.

mod catalog;
mod column;
mod dictionary;
mod field_ids;
mod lists;
mod mapping;
mod mapping_error;

mod criteria;
mod documents;
mod evaluations;
mod excerpts;
mod gaps;
mod issues;
mod mcp_servers;
mod open_runs;
mod runs;
mod spans;
mod syncs;
mod tool_calls;
mod workflows;

pub use catalog::{ALL, find};
pub use column::{Column, Kind, Origin, Reading, SCHEMA_VERSION, Table, WriteDisposition};
pub use dictionary::{TableEntry, dictionary};
pub use field_ids::{FieldId, FieldIds};
pub use lists::{ListDocument, ListOverride, ListSources};
pub use mapping::{ColumnOverride, MappedColumn, MappedTable, Mapping, NameHasher, Route, Routes};
pub use mapping_error::MappingError;

pub use criteria::CRITERIA;
pub use documents::DOCUMENTS;
pub use evaluations::EVALUATIONS;
pub use excerpts::EXCERPTS;
pub use gaps::GAPS;
pub use issues::ISSUES;
pub use mcp_servers::MCP_SERVERS;
pub use open_runs::OPEN_RUNS;
pub use runs::RUNS;
pub use spans::SPANS;
pub use syncs::SYNCS;
pub use tool_calls::TOOL_CALLS;
pub use workflows::WORKFLOWS;
