//! What happens during a gate, as a closed list of events.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::attempt::Outcome;
use super::verdict::WorkflowName;

/// An event of a gate.
#[derive(Clone, Debug)]
pub enum GateEvent {
    /// A run was dispatched, or found after its dispatch.
    Dispatched {
        /// The workflow.
        workflow: WorkflowName,
        /// The repetition, from 1.
        repetition: u32,
        /// The number of repetitions.
        repetitions: u32,
        /// The run's id.
        run_id: String,
        /// The model, if the response names it.
        model: Option<String>,
        /// Whether it takes the place of a run that ended in an error.
        again: bool,
    },
    /// For a repetition there is no run.
    NoRun {
        /// The workflow.
        workflow: WorkflowName,
        /// The repetition, from 1.
        repetition: u32,
        /// Why.
        note: String,
    },
    /// A dispatch had no answer: the runs since are looked at before it is repeated.
    OutcomeUnknown {
        /// What happened.
        reason: String,
    },
    /// The answer to a dispatch names no run: the list is read for it.
    Unnamed,
    /// A run was judged, or will not be.
    Judged {
        /// The run's id.
        run_id: String,
        /// The model, if the API states it.
        model: Option<String>,
        /// What it came to.
        outcome: Outcome,
    },
    /// Some runs are still open.
    Waiting {
        /// Their number.
        open: usize,
        /// How many of them have ended and await their evaluation.
        awaiting_evaluation: usize,
        /// The time since the gate began.
        elapsed: Duration,
    },
}

/// Where events of a gate go.
#[derive(Clone)]
pub struct Progress(Arc<dyn Fn(GateEvent) + Send + Sync>);

impl Progress {
    /// Passes every event to `receive`.
    pub fn new(receive: impl Fn(GateEvent) + Send + Sync + 'static) -> Self {
        Self(Arc::new(receive))
    }

    /// Emits an event.
    pub(super) fn emit(&self, event: GateEvent) {
        (self.0)(event);
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Progress")
    }
}
