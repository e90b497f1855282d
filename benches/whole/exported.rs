//! What an export left, seen without the program's own code for the lake: whether it is all there,
//! and how large it is.

use std::fs::File;
use std::path::{Path, PathBuf};

use armature_export::query::query;
use parquet::file::reader::{FileReader, SerializedFileReader};

use crate::figures::megabytes;

/// Panics unless the lake, and the DuckDB file where there is one, hold so many runs.
pub(crate) fn check(folder: &Path, runs: usize) {
    let files = parquet_files(&folder.join("lake").join("runs"));
    let rows: i64 = files.iter().map(|path| rows(path)).sum();
    assert_eq!(usize::try_from(rows).unwrap(), runs, "runs in the lake");
    check_database(folder, runs);
}

/// Panics unless the DuckDB file, where there is one, holds so many runs.
pub(crate) fn check_database(folder: &Path, runs: usize) {
    let database = folder.join("armature.duckdb");
    if database.exists() {
        let counts = "SELECT count(*), count(DISTINCT run_id) FROM runs";
        let (_, rows) = query(&database, counts).unwrap();
        assert_eq!(rows, [[runs.to_string(), runs.to_string()]], "runs in the DuckDB file");
    }
}

/// The size of all Parquet files of tables below a folder, in megabytes.
pub(crate) fn parquet_size(folder: &Path) -> f64 {
    let sizes = parquet_files(folder).into_iter().map(|path| path.metadata().unwrap().len());
    megabytes(usize::try_from(sizes.sum::<u64>()).unwrap())
}

fn parquet_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("_armature") {
            files.extend(parquet_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "parquet") {
            files.push(path);
        }
    }
    files
}

fn rows(path: &Path) -> i64 {
    let reader = SerializedFileReader::new(File::open(path).unwrap()).unwrap();
    reader.metadata().file_metadata().num_rows()
}
