//! The eight simulated workflows.

use super::catalog::{
    CALENDAR, Criterion, DATABASE, DOCUMENTATION, GITHUB, SHOP, SUPPORT, Trouble, Workflow,
};
use super::catalog_tools::{
    ADD_LABELS, ADD_TO_CART, APPLY_DISCOUNT, CREATE_CHECKOUT_SESSION, CREATE_EVENT, CREATE_RELEASE,
    FETCH_PAGE, FIND_FREE_SLOTS, GET_CUSTOMER, GET_ISSUE, ISSUE_REFUND, LIST_COMMITS, LIST_EVENTS,
    LIST_TABLES, RUN_QUERY, SEARCH_DOCUMENTATION, SEARCH_ISSUES, SEARCH_PRODUCTS, SEARCH_TICKETS,
};

/// All workflows, in the order of the API's list.
pub(super) const WORKFLOWS: [&Workflow; 8] = [
    &CHECKOUT,
    &ISSUE_TRIAGE,
    &REVENUE_QUESTION,
    &REFUND_REQUEST,
    &CALENDAR_BOOKING,
    &DOCUMENTATION_ANSWERS,
    &RELEASE_NOTES,
    &GIFT_CARD,
];

const fn required(text: &'static str, praise: &'static str, blame: &'static str) -> Criterion {
    Criterion { text, is_required: true, praise, blame }
}

const fn optional(text: &'static str, praise: &'static str, blame: &'static str) -> Criterion {
    Criterion { text, is_required: false, praise, blame }
}

pub(super) const CHECKOUT: Workflow = Workflow {
    name: "checkout smoke test",
    description: "Buys one article with a discount code, up to the payment page.",
    server: &SHOP,
    prompt: "Find a jacket that is in stock, put it into the cart, apply the discount code and \
             give me the link to the payment page. Do not pay.",
    version: 7,
    schedule: Some("*/15 * * * *"),
    weight: 30,
    tools: &[&SEARCH_PRODUCTS, &ADD_TO_CART, &APPLY_DISCOUNT, &CREATE_CHECKOUT_SESSION],
    weak_tool: "apply_discount",
    weak_criterion: 1,
    criteria: &[
        required(
            "One article that is in stock is in the cart",
            "The cart holds one article, and the search result shows it in stock.",
            "The cart stayed empty.",
        ),
        required(
            "The discount code is applied before the payment page is made",
            "apply_discount answered applied: true ahead of the payment page.",
            "Every call of apply_discount failed, and the agent went on at full price.",
        ),
        required(
            "The answer holds the link to the payment page",
            "The link in the answer equals the one in the tool's result.",
            "The answer holds no link.",
        ),
        optional(
            "The answer names the final price",
            "The price stands in the answer.",
            "The answer names no price.",
        ),
    ],
    answers: &[
        "Your cart is ready: one jacket with the discount applied. Payment page: https://pay.example.com/",
        "I could not apply the discount, the pricing service keeps failing. The payment page is open at full price.",
    ],
    trouble: Trouble::Regression,
};

pub(super) const ISSUE_TRIAGE: Workflow = Workflow {
    name: "github issue triage",
    description: "Labels new issues by what they say.",
    server: &GITHUB,
    prompt: "Look at the open issues without a label. Read each one and give it the label that \
             fits: bug, feature or documentation. Use only labels that exist.",
    version: 12,
    schedule: Some("0 * * * *"),
    weight: 22,
    tools: &[&SEARCH_ISSUES, &GET_ISSUE, &ADD_LABELS],
    weak_tool: "add_labels",
    weak_criterion: 0,
    criteria: &[
        required(
            "Each issue gets one label that exists",
            "All labels that were set exist in the repository.",
            "The agent invented the label \"Bug\" and did not correct it after the tool's hint.",
        ),
        required(
            "The agent reads an issue before it labels it",
            "get_issue precedes add_labels for each number.",
            "add_labels was called for an issue that was never read.",
        ),
        optional(
            "The answer lists the issues with their labels",
            "The answer is a complete list.",
            "The answer says only that it is done.",
        ),
    ],
    answers: &["Labelled two issues: both are bugs.", "Done."],
    trouble: Trouble::SmallModel,
};

pub(super) const REVENUE_QUESTION: Workflow = Workflow {
    name: "revenue question",
    description: "Answers a business question with SQL.",
    server: &DATABASE,
    prompt: "What was our revenue per month this year? Answer with one number per month.",
    version: 4,
    schedule: Some("30 6 * * 1-5"),
    weight: 12,
    tools: &[&LIST_TABLES, &RUN_QUERY],
    weak_tool: "run_query",
    weak_criterion: 1,
    criteria: &[
        required(
            "The query reads the table orders",
            "The SQL reads orders.",
            "The SQL reads another table.",
        ),
        required(
            "The numbers in the answer are those of the query",
            "All numbers match.",
            "The sum for February is not in the query's result.",
        ),
    ],
    answers: &[
        "January: 18,211.40 EUR, February: 19,904.15 EUR. March is not complete.",
        "Revenue grew by about 9 % from January to February.",
    ],
    trouble: Trouble::Ordinary,
};

