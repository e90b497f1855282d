//! The identity of a lake: exports of different organizations or filters never mix in one.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{LakeError, Location};
use crate::config::Filters;

/// The major version of the format of the lake's own files. This program reads this major version
/// only.
pub const FORMAT_MAJOR: u64 = 1;

/// The content of `_armature/format.json`, which is written once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// [`FORMAT_MAJOR`] of the version that created the lake.
    pub format: u64,
    /// A unique id of this lake; a DuckDB file stores the id of the lake that it was delivered
    /// from.
    pub lake_id: Uuid,
    /// The organization whose runs it holds, from `GET /org`.
    pub organization_id: Option<String>,
    /// The filters that select its runs.
    pub filters: Filters,
    /// The name and version of the program that created it.
    pub created_by: String,
}

impl Identity {
    /// The identity of a new lake, with a new id.
    pub fn new(organization_id: Option<String>, filters: Filters) -> Self {
        Self {
            format: FORMAT_MAJOR,
            lake_id: Uuid::new_v4(),
            organization_id,
            filters,
            created_by: concat!("armature-export ", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }

    /// Refuses an export of another organization or with other filters.
    pub(super) fn check(
        &self,
        organization_id: Option<&str>,
        filters: &Filters,
        lake: &Location,
    ) -> Result<(), LakeError> {
        let refuse = |difference| Err(LakeError::OtherExport { path: lake.clone(), difference });
        if self.organization_id.as_deref() != organization_id {
            let name =
                |id: Option<&str>| id.map_or("no organization".into(), |id| format!("`{id}`"));
            let (has, asked) = (name(self.organization_id.as_deref()), name(organization_id));
            return refuse(format!("its runs belong to {has}, the key to {asked}"));
        }
        let differing = differing_filters(&self.filters, filters);
        if differing.is_empty() {
            Ok(())
        } else {
            refuse(format!("it was made with other filters ({})", differing.join(", ")))
        }
    }
}

/// The filters that differ, by name. `sort` and `page_size` are not compared: they do not select
/// runs.
fn differing_filters(lake: &Filters, asked: &Filters) -> Vec<&'static str> {
    let sorted = |filters: &Filters| {
        let mut ids = filters.workflow_ids.clone();
        ids.sort();
        ids
    };
    let pairs = [
        ("workflow_ids", sorted(lake) == sorted(asked)),
        ("status", lake.status == asked.status),
        ("classification", lake.classification == asked.classification),
        ("search", lake.search == asked.search),
    ];
    pairs.into_iter().filter(|(_, same)| !same).map(|(name, _)| name).collect()
}
