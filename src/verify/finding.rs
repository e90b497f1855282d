//! What can be wrong, as one closed list: what, which, and what to do.

use std::fmt;

use serde::Serialize;

/// Something that is not as it must be. Holds ids of runs, and nothing else of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Finding {
    /// A number without a manifest.
    ManifestMissing {
        /// The number.
        commit: u64,
    },
    /// A manifest that cannot be read.
    ManifestUnreadable {
        /// The number.
        commit: u64,
        /// Why.
        problem: String,
    },
    /// A manifest that is not the one that the next commit followed.
    ManifestChanged {
        /// The number.
        commit: u64,
    },
    /// The file that says whose lake it is is not the one that the newest commit was made under.
    IdentityChanged {
        /// What is wrong with it.
        problem: String,
    },
    /// The ledger's checkpoint cannot be read.
    LedgerUnreadable {
        /// The commit that wrote it.
        commit: u64,
        /// Why.
        problem: String,
    },
    /// The ledger's checkpoint is not what the commits say.
    LedgerDiffers {
        /// The commit that wrote it.
        commit: u64,
        /// Runs whose entries differ.
        runs: u64,
    },
    /// A run has rows, and the ledger does not know it.
    RunNotInLedger {
        /// The run.
        run_id: String,
    },
    /// The ledger knows rows of a run that are not there.
    RowsLost {
        /// The run.
        run_id: String,
        /// The revision that the ledger knows.
        revision: i64,
    },
    /// A run lost rows or documents, and the next sync fetches it again.
    RunAwaited {
        /// The run.
        run_id: String,
    },
    /// There are rows of a higher revision than the ledger knows.
    LedgerBehind {
        /// The run.
        run_id: String,
        /// The revision that the rows have.
        revision: i64,
    },
    /// A commit whose parts are not all in place.
    Unfinished {
        /// The commit.
        commit: u64,
    },
    /// A staging folder of no commit.
    Leftover {
        /// The folder, from the lake's root.
        path: String,
    },
    /// A part that is not there.
    PartMissing {
        /// The part, from the lake's root.
        path: String,
        /// Its commit.
        commit: u64,
        /// Whether its rows can be made again from `documents`.
        can_be_remade: bool,
    },
    /// A part that is not as it was written.
    PartDamaged {
        /// The part, from the lake's root.
        path: String,
        /// Its commit.
        commit: u64,
        /// What is wrong.
        problem: String,
        /// Whether its rows can be made again from `documents`.
        can_be_remade: bool,
    },
    /// A file that is a copy of a part.
    DoubledFile {
        /// The file, from the lake's root.
        path: String,
        /// The part that it is a copy of.
        of: String,
    },
    /// A file that holds what a missing or damaged part must hold.
    MovedPart {
        /// The file, from the lake's root.
        path: String,
        /// The part.
        of: String,
    },
    /// A part whose place another one took, and that is still there.
    SupersededFile {
        /// The file, from the lake's root.
        path: String,
    },
    /// A file that no manifest names.
    UnknownFile {
        /// The file, from the lake's root.
        path: String,
    },
    /// A part of a commit whose manifest is gone.
    FileWithoutManifest {
        /// The file, from the lake's root.
        path: String,
        /// The commit that it says it belongs to.
        commit: u64,
    },
    /// Rows of one key and revision.
    DoubledRows {
        /// The table.
        table: &'static str,
        /// The run, or the key of a table without runs.
        key: String,
        /// Rows that are there more than once.
        rows: u64,
    },
    /// Rows of a run that `runs` does not have.
    RowsWithoutRun {
        /// The table.
        table: &'static str,
        /// The run.
        run_id: String,
        /// How many.
        rows: u64,
    },
    /// A run that counts other rows than it has.
    CountDiffers {
        /// The run.
        run_id: String,
        /// The table of the rows.
        table: &'static str,
        /// What `runs` says.
        stated: u64,
        /// What is there.
        found: u64,
    },
    /// There is no DuckDB file.
    DatabaseMissing {
        /// The file.
        path: String,
    },
    /// The DuckDB file cannot be read.
    DatabaseUnreadable {
        /// Why.
        problem: String,
    },
    /// The DuckDB file was not delivered from this lake.
    DatabaseOfAnother {
        /// The file.
        path: String,
    },
    /// The DuckDB file holds other commits than the lake has.
    DatabaseHistory {
        /// The commit that the file says it holds.
        applied: u64,
        /// The lake's newest commit.
        newest: u64,
    },
    /// The DuckDB file lacks commits.
    DatabaseBehind {
        /// How many.
        commits: u64,
    },
    /// A table of the DuckDB file is not what the lake says.
    DatabaseDiffers {
        /// The table.
        table: &'static str,
        /// Rows in the lake.
        lake: u64,
        /// Rows in the file.
        database: u64,
        /// A few runs whose rows differ.
        runs: Vec<String>,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ManifestMissing { .. }
            | Self::ManifestUnreadable { .. }
            | Self::ManifestChanged { .. }
            | Self::IdentityChanged { .. } => self.fmt_manifest(f),
            Self::LedgerUnreadable { .. }
            | Self::LedgerDiffers { .. }
            | Self::RunNotInLedger { .. }
            | Self::RowsLost { .. }
            | Self::RunAwaited { .. }
            | Self::LedgerBehind { .. } => self.fmt_ledger(f),
            Self::DatabaseMissing { .. }
            | Self::DatabaseUnreadable { .. }
            | Self::DatabaseOfAnother { .. }
            | Self::DatabaseHistory { .. }
            | Self::DatabaseBehind { .. }
            | Self::DatabaseDiffers { .. } => self.fmt_database(f),
            Self::DoubledRows { .. } | Self::RowsWithoutRun { .. } | Self::CountDiffers { .. } => {
                self.fmt_rows(f)
            }
            _ => self.fmt_file(f),
        }
    }
}

