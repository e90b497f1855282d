//! Formats text tables and numbers for users.

pub(super) use crate::report::{count, counted};
use crate::time::Timestamp;
use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ContentArrangement, Table, TableComponent};

/// A table with headings; columns are as wide as their widest cell, and numbers are aligned right.
pub(super) fn render(headings: &[&str], rows: &[Vec<String>]) -> String {
    let mut table = Table::new();
    // Columns are two spaces apart: the padding, and the line between columns.
    table.load_preset(NOTHING).set_style(TableComponent::HeaderLines, '─');
    table.set_style(TableComponent::VerticalLines, ' ');
    // Output may be piped: never fold cells to the width of a terminal.
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(headings).add_rows(rows);
    let last = headings.len().saturating_sub(1);
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, u16::from(index != last)));
        let mut cells = rows.iter().filter_map(|row| row.get(index)).peekable();
        if cells.peek().is_some() && cells.all(|cell| is_number(cell)) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let lines: Vec<String> = table.lines().map(|line| format!("  {}", line.trim_end())).collect();
    lines.join("\n")
}

fn is_number(cell: &str) -> bool {
    !cell.is_empty()
        && cell
            .chars()
            .all(|c| c.is_ascii_digit() || matches!(c, '.' | ',' | '-' | '%' | '$' | ' '))
}

/// A number of bytes with a unit.
pub(super) fn bytes(number: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000)];
    match UNITS.iter().find(|(_, size)| number >= *size) {
        Some((unit, size)) => {
            let tenths = (number.saturating_mul(10) + size / 2) / size;
            format!("{}.{} {unit}", tenths / 10, tenths % 10)
        }
        None => format!("{number} B"),
    }
}

/// A duration in milliseconds with units.
pub(super) fn elapsed(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    match seconds {
        0..=59 => format!("{seconds}.{} s", milliseconds % 1000 / 100),
        60..=3599 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..=172_799 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// A timestamp as a UTC date and time, to the minute.
pub(super) fn moment(at: Timestamp) -> String {
    let instant = at.to_datetime();
    instant.map_or_else(|| "?".to_owned(), |at| at.format("%Y-%m-%d %H:%M UTC").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_for_people() {
        assert_eq!(count(0), "0");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(116_400_000), "116.4 MB");
        assert_eq!(elapsed(2_140), "2.1 s");
        assert_eq!(elapsed(3_723_000), "1 h 2 min");
    }

    #[test]
    fn tables_line_up() {
        let rows = [vec!["a".to_owned(), "12".to_owned()], vec!["bcd".to_owned(), "3".to_owned()]];
        insta::assert_snapshot!(render(&["name", "n"], &rows));
    }
}
