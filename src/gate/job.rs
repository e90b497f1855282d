//! A gate: dispatches runs, waits for them, and judges them.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::{Duration, Instant};

use futures::future::join_all;
use tokio::sync::watch;
use tokio::time::timeout;

use super::attempt::{Attempt, Cause, Outcome};
use super::baseline::{Baseline, BaselineError, BaselineOptions};
use super::dispatch::{Dispatch, DispatchFailure, Dispatcher, MARGIN};
use super::error::{GateError, GateFailure, RunReference};
use super::progress::{GateEvent, Progress};
use super::report::GateReport;
use super::response::DispatchedRun;
use super::run_reader::{Look, RunFacts, RunReader, outcome_without_evaluation};
use super::text::plain;
use super::verdict::{
    Group, GroupVerdict, Required, Rules, Verdict, WorkflowName, groups, judge, overall,
};
use super::workflows::{Workflow, find_workflows};
use crate::api::{ApiError, Budget, Client, ClientOptions};
use crate::config::{ApiKey, ApiSettings};
use crate::event::Events;
use crate::extract::{Organization, RunPaths, organization};
use crate::normalize::ExportContext;
use crate::run::encode_id;
use crate::tables::Mapping;
use crate::time::Timestamp;

/// Options of a gate.
#[derive(Debug)]
pub struct GateOptions {
    /// How the API is requested.
    pub api: ApiSettings,
    /// The API's base URL.
    pub url: String,
    /// The API key.
    pub key: ApiKey,
    /// The tables with the configured columns and lists: how bodies are read.
    pub mapping: Mapping,
    /// Receives what happens to requests.
    pub events: Events,
    /// Receives what happens to the gate.
    pub progress: Progress,
    /// Becomes true when a stop is requested.
    pub stop: watch::Receiver<bool>,
    /// This machine's clock: used if the server sends no `Date`.
    pub now: Timestamp,
    /// The workflows to dispatch, by id or exact name.
    pub workflows: Vec<String>,
    /// How often each is dispatched; at least 1.
    pub repetitions: u32,
    /// The ids of runs to judge without dispatching any.
    pub runs: Vec<String>,
    /// The rules of the verdict.
    pub rules: Rules,
    /// Where the baseline is read from; `None` for no comparison.
    pub baseline: Option<BaselineOptions>,
    /// Maximum time for dispatching and waiting.
    pub timeout: Duration,
    /// How long after its end a run waits for its evaluation.
    pub evaluation_grace: Duration,
    /// The pause between the first two looks at the runs. Pauses grow to 15 times as long.
    pub poll_interval: Duration,
    /// For how long every look may fail before the gate gives up. Each look is retried by itself.
    pub unreachable_after: Duration,
    /// Identifies the CI run: the same identity makes the same idempotency keys.
    pub identity: String,
    /// The `reason` of each dispatch, for people who read the run's page.
    pub reason: String,
    /// Whether the report shows rationales of the judge and error messages of runs.
    pub evidence: bool,
}

/// How many times longer than the first the longest pause between two looks is.
const LONGEST_PAUSE: u32 = 15;

/// A dispatched run that the API does not know after so many first pauses is given up: what was
/// read as its id may be that of something else.
const VISIBLE_WITHIN: u32 = 60;

/// For how long the lake may be read for the baseline.
const BASELINE_WITHIN: Duration = Duration::from_mins(2);

