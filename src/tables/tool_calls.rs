use super::{Column, Kind, Table, Write};

/// One row per MCP tool call of a run.
pub static TOOL_CALLS: Table = Table {
    name: "tool_calls",
    description: "One row per MCP tool call of a run, from `GET /runs/{id}/tool-calls`; from the \
                  trace where that is absent.",
    key: &["run_id", "tool_call_id"],
    write: Write::Append,
    columns: &[
        Column::parent("run_id", "The run.", &["run_id", "runId"]),
        Column::key(
            "tool_call_id",
            "The call's id; `#<position>` where the API gives none.",
            &["id", "tool_call_id", "toolCallId", "call_id", "callId"],
        ),
        Column::position("Place among the run's calls, from 0."),
        Column::new(
            "span_id",
            Kind::Text,
            "The span that made the call.",
            &["span_id", "spanId", "trace_event_id", "traceEventId"],
        ),
        Column::new(
            "tool_name",
            Kind::Text,
            "The tool.",
            &["tool_name", "toolName", "name", "tool", "tool.name"],
        ),
        Column::new(
            "arguments",
            Kind::Json,
            "What the agent passed. Redaction can turn any value into a marker string.",
            &["arguments", "args", "input", "parameters", "params"],
        ),
        Column::new(
            "result",
            Kind::Json,
            "What the tool answered. A text that is no JSON (a plain answer, a redaction marker, \
             JSON that was cut off) is a JSON string.",
            &["result", "result_body", "resultBody", "output", "response"],
        ),
        Column::new(
            "is_error",
            Kind::Boolean,
            "Whether the tool answered with an error.",
            &["is_error", "isError", "errored"],
        ),
        Column::new(
            "error_message",
            Kind::Text,
            "The error.",
            &["error_message", "errorMessage", "error", "error.message"],
        ),
        Column::new(
            "started_at",
            Kind::Timestamp,
            "When the call started.",
            &["started_at", "startedAt", "start_time", "startTime", "timestamp", "created_at"],
        ),
        Column::new(
            "duration_ms",
            Kind::Integer,
            "How long the call took, in milliseconds.",
            &["duration_ms", "durationMs", "duration", "latency_ms", "latencyMs"],
        ),
    ],
};