/// A count with its noun.
pub(super) fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

impl Finding {
    fn fmt_manifest(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ManifestMissing { commit } => {
                write!(f, "the manifest of commit {commit} is missing")
            }
            Self::ManifestUnreadable { commit, problem } => {
                write!(f, "the manifest of commit {commit} cannot be read: {problem}")
            }
            Self::ManifestChanged { commit } => {
                write!(f, "the manifest of commit {commit} was changed after it was written")
            }
            Self::IdentityChanged { problem } => {
                write!(f, "`_armature/format.json` was changed after it was written: {problem}")
            }
            _ => Ok(()),
        }
    }

    fn fmt_ledger(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LedgerUnreadable { commit, problem } => {
                write!(f, "the ledger as of commit {commit} cannot be read: {problem}")
            }
            Self::LedgerDiffers { commit, runs } => write!(
                f,
                "the ledger as of commit {commit} differs from what the commits say, in {}",
                counted(*runs, "entry", "entries")
            ),
            Self::RunNotInLedger { run_id } => {
                write!(f, "run {} has rows and is not in the ledger", run_id.escape_debug())
            }
            Self::RunAwaited { run_id } => {
                let run_id = run_id.escape_debug();
                write!(f, "run {run_id} lost rows or documents, and waits to be fetched again")
            }
            Self::RowsLost { run_id, revision } => {
                let run_id = run_id.escape_debug();
                write!(f, "run {run_id} is exported, and its revision {revision} has no row")
            }
            Self::LedgerBehind { run_id, revision } => {
                let run_id = run_id.escape_debug();
                write!(f, "run {run_id} has revision {revision}, and the ledger knows a lower one")
            }
            _ => Ok(()),
        }
    }

    fn fmt_file(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unfinished { commit } => {
                write!(f, "the parts of commit {commit} are not all in place")
            }
            Self::Leftover { path } => {
                write!(f, "`{path}` is left over from a sync that was cut off")
            }
            Self::PartMissing { path, commit, .. } => {
                write!(f, "the part `{path}` of commit {commit} is missing")
            }
            Self::PartDamaged { path, commit, problem, .. } => {
                write!(f, "the part `{path}` of commit {commit} is damaged: {problem}")
            }
            Self::DoubledFile { path, of } => {
                write!(f, "`{path}` is a copy of `{of}`: its rows count twice")
            }
            Self::MovedPart { path, of } => {
                write!(f, "`{path}` holds what the part `{of}` must hold")
            }
            Self::SupersededFile { path } => {
                write!(f, "`{path}` is still there, and another part took its place")
            }
            Self::UnknownFile { path } => write!(f, "`{path}` is in no commit"),
            Self::FileWithoutManifest { path, commit } => {
                write!(f, "`{path}` says that it is of commit {commit}, which has no manifest")
            }
            _ => Ok(()),
        }
    }

    fn fmt_rows(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DoubledRows { table, key, rows } => {
                let rows = counted(*rows, "row", "rows");
                write!(f, "`{table}` has {rows} of {} more than once", key.escape_debug())
            }
            Self::RowsWithoutRun { table, run_id, rows } => {
                let run_id = run_id.escape_debug();
                let rows = counted(*rows, "row", "rows");
                write!(f, "`{table}` has {rows} of run {run_id}, which `runs` has not")
            }
            Self::CountDiffers { run_id, table, stated, found } => write!(
                f,
                "run {} says that it has {} in `{table}`, and has {found}",
                run_id.escape_debug(),
                counted(*stated, "row", "rows")
            ),
            _ => Ok(()),
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
            _ => Ok(()),
        }
    }

    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::ManifestMissing { .. }
            | Self::ManifestUnreadable { .. }
            | Self::ManifestChanged { .. }
            | Self::IdentityChanged { .. } => {
                "restore the file from a backup; nothing else is repaired before"
            }
            Self::FileWithoutManifest { .. } => {
                "restore the manifest from a backup, or move the file away"
            }
            Self::PartMissing { can_be_remade: false, .. }
            | Self::PartDamaged { can_be_remade: false, .. } => {
                "restore the file from a backup; or `armature-export verify --repair --drop-parts` \
                 gives it up, and `armature-export reconcile --repair` fetches what the API still has"
            }
            Self::RunAwaited { .. } => {
                "`armature-export sync` fetches it again, or `armature-export reconcile --repair`"
            }
            Self::SupersededFile { .. } | Self::UnknownFile { .. } => {
                "`armature-export verify --repair` moves it out of readers' sight, and keeps it"
            }
            Self::RowsLost { .. } | Self::RowsWithoutRun { .. } | Self::CountDiffers { .. } => {
                "`armature-export verify --repair` has the next sync fetch the run again, as far as \
                 the API still has it"
            }
            Self::DoubledRows { .. } => "please report this: no row may ever be written twice",
            Self::DatabaseMissing { .. } | Self::DatabaseBehind { .. } => {
                "`armature-export deliver` brings it up to date"
            }
            Self::DatabaseOfAnother { .. } => "name another file with --duckdb",
            Self::DatabaseUnreadable { .. }
            | Self::DatabaseHistory { .. }
            | Self::DatabaseDiffers { .. } => {
                "`armature-export verify --repair` or `deliver --rebuild` makes it again from the lake"
            }
            _ => "`armature-export verify --repair` mends it",
        }
    }
}
