//! The macros in which engines differ, one implementation per dialect.

use std::fmt::Write as _;

use super::{MADE_BY, PackageFile};
use crate::metrics::{ColumnType, Dialect};

/// A macro: its name, its parameters, and its text in a dialect.
struct Macro {
    name: &'static str,
    parameters: &'static str,
    text: fn(Dialect) -> String,
}

const MACROS: [Macro; 12] = [
    Macro { name: "utc", parameters: "moment", text: |dialect| dialect.utc("{{ moment }}") },
    Macro {
        name: "microseconds",
        parameters: "from, until",
        text: |dialect| dialect.microseconds("{{ from }}", "{{ until }}"),
    },
    Macro {
        name: "percentile",
        parameters: "fraction, value",
        text: |dialect| dialect.percentile("{{ fraction }}", "{{ value }}"),
    },
    Macro {
        name: "byte_order",
        parameters: "text",
        text: |dialect| dialect.byte_order("{{ text }}"),
    },
    Macro {
        name: "position",
        parameters: "part, text",
        text: |dialect| dialect.position("{{ part }}", "{{ text }}"),
    },
    column_type("type_text", |dialect| dialect.column_type(ColumnType::Text).to_owned()),
    column_type("type_integer", |dialect| dialect.column_type(ColumnType::Integer).to_owned()),
    column_type("type_float", |dialect| dialect.column_type(ColumnType::Float).to_owned()),
    column_type("type_decimal", |dialect| dialect.column_type(ColumnType::Decimal).to_owned()),
    column_type("type_boolean", |dialect| dialect.column_type(ColumnType::Boolean).to_owned()),
    column_type("type_timestamp", |dialect| dialect.column_type(ColumnType::Timestamp).to_owned()),
    column_type("type_date", |dialect| dialect.column_type(ColumnType::Date).to_owned()),
];

const fn column_type(name: &'static str, text: fn(Dialect) -> String) -> Macro {
    Macro { name, parameters: "", text }
}

/// The dialect that dbt takes for an adapter without an implementation.
const DEFAULT: Dialect = Dialect::Postgres;

/// The name of the adapter of an engine. That of Databricks also takes what is there for Spark.
fn adapter(dialect: Dialect) -> &'static str {
    match dialect {
        DEFAULT => "default",
        Dialect::Databricks => "spark",
        other => other.name(),
    }
}

/// The file with the macros.
pub(super) fn dialects() -> PackageFile {
    let mut out = format!("{{# {MADE_BY} #}}\n");
    for Macro { name, parameters, text } in MACROS {
        // Writing to a String cannot fail.
        let _infallible = writeln!(
            out,
            "\n{{% macro {name}({parameters}) -%}}\n  \
             {{{{ return(adapter.dispatch('{name}', 'armature')({parameters})) }}}}\n\
             {{%- endmacro %}}"
        );
        let default = text(DEFAULT);
        let engines = std::iter::once(DEFAULT)
            .chain(Dialect::ENGINES.into_iter().filter(|&dialect| dialect != DEFAULT));
        for dialect in engines.filter(|&dialect| dialect == DEFAULT || text(dialect) != default) {
            let _infallible = writeln!(
                out,
                "\n{{% macro {}__{name}({parameters}) -%}}\n  {}\n{{%- endmacro %}}",
                adapter(dialect),
                text(dialect)
            );
        }
    }
    PackageFile::new("macros/dialects.sql", out)
}
