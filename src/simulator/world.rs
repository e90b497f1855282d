//! The simulated organization: every run is a pure function of seed, settings, birth (the instant
//! at which new runs begin) and the current time.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::catalog::{MODELS, SERVERS, Server, Workflow};
use super::catalog_workflows::WORKFLOWS;
use super::clock::milliseconds;
use super::dispatch::DispatchOrder;
use super::lives::Lives;
use super::plan::{RunPlan, draw_classification, draw_outcome};
use super::random::{Seeded, combine, run_id, run_number};
use super::timeline::Timeline;

const RUN_STREAM: u64 = 1;
const WORKFLOW_STREAM: u64 = 2;
const SERVER_STREAM: u64 = 3;
const LONGEST_PENDING: u64 = 5_000;
/// How many runs back a run searches for one that it could retry.
const RETRY_REACH: u64 = 12;

/// The settings of a [`World`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WorldSettings {
    /// The same seed gives the same runs.
    pub seed: u64,
    /// Number of runs that started before birth.
    pub runs: u32,
    /// Number of days before birth at which the first of them started.
    pub days: f64,
    /// Mean time between the starts of two runs after birth, in seconds; 0 for no new runs.
    pub seconds_between_runs: f64,
    /// Number of days after birth during which runs start; 0 for no end.
    pub days_after_birth: f64,
    /// The shortest and the longest time from a run's start to its end, in seconds.
    pub run_seconds: (f64, f64),
    /// Percentage of runs whose evaluation appears after the end.
    pub late_evaluation_percent: u8,
    /// Maximum time by which an evaluation appears after the end, in seconds.
    pub late_evaluation_seconds: f64,
    /// Anomalies of runs.
    pub lives: Lives,
    /// The organization's id in `/org`.
    pub organization_id: String,
    /// The organization's display name.
    pub organization_name: String,
    /// The organization's slug.
    pub organization_slug: String,
}

impl Default for WorldSettings {
    fn default() -> Self {
        Self {
            seed: 7,
            runs: 1_000,
            days: 29.0,
            seconds_between_runs: 20.0,
            days_after_birth: 0.0,
            run_seconds: (5.0, 480.0),
            late_evaluation_percent: 15,
            late_evaluation_seconds: 45.0,
            lives: Lives::default(),
            organization_id: "6f1c0a52-7a1e-4c3b-9d55-0e6a3b7f2c11".to_owned(),
            organization_name: "Example Outfitters".to_owned(),
            organization_slug: "example-outfitters".to_owned(),
        }
    }
}

/// A seeded organization with its runs. Stores nothing per run: a hundred thousand runs need as
/// little memory as ten.
#[derive(Debug, Clone)]
pub struct World {
    settings: WorldSettings,
    birth: DateTime<Utc>,
    timeline: Timeline,
    /// The start (milliseconds) from which runs have the workflow's current version.
    new_version_from: i64,
    run_milliseconds: (u64, u64),
    late_milliseconds: u64,
}

impl World {
    /// Creates a world whose past ends, and whose new runs begin, at `birth`.
    #[must_use]
    pub fn new(settings: WorldSettings, birth: DateTime<Utc>) -> Self {
        let at = birth.timestamp_millis();
        let past = i64::try_from(milliseconds(settings.days * 86_400.0)).unwrap_or(i64::MAX);
        let spacing = milliseconds(settings.seconds_between_runs);
        let spacing = i64::try_from(spacing).unwrap_or(i64::MAX);
        let (least, most) = settings.run_seconds;
        let future = milliseconds(settings.days_after_birth * 86_400.0);
        let future = i64::try_from(future).ok().filter(|length| *length > 0);
        Self {
            timeline: Timeline::new(settings.seed, at, past, settings.runs, spacing)
                .ending_after(future),
            new_version_from: at.saturating_sub(past / 10 * 3),
            run_milliseconds: (milliseconds(least).max(1), milliseconds(most).max(1)),
            late_milliseconds: milliseconds(settings.late_evaluation_seconds),
            settings,
            birth,
        }
    }

