//! A delivery to Iceberg: the data files that pending commits add to and remove from each table, as
//! one snapshot per table.
//!
//! All pending commits are applied together: a data file that one of them adds and a later one
//! supersedes is never named, because it may be gone. Each table states the last commit that it
//! has, in the same commit to the catalog as the snapshot. A delivery is therefore idempotent: it
//! can be late, repeated or interrupted without a row that is missing or there twice.

use std::collections::{BTreeMap, HashMap};

use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};

use super::addresses::Addresses;
use super::catalog::{Catalog, CatalogName, Commit, FOLDER};
use super::options::IcebergOptions;
use super::record::{Record, RecordedTable};
use super::table::{DeliveredCommit, OpenTable};
use crate::crash;
use crate::lake::{CommitFile, LakeError, LakeStore, LakeView};
use crate::tables::{ALL, RUNS, Table, WriteDisposition};
use crate::targets::{DeliverError, Delivery};

/// Kind of this target in reports.
pub const KIND: &str = "iceberg";

/// Tries of a delivery, if other processes change tables meanwhile.
const TRIES: u32 = 5;

/// Brings all tables up to date with a lake; with `anew`, their old content is replaced.
///
/// # Errors
/// [`DeliverError`]; tables are then as before, or up to date.
pub(super) async fn deliver(
    lake: &LakeView,
    catalog: &dyn Catalog,
    addresses: &Addresses,
    options: &IcebergOptions,
    anew: bool,
) -> Result<Delivery, DeliverError> {
    let mut lake = lake.clone();
    for _ in 0..TRIES {
        let mut run = Run { lake: &lake, catalog, addresses, options, anew };
        if let Some(delivery) = run.deliver().await? {
            return Ok(delivery);
        }
        // The other process may have delivered commits that are newer than this view of the lake.
        lake = LakeView::open(lake.store()).await?;
    }
    Err(DeliverError::IcebergBusy { location: path_of(catalog.name(), lake.store()) })
}

/// What reports and messages call all tables.
pub(super) fn path_of(catalog: &CatalogName, store: &LakeStore) -> String {
    catalog.service().unwrap_or_else(|| store.location(FOLDER).to_string())
}

/// The tables of the lake that have data files, `runs` last: a reader that finds a run there finds
/// its rows in the other tables.
pub(super) fn tables_of_data_files() -> Vec<&'static Table> {
    let mut all: Vec<&'static Table> =
        ALL.iter().copied().filter(|it| it.write != WriteDisposition::CommitLog).collect();
    all.sort_by_key(|table| table.name == RUNS.name);
    all
}

/// One try of a delivery.
#[derive(Debug)]
pub(super) struct Run<'d> {
    /// The lake, with its newest commit.
    pub(super) lake: &'d LakeView,
    pub(super) catalog: &'d dyn Catalog,
    pub(super) addresses: &'d Addresses,
    pub(super) options: &'d IcebergOptions,
    /// Whether the old content of the tables is replaced.
    pub(super) anew: bool,
}

