//! Sweep and fan-out side by side: the list is read as fast as it comes, and kept small; runs are
//! fetched as fast as whoever writes them can take them.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::decide::{Decision, decide};
use super::fetch::{FetchPolicy, Outcome, Wanted, fetch_run};
use super::follow::unlisted;
use super::sweep::{Sweep, SweepTally};
use super::{ListedRun, Window};
use crate::api::{ApiError, Client, ListedRow};
use crate::config::Filters;
use crate::digest::id_key;
use crate::event::Event;
use crate::json::Node;
use crate::ledger::{Ledger, RunState};
use crate::run::Resource;

/// What to extract.
#[derive(Clone, Debug)]
pub struct ExtractionPlan {
    /// The API.
    pub client: Client,
    /// How far back to list.
    pub window: Window,
    /// Whether a smaller range may be listed where the API refuses the window's.
    pub may_shrink_range: bool,
    /// Which runs.
    pub filters: Filters,
    /// How patient to be.
    pub policy: FetchPolicy,
    /// What is known of every run. It does not change while the extraction goes on.
    pub ledger: Ledger,
    /// Runs in flight at once.
    pub concurrency: usize,
}

/// What comes out, run by run.
#[derive(Debug)]
pub enum Extracted {
    /// Runs that were listed and need nothing.
    Unchanged {
        /// How many.
        runs: u64,
    },
    /// A run that has not ended.
    Open {
        /// As it was listed.
        seen: ListedRun,
    },
    /// A run that was fetched, or could not be.
    Done {
        /// What was wanted.
        wanted: Box<Wanted>,
        /// What came of it.
        outcome: Box<Outcome>,
    },
    /// The sweep came to its end.
    Swept(SweepTally),
    /// The extraction came to its end: nothing is missing of what it set out to do.
    Finished,
    /// The extraction ends here, before its end. What came out so far is good.
    Stopped(ApiError),
    /// A task of it panicked, or ended without a word: a fault of this program.
    Broken(String),
}

/// An extraction under way. Dropping it ends it.
#[derive(Debug)]
pub struct Extraction {
    output: mpsc::Receiver<Extracted>,
    /// Ends with the supervising task, which ends all others.
    _tasks: JoinSet<()>,
}

/// Runs that the sweep has found and the fan-out has not begun to fetch. Where requests are
/// limited, the sweep waits for it to shrink: pages of the list must not eat what runs need.
#[derive(Debug)]
struct Backlog(watch::Sender<usize>);

impl Backlog {
    fn add(&self, runs: usize) {
        self.0.send_modify(|backlog| *backlog += runs);
    }

    fn take_one(&self) {
        self.0.send_modify(|backlog| *backlog = backlog.saturating_sub(1));
    }

    async fn wait_until_at_most(&self, runs: usize) {
        // The sender lives as long as whoever waits.
        let mut backlog = self.0.subscribe();
        let _closed = backlog.wait_for(|backlog| *backlog <= runs).await;
    }
}

/// What the sweep hands to the fan-out.
enum Queued {
    Page { unchanged: u64, open: Vec<ListedRun>, wanted: PackedRows },
    Swept(Result<(SweepTally, HashSet<u128>), ApiError>),
}

/// Rows that wait for their turn, compressed: a hundred thousand of them must not fill memory.
struct PackedRows(Vec<u8>);

/// So many runs in a row that cannot be had, and none that can: the API is down.
const FAILURES_IN_A_ROW: usize = 16;

