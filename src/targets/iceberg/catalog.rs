//! Catalogs: what names the current metadata of a table, and replaces it in one step.

use std::fmt;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::addresses::Addresses;
use super::metadata::{MetadataLogEntry, TableMetadata};
use crate::crash;
use crate::lake::LakeStore;
use crate::targets::DeliverError;

/// A catalog of Iceberg tables. Manifests and manifest lists are written beforehand; a commit makes
/// them visible.
pub(super) trait Catalog: fmt::Debug + Send + Sync {
    /// The current metadata of a table; `None` if it does not exist.
    fn load<'c>(
        &'c self,
        table: &'c str,
    ) -> BoxFuture<'c, Result<Option<LoadedTable>, DeliverError>>;

    /// Replaces the metadata of a table in one step, if it still is `base`; `None` creates the table.
    fn commit<'c>(
        &'c self,
        table: &'c str,
        base: Option<&'c LoadedTable>,
        next: TableMetadata,
    ) -> BoxFuture<'c, Result<Commit, DeliverError>>;
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Commit {
    /// The metadata is the table's; its version.
    Done(u64),
    /// Another process changed the table first, and nothing was changed.
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
}

/// Earlier versions of the metadata that are kept, for readers that have just found their name.
const KEPT_VERSIONS: u64 = 20;

impl FilesCatalog {
    /// The catalog in a lake.
    pub(super) fn new(store: LakeStore, addresses: Addresses) -> Self {
        Self { store, addresses }
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
        if self.store.get(&hint_path(table)).await?.as_deref()
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

    async fn commit(
        &self,
        table: &str,
        base: Option<&LoadedTable>,
        mut next: TableMetadata,
    ) -> Result<Commit, DeliverError> {
        let version = base.map_or(0, |base| base.version) + 1;
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
                _ => return Ok(Commit::Conflict),
            },
        }
        crash::point("after_iceberg_metadata");
        // Old versions are removed, so that a process that was suspended for long could create one
        // again.
        if self.newest(table)? != Some(version) {
            return Ok(Commit::Conflict);
        }
        self.write_hint(table, version).await?;
        self.remove_old_versions(table, version)?;
        Ok(Commit::Done(version))
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
    fn load<'c>(
        &'c self,
        table: &'c str,
    ) -> BoxFuture<'c, Result<Option<LoadedTable>, DeliverError>> {
        self.load(table).boxed()
    }

    fn commit<'c>(
        &'c self,
        table: &'c str,
        base: Option<&'c LoadedTable>,
        next: TableMetadata,
    ) -> BoxFuture<'c, Result<Commit, DeliverError>> {
        self.commit(table, base, next).boxed()
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
