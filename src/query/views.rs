//! Views over the data files of a lake, for any DuckDB session.

use std::fmt::Write as _;

use super::metric_views::metric_views;
use super::records::{gap_values, sync_values};
use super::sql::{PlannedTable, TablePlan, identifier, read_parquet};
use crate::lake::{CommitFile, LakeError, LakeStore, LakeView, SyncRecord};
use crate::tables::{GAPS, Mapping, RUNS, SYNCS, WriteDisposition};

/// Statements that create views over the lake's files in any DuckDB session: one per table, which
/// shows only the latest revision of each run, and those of the metrics.
///
/// A view of files reads what is in the lake when it is queried. A table that has no file yet stays
/// empty until the statements are made again, because DuckDB cannot create a view of no files. The
/// rows of `_gaps`, and the newest of `_syncs`, are those of the commit log as of now.
///
/// # Errors
/// [`LakeError`] if the commit log cannot be read, or an object store cannot be asked which tables
/// have files.
pub async fn lake_views(lake: &LakeStore, mapping: &Mapping) -> Result<String, LakeError> {
    let log = CommitLog::read(lake).await?;
    let latest = format!(
        "(SELECT run_id, max(_revision) AS _revision FROM {} GROUP BY run_id)",
        files_of(lake, "runs")
    );
    let mut out = String::new();
    for planned in &TablePlan::new(mapping).tables {
        let name = planned.table.name;
        let rows = match planned.table.write {
            WriteDisposition::CommitLog => log.rows(name),
            _ if !lake.contains(name)? => Vec::new(),
            WriteDisposition::Append => {
                let files = files_of(lake, name);
                let sql =
                    "SEMI JOIN {latest} USING (run_id, _revision)".replace("{latest}", &latest);
                vec![format!("SELECT * FROM {files}\n  {sql}")]
            }
            WriteDisposition::Replace => vec![format!("SELECT * FROM {}", files_of(lake, name))],
        };
        if rows.is_empty() {
            // Writing to a String cannot fail.
            let _infallible = writeln!(out, "-- {} has no rows yet", identifier(name));
        }
        // The columns are declared first: data files of earlier versions lack those that were added
        // since, which are null then.
        let all: Vec<String> = std::iter::once(no_rows(planned)).chain(rows).collect();
        let all = all.join("\n  UNION ALL BY NAME ");
        let _infallible = writeln!(out, "CREATE OR REPLACE VIEW {} AS\n  {all};", identifier(name));
    }
    out.push('\n');
    out.push_str(&metric_views());
    Ok(out)
}

/// A query for the rows that a table `documents` beside `runs` has: those of the lake's data files
/// that belong to a run of `runs`, in its revision.
///
/// It names a pattern and not files, because merges and replays replace files. DuckDB refuses a
/// pattern that matches nothing, so the query has no rows while the lake has no such file.
///
/// # Errors
/// [`LakeError`] if the folders of the table cannot be listed.
pub(crate) fn documents_query(
    lake: &LakeStore,
    planned: &PlannedTable,
) -> Result<String, LakeError> {
    let none = no_rows(planned);
    if !has_files(lake, planned.table.name)? {
        return Ok(none);
    }
    let columns: Vec<String> = planned.columns.iter().map(|(name, _)| identifier(name)).collect();
    // The columns are named: DuckDB refuses a view whose query has other columns than when it was
    // made, as it would with data files of a later version.
    Ok(format!(
        "SELECT {} FROM ({none} UNION ALL BY NAME SELECT * FROM {}) \
         SEMI JOIN {} USING (run_id, _revision)",
        columns.join(", "),
        files_of(lake, planned.table.name),
        identifier(RUNS.name)
    ))
}

/// Whether a table that is appended to has a data file.
fn has_files(lake: &LakeStore, table: &str) -> Result<bool, LakeError> {
    let days = lake.list(table)?.into_iter().filter(|name| name.starts_with("date="));
    for day in days {
        if lake.list(&format!("{table}/{day}"))?.iter().any(|name| name.ends_with(".parquet")) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn files_of(lake: &LakeStore, table: &str) -> String {
    read_parquet(lake, [format!("{table}/**/*.parquet").as_str()])
}

/// A query with the columns of a table and no rows.
fn no_rows(planned: &PlannedTable) -> String {
    let columns = planned.columns.iter();
    let columns: Vec<String> =
        columns.map(|(name, kind)| format!("NULL::{kind} AS {}", identifier(name))).collect();
    format!("SELECT {} WHERE false", columns.join(", "))
}

/// What the commit log says about the tables that have no files.
#[derive(Debug, Default)]
struct CommitLog {
    head: Option<CommitFile>,
    /// The newest sync, with its commit.
    sync: Option<(SyncRecord, CommitFile)>,
}

/// The newest sync of a lake, with its commit.
///
/// # Errors
/// [`LakeError`] if a commit cannot be read.
pub(crate) async fn newest_sync(
    view: &LakeView,
) -> Result<Option<(SyncRecord, CommitFile)>, LakeError> {
    // Merges and replays record no sync.
    let mut commits = view.commits()?;
    while let Some(commit) = commits.pop() {
        let mut commit_file = view.commit_file(commit).await?;
        if let Some(sync) = commit_file.sync.take() {
            return Ok(Some((sync, commit_file)));
        }
    }
    Ok(None)
}

impl CommitLog {
    /// Empty if there is no lake yet.
    async fn read(lake: &LakeStore) -> Result<Self, LakeError> {
        let view = match LakeView::open(lake.clone()).await {
            Err(LakeError::Missing { .. }) => return Ok(Self::default()),
            other => other?,
        };
        let head = view.head().cloned();
        Ok(Self { head, sync: newest_sync(&view).await? })
    }

    /// The rows of a table, as queries. Of `_syncs` only the newest: a year of syncs would be
    /// megabytes of SQL.
    fn rows(&self, table: &str) -> Vec<String> {
        let query = |values: Vec<(&str, String)>| {
            let values = values.into_iter();
            let values: Vec<String> =
                values.map(|(name, value)| format!("{value} AS {}", identifier(name))).collect();
            format!("SELECT {}", values.join(", "))
        };
        let (gaps, sync) = (GAPS.name, SYNCS.name);
        if table == sync {
            let newest = self.sync.iter();
            newest.map(|(sync, commit_file)| query(sync_values(sync, commit_file))).collect()
        } else if table == gaps {
            let gaps =
                self.head.iter().flat_map(|head| head.gaps.iter().map(move |gap| (gap, head)));
            gaps.map(|(gap, head)| query(gap_values(gap, head).into())).collect()
        } else {
            Vec::new()
        }
    }
}
