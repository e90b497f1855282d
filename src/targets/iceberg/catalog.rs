//! Catalogs: what names the current metadata of a table, and replaces it in one step.

use std::fmt;

use futures::FutureExt;
use futures::future::BoxFuture;
use uuid::Uuid;

use super::addresses::Addresses;
use super::metadata::{MetadataLogEntry, TableMetadata};
use crate::crash;
use crate::lake::LakeStore;
use crate::targets::DeliverError;

/// A catalog of Iceberg tables. Manifests and manifest lists are written beforehand; a commit makes
/// them visible.
pub(super) trait Catalog: fmt::Debug + Send + Sync {
    /// Which catalog it is.
    fn name(&self) -> &CatalogName;

    /// What messages call a table.
    fn name_of(&self, table: &str) -> String;

    /// The folder of a table's manifests, relative to the lake's root.
    fn manifest_folder(&self, table: &str, uuid: Uuid) -> String;

    /// The location of a new table.
    fn location(&self, table: &str, uuid: Uuid) -> String;

    /// Whether a table that is made anew stays the same table, with its id and its numbers. It
    /// can then have been there before this program, and is replaced only if it is this lake's.
    fn keeps_tables(&self) -> bool;

    /// The current metadata of a table; `None` if it does not exist.
    fn load<'c>(
        &'c self,
        table: &'c str,
    ) -> BoxFuture<'c, Result<Option<LoadedTable>, DeliverError>>;

    /// Makes a table without snapshots, where the catalog chooses numbers that manifests state.
    fn create<'c>(
        &'c self,
        table: &'c str,
        first: TableMetadata,
    ) -> BoxFuture<'c, Result<Creation, DeliverError>>;

    /// Replaces the metadata of tables, if each still is what it was: all in one step where the
    /// catalog can, otherwise one table after the other, in this order. After a conflict or an
    /// error, each table is as before, or has its next metadata.
    fn commit<'c>(
        &'c self,
        changes: &'c [TableChange],
    ) -> BoxFuture<'c, Result<Commit, DeliverError>>;
}

/// Which catalog it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum CatalogName {
    /// The catalog `files`.
    Files,
    /// A namespace of a REST catalog.
    Rest {
        /// The base address of the catalog.
        uri: String,
        /// The warehouse, if it is configured.
        warehouse: Option<String>,
        /// The namespace, with dots between its levels.
        namespace: String,
    },
}

impl CatalogName {
    /// The path of the record of deliveries, relative to the lake's root.
    pub(super) fn record_path(&self) -> &'static str {
        match self {
            Self::Files => "_iceberg/delivered.json",
            Self::Rest { .. } => "_iceberg/delivered-rest.json",
        }
    }

    /// The namespace with its catalog, as text; `None` for `files`, of which a lake has only one.
    pub(super) fn service(&self) -> Option<String> {
        let Self::Rest { uri, warehouse, namespace } = self else { return None };
        let warehouse = warehouse.as_ref().map(|it| format!(" in warehouse {it}"));
        Some(format!("{namespace}{} of {uri}", warehouse.unwrap_or_default()))
    }
}

/// How the creation of a table ended.
#[derive(Debug)]
pub(super) enum Creation {
    /// The first commit of the table creates it.
    WithFirstCommit,
    /// The table, without snapshots.
    Done(Box<LoadedTable>),
    /// There is a table of that name meanwhile.
    Conflict,
}

/// The next metadata of a table.
#[derive(Debug)]
pub(super) struct TableChange {
    /// The name of the table.
    pub(super) table: &'static str,
    /// What the catalog has; `None` if the table is new.
    pub(super) base: Option<LoadedTable>,
    /// What it should have.
    pub(super) next: TableMetadata,
}

/// A table as a catalog knows it.
#[derive(Clone, Debug)]
pub(super) struct LoadedTable {
    /// The number of the metadata's version; it only grows.
    pub(super) version: u64,
    /// The metadata, or why it cannot be used, as a predicate of the table.
    pub(super) metadata: Result<TableMetadata, String>,
}

/// How a commit to a catalog ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Commit {
    /// All tables have their next metadata; its version in each, in the order of the changes.
    Done(Vec<u64>),
    /// Another process changed a table first; that table and those after it were not changed.
    Conflict,
}

/// The catalog `files`: metadata lies beside the lake's data, and the greatest version is the
/// current one. Engines find it by the folder of the table.
///
/// ```text
/// <lake>/_iceberg/<table>/metadata/v12.metadata.json    created once, and never changed
/// <lake>/_iceberg/<table>/metadata/version-hint.text    12
/// ```
#[derive(Clone, Debug)]
pub(super) struct FilesCatalog {
    store: LakeStore,
    addresses: Addresses,
    /// Whether a version hint that a crash left behind is corrected.
    corrects_hints: bool,
}

/// Earlier versions of the metadata that are kept, for readers that have just found their name.
const KEPT_VERSIONS: u64 = 20;

impl FilesCatalog {
    /// The catalog in a lake.
    pub(super) fn new(store: LakeStore, addresses: Addresses) -> Self {
        Self { store, addresses, corrects_hints: true }
    }

    /// The same catalog, for commands that change nothing.
    pub(super) fn read_only(self) -> Self {
        Self { corrects_hints: false, ..self }
    }

    fn newest(&self, table: &str) -> Result<Option<u64>, DeliverError> {
        let names = self.store.list(&metadata_folder(table))?;
        Ok(names.iter().filter_map(|name| version_of(name)).max())
    }

