//! The schema of an Iceberg table, from the declarations of tables and the field ids that the lake
//! recorded; and its schema evolution.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::tables::{FieldIds, Kind, Table, WriteDisposition};

/// The columns that a table should have.
#[derive(Clone, Debug)]
pub(super) struct Columns {
    columns: Vec<WantedColumn>,
    /// Whether the table is partitioned by `run_date`.
    pub(super) is_partitioned: bool,
}

#[derive(Clone, Debug)]
struct WantedColumn {
    id: i32,
    name: String,
    kind: Kind,
    description: Option<&'static str>,
}

impl Columns {
    /// The declared columns of a table and those of users. Columns that were removed from the
    /// configuration stay, because data files have them. A column that changed its type is another
    /// column with another id, and the earlier one leaves the table.
    pub(super) fn new(table: &'static Table, field_ids: &FieldIds) -> Self {
        let declared = |column: &'static crate::tables::Column| WantedColumn {
            id: id(column.id),
            name: column.name.to_owned(),
            kind: column.kind,
            description: Some(column.description),
        };
        let of_users = field_ids.current(table.name).map(|(name, found)| WantedColumn {
            id: id(found.id),
            name: name.to_owned(),
            kind: found.kind,
            description: None,
        });
        let mut of_users: Vec<WantedColumn> = of_users.collect();
        of_users.sort_by_key(|column| column.id);
        let mut columns: Vec<WantedColumn> = table.columns.iter().map(declared).collect();
        columns.extend(of_users);
        columns.extend(table.system_columns().map(declared));
        Self { columns, is_partitioned: table.write == WriteDisposition::Append }
    }

    /// The type of the column with that id.
    pub(super) fn kind(&self, id: i32) -> Option<Kind> {
        self.columns.iter().find(|column| column.id == id).map(|column| column.kind)
    }

    /// The schema of a new table.
    pub(super) fn schema(&self) -> Schema {
        Schema {
            kind: "struct".to_owned(),
            id: 0,
            fields: self.columns.iter().map(WantedColumn::field).collect(),
            rest: Map::new(),
        }
    }

    /// The next schema of a table with that schema, without its number; `None` if there is nothing
    /// to change. Columns keep their place, and new ones are added at the end.
    pub(super) fn evolved(&self, schema: &Schema) -> Option<Schema> {
        let wanted = |id: i32| self.columns.iter().find(|column| column.id == id);
        let mut fields: Vec<Field> = schema
            .fields
            .iter()
            .filter_map(|field| {
                // What another program changed about a column other than its name and type stays.
                let wanted = wanted(field.id)?.field();
                let is_same = same_type(&wanted.kind, &field.kind);
                let kind = if is_same { field.kind.clone() } else { wanted.kind };
                Some(Field { name: wanted.name, kind, ..field.clone() })
            })
            .collect();
        for column in &self.columns {
            if !fields.iter().any(|field| field.id == column.id) {
                fields.push(column.field());
            }
        }
        (fields != schema.fields).then(|| Schema { fields, ..schema.clone() })
    }

    /// Names of the columns by field id, for data files of versions that wrote no field ids: the
    /// property `schema.name-mapping.default`.
    pub(super) fn name_mapping(&self) -> String {
        let names = self.columns.iter();
        let names = names.map(|column| json!({"field-id": column.id, "names": [column.name]}));
        Value::Array(names.collect()).to_string()
    }
}

/// Whether two types are the same: catalogs do not agree about spaces in `decimal(38, 18)`.
fn same_type(one: &Value, other: &Value) -> bool {
    let letters = |kind: &Value| kind.as_str().map(|kind| kind.replace(' ', ""));
    one == other || letters(one).is_some_and(|one| letters(other) == Some(one))
}

fn id(id: u32) -> i32 {
    i32::try_from(id).unwrap_or(i32::MAX)
}

impl WantedColumn {
    fn field(&self) -> Field {
        let kind = match self.kind {
            Kind::Text | Kind::Json => "string".to_owned(),
            Kind::Integer => "long".to_owned(),
            Kind::Float => "double".to_owned(),
            Kind::Decimal => {
                format!("decimal({}, {})", Kind::DECIMAL_PRECISION, Kind::DECIMAL_SCALE)
            }
            Kind::Boolean => "boolean".to_owned(),
            Kind::Timestamp => "timestamptz".to_owned(),
            Kind::Date => "date".to_owned(),
        };
        Field {
            id: self.id,
            name: self.name.clone(),
            // Federated queries of BigQuery fail on required fields, and rows of earlier versions
            // lack columns.
            required: false,
            kind: Value::String(kind),
            doc: self.description.map(str::to_owned),
            rest: Map::new(),
        }
    }
}

/// A schema of a table, as its metadata states it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Schema {
    /// `struct`.
    #[serde(rename = "type")]
    kind: String,
    /// Its number in the table.
    #[serde(rename = "schema-id")]
    pub(super) id: i32,
    /// The columns.
    pub(super) fields: Vec<Field>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// A column in a schema.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Field {
    pub(super) id: i32,
    pub(super) name: String,
    required: bool,
    /// The type: text for all that this program writes.
    #[serde(rename = "type")]
    kind: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    doc: Option<String>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::{RUNS, WORKFLOWS};

    #[test]
    fn a_schema_grows_at_its_end_and_a_column_of_another_type_is_another_column() {
        let mut ids = FieldIds::default();
        let first = Columns::new(&RUNS, &ids).schema();
        assert_eq!(Columns::new(&RUNS, &ids).evolved(&first), None);
        ids.assign("runs", "team", Kind::Text);
        let second = Columns::new(&RUNS, &ids).evolved(&first).unwrap();
        assert_eq!(second.fields.split_last().unwrap().1, first.fields);
        assert_eq!(second.fields.last().unwrap().id, 1001);
        ids.assign("runs", "team", Kind::Integer);
        let columns = Columns::new(&RUNS, &ids);
        let third = columns.evolved(&second).unwrap();
        assert_eq!(third.fields.split_last().unwrap().1, first.fields);
        let team = third.fields.last().unwrap();
        assert_eq!((team.id, team.kind.as_str()), (1002, Some("long")));
        assert_eq!(columns.evolved(&third), None);
    }

    #[test]
    fn only_tables_of_runs_are_partitioned() {
        let ids = FieldIds::default();
        let (runs, workflows) = (Columns::new(&RUNS, &ids), Columns::new(&WORKFLOWS, &ids));
        assert!(runs.is_partitioned && !workflows.is_partitioned);
        assert!(runs.name_mapping().contains(r#"{"field-id":905,"names":["run_date"]}"#));
        assert!(!workflows.name_mapping().contains("run_date"));
    }
}
