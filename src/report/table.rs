//! Tables of the page: which columns of which view, in which order, and how many rows at most.

use askama::Template;

use super::format::{
    ABSENT, count, duration, grouped, moment, money, name, percent, percent_interval, points,
    signed_points,
};
use super::rows::{Row, Rows};
use crate::metrics::{Item, NOT_ENOUGH_RUNS, View};
use crate::query::{LakeReader, QueryError};

/// A table of the page.
#[derive(Debug)]
pub(super) struct TableSpec {
    /// The id of the table in the page.
    pub(super) id: &'static str,
    /// What one row is, for a person.
    pub(super) caption: &'static str,
    /// What stands there instead of a table without rows.
    pub(super) empty: &'static str,
    /// The view whose metrics the columns are.
    pub(super) view: &'static View,
    /// What the rows are selected from, with filter and order. Begins with the view's name unless
    /// it is a subquery over it.
    pub(super) from: &'static str,
    /// The most rows.
    pub(super) most: usize,
    /// The columns. The first one names the row.
    pub(super) columns: &'static [ColumnSpec],
}

/// A column of a table.
#[derive(Debug)]
pub(super) struct ColumnSpec {
    /// The heading.
    pub(super) heading: &'static str,
    /// The column of the view, or of the subquery over it.
    pub(super) column: &'static str,
    /// How its values are shown.
    pub(super) kind: CellKind,
}

/// How a value is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CellKind {
    /// A name out of the data.
    Name,
    /// The id of a run, with a link if its row has the address `run_url`.
    Run,
    /// A word of this program, such as a comparison.
    Word,
    /// Yes or no.
    Flag,
    /// A number of things.
    Count,
    /// A share, in percent.
    Share,
    /// The same with a bar.
    ShareBar,
    /// A share with its 95 % interval: the columns `<column>_low` and `<column>_high`.
    ShareInterval,
    /// A difference of shares with its interval, in percentage points.
    Change,
    /// A probability, with three digits.
    Probability,
    /// An amount in `cost_currency`.
    Cost,
    /// Milliseconds.
    Duration,
    /// A time in UTC, to the minute.
    Moment,
    /// How many criteria were not met, of which `first_unmet` is one.
    Unmet,
}

impl CellKind {
    /// The class of its cells: `n` for numbers, which stand right, and `w` for what is not wrapped.
    fn class(self) -> &'static str {
        match self {
            Self::Name | Self::Run | Self::Unmet => "",
            Self::Moment | Self::Flag | Self::Word => "w",
            _ => "n",
        }
    }
}

/// A column of a table, for the declarations.
pub(super) const fn column(
    heading: &'static str,
    column: &'static str,
    kind: CellKind,
) -> ColumnSpec {
    ColumnSpec { heading, column, kind }
}

/// A table as the page shows it.
#[derive(Debug, Template)]
#[template(path = "report/table.html")]
pub(super) struct Table {
    id: &'static str,
    caption: &'static str,
    empty: &'static str,
    headings: Vec<Heading>,
    rows: Vec<Vec<Cell>>,
    /// How many rows there are in all, if not all are shown.
    bound: Option<String>,
}

#[derive(Debug)]
struct Heading {
    text: &'static str,
    class: &'static str,
}

/// A cell. All text out of the data went through [`name`].
#[derive(Debug, Default)]
struct Cell {
    text: String,
    /// The address of a run.
    href: Option<String>,
    /// A share of 100, for a bar.
    bar: Option<String>,
    /// The class that says how it is set.
    class: &'static str,
    is_name: bool,
}

