//! Charts as SVG. Each is 340 units wide, which is a phone's width; text is 12 units high. What a
//! chart shows is also in a table beside it, so a chart itself is one image for a screen reader.

use askama::Template;

use super::days::Day;
use super::format::{counted, fitting, grouped, money, percent, signed_points};
use super::rows::{Row, Rows};
use super::scale::Scale;
use crate::metrics::NOT_ENOUGH_RUNS;

/// The left and right end of what is drawn.
const SIDES: (f64, f64) = (10.0, 330.0);

/// The height of a row: a line of text, and a track below it.
const ROW: f64 = 38.0;

/// The most rows of a chart.
const MOST: usize = 12;

/// Columns of text in the whole width.
const COLUMNS: usize = 46;

fn at(place: f64) -> String {
    format!("{place:.1}")
}

/// A line of an axis, with its text.
#[derive(Debug)]
struct Tick {
    x: String,
    text: String,
    /// Where the text stands: the outer ones must not be cut off.
    anchor: &'static str,
}

fn ticks(scale: &Scale, most: u32, text: impl Fn(f64) -> String) -> Vec<Tick> {
    let values = scale.ticks(most);
    let anchor = |x: f64| match x {
        x if x < 20.0 => "start",
        x if x > 320.0 => "end",
        _ => "middle",
    };
    let tick = |value: f64| {
        let x = scale.place(value);
        Tick { x: at(x), text: text(value), anchor: anchor(x) }
    };
    values.into_iter().map(tick).collect()
}

/// The change of the pass rate with the latest version of each workflow.
#[derive(Debug, Template)]
#[template(path = "report/changes.svg", escape = "html")]
pub(super) struct ChangesChart {
    height: String,
    bottom: String,
    description: String,
    zero: String,
    ticks: Vec<Tick>,
    rows: Vec<ChangeRow>,
}

#[derive(Debug)]
struct ChangeRow {
    label: String,
    value: String,
    text_y: String,
    y: String,
    low: String,
    high: String,
    /// The outline of the mark: a triangle that points down or up, or a circle.
    mark: String,
    class: &'static str,
}

impl ChangesChart {
    /// The chart of rows of `workflow_versions`; `None` if none of them has a change.
    pub(super) fn new(versions: &Rows) -> Option<Self> {
        let mut changes = Vec::new();
        for row in versions.iter() {
            let bounds =
                row.number("pass_rate_change_low").zip(row.number("pass_rate_change_high"));
            if let Some((change, (low, high))) = row.number("pass_rate_change").zip(bounds) {
                changes.push((row, change, low, high));
            }
        }
        changes.truncate(MOST);
        let ends = changes.iter().flat_map(|(_, _, low, high)| [low.abs(), high.abs()]);
        // Whole tens of points.
        let end = (ends.reduce(f64::max)? * 10.0).ceil().clamp(1.0, 10.0) / 10.0;
        let scale = Scale::new((-end, end), SIDES);
        let mut y = 0.0;
        let mut rows = Vec::new();
        for (row, change, low, high) in changes {
            let comparison = row.text("comparison").unwrap_or_default();
            let version = row.text("workflow_version").unwrap_or_default();
            let workflow = row.text("workflow_name").unwrap_or_default();
            let (place, middle) = (scale.place(change), y + 27.0);
            let value = format!("{} points", signed_points(change));
            rows.push(ChangeRow {
                label: fitting(&format!("{workflow}, version {version}"), COLUMNS - 12),
                value,
                text_y: at(y + 14.0),
                y: at(middle),
                low: at(scale.place(low)),
                high: at(scale.place(high)),
                mark: mark(comparison, place, middle),
                class: class(comparison),
            });
            y += ROW;
        }
        let description = format!(
            "{}, each with the change of the pass rate in its latest version as a point with its \
             95\u{202f}% interval; a triangle marks a regression or an improvement. The table has \
             the same figures.",
            counted(u64::try_from(rows.len()).unwrap_or(u64::MAX), "workflow", "workflows")
        );
        Some(Self {
            height: at(y + 24.0),
            bottom: at(y),
            description,
            zero: at(scale.place(0.0)),
            ticks: ticks(&scale, 4, signed_points),
            rows,
        })
    }

