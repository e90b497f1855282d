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
