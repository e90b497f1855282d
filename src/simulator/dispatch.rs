//! `POST /workflows/{id}/runs`: dispatches runs of a workflow.
//!
//! Documented: the body can have `reason`, `baselineRunId`, `idempotencyKey` and `forceNewRun`, the
//! status is 202, and the key needs at least the role `editor`. The body of the response is not
//! documented: [`DispatchResponse`] has the forms that clients must understand.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::plan::{Outcome, RunPlan};
use super::random::{Seeded, combine};

const ORDER_STREAM: u64 = 41;
const IDENTITY_STREAM: u64 = 42;

/// How the API dispatches runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Dispatching {
    /// The form of the response.
    pub response: DispatchResponse,
    /// Whether a repeated idempotency key returns the runs of the first request.
    pub honours_idempotency_key: bool,
    /// Whether runs show the idempotency key that they were dispatched with.
    pub shows_idempotency_key: bool,
    /// How many models each workflow runs on: each request dispatches as many runs. From 1 to 4.
    pub models: u32,
    /// Percentage of dispatched runs that pass; `None` for that of the workflow's other runs.
    pub pass_percent: Option<u8>,
    /// Percentage of dispatched runs that end in `error`.
    pub error_percent: u8,
    /// How long a dispatched run takes, in seconds: the shortest and the longest.
    pub run_seconds: (f64, f64),
    /// How long after the end the evaluation of a dispatched run appears, in seconds.
    pub evaluation_seconds: f64,
}

impl Default for Dispatching {
    fn default() -> Self {
        Self {
            response: DispatchResponse::Runs,
            honours_idempotency_key: true,
            shows_idempotency_key: false,
            models: 1,
            pass_percent: None,
            error_percent: 0,
            run_seconds: (5.0, 30.0),
            evaluation_seconds: 0.0,
        }
    }
}

/// The form of the response to a dispatch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DispatchResponse {
    /// `{"runs": [{"runId", "modelId", "wave", "harness"}]}`, as the vendor's own clients read it.
    #[default]
    Runs,
    /// `[{"id"}]`
    Bare,
    /// `{"id"}`: only the first run.
    Id,
    /// `{"run": {"id"}}`: only the first run.
    Run,
    /// `{"run_id"}`: only the first run.
    RunId,
    /// `{"data": [{"run_id"}]}`
    Data,
    /// `{"runIds": []}`
    RunIds,
    /// 201 with a `Location` header and no body: only the first run.
    Location,
    /// `{"queued": true}`, which names no run.
    Unknown,
}

impl DispatchResponse {
    /// All forms.
    pub const ALL: [Self; 9] = [
        Self::Runs,
        Self::Bare,
        Self::Id,
        Self::Run,
        Self::RunId,
        Self::Data,
        Self::RunIds,
        Self::Location,
        Self::Unknown,
    ];

    /// Whether the form has room for one run only.
    pub(super) const fn names_one_run(self) -> bool {
        matches!(self, Self::Id | Self::Run | Self::RunId | Self::Location)
    }

    /// Status, body (`None` for none) and path of the `Location` header.
    pub(super) fn reply(self, runs: &[RunPlan]) -> (StatusCode, Option<Value>, Option<String>) {
        let ids: Vec<String> = runs.iter().map(|run| run.id.to_string()).collect();
        let first = ids.first().cloned().unwrap_or_default();
        let each = |name: &str| ids.iter().map(|id| json!({ name: id })).collect::<Vec<_>>();
        let body = match self {
            Self::Runs => {
                let runs = runs.iter().map(|run| {
                    json!({
                        "runId": run.id.to_string(),
                        "modelId": run.model.id,
                        "wave": 1,
                        "harness": run.model.harness,
                    })
                });
                json!({"runs": runs.collect::<Vec<_>>()})
            }
            Self::Bare => Value::Array(each("id")),
            Self::Id => json!({"id": first, "status": "pending"}),
            Self::Run => json!({"run": {"id": first, "status": "pending"}}),
            Self::RunId => json!({"run_id": first}),
            Self::Data => json!({"data": each("run_id")}),
            Self::RunIds => json!({"runIds": ids}),
            Self::Unknown => json!({"queued": true}),
            Self::Location => return (StatusCode::CREATED, None, Some(first)),
        };
        (StatusCode::ACCEPTED, Some(body), None)
    }
}