impl Run<'_> {
    /// `None` if another process changed a table meanwhile.
    async fn deliver(&mut self) -> Result<Option<Delivery>, DeliverError> {
        let mut delivery = Delivery {
            target: KIND,
            path: self.path(),
            state: "current",
            commit: 0,
            commits: 0,
            rows: BTreeMap::new(),
            published: None,
        };
        let Some(to) = DeliveredCommit::newest(self.lake) else { return Ok(Some(delivery)) };
        let record = self.record(&to).await?;
        let mut tables = self.open_tables(&to, record.as_ref()).await?;
        let since = tables.iter().map(|table| table.since).min().unwrap_or(0);
        if tables.iter().any(|table| table.since > to.commit) {
            return Ok(None);
        }
        delivery.commit = record.as_ref().map_or(0, |record| record.commit);
        delivery.commits = to.commit.saturating_sub(delivery.commit);
        match self.stage(&mut tables, since, &to).await? {
            Staged::All => {}
            Staged::Conflict => return Ok(None),
            Staged::Stopped => {
                // Nothing was committed, and the next delivery begins again.
                delivery.commits = 0;
                return Ok(Some(delivery));
            }
        }
        let committed = self.commit(&mut tables, &to, &mut delivery.rows).await?;
        let Some((next, has_changes)) = committed else { return Ok(None) };
        let is_changed = delivery.commits > 0 || has_changes;
        if is_changed || record.as_ref() != Some(&next) {
            crash::point("before_iceberg_is_recorded");
            next.write(self.lake.store(), self.catalog.name()).await?;
        }
        delivery.state = if is_changed { "applied" } else { "current" };
        delivery.commit = to.commit;
        Ok(Some(delivery))
    }

    /// Commits what was staged, and notes the new rows of each table. Returns the record of the
    /// delivery, and whether a table changed; `None` if another process changed a table meanwhile.
    async fn commit(
        &self,
        tables: &mut [OpenTable],
        to: &DeliveredCommit,
        rows: &mut BTreeMap<String, u64>,
    ) -> Result<Option<(Record, bool)>, DeliverError> {
        let store = self.lake.store();
        let mut changes = Vec::new();
        for table in tables.iter_mut() {
            changes.extend(table.change(store, self.addresses, to).await?);
        }
        let versions = match changes.as_slice() {
            [] => Vec::new(),
            changes => match self.catalog.commit(changes).await? {
                Commit::Done(versions) => versions,
                Commit::Conflict => return Ok(None),
            },
        };
        let versions: HashMap<&str, u64> =
            changes.iter().map(|change| change.table).zip(versions).collect();
        let mut record = Record::new(to, self.catalog.name());
        for table in tables {
            let name = table.table.name;
            let committed = versions.get(name).copied();
            if committed.is_some() {
                table.remove_unreferenced(store, self.addresses).await?;
            }
            let Some(version) = committed.or(table.version()) else { continue };
            let recorded = RecordedTable { uuid: table.uuid(), version };
            record.tables.insert(name.to_owned(), recorded);
            if table.new_rows() > 0 {
                rows.insert(name.to_owned(), table.new_rows());
            }
        }
        Ok(Some((record, !changes.is_empty())))
    }

    /// What was delivered last; `None` if that is not known, or does not count.
    pub(super) async fn record(
        &self,
        to: &DeliveredCommit,
    ) -> Result<Option<Record>, DeliverError> {
        if self.anew {
            return Ok(None);
        }
        let record = Record::read(self.lake.store(), self.catalog.name()).await?;
        let Some(record) = record else { return Ok(None) };
        if record.lake_id != to.lake_id {
            return Err(self.refuse("belong to another lake"));
        }
        self.check_history(record.commit, &record.name, || self.path()).await?;
        Ok(Some(record))
    }

    fn refuse(&self, problem: &str) -> DeliverError {
        DeliverError::IcebergTable { location: self.path(), problem: problem.to_owned() }
    }

    fn path(&self) -> String {
        path_of(self.catalog.name(), self.lake.store())
    }

    /// Refuses what was delivered from a lake that was restored from an older copy since.
    async fn check_history(
        &self,
        commit: u64,
        name: &str,
        location: impl Fn() -> String,
    ) -> Result<(), DeliverError> {
        let newest = self.lake.head().map_or(0, |head| head.commit);
        let problem = if commit > newest {
            // The lake may have gone on since it was opened, and another process delivered that.
            let is_there = self.lake.commits_after(newest)?.contains(&commit);
            if is_there && self.lake.commit_file(commit).await?.staging == name {
                return Ok(());
            }
            format!("has commit {commit}, and the lake ends at commit {newest}")
        } else if commit > 0 && self.lake.commit_file(commit).await?.staging != name {
            format!("has a commit {commit} that differs from the lake's")
        } else {
            return Ok(());
        };
        Err(DeliverError::IcebergTable { location: location(), problem })
    }

    async fn open_tables(
        &self,
        to: &DeliveredCommit,
        record: Option<&Record>,
    ) -> Result<Vec<OpenTable>, DeliverError> {
        let mut tables = Vec::new();
        for table in tables_of_data_files() {
            tables.push(self.open_table(table, to, record).await?);
        }
        Ok(tables)
    }

    /// A table as the catalog has it, and the last commit that it has.
    ///
    /// # Errors
    /// [`DeliverError::IcebergTable`] if it cannot be continued.
    pub(super) async fn open_table(
        &self,
        table: &'static Table,
        to: &DeliveredCommit,
        record: Option<&Record>,
    ) -> Result<OpenTable, DeliverError> {
        let loaded = self.catalog.load(table.name).await?;
        let field_ids = self.lake.field_ids();
        let store = self.lake.store();
        let mut open = OpenTable::new(table, &field_ids, loaded, store, self.catalog, self.anew)?;
        open.expire_ms = self.options.expire_ms;
        let applied = open.check(to, &field_ids, self.catalog, self.addresses)?;
        if let Some((commit, name)) = applied {
            self.check_history(commit, &name, || open.name().to_owned()).await?;
            open.since = commit;
        }
        // What was recorded holds for a table that is the recorded one, or a later version, and
        // for a table that never had a data file.
        let recorded = record.and_then(|record| record.tables.get(table.name));
        let is_same = match (recorded, open.version()) {
            (None, None) => true,
            (Some(it), Some(version)) => it.uuid == open.uuid() && it.version <= version,
            _ => false,
        };
        if let Some(record) = record.filter(|_| is_same) {
            open.since = open.since.max(record.commit);
        }
        Ok(open)
    }

    /// Notes for each table what the pending commits add and remove.
    async fn stage(
        &self,
        tables: &mut [OpenTable],
        since: u64,
        to: &DeliveredCommit,
    ) -> Result<Staged, DeliverError> {
        let mut commits = self.lake.commits_after(since)?;
        // Another process may go on committing: what the tables will not state that they have is
        // for the next delivery, which would add it again.
        commits.retain(|commit| *commit <= to.commit);
        let mut pending = Pending::default();
        let mut files = self.commit_files(&commits);
        while let Some(commit_file) = files.try_next().await? {
            pending.note(&commit_file);
        }
        for table in tables.iter_mut() {
            pending.show(table);
            let is_created = !table.is_new()
                || !pending.adds_to(table.table.name)
                || table.create(self.catalog, self.addresses, to).await?;
            if !is_created {
                return Ok(Staged::Conflict);
            }
        }
        let needed: BTreeMap<&str, u64> =
            tables.iter().map(|table| (table.table.name, table.since)).collect();
        let is_needed = |commit: u64, path: &str| {
            pending.is_live(commit, path)
                && needed.get(table_of(path)).is_some_and(|since| *since < commit)
        };
        let added = pending.added.iter().filter(|(path, commit)| is_needed(**commit, path));
        let added = added.map(|(path, commit)| (path.clone(), *commit)).collect();
        if let Err(error) = self.check_in_place(added).await {
            // A later commit can have replaced it meanwhile.
            let has_gone_on = !self.lake.commits_after(to.commit)?.is_empty();
            return if has_gone_on { Ok(Staged::Conflict) } else { Err(error) };
        }
        let mut files = self.commit_files(&commits);
        while let Some(commit_file) = files.try_next().await? {
            if self.options.is_stopped() {
                return Ok(Staged::Stopped);
            }
            let commit = commit_file.commit;
            for part in commit_file.all_parts().filter(|part| is_needed(commit, &part.path)) {
                let table = tables.iter_mut().find(|table| table.table.name == part.table);
                let Some(table) = table else { continue };
                table.add(part, self.lake.store(), self.addresses).await?;
            }
        }
        Ok(Staged::All)
    }

    /// Commits in order; the next ones are read meanwhile.
    fn commit_files<'c>(
        &'c self,
        commits: &'c [u64],
    ) -> BoxStream<'c, Result<CommitFile, LakeError>> {
        /// A commit file can be large, and this many of them are in memory.
        const AT_ONCE: usize = 8;
        let commits = futures::stream::iter(commits);
        commits.map(|commit| self.lake.commit_file(*commit)).buffered(AT_ONCE).boxed()
    }

    /// Refuses data files that are not where readers will look for them: a crash can leave a commit
    /// that is not fully published, and only the next sync can finish it. The files come with their
    /// commits.
    async fn check_in_place(&self, files: BTreeMap<String, u64>) -> Result<(), DeliverError> {
        let store = self.lake.store();
        let missing = store.missing(files.keys().cloned().collect()).await?;
        // The oldest commit, so that the message does not depend on the order of tables.
        let first = missing.iter().filter_map(|path| Some((*files.get(path)?, path))).min();
        let Some((commit, path)) = first else { return Ok(()) };
        let commit_file = self.lake.commit_file(commit).await?;
        let path = store.location(path);
        if store.unpublished(&commit_file)?.is_some() {
            return Err(DeliverError::NotInPlace { path, commit });
        }
        let problem = format!("commit {commit} lists it, and it is not there");
        Err(LakeError::Damaged { path, problem }.into())
    }
}

