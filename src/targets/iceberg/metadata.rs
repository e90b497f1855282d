//! The metadata of an Iceberg table, format version 2.
//!
//! Members that this program does not know are kept: another program may have written them.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::schema::{Columns, Schema};

/// The number of the partition spec of a new table, unless its catalog chooses another one.
const SPEC_ID: i32 = 0;

/// The field id of `run_date`, from which the partition is taken.
const RUN_DATE: i32 = 905;

/// The field id of the partition.
const PARTITION_ID: i32 = 1000;

/// Properties of a table and of its snapshots.
pub(super) mod property {
    /// The last commit of the lake whose data files the table has.
    pub(in crate::targets::iceberg) const COMMIT: &str = "armature.commit";
    /// The unique name of that commit.
    pub(in crate::targets::iceberg) const COMMIT_NAME: &str = "armature.commit-name";
    /// The id of the lake.
    pub(in crate::targets::iceberg) const LAKE: &str = "armature.lake";
    /// The newest snapshot that this program made.
    pub(in crate::targets::iceberg) const SNAPSHOT: &str = "armature.snapshot";
    /// The address of the lake's root, for tables whose location does not tell where the lake is.
    pub(in crate::targets::iceberg) const ROOT: &str = "armature.root";
    /// Names of columns by field id.
    pub(super) const NAME_MAPPING: &str = "schema.name-mapping.default";
}

/// The metadata of a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct TableMetadata {
    pub(super) format_version: u32,
    pub(super) table_uuid: Uuid,
    /// The address of the folder that holds `metadata`.
    pub(super) location: String,
    pub(super) last_sequence_number: i64,
    /// When it was made, in milliseconds since 1970.
    pub(super) last_updated_ms: i64,
    pub(super) last_column_id: i32,
    pub(super) current_schema_id: i32,
    pub(super) schemas: Vec<Schema>,
    default_spec_id: i32,
    pub(super) partition_specs: Vec<Value>,
    last_partition_id: i32,
    default_sort_order_id: i32,
    pub(super) sort_orders: Vec<Value>,
    #[serde(default)]
    pub(super) properties: BTreeMap<String, String>,
    /// The snapshot that readers see; absent or -1 if there is none.
    #[serde(default)]
    pub(super) current_snapshot_id: Option<i64>,
    #[serde(default)]
    pub(super) refs: BTreeMap<String, SnapshotRef>,
    #[serde(default)]
    pub(super) snapshots: Vec<Snapshot>,
    #[serde(default)]
    pub(super) snapshot_log: Vec<SnapshotLogEntry>,
    #[serde(default)]
    pub(super) metadata_log: Vec<MetadataLogEntry>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// A branch or a tag.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct SnapshotRef {
    pub(super) snapshot_id: i64,
    #[serde(rename = "type")]
    pub(super) kind: String,
    #[serde(flatten)]
    pub(super) rest: Map<String, Value>,
}

/// A snapshot of a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Snapshot {
    #[serde(rename = "snapshot-id")]
    pub(super) id: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) parent_snapshot_id: Option<i64>,
    #[serde(default)]
    pub(super) sequence_number: i64,
    pub(super) timestamp_ms: i64,
    /// The address of its manifest list.
    pub(super) manifest_list: String,
    #[serde(default)]
    pub(super) summary: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) schema_id: Option<i32>,
    #[serde(flatten)]
    pub(super) rest: Map<String, Value>,
}

/// When a snapshot became the one that readers see.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct SnapshotLogEntry {
    pub(super) snapshot_id: i64,
    pub(super) timestamp_ms: i64,
}

/// An earlier version of the metadata.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct MetadataLogEntry {
    pub(super) metadata_file: String,
    pub(super) timestamp_ms: i64,
}

impl TableMetadata {
    /// The metadata of a new table without snapshots, and without a location.
    pub(super) fn new(columns: &Columns) -> Self {
        let fields = partition_fields(columns);
        let last_partition_id =
            if columns.is_partitioned { PARTITION_ID } else { PARTITION_ID - 1 };
        let schema = columns.schema();
        Self {
            format_version: 2,
            table_uuid: Uuid::new_v4(),
            location: String::new(),
            last_sequence_number: 0,
            last_updated_ms: 0,
            last_column_id: last_id(&schema),
            current_schema_id: schema.id,
            schemas: vec![schema],
            default_spec_id: SPEC_ID,
            partition_specs: vec![json!({"spec-id": SPEC_ID, "fields": fields})],
            last_partition_id,
            default_sort_order_id: 0,
            sort_orders: vec![json!({"order-id": 0, "fields": []})],
            properties: BTreeMap::from([
                // The data files are the lake's: no engine may remove them.
                ("gc.enabled".to_owned(), "false".to_owned()),
                (property::NAME_MAPPING.to_owned(), columns.name_mapping()),
            ]),
            current_snapshot_id: None,
            refs: BTreeMap::new(),
            snapshots: Vec::new(),
            snapshot_log: Vec::new(),
            metadata_log: Vec::new(),
            rest: Map::new(),
        }
    }

