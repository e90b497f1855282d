//! List scan and fan-out, side by side. The list is read as fast as it arrives, and queued in
//! little memory; runs are fetched as fast as the receiver of the events can write them.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::carried_over::unlisted;
use super::decide::{Decision, decide};
use super::fetch::{FetchPolicy, FetchTask, TaskOutcome, fetch_run};
use super::scan::{ScanSummary, WindowScan};
use super::{ListedRun, Window};
use crate::api::{ApiError, Client};
use crate::config::Filters;
use crate::digest::id_key;
use crate::event::{Event, Events};
use crate::ledger::{Ledger, LedgerError, RunState};
use crate::run::Resource;
use crate::time::Timestamp;

/// Options of an extraction.
#[derive(Clone, Debug)]
pub struct ExtractionPlan {
    /// The API.
    pub client: Client,
    /// Receives what happens.
    pub events: Events,
    /// The window to list.
    pub window: Window,
    /// Whether a smaller range may be listed if the API refuses the window's.
    pub may_shrink_range: bool,
    /// Filters on the runs.
    pub filters: Filters,
    /// Times and paths for fetching.
    pub policy: FetchPolicy,
    /// The ledger. It does not change during the extraction.
    pub ledger: Ledger,
    /// Maximum number of runs that are fetched at once.
    pub concurrency: usize,
}

/// The results of an extraction, run by run.
#[derive(Debug)]
pub enum ExtractEvent {
    /// Runs that were listed and need nothing.
    Unchanged {
        /// Number of runs.
        runs: u64,
    },
    /// A run that has not ended.
    Open {
        /// As it was listed.
        seen: ListedRun,
    },
    /// A run that was fetched, or could not be.
    Done {
        /// The task.
        task: Box<FetchTask>,
        /// Its result.
        outcome: Box<TaskOutcome>,
    },
    /// The list scan ended.
    ListDone(ScanSummary),
    /// The extraction is complete: every run that it listed or carried over came out.
    Finished,
    /// The extraction ends early. What came out so far is valid.
    Stopped(ApiError),
    /// The extraction ends early, because a part of the ledger cannot be read.
    LedgerUnreadable(LedgerError),
    /// A task panicked, or ended without a result: a bug in this program.
    Broken(String),
}

/// A running extraction. Dropping it ends it.
#[derive(Debug)]
pub struct Extraction {
    output: mpsc::Receiver<ExtractEvent>,
    /// Ends with the supervising task, which ends all others.
    _tasks: JoinSet<()>,
}

/// Number of runs that the scan has found and the fan-out has not started to fetch. If requests are
/// limited, the scan waits for it to shrink, so that pages of the list do not use up the requests
/// that runs need.
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
        // The sender outlives every waiter, so the channel does not close.
        let mut backlog = self.0.subscribe();
        let _closed = backlog.wait_for(|backlog| *backlog <= runs).await;
    }
}

/// What the scan hands to the fan-out.
enum Queued {
    Page { unchanged: u64, open: Vec<ListedRun>, tasks: PackedTasks },
    ListDone(Result<(ScanSummary, HashSet<u128>), ApiError>),
    LedgerUnreadable(LedgerError),
}

/// Runs of a page that are to be fetched: what was read of them and decided about them when they were
/// listed, so that no row is parsed twice. Their texts are compressed: a hundred thousand queued runs
/// must not fill the memory.
#[derive(Default)]
struct PackedTasks {
    rows: Vec<PackedTask>,
    /// Id, status and body of each run, one after another.
    text: Vec<u8>,
    /// Length of the text in bytes before it was compressed.
    length: usize,
    is_compressed: bool,
}

/// One run of [`PackedTasks`], with the lengths of its texts in bytes. Times are by the server's
/// clock.
struct PackedTask {
    run_id: usize,
    status: Option<usize>,
    body: usize,
    started_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
    fingerprint: u64,
    /// See [`FetchTask::only_with_evaluation`].
    only_with_evaluation: bool,
}

/// As many times the concurrency, runs can wait for single requests without delaying others.
const MOST_WAITING: usize = 4;

/// After this many failed runs in a row, or twice the concurrency if that is more, the API counts
/// as down.
const FAILURES_IN_A_ROW: usize = 16;

