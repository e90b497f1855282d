//! The meaning of DuckDB errors.
//!
//! DuckDB's C API returns no error code for a failed statement, only a message. A message starts
//! with the name of its exception type ("Out of Memory Error: …"); but a failed COMMIT or CHECKPOINT
//! wraps the message of its cause in another type, and all file errors have the one type "IO Error".
//! Lock messages and the type "Out of Memory Error" are therefore checked first, then the phrases
//! below (those of DuckDB 1.5), and the other types last. No other module examines a message.

/// The meaning of a DuckDB error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Another process, or another connection of this one, holds the file.
    Held {
        /// The holder, such as `/usr/bin/python3 (PID 12)`.
        holder: String,
    },
    /// The file system cannot lock files.
    CannotLock,
    /// DuckDB needs more memory, or more temporary files, than it may have.
    OutOfMemory,
    /// A file that a statement names does not exist.
    FileMissing,
    /// The file exists and is not a DuckDB database.
    NotADatabase,
    /// The file is a DuckDB database and is damaged.
    Corrupt,
    /// The file system refused to write: full, read-only, or not permitted.
    NotWritable,
    /// Anything else.
    Other,
}

/// Phrases of messages that have one meaning, whatever their type. The first match counts.
const PHRASES: &[(&str, Fault)] = &[
    ("failed to pin block", Fault::OutOfMemory),
    ("could not allocate block", Fault::OutOfMemory),
    ("failed to allocate", Fault::OutOfMemory),
    ("failed to re-allocate block", Fault::OutOfMemory),
    ("failed to reserve memory", Fault::OutOfMemory),
    ("failed to resize block", Fault::OutOfMemory),
    ("failed to offload data block", Fault::OutOfMemory),
    ("max_temp_directory_size", Fault::OutOfMemory),
    ("not enough memory", Fault::OutOfMemory),
    ("out of memory", Fault::OutOfMemory),
    ("bad allocation", Fault::OutOfMemory),
    ("bad_alloc", Fault::OutOfMemory),
    ("no space left", Fault::NotWritable),
    ("disk quota exceeded", Fault::NotWritable),
    ("file too large", Fault::NotWritable),
    ("permission denied", Fault::NotWritable),
    ("operation not permitted", Fault::NotWritable),
    ("read-only file system", Fault::NotWritable),
    ("is not a valid duckdb database file", Fault::NotADatabase),
    ("corrupt", Fault::Corrupt),
    ("could not read enough bytes", Fault::Corrupt),
    ("no such file", Fault::FileMissing),
    ("no files found", Fault::FileMissing),
];

/// Exception types that have one meaning. DuckDB raises `INTERNAL` and `Serialization` errors for
/// bytes that pass their checksum and are not valid.
const TYPES: &[(&str, Fault)] = &[
    ("Out of Memory Error", Fault::OutOfMemory),
    ("Serialization Error", Fault::Corrupt),
    ("INTERNAL Error", Fault::Corrupt),
];

impl Fault {
    /// The meaning of an error.
    pub(crate) fn of(error: &duckdb::Error) -> Self {
        Self::of_message(&error.to_string())
    }

    fn of_message(message: &str) -> Self {
        if let Some(fault) = lock_fault(message) {
            return fault;
        }
        let typed = TYPES.iter().find(|(name, _)| message.starts_with(name));
        if let Some((_, fault)) = typed.filter(|(_, fault)| *fault == Self::OutOfMemory) {
            return fault.clone();
        }
        let words = without_quoted(message).to_lowercase();
        let phrase = PHRASES.iter().find(|(phrase, _)| words.contains(phrase));
        phrase.or(typed).map_or(Self::Other, |(_, fault)| fault.clone())
    }
}

/// A message without text in double quotes: file names and values, which can contain any words.
fn without_quoted(message: &str) -> String {
    message.split('"').step_by(2).collect::<Vec<_>>().join("\"\"")
}

