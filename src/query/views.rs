//! Views over the data files of a lake, for any DuckDB session.

use std::fmt::Write as _;

use super::sql::{identifier, read_parquet};
use crate::lake::{LakeError, LakeStore};
use crate::tables::WriteDisposition;

/// Statements that create views over the lake's files in any DuckDB session. The views show only
/// the latest revision of each run. Tables without a file are left out, because DuckDB cannot
/// create a view of no files.
///
/// # Errors
/// [`LakeError`] if an object store cannot be asked which tables have files.
pub fn lake_views(lake: &LakeStore) -> Result<String, LakeError> {
    let files = |table: &str| read_parquet(lake, [format!("{table}/**/*.parquet").as_str()]);
    let latest = format!(
        "(SELECT run_id, max(_revision) AS _revision FROM {} GROUP BY run_id)",
        files("runs")
    );
    let mut out = String::new();
    for table in
        crate::tables::ALL.iter().filter(|table| table.write != WriteDisposition::CommitLog)
    {
        let (name, files) = (identifier(table.name), files(table.name));
        // Writing to a String cannot fail.
        let _infallible = if !lake.contains(table.name)? {
            writeln!(out, "-- {name} has no rows yet")
        } else if table.write == WriteDisposition::Append {
            writeln!(
                out,
                "CREATE OR REPLACE VIEW {name} AS\n  SELECT * FROM {files}\n  SEMI JOIN {latest} \
                 USING (run_id, _revision);"
            )
        } else {
            writeln!(out, "CREATE OR REPLACE VIEW {name} AS\n  SELECT * FROM {files};")
        };
    }
    Ok(out)
}
