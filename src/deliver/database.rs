//! The DuckDB file: opened for the moment of applying, and only if it is ours.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use duckdb::{AccessMode, Config, Connection};
use uuid::Uuid;

use super::fault::Fault;
use super::sql::{TablePlan, identifier, literal};
use super::views::views;
use super::{DeliverError, DeliveryOptions};
use crate::crash;
use crate::event::Event;
use crate::lake::{FORMAT_MAJOR, LakeView};
use crate::tables::SCHEMA_VERSION;

/// An open DuckDB file.
#[derive(Debug)]
pub(super) struct Database {
    connection: Connection,
    path: PathBuf,
    memory_limit_mb: u64,
}

/// The last commit that a file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Applied {
    /// Its number; 0 for none.
    pub(super) commit: u64,
    /// Its name: a lake that was restored can have another commit of the same number.
    pub(super) name: String,
}

/// Beyond this, memory is not the trouble.
const MOST_MEMORY_MB: u64 = 16 * 1024;

impl Database {
    /// Opens the file, or makes it; waits while another process holds it.
    ///
    /// # Errors
    /// [`DeliverError::Locked`] where the wait was too long; otherwise DuckDB's error.
    pub(super) async fn open(options: &DeliveryOptions) -> Result<Self, DeliverError> {
        let file = options.file();
        if let Some(parent) = file.parent().filter(|p| !p.as_os_str().is_empty()) {
            let make = std::fs::create_dir_all(parent);
            make.map_err(|source| DeliverError::Io {
                action: "create the folder",
                path: parent.to_owned(),
                source,
            })?;
        }
        let started = Instant::now();
        let (mut wait, mut told) = (Duration::from_millis(200), false);
        let mut memory_limit_mb = options.memory_limit_mb;
        create(&file)?;
        loop {
            let path = options.path.clone();
            let error = match connect(&file, memory_limit_mb) {
                Ok(connection) => return Ok(Self { connection, path, memory_limit_mb }),
                Err(error) => error,
            };
            let holder = match Fault::of(&error) {
                Fault::Held { holder } => holder,
                Fault::OutOfMemory => {
                    let action = "open the database";
                    let error = DeliverError::duckdb(action, &path, &error);
                    memory_limit_mb = options.raise_memory(memory_limit_mb, action).ok_or(error)?;
                    continue;
                }
                _ => return Err(DeliverError::duckdb("open the database", &path, &error)),
            };
            let waited = started.elapsed();
            if waited >= options.lock_wait {
                return Err(DeliverError::Locked { path, holder, waited });
            }
            let left = options.lock_wait.saturating_sub(waited);
            if !std::mem::replace(&mut told, true) {
                let holder = holder.clone();
                options.events.emit(Event::DeliveryWaiting { holder, wait: left });
            }
            tokio::select! {
                biased;
                () = options.stopped() => {
                    return Err(DeliverError::Locked { path, holder, waited });
                }
                () = tokio::time::sleep(wait.min(left)) => {}
            }
            wait = (wait * 2).min(Duration::from_secs(2));
        }
    }

    /// What DuckDB may take, in megabytes.
    pub(super) fn memory_limit_mb(&self) -> u64 {
        self.memory_limit_mb
    }

