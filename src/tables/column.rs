//! The words in which the schema of each table is declared.

use arrow::datatypes::{DataType, TimeUnit};

/// Version of all tables together: `major.minor`. Additions raise the minor; anything that could
/// break a reader raises the major, and is listed first in the changelog.
pub const SCHEMA_VERSION: &str = "1.5";

/// A table and its schema: name, key and columns. Each table is declared in a file of its own, such
/// as `runs.rs`.
#[derive(Debug)]
pub struct Table {
    /// The name, as the folder in the lake and as the table in DuckDB.
    pub name: &'static str,
    /// What one row is, for a person.
    pub description: &'static str,
    /// The columns that name a row; together with `_revision` they are unique.
    pub key: &'static [&'static str],
    /// How it grows.
    pub write: WriteDisposition,
    /// The columns in order, without [`Table::system_columns`].
    pub columns: &'static [Column],
}

/// How a table grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteDisposition {
    /// Rows are only ever added, in a folder per start day of their run.
    Append,
    /// The table is small and replaced as a whole when it changes.
    Replace,
    /// Rows live in the commit log and in DuckDB, not in Parquet files of their own.
    CommitLog,
}

/// A column: where its values come from and what they may be.
#[derive(Debug)]
pub struct Column {
    /// The field id: its number in the table, which never changes and is never used again. Table
    /// formats identify columns by it. From 1; the columns that the exporter adds to every table
    /// have 901 and more, those of users 1001 and more.
    pub id: u32,
    /// The name in every target.
    pub name: &'static str,
    /// The type of its values.
    pub kind: Kind,
    /// What it holds, with the unit, for a person.
    pub description: &'static str,
    /// Dotted paths to try in order, in the body that the row comes from.
    pub sources: &'static [&'static str],
    /// Who fills it.
    pub origin: Origin,
    /// How its values are understood.
    pub reading: Reading,
}

/// How the values of a column are understood, beyond its type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reading {
    /// By the type alone: the first source with a value that fits fills the column.
    #[default]
    Plain,
    /// A grade: of a `status` only words that are one count, and true and false are `pass` and
    /// `fail`.
    Verdict,
    /// Milliseconds, out of a duration in any unit.
    Duration,
    /// Whether it failed, by all that its sources state.
    Failure,
}

/// The type of a column's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// UTF-8 text.
    Text,
    /// A whole number of 64 bits.
    Integer,
    /// A floating-point number of 64 bits.
    Float,
    /// An exact decimal number with up to 20 digits before and 18 after the point.
    Decimal,
    /// True or false.
    Boolean,
    /// Microseconds in UTC.
    Timestamp,
    /// A calendar day. Not for columns of users.
    #[serde(skip_deserializing)]
    Date,
    /// Text that holds one JSON value.
    Json,
}

impl Kind {
    /// Digits of a [`Kind::Decimal`] in all.
    pub const DECIMAL_PRECISION: u8 = 38;
    /// Digits of a [`Kind::Decimal`] after the point.
    pub const DECIMAL_SCALE: i8 = 18;

    /// The Arrow type.
    pub fn arrow(self) -> DataType {
        match self {
            Self::Text | Self::Json => DataType::Utf8,
            Self::Integer => DataType::Int64,
            Self::Float => DataType::Float64,
            Self::Decimal => DataType::Decimal128(Self::DECIMAL_PRECISION, Self::DECIMAL_SCALE),
            Self::Boolean => DataType::Boolean,
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Date => DataType::Date32,
        }
    }

    /// The DuckDB type.
    pub fn duckdb(self) -> &'static str {
        match self {
            Self::Text | Self::Json => "VARCHAR",
            Self::Integer => "BIGINT",
            Self::Float => "DOUBLE",
            Self::Decimal => "DECIMAL(38,18)",
            Self::Boolean => "BOOLEAN",
            Self::Timestamp => "TIMESTAMP WITH TIME ZONE",
            Self::Date => "DATE",
        }
    }

    /// The word for it in the data dictionary and the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Integer => "integer",
            Self::Float => "float",
            Self::Decimal => "decimal",
            Self::Boolean => "boolean",
            Self::Timestamp => "timestamp",
            Self::Date => "date",
            Self::Json => "json",
        }
    }
}

/// Who fills a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A value of the body, found by the column's sources.
    Body,
    /// A value of the body that names the row; where there is none, the row's position names it.
    Key,
    /// The run (or criterion) that the row belongs to.
    Parent,
    /// The exporter: a count, a position, a state.
    Derived,
    /// The exporter: what the word in another column of the row means.
    Meaning(&'static str),
    /// The exporter, in every table.
    System,
}