    async fn load(&self, table: &str) -> Result<Option<LoadedTable>, DeliverError> {
        let Some(version) = self.newest(table)? else { return Ok(None) };
        let path = version_path(table, version);
        let bytes = self.store.get(&path).await?;
        let metadata = match bytes.as_deref().map(serde_json::from_slice::<TableMetadata>) {
            Some(Ok(metadata)) if metadata.format_version == 2 => Ok(metadata),
            Some(Ok(metadata)) => {
                Err(format!("has format version {}, not 2", metadata.format_version))
            }
            Some(Err(error)) => Err(format!("has damaged metadata ({error})")),
            None => Err("lost its metadata while it was read".to_owned()),
        };
        // A crash after a commit leaves the hint behind.
        if self.corrects_hints
            && self.store.get(&hint_path(table)).await?.as_deref()
                != Some(version.to_string().as_bytes())
        {
            self.write_hint(table, version).await?;
        }
        Ok(Some(LoadedTable { version, metadata }))
    }

    /// Digits without a line break: some readers do not trim the file's content.
    async fn write_hint(&self, table: &str, version: u64) -> Result<(), DeliverError> {
        let hint = version.to_string().into_bytes();
        Ok(self.store.put(&hint_path(table), hint, "write the version hint").await?)
    }

    /// The version of the metadata that was created; `None` if another process was faster.
    async fn commit(&self, change: &TableChange) -> Result<Option<u64>, DeliverError> {
        let TableChange { table, base, next } = change;
        let mut next = next.clone();
        let version = base.as_ref().map_or(0, |base| base.version) + 1;
        if let Some(LoadedTable { version: before, metadata: Ok(metadata) }) = base {
            next.metadata_log.push(MetadataLogEntry {
                metadata_file: self.addresses.of(&version_path(table, *before)),
                timestamp_ms: metadata.last_updated_ms,
            });
        }
        let most = usize::try_from(KEPT_VERSIONS).unwrap_or(usize::MAX);
        let old = next.metadata_log.len().saturating_sub(most);
        next.metadata_log.drain(..old);
        let bytes = serde_json::to_vec(&next)
            .map_err(|error| DeliverError::Stopped(format!("metadata of a table: {error}")))?;
        let path = version_path(table, version);
        crash::point("before_iceberg_metadata");
        match self.store.put_if_absent(&path, bytes.clone(), "create the metadata").await {
            Ok(true) => {}
            // Whether it was created is known only by reading it: an answer can be lost, and a
            // request that seems to have failed can have been repeated.
            unknown => match (self.store.get(&path).await?, unknown) {
                (Some(found), _) if *found == *bytes => {}
                (None, Err(error)) => return Err(error.into()),
                _ => return Ok(None),
            },
        }
        crash::point("after_iceberg_metadata");
        // Old versions are removed, so that a process that was suspended for long could create one
        // again.
        if self.newest(table)? != Some(version) {
            return Ok(None);
        }
        self.write_hint(table, version).await?;
        self.remove_old_versions(table, version)?;
        Ok(Some(version))
    }

    fn remove_old_versions(&self, table: &str, newest: u64) -> Result<(), DeliverError> {
        let folder = metadata_folder(table);
        for name in self.store.list(&folder)? {
            if version_of(&name).is_some_and(|version| version + KEPT_VERSIONS < newest) {
                self.store.delete(&format!("{folder}/{name}"))?;
            }
        }
        Ok(())
    }
}

impl Catalog for FilesCatalog {
    fn name(&self) -> &CatalogName {
        &CatalogName::Files
    }

    fn name_of(&self, table: &str) -> String {
        self.addresses.of(&table_folder(table))
    }

    fn manifest_folder(&self, table: &str, _uuid: Uuid) -> String {
        metadata_folder(table)
    }

    fn location(&self, table: &str, _uuid: Uuid) -> String {
        self.name_of(table)
    }

    fn keeps_tables(&self) -> bool {
        false
    }

    fn load<'c>(
        &'c self,
        table: &'c str,
    ) -> BoxFuture<'c, Result<Option<LoadedTable>, DeliverError>> {
        self.load(table).boxed()
    }

    fn create<'c>(
        &'c self,
        _table: &'c str,
        _first: TableMetadata,
    ) -> BoxFuture<'c, Result<Creation, DeliverError>> {
        async { Ok(Creation::WithFirstCommit) }.boxed()
    }

    fn commit<'c>(
        &'c self,
        changes: &'c [TableChange],
    ) -> BoxFuture<'c, Result<Commit, DeliverError>> {
        let commit = async move {
            let mut versions = Vec::with_capacity(changes.len());
            for change in changes {
                let Some(version) = self.commit(change).await? else { return Ok(Commit::Conflict) };
                versions.push(version);
            }
            Ok(Commit::Done(versions))
        };
        commit.boxed()
    }
}

/// The folder of everything about tables, relative to the lake's root.
pub(super) const FOLDER: &str = "_iceberg";

/// The folder of a table.
pub(super) fn table_folder(table: &str) -> String {
    format!("{FOLDER}/{table}")
}

/// The folder of a table's metadata.
pub(super) fn metadata_folder(table: &str) -> String {
    format!("{FOLDER}/{table}/metadata")
}

fn version_path(table: &str, version: u64) -> String {
    format!("{}/v{version}.metadata.json", metadata_folder(table))
}

fn hint_path(table: &str) -> String {
    format!("{}/version-hint.text", metadata_folder(table))
}

fn version_of(name: &str) -> Option<u64> {
    name.strip_prefix('v')?.strip_suffix(".metadata.json")?.parse().ok()
}
