//! Everything that a check can find, as one closed list: what is wrong, with which item, and what
//! to do.

use std::fmt;
use std::mem::discriminant;

use serde::Serialize;

use crate::targets::TargetFinding;

/// Something that is wrong. Contains run ids, and no other data of runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Finding {
    /// A commit file is missing.
    CommitFileMissing {
        /// The number of the commit.
        commit: u64,
    },
    /// A commit file cannot be read.
    CommitFileUnreadable {
        /// The number of the commit.
        commit: u64,
        /// The error.
        problem: String,
    },
    /// A commit file is not the one whose SHA-256 the next commit states.
    CommitFileChanged {
        /// The number of the commit.
        commit: u64,
    },
    /// `format.json` is missing, or not the one whose SHA-256 the newest commit states.
    IdentityChanged {
        /// What is wrong with it.
        problem: String,
    },
    /// The ledger's checkpoint cannot be read.
    LedgerUnreadable {
        /// The commit of the checkpoint.
        commit: u64,
        /// The error.
        problem: String,
    },
    /// The ledger's checkpoint differs from the changes in the commits.
    LedgerDiffers {
        /// The commit of the checkpoint.
        commit: u64,
        /// Number of runs whose entries differ.
        runs: u64,
    },
    /// The numbers of runs that the newest commit states are not those of the ledger.
    LedgerTotalsDiffer {
        /// The newest commit.
        commit: u64,
    },
    /// A run has rows, and is not in the ledger.
    RunNotInLedger {
        /// The run.
        run_id: String,
    },
    /// The ledger has a revision of a run that has no rows.
    RowsLost {
        /// The run.
        run_id: String,
        /// The revision in the ledger.
        revision: i64,
    },
    /// The list of live files, a checkpoint, is missing, damaged, or is not what follows from the
    /// commits.
    FileListDiffers {
        /// Its commit.
        commit: u64,
        /// What is wrong.
        problem: String,
    },
    /// A run lost rows or documents, and the next sync fetches it again.
    RunAwaited {
        /// The run.
        run_id: String,
    },
    /// A run has rows of a higher revision than the ledger has.
    LedgerBehind {
        /// The run.
        run_id: String,
        /// The revision of the rows.
        revision: i64,
    },
    /// Not all data files of a commit are published.
    Unfinished {
        /// The commit.
        commit: u64,
    },
    /// A staging folder belongs to no commit.
    Leftover {
        /// The folder, relative to the lake's root.
        path: String,
    },
    /// A data file is missing.
    PartMissing {
        /// The data file, relative to the lake's root.
        path: String,
        /// Its commit.
        commit: u64,
        /// Whether it can be rebuilt from `documents`.
        can_be_remade: bool,
    },
    /// A data file was changed after it was written.
    PartDamaged {
        /// The data file, relative to the lake's root.
        path: String,
        /// Its commit.
        commit: u64,
        /// What is wrong.
        problem: String,
        /// Whether it can be rebuilt from `documents`.
        can_be_remade: bool,
    },
    /// A file is a copy of a live data file.
    DoubledFile {
        /// The copy, relative to the lake's root.
        path: String,
        /// The data file that it is a copy of.
        of: String,
    },
    /// A file has the content of a missing or damaged data file.
    MovedPart {
        /// The file, relative to the lake's root.
        path: String,
        /// The data file, relative to the lake's root.
        of: String,
    },
    /// A data file that a later commit replaced or removed still exists.
    SupersededFile {
        /// The file, relative to the lake's root.
        path: String,
    },
    /// A file that no commit names.
    UnknownFile {
        /// The file, relative to the lake's root.
        path: String,
    },
    /// A data file states a commit whose commit file does not exist.
    FileWithoutCommit {
        /// The file, relative to the lake's root.
        path: String,
        /// The commit that its footer states.
        commit: u64,
    },
    /// Several rows have the same key and revision.
    DoubledRows {
        /// The table.
        table: &'static str,
        /// The run, or the key of a table without runs.
        key: String,
        /// Number of keys that exist more than once.
        rows: u64,
    },
    /// A run has rows in a table, and no row in `runs`.
    RowsWithoutRun {
        /// The table.
        table: &'static str,
        /// The run.
        run_id: String,
        /// Number of rows.
        rows: u64,
    },
    /// A run states another number of rows than it has.
    CountDiffers {
        /// The run.
        run_id: String,
        /// The table of the rows.
        table: &'static str,
        /// The number that `runs` states.
        stated: u64,
        /// The number of rows in the table.
        found: u64,
    },
    /// A target differs from the lake.
    #[serde(untagged)]
    Target {
        /// Kind of the target: `duckdb` or `iceberg`.
        target: &'static str,
        /// How it differs.
        #[serde(flatten)]
        finding: TargetFinding,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CommitFileMissing { .. }
            | Self::CommitFileUnreadable { .. }
            | Self::CommitFileChanged { .. }
            | Self::IdentityChanged { .. } => self.fmt_commit_file(f),
            Self::LedgerUnreadable { .. }
            | Self::LedgerDiffers { .. }
            | Self::LedgerTotalsDiffer { .. }
            | Self::FileListDiffers { .. }
            | Self::RunNotInLedger { .. }
            | Self::RowsLost { .. }
            | Self::RunAwaited { .. }
            | Self::LedgerBehind { .. } => self.fmt_ledger(f),
            Self::Target { finding, .. } => finding.fmt(f),
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
    fn fmt_commit_file(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CommitFileMissing { commit } => {
                write!(f, "the file of commit {commit} is missing")
            }
            Self::CommitFileUnreadable { commit, problem } => {
                write!(f, "the file of commit {commit} cannot be read: {problem}")
            }
            Self::CommitFileChanged { commit } => {
                write!(f, "the file of commit {commit} was changed after it was written")
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
            Self::LedgerTotalsDiffer { commit } => {
                write!(f, "commit {commit} states other numbers of runs than the ledger has")
            }
            Self::FileListDiffers { commit, problem } => {
                write!(f, "the list of files of commit {commit} is damaged: {problem}")
            }
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
                write!(f, "not all data files of commit {commit} are published")
            }
            Self::Leftover { path } => {
                write!(f, "`{path}` is left over from a sync that was cut off")
            }
            Self::PartMissing { path, commit, .. } => {
                write!(f, "the data file `{path}` of commit {commit} is missing")
            }
            Self::PartDamaged { path, commit, problem, .. } => {
                write!(f, "the data file `{path}` of commit {commit} is damaged: {problem}")
            }
            Self::DoubledFile { path, of } => {
                write!(f, "`{path}` is a copy of `{of}`: its rows count twice")
            }
            Self::MovedPart { path, of } => {
                write!(f, "`{path}` has the content of the data file `{of}`")
            }
            Self::SupersededFile { path } => {
                write!(f, "`{path}` still exists, and another data file replaced it")
            }
            Self::UnknownFile { path } => write!(f, "`{path}` is in no commit"),
            Self::FileWithoutCommit { path, commit } => {
                write!(
                    f,
                    "`{path}` states that it belongs to commit {commit}, which has no commit file"
                )
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
                write!(f, "`{table}` has {rows} of run {run_id}, which is not in `runs`")
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

    /// Whether it is of the same kind, and has the same remedy.
    pub fn is_like(&self, other: &Self) -> bool {
        let is_same = match (self, other) {
            (Self::Target { finding, .. }, Self::Target { finding: other, .. }) => {
                discriminant(finding) == discriminant(other)
            }
            _ => discriminant(self) == discriminant(other),
        };
        is_same && self.remedy() == other.remedy()
    }

    /// What the user can do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::CommitFileMissing { .. }
            | Self::CommitFileUnreadable { .. }
            | Self::CommitFileChanged { .. }
            | Self::IdentityChanged { .. } => {
                "restore the file from a backup; nothing else is repaired until then"
            }
            Self::FileWithoutCommit { .. } => {
                "restore the commit file from a backup, or move the file away"
            }
            Self::PartMissing { can_be_remade: false, .. }
            | Self::PartDamaged { can_be_remade: false, .. } => {
                "restore the file from a backup; or `armature-export verify --repair --drop-parts` \
                 drops it, and `armature-export reconcile --repair` fetches what the API still has"
            }
            Self::RunAwaited { .. } => {
                "`armature-export sync` fetches it again, or `armature-export reconcile --repair`"
            }
            Self::SupersededFile { .. } | Self::UnknownFile { .. } => {
                "`armature-export verify --repair` hides it from readers, and keeps it"
            }
            Self::RowsLost { .. } | Self::RowsWithoutRun { .. } | Self::CountDiffers { .. } => {
                "`armature-export verify --repair` has the next sync fetch the run again, as far as \
                 the API still has it"
            }
            Self::DoubledRows { .. } => "please report this: no row may ever be written twice",
            Self::Target { finding, .. } => finding.remedy(),
            _ => "`armature-export verify --repair` repairs it",
        }
    }
}
