//! What must hold of lake and DuckDB file after anything that can happen to a process.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use armature_export::lake::{CommitFile, LakeView, Snapshot};

use super::{TestExport, rows};

impl TestExport {
    /// Whether the DuckDB file is up to date with the lake.
    pub(crate) async fn is_delivered(&self) -> bool {
        let newest = self.commit_files().await.last().map_or(0, |head| head.commit);
        let applied = armature_export::targets::duckdb::inspect(&self.duckdb, &[]);
        applied.is_ok_and(|(applied, _)| applied == newest)
    }

    /// All commits.
    pub(crate) async fn commit_files(&self) -> Vec<CommitFile> {
        if !self.lake.join("_armature").is_dir() {
            return Vec::new();
        }
        let lake = LakeView::open(&self.lake).await.unwrap();
        let mut commit_files = Vec::new();
        for commit in lake.commits().unwrap() {
            commit_files.push(lake.commit_file(commit).await.unwrap());
        }
        commit_files
    }

    /// What must hold after any crash: a plain glob shows no run twice, and nothing that is not
    /// of a durable commit; and every commit is there, except one whose parts are being moved.
    pub(crate) async fn assert_nothing_half_or_double(&self, when: &str) {
        let lake = &self.lake;
        let commit_files = self.commit_files().await;
        let mut committed: BTreeMap<PathBuf, u64> = BTreeMap::new();
        let (mut live, mut is_moving) = (Snapshot::default(), false);
        for commit_file in &commit_files {
            live.apply(commit_file);
            let runs = commit_file.parts.iter().filter(|part| part.table == "runs");
            committed.extend(runs.map(|part| (lake.join(&part.path), part.rows)));
            is_moving |= lake.join("_armature/staging").join(&commit_file.staging).exists();
        }
        let parts = if lake.is_dir() { self.parts() } else { Vec::new() };
        let files: BTreeSet<PathBuf> =
            parts.into_iter().filter(|part| part.starts_with(lake.join("runs"))).collect();
        let unknown: Vec<&PathBuf> =
            files.iter().filter(|file| !committed.contains_key(*file)).collect();
        assert!(unknown.is_empty(), "{when}: visible, and of no commit: {unknown:?}");
        let rows: u64 = files.iter().map(|file| committed[file]).sum();
        if !is_moving {
            let live = live.iter().filter(|live| live.part.table == "runs").count();
            assert_eq!(files.len(), live, "{when}: a commit is not there");
        }
        if files.is_empty() {
            return;
        }
        let glob = format!("read_parquet('{}/runs/**/*.parquet')", lake.display());
        let count = |what: &str| rows::count_in_memory(&format!("SELECT {what} FROM {glob}"));
        assert_eq!(count("count(DISTINCT (run_id, _revision))"), count("count(*)"), "{when}");
        assert_eq!(u64::try_from(count("count(*)")).unwrap(), rows, "{when}");
        // Rows that a replay has made again are of a commit that DuckDB does not have yet.
        let replays = |commit_file: &CommitFile| commit_file.superseded().next().is_some();
        if !(is_moving && commit_files.last().is_some_and(replays)) {
            self.assert_database_holds_whole_commits(&glob, when);
        }
    }

    /// The DuckDB file holds all of the commits up to the number that it states, and no others.
    fn assert_database_holds_whole_commits(&self, glob: &str, when: &str) {
        let count = |sql: &str| rows::count(&self.duckdb, sql);
        let tables = "SELECT count(*) FROM duckdb_tables() WHERE table_name = '_armature'";
        if !self.duckdb.exists() || count(tables) == 0 {
            return;
        }
        let applied = count("SELECT applied_commit FROM _armature");
        let committed =
            format!("SELECT count(DISTINCT run_id) FROM {glob} WHERE _commit <= {applied}");
        assert_eq!(count("SELECT count(*) FROM runs"), count(&committed), "{when}: DuckDB");
        let later = format!("SELECT count(*) FROM spans WHERE _commit > {applied}");
        assert_eq!(count(&later), 0, "{when}: DuckDB");
    }
}
