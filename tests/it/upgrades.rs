//! Lakes and DuckDB files of earlier versions: the newer program goes on with them. And the other
//! way round: what a newer one wrote is refused in one line, and left as it is.
//!
//! Each release leaves a fixture here, made by the released program itself:
//!
//! ```sh
//! OLD=path/to/armature-export FIXTURE=lake-0.2.0 cargo test --test it make_a_fixture -- --ignored
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{TestExport, ended_runs, files};
use armature_export::simulator::{SimulatorSettings, WorldSettings};
use armature_export::tables::{ALL, SCHEMA_VERSION, WriteDisposition};
use insta::assert_snapshot;
use serde_json::Value;

/// A small world that goes on, so that the fixture has open runs and the next sync something new.
fn export() -> TestExport {
    let base = ended_runs(8);
    let world = WorldSettings { days: 2.0, seconds_between_runs: 7200.0, ..base.world };
    TestExport::new(SimulatorSettings { world, ..base })
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(format!("{name}.tar.gz"))
}

fn tar(folder: &Path, arguments: &[&str]) {
    let status = Command::new("tar").current_dir(folder).args(arguments).status().unwrap();
    assert!(status.success());
}

/// A export whose lake and DuckDB file an earlier version wrote.
fn export_of(name: &str) -> TestExport {
    let export = export();
    tar(export.folder(), &["-xzf", fixture(name).to_str().unwrap()]);
    export
}

#[test]
#[expect(clippy::disallowed_methods, reason = "how a person says which program it is about")]
#[ignore = "makes a fixture, with a program of an earlier version"]
fn make_a_fixture() {
    let old = std::env::var_os("OLD").expect("OLD names the earlier program");
    let name = std::env::var("FIXTURE").expect("FIXTURE names what it leaves, such as lake-0.2.0");
    let export = export();
    for _ in 0..4 {
        let mut command = Command::new(&old);
        export.add_environment(command.arg("sync"));
        let ran = export.finish(&mut command);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        // Some runs are open then, so that the table of open runs is replaced more than once.
        export.simulator.advance(chrono::Duration::minutes(150));
    }
    fs::create_dir_all(fixture("").parent().unwrap()).unwrap();
    let made = fixture(&name);
    tar(export.folder(), &["-czf", made.to_str().unwrap(), "lake", "armature.duckdb"]);
}

#[test]
fn what_version_0_1_0_wrote_is_gone_on_with() {
    goes_on("lake-0.1.0", 2, [["2", "1"]]);
}

#[test]
fn what_a_version_with_tables_1_3_wrote_is_gone_on_with() {
    goes_on("lake-tables-1.3", 4, [["0", "5"]]);
}

/// A fixture of so many syncs; `proofs` are the syncs without and with a proof on record, after another
/// one.
fn goes_on(fixture: &str, syncs: usize, proofs: [[&str; 2]; 1]) {
    let export = export_of(fixture);
    let old = export.status();
    assert_eq!(old["targets"][0]["state"], "up to date");
    assert_eq!(export.run(&["verify"]).code, Some(0), "{}", export.run(&["verify"]).stdout);
    let exported = old["runs"]["exported"].as_u64().unwrap();
    assert!(exported > 3 && old["syncs"].as_array().unwrap().len() == syncs, "{old}");
    // Made anew from the commits of the earlier version.
    let runs = export.ask("SELECT count(*) FROM runs");
    let rebuilt = export.run(&["deliver", "--rebuild"]);
    assert_eq!(rebuilt.code, Some(0), "{}", rebuilt.stderr);
    assert_eq!(export.ask("SELECT count(*) FROM runs"), runs);

    // One sync later, all is there: rows of both versions in one lake and one file.
    export.simulator.advance(chrono::Duration::days(2));
    assert_eq!(export.run(&["sync"]).code, Some(0));
    let new = export.status();
    assert!(new["runs"]["exported"].as_u64().unwrap() > exported, "{new}");
    assert_eq!(export.run(&["verify"]).code, Some(0), "{}", export.run(&["verify"]).stdout);
    let by_proof = "SELECT count(*) FILTER (proof IS NULL), count(proof) FROM _syncs";
    assert_eq!(export.ask(by_proof), proofs);
    assert_eq!(export.run(&["reconcile"]).code, Some(0), "{}", export.run(&["reconcile"]).stdout);

    // All rows as this version makes them, in one commit.
    assert_eq!(export.run(&["replay"]).code, Some(0));
    assert_eq!(export.run(&["verify"]).code, Some(0), "{}", export.run(&["verify"]).stdout);
    let runs = export.ask("SELECT count(*) FROM runs");
    assert_eq!(export.run(&["deliver", "--rebuild"]).code, Some(0));
    assert_eq!(export.ask("SELECT count(*) FROM runs"), runs);
}

