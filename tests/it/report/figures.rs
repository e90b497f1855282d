//! What the tables of a page must say: the views of the DuckDB file, formatted by DuckDB.

use std::path::Path;

use super::page::Page;
use crate::support::rows;

/// How numbers are shown, as macros of DuckDB.
const FORMATS: &str = r"
CREATE MACRO digits(x) AS replace(CASE printf('%.0f', x * 100) WHEN '-0' THEN '0'
    ELSE printf('%.0f', x * 100) END, '-', chr(8722));
CREATE MACRO dash(x) AS coalesce(x, '–');
CREATE MACRO few(x) AS coalesce(x, 'not enough runs');
CREATE MACRO percent(x) AS CASE WHEN x > 0 AND digits(x) = '0' THEN '<1'
    WHEN x < 1 AND digits(x) = '100' THEN '>99' ELSE digits(x) END || chr(8239) || '%';
CREATE MACRO within(x, low, high) AS
    few(percent(x) || ' (' || digits(low) || ' to ' || digits(high) || ')');
CREATE MACRO change(x, low, high) AS few(CASE WHEN x > 0 AND digits(x) <> '0' THEN '+' ELSE '' END
    || digits(x) || ' (' || digits(low) || ' to ' || digits(high) || ')');
CREATE MACRO amount(x) AS CASE WHEN abs(x) >= 100 OR x = 0 THEN format('{:,.0f}', x)
    WHEN abs(x) >= 1 THEN format('{:,.2f}', x) WHEN abs(x) >= 0.01 THEN format('{:,.3f}', x)
    WHEN abs(x) >= 0.001 THEN format('{:,.4f}', x) ELSE format('{:,.6f}', x) END;
CREATE MACRO duration(ms) AS CASE WHEN ms < 999.5 THEN printf('%.0f', ms) || chr(8239) || 'ms'
    WHEN ms < 59950 THEN printf('%.1f', ms / 1000) || chr(8239) || 's'
    WHEN ms < 3600000 THEN printf('%.1f', ms / 1000 / 60) || chr(8239) || 'min'
    ELSE printf('%.1f', ms / 1000 / 3600) || chr(8239) || 'h' END;
CREATE MACRO chance(p) AS CASE WHEN p < 0.0005 THEN '<0.001' ELSE printf('%.3f', p) END;
CREATE MACRO n(x) AS format('{:,}', x);
CREATE MACRO moment(t) AS strftime(t, '%Y-%m-%d %H:%M');
CREATE MACRO yes(x) AS CASE WHEN x THEN 'yes' WHEN NOT x THEN 'no' ELSE '–' END;
";

