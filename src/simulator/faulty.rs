//! Applies a fault plan: decides what each request gets.

use std::collections::HashMap;

use super::fault_plan::{Failures, FaultPlan, ListFaults};
use super::faults::{Answer, Asked, Endpoint, Rules};
use super::random::{Seeded, combine, mix};

const LIST_STREAM: u64 = 21;
const FAILURE_STREAM: u64 = 22;
const DATE_STREAM: u64 = 23;
const MOST_HIDDEN: usize = 8;

/// A truncated gzip stream: a stored block with `{"rows":[]}` that is not the last block, and then
/// neither a last block nor a checksum.
const CUT_GZIP: [u8; 26] = [
    0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff, 0, 11, 0, 0xf4, 0xff, b'{', b'"', b'r', b'o', b'w',
    b's', b'"', b':', b'[', b']', b'}',
];

const HTML: &str = "<!DOCTYPE html><html><head><title>Attention Required!</title></head>\
                    <body><h1>Sorry, you have been blocked</h1></body></html>";

/// What one request gets.
#[derive(Debug, Default)]
pub(super) struct Decision {
    /// Replaces or changes the correct response.
    pub(super) answer: Option<Answer>,
    /// Whether the key is revoked now.
    pub(super) is_revoked: bool,
    /// How the list deviates; `None` for other endpoints.
    pub(super) list: Option<Disturbance>,
    /// Seconds by which the `Date` header is off; `None` if it is not a valid date.
    pub(super) skew_seconds: Option<i64>,
}

impl Decision {
    pub(super) fn none() -> Self {
        Self { skew_seconds: Some(0), ..Self::default() }
    }
}

/// How the response to one request for the list deviates.
#[derive(Debug, Default)]
pub(super) struct Disturbance {
    /// Seconds by which the clock advances before it.
    pub(super) clock_step: u32,
    /// The random numbers that choose the run that leaves the list, and for how many requests it is
    /// missing.
    pub(super) vanishing: Option<(Seeded, u64)>,
    pub(super) repeats_page: bool,
    pub(super) is_empty: bool,
    pub(super) shuffle: Option<Seeded>,
    pub(super) oldest_first: bool,
    pub(super) total: Total,
}

/// What a list states about its length.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Total {
    #[default]
    Right,
    TooLow,
    TooHigh,
    Missing,
}

/// A run that is missing in the list for a while.
#[derive(Debug)]
struct Hidden {
    number: u64,
    /// The number of the list request from which it is listed again.
    until: u64,
}

/// The plan and its counts.
#[derive(Debug, Default)]
pub(super) struct Faulty {
    plan: FaultPlan,
    rules: Rules,
    requests: u64,
    lists: u64,
    hidden: Vec<Hidden>,
    /// How often each thing was requested, by the digest of its name.
    asked: HashMap<u64, u64>,
}

impl Faulty {
    pub(super) fn new(plan: FaultPlan) -> Self {
        let mut rules = Rules::default();
        for rule in plan.rules.iter().cloned() {
            rules.add(rule);
        }
        Self { plan, rules, ..Self::default() }
    }

    /// Counts a request, and decides what it gets.
    pub(super) fn decide(&mut self, asked: &Asked<'_>) -> Decision {
        self.requests += 1;
        if self.plan.end_after_requests.is_some_and(|end| self.requests > end) {
            self.hidden.clear();
            return Decision::none();
        }
        let thing = self.thing(asked);
        let draws = |stream| Seeded::new(combine(thing, stream));
        let clock = self.plan.clock;
        let is_unreadable = chance(&mut draws(DATE_STREAM), clock.unreadable_date_percent);
        let answer = self.rules.decide(asked);
        Decision {
            answer: answer.or_else(|| self.plan.failures.draw(&mut draws(FAILURE_STREAM))),
            is_revoked: self.is_revoked(),
            list: (asked.endpoint == Endpoint::Runs).then(|| self.disturbance()),
            skew_seconds: (!is_unreadable).then_some(clock.skew_seconds),
        }
    }

    /// Hides a run from the list, starting with this request.
    pub(super) fn hide(&mut self, number: u64, requests: u64) {
        if self.hidden.len() < MOST_HIDDEN {
            self.hidden.push(Hidden { number, until: self.lists.saturating_add(requests) });
        }
    }

    /// The numbers of the runs that are hidden now.
    pub(super) fn hidden(&self) -> Vec<u64> {
        self.hidden.iter().map(|hidden| hidden.number).collect()
    }

    fn is_revoked(&self) -> bool {
        let key = self.plan.key;
        key.revoked_after_requests.is_some_and(|after| {
            self.requests > after && self.requests - after <= key.revoked_for_requests
        })
    }

    /// A seed from what is requested, and how often it was requested.
    fn thing(&mut self, asked: &Asked<'_>) -> u64 {
        let name = asked.run_id.unwrap_or_default().bytes().map(u64::from);
        let parts = [asked.endpoint.number(), asked.page.map_or(0, |page| u64::from(page) + 1)];
        let thing = name.chain(parts).fold(mix(self.plan.seed), combine);
        let count = self.asked.entry(thing).or_default();
        *count += 1;
        combine(thing, *count)
    }

    fn disturbance(&mut self) -> Disturbance {
        self.lists += 1;
        let lists = self.lists;
        self.hidden.retain(|hidden| hidden.until > lists);
        let seed = combine(combine(self.plan.seed, LIST_STREAM), lists);
        self.plan.list.draw(&mut Seeded::new(seed))
    }
}

