//! Loads the rows of some commits into DuckDB: a bulk load from their data files, in one transaction.
//! A delivery is idempotent: the number of the last commit is stored with the rows.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::database::{Applied, Database};
use super::documents::Documents;
use crate::crash;
use crate::lake::{CommitFile, DataFile, LakeView, LocalCopy};
use crate::query::{TablePlan, gap_rows, identifier, literal, read_parquet, sync_row};
use crate::tables::{DOCUMENTS, RUNS};
use crate::targets::DeliverError;

/// The work of one transaction.
#[derive(Debug)]
pub(super) enum DeliveryStep {
    /// Commits that directly follow the last one applied.
    Commits {
        /// The commits, in order.
        commit_files: Vec<CommitFile>,
        /// Whether merged data files were applied first, with rows of later commits than these.
        after_merged: bool,
    },
    /// Merged data files: their rows are added if they are missing. The number of the last commit
    /// stays the same, so that the step can be repeated.
    Merged(Vec<DataFile>),
    /// `documents` becomes what it is to be. A table gets its rows from these data files. The number
    /// of the last commit stays the same.
    Documents(Vec<DataFile>),
}

impl DeliveryStep {
    /// The commit that the file holds after the step; `None` if it stays the same.
    pub(super) fn ends_at(&self) -> Option<Applied> {
        let Self::Commits { commit_files, .. } = self else { return None };
        let last = commit_files.last()?;
        Some(Applied { commit: last.commit, name: last.staging.clone() })
    }

    /// The data files that the step reads.
    fn parts(&self) -> impl Iterator<Item = &DataFile> {
        let (commit_files, merged): (&[CommitFile], &[DataFile]) = match self {
            Self::Commits { commit_files, .. } => (commit_files, &[]),
            Self::Merged(parts) | Self::Documents(parts) => (&[], parts),
        };
        commit_files.iter().flat_map(CommitFile::all_parts).chain(merged)
    }

    /// The rows that the step adds, by table, as its commits state them.
    pub(super) fn rows(&self, plan: &TablePlan) -> BTreeMap<String, u64> {
        let Self::Commits { commit_files, .. } = self else { return BTreeMap::new() };
        let mut rows = BTreeMap::new();
        for part in commit_files.iter().flat_map(|commit_file| &commit_file.parts) {
            if plan.append_tables().any(|table| table.name == part.table) {
                *rows.entry(part.table.clone()).or_default() += part.rows;
            }
        }
        for part in commit_files.iter().flat_map(|commit_file| &commit_file.replaced) {
            rows.insert(part.table.clone(), part.rows);
        }
        rows
    }
}

/// Applies a step. Returns the rows that were added, by table. The number of the last commit is
/// stored in the same transaction as the rows, so that a delivery can be interrupted or repeated.
///
/// # Errors
/// DuckDB's error; the file then holds nothing of the step.
pub(super) fn apply(
    database: &Database,
    lake: &LakeView,
    plan: &TablePlan,
    documents: &Documents,
    step: &DeliveryStep,
    expected: &Applied,
) -> Result<BTreeMap<String, u64>, DeliverError> {
    // Local copies stay until the rows are in the file.
    let _copies = fetch(lake, step)?;
    database.execute("begin", "BEGIN TRANSACTION")?;
    crash::point("after_begin");
    let done = database.check_applied(expected).and_then(|()| match step {
        DeliveryStep::Commits { commit_files, after_merged } => {
            database.check_documents(documents)?;
            apply_all(database, lake, plan, commit_files, *after_merged)
        }
        DeliveryStep::Merged(parts) => {
            database.check_documents(documents)?;
            apply_merged(database, lake, plan, parts)
        }
        DeliveryStep::Documents(parts) => change_documents(database, lake, documents, parts),
    });
    match done {
        Ok(rows) => {
            crash::point("before_commit");
            database.execute("commit", "COMMIT")?;
            crash::point("after_commit");
            database.checkpoint()?;
            crash::point("after_checkpoint");
            Ok(rows)
        }
        Err(error) => {
            // Report the first error; closing the file rolls back in any case.
            let _rolled_back = database.execute("roll back", "ROLLBACK");
            Err(error)
        }
    }
}

/// Makes the data files of a step readable for DuckDB. Rejects those that changed after they were
/// written: a changed Parquet file can still be readable, and its rows would be wrong.
fn fetch(lake: &LakeView, step: &DeliveryStep) -> Result<Vec<LocalCopy>, DeliverError> {
    let mut copies = Vec::new();
    for part in step.parts() {
        // If it is not there, a merge may be moving it: DuckDB's statement reports it if it stays
        // missing.
        copies.extend(lake.store().fetch(part)?);
    }
    Ok(copies)
}