pub(super) const REFUND_REQUEST: Workflow = Workflow {
    name: "refund request",
    description: "Handles a customer's refund within the agent's limit.",
    server: &SUPPORT,
    prompt: "A customer asks for the refund of a damaged article. Find the ticket, check the \
             order, and refund it if the amount is within your limit. Otherwise hand it over.",
    version: 3,
    schedule: Some("0 */2 * * *"),
    weight: 10,
    tools: &[&SEARCH_TICKETS, &GET_CUSTOMER, &ISSUE_REFUND],
    weak_tool: "issue_refund",
    weak_criterion: 0,
    criteria: &[
        required(
            "No refund exceeds the limit",
            "The refund is within the limit.",
            "The agent tried to refund above the limit.",
        ),
        required(
            "The agent checks the order first",
            "get_customer was called before issue_refund.",
            "The order was not looked at.",
        ),
        optional("The tone is friendly", "Friendly and short.", "Curt."),
    ],
    answers: &[
        "I have refunded the damaged article. The money arrives in 3 to 5 days.",
        "The amount is above my limit, so I handed the ticket over to a colleague.",
    ],
    trouble: Trouble::Ordinary,
};

pub(super) const CALENDAR_BOOKING: Workflow = Workflow {
    name: "meeting scheduling",
    description: "Finds a free slot for two people and books it.",
    server: &CALENDAR,
    prompt: "Book a meeting of 30 minutes with my colleague tomorrow, when we are both free.",
    version: 5,
    schedule: Some("15 7 * * 1-5"),
    weight: 8,
    tools: &[&LIST_EVENTS, &FIND_FREE_SLOTS, &CREATE_EVENT],
    weak_tool: "create_event",
    weak_criterion: 1,
    criteria: &[
        required("Exactly one event is made", "One event.", "No event was made."),
        required(
            "The event lies in a free slot of both",
            "The slot is free for both.",
            "The event overlaps with lunch.",
        ),
    ],
    answers: &["Booked for tomorrow at 10:00.", "Tomorrow 10:00 to 10:30 – invitation sent ✅"],
    trouble: Trouble::Ordinary,
};

pub(super) const DOCUMENTATION_ANSWERS: Workflow = Workflow {
    name: "docs answer quality",
    description: "Asks a question that the documentation answers.",
    server: &DOCUMENTATION,
    prompt: "How do I rotate an API key, and how long does the old one work?",
    version: 2,
    schedule: None,
    weight: 8,
    tools: &[&SEARCH_DOCUMENTATION, &FETCH_PAGE],
    weak_tool: "fetch_page",
    weak_criterion: 0,
    criteria: &[
        required("The answer says 24 hours", "It says 24 hours.", "It says one week."),
        required("The answer cites the page", "The page is linked.", "No page is cited."),
        optional("At most five sentences", "Three sentences.", "Eleven sentences."),
        optional("No invented settings", "All names exist.", "\"Key vault\" does not exist."),
        optional("The answer is in English", "It is.", "It is not."),
    ],
    answers: &["Open Settings → API keys and press Rotate. The old key works for 24 hours."],
    trouble: Trouble::Ordinary,
};

pub(super) const RELEASE_NOTES: Workflow = Workflow {
    name: "release notes draft",
    description: "Drafts release notes from the commits since the last tag.",
    server: &GITHUB,
    prompt: "Write the notes of the next release from the commits since the last tag, as a draft.",
    version: 6,
    schedule: Some("0 16 * * 5"),
    weight: 6,
    tools: &[&LIST_COMMITS, &CREATE_RELEASE],
    weak_tool: "create_release",
    weak_criterion: 1,
    criteria: &[
        required("Each commit is mentioned", "All are there.", "One commit is missing."),
        required("The release is a draft", "draft: true.", "It was published at once."),
    ],
    answers: &["The draft is ready: one fix and one feature."],
    trouble: Trouble::Ordinary,
};

pub(super) const GIFT_CARD: Workflow = Workflow {
    name: "gift card purchase",
    description: "Buys a gift card as a guest.",
    server: &SHOP,
    prompt: "Buy a gift card of 50 EUR as a guest and give me the link to the payment page.",
    version: 1,
    schedule: None,
    weight: 4,
    tools: &[&SEARCH_PRODUCTS, &ADD_TO_CART, &CREATE_CHECKOUT_SESSION],
    weak_tool: "add_to_cart",
    weak_criterion: 0,
    criteria: &[
        required("The cart holds a gift card", "It does.", "It holds a jacket."),
        required("The amount is 50 EUR", "It is 50 EUR.", "It is another amount."),
    ],
    answers: &["Here is your payment page for the gift card: https://pay.example.com/"],
    trouble: Trouble::Ordinary,
};
