use super::{Column, Kind, Table, WriteDisposition};

/// MCP servers that are active in production.
pub static MCP_SERVERS: Table = Table {
    name: "mcp_servers",
    description: "One row per MCP server that `GET /mcp-servers` lists. Replaced as a whole when \
                  it changes.",
    key: &["mcp_server_id"],
    write: WriteDisposition::Replace,
    columns: &[
        Column::key(
            "mcp_server_id",
            "The server's id.",
            &["mcp_server_id", "mcpServerId", "server_id", "serverId", "id"],
        )
        .id(1),
        Column::new("name", Kind::Text, "Its name.", &["name"]).id(2),
        Column::new(
            "transport_type",
            Kind::Text,
            "`streamable_http`, `sse`, `stdio_hosted` or another word of the API.",
            &["transport_type", "transportType"],
        )
        .id(3),
        Column::new("target_kind", Kind::Text, "`mcp` or `cli`.", &["target_kind", "targetKind"])
            .id(4),
        Column::new("base_url", Kind::Text, "Where it is.", &["base_url", "baseUrl", "url"]).id(5),
        Column::new("environment", Kind::Text, "Its environment.", &["environment"]).id(6),
        Column::new("categories", Kind::Json, "Its categories.", &["categories", "category"]).id(7),
    ],
};
