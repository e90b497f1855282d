//! Which requests, in which order: window → sweep → fan-out. Knows no Arrow.

mod decide;
mod fetch;
mod follow;
mod list_scan;
mod listed;
mod narrower;
mod order;
mod pipeline;
mod resources;
mod sweep;
mod window;

pub use decide::{Decision, decide};
pub use fetch::{FetchPolicy, Outcome, Wanted, fetch_run, shortfalls};
pub use follow::unlisted;
pub use listed::{ListedRun, RunPaths};
pub use pipeline::{Extracted, Extraction, ExtractionPlan};
pub use resources::{Organization, ResourceList, organization, resource_list};
pub use sweep::{Proof, Sweep, SweepTally, is_refusal, list_query};
pub use window::{DAY, Range, Window, out_of_reach, plan};
