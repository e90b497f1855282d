//! The DuckDB file: open only during a delivery, and changed only if it belongs to this lake.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use duckdb::{Config, Connection};
use uuid::Uuid;

use super::documents::Documents;
use super::files::create_folder_of;
use super::holders::with_others;
use super::options::DeliveryOptions;
use crate::crash;
use crate::digest::fingerprint;
use crate::event::Event;
use crate::lake::{FORMAT_MAJOR, LakeView};
use crate::query::{
    Fault, QueryError, Relation, TablePlan, connect_to_read, identifier, literal,
    metric_view_names, metric_views, relation_query, statements_of_views,
};
use crate::tables::{DOCUMENTS, SCHEMA_VERSION};
use crate::targets::DeliverError;

/// An open DuckDB file.
#[derive(Debug)]
pub(super) struct Database {
    connection: Connection,
    path: PathBuf,
    memory_limit_mb: u64,
}

/// The last commit that was applied to a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Applied {
    /// Its number; 0 if no commit was applied.
    pub(super) commit: u64,
    /// Its staging folder, which is unique: a lake that was restored can have another commit of the
    /// same number.
    pub(super) name: String,
}

impl Database {
    /// Opens the file, or creates it; waits while another process holds it.
    ///
    /// # Errors
    /// [`QueryError::Locked`] if the wait was too long; otherwise DuckDB's error.
    pub(super) async fn open(
        options: &DeliveryOptions,
        documents: &Documents,
    ) -> Result<Self, DeliverError> {
        let file = options.file();
        create_folder_of(&file)?;
        let started = Instant::now();
        let (mut wait, mut told) = (Duration::from_millis(200), false);
        let mut memory_limit_mb = options.memory_limit_mb;
        create(&file)?;
        loop {
            let path = options.path.clone();
            let error = match connect(&file, memory_limit_mb, row_group(documents)) {
                Ok(connection) => return Ok(Self { connection, path, memory_limit_mb }),
                Err(error) => error,
            };
            let holder = match Fault::of(&error) {
                Fault::Held { holder } => holder,
                Fault::OutOfMemory => {
                    let action = "open the database";
                    let error = QueryError::duckdb(action, &path, &error);
                    memory_limit_mb = options.raise_memory(memory_limit_mb, action).ok_or(error)?;
                    continue;
                }
                _ => return Err(QueryError::duckdb("open the database", &path, &error).into()),
            };
            let waited = started.elapsed();
            if waited >= options.lock_wait {
                let holder = with_others(&holder, &file);
                return Err(QueryError::Locked { path, holder, waited }.into());
            }
            let left = options.lock_wait.saturating_sub(waited);
            if !std::mem::replace(&mut told, true) {
                let holder = holder.clone();
                options.events.emit(Event::DeliveryWaiting { holder, wait: left });
            }
            tokio::select! {
                biased;
                () = options.stopped() => {
                    return Err(QueryError::Locked { path, holder, waited }.into());
                }
                () = tokio::time::sleep(wait.min(left)) => {}
            }
            wait = (wait * 2).min(Duration::from_secs(2));
        }
    }

    /// The memory limit of DuckDB, in megabytes; higher than configured if opening the file needed
    /// more.
    pub(super) fn memory_limit_mb(&self) -> u64 {
        self.memory_limit_mb
    }

    /// Creates missing tables and columns, and returns the last commit that the file holds. The plan
    /// has `documents` only if it is to be a table.
    pub(super) fn prepare(
        &self,
        lake: &LakeView,
        plan: &TablePlan,
    ) -> Result<Applied, DeliverError> {
        let lake_id = lake.identity().map(|identity| identity.lake_id.to_string());
        let is_new = !self.table_exists("_armature")?;
        if is_new {
            for planned in &plan.tables {
                if self.table_exists(planned.table.name)? {
                    return Err(self.foreign(planned.table.name));
                }
            }
            if self.relation(DOCUMENTS.name)?.is_some() {
                return Err(self.foreign(DOCUMENTS.name));
            }
            self.create(plan, lake_id.as_deref().unwrap_or_default())?;
        }
        let sql = "SELECT lake_id, applied_commit, applied_name FROM _armature";
        let row = self.connection.query_row(sql, [], |row| {
            Ok((row.get::<_, String>(0)?, Applied { commit: row.get(1)?, name: row.get(2)? }))
        });
        let (found, applied) = row.map_err(|error| self.failed("read the state", &error))?;
        if lake_id.is_some_and(|lake_id| lake_id != found) {
            return Err(DeliverError::OtherLake { path: self.path.clone() });
        }
        if !is_new {
            self.upgrade(plan)?;
        }
        Ok(applied)
    }

