//! What loaders of warehouses need: the changes of a lake since a commit, and scripts in the SQL of
//! each engine.

mod bigquery;
mod changes;
mod clickhouse;
mod databricks;
mod duckdb;
mod engine;
mod error;
mod postgres;
mod redshift;
mod script;
mod snowflake;

use self::engine::Engine;
use crate::metrics::Dialect;

pub use changes::{ChangedFile, Changes, Load, LoadedCommit, RedshiftManifest, TableChanges};
pub use error::WarehouseError;
pub use script::{definitions, load};

fn engine_of(dialect: Dialect) -> &'static dyn Engine {
    match dialect {
        Dialect::DuckDb | Dialect::Dbt => &duckdb::DuckDb,
        Dialect::Postgres => &postgres::Postgres,
        Dialect::Snowflake => &snowflake::Snowflake,
        Dialect::BigQuery => &bigquery::BigQuery,
        Dialect::Redshift => &redshift::Redshift,
        Dialect::Databricks => &databricks::Databricks,
        Dialect::ClickHouse => &clickhouse::ClickHouse,
    }
}
