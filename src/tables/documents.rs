use super::{Column, Kind, Table, WriteDisposition};

/// The raw bodies.
pub static DOCUMENTS: Table = Table {
    name: "documents",
    description: "One row per body that the API gave for a run, exactly as received, so that \
                  every table can be made again with a better mapping. Can be turned off; in the \
                  DuckDB file it can be a view over the lake's files.",
    key: &["run_id", "resource", "page"],
    write: WriteDisposition::Append,
    columns: &[
        Column::parent("run_id", "The run.", &[]).id(1),
        Column::derived(
            "resource",
            Kind::Text,
            "`listing` (the run's row in the list), `detail`, `trace`, `evaluation` or `tool_calls`.",
        ).id(2),
        Column::derived(
            "page",
            Kind::Integer,
            "Which page of it, from 1; null in rows that a version before 0.2 wrote, which are first pages.",
        ).id(3),
        Column::derived(
            "body",
            Kind::Json,
            "The JSON text exactly as received, decompressed: also where it holds what JSON \
             functions reject, such as half a surrogate pair.",
        ).id(4),
        Column::derived("bytes", Kind::Integer, "Length of the body in bytes.").id(5),
        Column::derived("sha256", Kind::Text, "SHA-256 of the body, in hexadecimal.").id(6),
        Column::derived("http_date", Kind::Timestamp, "The server's `Date` for it.").id(7),
    ],
};