impl Extraction {
    /// Starts an extraction.
    pub fn start(plan: ExtractionPlan) -> Self {
        let (send, output) = mpsc::channel(plan.concurrency.max(4));
        let (queue, queued) = mpsc::unbounded_channel();
        let backlog = Arc::new(Backlog(watch::Sender::new(0)));
        let mut work = JoinSet::new();
        work.spawn(sweep(plan.clone(), queue, Arc::clone(&backlog)));
        let last = send.clone();
        work.spawn(async move {
            let mut fan_out = FanOut::new(plan, send, backlog);
            let end = match fan_out.run(queued).await {
                Ok(()) => Extracted::Finished,
                Err(Ended::ByApi(error)) => Extracted::Stopped(error),
                Err(Ended::ByFault(fault)) => Extracted::Broken(fault),
            };
            fan_out.send(end).await;
        });
        let mut tasks = JoinSet::new();
        // A panic anywhere must not look like an end that came early.
        tasks.spawn(async move {
            while let Some(ended) = work.join_next().await {
                if let Err(fault) = ended {
                    let _dropped = last.send(Extracted::Broken(described(&fault))).await;
                }
            }
        });
        Self { output, _tasks: tasks }
    }

    /// What comes next. The last is [`Extracted::Finished`], [`Extracted::Stopped`] or
    /// [`Extracted::Broken`]; a channel that closes before one of them is a fault, too.
    pub async fn next(&mut self) -> Extracted {
        let closed = || Extracted::Broken("the extraction ended without a result".to_owned());
        self.output.recv().await.unwrap_or_else(closed)
    }
}

/// What became of a task, without the words of its panic: they can hold data.
fn described(fault: &tokio::task::JoinError) -> String {
    if fault.is_panic() { "a task panicked" } else { "a task was cancelled" }.to_owned()
}

/// Why the fan-out ended before its end.
enum Ended {
    ByApi(ApiError),
    ByFault(String),
}

impl From<ApiError> for Ended {
    fn from(error: ApiError) -> Self {
        Self::ByApi(error)
    }
}

async fn sweep(plan: ExtractionPlan, queue: mpsc::UnboundedSender<Queued>, backlog: Arc<Backlog>) {
    let is_limited = plan.client.requests_left().is_some();
    let wait = || async {
        if is_limited {
            backlog.wait_until_at_most(plan.concurrency).await;
        }
    };
    let sweep = Sweep {
        client: &plan.client,
        window: plan.window,
        may_shrink: plan.may_shrink_range,
        filters: &plan.filters,
        paths: &plan.policy.paths,
    };
    let result = sweep
        .run(wait, |runs| {
            let (page, wanted) = sort_page(&plan, runs);
            backlog.add(wanted);
            // Nobody receives any more only where the extraction has ended.
            let _ended = queue.send(page);
        })
        .await;
    let _ended = queue.send(Queued::Swept(result));
}

/// A page for the fan-out, and how many runs it has to fetch.
fn sort_page(plan: &ExtractionPlan, runs: Vec<ListedRun>) -> (Queued, usize) {
    let (mut unchanged, mut open, mut wanted) = (0, Vec::new(), Vec::new());
    for run in runs {
        match decide(&run, plan.ledger.get(&run.run_id).as_ref(), plan.policy.now) {
            Decision::Unchanged => unchanged += 1,
            Decision::Open => open.push(run.detached()),
            Decision::Fetch | Decision::CheckEvaluation => wanted.push(run),
        }
    }
    let count = u64::try_from(wanted.len()).unwrap_or(u64::MAX);
    if count > 0 {
        plan.client.events().emit(Event::RunsQueued { runs: count });
    }
    let packed = PackedRows::pack(&wanted);
    (Queued::Page { unchanged, open, wanted: packed }, wanted.len())
}

impl PackedRows {
    fn pack(runs: &[ListedRun]) -> Self {
        let mut text = Vec::new();
        for run in runs {
            text.push(if text.is_empty() { b'[' } else { b',' });
            text.extend_from_slice(&run.body);
        }
        if !text.is_empty() {
            text.push(b']');
        }
        // Compressing a slice in memory has nothing that could fail; if it did, the text serves.
        Self(zstd::bulk::compress(&text, 1).unwrap_or(text))
    }

