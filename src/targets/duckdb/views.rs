//! Views for analysts. The tables that they read hold only the latest revision of each run.
//!
//! Days are UTC days, computed without the time-zone extension, which not every reader has.

use std::fmt::Write as _;

use crate::run::Meaning;

/// The statements that create the views.
pub(super) fn views() -> String {
    VIEWS
        .replace("{run}", &meaning_of("r.status_meaning", "r.status"))
        .replace("{criterion}", &meaning_of("c.verdict_meaning", "c.verdict"))
}

/// SQL for the meaning of a word: the column that states it, or, for rows of versions without that
/// column, the same table of words.
fn meaning_of(meaning: &str, word: &str) -> String {
    let mut sql = format!("coalesce({meaning}, CASE");
    for (meaning, words) in Meaning::words() {
        let words: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
        let (words, name) = (words.join(", "), meaning.name());
        let plain = format!("regexp_replace(lower(trim({word})), '[-_ ]', '', 'g')");
        // Writing to a String cannot fail.
        let _infallible = write!(sql, " WHEN {plain} IN ({words}) THEN '{name}'");
    }
    let _infallible = write!(sql, " WHEN {word} IS NOT NULL THEN 'unknown' END)");
    sql
}

/// `{run}` and `{criterion}` are replaced by the meaning of the status of `r` and of the verdict of
/// `c`.
pub(super) const VIEWS: &str = "
CREATE OR REPLACE VIEW run_overview AS
SELECT r.run_id, make_timestamp(epoch_us(r.started_at))::DATE AS day, r.workflow_name, r.model,
       r.harness, r.status, r.verdict, r.classification, r.duration_ms, r.cost,
       r.tool_call_count, coalesce(t.tool_errors, 0) AS tool_errors,
       coalesce(c.criteria, 0) AS criteria, coalesce(c.criteria_passed, 0) AS criteria_passed,
       r.run_url
FROM runs r
LEFT JOIN (SELECT run_id, count(*) FILTER (is_error) AS tool_errors FROM tool_calls GROUP BY ALL) t
       USING (run_id)
LEFT JOIN (SELECT c.run_id, count(*) AS criteria,
                  count(*) FILTER ({criterion} = 'passed') AS criteria_passed
           FROM criteria c GROUP BY ALL) c USING (run_id);
COMMENT ON VIEW run_overview IS 'One row per run with its tool errors and criteria counted.';

CREATE OR REPLACE VIEW workflow_days AS
SELECT day, workflow_id, any_value(workflow_name) AS workflow_name, count(*) AS runs,
       count(*) FILTER (meaning = 'passed') AS passed, count(*) FILTER (meaning = 'error') AS errors,
       count(*) FILTER (meaning = 'passed')
           / nullif(count(*) FILTER (meaning IN ('passed', 'partial', 'failed')), 0) AS pass_rate,
       sum(cost) AS cost, quantile_cont(duration_ms, 0.5) AS median_duration_ms
FROM (SELECT make_timestamp(epoch_us(r.started_at))::DATE AS day, r.workflow_id, r.workflow_name,
             {run} AS meaning, r.cost, r.duration_ms
      FROM runs r)
GROUP BY ALL;
COMMENT ON VIEW workflow_days IS
'One row per workflow and UTC day. The pass rate counts runs that passed, partly passed or failed: runs that ended in an error or timed out are left out, as Armature does, and so are words that are not known.';

CREATE OR REPLACE VIEW tool_usage AS
SELECT r.workflow_name, t.tool_name, count(*) AS calls, count(*) FILTER (t.is_error) AS errors,
       count(*) FILTER (t.is_error) / nullif(count(t.is_error), 0) AS error_rate,
       quantile_cont(t.duration_ms, 0.5) AS median_ms, quantile_cont(t.duration_ms, 0.95) AS p95_ms
FROM tool_calls t JOIN runs r USING (run_id) GROUP BY ALL;
COMMENT ON VIEW tool_usage IS
'One row per workflow and tool: how often, how slow, how broken. The error rate is that of the calls of which it is known whether they failed.';

CREATE OR REPLACE VIEW criterion_results AS
SELECT workflow_name, criterion_text, bool_or(is_required) AS is_required, count(*) AS graded,
       count(*) FILTER (meaning = 'passed') AS passed,
       count(*) FILTER (meaning = 'passed')
           / nullif(count(*) FILTER (meaning IN ('passed', 'partial', 'failed')), 0) AS pass_rate
FROM (SELECT r.workflow_name, c.criterion_text, c.is_required, {criterion} AS meaning
      FROM criteria c JOIN runs r USING (run_id))
GROUP BY ALL;
COMMENT ON VIEW criterion_results IS
'One row per workflow and criterion: how often it is met. The pass rate counts passed, partial and failed grades.';
";
