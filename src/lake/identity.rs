//! Whose lake it is: two exports never mix in one.

use std::path::Path;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::LakeError;
use crate::config::Filters;

/// The format of the lake's own files. A version reads exactly the majors that it names.
pub const FORMAT_MAJOR: u64 = 1;

/// What `_armature/format.json` holds. It is written once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// [`FORMAT_MAJOR`] of the version that made the lake.
    pub format: u64,
    /// A name for this lake that no other has; a DuckDB file remembers it.
    pub lake_id: Uuid,
    /// The organization whose runs it holds, from `GET /org`.
    pub organization_id: Option<String>,
    /// The selection of runs that it holds.
    pub filters: Filters,
    /// The version that made it.
    pub created_by: String,
}

impl Identity {
    /// A new lake's.
    pub fn new(organization_id: Option<String>, filters: Filters) -> Self {
        Self {
            format: FORMAT_MAJOR,
            lake_id: Uuid::new_v4(),
            organization_id,
            filters,
            created_by: concat!("armature-export ", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }

    /// Refuses an export of another organization or selection.
    pub(super) fn check(
        &self,
        organization_id: Option<&str>,
        filters: &Filters,
        lake: &Path,
    ) -> Result<(), LakeError> {
        let refuse = |difference| Err(LakeError::OtherExport { path: lake.to_owned(), difference });
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

/// The filters that select runs, by name; `sort` and `page_size` only shape the requests.
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
