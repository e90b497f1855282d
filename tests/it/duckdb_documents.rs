//! `documents` in the DuckDB file as a table, as a view over the lake's data files, and left out: the
//! view has the rows of the table at all times, and each becomes the other without losing a row.

use std::fs;
use std::path::{Path, PathBuf};

use armature_export::config::{DuckdbDocuments, DuckdbSettings};
use armature_export::event::Events;
use armature_export::lake::LakeView;
use armature_export::query::query;
use armature_export::replay::replay;
use armature_export::tables::Mapping;
use armature_export::targets::duckdb::{DeliveryOptions, deliver, rebuild};
use chrono::Duration;
use duckdb::Connection;

use crate::compact::{at, compacted, options, small_commits};
use crate::support::{TestExport, all_at_once};

const ALL_ROWS: &str = "SELECT * FROM documents ORDER BY ALL";

const FORMS: [DuckdbDocuments; 3] =
    [DuckdbDocuments::Table, DuckdbDocuments::View, DuckdbDocuments::None];

/// A DuckDB file of an export's lake beside the export's own.
struct Copy {
    settings: DuckdbSettings,
}

impl Copy {
    fn new(export: &TestExport, name: &str, documents: DuckdbDocuments) -> Self {
        let path = export.path(name);
        let documents = Some(documents);
        Self { settings: DuckdbSettings { path, documents, ..DuckdbSettings::default() } }
    }

    fn options(&self) -> DeliveryOptions {
        DeliveryOptions::new(&self.settings, Events::none())
    }

    async fn deliver(&self, export: &TestExport) -> &'static str {
        let lake = LakeView::open(&export.lake).await.unwrap();
        let mapping = Mapping::new(&[], &[]).unwrap();
        deliver(&lake, &mapping, &self.options()).await.unwrap().state
    }

    async fn rebuild(&self, export: &TestExport) {
        let lake = LakeView::open(&export.lake).await.unwrap();
        let mapping = Mapping::new(&[], &[]).unwrap();
        rebuild(&lake, &mapping, &self.options()).await.unwrap();
    }

    fn rows(&self) -> Vec<Vec<String>> {
        query(&self.settings.path, ALL_ROWS).unwrap().1
    }

    /// `BASE TABLE` or `VIEW`; empty if there is neither.
    fn kind(&self) -> String {
        kind(&self.settings.path)
    }
}

fn kind(database: &Path) -> String {
    let sql = "SELECT table_type FROM information_schema.tables WHERE table_name = 'documents'";
    query(database, sql).unwrap().1.into_iter().flatten().collect()
}

fn kind_of(documents: DuckdbDocuments) -> &'static str {
    match documents {
        DuckdbDocuments::Table => "BASE TABLE",
        DuckdbDocuments::View => "VIEW",
        DuckdbDocuments::None => "",
    }
}

/// An export of so many runs whose own DuckDB file is off, after its first sync.
async fn export(runs: u32) -> TestExport {
    let mut export = small_commits(runs);
    export.settings.duckdb.enabled = false;
    export.sync().await;
    export
}

/// More runs, and later revisions of earlier ones.
async fn go_on(export: &TestExport) {
    export.simulator.advance(Duration::hours(7));
    export.sync().await;
}

/// Merges all days.
async fn merge(export: &TestExport, drop_older_revisions: bool) {
    let now = (export.simulator.now() + Duration::days(3)).into();
    let mut options = at(options(export), now);
    options.settings.grace_secs = 0;
    options.drop_older_revisions = drop_older_revisions;
    assert!(compacted(&options).await.days > 0);
}

