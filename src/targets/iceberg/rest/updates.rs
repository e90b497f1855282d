//! The difference between two states of a table's metadata, as a REST catalog wants it: what must
//! still be true, and what changes. Catalogs state members that this program does not know; as only
//! differences are sent, those stay.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::targets::iceberg::metadata::{SnapshotRef, TableMetadata};

/// What must be true of a new table.
pub(super) fn creation_requirements() -> Value {
    json!([{"type": "assert-create"}])
}

/// What makes a new table without snapshots. A table that is created by `createTable` instead gets
/// other field ids.
pub(super) fn creation_updates(table: &TableMetadata, has_location: bool) -> Vec<Value> {
    let mut updates = vec![
        json!({"action": "assign-uuid", "uuid": table.table_uuid}),
        json!({"action": "upgrade-format-version", "format-version": table.format_version}),
    ];
    for schema in &table.schemas {
        let last = table.last_column_id;
        updates.push(json!({"action": "add-schema", "schema": schema, "last-column-id": last}));
    }
    // -1 is what was added last: catalogs choose the numbers.
    updates.push(json!({"action": "set-current-schema", "schema-id": -1}));
    for spec in &table.partition_specs {
        updates.push(json!({"action": "add-spec", "spec": spec}));
    }
    updates.push(json!({"action": "set-default-spec", "spec-id": -1}));
    for order in &table.sort_orders {
        updates.push(json!({"action": "add-sort-order", "sort-order": order}));
    }
    updates.push(json!({"action": "set-default-sort-order", "sort-order-id": -1}));
    if has_location {
        updates.push(json!({"action": "set-location", "location": table.location}));
    }
    updates.push(json!({"action": "set-properties", "updates": table.properties}));
    updates
}

/// What must still be true of a table whose next metadata was derived from `base`.
pub(super) fn requirements(base: &TableMetadata) -> Value {
    let main = base.refs.get("main").map(|main| main.snapshot_id);
    json!([
        {"type": "assert-table-uuid", "uuid": base.table_uuid},
        {"type": "assert-ref-snapshot-id", "ref": "main", "snapshot-id": main},
        {"type": "assert-current-schema-id", "current-schema-id": base.current_schema_id},
        {"type": "assert-last-assigned-field-id", "last-assigned-field-id": base.last_column_id},
    ])
}

/// What makes `next` of `base`. Logs and the time of the last change are left to the catalog.
pub(super) fn updates(base: &TableMetadata, next: &TableMetadata) -> Vec<Value> {
    let mut updates = Vec::new();
    if base.location != next.location {
        updates.push(json!({"action": "set-location", "location": next.location}));
    }
    let is_known = |id: i32| base.schemas.iter().any(|schema| schema.id == id);
    for schema in next.schemas.iter().filter(|schema| !is_known(schema.id)) {
        let last = next.last_column_id;
        updates.push(json!({"action": "add-schema", "schema": schema, "last-column-id": last}));
    }
    let current = next.current_schema_id;
    if current != base.current_schema_id {
        let id = if is_known(current) { current } else { -1 };
        updates.push(json!({"action": "set-current-schema", "schema-id": id}));
    }
    for snapshot in next.snapshots.iter().filter(|it| base.snapshot(it.id).is_none()) {
        updates.push(json!({"action": "add-snapshot", "snapshot": snapshot}));
    }
    for (name, target) in next.refs.iter().filter(|(name, it)| base.refs.get(*name) != Some(it)) {
        updates.push(set_ref(name, target));
    }
    for name in base.refs.keys().filter(|name| !next.refs.contains_key(*name)) {
        updates.push(json!({"action": "remove-snapshot-ref", "ref-name": name}));
    }
    let removed = base.snapshots.iter().filter(|it| next.snapshot(it.id).is_none());
    let removed: Vec<i64> = removed.map(|snapshot| snapshot.id).collect();
    if !removed.is_empty() {
        updates.push(json!({"action": "remove-snapshots", "snapshot-ids": removed}));
    }
    let (before, after) = (&base.properties, &next.properties);
    let set = after.iter().filter(|(key, value)| before.get(*key) != Some(value));
    let set: serde_json::Map<String, Value> =
        set.map(|(key, value)| (key.clone(), value.clone().into())).collect();
    if !set.is_empty() {
        updates.push(json!({"action": "set-properties", "updates": set}));
    }
    let removed: BTreeSet<&String> =
        before.keys().filter(|key| !after.contains_key(*key)).collect();
    if !removed.is_empty() {
        updates.push(json!({"action": "remove-properties", "removals": removed}));
    }
    updates
}