impl Extraction {
    /// Starts an extraction.
    pub fn start(plan: ExtractionPlan) -> Self {
        let (send, output) = mpsc::channel(plan.concurrency.max(4));
        let (queue, queued) = mpsc::unbounded_channel();
        let backlog = Arc::new(Backlog(watch::Sender::new(0)));
        let mut work = JoinSet::new();
        work.spawn(scan(plan.clone(), queue, Arc::clone(&backlog)));
        let last = send.clone();
        work.spawn(async move {
            let mut fan_out = FanOut::new(plan, send, backlog);
            let end = match fan_out.run(queued).await {
                Ok(()) => ExtractEvent::Finished,
                Err(Ended::Api(error)) => ExtractEvent::Stopped(error),
                Err(Ended::Ledger(error)) => ExtractEvent::LedgerUnreadable(error),
                Err(Ended::Fault(fault)) => ExtractEvent::Broken(fault),
            };
            fan_out.send(end).await;
        });
        let mut tasks = JoinSet::new();
        // A panic in any task must not look like an early end without an error.
        tasks.spawn(async move {
            while let Some(ended) = work.join_next().await {
                if let Err(fault) = ended {
                    let _dropped = last.send(ExtractEvent::Broken(described(&fault))).await;
                }
            }
        });
        Self { output, _tasks: tasks }
    }

    /// The next event. The last one is [`ExtractEvent::Finished`], [`ExtractEvent::Stopped`],
    /// [`ExtractEvent::LedgerUnreadable`] or [`ExtractEvent::Broken`]; a channel that closes before
    /// one of them is a bug, too.
    pub async fn next(&mut self) -> ExtractEvent {
        let closed = || ExtractEvent::Broken("the extraction ended without a result".to_owned());
        self.output.recv().await.unwrap_or_else(closed)
    }
}

/// How a task ended, without the message of its panic: that can contain data.
fn described(fault: &tokio::task::JoinError) -> String {
    if fault.is_panic() { "a task panicked" } else { "a task was cancelled" }.to_owned()
}

/// Why the fan-out ended early.
enum Ended {
    Api(ApiError),
    Ledger(LedgerError),
    Fault(String),
}

impl From<LedgerError> for Ended {
    fn from(error: LedgerError) -> Self {
        Self::Ledger(error)
    }
}

impl From<ApiError> for Ended {
    fn from(error: ApiError) -> Self {
        Self::Api(error)
    }
}

async fn scan(plan: ExtractionPlan, queue: mpsc::UnboundedSender<Queued>, backlog: Arc<Backlog>) {
    let is_limited = plan.client.requests_left().is_some();
    let wait = || async {
        if is_limited {
            backlog.wait_until_at_most(plan.concurrency).await;
        }
    };
    let scan = WindowScan {
        client: &plan.client,
        events: &plan.events,
        window: plan.window,
        may_shrink: plan.may_shrink_range,
        filters: &plan.filters,
        paths: &plan.policy.paths,
    };
    let result = scan
        .run(wait, |runs| {
            let (page, tasks) = match sort_page(&plan.ledger, plan.policy.now, runs) {
                Ok(sorted) => sorted,
                // The fan-out ends with this error, and with it the scan.
                Err(error) => {
                    let _ended = queue.send(Queued::LedgerUnreadable(error));
                    return;
                }
            };
            let count = u64::try_from(tasks).unwrap_or(u64::MAX);
            if count > 0 {
                plan.events.emit(Event::RunsQueued { runs: count });
            }
            backlog.add(tasks);
            // Sending fails only if the extraction has ended.
            let _ended = queue.send(page);
        })
        .await;
    let _ended = queue.send(Queued::ListDone(result));
}

/// A page for the fan-out, and how many runs it has to fetch. `now` is when the sync began, by the
/// server's clock.
fn sort_page(
    ledger: &Ledger,
    now: Timestamp,
    runs: Vec<ListedRun>,
) -> Result<(Queued, usize), LedgerError> {
    let (mut unchanged, mut open, mut tasks) = (0, Vec::new(), PackedTasks::default());
    let mut text = Vec::new();
    for run in runs {
        match decide(&run, ledger.get(&run.run_id, run.started_at)?.as_ref(), now) {
            Decision::Unchanged => unchanged += 1,
            Decision::Open => open.push(run.detached()),
            Decision::Fetch => tasks.push(&run, false, &mut text),
            Decision::CheckEvaluation => tasks.push(&run, true, &mut text),
        }
    }
    tasks.compress(text);
    let count = tasks.rows.len();
    Ok((Queued::Page { unchanged, open, tasks }, count))
}