    /// Makes what is missing, and tells the last commit that the file holds.
    pub(super) fn prepare(
        &self,
        lake: &LakeView,
        plan: &TablePlan,
    ) -> Result<Applied, DeliverError> {
        let lake_id = lake.identity().map(|identity| identity.lake_id.to_string());
        let known = self.table_exists("_armature")?;
        if !known {
            for planned in &plan.tables {
                if self.table_exists(planned.table.name)? {
                    let table = planned.table.name.to_owned();
                    return Err(DeliverError::NotOurs { path: self.path.clone(), table });
                }
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
        self.upgrade(plan)?;
        Ok(applied)
    }

    /// Refuses a file that holds another commit than it did when it was looked at: between two
    /// transactions it is let go of, and another delivery can have been there.
    pub(super) fn check_applied(&self, expected: &Applied) -> Result<(), DeliverError> {
        let found = self.applied()?;
        if found == *expected {
            return Ok(());
        }
        let (path, expected, found) = (self.path.clone(), expected.commit, found.commit);
        Err(DeliverError::Overtaken { path, expected, found })
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
            "BEGIN; CREATE TABLE _armature (lake_id VARCHAR NOT NULL, format BIGINT NOT NULL, \
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
        sql.push_str(&views());
        let version = literal(SCHEMA_VERSION);
        // Writing to a String cannot fail.
        let _infallible = write!(sql, "COMMENT ON TABLE _armature IS {version}; COMMIT;");
        self.execute("create the tables", &sql)?;
        crash::point("after_tables_are_created");
        Ok(())
    }

    /// A file that an older version made lacks the columns that were added since, and has views
    /// that say other things. The version that last saw to it is the comment of `_armature`.
    fn upgrade(&self, plan: &TablePlan) -> Result<(), DeliverError> {
        let sql = "SELECT count(*) FROM duckdb_tables() WHERE database_name = current_database() \
                   AND schema_name = 'main' AND table_name = '_armature' AND comment = ?";
        let current = self.connection.query_row(sql, [SCHEMA_VERSION], |row| row.get::<_, u64>(0));
        if current.map_err(|error| self.failed("read the version of the tables", &error))? > 0 {
            return Ok(());
        }
        let mut sql = "BEGIN;".to_owned();
        for planned in &plan.tables {
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
        sql.push_str(&views());
        // Writing to a String cannot fail.
        let version = literal(SCHEMA_VERSION);
        let _infallible = write!(sql, "COMMENT ON TABLE _armature IS {version}; COMMIT;");
        self.execute("bring the tables to this version", &sql)
    }

    pub(super) fn execute(&self, action: &str, sql: &str) -> Result<(), DeliverError> {
        self.connection.execute_batch(sql).map_err(|error| self.failed(action, &error))
    }

    /// Runs a statement that adds or removes rows: how many.
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

    /// Makes everything committed so far durable.
    pub(super) fn checkpoint(&self) -> Result<(), DeliverError> {
        self.execute("write a checkpoint", &format!("CHECKPOINT {DATABASE}"))
    }

    /// Lets go of the file, with everything in it and no journal beside it.
    ///
    /// # Errors
    /// DuckDB's word.
    pub(super) fn close(self) -> Result<(), DeliverError> {
        self.checkpoint()?;
        let path = self.path;
        self.connection.close().map_err(|(_, error)| DeliverError::duckdb("close", &path, &error))
    }

    fn table_exists(&self, name: &str) -> Result<bool, DeliverError> {
        let sql = "SELECT count(*) FROM duckdb_tables() \
                   WHERE database_name = current_database() AND table_name = ?";
        let count = self.connection.query_row(sql, [name], |row| row.get::<_, i64>(0));
        count.map(|count| count > 0).map_err(|error| self.failed("look for tables", &error))
    }

    fn failed(&self, action: &str, error: &duckdb::Error) -> DeliverError {
        DeliverError::duckdb(action, &self.path, error)
    }
}

/// Opens the file without a journal: a transaction is then durable with the checkpoint that
/// [`Database::checkpoint`] makes, whole or not at all, and every row is written once instead of
/// twice.
/// One thread: a second one takes memory and gains nothing, as the disk is the limit.
fn connect(file: &Path, memory_limit_mb: u64) -> Result<Connection, duckdb::Error> {
    let config = Config::default()
        .max_memory(&format!("{memory_limit_mb}MB"))?
        .threads(1)?
        .with("autoinstall_known_extensions", "false")?;
    let connection = Connection::open_in_memory_with_flags(config)?;
    connection.execute_batch(&format!(
        "SET temp_directory = {}; ATTACH {} AS {DATABASE} (RECOVERY_MODE no_wal_writes, \
         ROW_GROUP_SIZE {ROW_GROUP}); USE {DATABASE};",
        literal(&format!("{}.tmp", file.display())),
        literal(&file.to_string_lossy())
    ))?;
    Ok(connection)
}

/// Makes an empty database if there is no file, under another name first: DuckDB creates a file by
/// emptying whatever has the name by then, before it looks for a lock, and so would destroy one that
/// another process created a moment earlier.
fn create(file: &Path) -> Result<(), DeliverError> {
    if file.exists() {
        return Ok(());
    }
    let mut name = file.as_os_str().to_owned();
    name.push(format!(".{}.new", Uuid::new_v4().simple()));
    let new = PathBuf::from(name);
    let created = create_empty(&new).map_err(|error| {
        let mut error = DeliverError::duckdb("open the database", file, &error);
        if let DeliverError::Duckdb { message, .. } = &mut error {
            // People know the file by its own name.
            let (own, shown) = (new.display().to_string(), file.display().to_string());
            *message = message.replace(&own, &shown);
        }
        error
    });
    let placed = created.and_then(|()| place_new(&new, file));
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

/// Makes a database in a folder, which writes and locks as a delivery does, and leaves nothing behind.
///
/// # Errors
/// [`DeliverError`] where a delivery would fail too.
pub fn try_folder(folder: &Path) -> Result<(), DeliverError> {
    let file = folder.join(format!(".armature-export-{}.duckdb", std::process::id()));
    let created = create_empty(&file)
        .map_err(|error| DeliverError::duckdb("create a database", folder, &error));
    let removed = match std::fs::remove_file(&file) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(DeliverError::Io { action: "remove", path: file, source })
        }
        _ => Ok(()),
    };
    created.and(removed)
}

/// Gives a new file its name, unless there is a file of that name by now.
#[expect(clippy::disallowed_methods, reason = "where a file system has no links")]
fn place_new(new: &Path, file: &Path) -> Result<(), DeliverError> {
    match std::fs::hard_link(new, file) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(_) if !file.exists() => std::fs::rename(new, file),
        other => other,
    }
    .map_err(|source| DeliverError::Io { action: "create", path: file.to_owned(), source })
}

pub(super) fn connect_to_read(path: &Path) -> Result<Connection, duckdb::Error> {
    let config = Config::default().access_mode(AccessMode::ReadOnly)?;
    Connection::open_with_flags(path, config)
}

/// Rows that DuckDB keeps together. A group is written once it is full, and waits in memory or in
/// temporary files until then: its usual 122,880 rows of traces are more than the memory limit.
const ROW_GROUP: u32 = 10_240;

/// The format of a new file: the first that compresses long text, which makes the file an eighth as
/// large. DuckDB 1.2 and later read it. A file that is there keeps the version that it has.
const STORAGE: &str = "v1.2.0";

/// What the file is called while it is attached.
const DATABASE: &str = "delivered";

/// Four times as much; `None` where it is a lot already.
pub(super) fn more_memory(megabytes: u64) -> Option<u64> {
    (megabytes < MOST_MEMORY_MB).then(|| megabytes.saturating_mul(4).min(MOST_MEMORY_MB))
}

/// What a DuckDB file holds: the last commit applied, and rows by table. Opened for reading.
///
/// # Errors
/// [`DeliverError`] where it is not ours, or cannot be read.
pub fn inspect(path: &Path, tables: &[&str]) -> Result<(u64, Vec<(String, u64)>), DeliverError> {
    let error = |error: duckdb::Error| DeliverError::duckdb("read", path, &error);
    let connection = connect_to_read(path)
        .map_err(|error| DeliverError::duckdb("open the database", path, &error))?;
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

/// Asks the file a question; every value as text, nulls as nothing. Opened for reading.
///
/// # Errors
/// [`DeliverError`] where the file cannot be read, or DuckDB does not understand.
pub fn query(path: &Path, sql: &str) -> Result<(Vec<String>, Vec<Vec<String>>), DeliverError> {
    let error = |error: duckdb::Error| DeliverError::duckdb("ask", path, &error);
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
