//! What a static server answers: any number of runs, copied from simulated ones when asked for.
//!
//! Each has an id of its own, and a start of its own in the last 29 days. A hundred thousand runs
//! so need little more memory than the simulated ones.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use crate::large;
use crate::simulated::{DOCUMENTS, Simulated, SimulatedRun, TRACE};

/// The base path of the API.
pub(crate) const BASE: &str = "/api/armature/v1";

/// Rows on a page, whatever is asked for.
const PAGE: usize = 100;

const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;

/// How old the newest and the oldest run are. No run is so young that it could wait for its
/// evaluation.
const YOUNGEST: i64 = 90 * MINUTE;
const OLDEST: i64 = 29 * DAY;

/// Neighbours in the list are copies of simulated runs that are far from each other, and runs of
/// all ages are among the copied ones. A prime, so that none is left out.
const STRIDE: usize = 7_919;

/// A run whose trace is far larger than all others.
#[derive(Debug)]
struct Large {
    number: usize,
    trace: Bytes,
}

/// Runs by number, the newest first.
#[derive(Debug)]
pub(crate) struct Corpus {
    simulated: Arc<Simulated>,
    ids: Vec<Uuid>,
    numbers: HashMap<Uuid, usize>,
    /// Milliseconds since 1970.
    newest: i64,
    /// From the start of a run to that of the next newer one.
    step: i64,
    large: Option<Large>,
}

impl Corpus {
    pub(crate) fn new(simulated: Arc<Simulated>, runs: usize) -> Self {
        let mut random = fastrand::Rng::with_seed(7);
        let id = |_| uuid::Builder::from_random_bytes(random.u128(..).to_be_bytes()).into_uuid();
        let ids: Vec<Uuid> = (0..runs).map(id).collect();
        let numbers = ids.iter().enumerate().map(|(number, id)| (*id, number)).collect();
        let newest = chrono::Utc::now().timestamp_millis() - YOUNGEST;
        let step = (OLDEST - YOUNGEST) / i64::try_from(runs.max(1)).unwrap();
        Self { simulated, ids, numbers, newest, step, large: None }
    }

    /// The same with a start every so many milliseconds.
    pub(crate) fn with_step(mut self, step: i64) -> Self {
        self.step = step;
        self
    }

    /// When the oldest run started, in milliseconds since 1970.
    pub(crate) fn oldest(&self) -> i64 {
        self.start(self.runs().saturating_sub(1))
    }

    /// The same with a trace of so many bytes for the run with this number.
    pub(crate) fn with_large(mut self, number: usize, bytes: usize) -> Self {
        let trace = large::trace(&self.ids[number].to_string(), self.start(number), bytes).into();
        self.large = Some(Large { number, trace });
        self
    }

    pub(crate) fn runs(&self) -> usize {
        self.ids.len()
    }

    /// What nobody can export these runs without: every page and the empty one behind them, four
    /// documents of each run, and what stands beside the runs.
    pub(crate) fn least_requests(&self) -> usize {
        self.pages() + 1 + DOCUMENTS.len() * self.runs() + self.simulated.fixed.len()
    }

    /// The answer to a request; `None` for 404.
    pub(crate) fn answer(&self, path: &str, query: Option<&str>) -> Option<Bytes> {
        let path = path.strip_prefix(BASE)?;
        if path == "/runs" {
            return Some(self.page(query.unwrap_or_default()).into());
        }
        match path.strip_prefix("/runs/") {
            Some(document) => self.document(document),
            None => self.simulated.fixed.get(path).cloned(),
        }
    }

    /// Whether a path is that of a document of the large run.
    pub(crate) fn is_large(&self, path: &str) -> bool {
        let large = self.large.as_ref().map(|large| self.ids[large.number].to_string());
        large.is_some_and(|id| path.contains(&id))
    }

    /// Every path with a body that a first export asks for.
    pub(crate) fn paths(&self) -> impl Iterator<Item = String> {
        let pages = (1..=self.pages()).map(|page| format!("/runs?range=30d&page={page}"));
        let fixed = self.simulated.fixed.keys().map(|path| (*path).to_owned());
        let documents = self.ids.iter().enumerate().flat_map(|(number, id)| {
            let documents = &self.simulated_run(number).documents;
            let there = documents.iter().zip(DOCUMENTS).filter(|(document, _)| document.is_some());
            there.map(move |(_, rest)| format!("/runs/{id}{rest}"))
        });
        pages.chain(fixed).chain(documents)
    }

    fn pages(&self) -> usize {
        self.runs().div_ceil(PAGE)
    }

    fn simulated_run(&self, number: usize) -> &SimulatedRun {
        let runs = &self.simulated.runs;
        &runs[number * STRIDE % runs.len()]
    }

    fn start(&self, number: usize) -> i64 {
        self.newest - self.step * i64::try_from(number).unwrap()
    }

    /// By how much the instants of the simulated run are moved.
    fn shift(&self, number: usize) -> i64 {
        self.start(number) - self.simulated_run(number).start
    }

    fn document(&self, path: &str) -> Option<Bytes> {
        let (id, rest) = path.split_at_checked(uuid::fmt::Hyphenated::LENGTH)?;
        let number = *self.numbers.get(&Uuid::try_parse(id).ok()?)?;
        let position = DOCUMENTS.iter().position(|document| *document == rest)?;
        let large = self.large.as_ref().filter(|large| large.number == number);
        if let Some(large) = large.filter(|_| position == TRACE) {
            return Some(large.trace.clone());
        }
        let template = self.simulated_run(number).documents[position].as_ref()?;
        Some(template.fill(id, self.shift(number)).into())
    }

    fn page(&self, query: &str) -> Vec<u8> {
        let of = |name| query.split('&').find_map(|pair| pair.strip_prefix(name));
        let page = of("page=").and_then(|page| page.parse().ok()).unwrap_or(1_usize).max(1);
        let total = self.runs_since(of("range="));
        let mut body = format!(r#"{{"page":{page},"pageSize":{PAGE},"rows":["#).into_bytes();
        let mut id = Uuid::encode_buffer();
        let rows = ((page - 1) * PAGE).min(total)..(page * PAGE).min(total);
        for number in rows.clone() {
            if number > rows.start {
                body.push(b',');
            }
            let id = self.ids[number].hyphenated().encode_lower(&mut id);
            self.simulated_run(number).row.append(&mut body, id, self.shift(number));
        }
        body.extend_from_slice(format!(r#"],"total":{total}}}"#).as_bytes());
        body
    }

    /// How many runs a range holds, by their start.
    fn runs_since(&self, range: Option<&str>) -> usize {
        let days = match range {
            None | Some("24h") => 1,
            Some("7d") => 7,
            Some(_) => 30,
        };
        let from = chrono::Utc::now().timestamp_millis() - days * DAY;
        let whole = (self.newest - from).div_euclid(self.step.max(1)) + 1;
        usize::try_from(whole.max(0)).unwrap().min(self.runs())
    }
}
