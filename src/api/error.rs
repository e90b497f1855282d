//! Errors of requests to the API.

use std::time::Duration;

/// A request that failed. No message contains the key, or a value from a body other than the code
/// and message of an error response.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ApiError {
    /// The base URL cannot be used.
    #[error("the API URL `{url}` cannot be used: {problem}")]
    Url {
        /// The URL as configured, with keys masked.
        url: String,
        /// Why it cannot be used.
        problem: String,
    },
    /// The HTTP client cannot be set up.
    #[error("failed to set up the HTTP client: {0}")]
    Setup(String),
    /// HTTPS needs CA certificates, and this machine has none.
    #[error("no CA certificates were found, which HTTPS needs; looked in {looked_in}")]
    NoCertificates {
        /// The places that were searched.
        looked_in: String,
    },
    /// 401, or 403 with a JSON body.
    #[error("the API refused `GET {path}` with {status}{}", said(code.as_ref(), message.as_ref()))]
    Refused {
        /// The request's path.
        path: String,
        /// 401 or 403.
        status: u16,
        /// The API's code for it, such as `unauthenticated` or `forbidden_role`.
        code: Option<String>,
        /// The API's message.
        message: Option<String>,
    },
    /// 403 without a JSON body: sent by a proxy or firewall in front of the API, not by the API
    /// itself.
    #[error(
        "something in front of the API blocked `GET {path}` with {status} and no JSON{}",
        trace.as_ref().map(|id| format!(" ({id})")).unwrap_or_default()
    )]
    Blocked {
        /// The request's path.
        path: String,
        /// The status.
        status: u16,
        /// The request's id from the response's headers, if there is one.
        trace: Option<String>,
    },
    /// 400, and other client errors that have no variant of their own.
    #[error("the API rejected `GET {path}` with {status}{}", said(code.as_ref(), message.as_ref()))]
    Rejected {
        /// The request's path.
        path: String,
        /// The status.
        status: u16,
        /// The API's code for it.
        code: Option<String>,
        /// The API's message.
        message: Option<String>,
    },
    /// 404 or 410 for a resource that must exist.
    #[error("`GET {path}` was answered with 404")]
    NotFound {
        /// The request's path.
        path: String,
    },
    /// A redirect to another host, port or scheme. It is not followed, because the key must not be
    /// sent elsewhere.
    #[error("`GET {path}` was redirected to `{to}`, which is another host")]
    Redirected {
        /// The request's path.
        path: String,
        /// Scheme and host of the target.
        to: String,
    },
    /// The last attempt failed: the limit on their number or on their duration is reached.
    #[error("failed to get `{path}` after {attempts} attempt{} in {}: {reason}", plural(*attempts), seconds(*elapsed))]
    Unavailable {
        /// The request's path.
        path: String,
        /// Number of attempts.
        attempts: u32,
        /// Time since the first attempt, waits included.
        elapsed: Duration,
        /// Why the last attempt failed.
        reason: String,
    },
    /// The API asks to wait longer than `api.max_rate_limit_wait_secs` allows.
    #[error("the API asks to wait {} before `GET {path}`", seconds(*wait))]
    RateLimited {
        /// The request's path.
        path: String,
        /// The wait that exceeds the limit.
        wait: Duration,
    },
    /// The body is larger than allowed.
    #[error("the body of `GET {path}` is larger than {limit} bytes")]
    TooLarge {
        /// The request's path.
        path: String,
        /// The limit, in bytes.
        limit: u64,
    },
    /// A response that cannot be used, such as a success status with a body that is not JSON.
    #[error("`GET {path}` was answered with {problem}")]
    Unusable {
        /// The request's path.
        path: String,
        /// What was received instead.
        problem: String,
    },
    /// 202 for a resource that must be there.
    #[error("`GET {path}` was answered with 202: it is not ready yet")]
    NotReady {
        /// The request's path.
        path: String,
    },
    /// A body in which no list of runs was found.
    #[error(
        "`GET {path}` was answered with a body in which no list of runs was found (its members: \
         {seen})"
    )]
    UnknownEnvelope {
        /// The request's path.
        path: String,
        /// The names of the body's members.
        seen: String,
    },
    /// Listed runs without ids.
    #[error("`GET {path}` listed runs without an id (tried: {tried}; members: {seen})")]
    NoId {
        /// The request's path.
        path: String,
        /// The paths tried.
        tried: String,
        /// The names of the members of the first row.
        seen: String,
    },
    /// Every page repeats the first one, although there are more runs.
    #[error("`GET {path}` returns the same page for any `page`, although there are more runs")]
    PageIgnored {
        /// The request's path.
        path: String,
    },
    /// More pages than any list can have.
    #[error("`GET {path}` did not end after {pages} pages")]
    Endless {
        /// The request's path.
        path: String,
        /// Number of pages read.
        pages: u32,
    },
    /// The request budget is used up.
    #[error("the budget of requests is spent ({requests} sent)")]
    BudgetSpent {
        /// Number of requests sent.
        requests: u64,
    },
    /// The deadline has passed.
    #[error("the deadline has passed")]
    DeadlinePassed,
    /// A stop was requested.
    #[error("interrupted")]
    Interrupted,
}

impl ApiError {
    /// Whether the error, if run after run meets it, likely concerns the whole API.
    pub fn is_systemic(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Refused { .. } | Self::Blocked { .. })
    }

    /// Whether the error concerns every request, so that further requests are pointless. The
    /// content of one response, or its redirect, concerns that response only. A 403 is not fatal,
    /// because it can concern one endpoint or one range.
    pub fn is_fatal(&self) -> bool {
        matches!(
            self,
            Self::Refused { status: 401, .. }
                | Self::RateLimited { .. }
                | Self::BudgetSpent { .. }
                | Self::DeadlinePassed
                | Self::Interrupted
        )
    }

    /// Whether the request budget or the deadline ended the request. Nothing failed then.
    pub fn is_budget(&self) -> bool {
        matches!(self, Self::BudgetSpent { .. } | Self::DeadlinePassed)
    }
}

fn plural(number: u32) -> &'static str {
    if number == 1 { "" } else { "s" }
}

fn said(code: Option<&String>, message: Option<&String>) -> String {
    match (code, message) {
        (Some(code), Some(message)) => format!(" ({code}: {message})"),
        (Some(text), None) | (None, Some(text)) => format!(" ({text})"),
        (None, None) => String::new(),
    }
}

fn seconds(duration: Duration) -> String {
    format!("{:.1}s", duration.as_secs_f64())
}