    /// Refuses a file that holds another commit than when it was last read. Between two
    /// transactions the file is closed, so another delivery can have applied commits; applying them
    /// again would duplicate rows. Must run inside the transaction.
    pub(super) fn check_applied(&self, expected: &Applied) -> Result<(), DeliverError> {
        let found = self.applied()?;
        if found == *expected {
            return Ok(());
        }
        let (path, expected, found) = (self.path.clone(), expected.commit, found.commit);
        Err(DeliverError::ConcurrentUpdate { path, expected, found })
    }

    /// The last commit that the file holds.
    pub(super) fn applied(&self) -> Result<Applied, DeliverError> {
        let sql = "SELECT applied_commit, applied_name FROM _armature";
        let found = self
            .connection
            .query_row(sql, [], |row| Ok(Applied { commit: row.get(0)?, name: row.get(1)? }));
        found.map_err(|error| self.failed("read the state", &error))
    }

    fn create(&self, plan: &TablePlan, lake_id: &str) -> Result<(), DeliverError> {
        let mut sql = format!(
            "CREATE TABLE _armature (lake_id VARCHAR NOT NULL, format BIGINT NOT NULL, \
             applied_commit BIGINT NOT NULL, applied_name VARCHAR NOT NULL, \
             exporter VARCHAR NOT NULL); INSERT INTO _armature VALUES \
             ('{lake_id}', {FORMAT_MAJOR}, 0, '', 'armature-export {}');\n",
            env!("CARGO_PKG_VERSION")
        );
        for planned in &plan.tables {
            sql.push_str(&planned.create);
            sql.push_str(";\n");
            sql.push_str(&planned.comments);
        }
        sql.push_str(&state_version(SCHEMA_VERSION));
        self.check_views()?;
        self.execute("create the tables", &format!("BEGIN;\n{sql}COMMIT;"))?;
        crash::point("after_tables_are_created");
        Ok(())
    }

    /// Creates the views of the metrics if the file lacks them, or has those of another version.
    /// The [`declared_version`] is stated last: without it, the next delivery does this again.
    pub(super) fn create_views(&self) -> Result<(), DeliverError> {
        for statements in statements_of_views() {
            // Each comment makes another version of its view, and DuckDB keeps all of them until the
            // end of the transaction: those of all views are 36 MB.
            self.execute("create the views", &format!("BEGIN;\n{statements}COMMIT;"))?;
            crash::point("between_views");
        }
        self.execute("state the version", &state_version(declared_version()))
    }

    /// True if the views of the metrics are those of this version.
    pub(super) fn has_views(&self) -> Result<bool, DeliverError> {
        Ok(self.version()?.as_deref() == Some(declared_version()))
    }

    /// The version that last upgraded the file, which is the comment of the table `_armature`: that
    /// of the tables alone until the views are created, then the [`declared_version`].
    fn version(&self) -> Result<Option<String>, DeliverError> {
        let sql = "SELECT max(comment) FROM duckdb_tables() \
                   WHERE database_name = current_database() \
                   AND schema_name = 'main' AND table_name = '_armature'";
        let version = self.connection.query_row(sql, [], |row| row.get(0));
        version.map_err(|error| self.failed("read the version of the tables", &error))
    }

