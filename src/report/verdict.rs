//! What the page says first: whether a version made a workflow worse.

use super::format::{counted, name, percent, points, signed_points};
use super::narrow::{RANGES, Selection};
use super::rows::{Row, Rows};
use crate::query::{LakeReader, QueryError};

/// The first statement of a page.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    /// The class of its color, and the sign beside it.
    pub(super) class: &'static str,
    pub(super) sign: &'static str,
    /// A few words.
    pub(super) headline: String,
    /// The sentences after it.
    pub(super) details: Vec<String>,
    /// Current versions that are a regression.
    pub(super) regressions: u64,
    /// Current versions that are an improvement.
    pub(super) improvements: u64,
}

/// Current versions, by how they compare with the versions before them.
pub(super) fn read_comparisons(reader: &mut LakeReader) -> Result<Rows, QueryError> {
    let from = "(SELECT comparison, count(*) AS workflows FROM workflow_versions WHERE is_latest \
                GROUP BY comparison)";
    Rows::select(reader, &["comparison", "workflows"], from, 10)
}

/// Workflows that have runs in the range and in the time before it, those with a change first.
pub(super) fn read_ranges(reader: &mut LakeReader) -> Result<Rows, QueryError> {
    let from = format!(
        "{RANGES}.workflow_versions WHERE previous_version IS NOT NULL \
         ORDER BY comparison = 'regression' DESC, comparison = 'improvement' DESC, \
         comparison = 'no clear change' DESC, abs(pass_rate_change) DESC, workflow_key"
    );
    let columns = [
        "workflow_name",
        "comparison",
        "previous_pass_rate",
        "pass_rate",
        "pass_rate_change",
        "pass_rate_change_low",
        "pass_rate_change_high",
        "(count(*) FILTER (WHERE comparison = 'regression') OVER ()) AS lower",
        "(count(*) FILTER (WHERE comparison = 'improvement') OVER ()) AS higher",
        "(count(*) FILTER (WHERE comparison = 'no clear change') OVER ()) AS unclear",
    ];
    Rows::select(reader, &columns, &from, Verdict::NAMED)
}

/// The change of the pass rate of a row, with its interval.
fn change(row: Row<'_>) -> String {
    let number = |column: &str| row.number(column).unwrap_or_default();
    format!(
        "from {} to {} ({} points, 95 % interval {} to {})",
        percent(number("previous_pass_rate")),
        percent(number("pass_rate")),
        signed_points(number("pass_rate_change")),
        points(number("pass_rate_change_low")),
        points(number("pass_rate_change_high")),
    )
}

/// How the workflows compare with the time before the range, one by one: a change of
/// all of them together would depend on the mix of runs. No sentence if no workflow has
/// runs in both.
fn against_range_before(selection: &Selection, ranges: &Rows) -> Vec<String> {
    let (Some(days), Some(first)) = (selection.days, ranges.first()) else { return Vec::new() };
    let before = match days {
        1 => "Against the 24 hours before".to_owned(),
        days => format!("Against the {days} days before"),
    };
    let (lower, higher) = (first.count("lower"), first.count("higher"));
    let compared = lower + higher + first.count("unclear");
    let workflow = |row: Row<'_>| name(row.text("workflow_name").unwrap_or_default());
    match compared {
        0 => vec![format!(
            "{before}: not enough runs. A comparison needs 20 with a result in each of the two."
        )],
        1 => {
            let clear = if lower + higher == 0 { ", which is no clear change" } else { "" };
            let (workflow, change) = (workflow(first), change(first));
            vec![format!("{before}: the pass rate of {workflow} went {change}{clear}.")]
        }
        _ if lower + higher == 0 => vec![format!(
            "{before}: no clear change in {compared} workflows with enough runs in both."
        )],
        _ => {
            let mut sentences = vec![format!(
                "{before}, of {compared} workflows with enough runs in both: {lower} with a lower \
                 pass rate, {higher} with a higher one."
            )];
            let is_clear = |row: &Row<'_>| {
                matches!(row.text("comparison"), Some("regression" | "improvement"))
            };
            let named = ranges.iter().filter(is_clear);
            sentences.extend(named.map(|row| format!("{}: {}.", workflow(row), change(row))));
            sentences
        }
    }
}

impl Verdict {
    /// The most regressions that are named.
    const NAMED: usize = 3;

    /// The verdict on versions, and then how the range compares with the time before it.
    pub(super) fn new(
        runs: u64,
        comparisons: &Rows,
        changes: &Rows,
        selection: &Selection,
        ranges: &Rows,
    ) -> Self {
        let mut verdict = Self::of_versions(runs, comparisons, changes);
        verdict.details.extend(against_range_before(selection, ranges));
        verdict
    }

