//! DuckDB as a warehouse.

use super::engine::{Engine, StagedTable, duckdb_fail_if, duckdb_rows};
use crate::metrics::Dialect;
use crate::tables::Kind;

/// DuckDB.
pub(super) struct DuckDb;

impl Engine for DuckDb {
    fn dialect(&self) -> Dialect {
        Dialect::DuckDb
    }

    fn title(&self) -> &'static str {
        "DuckDB"
    }

    fn tested(&self) -> &'static str {
        "Run on DuckDB 1.5."
    }

    fn notes(&self) -> &'static [&'static str] {
        &[]
    }

    fn reads(&self, _lake: &str) -> bool {
        true
    }

    fn column_type(&self, kind: Kind) -> &'static str {
        kind.duckdb()
    }

    fn now(&self) -> &'static str {
        "now()"
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
