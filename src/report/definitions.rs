//! The definitions of the metrics that the page shows.

use super::narrow::SHOWN;
use crate::metrics::{Interval, Metric};

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
    let mut metrics: Vec<&'static Metric> = Vec::new();
    for metric in SHOWN.iter().flat_map(|view| view.metrics()) {
        if !metrics.iter().any(|known| known.name == metric.name) {
            metrics.push(metric);
        }
    }
    metrics.into_iter().map(definition).collect()
}

fn definition(metric: &'static Metric) -> Definition {
    let shows = SHOWN.iter().filter(|view| view.metrics().any(|one| one.name == metric.name));
    let views: Vec<&str> = shows.map(|view| view.name).collect();
    Definition {
        metric,
        formula: metric.sql.split_whitespace().collect::<Vec<_>>().join(" "),
        interval: metric.interval.as_ref().map(|interval| match interval {
            Interval::Wilson { .. } => "Wilson",
            Interval::Newcombe { .. } => "Newcombe (method 10)",
        }),
        views: views.join(", "),
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
