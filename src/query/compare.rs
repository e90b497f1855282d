//! Comparison of the DuckDB file with the lake's data files.

use super::error::QueryError;
use super::reader::LakeReader;
use super::records::{gap_rows, sync_row};
use super::sql::{Relation, identifier, literal, relation_query};
use crate::lake::CommitFile;
use crate::tables::{Table, WriteDisposition};

/// How a table of the DuckDB file differs from the lake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Rows in the lake, latest revisions only.
    pub lake: u64,
    /// Rows in the DuckDB file.
    pub database: u64,
    /// Some runs whose rows differ; empty for tables without runs.
    pub runs: Vec<String>,
}

/// Maximum number of runs that a difference names.
const NAMED_RUNS: usize = 10;

impl LakeReader {
    /// Fills the tables that exist in commits only (`_syncs`, `_gaps`): from the commits that end a
    /// sync, and from the newest commit.
    ///
    /// # Errors
    /// DuckDB's error.
    pub fn record(
        &mut self,
        commit_files: &[CommitFile],
        head: &CommitFile,
    ) -> Result<(), QueryError> {
        self.execute("record gaps", &gap_rows(&head.gaps, head))?;
        for commit_file in commit_files {
            if let Some(sync) = &commit_file.sync {
                self.execute("record the sync", &sync_row(sync, commit_file))?;
            }
        }
        Ok(())
    }

    /// How a table of the attached file differs from the lake; `None` if it does not.
    ///
    /// # Errors
    /// DuckDB's error.
    pub fn compare(&mut self, table: &Table) -> Result<Option<Difference>, QueryError> {
        let name = identifier(table.name);
        let (mut ours, mut theirs) =
            (format!("memory.main.{name}"), format!("delivered.main.{name}"));
        if table.write == WriteDisposition::Append {
            ours = format!(
                "(FROM {ours} t ANTI JOIN {} l ON t.run_id = l.run_id AND t._revision < l.highest)",
                Self::LATEST
            );
        }
        let columns = self.shared_columns(&ours, &theirs)?;
        (ours, theirs) = (columns.select(&ours, true), columns.select(&theirs, false));
        let sum = |rows: &str| format!("SELECT count(*), sum(row_hash) FROM ({rows})");
        let (lake, database) = (self.rows(&sum(&ours))?, self.rows(&sum(&theirs))?);
        if lake == database {
            return Ok(None);
        }
        let count = |rows: Vec<Vec<Option<String>>>| {
            let cell = rows.into_iter().next().and_then(|row| row.into_iter().next());
            cell.flatten().and_then(|count| count.parse().ok()).unwrap_or(0)
        };
        let mut runs = Vec::new();
        if columns.has_runs {
            let by_run = |rows: &str| {
                format!(
                    "(SELECT run_id, count(*) AS n, sum(row_hash) AS h FROM ({rows}) GROUP BY ALL)"
                )
            };
            let sql = format!(
                "SELECT run_id FROM {} a FULL JOIN {} b USING (run_id) \
                 WHERE a.n IS DISTINCT FROM b.n OR a.h IS DISTINCT FROM b.h \
                 ORDER BY run_id LIMIT {NAMED_RUNS}",
                by_run(&ours),
                by_run(&theirs)
            );
            runs = self.rows(&sql)?.into_iter().flatten().flatten().collect();
        }
        Ok(Some(Difference { lake: count(lake), database: count(database), runs }))
    }

