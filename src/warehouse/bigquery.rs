//! BigQuery.

use super::engine::{Engine, StagedTable, backticked, escaped_literal};
use crate::metrics::Dialect;
use crate::tables::Kind;

/// BigQuery.
pub(super) struct BigQuery;

impl Engine for BigQuery {
    fn dialect(&self) -> Dialect {
        Dialect::BigQuery
    }

    fn title(&self) -> &'static str {
        "BigQuery"
    }

    fn tested(&self) -> &'static str {
        "Parsed only, by sqlglot 30.22; not run."
    }

    fn notes(&self) -> &'static [&'static str] {
        &[
            "Run it with a default dataset: `bq query --use_legacy_sql=false --dataset_id=…`. The",
            "lake must be in Google Cloud Storage. Decimal numbers are BIGNUMERIC: NUMERIC has",
            "only 9 digits after the point.",
        ]
    }

    fn reads(&self, lake: &str) -> bool {
        lake.starts_with("gs://")
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
            Kind::Integer => "INT64",
            Kind::Float => "FLOAT64",
            Kind::Decimal => "BIGNUMERIC(38, 18)",
            Kind::Boolean => "BOOL",
            Kind::Timestamp => "TIMESTAMP",
            Kind::Date => "DATE",
        }
    }

    fn column_comment(&self, text: &str) -> Option<String> {
        Some(format!(" OPTIONS (description = {})", self.literal(text)))
    }

    fn table_options(&self, description: &str, _order: &[&str]) -> String {
        format!(" OPTIONS (description = {})", self.literal(description))
    }

    fn now(&self) -> &'static str {
        "CURRENT_TIMESTAMP()"
    }

    fn fail_if(&self, condition: &str, text: &str) -> String {
        format!("SELECT IF({condition}, ERROR({}), NULL);\n", self.literal(text))
    }

    fn stage(&self, staged: &StagedTable<'_>) -> String {
        let columns = staged.declarations(self);
        let files: Vec<String> = staged.files.iter().map(|file| self.literal(file)).collect();
        // A statement that loads files cannot be part of a transaction, and need not be.
        format!(
            "LOAD DATA OVERWRITE TEMP TABLE {} (\n{}\n)\nFROM FILES (\n  format = 'PARQUET',\n  \
             uris = [\n    {}\n  ],\n  decimal_target_types = ['BIGNUMERIC']\n);\n",
            staged.stage,
            columns,
            files.join(",\n    ")
        )
    }

    fn transaction(&self) -> Option<(&'static str, &'static str)> {
        Some(("BEGIN TRANSACTION;\n", "COMMIT TRANSACTION;\n"))
    }
}
