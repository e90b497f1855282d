//! How a target can differ from its lake, as one closed list.

use std::fmt;

use serde::Serialize;

/// A difference between a target and its lake. Contains run ids and paths, and no other data of
/// runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum TargetFinding {
    /// The DuckDB file does not exist.
    DatabaseMissing {
        /// The file.
        path: String,
    },
    /// The DuckDB file cannot be read.
    DatabaseUnreadable {
        /// The error.
        problem: String,
    },
    /// The DuckDB file was not delivered from this lake.
    DatabaseOfAnother {
        /// The file.
        path: String,
    },
    /// The DuckDB file holds a commit of another history.
    DatabaseHistory {
        /// The last commit that the file holds.
        applied: u64,
        /// The lake's newest commit.
        newest: u64,
    },
    /// The DuckDB file is behind the lake.
    DatabaseBehind {
        /// Number of commits that it lacks.
        commits: u64,
    },
    /// A table of the DuckDB file differs from the lake.
    DatabaseDiffers {
        /// The table.
        table: &'static str,
        /// Rows in the lake.
        lake: u64,
        /// Rows in the file.
        database: u64,
        /// Some runs whose rows differ.
        runs: Vec<String>,
    },
    /// The view `documents` of the DuckDB file names data files that are not there: the lake was
    /// moved.
    DatabaseView {
        /// The DuckDB file.
        path: String,
    },
    /// There are no Iceberg tables.
    IcebergMissing {
        /// Where they would be.
        location: String,
    },
    /// A table of the lake has data files, and no Iceberg table.
    IcebergTableMissing {
        /// The table.
        table: &'static str,
    },
    /// Some Iceberg tables are behind the lake.
    IcebergBehind {
        /// Number of commits that the last of them lacks.
        commits: u64,
        /// The tables that lack a data file, or still name one that was replaced since.
        tables: Vec<&'static str>,
    },
    /// An Iceberg table is not one that a delivery can continue.
    IcebergRefused {
        /// The table; `None` if it is true of all.
        table: Option<&'static str>,
        /// Why, as a predicate.
        problem: String,
    },
    /// A manifest of an Iceberg table cannot be read.
    IcebergUnreadable {
        /// The table.
        table: &'static str,
        /// What is wrong, as a predicate.
        problem: String,
    },
    /// An Iceberg table lacks a data file that it should have had at its commit.
    IcebergFileMissing {
        /// The table.
        table: &'static str,
        /// The data file, relative to the lake's root.
        path: String,
    },
    /// An Iceberg table names a file that was not live at its commit.
    IcebergFileUnknown {
        /// The table.
        table: &'static str,
        /// The file: its path relative to the lake's root, or its address if it is elsewhere.
        path: String,
    },
    /// An Iceberg table names a data file more than once.
    IcebergFileTwice {
        /// The table.
        table: &'static str,
        /// The data file, relative to the lake's root.
        path: String,
    },
    /// An Iceberg table states another size, or another number of rows, of a data file than its
    /// commit.
    IcebergFileDiffers {
        /// The table.
        table: &'static str,
        /// The data file, relative to the lake's root.
        path: String,
        /// What differs.
        problem: String,
    },
    /// The snapshot of an Iceberg table states another number of rows than its files have.
    IcebergTotalDiffers {
        /// The table.
        table: &'static str,
        /// The number of rows that the snapshot states.
        stated: String,
        /// The number of rows of its data files.
        found: i64,
    },
    /// Another program deleted rows of an Iceberg table.
    IcebergRowsDeleted {
        /// The table.
        table: &'static str,
    },
}

/// What brings a target back to its lake, without changing the lake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetRepair {
    /// A delivery of the commits that it lacks.
    Deliver,
    /// Making it anew.
    Rebuild,
}

impl TargetFinding {
    /// What repairs it; `None` if the target may belong to something else.
    pub fn repair(&self) -> Option<TargetRepair> {
        match self {
            Self::DatabaseMissing { .. }
            | Self::DatabaseBehind { .. }
            | Self::DatabaseView { .. }
            | Self::IcebergMissing { .. }
            | Self::IcebergTableMissing { .. }
            | Self::IcebergBehind { .. } => Some(TargetRepair::Deliver),
            Self::DatabaseUnreadable { .. }
            | Self::DatabaseHistory { .. }
            | Self::DatabaseDiffers { .. }
            | Self::IcebergUnreadable { .. }
            | Self::IcebergFileMissing { .. }
            | Self::IcebergFileUnknown { .. }
            | Self::IcebergFileTwice { .. }
            | Self::IcebergFileDiffers { .. }
            | Self::IcebergTotalDiffers { .. }
            | Self::IcebergRowsDeleted { .. } => Some(TargetRepair::Rebuild),
            Self::DatabaseOfAnother { .. } | Self::IcebergRefused { .. } => None,
        }
    }

