//! Checks of this machine. Leaves no files behind.

use std::path::Path;

use super::Examination;
use crate::cli::table::moment;
use crate::config::Settings;
use crate::event::Events;
use crate::failure::{Exit, Failure};
use crate::lake::{LakeError, LakeStore, LakeView, try_lock_in};
use crate::query::{Fault, QueryError};
use crate::targets::duckdb::{
    DeliveryOptions, DuckdbTarget, Held, Holder, holders, inspect, try_folder,
};
use crate::targets::{self, DeliverError, Target, iceberg};

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
    if let Ok(lake) = LakeStore::configured(settings) {
        let target = DuckdbTarget::new(DeliveryOptions::new(&settings.duckdb, Events::none()));
        if let Err(error) = target.check_documents(&lake) {
            examination.fail("duckdb", &error.into());
        }
    }
    if !path.exists() {
        examination.ok("duckdb", format!("`{}` is new: the first sync makes it", path.display()));
        try_duckdb_folder(examination, path.parent().unwrap_or(path));
        return published(examination, settings);
    }
    match inspect(path, &[]) {
        Ok((commit, _)) => {
            examination
                .ok("duckdb", format!("`{}` is there, with commit {commit}", path.display()));
        }
        Err(error) => examination.fail("duckdb", &error.into()),
    }
    // A process that writes the file is named by the error above.
    let mut readers = holders(path).unwrap_or_default();
    readers.retain(|holder| holder.held == Held::Read);
    if !readers.is_empty() {
        let found = format!("`{}` is open in {}", path.display(), listed(&readers));
        let advice = format!(
            "a delivery waits {} s for it at most (duckdb.lock_wait_secs), and the next one \
             catches up; a program that opens a copy (duckdb.publish) delays nothing",
            settings.duckdb.lock_wait_secs
        );
        examination.warn("duckdb", found, advice);
    }
    published(examination, settings);
}

/// Checks the published copy of the DuckDB file, if one is configured, and names who has it open.
fn published(examination: &mut Examination, settings: &Settings) {
    const CHECK: &str = "published copy";
    let target = DuckdbTarget::new(DeliveryOptions::new(&settings.duckdb, Events::none()));
    let copy = match target.check_copy().and_then(|()| target.published()) {
        Ok(Some(copy)) => copy,
        Ok(None) => return,
        Err(error) => return examination.fail(CHECK, &error.into()),
    };
    let Some(written) = copy.written else {
        let found = format!("`{}` is new: the next delivery makes it", copy.path);
        return examination.ok(CHECK, found);
    };
    let open = match holders(Path::new(&copy.path)) {
        None => ", and which processes have it open is not known on this system".to_owned(),
        Some(holders) if holders.is_empty() => String::new(),
        Some(holders) => format!(", and open in {}", listed(&holders)),
    };
    let written = moment(written);
    if copy.is_current {
        let found = format!("`{}` is up to date, written {written}{open}", copy.path);
        examination.ok(CHECK, found);
    } else {
        let found =
            format!("`{}` differs from the DuckDB file, written {written}{open}", copy.path);
        examination.warn(CHECK, found, "`armature-export deliver` or the next sync replaces it");
    }
}

/// Processes in words.
fn listed(holders: &[Holder]) -> String {
    let words = holders.iter().map(|holder| match holder.held {
        Held::Written => format!("{holder} for writing"),
        Held::Read => holder.to_string(),
        Held::Earlier => format!("{holder}, which still reads an earlier one"),
    });
    words.collect::<Vec<_>>().join("; ")
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
