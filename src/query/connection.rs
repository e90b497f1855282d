//! Connections to DuckDB that only read.

use std::path::{Path, PathBuf};

use duckdb::{AccessMode, Config, Connection};

use super::error::QueryError;
use crate::config::DuckdbSettings;

/// Options of a query.
#[derive(Clone, Debug)]
pub struct QueryOptions {
    /// Path of the DuckDB file, which can be a symbolic link: what does not fit in memory is
    /// written beside it.
    pub path: PathBuf,
    /// Memory limit of DuckDB, in megabytes; raised when DuckDB needs more.
    pub memory_limit_mb: u64,
}

impl QueryOptions {
    /// Options as configured.
    pub fn new(settings: &DuckdbSettings) -> Self {
        Self { path: settings.path.clone(), memory_limit_mb: settings.memory_limit_mb }
    }
}

/// The file that a path names after all symbolic links. A dangling link yields the file that it
/// would create.
pub(crate) fn link_target(path: &Path) -> PathBuf {
    // The limit of Linux. A longer chain fails when the file is opened.
    const MOST_LINKS: usize = 40;
    let mut file = path.to_owned();
    for _ in 0..MOST_LINKS {
        let Ok(target) = std::fs::read_link(&file) else { return file };
        file = file.parent().map(|folder| folder.join(&target)).unwrap_or(target);
    }
    path.to_owned()
}

/// Maximum memory limit in megabytes: with this much, memory is not the cause of an error.
const MOST_MEMORY_MB: u64 = 16 * 1024;

/// Four times the limit in megabytes, up to the maximum; `None` if it is at the maximum already.
pub(crate) fn more_memory(megabytes: u64) -> Option<u64> {
    (megabytes < MOST_MEMORY_MB).then(|| megabytes.saturating_mul(4).min(MOST_MEMORY_MB))
}

/// Opens a DuckDB file read-only.
pub(crate) fn connect_to_read(path: &Path) -> Result<Connection, duckdb::Error> {
    let config = Config::default().access_mode(AccessMode::ReadOnly)?;
    Connection::open_with_flags(path, config)
}

/// Runs a query on the file: column names, and every value as text, with nulls as empty text. Opens
/// the file read-only.
///
/// # Errors
/// [`QueryError`] if the file cannot be read, or DuckDB rejects the query.
pub fn query(path: &Path, sql: &str) -> Result<(Vec<String>, Vec<Vec<String>>), QueryError> {
    let error = |error: duckdb::Error| QueryError::duckdb("ask", path, &error);
    let connection = connect_to_read(path).map_err(error)?;
    let sql = format!("SELECT COLUMNS(*)::VARCHAR FROM ({sql})");
    let mut statement = connection.prepare(&sql).map_err(error)?;
    let mut rows = statement.query([]).map_err(error)?;
    let names = rows.as_ref().map(duckdb::Statement::column_names).unwrap_or_default();
    let mut table = Vec::new();
    while let Some(row) = rows.next().map_err(error)? {
        let cells = (0..names.len()).map(|column| row.get::<_, Option<String>>(column));
        let cells: Result<Vec<_>, _> = cells.collect();
        table.push(cells.map_err(error)?.into_iter().map(Option::unwrap_or_default).collect());
    }
    Ok((names, table))
}
