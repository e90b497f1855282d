//! What table formats such as Iceberg need of a data file: field ids, the partition value, statistics,
//! and paths that never change their content.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use armature_export::config::Filters;
use armature_export::digest::sha256_hex;
use armature_export::lake::{
    Bound, ColumnStatistics, CommitBuilder, DataFile, FileStatistics, Lake, LakeView, WrittenFile,
};
use armature_export::simulator::WorldSettings;
use armature_export::tables::{
    ALL, ColumnOverride, Kind, Mapping, WORKFLOWS, WriteDisposition, find,
};
use armature_export::verify::repair;
use chrono::Duration;
use parquet::file::reader::{FileReader, SerializedFileReader};

use crate::compact::{at, compacted, options, small_commits};
use crate::offline::replay::replayed;
use crate::support::rows;
use crate::support::{TestExport, temporary_folder};

fn column(name: &str, kind: Kind) -> ColumnOverride {
    let (table, name, kind) = ("runs".to_owned(), name.to_owned(), Some(kind));
    let sources = vec![format!("metadata.{name}")];
    ColumnOverride { table, name, kind, sources, ..ColumnOverride::default() }
}

/// The field ids in a file, by column.
fn field_ids(path: &Path) -> BTreeMap<String, i32> {
    let reader = SerializedFileReader::new(File::open(path).unwrap()).unwrap();
    let schema = reader.metadata().file_metadata().schema_descr();
    let columns = schema.columns().iter().map(|column| {
        let info = column.self_type().get_basic_info();
        assert!(info.has_id(), "`{}` of {} has no field id", info.name(), path.display());
        (info.name().to_owned(), info.id())
    });
    columns.collect()
}

/// Every data file that commits name, by commit.
async fn all_parts(export: &TestExport) -> Vec<DataFile> {
    let lake = LakeView::open(&export.lake).await.unwrap();
    let mut parts = Vec::new();
    for commit in lake.commits().unwrap() {
        parts.extend(lake.commit_file(commit).await.unwrap().all_parts().cloned());
    }
    parts
}

