//! One table during a delivery: the manifests of its next snapshot, and the commit.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use uuid::Uuid;

use super::addresses::Addresses;
use super::avro::{self, AvroError};
use super::catalog::{Catalog, Creation, LoadedTable, TableChange};
use super::manifest::{
    DataFileEntry, ManifestEntry, ManifestFile, encode_manifest, encode_manifest_list,
};
use super::metadata::{Snapshot, TableMetadata, property};
use super::schema::Columns;
use crate::lake::{DataFile, LakeStore, LakeView};
use crate::tables::{FieldIds, Table};
use crate::targets::DeliverError;

/// A manifest holds at most so many files: they are in memory together.
const MANIFEST_FILES: usize = 2000;

/// Small manifests are merged when a snapshot has more than so many of them: planning a query reads
/// each manifest.
const MANIFESTS: usize = 50;

/// A manifest with fewer live files than this is small.
const SMALL: i64 = 1000;

/// More snapshots than this are removed whatever their age: each version of the metadata states all of
/// them.
const SNAPSHOTS: usize = 500;

/// The commit of the lake that a delivery brings tables to.
#[derive(Clone, Debug)]
pub(super) struct DeliveredCommit {
    pub(super) lake_id: Uuid,
    /// Its number.
    pub(super) commit: u64,
    /// Its unique name.
    pub(super) name: String,
    /// When it was made, in milliseconds since 1970.
    pub(super) created_ms: i64,
}

impl DeliveredCommit {
    /// The newest commit of a lake; `None` if it has none.
    pub(super) fn newest(lake: &LakeView) -> Option<Self> {
        let (head, identity) = (lake.head()?, lake.identity()?);
        Some(Self {
            lake_id: identity.lake_id,
            commit: head.commit,
            name: head.staging.clone(),
            created_ms: head.created_at.as_micros().div_euclid(1000),
        })
    }
}

/// A table during a delivery.
#[derive(Debug)]
pub(super) struct OpenTable {
    pub(super) table: &'static Table,
    /// What messages call it.
    name: String,
    columns: Columns,
    /// What the catalog has; `None` for a new table.
    base: Option<LoadedTable>,
    /// The next metadata.
    metadata: TableMetadata,
    /// Whether nothing of the old content stays.
    anew: bool,
    is_evolved: bool,
    /// The last commit that it has.
    pub(super) since: u64,
    /// Age in milliseconds from which snapshots are removed.
    pub(super) expire_ms: i64,
    /// Paths of its files that were superseded or removed, with the commits that removed them.
    pub(super) removed: BTreeMap<String, u64>,
    /// Whether all pending commits that concern it only merge files.
    pub(super) only_merges: bool,
    snapshot_id: i64,
    /// The folder of its manifests, relative to the lake's root.
    manifest_folder: String,
    /// New files that are not in a manifest yet.
    entries: Vec<ManifestEntry>,
    /// Manifests that were written.
    written: Vec<ManifestFile>,
    /// Files and rows added, and bytes.
    added: Sum,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    files: i64,
    rows: i64,
    bytes: i64,
}

impl Sum {
    fn add(&mut self, file: &DataFileEntry) {
        self.files += 1;
        self.rows += file.record_count;
        self.bytes += file.file_size_in_bytes;
    }
}

