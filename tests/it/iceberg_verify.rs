//! `verify` compares the Iceberg tables with the lake: damage of every kind, planted in metadata
//! and manifests, what is said of it, and what a repair makes of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use apache_avro::types::Value as Avro;
use armature_export::simulator::WorldSettings;
use armature_export::verify::{repair, verify};
use chrono::Duration;
use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::compact::{at, compacted, options};
use crate::iceberg::{add_foreign_snapshot, edit_metadata, metadata, settings};
use crate::offline::verify::{same, told};
use crate::support::{TestExport, birth, files, write_files};

async fn said(export: &TestExport) -> String {
    told(export, &verify(&export.job(birth().into())).await.unwrap())
}

/// Repairs, and returns what was repaired and what is left.
async fn repaired(export: &TestExport) -> String {
    let report = repair(&export.job(birth().into()), false).await.unwrap();
    assert_eq!(report.failed, Vec::<String>::new());
    let repaired: Vec<String> = report.repaired.iter().map(ToString::to_string).collect();
    same(export, &format!("{}\n{}", repaired.join("\n"), told(export, &report.after)))
}

/// A lake of three syncs with tables, each of one commit.
async fn synced() -> TestExport {
    let mut export = TestExport::of_world(WorldSettings {
        runs: 12,
        days: 2.0,
        seconds_between_runs: 3600.0,
        ..WorldSettings::default()
    });
    export.settings.iceberg = settings();
    for _ in 0..3 {
        export.sync().await;
        export.simulator.advance(Duration::hours(5));
    }
    assert_eq!(said(&export).await, "all is well");
    export
}

/// The manifests of a table, the oldest first.
fn manifests(export: &TestExport, table: &str) -> Vec<PathBuf> {
    let folder = export.lake.join("_iceberg").join(table).join("metadata");
    let all = files(&folder).into_keys();
    all.filter(|path| path.to_string_lossy().contains("-m-")).collect()
}

/// Rewrites the entries of a manifest.
fn edit_manifest(path: &Path, edit: impl Fn(&mut Vec<Avro>)) {
    let bytes = fs::read(path).unwrap();
    let reader = apache_avro::Reader::new(&bytes[..]).unwrap();
    let schema = reader.writer_schema().clone();
    let mut entries: Vec<Avro> = reader.map(Result::unwrap).collect();
    // The order of the days differs from one lake to another.
    entries.sort_by_cached_key(|entry| format!("{:?}", member(&mut entry.clone(), "data_file")));
    edit(&mut entries);
    let mut writer = apache_avro::Writer::new(&schema, Vec::new()).unwrap();
    for entry in entries {
        writer.append_value(entry).unwrap();
    }
    fs::write(path, writer.into_inner().unwrap()).unwrap();
}

/// A member of a record.
fn member<'v>(record: &'v mut Avro, name: &str) -> &'v mut Avro {
    let Avro::Record(members) = record else { panic!("{record:?}") };
    &mut members.iter_mut().find(|(member, _)| member == name).unwrap().1
}

