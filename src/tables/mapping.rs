//! The declarations as this sync uses them: with the user's columns, ready for lookup.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;
use serde::{Deserialize, Serialize};

use super::field_ids::FieldIds;
use super::lists::{ListDocument, ListOverride, ListSources, Lists};
use super::mapping_error::MappingError;
use super::{ALL, Column, Kind, Origin, Reading, Table};
use crate::json::{PathSegment, TimeFormat, TimeUnit, is_path};

/// A column that the user adds, or the sources of one that is there, from `[[columns]]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnOverride {
    /// The table, such as `runs`.
    pub table: String,
    /// The column: one of the table's, or a new name.
    pub name: String,
    /// The type of a new column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
    /// Paths to try in order, such as `metadata.team`; a member name that holds dots can be
    /// quoted, as in `attributes."gen_ai.system"`. May be left out where a column that is there
    /// only gets a `time_zone` or a `unit`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<String>,
    /// The zone of times that state none, such as `Europe/Berlin`; for timestamps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// The unit of times and durations that are numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<TimeUnit>,
    /// What a new column holds, for the data dictionary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// Where a value may go: a column and how eagerly it takes it.
#[derive(Clone, Debug)]
pub struct Route {
    /// Index into [`MappedTable::columns`].
    pub column: usize,
    /// Place of the path in the column's sources; the lowest that has a value wins.
    pub rank: usize,
    /// The path to follow inside the member; `None` where the member itself is meant.
    pub rest: Option<String>,
}

/// For each top-level member name, the columns that may take its value.
pub type Routes = HashMap<String, Vec<Route>, BuildHasherDefault<NameHasher>>;

/// Hashes member names, eight bytes at once: every member of every row is looked up. The names in
/// the map are declared, so that no body can make it slow.
#[derive(Clone, Copy, Debug, Default)]
pub struct NameHasher(u64);

impl NameHasher {
    fn add(&mut self, word: u64) {
        // Any odd number with its bits well mixed will do.
        self.0 = (self.0.rotate_left(26) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

impl Hasher for NameHasher {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.add(u64::from_le_bytes(*word));
        }
        let last = rest.iter().fold(0, |word, byte| (word << 8) | u64::from(*byte));
        self.add(last);
    }

    fn write_u8(&mut self, byte: u8) {
        self.add(u64::from(byte));
    }

    fn finish(&self) -> u64 {
        // The map goes by the lowest and the highest bits; multiplying mixes upwards only.
        self.0 ^ (self.0 >> 32)
    }
}

/// A column as this sync fills it.
#[derive(Clone, Debug)]
pub struct MappedColumn {
    /// The field id.
    pub id: u32,
    /// The name.
    pub name: String,
    /// The type.
    pub kind: Kind,
    /// What it holds.
    pub description: String,
    /// Dotted paths to try in order.
    pub sources: Vec<String>,
    /// Who fills it.
    pub origin: Origin,
    /// Whether the user added it.
    pub added: bool,
    /// Whether the user named its sources.
    pub configured: bool,
    /// How its values are understood.
    pub reading: Reading,
    /// What the user says about its times.
    pub time: TimeFormat,
    /// The column that says what the word in this one means: index into [`MappedTable::columns`].
    pub meaning: Option<usize>,
}

impl MappedColumn {
    /// Whether it is filled after the others, as it depends on them.
    pub fn is_late(&self) -> bool {
        matches!(self.reading, Reading::Duration | Reading::Failure)
    }
}

/// A table as this sync writes it.
#[derive(Clone, Debug)]
pub struct MappedTable {
    /// The declaration.
    pub table: &'static Table,
    /// All columns, the system columns last.
    pub columns: Vec<MappedColumn>,
    /// For each top-level member name, the columns that may take its value.
    pub routes: Routes,
    /// The Arrow schema of its rows.
    pub schema: SchemaRef,
}

impl MappedTable {
    /// Columns that the user adds get new ids of `ids`.
    fn new(
        table: &'static Table,
        overrides: &[ColumnOverride],
        ids: &mut FieldIds,
    ) -> Result<Self, MappingError> {
        let mut columns: Vec<MappedColumn> = table.columns.iter().map(MappedColumn::from).collect();
        for change in overrides.iter().filter(|change| change.table == table.name) {
            apply(table, &mut columns, change, ids)?;
        }
        columns.extend(table.system_columns().map(MappedColumn::from));
        link_meanings(&mut columns);
        let mut routes = Routes::default();
        for (column, mapped) in columns.iter().enumerate() {
            for (rank, source) in mapped.sources.iter().enumerate() {
                // A name can hold dots itself: each beginning of the path that may be one counts.
                for step in PathSegment::all(source) {
                    let route = Route { column, rank, rest: step.rest.map(str::to_owned) };
                    routes.entry(step.name.to_owned()).or_default().push(route);
                }
            }
        }
        let schema = arrow_schema(table, &columns);
        Ok(Self { table, columns, routes, schema })
    }