    fn shared_columns(&mut self, ours: &str, theirs: &str) -> Result<SharedColumns, QueryError> {
        let mut describe = |relation: &str| {
            let sql =
                format!("SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM {relation})");
            let rows = self.rows(&sql)?;
            let pair = |row: Vec<Option<String>>| {
                let [name, kind] = <[_; 2]>::try_from(row).ok()?;
                Some((name?, kind?))
            };
            Ok::<Vec<(String, String)>, QueryError>(rows.into_iter().filter_map(pair).collect())
        };
        let (ours, theirs) = (describe(ours)?, describe(theirs)?);
        let has_runs = theirs.iter().any(|(name, _)| name == "run_id");
        let find = |columns: &[(String, String)], name: &str| {
            columns.iter().any(|(known, _)| known == name)
        };
        let mut all = theirs.clone();
        all.extend(ours.iter().filter(|(name, _)| !find(&theirs, name)).cloned());
        all.sort();
        let columns = all.into_iter().map(|(name, kind)| {
            let (in_ours, in_theirs) = (find(&ours, &name), find(&theirs, &name));
            SharedColumn { name, kind, in_ours, in_theirs }
        });
        Ok(SharedColumns { columns: columns.collect(), has_runs })
    }

    /// The highest revision of each run in the lake that has a higher one than the first: rows of
    /// lower ones are not in the DuckDB file. Most runs have one, and need no place in memory.
    const LATEST: &'static str = "(SELECT run_id, max(_revision) AS highest FROM memory.main.runs \
                                  WHERE _revision > 1 GROUP BY run_id)";
}

/// The columns of a table in the lake and in the file. A column that only one side has counts as
/// null on the other: a user-defined column that was removed from the configuration stays in the
/// file.
struct SharedColumns {
    columns: Vec<SharedColumn>,
    has_runs: bool,
}

struct SharedColumn {
    name: String,
    kind: String,
    in_ours: bool,
    in_theirs: bool,
}

impl SharedColumns {
    /// A query for a hash of each row, and its run.
    fn select(&self, relation: &str, is_ours: bool) -> String {
        let cells = self.columns.iter().map(|column| {
            let is_there = if is_ours { column.in_ours } else { column.in_theirs };
            let name = if is_there { identifier(&column.name) } else { "NULL".to_owned() };
            format!("CAST({name} AS {})", column.kind)
        });
        let cells: Vec<String> = cells.collect();
        let run = if self.has_runs { "run_id, " } else { "" };
        format!("SELECT {run}hash({}) AS row_hash FROM {relation}", cells.join(", "))
    }
}

/// What the attached file states about its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// The lake that it was delivered from.
    pub lake_id: String,
    /// The last commit that it holds.
    pub commit: u64,
    /// That commit's staging folder: a lake that was restored can have another commit of the
    /// same number.
    pub name: String,
}

impl LakeReader {
    /// The kind (`TABLE` or `VIEW`) and the comment of a table or view of the attached file; `None`
    /// if it has neither.
    ///
    /// # Errors
    /// DuckDB's error.
    pub(crate) fn relation(&mut self, name: &str) -> Result<Option<Relation>, QueryError> {
        let rows = self.rows(&relation_query(&literal("delivered"), name))?;
        let row = rows.into_iter().next().and_then(|row| <[_; 2]>::try_from(row).ok());
        Ok(row.map(|[kind, comment]| Relation::new(&kind.unwrap_or_default(), comment)))
    }

    /// What the attached file states about its content; `None` if this program did not create it.
    ///
    /// # Errors
    /// DuckDB's error.
    pub fn delivered(&mut self) -> Result<Option<Delivered>, QueryError> {
        let is_there = format!(
            "SELECT 1 FROM duckdb_tables() WHERE database_name = {} AND table_name = {}",
            literal("delivered"),
            literal("_armature")
        );
        if self.rows(&is_there)?.is_empty() {
            return Ok(None);
        }
        let sql = "SELECT lake_id, applied_commit, applied_name FROM delivered.main._armature";
        let row = self.rows(sql)?.into_iter().next().and_then(|row| <[_; 3]>::try_from(row).ok());
        Ok(row.and_then(|[lake_id, commit, name]| {
            Some(Delivered { lake_id: lake_id?, commit: commit?.parse().ok()?, name: name? })
        }))
    }
}