    /// The schema that readers use.
    pub(super) fn schema(&self) -> Option<&Schema> {
        self.schemas.iter().find(|schema| schema.id == self.current_schema_id)
    }

    /// Gives the table the columns that it should have. Returns whether that changed it.
    pub(super) fn evolve(&mut self, columns: &Columns) -> bool {
        let Some(mut schema) = self.schema().and_then(|schema| columns.evolved(schema)) else {
            return false;
        };
        // Catalogs give an equal schema no second number.
        if let Some(known) = self.schemas.iter().find(|known| known.fields == schema.fields) {
            self.current_schema_id = known.id;
        } else {
            let greatest = self.schemas.iter().map(|schema| schema.id).max().unwrap_or(0);
            schema.id = greatest + 1;
            self.last_column_id = self.last_column_id.max(last_id(&schema));
            self.current_schema_id = schema.id;
            self.schemas.push(schema);
        }
        self.properties.insert(property::NAME_MAPPING.to_owned(), columns.name_mapping());
        true
    }

    /// The partition spec that this program gives such a table: its number, which a catalog can
    /// choose, and its fields. `None` if the table has no such spec.
    pub(super) fn own_spec(&self, columns: &Columns) -> Option<(i32, &Value)> {
        let wanted = Value::Array(partition_fields(columns));
        self.partition_specs.iter().find_map(|spec| {
            let fields = spec.get("fields").filter(|fields| **fields == wanted)?;
            let id = spec.get("spec-id")?.as_i64()?;
            Some((i32::try_from(id).ok()?, fields))
        })
    }

    /// Removes all snapshots, branches and tags, and keeps the numbers that were given.
    pub(super) fn remove_content(&mut self) {
        self.current_snapshot_id = None;
        self.refs.clear();
        self.snapshots.clear();
        self.snapshot_log.clear();
    }

    /// The snapshot that readers see.
    pub(super) fn current_snapshot(&self) -> Option<&Snapshot> {
        self.snapshot(self.current_snapshot_id?)
    }

    /// The snapshot of that id.
    pub(super) fn snapshot(&self, id: i64) -> Option<&Snapshot> {
        self.snapshots.iter().find(|snapshot| snapshot.id == id)
    }

    /// Whether a snapshot is the current one, or one of those that it followed.
    pub(super) fn is_in_history(&self, id: i64) -> bool {
        let mut at = self.current_snapshot();
        // Each step goes to a lower sequence number in valid metadata; the limit ends a circle.
        for _ in 0..=self.snapshots.len() {
            let Some(snapshot) = at else { return false };
            if snapshot.id == id {
                return true;
            }
            at = snapshot.parent_snapshot_id.and_then(|parent| self.snapshot(parent));
        }
        false
    }

    /// The last commit of the lake that the table has, and the unique name of that commit.
    pub(super) fn applied(&self) -> Option<(u64, &str)> {
        let commit = self.properties.get(property::COMMIT)?.parse().ok()?;
        Some((commit, self.properties.get(property::COMMIT_NAME)?))
    }

    /// Adds a snapshot, which readers see from now on.
    pub(super) fn add_snapshot(&mut self, snapshot: Snapshot) {
        let (snapshot_id, timestamp_ms) = (snapshot.id, snapshot.timestamp_ms);
        self.last_sequence_number = snapshot.sequence_number;
        self.last_updated_ms = timestamp_ms;
        self.current_snapshot_id = Some(snapshot_id);
        let (kind, rest) = ("branch".to_owned(), Map::new());
        let main = SnapshotRef { snapshot_id, kind, rest };
        self.refs
            .entry("main".to_owned())
            .and_modify(|main| main.snapshot_id = snapshot_id)
            .or_insert(main);
        self.snapshot_log.push(SnapshotLogEntry { snapshot_id, timestamp_ms });
        self.snapshots.push(snapshot);
    }