/// A dispatched run, before the world makes a plan of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct DispatchOrder {
    /// The position of the workflow in the list.
    pub(super) workflow: usize,
    /// The position of the model among all models.
    pub(super) model: usize,
    pub(super) id: Uuid,
    pub(super) seed: u64,
    /// The start, in milliseconds since 1970.
    pub(super) start: i64,
    /// The duration, in milliseconds.
    pub(super) duration: u64,
    /// How long after the end the evaluation appears, in milliseconds.
    pub(super) evaluation_delay: u64,
    /// How it ends; `None` for the odds of the workflow.
    pub(super) outcome: Option<Outcome>,
}

/// The body of a request; other members are ignored.
#[derive(Debug, Default, Deserialize)]
pub(super) struct DispatchRequest {
    #[serde(rename = "idempotencyKey")]
    pub(super) idempotency_key: Option<String>,
    #[serde(rename = "forceNewRun", default)]
    pub(super) force_new_run: bool,
}

/// The runs that were dispatched so far.
#[derive(Debug, Default)]
pub(super) struct Dispatched {
    runs: Vec<(RunPlan, Option<String>)>,
    /// The runs of each workflow and idempotency key.
    by_key: BTreeMap<(Uuid, String), Vec<RunPlan>>,
    requests: u64,
}

impl Dispatched {
    /// The runs that have started at `now`, with the idempotency key that each shows.
    pub(super) fn started(&self, now: i64) -> impl Iterator<Item = &(RunPlan, Option<String>)> {
        self.runs.iter().filter(move |(run, _)| run.start <= now)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    pub(super) fn find(&self, id: &str, now: i64) -> Option<&(RunPlan, Option<String>)> {
        self.started(now).find(|(run, _)| run.id.to_string() == id)
    }

    /// The runs for a request: new ones, or those of an earlier request with the same key.
    pub(super) fn answer(
        &mut self,
        how: &Dispatching,
        workflow: (usize, Uuid),
        world_seed: u64,
        request: &DispatchRequest,
        now: i64,
        plan: impl Fn(&DispatchOrder) -> RunPlan,
    ) -> Vec<RunPlan> {
        let (position, workflow_id) = workflow;
        let key = request.idempotency_key.clone().map(|key| (workflow_id, key));
        let known = key.as_ref().filter(|_| how.honours_idempotency_key && !request.force_new_run);
        if let Some(runs) = known.and_then(|key| self.by_key.get(key)) {
            return runs.clone();
        }
        self.requests += 1;
        let seed = combine(combine(world_seed, ORDER_STREAM), self.requests);
        let models = if how.response.names_one_run() { 1 } else { how.models.clamp(1, 4) };
        let orders = (0..models).map(|model| how.order(position, model, seed, now));
        let runs: Vec<RunPlan> = orders.map(|order| plan(&order)).collect();
        let shown = request.idempotency_key.clone().filter(|_| how.shows_idempotency_key);
        self.runs.extend(runs.iter().map(|run| (*run, shown.clone())));
        if let Some(key) = key {
            self.by_key.insert(key, runs.clone());
        }
        runs
    }
}

impl Dispatching {
    fn order(&self, workflow: usize, model: u32, seed: u64, start: i64) -> DispatchOrder {
        let seed = combine(seed, u64::from(model));
        let mut random = Seeded::new(combine(seed, IDENTITY_STREAM));
        let milliseconds = super::clock::milliseconds;
        let (least, most) = self.run_seconds;
        let is_error = random.percent(u64::from(self.error_percent));
        let passes = self.pass_percent.map(|share| random.percent(u64::from(share)));
        let judged = passes.map(|passes| if passes { Outcome::Pass } else { Outcome::Fail });
        DispatchOrder {
            workflow,
            model: usize::try_from(model).unwrap_or(0),
            id: random.uuid(),
            seed,
            start,
            duration: random.between(milliseconds(least), milliseconds(most)),
            evaluation_delay: milliseconds(self.evaluation_seconds),
            outcome: if is_error { Some(Outcome::Error) } else { judged },
        }
    }
}
