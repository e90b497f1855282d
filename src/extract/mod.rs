//! Which requests are sent, and in which order: window → list scan → fan-out. Does not depend on
//! Arrow.

mod carried_over;
mod decide;
mod fetch;
mod list_scan;
mod listed;
mod narrower;
mod order;
mod pipeline;
mod query;
mod resources;
mod scan;
mod window;
mod window_scan;

pub use carried_over::unlisted;
pub use decide::{Decision, decide};
pub use fetch::{FetchPolicy, FetchTask, TaskOutcome, fetch_document, fetch_run, shortfalls};
pub use listed::{ListedRun, RunPaths};
pub use pipeline::{ExtractEvent, Extraction, ExtractionPlan};
pub use query::{is_refusal, list_query};
pub use resources::{Organization, ResourceList, organization, resource_list};
pub use scan::{Proof, ScanSummary, WindowScan};
pub use window::{Range, Window, out_of_reach, plan};
