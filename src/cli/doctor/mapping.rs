//! Checks of the mapping: values in bodies that no column takes, and configured sources that no
//! body has.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray};

use super::Examination;
use crate::normalize::{Batch, MappingReport};
use crate::tables::ISSUES;

/// Maximum number of problems and of list items that are named.
const SHOWN: usize = 12;

/// Adds what the user should know of the mapping report.
pub(super) fn report(examination: &mut Examination, mapping: &MappingReport) {
    let columns = mapping
        .tables
        .iter()
        .filter(|table| table.rows > 0)
        .flat_map(|table| table.columns.iter().map(move |column| (table.table, column)));
    for (table, column) in columns.clone() {
        for path in &column.unmatched {
            examination.warn(
                "columns",
                format!("`{table}.{}`: no sampled row has a value at `{path}`", column.column),
                "check the path in [[columns]] against the members shown below",
            );
        }
    }
    let units: Vec<String> = columns
        .filter(|(_, column)| !column.units.is_empty())
        .map(|(table, column)| {
            let units: Vec<&str> = column.units.keys().copied().collect();
            format!("{table}.{} in {}", column.column, units.join(" and "))
        })
        .collect();
    if !units.is_empty() {
        examination.ok("durations", format!("stated, or from start and end: {}", units.join(", ")));
    }
    for list in mapping.unused_lists.iter().take(SHOWN) {
        examination.warn(
            "lists",
            format!("`{}`: the array `{}` maps to no table", list.document, list.path),
            format!(
                "if its elements are rows: [[lists]] document = \"{}\", table = …, path = \"{}\"",
                list.document, list.path
            ),
        );
    }
    if mapping.evaluations_without_criteria > 0 {
        examination.warn(
            "criteria",
            format!(
                "{} of the sampled evaluations have no list of criteria",
                mapping.evaluations_without_criteria
            ),
            "if they are elsewhere: [[lists]] document = \"evaluation\", table = \"criteria\", \
             path = …",
        );
    }
}

/// Adds values of the examined runs that do not fit their column, which `_issues` would name.
pub(super) fn report_issues(examination: &mut Examination, batches: &[Batch]) {
    let mut problems: BTreeMap<(String, String), usize> = BTreeMap::new();
    for batch in batches.iter().filter(|batch| batch.table.name == ISSUES.name) {
        let text = |name: &str, row: usize| {
            let column = batch.rows.column_by_name(name)?.as_string_opt::<i32>()?;
            column.is_valid(row).then(|| column.value(row).to_owned())
        };
        for row in 0..batch.rows.num_rows() {
            let table = text("table_name", row).unwrap_or_default();
            let place = match text("column_name", row) {
                Some(column) => format!("{table}.{column}"),
                None => table,
            };
            let problem = text("problem", row).unwrap_or_default();
            *problems.entry((place, problem)).or_default() += 1;
        }
    }
    for ((place, problem), rows) in problems.iter().take(SHOWN) {
        examination.warn(
            "values",
            format!("`{place}`: {problem} ({rows} in the sampled runs)"),
            "the cell stays null, and the value is kept in `_extra`; name the right path, or its \
             unit or zone, as [[columns]]",
        );
    }
}
