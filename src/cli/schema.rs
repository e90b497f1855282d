//! `schema`: the data dictionary.

use std::fmt::Write as _;
use std::path::Path;

use super::args::{SchemaArguments, SchemaFormat};
use super::context::{Context, write_stdout};
use crate::config::Settings;
use crate::failure::{Exit, Failure};
use crate::lake::LakeStore;
use crate::metrics::Dialect;
use crate::query::lake_views;
use crate::tables::{ALL, Mapping, TableEntry, dictionary, find};
use crate::warehouse::{Changes, definitions, load};

pub(super) async fn run(context: &Context, arguments: &SchemaArguments) -> Result<Exit, Failure> {
    let settings = context.targets(&arguments.targets);
    let mapping = settings.mapping()?;
    if arguments.format == SchemaFormat::Dbt {
        return super::dbt::run(context, arguments, &mapping);
    }
    if arguments.out.is_some() {
        let hint = "add `--format dbt`, or leave out `--out`";
        return Err(Failure::usage("only `--format dbt` writes files", hint));
    }
    if let Some(dialect) = arguments.format.warehouse() {
        return warehouse(&settings, &mapping, dialect, arguments);
    }
    if arguments.load.is_some() {
        return Err(Failure::usage(
            "--load is for a warehouse",
            "name the warehouse with --format, such as `--format postgres`",
        ));
    }
    if arguments.metrics && arguments.format != SchemaFormat::Sql {
        return super::metrics::run(context, arguments);
    }
    let table = arguments.table.as_deref();
    if let Some(name) = table.filter(|name| find(name).is_none()) {
        let known: Vec<&str> = ALL.iter().map(|table| table.name).collect();
        return Err(Failure::usage(
            format!("there is no table `{name}`"),
            format!("the tables are {}", known.join(", ")),
        ));
    }
    let entries = dictionary(&mapping, table);
    match arguments.format {
        SchemaFormat::Sql => {
            write_stdout(&lake_views(&LakeStore::configured(&settings)?, &mapping).await?)?;
        }
        SchemaFormat::Json => write_stdout(&json(&entries)?)?,
        _ if context.is_json() => write_stdout(&json(&entries)?)?,
        SchemaFormat::Markdown => write_stdout(&markdown(&entries))?,
        _ => write_stdout(&text(&entries))?,
    }
    Ok(Exit::Done)
}

/// Prints the statements for a warehouse: its tables and views, or the load of changes.
fn warehouse(
    settings: &Settings,
    mapping: &Mapping,
    dialect: Dialect,
    arguments: &SchemaArguments,
) -> Result<Exit, Failure> {
    if arguments.table.is_some() || arguments.metrics {
        return Err(Failure::usage(
            "the statements for a warehouse are those of all tables",
            "leave out the table and --metrics",
        ));
    }
    let script = match &arguments.load {
        None => {
            let lake = LakeStore::configured(settings)?.root();
            definitions(dialect, mapping, lake.as_str())
        }
        Some(path) => load(dialect, mapping, &read_changes(path)?)?,
    };
    write_stdout(&script)?;
    Ok(Exit::Done)
}

fn read_changes(path: &Path) -> Result<Changes, Failure> {
    let text = if path == Path::new("-") {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read_to_string(path)
    };
    let hint = "name a file that `armature-export changes` printed, or `-` for stdin";
    let unreadable = |error: String| {
        Failure::usage(format!("failed to read the changes in `{}`: {error}", path.display()), hint)
    };
    let text = text.map_err(|error| unreadable(error.to_string()))?;
    serde_json::from_str(&text).map_err(|error| unreadable(error.to_string()))
}

fn json(entries: &[TableEntry]) -> Result<String, Failure> {
    serde_json::to_string_pretty(entries).map_err(|error| Failure::new(Exit::Bug, error.into()))
}

fn text(entries: &[TableEntry]) -> String {
    let mut out = String::new();
    for entry in entries {
        // Writing to a String cannot fail.
        let _infallible = writeln!(out, "{} — {}", entry.table, entry.description);
        let _infallible = writeln!(out, "  key: {} · {}", entry.key.join(", "), entry.write);
        let width = entry.columns.iter().map(|column| column.name.len()).max().unwrap_or(0);
        for column in &entry.columns {
            let null = if column.nullable { "" } else { ", never null" };
            let _infallible = writeln!(
                out,
                "    {:<width$}  {}{null}\n    {:<width$}  {}",
                column.name, column.kind, "", column.description
            );
            if !column.sources.is_empty() {
                let _infallible =
                    writeln!(out, "    {:<width$}  from {}", "", column.sources.join(", "));
            }
        }
        out.push('\n');
    }
    out
}

/// The dictionary in the format of `docs/TABLES.md`.
pub(super) fn markdown(entries: &[TableEntry]) -> String {
    let mut out = String::new();
    for entry in entries {
        // Writing to a String cannot fail.
        let _infallible = writeln!(
            out,
            "## {}\n\n{}\n\nKey: `{}`. Written: {}.\n\n| column | type | description | found at |\n|---|---|---|---|",
            entry.table,
            entry.description,
            entry.key.join("`, `"),
            entry.write
        );
        for column in &entry.columns {
            let sources: Vec<String> =
                column.sources.iter().map(|source| format!("`{source}`")).collect();
            let null = if column.nullable { "" } else { ", never null" };
            let _infallible = writeln!(
                out,
                "| `{}` | {}{null} | {} | {} |",
                column.name,
                column.kind,
                column.description,
                sources.join(" ")
            );
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "how a person asks for the file to be made")]
    fn the_dictionary_is_documented_as_it_is() {
        let mapping = crate::tables::Mapping::new(&[], &[]).unwrap();
        let made = format!(
            "# Tables\n\nMade by `armature-export schema --format markdown`; a test keeps it \
             equal.\n\n{}",
            markdown(&dictionary(&mapping, None))
        );
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/TABLES.md");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, made.trim_end().to_owned() + "\n").unwrap();
        }
        let found = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            found.trim_end() == made.trim_end(),
            "docs/TABLES.md is stale: run the tests with UPDATE_DOCS=1"
        );
    }
}
