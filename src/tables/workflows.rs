use super::{Column, Kind, Table, WriteDisposition};

/// Workflows that are active in production.
pub static WORKFLOWS: Table = Table {
    name: "workflows",
    description: "One row per workflow that `GET /workflows` lists: active in production only \
                  (documented). Replaced as a whole when it changes.",
    key: &["workflow_id"],
    write: WriteDisposition::Replace,
    columns: &[
        Column::key("workflow_id", "The workflow's id.", &["workflow_id", "workflowId", "id"])
            .id(1),
        Column::new("name", Kind::Text, "Its name.", &["name", "workflow_name", "workflowName"])
            .id(2),
        Column::new("description", Kind::Text, "What it tests.", &["description"]).id(3),
        Column::new(
            "mcp_server_id",
            Kind::Text,
            "The MCP server that it tests.",
            &["mcp_server_id", "mcpServerId", "mcp_server.id", "mcpServer.id"],
        )
        .id(4),
        Column::new(
            "version",
            Kind::Text,
            "The current version, as the API states it.",
            &["current_version", "currentVersion", "version"],
        )
        .id(5),
        Column::new(
            "tester_model",
            Kind::Text,
            "The tester agent's model.",
            &[
                "tester_model_id",
                "testerModelId",
                "tester_model",
                "testerModel",
                "tester.modelId",
                "model",
            ],
        )
        .id(6),
        Column::new(
            "tester_prompt",
            Kind::Text,
            "The prompt.",
            &["tester_prompt", "testerPrompt", "prompt"],
        )
        .id(7),
        Column::new("schedule", Kind::Json, "When it runs; null for manual only.", &["schedule"])
            .id(8),
        Column::new("criteria", Kind::Json, "What a run must meet.", &["criteria"]).id(9),
        Column::new("categories", Kind::Json, "Its categories.", &["categories", "category"])
            .id(10),
    ],
};
