//! Exports that commit often, so that there is much to interrupt.

use armature_export::simulator::WorldSettings;
use regex::{Captures, Regex};

use crate::support::TestExport;

/// A world of so many runs in one day, and an export that commits every so many bytes.
pub(crate) fn small_commits(runs: u32, commit_bytes: u64) -> TestExport {
    let export = TestExport::of_world(WorldSettings {
        runs,
        days: 1.0,
        seconds_between_runs: 120.0,
        ..WorldSettings::default()
    });
    commit_every(&export, commit_bytes);
    export
}

/// From now on, commits are made every so many bytes.
pub(crate) fn commit_every(export: &TestExport, bytes: u64) {
    let text = format!("[sync]\ncommit_bytes = {bytes}\n[duckdb]\nlock_wait_secs = 20\n");
    export.configure(&text);
}

/// A text with a placeholder for the numbers of commits: where commits are cut depends on the order
/// of responses.
pub(crate) fn without_commits(text: &str) -> String {
    let numbers = Regex::new(r"\b\d{8}\b|\bcommit \d+\b").unwrap();
    let placeholder = |found: &Captures<'_>| {
        if found[0].starts_with("commit ") { "commit [commit]" } else { "[commit]" }
    };
    numbers.replace_all(text, placeholder).into_owned()
}
