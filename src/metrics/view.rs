//! A view: rows, counts and metrics, and the SQL that they make.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::sql::{expand, tables_of};
use super::{Column, ColumnType, Dialect, Metric};

/// A view over the tables of the lake, or over views before it.
#[derive(Debug)]
pub struct View {
    /// The name.
    pub name: &'static str,
    /// What one row is, for a person.
    pub description: &'static str,
    /// The columns that name a row; none if there is always one row. A part of the key can be null
    /// where the API does not state it.
    pub key: &'static [&'static str],
    /// Common table expressions, in order.
    pub steps: &'static [Step],
    /// What the columns are selected from: the last step, or a subquery.
    pub from: &'static str,
    /// The columns in order.
    pub items: &'static [Item],
}

/// A common table expression of a view.
#[derive(Debug)]
pub struct Step {
    /// The name.
    pub name: &'static str,
    /// The query, with the names in braces that `sql.rs` explains.
    pub sql: &'static str,
}

/// One or more columns of a view.
#[derive(Debug)]
pub enum Item {
    /// A column of the last step.
    Column(Column),
    /// A metric, with the bounds of its interval.
    Metric(&'static Metric),
    /// A column of this name, which says [`super::NOT_ENOUGH_RUNS`] where the metric is null
    /// because of that.
    Note(&'static str, &'static Metric),
}

impl View {
    /// The metrics that the view shows.
    pub fn metrics(&self) -> impl Iterator<Item = &'static Metric> {
        self.items.iter().filter_map(|item| match item {
            Item::Metric(metric) => Some(*metric),
            _ => None,
        })
    }

    /// The columns in order, each with its name, type, unit and description.
    pub fn columns(&self) -> Vec<ViewColumn> {
        self.items.iter().flat_map(Item::columns).collect()
    }

    /// The tables and the views that it reads, each once, in the order of their names.
    pub fn reads(&self) -> Vec<&'static str> {
        let templates = self.steps.iter().map(|step| step.sql).chain([self.from]);
        let mut names: Vec<&str> = templates
            // The names of workflows are shared SQL, which stands in braces itself.
            .flat_map(|sql| match sql {
                "{names}" => vec!["run_facts"],
                sql => tables_of(sql),
            })
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The query of the view in DuckDB, over tables and views of their own names.
    pub fn query(&self) -> String {
        self.sql(Dialect::DuckDb, &str::to_owned)
    }

    /// The query of the view in an engine. `relation` gives the SQL for each of [`View::reads`]: a
    /// quoted name, with its schema where there is one, or a subquery in parentheses. Its columns
    /// are those of the table, under names that need no quotes in the engine; columns of
    /// [`Kind::Timestamp`](crate::tables::Kind::Timestamp) are moments (see [`Dialect::utc`]).
    ///
    /// The query has no semicolon at its end, and no trailing line break.
    pub fn sql(&self, dialect: Dialect, relation: &dyn Fn(&str) -> String) -> String {
        let expand = |sql: &str| expand(sql, dialect, relation);
        let mut steps: Vec<(String, String)> =
            self.steps.iter().map(|step| (step.name.to_owned(), expand(step.sql))).collect();
        let mut from = expand(self.from);
        // Each level of metrics is a step, so that a formula can use the metrics before it by name.
        let mut levels: BTreeMap<u8, Vec<&Metric>> = BTreeMap::new();
        for metric in self.metrics() {
            levels.entry(metric.level).or_default().push(metric);
        }
        for (level, metrics) in levels {
            let formulas = metrics.into_iter().flat_map(|metric| metric.formulas(dialect));
            let formulas = formulas.map(|(name, sql)| format!(",\n    {} AS {name}", expand(&sql)));
            let sql = format!("SELECT *{} FROM {from}", formulas.collect::<String>());
            from = format!("metrics_{level}");
            steps.push((from.clone(), sql));
        }
        let columns = self.items.iter().flat_map(|item| item.expressions(dialect));
        let columns: Vec<String> = columns.map(|column| expand(&column)).collect();
        let mut query = String::new();
        for (number, (name, sql)) in steps.iter().enumerate() {
            let start = if number == 0 { "WITH " } else { ",\n" };
            // Writing to a String cannot fail.
            let _infallible = write!(query, "{start}{name} AS (\n  {}\n)", sql.trim());
        }
        let start = if steps.is_empty() { "" } else { "\n" };
        let _infallible = write!(query, "{start}SELECT\n  {}\nFROM {from}", columns.join(",\n  "));
        query.push_str(dialect.settings());
        query
    }
}

/// A column of a view, as documentation shows it.
#[derive(Debug)]
pub struct ViewColumn {
    /// The name.
    pub name: String,
    /// The type.
    pub kind: ColumnType,
    /// The unit; `None` for text and flags.
    pub unit: Option<&'static str>,
    /// What it holds.
    pub description: String,
}

impl Item {
    fn columns(&self) -> Vec<ViewColumn> {
        let column = |name: &str, kind, unit, description: String| ViewColumn {
            name: name.to_owned(),
            kind,
            unit,
            description,
        };
        match self {
            Self::Column(one) => {
                vec![column(one.name, one.kind, one.unit, one.description.to_owned())]
            }
            Self::Metric(metric) => {
                let bounds = [
                    "Lower bound of its 95 % interval.".to_owned(),
                    "Upper bound of its 95 % interval.".to_owned(),
                ];
                let own = std::iter::once(metric.description.to_owned());
                metric
                    .column_names()
                    .into_iter()
                    .zip(own.chain(bounds))
                    .map(|(name, text)| column(&name, metric.kind, metric.unit, text))
                    .collect()
            }
            Self::Note(name, metric) => {
                let text = format!(
                    "`{}` if `{}` is null because `{}` is less than {}.",
                    super::NOT_ENOUGH_RUNS,
                    metric.name,
                    metric.sample.size,
                    metric.sample.least
                );
                vec![column(name, ColumnType::Text, None, text)]
            }
        }
    }

    /// The expressions of the last `SELECT`. Numbers and times are cast: a sum of counts has
    /// another type than a count in most engines, and a
    /// comparison is a number in ClickHouse.
    fn expressions(&self, dialect: Dialect) -> Vec<String> {
        let cast = |sql: &str, kind: ColumnType, name: &str| match kind {
            ColumnType::Text if sql == name => sql.to_owned(),
            ColumnType::Text => format!("{sql} AS {name}"),
            _ => format!("CAST({sql} AS {}) AS {name}", dialect.column_type(kind)),
        };
        match self {
            Self::Column(column) => {
                vec![cast(column.sql.unwrap_or(column.name), column.kind, column.name)]
            }
            Self::Metric(metric) => {
                let names = metric.column_names().into_iter();
                names.map(|name| cast(&metric.shown(&name), metric.kind, &name)).collect()
            }
            Self::Note(name, metric) => vec![cast(&metric.note(), ColumnType::Text, name)],
        }
    }
}
