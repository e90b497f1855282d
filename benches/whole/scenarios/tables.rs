//! The tables about whole exports, with the goals that they are read for.

use crate::figures::{Series, count, least, median, megabytes, most, number, spread};
use crate::report::Table;

use super::whole::Measured;

/// The size for which the second sync's goals are set.
const LARGEST: usize = 100_000;

pub(super) fn whole(measured: &[Measured]) -> Vec<Table> {
    vec![exports(measured), growth(measured), again(measured), verify(measured), requests(measured)]
}

impl Measured {
    fn bare_seconds(&self) -> f64 {
        median(self.bare.iter().map(|bare| bare.seconds))
    }

    fn row(&self, what: &str, series: &Series, size: f64, goals: [&str; 2]) -> [String; 11] {
        let [ratio, memory] = goals.map(str::to_owned);
        [
            count(self.runs),
            what.to_owned(),
            series.0.len().to_string(),
            format!("{:.2}", series.seconds()),
            series.spread(),
            format!("{:.1}", series.seconds() / self.bare_seconds()),
            ratio,
            per_run(series, self.runs),
            series.memory(),
            memory,
            format!("{size:.1}"),
        ]
    }

    fn bare_row(&self) -> [String; 11] {
        let bytes = self.bare.first().map_or(0, |bare| bare.bytes);
        let none = String::new;
        [
            count(self.runs),
            format!("bare requests, {:.0} MB", megabytes(bytes)),
            self.bare.len().to_string(),
            format!("{:.2}", self.bare_seconds()),
            spread(self.bare.iter().map(|bare| bare.seconds)),
            "1.0".to_owned(),
            none(),
            format!("{:.2}", self.bare_seconds() * 1e3 / number(self.runs)),
            none(),
            none(),
            none(),
        ]
    }
}

fn exports(measured: &[Measured]) -> Table {
    let mut table = Table::new(
        "Whole exports",
        "Lake with raw documents, and DuckDB; and the lake only, without raw documents.",
        &[
            "runs",
            "what",
            "median of",
            "s",
            "least–most",
            "× bare requests",
            "goal",
            "ms a run",
            "peak memory, MB: median, most",
            "goal",
            "Parquet, MB",
        ],
    );
    for size in measured {
        table.row(size.bare_row());
        table.row(size.row("whole export", &size.whole, size.size, ["4", "150"]));
        table.row(size.row("lake only", &size.lake_only, size.size_lake_only, ["2.5", "150"]));
    }
    table
}

/// Milliseconds.
fn per_run(series: &Series, runs: usize) -> String {
    format!("{:.2}", series.seconds() * 1e3 / number(runs))
}

type Pick = fn(&Measured) -> &Series;

fn growth(measured: &[Measured]) -> Table {
    let mut table = Table::new(
        "How it grows",
        "Memory: the largest size against the smallest. Time: the size that takes most a run \
         against the one that takes least.",
        &["what"],
    );
    for size in measured {
        table.column(&format!("{} runs", count(size.runs)));
    }
    table.column("ratio");
    table.column("goal");
    let kinds: [(&str, Pick); 2] =
        [("whole export", |size| &size.whole), ("lake only", |size| &size.lake_only)];
    for (name, pick) in kinds {
        let memory: Vec<f64> = measured.iter().map(|size| pick(size).megabytes()).collect();
        let ratio = memory.last().zip(memory.first()).map_or(1.0, |(last, first)| last / first);
        let cells = memory.iter().map(|megabytes| format!("{megabytes:.0}")).collect();
        table.row(growth_row(&format!("peak memory, {name}, MB"), cells, ratio, "1.15"));
        let times = measured.iter().map(|size| pick(size).seconds() * 1e3 / number(size.runs));
        let ratio = most(times.clone()) / least(times);
        let cells = measured.iter().map(|size| per_run(pick(size), size.runs)).collect();
        table.row(growth_row(&format!("time a run, {name}, ms"), cells, ratio, "1.10"));
    }
    table
}

fn growth_row(what: &str, mut cells: Vec<String>, ratio: f64, goal: &str) -> Vec<String> {
    cells.insert(0, what.to_owned());
    cells.extend([format!("{ratio:.2}"), goal.to_owned()]);
    cells
}

fn again(measured: &[Measured]) -> Table {
    let mut table = Table::new(
        "Second sync, nothing new",
        "Right after a whole export.",
        &[
            "runs",
            "median of",
            "s",
            "least–most",
            "goal",
            "peak memory, MB: median, most",
            "goal",
            "requests",
            "goal",
        ],
    );
    for size in measured {
        let goal = |goal: &str| if size.runs == LARGEST { goal.to_owned() } else { String::new() };
        table.row([
            count(size.runs),
            size.again.0.len().to_string(),
            format!("{:.3}", size.again.seconds()),
            size.again.spread(),
            goal("0.15"),
            size.again.memory(),
            goal("100"),
            size.requests_again.to_string(),
            "5".to_owned(),
        ]);
    }
    table
}

fn verify(measured: &[Measured]) -> Table {
    let mut table = Table::new(
        "`verify`",
        "Of a whole export: every byte and every row of the lake, and the DuckDB file row by row.",
        &["runs", "median of", "s", "least–most", "peak memory, MB: median, most", "goal"],
    );
    for size in measured {
        table.row([
            count(size.runs),
            size.verify.0.len().to_string(),
            format!("{:.2}", size.verify.seconds()),
            size.verify.spread(),
            size.verify.memory(),
            "150".to_owned(),
        ]);
    }
    table
}

fn requests(measured: &[Measured]) -> Table {
    let mut table = Table::new(
        "Requests of a first sync",
        "As few as can be: every page and the empty one behind them, four a run, and three for \
         what stands beside the runs.",
        &["runs", "requests", "as few as can be", "more than that", "goal"],
    );
    for size in measured {
        let more = size.requests.saturating_sub(size.least_requests);
        let counts = [size.runs, size.requests, size.least_requests, more, 0];
        table.row(counts.map(count));
    }
    table
}
