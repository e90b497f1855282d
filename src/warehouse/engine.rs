//! What the scripts need to know of an engine.

use super::changes::Changes;
use crate::metrics::Dialect;
use crate::tables::{Kind, MappedTable, Table};

/// The table in which every load is recorded: what a person or a program reads to know where the
/// next one begins. The row of commit 0 stands for the empty warehouse.
pub(super) const LOADS: &str = "_loads";

/// A warehouse engine: names, types and the statements that engines do not share.
pub(super) trait Engine: Sync {
    /// The engine, for the metrics.
    fn dialect(&self) -> Dialect;

    /// Its name, for a person.
    fn title(&self) -> &'static str;

    /// What its scripts were run on, as a sentence.
    fn tested(&self) -> &'static str;

    /// What a user of this engine must know, in lines of at most 96 characters.
    fn notes(&self) -> &'static [&'static str];

    /// Whether it reads data files at such a place: the root of a lake.
    fn reads(&self, lake: &str) -> bool;

    /// A quoted name.
    fn identifier(&self, name: &str) -> String {
        format!("\"{}\"", name.replace('"', "\"\""))
    }

    /// A quoted text.
    fn literal(&self, text: &str) -> String {
        format!("'{}'", text.replace('\'', "''"))
    }

    /// The type of a column.
    fn column_type(&self, kind: Kind) -> &'static str;

    /// The declaration of a column: type and constraint.
    fn column(&self, kind: Kind, is_required: bool) -> String {
        let constraint = if is_required { " NOT NULL" } else { "" };
        format!("{}{constraint}", self.column_type(kind))
    }

    /// What follows a column's declaration, to describe it; `None` if the engine has a statement
    /// for that: `COMMENT ON`.
    fn column_comment(&self, _text: &str) -> Option<String> {
        None
    }

    /// What follows the columns of `CREATE TABLE`: how the table is stored, and its description
    /// where [`Engine::column_comment`] is used. `order` are the columns that name a row, for
    /// sorting.
    fn table_options(&self, _description: &str, _order: &[&str]) -> String {
        String::new()
    }

    /// Statements before the tables.
    fn before_tables(&self, _lake: &str) -> String {
        String::new()
    }

    /// Whether the definitions can be one transaction, in which views are dropped first: the engine
    /// refuses to replace a view whose columns change.
    fn drops_views(&self) -> bool {
        false
    }

    /// Whether it has `ADD COLUMN IF NOT EXISTS`.
    fn adds_missing_columns(&self) -> bool {
        true
    }

    /// The name of a table for a load.
    fn target(&self, table: &str) -> String {
        self.identifier(table)
    }

    /// The current time.
    fn now(&self) -> &'static str {
        "CURRENT_TIMESTAMP"
    }

    /// Statements before a load.
    fn before_load(&self) -> String {
        String::new()
    }

    /// The statement at the beginning of a transaction that makes a second load wait, or fail.
    /// Empty where the engine has none. `loads` is the quoted name of the table of loads.
    ///
    /// Each load changes the row that stands for the empty warehouse: two transactions that change
    /// one row are in conflict in every engine that has transactions.
    fn lock(&self, loads: &str) -> String {
        let (loaded_at, commit) = (self.identifier("loaded_at"), self.identifier("commit_number"));
        format!("UPDATE {loads} SET {loaded_at} = {} WHERE {commit} = 0;\n", self.now())
    }

    /// A statement that fails with a text if a condition holds, which reads other tables.
    fn fail_if(&self, condition: &str, text: &str) -> String {
        // The cast fails, and its error names the text. The number keeps the engine from casting
        // before it has evaluated the condition.
        format!(
            "SELECT CAST({} || CAST(failed.n AS VARCHAR) AS INTEGER)\n  FROM (SELECT count(*) AS n \
             FROM (SELECT 1 AS n) AS one WHERE {condition}) AS failed\n  WHERE failed.n > 0;\n",
            self.literal(&format!("{text} "))
        )
    }

    /// Statements that create an empty staging table.
    fn create_stage(&self, stage: &str, columns: &str) -> String {
        format!("CREATE OR REPLACE TEMP TABLE {stage} ({columns});\n")
    }

    /// Statements that create the staging table of a table, and read data files into it.
    fn stage(&self, staged: &StagedTable<'_>) -> String;

    /// The statement that removes a staging table.
    fn drop_stage(&self, stage: &str) -> String {
        format!("DROP TABLE IF EXISTS {stage};\n")
    }

    /// The statements that begin and end a transaction; `None` where every statement stands alone.
    fn transaction(&self) -> Option<(&'static str, &'static str)> {
        Some(("BEGIN;\n", "COMMIT;\n"))
    }
}

/// A table whose files are read into a staging table.
#[derive(Debug)]
pub(super) struct StagedTable<'s> {
    /// The table, with the columns that are configured.
    pub(super) table: &'s MappedTable,
    /// Its quoted name.
    pub(super) name: String,
    /// The quoted name of its staging table.
    pub(super) stage: String,
    /// Its quoted columns, separated by commas.
    pub(super) columns: String,
    /// The places of the files.
    pub(super) files: Vec<&'s str>,
    /// The changes that are loaded.
    pub(super) changes: &'s Changes,
}

impl StagedTable<'_> {
    /// The declared table.
    pub(super) fn declared(&self) -> &'static Table {
        self.table.table
    }

    /// The declarations of its columns, one per line, without constraints: in the order of the
    /// files, which an existing table can lack.
    pub(super) fn declarations(&self, engine: &dyn Engine) -> String {
        let columns = self.table.columns.iter().map(|column| {
            format!("  {} {}", engine.identifier(&column.name), engine.column(column.kind, false))
        });
        columns.collect::<Vec<_>>().join(",\n")
    }

    /// The files, relative to the lake's root.
    pub(super) fn relative_files(&self) -> impl Iterator<Item = &str> {
        let root = self.changes.lake.trim_end_matches('/');
        self.files.iter().map(move |file| {
            let relative = file.strip_prefix(root).and_then(|rest| rest.strip_prefix('/'));
            relative.unwrap_or(file)
        })
    }
}

/// A statement of DuckDB that fails with a text if a condition holds.
pub(super) fn duckdb_fail_if(condition: &str, text: &str) -> String {
    let text = text.replace('\'', "''");
    format!("SELECT error('{text}')\n  FROM (SELECT 1 AS n) AS one WHERE {condition};\n")
}

/// Text for engines in which a backslash begins an escape.
pub(super) fn escaped_literal(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('\'', "\\'").replace('\n', "\\n");
    format!("'{text}'")
}

/// A name in backticks.
pub(super) fn backticked(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// The relation of a `SELECT` over Parquet files in DuckDB, with the columns of a table: those that
/// the files lack are null.
pub(super) fn duckdb_rows(table: &MappedTable, files: &[&str]) -> String {
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let nulls = table.columns.iter();
    let nulls: Vec<String> = nulls
        .map(|column| format!("NULL::{} AS {}", column.kind.duckdb(), quoted(&column.name)))
        .collect();
    let files: Vec<String> =
        files.iter().map(|file| format!("    '{}'", file.replace('\'', "''"))).collect();
    format!(
        "(SELECT {} WHERE false\n  UNION ALL BY NAME FROM read_parquet([\n{}\n  ], \
         union_by_name = true, hive_partitioning = false))",
        nulls.join(", "),
        files.join(",\n")
    )
}
