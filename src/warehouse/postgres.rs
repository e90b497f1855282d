//! PostgreSQL, which has no reader of Parquet files: DuckDB reads them, and writes the rows through
//! its extension `postgres`.

use super::engine::{Engine, LOADS, StagedTable, duckdb_fail_if, duckdb_rows};
use crate::metrics::Dialect;
use crate::tables::Kind;

/// PostgreSQL.
pub(super) struct Postgres;

impl Engine for Postgres {
    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    fn title(&self) -> &'static str {
        "PostgreSQL"
    }

    fn tested(&self) -> &'static str {
        "Run on PostgreSQL 15, loaded by DuckDB 1.5.5."
    }

    fn notes(&self) -> &'static [&'static str] {
        &[
            "The tables and views are for `psql`. A load is for DuckDB, which reads the Parquet",
            "files and writes to the database that the variables PGHOST, PGDATABASE, PGUSER …",
            "name. PostgreSQL cannot store U+0000 in text: a load replaces it by U+FFFD.",
        ]
    }

    fn reads(&self, _lake: &str) -> bool {
        true
    }

    fn column_type(&self, kind: Kind) -> &'static str {
        match kind {
            Kind::Text | Kind::Json => "text",
            Kind::Integer => "bigint",
            Kind::Float => "double precision",
            Kind::Decimal => "numeric(38, 18)",
            Kind::Boolean => "boolean",
            Kind::Timestamp => "timestamp with time zone",
            Kind::Date => "date",
        }
    }

    fn drops_views(&self) -> bool {
        true
    }

    fn target(&self, table: &str) -> String {
        format!("warehouse.{}", self.identifier(table))
    }

    fn now(&self) -> &'static str {
        "now()"
    }

    fn before_load(&self) -> String {
        "INSTALL postgres;\nLOAD postgres;\nSET pg_null_byte_replacement = '\u{fffd}';\n\
         ATTACH IF NOT EXISTS '' AS warehouse (TYPE postgres);\n"
            .to_owned()
    }

    /// Before anything is read: the transaction sees what was committed when it reads first.
    fn lock(&self, _loads: &str) -> String {
        let lock = format!("LOCK TABLE {} IN EXCLUSIVE MODE", self.identifier(LOADS));
        format!("CALL postgres_execute('warehouse', {});\n", self.literal(&lock))
    }

    fn fail_if(&self, condition: &str, text: &str) -> String {
        duckdb_fail_if(condition, text)
    }

    fn stage(&self, staged: &StagedTable<'_>) -> String {
        let StagedTable { stage, columns, .. } = staged;
        let rows = duckdb_rows(staged.table, &staged.files);
        format!("CREATE OR REPLACE TEMP TABLE {stage} AS\n  SELECT {columns} FROM {rows};\n")
    }
}