    /// Removes snapshots that are older than `age` milliseconds, and all but the newest `most`. The
    /// current one and those of branches and tags stay.
    pub(super) fn expire(&mut self, age: i64, most: usize) {
        let named: BTreeSet<i64> = self.refs.values().map(|named| named.snapshot_id).collect();
        let since = self.last_updated_ms.saturating_sub(age);
        let mut times: Vec<i64> = self.snapshots.iter().map(|it| it.timestamp_ms).collect();
        times.sort_unstable_by(|a, b| b.cmp(a));
        let since = times.get(most.saturating_sub(1)).map_or(since, |least| since.max(*least));
        let current = self.current_snapshot_id;
        self.snapshots.retain(|snapshot| {
            let id = snapshot.id;
            snapshot.timestamp_ms >= since || Some(id) == current || named.contains(&id)
        });
        let kept: BTreeSet<i64> = self.snapshots.iter().map(|it| it.id).collect();
        // The log must not name a snapshot after one that is gone.
        let gone = self.snapshot_log.iter().rposition(|entry| !kept.contains(&entry.snapshot_id));
        if let Some(gone) = gone {
            self.snapshot_log.drain(..=gone);
        }
    }

    /// Whether each snapshot followed the one before it: nothing was rolled back or branched off.
    /// A manifest that is not in the oldest one then belongs only to later ones.
    pub(super) fn is_linear(&self) -> bool {
        let mut snapshots: Vec<&Snapshot> = self.snapshots.iter().collect();
        snapshots.sort_by_key(|snapshot| snapshot.sequence_number);
        snapshots.windows(2).all(|pair| match pair {
            [one, next] => next.parent_snapshot_id == Some(one.id),
            _ => true,
        })
    }
}

/// The fields of the partition spec of a table.
fn partition_fields(columns: &Columns) -> Vec<Value> {
    let field = json!({"name": "run_date", "transform": "identity",
                       "source-id": RUN_DATE, "field-id": PARTITION_ID});
    if columns.is_partitioned { vec![field] } else { Vec::new() }
}

fn last_id(schema: &Schema) -> i32 {
    schema.fields.iter().map(|field| field.id).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::{FieldIds, RUNS};

    fn table(snapshots: &[(i64, Option<i64>, i64)]) -> TableMetadata {
        let columns = Columns::new(&RUNS, &FieldIds::default());
        let mut table = TableMetadata::new(&columns);
        for (snapshot_id, parent_snapshot_id, timestamp_ms) in snapshots {
            table.add_snapshot(Snapshot {
                id: *snapshot_id,
                parent_snapshot_id: *parent_snapshot_id,
                sequence_number: table.last_sequence_number + 1,
                timestamp_ms: *timestamp_ms,
                manifest_list: String::new(),
                summary: BTreeMap::new(),
                schema_id: Some(0),
                rest: Map::new(),
            });
        }
        table
    }

    #[test]
    fn snapshots_expire_by_age_and_number_but_not_those_with_a_name() {
        let snapshots = [(1, None, 100), (2, Some(1), 200), (3, Some(2), 300), (4, Some(3), 400)];
        let ids =
            |table: &TableMetadata| table.snapshots.iter().map(|it| it.id).collect::<Vec<_>>();
        let log = |table: &TableMetadata| {
            table.snapshot_log.iter().map(|it| it.snapshot_id).collect::<Vec<_>>()
        };
        let mut by_age = table(&snapshots);
        by_age.expire(150, 100);
        assert_eq!((ids(&by_age), log(&by_age)), (vec![3, 4], vec![3, 4]));
        let mut by_number = table(&snapshots);
        by_number.expire(1000, 2);
        assert_eq!(ids(&by_number), [3, 4]);
        let mut none = table(&snapshots);
        none.expire(0, 1);
        assert_eq!(ids(&none), [4]);
        let mut tagged = table(&snapshots);
        let (kind, rest) = ("tag".to_owned(), Map::new());
        tagged.refs.insert("kept".to_owned(), SnapshotRef { snapshot_id: 1, kind, rest });
        tagged.expire(150, 100);
        assert_eq!((ids(&tagged), log(&tagged)), (vec![1, 3, 4], vec![3, 4]));
        assert!(!tagged.is_linear() && table(&snapshots).is_linear());
    }

    #[test]
    fn a_snapshot_that_was_rolled_back_is_not_in_the_history() {
        let table = table(&[(1, None, 100), (2, Some(1), 200), (3, Some(1), 300)]);
        assert!(table.is_in_history(1) && table.is_in_history(3) && !table.is_in_history(2));
        assert!(!table.is_linear());
    }

    #[test]
    fn unknown_members_are_kept() {
        let mut value = serde_json::to_value(table(&[(1, None, 100)])).unwrap();
        value["statistics"] = json!([{"snapshot-id": 1}]);
        value["refs"]["main"]["max-ref-age-ms"] = 7.into();
        value["snapshots"][0]["key-id"] = "a".into();
        value["schemas"][0]["identifier-field-ids"] = json!([1]);
        let read: TableMetadata = serde_json::from_value(value.clone()).unwrap();
        assert_eq!(serde_json::to_value(read).unwrap(), value);
    }
}
