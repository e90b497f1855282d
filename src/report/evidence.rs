//! Text out of runs, which the page shows only on request: what went wrong in the latest runs that
//! did not pass.

use super::format::{name, short};
use super::rows::Rows;
use crate::query::{LakeReader, QueryError};

/// The most characters of a text.
const MOST: usize = 300;

/// The texts of one run.
#[derive(Debug)]
pub(super) struct Evidence {
    pub(super) run_id: String,
    /// Labels and texts.
    pub(super) texts: Vec<(&'static str, String)>,
}

/// The columns of the query, and what they are.
const TEXTS: [(&str, &str); 5] = [
    ("error_message", "Error"),
    ("summary", "Judge’s summary"),
    ("judge_error", "Error of the judge"),
    ("rationale", "Judge on the first required criterion that was not met"),
    ("tool_error", "First failed tool call"),
];

const FROM: &str = "(\
SELECT f.run_id, f.started_at, r.error_message, e.summary, e.error_message AS judge_error, \
  c.rationale, t.tool_error \
FROM latest_failures f JOIN runs r ON r.run_id = f.run_id \
LEFT JOIN (SELECT run_id, any_value(summary) AS summary, \
    any_value(error_message) AS error_message FROM evaluations GROUP BY run_id) e \
  ON e.run_id = f.run_id \
LEFT JOIN (SELECT run_id, min_by(rationale, position) AS rationale FROM criteria \
    WHERE is_required AND verdict_meaning IN ('partial', 'failed') AND rationale IS NOT NULL \
    GROUP BY run_id) c ON c.run_id = f.run_id \
LEFT JOIN (SELECT run_id, min_by(coalesce(tool_name, '') || ': ' || error_message, \
    coalesce(started_at, to_timestamp(0))) AS tool_error FROM tool_calls \
    WHERE is_error AND error_message IS NOT NULL \
    GROUP BY run_id) t ON t.run_id = f.run_id\
) ORDER BY started_at DESC NULLS LAST, run_id";

/// The texts of the latest runs that did not pass.
pub(super) fn read_evidence(reader: &mut LakeReader) -> Result<Vec<Evidence>, QueryError> {
    let columns: Vec<&str> =
        std::iter::once("run_id").chain(TEXTS.iter().map(|(column, _)| *column)).collect();
    let rows = Rows::select(reader, &columns, FROM, 20)?;
    let mut all = Vec::new();
    for row in rows.iter() {
        let texts = TEXTS.iter().filter_map(|(column, label)| {
            let text = row.text(column).map(str::trim).filter(|text| !text.is_empty())?;
            Some((*label, short(text, MOST)))
        });
        let texts: Vec<_> = texts.collect();
        if !texts.is_empty() {
            all.push(Evidence { run_id: name(row.text("run_id").unwrap_or_default()), texts });
        }
    }
    Ok(all)
}
