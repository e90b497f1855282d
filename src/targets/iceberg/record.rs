//! The record of the last delivery to all tables: `_iceberg/delivered.json`, or
//! `_iceberg/delivered-rest.json` for the tables of a REST catalog.
//!
//! Tables that get no rows are not changed by a delivery, so the commit that they state falls
//! behind. The record says that they have everything up to a later one. It is written after all
//! tables, and only saves work: where it is missing, the tables' own commits count.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::catalog::CatalogName;
use super::table::DeliveredCommit;
use crate::lake::LakeStore;
use crate::targets::DeliverError;

/// The last delivery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// The lake.
    pub(super) lake_id: Uuid,
    /// The namespace and its catalog; `None` for `files`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    catalog: Option<String>,
    /// The last commit that all tables have.
    pub(super) commit: u64,
    /// The unique name of that commit.
    pub(super) name: String,
    /// The tables that existed then.
    pub(super) tables: BTreeMap<String, RecordedTable>,
}

/// A table at a delivery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RecordedTable {
    /// Its id.
    pub(super) uuid: Uuid,
    /// The version of its metadata.
    pub(super) version: u64,
}

impl Record {
    /// A record without tables.
    pub(super) fn new(to: &DeliveredCommit, catalog: &CatalogName) -> Self {
        let (commit, name) = (to.commit, to.name.clone());
        let catalog = catalog.service();
        Self { lake_id: to.lake_id, catalog, commit, name, tables: BTreeMap::new() }
    }

    /// `None` if there is none, or it cannot be used, or it is about another catalog.
    pub(super) async fn read(
        store: &LakeStore,
        catalog: &CatalogName,
    ) -> Result<Option<Self>, DeliverError> {
        let bytes = store.get(catalog.record_path()).await?;
        let record = bytes.and_then(|bytes| serde_json::from_slice::<Self>(&bytes).ok());
        Ok(record.filter(|record| record.catalog == catalog.service()))
    }

    pub(super) async fn write(
        &self,
        store: &LakeStore,
        catalog: &CatalogName,
    ) -> Result<(), DeliverError> {
        let bytes = serde_json::to_vec_pretty(self)
            .map_err(|error| DeliverError::Stopped(format!("record of a delivery: {error}")))?;
        Ok(store.put(catalog.record_path(), bytes, "record the delivery").await?)
    }
}
