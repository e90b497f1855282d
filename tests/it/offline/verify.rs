//! Damage of every kind, planted: what `verify` says of it, and what a repair makes of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use armature_export::config::DuckdbDocuments;
use armature_export::job::LakeJob;
use armature_export::simulator::WorldSettings;
use armature_export::verify::{VerifyReport, repair, verify};
use insta::assert_snapshot;
use tokio::sync::OnceCell;

use crate::support::{TestExport, birth, files, write_files};

fn options(export: &TestExport) -> LakeJob {
    export.job(birth().into())
}

/// What `verify` says, with what differs from test to test made the same.
async fn said(export: &TestExport) -> String {
    told(export, &verify(&options(export)).await.unwrap())
}

/// The findings of a report with their remedies.
pub(crate) fn told(export: &TestExport, report: &VerifyReport) -> String {
    let findings = report.findings.iter();
    let lines = findings.map(|finding| format!("{finding}\n  hint: {}", finding.remedy()));
    let unchecked = report.unchecked.iter().map(|what| format!("not checked: {what}"));
    let lines: Vec<String> = lines.chain(unchecked).collect();
    if lines.is_empty() { "all is well".to_owned() } else { same(export, &lines.join("\n")) }
}

/// A text without what differs from one lake to another.
pub(crate) fn same(export: &TestExport, text: &str) -> String {
    let folder = export.lake.parent().unwrap().display().to_string();
    let text = text.replace(&folder, "[dir]");
    let words = text.split_inclusive(['-', '.']).map(|word| {
        let name = word.trim_end_matches(['-', '.']);
        let is_id = name.len() == 32 && name.chars().all(|c| c.is_ascii_hexdigit());
        if is_id { word.replace(name, "[id]") } else { word.to_owned() }
    });
    words.collect()
}

/// Repairs, and returns what was repaired and what is left.
async fn repaired(export: &TestExport, drop_parts: bool) -> String {
    let report = repair(&options(export), drop_parts).await.unwrap();
    assert_eq!(report.failed, Vec::<String>::new());
    let repaired: Vec<String> = report.repaired.iter().map(ToString::to_string).collect();
    same(export, &format!("{}\n{}", repaired.join("\n"), told(export, &report.after)))
}

/// The files of [`synced`] by path in the folder, so that one test makes them and the others write
/// them.
static SYNCED: OnceCell<BTreeMap<PathBuf, Vec<u8>>> = OnceCell::const_new();

/// A lake of three syncs, each one commit.
async fn synced() -> TestExport {
    let world = WorldSettings {
        runs: 30,
        days: 4.0,
        seconds_between_runs: 600.0,
        ..WorldSettings::default()
    };
    let mut export = TestExport::of_world(world);
    // A view would name the lake of the test that made the files.
    export.settings.duckdb.documents = Some(DuckdbDocuments::Table);
    let files = SYNCED.get_or_init(async || {
        export.sync().await;
        for _ in 0..2 {
            export.simulator.advance(chrono::Duration::hours(2));
            export.sync().await;
        }
        assert_eq!(said(&export).await, "all is well");
        let relative = |path: PathBuf| path.strip_prefix(export.folder()).unwrap().to_owned();
        files(export.folder()).into_iter().map(|(path, bytes)| (relative(path), bytes)).collect()
    });
    let files: &BTreeMap<PathBuf, Vec<u8>> = files.await;
    if !export.lake.exists() {
        export.simulator.advance(chrono::Duration::hours(4));
        for folder in ["manifests", "ledger", "staging"] {
            fs::create_dir_all(export.lake.join("_armature").join(folder)).unwrap();
        }
        let placed = files.iter().map(|(path, bytes)| (export.folder().join(path), bytes.clone()));
        write_files(&placed.collect());
    }
    export
}

/// The first part of a table.
fn part(export: &TestExport, table: &str) -> PathBuf {
    let folder = export.lake.join(table);
    export.parts().into_iter().find(|path| path.starts_with(&folder)).unwrap()
}

fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    *bytes.get_mut(middle).unwrap() ^= 1;
    fs::write(path, bytes).unwrap();
}

fn commit_file(export: &TestExport, commit: u64) -> PathBuf {
    export.lake.join(format!("_armature/manifests/{commit:08}.json"))
}

