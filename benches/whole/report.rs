//! The figures as tables, and where they stand.

use std::fmt;
use std::path::Path;

/// A table in Markdown, with a heading and a sentence about it.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    title: String,
    note: String,
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(title: &str, note: &str, columns: &[&str]) -> Self {
        let columns = columns.iter().map(|column| (*column).to_owned()).collect();
        Self { title: title.to_owned(), note: note.to_owned(), columns, rows: Vec::new() }
    }

    /// A column more, behind those that are there.
    pub(crate) fn column(&mut self, name: &str) {
        self.columns.push(name.to_owned());
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells: Vec<String> = cells.into_iter().collect();
        assert_eq!(cells.len(), self.columns.len(), "{}: {cells:?}", self.title);
        self.rows.push(cells);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "## {}\n\n{}", self.title, self.note)?;
        if self.rows.is_empty() {
            return Ok(());
        }
        writeln!(out, "\n| {} |", self.columns.join(" | "))?;
        writeln!(out, "|{}", "---|".repeat(self.columns.len()))?;
        self.rows.iter().try_for_each(|row| writeln!(out, "| {} |", row.join(" | ")))
    }
}

const BEGIN: &str = "<!-- make bench: begin -->";
const END: &str = "<!-- make bench: end -->";

/// Puts the tables where the last ones stand.
pub(crate) fn write(path: &Path, tables: &str) {
    let text = std::fs::read_to_string(path).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let date = chrono::Utc::now().format("%Y-%m-%d");
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let machine =
        format!("{date}, {} {}, {cores} cores", std::env::consts::OS, std::env::consts::ARCH);
    std::fs::write(path, format!("{before}{BEGIN}\n\n{machine}\n\n{tables}\n{END}{after}"))
        .unwrap();
}
