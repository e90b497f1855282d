//! Checks of this machine. Leaves no files behind.

use std::path::Path;

use super::Examination;
use crate::config::Settings;
use crate::event::Events;
use crate::failure::{Exit, Failure};
use crate::lake::{LakeError, LakeStore, LakeView, try_lock_in};
use crate::query::{Fault, QueryError};
use crate::targets::duckdb::{inspect, try_folder};
use crate::targets::{self, DeliverError, iceberg};

/// Checks whether the lake can be read and written.
pub(super) async fn lake(examination: &mut Examination, settings: &Settings) {
    let path = &settings.lake.path;
    let shown = path.display();
    let store = match LakeStore::configured(settings) {
        Ok(store) => store,
        Err(error) => return examination.fail("lake", &error.into()),
    };
    match LakeView::open(&store).await {
        Ok(view) => {
            let commit = view.head().map_or(0, |head| head.commit);
            examination.ok("lake", format!("`{shown}` is there, with commit {commit}"));
        }
        Err(LakeError::Missing { .. }) => {
            examination.ok("lake", format!("`{shown}` is new: the first sync makes it"));
        }
        Err(error) => return examination.fail("lake", &error.into()),
    }
    match store.local_folder() {
        Some(folder) => try_lake_folder(examination, folder),
        None => {
            if let Err(error) = store.check_conditions().await {
                examination.fail("lake", &error.into());
            }
        }
    }
}

/// Checks whether the DuckDB file can be read and written.
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

/// Checks whether the Iceberg tables can be continued, if they are configured.
pub(super) async fn iceberg(examination: &mut Examination, settings: &Settings) {
    const CHECK: &str = iceberg::KIND;
    // What is wrong with the lake is a finding already.
    let Ok(store) = LakeStore::configured(settings) else { return };
    let targets = targets::configured(settings, &store, &Events::none(), None);
    for target in targets.iter().filter(|target| target.kind() == iceberg::KIND) {
        let place = target.location();
        let lake = match LakeView::open(&store).await {
            Ok(lake) => lake,
            Err(LakeError::Missing { .. }) => {
                examination.ok(CHECK, format!("`{place}` is new: the first sync makes the tables"));
                continue;
            }
            Err(_) => return,
        };
        let newest = lake.head().map_or(0, |head| head.commit);
        match target.check(&lake).await {
            Ok(None) => {
                examination.ok(CHECK, format!("`{place}` is new: the next sync makes the tables"));
            }
            Ok(Some(commit)) if commit < newest => {
                let found = format!(
                    "the tables in `{place}` have commit {commit}, and the lake has commit {newest}"
                );
                let advice = "`armature-export deliver` or the next sync brings them up to date";
                examination.warn(CHECK, found, advice);
            }
            Ok(Some(commit)) => {
                examination
                    .ok(CHECK, format!("the tables in `{place}` are there, with commit {commit}"));
            }
            Err(error) => examination.fail(CHECK, &error.into()),
        }
    }
}

/// The nearest existing folder that contains a path or will contain it.
fn existing_folder(path: &Path) -> &Path {
    let existing = path.ancestors().find(|folder| folder.is_dir());
    existing.filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

/// Tries to write and lock a file in the folder of the lake, existing or planned.
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

/// Tries to create a database in the folder of the DuckDB file, with the same writes and locks as a
/// delivery.
fn try_duckdb_folder(examination: &mut Examination, path: &Path) {
    let folder = existing_folder(path);
    match try_folder(folder) {
        Ok(()) => {}
        Err(DeliverError::Query(QueryError::Duckdb {
            fault: Fault::NotWritable, message, ..
        })) => {
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
