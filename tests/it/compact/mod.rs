//! Small parts merged into large ones: the same rows before, meanwhile and after, for readers of the
//! folders, for the DuckDB file however late it is, and for all that goes on with the lake.

mod binary;
mod late_delivery;
mod readers;
mod same_rows;

use std::collections::BTreeMap;
use std::path::PathBuf;

use armature_export::compact::{CompactOptions, CompactReport, compact};
use armature_export::job::LakeJob;
use armature_export::simulator::{Lives, WorldSettings};
use armature_export::tables::{ALL, WriteDisposition};
use armature_export::targets::DeliveryReport;
use armature_export::time::Timestamp;
use armature_export::verify::verify;

use crate::support::TestExport;

/// An export that commits every few runs: many small parts. Many runs change after their end, and
/// become later revisions.
pub(crate) fn small_commits(runs: u32) -> TestExport {
    let world = WorldSettings {
        runs,
        days: 6.0,
        seconds_between_runs: 1800.0,
        lives: Lives { changed_percent: 80, changed_seconds: 3600.0, ..Lives::default() },
        ..WorldSettings::default()
    };
    let mut export = TestExport::of_world(world);
    export.settings.sync.commit_bytes = 15_000;
    export
}

pub(crate) fn options(export: &TestExport) -> CompactOptions {
    CompactOptions {
        job: export.job(export.simulator.now().into()),
        settings: export.settings.compact.clone(),
        drop_older_revisions: false,
        stop: None,
    }
}

/// The same, as if made at another time.
pub(crate) fn at(options: CompactOptions, now: Timestamp) -> CompactOptions {
    CompactOptions { job: LakeJob { now, ..options.job }, ..options }
}

/// Compacts, which must come to a good end, also in DuckDB.
pub(crate) async fn compacted(options: &CompactOptions) -> CompactReport {
    let compacted = compact(options).await.unwrap();
    let failed = compacted.deliveries.iter().find_map(DeliveryReport::error);
    assert!(failed.is_none(), "{failed:?}");
    compacted
}

/// Parts by table and day, without those of tables that are replaced as a whole.
pub(crate) fn parts_by_day(export: &TestExport) -> BTreeMap<PathBuf, usize> {
    let mut days = BTreeMap::new();
    for part in export.parts() {
        let folder = part.parent().unwrap().strip_prefix(&export.lake).unwrap().to_owned();
        if folder.components().count() > 1 {
            *days.entry(folder).or_default() += 1;
        }
    }
    days
}

/// Every row of every table as a plain glob finds it, all columns, system columns too.
pub(crate) fn lake_rows(export: &TestExport) -> BTreeMap<&'static str, Vec<String>> {
    let connection = duckdb::Connection::open_in_memory().unwrap();
    let tables = ALL.iter().filter(|table| table.write == WriteDisposition::Append);
    let read = |name: &'static str| {
        let glob = format!("{}/{name}/**/*.parquet", export.lake.display());
        let sql = format!(
            "SELECT to_json(t)::VARCHAR FROM read_parquet('{glob}', union_by_name = true) t \
             ORDER BY ALL"
        );
        let Ok(mut statement) = connection.prepare(&sql) else { return (name, Vec::new()) };
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        (name, rows.map(Result::unwrap).collect())
    };
    tables.map(|table| read(table.name)).collect()
}

/// Every row of the DuckDB file.
pub(crate) fn database_rows(export: &TestExport) -> BTreeMap<&'static str, Vec<Vec<String>>> {
    let tables = ALL.iter().map(|table| table.name);
    let read = |table| {
        let sql = format!("SELECT * FROM \"{table}\" ORDER BY ALL");
        (table, armature_export::query::query(&export.duckdb, &sql).unwrap().1)
    };
    tables.map(read).collect()
}

/// The lake and the DuckDB file are as they must be, in every byte and row.
pub(crate) async fn assert_all_is_well(export: &TestExport) {
    let job = export.job(export.simulator.now().into());
    let report = verify(&job).await.unwrap();
    assert!(report.is_well(), "{report:#?}");
}
