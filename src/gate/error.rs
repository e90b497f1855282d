//! Why a gate ended without a verdict.

use std::time::Duration;

use arrow::error::ArrowError;
use serde::Serialize;

use super::verdict::WorkflowName;
use crate::api::ApiError;
use crate::job::JobError;

/// A run, or a dispatch that may have started one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RunReference {
    /// The workflow.
    pub workflow: WorkflowName,
    /// The run; `None` for a dispatch whose outcome is not known.
    pub run_id: Option<String>,
    /// The run's page in the dashboard.
    pub run_url: Option<String>,
}

/// A gate that ended without a verdict.
#[derive(Debug)]
pub struct GateFailure {
    /// Why.
    pub error: GateError,
    /// Runs that were dispatched and had not ended: they go on at Armature.
    pub running: Vec<RunReference>,
}

/// Why a gate ended without a verdict. Names of workflows in messages are free of control
/// characters.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// A request to the API failed.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The lake, which is read for the baseline, or the configured columns cannot be used.
    #[error(transparent)]
    Job(#[from] JobError),
    /// No workflow has this id or name.
    #[error("there is no workflow with the id or name `{name}`")]
    UnknownWorkflow {
        /// As given.
        name: String,
        /// Similar names and their ids, the most similar first.
        similar: Vec<String>,
    },
    /// Several workflows have this name.
    #[error("several workflows have the name `{name}`")]
    AmbiguousWorkflow {
        /// As given.
        name: String,
        /// Their ids.
        ids: Vec<String>,
    },
    /// The API does not know a run that was given.
    #[error("the API knows no run with the id `{run_id}`")]
    UnknownRun {
        /// As given.
        run_id: String,
    },
    /// Fewer runs were given than must pass.
    #[error("too few runs of `{workflow}` on {model}: {runs} given, and {required} must pass")]
    TooFewRuns {
        /// The workflow.
        workflow: String,
        /// The model.
        model: String,
        /// Runs that were given.
        runs: u32,
        /// Runs that must pass.
        required: u32,
    },
    /// 401 or 403 for a dispatch: the key, or its role.
    #[error(
        "the API refused to dispatch `{workflow}` with {status}{}",
        said(code.as_ref(), message.as_ref())
    )]
    MayNotDispatch {
        /// The workflow.
        workflow: String,
        /// 401 or 403.
        status: u16,
        /// The API's code.
        code: Option<String>,
        /// The API's message.
        message: Option<String>,
    },
    /// 403 without a JSON body for a dispatch.
    #[error(
        "something in front of the API blocked the dispatch of `{workflow}` with 403 and no JSON{}",
        trace.as_ref().map(|id| format!(" ({id})")).unwrap_or_default()
    )]
    Blocked {
        /// The workflow.
        workflow: String,
        /// The request's id, if the response has one.
        trace: Option<String>,
    },
    /// The API does not accept the dispatch.
    #[error(
        "the API did not dispatch `{workflow}`: status {status}{}",
        said(code.as_ref(), message.as_ref())
    )]
    Rejected {
        /// The workflow.
        workflow: String,
        /// The status.
        status: u16,
        /// The API's code.
        code: Option<String>,
        /// The API's message.
        message: Option<String>,
    },
    /// The API could not be reached to dispatch a workflow.
    #[error("failed to dispatch `{workflow}`, tried {attempts} times: {reason}")]
    NotSent {
        /// The workflow.
        workflow: String,
        /// Number of attempts.
        attempts: u32,
        /// Why the last one failed.
        reason: String,
    },
    /// The pass rate cannot be compared with that of earlier runs, although it must not be lower.
    #[error("no comparison with earlier runs, which --baseline-blocks needs: {reason}")]
    NoBaseline {
        /// Why there is none.
        reason: String,
    },
    /// A dispatch was sent several times, and its outcome stayed unknown.
    #[error(
        "the outcome of a dispatch of `{workflow}` is not known, sent {attempts} times: {reason}"
    )]
    NoAnswer {
        /// The workflow.
        workflow: String,
        /// Number of attempts.
        attempts: u32,
        /// Why the last one failed.
        reason: String,
    },
    /// The API asks to wait longer than allowed before the dispatch.
    #[error(
        "the API asks to wait {} before `{workflow}` can be dispatched",
        humantime::format_duration(*wait)
    )]
    RateLimited {
        /// The workflow.
        workflow: String,
        /// The wait.
        wait: Duration,
    },
    /// A stop was requested.
    #[error("interrupted")]
    Interrupted,
    /// Rows do not have their declared types: a bug of this program.
    #[error("failed to read a run's rows: {0}")]
    Rows(#[from] ArrowError),
}

pub(super) fn said(code: Option<&String>, message: Option<&String>) -> String {
    match (code, message) {
        (Some(code), Some(message)) => format!(" ({code}: {message})"),
        (Some(text), None) | (None, Some(text)) => format!(" ({text})"),
        (None, None) => String::new(),
    }
}