    /// Upgrades the tables of a file of another version, which lacks the columns that were added
    /// since. Its views are replaced after the rows of the delivery, by
    /// [`Database::create_views`]; names that they cannot have are refused before any row.
    fn upgrade(&self, plan: &TablePlan) -> Result<(), DeliverError> {
        let version = self.version()?;
        if version.as_deref() == Some(declared_version()) {
            return Ok(());
        }
        self.check_views()?;
        if version.as_deref() == Some(SCHEMA_VERSION) {
            return Ok(());
        }
        let mut sql = "BEGIN;".to_owned();
        for planned in &plan.tables {
            // `documents` is a view, or not there, until the delivery changes that.
            if planned.table.name == DOCUMENTS.name && !self.documents_are_table()? {
                continue;
            }
            let table = identifier(planned.table.name);
            let there = self.columns(&table)?;
            let missing = planned
                .columns
                .iter()
                .filter(|(name, _)| there.iter().all(|(known, _)| known != name));
            for (name, kind) in missing {
                let name = identifier(name);
                // Writing to a String cannot fail.
                let _infallible = write!(sql, "ALTER TABLE {table} ADD COLUMN {name} {kind};");
            }
        }
        sql.push_str(&state_version(SCHEMA_VERSION));
        sql.push_str("COMMIT;");
        self.execute("bring the tables to this version", &sql)
    }

    /// Refuses a file in which a name of the metrics' views is taken: by a table, which a view
    /// cannot replace, or by a view of somebody else, which would be lost. The views of this
    /// program have comments.
    fn check_views(&self) -> Result<(), DeliverError> {
        let names: Vec<String> = metric_view_names().map(literal).collect();
        let names = names.join(", ");
        let sql = format!(
            "SELECT min(name) FROM (SELECT table_name AS name FROM duckdb_tables() \
             WHERE database_name = current_database() AND schema_name = 'main' \
             UNION ALL SELECT view_name FROM duckdb_views() \
             WHERE database_name = current_database() AND schema_name = 'main' \
             AND comment IS NULL) WHERE name IN ({names})"
        );
        let taken = self.connection.query_row(&sql, [], |row| row.get::<_, Option<String>>(0));
        match taken.map_err(|error| self.failed("look for views", &error))? {
            Some(name) => Err(self.foreign(&name)),
            None => Ok(()),
        }
    }

    fn foreign(&self, name: &str) -> DeliverError {
        DeliverError::ForeignTable { path: self.path.clone(), table: name.to_owned() }
    }

    pub(super) fn execute(&self, action: &str, sql: &str) -> Result<(), DeliverError> {
        self.connection.execute_batch(sql).map_err(|error| self.failed(action, &error))
    }

    /// Runs a statement that adds or removes rows. Returns the number of rows.
    pub(super) fn change(&self, action: &str, sql: &str) -> Result<u64, DeliverError> {
        let changed = self.connection.execute(sql, []);
        let changed = changed.map_err(|error| self.failed(action, &error))?;
        Ok(u64::try_from(changed).unwrap_or(u64::MAX))
    }