impl OpenTable {
    /// A table as the catalog has it.
    ///
    /// # Errors
    /// [`DeliverError::IcebergTable`] if its metadata cannot be used, and it is not made anew.
    pub(super) fn new(
        table: &'static Table,
        field_ids: &FieldIds,
        base: Option<LoadedTable>,
        store: &LakeStore,
        catalog: &dyn Catalog,
        anew: bool,
    ) -> Result<Self, DeliverError> {
        let columns = Columns::new(table, field_ids);
        let name = catalog.name_of(table.name);
        let metadata = match &base {
            Some(base) if !anew || catalog.keeps_tables() => {
                let (known, location) = (base.metadata.clone(), name.clone());
                known.map_err(|problem| DeliverError::IcebergTable { location, problem })?
            }
            _ => {
                let last = base.as_ref().and_then(|base| base.metadata.as_ref().ok());
                let last = last.map_or(0, |metadata| metadata.last_sequence_number);
                let mut metadata = TableMetadata::new(&columns);
                // Numbers are in the names of manifests, and are not used again.
                let names =
                    store.list(&catalog.manifest_folder(table.name, metadata.table_uuid))?;
                let named = names.iter().filter_map(|name| sequence_number_of(name)).max();
                metadata.last_sequence_number = last.max(named.unwrap_or(0));
                metadata.location = catalog.location(table.name, metadata.table_uuid);
                metadata
            }
        };
        let manifest_folder = catalog.manifest_folder(table.name, metadata.table_uuid);
        let (high, low) = Uuid::new_v4().as_u64_pair();
        // Positive, as all numbers of snapshots.
        let snapshot_id = i64::try_from((high ^ low) >> 1).unwrap_or(i64::MAX);
        Ok(Self {
            table,
            name,
            columns,
            base,
            metadata,
            anew,
            is_evolved: false,
            since: 0,
            expire_ms: i64::MAX,
            removed: BTreeMap::new(),
            only_merges: true,
            snapshot_id,
            manifest_folder,
            entries: Vec::new(),
            written: Vec::new(),
            added: Sum::default(),
        })
    }

    /// The version of the metadata in the catalog; `None` for a new table.
    pub(super) fn version(&self) -> Option<u64> {
        self.base.as_ref().map(|base| base.version)
    }

    /// The id of the table.
    pub(super) fn uuid(&self) -> Uuid {
        self.metadata.table_uuid
    }

    /// The metadata, as it would be continued.
    pub(super) fn metadata(&self) -> &TableMetadata {
        &self.metadata
    }

    /// What messages call the table.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Rows that are new in the table.
    pub(super) fn new_rows(&self) -> u64 {
        if self.only_merges { 0 } else { u64::try_from(self.added.rows).unwrap_or(0) }
    }

    fn refuse(&self, problem: impl Into<String>) -> DeliverError {
        DeliverError::IcebergTable { location: self.name.clone(), problem: problem.into() }
    }

    /// The partition spec of its new files: its number and its fields.
    fn spec(&self) -> Result<(i32, &Value), DeliverError> {
        let spec = self.metadata.own_spec(&self.columns);
        spec.ok_or_else(|| self.refuse("has other partitions than this program gave it"))
    }

    /// Checks that an existing table can be continued, and gives it today's columns. Returns the
    /// last commit that it has, with its unique name.
    ///
    /// # Errors
    /// [`DeliverError::IcebergTable`] if it belongs to something else, or another program changed
    /// it so that it cannot be continued; [`DeliverError::IcebergForeign`] if it is not this lake's,
    /// and is not replaced.
    pub(super) fn check(
        &mut self,
        to: &DeliveredCommit,
        field_ids: &FieldIds,
        catalog: &dyn Catalog,
        addresses: &Addresses,
    ) -> Result<Option<(u64, String)>, DeliverError> {
        if self.base.is_none() || (self.anew && !catalog.keeps_tables()) {
            return Ok(None);
        }
        let foreign = self.foreign(to.lake_id);
        if let Some(problem) = foreign.filter(|_| catalog.keeps_tables()) {
            let location = self.name.clone();
            return Err(DeliverError::IcebergForeign { location, problem });
        }
        let location = catalog.location(self.table.name, self.metadata.table_uuid);
        if !self.anew && !self.is_in_place(&location, addresses) {
            let problem = format!("is registered at another place: `{}`", self.metadata.location);
            return Err(self.refuse(problem));
        }
        if let Some(problem) = foreign {
            return Err(self.refuse(problem));
        }
        let applied =
            self.metadata.applied().map(|(commit, commit_name)| (commit, commit_name.to_owned()));
        self.spec()?;
        if self.anew {
            self.metadata.remove_content();
            // The location that the catalog chose itself stays.
            if !self.is_in_place(&location, addresses) {
                self.metadata.location = location;
            }
            self.metadata.properties.insert(property::ROOT.to_owned(), addresses.root().to_owned());
            self.is_evolved = self.metadata.evolve(&self.columns);
            return Ok(None);
        }
        self.check_content(field_ids)?;
        self.is_evolved = self.metadata.evolve(&self.columns);
        Ok(applied)
    }