    fn unpack(&self, plan: &ExtractionPlan) -> Vec<Wanted> {
        let text = zstd::stream::decode_all(self.0.as_slice()).unwrap_or_else(|_| self.0.clone());
        let text = Bytes::from(text);
        let rows = Node::parse(&text).ok().and_then(Node::elements).unwrap_or_default();
        let wanted = rows.iter().filter_map(|row| {
            let paths = &plan.policy.paths;
            let run_id = paths.run_id.iter().find_map(|path| row.at(path)?.scalar_text())?;
            let body = text.slice_ref(row.source().as_bytes());
            let row = ListedRow { run_id: run_id.into_owned(), body };
            Some(wanted(plan, ListedRun::read(row, paths)))
        });
        wanted.collect()
    }
}

fn wanted(plan: &ExtractionPlan, run: ListedRun) -> Wanted {
    let known = plan.ledger.get(&run.run_id);
    let decision = decide(&run, known.as_ref(), plan.policy.now);
    Wanted {
        run_id: run.run_id.clone(),
        listed: Some(run),
        known,
        only_with_evaluation: decision == Decision::CheckEvaluation,
    }
}

type Fetching = (Wanted, Result<Outcome, ApiError>);

struct FanOut {
    plan: Arc<ExtractionPlan>,
    output: mpsc::Sender<Extracted>,
    pages: VecDeque<PackedRows>,
    ready: VecDeque<Wanted>,
    /// Runs that were not listed: they come after those that were.
    unlisted: VecDeque<Wanted>,
    running: JoinSet<Fetching>,
    failures_in_a_row: usize,
    backlog: Arc<Backlog>,
    /// Whether the sweep has found the budget spent.
    spent: bool,
}

impl FanOut {
    fn new(plan: ExtractionPlan, output: mpsc::Sender<Extracted>, backlog: Arc<Backlog>) -> Self {
        Self {
            backlog,
            spent: false,
            plan: Arc::new(plan),
            output,
            pages: VecDeque::new(),
            ready: VecDeque::new(),
            unlisted: VecDeque::new(),
            running: JoinSet::new(),
            failures_in_a_row: 0,
        }
    }

    async fn run(&mut self, mut queue: mpsc::UnboundedReceiver<Queued>) -> Result<(), Ended> {
        let mut listing = true;
        loop {
            let is_spent = self.spent || self.start_runs();
            if self.running.is_empty() && (is_spent || !listing) {
                return if is_spent { Err(self.budget_spent().into()) } else { Ok(()) };
            }
            tokio::select! {
                biased;
                queued = queue.recv(), if listing => {
                    let Some(queued) = queued else {
                        let fault = "the list's task ended without a result";
                        return Err(Ended::ByFault(fault.to_owned()));
                    };
                    listing = self.take(queued).await?;
                }
                Some(done) = self.running.join_next(), if !self.running.is_empty() => {
                    self.finish(done).await?;
                }
            }
        }
    }

    /// Begins to fetch as many runs as may be under way. Returns whether there are more, and the
    /// requests that are left are not enough for another whole run.
    fn start_runs(&mut self) -> bool {
        while self.running.len() < self.plan.concurrency {
            if self.ready.is_empty() {
                match self.pages.pop_front() {
                    Some(page) => self.ready.extend(page.unpack(&self.plan)),
                    None if self.unlisted.is_empty() => return false,
                    None => self.ready.append(&mut self.unlisted),
                }
            }
            if self.ready.is_empty() {
                continue;
            }
            let needed = Resource::FETCHED.len() * (self.running.len() + 1);
            let left = self.plan.client.requests_left();
            if left.is_some_and(|left| left < u64::try_from(needed).unwrap_or(u64::MAX)) {
                return true;
            }
            let Some(wanted) = self.ready.pop_front() else { continue };
            self.backlog.take_one();
            let plan = Arc::clone(&self.plan);
            self.running.spawn(async move {
                let fetched = fetch_run(&plan.client, &wanted, &plan.policy).await;
                (wanted, fetched)
            });
        }
        false
    }

