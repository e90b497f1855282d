//! The pieces of SQL that several views share.

use std::fmt::Write as _;

use super::Dialect;
use crate::run::Meaning;

/// The quantile of the normal distribution that 95 % intervals use, and its square.
const Z: &str = "1.959963984540054";
const Z_SQUARED: &str = "3.841458820694124";

/// The bounds of Wilson's 95 % interval for a share. In this form, no term is a difference of two
/// large numbers unless the bound itself is close to 0 or 1.
pub(super) fn wilson(dialect: Dialect, with: &str, of: &str) -> [String; 2] {
    let (z, z_squared) = (dialect.float(Z), dialect.float(Z_SQUARED));
    let center = format!("2 * {with} + {z_squared}");
    let width = format!(
        "{z} * sqrt({z_squared} + {} * {with} * ({of} - {with}) / nullif({of}, 0))",
        dialect.float("4")
    );
    let scale = format!("(2 * ({of} + {z_squared}))");
    // Rounding can take a bound past the end: -3e-17 for none of ten.
    [
        format!("greatest({}, ({center} - {width}) / {scale})", dialect.float("0")),
        format!("least({}, ({center} + {width}) / {scale})", dialect.float("1")),
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

/// The SQL of a declaration: replaces the names in braces by what they stand for, and `1e0`, the
/// number 1 as a floating-point number, by what that is in the dialect.
///
/// | in braces | stands for |
/// |---|---|
/// | `{outcomes}`, `{names}`, `{decided}`, … | SQL that several views share |
/// | `{table NAME}` | a table of the lake or another view |
/// | `{utc COLUMN}` | [`Dialect::utc`] |
/// | `{microseconds COLUMN, COLUMN}` | [`Dialect::microseconds`] |
/// | `{p50 EXPRESSION}`, `{p95 EXPRESSION}` | [`Dialect::percentile`] |
/// | `{bytes COLUMN}` | [`Dialect::byte_order`] |
pub(super) fn expand(
    template: &str,
    dialect: Dialect,
    relation: &dyn Fn(&str) -> String,
) -> String {
    let shared = template
        .replace("{outcomes}", OUTCOMES)
        .replace("{names}", NAMES)
        .replace("{decided}", "('passed', 'partial', 'failed')")
        .replace("{run meaning}", &meaning_of("r.status_meaning", "r.status", dialect))
        .replace("{run verdict}", &meaning_of("r.verdict_meaning", "r.verdict", dialect))
        .replace("{grade}", &meaning_of("c.verdict_meaning", "c.verdict", dialect))
        .replace("{evaluation verdict}", &meaning_of("e.verdict_meaning", "e.verdict", dialect))
        .replace("1e0", &dialect.float("1"));
    let mut pieces = shared.split('{');
    let mut sql = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let Some((name, argument, after)) = call(piece) else {
            sql.push('{');
            sql.push_str(piece);
            continue;
        };
        sql.push_str(&match (name, argument.split_once(", ")) {
            ("table", _) => relation(argument),
            ("utc", _) => dialect.utc(argument),
            ("p50", _) => dialect.percentile("0.5", argument),
            ("p95", _) => dialect.percentile("0.95", argument),
            ("bytes", _) => dialect.byte_order(argument),
            (_, Some((from, until))) => dialect.microseconds(from, until),
            _ => argument.to_owned(),
        });
        sql.push_str(after);
    }
    sql
}

/// The name in braces that has an argument, if the SQL after a `{` is one: the name, the argument,
/// and what is after the `}`.
fn call(sql: &str) -> Option<(&str, &str, &str)> {
    let (inside, after) = sql.split_once('}')?;
    let (name, argument) = inside.split_once(' ')?;
    let is_known = matches!(name, "table" | "utc" | "p50" | "p95" | "bytes" | "microseconds");
    is_known.then_some((name, argument, after))
}

/// The tables and views that a declaration reads, in the order in which it names them.
pub(super) fn tables_of(template: &str) -> Vec<&str> {
    let calls = template.split('{').skip(1).filter_map(call);
    calls.filter(|(name, ..)| *name == "table").map(|(_, table, _)| table).collect()
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
const NAMES: &str = "SELECT workflow_key AS named_key, workflow_name FROM (
    SELECT workflow_key, workflow_name, row_number() OVER (PARTITION BY workflow_key
      ORDER BY CASE WHEN started_at IS NULL THEN 1 ELSE 0 END, started_at DESC,
      {bytes run_id} DESC) AS place
    FROM {table run_facts} r WHERE workflow_key IS NOT NULL AND workflow_name IS NOT NULL
  ) AS named WHERE place = 1";

/// SQL for the meaning of a word: the column that states it, or, for rows of versions without that
/// column, the same table of words. The words of a meaning are one text in which the word is looked
/// for. Not `IN`: DuckDB makes a join of a long list, which takes its time even where the column
/// states the meaning of every row. Not a `WHEN` for each word: the word's own SQL stands in each of
/// them, and DuckDB took five times as long to create a view.
fn meaning_of(meaning: &str, word: &str, dialect: Dialect) -> String {
    let bare = format!(
        "' ' || replace(replace(replace(lower(trim({word})), '-', ''), '_', ''), ' ', '') || ' '"
    );
    let mut sql = format!("coalesce({meaning}, CASE WHEN {word} IS NULL THEN NULL");
    for (meaning, words) in Meaning::words() {
        let words = format!("' {} '", words.join(" "));
        let place = dialect.position(&bare, &words);
        // Writing to a String cannot fail.
        let _infallible = write!(sql, "\n      WHEN {place} > 0 THEN '{}'", meaning.name());
    }
    sql.push_str("\n      ELSE 'unknown' END)");
    sql
}
