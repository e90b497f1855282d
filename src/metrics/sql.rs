//! The pieces of SQL that several views share.

use std::fmt::Write as _;

use crate::run::Meaning;

/// The quantile of the normal distribution that 95 % intervals use, and its square. Written as
/// floating-point literals: decimal ones would be computed as decimals.
const Z: &str = "1.959963984540054e0";
const Z_SQUARED: &str = "3.841458820694124e0";

/// The bounds of Wilson's 95 % interval for a share. In this form, no term is a difference of two
/// large numbers unless the bound itself is close to 0 or 1.
pub(super) fn wilson(with: &str, of: &str) -> [String; 2] {
    let center = format!("2 * {with} + {Z_SQUARED}");
    let width =
        format!("{Z} * sqrt({Z_SQUARED} + 4e0 * {with} * ({of} - {with}) / nullif({of}, 0))");
    let scale = format!("(2 * ({of} + {Z_SQUARED}))");
    // Rounding can take a bound past the end: -3e-17 for none of ten.
    [
        format!("greatest(0e0, ({center} - {width}) / {scale})"),
        format!("least(1e0, ({center} + {width}) / {scale})"),
    ]
}

/// The bounds of Newcombe's 95 % interval for the difference of two shares, from their Wilson
/// intervals.
pub(super) fn newcombe(share: &str, subtracted: &str) -> [String; 2] {
    let (one, other) = (share, subtracted);
    // Squares are written as products: `^` and `**` differ between engines.
    let distance =
        |one: &str, other: &str| format!("sqrt(({one}) * ({one}) + ({other}) * ({other}))");
    let below = distance(&format!("{one} - {one}_low"), &format!("{other}_high - {other}"));
    let above = distance(&format!("{one}_high - {one}"), &format!("{other} - {other}_low"));
    [format!("{one} - {other} - {below}"), format!("{one} - {other} + {above}")]
}

/// Replaces the names in braces by what they stand for.
pub(super) fn expand(template: &str) -> String {
    if !template.contains('{') {
        return template.to_owned();
    }
    template
        .replace("{outcomes}", OUTCOMES)
        .replace("{names}", NAMES)
        .replace("{decided}", "('passed', 'partial', 'failed')")
        .replace("{run meaning}", &meaning_of("r.status_meaning", "r.status"))
        .replace("{run verdict}", &meaning_of("r.verdict_meaning", "r.verdict"))
        .replace("{grade}", &meaning_of("c.verdict_meaning", "c.verdict"))
        .replace("{evaluation verdict}", &meaning_of("e.verdict_meaning", "e.verdict"))
}

/// Counts of runs by their outcome. The outcomes are exhaustive: runs = decided + errors +
/// undecided, and decided = passed + partial + failed.
const OUTCOMES: &str = "count(*) AS runs,
    count(CASE WHEN outcome IN {decided} THEN 1 END) AS decided,
    count(CASE WHEN outcome = 'passed' THEN 1 END) AS passed,
    count(CASE WHEN outcome = 'partial' THEN 1 END) AS partial,
    count(CASE WHEN outcome = 'failed' THEN 1 END) AS failed,
    count(CASE WHEN outcome = 'error' THEN 1 END) AS errors,
    count(CASE WHEN outcome = 'undecided' THEN 1 END) AS undecided";

/// The name of each workflow: that of its last run, as workflows are renamed.
const NAMES: &str = "SELECT workflow_key, workflow_name FROM (
    SELECT workflow_key, workflow_name, row_number() OVER (
      PARTITION BY workflow_key ORDER BY started_at DESC NULLS LAST, run_id DESC) AS place
    FROM run_facts WHERE workflow_key IS NOT NULL AND workflow_name IS NOT NULL
  ) AS named WHERE place = 1";

/// SQL for the meaning of a word: the column that states it, or, for rows of versions without that
/// column, the same table of words. Not a list of words with `IN`: DuckDB makes a join of a long
/// one, which takes its time even where the column states the meaning of every row.
fn meaning_of(meaning: &str, word: &str) -> String {
    let mut sql = format!(
        "coalesce({meaning}, CASE WHEN {word} IS NOT NULL THEN
      CASE regexp_replace(lower(trim({word})), '[-_ ]', '', 'g')"
    );
    for (meaning, words) in Meaning::words() {
        for word in words {
            // Writing to a String cannot fail.
            let _infallible = write!(sql, " WHEN '{word}' THEN '{}'", meaning.name());
        }
        sql.push_str("\n       ");
    }
    sql.push_str(" ELSE 'unknown' END END)");
    sql
}
