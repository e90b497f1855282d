//! A gate for CI: dispatches runs of workflows, waits until they are judged, and decides whether
//! enough of them pass.
//!
//! [`gate`] is the job; everything that decides is pure: [`judge`] the verdict, [`groups`] which
//! attempts belong together, [`p_value_of_fewer_passes`] the comparison with earlier runs. The
//! reports are pure, too.

mod attempt;
mod baseline;
mod dispatch;
mod error;
mod fisher;
mod github;
mod job;
mod junit;
mod markdown;
mod progress;
mod report;
mod response;
mod run_reader;
mod text;
mod verdict;
mod workflows;

pub use attempt::{Attempt, Cause, Cost, FailedCriterion, Outcome};
pub use baseline::BaselineOptions;
pub use error::{GateError, GateFailure, RunReference};
pub use fisher::{Sample, p_value_of_fewer_passes};
pub use github::{annotations, outputs};
pub use job::{GateOptions, gate};
pub use junit::junit;
pub use markdown::markdown;
pub use progress::{GateEvent, Progress};
pub use report::GateReport;
pub use response::{DispatchedRun, dispatched_runs};
pub use text::{command_data, plain};
pub use verdict::{
    Comparison, CriterionCount, Group, GroupVerdict, Reason, Required, Rules, SIGNIFICANT, Verdict,
    WorkflowName, groups, judge, overall,
};
