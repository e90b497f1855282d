//! Field ids of the columns that users add.
//!
//! Table formats such as Iceberg identify a column by a number that never changes, not by its name,
//! so that schema evolution cannot mix up columns.
//! Declared columns state theirs. Those of `[[columns]]` are given out in the order in which they
//! appear, and are recorded in the commits of the lake.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Kind;

/// The field id of a column that users added, and the type for which it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldId {
    /// The id, from 1001.
    pub id: u32,
    /// The type of the column's values.
    pub kind: Kind,
}

/// The field ids that were given to users' columns, by table and column. Ids of columns that were
/// removed stay recorded: no id is ever given twice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FieldIds(BTreeMap<String, BTreeMap<String, FieldId>>);

/// The first id of users' columns in each table. Ids below are for declared columns.
const FIRST: u32 = 1001;

impl FieldIds {
    /// The `field_id` of a column; a new one if the column has none yet. A column that changes its type is
    /// another column, and gets a new id too: readers could not read its older rows by the new
    /// type.
    pub fn assign(&mut self, table: &str, column: &str, kind: Kind) -> u32 {
        let columns = self.0.entry(table.to_owned()).or_default();
        if let Some(found) = columns.get(column).filter(|found| found.kind == kind) {
            return found.id;
        }
        let id = columns.values().map(|found| found.id + 1).max().unwrap_or(FIRST);
        if let Some(old) = columns.insert(column.to_owned(), FieldId { id, kind }) {
            // Keeps the old id from being given again.
            columns.insert(format!("{column}#{}", old.id), old);
        }
        id
    }

    /// The columns of a table, each with the id of its latest type.
    pub fn current(&self, table: &str) -> impl Iterator<Item = (&str, FieldId)> {
        let columns = self.0.get(table).into_iter().flatten();
        columns.filter(|(name, _)| !name.contains('#')).map(|(name, id)| (name.as_str(), *id))
    }

    /// Whether an id was given to a column of a table, also to one that is gone.
    pub fn contains(&self, table: &str, id: u32) -> bool {
        self.0.get(table).is_some_and(|columns| columns.values().any(|found| found.id == id))
    }

    /// Whether no id was given.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_stays_with_its_column_and_type() {
        let mut ids = FieldIds::default();
        assert_eq!(ids.assign("runs", "team", Kind::Text), 1001);
        assert_eq!(ids.assign("runs", "cost_center", Kind::Text), 1002);
        assert_eq!(ids.assign("spans", "team", Kind::Text), 1001);
        assert_eq!(ids.assign("runs", "team", Kind::Integer), 1003);
        assert_eq!(ids.assign("runs", "budget", Kind::Decimal), 1004);
        let text = serde_json::to_string(&ids).unwrap();
        let mut read: FieldIds = serde_json::from_str(&text).unwrap();
        assert_eq!(read, ids);
        assert_eq!(read.assign("runs", "cost_center", Kind::Text), 1002);
        assert_eq!(read.assign("runs", "team", Kind::Integer), 1003);
        assert_eq!(read.assign("runs", "team", Kind::Text), 1005);
    }
}