    /// What the user can do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::DatabaseOfAnother { .. } => "name another file with --duckdb",
            Self::IcebergRefused { .. } => {
                "`armature-export deliver --rebuild` makes the tables anew from the lake"
            }
            Self::DatabaseMissing { .. }
            | Self::DatabaseBehind { .. }
            | Self::DatabaseView { .. } => "`armature-export deliver` brings it up to date",
            Self::IcebergMissing { .. }
            | Self::IcebergTableMissing { .. }
            | Self::IcebergBehind { .. } => "`armature-export deliver` brings them up to date",
            Self::DatabaseUnreadable { .. }
            | Self::DatabaseHistory { .. }
            | Self::DatabaseDiffers { .. } => {
                "`armature-export verify --repair` or `deliver --rebuild` rebuilds it from the lake"
            }
            _ => {
                "`armature-export verify --repair` or `deliver --rebuild` makes the tables anew \
                 from the lake"
            }
        }
    }

    fn fmt_database(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DatabaseMissing { path } => write!(f, "there is no DuckDB file `{path}`"),
            Self::DatabaseUnreadable { problem } => {
                write!(f, "the DuckDB file cannot be read: {problem}")
            }
            Self::DatabaseOfAnother { path } => {
                write!(f, "the DuckDB file `{path}` was not delivered from this lake")
            }
            Self::DatabaseHistory { applied, newest } => write!(
                f,
                "the DuckDB file holds another commit {applied} than the lake, which ends at \
                 commit {newest}"
            ),
            Self::DatabaseBehind { commits } => {
                write!(f, "the DuckDB file is {} behind", counted(*commits, "commit", "commits"))
            }
            Self::DatabaseDiffers { table, lake, database, runs } => {
                if lake == database {
                    write!(f, "`{table}` in the DuckDB file holds other values than in the lake")?;
                } else {
                    write!(
                        f,
                        "`{table}` in the DuckDB file has {}, and {lake} in the lake",
                        counted(*database, "row", "rows")
                    )?;
                }
                let runs: Vec<String> =
                    runs.iter().map(|run_id| run_id.escape_debug().to_string()).collect();
                if runs.is_empty() { Ok(()) } else { write!(f, " (runs {})", runs.join(", ")) }
            }
            Self::DatabaseView { path } => write!(
                f,
                "the view `documents` in the DuckDB file `{path}` names data files that are not there"
            ),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for TargetFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::IcebergMissing { location } => {
                write!(f, "there are no Iceberg tables in `{location}`")
            }
            Self::IcebergTableMissing { table } => {
                write!(f, "there is no Iceberg table `{table}`")
            }
            Self::IcebergBehind { commits, tables } => {
                let tables: Vec<String> = tables.iter().map(|table| format!("`{table}`")).collect();
                write!(
                    f,
                    "the Iceberg tables are {} behind: {}",
                    counted(*commits, "commit", "commits"),
                    tables.join(", ")
                )
            }
            Self::IcebergRefused { table: Some(table), problem }
            | Self::IcebergUnreadable { table, problem } => {
                write!(f, "the Iceberg table `{table}` {problem}")
            }
            Self::IcebergRefused { table: None, problem } => {
                write!(f, "the Iceberg tables {problem}")
            }
            Self::IcebergFileMissing { table, path } => {
                write!(f, "the Iceberg table `{table}` lacks the data file `{path}`")
            }
            Self::IcebergFileUnknown { table, path } => {
                write!(
                    f,
                    "the Iceberg table `{table}` has `{path}`, which is not a data file of the lake"
                )
            }
            Self::IcebergFileTwice { table, path } => {
                write!(f, "the Iceberg table `{table}` has `{path}` twice: its rows count twice")
            }
            Self::IcebergFileDiffers { table, path, problem } => {
                write!(f, "the Iceberg table `{table}` describes `{path}` wrongly: {problem}")
            }
            Self::IcebergTotalDiffers { table, stated, found } => write!(
                f,
                "the Iceberg table `{table}` states {stated} rows, and its data files have {found}"
            ),
            Self::IcebergRowsDeleted { table } => {
                write!(f, "another program deleted rows of the Iceberg table `{table}`")
            }
            _ => self.fmt_database(f),
        }
    }
}

/// A count with its noun.
fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
