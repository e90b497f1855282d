//! What differs between the engines in which the views are created.
//!
//! The declarations are written in SQL that all of them share, so that one figure is the same
//! everywhere. What they cannot share is here: types, times without a zone, percentiles, the order
//! of text, the place of a part in a text, and floating-point literals. Some of the shared SQL is longer than it would be for one
//! engine alone, for these reasons:
//!
//! - Counts are `count(CASE WHEN … THEN 1 END)`: few engines know `FILTER`.
//! - Windows are written in place: Redshift and Snowflake know no `WINDOW` clause.
//! - `lag` is read only in rows that have one before them: ClickHouse gives 0, not null, in the
//!   first one.
//! - Nulls are put last by a `CASE` in front: BigQuery knows no `NULLS LAST` in windows.
//! - Keys that can be null are compared without `IS NOT DISTINCT FROM`, which Redshift does not
//!   know.
//! - Divisors are guarded by `nullif`, also where the figure is not shown: most engines fail the
//!   query.

use super::ColumnType;

/// An engine, by the SQL that it understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// DuckDB 1.2 or newer.
    DuckDb,
    /// PostgreSQL. The views were run on 15.
    Postgres,
    /// Snowflake. The views were run on a simulation of it, fakesnow.
    Snowflake,
    /// BigQuery, in GoogleSQL. The views were parsed, not run.
    BigQuery,
    /// Amazon Redshift. The views were parsed, not run.
    Redshift,
    /// Databricks, and Apache Spark 3.4 or newer. The views were run on Spark 3.5 and Sail.
    Databricks,
    /// ClickHouse. The views were run on 26.9.
    ClickHouse,
    /// Not an engine: a model of dbt, whose macros choose among the others when it is compiled. The
    /// macros are made from the other dialects.
    Dbt,
}

impl Dialect {
    /// The engines.
    pub const ENGINES: [Self; 7] = [
        Self::DuckDb,
        Self::Postgres,
        Self::Snowflake,
        Self::BigQuery,
        Self::Redshift,
        Self::Databricks,
        Self::ClickHouse,
    ];

