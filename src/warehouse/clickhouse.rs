//! ClickHouse.

use std::fmt::Write as _;

use super::engine::{Engine, StagedTable, escaped_literal};
use crate::metrics::Dialect;
use crate::tables::Kind;

/// ClickHouse.
pub(super) struct ClickHouse;

impl Engine for ClickHouse {
    fn dialect(&self) -> Dialect {
        Dialect::ClickHouse
    }

    fn title(&self) -> &'static str {
        "ClickHouse"
    }

    fn tested(&self) -> &'static str {
        "Run on chDB 4.4 (ClickHouse 26.9)."
    }

    fn notes(&self) -> &'static [&'static str] {
        &[
            "There are no transactions. A load first reads all files into staging tables, and",
            "then replaces the rows of each table, `runs` last; it is recorded at the end. A load",
            "that fails halfway is repeated as a whole. While it runs, readers can miss rows that",
            "it replaces.",
        ]
    }

    fn reads(&self, lake: &str) -> bool {
        !lake.starts_with("az://")
    }

    fn identifier(&self, name: &str) -> String {
        format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
    }

    fn literal(&self, text: &str) -> String {
        escaped_literal(text)
    }

    fn column_type(&self, kind: Kind) -> &'static str {
        match kind {
            Kind::Text | Kind::Json => "String",
            Kind::Integer => "Int64",
            Kind::Float => "Float64",
            Kind::Decimal => "Decimal(38, 18)",
            Kind::Boolean => "Bool",
            Kind::Timestamp => "DateTime64(6, 'UTC')",
            Kind::Date => "Date32",
        }
    }

    fn column(&self, kind: Kind, is_required: bool) -> String {
        let name = self.column_type(kind);
        if is_required { name.to_owned() } else { format!("Nullable({name})") }
    }

    fn column_comment(&self, text: &str) -> Option<String> {
        Some(format!(" COMMENT {}", self.literal(text)))
    }

    fn table_options(&self, description: &str, order: &[&str]) -> String {
        let order: Vec<String> = order.iter().map(|name| self.identifier(name)).collect();
        format!(
            " ENGINE = MergeTree ORDER BY ({}) COMMENT {}",
            order.join(", "),
            self.literal(description)
        )
    }

    /// Replicated tables drop an insert whose rows equal those of an earlier one, also after these
    /// were deleted: a load that is repeated would lose them. And they refuse a deletion whose
    /// condition reads another table, unless it is evaluated once for all replicas.
    fn before_load(&self) -> String {
        "SET insert_deduplicate = 0;\nSET mutations_execute_subqueries_on_initiator = 1;\n\
         SET allow_nondeterministic_mutations = 1;\n"
            .to_owned()
    }

    fn now(&self) -> &'static str {
        "now64(6)"
    }

    fn lock(&self, _loads: &str) -> String {
        String::new()
    }

    fn fail_if(&self, condition: &str, text: &str) -> String {
        format!("SELECT throwIf({condition}, {});\n", self.literal(text))
    }

    fn create_stage(&self, stage: &str, columns: &str) -> String {
        format!(
            "DROP TABLE IF EXISTS {stage};\nCREATE TABLE {stage} ({columns}) ENGINE = MergeTree \
             ORDER BY tuple();\n"
        )
    }

    fn stage(&self, staged: &StagedTable<'_>) -> String {
        let StagedTable { name, stage, columns, .. } = staged;
        let table = staged.declared();
        let kinds = staged.table.columns.iter().map(|column| {
            let kind = self.column(column.kind, table.is_required(&column.name));
            format!("{} {kind}", self.identifier(&column.name))
        });
        let kinds = self.literal(&kinds.collect::<Vec<_>>().join(", "));
        let mut out = format!("DROP TABLE IF EXISTS {stage};\nCREATE TABLE {stage} AS {name};\n");
        for file in &staged.files {
            let reader = if file.contains("://") { "s3" } else { "file" };
            let file = self.literal(file);
            // Writing to a String cannot fail.
            let _infallible = writeln!(
                out,
                "INSERT INTO {stage} ({columns})\n  SELECT {columns} FROM {reader}({file}, \
                 'Parquet', {kinds})\n  SETTINGS input_format_parquet_allow_missing_columns = 1;"
            );
        }
        out
    }

    fn transaction(&self) -> Option<(&'static str, &'static str)> {
        None
    }
}
