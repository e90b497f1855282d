//! The statements that create the views of [`crate::metrics`].

use std::fmt::Write as _;

use super::sql::{comment, identifier};
use crate::metrics::{VIEWS, View, ViewColumn};

/// Statements that create all views of the metrics over tables of the lake's names, with comments
/// on the views and their columns.
pub fn metric_views() -> String {
    statements_of_views().collect()
}

/// The statements of [`metric_views`], view by view.
pub(crate) fn statements_of_views() -> impl Iterator<Item = String> {
    VIEWS.iter().map(|view| {
        let (mut out, name) = (String::new(), identifier(view.name));
        // Writing to a String cannot fail.
        let _infallible = writeln!(out, "CREATE OR REPLACE VIEW {name} AS\n{};", view.query());
        comment(&mut out, "VIEW", &name, view.description);
        for column in view.columns() {
            let own = format!("{name}.{}", identifier(&column.name));
            comment(&mut out, "COLUMN", &own, &with_unit(&column));
        }
        out.push('\n');
        out
    })
}

/// The description of a column, with its unit.
fn with_unit(column: &ViewColumn) -> String {
    match column.unit {
        Some(unit) => format!("{} Unit: {unit}.", column.description),
        None => column.description.clone(),
    }
}

/// The names of all views of the metrics.
pub(crate) fn metric_view_names() -> impl Iterator<Item = &'static str> {
    VIEWS.iter().map(|view: &&View| view.name)
}