    /// The name, in lower case: that of dbt's adapter, where dbt has one.
    pub fn name(self) -> &'static str {
        match self {
            Self::DuckDb => "duckdb",
            Self::Postgres => "postgres",
            Self::Snowflake => "snowflake",
            Self::BigQuery => "bigquery",
            Self::Redshift => "redshift",
            Self::Databricks => "databricks",
            Self::ClickHouse => "clickhouse",
            Self::Dbt => "dbt",
        }
    }

    /// The type of a column of a view. In ClickHouse a type without nulls is another type.
    pub fn column_type(self, kind: ColumnType) -> &'static str {
        match (self, kind) {
            (Self::DuckDb, kind) => kind.duckdb(),

            (Self::Dbt, ColumnType::Text) => "{{ armature.type_text() }}",
            (Self::Dbt, ColumnType::Integer) => "{{ armature.type_integer() }}",
            (Self::Dbt, ColumnType::Float) => "{{ armature.type_float() }}",
            (Self::Dbt, ColumnType::Decimal) => "{{ armature.type_decimal() }}",
            (Self::Dbt, ColumnType::Boolean) => "{{ armature.type_boolean() }}",
            (Self::Dbt, ColumnType::Timestamp) => "{{ armature.type_timestamp() }}",
            (Self::Dbt, ColumnType::Date) => "{{ armature.type_date() }}",

            (Self::ClickHouse, ColumnType::Text) => "Nullable(String)",
            (Self::ClickHouse, ColumnType::Integer) => "Nullable(Int64)",
            (Self::ClickHouse, ColumnType::Float) => "Nullable(Float64)",
            (Self::ClickHouse, ColumnType::Decimal) => "Nullable(Decimal(38, 18))",
            (Self::ClickHouse, ColumnType::Boolean) => "Nullable(Bool)",
            (Self::ClickHouse, ColumnType::Timestamp) => "Nullable(DateTime64(6, 'UTC'))",
            (Self::ClickHouse, ColumnType::Date) => "Nullable(Date32)",

            (Self::BigQuery | Self::Databricks, ColumnType::Text) => "STRING",
            // The largest there is: without a length, the one of Redshift has 256 bytes.
            (Self::Redshift, ColumnType::Text) => "VARCHAR(65535)",
            (_, ColumnType::Text) => "VARCHAR",

            (Self::BigQuery, ColumnType::Integer) => "INT64",
            (_, ColumnType::Integer) => "BIGINT",

            (Self::BigQuery, ColumnType::Float) => "FLOAT64",
            (Self::Databricks, ColumnType::Float) => "DOUBLE",
            (_, ColumnType::Float) => "DOUBLE PRECISION",

            (Self::BigQuery, ColumnType::Decimal) => "BIGNUMERIC",
            (_, ColumnType::Decimal) => "DECIMAL(38, 18)",

            (Self::BigQuery, ColumnType::Boolean) => "BOOL",
            (_, ColumnType::Boolean) => "BOOLEAN",

            (Self::BigQuery, ColumnType::Timestamp) => "DATETIME",
            (Self::Snowflake | Self::Databricks, ColumnType::Timestamp) => "TIMESTAMP_NTZ",
            (_, ColumnType::Timestamp) => "TIMESTAMP",

            (_, ColumnType::Date) => "DATE",
        }
    }

    /// A floating-point number of 64 bits. A literal with an exponent is a decimal number in some
    /// engines, whose divisions keep few digits.
    pub fn float(self, number: &str) -> String {
        match self {
            Self::DuckDb | Self::BigQuery | Self::Databricks | Self::ClickHouse => {
                format!("{number}e0")
            }
            Self::Postgres | Self::Snowflake | Self::Redshift | Self::Dbt => {
                format!("CAST({number} AS {})", self.column_type(ColumnType::Float))
            }
        }
    }

    /// The time in UTC, without a zone, of a column of a table: there it is a moment, of the type
    /// `TIMESTAMP WITH TIME ZONE` or what the engine has for that.
    pub fn utc(self, moment: &str) -> String {
        match self {
            Self::DuckDb => format!("make_timestamp(epoch_us({moment}))"),
            Self::Postgres | Self::Redshift => format!("({moment} AT TIME ZONE 'UTC')"),
            Self::Snowflake => {
                format!("CAST(convert_timezone('UTC', {moment}) AS TIMESTAMP_NTZ)")
            }
            Self::BigQuery => format!("DATETIME({moment}, 'UTC')"),
            // Functions that convert between zones read the moment in the zone of the session,
            // where one hour of the year stands for two.
            Self::Databricks => format!(
                "(TIMESTAMP_NTZ '1970-01-01 00:00:00' + make_dt_interval(0, 0, 0, \
                 CAST(unix_micros({moment}) AS DECIMAL(24, 6)) / 1000000))"
            ),
            Self::ClickHouse => format!("toTimeZone({moment}, 'UTC')"),
            Self::Dbt => format!("{{{{ armature.utc({}) }}}}", jinja_text(moment)),
        }
    }

    /// The microseconds between two moments of a table.
    pub fn microseconds(self, from: &str, until: &str) -> String {
        match self {
            Self::DuckDb => format!("epoch_us({until}) - epoch_us({from})"),
            Self::Postgres => format!("1000000 * extract(epoch FROM {until} - {from})"),
            Self::Snowflake | Self::Redshift => {
                format!("datediff(microsecond, {from}, {until})")
            }
            Self::BigQuery => format!("timestamp_diff({until}, {from}, MICROSECOND)"),
            Self::Databricks => format!("unix_micros({until}) - unix_micros({from})"),
            Self::ClickHouse => format!("dateDiff('microsecond', {from}, {until})"),
            Self::Dbt => format!(
                "{{{{ armature.microseconds({}, {}) }}}}",
                jinja_text(from),
                jinja_text(until)
            ),
        }
    }

    /// The percentile of the values that are not null, interpolated between the two next to it: an
    /// aggregate. `fraction` is from 0 to 1.
    pub fn percentile(self, fraction: &str, value: &str) -> String {
        match self {
            Self::DuckDb | Self::Postgres | Self::Databricks => {
                format!("percentile_cont({fraction}) WITHIN GROUP (ORDER BY {value})")
            }
            // Of whole numbers it would be a decimal number with few digits.
            Self::Snowflake | Self::Redshift => format!(
                "percentile_cont({fraction}) WITHIN GROUP (ORDER BY CAST({value} AS {}))",
                self.column_type(ColumnType::Float)
            ),
            // PERCENTILE_CONT is a window function only, and APPROX_QUANTILES is not exact.
            Self::BigQuery => {
                let values = format!("array_agg({value} IGNORE NULLS ORDER BY {value})");
                let place = format!("{fraction} * (count({value}) - 1)");
                let at =
                    |round: &str| format!("{values}[SAFE_OFFSET(CAST({round}({place}) AS INT64))]");
                let (below, above) = (at("floor"), at("ceil"));
                format!("({below} + ({above} - {below}) * ({place} - floor({place})))")
            }
            Self::ClickHouse => format!("quantileExactInclusive({fraction})({value})"),
            Self::Dbt => {
                format!("{{{{ armature.percentile('{fraction}', {}) }}}}", jinja_text(value))
            }
        }
    }

    /// Text to order rows by, byte by byte. The engines do so, except PostgreSQL, whose databases
    /// have the order of a language.
    pub fn byte_order(self, text: &str) -> String {
        match self {
            Self::Postgres => format!("{text} COLLATE \"C\""),
            Self::Dbt => format!("{{{{ armature.byte_order({}) }}}}", jinja_text(text)),
            _ => text.to_owned(),
        }
    }

    /// Where a text has a part, from 1; 0 where it has it nowhere.
    pub fn position(self, part: &str, text: &str) -> String {
        match self {
            Self::BigQuery => format!("strpos({text}, {part})"),
            Self::Dbt => {
                format!("{{{{ armature.position({}, {}) }}}}", jinja_text(part), jinja_text(text))
            }
            _ => format!("position({part} IN {text})"),
        }
    }

    /// What ends the query of a view: in ClickHouse, settings that make joins, aggregates and names
    /// those of standard SQL.
    pub fn settings(self) -> &'static str {
        match self {
            Self::ClickHouse => {
                "\nSETTINGS join_use_nulls = 1, aggregate_functions_null_for_empty = 1, \
                 prefer_column_name_to_alias = 1"
            }
            _ => "",
        }
    }
}

/// A string of Jinja. Arguments in braces hold no double quotes, as a test checks.
fn jinja_text(sql: &str) -> String {
    format!("\"{sql}\"")
}
