//! Databricks, with Delta tables.

use super::engine::{Engine, StagedTable, backticked, escaped_literal};
use crate::metrics::Dialect;
use crate::tables::Kind;

/// Databricks.
pub(super) struct Databricks;

/// The most files that one `COPY INTO` names.
const MOST_FILES: usize = 1000;

impl Engine for Databricks {
    fn dialect(&self) -> Dialect {
        Dialect::Databricks
    }

    fn title(&self) -> &'static str {
        "Databricks"
    }

    fn tested(&self) -> &'static str {
        "Parsed only, by sqlglot 30.22; not run."
    }

    fn notes(&self) -> &'static [&'static str] {
        &[
            "There are no transactions over several tables. A load first reads all files into",
            "staging tables, and then replaces the rows of each table, `runs` last; it is",
            "recorded at the end. A load that fails halfway is repeated as a whole. While it",
            "runs, readers can miss rows that it replaces. Columns that an existing table lacks",
            "are added by the lines with ALTER TABLE: run those that are needed.",
        ]
    }

    fn reads(&self, lake: &str) -> bool {
        lake.starts_with("s3://") || lake.starts_with("gs://")
    }

    fn identifier(&self, name: &str) -> String {
        backticked(name)
    }

    fn literal(&self, text: &str) -> String {
        escaped_literal(text)
    }

    fn column_type(&self, kind: Kind) -> &'static str {
        match kind {
            Kind::Text | Kind::Json => "STRING",
            Kind::Integer => "BIGINT",
            Kind::Float => "DOUBLE",
            Kind::Decimal => "DECIMAL(38, 18)",
            Kind::Boolean => "BOOLEAN",
            Kind::Timestamp => "TIMESTAMP",
            Kind::Date => "DATE",
        }
    }

    fn column_comment(&self, text: &str) -> Option<String> {
        Some(format!(" COMMENT {}", self.literal(text)))
    }

    fn table_options(&self, description: &str, _order: &[&str]) -> String {
        format!(" COMMENT {}", self.literal(description))
    }

    fn adds_missing_columns(&self) -> bool {
        false
    }

    fn now(&self) -> &'static str {
        "current_timestamp()"
    }

    fn lock(&self, _loads: &str) -> String {
        String::new()
    }

    fn fail_if(&self, condition: &str, text: &str) -> String {
        format!("SELECT assert_true(NOT ({condition}), {});\n", self.literal(text))
    }

    fn create_stage(&self, stage: &str, columns: &str) -> String {
        format!("CREATE OR REPLACE TABLE {stage} ({columns});\n")
    }

    fn stage(&self, staged: &StagedTable<'_>) -> String {
        let StagedTable { stage, .. } = staged;
        let columns = staged.declarations(self);
        let files: Vec<String> = staged.relative_files().map(|file| self.literal(file)).collect();
        let root = self.literal(&format!("{}/", staged.changes.lake.trim_end_matches('/')));
        // `force`: the staging table is new in each load, though the files may have been read
        // before.
        let copies = files.chunks(MOST_FILES).map(|files| {
            format!(
                "COPY INTO {stage} FROM {root} FILEFORMAT = PARQUET\n  FILES = (\n    {}\n  )\n  \
                 FORMAT_OPTIONS ('mergeSchema' = 'true')\n  COPY_OPTIONS ('force' = 'true');\n",
                files.join(",\n    ")
            )
        });
        let copies: String = copies.collect();
        self.create_stage(stage, &format!("\n{columns}\n")) + &copies
    }

    fn transaction(&self) -> Option<(&'static str, &'static str)> {
        None
    }
}