impl ListFaults {
    /// Always draws the same sequence of random numbers, so that changing one percentage does not
    /// shift the effects of the others.
    fn draw(&self, random: &mut Seeded) -> Disturbance {
        let step = u64::from(self.clock_step_seconds);
        let clock_step = u32::try_from(random.between(0, step)).unwrap_or(0);
        let vanishes = chance(random, self.vanish_percent);
        let repeats_page = chance(random, self.repeated_page_percent);
        let is_empty = chance(random, self.empty_page_percent);
        let is_shuffled = chance(random, self.shuffled_percent);
        let total = [
            (Total::TooLow, self.low_total_percent),
            (Total::TooHigh, self.high_total_percent),
            (Total::Missing, self.no_total_percent),
        ];
        let own = Seeded::new(random.draw());
        Disturbance {
            clock_step,
            vanishing: vanishes.then(|| (own.clone(), u64::from(self.vanish_requests))),
            repeats_page,
            is_empty,
            shuffle: is_shuffled.then_some(own),
            oldest_first: self.oldest_first,
            total: one_of(random, total).unwrap_or_default(),
        }
    }
}

/// The kinds of [`Failures`].
#[derive(Debug, Clone, Copy)]
enum Failure {
    RateLimitHeader,
    RateLimitDetails,
    RateLimitBody,
    RateLimitLong,
    ServerError,
    Reset,
    Stall,
    Drip,
    ShortLength,
    LongLength,
    CutGzip,
    HtmlRefusal,
    Html,
}

impl Failures {
    fn draw(&self, random: &mut Seeded) -> Option<Answer> {
        let kinds = [
            (Failure::RateLimitHeader, self.rate_limit_header_percent),
            (Failure::RateLimitDetails, self.rate_limit_details_percent),
            (Failure::RateLimitBody, self.rate_limit_body_percent),
            (Failure::RateLimitLong, self.rate_limit_long_percent),
            (Failure::ServerError, self.server_error_percent),
            (Failure::Reset, self.reset_percent),
            (Failure::Stall, self.stall_percent),
            (Failure::Drip, self.drip_percent),
            (Failure::ShortLength, self.short_length_percent),
            (Failure::LongLength, self.long_length_percent),
            (Failure::CutGzip, self.cut_gzip_percent),
            (Failure::HtmlRefusal, self.html_refusal_percent),
            (Failure::Html, self.html_percent),
        ];
        let kind = one_of(random, kinds)?;
        Some(self.answer(kind, random))
    }

    fn answer(&self, failure: Failure, random: &mut Seeded) -> Answer {
        let wait = self.retry_after_seconds;
        let limited = |header: Option<f64>, body: String| Answer::Status {
            status: 429,
            headers: header
                .map(|wait| ("Retry-After".to_owned(), wait.to_string()))
                .into_iter()
                .collect(),
            body,
        };
        let cut = usize::try_from(random.between(1, 400)).unwrap_or(1);
        match failure {
            Failure::RateLimitHeader => limited(Some(wait), String::new()),
            Failure::RateLimitDetails => limited(
                None,
                format!(
                    r#"{{"error":{{"code":"rate_limited","details":{{"retryAfterSec":{wait}}}}}}}"#
                ),
            ),
            Failure::RateLimitBody => {
                limited(None, format!(r#"{{"error":"slow down","retryAfterSec":{wait}}}"#))
            }
            Failure::RateLimitLong => {
                limited(Some(self.long_retry_after_seconds.into()), String::new())
            }
            Failure::ServerError => {
                let status = *[500, 502, 503].get(cut % 3).unwrap_or(&500);
                Answer::Status { status, headers: vec![], body: String::new() }
            }
            Failure::Reset => Answer::Reset { after_bytes: cut },
            Failure::Stall => Answer::Stall { seconds: self.stall_seconds },
            Failure::Drip => Answer::Drip { bytes_per_second: self.drip_bytes_per_second },
            Failure::ShortLength => Answer::Shorten { bytes: cut },
            Failure::LongLength => Answer::Overstate { bytes: cut },
            Failure::CutGzip => Answer::Body {
                status: 200,
                headers: vec![("Content-Encoding".to_owned(), "gzip".to_owned())],
                bytes: CUT_GZIP.to_vec(),
            },
            Failure::HtmlRefusal => html(403),
            Failure::Html => html(200),
        }
    }
}

fn html(status: u16) -> Answer {
    let headers = vec![("Content-Type".to_owned(), "text/html; charset=UTF-8".to_owned())];
    Answer::Status { status, headers, body: HTML.to_owned() }
}

/// True in this percentage of cases, fractions included.
fn chance(random: &mut Seeded, percent: f64) -> bool {
    below_hundred(random) < percent
}

/// One of several kinds by their percentages, or `None`.
fn one_of<K: Copy>(random: &mut Seeded, kinds: impl IntoIterator<Item = (K, f64)>) -> Option<K> {
    let drawn = below_hundred(random);
    let mut sum = 0.0;
    kinds.into_iter().find_map(|(kind, percent)| {
        sum += percent;
        (drawn < sum).then_some(kind)
    })
}

fn below_hundred(random: &mut Seeded) -> f64 {
    let millionths = u32::try_from(random.below(1_000_000)).unwrap_or(0);
    f64::from(millionths) / 10_000.0
}
