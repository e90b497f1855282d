//! The dbt package of the tables and the metrics: the folder `dbt/` of the repository, which a test
//! keeps equal to what is made here.
//!
//! Sources, staging models, their tests and their documentation come from the declarations of the
//! tables, and the marts from those of the metrics. A mart is the query of a view in
//! [`Dialect::Dbt`](crate::metrics::Dialect::Dbt); the macros that it calls are made from the other
//! dialects. So a figure is declared once, and is the same in the DuckDB file, in a warehouse's own
//! views and in dbt. Marts written by hand would be a second definition of every metric.
//!
//! The other files of the package are written by hand: they are the same for every configuration.

mod macros;
mod marts;
mod staging;
mod yaml;

#[cfg(test)]
mod tests;

use crate::tables::Mapping;

/// A file of the package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageFile {
    /// The path in the package, with `/` between folders.
    pub path: String,
    /// The content.
    pub text: String,
}

impl PackageFile {
    fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        Self { path: path.into(), text: text.into() }
    }
}

/// What stands at the top of a file that is made here; `--` or `#` begins the comment.
const MADE_BY: &str = "Made by `armature-export schema --format dbt`; do not change it here.";

/// The files that are written by hand.
const BY_HAND: [(&str, &str); 9] = [
    ("dbt_project.yml", include_str!("../../dbt/dbt_project.yml")),
    ("profiles.yml", include_str!("../../dbt/profiles.yml")),
    ("README.md", include_str!("../../dbt/README.md")),
    ("macros/latest_revisions.sql", include_str!("../../dbt/macros/latest_revisions.sql")),
    ("macros/unique_key.sql", include_str!("../../dbt/macros/unique_key.sql")),
    ("models/unit_tests.yml", include_str!("../../dbt/models/unit_tests.yml")),
    ("tests/outcomes_add_up.sql", include_str!("../../dbt/tests/outcomes_add_up.sql")),
    ("tests/spans_are_complete.sql", include_str!("../../dbt/tests/spans_are_complete.sql")),
    (
        "tests/tool_calls_are_complete.sql",
        include_str!("../../dbt/tests/tool_calls_are_complete.sql"),
    ),
];

/// All files of the package, with the user's columns documented.
pub fn package(mapping: &Mapping) -> Vec<PackageFile> {
    let mut files: Vec<PackageFile> =
        BY_HAND.into_iter().map(|(path, text)| PackageFile::new(path, text)).collect();
    files.push(macros::dialects());
    files.extend(staging::files(mapping));
    files.extend(marts::files());
    files.sort_by(|one, other| one.path.cmp(&other.path));
    files
}