    /// Where the text of the axis stands.
    fn axis_y(&self) -> String {
        at(self.bottom.parse::<f64>().unwrap_or_default() + 16.0)
    }
}

fn class(comparison: &str) -> &'static str {
    match comparison {
        "regression" => "worse",
        "improvement" => "better",
        _ => "same",
    }
}

/// The outline of a mark around a point.
fn mark(comparison: &str, x: f64, y: f64) -> String {
    let point = |dx: f64, dy: f64| format!("{} {}", at(x + dx), at(y + dy));
    match comparison {
        "regression" => {
            format!("M{}L{}L{}Z", point(-6.0, -5.0), point(6.0, -5.0), point(0.0, 6.0))
        }
        "improvement" => {
            format!("M{}L{}L{}Z", point(-6.0, 5.0), point(6.0, 5.0), point(0.0, -6.0))
        }
        _ => format!("M{}a4 4 0 1 0 8 0a4 4 0 1 0 -8 0Z", point(-4.0, 0.0)),
    }
}

/// Runs by day and outcome, all workflows together.
#[derive(Debug, Template)]
#[template(path = "report/days.svg", escape = "html")]
pub(super) struct DaysChart {
    description: String,
    ticks: Vec<DayTick>,
    first: String,
    last: String,
    bars: Vec<DayBar>,
    width: String,
}

#[derive(Debug)]
struct DayTick {
    y: String,
    text: String,
}

/// The parts of a bar, from below: passed, decided and not passed, not decided.
#[derive(Debug)]
struct DayBar {
    x: String,
    parts: Vec<(&'static str, String, String)>,
}

impl DaysChart {
    /// The chart of days and their counts; `None` without a run.
    pub(super) fn new(days: &[Day], rows: &Rows) -> Option<Self> {
        const TOP: f64 = 28.0;
        const BOTTOM: f64 = 118.0;
        let most = rows.iter().filter_map(|row| row.number("runs")).reduce(f64::max)?;
        let (first, last) = (days.first()?, days.last()?);
        let scale = Scale::from_zero(most, (0.0, BOTTOM - TOP));
        let count = u32::try_from(days.len()).unwrap_or(u32::MAX);
        let step = (SIDES.1 - 40.0) / f64::from(count.max(1));
        let mut bars = Vec::new();
        for (place, day) in (0_u32..).zip(days) {
            let Some(row) = rows.iter().find(|row| row.text("day_number") == Some(&day.key()))
            else {
                continue;
            };
            let number = |column: &str| row.number(column).unwrap_or_default();
            let (passed, decided, runs) = (number("passed"), number("decided"), number("runs"));
            let ends =
                [("passed", 0.0, passed), ("failed", passed, decided), ("error", decided, runs)];
            let part = |(class, from, until): (&'static str, f64, f64)| {
                let (low, high) = (scale.place(from), scale.place(until));
                (class, at(BOTTOM - high), at(high - low))
            };
            let parts = ends.into_iter().filter(|(_, from, until)| from < until).map(part);
            bars.push(DayBar { x: at(40.0 + f64::from(place) * step), parts: parts.collect() });
        }
        let tick = |value: f64| DayTick {
            y: at(BOTTOM - scale.place(value)),
            text: grouped(&format!("{value:.0}")),
        };
        let description = format!(
            "Runs from {} to {} by the day on which they started: passed, partial or failed, and \
             error or undecided. The table by workflow and day has the counts.",
            first.date(),
            last.date()
        );
        Some(Self {
            description,
            ticks: scale
                .ticks(3)
                .into_iter()
                .filter(|tick| tick.fract() == 0.0)
                .map(tick)
                .collect(),
            first: first.short(),
            last: last.short(),
            bars,
            width: at((step - 2.0).clamp(1.5, 24.0)),
        })
    }
}

/// Pass rate and cost of the models of one workflow.
#[derive(Debug, Template)]
#[template(path = "report/models.svg", escape = "html")]
pub(super) struct ModelsChart {
    /// The number of the chart, which tells the ids of charts apart.
    number: usize,
    workflow: String,
    height: String,
    bottom: String,
    axis_y: String,
    description: String,
    ticks: Vec<Tick>,
    most_cost: String,
    rows: Vec<ModelRow>,
}

#[derive(Debug)]
struct ModelRow {
    label: String,
    rate: String,
    text_y: String,
    y: String,
    low: String,
    high: String,
    place: String,
    cost: String,
    /// The width of the bar of the cost; `None` if it is not known.
    bar: Option<String>,
    bar_y: String,
}

impl ModelsChart {
    /// The most charts, each of one workflow.
    const MOST: usize = 6;
    /// The most models of a workflow.
    const MOST_MODELS: usize = 6;
    /// Where bars of costs begin.
    const COSTS: f64 = 212.0;

