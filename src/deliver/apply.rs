//! Some commits into DuckDB, in one transaction.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use super::DeliverError;
use super::database::Database;
use super::sql::{TablePlan, identifier, literal, read_parquet};
use crate::crash;
use crate::lake::{Gap, Manifest, Part, SyncRecord};

/// Applies commits that follow the last one applied.
///
/// # Errors
/// DuckDB's word; nothing of these commits is then in the file.
pub(super) fn apply(
    database: &mut Database,
    lake: &Path,
    plan: &TablePlan,
    group: &[Manifest],
) -> Result<BTreeMap<String, u64>, DeliverError> {
    database.execute("begin", "BEGIN TRANSACTION")?;
    crash::point("after_begin");
    let done = apply_all(database, lake, plan, group);
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
            // The first error is the one to tell of; closing the file rolls back in any case.
            let _rolled_back = database.execute("roll back", "ROLLBACK");
            Err(error)
        }
    }
}

fn apply_all(
    database: &Database,
    lake: &Path,
    plan: &TablePlan,
    group: &[Manifest],
) -> Result<BTreeMap<String, u64>, DeliverError> {
    let mut rows = BTreeMap::new();
    for table in plan.append_tables() {
        let parts = group.iter().flat_map(|manifest| &manifest.parts);
        let parts: Vec<&Part> = parts.filter(|part| part.table == table.name).collect();
        if !parts.is_empty() {
            insert(database, lake, table.name, &parts)?;
            rows.insert(table.name.to_owned(), parts.iter().map(|part| part.rows).sum());
        }
    }
    supersede(database, lake, plan, group)?;
    replace(database, lake, group, &mut rows)?;
    for manifest in group {
        if let Some(sync) = &manifest.sync {
            database.execute("record the sync", &sync_row(sync, manifest))?;
        }
    }
    if let Some(manifest) = group.last() {
        database.execute("record gaps", &gap_rows(&manifest.gaps, manifest))?;
        let sql = format!(
            "UPDATE _armature SET applied_commit = {}, applied_name = {}",
            manifest.commit,
            literal(&manifest.staging)
        );
        database.execute("record the commit", &sql)?;
    }
    Ok(rows)
}

fn insert(
    database: &Database,
    lake: &Path,
    table: &str,
    parts: &[&Part],
) -> Result<(), DeliverError> {
    let files = read_parquet(lake, parts.iter().map(|part| part.path.as_str()));
    add_columns(database, table, &files)?;
    let sql = format!("INSERT INTO {} BY NAME SELECT * FROM {files}", identifier(table));
    database.execute(&format!("add rows to `{table}`"), &sql)?;
    crash::point("after_rows_are_inserted");
    Ok(())
}

/// Parts can hold columns that the table lacks: the user's, or those of a newer version.
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

/// Removes rows of runs that came again at a higher revision.
fn supersede(
    database: &Database,
    lake: &Path,
    plan: &TablePlan,
    group: &[Manifest],
) -> Result<(), DeliverError> {
    let parts = group.iter().flat_map(|manifest| &manifest.parts);
    let revised: Vec<&str> = parts
        .filter(|part| part.table == "runs" && part.has_revisions)
        .map(|part| part.path.as_str())
        .collect();
    if revised.is_empty() {
        return Ok(());
    }
    let files = read_parquet(lake, revised);
    let mut sql = format!(
        "CREATE OR REPLACE TEMP TABLE superseding AS SELECT run_id, max(_revision) AS revision \
         FROM {files} WHERE _revision > 1 GROUP BY run_id;\n"
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

/// Tables that are replaced as a whole: their one file is as of the newest commit that changed it,
/// so a delivery that is late has them early, and right in the end.
fn replace(
    database: &Database,
    lake: &Path,
    group: &[Manifest],
    rows: &mut BTreeMap<String, u64>,
) -> Result<(), DeliverError> {
    let mut newest: BTreeMap<&str, &Part> = BTreeMap::new();
    for part in group.iter().flat_map(|manifest| &manifest.replaced) {
        newest.insert(&part.table, part);
    }
    for (table, part) in newest {
        database.execute("empty a table", &format!("DELETE FROM {}", identifier(table)))?;
        insert(database, lake, table, &[part])?;
        rows.insert(table.to_owned(), part.rows);
    }
    Ok(())
}

fn timestamp(microseconds: i64) -> String {
    format!("to_timestamp({microseconds}::DOUBLE / 1000000)")
}

fn system(manifest: &Manifest) -> String {
    format!("NULL, {}, {}, 1", manifest.commit, timestamp(manifest.created_at))
}

fn sync_row(sync: &SyncRecord, manifest: &Manifest) -> String {
    format!(
        "INSERT INTO _syncs VALUES ({}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {})",
        literal(&sync.sync_id),
        literal(&sync.outcome),
        timestamp(sync.started_at),
        sync.elapsed_ms,
        literal(&sync.range),
        sync.certified,
        sync.proven_until.map_or_else(|| "NULL".to_owned(), timestamp),
        sync.runs_listed,
        sync.runs_new,
        sync.runs_changed,
        sync.runs_open,
        sync.runs_failed,
        sync.requests,
        sync.bytes_received,
        system(manifest),
    )
}

fn gap_rows(gaps: &[Gap], manifest: &Manifest) -> String {
    let mut sql = "DELETE FROM _gaps;".to_owned();
    for gap in gaps {
        let _infallible = write!(
            sql,
            "INSERT INTO _gaps VALUES ({}, {}, {}, {});",
            timestamp(gap.from),
            timestamp(gap.until),
            timestamp(gap.found_at),
            system(manifest),
        );
    }
    sql
}