/// The fault if a lock could not be taken. PID 0 is not a holder: DuckDB names it if the file
/// system refused the lock and no holder is known.
fn lock_fault(message: &str) -> Option<Fault> {
    const OWN: [&str; 3] = [
        "Lock is already held in current process",
        "Unique file handle conflict",
        "a different configuration than existing connections",
    ];
    if OWN.iter().any(|phrase| message.contains(phrase)) {
        return Some(Fault::Held { holder: "this process".to_owned() });
    }
    if !message.contains("Could not set lock on file") {
        return None;
    }
    let named = message.split_once("Conflicting lock is held in ").map(|(_, rest)| rest);
    let named = named.and_then(|rest| rest.split_once(')')).map(|(holder, _)| format!("{holder})"));
    Some(match named {
        Some(holder) if !holder.ends_with("(PID 0)") => Fault::Held { holder },
        _ => Fault::CannotLock,
    })
}

#[cfg(test)]
mod tests {
    use duckdb::{AccessMode, Config, Connection};

    use super::*;

    fn open(path: &std::path::Path) -> Result<Connection, duckdb::Error> {
        let config = Config::default().access_mode(AccessMode::ReadOnly)?;
        let connection = Connection::open_with_flags(path, config)?;
        connection.query_row("SELECT sum(length(text)) FROM rows", [], |_| Ok(()))?;
        Ok(connection)
    }

    /// A file of a few hundred kilobytes.
    fn database(folder: &std::path::Path) -> std::path::PathBuf {
        let path = folder.join("a.duckdb");
        let connection = Connection::open(&path).unwrap();
        let sql = "CREATE TABLE rows AS SELECT md5(range::VARCHAR) AS text FROM range(20000)";
        connection.execute_batch(sql).unwrap();
        connection.close().unwrap();
        path
    }