/// Plants damage in the tables, and returns what is said of it. Everything is then as it was.
async fn with_damage(export: &TestExport, plant: impl Fn(&TestExport)) -> String {
    let tables = export.lake.join("_iceberg");
    let before = files(&tables);
    let content = || if tables.exists() { files(&tables) } else { BTreeMap::new() };
    plant(export);
    let planted = content();
    let said = said(export).await;
    assert!(content() == planted, "a check changed something");
    for path in planted.keys() {
        fs::remove_file(path).unwrap();
    }
    for path in before.keys() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
    }
    write_files(&before);
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_in_the_metadata_of_a_table_is_named() {
    let export = synced().await;
    let mut told = Vec::new();
    let plants: [fn(&TestExport); 8] = [
        // No tables, and no table.
        |export| fs::remove_dir_all(export.lake.join("_iceberg")).unwrap(),
        |export| fs::remove_dir_all(export.lake.join("_iceberg/spans")).unwrap(),
        // A snapshot of another program, without the files of the last two.
        |export| add_foreign_snapshot(&export.lake, 0),
        // The number that engines answer `count(*)` from.
        |export| {
            edit_metadata(&export.lake, "runs", |table| {
                let newest = table["snapshots"].as_array_mut().unwrap().last_mut().unwrap();
                newest["summary"]["total-records"] = "7".into();
            });
        },
        // Tables that are not this lake's, or not this program's.
        |export| {
            edit_metadata(&export.lake, "runs", |table| {
                table["properties"]["armature.lake"] = json!(uuid::Uuid::nil());
            });
        },
        |export| {
            edit_metadata(&export.lake, "runs", |table| {
                table["properties"].as_object_mut().unwrap().remove("armature.commit");
            });
        },
        // A commit that the lake does not have.
        |export| {
            edit_metadata(&export.lake, "runs", |table| {
                table["properties"]["armature.commit"] = "99".into();
            });
        },
        |export| edit_metadata(&export.lake, "runs", |table| *table = Value::Null),
    ];
    for plant in plants {
        told.push(with_damage(&export, plant).await);
    }
    assert_snapshot!(told.join("\n\n"), @"
    there are no Iceberg tables in `file://[dir]/lake/_iceberg`
      hint: `armature-export deliver` brings them up to date

    there is no Iceberg table `spans`
      hint: `armature-export deliver` brings them up to date

    the Iceberg table `runs` lacks the data file `runs/date=2026-11-23/00000002-[id].parquet`
      hint: `armature-export verify --repair` or `deliver --rebuild` makes the tables anew from the lake
    the Iceberg table `runs` lacks the data file `runs/date=2026-11-23/00000003-[id].parquet`
      hint: `armature-export verify --repair` or `deliver --rebuild` makes the tables anew from the lake

    the Iceberg table `runs` states 7 rows, and its data files have 22
      hint: `armature-export verify --repair` or `deliver --rebuild` makes the tables anew from the lake

    the Iceberg table `runs` belongs to another lake
      hint: `armature-export deliver --rebuild` makes the tables anew from the lake

    the Iceberg table `runs` was not made by this program
      hint: `armature-export deliver --rebuild` makes the tables anew from the lake

    the Iceberg table `runs` has commit 99, and the lake ends at commit 3
      hint: `armature-export deliver --rebuild` makes the tables anew from the lake

    the Iceberg table `runs` has damaged metadata (invalid type: null, expected struct TableMetadata at line 1 column 4)
      hint: `armature-export deliver --rebuild` makes the tables anew from the lake
    ");
    assert_eq!(said(&export).await, "all is well");
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_in_the_manifests_of_a_table_is_named() {
    let export = synced().await;
    let mut told = Vec::new();
    let plants: [fn(&TestExport); 7] = [
        |export| fs::remove_file(&manifests(export, "runs")[0]).unwrap(),
        |export| fs::write(&manifests(export, "runs")[0], "Obj\u{1}").unwrap(),
        |export| {
            edit_manifest(&manifests(export, "runs")[0], |entries| {
                let file = member(&mut entries[0], "data_file");
                *member(file, "file_size_in_bytes") = Avro::Long(5);
            });
        },
        |export| {
            edit_manifest(&manifests(export, "workflows")[0], |entries| {
                let file = member(&mut entries[0], "data_file");
                *member(file, "record_count") = Avro::Long(5);
            });
        },
        |export| {
            edit_manifest(&manifests(export, "runs")[0], |entries| {
                let partition = member(member(&mut entries[0], "data_file"), "partition");
                *member(partition, "run_date") = Avro::Union(1, Box::new(Avro::Date(3)));
            });
        },
        // The same file again.
        |export| {
            edit_manifest(&manifests(export, "runs")[0], |entries| {
                entries.push(entries[0].clone());
            });
        },
        // A file of another program, in place of the lake's.
        |export| {
            edit_manifest(&manifests(export, "runs")[0], |entries| {
                let file = member(&mut entries[0], "data_file");
                *member(file, "file_path") = Avro::String("s3://elsewhere/a.parquet".to_owned());
            });
        },
    ];
    for plant in plants {
        told.push(with_damage(&export, plant).await);
    }
    // Sizes differ with ids.
    let sizes = regex::Regex::new(r"commit says \d{4,}").unwrap();
    let told = told.join("\n\n");
    assert_snapshot!(sizes.replace_all(&told, "commit says [bytes]"), @"
    the Iceberg table `runs` refers to `file://[dir]/lake/_iceberg/runs/metadata/s00000001-m-[id].avro`, which is missing
      hint: `armature-export verify --repair` or `deliver --rebuild` makes the tables anew from the lake

    the Iceberg table `runs` has a manifest `_iceberg/runs/metadata/s00000001-m-[id].avro` that cannot be read: Failed to read bytes for decoding variable length integer: failed to fill whole buffer
      hint: `armature-export verify --repair` or `deliver --rebuild` makes the tables anew from the lake

    the Iceberg table `runs` describes `runs/date=2026-11-21/00000001-[id].parquet` wrongly: 5 bytes, and its commit says [bytes]
      hint: `armature-export verify --repair` or `deliver --rebuild` makes the tables anew from the lake

    the Iceberg table `workflows` describes `workflows/00000001-[id].parquet` wrongly: 5 rows, and its commit says 8
      hint: `armature-export verify --repair` or `deliver --rebuild` makes the tables anew from the lake
    the Iceberg table `workflows` states 8 rows, and its data files have 5
      hint: `armature-export verify --repair` or `deliver --rebuild` makes the tables anew from the lake

    the Iceberg table `runs` describes `runs/date=2026-11-21/00000001-[id].parquet` wrongly: another day than its folder
      hint: `armature-export verify --repair` or `deliver --rebuild` makes the tables anew from the lake

    the Iceberg table `runs` has `runs/date=2026-11-21/00000001-[id].parquet` twice: its rows count twice
      hint: `armature-export verify --repair` or `deliver --rebuild` makes the tables anew from the lake
    the Iceberg table `runs` states 22 rows, and its data files have 25
      hint: `armature-export verify --repair` or `deliver --rebuild` makes the tables anew from the lake

    the Iceberg table `runs` has `s3://elsewhere/a.parquet`, which is not a data file of the lake
      hint: `armature-export verify --repair` or `deliver --rebuild` makes the tables anew from the lake
    the Iceberg table `runs` lacks the data file `runs/date=2026-11-21/00000001-[id].parquet`
      hint: `armature-export verify --repair` or `deliver --rebuild` makes the tables anew from the lake
    ");
    assert_eq!(said(&export).await, "all is well");
}

/// A table that only lacks later commits is late, whatever these commits did; what was wrong before
/// them is still damage.
#[tokio::test(flavor = "multi_thread")]
async fn a_late_table_is_not_a_damaged_one() {
    let mut export = synced().await;
    export.settings.iceberg.catalog = None;
    export.sync().await;
    export.settings.iceberg = settings();
    assert_snapshot!(said(&export).await, @"
    the Iceberg tables are 1 commit behind: `spans`, `tool_calls`, `evaluations`, `criteria`, `excerpts`, `open_runs`, `documents`, `runs`
      hint: `armature-export deliver` brings them up to date
    ");
    // It also lacks a file that it should have had.
    let damaged = with_damage(&export, |export| add_foreign_snapshot(&export.lake, 0)).await;
    assert_snapshot!(damaged, @"
    the Iceberg table `runs` lacks the data file `runs/date=2026-11-23/00000002-[id].parquet`
      hint: `armature-export verify --repair` or `deliver --rebuild` makes the tables anew from the lake
    the Iceberg table `runs` lacks the data file `runs/date=2026-11-23/00000003-[id].parquet`
      hint: `armature-export verify --repair` or `deliver --rebuild` makes the tables anew from the lake
    the Iceberg tables are 1 commit behind: `spans`, `tool_calls`, `evaluations`, `criteria`, `excerpts`, `open_runs`, `documents`, `runs`
      hint: `armature-export deliver` brings them up to date
    ");
    let closed = at(options(&export), (export.simulator.now() + Duration::days(3)).into());
    export.settings.iceberg.catalog = None;
    let without = at(options(&export), closed.job.now);
    assert!(compacted(&without).await.commits > 0);
    export.settings.iceberg = settings();
    assert_snapshot!(said(&export).await, @"
    the Iceberg tables are 2 commits behind: `spans`, `tool_calls`, `evaluations`, `criteria`, `excerpts`, `open_runs`, `documents`, `runs`
      hint: `armature-export deliver` brings them up to date
    ");
    assert_snapshot!(repaired(&export).await, @"
    brought the Iceberg tables up to date (commit 5)
    all is well
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repair_makes_damaged_tables_anew_and_leaves_foreign_ones() {
    let export = synced().await;
    add_foreign_snapshot(&export.lake, 0);
    assert_snapshot!(repaired(&export).await, @"
    rebuilt the Iceberg tables from the lake (commit 3)
    all is well
    ");
    fs::remove_dir_all(export.lake.join("_iceberg/spans")).unwrap();
    assert_snapshot!(repaired(&export).await, @"
    brought the Iceberg tables up to date (commit 3)
    all is well
    ");
    edit_metadata(&export.lake, "runs", |table| {
        table["properties"]["armature.lake"] = json!(uuid::Uuid::nil());
    });
    let before = metadata(&export.lake, "runs");
    assert_snapshot!(repaired(&export).await, @"
    the Iceberg table `runs` belongs to another lake
      hint: `armature-export deliver --rebuild` makes the tables anew from the lake
    ");
    assert_eq!(metadata(&export.lake, "runs"), before);
}