/// Adds the rows of merged data files whose run is missing in that revision. A run's rows are added
/// to all tables in one transaction: if the run is missing, all of its rows are.
fn apply_merged(
    database: &Database,
    lake: &LakeView,
    plan: &TablePlan,
    parts: &[DataFile],
) -> Result<BTreeMap<String, u64>, DeliverError> {
    let of =
        |table: &str| -> Vec<&DataFile> { parts.iter().filter(|p| p.table == table).collect() };
    let mut rows = BTreeMap::new();
    let runs = of(RUNS.name);
    if runs.is_empty() {
        return Ok(rows);
    }
    let sql = format!(
        "CREATE OR REPLACE TEMP TABLE absent AS SELECT run_id, _revision FROM {} \
         ANTI JOIN {} USING (run_id, _revision)",
        read_parts(lake, &runs),
        identifier(RUNS.name)
    );
    database.execute("look for absent runs", &sql)?;
    for table in plan.append_tables() {
        let parts = of(table.name);
        if !parts.is_empty() {
            let files = read_parts(lake, &parts);
            add_columns(database, table.name, &files)?;
            let sql = format!(
                "INSERT INTO {} BY NAME SELECT * FROM {files} SEMI JOIN absent \
                 USING (run_id, _revision)",
                identifier(table.name)
            );
            let count = database.change(&format!("add rows to `{}`", table.name), &sql)?;
            rows.insert(table.name.to_owned(), count);
        }
    }
    database.execute("forget the absent runs", "DROP TABLE absent")?;
    supersede(database, lake, plan, &[], true)?;
    Ok(rows)
}

/// Makes `documents` what it is to be. A table gets the rows of all runs that the file has, in their
/// revision: of commits that the file does not have yet, the rows come with the commit.
fn change_documents(
    database: &Database,
    lake: &LakeView,
    documents: &Documents,
    parts: &[DataFile],
) -> Result<BTreeMap<String, u64>, DeliverError> {
    let (mut rows, name) = (BTreeMap::new(), identifier(DOCUMENTS.name));
    let found = database.documents()?;
    if documents.is(found.as_ref()) {
        // An earlier attempt was committed although it failed.
        return Ok(rows);
    }
    if let Some(found) = found {
        let kind = if found.is_view { "VIEW" } else { "TABLE" };
        database.execute("remove `documents`", &format!("DROP {kind} {name}"))?;
    }
    database.execute("create `documents`", &documents.statements())?;
    if documents.is_table() {
        let mut added = 0;
        for parts in statements(&parts.iter().collect::<Vec<_>>()) {
            let files = read_parts(lake, parts);
            add_columns(database, DOCUMENTS.name, &files)?;
            let sql = format!(
                "INSERT INTO {name} BY NAME SELECT * FROM {files} SEMI JOIN {} \
                 USING (run_id, _revision)",
                identifier(RUNS.name)
            );
            added += database.change("add rows to `documents`", &sql)?;
            crash::point("after_rows_are_inserted");
        }
        rows.insert(DOCUMENTS.name.to_owned(), added);
    }
    Ok(rows)
}

fn apply_all(
    database: &Database,
    lake: &LakeView,
    plan: &TablePlan,
    group: &[CommitFile],
    after_merged: bool,
) -> Result<BTreeMap<String, u64>, DeliverError> {
    let mut rows = BTreeMap::new();
    for table in plan.append_tables() {
        let parts = group.iter().flat_map(|commit_file| &commit_file.parts);
        let parts: Vec<&DataFile> = parts.filter(|part| part.table == table.name).collect();
        if !parts.is_empty() {
            for parts in statements(&parts) {
                insert(database, lake, table.name, parts)?;
            }
            rows.insert(table.name.to_owned(), parts.iter().map(|part| part.rows).sum());
        }
    }
    supersede(database, lake, plan, group, after_merged)?;
    replace(database, lake, group, &mut rows)?;
    for commit_file in group {
        if let Some(sync) = &commit_file.sync {
            database.execute("record the sync", &sync_row(sync, commit_file))?;
        }
    }
    if let Some(commit_file) = group.last() {
        database.execute("record gaps", &gap_rows(&commit_file.gaps, commit_file))?;
        let sql = format!(
            "UPDATE _armature SET applied_commit = {}, applied_name = {}",
            commit_file.commit,
            literal(&commit_file.staging)
        );
        database.execute("record the commit", &sql)?;
    }
    Ok(rows)
}

