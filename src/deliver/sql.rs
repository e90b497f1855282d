//! SQL for DuckDB: all names, texts and paths are quoted here.

use std::fmt::Write as _;

use crate::lake::LakeStore;
use crate::tables::{Kind, Mapping, Table, WriteDisposition};

/// The tables, as SQL for DuckDB.
#[derive(Clone, Debug)]
pub(super) struct TablePlan {
    pub(super) tables: Vec<PlannedTable>,
}

#[derive(Clone, Debug)]
pub(super) struct PlannedTable {
    pub(super) table: &'static Table,
    pub(super) create: String,
    /// Names and types of the columns.
    pub(super) columns: Vec<(String, &'static str)>,
    pub(super) comments: String,
}

impl TablePlan {
    pub(super) fn new(mapping: &Mapping) -> Self {
        let tables = mapping.tables().iter().map(|mapped| {
            let name = identifier(mapped.table.name);
            let mut columns = Vec::new();
            let mut comments = String::new();
            comment(&mut comments, "TABLE", &name, mapped.table.description);
            for column in &mapped.columns {
                let own = identifier(&column.name);
                let required =
                    if mapped.table.is_required(&column.name) { " NOT NULL" } else { "" };
                let compressed =
                    if column.kind == Kind::Json { " USING COMPRESSION zstd" } else { "" };
                columns.push(format!("{own} {}{required}{compressed}", column.kind.duckdb()));
                comment(&mut comments, "COLUMN", &format!("{name}.{own}"), &column.description);
            }
            let create = format!("CREATE TABLE IF NOT EXISTS {name} ({})", columns.join(", "));
            let columns = mapped.columns.iter().map(|c| (c.name.clone(), c.kind.duckdb()));
            PlannedTable { table: mapped.table, create, columns: columns.collect(), comments }
        });
        Self { tables: tables.collect() }
    }

    pub(super) fn append_tables(&self) -> impl Iterator<Item = &'static Table> {
        self.tables
            .iter()
            .map(|planned| planned.table)
            .filter(|table| table.write == WriteDisposition::Append)
    }
}

fn comment(out: &mut String, what: &str, name: &str, text: &str) {
    // Writing to a String cannot fail.
    let _infallible = writeln!(out, "COMMENT ON {what} {name} IS {};", literal(text));
}

/// A quoted identifier.
pub(super) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A quoted string literal.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A `read_parquet` call over files, relative to the lake.
pub(super) fn read_parquet<'a>(
    lake: &LakeStore,
    paths: impl IntoIterator<Item = &'a str>,
) -> String {
    let files = paths.into_iter().map(|path| literal(lake.location(path).as_str()));
    let files: Vec<String> = files.collect();
    format!("read_parquet([{}], union_by_name = true, hive_partitioning = false)", files.join(", "))
}

/// Statements that create views over the lake's files in any DuckDB session. The views show only
/// the latest revision of each run. Tables without a file are left out, because DuckDB cannot
/// create a view of no files.
pub fn lake_views(lake: &LakeStore) -> String {
    let files = |table: &str| read_parquet(lake, [format!("{table}/**/*.parquet").as_str()]);
    let latest = format!(
        "(SELECT run_id, max(_revision) AS _revision FROM {} GROUP BY run_id)",
        files("runs")
    );
    let mut out = String::new();
    for table in crate::tables::ALL.iter().filter(|table| table.write != WriteDisposition::Manifest)
    {
        let (name, files) = (identifier(table.name), files(table.name));
        // Writing to a String cannot fail.
        let _infallible = if !lake.contains(table.name) {
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
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_paths_cannot_break_out() {
        assert_eq!(identifier("a\"; drop"), "\"a\"\"; drop\"");
        let sql = read_parquet(&LakeStore::local("/it's".as_ref()), ["runs/a.parquet"]);
        assert!(sql.contains("'/it''s/runs/a.parquet'"), "{sql}");
    }

    #[test]
    fn the_tables_as_duckdb_gets_them() {
        let plan = TablePlan::new(&Mapping::new(&[], &[]).unwrap());
        let create: Vec<&str> = plan.tables.iter().map(|table| table.create.as_str()).collect();
        insta::assert_snapshot!(create.join("\n"));
    }
}
