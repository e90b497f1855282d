//! What can be made to go wrong, and when.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// An operation of the API.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    /// All of them; paths that the API does not have, too.
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
}

impl Endpoint {
    /// A number of its own, for seeds.
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
        }
    }
}

/// What is sent instead of, or around, the right response.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Answer {
    /// A response of its own. `Content-Type` is `application/json` unless given.
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
    /// The same with any bytes, valid UTF-8 or not.
    Body {
        /// The status code.
        status: u16,
        /// Header names and values.
        #[serde(default)]
        headers: Vec<(String, String)>,
        /// The body.
        bytes: Vec<u8>,
    },
    /// The right body cut after so many bytes, with a `Content-Length` that matches the cut.
    Truncate {
        /// The bytes that are kept.
        bytes: usize,
    },
    /// The right body without its last bytes, with a `Content-Length` that matches what is left:
    /// what a client receives of a body that is longer than declared.
    Shorten {
        /// The bytes that are missing.
        bytes: usize,
    },
    /// The whole body under a `Content-Length` that is longer, then the connection ends.
    Overstate {
        /// By how many bytes it is longer.
        bytes: usize,
    },
    /// The right length is declared, then the connection breaks after so many bytes of the body.
    Reset {
        /// The bytes that are sent.
        after_bytes: usize,
    },
    /// The right response, after so long a silence.
    Stall {
        /// Seconds.
        seconds: f64,
    },
    /// The right response with a silence in the middle of its body.
    StallBody {
        /// The bytes that are sent at once.
        after_bytes: usize,
        /// Seconds.
        seconds: f64,
    },
    /// The right response, slowly.
    Drip {
        /// The speed of the body.
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

/// A fault: which requests it hits, and what they get.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The operation that is hit.
    #[serde(default)]
    pub endpoint: Endpoint,
    /// Only requests about this run (its id, decoded).
    #[serde(default)]
    pub run_id: Option<String>,
    /// Only this page of the list; a request without `page` asks for the first one.
    #[serde(default)]
    pub page: Option<u32>,
    /// How many matching requests are let through first.
    #[serde(default)]
    pub skip: u32,
    /// How many matching requests are hit after that; `None` for all.
    #[serde(default)]
    pub times: Option<u32>,
    /// What a request that is hit gets.
    pub answer: Answer,
}

impl Rule {
    /// A rule that hits every request to `endpoint`.
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

/// What rules can see of a request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) endpoint: Endpoint,
    pub(super) run_id: Option<&'a str>,
    pub(super) page: Option<u32>,
}

/// The rules with their counts, in the order in which they were added.
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

    /// The answer of the first live rule that hits this request, which is counted.
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

/// Seconds as a duration; none for what is no duration.
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
