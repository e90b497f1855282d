//! A metric: a figure with its question, its formula and its least sample.

use super::sql::{newcombe, wilson};
use super::{ColumnType, Dialect};

/// What a view says instead of a figure that has too small a sample.
pub const NOT_ENOUGH_RUNS: &str = "not enough runs";

/// A figure, computed from the counts of a view.
#[derive(Debug)]
pub struct Metric {
    /// The name, as a column of the views that show it.
    pub name: &'static str,
    /// The question that it answers.
    pub question: &'static str,
    /// The type: text for a conclusion, which says [`NOT_ENOUGH_RUNS`] by itself.
    pub kind: ColumnType,
    /// The unit, one of [`super::unit`]; `None` for a conclusion.
    pub unit: Option<&'static str>,
    /// How it is defined, and how it is to be read.
    pub description: &'static str,
    /// The formula: an expression over the counts of the view, and over metrics of lower levels.
    pub sql: &'static str,
    /// The 95 % interval around it.
    pub interval: Option<Interval>,
    /// From how many on it is shown.
    pub sample: Sample,
    /// 1 if the formula needs only counts; one more than the metrics that it needs otherwise.
    pub level: u8,
}

/// The size of a sample, and the least that a figure needs.
#[derive(Debug)]
pub struct Sample {
    /// What the figure is computed from: an expression over the counts of the view.
    pub size: &'static str,
    /// Below this, the figure is null.
    pub least: u32,
}

/// How the 95 % interval of a metric is computed. Its bounds are the columns `<metric>_low` and
/// `<metric>_high`.
#[derive(Debug)]
pub enum Interval {
    /// Wilson's score interval of a share.
    Wilson {
        /// How many have the property: a column of counts.
        with: &'static str,
        /// Of how many: a column of counts.
        of: &'static str,
    },
    /// Newcombe's interval (method 10) of the difference of two independent shares, each with its
    /// Wilson interval.
    Newcombe {
        /// The metric that is the first share.
        share: &'static str,
        /// The metric that is subtracted.
        subtracted: &'static str,
    },
}

impl Interval {
    /// The name of the method.
    pub fn method(&self) -> &'static str {
        match self {
            Self::Wilson { .. } => "Wilson",
            Self::Newcombe { .. } => "Newcombe (method 10)",
        }
    }
}

impl Metric {
    /// The formula on one line.
    pub fn formula(&self) -> String {
        self.sql.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// The names of the columns that the metric consists of: the figure, and the bounds of its
    /// interval.
    pub(super) fn column_names(&self) -> Vec<String> {
        let bounds = self.interval.as_ref().map(|_| ["low", "high"]).into_iter().flatten();
        let bounds = bounds.map(|bound| format!("{}_{bound}", self.name));
        std::iter::once(self.name.to_owned()).chain(bounds).collect()
    }

    /// The same with their formulas. Below the least sample they are not yet null.
    pub(super) fn formulas(&self, dialect: Dialect) -> Vec<(String, String)> {
        let bounds = self.interval.as_ref().map(|interval| match interval {
            Interval::Wilson { with, of } => wilson(dialect, with, of),
            Interval::Newcombe { share, subtracted } => newcombe(share, subtracted),
        });
        let formulas = std::iter::once(self.sql.to_owned()).chain(bounds.into_iter().flatten());
        self.column_names().into_iter().zip(formulas).collect()
    }

    /// An expression that is null, or says [`NOT_ENOUGH_RUNS`], below the least sample.
    pub(super) fn shown(&self, column: &str) -> String {
        let Sample { size, least } = &self.sample;
        let instead = match self.kind {
            ColumnType::Text => format!(" ELSE '{NOT_ENOUGH_RUNS}'"),
            _ => String::new(),
        };
        format!("CASE WHEN {size} >= {least} THEN {column}{instead} END")
    }

    /// An expression that says [`NOT_ENOUGH_RUNS`] below the least sample, and is null otherwise.
    pub(super) fn note(&self) -> String {
        let Sample { size, least } = &self.sample;
        format!("CASE WHEN {size} >= {least} THEN NULL ELSE '{NOT_ENOUGH_RUNS}' END")
    }
}
