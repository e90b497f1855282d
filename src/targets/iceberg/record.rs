//! The record of the last delivery to all tables: `_iceberg/delivered.json`.
//!
//! Tables that get no rows are not changed by a delivery, so the commit that they state falls
//! behind. The record says that they have everything up to a later one. It is written after all
//! tables, and only saves work: where it is missing, the tables' own commits count.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::catalog::FOLDER;
use super::table::DeliveredCommit;
use crate::lake::LakeStore;
use crate::targets::DeliverError;

/// The last delivery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// The lake.
    pub(super) lake_id: Uuid,
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
    pub(super) fn new(to: &DeliveredCommit) -> Self {
        let (commit, name) = (to.commit, to.name.clone());
        Self { lake_id: to.lake_id, commit, name, tables: BTreeMap::new() }
    }

    fn path() -> String {
        format!("{FOLDER}/delivered.json")
    }

    /// `None` if there is none, or it cannot be used.
    pub(super) async fn read(store: &LakeStore) -> Result<Option<Self>, DeliverError> {
        let bytes = store.get(&Self::path()).await?;
        Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    pub(super) async fn write(&self, store: &LakeStore) -> Result<(), DeliverError> {
        let bytes = serde_json::to_vec_pretty(self)
            .map_err(|error| DeliverError::Stopped(format!("record of a delivery: {error}")))?;
        Ok(store.put(&Self::path(), bytes, "record the delivery").await?)
    }
}
