//! Comparison of the tables with the lake: the newest snapshot of a table must name exactly the
//! data files that were live at the commit that the table has.
//!
//! One manifest is in memory at a time, and of the lake's data files of one table only references.

use std::collections::{BTreeMap, HashMap};

use super::addresses::Addresses;
use super::catalog::{Catalog, FOLDER};
use super::deliver::{Run, tables_of_data_files};
use super::manifest::{DataFileEntry, ManifestEntry, day_of};
use super::options::IcebergOptions;
use super::table::{DeliveredCommit, OpenTable};
use crate::lake::{LakeStore, LakeView, LiveFile, Snapshot};
use crate::targets::{DeliverError, TargetFinding, TargetReport};

/// The data files that the tables should have.
#[derive(Clone, Copy, Debug)]
pub(super) struct DataFiles<'l> {
    /// The live data files.
    pub(super) live: &'l Snapshot,
    /// Paths of the data files that a commit replaced or removed, with the last such commit.
    pub(super) superseded: &'l HashMap<String, u64>,
}

/// The last commit that all tables have; `None` if there are none. Checks that a delivery can
/// continue them.
///
/// # Errors
/// [`DeliverError`] as of a delivery that is refused.
pub(super) async fn check(
    lake: &LakeView,
    catalog: &dyn Catalog,
    addresses: &Addresses,
    options: &IcebergOptions,
) -> Result<Option<u64>, DeliverError> {
    let Some(to) = DeliveredCommit::newest(lake) else { return Ok(None) };
    let run = Run { lake, catalog, addresses, options, anew: false };
    let record = run.record(&to).await?;
    let mut least: Option<u64> = None;
    for table in tables_of_data_files() {
        let open = run.open_table(table, &to, record.as_ref()).await?;
        if open.version().is_some() {
            least = Some(least.map_or(open.since, |least| least.min(open.since)));
        }
    }
    Ok(least)
}

/// Compares all tables with the data files of a lake.
///
/// # Errors
/// [`DeliverError`] if the lake or the catalog cannot be read.
pub(super) async fn verify(
    store: &LakeStore,
    files: DataFiles<'_>,
    catalog: &dyn Catalog,
    addresses: &Addresses,
    options: &IcebergOptions,
) -> Result<TargetReport, DeliverError> {
    let view = LakeView::open(store).await?;
    let Some(to) = DeliveredCommit::newest(&view) else { return Ok(TargetReport::default()) };
    let run = Run { lake: &view, catalog, addresses, options, anew: false };
    let record = match run.record(&to).await {
        Ok(record) => record,
        Err(DeliverError::IcebergTable { problem, .. }) => {
            let refused = TargetFinding::IcebergRefused { table: None, problem };
            return Ok(TargetReport { findings: vec![refused], holder: None });
        }
        Err(error) => return Err(error),
    };
    let mut comparison = Comparison {
        files,
        store,
        addresses,
        findings: Vec::new(),
        late_since: None,
        late: Vec::new(),
    };
    let mut has_tables = record.is_some();
    for table in tables_of_data_files() {
        match run.open_table(table, &to, record.as_ref()).await {
            Ok(open) => {
                has_tables |= open.version().is_some();
                comparison.compare(&open).await?;
            }
            Err(DeliverError::IcebergTable { problem, .. }) => {
                has_tables = true;
                let table = Some(table.name);
                comparison.findings.push(TargetFinding::IcebergRefused { table, problem });
            }
            Err(error) => return Err(error),
        }
    }
    let findings = if has_tables || files.live.iter().next().is_none() {
        comparison.end(to.commit)
    } else {
        let service = catalog.name().service();
        let location = service.unwrap_or_else(|| addresses.of(FOLDER));
        vec![TargetFinding::IcebergMissing { location }]
    };
    Ok(TargetReport { findings, holder: None })
}

/// What was found so far.
struct Comparison<'c> {
    files: DataFiles<'c>,
    store: &'c LakeStore,
    addresses: &'c Addresses,
    findings: Vec<TargetFinding>,
    /// The least commit of a late table.
    late_since: Option<u64>,
    /// Tables that lack what later commits changed.
    late: Vec<&'static str>,
}

/// The data files of one table during the comparison.
struct Expected<'c> {
    /// The live data files that the table has not named yet, by path.
    rest: BTreeMap<&'c str, &'c LiveFile>,
    /// Rows of the files that the table names.
    rows: i64,
    is_late: bool,
    found: Vec<TargetFinding>,
}

