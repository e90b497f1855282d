//! SQL for DuckDB: all names, texts and paths are quoted here.

use std::fmt::Write as _;

use super::error::QueryError;
use crate::lake::LakeStore;
use crate::tables::{Kind, Mapping, Table, WriteDisposition};

/// The tables, as SQL for DuckDB.
#[derive(Clone, Debug)]
pub(crate) struct TablePlan {
    pub(crate) tables: Vec<PlannedTable>,
}

#[derive(Clone, Debug)]
pub(crate) struct PlannedTable {
    pub(crate) table: &'static Table,
    pub(crate) create: String,
    /// Names and types of the columns.
    pub(crate) columns: Vec<(String, &'static str)>,
    pub(crate) comments: String,
}

impl TablePlan {
    pub(crate) fn new(mapping: &Mapping) -> Self {
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

    /// The plan without a table.
    pub(crate) fn without(mut self, table: &Table) -> Self {
        self.tables.retain(|planned| planned.table.name != table.name);
        self
    }

    /// A table of the plan.
    pub(crate) fn get(&self, table: &Table) -> Option<&PlannedTable> {
        self.tables.iter().find(|planned| planned.table.name == table.name)
    }

    pub(crate) fn append_tables(&self) -> impl Iterator<Item = &'static Table> {
        self.tables
            .iter()
            .map(|planned| planned.table)
            .filter(|table| table.write == WriteDisposition::Append)
    }
}

/// Adds a statement that sets the comment of a table, a view or a column.
pub(super) fn comment(out: &mut String, what: &str, name: &str, text: &str) {
    // Writing to a String cannot fail.
    let _infallible = writeln!(out, "COMMENT ON {what} {name} IS {};", literal(text));
}

/// A table or a view of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Relation {
    pub(crate) is_view: bool,
    pub(crate) comment: Option<String>,
}

impl Relation {
    /// From a row of [`relation_query`].
    pub(crate) fn new(kind: &str, comment: Option<String>) -> Self {
        Self { is_view: kind == "VIEW", comment }
    }
}

/// A query for the kind (`TABLE` or `VIEW`) and the comment of the table or view of a name in the
/// schema `main` of a database, which is an SQL expression. No row if there is neither.
pub(crate) fn relation_query(database: &str, name: &str) -> String {
    let (name, schema) = (literal(name), "schema_name = 'main'");
    format!(
        "SELECT 'TABLE', comment FROM duckdb_tables() WHERE database_name = {database} AND {schema} \
         AND table_name = {name} UNION ALL SELECT 'VIEW', comment FROM duckdb_views() \
         WHERE database_name = {database} AND {schema} AND view_name = {name}"
    )
}

/// A quoted identifier.
pub(crate) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A quoted string literal.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A `read_parquet` call over files, relative to the lake.
pub(crate) fn read_parquet<'a>(
    lake: &LakeStore,
    paths: impl IntoIterator<Item = &'a str>,
) -> String {
    let files = paths.into_iter().map(|path| literal(lake.readable(path).as_str()));
    let files: Vec<String> = files.collect();
    format!("read_parquet([{}], union_by_name = true, hive_partitioning = false)", files.join(", "))
}

/// Refuses a lake whose path has characters that DuckDB reads as a glob pattern.
///
/// # Errors
/// [`QueryError::Pattern`].
pub(crate) fn check_path(lake: &LakeStore) -> Result<(), QueryError> {
    let path = lake.readable("");
    if path.as_str().contains(['*', '?', '[']) {
        return Err(QueryError::Pattern { path });
    }
    Ok(())
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