    /// The verdict on versions: how many compare how, and the changes, regressions first.
    fn of_versions(runs: u64, comparisons: &Rows, changes: &Rows) -> Self {
        let count = |word: &str| {
            let row = comparisons.iter().find(|row| row.text("comparison") == Some(word));
            row.map_or(0, |row| row.count("workflows"))
        };
        let (regressions, improvements) = (count("regression"), count("improvement"));
        let compared = regressions + improvements + count("no clear change");
        let verdict = Self { regressions, improvements, ..Self::default() };
        if runs == 0 {
            let headline = "No run that has ended started in this time.".to_owned();
            return Self { class: "same", sign: "●", headline, ..verdict };
        }
        if compared == 0 {
            let headline = "Not enough runs to compare versions.".to_owned();
            let why = "A comparison needs 20 runs with a result of a version, and as many of the \
                       version before it."
                .to_owned();
            return Self { class: "same", sign: "●", headline, details: vec![why], ..verdict };
        }
        let of = counted(compared, "workflow", "workflows");
        if regressions == 0 {
            let (class, sign) = if improvements > 0 { ("better", "▲") } else { ("same", "●") };
            let headline = "No regression.".to_owned();
            let improved = match improvements {
                0 => "none improved".to_owned(),
                number => format!("{number} improved"),
            };
            let details = vec![format!(
                "Of {of} with enough runs to compare their latest version with the one before, \
                 {improved}, and no other has a clear change."
            )];
            return Self { class, sign, headline, details, ..verdict };
        }
        let mut details: Vec<String> = Vec::new();
        for row in changes.iter() {
            let is_current = row.text("comparison") == Some("regression") && row.flag("is_latest");
            if is_current && details.len() < Self::NAMED {
                details.push(format!(
                    "{}, version {}: the pass rate went {}.",
                    name(row.text("workflow_name").unwrap_or_default()),
                    name(row.text("workflow_version").unwrap_or_default()),
                    change(row),
                ));
            }
        }
        let named = u64::try_from(details.len()).unwrap_or(u64::MAX);
        if regressions > named {
            details.push(format!("{} more are below.", regressions - named));
        }
        let headline = format!(
            "{} among {of} with enough runs to compare.",
            counted(regressions, "regression", "regressions")
        );
        Self { class: "worse", sign: "▼", headline, details, ..verdict }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(days: u32, rows: &[&[&str]]) -> String {
        let columns = [
            "workflow_name",
            "comparison",
            "previous_pass_rate",
            "pass_rate",
            "pass_rate_change",
            "pass_rate_change_low",
            "pass_rate_change_high",
            "lower",
            "higher",
            "unclear",
        ];
        let selection =
            Selection { since: None, until: None, days: Some(days), workflows: Vec::new() };
        against_range_before(&selection, &Rows::of_text(&columns, rows)).join(" ")
    }

    #[test]
    fn a_range_against_the_one_before() {
        let lower = ["a", "regression", "0.91", "0.74", "-0.17", "-0.28", "-0.06"];
        let higher = ["b", "improvement", "0.5", "0.75", "0.25", "0.1", "0.4"];
        let same = ["c", "no clear change", "0.5", "0.51", "0.01", "-0.1", "0.12"];
        let few = ["d", "not enough runs", "0.5", "1", "-", "-", "-"];
        let row = |row: [&'static str; 7], counts: [&'static str; 3]| [&row[..], &counts].concat();
        assert_eq!(told(7, &[]), "", "no run started in the time before");
        let cases = [
            told(30, &[&row(few, ["0", "0", "0"])]),
            told(1, &[&row(lower, ["1", "0", "0"]), &row(few, ["1", "0", "0"])]),
            told(7, &[&row(same, ["0", "0", "1"])]),
            told(7, &[&row(lower, ["1", "1", "3"]), &row(higher, ["1", "1", "3"])]),
            told(7, &[&row(same, ["0", "0", "2"]), &row(same, ["0", "0", "2"])]),
        ];
        insta::assert_snapshot!(cases.join("\n"), @"
        Against the 30 days before: not enough runs. A comparison needs 20 with a result in each of the two.
        Against the 24 hours before: the pass rate of a went from 91 % to 74 % (−17 points, 95 % interval −28 to −6).
        Against the 7 days before: the pass rate of c went from 50 % to 51 % (+1 points, 95 % interval −10 to 12), which is no clear change.
        Against the 7 days before, of 5 workflows with enough runs in both: 1 with a lower pass rate, 1 with a higher one. a: from 91 % to 74 % (−17 points, 95 % interval −28 to −6). b: from 50 % to 75 % (+25 points, 95 % interval 10 to 40).
        Against the 7 days before: no clear change in 2 workflows with enough runs in both.
        ");
    }
}
