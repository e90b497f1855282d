//! The columns of the views.

/// A column of a view that is not a metric: it names the row, or counts what the metrics are
/// computed from.
#[derive(Debug)]
pub struct Column {
    /// The name.
    pub name: &'static str,
    /// The type of its values.
    pub kind: ColumnType,
    /// The unit of its values, one of [`mod@unit`]; `None` for text and flags.
    pub unit: Option<&'static str>,
    /// What it holds, for a person.
    pub description: &'static str,
    /// An expression over the last step of the view, if the column is not one of that step.
    pub sql: Option<&'static str>,
}

impl Column {
    const fn new(
        name: &'static str,
        kind: ColumnType,
        unit: Option<&'static str>,
        description: &'static str,
    ) -> Self {
        Self { name, kind, unit, description, sql: None }
    }

    pub(super) const fn text(name: &'static str, description: &'static str) -> Self {
        Self::new(name, ColumnType::Text, None, description)
    }

    pub(super) const fn flag(name: &'static str, description: &'static str) -> Self {
        Self::new(name, ColumnType::Boolean, None, description)
    }

    pub(super) const fn integer(
        name: &'static str,
        unit: &'static str,
        description: &'static str,
    ) -> Self {
        Self::new(name, ColumnType::Integer, Some(unit), description)
    }

    pub(super) const fn float(
        name: &'static str,
        unit: &'static str,
        description: &'static str,
    ) -> Self {
        Self::new(name, ColumnType::Float, Some(unit), description)
    }

    pub(super) const fn exact_cost(name: &'static str, description: &'static str) -> Self {
        Self::new(name, ColumnType::Decimal, Some(unit::COST), description)
    }

    pub(super) const fn timestamp(name: &'static str, description: &'static str) -> Self {
        Self::new(name, ColumnType::Timestamp, Some(unit::UTC), description)
    }

    pub(super) const fn day(name: &'static str, description: &'static str) -> Self {
        Self::new(name, ColumnType::Date, Some(unit::UTC), description)
    }

    /// The same column, computed from the last step.
    pub(super) const fn sql(mut self, sql: &'static str) -> Self {
        self.sql = Some(sql);
        self
    }
}

/// The type of a column of a view. Times have no zone: they are in UTC, as BI tools expect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnType {
    /// UTF-8 text.
    Text,
    /// A whole number of 64 bits.
    Integer,
    /// A floating-point number of 64 bits.
    Float,
    /// A decimal with 18 digits after the point.
    Decimal,
    /// True or false.
    Boolean,
    /// A time in UTC, in microseconds, without a zone.
    Timestamp,
    /// A day in UTC.
    Date,
}

impl ColumnType {
    /// The type in DuckDB.
    pub fn duckdb(self) -> &'static str {
        match self {
            Self::Text => "VARCHAR",
            Self::Integer => "BIGINT",
            Self::Float => "DOUBLE",
            Self::Decimal => "DECIMAL(38,18)",
            Self::Boolean => "BOOLEAN",
            Self::Timestamp => "TIMESTAMP",
            Self::Date => "DATE",
        }
    }
}

/// The units.
pub mod unit {
    /// Runs.
    pub const RUNS: &str = "runs";
    /// Tool calls.
    pub const CALLS: &str = "calls";
    /// Grades of criteria.
    pub const GRADES: &str = "grades";
    /// Evaluations.
    pub const EVALUATIONS: &str = "evaluations";
    /// A share of a whole.
    pub const SHARE: &str = "share, 0 to 1";
    /// The difference of two shares.
    pub const DIFFERENCE: &str = "difference of shares, -1 to 1";
    /// A probability.
    pub const PROBABILITY: &str = "probability, 0 to 1";
    /// Milliseconds.
    pub const MILLISECONDS: &str = "ms";
    /// Hours.
    pub const HOURS: &str = "hours";
    /// The unit of costs, which the API does not document.
    pub const COST: &str = "currency of the API";
    /// Tokens of a model.
    pub const TOKENS: &str = "tokens";
    /// Times and days.
    pub const UTC: &str = "UTC";
    /// Anything else that is counted: the description names it.
    pub const COUNT: &str = "count";
}