/// A commit file that a wrong program made: whole, and not true.
fn write_with_digest(path: &Path, mut commit_file: serde_json::Value) {
    commit_file.as_object_mut().unwrap().remove("sha256").unwrap();
    let members = commit_file.to_string();
    let members = members.strip_suffix('}').unwrap();
    let digest = armature_export::digest::sha256_hex(members.as_bytes());
    fs::write(path, format!("{members},\"sha256\":\"{digest}\"}}")).unwrap();
}

fn newest(export: &TestExport) -> u64 {
    (1..1000).find(|commit| !commit_file(export, commit + 1).exists()).unwrap()
}

async fn assert_mended(export: &TestExport) {
    assert_eq!(said(export).await, "all is well");
    export.assert_equals_the_world();
    let report = export.sync().await;
    assert_eq!((report.runs.new, report.runs.changed), (0, 0));
    assert_eq!(said(export).await, "all is well");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_part() {
    let export = synced().await;
    fs::remove_file(part(&export, "runs")).unwrap();
    assert_snapshot!(said(&export).await, @"
    the data file `runs/date=2026-11-19/00000001-[id].parquet` of commit 1 is missing
      hint: `armature-export verify --repair` repairs it
    not checked: rows and the DuckDB file, as not every commit file and data file is intact
    ");
    assert_snapshot!(repaired(&export, false).await, @"
    regenerated the data files of 6 runs from `documents` (commit 4)
    brought the DuckDB file up to date (commit 4)
    all is well
    ");
    assert_mended(&export).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_byte_in_a_part() {
    let export = synced().await;
    flip(&part(&export, "spans"));
    assert_snapshot!(said(&export).await, @"
    the data file `spans/date=2026-11-19/00000001-[id].parquet` of commit 1 is damaged: its bytes are not those that were written
      hint: `armature-export verify --repair` repairs it
    not checked: rows and the DuckDB file, as not every commit file and data file is intact
    ");
    assert_snapshot!(repaired(&export, false).await, @"
    regenerated the data files of 6 runs from `documents` (commit 4)
    brought the DuckDB file up to date (commit 4)
    all is well
    ");
    assert_mended(&export).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_byte_in_documents() {
    let export = synced().await;
    flip(&part(&export, "documents"));
    assert_snapshot!(said(&export).await, @"
    the data file `documents/date=2026-11-19/00000001-[id].parquet` of commit 1 is damaged: its bytes are not those that were written
      hint: restore the file from a backup; or `armature-export verify --repair --drop-parts` drops it, and `armature-export reconcile --repair` fetches what the API still has
    not checked: rows and the DuckDB file, as not every commit file and data file is intact
    ");
    assert_snapshot!(repaired(&export, false).await, @"

    the data file `documents/date=2026-11-19/00000001-[id].parquet` of commit 1 is damaged: its bytes are not those that were written
      hint: restore the file from a backup; or `armature-export verify --repair --drop-parts` drops it, and `armature-export reconcile --repair` fetches what the API still has
    not checked: rows and the DuckDB file, as not every commit file and data file is intact
    ");
    assert_snapshot!(repaired(&export, true).await, @"
    dropped the damaged data file `documents/date=2026-11-19/00000001-[id].parquet`, kept as `[dir]/lake/_armature/set_aside/documents/date=2026-11-19/00000001-[id].parquet`
    rewrote the ledger (commit 4): 6 entries repaired; the next sync fetches 6 runs again
    brought the DuckDB file up to date (commit 4)
    rebuilt the DuckDB file from the lake (commit 4)
    run 2d6e97a1-3a7f-4919-a99c-57e4e6f35b8c lost rows or documents, and waits to be fetched again
      hint: `armature-export sync` fetches it again, or `armature-export reconcile --repair`
    run 4e071f4b-0223-43d1-8bd5-fd7db45b6975 lost rows or documents, and waits to be fetched again
      hint: `armature-export sync` fetches it again, or `armature-export reconcile --repair`
    run 783d6100-1be3-4417-a271-2423ce45a56f lost rows or documents, and waits to be fetched again
      hint: `armature-export sync` fetches it again, or `armature-export reconcile --repair`
    run c83a744d-50e3-4a91-ac28-7a574115a33d lost rows or documents, and waits to be fetched again
      hint: `armature-export sync` fetches it again, or `armature-export reconcile --repair`
    run e4b301a9-6d7e-4bc3-91cf-a3d24f857b0b lost rows or documents, and waits to be fetched again
      hint: `armature-export sync` fetches it again, or `armature-export reconcile --repair`
    run ea7bdaba-ac70-4557-b754-4fac8f53499a lost rows or documents, and waits to be fetched again
      hint: `armature-export sync` fetches it again, or `armature-export reconcile --repair`
    ");
    let report = export.sync().await;
    assert!(report.runs.changed > 0);
    assert_mended(&export).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_deleted_with_their_documents() {
    let export = synced().await;
    for table in ["runs", "documents", "spans"] {
        fs::remove_file(part(&export, table)).unwrap();
    }
    let before = said(&export).await;
    assert_eq!(before.matches("is missing").count(), 3, "{before}");
    assert_snapshot!(repaired(&export, true).await, @"
    dropped the missing data file `documents/date=2026-11-19/00000001-[id].parquet`
    dropped the missing data file `runs/date=2026-11-19/00000001-[id].parquet`
    dropped the missing data file `spans/date=2026-11-19/00000001-[id].parquet`
    rewrote the ledger (commit 4): 6 entries repaired; the next sync fetches 6 runs again
    brought the DuckDB file up to date (commit 4)
    rebuilt the DuckDB file from the lake (commit 4)
    run 2d6e97a1-3a7f-4919-a99c-57e4e6f35b8c lost rows or documents, and waits to be fetched again
      hint: `armature-export sync` fetches it again, or `armature-export reconcile --repair`
    run 4e071f4b-0223-43d1-8bd5-fd7db45b6975 lost rows or documents, and waits to be fetched again
      hint: `armature-export sync` fetches it again, or `armature-export reconcile --repair`
    run 783d6100-1be3-4417-a271-2423ce45a56f lost rows or documents, and waits to be fetched again
      hint: `armature-export sync` fetches it again, or `armature-export reconcile --repair`
    run c83a744d-50e3-4a91-ac28-7a574115a33d lost rows or documents, and waits to be fetched again
      hint: `armature-export sync` fetches it again, or `armature-export reconcile --repair`
    run e4b301a9-6d7e-4bc3-91cf-a3d24f857b0b lost rows or documents, and waits to be fetched again
      hint: `armature-export sync` fetches it again, or `armature-export reconcile --repair`
    run ea7bdaba-ac70-4557-b754-4fac8f53499a lost rows or documents, and waits to be fetched again
      hint: `armature-export sync` fetches it again, or `armature-export reconcile --repair`
    ");
    assert!(repaired(&export, true).await.starts_with('\n'), "nothing is left to mend offline");
    export.sync().await;
    assert_mended(&export).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_doubled_file() {
    let export = synced().await;
    let part = part(&export, "runs");
    fs::copy(&part, part.with_file_name("copy.parquet")).unwrap();
    assert_snapshot!(said(&export).await, @"
    `runs/date=2026-11-19/copy.parquet` is a copy of `runs/date=2026-11-19/00000001-[id].parquet`: its rows count twice
      hint: `armature-export verify --repair` repairs it
    ");
    assert_snapshot!(repaired(&export, false).await, @"
    deleted the copy `runs/date=2026-11-19/copy.parquet`
    all is well
    ");
    assert_mended(&export).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_under_another_name() {
    let export = synced().await;
    let part = part(&export, "documents");
    move_file(&part, &part.with_file_name("renamed.parquet"));
    assert_snapshot!(said(&export).await, @"
    the data file `documents/date=2026-11-19/00000001-[id].parquet` of commit 1 is missing
      hint: restore the file from a backup; or `armature-export verify --repair --drop-parts` drops it, and `armature-export reconcile --repair` fetches what the API still has
    `documents/date=2026-11-19/renamed.parquet` has the content of the data file `documents/date=2026-11-19/00000001-[id].parquet`
      hint: `armature-export verify --repair` repairs it
    not checked: rows and the DuckDB file, as not every commit file and data file is intact
    ");
    assert_snapshot!(repaired(&export, true).await, @"
    moved `documents/date=2026-11-19/renamed.parquet` back to `documents/date=2026-11-19/00000001-[id].parquet`
    all is well
    ");
    assert!(part.exists());
    assert_mended(&export).await;
}

#[expect(clippy::disallowed_methods, reason = "a test that moves a file behind the lake's back")]
fn move_file(from: &Path, to: &Path) {
    fs::rename(from, to).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_no_commit() {
    let export = synced().await;
    fs::write(export.lake.join("runs/notes.txt"), "mine").unwrap();
    assert_snapshot!(said(&export).await, @"
    `runs/notes.txt` is in no commit
      hint: `armature-export verify --repair` hides it from readers, and keeps it
    ");
    assert_snapshot!(repaired(&export, false).await, @"
    quarantined `runs/notes.txt` as `[dir]/lake/_armature/set_aside/runs/notes.txt`
    all is well
    ");
    let kept = export.lake.join("_armature/set_aside/runs/notes.txt");
    assert_eq!(fs::read_to_string(kept).unwrap(), "mine");
    assert_mended(&export).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leftover_in_staging() {
    let export = synced().await;
    let folder = export.lake.join("_armature/staging/00000099-left");
    fs::create_dir_all(&folder).unwrap();
    assert_snapshot!(said(&export).await, @"
    `_armature/staging/00000099-left` is left over from a sync that was cut off
      hint: `armature-export verify --repair` repairs it
    ");
    assert_snapshot!(repaired(&export, false).await, @"
    removed `_armature/staging/00000099-left`
    all is well
    ");
    assert_mended(&export).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_deleted_from_the_database() {
    let export = synced().await;
    let sql = "DELETE FROM spans WHERE run_id = (SELECT min(run_id) FROM runs)";
    duckdb::Connection::open(&export.duckdb).unwrap().execute_batch(sql).unwrap();
    assert_snapshot!(said(&export).await, @"
    `spans` in the DuckDB file has 526 rows, and 537 in the lake (runs 0e2903b8-ea8e-44f5-a80f-7015f03074fd)
      hint: `armature-export verify --repair` or `deliver --rebuild` rebuilds it from the lake
    ");
    assert_snapshot!(repaired(&export, false).await, @"
    rebuilt the DuckDB file from the lake (commit 3)
    all is well
    ");
    assert_mended(&export).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_changed_in_the_database() {
    let export = synced().await;
    let sql = "UPDATE runs SET cost = 0 WHERE run_id = (SELECT min(run_id) FROM runs); \
               UPDATE _syncs SET runs_listed = 0; DELETE FROM workflows;";
    duckdb::Connection::open(&export.duckdb).unwrap().execute_batch(sql).unwrap();
    assert_snapshot!(said(&export).await, @"
    `runs` in the DuckDB file holds other values than in the lake (runs 0e2903b8-ea8e-44f5-a80f-7015f03074fd)
      hint: `armature-export verify --repair` or `deliver --rebuild` rebuilds it from the lake
    `workflows` in the DuckDB file has 0 rows, and 8 in the lake
      hint: `armature-export verify --repair` or `deliver --rebuild` rebuilds it from the lake
    `_syncs` in the DuckDB file holds other values than in the lake
      hint: `armature-export verify --repair` or `deliver --rebuild` rebuilds it from the lake
    ");
    assert_snapshot!(repaired(&export, false).await, @"
    rebuilt the DuckDB file from the lake (commit 3)
    all is well
    ");
    assert_mended(&export).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_behind_gone_or_broken() {
    let mut export = synced().await;
    export.settings.duckdb.enabled = false;
    export.simulator.advance(chrono::Duration::hours(4));
    export.sync().await;
    export.settings.duckdb.enabled = true;
    assert_snapshot!(said(&export).await, @"
    the DuckDB file is 1 commit behind
      hint: `armature-export deliver` brings it up to date
    ");
    assert_snapshot!(repaired(&export, false).await, @"
    brought the DuckDB file up to date (commit 4)
    all is well
    ");
    fs::remove_file(&export.duckdb).unwrap();
    assert_snapshot!(said(&export).await, @"
    there is no DuckDB file `[dir]/armature.duckdb`
      hint: `armature-export deliver` brings it up to date
    ");
    repaired(&export, false).await;
    let mut bytes = fs::read(&export.duckdb).unwrap();
    bytes[4096..12_288].fill(0);
    fs::write(&export.duckdb, &bytes).unwrap();
    let broken = said(&export).await;
    assert!(broken.starts_with("the DuckDB file cannot be read: "), "{broken}");
    repaired(&export, false).await;
    assert_mended(&export).await;
    // Of the headers alone nobody can say whose file it was.
    fs::write(&export.duckdb, &bytes[..5000]).unwrap();
    let refused = repair(&options(&export), false).await.unwrap();
    let [failed] = refused.failed.as_slice() else { panic!("{:?}", refused.failed) };
    assert!(failed.contains("shows no sign that it was delivered from this lake"), "{failed}");
    assert_eq!(fs::read(&export.duckdb).unwrap(), bytes[..5000]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_missing_from_the_ledger() {
    let export = synced().await;
    let path = commit_file(&export, newest(&export));
    let mut json: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let changes = json["ledger_changes"].as_array_mut().unwrap();
    // When to ask for an evaluation that is not there is nothing that rows tell.
    let is_judged = |change: &serde_json::Value| change[1]["documents"]["evaluation"] == "ok";
    let place = changes.iter().position(is_judged).unwrap();
    let entry = changes.remove(place);
    write_with_digest(&path, json);
    assert_snapshot!(said(&export).await.replace(entry[0].as_str().unwrap(), "[run]"), @"
    run [run] has rows and is not in the ledger
      hint: `armature-export verify --repair` repairs it
    ");
    assert_snapshot!(repaired(&export, false).await, @"
    rewrote the ledger (commit 4): 1 entry repaired
    brought the DuckDB file up to date (commit 4)
    all is well
    ");
    let lake = armature_export::lake::LakeView::open(&export.lake).await.unwrap();
    let (ledger, _) = lake.ledger().await.unwrap();
    let mended = ledger.get(entry[0].as_str().unwrap(), None).unwrap().unwrap();
    let mended = serde_json::to_value(mended).unwrap();
    assert_eq!(mended, entry[1]);
    assert_mended(&export).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_of_the_ledger_without_rows() {
    let export = synced().await;
    let path = commit_file(&export, newest(&export));
    let mut json: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let changes = json["ledger_changes"].as_array_mut().unwrap();
    let is_exported = |change: &&mut serde_json::Value| change[1]["state"] == "exported";
    let entry = changes.iter_mut().find(is_exported).unwrap();
    let run_id = entry[0].as_str().unwrap().to_owned();
    entry[1]["revision"] = 2.into();
    write_with_digest(&path, json);
    assert_snapshot!(said(&export).await.replace(&run_id, "[run]"), @"
    run [run] is exported, and its revision 2 has no row
      hint: `armature-export verify --repair` has the next sync fetch the run again, as far as the API still has it
    ");
    assert_snapshot!(repaired(&export, false).await.replace(&run_id, "[run]"), @"
    rewrote the ledger (commit 4): 1 entry repaired; the next sync fetches 1 run again
    brought the DuckDB file up to date (commit 4)
    run [run] lost rows or documents, and waits to be fetched again
      hint: `armature-export sync` fetches it again, or `armature-export reconcile --repair`
    ");
    assert_eq!(export.sync().await.runs.changed, 1);
    let revision = format!("SELECT _revision FROM runs WHERE run_id = '{run_id}'");
    assert_eq!(export.count(&revision), 3);
    assert_mended(&export).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_ledger() {
    let export = synced().await;
    super::replay::replayed(&export).await;
    assert_eq!(said(&export).await, "all is well");
    let ledgers = fs::read_dir(export.lake.join("_armature/ledger")).unwrap();
    for ledger in ledgers {
        flip(&ledger.unwrap().path());
    }
    let said = said(&export).await;
    assert!(said.starts_with("the ledger as of commit "), "{said}");
    repaired(&export, false).await;
    assert_mended(&export).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_byte_in_a_commit_file() {
    let export = synced().await;
    let path = commit_file(&export, 1);
    let bytes = fs::read(&path).unwrap();
    let text = String::from_utf8(bytes.clone()).unwrap();
    fs::write(&path, text.replacen("\"first_listed_at\":1", "\"first_listed_at\":2", 1)).unwrap();
    assert_snapshot!(said(&export).await, @"
    the file of commit 1 cannot be read: it was changed after it was written: its `sha256` differs
      hint: restore the file from a backup; nothing else is repaired until then
    not checked: rows and the DuckDB file, as not every commit file and data file is intact
    ");
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let broken = said(&export).await;
    assert!(broken.starts_with("the file of commit 1 cannot be read: "), "{broken}");
    assert!(repaired(&export, true).await.trim_start().starts_with("the file of commit 1"));
    fs::write(&path, &bytes).unwrap();
    assert_mended(&export).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_commit_file() {
    let export = synced().await;
    for commit in [2, newest(&export)] {
        let path = commit_file(&export, commit);
        let bytes = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let before = export.parts();
        let told = said(&export).await;
        assert!(!told.contains("all is well"));
        if commit == 2 {
            assert!(told.starts_with("the file of commit 2 is missing"), "{told}");
        }
        let is_newest = commit != 2;
        assert_eq!(told.contains("which has no commit file"), is_newest, "{told}");
        repaired(&export, true).await;
        assert_eq!(export.parts(), before, "rows that only these files hold are gone");
        if commit == 2 {
            fs::write(&path, &bytes).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_that_was_cut_off_in_each_step() {
    let export = synced().await;
    let before: Vec<(PathBuf, Vec<u8>)> =
        export.parts().into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect();
    super::replay::replayed(&export).await;
    let path = commit_file(&export, newest(&export));
    let json: serde_json::Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let staging = export.lake.join("_armature/staging").join(json["staging"].as_str().unwrap());
    let parts = json["parts"].as_array().unwrap().clone();
    // Part by part: not begun, moved over the old one, or done.
    for (place, part) in parts.iter().enumerate() {
        let path = part["path"].as_str().unwrap();
        let (new, old) =
            (export.lake.join(path), export.lake.join(part["replaces"].as_str().unwrap()));
        match place % 3 {
            0 => {
                let staged = staging.join(path);
                fs::create_dir_all(staged.parent().unwrap()).unwrap();
                fs::write(&staged, fs::read(&new).unwrap()).unwrap();
                fs::remove_file(&new).unwrap();
                let (_, bytes) = before.iter().find(|(path, _)| *path == old).unwrap();
                fs::write(&old, bytes).unwrap();
            }
            1 => {
                fs::write(&old, fs::read(&new).unwrap()).unwrap();
                fs::remove_file(&new).unwrap();
            }
            _ => {}
        }
    }
    let told = said(&export).await;
    assert!(told.contains("not all data files of commit"), "{told}");
    let count = export.parts().len();
    assert_eq!(count, before.len(), "a reader of the folders sees each part once");
    assert_snapshot!(repaired(&export, false).await, @"
    published the data files of commit 4
    all is well
    ");
    assert_mended(&export).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lake_and_a_database_of_an_older_version() {
    const ADDED: [&str; 6] =
        ["uncertified_because", "proof", "pages", "looks", "repeats", "head_moved"];
    let export = TestExport::of_growing_world(12);
    export.sync().await;
    let path = commit_file(&export, newest(&export));
    let mut old: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    // As the first version wrote it.
    for member in ["sha256", "identity_sha256"] {
        old.as_object_mut().unwrap().remove(member).unwrap();
    }
    old["schema_version"] = "1.0".into();
    old["sync"].as_object_mut().unwrap().remove("sweep").unwrap();
    fs::write(&path, old.to_string()).unwrap();
    let connection = duckdb::Connection::open(&export.duckdb).unwrap();
    for column in ADDED {
        let sql = format!("ALTER TABLE _syncs DROP COLUMN {column}");
        connection.execute_batch(&sql).unwrap();
    }
    connection.execute_batch("COMMENT ON TABLE _armature IS '1.0'").unwrap();
    connection.close().unwrap();
    export.sync().await;
    assert_snapshot!(said(&export).await, @"all is well");
    let unknown = "SELECT count(*) FROM _syncs WHERE pages IS NULL AND proof IS NULL";
    assert_eq!(export.count(unknown), 1);
    let known = "SELECT count(*) FROM _syncs WHERE pages > 0 AND proof IS NOT NULL";
    assert_eq!(export.count(known), 1);
    export.deliver(true).await.unwrap();
    assert_snapshot!(said(&export).await, @"all is well");
    assert_eq!(export.count(unknown), 1);
}