    /// Gives the user's columns the field ids that a lake recorded, or new ones.
    fn with_field_ids(mut self, ids: &mut FieldIds) -> Self {
        for column in self.columns.iter_mut().filter(|column| column.added) {
            column.id = ids.assign(self.table.name, &column.name, column.kind);
        }
        self.schema = arrow_schema(self.table, &self.columns);
        self
    }

    /// Index of the column of that name.
    pub fn index(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }
}

/// The Arrow schema of a table's rows, with the field id of each column.
fn arrow_schema(table: &Table, columns: &[MappedColumn]) -> SchemaRef {
    let field = |column: &MappedColumn| {
        let is_nullable = !table.is_required(&column.name);
        let id = (PARQUET_FIELD_ID_META_KEY.to_owned(), column.id.to_string());
        let field = Field::new(&column.name, column.kind.arrow(), is_nullable);
        field.with_metadata(HashMap::from([id]))
    };
    Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
}

/// Tells each column whose word another one explains which one that is.
fn link_meanings(columns: &mut [MappedColumn]) {
    let links: Vec<(usize, &'static str)> = columns
        .iter()
        .enumerate()
        .filter_map(|(index, column)| match column.origin {
            Origin::Meaning(of) => Some((index, of)),
            _ => None,
        })
        .collect();
    for (index, of) in links {
        if let Some(column) = columns.iter_mut().find(|column| column.name == of) {
            column.meaning = Some(index);
        }
    }
}

impl From<&Column> for MappedColumn {
    fn from(column: &Column) -> Self {
        Self {
            id: column.id,
            name: column.name.to_owned(),
            kind: column.kind,
            description: column.description.to_owned(),
            sources: column.sources.iter().map(|&source| source.to_owned()).collect(),
            origin: column.origin,
            added: false,
            configured: false,
            reading: column.reading,
            time: TimeFormat::default(),
            meaning: None,
        }
    }
}

/// Every table as this sync writes it.
#[derive(Clone, Debug)]
pub struct Mapping {
    tables: Vec<MappedTable>,
    lists: Lists,
    field_ids: FieldIds,
}

impl Mapping {
    /// The declarations with the user's changes.
    ///
    /// # Errors
    /// [`MappingError`] for the first change that cannot be.
    pub fn new(overrides: &[ColumnOverride], lists: &[ListOverride]) -> Result<Self, MappingError> {
        let known = ALL.iter().filter(|table| takes_columns(table)).map(|table| table.name);
        let known: Vec<&str> = known.collect();
        for change in overrides {
            if !known.contains(&change.table.as_str()) {
                let known = known.join(", ");
                return Err(MappingError::UnknownTable { table: change.table.clone(), known });
            }
        }
        let mut field_ids = FieldIds::default();
        let tables = ALL.iter().map(|&table| MappedTable::new(table, overrides, &mut field_ids));
        let tables = tables.collect::<Result<_, _>>()?;
        Ok(Self { tables, lists: Lists::new(lists)?, field_ids })
    }

    /// The same mapping with the field ids that a lake recorded. Columns of the user that have none
    /// there get new ones.
    #[must_use]
    pub fn with_field_ids(self, recorded: FieldIds) -> Self {
        let (mut field_ids, lists) = (recorded, self.lists);
        let tables = self.tables.into_iter().map(|table| table.with_field_ids(&mut field_ids));
        Self { tables: tables.collect(), lists, field_ids }
    }

    /// The field ids of the user's columns, those of earlier columns included.
    pub fn field_ids(&self) -> &FieldIds {
        &self.field_ids
    }

    /// Every table, in the order of [`ALL`].
    pub fn tables(&self) -> &[MappedTable] {
        &self.tables
    }

    /// The table of a declaration.
    #[expect(clippy::expect_used, clippy::missing_panics_doc, reason = "all are mapped")]
    pub fn table(&self, table: &'static Table) -> &MappedTable {
        let found = self.tables.iter().find(|mapped| mapped.table.name == table.name);
        found.expect("a mapping is built from all declarations")
    }
}

impl Mapping {
    /// Where the list of a document stands whose elements are rows of a table.
    #[expect(
        clippy::expect_used,
        clippy::missing_panics_doc,
        reason = "callers name declared ones"
    )]
    pub fn list_sources(&self, document: ListDocument, table: &'static Table) -> &ListSources {
        self.lists.find(document, table).expect("the pairs in use are declared")
    }
}

