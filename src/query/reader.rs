//! Queries about a lake's data files and the DuckDB file, run by DuckDB. Changes neither.

use std::path::PathBuf;

use duckdb::{Config, Connection};

use super::connection::{QueryOptions, link_target, more_memory};
use super::error::QueryError;
use super::fault::Fault;
use super::sql::{PlannedTable, TablePlan, check_path, identifier, literal, read_parquet};
use crate::lake::{DataFile, LakeStore};
use crate::tables::Mapping;

/// A DuckDB in memory with a view of the data files of each table, under the table's name.
#[derive(Debug)]
pub struct LakeReader {
    connection: Connection,
    path: PathBuf,
    memory_limit_mb: u64,
}

/// What follows `FROM` for the latest revision of each run: `runs` of a [`LakeReader`] has all.
pub(crate) const LATEST_RUNS: &str = "main.runs SEMI JOIN (SELECT run_id, \
    max(_revision) AS _revision FROM main.runs GROUP BY run_id) AS latest USING (run_id, _revision)";

impl LakeReader {
    /// Opens a reader of some data files. DuckDB spills what does not fit in memory to a temporary
    /// folder beside the DuckDB file, and removes it at the end.
    ///
    /// # Errors
    /// DuckDB's error; [`QueryError::Pattern`] for a path that DuckDB would read as a pattern.
    pub fn open<'p>(
        lake: &LakeStore,
        parts: impl IntoIterator<Item = &'p DataFile>,
        mapping: &Mapping,
        options: &QueryOptions,
    ) -> Result<Self, QueryError> {
        check_path(lake)?;
        let (path, memory_limit_mb) = (options.path.clone(), options.memory_limit_mb);
        let connection =
            connect(options).map_err(|error| QueryError::duckdb("open a reader", &path, &error))?;
        let mut reader = Self { connection, path, memory_limit_mb };
        let parts: Vec<&DataFile> = parts.into_iter().collect();
        let plan = TablePlan::new(mapping);
        for planned in &plan.tables {
            let own = parts.iter().filter(|part| part.table == planned.table.name);
            let paths: Vec<&str> = own.map(|part| part.path.as_str()).collect();
            if paths.is_empty() {
                reader.execute("read the data files", &planned.create)?;
            } else {
                reader.view(planned, &read_parquet(lake, paths))?;
            }
        }
        Ok(reader)
    }

    /// Creates the view of a table. If all data files are of earlier versions, they lack the
    /// columns that were added since; these are null.
    fn view(&mut self, planned: &PlannedTable, files: &str) -> Result<(), QueryError> {
        let sql = format!("SELECT column_name FROM (DESCRIBE SELECT * FROM {files})");
        let there: Vec<String> = self.rows(&sql)?.into_iter().flatten().flatten().collect();
        let missing = planned.columns.iter().filter(|(name, _)| !there.contains(name));
        let nulls = missing.map(|(name, kind)| format!("NULL::{kind} AS {}", identifier(name)));
        let columns: Vec<String> = std::iter::once("*".to_owned()).chain(nulls).collect();
        let name = identifier(planned.table.name);
        let sql = format!("CREATE VIEW {name} AS SELECT {} FROM {files}", columns.join(", "));
        self.execute("read the data files", &sql)
    }

    /// Whether the DuckDB file exists.
    pub fn has_database(&self) -> bool {
        self.path.exists()
    }

    /// Attaches the DuckDB file, read-only, as the database `delivered`.
    ///
    /// # Errors
    /// DuckDB's error, for example if another process writes the file.
    pub fn attach(&mut self) -> Result<(), QueryError> {
        let path = literal(&self.path.to_string_lossy());
        self.execute("open the database", &format!("ATTACH {path} AS delivered (READ_ONLY)"))
    }

    /// Runs statements that create temporary views or tables of the reader.
    ///
    /// # Errors
    /// DuckDB's error.
    pub fn execute(&mut self, action: &str, sql: &str) -> Result<(), QueryError> {
        self.with_room(action, |connection| connection.execute_batch(sql))
    }

    /// Creates a table of the reader with the columns `id` and `number`.
    ///
    /// # Errors
    /// DuckDB's error.
    pub fn load<'r>(
        &mut self,
        table: &str,
        rows: impl IntoIterator<Item = (&'r str, i64)>,
    ) -> Result<(), QueryError> {
        let name = identifier(table);
        self.execute("load", &format!("CREATE TABLE {name} (id VARCHAR, number BIGINT)"))?;
        let append = || {
            let mut appender = self.connection.appender(table)?;
            for (id, number) in rows {
                appender.append_row(duckdb::params![id, number])?;
            }
            appender.flush()
        };
        append().map_err(|error| QueryError::duckdb("load", &self.path, &error))
    }

    /// The rows of a query, every value as text.
    ///
    /// # Errors
    /// DuckDB's error.
    pub fn rows(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>, QueryError> {
        self.with_room("ask", |connection| ask(connection, sql))
    }

    /// Runs an operation, and repeats it with a higher limit if DuckDB runs out of memory.
    fn with_room<T>(
        &mut self,
        action: &str,
        work: impl Fn(&Connection) -> Result<T, duckdb::Error>,
    ) -> Result<T, QueryError> {
        loop {
            let done = work(&self.connection);
            let more = done.as_ref().err().filter(|error| Fault::of(error) == Fault::OutOfMemory);
            let Some(megabytes) = more.and_then(|_| more_memory(self.memory_limit_mb)) else {
                return done.map_err(|error| QueryError::duckdb(action, &self.path, &error));
            };
            self.memory_limit_mb = megabytes;
            let sql = format!("SET memory_limit = '{megabytes}MB'");
            let taken = self.connection.execute_batch(&sql);
            taken.map_err(|error| QueryError::duckdb("take more memory", &self.path, &error))?;
        }
    }
}

fn ask(connection: &Connection, sql: &str) -> Result<Vec<Vec<Option<String>>>, duckdb::Error> {
    let sql = format!("SELECT COLUMNS(*)::VARCHAR FROM ({sql})");
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query([])?;
    let columns = rows.as_ref().map_or(0, duckdb::Statement::column_count);
    let mut table = Vec::new();
    while let Some(row) = rows.next()? {
        table.push((0..columns).map(|column| row.get(column)).collect::<Result<_, _>>()?);
    }
    Ok(table)
}

fn connect(options: &QueryOptions) -> Result<Connection, duckdb::Error> {
    let config = Config::default()
        .max_memory(&format!("{}MB", options.memory_limit_mb))?
        .threads(1)?
        .with("autoinstall_known_extensions", "false")?
        .with("preserve_insertion_order", "false")?
        // What DuckDB would keep of the data files, the operating system keeps anyway: without
        // it, a comparison of a hundred thousand runs takes 20 MB less, and no longer.
        .with("enable_external_file_cache", "false")?;
    let connection = Connection::open_in_memory_with_flags(config)?;
    let scratch = format!("{}.{}.tmp", link_target(&options.path).display(), std::process::id());
    connection.execute_batch(&format!("SET temp_directory = {}", literal(&scratch)))?;
    Ok(connection)
}