/// Each table of a page, and the query that gives its cells.
pub(crate) const TABLES: [(&str, &str); 10] = [
    (
        "changes",
        "SELECT dash(workflow_name), comparison, dash(previous_version), dash(workflow_version), \
         few(percent(previous_pass_rate)), few(percent(pass_rate)), \
         change(pass_rate_change, pass_rate_change_low, pass_rate_change_high), \
         dash(n(previous_decided)), n(decided), dash(moment(first_started_at)), yes(is_latest) \
         FROM workflow_versions WHERE comparison IN ('regression', 'improvement') \
         ORDER BY comparison DESC, is_latest DESC, abs(pass_rate_change) DESC LIMIT 20",
    ),
    (
        "versions",
        "SELECT dash(workflow_name), dash(workflow_version), \
         within(pass_rate, pass_rate_low, pass_rate_high), n(decided), \
         change(pass_rate_change, pass_rate_change_low, pass_rate_change_high), comparison \
         FROM workflow_versions WHERE is_latest \
         ORDER BY pass_rate_change NULLS LAST, workflow_name, workflow_key LIMIT 20",
    ),
    (
        "moments",
        "SELECT dash(workflow_name), moment(changed_at), percent(pass_rate_before), \
         percent(pass_rate_after), chance(runs_test_p), n(decided) \
         FROM workflow_stability WHERE stability = 'changed' \
         ORDER BY pass_rate_after - pass_rate_before LIMIT 20",
    ),
    (
        "classes",
        "SELECT dash(workflow_name), outcome, dash(classification), n(runs), \
         coalesce(percent(class_share), class_share_note, '–'), dash(moment(last_started_at)) \
         FROM failure_classes ORDER BY runs DESC, workflow_name, workflow_key, outcome, \
         classification NULLS LAST LIMIT 12",
    ),
    (
        "criteria",
        "SELECT dash(criterion), dash(workflow_name), n(blocked_runs), \
         coalesce(percent(blocking_rate), blocking_rate_note, '–'), n(blocked_alone_runs), \
         within(met_rate, met_rate_low, met_rate_high), n(graded) FROM criterion_health \
         WHERE blocked_runs > 0 ORDER BY blocked_runs DESC, workflow_name, workflow_key, criterion \
         LIMIT 12",
    ),
    (
        "tools",
        "SELECT dash(tool_name), dash(workflow_name), n(calls), n(errors), \
         coalesce(percent(tool_error_rate), tool_error_rate_note, '–'), \
         within(pass_rate_where_erred, pass_rate_where_erred_low, pass_rate_where_erred_high), \
         within(pass_rate_where_worked, pass_rate_where_worked_low, pass_rate_where_worked_high), \
         coalesce(percent(repeat_rate), repeat_rate_note, '–'), \
         few(duration(call_duration_p50_ms)), \
         coalesce(duration(call_duration_p95_ms), call_duration_p95_note, '–') \
         FROM tool_health ORDER BY errors DESC, calls DESC, workflow_name, workflow_key, tool_name \
         LIMIT 12",
    ),
    (
        "models",
        "SELECT dash(workflow_name), dash(model), dash(harness), n(runs), \
         within(pass_rate, pass_rate_low, pass_rate_high), \
         coalesce(amount(cost_per_pass), cost_per_pass_note, '–'), \
         few(percent(cost_coverage)), few(duration(run_duration_p50_ms)), \
         coalesce(duration(run_duration_p95_ms), run_duration_p95_note, '–') \
         FROM (SELECT *, sum(runs) OVER (PARTITION BY workflow_key) AS of_workflow \
         FROM model_comparison) ORDER BY of_workflow DESC, workflow_name, workflow_key, \
         pass_rate DESC NULLS LAST, model, harness LIMIT 24",
    ),
    (
        "stability",
        "SELECT dash(workflow_name), stability, within(pass_rate, pass_rate_low, pass_rate_high), \
         coalesce(percent(pass_cubed), pass_cubed_note, '–'), few(chance(runs_test_p)), \
         n(decided) FROM workflow_stability ORDER BY CASE stability WHEN 'flaky' THEN 0 \
         WHEN 'changed' THEN 1 WHEN 'never passes' THEN 2 WHEN 'always passes' THEN 3 ELSE 4 END, \
         pass_cubed, workflow_name, workflow_key LIMIT 20",
    ),
    (
        "failures",
        "SELECT run_id, dash(workflow_name), dash(workflow_version), dash(model), outcome, \
         dash(classification), dash((SELECT first(coalesce(criterion_text, criterion_id) \
         ORDER BY position) || CASE WHEN count(*) > 1 THEN ' (and ' || count(*) - 1 || ' more)' \
         ELSE '' END FROM criteria c WHERE c.run_id = f.run_id AND is_required \
         AND verdict_meaning IN ('partial', 'failed'))), dash(duration(duration_ms)), \
         dash(moment(started_at)) FROM run_facts f \
         WHERE outcome IN ('failed', 'partial', 'error') \
         ORDER BY started_at DESC NULLS LAST, run_id LIMIT 20",
    ),
    (
        "judges",
        "SELECT dash(workflow_name), dash(judge_model), n(evaluations), \
         within(agreement_rate, agreement_rate_low, agreement_rate_high), \
         within(contradiction_rate, contradiction_rate_low, contradiction_rate_high) \
         FROM judge_consistency ORDER BY contradiction_rate DESC NULLS LAST, agreement_rate, \
         workflow_name, workflow_key, judge_model LIMIT 20",
    ),
];

/// The cells of a query of a DuckDB file.
pub(crate) fn cells(database: &Path, sql: &str) -> Vec<Vec<String>> {
    let connection = rows::attach(database);
    connection.execute_batch(FORMATS).unwrap();
    connection.execute_batch(&format!("SET search_path = '{},memory'", rows::ATTACHED)).unwrap();
    let sql = format!("SELECT COLUMNS(*)::VARCHAR FROM ({sql})");
    let mut statement = connection.prepare(&sql).unwrap_or_else(|error| panic!("{error}: {sql}"));
    let mut found = statement.query([]).unwrap();
    let columns = found.as_ref().unwrap().column_count();
    let mut table = Vec::new();
    while let Some(row) = found.next().unwrap() {
        table.push((0..columns).map(|column| row.get(column).unwrap()).collect());
    }
    table
}

/// Compares every table of a page on all runs with the views of the DuckDB file, cell by cell.
/// Returns how many cells there were.
pub(crate) fn assert_tables_equal_the_views(page: &Page, database: &Path) -> usize {
    let mut compared = 0;
    for (id, sql) in TABLES {
        let expected = cells(database, sql);
        assert_eq!(page.table(id), expected, "the table `{id}`");
        compared += expected.iter().map(Vec::len).sum::<usize>();
    }
    let days = "SELECT dash(workflow_name), sum(passed) || '/' || sum(decided) FROM workflow_daily \
                WHERE workflow_key IS NOT NULL GROUP BY workflow_key, workflow_name \
                ORDER BY sum(runs) DESC, workflow_key LIMIT 20";
    let heat = page.table("heat");
    let names: Vec<Vec<String>> = heat.iter().map(|row| row[..2].to_vec()).collect();
    assert_eq!(names, cells(database, days), "the table `heat`");
    let counts = "SELECT coalesce(string_agg(CASE WHEN decided = 0 THEN '–' \
                  ELSE passed || '/' || decided END, ' ' ORDER BY day), '') FROM workflow_daily \
                  WHERE workflow_key IS NOT NULL GROUP BY workflow_key \
                  ORDER BY sum(runs) DESC, workflow_key LIMIT 20";
    let filled = heat.iter().map(|row| {
        let days = row[2..].iter().filter(|cell| !cell.is_empty()).map(String::as_str);
        vec![days.collect::<Vec<_>>().join(" ")]
    });
    assert_eq!(filled.collect::<Vec<_>>(), cells(database, counts), "the days of `heat`");
    compared + heat.iter().map(Vec::len).sum::<usize>()
}