fn takes_columns(table: &Table) -> bool {
    table.columns.iter().any(|column| column.origin == Origin::Body)
}

fn apply(
    table: &'static Table,
    columns: &mut Vec<MappedColumn>,
    change: &ColumnOverride,
    ids: &mut FieldIds,
) -> Result<(), MappingError> {
    let (table_name, name) = (change.table.clone(), change.name.clone());
    let sources: Vec<String> = change.sources.iter().map(|path| path.trim().to_owned()).collect();
    let existing = columns.iter_mut().find(|column| column.name == name);
    // A zone or a unit alone keeps the declared sources.
    let only_time = change.time_zone.is_some() || change.unit.is_some();
    let may_be_empty = existing.is_some() && only_time;
    if sources.is_empty() && !may_be_empty || !sources.iter().all(|path| is_path(path)) {
        return Err(MappingError::NoSources { table: table_name, name });
    }
    if let Some(column) = existing {
        if !matches!(column.origin, Origin::Body | Origin::Key) {
            return Err(MappingError::NotFromBody { table: table_name, name });
        }
        if change.kind.is_some_and(|kind| kind != column.kind) {
            let kind = column.kind.name();
            return Err(MappingError::OtherKind { table: table_name, name, kind });
        }
        column.time = time_format(change, column.kind, column.reading)?;
        if !sources.is_empty() {
            column.sources = sources;
            column.configured = true;
        }
        return Ok(());
    }
    if table.column(&name).is_some() {
        return Err(MappingError::NotFromBody { table: table_name, name });
    }
    if !is_usable_name(&name) {
        return Err(MappingError::BadName { name });
    }
    if let Some((_, reason)) = RESERVED.iter().find(|(names, _)| names.contains(&name.as_str())) {
        return Err(MappingError::ReservedName { name, reason });
    }
    let Some(kind) = change.kind else {
        return Err(MappingError::MissingKind { table: table_name, name });
    };
    let description =
        change.description.clone().unwrap_or_else(|| "Added by configuration.".into());
    columns.push(MappedColumn {
        id: ids.assign(table.name, &name, kind),
        name,
        kind,
        description,
        sources,
        origin: Origin::Body,
        added: true,
        configured: true,
        reading: Reading::Plain,
        time: time_format(change, kind, Reading::Plain)?,
        meaning: None,
    });
    Ok(())
}

/// What a change says about times, checked against the column that it is for.
fn time_format(
    change: &ColumnOverride,
    kind: Kind,
    reading: Reading,
) -> Result<TimeFormat, MappingError> {
    let refused = |option, what| {
        let (table, name) = (change.table.clone(), change.name.clone());
        MappingError::NoTime { table, name, option, what }
    };
    if change.time_zone.is_some() && kind != Kind::Timestamp {
        return Err(refused("time_zone", "timestamps"));
    }
    if change.unit.is_some() && kind != Kind::Timestamp && reading != Reading::Duration {
        return Err(refused("unit", "timestamps or durations"));
    }
    let zone = change.time_zone.as_ref().map(|zone| {
        zone.trim().parse::<chrono_tz::Tz>().map_err(|_| MappingError::UnknownZone {
            table: change.table.clone(),
            name: change.name.clone(),
            zone: zone.clone(),
        })
    });
    Ok(TimeFormat { zone: zone.transpose()?, unit: change.unit })
}

/// Names that readers give a meaning of their own, and what that is.
const RESERVED: &[(&[&str], &str)] = &[
    (
        &["date", "run_date"],
        "the folders of the lake are named by it (`date=2026-11-25`), and readers make a column of \
         that",
    ),
    (
        &["filename", "file_row_number", "file_index", "file_last_modified", "file_size"],
        "DuckDB's Parquet reader can add a column of that name",
    ),
    (&["rowid"], "DuckDB numbers the rows of every table by it"),
];

