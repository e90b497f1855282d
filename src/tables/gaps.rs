use super::{Column, Kind, Table, WriteDisposition};

/// Time that can no longer be proven.
pub static GAPS: Table = Table {
    name: "_gaps",
    description: "One row per stretch of time whose runs can no longer be listed, because no sync \
                  came through for longer than the API looks back (30 days, documented). In \
                  DuckDB only; the lake keeps the same in its commit log.",
    key: &["gap_from"],
    write: WriteDisposition::CommitLog,
    columns: &[
        Column::derived("gap_from", Kind::Timestamp, "The last moment before it that is proven.")
            .id(1),
        Column::derived("gap_until", Kind::Timestamp, "The first moment after it that is proven.")
            .id(2),
        Column::derived("found_at", Kind::Timestamp, "When it was found, by the server's clock.")
            .id(3),
    ],
};
