//! The metrics: what each figure answers, how it is computed, and from how many runs on it is
//! shown. Each is declared once, and so is each view that shows it.
//!
//! The views of the DuckDB file, the SQL for the Parquet files and `docs/METRICS.md` all come from
//! these declarations. [`VIEWS`] lists the views in the order in which they must be created: most
//! of them read [`RUN_FACTS`], the only one that knows how the API words a status and which kind of
//! timestamp a table has. The other views use little beyond standard SQL; what differs between the
//! engines is a [`Dialect`].
//!
//! Three rules hold in every view:
//!
//! - A pass rate leaves out what was not decided, as Armature does: runs that ended in an error or
//!   timed out, and runs whose status states no result. Their number stands beside it.
//! - A figure from too few runs is null, and a column of text says [`NOT_ENOUGH_RUNS`].
//! - An interval is that of one workflow. Workflows differ in their rates, so an interval over
//!   several would be too narrow, and would move when the mix of runs does.

mod column;
mod criteria;
mod dialect;
mod earlier;
mod failures;
mod judges;
mod metric;
mod models;
mod quality;
mod runs;
mod sql;
mod tools;
mod view;
mod workflows;

#[cfg(test)]
mod tests;

pub use column::{Column, ColumnType, unit};
pub use dialect::Dialect;
pub use metric::{Interval, Metric, NOT_ENOUGH_RUNS, Sample};
pub use view::{Item, Step, View, ViewColumn};

pub use criteria::CRITERION_HEALTH;
pub use earlier::{CRITERION_RESULTS, RUN_OVERVIEW, TOOL_USAGE, WORKFLOW_DAYS};
pub use failures::FAILURE_CLASSES;
pub use judges::JUDGE_CONSISTENCY;
pub use models::MODEL_COMPARISON;
pub use quality::DATA_QUALITY;
pub use runs::RUN_FACTS;
pub use tools::TOOL_HEALTH;
pub use workflows::{WORKFLOW_DAILY, WORKFLOW_STABILITY, WORKFLOW_VERSIONS};

/// Every view, each after the views that it reads.
pub static VIEWS: &[&View] = &[
    &RUN_FACTS,
    &WORKFLOW_DAILY,
    &WORKFLOW_VERSIONS,
    &WORKFLOW_STABILITY,
    &TOOL_HEALTH,
    &CRITERION_HEALTH,
    &MODEL_COMPARISON,
    &FAILURE_CLASSES,
    &JUDGE_CONSISTENCY,
    &DATA_QUALITY,
    &RUN_OVERVIEW,
    &WORKFLOW_DAYS,
    &TOOL_USAGE,
    &CRITERION_RESULTS,
];

/// The view of this name.
pub fn find(name: &str) -> Option<&'static View> {
    VIEWS.iter().find(|view| view.name == name).copied()
}

/// The metrics that views show, each once, in the order of their first view.
pub fn metrics_of(views: &[&'static View]) -> Vec<&'static Metric> {
    let mut metrics: Vec<&Metric> = Vec::new();
    for metric in views.iter().flat_map(|view| view.metrics()) {
        if !metrics.iter().any(|known| known.name == metric.name) {
            metrics.push(metric);
        }
    }
    metrics
}

/// The names of the views, out of these, that show a metric.
pub fn shown_in<'v>(
    metric: &'v Metric,
    views: &'v [&'static View],
) -> impl Iterator<Item = &'static str> + 'v {
    let shows = |view: &&&View| view.metrics().any(|one| one.name == metric.name);
    views.iter().filter(shows).map(|view| view.name)
}