fn is_usable_name(name: &str) -> bool {
    name.len() <= 63
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(table: &str, name: &str, kind: Option<Kind>, sources: &[&str]) -> ColumnOverride {
        let sources = sources.iter().map(|&source| source.to_owned()).collect();
        let (table, name) = (table.into(), name.into());
        ColumnOverride { table, name, kind, sources, ..ColumnOverride::default() }
    }

    #[test]
    fn every_declaration_is_sound() {
        for table in ALL {
            assert!(table.key.iter().all(|key| table.column(key).is_some()), "{}", table.name);
            let names: Vec<&str> = table.columns.iter().map(|column| column.name).collect();
            let mut unique = names.clone();
            unique.sort_unstable();
            unique.dedup();
            assert_eq!(unique.len(), names.len(), "{}", table.name);
            let mut ids: Vec<u32> =
                table.columns.iter().chain(table.system_columns()).map(|it| it.id).collect();
            ids.sort_unstable();
            ids.dedup();
            assert_eq!(ids.len(), names.len() + table.system_columns().count(), "{}", table.name);
            assert!(ids.first() == Some(&1) && ids.iter().all(|id| *id < 1001), "{}", table.name);
            for column in table.columns {
                assert!(column.description.ends_with('.'), "{}.{}", table.name, column.name);
                let from_body = matches!(column.origin, Origin::Body | Origin::Key);
                assert!(!from_body || !column.sources.is_empty(), "{}.{}", table.name, column.name);
            }
        }
    }

    #[test]
    fn users_add_columns_and_change_sources() {
        let changes = [
            change("runs", "team", Some(Kind::Text), &["metadata.team"]),
            change("runs", "cost", None, &["billing.total"]),
        ];
        let mapping = Mapping::new(&changes, &[]).unwrap();
        let runs = mapping.table(&crate::tables::RUNS);
        assert!(runs.columns[runs.index("team").unwrap()].added);
        assert!(runs.index("team").unwrap() < runs.index("_extra").unwrap());
        assert_eq!(runs.columns[runs.index("cost").unwrap()].sources, ["billing.total"]);
        assert!(runs.routes.contains_key("metadata"));
        assert!(!runs.routes.contains_key("cost_usd"));
    }

    #[test]
    fn a_zone_or_a_unit_leaves_the_sources_as_they_are() {
        let zone = ColumnOverride {
            time_zone: Some("Europe/Berlin".into()),
            ..change("runs", "started_at", None, &[])
        };
        let unit = ColumnOverride {
            unit: Some(TimeUnit::Seconds),
            ..change("runs", "duration_ms", None, &[])
        };
        let mapping = Mapping::new(&[zone, unit], &[]).unwrap();
        let runs = mapping.table(&crate::tables::RUNS);
        let started = &runs.columns[runs.index("started_at").unwrap()];
        assert_eq!(started.time.zone, Some(chrono_tz::Tz::Europe__Berlin));
        assert!(started.sources.contains(&"started_at".to_owned()) && !started.configured);
        let duration = &runs.columns[runs.index("duration_ms").unwrap()];
        assert_eq!(duration.time.unit, Some(TimeUnit::Seconds));
    }

    #[test]
    fn wrong_changes_are_refused_by_name() {
        let message = |change| Mapping::new(&[change], &[]).unwrap_err().to_string();
        insta::assert_snapshot!(
            [
                message(change("rnus", "x", None, &["a"])),
                message(change("documents", "x", Some(Kind::Text), &["a"])),
                message(change("runs", "span_count", None, &["a"])),
                message(change("runs", "_commit", None, &["a"])),
                message(change("runs", "cost", Some(Kind::Float), &["a"])),
                message(change("runs", "team", None, &["a"])),
                message(change("runs", "Team; drop", Some(Kind::Text), &["a"])),
                message(change("runs", "team", Some(Kind::Text), &["a..b"])),
                message(change("runs", "team", Some(Kind::Text), &["a.\"b"])),
                message(change("runs", "date", Some(Kind::Text), &["a"])),
                message(change("runs", "rowid", Some(Kind::Text), &["a"])),
                message(change("runs", "filename", Some(Kind::Text), &["a"])),
                message(ColumnOverride {
                    time_zone: Some("Berlin".into()),
                    ..change("runs", "started_at", None, &[])
                }),
                message(ColumnOverride {
                    time_zone: Some("Europe/Berlin".into()),
                    ..change("runs", "status", None, &[])
                }),
                message(ColumnOverride {
                    unit: Some(TimeUnit::Seconds),
                    ..change("runs", "cost", None, &[])
                }),
                message(change("runs", "started_at", None, &[])),
            ]
            .join("\n")
        );
    }
}
