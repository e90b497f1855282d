//! Sources and staging models: the tables, each with the latest revision of every run only.

use std::fmt::Write as _;

use super::yaml::{name, prose};
use super::{MADE_BY, PackageFile};
use crate::tables::{Kind, MappedTable, Mapping, RUNS, WriteDisposition};

/// The name of the staging model of a table.
pub(super) fn model(table: &str) -> String {
    format!("stg_armature__{}", table.trim_start_matches('_'))
}

/// The setting that states whether there are tables of the commit log: they are in the DuckDB file,
/// and in no warehouse that loads data files.
pub(super) const HAS_COMMIT_LOG: &str = "var('armature_commit_log', target.type == 'duckdb')";

/// Sources, staging models and their properties.
pub(super) fn files(mapping: &Mapping) -> Vec<PackageFile> {
    let mut files: Vec<PackageFile> = mapping.tables().iter().map(staging_model).collect();
    files.push(PackageFile::new("models/staging/sources.yml", sources(mapping)));
    files.push(PackageFile::new("models/staging/staging.yml", properties(mapping)));
    files
}

fn staging_model(mapped: &MappedTable) -> PackageFile {
    let table = mapped.table;
    let query = match table.write {
        WriteDisposition::Append => {
            format!("{{{{ armature.latest_revisions('{}') }}}}", table.name)
        }
        WriteDisposition::Replace => {
            format!("SELECT * FROM {{{{ source('armature', '{}') }}}}", table.name)
        }
        WriteDisposition::CommitLog => format!(
            "{{{{ config(enabled = {HAS_COMMIT_LOG}) }}}}\n\n\
             SELECT * FROM {{{{ source('armature', '{}') }}}}",
            table.name
        ),
    };
    let path = format!("models/staging/{}.sql", model(table.name));
    PackageFile::new(path, format!("-- {MADE_BY}\n{query}\n"))
}

/// The tables as they were loaded.
fn sources(mapping: &Mapping) -> String {
    let mut out = format!(
        "# {MADE_BY}
version: 2

sources:
  - name: armature
    description: The tables of the export.
    database: \"{{{{ var('armature_database', 'armature' if target.type == 'duckdb' \
         else target.database) }}}}\"
    schema: \"{{{{ var('armature_schema', 'main' if target.type == 'duckdb' else 'armature') }}}}\"
    tables:
"
    );
    for mapped in mapping.tables() {
        let table = mapped.table;
        // Writing to a String cannot fail.
        let _infallible = writeln!(out, "      - name: {}", table.name);
        prose(&mut out, 8, "description", table.description);
        if table.name == RUNS.name {
            out.push_str(
                "        config:
          loaded_at_field: _extracted_at
          freshness:
            warn_after: {count: 1, period: day}
",
            );
        }
        if table.write == WriteDisposition::CommitLog {
            continue;
        }
        out.push_str("        columns:\n");
        for column in mapped.columns.iter().filter(|column| table.is_required(&column.name)) {
            let _infallible = writeln!(out, "          - name: {}", name(&column.name));
            out.push_str("            data_tests:\n              - not_null\n");
            let is_parent = column.name == "run_id" && table.name != RUNS.name;
            if is_parent && table.write == WriteDisposition::Append {
                out.push_str(
                    "              - relationships:
                  arguments:
                    to: source('armature', 'runs')
                    field: run_id
",
                );
            }
        }
    }
    out
}

/// Documentation and tests of the staging models.
fn properties(mapping: &Mapping) -> String {
    let mut out = format!("# {MADE_BY}\nversion: 2\n\nmodels:\n");
    for mapped in mapping.tables() {
        let table = mapped.table;
        let description = match table.write {
            WriteDisposition::Append => {
                format!("{} Only rows of the latest revision of each run.", table.description)
            }
            WriteDisposition::Replace | WriteDisposition::CommitLog => table.description.to_owned(),
        };
        // Writing to a String cannot fail.
        let _infallible = writeln!(out, "  - name: {}", model(table.name));
        prose(&mut out, 4, "description", &description);
        unique_key(&mut out, table.key);
        out.push_str("    columns:\n");
        for column in &mapped.columns {
            let _infallible = writeln!(out, "      - name: {}", name(&column.name));
            prose(&mut out, 8, "description", &with_type(&column.description, column.kind));
        }
    }
    out
}

/// The test that the columns of a key name a row.
pub(super) fn unique_key(out: &mut String, key: &[&str]) {
    if !key.is_empty() {
        // Writing to a String cannot fail.
        let _infallible = writeln!(
            out,
            "    data_tests:\n      - armature.unique_key:\n          arguments:\n            \
             columns: [{}]",
            key.join(", ")
        );
    }
}

fn with_type(description: &str, kind: Kind) -> String {
    format!("{description} Type: {}.", kind.name())
}
