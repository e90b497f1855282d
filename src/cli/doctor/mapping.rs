//! The part of the examination that looks at the mapping: what the bodies hold and no column takes,
//! and what the configuration names and no body holds.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray};

use super::Examination;
use crate::normalize::{Batch, MappingReport};
use crate::tables::ISSUES;

/// Problems and lists that are named; there can be very many.
const SHOWN: usize = 12;

/// What the report says that a person should look at.
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
                format!("`{table}.{}`: no row looked at has a value at `{path}`", column.column),
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
        examination
            .ok("durations", format!("stated, or told by start and end: {}", units.join(", ")));
    }
    for list in mapping.unused_lists.iter().take(SHOWN) {
        examination.warn(
            "lists",
            format!("`{}`: the array `{}` is in no table", list.document, list.path),
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
                "{} of the evaluations looked at have no list of criteria",
                mapping.evaluations_without_criteria
            ),
            "if they stand elsewhere: [[lists]] document = \"evaluation\", table = \"criteria\", \
             path = …",
        );
    }
}

/// Values of the runs that were looked at that do not fit, as `_issues` would name them.
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
            format!("`{place}`: {problem} ({rows} in the runs looked at)"),
            "the cell stays null, and the value is kept in `_extra`; name the right path, or its \
             unit or zone, as [[columns]]",
        );
    }
}
