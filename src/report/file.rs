//! Puts a page in place of the one before it.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::ReportError;
use crate::crash;
use crate::query::link_target;

/// Writes a page to a file, so that a reader finds the page before it or this one, and never a
/// part. The page is written beside the file, made durable, and renamed. Of a symbolic link, the
/// target is replaced. Creates missing folders.
///
/// # Errors
/// [`ReportError::Write`]; the file is then as it was.
pub(super) fn write(page: &str, path: &Path) -> Result<(), ReportError> {
    let path = link_target(path);
    let folder = create_folder_of(&path)?;
    let beside = beside(&path);
    let written = write_beside(page, &beside).and_then(|()| put_in_place(&beside, &path));
    if written.is_err() {
        // The first error is the one to report. Nothing is there if it could not even be created.
        let _absent = fs::remove_file(&beside);
    }
    written?;
    // The new name is durable only with its folder; a file system that cannot sync folders has put
    // the page in place all the same.
    #[cfg(unix)]
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(failed("sync the folder", folder))?;
    Ok(())
}

/// Creates the folder of a file, and returns it.
///
/// # Errors
/// [`ReportError::Write`].
pub(super) fn create_folder_of(path: &Path) -> Result<&Path, ReportError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or_else(|| Path::new("."));
    fs::create_dir_all(folder).map_err(failed("create the folder", folder))?;
    Ok(folder)
}

/// A name of its own for each process, as two can write the same page.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    PathBuf::from(name)
}

fn write_beside(page: &str, path: &Path) -> Result<(), ReportError> {
    let write = || {
        let mut file = File::create(path)?;
        // Twice, so that a test can end the process with half a page on the disk.
        let (first, rest) = page.as_bytes().split_at(page.len() / 2);
        file.write_all(first)?;
        crash::point("half_of_the_report");
        file.write_all(rest)?;
        file.sync_all()
    };
    write().map_err(failed("write", path))
}

#[expect(clippy::disallowed_methods, reason = "the one place that replaces a report")]
fn put_in_place(beside: &Path, path: &Path) -> Result<(), ReportError> {
    fs::rename(beside, path).map_err(failed("replace", path))
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> ReportError {
    let path = path.to_owned();
    move |source| ReportError::Write { action, path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<String> = entries.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_page_replaces_the_one_before_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/report.html");
        write("one", &path).unwrap();
        write("two", &path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two");
        assert_eq!(names(path.parent().unwrap()), ["report.html"]);
    }

    /// A folder has the name of the page: renaming fails after the page was written beside it.
    #[test]
    fn a_page_that_cannot_be_put_in_place_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.html");
        fs::create_dir(&path).unwrap();
        let error = write("one", &path).unwrap_err();
        assert!(error.to_string().starts_with("failed to replace `"), "{error}");
        assert_eq!(names(folder.path()), ["report.html"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("page.html"), folder.path().join("link.html"));
        std::os::unix::fs::symlink("page.html", &link).unwrap();
        write("one", &link).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "one");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }
}
