//! The marts: the views of the metrics.

use std::fmt::Write as _;

use super::staging::{HAS_COMMIT_LOG, model, unique_key};
use super::yaml::prose;
use super::{MADE_BY, PackageFile};
use crate::metrics::{Dialect, VIEWS, View, ViewColumn};
use crate::tables::{WriteDisposition, find};

/// The marts and their properties.
pub(super) fn files() -> Vec<PackageFile> {
    let mut files: Vec<PackageFile> = VIEWS.iter().map(|view| mart(view)).collect();
    files.push(PackageFile::new("models/marts/marts.yml", properties()));
    files
}

fn mart(view: &View) -> PackageFile {
    let relation = |name: &str| {
        let model = if find(name).is_some() { model(name) } else { name.to_owned() };
        format!("{{{{ ref('{model}') }}}}")
    };
    let in_commit_log =
        |name: &str| find(name).is_some_and(|it| it.write == WriteDisposition::CommitLog);
    let config = if view.reads().into_iter().any(in_commit_log) {
        format!("{{{{ config(enabled = {HAS_COMMIT_LOG}) }}}}\n\n")
    } else {
        String::new()
    };
    let query = view.sql(Dialect::Dbt, &relation);
    let path = format!("models/marts/{}.sql", view.name);
    PackageFile::new(path, format!("-- {MADE_BY}\n{config}{query}\n"))
}

/// Documentation and tests of the marts.
fn properties() -> String {
    let mut out = format!("# {MADE_BY}\nversion: 2\n\nmodels:\n");
    for view in VIEWS {
        // Writing to a String cannot fail.
        let _infallible = writeln!(out, "  - name: {}", view.name);
        prose(&mut out, 4, "description", view.description);
        unique_key(&mut out, view.key);
        out.push_str("    columns:\n");
        for column in view.columns() {
            let _infallible = writeln!(out, "      - name: {}", column.name);
            prose(&mut out, 8, "description", &with_unit(&column));
        }
    }
    out
}

fn with_unit(column: &ViewColumn) -> String {
    match column.unit {
        Some(unit) => format!("{} Unit: {unit}.", column.description),
        None => column.description.clone(),
    }
}
