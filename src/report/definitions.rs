//! The definitions of the metrics that the page shows.

use super::narrow::SHOWN;
use crate::metrics::{Interval, Metric, metrics_of, shown_in};

/// A metric, as the page explains it.
#[derive(Debug)]
pub(super) struct Definition {
    pub(super) metric: &'static Metric,
    /// The formula on one line.
    pub(super) formula: String,
    /// The method of its interval.
    pub(super) interval: Option<&'static str>,
    /// The views that show it.
    pub(super) views: String,
}

/// A view, with its query.
#[derive(Debug)]
pub(super) struct ViewDefinition {
    pub(super) name: &'static str,
    pub(super) description: &'static str,
    pub(super) query: String,
}

/// The metrics of the views that the page shows, each once, in the order of their first view.
pub(super) fn definitions() -> Vec<Definition> {
    metrics_of(&SHOWN).into_iter().map(definition).collect()
}

fn definition(metric: &'static Metric) -> Definition {
    Definition {
        metric,
        formula: metric.formula(),
        interval: metric.interval.as_ref().map(Interval::method),
        views: shown_in(metric, &SHOWN).collect::<Vec<_>>().join(", "),
    }
}

/// The views that the page shows.
pub(super) fn views() -> Vec<ViewDefinition> {
    let view = |view: &&'static crate::metrics::View| ViewDefinition {
        name: view.name,
        description: view.description,
        query: view.query(),
    };
    SHOWN.iter().map(view).collect()
}
