//! What the page says first: whether a version made a workflow worse.

use super::format::{counted, name, percent, points, signed_points};
use super::rows::Rows;
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

impl Verdict {
    /// The most regressions that are named.
    const NAMED: usize = 3;

    /// The verdict on versions: how many compare how, and the changes, regressions first.
    pub(super) fn new(runs: u64, comparisons: &Rows, changes: &Rows) -> Self {
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
                let number = |column: &str| row.number(column).unwrap_or_default();
                details.push(format!(
                    "{}, version {}: the pass rate went from {} to {} ({} points, 95 % interval {} \
                     to {}).",
                    name(row.text("workflow_name").unwrap_or_default()),
                    name(row.text("workflow_version").unwrap_or_default()),
                    percent(number("previous_pass_rate")),
                    percent(number("pass_rate")),
                    signed_points(number("pass_rate_change")),
                    points(number("pass_rate_change_low")),
                    points(number("pass_rate_change_high")),
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
