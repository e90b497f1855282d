//! The part of the examination that asks this machine. Nothing stays behind.

use std::path::Path;

use super::Examination;
use crate::config::Settings;
use crate::deliver::{DeliverError, Fault, inspect, try_folder};
use crate::failure::{Exit, Failure};
use crate::lake::{LakeError, LakeView, try_lock_in};

/// Whether the lake can be read and written.
pub(super) async fn lake(examination: &mut Examination, settings: &Settings) {
    let path = &settings.lake.path;
    let shown = path.display();
    match LakeView::open(path).await {
        Ok(view) => {
            let commit = view.head().map_or(0, |head| head.commit);
            examination.ok("lake", format!("`{shown}` is there, with commit {commit}"));
        }
        Err(LakeError::Missing { .. }) => {
            examination.ok("lake", format!("`{shown}` is new: the first sync makes it"));
        }
        Err(error) => return examination.fail("lake", &error.into()),
    }
    try_lake_folder(examination, path);
}

/// Whether the DuckDB file can be read and written.
pub(super) fn duckdb(examination: &mut Examination, settings: &Settings) {
    let path = &settings.duckdb.path;
    if !settings.duckdb.enabled {
        return examination.ok("duckdb", "turned off");
    }
    if !path.exists() {
        examination.ok("duckdb", format!("`{}` is new: the first sync makes it", path.display()));
        return try_duckdb_folder(examination, path.parent().unwrap_or(path));
    }
    match inspect(path, &[]) {
        Ok((commit, _)) => {
            examination
                .ok("duckdb", format!("`{}` is there, with commit {commit}", path.display()));
        }
        Err(error) => examination.fail("duckdb", &error.into()),
    }
}

/// The folder that is there, of those in which a path is or will be made.
fn existing_folder(path: &Path) -> &Path {
    let existing = path.ancestors().find(|folder| folder.is_dir());
    existing.filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

/// Tries to write and to lock a file where the lake is, or will be made.
fn try_lake_folder(examination: &mut Examination, path: &Path) {
    let folder = existing_folder(path);
    match try_lock_in(folder) {
        Ok(()) => {}
        Err(LakeError::Io { source, .. }) => {
            not_writable(examination, "lake", folder, source.into());
        }
        Err(error) => examination.fail("lake", &error.into()),
    }
}

/// Tries to make a database, which writes and locks as DuckDB does, where the file will be.
fn try_duckdb_folder(examination: &mut Examination, path: &Path) {
    let folder = existing_folder(path);
    match try_folder(folder) {
        Ok(()) => {}
        Err(DeliverError::Duckdb { fault: Fault::NotWritable, message, .. }) => {
            not_writable(examination, "duckdb", folder, anyhow::Error::msg(message));
        }
        Err(error) => examination.fail("duckdb", &error.into()),
    }
}

fn not_writable(
    examination: &mut Examination,
    check: &'static str,
    folder: &Path,
    error: anyhow::Error,
) {
    let error = error.context(format!("`{}` is not writable", folder.display()));
    let hint = Some("choose another folder, or let this user write there".to_owned());
    examination.fail(check, &Failure { exit: Exit::Storage, error, hint });
}