    /// The settings of the world.
    #[must_use]
    pub const fn settings(&self) -> &WorldSettings {
        &self.settings
    }

    /// The instant at which new runs begin.
    #[must_use]
    pub const fn birth(&self) -> DateTime<Utc> {
        self.birth
    }

    /// The number of runs that have started at `now`, of any age and status.
    #[must_use]
    pub fn run_count(&self, now: DateTime<Utc>) -> u64 {
        self.timeline.started_at(now.timestamp_millis())
    }

    /// The ids of all runs that have started at `now`, oldest first.
    pub fn run_ids(&self, now: DateTime<Utc>) -> impl Iterator<Item = String> {
        (0..self.run_count(now)).map(|number| run_id(self.settings.seed, number).to_string())
    }

    /// The ids of the same runs, with their starts.
    pub fn run_starts(&self, now: DateTime<Utc>) -> impl Iterator<Item = (String, DateTime<Utc>)> {
        let start = |number| DateTime::from_timestamp_millis(self.start_of(number));
        let starts = (0..self.run_count(now)).map(move |number| start(number).unwrap_or_default());
        self.run_ids(now).zip(starts)
    }

    /// The number of runs that have started up to this millisecond.
    pub(super) fn started_at(&self, now: i64) -> u64 {
        self.timeline.started_at(now)
    }

    pub(super) fn start_of(&self, number: u64) -> i64 {
        self.timeline.start_of(number)
    }

    pub(super) fn id_of(&self, number: u64) -> Uuid {
        run_id(self.settings.seed, number)
    }

    /// The run with this id, if it has started at `now`.
    pub(super) fn find(&self, id: &str, now: i64) -> Option<RunPlan> {
        let number = run_number(self.settings.seed, id)?;
        (number < self.started_at(now)).then(|| {
            let plan = self.plan(number);
            RunPlan { retry_of: self.retried_by(number, &plan), ..plan }
        })
    }

    /// The run that this one retries: the previous one of the same workflow, if it failed and is
    /// one of those that are retried.
    fn retried_by(&self, number: u64, plan: &RunPlan) -> Option<Uuid> {
        if self.settings.lives.retried_percent == 0 {
            return None;
        }
        let before = (number.saturating_sub(RETRY_REACH)..number).rev().map(|one| self.plan(one));
        let last = before.into_iter().find(|one| one.workflow_id == plan.workflow_id)?;
        (last.is_retried && last.end <= plan.start).then_some(last.id)
    }

    /// The properties of the run with this number.
    pub(super) fn plan(&self, number: u64) -> RunPlan {
        let world_seed = self.settings.seed;
        let seed = combine(combine(world_seed, RUN_STREAM), number);
        let mut random = Seeded::new(seed);
        let start = self.timeline.start_of(number);
        let (position, workflow) = draw_workflow(&mut random);
        let model = MODELS
            .get(random.weighted(&MODELS.map(|model| model.weight)))
            .copied()
            .unwrap_or(MODELS[0]);
        let is_new = start >= self.new_version_from;
        let version = workflow.version.saturating_sub(u32::from(!is_new));
        let outcome = draw_outcome(&mut random, workflow, version, model);
        let life = self.settings.lives.draw(seed, outcome);
        let duration = self.draw_duration(&mut random);
        let duration = life.long_open.unwrap_or(duration);
        let pending = random.between(200, LONGEST_PENDING).min(duration / 5);
        let end = start.saturating_add_unsigned(duration);
        let is_late = random.percent(u64::from(self.settings.late_evaluation_percent));
        let delay = random.between(1, self.late_milliseconds.max(1));
        let is_judged = outcome.is_judged() && !life.is_never_evaluated;
        let settled = end.saturating_add_unsigned(if is_late && is_judged { delay } else { 0 });
        let is_manual = workflow.schedule.is_none() || random.percent(12);
        RunPlan {
            id: self.id_of(number),
            workflow_id: shared_id(world_seed, WORKFLOW_STREAM, position),
            server_id: server_id(world_seed, workflow.server),
            seed,
            world_seed,
            workflow,
            version: version.max(1),
            model,
            trigger: if is_manual { "manual" } else { "scheduled" },
            outcome,
            classification: draw_classification(&mut random, workflow, outcome),
            start,
            running_from: start.saturating_add_unsigned(pending),
            end,
            settled,
            is_judged,
            has_unknown_status: life.has_unknown_status,
            changed: life.changed_after.map(|after| settled.saturating_add_unsigned(after)),
            is_retried: life.is_retried,
            retry_of: None,
            redacted_percent: self.settings.lives.redacted_percent,
            input_tokens: random.between(1_800, 42_000),
            output_tokens: random.between(150, 3_800),
        }
    }