impl PackedTasks {
    /// Adds a run. `text` collects what [`PackedTasks::compress`] compresses.
    fn push(&mut self, run: &ListedRun, only_with_evaluation: bool, text: &mut Vec<u8>) {
        text.extend_from_slice(run.run_id.as_bytes());
        text.extend_from_slice(run.status.as_deref().unwrap_or_default().as_bytes());
        text.extend_from_slice(&run.body);
        self.rows.push(PackedTask {
            run_id: run.run_id.len(),
            status: run.status.as_ref().map(String::len),
            body: run.body.len(),
            started_at: run.started_at,
            ended_at: run.ended_at,
            fingerprint: run.fingerprint,
            only_with_evaluation,
        });
    }

    fn compress(&mut self, text: Vec<u8>) {
        self.rows.shrink_to_fit();
        self.length = text.len();
        // Compressing a slice in memory cannot fail; if it did, the text itself would be queued.
        let compressed = zstd::bulk::compress(&text, 1);
        self.is_compressed = compressed.is_ok();
        self.text = compressed.unwrap_or(text);
        // The compressor allocates for the worst case, which is as much as the text itself.
        self.text.shrink_to_fit();
    }

    /// The tasks, with the runs' entries in the ledger.
    ///
    /// # Errors
    /// [`Ended::Fault`] if the text is not the one that was packed, and [`Ended::Ledger`] if a part
    /// of the ledger cannot be read.
    fn unpack(self, ledger: &Ledger) -> Result<Vec<FetchTask>, Ended> {
        let fault = || Ended::Fault("queued rows could not be read back".to_owned());
        let text = if self.is_compressed {
            zstd::bulk::decompress(&self.text, self.length).map_err(|_| fault())?
        } else {
            self.text
        };
        let mut text = Bytes::from(text);
        let mut next = |length: usize| (length <= text.len()).then(|| text.split_to(length));
        let mut listed_run = |row: &PackedTask| {
            let mut word = |length| String::from_utf8(next(length)?.into()).ok();
            let run_id = word(row.run_id)?;
            let status = match row.status {
                Some(length) => Some(word(length)?),
                None => None,
            };
            Some(ListedRun {
                run_id,
                status,
                started_at: row.started_at,
                ended_at: row.ended_at,
                body: next(row.body)?,
                fingerprint: row.fingerprint,
            })
        };
        let task = |row: PackedTask| {
            let listed = listed_run(&row).ok_or_else(fault)?;
            Ok(FetchTask {
                known: ledger.get(&listed.run_id, listed.started_at)?,
                run_id: listed.run_id.clone(),
                listed: Some(listed),
                only_with_evaluation: row.only_with_evaluation,
            })
        };
        self.rows.into_iter().map(task).collect()
    }
}

type Fetching = (FetchTask, Result<TaskOutcome, ApiError>);

struct FanOut {
    plan: Arc<ExtractionPlan>,
    output: mpsc::Sender<ExtractEvent>,
    pages: VecDeque<PackedTasks>,
    ready: VecDeque<FetchTask>,
    /// Carried-over runs, fetched after the listed ones.
    unlisted: VecDeque<FetchTask>,
    running: JoinSet<Fetching>,
    /// Requests that wait alone after a 429.
    waiting_alone: watch::Receiver<usize>,
    failures_in_a_row: usize,
    backlog: Arc<Backlog>,
    /// Whether the scan ended because the request budget is used up.
    spent: bool,
}

impl FanOut {
    fn new(
        plan: ExtractionPlan,
        output: mpsc::Sender<ExtractEvent>,
        backlog: Arc<Backlog>,
    ) -> Self {
        Self {
            waiting_alone: plan.client.waiting_alone(),
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
            let is_spent = self.spent || self.start_runs()?;
            if self.running.is_empty() && (is_spent || !listing) {
                return if is_spent { Err(self.budget_spent().into()) } else { Ok(()) };
            }
            tokio::select! {
                biased;
                queued = queue.recv(), if listing => {
                    let Some(queued) = queued else {
                        let fault = "the list's task ended without a result";
                        return Err(Ended::Fault(fault.to_owned()));
                    };
                    listing = self.take(queued).await?;
                }
                Some(done) = self.running.join_next(), if !self.running.is_empty() => {
                    self.finish(done).await?;
                }
                // Others can be started meanwhile.
                Ok(()) = self.waiting_alone.changed(), if self.has_queued() => {}
            }
        }
    }

    fn has_queued(&self) -> bool {
        !(self.ready.is_empty() && self.pages.is_empty() && self.unlisted.is_empty())
    }

