use super::{Column, Kind, Table, WriteDisposition, runs};

/// One row per span of a run's trace.
pub static SPANS: Table = Table {
    name: "spans",
    description: "One row per span of a run's trace (the trace is redacted by Armature).",
    key: &["run_id", "span_id"],
    write: WriteDisposition::Append,
    columns: &[
        Column::parent("run_id", "The run.", &["run_id", "runId"]).id(1),
        Column::key(
            "span_id",
            "The span's id; `#<position>` where the API gives none.",
            &[
                "span_id",
                "spanId",
                "context.span_id",
                "context.spanId",
                "event_id",
                "eventId",
                "step_id",
                "stepId",
                "id",
            ],
        )
        .id(2),
        Column::new(
            "parent_span_id",
            Kind::Text,
            "The span that this one happened in; null for the outermost.",
            &[
                "parent_span_id",
                "parentSpanId",
                "parent_id",
                "parentId",
                "parent_event_id",
                "parentEventId",
                "parentObservationId",
                "parent_observation_id",
            ],
        )
        .id(3),
        Column::position("Place in the trace, from 0.").id(4),
        Column::new(
            "name",
            Kind::Text,
            "What happened.",
            &["name", "span_name", "spanName", "title", "metadata.tool_name"],
        )
        .id(5),
        Column::new(
            "kind",
            Kind::Text,
            "The sort of span.",
            &["kind", "type", "span_kind", "spanKind", "role"],
        )
        .id(6),
        Column::new(
            "status",
            Kind::Text,
            "How it ended.",
            &["status", "status_code", "statusCode", "status.code", "outcome", "state", "level"],
        )
        .id(7),
        Column::new(
            "started_at",
            Kind::Timestamp,
            "When it started.",
            &[
                "started_at",
                "startedAt",
                "start_time",
                "startTime",
                "startTimeUnixNano",
                "start_time_unix_nano",
                "timestamp",
                "created_at",
                "createdAt",
            ],
        )
        .id(8),
        Column::new(
            "ended_at",
            Kind::Timestamp,
            "When it ended.",
            &[
                "finished_at",
                "finishedAt",
                "ended_at",
                "endedAt",
                "completed_at",
                "completedAt",
                "end_time",
                "endTime",
                "endTimeUnixNano",
                "end_time_unix_nano",
            ],
        )
        .id(9),
        Column::duration(
            "How long it took, in milliseconds. A duration without a unit is compared with end \
             minus start; where it fits in no unit, this is null.",
            runs::DURATIONS,
        )
        .id(10),
        Column::new(
            "attributes",
            Kind::Json,
            "Everything that was recorded with it.",
            &["attributes", "metadata", "data"],
        )
        .id(11),
    ],
};