impl Comparison<'_> {
    async fn compare(&mut self, open: &OpenTable) -> Result<(), DeliverError> {
        let table = open.table.name;
        let live = self.files.live.iter().filter(|live| live.part.table == table);
        let rest = live.map(|live| (live.part.path.as_str(), live)).collect();
        let mut expected = Expected { rest, rows: 0, is_late: false, found: Vec::new() };
        if open.version().is_none() {
            let is_lost = expected.rest.values().any(|live| live.commit <= open.since);
            if is_lost || (open.since == 0 && !expected.rest.is_empty()) {
                self.findings.push(TargetFinding::IcebergTableMissing { table });
                return Ok(());
            }
        }
        match self.read(open, &mut expected).await {
            Ok(()) => {}
            Err(DeliverError::IcebergTable { problem, .. }) => {
                self.findings.push(TargetFinding::IcebergUnreadable { table, problem });
                return Ok(());
            }
            Err(DeliverError::Avro { path, source, .. }) => {
                let problem = format!("has a manifest `{path}` that cannot be read: {source}");
                self.findings.push(TargetFinding::IcebergUnreadable { table, problem });
                return Ok(());
            }
            Err(error) => return Err(error),
        }
        for (path, live) in &expected.rest {
            if live.commit > open.since {
                expected.is_late = true;
            } else {
                let path = (*path).to_owned();
                expected.found.push(TargetFinding::IcebergFileMissing { table, path });
            }
        }
        if expected.is_late {
            self.late.push(table);
            self.late_since = Some(self.late_since.map_or(open.since, |it| it.min(open.since)));
        }
        self.findings.append(&mut expected.found);
        Ok(())
    }

    /// Reads the newest snapshot of a table.
    async fn read(
        &self,
        open: &OpenTable,
        expected: &mut Expected<'_>,
    ) -> Result<(), DeliverError> {
        let (store, table) = (self.store, open.table.name);
        let Some(snapshot) = open.metadata().current_snapshot() else { return Ok(()) };
        let mut has_deleted_rows = false;
        for manifest in open.manifests_of(snapshot, store, self.addresses).await? {
            if manifest.has_row_deletions() {
                has_deleted_rows |= manifest.live_files() > 0;
                continue;
            }
            let entries: Vec<ManifestEntry> =
                open.read(&manifest.manifest_path, store, self.addresses).await?;
            for entry in entries.into_iter().filter(ManifestEntry::is_live) {
                self.take(open, &entry.data_file, expected);
            }
        }
        if has_deleted_rows {
            expected.found.push(TargetFinding::IcebergRowsDeleted { table });
        }
        // Engines answer `count(*)` from it.
        if let Some(stated) = snapshot.summary.get("total-records")
            && *stated != expected.rows.to_string()
        {
            let (stated, found) = (stated.clone(), expected.rows);
            expected.found.push(TargetFinding::IcebergTotalDiffers { table, stated, found });
        }
        Ok(())
    }

    /// Compares a data file that the table names.
    fn take(&self, open: &OpenTable, file: &DataFileEntry, expected: &mut Expected<'_>) {
        let table = open.table.name;
        expected.rows += file.record_count;
        let Some(path) = self.addresses.path_of(&file.file_path) else {
            let path = file.file_path.clone();
            return expected.found.push(TargetFinding::IcebergFileUnknown { table, path });
        };
        let owned = path.to_owned();
        if let Some(live) = expected.rest.remove(path) {
            // Earlier versions gave the file of a table that is replaced as a whole the same path
            // in every commit.
            if live.commit > open.since {
                expected.is_late = true;
            } else if let Some(problem) = difference(live, file) {
                let path = owned;
                expected.found.push(TargetFinding::IcebergFileDiffers { table, path, problem });
            }
        } else if self.files.live.get(path).is_some_and(|live| live.part.table == table) {
            expected.found.push(TargetFinding::IcebergFileTwice { table, path: owned });
        } else if self.files.superseded.get(path).is_some_and(|commit| *commit > open.since) {
            expected.is_late = true;
        } else {
            expected.found.push(TargetFinding::IcebergFileUnknown { table, path: owned });
        }
    }

    /// All findings. `newest` is the lake's newest commit.
    fn end(mut self, newest: u64) -> Vec<TargetFinding> {
        if let Some(since) = self.late_since {
            let (commits, tables) = (newest.saturating_sub(since), self.late);
            self.findings.push(TargetFinding::IcebergBehind { commits, tables });
        }
        self.findings
    }
}

/// How a table describes a data file otherwise than its commit does.
fn difference(live: &LiveFile, file: &DataFileEntry) -> Option<String> {
    let part = &live.part;
    for (what, stated, expected) in
        [("rows", file.record_count, part.rows), ("bytes", file.file_size_in_bytes, part.bytes)]
    {
        if u64::try_from(stated) != Ok(expected) {
            return Some(format!("{stated} {what}, and its commit says {expected}"));
        }
    }
    let day = file.partition.run_date;
    (day.is_some() && day != day_of(&part.path)).then(|| "another day than its folder".to_owned())
}
