//! A crash while `documents` in the DuckDB file becomes something else: it is what it was or what it
//! is to be, with all rows, and the next delivery finishes it.

use crate::small_commits::{commit_every, small_commits};
use crate::support::TestExport;

const DELIVER: &[&str] = &["deliver"];

/// The kind of `documents` and its rows; `None` if it is left out.
fn documents(export: &TestExport) -> Option<(String, Vec<Vec<String>>)> {
    let kind = "SELECT table_type FROM information_schema.tables WHERE table_name = 'documents'";
    let kind = export.ask(kind).into_iter().flatten().next()?;
    Some((kind, export.ask("SELECT * FROM documents ORDER BY ALL")))
}

fn set(export: &TestExport, documents: &str) {
    commit_every(export, 20_000);
    export.configure_more(&format!("documents = \"{documents}\"\n"));
}

#[test]
fn a_crash_while_documents_change_leaves_them_whole() {
    for (from, to) in [("table", "view"), ("view", "table"), ("table", "none"), ("none", "view")] {
        for point in
            ["after_rows_are_inserted", "before_commit", "after_commit", "after_checkpoint"]
        {
            if point == "after_rows_are_inserted" && to != "table" {
                continue;
            }
            let export = small_commits(8, 20_000);
            set(&export, from);
            export.sync_brings_everything();
            let old = documents(&export);
            set(&export, to);
            export.crash(DELIVER, point);
            let left = documents(&export);
            let is_made = point == "after_checkpoint";
            let kinds = [&old, &left].map(|found| found.as_ref().map(|(kind, _)| kind.clone()));
            assert_eq!(kinds[0] != kinds[1], is_made, "{from} {to} {point}: {kinds:?}");
            let rows = |found: &Option<(String, Vec<Vec<String>>)>| {
                found.as_ref().map(|(_, rows)| rows.clone())
            };
            assert!(is_made || rows(&left) == rows(&old), "{from} {to} {point}");
            export.sync_brings_everything();
            let new = documents(&export);
            if let (Some((_, rows)), Some((_, old))) = (&new, &old) {
                assert!(rows == old, "{from} {to} {point}");
            }
            if let (Some((_, rows)), "none") = (&new, from) {
                assert!(rows.len() >= 8 * 4, "{from} {to} {point}: {} rows", rows.len());
            }
            assert_eq!(new.is_none(), to == "none");
            assert_eq!(export.run(&["verify"]).code, Some(0), "{from} {to} {point}");
        }
    }
}