/// Runs a gate to its verdict.
///
/// # Errors
/// [`GateFailure`] if there is no verdict: wrong usage, a refused or unreachable API, or a stop
/// request. It names the runs that go on.
pub async fn gate(options: &GateOptions) -> Result<GateReport, GateFailure> {
    let started = Instant::now();
    let failed =
        |error: ApiError| GateFailure { error: stopped(error.into()), running: Vec::new() };
    let client = client(options, started).map_err(failed)?;
    let organization = organization(&client).await.map_err(failed)?;
    let paths = RunPaths::new(&options.mapping);
    let began = organization.server_now.unwrap_or(options.now);
    let dashboard = options.api.dashboard_url.clone().unwrap_or_else(|| client.origin());
    let export = ExportContext {
        extracted_at: began,
        organization_id: organization.id.clone(),
        dashboard_url: dashboard.trim_end_matches('/').to_owned(),
        keep_documents: false,
    };
    let reader = RunReader {
        client: &client,
        mapping: &options.mapping,
        paths: &paths,
        export,
        evidence: options.evidence,
    };
    let dispatcher = Dispatcher {
        client: &client,
        mapping: &options.mapping,
        paths: &paths,
        progress: &options.progress,
        identity: &options.identity,
        reason: &options.reason,
        began,
        claimed: HashSet::new(),
        pause: options.poll_interval,
    };
    let mut gate = Gate {
        options,
        started,
        began,
        organization,
        reader,
        dispatcher,
        workflows: Vec::new(),
        tracked: Vec::new(),
        missing: Vec::new(),
        unanswered: Vec::new(),
        baseline: None,
        inferred: 0,
        again: Vec::new(),
        notes: Vec::new(),
    };
    match gate.run().await {
        Ok(report) => Ok(report),
        Err(error) => Err(GateFailure { error: stopped(error), running: gate.running() }),
    }
}

fn client(options: &GateOptions, started: Instant) -> Result<Client, ApiError> {
    Client::new(ClientOptions {
        settings: options.api.clone(),
        url: options.url.clone(),
        key: options.key.clone(),
        events: options.events.clone(),
        stop: options.stop.clone(),
        budget: Budget { max_requests: None, deadline: Some(started + options.timeout) },
    })
}

/// The error, or the stop request that it is.
fn stopped(error: GateError) -> GateError {
    match error {
        GateError::Api(ApiError::Interrupted) => GateError::Interrupted,
        error => error,
    }
}

/// Which repetition of which workflow a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Slot {
    /// The position among the workflows; `None` for a run that was given.
    workflow: Option<usize>,
    /// From 1.
    repetition: u32,
    /// Whether it was dispatched because a run of this repetition ended in an error.
    again: bool,
}

/// A run that is waited for.
#[derive(Debug)]
struct Tracked {
    slot: Slot,
    named: DispatchedRun,
    /// What the last look found; `None` while the API does not know the run.
    facts: Option<RunFacts>,
    /// When it was dispatched.
    since: Instant,
    /// When a look first found that it has ended.
    ended: Option<Instant>,
    /// The error of the last look, if it failed.
    problem: Option<String>,
    /// What it came to, once that is known.
    attempt: Option<Attempt>,
}

impl Tracked {
    fn new(slot: Slot, named: DispatchedRun) -> Self {
        let since = Instant::now();
        Self { slot, named, facts: None, since, ended: None, problem: None, attempt: None }
    }

    /// What is known of the run, completed by what the dispatch named.
    fn known(&self) -> RunFacts {
        let mut facts = self.facts.clone().unwrap_or_else(|| RunFacts::of_id(&self.named.run_id));
        facts.model = facts.model.or_else(|| self.named.model.clone());
        facts.harness = facts.harness.or_else(|| self.named.harness.clone());
        facts
    }

    /// What it came to; while that is open, an attempt that says nothing.
    fn attempt_so_far(&self) -> Attempt {
        let open = Outcome::Inconclusive(Cause::NotEnded);
        let attempt = self.attempt.clone();
        attempt.unwrap_or_else(|| self.known().into_attempt(self.slot.repetition, open))
    }

    fn finish(&mut self, outcome: Outcome, note: Option<String>) -> GateEvent {
        let attempt = self.known().into_attempt(self.slot.repetition, outcome);
        let (run_id, model) = (self.named.run_id.clone(), attempt.model.clone());
        self.attempt = Some(Attempt { note, ..attempt });
        GateEvent::Judged { run_id, model, outcome }
    }

    /// Whether the run may still be going on at Armature.
    fn goes_on(&self) -> bool {
        let outcome = self.attempt.as_ref().map(|attempt| attempt.outcome);
        match outcome {
            None | Some(Outcome::Inconclusive(Cause::Unreadable)) => self.ended.is_none(),
            Some(Outcome::Inconclusive(Cause::NotEnded | Cause::NotVisible)) => true,
            Some(_) => false,
        }
    }
}

