//! `schema --metrics`: the metrics, and the views that show them.

use std::fmt::Write as _;

use serde::Serialize;

use super::args::{SchemaArguments, SchemaFormat};
use super::context::{Context, write_stdout};
use crate::failure::{Exit, Failure};
use crate::metrics::{Interval, VIEWS, View, find, metrics_of, shown_in};

pub(super) fn run(context: &Context, arguments: &SchemaArguments) -> Result<Exit, Failure> {
    let mut views = VIEWS.to_vec();
    if let Some(name) = arguments.table.as_deref() {
        let Some(view) = find(name) else {
            let known: Vec<&str> = VIEWS.iter().map(|view| view.name).collect();
            return Err(Failure::usage(
                format!("there is no view `{name}`"),
                format!("the views are {}", known.join(", ")),
            ));
        };
        views = vec![view];
    }
    let text = match arguments.format {
        SchemaFormat::Json => json(&views)?,
        _ if context.is_json() => json(&views)?,
        SchemaFormat::Markdown => markdown(&views),
        _ => text(&views),
    };
    write_stdout(&text)?;
    Ok(Exit::Done)
}

/// The method of an interval, and what it is computed from.
fn method(interval: &Interval) -> String {
    let method = interval.method();
    match interval {
        Interval::Wilson { with, of } => format!("{method}, `{with}` of `{of}`"),
        Interval::Newcombe { share, subtracted } => {
            format!("{method}, `{share}` minus `{subtracted}`")
        }
    }
}

#[derive(Serialize)]
struct MetricEntry {
    name: &'static str,
    question: &'static str,
    description: &'static str,
    unit: Option<&'static str>,
    sql: String,
    interval: Option<String>,
    sample_size: &'static str,
    least_sample: u32,
    views: Vec<&'static str>,
}

#[derive(Serialize)]
struct ViewEntry {
    name: &'static str,
    description: &'static str,
    key: &'static [&'static str],
    columns: Vec<ColumnEntry>,
    sql: String,
}

#[derive(Serialize)]
struct ColumnEntry {
    name: String,
    duckdb_type: &'static str,
    unit: Option<&'static str>,
    description: String,
}

#[derive(Serialize)]
struct Entries {
    metrics: Vec<MetricEntry>,
    views: Vec<ViewEntry>,
}

fn json(views: &[&'static View]) -> Result<String, Failure> {
    let metrics = metrics_of(views).into_iter().map(|metric| MetricEntry {
        name: metric.name,
        question: metric.question,
        description: metric.description,
        unit: metric.unit,
        sql: metric.formula(),
        interval: metric.interval.as_ref().map(method),
        sample_size: metric.sample.size,
        least_sample: metric.sample.least,
        views: VIEWS
            .iter()
            .filter(|view| view.metrics().any(|one| one.name == metric.name))
            .map(|view| view.name)
            .collect(),
    });
    let entries = views.iter().map(|view| ViewEntry {
        name: view.name,
        description: view.description,
        key: view.key,
        columns: view
            .columns()
            .into_iter()
            .map(|column| ColumnEntry {
                name: column.name,
                duckdb_type: column.kind.duckdb(),
                unit: column.unit,
                description: column.description,
            })
            .collect(),
        sql: view.query(),
    });
    let entries = Entries { metrics: metrics.collect(), views: entries.collect() };
    serde_json::to_string_pretty(&entries).map_err(|error| Failure::new(Exit::Bug, error.into()))
}

fn text(views: &[&'static View]) -> String {
    let mut out = String::new();
    for metric in metrics_of(views) {
        let unit = metric.unit.map(|unit| format!(" ({unit})")).unwrap_or_default();
        // Writing to a String cannot fail.
        let _infallible = writeln!(
            out,
            "{}{unit} — {}\n    {}\n    {}\n    from {} = {} on\n",
            metric.name,
            metric.question,
            metric.description,
            metric.formula(),
            metric.sample.size,
            metric.sample.least,
        );
    }
    for view in views {
        let _infallible = writeln!(out, "{} — {}", view.name, view.description);
        let columns = view.columns();
        let width = columns.iter().map(|column| column.name.len()).max().unwrap_or(0);
        for column in &columns {
            let unit = column.unit.map(|unit| format!(", {unit}")).unwrap_or_default();
            let _infallible = writeln!(
                out,
                "    {:<width$}  {}{unit}\n    {:<width$}  {}",
                column.name,
                column.kind.duckdb(),
                "",
                column.description
            );
        }
        out.push('\n');
    }
    out
}

/// The metrics and views in the format of `docs/METRICS.md`.
fn markdown(views: &[&'static View]) -> String {
    let mut out = String::from("## Metrics\n");
    for metric in metrics_of(views) {
        let interval = metric.interval.as_ref().map(method);
        let interval = interval.map(|text| format!("; 95 % interval: {text}")).unwrap_or_default();
        let unit = metric.unit.map(|unit| format!("; unit: {unit}")).unwrap_or_default();
        let views: Vec<String> = shown_in(metric, VIEWS).map(|name| format!("`{name}`")).collect();
        // Writing to a String cannot fail.
        let _infallible = writeln!(
            out,
            "\n### {}\n\n**{}** {}\n\n    {}\n\nFrom `{}` = {} on{unit}{interval}. In {}.",
            metric.name,
            metric.question,
            metric.description,
            metric.formula(),
            metric.sample.size,
            metric.sample.least,
            views.join(", ")
        );
    }
    out.push_str("\n## Views\n");
    for view in views {
        let key = match view.key {
            [] => "There is always one row.".to_owned(),
            key => format!("Key: `{}`.", key.join("`, `")),
        };
        let _infallible = writeln!(
            out,
            "\n### {}\n\n{}\n\n{key}\n\n| column | type | unit | description |\n|---|---|---|---|",
            view.name, view.description
        );
        for column in view.columns() {
            let _infallible = writeln!(
                out,
                "| `{}` | {} | {} | {} |",
                column.name,
                column.kind.duckdb(),
                column.unit.unwrap_or_default(),
                column.description
            );
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What stands above the generated part of `docs/METRICS.md`.
    const PREFACE: &str = include_str!("metrics.md");

    #[test]
    #[expect(clippy::disallowed_methods, reason = "how a person asks for the file to be made")]
    fn the_metrics_are_documented_as_they_are() {
        let made = format!("{PREFACE}\n{}", markdown(VIEWS));
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/METRICS.md");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, &made).unwrap();
        }
        let found = std::fs::read_to_string(path).unwrap_or_default();
        assert!(found == made, "docs/METRICS.md is stale: run the tests with UPDATE_DOCS=1");
    }
}
