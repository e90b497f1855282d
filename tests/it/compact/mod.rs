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
use armature_export::simulator::{Lives, SimulatorSettings, WorldSettings};
use armature_export::tables::{ALL, WriteDisposition};
use armature_export::targets::DeliveryReport;
use armature_export::time::Timestamp;
use armature_export::verify::verify;

use crate::world::kit::Kit;

/// An export that commits every few runs: many small parts. Many runs change after their end, and
/// become later revisions.
pub(crate) async fn small_commits(runs: u32) -> Kit {
    let world = WorldSettings {
        runs,
        days: 6.0,
        seconds_between_runs: 1800.0,
        lives: Lives { changed_percent: 80, changed_seconds: 3600.0, ..Lives::default() },
        ..WorldSettings::default()
    };
    let mut kit = Kit::with(SimulatorSettings { world, ..SimulatorSettings::default() }).await;
    kit.settings.sync.commit_bytes = 15_000;
    kit
}

pub(crate) fn options(kit: &Kit) -> CompactOptions {
    CompactOptions {
        job: kit.job(kit.simulator.now().into()),
        settings: kit.settings.compact.clone(),
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
pub(crate) fn parts_by_day(kit: &Kit) -> BTreeMap<PathBuf, usize> {
    let mut days = BTreeMap::new();
    for part in kit.parts() {
        let folder = part.parent().unwrap().strip_prefix(&kit.lake).unwrap().to_owned();
        if folder.components().count() > 1 {
            *days.entry(folder).or_default() += 1;
        }
    }
    days
}

/// Every row of every table as a plain glob finds it, all columns, system columns too.
pub(crate) fn lake_rows(kit: &Kit) -> BTreeMap<&'static str, Vec<String>> {
    let connection = duckdb::Connection::open_in_memory().unwrap();
    let tables = ALL.iter().filter(|table| table.write == WriteDisposition::Append);
    let read = |name: &'static str| {
        let glob = format!("{}/{name}/**/*.parquet", kit.lake.display());
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
pub(crate) fn database_rows(kit: &Kit) -> BTreeMap<&'static str, Vec<Vec<String>>> {
    let tables = ALL.iter().map(|table| table.name);
    let read = |table| {
        let sql = format!("SELECT * FROM \"{table}\" ORDER BY ALL");
        (table, armature_export::query::query(&kit.duckdb, &sql).unwrap().1)
    };
    tables.map(read).collect()
}

/// The lake and the DuckDB file are as they must be, in every byte and row.
pub(crate) async fn assert_all_is_well(kit: &Kit) {
    let job = kit.job(kit.simulator.now().into());
    let report = verify(&job).await.unwrap();
    assert!(report.is_well(), "{report:#?}");
}
