use super::{Column, Kind, Table, Write};

/// One row per excerpt that supports a grade.
pub static EXCERPTS: Table = Table {
    name: "excerpts",
    description: "One row per excerpt of the transcript that the judge gave as evidence.",
    key: &["run_id", "criterion_id", "position"],
    write: Write::Append,
    columns: &[
        Column::parent("run_id", "The run.", &["run_id", "runId"]),
        Column::parent("criterion_id", "The criterion.", &["criterion_id", "criterionId"]),
        Column::position("Place among the criterion's excerpts, from 0."),
        Column::new(
            "excerpt",
            Kind::Text,
            "The words quoted.",
            &["excerpt", "text", "quote", "content"],
        ),
        Column::new(
            "source",
            Kind::Text,
            "Where they stand.",
            &["source", "span_id", "spanId", "location", "trace_event_id"],
        ),
    ],
};
