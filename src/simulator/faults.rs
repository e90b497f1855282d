//! Single faults: what happens to which requests, and when.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// An operation of the API.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    /// Every operation, and paths that the API does not have.
    #[default]
    Any,
    /// `GET /org`
    Organization,
    /// `GET /runs`
    Runs,
    /// `GET /runs/{id}`
    Run,
    /// `GET /runs/{id}/trace`
    Trace,
    /// `GET /runs/{id}/evaluation`
    Evaluation,
    /// `GET /runs/{id}/tool-calls`
    ToolCalls,
    /// `GET /workflows`
    Workflows,
    /// `GET /mcp-servers`
    McpServers,
    /// `GET /openapi`
    OpenApi,
    /// `POST /workflows/{id}/runs`. A fault with a status of its own, or a redirect, comes instead of
    /// the dispatch; any other fault changes the answer after it.
    Dispatch,
}

impl Endpoint {
    /// A unique number, for seeds.
    pub(super) const fn number(self) -> u64 {
        match self {
            Self::Any => 0,
            Self::Organization => 1,
            Self::Runs => 2,
            Self::Run => 3,
            Self::Trace => 4,
            Self::Evaluation => 5,
            Self::ToolCalls => 6,
            Self::Workflows => 7,
            Self::McpServers => 8,
            Self::OpenApi => 9,
            Self::Dispatch => 10,
        }
    }
}

/// What is sent instead of the correct response, or how it is changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Answer {
    /// Another response. `Content-Type` is `application/json` unless given.
    Status {
        /// The status code.
        status: u16,
        /// Header names and values.
        #[serde(default)]
        headers: Vec<(String, String)>,
        /// The body.
        #[serde(default)]
        body: String,
    },
    /// Another response with any bytes, valid UTF-8 or not.
    Body {
        /// The status code.
        status: u16,
        /// Header names and values.
        #[serde(default)]
        headers: Vec<(String, String)>,
        /// The body.
        bytes: Vec<u8>,
    },
    /// The correct body, truncated to this many bytes, with a `Content-Length` that matches.
    Truncate {
        /// Bytes that are kept.
        bytes: usize,
    },
    /// The correct body without its last bytes, with a `Content-Length` that matches: what a client
    /// receives of a body that is longer than declared.
    Shorten {
        /// Bytes that are missing.
        bytes: usize,
    },
    /// The whole body with a `Content-Length` that is longer; then the connection ends.
    Overstate {
        /// Bytes by which it is longer.
        bytes: usize,
    },
    /// The correct `Content-Length`; the connection breaks after this many bytes of the body.
    Reset {
        /// Bytes that are sent.
        after_bytes: usize,
    },
    /// The correct response after a delay.
    Stall {
        /// The delay in seconds.
        seconds: f64,
    },
    /// The correct response with a delay in the middle of its body.
    StallBody {
        /// Bytes that are sent before the delay.
        after_bytes: usize,
        /// The delay in seconds.
        seconds: f64,
    },
    /// The correct response, sent slowly.
    Drip {
        /// The speed of the body, in bytes per second.
        bytes_per_second: u32,
    },
    /// A redirect.
    Redirect {
        /// The status code, e.g. 302 or 308.
        status: u16,
        /// The `Location` header.
        location: String,
    },
}

impl Answer {
    /// Whether the answer comes instead of what the request asks for.
    pub(super) const fn replaces(&self) -> bool {
        matches!(self, Self::Status { .. } | Self::Body { .. } | Self::Redirect { .. })
    }
}

/// A fault: the requests that it affects, and what they get.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The operation that is affected.
    #[serde(default)]
    pub endpoint: Endpoint,
    /// Only requests for this run (its id, decoded).
    #[serde(default)]
    pub run_id: Option<String>,
    /// Only this page of the list; a request without `page` requests the first page.
    #[serde(default)]
    pub page: Option<u32>,
    /// The number of matching requests that are not affected first.
    #[serde(default)]
    pub skip: u32,
    /// The number of matching requests that are affected after that; `None` for all.
    #[serde(default)]
    pub times: Option<u32>,
    /// What an affected request gets.
    pub answer: Answer,
}

