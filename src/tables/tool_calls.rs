use super::{Column, Kind, Table, WriteDisposition, runs};

/// One row per MCP tool call of a run.
pub static TOOL_CALLS: Table = Table {
    name: "tool_calls",
    description: "One row per MCP tool call of a run, from `GET /runs/{id}/tool-calls`; from the \
                  trace where that is absent.",
    key: &["run_id", "tool_call_id"],
    write: WriteDisposition::Append,
    columns: &[
        Column::parent("run_id", "The run.", &["run_id", "runId"]).id(1),
        Column::key(
            "tool_call_id",
            "The call's id; `#<position>` where the API gives none.",
            &["tool_call_id", "toolCallId", "call_id", "callId", "event_id", "eventId", "id"],
        )
        .id(2),
        Column::position("Place among the run's calls, from 0.").id(3),
        Column::new(
            "span_id",
            Kind::Text,
            "The span that made the call.",
            &["span_id", "spanId", "trace_event_id", "traceEventId"],
        )
        .id(4),
        Column::new(
            "tool_name",
            Kind::Text,
            "The tool.",
            &[
                "tool_name",
                "toolName",
                "metadata.tool_name",
                "metadata.toolName",
                "tool",
                "tool.name",
                "name",
                "function.name",
            ],
        )
        .id(5),
        Column::new(
            "arguments",
            Kind::Json,
            "What the agent passed. Redaction can turn any value into a marker string.",
            &[
                "arguments",
                "args",
                "input",
                "parameters",
                "params",
                "input_preview",
                "inputPreview",
                "metadata.input_preview",
                "function.arguments",
            ],
        )
        .id(6),
        Column::new(
            "result",
            Kind::Json,
            "What the tool answered. A text that is not JSON (a plain answer, a redaction marker, \
             JSON that was cut off) is a JSON string.",
            &[
                "result",
                "result_body",
                "resultBody",
                "output",
                "response",
                "result_preview",
                "resultPreview",
            ],
        )
        .id(7),
        Column::failure(
            "is_error",
            "Whether the call failed, by all that is stated about it: `is_error`, `ok`, \
             `success`, a status word, an `error`, or `isError` in the result, as MCP has it. An \
             error that is stated anywhere counts; null where nothing is stated.",
            &[
                "is_error",
                "isError",
                "errored",
                "ok",
                "success",
                "succeeded",
                "status",
                "state",
                "outcome",
                "error",
                "error_message",
                "errorMessage",
                "result",
                "result_body",
                "resultBody",
                "result_preview",
                "output",
                "response",
            ],
        )
        .id(8),
        Column::new(
            "error_message",
            Kind::Text,
            "The error.",
            &["error_message", "errorMessage", "error", "error.message", "error.text"],
        )
        .id(9),
        Column::new(
            "started_at",
            Kind::Timestamp,
            "When the call started.",
            &[
                "started_at",
                "startedAt",
                "start_time",
                "startTime",
                "timestamp",
                "created_at",
                "createdAt",
            ],
        )
        .id(10),
        Column::duration(
            "How long the call took, in milliseconds. A duration without a unit is compared with \
             end minus start; where it fits in no unit, this is null.",
            runs::DURATIONS,
        )
        .id(11),
        Column::new(
            "ended_at",
            Kind::Timestamp,
            "When the call ended.",
            &[
                "finished_at",
                "finishedAt",
                "ended_at",
                "endedAt",
                "completed_at",
                "completedAt",
                "end_time",
                "endTime",
            ],
        )
        .id(12),
    ],
};