/// How the staging of a delivery ended.
enum Staged {
    /// Everything is staged.
    All,
    /// A stop was requested.
    Stopped,
    /// Another process made a table, or a commit that replaces a data file, meanwhile.
    Conflict,
}

/// What the pending commits state about data files.
#[derive(Debug, Default)]
struct Pending {
    /// Paths of data files that one of these commits replaces or removes, with that commit.
    superseded: HashMap<String, u64>,
    /// Paths of data files that one of these commits adds, with that commit.
    added: HashMap<String, u64>,
    /// The last of these commits that replaces each table as a whole. Earlier versions gave the file
    /// of such a table the same path in every commit.
    replacing: BTreeMap<String, u64>,
    /// The last of these commits that changed each table other than by a merge.
    changed: BTreeMap<String, u64>,
}

impl Pending {
    fn note(&mut self, commit_file: &CommitFile) {
        let commit = commit_file.commit;
        for path in commit_file.superseded() {
            self.superseded.insert(path.to_owned(), commit);
            if !commit_file.is_merge {
                self.changed.insert(table_of(path).to_owned(), commit);
            }
        }
        for part in commit_file.all_parts() {
            self.added.insert(part.path.clone(), commit);
            if !commit_file.is_merge {
                self.changed.insert(part.table.clone(), commit);
            }
        }
        let tables = commit_file.replaced.iter().map(|part| part.table.clone());
        self.replacing.extend(tables.map(|table| (table, commit)));
    }