async fn replay_all(export: &TestExport) {
    let report = replay(&export.job(export.simulator.now().into())).await.unwrap();
    assert!(report.commit.is_some(), "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_view_has_the_rows_of_the_table_whatever_happens_to_the_lake() {
    let export = export(30).await;
    let table = Copy::new(&export, "table.duckdb", DuckdbDocuments::Table);
    let view = Copy::new(&export, "view.duckdb", DuckdbDocuments::View);
    let mut revised = 0;
    for step in 0..6 {
        match step {
            0 => {}
            1 | 2 => go_on(&export).await,
            3 => merge(&export, false).await,
            4 => replay_all(&export).await,
            _ => {
                go_on(&export).await;
                merge(&export, true).await;
            }
        }
        for copy in [&table, &view] {
            copy.deliver(&export).await;
            assert_eq!(copy.deliver(&export).await, "current", "{step}");
        }
        let rows = table.rows();
        assert!(rows.len() > 100 && rows == view.rows(), "{step}: {} rows", rows.len());
        let later = "SELECT count(*) FROM documents WHERE _revision > 1";
        revised += query(&view.settings.path, later).unwrap().1[0][0].parse::<u64>().unwrap();
    }
    assert!(revised > 0, "no run was exported twice");
    assert_eq!([table.kind(), view.kind()], ["BASE TABLE", "VIEW"]);
    // A rebuild comes to the same.
    for copy in [&table, &view] {
        let before = copy.rows();
        copy.rebuild(&export).await;
        assert!(copy.rows() == before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_late_shows_what_its_table_would_show() {
    let export = export(30).await;
    go_on(&export).await;
    let table = Copy::new(&export, "table.duckdb", DuckdbDocuments::Table);
    let view = Copy::new(&export, "view.duckdb", DuckdbDocuments::View);
    table.deliver(&export).await;
    view.deliver(&export).await;
    let before = table.rows();
    for step in 0..3 {
        match step {
            0 | 1 => go_on(&export).await,
            _ => merge(&export, false).await,
        }
        assert!(view.rows() == before, "{step}");
    }
    assert!(table.rows() == before);
    table.deliver(&export).await;
    assert!(table.rows() != before, "nothing came meanwhile");
    view.deliver(&export).await;
    assert!(view.rows() == table.rows());
    // In a file that is attached, too, where another table has the name of the one that it is
    // joined with.
    let connection = Connection::open_in_memory().unwrap();
    let path = view.settings.path.display();
    let sql = format!("CREATE TABLE runs (run_id INTEGER); ATTACH '{path}' AS a (READ_ONLY);");
    connection.execute_batch(&sql).unwrap();
    let count = "SELECT count(*) FROM a.documents";
    let count: usize = connection.query_row(count, [], |row| row.get(0)).unwrap();
    assert_eq!(count, view.rows().len());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_form_becomes_each_other_one() {
    let export = export(12).await;
    let pairs = FORMS.into_iter().flat_map(|from| FORMS.map(|to| (from, to)));
    let mut copies = Vec::new();
    for (number, (from, to)) in pairs.filter(|(from, to)| from != to).enumerate() {
        let copy = Copy::new(&export, &format!("{number}.duckdb"), from);
        copy.deliver(&export).await;
        assert_eq!(copy.kind(), kind_of(from));
        copies.push((copy, from, to));
    }
    let expected = Copy::new(&export, "expected.duckdb", DuckdbDocuments::Table);
    // Without a new commit, after new ones, and when the files of the pending commits are gone.
    for step in 0..3 {
        match step {
            0 => {}
            1 => go_on(&export).await,
            _ => {
                go_on(&export).await;
                merge(&export, false).await;
            }
        }
        expected.deliver(&export).await;
        for (copy, from, to) in &mut copies {
            copy.settings.documents = Some(*to);
            assert_eq!(copy.deliver(&export).await, "applied", "{step}: {from:?} {to:?}");
            assert_eq!(copy.kind(), kind_of(*to));
            if *to != DuckdbDocuments::None {
                assert!(copy.rows() == expected.rows(), "{step}: {from:?} {to:?}");
            }
            std::mem::swap(from, to);
        }
    }
}

#[test]
fn verify_reads_all_three_and_the_setting_is_no_damage() {
    all_at_once(["table", "view", "none"], |from| {
        let export = TestExport::of_growing_world(8);
        let configure = |documents: &str| {
            export.configure(&format!("[duckdb]\ndocuments = \"{documents}\"\n"));
        };
        let verify = || {
            let ran = export.run(&["verify"]);
            assert_eq!(ran.code, Some(0), "{from}: {}", ran.stdout);
        };
        configure(from);
        assert_eq!(export.run(&["sync"]).code, Some(0));
        verify();
        for to in ["table", "view", "none"] {
            configure(to);
            verify();
            let delivered = export.run(&["deliver"]);
            assert_eq!(delivered.code, Some(0), "{}", delivered.stderr);
            let notice = delivered.stderr.contains("duckdb.documents");
            assert_eq!(notice, from != to, "{from} {to}: {}", delivered.stderr);
            verify();
            configure(from);
            assert_eq!(export.run(&["deliver"]).code, Some(0));
        }
    });
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the lake is moved by somebody else")]
fn a_view_of_a_lake_that_moved_is_made_anew() {
    let mut export = TestExport::of_growing_world(8);
    assert_eq!(export.run(&["sync"]).code, Some(0));
    assert_eq!(kind(&export.duckdb), "VIEW", "the default");
    let before = export.ask(ALL_ROWS);
    let moved: PathBuf = export.path("moved");
    fs::rename(&export.lake, &moved).unwrap();
    export.lake = moved;
    // The other tables can be read, and the error names the files.
    assert!(export.count("SELECT count(*) FROM runs") > 0);
    let error = query(&export.duckdb, ALL_ROWS).unwrap_err().to_string();
    assert!(error.contains("/lake/documents/"), "{error}");
    let ran = export.run(&["verify"]);
    assert_eq!(ran.code, Some(3), "{}", ran.stdout);
    assert!(ran.stdout.contains("the view `documents`"), "{}", ran.stdout);
    let ran = export.run(&["verify", "--repair"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stdout);
    assert_eq!(export.ask(ALL_ROWS), before);
}

#[test]
fn a_lake_without_documents_has_an_empty_view_until_it_has_some() {
    let export = TestExport::of_growing_world(8);
    export.configure("[lake]\ndocuments = false\n");
    assert_eq!(export.run(&["sync"]).code, Some(0));
    assert_eq!(kind(&export.duckdb), "VIEW");
    assert_eq!(export.count("SELECT count(*) FROM documents"), 0);
    export.configure("");
    export.simulator.advance(Duration::hours(2));
    assert_eq!(export.run(&["sync"]).code, Some(0));
    let runs = "SELECT count(DISTINCT run_id) FROM documents";
    assert!(export.count(runs) > 0);
    assert_eq!(export.run(&["verify"]).code, Some(0));
}

#[test]
fn a_view_of_somebody_else_is_not_replaced() {
    let export = TestExport::of_growing_world(8);
    export.configure("[duckdb]\ndocuments = \"none\"\n");
    assert_eq!(export.run(&["sync"]).code, Some(0));
    let connection = Connection::open(&export.duckdb).unwrap();
    connection.execute_batch("CREATE VIEW documents AS SELECT 1 AS mine").unwrap();
    connection.close().unwrap();
    for documents in ["table", "view", "none"] {
        export.configure(&format!("[duckdb]\ndocuments = \"{documents}\"\n"));
        let ran = export.run(&["deliver"]);
        assert_eq!(ran.code, Some(2), "{documents}: {}", ran.stderr);
        assert!(ran.stderr.contains("`documents`"), "{}", ran.stderr);
        assert_eq!(export.ask("SELECT * FROM documents"), [["1"]]);
    }
}