fn set_ref(name: &str, target: &SnapshotRef) -> Value {
    let mut update = json!({"action": "set-snapshot-ref", "ref-name": name, "type": target.kind,
                            "snapshot-id": target.snapshot_id});
    if let Value::Object(update) = &mut update {
        update.extend(target.rest.clone());
    }
    update
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde_json::Map;

    use super::*;
    use crate::tables::{FieldIds, Kind, RUNS};
    use crate::targets::iceberg::metadata::Snapshot;
    use crate::targets::iceberg::schema::Columns;

    /// One thing that a delivery does to a table.
    #[derive(Clone, Debug)]
    enum Step {
        Append(i64),
        Expire(i64),
        AddColumn(u8),
        Tag(u8),
        Property(u8, u8),
        RemoveProperty(u8),
        Move(u8),
        Empty,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (1_i64..1_000).prop_map(Step::Append),
            2 => (0_i64..2_000).prop_map(Step::Expire),
            1 => (0_u8..3).prop_map(Step::AddColumn),
            1 => (0_u8..3).prop_map(Step::Tag),
            1 => (0_u8..4, 0_u8..3).prop_map(|(key, value)| Step::Property(key, value)),
            1 => (0_u8..4).prop_map(Step::RemoveProperty),
            1 => (0_u8..3).prop_map(Step::Move),
            1 => Just(Step::Empty),
        ]
    }

    fn carried_out(table: &mut TableMetadata, ids: &mut FieldIds, step: &Step) {
        match step {
            Step::Append(after) => {
                let number = table.last_sequence_number + 1;
                table.add_snapshot(Snapshot {
                    id: number * 1000,
                    parent_snapshot_id: table.current_snapshot().map(|it| it.id),
                    sequence_number: number,
                    timestamp_ms: table.last_updated_ms + after,
                    manifest_list: format!("s{number}"),
                    summary: BTreeMap::from([("operation".into(), "append".into())]),
                    schema_id: Some(table.current_schema_id),
                    rest: Map::new(),
                });
            }
            Step::Expire(age) => table.expire(*age, 3),
            Step::AddColumn(name) => {
                ids.assign("runs", &format!("c{name}"), Kind::Text);
                table.evolve(&Columns::new(&RUNS, ids));
            }
            Step::Tag(name) => {
                if let Some(current) = table.current_snapshot() {
                    let snapshot_id = current.id;
                    let rest = Map::from_iter([("max-ref-age-ms".to_owned(), 7.into())]);
                    let tag = SnapshotRef { snapshot_id, kind: "tag".to_owned(), rest };
                    table.refs.insert(format!("t{name}"), tag);
                }
            }
            Step::Property(key, value) => {
                table.properties.insert(format!("p{key}"), value.to_string());
            }
            Step::RemoveProperty(key) => {
                table.properties.remove(&format!("p{key}"));
            }
            Step::Move(place) => table.location = format!("file:///{place}"),
            Step::Empty => table.remove_content(),
        }
    }

    /// As a catalog does it: with JSON, and without this program's own types.
    fn applied(table: &Value, updates: &[Value]) -> Value {
        let mut table = table.clone();
        for update in updates {
            match update["action"].as_str().unwrap() {
                "set-location" => table["location"] = update["location"].clone(),
                "add-schema" => {
                    table["schemas"].as_array_mut().unwrap().push(update["schema"].clone());
                    table["last-column-id"] = update["last-column-id"].clone();
                }
                "set-current-schema" => {
                    let last = table["schemas"].as_array().unwrap().last().unwrap();
                    let last = last["schema-id"].clone();
                    let id = &update["schema-id"];
                    table["current-schema-id"] = if *id == -1 { last } else { id.clone() };
                }
                "add-snapshot" => {
                    let snapshot = update["snapshot"].clone();
                    table["last-sequence-number"] = snapshot["sequence-number"].clone();
                    table["snapshots"].as_array_mut().unwrap().push(snapshot);
                }
                "set-snapshot-ref" => {
                    let mut target = update.clone();
                    let members = target.as_object_mut().unwrap();
                    members.remove("action");
                    let name = members.remove("ref-name").unwrap();
                    if name == "main" {
                        table["current-snapshot-id"] = members["snapshot-id"].clone();
                    }
                    table["refs"][name.as_str().unwrap()] = target;
                }
                "remove-snapshot-ref" => {
                    let name = update["ref-name"].as_str().unwrap();
                    if name == "main" {
                        table["current-snapshot-id"] = Value::Null;
                    }
                    assert!(table["refs"].as_object_mut().unwrap().remove(name).is_some());
                }
                "remove-snapshots" => {
                    let gone = update["snapshot-ids"].as_array().unwrap();
                    let snapshots = table["snapshots"].as_array_mut().unwrap();
                    snapshots.retain(|snapshot| !gone.contains(&snapshot["snapshot-id"]));
                }
                "set-properties" => {
                    for (key, value) in update["updates"].as_object().unwrap() {
                        table["properties"][key] = value.clone();
                    }
                }
                "remove-properties" => {
                    for key in update["removals"].as_array().unwrap() {
                        let key = key.as_str().unwrap();
                        assert!(table["properties"].as_object_mut().unwrap().remove(key).is_some());
                    }
                }
                other => panic!("{other}"),
            }
        }
        table
    }

    /// Without what a catalog writes itself.
    fn comparable(table: &TableMetadata) -> Value {
        let mut table = serde_json::to_value(table).unwrap();
        for member in ["snapshot-log", "metadata-log", "last-updated-ms"] {
            table.as_object_mut().unwrap().remove(member);
        }
        table
    }

    proptest! {
        #[test]
        fn updates_of_a_table_make_its_next_state(
            first in proptest::collection::vec(step(), 0..12),
            second in proptest::collection::vec(step(), 0..12),
        ) {
            let mut ids = FieldIds::default();
            let mut base = TableMetadata::new(&Columns::new(&RUNS, &ids));
            for step in &first {
                carried_out(&mut base, &mut ids, step);
            }
            let mut next = base.clone();
            for step in &second {
                carried_out(&mut next, &mut ids, step);
            }
            // A snapshot that was added and removed again was never there.
            next.last_sequence_number =
                next.snapshots.iter().map(|it| it.sequence_number).max().unwrap_or(0)
                    .max(base.last_sequence_number);
            let changed = applied(&comparable(&base), &updates(&base, &next));
            prop_assert_eq!(changed, comparable(&next));
            prop_assert_eq!(updates(&next, &next), Vec::<Value>::new());
        }
    }

    #[test]
    fn a_table_is_made_with_its_own_field_ids_and_the_numbers_that_the_catalog_chooses() {
        let columns = Columns::new(&RUNS, &FieldIds::default());
        let mut table = TableMetadata::new(&columns);
        table.location = "s3://lake/_iceberg/runs".to_owned();
        let actions = |has_location| -> Vec<String> {
            let updates = creation_updates(&table, has_location);
            updates.iter().map(|it| it["action"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(
            actions(true),
            [
                "assign-uuid",
                "upgrade-format-version",
                "add-schema",
                "set-current-schema",
                "add-spec",
                "set-default-spec",
                "add-sort-order",
                "set-default-sort-order",
                "set-location",
                "set-properties",
            ]
        );
        assert!(!actions(false).contains(&"set-location".to_owned()));
        let updates = creation_updates(&table, true);
        assert_eq!(updates[2]["schema"]["fields"][0]["id"], table.schemas[0].fields[0].id);
        assert_eq!((&updates[3]["schema-id"], &updates[5]["spec-id"]), (&json!(-1), &json!(-1)));
    }
}
