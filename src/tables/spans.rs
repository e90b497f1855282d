use super::{Column, Kind, Table, Write};

/// One row per span of a run's trace.
pub static SPANS: Table = Table {
    name: "spans",
    description: "One row per span of a run's trace (the trace is redacted by Armature).",
    key: &["run_id", "span_id"],
    write: Write::Append,
    columns: &[
        Column::parent("run_id", "The run.", &["run_id", "runId"]),
        Column::key(
            "span_id",
            "The span's id; `#<position>` where the API gives none.",
            &["id", "span_id", "spanId", "event_id", "eventId"],
        ),
        Column::new(
            "parent_span_id",
            Kind::Text,
            "The span that this one happened in; null for the outermost.",
            &["parent_id", "parentId", "parent_span_id", "parentSpanId"],
        ),
        Column::position("Place in the trace, from 0."),
        Column::new(
            "name",
            Kind::Text,
            "What happened.",
            &["name", "span_name", "spanName", "title"],
        ),
        Column::new(
            "kind",
            Kind::Text,
            "The sort of span.",
            &["kind", "type", "span_kind", "spanKind"],
        ),
        Column::new(
            "status",
            Kind::Text,
            "How it ended.",
            &["status", "status.code", "outcome", "state"],
        ),
        Column::new(
            "started_at",
            Kind::Timestamp,
            "When it started.",
            &["started_at", "startedAt", "start_time", "startTime", "timestamp"],
        ),
        Column::new(
            "ended_at",
            Kind::Timestamp,
            "When it ended.",
            &["finished_at", "finishedAt", "ended_at", "endedAt", "end_time", "endTime"],
        ),
        Column::new(
            "duration_ms",
            Kind::Integer,
            "How long it took, in milliseconds.",
            &["duration_ms", "durationMs", "duration"],
        ),
        Column::new(
            "attributes",
            Kind::Json,
            "Everything that was recorded with it.",
            &["attributes", "metadata", "data"],
        ),
    ],
};