    /// Why the table is not one of this lake's, as a predicate; `None` if it is.
    fn foreign(&self, lake_id: Uuid) -> Option<&'static str> {
        let lake = self.metadata.properties.get(property::LAKE);
        match (self.metadata.applied(), lake) {
            (None, _) | (_, None) => Some("was not made by this program"),
            (_, Some(lake)) if *lake != lake_id.to_string() => Some("belongs to another lake"),
            _ => None,
        }
    }

    /// Whether the lake is where it was when the table was made: data files have full addresses.
    fn is_in_place(&self, location: &str, addresses: &Addresses) -> bool {
        match self.metadata.properties.get(property::ROOT) {
            Some(root) => root == addresses.root(),
            None => addresses.path_of(&self.metadata.location) == addresses.path_of(location),
        }
    }

    /// Checks that this program's columns and last snapshot are still there.
    fn check_content(&self, field_ids: &FieldIds) -> Result<(), DeliverError> {
        let (metadata, name) = (&self.metadata, self.table.name);
        let Some(schema) = metadata.schema() else {
            return Err(self.refuse("has no current schema"));
        };
        let is_known = |id: i32| {
            self.columns.kind(id).is_some()
                || u32::try_from(id).is_ok_and(|id| field_ids.contains(name, id))
        };
        if let Some(field) = schema.fields.iter().find(|field| !is_known(field.id)) {
            let problem = format!("has a column `{}` that this program did not add", field.name);
            return Err(self.refuse(problem));
        }
        let own = metadata.properties.get(property::SNAPSHOT).and_then(|id| id.parse().ok());
        if own.is_some_and(|own| !metadata.is_in_history(own)) {
            return Err(self.refuse(
                "was rolled back by another program to before this program's last snapshot",
            ));
        }
        Ok(())
    }

    /// Whether the catalog does not have the table.
    pub(super) fn is_new(&self) -> bool {
        self.base.is_none()
    }

    /// Makes the table, where the catalog needs it before its first snapshot. Returns whether no
    /// other process was faster.
    ///
    /// # Errors
    /// [`DeliverError`] if the catalog refuses it, or cannot be reached.
    pub(super) async fn create(
        &mut self,
        catalog: &dyn Catalog,
        addresses: &Addresses,
        to: &DeliveredCommit,
    ) -> Result<bool, DeliverError> {
        let mut first = self.metadata.clone();
        for (key, value) in [
            (property::COMMIT, "0".to_owned()),
            (property::COMMIT_NAME, String::new()),
            (property::LAKE, to.lake_id.to_string()),
            (property::ROOT, addresses.root().to_owned()),
        ] {
            first.properties.insert(key.to_owned(), value);
        }
        let loaded = match catalog.create(self.table.name, first).await? {
            Creation::WithFirstCommit => return Ok(true),
            Creation::Conflict => return Ok(false),
            Creation::Done(loaded) => loaded,
        };
        self.metadata = loaded.metadata.clone().map_err(|problem| self.refuse(problem))?;
        self.manifest_folder = catalog.manifest_folder(self.table.name, self.metadata.table_uuid);
        self.base = Some(*loaded);
        self.spec()?;
        self.is_evolved = self.metadata.evolve(&self.columns);
        Ok(true)
    }

    /// Adds a data file.
    pub(super) async fn add(
        &mut self,
        part: &DataFile,
        store: &LakeStore,
        addresses: &Addresses,
    ) -> Result<(), DeliverError> {
        let file = DataFileEntry::new(part, addresses.of(&part.path), &self.columns);
        self.added.add(&file);
        self.entries.push(ManifestEntry::added(self.snapshot_id, file));
        if self.entries.len() >= MANIFEST_FILES {
            self.write_manifest(store, addresses).await?;
        }
        Ok(())
    }

    /// The number of the next snapshot.
    fn sequence_number(&self) -> i64 {
        self.metadata.last_sequence_number + 1
    }

    async fn write_manifest(
        &mut self,
        store: &LakeStore,
        addresses: &Addresses,
    ) -> Result<(), DeliverError> {
        let entries = std::mem::take(&mut self.entries);
        if entries.is_empty() {
            return Ok(());
        }
        let name = format!("m-{}", Uuid::new_v4().simple());
        let path = self.file_path(&name);
        let bytes = self.encode(&entries, &path)?;
        let numbers = (self.snapshot_id, self.sequence_number());
        let address = addresses.of(&path);
        let (spec, _) = self.spec()?;
        self.written.push(ManifestFile::describe(address, bytes.len(), &entries, spec, numbers));
        Ok(store.put(&path, bytes, "write the manifest").await?)
    }

    fn encode(&self, entries: &[ManifestEntry], path: &str) -> Result<Vec<u8>, DeliverError> {
        let schema = self.metadata.schema().map(serde_json::to_string);
        let schema = schema.and_then(Result::ok).unwrap_or_default();
        let schema = (self.metadata.current_schema_id, schema.as_str());
        let (spec_id, fields) = self.spec()?;
        let fields = fields.to_string();
        encode_manifest(entries, self.columns.is_partitioned, schema, (spec_id, &fields))
            .map_err(avro_error("write", path))
    }

    /// The path of a manifest or a manifest list of the next snapshot. The number in the name shows
    /// when the file can no longer be needed.
    fn file_path(&self, name: &str) -> String {
        format!("{}/s{:08}-{name}.avro", self.manifest_folder, self.sequence_number())
    }

    /// Makes the snapshot, if there is anything to change: `None` if there is not.
    ///
    /// # Errors
    /// [`DeliverError::IcebergTable`] if another program changed files that the commits replace.
    pub(super) async fn change(
        &mut self,
        store: &LakeStore,
        addresses: &Addresses,
        to: &DeliveredCommit,
    ) -> Result<Option<TableChange>, DeliverError> {
        let has_files = self.added.files > 0 || !self.removed.is_empty();
        let is_replaced = self.anew && self.base.is_some();
        if !has_files && !self.is_evolved && !is_replaced {
            return Ok(None);
        }
        let last_ms = match &self.base {
            Some(LoadedTable { metadata: Ok(metadata), .. }) => metadata.last_updated_ms,
            _ => 0,
        };
        self.metadata.last_updated_ms = to.created_ms.max(last_ms + 1);
        if has_files || is_replaced {
            self.add_snapshot(store, addresses, to).await?;
        }
        for (key, value) in [
            (property::COMMIT, to.commit.to_string()),
            (property::COMMIT_NAME, to.name.clone()),
            (property::LAKE, to.lake_id.to_string()),
        ] {
            self.metadata.properties.insert(key.to_owned(), value);
        }
        self.metadata.expire(self.expire_ms, SNAPSHOTS);
        let (base, next) = (self.base.clone(), self.metadata.clone());
        Ok(Some(TableChange { table: self.table.name, base, next }))
    }

    async fn add_snapshot(
        &mut self,
        store: &LakeStore,
        addresses: &Addresses,
        to: &DeliveredCommit,
    ) -> Result<(), DeliverError> {
        self.write_manifest(store, addresses).await?;
        let parent = self.metadata.current_snapshot().cloned();
        let mut carried = match &parent {
            Some(parent) => self.manifests_of(parent, store, addresses).await?,
            None => Vec::new(),
        };
        let deleted = self.remove_files(&mut carried, store, addresses).await?;
        carried = self.merge_small(carried, store, addresses).await?;
        let mut manifests = std::mem::take(&mut self.written);
        manifests.extend(carried);
        let parent_id = parent.as_ref().map(|parent| parent.id);
        let sequence_number = self.sequence_number();
        let path = self.file_path(&format!("{}-list", self.snapshot_id));
        let list = encode_manifest_list(&manifests, self.snapshot_id, parent_id, sequence_number)
            .map_err(avro_error("write", &path))?;
        store.put(&path, list, "write the manifest list").await?;
        let summary = self.summary(&manifests, parent.as_ref(), deleted, to);
        self.metadata.add_snapshot(Snapshot {
            id: self.snapshot_id,
            parent_snapshot_id: parent_id,
            sequence_number,
            timestamp_ms: self.metadata.last_updated_ms,
            manifest_list: addresses.of(&path),
            summary,
            schema_id: Some(self.metadata.current_schema_id),
            rest: Map::new(),
        });
        let own = (property::SNAPSHOT.to_owned(), self.snapshot_id.to_string());
        self.metadata.properties.extend([own]);
        Ok(())
    }

    fn summary(
        &self,
        manifests: &[ManifestFile],
        parent: Option<&Snapshot>,
        deleted: Sum,
        to: &DeliveredCommit,
    ) -> BTreeMap<String, String> {
        let operation = match (self.added, deleted) {
            (_, Sum { files: 0, .. }) => "append",
            (Sum { files: 0, .. }, _) => "delete",
            (added, deleted) if self.only_merges && added.rows == deleted.rows => "replace",
            _ => "overwrite",
        };
        let data = || manifests.iter().filter(|manifest| !manifest.has_row_deletions());
        let before = parent.and_then(|parent| parent.summary.get("total-files-size"));
        let before: i64 = before.and_then(|bytes| bytes.parse().ok()).unwrap_or(0);
        let mut summary = BTreeMap::new();
        let mut state = |key: &str, value: &dyn ToString| {
            summary.insert(key.to_owned(), value.to_string());
        };
        state("operation", &operation);
        state("added-data-files", &self.added.files);
        state("added-records", &self.added.rows);
        state("added-files-size", &self.added.bytes);
        if deleted.files > 0 {
            state("deleted-data-files", &deleted.files);
            state("deleted-records", &deleted.rows);
            state("removed-files-size", &deleted.bytes);
        }
        state("total-data-files", &data().map(ManifestFile::live_files).sum::<i64>());
        state("total-records", &data().map(ManifestFile::live_rows).sum::<i64>());
        state("total-files-size", &(before + self.added.bytes - deleted.bytes).max(0));
        for deletions in ["total-delete-files", "total-position-deletes", "total-equality-deletes"]
        {
            let before = parent.and_then(|parent| parent.summary.get(deletions));
            state(deletions, before.unwrap_or(&"0".to_owned()));
        }
        state(property::COMMIT, &to.commit);
        state(property::LAKE, &to.lake_id);
        summary
    }

    /// The manifests of a snapshot.
    ///
    /// # Errors
    /// As [`OpenTable::read`].
    pub(super) async fn manifests_of(
        &self,
        snapshot: &Snapshot,
        store: &LakeStore,
        addresses: &Addresses,
    ) -> Result<Vec<ManifestFile>, DeliverError> {
        self.read(&snapshot.manifest_list, store, addresses).await
    }

    /// The records of an Avro file.
    ///
    /// # Errors
    /// [`DeliverError::IcebergTable`] if it is missing or elsewhere, and [`DeliverError::Avro`] if it
    /// cannot be decoded.
    pub(super) async fn read<T: serde::de::DeserializeOwned>(
        &self,
        address: &str,
        store: &LakeStore,
        addresses: &Addresses,
    ) -> Result<Vec<T>, DeliverError> {
        let Some(path) = addresses.path_of(address) else {
            return Err(self.refuse(format!("refers to `{address}`, which is outside of the lake")));
        };
        let Some(bytes) = store.get(path).await? else {
            return Err(self.refuse(format!("refers to `{address}`, which is missing")));
        };
        avro::decode(&bytes).map_err(avro_error("read", path))
    }

    /// Removes files from the table: manifests that list them are replaced by ones that state the
    /// removal. Returns what was removed.
    async fn remove_files(
        &mut self,
        manifests: &mut Vec<ManifestFile>,
        store: &LakeStore,
        addresses: &Addresses,
    ) -> Result<Sum, DeliverError> {
        let (mut removed, mut sum) = (std::mem::take(&mut self.removed), Sum::default());
        if let Some(commit) = removed.values().next() {
            // The new files hold the rows that another program deleted.
            if manifests.iter().any(|it| it.has_row_deletions() && it.live_files() > 0) {
                return Err(self.refuse(format!(
                    "has rows deleted by another program, and commit {commit} replaces their files"
                )));
            }
        }
        let (mut kept, mut rest) = (Vec::new(), std::mem::take(manifests).into_iter());
        // The newest first: what is replaced is rarely old.
        for manifest in rest.by_ref() {
            if removed.is_empty() {
                kept.push(manifest);
                break;
            }
            if manifest.has_row_deletions() || manifest.live_files() == 0 {
                kept.push(manifest);
                continue;
            }
            let entries: Vec<ManifestEntry> =
                self.read(&manifest.manifest_path, store, addresses).await?;
            let mut is_changed = false;
            let mut next = Vec::with_capacity(entries.len());
            for entry in entries.into_iter().filter(ManifestEntry::is_live) {
                let path = addresses.path_of(&entry.data_file.file_path);
                let is_removed = path.is_some_and(|path| removed.remove(path).is_some());
                let entry = entry.carried_over(&manifest);
                next.push(if is_removed {
                    is_changed = true;
                    sum.add(&entry.data_file);
                    entry.deleted(self.snapshot_id)
                } else {
                    entry
                });
            }
            if is_changed {
                self.entries = next;
                self.write_manifest(store, addresses).await?;
            } else {
                kept.push(manifest);
            }
        }
        kept.extend(rest);
        if let Some((path, commit)) = removed.first_key_value() {
            return Err(self.refuse(format!(
                "no longer names the data file `{path}`, which commit {commit} replaces: another program changed the table"
            )));
        }
        // What only states removals by earlier snapshots is of no use any more.
        kept.retain(|manifest| manifest.live_files() > 0);
        *manifests = kept;
        Ok(sum)
    }

    /// Merges small manifests of this program's partition spec, so that their number stays limited.
    async fn merge_small(
        &mut self,
        manifests: Vec<ManifestFile>,
        store: &LakeStore,
        addresses: &Addresses,
    ) -> Result<Vec<ManifestFile>, DeliverError> {
        let (spec, _) = self.spec()?;
        let is_small = |manifest: &ManifestFile| {
            !manifest.has_row_deletions()
                && manifest.partition_spec_id == spec
                && manifest.live_files() < SMALL
        };
        if manifests.iter().filter(|manifest| is_small(manifest)).count() <= MANIFESTS {
            return Ok(manifests);
        }
        let (small, kept): (Vec<_>, Vec<_>) = manifests.into_iter().partition(is_small);
        for manifest in small {
            let entries: Vec<ManifestEntry> =
                self.read(&manifest.manifest_path, store, addresses).await?;
            let live = entries.into_iter().filter(ManifestEntry::is_live);
            self.entries.extend(live.map(|entry| entry.carried_over(&manifest)));
            if self.entries.len() >= MANIFEST_FILES {
                self.write_manifest(store, addresses).await?;
            }
        }
        self.write_manifest(store, addresses).await?;
        Ok(kept)
    }

    /// Garbage collection of orphan files: removes manifests and manifest lists of this program that
    /// no snapshot needs any more, also those that an interrupted delivery left. Files of other
    /// programs stay.
    pub(super) async fn remove_unreferenced(
        &self,
        store: &LakeStore,
        addresses: &Addresses,
    ) -> Result<(), DeliverError> {
        let snapshots = &self.metadata.snapshots;
        let lists: BTreeSet<&str> =
            snapshots.iter().filter_map(|it| addresses.path_of(&it.manifest_list)).collect();
        let oldest = snapshots.iter().min_by_key(|snapshot| snapshot.sequence_number);
        let Some(oldest) = oldest else { return Ok(()) };
        // Each manifest of an earlier snapshot that a later one needs is in the oldest one too.
        let (needing, until) = if self.metadata.is_linear() {
            (vec![oldest], oldest.sequence_number)
        } else {
            (snapshots.iter().collect(), self.metadata.last_sequence_number)
        };
        let folder = &self.manifest_folder;
        let names = store.list(folder)?;
        let can_go = |name: &&String| sequence_number_of(name).is_some_and(|it| it <= until);
        let mut can_go: BTreeSet<String> =
            names.iter().filter(can_go).map(|name| format!("{folder}/{name}")).collect();
        can_go.retain(|path| !lists.contains(path.as_str()));
        if can_go.is_empty() {
            return Ok(());
        }
        for snapshot in needing {
            for manifest in self.manifests_of(snapshot, store, addresses).await? {
                if let Some(path) = addresses.path_of(&manifest.manifest_path) {
                    can_go.remove(path);
                }
            }
        }
        Ok(can_go.iter().try_for_each(|path| store.delete(path))?)
    }
}

/// The sequence number in the name of a manifest or a manifest list of this program.
fn sequence_number_of(name: &str) -> Option<i64> {
    let (number, _) = name.strip_prefix('s')?.strip_suffix(".avro")?.split_once('-')?;
    number.parse().ok()
}

/// For `map_err` on Avro operations.
fn avro_error(action: &'static str, path: &str) -> impl FnOnce(AvroError) -> DeliverError {
    let path = path.to_owned();
    move |source| DeliverError::Avro { action, path, source }
}