impl Rule {
    /// A rule that affects every request to `endpoint`.
    #[must_use]
    pub const fn new(endpoint: Endpoint, answer: Answer) -> Self {
        Self { endpoint, run_id: None, page: None, skip: 0, times: None, answer }
    }

    fn matches(&self, asked: &Asked<'_>) -> bool {
        (self.endpoint == Endpoint::Any || self.endpoint == asked.endpoint)
            && self.run_id.as_deref().is_none_or(|id| asked.run_id == Some(id))
            && self.page.is_none_or(|page| asked.page == Some(page))
    }
}

/// The properties of a request that rules examine.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) endpoint: Endpoint,
    pub(super) run_id: Option<&'a str>,
    pub(super) page: Option<u32>,
}

/// The rules and their counts, in the order in which they were added.
#[derive(Debug, Default)]
pub(super) struct Rules {
    live: Vec<Rule>,
}

impl Rules {
    pub(super) fn add(&mut self, rule: Rule) {
        self.live.push(rule);
    }

    pub(super) fn clear(&mut self) {
        self.live.clear();
    }

    /// The answer of the first active rule that affects this request. The request is counted.
    pub(super) fn decide(&mut self, asked: &Asked<'_>) -> Option<Answer> {
        for rule in self.live.iter_mut().filter(|rule| rule.matches(asked)) {
            if rule.skip > 0 {
                rule.skip -= 1;
                continue;
            }
            match &mut rule.times {
                Some(0) => continue,
                Some(left) => *left -= 1,
                None => {}
            }
            return Some(rule.answer.clone());
        }
        None
    }
}

/// Seconds as a duration; zero for a number that is not a duration.
pub(super) fn duration(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(status: u16) -> Answer {
        Answer::Status { status, headers: vec![], body: String::new() }
    }

    const fn asked(endpoint: Endpoint, run_id: Option<&str>, page: Option<u32>) -> Asked<'_> {
        Asked { endpoint, run_id, page }
    }

    #[test]
    fn the_first_live_rule_wins_and_is_counted() {
        let mut rules = Rules::default();
        rules.add(Rule { skip: 1, times: Some(2), ..Rule::new(Endpoint::Run, status(500)) });
        rules.add(Rule { run_id: Some("a".into()), ..Rule::new(Endpoint::Any, status(429)) });
        let run = asked(Endpoint::Run, Some("a"), None);
        let answers: Vec<_> = (0..4).map(|_| rules.decide(&run)).collect();
        let expected = [429, 500, 500, 429].map(|code| Some(status(code)));
        assert_eq!(answers, expected);
        assert_eq!(rules.decide(&asked(Endpoint::Trace, Some("b"), None)), None);
        rules.clear();
        assert_eq!(rules.decide(&run), None);
    }

    #[test]
    fn pages_are_told_apart() {
        let mut rules = Rules::default();
        rules.add(Rule { page: Some(2), ..Rule::new(Endpoint::Runs, status(500)) });
        assert!(rules.decide(&asked(Endpoint::Runs, None, Some(1))).is_none());
        assert!(rules.decide(&asked(Endpoint::Runs, None, Some(2))).is_some());
    }

    #[test]
    fn rules_can_be_written_as_json() {
        let text = r#"{"endpoint": "tool_calls", "times": 1,
                       "answer": {"kind": "reset", "after_bytes": 10}}"#;
        let rule: Rule = serde_json::from_str(text).unwrap();
        let answer = Answer::Reset { after_bytes: 10 };
        assert_eq!(rule, Rule { times: Some(1), ..Rule::new(Endpoint::ToolCalls, answer) });
    }
}
