//! Why the API gave no answer.

use std::time::Duration;

/// A request that came to nothing. No message holds the key or a value from a body.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ApiError {
    /// The base URL cannot be used.
    #[error("the API URL `{url}` cannot be used: {problem}")]
    Url {
        /// As configured.
        url: String,
        /// Why.
        problem: String,
    },
    /// The HTTP client cannot be set up.
    #[error("failed to set up the HTTP client: {0}")]
    Setup(String),
    /// HTTPS needs CA certificates, and this machine has none.
    #[error("no CA certificates were found, which HTTPS needs; looked in {looked_in}")]
    NoCertificates {
        /// Where they were looked for.
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
        /// The API's words.
        message: Option<String>,
    },
    /// 403 without a JSON body: not the API speaks, but what stands before it.
    #[error(
        "something in front of the API blocked `GET {path}` with {status} and no JSON{}",
        trace.as_ref().map(|id| format!(" ({id})")).unwrap_or_default()
    )]
    Blocked {
        /// The request's path.
        path: String,
        /// The status.
        status: u16,
        /// The request's id there, where one was given.
        trace: Option<String>,
    },
    /// 400 and its kin.
    #[error("the API rejected `GET {path}` with {status}{}", said(code.as_ref(), message.as_ref()))]
    Rejected {
        /// The request's path.
        path: String,
        /// The status.
        status: u16,
        /// The API's code for it.
        code: Option<String>,
        /// The API's words.
        message: Option<String>,
    },
    /// 404 where there must be something.
    #[error("`GET {path}` was answered with 404")]
    NotFound {
        /// The request's path.
        path: String,
    },
    /// A redirect to another host, port or scheme. It is not followed: the key goes nowhere else.
    #[error("`GET {path}` was redirected to `{to}`, which is another host")]
    Redirected {
        /// The request's path.
        path: String,
        /// Scheme and host of the target.
        to: String,
    },
    /// Tried as often and as long as allowed.
    #[error("failed to get `{path}` after {attempts} attempt{} in {}: {reason}", plural(*attempts), seconds(*elapsed))]
    Unavailable {
        /// The request's path.
        path: String,
        /// How often it was tried.
        attempts: u32,
        /// How long.
        elapsed: Duration,
        /// What went wrong the last time.
        reason: String,
    },
    /// The API asks for more patience than allowed.
    #[error("the API asks to wait {} before `GET {path}`", seconds(*wait))]
    RateLimited {
        /// The request's path.
        path: String,
        /// How long.
        wait: Duration,
    },
    /// The body is larger than allowed.
    #[error("the body of `GET {path}` is larger than {limit} bytes")]
    TooLarge {
        /// The request's path.
        path: String,
        /// The limit.
        limit: u64,
    },
    /// A good status with a body that cannot be used.
    #[error("`GET {path}` was answered with {problem}")]
    Unusable {
        /// The request's path.
        path: String,
        /// What the body is instead.
        problem: String,
    },
    /// 202 where there must be something.
    #[error("`GET {path}` was answered with 202: it is not ready yet")]
    NotReady {
        /// The request's path.
        path: String,
    },
    /// A list in no wrapping that is known.
    #[error(
        "`GET {path}` was answered with a body in which no list of runs was found (its members: \
         {seen})"
    )]
    UnknownEnvelope {
        /// The request's path.
        path: String,
        /// The names of the members.
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
    /// Every page is the first page.
    #[error("`GET {path}` gives the same page whatever `page` is, though there are more runs")]
    PageIgnored {
        /// The request's path.
        path: String,
    },
    /// More pages than any list can have.
    #[error("`GET {path}` did not end after {pages} pages")]
    Endless {
        /// The request's path.
        path: String,
        /// How many were read.
        pages: u32,
    },
    /// As many requests were sent as are allowed.
    #[error("the budget of requests is spent ({requests} sent)")]
    BudgetSpent {
        /// How many.
        requests: u64,
    },
    /// The time that was allowed is over.
    #[error("the deadline has come")]
    DeadlinePassed,
    /// Somebody asked to stop.
    #[error("interrupted")]
    Interrupted,
}

impl ApiError {
    /// Whether the trouble, met by run after run, is likely the whole API's.
    pub fn may_be_everywhere(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Refused { .. } | Self::Blocked { .. })
    }

    /// Whether the trouble is the whole API's, so that asking on is pointless. What one response
    /// holds, or where it redirects to, concerns that response only.
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

    /// Whether only the budget ended it: nothing is wrong.
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