struct Gate<'a> {
    options: &'a GateOptions,
    started: Instant,
    /// When the gate began, by the server's clock.
    began: Timestamp,
    organization: Organization,
    reader: RunReader<'a>,
    dispatcher: Dispatcher<'a>,
    workflows: Vec<Workflow>,
    tracked: Vec<Tracked>,
    /// Repetitions without a run.
    missing: Vec<(usize, Attempt)>,
    /// Workflows with a dispatch that was under way when the gate ended.
    unanswered: Vec<usize>,
    /// The earlier runs, if they were read before the first dispatch.
    baseline: Option<Baseline>,
    /// Dispatches whose runs no answer names.
    inferred: u32,
    /// Repetitions that were dispatched again.
    again: Vec<(usize, u32)>,
    notes: Vec<String>,
}

impl Gate<'_> {
    async fn run(&mut self) -> Result<GateReport, GateError> {
        // The verdict needs the baseline, so a lake that cannot be read must be an error before runs
        // are paid for.
        if self.options.rules.baseline_blocks {
            self.baseline = Some(self.read_baseline().await?);
        }
        if self.options.runs.is_empty() {
            let wanted = &self.options.workflows;
            self.workflows =
                find_workflows(self.reader.client, &self.options.mapping, wanted).await?;
            self.dispatch_all().await?;
        } else {
            self.track_given();
        }
        match self.wait().await {
            Err(GateError::Api(ApiError::DeadlinePassed)) => self.time_is_up(),
            other => other?,
        }
        self.report().await
    }

    fn track_given(&mut self) {
        let mut runs: Vec<&String> = Vec::new();
        for run in &self.options.runs {
            if !runs.contains(&run) {
                runs.push(run);
            }
        }
        for (repetition, run_id) in (1..).zip(runs) {
            let slot = Slot { workflow: None, repetition, again: false };
            let named = DispatchedRun { run_id: run_id.clone(), model: None, harness: None };
            self.tracked.push(Tracked::new(slot, named));
        }
    }

    /// Dispatches every repetition of every workflow, one after another: what a list shows then
    /// belongs to one dispatch.
    async fn dispatch_all(&mut self) -> Result<(), GateError> {
        for repetition in 1..=self.options.repetitions {
            for workflow in 0..self.workflows.len() {
                let slot = Slot { workflow: Some(workflow), repetition, again: false };
                self.dispatch(workflow, slot).await?;
            }
        }
        Ok(())
    }

    async fn dispatch(&mut self, position: usize, slot: Slot) -> Result<(), GateError> {
        let Some(workflow) = self.workflows.get(position).cloned() else { return Ok(()) };
        let repetition = slot.repetition;
        let label = if slot.again { format!("{repetition} again") } else { repetition.to_string() };
        let note = match self.dispatcher.dispatch(&workflow, &label).await {
            Ok(Dispatch::Runs(runs)) => {
                self.track(&workflow, slot, runs);
                return Ok(());
            }
            Ok(Dispatch::Inferred(runs)) => {
                self.inferred += 1;
                self.track(&workflow, slot, runs);
                return Ok(());
            }
            Ok(Dispatch::None(note)) => note,
            Err(DispatchFailure { error, may_have_run }) => {
                if may_have_run {
                    self.unanswered.push(position);
                }
                match error {
                    GateError::Api(ApiError::DeadlinePassed) => {
                        let what = if may_have_run { "answered" } else { "sent" };
                        format!("the time was up before the dispatch was {what}")
                    }
                    // The verdicts on the other runs stand without this one.
                    error if slot.again && !is_interruption(&error) => {
                        let note = plain(&format!("not dispatched again after an error: {error}"));
                        let name = plain(workflow.name.shown());
                        self.notes.push(format!("{name}, repetition {repetition}: {note}"));
                        note
                    }
                    error => return Err(error),
                }
            }
        };
        let workflow = workflow.name;
        let event = GateEvent::NoRun { workflow, repetition, note: note.clone() };
        self.options.progress.emit(event);
        // The run that ended in an error stays, if nothing comes in its place.
        if !slot.again {
            self.missing.push((position, Attempt::without_run(repetition, note)));
        }
        Ok(())
    }

    /// From now on waits for these runs of a dispatch.
    fn track(&mut self, workflow: &Workflow, slot: Slot, runs: Vec<DispatchedRun>) {
        for run in runs {
            self.options.progress.emit(GateEvent::Dispatched {
                workflow: workflow.name.clone(),
                repetition: slot.repetition,
                repetitions: self.options.repetitions,
                run_id: run.run_id.clone(),
                model: run.model.clone(),
                again: slot.again,
            });
            self.tracked.push(Tracked::new(slot, run));
        }
    }

    /// Looks at the runs until each was judged.
    async fn wait(&mut self) -> Result<(), GateError> {
        let mut pause = self.options.poll_interval;
        let longest = pause * LONGEST_PAUSE;
        let mut failing_since = None;
        loop {
            self.look_at_all(&mut failing_since).await?;
            self.dispatch_again().await?;
            let open: Vec<&Tracked> =
                self.tracked.iter().filter(|tracked| tracked.attempt.is_none()).collect();
            if open.is_empty() {
                return Ok(());
            }
            self.options.progress.emit(GateEvent::Waiting {
                open: open.len(),
                awaiting_evaluation: open.iter().filter(|one| one.ended.is_some()).count(),
                elapsed: self.started.elapsed(),
            });
            // Jitter, so that the gates of many jobs do not look at the same moments.
            let jittered = pause.mul_f64(0.75 + fastrand::f64() / 2.0);
            self.reader.client.sleep(jittered).await?;
            pause = (pause * 3 / 2).min(longest);
        }
    }

    async fn look_at_all(&mut self, failing_since: &mut Option<Instant>) -> Result<(), GateError> {
        let open = self.tracked.iter().enumerate().filter(|(_, one)| one.attempt.is_none());
        let reader = &self.reader;
        let looks = open.map(|(place, tracked)| async move {
            (place, reader.look(&tracked.named.run_id).await)
        });
        let (mut seen, mut failure) = (0, None);
        for (place, look) in join_all(looks).await {
            match look {
                Ok(look) => {
                    seen += 1;
                    self.note_look(place, &look)?;
                }
                Err(GateError::Api(error)) if !gives_up(&error) => {
                    if let Some(tracked) = self.tracked.get_mut(place) {
                        tracked.problem = Some(plain(&error.to_string()));
                    }
                    failure = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        match failure {
            Some(error) if seen == 0 => {
                let since = *failing_since.get_or_insert_with(Instant::now);
                if since.elapsed() > self.options.unreachable_after {
                    let attempts = self.tracked.iter().filter_map(|one| one.attempt.as_ref());
                    if !attempts.into_iter().any(Attempt::is_decided) {
                        return Err(GateError::Api(error));
                    }
                    // What was judged stands, whatever the runs that cannot be read came to.
                    self.finish_open(Cause::Unreadable);
                }
            }
            _ => *failing_since = None,
        }
        Ok(())
    }

    /// Records what a look at a run found.
    fn note_look(&mut self, place: usize, look: &Look) -> Result<(), GateError> {
        let grace = self.options.evaluation_grace;
        let visible_within = self.options.poll_interval * VISIBLE_WITHIN;
        let earliest = self.began - MARGIN;
        let Some(tracked) = self.tracked.get_mut(place) else { return Ok(()) };
        tracked.problem = None;
        let facts = match look {
            Look::NotVisible if tracked.slot.workflow.is_none() => {
                let run_id = plain(&tracked.named.run_id);
                return Err(GateError::UnknownRun { run_id });
            }
            // A run that was just dispatched may not be readable yet.
            Look::NotVisible => {
                if tracked.since.elapsed() > visible_within {
                    let event = tracked.finish(Outcome::Inconclusive(Cause::NotVisible), None);
                    self.options.progress.emit(event);
                }
                return Ok(());
            }
            Look::Open(facts)
            | Look::NotEvaluated(facts)
            | Look::EvaluationFailed(facts)
            | Look::Complete(facts) => facts,
        };
        tracked.facts = Some((**facts).clone());
        let expected = tracked.slot.workflow.and_then(|position| self.workflows.get(position));
        if let Some(note) = expected.and_then(|workflow| foreign(facts, workflow, earliest)) {
            let event = tracked.finish(Outcome::Inconclusive(Cause::NotOurs), Some(note));
            self.options.progress.emit(event);
            return Ok(());
        }
        let outcome = match look {
            Look::NotVisible | Look::Open(_) => return Ok(()),
            Look::NotEvaluated(facts) => {
                let ended = *tracked.ended.get_or_insert_with(Instant::now);
                if ended.elapsed() < grace {
                    return Ok(());
                }
                outcome_without_evaluation(facts)
            }
            Look::EvaluationFailed(_) => Outcome::Inconclusive(Cause::EvaluationFailed),
            Look::Complete(facts) => facts.outcome(),
        };
        let event = tracked.finish(outcome, None);
        self.options.progress.emit(event);
        Ok(())
    }

    /// Dispatches repetitions once more in which a run ended in an error, when all of their runs
    /// have ended: one dispatch then replaces all that need it.
    async fn dispatch_again(&mut self) -> Result<(), GateError> {
        let keys = |wanted: &dyn Fn(&Tracked) -> bool| -> BTreeSet<(usize, u32)> {
            let tracked = self.tracked.iter().filter(|tracked| wanted(tracked));
            let keys = tracked.filter_map(|one| Some((one.slot.workflow?, one.slot.repetition)));
            keys.collect()
        };
        let errors = keys(&|one| !one.slot.again && one.attempt.as_ref().is_some_and(is_error));
        let open = keys(&|one| one.attempt.is_none());
        let due: Vec<(usize, u32)> =
            errors.difference(&open).filter(|key| !self.again.contains(key)).copied().collect();
        for (workflow, repetition) in due {
            if self.is_decided_without(workflow, repetition) {
                continue;
            }
            self.again.push((workflow, repetition));
            let slot = Slot { workflow: Some(workflow), repetition, again: true };
            self.dispatch(workflow, slot).await?;
        }
        Ok(())
    }

    /// Whether the errors of a repetition change no verdict: each group that has one is decided by
    /// its other runs.
    fn is_decided_without(&self, position: usize, repetition: u32) -> bool {
        let Some(workflow) = self.workflows.get(position) else { return true };
        let (attempts, _) = self.attempts_of(position);
        let groups = groups(&workflow.name, Some(self.options.repetitions), attempts);
        let is_due =
            |one: &Attempt| one.repetition == repetition && is_error(one) && !one.is_replaced;
        let mut due = groups.into_iter().filter(|group| group.attempts.iter().any(is_due));
        due.all(|group| judge(group, &self.options.rules, None).verdict != Verdict::Inconclusive)
    }

    /// Ends the wait: what is open stays undecided.
    fn time_is_up(&mut self) {
        self.finish_open(Cause::NotEnded);
        let limit = humantime::format_duration(self.options.timeout);
        self.notes.push(format!("the time was up after {limit} (--timeout)"));
    }

    /// Gives up the open runs. `cause` is that of runs whose end was not seen.
    fn finish_open(&mut self, cause: Cause) {
        for tracked in self.tracked.iter_mut().filter(|tracked| tracked.attempt.is_none()) {
            let outcome = match &tracked.facts {
                Some(facts) if tracked.ended.is_some() => outcome_without_evaluation(facts),
                None if cause == Cause::NotEnded => Outcome::Inconclusive(Cause::NotVisible),
                _ => Outcome::Inconclusive(cause),
            };
            let note = tracked.problem.clone();
            let event = tracked.finish(outcome, note);
            self.options.progress.emit(event);
        }
    }

    /// Runs that go on at Armature, and dispatches that may have started some.
    fn running(&self) -> Vec<RunReference> {
        let dashboard = &self.reader.export.dashboard_url;
        // A given run of which nothing was seen may not exist.
        let is_known = |one: &&Tracked| one.slot.workflow.is_some() || one.facts.is_some();
        let running = self.tracked.iter().filter(|tracked| tracked.goes_on()).filter(is_known);
        let runs = running.map(|tracked| {
            let known = tracked.known();
            let own = tracked.slot.workflow.and_then(|position| self.workflows.get(position));
            let workflow = own.map(|workflow| workflow.name.clone()).or(known.workflow);
            let run_id = &tracked.named.run_id;
            RunReference {
                workflow: workflow.unwrap_or_else(unnamed_workflow),
                run_id: Some(run_id.clone()),
                run_url: Some(format!("{dashboard}/runs/{}", encode_id(run_id))),
            }
        });
        let unanswered = self.unanswered.iter().filter_map(|position| {
            let workflow = self.workflows.get(*position)?.name.clone();
            Some(RunReference { workflow, run_id: None, run_url: None })
        });
        runs.chain(unanswered).collect()
    }

    async fn report(&mut self) -> Result<GateReport, GateError> {
        let running = self.running();
        let groups = self.groups();
        let Required::Number(required) = self.options.rules.required else {
            return self.judged(groups, running).await;
        };
        let small = groups.iter().find(|group| group.attempts.len() < to_usize(required));
        match small.filter(|_| !self.options.runs.is_empty()) {
            Some(group) => Err(GateError::TooFewRuns {
                workflow: plain(group.workflow.shown()),
                model: plain(group.model.as_deref().unwrap_or("a model that is not stated")),
                runs: u32::try_from(group.attempts.len()).unwrap_or(u32::MAX),
                required,
            }),
            None => self.judged(groups, running).await,
        }
    }

    async fn judged(
        &mut self,
        groups: Vec<Group>,
        running: Vec<RunReference>,
    ) -> Result<GateReport, GateError> {
        let baseline = match self.baseline.take() {
            Some(baseline) => baseline,
            None => self.read_baseline().await?,
        };
        let judged = groups.into_iter().map(|group| {
            let (model, harness) = (group.model.as_deref(), group.harness.as_deref());
            let sample = baseline.sample(&group.workflow.id, model, harness);
            judge(group, &self.options.rules, sample)
        });
        let groups: Vec<GroupVerdict> = judged.collect();
        if self.inferred > 0 {
            let number = self.inferred;
            self.notes.push(format!(
                "dispatches for which the API named no run: {number}; the runs that began since \
                 were taken for theirs"
            ));
        }
        let note = baseline.note.map(|note| format!("no comparison with earlier runs: {note}"));
        self.notes.extend(note);
        let elapsed = self.started.elapsed().as_millis();
        Ok(GateReport {
            verdict: overall(&groups),
            groups,
            notes: std::mem::take(&mut self.notes),
            running,
            requests: self.reader.client.request_stats().requests,
            elapsed_ms: u64::try_from(elapsed).unwrap_or(u64::MAX),
        })
    }

    /// The earlier runs. That there are none to read is an error only if the comparison can block.
    ///
    /// It can be read before the runs of this gate are known: these began later than `until`, but
    /// for those that were given.
    async fn read_baseline(&self) -> Result<Baseline, GateError> {
        let Some(options) = &self.options.baseline else { return Ok(Baseline::default()) };
        let given = self.options.runs.iter().map(String::as_str);
        let until = self.began - MARGIN;
        let organization = self.organization.id.as_deref();
        let mapping = &self.options.mapping;
        let reading = Baseline::read(options, mapping, organization, until, given);
        // The time of the gate may be up here: the lake has its own.
        match bounded(reading, BASELINE_WITHIN, self.options.stop.clone()).await {
            Ok(baseline) => Ok(baseline),
            Err(error) if self.options.rules.baseline_blocks => Err(error.into()),
            Err(error) => Ok(Baseline::none(plain(&error.to_string()))),
        }
    }

    /// The attempts by workflow, model and harness.
    fn groups(&mut self) -> Vec<Group> {
        let repetitions = Some(self.options.repetitions);
        let (mut all, mut uncounted) = (Vec::new(), 0);
        for (position, workflow) in self.workflows.iter().enumerate() {
            let (attempts, without_place) = self.attempts_of(position);
            all.extend(groups(&workflow.name, repetitions, attempts));
            uncounted += without_place;
        }
        let mut given: BTreeMap<WorkflowName, Vec<Attempt>> = BTreeMap::new();
        for tracked in self.tracked.iter().filter(|tracked| tracked.slot.workflow.is_none()) {
            let workflow = tracked.facts.as_ref().and_then(|facts| facts.workflow.clone());
            let name = workflow.unwrap_or_else(unnamed_workflow);
            given.entry(name).or_default().push(tracked.attempt_so_far());
        }
        if uncounted > 0 {
            self.notes.push(format!(
                "runs of repeated dispatches that are not counted, because the run of their model \
                 was judged: {uncounted}"
            ));
        }
        for (workflow, attempts) in given {
            all.extend(groups(&workflow, None, attempts));
        }
        all
    }

    /// The attempts of a workflow, and the number of runs of its repeated dispatches that do not
    /// count.
    fn attempts_of(&self, position: usize) -> (Vec<Attempt>, u32) {
        let missing = self.missing.iter().filter(|(workflow, _)| *workflow == position);
        let mut attempts: Vec<Attempt> = missing.map(|(_, attempt)| attempt.clone()).collect();
        let tracked = self.tracked.iter().filter(|one| one.slot.workflow == Some(position));
        let (again, first): (Vec<_>, Vec<_>) = tracked.partition(|one| one.slot.again);
        attempts.extend(first.into_iter().map(Tracked::attempt_so_far));
        let mut uncounted = 0;
        for attempt in again.into_iter().map(Tracked::attempt_so_far) {
            if replace(&mut attempts, &attempt) {
                attempts.push(attempt);
            } else {
                uncounted += 1;
            }
        }
        (attempts, uncounted)
    }
}

/// Reads a baseline, but no longer than `within`, and not beyond a stop request.
async fn bounded(
    reading: impl Future<Output = Result<Baseline, BaselineError>>,
    within: Duration,
    mut stop: watch::Receiver<bool>,
) -> Result<Baseline, BaselineError> {
    tokio::select! {
        biased;
        _ = stop.wait_for(|stop| *stop) => Err(BaselineError::Interrupted),
        read = timeout(within, reading) => read.unwrap_or(Err(BaselineError::TooSlow { within })),
    }
}

/// Marks the attempt that a run of a repeated dispatch replaces: one of the same model and harness
/// that ended in an error; or the only attempt of the repetition, whatever model it states.
/// Returns whether there is one.
fn replace(originals: &mut [Attempt], replacement: &Attempt) -> bool {
    let of_repetition = |one: &&mut Attempt| one.repetition == replacement.repetition;
    let number = originals.iter().filter(|one| one.repetition == replacement.repetition).count();
    let original = originals.iter_mut().filter(of_repetition).find(|one| {
        let is_same = one.model == replacement.model && one.harness == replacement.harness;
        is_error(one) && !one.is_replaced && (is_same || number == 1)
    });
    let Some(original) = original else { return false };
    original.is_replaced = true;
    true
}

fn is_error(attempt: &Attempt) -> bool {
    attempt.outcome == Outcome::Inconclusive(Cause::Error)
}

/// Why a run cannot be one that the gate dispatched; `None` if nothing speaks against it.
fn foreign(facts: &RunFacts, workflow: &Workflow, earliest: Timestamp) -> Option<String> {
    let own = facts.workflow.as_ref().map(|workflow| workflow.id.as_str());
    if own.is_some_and(|id| !id.is_empty() && id != workflow.name.id) {
        return Some("the API states another workflow for it".to_owned());
    }
    let is_early = facts.started_at.is_some_and(|start| start < earliest);
    is_early.then(|| {
        "it began before this gate: the same idempotency key was used before (--idempotency-key)"
            .to_owned()
    })
}

/// Whether the gate was asked to stop.
fn is_interruption(error: &GateError) -> bool {
    matches!(error, GateError::Interrupted | GateError::Api(ApiError::Interrupted))
}

/// Whether an error of one look ends the gate.
fn gives_up(error: &ApiError) -> bool {
    error.is_fatal() || matches!(error, ApiError::Refused { .. } | ApiError::Blocked { .. })
}

fn unnamed_workflow() -> WorkflowName {
    WorkflowName { id: String::new(), name: Some("a workflow without a name".to_owned()) }
}

fn to_usize(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(within: Duration, stop: watch::Receiver<bool>) -> Result<(), BaselineError> {
        bounded(std::future::pending(), within, stop).await.map(|_: Baseline| ())
    }

    #[tokio::test]
    async fn a_lake_that_never_answers_ends_with_its_time_or_with_a_stop_request() {
        let (stop, stopped) = watch::channel(false);
        let slow = read(Duration::from_millis(1), stopped.clone()).await.unwrap_err();
        assert_eq!(slow.to_string(), "the lake could not be read within 1ms");
        stop.send_replace(true);
        let interrupted = read(Duration::from_hours(1), stopped).await.unwrap_err();
        assert!(matches!(interrupted, BaselineError::Interrupted), "{interrupted}");
    }
}
