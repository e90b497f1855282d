//! The organization's MCP servers, workflows and models, which runs refer to.

/// One tool of an MCP server. Bodies are JSON with placeholders: `<int>`, `<hex>`, `<money>`,
/// `<name>`, `<mail>`, `<word>`, `<repository>`.
#[derive(Debug)]
pub(super) struct Tool {
    pub(super) name: &'static str,
    pub(super) arguments: &'static [&'static str],
    pub(super) results: &'static [&'static str],
    pub(super) errors: &'static [&'static str],
}

/// An MCP server under test.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) name: &'static str,
    pub(super) transport: &'static str,
    pub(super) address: &'static str,
    pub(super) category: &'static str,
}

/// One criterion of a workflow, and the judge's comments on it.
#[derive(Debug)]
pub(super) struct Criterion {
    pub(super) text: &'static str,
    pub(super) is_required: bool,
    pub(super) praise: &'static str,
    pub(super) blame: &'static str,
}

/// A workflow: the instructions of the tester agent, and the criteria of its evaluation.
#[derive(Debug)]
pub(super) struct Workflow {
    pub(super) name: &'static str,
    pub(super) description: &'static str,
    pub(super) server: &'static Server,
    pub(super) prompt: &'static str,
    /// The version of new runs; older runs have the previous version.
    pub(super) version: u32,
    /// Five-field cron expression; `None` for manual-only.
    pub(super) schedule: Option<&'static str>,
    /// How often it runs, relative to the others.
    pub(super) weight: u64,
    /// In the order in which an agent calls them.
    pub(super) tools: &'static [&'static Tool],
    /// The name of the tool that fails when a run fails.
    pub(super) weak_tool: &'static str,
    /// The position of the criterion that fails when a run fails.
    pub(super) weak_criterion: usize,
    pub(super) criteria: &'static [Criterion],
    pub(super) answers: &'static [&'static str],
    pub(super) trouble: Trouble,
}

/// Where the failures of a workflow are concentrated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Runs fail occasionally, for various reasons.
    Ordinary,
    /// Runs of the current version fail often, those of the previous version did not.
    Regression,
    /// Runs of the small model fail often.
    SmallModel,
}

/// A model that plays the tester agent.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) id: &'static str,
    pub(super) harness: &'static str,
    /// Price of input tokens, in cents per million.
    pub(super) input_price: u64,
    /// Price of output tokens, in cents per million.
    pub(super) output_price: u64,
    pub(super) weight: u64,
    pub(super) is_small: bool,
}

const SONNET: Model = Model {
    id: "claude-sonnet-4-5",
    harness: "claude_code",
    input_price: 300,
    output_price: 1500,
    weight: 40,
    is_small: false,
};
const HAIKU: Model = Model {
    id: "claude-haiku-4-5",
    harness: "claude_code",
    input_price: 100,
    output_price: 500,
    weight: 20,
    is_small: false,
};
const GPT_5: Model = Model {
    id: "gpt-5",
    harness: "codex",
    input_price: 125,
    output_price: 1000,
    weight: 15,
    is_small: false,
};
const GPT_5_MINI: Model = Model {
    id: "gpt-5-mini",
    harness: "codex",
    input_price: 25,
    output_price: 200,
    weight: 25,
    is_small: true,
};

/// All tester models.
pub(super) const MODELS: [&Model; 4] = [&SONNET, &HAIKU, &GPT_5, &GPT_5_MINI];

/// The model that judges every run.
pub(super) const JUDGE_MODEL: &str = "claude-opus-4-1";

/// The online shop.
pub(super) const SHOP: Server = Server {
    name: "Storefront MCP",
    transport: "streamable_http",
    address: "https://mcp.shop.example.com",
    category: "commerce",
};
/// The code host.
pub(super) const GITHUB: Server = Server {
    name: "GitHub MCP",
    transport: "streamable_http",
    address: "https://github-mcp.example.com",
    category: "dev-tools",
};
/// The analytical database.
pub(super) const DATABASE: Server = Server {
    name: "Analytics database MCP",
    transport: "streamable_http",
    address: "https://sql-mcp.example.com",
    category: "data",
};
/// The calendar.
pub(super) const CALENDAR: Server = Server {
    name: "Calendar MCP",
    transport: "sse",
    address: "https://calendar-mcp.example.com/sse",
    category: "productivity",
};
/// The support desk.
pub(super) const SUPPORT: Server = Server {
    name: "Support desk MCP",
    transport: "streamable_http",
    address: "https://support-mcp.example.com",
    category: "support",
};
/// The product documentation.
pub(super) const DOCUMENTATION: Server = Server {
    name: "Product docs MCP",
    transport: "stdio_hosted",
    address: "stdio://docs-mcp",
    category: "docs",
};

/// All MCP servers, in the order of the API's list.
pub(super) const SERVERS: [&Server; 6] =
    [&SHOP, &GITHUB, &DATABASE, &CALENDAR, &SUPPORT, &DOCUMENTATION];