    /// The names and types of a relation's columns.
    pub(super) fn columns(&self, relation: &str) -> Result<Vec<(String, String)>, DeliverError> {
        let failed = |error: duckdb::Error| self.failed("read the columns", &error);
        let sql = format!("DESCRIBE SELECT * FROM {relation}");
        let mut statement = self.connection.prepare(&sql).map_err(failed)?;
        let rows = statement
            .query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))
            .map_err(failed)?;
        rows.collect::<Result<_, _>>().map_err(failed)
    }

    /// Writes a checkpoint of DuckDB, which makes everything committed so far durable.
    pub(super) fn checkpoint(&self) -> Result<(), DeliverError> {
        self.execute("write a checkpoint", &format!("CHECKPOINT {DATABASE}"))
    }

    /// Closes the file after a checkpoint, so that no journal remains beside it.
    ///
    /// # Errors
    /// DuckDB's error.
    pub(super) fn close(self) -> Result<(), DeliverError> {
        self.checkpoint()?;
        let path = self.path;
        self.connection
            .close()
            .map_err(|(_, error)| QueryError::duckdb("close", &path, &error).into())
    }

    /// What `documents` is in the file; `None` if there is neither a table nor a view.
    ///
    /// # Errors
    /// [`DeliverError::ForeignTable`] for a view of somebody else, which has no comment.
    pub(super) fn documents(&self) -> Result<Option<Relation>, DeliverError> {
        let found = self.relation(DOCUMENTS.name)?;
        match &found {
            Some(Relation { is_view: true, comment: None }) => Err(self.foreign(DOCUMENTS.name)),
            _ => Ok(found),
        }
    }

    /// Whether `documents` is a table in the file.
    pub(super) fn documents_are_table(&self) -> Result<bool, DeliverError> {
        Ok(self.documents()?.is_some_and(|found| !found.is_view))
    }

    /// Refuses a file in which `documents` is a table although it is not to be one, or the other way
    /// round: another delivery changed that meanwhile, and rows would be lost. Must run inside the
    /// transaction.
    pub(super) fn check_documents(&self, documents: &Documents) -> Result<(), DeliverError> {
        if self.documents_are_table()? == documents.is_table() {
            return Ok(());
        }
        Err(DeliverError::DocumentsChanged { path: self.path.clone() })
    }

    /// The table or view of a name.
    fn relation(&self, name: &str) -> Result<Option<Relation>, DeliverError> {
        let failed = |error: duckdb::Error| self.failed("look for tables", &error);
        let sql = relation_query("current_database()", name);
        let mut statement = self.connection.prepare(&sql).map_err(failed)?;
        let mut rows = statement.query([]).map_err(failed)?;
        let Some(row) = rows.next().map_err(failed)? else { return Ok(None) };
        let (kind, comment) = (row.get::<_, String>(0), row.get::<_, Option<String>>(1));
        Ok(Some(Relation::new(&kind.map_err(failed)?, comment.map_err(failed)?)))
    }

    fn table_exists(&self, name: &str) -> Result<bool, DeliverError> {
        let sql = "SELECT count(*) FROM duckdb_tables() \
                   WHERE database_name = current_database() AND table_name = ?";
        let count = self.connection.query_row(sql, [name], |row| row.get::<_, i64>(0));
        count.map(|count| count > 0).map_err(|error| self.failed("look for tables", &error))
    }

    fn failed(&self, action: &str, error: &duckdb::Error) -> DeliverError {
        QueryError::duckdb(action, &self.path, error).into()
    }
}

/// The statement that states the version of the file.
fn state_version(version: &str) -> String {
    format!("COMMENT ON TABLE _armature IS {};\n", literal(version))
}

/// The version of the tables, and a fingerprint of the views: a view changes without a change of
/// the tables.
fn declared_version() -> &'static str {
    // Once in a process: the views are 90 kB of text, and the file is opened for each transaction.
    static VERSION: LazyLock<String> = LazyLock::new(|| {
        format!("{SCHEMA_VERSION}, views {:016x}", fingerprint([metric_views().as_bytes()]))
    });
    &VERSION
}

/// Opens the file without a journal: a transaction becomes durable with the next
/// [`Database::checkpoint`], completely or not at all, and every row is written once instead of
/// twice. One thread: the disk is the limit, so a second thread takes memory and gains nothing.
fn connect(file: &Path, memory_limit_mb: u64, row_group: u32) -> Result<Connection, duckdb::Error> {
    let config = Config::default()
        .max_memory(&format!("{memory_limit_mb}MB"))?
        .threads(1)?
        .with("autoinstall_known_extensions", "false")?;
    let connection = Connection::open_in_memory_with_flags(config)?;
    connection.execute_batch(&format!(
        "SET temp_directory = {}; ATTACH {} AS {DATABASE} (RECOVERY_MODE no_wal_writes, \
         ROW_GROUP_SIZE {row_group}); USE {DATABASE};",
        literal(&format!("{}.tmp", file.display())),
        literal(&file.to_string_lossy())
    ))?;
    Ok(connection)
}

