use super::{Column, Kind, Table, WriteDisposition};

/// Values that did not fit.
pub static ISSUES: Table = Table {
    name: "_issues",
    description: "One row per value that did not fit its column. The cell is null and the value \
                  as sent is in the row's `_extra` (`documents` has the whole body).",
    key: &["run_id", "position"],
    write: WriteDisposition::Append,
    columns: &[
        Column::parent("run_id", "The run.", &[]).id(1),
        Column::position("Place among the run's issues, from 0.").id(2),
        Column::derived("table_name", Kind::Text, "The table of the row.").id(3),
        Column::derived("row_key", Kind::Text, "The row's own id within the run.").id(4),
        Column::derived(
            "column_name",
            Kind::Text,
            "The column; null where the whole row is meant.",
        )
        .id(5),
        Column::derived("source", Kind::Text, "The path at which the value stood.").id(6),
        Column::derived("expected", Kind::Text, "What the column takes.").id(7),
        Column::derived("found", Kind::Text, "The JSON type of the value.").id(8),
        Column::derived("problem", Kind::Text, "What is wrong with it.").id(9),
        Column::derived(
            "rows_received",
            Kind::Integer,
            "Where a list did not come whole: the rows that came.",
        )
        .id(10),
        Column::derived(
            "rows_announced",
            Kind::Integer,
            "Where a list did not come whole: the rows that the API says there are; null where it \
             says only that there are more.",
        )
        .id(11),
    ],
};