impl TableSpec {
    /// The column of a view that says why a metric is null.
    fn note_of(&self, column: &str) -> Option<&'static str> {
        self.view.items.iter().find_map(|item| match item {
            Item::Note(note, metric) if metric.name == column => Some(*note),
            _ => None,
        })
    }

    fn is_metric(&self, column: &str) -> bool {
        self.view.metrics().any(|metric| metric.name == column)
    }

    /// The columns that the cells need.
    fn selected(&self) -> Vec<String> {
        let mut selected: Vec<String> = Vec::new();
        let mut add = |column: String| {
            if !selected.contains(&column) {
                selected.push(column);
            }
        };
        for column in self.columns {
            add(column.column.to_owned());
            if let Some(note) = self.note_of(column.column) {
                add(note.to_owned());
            }
            match column.kind {
                CellKind::ShareInterval | CellKind::Change => {
                    add(format!("{}_low", column.column));
                    add(format!("{}_high", column.column));
                }
                CellKind::Cost => add("cost_currency".to_owned()),
                CellKind::Run => add("run_url".to_owned()),
                CellKind::Unmet => add("first_unmet".to_owned()),
                _ => {}
            }
        }
        selected
    }

    /// Selects the rows.
    pub(super) fn read(&self, reader: &mut LakeReader) -> Result<Rows, QueryError> {
        let selected = self.selected();
        let selected: Vec<&str> = selected.iter().map(String::as_str).collect();
        Rows::select(reader, &selected, self.from, self.most)
    }

    /// The table of these rows.
    pub(super) fn show(&self, rows: &Rows) -> Table {
        let heading =
            |column: &ColumnSpec| Heading { text: column.heading, class: column.kind.class() };
        let shown = u64::try_from(rows.len()).unwrap_or(u64::MAX);
        let bound =
            (shown < rows.of).then(|| format!("The first {} of {}.", count(shown), count(rows.of)));
        let cells =
            |row: Row<'_>| self.columns.iter().map(|column| self.cell(column, row)).collect();
        Table {
            id: self.id,
            caption: self.caption,
            empty: self.empty,
            headings: self.columns.iter().map(heading).collect(),
            rows: rows.iter().map(cells).collect(),
            bound,
        }
    }

    fn cell(&self, spec: &ColumnSpec, row: Row<'_>) -> Cell {
        let column = spec.column;
        let cell = Cell {
            class: spec.kind.class(),
            is_name: matches!(spec.kind, CellKind::Name | CellKind::Run | CellKind::Unmet),
            ..Cell::default()
        };
        let Some(value) = row.text(column) else {
            let note = self.note_of(column).map(|note| row.text(note));
            let text = match note {
                Some(note) => note.unwrap_or(ABSENT),
                None if self.is_metric(column) => NOT_ENOUGH_RUNS,
                None => ABSENT,
            };
            return Cell { text: text.to_owned(), ..cell };
        };
        let number = row.number(column).unwrap_or_default();
        let bound = |end: &str| row.number(&format!("{column}_{end}")).unwrap_or_default();
        let text = match spec.kind {
            CellKind::Name => name(value),
            CellKind::Run => {
                let href = row.text("run_url").and_then(link);
                return Cell { text: name(value), href, ..cell };
            }
            CellKind::Word => value.to_owned(),
            CellKind::Flag => if value == "true" { "yes" } else { "no" }.to_owned(),
            CellKind::Count => grouped(value),
            CellKind::Share => percent(number),
            CellKind::ShareBar => {
                let bar = Some(format!("{:.1}", number.clamp(0.0, 1.0) * 100.0));
                return Cell { text: percent(number), bar, ..cell };
            }
            CellKind::ShareInterval => {
                format!("{} ({})", percent(number), percent_interval(bound("low"), bound("high")))
            }
            CellKind::Change => {
                let (low, high) = (points(bound("low")), points(bound("high")));
                format!("{} ({low} to {high})", signed_points(number))
            }
            CellKind::Probability if number < 0.0005 => "<0.001".to_owned(),
            CellKind::Probability => format!("{number:.3}"),
            CellKind::Cost => money(number, row.text("cost_currency")),
            CellKind::Duration => duration(number),
            CellKind::Moment => moment(value),
            CellKind::Unmet => {
                let first = row.text("first_unmet").map_or_else(|| ABSENT.to_owned(), name);
                match number {
                    others if others > 1.0 => format!("{first} (and {:.0} more)", others - 1.0),
                    _ => first,
                }
            }
        };
        Cell { text, ..cell }
    }
}

/// The address of a run as a link: over HTTP, without a user's name or password, and no longer than
/// browsers take. Anything else is shown as the run's id only.
fn link(address: &str) -> Option<String> {
    const MOST_BYTES: usize = 2_000;
    let url = url::Url::parse(address).ok()?;
    let is_web = matches!(url.scheme(), "http" | "https");
    let is_plain = url.username().is_empty() && url.password().is_none();
    let is_short = url.as_str().len() <= MOST_BYTES;
    (is_web && is_plain && is_short && url.has_host()).then(|| url.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_web_are_links() {
        let known = link("https://acme.armature.app/runs/run%201").unwrap();
        assert_eq!(known, "https://acme.armature.app/runs/run%201");
        for address in [
            "javascript:alert(1)",
            "JaVaScRiPt:alert(1)",
            "data:text/html,<script>",
            "file:///etc/passwd",
            "//acme.armature.app/runs",
            "https://me:secret@acme.armature.app/",
            "\u{1}javascript:alert(1)",
            "",
        ] {
            assert_eq!(link(address), None, "{address}");
        }
        assert_eq!(link(&format!("https://acme.armature.app/{}", "x".repeat(2_000))), None);
        // What could leave the attribute is encoded.
        let odd = link("https://acme.armature.app/\"><script>'").unwrap();
        assert!(!odd.contains(['"', '<', '>']), "{odd}");
    }
}