    /// Runs that may be fetched at once: a run whose request waits alone after a 429 makes room for
    /// another one, up to a limit, because the bodies that it has are in memory.
    fn most_running(&mut self) -> usize {
        let concurrency = self.plan.concurrency;
        let waiting = *self.waiting_alone.borrow_and_update();
        concurrency + waiting.min(MOST_WAITING * concurrency)
    }

    /// Starts to fetch runs, up to the concurrency. Returns whether more are queued and the
    /// requests left are too few for another complete run.
    fn start_runs(&mut self) -> Result<bool, Ended> {
        while self.running.len() < self.most_running() {
            if self.ready.is_empty() {
                match self.pages.pop_front() {
                    Some(page) => {
                        let tasks = page.unpack(&self.plan.ledger)?;
                        self.ready.extend(tasks);
                    }
                    None if self.unlisted.is_empty() => return Ok(false),
                    None => self.ready.append(&mut self.unlisted),
                }
            }
            if self.ready.is_empty() {
                continue;
            }
            // Each run in flight may still need all of its requests.
            let needed = Resource::FETCHED.len() * (self.running.len() + 1);
            let left = self.plan.client.requests_left();
            if left.is_some_and(|left| left < u64::try_from(needed).unwrap_or(u64::MAX)) {
                return Ok(true);
            }
            let Some(task) = self.ready.pop_front() else { continue };
            self.backlog.take_one();
            let plan = Arc::clone(&self.plan);
            self.running.spawn(async move {
                let fetched = fetch_run(&plan.client, &plan.events, &task, &plan.policy).await;
                (task, fetched)
            });
        }
        Ok(false)
    }

    fn budget_spent(&self) -> ApiError {
        ApiError::BudgetSpent { requests: self.plan.client.request_stats().requests }
    }

    /// Handles a message of the scan. Returns whether more will come.
    async fn take(&mut self, queued: Queued) -> Result<bool, Ended> {
        match queued {
            Queued::Page { unchanged, open, tasks } => {
                self.pages.push_back(tasks);
                if unchanged > 0 {
                    self.send(ExtractEvent::Unchanged { runs: unchanged }).await;
                }
                for seen in open {
                    self.send(ExtractEvent::Open { seen }).await;
                }
                Ok(true)
            }
            Queued::ListDone(Ok((report, listed))) => {
                self.send(ExtractEvent::ListDone(report)).await;
                let unlisted = unlisted(
                    &self.plan.ledger,
                    |id| listed.contains(&id_key(id)),
                    self.plan.policy.now,
                )?;
                let runs = u64::try_from(unlisted.len()).unwrap_or(u64::MAX);
                if runs > 0 {
                    self.plan.events.emit(Event::RunsQueued { runs });
                }
                self.unlisted.extend(unlisted);
                Ok(false)
            }
            // Not an error yet: the runs in flight are finished first.
            Queued::ListDone(Err(ApiError::BudgetSpent { .. })) => {
                self.spent = true;
                Ok(false)
            }
            Queued::ListDone(Err(error)) => Err(error.into()),
            Queued::LedgerUnreadable(error) => Err(error.into()),
        }
    }

    async fn finish(
        &mut self,
        done: Result<Fetching, tokio::task::JoinError>,
    ) -> Result<(), Ended> {
        let (task, fetched) = done.map_err(|fault| Ended::Fault(described(&fault)))?;
        let outcome = fetched?;
        let events = &self.plan.events;
        if let TaskOutcome::Failed { error, documents } = &outcome {
            // A run that failed in an earlier sync does not show whether the API works now, and a
            // run of which some documents came shows that it does.
            let known = task.known.as_ref();
            let failed_before = known.is_some_and(|entry| entry.state == RunState::Failed);
            if documents.any_came() {
                self.failures_in_a_row = 0;
            } else {
                self.failures_in_a_row += usize::from(!failed_before);
            }
            let many = self.failures_in_a_row >= FAILURES_IN_A_ROW.max(2 * self.plan.concurrency);
            if many && error.is_systemic() {
                return Err(error.clone().into());
            }
            let (run_id, reason) = (task.run_id.clone(), error.to_string());
            events.emit(Event::RunFailed { run_id, reason });
        } else {
            self.failures_in_a_row = 0;
            if matches!(outcome, TaskOutcome::Absent) {
                let reason = "the API does not know it (404)".to_owned();
                events.emit(Event::RunFailed { run_id: task.run_id.clone(), reason });
            } else {
                events.emit(Event::RunFetched);
            }
        }
        let (task, outcome) = (Box::new(task), Box::new(outcome));
        self.send(ExtractEvent::Done { task, outcome }).await;
        Ok(())
    }