    /// Charts of rows of `model_comparison`, ordered by workflow, all on the same scales. Costs are
    /// drawn only if all are in one currency.
    pub(super) fn of_workflows(models: &Rows) -> Vec<Self> {
        let mut workflows: Vec<(Option<&str>, Vec<Row<'_>>)> = Vec::new();
        for row in models.iter().filter(|row| row.number("pass_rate").is_some()) {
            let key = row.text("workflow_name");
            match workflows.last_mut() {
                Some((last, rows)) if *last == key => rows.push(row),
                _ => workflows.push((key, vec![row])),
            }
        }
        workflows.truncate(Self::MOST);
        for (_, rows) in &mut workflows {
            rows.truncate(Self::MOST_MODELS);
        }
        let all = || workflows.iter().flat_map(|(_, rows)| rows);
        let priced = || all().filter(|row| row.number("cost_per_pass").is_some());
        let currency = priced().next().and_then(|row| row.text("cost_currency"));
        let is_one = priced().all(|row| row.text("cost_currency") == currency);
        let most = priced().filter_map(|row| row.number("cost_per_pass")).reduce(f64::max);
        let most = most.filter(|most| is_one && *most > 0.0);
        let charts = workflows.iter().enumerate().map(|(number, (workflow, rows))| {
            let most_cost = most.map(|most| money(most, currency)).unwrap_or_default();
            let costs = most.map(|most| Scale::new((0.0, most), (0.0, SIDES.1 - Self::COSTS)));
            Self::new(number, workflow.unwrap_or("workflow not named"), rows, costs, most_cost)
        });
        charts.collect()
    }

    fn new(
        number: usize,
        workflow: &str,
        models: &[Row<'_>],
        costs: Option<Scale>,
        most_cost: String,
    ) -> Self {
        let rates = Scale::new((0.0, 1.0), (SIDES.0, 190.0));
        let mut rows = Vec::new();
        let mut y = 38.0;
        for row in models {
            let number = |column: &str| row.number(column).unwrap_or_default();
            let cost = row.number("cost_per_pass");
            rows.push(ModelRow {
                label: fitting(row.text("model").unwrap_or("model not stated"), 20),
                rate: percent(number("pass_rate")),
                text_y: at(y + 12.0),
                y: at(y + 23.0),
                low: at(rates.place(number("pass_rate_low"))),
                high: at(rates.place(number("pass_rate_high"))),
                place: at(rates.place(number("pass_rate"))),
                cost: cost.map_or_else(
                    || NOT_ENOUGH_RUNS.to_owned(),
                    |cost| money(cost, row.text("cost_currency")),
                ),
                bar: cost.zip(costs).map(|(cost, scale)| at(scale.place(cost).max(1.0))),
                bar_y: at(y + 19.0),
            });
            y += 34.0;
        }
        let description = format!(
            "{}, each with its pass rate as a point with its 95\u{202f}% interval, and the cost \
             of a passed run as a bar. The table below has the same figures.",
            counted(u64::try_from(rows.len()).unwrap_or(u64::MAX), "model", "models")
        );
        Self {
            number,
            workflow: fitting(workflow, COLUMNS),
            height: at(y + 20.0),
            bottom: at(y + 2.0),
            axis_y: at(y + 16.0),
            description,
            ticks: ticks(&rates, 2, percent),
            most_cost,
            rows,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CHANGES: [&str; 6] = [
        "workflow_name",
        "workflow_version",
        "comparison",
        "pass_rate_change",
        "pass_rate_change_low",
        "pass_rate_change_high",
    ];

    #[test]
    fn changes_are_drawn_by_their_kind() {
        let rows = Rows::of_text(
            &CHANGES,
            &[
                &["check <out>", "7", "regression", "-0.4", "-0.55", "-0.25"],
                &["triage", "12", "no clear change", "-0.03", "-0.19", "0.12"],
                &["a workflow with quite a long name", "3", "improvement", "0.2", "0.1", "0.3"],
                &["small", "1", "not enough runs", "-", "-", "-"],
            ],
        );
        insta::assert_snapshot!(ChangesChart::new(&rows).unwrap().render().unwrap());
        let none = Rows::of_text(&CHANGES, &[&["a", "1", "not enough runs", "-", "-", "-"]]);
        assert!(ChangesChart::new(&none).is_none());
    }

    #[test]
    fn days_are_stacked() {
        let columns = ["day_number", "runs", "decided", "passed"];
        let rows: [&[&str]; 2] = [&["20000", "40", "36", "30"], &["20002", "7", "0", "0"]];
        let days: Vec<Day> = (20_000..20_003).filter_map(Day::of_number).collect();
        let chart = DaysChart::new(&days, &Rows::of_text(&columns, &rows)).unwrap();
        insta::assert_snapshot!(chart.render().unwrap());
        assert!(DaysChart::new(&days, &Rows::default()).is_none());
        assert!(DaysChart::new(&[], &Rows::of_text(&columns, &rows)).is_none());
    }

    const MODELS: [&str; 7] = [
        "workflow_name",
        "model",
        "pass_rate",
        "pass_rate_low",
        "pass_rate_high",
        "cost_per_pass",
        "cost_currency",
    ];

    #[test]
    fn models_are_grouped_by_workflow_on_one_scale() {
        let rows = Rows::of_text(
            &MODELS,
            &[
                &["checkout", "large", "0.9", "0.8", "0.96", "0.4", "USD"],
                &["checkout", "small", "0.5", "0.3", "0.7", "0.1", "USD"],
                &["triage", "-", "1", "0.5", "1", "-", "USD"],
                &["unused", "large", "-", "-", "-", "-", "-"],
            ],
        );
        let charts = ModelsChart::of_workflows(&rows);
        let charts: Vec<String> = charts.iter().map(|chart| chart.render().unwrap()).collect();
        insta::assert_snapshot!(charts.join("\n"));
    }

    /// Bars of amounts in different currencies would be compared.
    #[test]
    fn costs_in_several_currencies_have_no_bars() {
        let rows = Rows::of_text(
            &MODELS,
            &[
                &["checkout", "large", "0.9", "0.8", "0.96", "0.4", "USD"],
                &["checkout", "small", "0.5", "0.3", "0.7", "0.1", "EUR"],
            ],
        );
        let charts = ModelsChart::of_workflows(&rows);
        let drawn = charts.iter().flat_map(|chart| &chart.rows).any(|row| row.bar.is_some());
        assert!(!drawn && charts.len() == 1);
    }

    proptest! {
        /// Whatever the figures and names, nothing is drawn outside, and no number is none.
        #[test]
        fn nothing_is_drawn_outside(
            name in any::<String>(), change in -1.0..1.0_f64, width in 0.0..1.0_f64,
        ) {
            let (low, high) = (change - width, change + width);
            let numbers = [change, low, high].map(|number| number.to_string());
            let row = [&name, "1", "regression", &numbers[0], &numbers[1], &numbers[2]];
            let chart = ChangesChart::new(&Rows::of_text(&CHANGES, &[&row])).unwrap();
            for row in &chart.rows {
                for place in [&row.low, &row.high] {
                    let place: f64 = place.parse().unwrap();
                    prop_assert!((10.0..=330.0).contains(&place), "{place}");
                }
            }
            let svg = chart.render().unwrap();
            prop_assert!(!svg.contains("NaN") || name.contains("NaN"));
            prop_assert_eq!(svg.matches('<').count(), svg.matches('>').count());
        }
    }
}
