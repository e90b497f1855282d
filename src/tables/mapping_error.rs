//! Why a mapping that a user configured cannot be used.

/// A `[[columns]]` or `[[lists]]` entry that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MappingError {
    /// No such table, or one whose rows do not come from bodies.
    #[error(
        "[[columns]] names the table `{table}`, which takes no columns (those that do: {known})"
    )]
    UnknownTable {
        /// As configured.
        table: String,
        /// The tables that take columns.
        known: String,
    },
    /// The column is not filled from a body.
    #[error("column `{table}.{name}` is filled by the exporter and takes no `sources`")]
    NotFromBody {
        /// As configured.
        table: String,
        /// As configured.
        name: String,
    },
    /// The column is there already with another type.
    #[error(
        "column `{table}.{name}` has the type `{kind}`; leave `kind` out to change its sources"
    )]
    OtherKind {
        /// As configured.
        table: String,
        /// As configured.
        name: String,
        /// The column's type.
        kind: &'static str,
    },
    /// A new column needs a type.
    #[error("column `{table}.{name}` is new and needs a `kind`")]
    MissingKind {
        /// As configured.
        table: String,
        /// As configured.
        name: String,
    },
    /// A name that not every target takes.
    #[error(
        "column name `{name}` is not usable: begin with a letter and use lower-case letters, \
         digits and `_`, at most 63"
    )]
    BadName {
        /// As configured.
        name: String,
    },
    /// A name that readers of the files or of DuckDB give a meaning of their own.
    #[error(
        "column name `{name}` is reserved: {reason}, so that readers would show that in place of \
         the column; choose another name"
    )]
    ReservedName {
        /// As configured.
        name: String,
        /// Who uses it.
        reason: &'static str,
    },
    /// A zone that is not in the time zone database.
    #[error(
        "column `{table}.{name}` has the time_zone `{zone}`, which is not in the IANA time zone \
         database; zones are written like `Europe/Berlin`"
    )]
    UnknownZone {
        /// As configured.
        table: String,
        /// As configured.
        name: String,
        /// As configured.
        zone: String,
    },
    /// A zone or a unit for values that have none.
    #[error("column `{table}.{name}` takes no `{option}`: it holds no {what}")]
    NoTime {
        /// As configured.
        table: String,
        /// As configured.
        name: String,
        /// `time_zone` or `unit`.
        option: &'static str,
        /// What the option is for.
        what: &'static str,
    },
    /// A document that has no list for that table.
    #[error(
        "[[lists]] names the table `{table}`, which no list of `{document}` fills (tables that \
         its lists fill: {known})"
    )]
    UnknownList {
        /// As configured.
        document: &'static str,
        /// As configured.
        table: String,
        /// The tables that lists of the document fill.
        known: String,
    },
    /// A path that cannot be followed.
    #[error(
        "[[lists]] for `{table}` in `{document}` has the path `{path}`, in which a name is empty \
         or a quote is not closed; \".\" stands for the body itself"
    )]
    BadListPath {
        /// As configured.
        document: &'static str,
        /// As configured.
        table: String,
        /// As configured.
        path: String,
    },
    /// A path with nothing in it.
    #[error("column `{table}.{name}` has no usable path in `sources`")]
    NoSources {
        /// As configured.
        table: String,
        /// As configured.
        name: String,
    },
}