/// Splits data files into statements: a statement opens all of its files at once.
fn statements<'p>(parts: &'p [&'p DataFile]) -> impl Iterator<Item = &'p [&'p DataFile]> {
    const STATEMENT_BYTES: u64 = 256 * 1024 * 1024;
    const STATEMENT_PARTS: usize = 512;
    let mut rest = parts;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = |part: &&&DataFile| {
            bytes += part.bytes;
            bytes <= STATEMENT_BYTES
        };
        let count = rest.iter().take(STATEMENT_PARTS).take_while(fits).count().max(1);
        let (statement, others) = rest.split_at_checked(count)?;
        rest = others;
        Some(statement)
    })
}

/// Inserts the rows of data files into a DuckDB table: `INSERT … SELECT` from Parquet, no appender.
fn insert(
    database: &Database,
    lake: &LakeView,
    table: &str,
    parts: &[&DataFile],
) -> Result<(), DeliverError> {
    let files = read_parts(lake, parts);
    add_columns(database, table, &files)?;
    let sql = format!("INSERT INTO {} BY NAME SELECT * FROM {files}", identifier(table));
    database.execute(&format!("add rows to `{table}`"), &sql)?;
    crash::point("after_rows_are_inserted");
    Ok(())
}

/// A `read_parquet` call over data files at their current paths.
fn read_parts(lake: &LakeView, parts: &[&DataFile]) -> String {
    read_parquet(lake.store(), parts.iter().map(|part| part.path.as_str()))
}

/// Schema evolution: adds columns that the data files have and the table lacks, user-defined ones or
/// those of a newer version.
fn add_columns(database: &Database, table: &str, files: &str) -> Result<(), DeliverError> {
    let own = database.columns(&identifier(table))?;
    for (name, kind) in database.columns(files)? {
        if !own.iter().any(|(known, _)| *known == name) {
            let (table, name) = (identifier(table), identifier(&name));
            let sql = format!("ALTER TABLE {table} ADD COLUMN {name} {kind}");
            database.execute("add a column", &sql)?;
        }
    }
    Ok(())
}

/// The second half of the upsert, which deduplicates: removes rows of runs that have a higher
/// revision. All of `runs` is searched if data files take the place of others, or if merged data files
/// were applied first: both can hold older revisions of runs whose latest one is in another file.
fn supersede(
    database: &Database,
    lake: &LakeView,
    plan: &TablePlan,
    group: &[CommitFile],
    after_merged: bool,
) -> Result<(), DeliverError> {
    let parts = group.iter().flat_map(|commit_file| &commit_file.parts);
    let looks_at_all = after_merged || parts.clone().any(|part| part.replaces.is_some());
    let revised: Vec<&DataFile> =
        parts.filter(|part| part.table == RUNS.name && part.has_revisions).collect();
    let source = match (looks_at_all, revised.is_empty()) {
        (true, _) => identifier(RUNS.name),
        (false, false) => read_parts(lake, &revised),
        (false, true) => return Ok(()),
    };
    let mut sql = format!(
        "CREATE OR REPLACE TEMP TABLE superseding AS SELECT run_id, max(_revision) AS revision \
         FROM {source} WHERE _revision > 1 GROUP BY run_id;\n"
    );
    for table in plan.append_tables() {
        let name = identifier(table.name);
        // Writing to a String cannot fail.
        let _infallible = writeln!(
            sql,
            "DELETE FROM {name} USING superseding WHERE {name}.run_id = superseding.run_id AND \
             {name}._revision < superseding.revision;"
        );
    }
    sql.push_str("DROP TABLE superseding;");
    database.execute("replace earlier revisions", &sql)
}

/// Replaces tables that are replaced as a whole. A late delivery reads only the newest data file of
/// each, so their rows are older for a while, and the right ones at the end.
fn replace(
    database: &Database,
    lake: &LakeView,
    group: &[CommitFile],
    rows: &mut BTreeMap<String, u64>,
) -> Result<(), DeliverError> {
    let mut newest: BTreeMap<&str, &DataFile> = BTreeMap::new();
    for part in group.iter().flat_map(|commit_file| &commit_file.replaced) {
        newest.insert(&part.table, part);
    }
    for (table, part) in newest {
        database.execute("empty a table", &format!("DELETE FROM {}", identifier(table)))?;
        insert(database, lake, table, &[part])?;
        rows.insert(table.to_owned(), part.rows);
    }
    Ok(())
}