impl Column {
    /// A column filled from the body.
    pub const fn new(
        name: &'static str,
        kind: Kind,
        description: &'static str,
        sources: &'static [&'static str],
    ) -> Self {
        let (id, origin, reading) = (0, Origin::Body, Reading::Plain);
        Self { id, name, kind, description, sources, origin, reading }
    }

    /// The column with its field id.
    pub const fn id(self, id: u32) -> Self {
        Self { id, ..self }
    }

    /// A grade.
    pub const fn verdict(description: &'static str, sources: &'static [&'static str]) -> Self {
        Self { reading: Reading::Verdict, ..Self::new("verdict", Kind::Text, description, sources) }
    }

    /// A duration in milliseconds.
    pub const fn duration(description: &'static str, sources: &'static [&'static str]) -> Self {
        let column = Self::new("duration_ms", Kind::Integer, description, sources);
        Self { reading: Reading::Duration, ..column }
    }

    /// Whether something failed.
    pub const fn failure(
        name: &'static str,
        description: &'static str,
        sources: &'static [&'static str],
    ) -> Self {
        let column = Self::new(name, Kind::Boolean, description, sources);
        Self { reading: Reading::Failure, ..column }
    }

    /// What the word in the column `of` means, by the names of [`crate::run::Meaning`].
    pub const fn meaning(name: &'static str, of: &'static str, description: &'static str) -> Self {
        Self { origin: Origin::Meaning(of), ..Self::derived(name, Kind::Text, description) }
    }

    /// What the column `verdict` means.
    pub(super) const VERDICT_MEANING: Self = Self::meaning(
        "verdict_meaning",
        "verdict",
        "What `verdict` means: `passed`, `partial`, `failed`, `error`, `undecided`, \
         `cancelled`, `ended`, `open`, or `unknown`.",
    );

    /// The column that names a row within its parent.
    pub const fn key(
        name: &'static str,
        description: &'static str,
        sources: &'static [&'static str],
    ) -> Self {
        Self { origin: Origin::Key, ..Self::new(name, Kind::Text, description, sources) }
    }

    /// A column that repeats the parent's key. `sources` name where bodies repeat it too.
    pub const fn parent(
        name: &'static str,
        description: &'static str,
        sources: &'static [&'static str],
    ) -> Self {
        Self { origin: Origin::Parent, ..Self::new(name, Kind::Text, description, sources) }
    }

    /// A column that the exporter works out.
    pub const fn derived(name: &'static str, kind: Kind, description: &'static str) -> Self {
        Self { origin: Origin::Derived, ..Self::new(name, kind, description, &[]) }
    }

    /// The row's place in its list. Bodies that number their rows the same way say nothing new.
    pub const fn position(description: &'static str) -> Self {
        let column = Self::new("position", Kind::Integer, description, &["position"]);
        Self { origin: Origin::Derived, ..column }
    }

    const fn system(name: &'static str, kind: Kind, description: &'static str) -> Self {
        Self { origin: Origin::System, ..Self::new(name, kind, description, &[]) }
    }
}

impl Table {
    /// Whether a column must have a value in every row: keys, positions and system columns.
    pub fn is_required(&self, column: &str) -> bool {
        // Rows of earlier versions lack the column: a key can get longer, and they stay.
        let is_later = self.name == "documents" && column == "page";
        (self.key.contains(&column) && !is_later)
            || matches!(column, "position" | "_commit" | "_extracted_at" | "_revision")
    }

    /// The columns that the exporter adds at the end.
    pub fn system_columns(&self) -> impl Iterator<Item = &'static Column> {
        let run_date = (self.write == WriteDisposition::Append).then_some(&RUN_DATE);
        run_date.into_iter().chain(SYSTEM_COLUMNS)
    }

    /// The column of that name, system columns included.
    pub fn column(&self, name: &str) -> Option<&'static Column> {
        self.columns.iter().chain(self.system_columns()).find(|column| column.name == name)
    }
}

/// The partition value of tables with rows of runs, as a column of the file: engines that read the
/// files without their folders' names prune by it.
static RUN_DATE: Column = Column::system(
    "run_date",
    Kind::Date,
    "The day on which the run started, UTC: the same as the folder `date=`. 1970-01-01 where the \
     start is unknown; null in rows of versions that did not write it.",
)
.id(905);

/// The columns that end every table.
static SYSTEM_COLUMNS: &[Column] = &[
    Column::system(
        "_extra",
        Kind::Json,
        "What the API sent and no column holds: one JSON object of the members that are left, \
         each as it was sent; also the originals of values that did not fit their column.",
    )
    .id(901),
    Column::system("_commit", Kind::Integer, "The number of the commit that added the row.")
        .id(902),
    Column::system(
        "_extracted_at",
        Kind::Timestamp,
        "When the sync that fetched the row began, by the server's clock.",
    )
    .id(903),
    Column::system(
        "_revision",
        Kind::Integer,
        "1 when the run was first exported; higher where it was seen changed later. The highest \
         revision of a run replaces all its earlier rows, in every table.",
    )
    .id(904),
];
