use super::{Column, Kind, Table, WriteDisposition};

/// One row per excerpt that supports a grade.
pub static EXCERPTS: Table = Table {
    name: "excerpts",
    description: "One row per excerpt of the transcript that the judge gave as evidence.",
    key: &["run_id", "criterion_id", "position"],
    write: WriteDisposition::Append,
    columns: &[
        Column::parent("run_id", "The run.", &["run_id", "runId"]).id(1),
        Column::parent(
            "criterion_id",
            "The criterion; empty for an excerpt beside the criteria that names none.",
            &["criterion_id", "criterionId", "criterion.id", "criterion"],
        )
        .id(2),
        Column::position("Place among the criterion's excerpts, from 0.").id(3),
        Column::new(
            "excerpt",
            Kind::Text,
            "The words quoted.",
            &["excerpt", "text", "quote", "content", "body"],
        )
        .id(4),
        Column::new(
            "source",
            Kind::Text,
            "Where they stand.",
            &[
                "source",
                "span_id",
                "spanId",
                "location",
                "trace_event_id",
                "traceEventId",
                "tool_call_id",
                "toolCallId",
            ],
        )
        .id(5),
    ],
};