    fn budget_spent(&self) -> ApiError {
        ApiError::BudgetSpent { requests: self.plan.client.traffic().requests }
    }

    /// Returns whether more will come from the sweep.
    async fn take(&mut self, queued: Queued) -> Result<bool, ApiError> {
        match queued {
            Queued::Page { unchanged, open, wanted } => {
                self.pages.push_back(wanted);
                if unchanged > 0 {
                    self.send(Extracted::Unchanged { runs: unchanged }).await;
                }
                for seen in open {
                    self.send(Extracted::Open { seen }).await;
                }
                Ok(true)
            }
            Queued::Swept(Ok((report, listed))) => {
                self.send(Extracted::Swept(report)).await;
                let unlisted = unlisted(
                    &self.plan.ledger,
                    |id| listed.contains(&id_key(id)),
                    self.plan.policy.now,
                );
                let runs = u64::try_from(unlisted.len()).unwrap_or(u64::MAX);
                if runs > 0 {
                    self.plan.client.events().emit(Event::RunsQueued { runs });
                }
                self.unlisted.extend(unlisted);
                Ok(false)
            }
            // The runs that are under way have what they need.
            Queued::Swept(Err(ApiError::BudgetSpent { .. })) => {
                self.spent = true;
                Ok(false)
            }
            Queued::Swept(Err(error)) => Err(error),
        }
    }

    async fn finish(
        &mut self,
        done: Result<Fetching, tokio::task::JoinError>,
    ) -> Result<(), Ended> {
        let (wanted, fetched) = done.map_err(|fault| Ended::ByFault(described(&fault)))?;
        let outcome = fetched?;
        let events = self.plan.client.events();
        if let Outcome::Failed { error, documents } = &outcome {
            // A run that failed before says nothing about the API's health today, and one of whose
            // documents some came says that the API is there.
            let known = wanted.known.as_ref();
            let failed_before = known.is_some_and(|entry| entry.state == RunState::Failed);
            if documents.any_came() {
                self.failures_in_a_row = 0;
            } else {
                self.failures_in_a_row += usize::from(!failed_before);
            }
            let many = self.failures_in_a_row >= FAILURES_IN_A_ROW.max(2 * self.plan.concurrency);
            if many && error.may_be_everywhere() {
                return Err(error.clone().into());
            }
            let (run_id, reason) = (wanted.run_id.clone(), error.to_string());
            events.emit(Event::RunFailed { run_id, reason });
        } else {
            self.failures_in_a_row = 0;
            if matches!(outcome, Outcome::Absent) {
                let reason = "the API does not know it (404)".to_owned();
                events.emit(Event::RunFailed { run_id: wanted.run_id.clone(), reason });
            } else {
                events.emit(Event::RunFetched);
            }
        }
        let (wanted, outcome) = (Box::new(wanted), Box::new(outcome));
        self.send(Extracted::Done { wanted, outcome }).await;
        Ok(())
    }

    async fn send(&self, extracted: Extracted) {
        // Nobody receives any more only where the extraction was dropped.
        let _ended = self.output.send(extracted).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_channel_that_closes_is_not_an_end() {
        let (send, output) = mpsc::channel(1);
        let mut extraction = Extraction { output, _tasks: JoinSet::new() };
        send.send(Extracted::Unchanged { runs: 1 }).await.unwrap();
        drop(send);
        assert!(matches!(extraction.next().await, Extracted::Unchanged { runs: 1 }));
        assert!(matches!(extraction.next().await, Extracted::Broken(_)));
    }

    #[tokio::test]
    async fn a_panic_is_told_without_its_words() {
        let task = tokio::spawn(async { panic!("customer data") });
        assert_eq!(described(&task.await.unwrap_err()), "a task panicked");
    }
}
