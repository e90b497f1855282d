//! The part of the examination that asks this machine. Nothing stays behind.

use std::path::Path;

use super::Examination;
use crate::config::Settings;
use crate::deliver::inspect;
use crate::failure::{Exit, Failure};
use crate::lake::{LakeError, LakeView};

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
    writable(examination, "lake", path);
}

/// Whether the DuckDB file can be read and written.
pub(super) fn duckdb(examination: &mut Examination, settings: &Settings) {
    let path = &settings.duckdb.path;
    if !settings.duckdb.enabled {
        return examination.ok("duckdb", "turned off");
    }
    if !path.exists() {
        examination.ok("duckdb", format!("`{}` is new: the first sync makes it", path.display()));
        return writable(examination, "duckdb", path.parent().unwrap_or(path));
    }
    match inspect(path, &[]) {
        Ok((commit, _)) => {
            examination
                .ok("duckdb", format!("`{}` is there, with commit {commit}", path.display()));
        }
        Err(error) => examination.fail("duckdb", &error.into()),
    }
}

/// Tries to write where the folder is, or will be made; what it writes has no name that stays.
fn writable(examination: &mut Examination, check: &'static str, path: &Path) {
    let existing = path.ancestors().find(|folder| folder.exists());
    let folder = existing.unwrap_or_else(|| Path::new("."));
    let name = folder.join(format!(".armature-export-{}", std::process::id()));
    let written = std::fs::write(&name, b"").and_then(|()| std::fs::remove_file(&name));
    if let Err(error) = written {
        let error = anyhow::Error::new(error);
        let error = error.context(format!("`{}` is not writable", folder.display()));
        let hint = Some("choose another folder, or let this user write there".to_owned());
        examination.fail(check, &Failure { exit: Exit::Storage, error, hint });
    }
}