    #[test]
    fn damage_is_told_from_other_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = database(folder.path());
        let whole = std::fs::read(&path).unwrap();
        let fault = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            Fault::of(&open(&path).unwrap_err())
        };
        for length in [100, 4096, 12_288, whole.len() / 2] {
            assert_eq!(fault(&whole[..length]), Fault::Corrupt, "cut to {length} bytes");
        }
        for place in [20, 4096, 4100, 12_400] {
            let mut changed = whole.clone();
            for byte in &mut changed[place..place + 8] {
                *byte ^= 0x5a;
            }
            // DuckDB has two headers: if the one that is not current is damaged, nothing is lost.
            std::fs::write(&path, &changed).unwrap();
            if let Err(error) = open(&path) {
                assert_eq!(Fault::of(&error), Fault::Corrupt, "changed at byte {place}");
            }
        }
        assert_eq!(fault(&"notes\n".repeat(3000).into_bytes()), Fault::NotADatabase);
        assert_eq!(fault(b""), Fault::NotADatabase);
        std::fs::remove_file(&path).unwrap();
        assert_ne!(Fault::of(&open(&path).unwrap_err()), Fault::Corrupt);
    }

    #[test]
    fn a_missing_file_in_a_statement() {
        let connection = Connection::open_in_memory().unwrap();
        let error =
            connection.execute_batch("FROM read_parquet(['/nowhere/a.parquet'])").unwrap_err();
        assert_eq!(Fault::of(&error), Fault::FileMissing, "{error}");
    }

    #[test]
    fn a_limit_of_memory_under_several_messages() {
        let folder = tempfile::tempdir().unwrap();
        let mut seen = std::collections::BTreeSet::new();
        for (limit, temp, rows) in
            [("5MB", "1KB", 100_000), ("12MB", "1KB", 400), ("12MB", "1GB", 400)]
        {
            let connection = Connection::open_in_memory().unwrap();
            let path = folder.path().join(format!("{limit}{rows}{}.duckdb", temp.len()));
            let sql = format!(
                "SET threads = 1; SET memory_limit = '{limit}'; SET temp_directory = '{0}.tmp'; \
                 SET max_temp_directory_size = '{temp}'; ATTACH '{0}' AS d (RECOVERY_MODE no_wal_writes); \
                 CREATE TABLE d.t AS SELECT repeat('k', 70000) || range AS a, 'b' || range AS b \
                 FROM range({rows}); CHECKPOINT d;",
                path.display()
            );
            if let Err(error) = connection.execute_batch(&sql) {
                assert_eq!(Fault::of(&error), Fault::OutOfMemory, "{error}");
                seen.insert(error.to_string());
            }
        }
        assert!(!seen.is_empty(), "no limit was reached");
    }

    /// Messages of DuckDB 1.5, from its source and from users' reports.
    #[test]
    fn every_known_message() {
        let held = Fault::Held { holder: "/usr/bin/python3.11 (PID 7402)".to_owned() };
        let own = Fault::Held { holder: "this process".to_owned() };
        let cases = [
            (
                "IO Error: Could not set lock on file \"/a\": Conflicting lock is held in /usr/bin/python3.11 (PID 7402). See also https://duckdb.org",
                held,
            ),
            (
                "IO Error: Could not set lock on file \"/a\": Lock is already held in current process, likely another DuckDB instance",
                own.clone(),
            ),
            ("Binder Error: Unique file handle conflict: Cannot attach \"x\"", own.clone()),
            (
                "Connection Error: Can't open a connection to same database file with a different configuration than existing connections",
                own,
            ),
            (
                "IO Error: Could not set lock on file \"/a\": Conflicting lock is held in  (PID 0). See also",
                Fault::CannotLock,
            ),
            (
                "IO Error: Could not set lock on file \"/a\": Operation not supported",
                Fault::CannotLock,
            ),
            ("IO Error: Could not set lock on file \"/a\": No locks available", Fault::CannotLock),
            (
                "Out of Memory Error: could not allocate block of size 256.0 KiB (38.0 MiB/38.1 MiB used)",
                Fault::OutOfMemory,
            ),
            ("Out of Memory Error: anything", Fault::OutOfMemory),
            (
                "TransactionContext Error: Failed to commit: failed to pin block of size 256.0 KiB",
                Fault::OutOfMemory,
            ),
            (
                "FATAL Error: Failed to create checkpoint because of error: failed to allocate data of size 16.0 MiB",
                Fault::OutOfMemory,
            ),
            (
                "FATAL Error: Checkpoint failed for database \"d\". The database has been invalidated. Original error: could not allocate block of size",
                Fault::OutOfMemory,
            ),
            (
                "FATAL Error: failed to offload data block of size 256.0 KiB (1.0 KiB/1.0 KiB used).",
                Fault::OutOfMemory,
            ),
            (
                "Invalid Input Error: failed to reserve memory data of size 1 GiB",
                Fault::OutOfMemory,
            ),
            ("INTERNAL Error: std::bad_alloc", Fault::OutOfMemory),
            ("IO Error: Could not write file \"/a\": No space left on device", Fault::NotWritable),
            ("IO Error: Cannot open file \"/a\": Permission denied", Fault::NotWritable),
            (
                "IO Error: The file \"/a\" exists, but it is not a valid DuckDB database file!",
                Fault::NotADatabase,
            ),
            (
                "IO Error: Corrupt database file: computed checksum 1 does not match stored checksum 2",
                Fault::Corrupt,
            ),
            ("Serialization Error: Failed to deserialize: field id mismatch", Fault::Corrupt),
            ("INTERNAL Error: Attempted to access index 7 within vector of size 2", Fault::Corrupt),
            (
                "IO Error: Cannot open file \"/out of memory/corrupt.duckdb\": Is a directory",
                Fault::Other,
            ),
            ("IO Error: Trying to read a database file with version number 99", Fault::Other),
            ("Binder Error: Cannot open encrypted database \"/a\" without a key", Fault::Other),
            ("Constraint Error: NOT NULL constraint failed: runs.run_id", Fault::Other),
        ];
        for (message, expected) in cases {
            assert_eq!(Fault::of_message(message), expected, "{message}");
        }
    }
}