    async fn send(&self, extracted: ExtractEvent) {
        // Sending fails only if the extraction was dropped.
        let _ended = self.output.send(extracted).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Entry;

    #[tokio::test]
    async fn a_channel_that_closes_is_not_an_end() {
        let (send, output) = mpsc::channel(1);
        let mut extraction = Extraction { output, _tasks: JoinSet::new() };
        send.send(ExtractEvent::Unchanged { runs: 1 }).await.unwrap();
        drop(send);
        assert!(matches!(extraction.next().await, ExtractEvent::Unchanged { runs: 1 }));
        assert!(matches!(extraction.next().await, ExtractEvent::Broken(_)));
    }

    fn listed(run_id: &str, body: &str) -> ListedRun {
        ListedRun {
            run_id: run_id.to_owned(),
            status: Some("pass".to_owned()),
            started_at: Some(Timestamp::from_micros(1)),
            ended_at: None,
            body: Bytes::copy_from_slice(body.as_bytes()),
            fingerprint: 7,
        }
    }

    fn entry(state: RunState) -> Entry {
        crate::extract::decide::tests::entry(state, 7, None)
    }

    #[test]
    fn what_was_read_and_decided_at_listing_time_is_what_is_executed() {
        let mut ledger = Ledger::default();
        ledger.apply([
            ("waiting".to_owned(), Some(entry(RunState::Waiting))),
            ("exported".to_owned(), Some(entry(RunState::Exported))),
        ]);
        // Bodies that are not JSON: reading them again would find nothing.
        let statusless = ListedRun { status: None, ..listed("no status", "") };
        let ended = ListedRun { ended_at: Some(Timestamp::from_micros(2)), ..listed("é", "[{") };
        let running = ListedRun { status: Some("running".to_owned()), ..listed("running", "r") };
        let runs = vec![
            listed("waiting", "w"),
            listed("exported", "e"),
            running,
            ended.clone(),
            ListedRun { ended_at: ended.ended_at, ..statusless.clone() },
        ];
        let now = Timestamp::EPOCH + crate::time::DAY;
        let (queued, count) = sort_page(&ledger, now, runs).unwrap();
        let Queued::Page { unchanged, open, tasks } = queued else { panic!("no page") };
        assert_eq!((unchanged, open.len(), count), (1, 1, 3));
        // A ledger that would lead to other decisions changes none.
        ledger.apply([
            ("waiting".to_owned(), Some(entry(RunState::Exported))),
            ("é".to_owned(), Some(entry(RunState::Waiting))),
        ]);
        let tasks = tasks.unpack(&ledger).ok().unwrap();
        let decided: Vec<_> =
            tasks.iter().map(|task| (task.run_id.as_str(), task.only_with_evaluation)).collect();
        assert_eq!(decided, [("waiting", true), ("é", false), ("no status", false)]);
        let read: Vec<_> = tasks.iter().map(|task| task.listed.clone().unwrap()).collect();
        let statusless = ListedRun { ended_at: ended.ended_at, ..statusless };
        assert_eq!(read, [listed("waiting", "w"), ended, statusless]);
    }

    #[test]
    fn a_hundred_thousand_queued_runs_take_little_memory() {
        let body = format!("{{\"id\":\"r\",\"summary\":\"{}\"}}", "words ".repeat(200));
        let mut bytes = 0;
        for page in 0..10 {
            let runs = (0..100).map(|run| listed(&format!("run-{page}-{run}"), &body)).collect();
            let (queued, count) = sort_page(&Ledger::default(), Timestamp::EPOCH, runs).unwrap();
            let Queued::Page { tasks, .. } = queued else { panic!("no page") };
            assert_eq!(count, 100);
            bytes += tasks.text.capacity() + tasks.rows.capacity() * size_of::<PackedTask>();
        }
        assert!(bytes / 1000 < 150, "{} bytes for a run", bytes / 1000);
    }

    #[test]
    fn rows_that_cannot_be_read_back_are_a_fault() {
        let runs = vec![listed("r", "b")];
        let (queued, _) = sort_page(&Ledger::default(), Timestamp::EPOCH, runs).unwrap();
        let Queued::Page { mut tasks, .. } = queued else { panic!("no page") };
        tasks.text.truncate(4);
        assert!(matches!(tasks.unpack(&Ledger::default()), Err(Ended::Fault(_))));
    }

    #[tokio::test]
    async fn a_panic_is_told_without_its_words() {
        let task = tokio::spawn(async { panic!("customer data") });
        assert_eq!(described(&task.await.unwrap_err()), "a task panicked");
    }
}
