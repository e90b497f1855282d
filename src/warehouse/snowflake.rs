//! Snowflake.

use super::engine::{Engine, StagedTable};
use crate::metrics::Dialect;
use crate::tables::Kind;

/// Snowflake.
pub(super) struct Snowflake;

/// The most files that one `COPY` names.
const MOST_FILES: usize = 1000;

impl Engine for Snowflake {
    fn dialect(&self) -> Dialect {
        Dialect::Snowflake
    }

    fn title(&self) -> &'static str {
        "Snowflake"
    }

    fn tested(&self) -> &'static str {
        "Run on fakesnow 0.12.1, a simulation of Snowflake; not on Snowflake itself."
    }

    fn notes(&self) -> &'static [&'static str] {
        &[
            "Names are in upper case, so that they need no quotes. A load reads the files through",
            "the stage ARMATURE_LAKE, whose URL is the root of the lake; create it once, with",
            "your storage integration. Times are TIMESTAMP_LTZ: moments, shown in the time zone",
            "of the session.",
        ]
    }

    fn reads(&self, _lake: &str) -> bool {
        true
    }

    fn identifier(&self, name: &str) -> String {
        format!("\"{}\"", name.to_uppercase().replace('"', "\"\""))
    }

    fn literal(&self, text: &str) -> String {
        // A backslash begins an escape also in text in single quotes.
        format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
    }

    fn column_type(&self, kind: Kind) -> &'static str {
        match kind {
            Kind::Text | Kind::Json => "VARCHAR",
            Kind::Integer => "NUMBER(38, 0)",
            Kind::Float => "FLOAT",
            Kind::Decimal => "NUMBER(38, 18)",
            Kind::Boolean => "BOOLEAN",
            Kind::Timestamp => "TIMESTAMP_LTZ(6)",
            Kind::Date => "DATE",
        }
    }

    fn column_comment(&self, text: &str) -> Option<String> {
        Some(format!(" COMMENT {}", self.literal(text)))
    }

    fn table_options(&self, description: &str, _order: &[&str]) -> String {
        format!(" COMMENT = {}", self.literal(description))
    }

    fn before_tables(&self, lake: &str) -> String {
        format!(
            "-- CREATE STAGE IF NOT EXISTS \"ARMATURE_LAKE\" URL = {} STORAGE_INTEGRATION = …;\n\n",
            self.literal(&format!("{}/", lake.trim_end_matches('/')))
        )
    }

    fn stage(&self, staged: &StagedTable<'_>) -> String {
        let StagedTable { name, stage, .. } = staged;
        let files: Vec<String> = staged.relative_files().map(|file| self.literal(file)).collect();
        // Without USE_LOGICAL_TYPE, times are read as numbers. FORCE: a load that is repeated reads
        // the same files again, into a new staging table.
        let copies = files.chunks(MOST_FILES).map(|files| {
            format!(
                "COPY INTO {stage} FROM @\"ARMATURE_LAKE\"\n  FILES = (\n    {}\n  )\n  \
                 FILE_FORMAT = (TYPE = PARQUET USE_LOGICAL_TYPE = TRUE)\n  \
                 MATCH_BY_COLUMN_NAME = CASE_INSENSITIVE FORCE = TRUE;\n",
                files.join(",\n    ")
            )
        });
        let copies: String = copies.collect();
        format!("CREATE OR REPLACE TEMP TABLE {stage} LIKE {name};\n{copies}")
    }
}
