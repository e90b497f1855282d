//! Amazon Redshift.

use std::fmt::Write as _;

use super::engine::{Engine, StagedTable};
use crate::metrics::Dialect;
use crate::tables::Kind;

/// Amazon Redshift.
pub(super) struct Redshift;

impl Engine for Redshift {
    fn dialect(&self) -> Dialect {
        Dialect::Redshift
    }

    fn title(&self) -> &'static str {
        "Amazon Redshift"
    }

    fn tested(&self) -> &'static str {
        "Parsed only, by sqlglot 30.22; not run."
    }

    fn notes(&self) -> &'static [&'static str] {
        &[
            "The lake must be in S3, and the cluster needs a default IAM role that may read it.",
            "COPY reads Parquet columns by position, and fails if a file has another number of",
            "columns. After [[columns]] or the version of the tables changed, run",
            "`armature-export replay`, create the tables anew, and load them with `changes",
            "--since 0`. A text has at most 65535 bytes: COPY fails for a longer one. Most of",
            "these are in `documents`: to leave it out, remove it from the list of changes.",
        ]
    }

    fn reads(&self, lake: &str) -> bool {
        lake.starts_with("s3://")
    }

    fn column_type(&self, kind: Kind) -> &'static str {
        match kind {
            // Without a length it has 256 bytes.
            Kind::Text | Kind::Json => "VARCHAR(65535)",
            Kind::Integer => "BIGINT",
            Kind::Float => "DOUBLE PRECISION",
            Kind::Decimal => "DECIMAL(38, 18)",
            Kind::Boolean => "BOOLEAN",
            Kind::Timestamp => "TIMESTAMPTZ",
            Kind::Date => "DATE",
        }
    }

    fn drops_views(&self) -> bool {
        true
    }

    fn adds_missing_columns(&self) -> bool {
        false
    }

    fn now(&self) -> &'static str {
        "getdate()"
    }

    fn lock(&self, loads: &str) -> String {
        format!("LOCK {loads};\n")
    }

    fn create_stage(&self, stage: &str, columns: &str) -> String {
        format!("DROP TABLE IF EXISTS {stage};\nCREATE TEMP TABLE {stage} ({columns});\n")
    }

    fn stage(&self, staged: &StagedTable<'_>) -> String {
        let StagedTable { stage, .. } = staged;
        let columns = staged.declarations(self);
        let mut out = self.create_stage(stage, &format!("\n{columns}\n"));
        for file in &staged.files {
            let file = self.literal(file);
            // Writing to a String cannot fail.
            let _infallible =
                writeln!(out, "COPY {stage} FROM {file} IAM_ROLE default FORMAT AS PARQUET;");
        }
        out
    }
}
