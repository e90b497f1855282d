//! Queries, comparisons and views over data files, run by DuckDB. Read-only.

mod compare;
mod connection;
mod error;
mod fault;
mod metric_views;
mod reader;
mod records;
mod sql;
mod views;

pub use compare::{Delivered, Difference};
pub use connection::{QueryOptions, query};
pub(crate) use connection::{connect_to_read, link_target, more_memory};
pub use error::QueryError;
pub use fault::Fault;
pub use metric_views::metric_views;
pub(crate) use metric_views::{metric_view_names, statements_of_views};
pub(crate) use reader::LATEST_RUNS;
pub use reader::LakeReader;
pub(crate) use records::{gap_rows, sync_row};
pub(crate) use sql::{
    PlannedTable, Relation, TablePlan, check_path, identifier, literal, read_parquet,
    relation_query,
};
pub use views::lake_views;
pub(crate) use views::{documents_query, newest_sync};
