use super::{Table, WriteDisposition, runs};

/// Runs that have not ended yet.
pub static OPEN_RUNS: Table = Table {
    name: "open_runs",
    description: "One row per run that had not ended, or still waited for its evaluation, at the \
                  last sync. Replaced as a whole; a run that ends moves to `runs`.",
    key: &["run_id"],
    write: WriteDisposition::Replace,
    columns: runs::COLUMNS,
};