    /// Whether a data file that a pending commit adds is live after all of them.
    fn is_live(&self, commit: u64, path: &str) -> bool {
        self.superseded.get(path).is_none_or(|later| *later <= commit)
            && self.replacing.get(table_of(path)).is_none_or(|last| *last == commit)
    }

    /// Whether a table has a data file that the pending commits add and that is live after them.
    fn adds_to(&self, table: &str) -> bool {
        let mut added = self.added.iter().filter(|(path, _)| table_of(path) == table);
        added.any(|(path, commit)| self.is_live(*commit, path))
    }

    /// Tells a table which of its files were superseded or removed.
    fn show(&self, table: &mut OpenTable) {
        let is_new = |path: &str| self.added.get(path).is_some_and(|it| *it > table.since);
        let removed = self.superseded.iter().filter(|(path, commit)| {
            table_of(path) == table.table.name && **commit > table.since && !is_new(path)
        });
        table.removed = removed.map(|(path, commit)| (path.clone(), *commit)).collect();
        let changed = self.changed.get(table.table.name);
        table.only_merges = changed.is_none_or(|commit| *commit <= table.since);
    }
}

/// The table of a data file's path.
fn table_of(path: &str) -> &str {
    path.split_once('/').map_or(path, |(table, _)| table)
}