/// Creates an empty database if there is no file, under a temporary name first. DuckDB creates a
/// file by truncating whatever has that name, before it takes a lock, so it would destroy a file
/// that another process created a moment earlier.
fn create(file: &Path) -> Result<(), DeliverError> {
    if file.exists() {
        return Ok(());
    }
    let mut name = file.as_os_str().to_owned();
    name.push(format!(".{}.new", Uuid::new_v4().simple()));
    let new = PathBuf::from(name);
    let created = create_empty(&new).map_err(|error| {
        let mut error = QueryError::duckdb("open the database", file, &error);
        if let QueryError::Duckdb { message, .. } = &mut error {
            // Errors show the name that the user knows.
            let (own, shown) = (new.display().to_string(), file.display().to_string());
            *message = message.replace(&own, &shown);
        }
        error
    });
    let placed = created.map_err(DeliverError::from).and_then(|()| place_new(&new, file));
    let removed = std::fs::remove_file(&new);
    placed?;
    match removed {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(DeliverError::Io { action: "remove", path: new, source })
        }
        _ => Ok(()),
    }
}

fn create_empty(file: &Path) -> Result<(), duckdb::Error> {
    let connection = Connection::open_in_memory()?;
    connection.execute_batch(&format!(
        "ATTACH {} AS {DATABASE} (STORAGE_VERSION '{STORAGE}'); DETACH {DATABASE};",
        literal(&file.to_string_lossy())
    ))
}

/// Creates a database in a folder, with the same writes and locks as a delivery, and removes it.
///
/// # Errors
/// [`DeliverError`] if a delivery would fail too.
pub fn try_folder(folder: &Path) -> Result<(), DeliverError> {
    let file = folder.join(format!(".armature-export-{}.duckdb", std::process::id()));
    let created = create_empty(&file)
        .map_err(|error| QueryError::duckdb("create a database", folder, &error).into());
    let removed = match std::fs::remove_file(&file) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(DeliverError::Io { action: "remove", path: file, source })
        }
        _ => Ok(()),
    };
    created.and(removed)
}

/// Gives a new file its final name, unless a file of that name exists by now.
#[expect(clippy::disallowed_methods, reason = "where a file system has no links")]
fn place_new(new: &Path, file: &Path) -> Result<(), DeliverError> {
    match std::fs::hard_link(new, file) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(_) if !file.exists() => std::fs::rename(new, file),
        other => other,
    }
    .map_err(|source| DeliverError::Io { action: "create", path: file.to_owned(), source })
}

/// Rows per row group. DuckDB keeps a row group in memory or in temporary files until it is full,
/// and the default of 122,880 rows of traces exceeds the memory limit. Raw documents are the largest
/// rows: without them, row groups can be twice as long, which takes less time.
fn row_group(documents: &Documents) -> u32 {
    if documents.is_table() { 10_240 } else { 20_480 }
}

/// Storage version of a new file: the first one that compresses long text, which makes the file an
/// eighth as large. DuckDB 1.2 and later read it. An existing file keeps its version.
const STORAGE: &str = "v1.2.0";

/// Name of the database while the file is attached.
const DATABASE: &str = "delivered";

/// The last commit that a DuckDB file holds, and the number of rows by table. Opens the file
/// read-only.
///
/// # Errors
/// [`DeliverError`] if this program did not create it, or it cannot be read.
pub fn inspect(path: &Path, tables: &[&str]) -> Result<(u64, Vec<(String, u64)>), DeliverError> {
    let error = |error: duckdb::Error| QueryError::duckdb("read", path, &error);
    let connection = connect_to_read(path)
        .map_err(|error| QueryError::duckdb("open the database", path, &error))?;
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, u64>(0));
    let applied = number("SELECT applied_commit FROM _armature").map_err(error)?;
    let mut rows = Vec::new();
    for table in tables {
        let count =
            number(&format!("SELECT count(*) FROM {}", identifier(table))).map_err(error)?;
        rows.push(((*table).to_owned(), count));
    }
    Ok((applied, rows))
}