    /// The properties of a run that a request dispatched.
    pub(super) fn dispatched(&self, order: &DispatchOrder) -> RunPlan {
        let world_seed = self.settings.seed;
        let mut random = Seeded::new(order.seed);
        let workflow = WORKFLOWS.get(order.workflow).copied().unwrap_or(WORKFLOWS[0]);
        let model = MODELS.get(order.model).copied().unwrap_or(MODELS[0]);
        let drawn = draw_outcome(&mut random, workflow, workflow.version, model);
        let outcome = order.outcome.unwrap_or(drawn);
        let end = order.start.saturating_add_unsigned(order.duration);
        let delay = if outcome.is_judged() { order.evaluation_delay } else { 0 };
        RunPlan {
            id: order.id,
            workflow_id: shared_id(world_seed, WORKFLOW_STREAM, order.workflow),
            server_id: server_id(world_seed, workflow.server),
            seed: order.seed,
            world_seed,
            workflow,
            version: workflow.version,
            model,
            trigger: "manual",
            outcome,
            classification: draw_classification(&mut random, workflow, outcome),
            start: order.start,
            running_from: order.start.saturating_add_unsigned(order.duration / 5),
            end,
            settled: end.saturating_add_unsigned(delay),
            is_judged: outcome.is_judged(),
            has_unknown_status: false,
            changed: None,
            is_retried: false,
            retry_of: None,
            redacted_percent: 0,
            input_tokens: random.between(1_800, 42_000),
            output_tokens: random.between(150, 3_800),
        }
    }

    /// Draws a duration; shorter ones are more likely.
    fn draw_duration(&self, random: &mut Seeded) -> u64 {
        let (least, most) = self.run_milliseconds;
        random.between(least, most).min(random.between(least, most))
    }

    /// The workflows with their ids.
    pub(super) fn workflows(&self) -> impl Iterator<Item = (Uuid, Uuid, &'static Workflow)> {
        let seed = self.settings.seed;
        WORKFLOWS.into_iter().enumerate().map(move |(position, workflow)| {
            let id = shared_id(seed, WORKFLOW_STREAM, position);
            (id, server_id(seed, workflow.server), workflow)
        })
    }

    /// The MCP servers with their ids.
    pub(super) fn servers(&self) -> impl Iterator<Item = (Uuid, &'static Server)> {
        let seed = self.settings.seed;
        SERVERS.into_iter().map(move |server| (server_id(seed, server), server))
    }
}

fn draw_workflow(random: &mut Seeded) -> (usize, &'static Workflow) {
    let position = random.weighted(&WORKFLOWS.map(|workflow| workflow.weight));
    (position, WORKFLOWS.get(position).copied().unwrap_or(WORKFLOWS[0]))
}

fn server_id(seed: u64, server: &Server) -> Uuid {
    let position = SERVERS.iter().position(|other| other.name == server.name);
    shared_id(seed, SERVER_STREAM, position.unwrap_or_default())
}

/// An id that is the same for all runs of a world.
pub(super) fn shared_id(seed: u64, stream: u64, position: usize) -> Uuid {
    let position = u64::try_from(position).unwrap_or_default();
    Seeded::new(combine(combine(seed, stream), position)).uuid()
}