/// All rows of the tables in which runs are, with the columns that the earlier version had: from the
/// DuckDB file and from the data files.
fn all_rows(
    export: &TestExport,
    columns: &BTreeMap<String, Vec<String>>,
) -> BTreeMap<String, [String; 2]> {
    let rows = |(table, columns): (&String, &Vec<String>)| {
        let list = columns.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
        let files = format!(
            "read_parquet('{}/{table}/**/*.parquet', union_by_name = true, hive_partitioning = false)",
            export.lake.display()
        );
        let of = |relation: &str| {
            let sql = format!("SELECT {list} FROM {relation} ORDER BY ALL");
            format!("{:?}", export.ask(&sql))
        };
        (table.clone(), [of(&format!("\"{table}\"")), of(&files)])
    };
    columns.iter().map(rows).collect()
}

/// The columns of each table of runs in the DuckDB file.
fn columns(export: &TestExport) -> BTreeMap<String, Vec<String>> {
    let mut columns: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for table in ALL.iter().filter(|table| table.write == WriteDisposition::Append) {
        if !export.lake.join(table.name).exists() {
            continue;
        }
        let sql = format!("SELECT column_name FROM (DESCRIBE SELECT * FROM \"{}\")", table.name);
        columns.insert(table.name.to_owned(), export.ask(&sql).into_iter().flatten().collect());
    }
    columns
}

#[test]
fn the_next_sync_upgrades_a_lake_in_one_commit_and_it_reads_the_same() {
    for name in ["lake-0.1.0", "lake-tables-1.3"] {
        let export = export_of(name);
        let columns = columns(&export);
        let (before, commit) = (all_rows(&export, &columns), export.status()["commit"].clone());
        assert!(before.len() > 5, "{name}: {:?}", before.keys());
        // As if the fixture had been written a moment ago: nothing new is listed.
        export.simulator.advance(chrono::Duration::hours(3));
        assert_eq!(export.run(&["sync"]).code, Some(0), "{name}");
        assert_eq!(export.status()["commit"], commit.as_u64().unwrap() + 1, "{name}");
        assert_eq!(all_rows(&export, &columns), before, "{name}");
        // The file has the columns of this version; earlier rows have no value there.
        let dates = "SELECT count(*) > 0, count(run_date) FROM runs";
        assert_eq!(export.ask(dates), [["true", "0"]], "{name}");
        assert_eq!(
            export.run(&["verify"]).code,
            Some(0),
            "{name}: {}",
            export.run(&["verify"]).stdout
        );
    }
}

#[test]
fn what_a_newer_version_wrote_is_refused_and_left_alone() {
    let export = TestExport::of_ended_runs(3);
    assert_eq!(export.run(&["sync"]).code, Some(0));
    let commit_files = files(&export.lake.join("_armature/manifests"));
    let (path, content) = commit_files.last_key_value().unwrap();
    let mut commit_file: Value = serde_json::from_slice(content).unwrap();
    let (major, minor) = SCHEMA_VERSION.split_once('.').unwrap();
    let later = format!("{major}.{}", minor.parse::<u64>().unwrap() + 1);
    commit_file["schema_version"] = later.clone().into();
    // It may look quite different.
    commit_file["parts"] = "elsewhere".into();
    fs::write(path, commit_file.to_string()).unwrap();
    let before = files(&export.lake);
    let told = export.run(&["sync"]).told().replace(&later, "[later]");
    assert_snapshot!(told.replace(SCHEMA_VERSION, "[this]"), @r"
    exit 6
    error: the lake `[dir]/lake` has tables of version [later]; this version knows [this]
    hint: a newer armature-export wrote it: update this one; nothing was changed
    ");
    for command in ["status", "deliver", "verify", "reconcile", "replay", "plan"] {
        let again = export.run(&[command]).told().replace(&later, "[later]");
        assert_eq!(again, told, "{command}");
    }
    let lock = export.lake.join("_armature/lock");
    let without = |mut files: std::collections::BTreeMap<PathBuf, Vec<u8>>| {
        files.remove(&lock);
        files
    };
    assert!(without(files(&export.lake)) == without(before), "something was changed");
}

#[test]
fn a_configuration_for_a_newer_version_is_refused() {
    let export = TestExport::of_ended_runs(3);
    export.configure("");
    let text = fs::read_to_string(export.path("armature-export.toml")).unwrap();
    let text = format!("config_version = 2\n{text}[warehouse]\nkind = \"of the future\"\n");
    fs::write(export.path("armature-export.toml"), text).unwrap();
    assert_snapshot!(export.run(&["sync"]).told(), @r"
    exit 2
    error: the configuration `armature-export.toml` has config_version = 2; this version knows 1
    hint: update armature-export, or remove the options that it does not know
    ");
    // One without a version, or with this one's, is read as ever.
    fs::write(export.path("armature-export.toml"), "config_version = 1\n").unwrap();
    export.sync_brings_everything();
}
