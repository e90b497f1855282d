//! The rows of a query, as text, by the names of their columns.

use crate::query::{LakeReader, QueryError};

/// The rows of a query.
#[derive(Debug, Default)]
pub(super) struct Rows {
    columns: Vec<String>,
    values: Vec<Vec<Option<String>>>,
    /// How many rows there would be without a limit.
    pub(super) of: u64,
}

/// One row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row<'r> {
    columns: &'r [String],
    values: &'r [Option<String>],
}

impl Rows {
    /// Selects columns, or expressions with a name, of at most so many rows; `from` is what follows
    /// `FROM`, with filters and order.
    pub(super) fn select(
        reader: &mut LakeReader,
        columns: &[&str],
        from: &str,
        most: usize,
    ) -> Result<Self, QueryError> {
        // The last word of an expression with a name is that name.
        let names = columns.iter().filter_map(|column| column.split_whitespace().last());
        let names: Vec<String> = names.map(str::to_owned).collect();
        let sql = format!(
            "SELECT {}, count(*) OVER () AS all_rows FROM {from} LIMIT {most}",
            columns.join(", ")
        );
        let mut rows = reader.rows(&sql)?;
        let counted = rows.iter_mut().filter_map(|row| row.pop().flatten()).last();
        let of = counted.and_then(|number| number.parse().ok()).unwrap_or_default();
        Ok(Self { columns: names, values: rows, of })
    }

    /// Rows of a test, in place of those of a query.
    #[cfg(test)]
    pub(super) fn of_text(columns: &[&str], rows: &[&[&str]]) -> Self {
        let value = |text: &&str| (*text != "-").then(|| (*text).to_owned());
        Self {
            columns: columns.iter().map(|name| (*name).to_owned()).collect(),
            values: rows.iter().map(|row| row.iter().map(value).collect()).collect(),
            of: u64::try_from(rows.len()).unwrap(),
        }
    }

    /// The rows in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = Row<'_>> {
        self.values.iter().map(|values| Row { columns: &self.columns, values })
    }

    /// The number of rows that were selected.
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    /// The first row.
    pub(super) fn first(&self) -> Option<Row<'_>> {
        self.iter().next()
    }
}

impl<'r> Row<'r> {
    /// A value as text; `None` if it is null.
    pub(super) fn text(self, column: &str) -> Option<&'r str> {
        let place = self.columns.iter().position(|name| name == column)?;
        self.values.get(place)?.as_deref()
    }

    /// A value as a number; `None` if it is null.
    pub(super) fn number(self, column: &str) -> Option<f64> {
        self.text(column)?.parse().ok().filter(|number: &f64| number.is_finite())
    }

    /// A count; 0 if it is null.
    pub(super) fn count(self, column: &str) -> u64 {
        self.text(column).and_then(|text| text.parse().ok()).unwrap_or_default()
    }

    /// Whether a flag is set; false if it is null.
    pub(super) fn flag(self, column: &str) -> bool {
        self.text(column) == Some("true")
    }
}
