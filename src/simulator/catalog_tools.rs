//! The tools of the simulated MCP servers, with realistic bodies.

use super::catalog::Tool;

pub(super) const SEARCH_PRODUCTS: Tool = Tool {
    name: "search_products",
    arguments: &[
        r#"{"query":"<word> jacket","limit":5}"#,
        r#"{"query":"<word> boots","limit":10,"in_stock":true}"#,
    ],
    results: &[
        r#"[{"sku":"SKU-<int>","title":"<word> jacket","price":<money>},{"sku":"SKU-<int>","title":"<word> parka — men’s","price":<money>}]"#,
        r#"{"items":[{"sku":"SKU-<int>","title":"<word> boots","price":<money>,"stock":<int>}],"next_cursor":null}"#,
    ],
    errors: &["Error: search index is rebuilding, retry in 30 s"],
};

pub(super) const ADD_TO_CART: Tool = Tool {
    name: "add_to_cart",
    arguments: &[r#"{"sku":"SKU-<int>","quantity":1}"#, r#"{"sku":"SKU-<int>","quantity":2}"#],
    results: &[r#"{"cart_id":"cart_<hex>","items":1,"subtotal":<money>,"currency":"EUR"}"#],
    errors: &["Error: SKU is out of stock"],
};

pub(super) const APPLY_DISCOUNT: Tool = Tool {
    name: "apply_discount",
    arguments: &[
        r#"{"cart_id":"cart_<hex>","code":"SPRING-<int>"}"#,
        r#"{"cart_id":"cart_<hex>","code":"WELCOME10"}"#,
    ],
    results: &[r#"{"applied":true,"discount":<money>,"currency":"EUR"}"#],
    errors: &[
        "Error: pricing-v2 answered 500: discount_rules relation does not exist",
        "Error: pricing-v2 timed out after 10000 ms",
    ],
};

pub(super) const CREATE_CHECKOUT_SESSION: Tool = Tool {
    name: "create_checkout_session",
    arguments: &[r#"{"cart_id":"cart_<hex>","email":"<mail>","api_key":"[redacted:stripe-key]"}"#],
    results: &[
        r#"{"session_id":"cs_<hex>","url":"https://pay.example.com/<hex>","expires_in":1800}"#,
    ],
    errors: &["Error: cart is empty"],
};

pub(super) const SEARCH_ISSUES: Tool = Tool {
    name: "search_issues",
    arguments: &[
        r#"{"repository":"<repository>","query":"is:open no:label","limit":20}"#,
        r#"{"repository":"<repository>","query":"is:open <word> in:title"}"#,
    ],
    results: &[
        r#"{"total":2,"items":[{"number":<int>,"title":"Crash when <word> is empty","author":"<name>"},{"number":<int>,"title":"Add \"<word>\" to the menu","author":"<name>"}]}"#,
        r#"[{"number":<int>,"title":"Typo in the <word> page","labels":[]}]"#,
    ],
    errors: &["Error: API rate limit exceeded for installation"],
};

pub(super) const GET_ISSUE: Tool = Tool {
    name: "get_issue",
    arguments: &[r#"{"repository":"<repository>","number":<int>}"#],
    results: &[
        r#"{"number":<int>,"title":"Crash when <word> is empty","body":"Steps:\n1. open the <word> page\n2. press Save\n\ntoken=[redacted:github-token]","comments":<int>}"#,
    ],
    errors: &["Error: Not Found"],
};

pub(super) const ADD_LABELS: Tool = Tool {
    name: "add_labels",
    arguments: &[
        r#"{"repository":"<repository>","number":<int>,"labels":["bug"]}"#,
        r#"{"repository":"<repository>","number":<int>,"labels":["bug","needs-triage"]}"#,
    ],
    results: &[r#"["bug","needs-triage"]"#, r#"{"labels":["bug"]}"#],
    errors: &[
        "Error: label does not exist: Bug (did you mean bug?)",
        "Error: Resource not accessible by integration",
    ],
};

pub(super) const LIST_COMMITS: Tool = Tool {
    name: "list_commits",
    arguments: &[r#"{"repository":"<repository>","since":"v1.<int>.0"}"#],
    results: &[
        r#"[{"sha":"<hex>","message":"fix: <word> no longer flickers"},{"sha":"<hex>","message":"feat(<word>): dark mode"}]"#,
    ],
    errors: &["Error: tag not found"],
};

pub(super) const CREATE_RELEASE: Tool = Tool {
    name: "create_release",
    arguments: &[
        r##"{"repository":"<repository>","tag":"v1.<int>.0","body":"# Changes\n* <word>"}"##,
    ],
    results: &[r#"{"id":<int>,"draft":true,"url":"https://github.example.com/r/<int>"}"#],
    errors: &["Error: tag already has a release"],
};

pub(super) const LIST_TABLES: Tool = Tool {
    name: "list_tables",
    arguments: &["{}", r#"{"schema":"public"}"#],
    results: &[r#"["orders","customers","refunds","exchange_rates"]"#],
    errors: &["Error: permission denied for schema public"],
};

pub(super) const RUN_QUERY: Tool = Tool {
    name: "run_query",
    arguments: &[
        r#"{"sql":"SELECT date_trunc('month', paid_at) AS month, sum(total) FROM orders GROUP BY 1","max_rows":100}"#,
        r#"{"sql":"SELECT count(*) FROM customers WHERE city = '<word>'","max_rows":1}"#,
    ],
    results: &[
        r#"{"columns":["month","sum"],"rows":[["2026-01",<money>],["2026-02",<money>],["2026-03",null]],"row_count":3}"#,
        r#"{"columns":["count"],"rows":[[<int>]],"row_count":1}"#,
        "month | sum\n2026-01 | 18211.40\n2026-02 | 19904.15\n(2 rows)",
    ],
    errors: &["Error: column \"paid_on\" does not exist", "Error: statement timeout"],
};

pub(super) const LIST_EVENTS: Tool = Tool {
    name: "list_events",
    arguments: &[r#"{"calendar":"<mail>","day":"2026-03-0<digit>"}"#],
    results: &[
        r#"[{"id":"ev_<int>","title":"1:1 <name>","from":"09:00","to":"09:30"},{"id":"ev_<int>","title":"Lunch ☕","from":"12:00","to":"13:00"}]"#,
        "[]",
    ],
    errors: &["Error: calendar is not shared with you"],
};

pub(super) const FIND_FREE_SLOTS: Tool = Tool {
    name: "find_free_slots",
    arguments: &[r#"{"attendees":["<mail>","<mail>"],"minutes":30}"#],
    results: &[r#"{"slots":[{"from":"10:00","to":"11:30"},{"from":"15:00","to":"17:00"}]}"#],
    errors: &["Error: unknown time zone: CEST"],
};

pub(super) const CREATE_EVENT: Tool = Tool {
    name: "create_event",
    arguments: &[
        r#"{"title":"Sync with <name>","from":"10:00","minutes":30,"attendees":["<mail>"]}"#,
    ],
    results: &["Created.", r#"{"id":"ev_<int>","status":"confirmed"}"#],
    errors: &["Error: slot is no longer free"],
};

pub(super) const SEARCH_TICKETS: Tool = Tool {
    name: "search_tickets",
    arguments: &[r#"{"query":"refund order <int>","status":"open"}"#],
    results: &[
        r#"[{"ticket":<int>,"subject":"Where is my refund?","customer":"[redacted:sensitive-field]"}]"#,
    ],
    errors: &["Error: search syntax: unexpected ':'"],
};

pub(super) const GET_CUSTOMER: Tool = Tool {
    name: "get_customer",
    arguments: &[r#"{"customer_id":<int>}"#],
    results: &[
        r#"{"id":<int>,"name":"<name>","email":"[redacted:sensitive-field]","orders":[{"order":<int>,"total":<money>}]}"#,
    ],
    errors: &["Error: no such customer"],
};

pub(super) const ISSUE_REFUND: Tool = Tool {
    name: "issue_refund",
    arguments: &[r#"{"order":<int>,"amount":<money>,"reason":"damaged"}"#],
    results: &[r#"{"refund_id":"re_<hex>","amount":<money>,"status":"pending"}"#, "Refund queued."],
    errors: &["Error: amount exceeds the limit of 50.00 EUR for agents"],
};

pub(super) const SEARCH_DOCUMENTATION: Tool = Tool {
    name: "search_docs",
    arguments: &[r#"{"query":"how to rotate a <word> key"}"#],
    results: &[
        r#"{"hits":[{"path":"/guides/<word>","score":0.91},{"path":"/reference/<word>","score":0.77}]}"#,
    ],
    errors: &["Error: query is too short"],
};

pub(super) const FETCH_PAGE: Tool = Tool {
    name: "fetch_page",
    arguments: &[r#"{"path":"/guides/<word>"}"#],
    results: &[
        "# Rotating keys\n\nOpen *Settings → API keys*, press **Rotate**. The old key works for 24 h.",
        r#"{"path":"/guides/<word>","markdown":"Set `KEY=[redacted:anthropic-api-key]` and restart."}"#,
    ],
    errors: &["Error: 404 page not found"],
};