#[tokio::test(flavor = "multi_thread")]
async fn every_column_of_every_file_has_the_id_of_its_declaration() {
    let export = TestExport::of_growing_world(12);
    export.sync().await;
    let mapping = Mapping::new(&[], &[]).unwrap();
    let parts = all_parts(&export).await;
    assert!(parts.len() > 8, "{parts:?}");
    for part in &parts {
        let mapped = mapping.table(find(&part.table).unwrap());
        let declared = mapped.columns.iter();
        let declared = declared.map(|c| (c.name.clone(), i32::try_from(c.id).unwrap()));
        assert_eq!(field_ids(&export.lake.join(&part.path)), declared.collect(), "{}", part.path);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_column_of_a_user_keeps_its_id_and_no_other_gets_it() {
    let mut export = TestExport::of_growing_world(6);
    let mut ids = Vec::new();
    for columns in [
        vec![column("team", Kind::Text)],
        vec![column("budget", Kind::Decimal)],
        vec![column("budget", Kind::Decimal), column("team", Kind::Text)],
        vec![column("team", Kind::Integer)],
    ] {
        export.settings.columns = columns;
        export.sync().await;
        replayed(&export).await;
        let runs =
            export.parts().into_iter().find(|path| path.starts_with(export.lake.join("runs")));
        let of_users = field_ids(&runs.unwrap()).into_iter().filter(|(_, id)| *id > 1000);
        ids.push(of_users.map(|(name, id)| format!("{name} {id}")).collect::<Vec<_>>().join(", "));
    }
    assert_eq!(ids, ["team 1001", "budget 1002", "budget 1002, team 1001", "team 1003"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn run_date_is_the_folder_of_the_row() {
    let export = small_commits(40);
    export.sync().await;
    for table in ALL.iter().filter(|table| table.write == WriteDisposition::Append) {
        let files = format!(
            "read_parquet('{}/{}/**/*.parquet', hive_partitioning = true, \
             hive_types = {{'date': DATE}})",
            export.lake.display(),
            table.name
        );
        if !export.lake.join(table.name).exists() {
            continue;
        }
        let count = |condition: &str| {
            rows::count_in_memory(&format!("SELECT count(*) FROM {files} WHERE {condition}"))
        };
        assert!(count("true") > 0, "{}", table.name);
        assert_eq!(count("run_date IS DISTINCT FROM date"), 0, "{}", table.name);
        // The same in DuckDB.
        let delivered = format!("SELECT count(*) FROM {} WHERE run_date IS NULL", table.name);
        assert_eq!(export.count(&delivered), 0, "{}", table.name);
    }
}

/// What a column's values are, by DuckDB: nulls, least and greatest as text; numbers as the commit
/// states them.
fn measured(file: &Path, name: &str, kind: Kind) -> (i64, Option<String>, Option<String>) {
    let value = match kind {
        Kind::Timestamp => format!("epoch_us(\"{name}\")"),
        Kind::Date => format!("date_diff('day', DATE '1970-01-01', \"{name}\")"),
        Kind::Decimal => format!("(\"{name}\" * 1000000000000000000::DECIMAL(19, 0))::HUGEINT"),
        _ => format!("\"{name}\""),
    };
    let connection = duckdb::Connection::open_in_memory().unwrap();
    let sql = format!(
        "SELECT count(*) - count(v), min(v)::VARCHAR, max(v)::VARCHAR \
         FROM (SELECT {value} AS v FROM read_parquet('{}'))",
        file.display()
    );
    let row = connection.query_row(&sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
    row.unwrap()
}

fn check_statistics(file: &Path, name: &str, kind: Kind, stated: &ColumnStatistics) {
    let (nulls, least, greatest) = measured(file, name, kind);
    let (least, greatest) = (least.as_deref(), greatest.as_deref());
    let place = format!("{name} of {}", file.display());
    assert_eq!(stated.nulls, u64::try_from(nulls).unwrap(), "{place}");
    let text = |bound: &Option<Bound>| match bound.clone() {
        Some(Bound::Boolean(truth)) => Some(truth.to_string()),
        Some(Bound::Integer(number)) => Some(number.to_string()),
        Some(Bound::Text(text)) => Some(text),
        None => None,
    };
    let (lower, upper) = (text(&stated.lower_bound), text(&stated.upper_bound));
    match kind {
        // Whole documents: their bounds are of no use.
        Kind::Json => assert_eq!((lower, upper), (None, None), "{place}"),
        Kind::Text => {
            assert_eq!(lower.is_some(), least.is_some(), "{place}");
            if let (Some(lower), Some(upper)) = (lower, upper) {
                assert!(least.unwrap().starts_with(&lower), "{place}: {lower}");
                assert!(greatest.unwrap() <= upper.as_str(), "{place}: {upper}");
                assert!(upper.chars().count() <= 16, "{place}: {upper}");
            }
        }
        Kind::Float => {
            let number = |text: Option<&str>| text.map(|text| text.parse::<f64>().unwrap());
            let stated = (number(lower.as_deref()), number(upper.as_deref()));
            assert_eq!(stated, (number(least), number(greatest)), "{place}");
        }
        _ => assert_eq!((lower.as_deref(), upper.as_deref()), (least, greatest), "{place}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_statistics_of_a_commit_are_those_of_its_files() {
    let export = small_commits(60);
    export.sync().await;
    let closed = at(options(&export), (export.simulator.now() + Duration::days(3)).into());
    compacted(&closed).await;
    let lake = LakeView::open(&export.lake).await.unwrap();
    let live = lake.snapshot().await.unwrap();
    let mut checked = 0;
    for part in all_parts(&export).await {
        // The others are in no folder any more.
        if live.get(&part.path).is_none() {
            continue;
        }
        let file = export.lake.join(&part.path);
        let statistics = part.statistics.unwrap();
        let reader = SerializedFileReader::new(File::open(&file).unwrap()).unwrap();
        assert_eq!(statistics.split_offsets.len(), reader.metadata().num_row_groups());
        assert!(statistics.split_offsets.iter().all(|offset| *offset >= 4), "{statistics:?}");
        let bytes: u64 = statistics.columns.iter().map(|column| column.bytes).sum();
        assert!(bytes > 0 && bytes < part.bytes, "{}", part.path);
        let by_id: BTreeMap<u32, &ColumnStatistics> =
            statistics.columns.iter().map(|column| (column.field_id, column)).collect();
        for (name, id) in field_ids(&file) {
            let kind = find(&part.table).unwrap().column(&name).unwrap().kind;
            check_statistics(&file, &name, kind, by_id[&u32::try_from(id).unwrap()]);
            checked += 1;
        }
    }
    assert!(checked > 300, "{checked}");
}

/// The content of every data file in the folders of tables, and among those that are kept for a
/// while.
fn contents(export: &TestExport, seen: &mut BTreeMap<String, String>) {
    for path in export.parts() {
        let sha256 = sha256_hex(&std::fs::read(&path).unwrap());
        let name = path.strip_prefix(&export.lake).unwrap().display().to_string();
        if let Some(before) = seen.insert(name.clone(), sha256.clone()) {
            assert_eq!(before, sha256, "{name} changed");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_never_changes_its_content() {
    // Runs begin every 90 seconds: some are always open.
    let world = WorldSettings { runs: 60, seconds_between_runs: 90.0, ..WorldSettings::default() };
    let mut export = TestExport::of_world(world);
    export.settings.sync.commit_bytes = 50_000;
    let mut seen = BTreeMap::new();
    for _ in 0..4 {
        export.sync().await;
        contents(&export, &mut seen);
        export.simulator.advance(Duration::minutes(20));
    }
    replayed(&export).await;
    contents(&export, &mut seen);
    let closed = at(options(&export), (export.simulator.now() + Duration::days(3)).into());
    compacted(&closed).await;
    contents(&export, &mut seen);
    let of_open_runs = seen.keys().filter(|path| path.starts_with("open_runs/")).count();
    assert!(of_open_runs > 1, "no table was replaced");
    // One file of each replaced table is left.
    for table in ALL.iter().filter(|table| table.write == WriteDisposition::Replace) {
        let left =
            export.parts().iter().filter(|it| it.starts_with(export.lake.join(table.name))).count();
        assert!(left <= 1, "{}: {left}", table.name);
    }
}

/// Files of one day in which a column of a user had another type meanwhile: the column of the first
/// and the last is not the same one for a table format.
#[tokio::test(flavor = "multi_thread")]
async fn files_whose_columns_have_other_ids_are_not_merged() {
    let mut export = TestExport::of_growing_world(40);
    export.settings.sync.commit_bytes = 1;
    // The second sync exports no run: three requests are too few for one.
    for (kind, requests) in [(Kind::Text, 60), (Kind::Integer, 3), (Kind::Text, 60)] {
        export.settings.columns = vec![column("team", kind)];
        export.settings.sync.max_requests = Some(requests);
        export.sync().await;
    }
    let boundary = {
        let lake = LakeView::open(&export.lake).await.unwrap();
        let mut commits = Vec::new();
        for commit in lake.commits().unwrap() {
            let commit = lake.commit_file(commit).await.unwrap();
            commits.extend(commit.sync.is_some().then_some(commit.commit));
        }
        commits[1]
    };
    // Each file of runs: the id of the column, and whether its rows came before the change.
    let files = |export: &TestExport| {
        let runs = export.parts().into_iter().filter(|it| it.starts_with(export.lake.join("runs")));
        let of = |path: std::path::PathBuf| {
            let sql = format!(
                "SELECT count(DISTINCT _commit <= {boundary}) * 2 + bool_or(_commit <= {boundary})::INT \
                 FROM read_parquet('{}')",
                path.display()
            );
            (field_ids(&path)["team"], rows::count_in_memory(&sql))
        };
        runs.map(of).collect::<Vec<_>>()
    };
    let is_right = |file: &(i32, i64)| matches!(file, (1001, 3) | (1003, 2));
    let before = files(&export);
    assert!(before.iter().all(is_right) && before.len() > 4, "{before:?}");
    let later = (export.simulator.now() + Duration::days(3)).into();
    compacted(&at(options(&export), later)).await;
    let after = files(&export);
    assert!(after.iter().all(is_right), "{after:?}");
    assert!(after.len() < before.len() && after.contains(&(1001, 3)), "{after:?}");
}

/// The folder of a replaced table is lost between two commits: the second one is published.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_folder_of_a_replaced_table_keeps_no_commit_from_being_published() {
    let folder = temporary_folder();
    let root = folder.path().join("lake");
    let mut lake = Lake::open(&root).await.unwrap();
    lake.bind(Some("organization"), &Filters::default()).await.unwrap();
    for content in [1, 2] {
        let written = WrittenFile { to: vec![0], rows: 1, statistics: FileStatistics::default() };
        let mut staging = lake.stage();
        let old = lake.head().and_then(|head| head.replaced_path("workflows"));
        staging.replace(&WORKFLOWS, written, content, old).await.unwrap();
        let commit = lake.commit(staging, CommitBuilder::default()).await.unwrap();
        assert!(root.join(&commit.replaced[0].path).exists());
        std::fs::remove_dir_all(root.join("workflows")).unwrap();
    }
}

/// A replaced table whose file was damaged and given up comes back with the next sync.
#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_table_that_was_dropped_is_written_again() {
    let export = TestExport::of_growing_world(8);
    export.sync().await;
    let file = |export: &TestExport| {
        export.parts().into_iter().find(|path| path.starts_with(export.lake.join("workflows")))
    };
    let damaged = file(&export).unwrap();
    std::fs::write(&damaged, "PAR1").unwrap();
    let job = export.job(export.simulator.now().into());
    let repaired = repair(&job, true).await.unwrap();
    assert!(repaired.after.is_well(), "{:?}", repaired.after.findings);
    assert_eq!(file(&export), None);
    export.sync().await;
    assert!(file(&export).is_some_and(|path| path != damaged));
    export.assert_equals_the_world();
}
