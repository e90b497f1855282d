//! The formulas against published values and against worlds whose truth is known, in DuckDB.

use std::collections::BTreeMap;

use duckdb::{Config, Connection};

use super::sql::{newcombe, wilson};
use super::{Dialect, VIEWS, find};
use crate::query::{TablePlan, metric_views};
use crate::run::Meaning;
use crate::tables::Mapping;

/// The tables of a DuckDB file with the views of the metrics.
struct Tables(Connection);

impl Tables {
    fn empty() -> Self {
        let config = Config::default().threads(1).unwrap();
        let connection = Connection::open_in_memory_with_flags(config).unwrap();
        for planned in TablePlan::new(&Mapping::new(&[], &[]).unwrap()).tables {
            connection.execute_batch(&planned.create).unwrap();
        }
        connection.execute_batch(&metric_views()).unwrap();
        Self(connection)
    }

    /// Adds the rows of a query to a table.
    fn add(&self, table: &str, rows: &str) -> &Self {
        let sql = format!(
            "INSERT INTO {table} BY NAME SELECT *, 1 AS _commit, to_timestamp(0) AS _extracted_at, \
             1 AS _revision FROM ({rows})"
        );
        self.0.execute_batch(&sql).unwrap_or_else(|error| panic!("{error}: {sql}"));
        self
    }

    /// Adds runs of a workflow and version, one per letter: passed, failed, pArtial, error, timed
    /// out, unknown. They start a minute apart, from a minute on.
    fn add_runs(&self, workflow: &str, version: &str, from: usize, letters: &str) -> &Self {
        let statuses = letters.chars().map(|letter| match letter {
            'p' => "'pass'",
            'f' => "'fail'",
            'a' => "'partial'",
            'e' => "'error'",
            't' => "'timed_out'",
            '-' => "NULL",
            _ => "'galvanized'",
        });
        let rows = statuses.enumerate().map(|(number, status)| {
            let minute = from + number;
            format!(
                "SELECT '{workflow}-{minute}' AS run_id, '{workflow}' AS workflow_id, \
                 '{version}' AS workflow_version, {status} AS status, \
                 to_timestamp({minute} * 60) AS started_at"
            )
        });
        self.add("runs", &rows.collect::<Vec<_>>().join(" UNION ALL "))
    }

    /// The rows of a query as text: `-` is null.
    fn rows(&self, sql: &str) -> Vec<String> {
        let sql = format!("SELECT coalesce(COLUMNS(*)::VARCHAR, '-') FROM ({sql})");
        let mut statement = self.0.prepare(&sql).unwrap_or_else(|error| panic!("{error}: {sql}"));
        let mut rows = statement.query([]).unwrap();
        let columns = rows.as_ref().unwrap().column_count();
        let mut found = Vec::new();
        while let Some(row) = rows.next().unwrap() {
            let cells = (0..columns).map(|column| row.get::<_, String>(column).unwrap());
            found.push(cells.collect::<Vec<_>>().join(" "));
        }
        found
    }

    fn number(&self, sql: &str) -> f64 {
        self.rows(sql).first().unwrap().parse().unwrap_or_else(|_| panic!("{sql}"))
    }
}

/// Evaluates two expressions over a row.
fn bounds(expressions: &[String; 2], row: &str) -> [f64; 2] {
    let tables = Tables(Connection::open_in_memory().unwrap());
    let bound = |sql: &str| tables.number(&format!("SELECT {sql} FROM ({row})"));
    [bound(&expressions[0]), bound(&expressions[1])]
}

#[track_caller]
fn assert_close(found: [f64; 2], expected: [f64; 2], within: f64) {
    for (found, expected) in found.into_iter().zip(expected) {
        assert!((found - expected).abs() < within, "{found}, not {expected}");
    }
}

/// The intervals without continuity correction of E. B. Wilson (1927), as R's
/// `prop.test(correct = FALSE)` and statsmodels' `proportion_confint(method = "wilson")` give them;
/// 81 of 263, 15 of 148, 0 of 20 and 1 of 29 are the examples of R. G. Newcombe, Statistics in
/// Medicine 17 (1998) 857–872, table I.
#[test]
fn wilson_intervals_are_those_in_the_literature() {
    let published = [
        (81, 263, [0.2553, 0.3662]),
        (15, 148, [0.0624, 0.1605]),
        (0, 20, [0.0, 0.1611]),
        (1, 29, [0.0061, 0.1718]),
        (3, 3, [0.4385, 1.0]),
        (10, 10, [0.7225, 1.0]),
        (24, 30, [0.6269, 0.9050]),
        (80, 100, [0.7112, 0.8666]),
    ];
    for (with, of, expected) in published {
        let row = format!("SELECT {with} AS x, {of} AS n");
        assert_close(bounds(&wilson(Dialect::DuckDb, "x", "n"), &row), expected, 0.000_06);
    }
    // Rounding takes no bound past the ends, and none past the rate itself by more than it rounds.
    let [low, high] = wilson(Dialect::DuckDb, "x", "n");
    let outside = format!(
        "SELECT count(*) FROM range(1, 300) n (n), range(0, 300) x (x) WHERE x <= n AND NOT \
         ({low} BETWEEN 0 AND 1e0 * x / n + 1e-15 AND {high} BETWEEN 1e0 * x / n - 1e-15 AND 1)"
    );
    let connection = Tables(Connection::open_in_memory().unwrap());
    assert_eq!(connection.rows(&outside), ["0"]);
}

/// R. G. Newcombe, Statistics in Medicine 17 (1998) 873–890, table II, method 10.
#[test]
fn newcombe_intervals_are_those_in_the_literature() {
    let published = [
        ((56, 70), (48, 80), [0.0524, 0.3339]),
        ((9, 10), (3, 10), [0.1705, 0.8090]),
        ((6, 7), (2, 7), [0.0582, 0.8062]),
        ((5, 56), (0, 29), [-0.0381, 0.1926]),
        ((0, 10), (0, 20), [-0.1611, 0.2775]),
        ((0, 10), (0, 10), [-0.2775, 0.2775]),
        ((10, 10), (0, 20), [0.6791, 1.0]),
        ((10, 10), (0, 10), [0.6075, 1.0]),
    ];
    for ((x, n), (y, m), expected) in published {
        let ([low, high], [other_low, other_high]) =
            (wilson(Dialect::DuckDb, "x", "n"), wilson(Dialect::DuckDb, "y", "m"));
        let row = format!(
            "SELECT 1e0 * x / n AS p, {low} AS p_low, {high} AS p_high, 1e0 * y / m AS q, \
             {other_low} AS q_low, {other_high} AS q_high \
             FROM (SELECT {x} AS x, {n} AS n, {y} AS y, {m} AS m)"
        );
        assert_close(bounds(&newcombe("p", "q"), &row), expected, 0.000_06);
    }
}

#[test]
fn every_view_has_the_columns_that_it_declares() {
    let tables = Tables::empty();
    for view in VIEWS {
        let sql = format!("SELECT column_name, column_type FROM (DESCRIBE FROM {})", view.name);
        let declared = view.columns();
        let declared =
            declared.iter().map(|column| format!("{} {}", column.name, column.kind.duckdb()));
        assert_eq!(tables.rows(&sql), declared.collect::<Vec<_>>(), "{}", view.name);
        for key in view.key {
            assert!(view.columns().iter().any(|column| column.name == *key), "{}", view.name);
        }
    }
    let comments = "SELECT count(*) FROM duckdb_views() WHERE NOT internal AND comment IS NULL";
    assert_eq!(tables.rows(comments), ["0"]);
    let comments = "SELECT count(*) FROM duckdb_columns() WHERE NOT internal AND comment IS NULL \
                    AND table_name IN (SELECT view_name FROM duckdb_views() WHERE NOT internal)";
    assert_eq!(tables.rows(comments), ["0"]);
}

#[test]
fn every_view_of_empty_tables_is_empty() {
    let tables = Tables::empty();
    for view in VIEWS {
        let rows = usize::from(view.key.is_empty());
        assert_eq!(tables.rows(&format!("FROM {}", view.name)).len(), rows, "{}", view.name);
    }
    let quality =
        "SELECT covered_until, gaps, gap_hours, runs, open_runs, issues FROM data_quality";
    assert_eq!(tables.rows(quality), ["- 0 0.0 0 0 0"]);
}

/// In every dialect, nothing in braces is left but the brace that some text begins with, each table
/// and view is named by the caller, and a view comes after those that it reads.
#[test]
fn every_dialect_replaces_every_name_in_braces() {
    for dialect in Dialect::ENGINES.into_iter().chain([Dialect::Dbt]) {
        for (number, view) in VIEWS.iter().enumerate() {
            let sql = view.sql(dialect, &|name| format!("<{name}>"));
            let in_braces = sql.replace("'{'", "").replace("{{ armature.", "");
            let open = usize::from(dialect == Dialect::Dbt) * in_braces.matches(" }}").count();
            assert!(!in_braces.contains('{'), "{dialect:?}, {}: {sql}", view.name);
            assert_eq!(in_braces.matches('}').count(), open * 2, "{dialect:?}, {}", view.name);
            // A string of Jinja ends at the next double quote.
            if dialect == Dialect::Dbt {
                let mut strings = sql.split('"').skip(1).step_by(2);
                assert!(strings.all(|string| !string.contains(['{', '}'])), "{}", view.name);
            }
            for table in view.reads() {
                assert!(sql.contains(&format!("<{table}>")), "{table} in {}", view.name);
                let place = VIEWS.iter().position(|other| other.name == table);
                assert!(place.is_none_or(|place| place < number), "{table}, {}", view.name);
            }
        }
    }
}

/// Two metrics of one name would be one in the documentation and two in the views.
#[test]
fn a_name_means_one_thing() {
    let mut metrics = BTreeMap::new();
    for metric in VIEWS.iter().flat_map(|view| view.metrics()) {
        let known = metrics.insert(metric.name, metric);
        assert!(known.is_none_or(|known| std::ptr::eq(known, metric)), "{}", metric.name);
        assert!(metric.question.ends_with('?') && metric.sample.least > 0, "{}", metric.name);
    }
    assert!(metrics.len() > 20, "{:?}", metrics.keys());
    for view in VIEWS {
        assert!(std::ptr::eq(find(view.name).unwrap(), *view));
        assert!(!view.query().contains("{outcomes}"), "{}", view.name);
    }
}

/// Each status by what it counts as. `timed_out` is an error, so it is not a failure; a run that was
/// cancelled, or whose status is missing or not known, is neither.
#[test]
fn runs_are_counted_by_outcome() {
    let tables = Tables::empty();
    tables.add_runs("a", "1", 0, "pppaffeett-x");
    let sql = "SELECT runs, decided, passed, partial, failed, errors, undecided, pass_rate \
               FROM workflow_versions";
    assert_eq!(tables.rows(sql), ["12 6 3 1 2 4 2 0.5"]);
    let old = "SELECT runs, passed, errors, pass_rate FROM workflow_days";
    assert_eq!(tables.rows(old), ["12 3 4 0.5"]);
    let daily = "SELECT runs, decided, passed, errors, undecided FROM workflow_daily";
    assert_eq!(tables.rows(daily), ["12 6 3 4 2"]);
}

/// Only a status that states no result leaves it to the verdict.
#[test]
fn the_outcome_is_that_of_the_status() {
    let tables = Tables::empty();
    let cases = [
        ("completed", "pass", "passed"),
        ("completed", "meh", "undecided"),
        ("fail", "pass", "failed"),
        ("error", "pass", "error"),
        ("cancelled", "pass", "undecided"),
        ("Timed-Out", "", "error"),
        ("running", "pass", "undecided"),
    ];
    for (number, (status, verdict, _)) in cases.iter().enumerate() {
        let rows = format!(
            "SELECT '{number}' AS run_id, '{status}' AS status, \
                            '{verdict}' AS verdict"
        );
        tables.add("runs", &rows);
    }
    let expected: Vec<&str> = cases.iter().map(|(_, _, outcome)| *outcome).collect();
    assert_eq!(tables.rows("SELECT outcome FROM run_facts ORDER BY run_id"), expected);
    // What a version that states the meaning wrote is taken as it is.
    tables.add("runs", "SELECT '9' AS run_id, 'pass' AS status, 'failed' AS status_meaning");
    let sql = "SELECT outcome FROM run_facts WHERE run_id = '9'";
    assert_eq!(tables.rows(sql), ["failed"]);
}

/// Rows of versions that did not state a meaning have the one that the program would give them.
#[test]
fn a_word_means_the_same_in_sql_as_in_the_program() {
    let tables = Tables::empty();
    let known: Vec<&str> = Meaning::words().flat_map(|(_, words)| words).copied().collect();
    let mut words: Vec<String> = known.iter().map(|word| (*word).to_owned()).collect();
    for word in known {
        let (head, tail) = word.split_at(word.len() / 2);
        words.push(format!(" {}-{}_{}", &head.to_uppercase(), tail, ""));
        // Parts of words, and words that are next to each other in a list, mean nothing.
        words.extend([head.to_owned(), format!("{word}{word}"), format!("%{tail}")]);
    }
    words.extend(["", " ", "passed failed", "%", "_"].map(str::to_owned));
    for (number, word) in words.iter().enumerate() {
        tables.add("runs", &format!("SELECT '{number}' AS run_id, '{word}' AS status"));
    }
    let expected: Vec<&str> = words.iter().map(|word| Meaning::of(word).name()).collect();
    let sql = "SELECT status_meaning FROM run_facts ORDER BY CAST(run_id AS INTEGER)";
    assert_eq!(tables.rows(sql), expected);
}

#[test]
fn times_are_in_utc_and_costs_are_also_floats() {
    let tables = Tables::empty();
    tables.0.execute_batch("SET TimeZone = 'America/New_York'").unwrap_or_default();
    tables.add(
        "runs",
        "SELECT 'a' AS run_id, TIMESTAMPTZ '2026-11-24 00:30:00.25+01:00' AS started_at, \
         0.1::DECIMAL(38,18) AS cost",
    );
    let sql = "SELECT started_at, day, cost_float FROM run_facts";
    assert_eq!(tables.rows(sql), ["2026-11-23 23:30:00.25 2026-11-23 0.1"]);
}

/// A comparison needs enough runs on both sides, and an interval that excludes zero.
#[test]
fn a_regression_needs_enough_runs_on_both_sides() {
    let tables = Tables::empty();
    let (all, none) = ("p".repeat(20), "f".repeat(20));
    let (nearly_all, nearly_none) = ("p".repeat(19), "f".repeat(19));
    tables.add_runs("enough", "1", 0, &all).add_runs("enough", "2", 50, &none);
    tables.add_runs("better", "1", 0, &none).add_runs("better", "2", 50, &all);
    tables.add_runs("same", "1", 0, &all).add_runs("same", "2", 50, &all);
    tables.add_runs("few now", "1", 0, &all).add_runs("few now", "2", 50, &nearly_none);
    tables.add_runs("few before", "1", 0, &nearly_all).add_runs("few before", "2", 50, &none);
    // Errors count on neither side.
    let errors = format!("{nearly_none}{}", "e".repeat(50));
    tables.add_runs("errors", "1", 0, &all).add_runs("errors", "2", 50, &errors);
    let sql = "SELECT workflow_key, comparison, pass_rate_change IS NULL, \
               pass_rate_change_low IS NULL FROM workflow_versions \
               WHERE workflow_version = '2' ORDER BY 1";
    assert_eq!(
        tables.rows(sql),
        [
            "better improvement false false",
            "enough regression false false",
            "errors not enough runs true true",
            "few before not enough runs true true",
            "few now not enough runs true true",
            "same no clear change false false",
        ]
    );
    let first = "SELECT DISTINCT comparison, previous_version, previous_pass_rate, is_latest \
                 FROM workflow_versions WHERE workflow_version = '1'";
    assert_eq!(tables.rows(first), ["not enough runs - - false"]);
}

/// The order of versions is that of their first runs, not that of their names; a version that is
/// not stated has no place in it.
#[test]
fn versions_are_compared_in_the_order_of_their_first_runs() {
    let tables = Tables::empty();
    let runs = "p".repeat(20);
    tables.add_runs("a", "10", 200, &runs).add_runs("a", "9", 100, &runs);
    tables.add_runs("a", "zeta", 0, &runs).add_runs("a", "", 300, &runs);
    tables
        .0
        .execute_batch("UPDATE runs SET workflow_version = NULL WHERE workflow_version = ''")
        .unwrap();
    let sql = "SELECT workflow_version, previous_version, is_latest FROM workflow_versions \
               ORDER BY first_started_at";
    assert_eq!(tables.rows(sql), ["zeta - false", "9 zeta false", "10 9 true", "- - false"]);
}

/// `md5` of a text as a number from 0 to 1: the same with every version of DuckDB.
const DRAW: &str = "('0x' || substr(md5(concat_ws('-', seed, workflow, number)), 1, 8))::BIGINT \
                    / 4294967296e0";

/// Adds workflows whose runs all pass with one probability: the first `before` runs have version 1,
/// the others version 2.
fn add_worlds(tables: &Tables, seed: u32, workflows: u32, (before, after): (u32, u32), rate: f64) {
    let runs = before + after;
    tables.add(
        "runs",
        &format!(
            "SELECT concat_ws('-', seed, workflow, number) AS run_id, \
             concat_ws('-', seed, workflow) AS workflow_id, \
             CASE WHEN number < {before} THEN '1' ELSE '2' END AS workflow_version, \
             CASE WHEN {DRAW} < {rate} THEN 'pass' ELSE 'fail' END AS status, \
             to_timestamp(number * 60) AS started_at \
             FROM (SELECT {seed} AS seed), range({workflows}) w (workflow), \
             range({runs}) n (number)"
        ),
    );
}

/// A/A worlds: nothing changed, so every regression is a false alarm. Nominally one comparison in
/// 40 is called a regression and one an improvement.
#[test]
fn where_nothing_changed_one_comparison_in_forty_is_called_a_regression() {
    for (seed, sizes, rate) in
        [(1, (100, 100), 0.9), (2, (60, 30), 0.8), (3, (40, 40), 0.5), (4, (20, 20), 0.95)]
    {
        let tables = Tables::empty();
        add_worlds(&tables, seed, 500, sizes, rate);
        for word in ["regression", "improvement"] {
            let sql = format!(
                "SELECT count(CASE WHEN comparison = '{word}' THEN 1 END) / count(*) \
                 FROM workflow_versions WHERE workflow_version = '2'"
            );
            let share = tables.number(&sql);
            // 2.5 % and three standard errors of 500 draws. Newcombe's interval is wider than
            // it must be for small samples with a rate near 1.
            assert!(share <= 0.046, "{word} of {seed}: {share}");
        }
    }
    // It is not so wide that it finds nothing.
    let tables = Tables::empty();
    add_worlds(&tables, 5, 1_000, (100, 100), 0.7);
    let sql = "SELECT count(CASE WHEN comparison = 'regression' THEN 1 END) / count(*) \
               FROM workflow_versions WHERE workflow_version = '2'";
    let share = tables.number(sql);
    assert!((0.01..=0.04).contains(&share), "{share}");
}

#[test]
fn where_nothing_changed_few_workflows_are_called_changed() {
    for (seed, runs, rate) in [(6, 60, 0.5), (7, 100, 0.8), (8, 200, 0.9), (9, 40, 0.85)] {
        let tables = Tables::empty();
        add_worlds(&tables, seed, 500, (runs, 0), rate);
        let sql = "SELECT count(CASE WHEN stability = 'changed' THEN 1 END) / \
                   count(CASE WHEN stability IN ('changed', 'flaky') THEN 1 END) \
                   FROM workflow_stability";
        let share = tables.number(sql);
        // The test is exact, so the true share is at most 2.5 %; three standard errors more.
        assert!(share <= 0.046, "{seed}: {share}");
    }
}

/// The same passes and failures, in an order that shows a change and in one that does not.
#[test]
fn a_change_at_a_moment_is_told_from_flakiness() {
    let tables = Tables::empty();
    tables.add_runs("changed", "1", 0, &format!("{}{}", "p".repeat(19), "f".repeat(11)));
    tables.add_runs("flaky", "1", 0, &"pppff".repeat(6));
    tables.add_runs("passes", "1", 0, &"p".repeat(20));
    tables.add_runs("fails", "1", 0, &"f".repeat(20));
    tables.add_runs("short", "1", 0, &"pf".repeat(9));
    tables.add_runs("rarely", "1", 0, &format!("{}ffff", "p".repeat(50)));
    let sql = "SELECT workflow_key, stability, changed_at, round(pass_rate_before, 2), \
               round(pass_rate_after, 2), stretches FROM workflow_stability ORDER BY 1";
    assert_eq!(
        tables.rows(sql),
        [
            "changed changed 1970-01-01 00:19:00 1.0 0.0 2",
            "fails never passes - - - 1",
            "flaky flaky - - - 12",
            "passes always passes - - - 1",
            "rarely not enough runs - - - 2",
            "short not enough runs - - - 18",
        ]
    );
}

/// The p-value of the runs test against all orders of the same runs, counted one by one.
#[test]
fn the_runs_test_is_exact() {
    const RUNS: u32 = 20;
    for passes in [5_u32, 8, 10] {
        let orders = (0_u32..1 << RUNS).filter(|order| order.count_ones() == passes);
        let mut by_stretches = BTreeMap::<u32, u32>::new();
        let mut examples = BTreeMap::new();
        for order in orders {
            let changes = (order ^ (order >> 1)) & ((1 << (RUNS - 1)) - 1);
            let stretches = changes.count_ones() + 1;
            *by_stretches.entry(stretches).or_default() += 1;
            examples.entry(stretches).or_insert(order);
        }
        let all: u32 = by_stretches.values().sum();
        let tables = Tables::empty();
        for (stretches, order) in &examples {
            let letters = (0..RUNS).map(|run| if order >> run & 1 == 1 { 'p' } else { 'f' });
            tables.add_runs(&stretches.to_string(), "1", 0, &letters.collect::<String>());
        }
        let mut fewer = 0;
        for (stretches, count) in by_stretches {
            fewer += count;
            let sql = format!(
                "SELECT runs_test_p FROM workflow_stability WHERE workflow_key = '{stretches}'"
            );
            let expected = f64::from(fewer) / f64::from(all);
            let found = tables.number(&sql);
            assert!((found - expected).abs() < 1e-9, "{passes}, {stretches}: {found}, {expected}");
        }
    }
}

/// pass^3 against all groups of three, counted one by one.
#[test]
fn pass_cubed_is_the_share_of_groups_of_three_that_pass() {
    let tables = Tables::empty();
    tables.add_runs("a", "1", 0, "pppppffea").add_runs("few", "1", 0, "pppp");
    let mut passing = (0, 0);
    for one in 0..8 {
        for two in one + 1..8 {
            for three in two + 1..8 {
                passing.1 += 1;
                passing.0 += u32::from(three < 5);
            }
        }
    }
    let sql = "SELECT pass_cubed FROM workflow_stability WHERE workflow_key = 'a'";
    assert!((tables.number(sql) - f64::from(passing.0) / f64::from(passing.1)).abs() < 1e-12);
    let few =
        "SELECT pass_cubed, pass_cubed_note FROM workflow_stability WHERE workflow_key = 'few'";
    assert_eq!(tables.rows(few), ["- not enough runs"]);
}

/// A call that does not state whether it failed is neither an error nor a success.
#[test]
fn calls_without_a_result_are_no_successes() {
    let tables = Tables::empty();
    tables.add_runs("a", "1", 0, "pfppp");
    let call = |run: usize, number: usize, is_error: &str, arguments: &str| {
        tables.add(
            "tool_calls",
            &format!(
                "SELECT 'a-{run}' AS run_id, '{number}' AS tool_call_id, {number} AS position, \
                 'search' AS tool_name, {is_error}::BOOLEAN AS is_error, \
                 {arguments} AS arguments, {number} * 10 AS duration_ms"
            ),
        );
    };
    call(0, 0, "false", r#"'{"q":1}'"#);
    call(0, 1, "false", r#"'{"q":1}'"#);
    call(0, 2, "NULL", r#"'{"q":2}'"#);
    call(1, 0, "true", r#"'{"q":1}'"#);
    call(1, 1, "true", r#"'"[redacted:jwt]"'"#);
    call(1, 2, "false", r#"'"[redacted:jwt]"'"#);
    call(2, 0, "false", r#"'{"q":1}'"#);
    call(3, 0, "NULL", "NULL");
    let sql = "SELECT runs, calls, calls_with_result, errors, round(tool_error_rate, 4), \
               runs_where_erred, decided_where_erred, pass_rate_where_erred, decided_where_worked, \
               pass_rate_where_worked, calls_with_arguments, repeats, repeat_rate, \
               calls_with_duration, call_duration_p50_ms, call_duration_p95_ms, \
               call_duration_p95_note FROM tool_health";
    assert_eq!(tables.rows(sql), ["4 8 6 2 0.3333 1 1 0.0 1 1.0 5 1 0.2 8 5.0 - not enough runs"]);
    let old = "SELECT calls, errors, round(error_rate, 4) FROM tool_usage";
    assert_eq!(tables.rows(old), ["8 2 0.3333"]);
    let overview = "SELECT run_id, tool_errors FROM run_overview ORDER BY run_id";
    assert_eq!(tables.rows(overview), ["a-0 0", "a-1 2", "a-2 0", "a-3 -", "a-4 0"]);
}

/// A criterion blocks a run that did not pass if it was required and not met.
#[test]
fn criteria_that_keep_runs_from_passing_are_counted() {
    let tables = Tables::empty();
    tables.add_runs("a", "1", 0, "pffaffe");
    let grade = |run: usize, criterion: &str, is_required: &str, verdict: &str| {
        tables.add(
            "criteria",
            &format!(
                "SELECT 'a-{run}' AS run_id, '{criterion}' AS criterion_id, 0 AS position, \
                 '{criterion}' AS criterion_text, {is_required}::BOOLEAN AS is_required, \
                 '{verdict}' AS verdict"
            ),
        );
    };
    for (run, link, cart, price) in [
        (0, "pass", "pass", "fail"),
        (1, "fail", "pass", "fail"),
        (2, "fail", "fail", "pass"),
        (3, "partial", "pass", "pass"),
        (4, "pass", "pass", "pass"),
        (5, "unclear", "fail", "pass"),
        (6, "fail", "pass", "pass"),
    ] {
        grade(run, "link", "true", link);
        grade(run, "cart", "true", cart);
        grade(run, "price", "false", price);
    }
    let sql = "SELECT criterion, is_required, runs, graded, met, partly_met, not_met, \
               unsuccessful_runs, blocked_runs, blocked_alone_runs, blocking_rate \
               FROM criterion_health ORDER BY 1";
    assert_eq!(
        tables.rows(sql),
        [
            "cart true 7 7 5 0 2 5 2 1 0.4",
            "link true 7 6 2 1 3 5 3 2 0.6",
            "price false 7 7 5 0 2 5 0 0 0.0",
        ]
    );
    let old = "SELECT criterion_text, is_required, graded, passed, round(pass_rate, 4) \
               FROM criterion_results ORDER BY 1";
    assert_eq!(
        tables.rows(old),
        ["cart true 7 5 0.7143", "link true 7 2 0.3333", "price false 7 5 0.7143"]
    );
}

/// The cost of runs that did not pass is part of what a passed one costs.
#[test]
fn a_pass_costs_what_all_runs_cost() {
    let tables = Tables::empty();
    tables.add_runs("a", "1", 0, "pppppfeap");
    tables.0.execute_batch("UPDATE runs SET model = 'm', cost = 0.5, duration_ms = 1000").unwrap();
    tables.0.execute_batch("UPDATE runs SET cost = NULL WHERE run_id = 'a-8'").unwrap();
    let sql = "SELECT runs, runs_with_cost, round(cost_coverage, 4), cost, cost_of_unsuccessful, \
               passed_with_cost, cost_per_pass, cost_per_pass_note, decided_with_duration, \
               run_duration_p50_ms, run_duration_p95_ms, run_duration_p95_note \
               FROM model_comparison";
    assert_eq!(tables.rows(sql), ["9 8 0.8889 4.0 1.5 5 0.8 - 8 1000.0 - not enough runs"]);
    // Amounts of two currencies are not added up.
    tables.0.execute_batch("UPDATE runs SET cost_currency = 'USD' WHERE run_id < 'a-4'").unwrap();
    let mixed = "SELECT cost, cost_of_unsuccessful, cost_per_pass, cost_currency \
                 FROM model_comparison";
    assert_eq!(tables.rows(mixed), ["- - - -"]);
    tables.0.execute_batch("UPDATE runs SET cost_currency = 'USD'").unwrap();
    assert_eq!(tables.rows(mixed), ["4.0 1.5 0.8 USD"]);
}

#[test]
fn failures_are_divided_into_classes() {
    let tables = Tables::empty();
    tables.add_runs("a", "1", 0, "pffaet");
    tables
        .0
        .execute_batch("UPDATE runs SET classification = 'tool_error' WHERE status = 'fail'")
        .unwrap();
    let sql = "SELECT outcome, classification, runs, runs_not_passed, class_share \
               FROM failure_classes ORDER BY 1";
    assert_eq!(
        tables.rows(sql),
        ["error - 2 5 0.4", "failed tool_error 2 5 0.4", "partial - 1 5 0.2"]
    );
}

#[test]
fn judges_that_contradict_the_run_or_their_grades_are_seen() {
    let tables = Tables::empty();
    tables.add_runs("a", "1", 0, "pppfffe");
    for (run, verdict, grade) in [
        (0, "pass", "pass"),
        (1, "pass", "fail"),
        (2, "fail", "pass"),
        (3, "fail", "fail"),
        (4, "partial", "partial"),
        (5, "unclear", "fail"),
        (6, "pass", "unclear"),
    ] {
        tables.add(
            "evaluations",
            &format!("SELECT 'a-{run}' AS run_id, '{verdict}' AS verdict, 'j' AS judge_model"),
        );
        tables.add(
            "criteria",
            &format!(
                "SELECT 'a-{run}' AS run_id, 'c' AS criterion_id, 0 AS position, \
                 true AS is_required, '{grade}' AS verdict"
            ),
        );
    }
    let sql = "SELECT judge_model, evaluations, decided_verdicts, compared, agreed, \
               agreement_rate, graded_evaluations, passed_with_unmet, unpassed_with_all_met, \
               contradiction_rate FROM judge_consistency";
    assert_eq!(tables.rows(sql), ["j 7 6 5 3 0.6 5 1 1 0.4"]);
}

#[test]
fn the_state_of_the_data_is_one_row() {
    let tables = Tables::empty();
    tables.add_runs("a", "1", 0, "pfxe-");
    tables
        .0
        .execute_batch(
            "UPDATE runs SET evaluation_state = CASE run_id WHEN 'a-0' THEN 'ok' WHEN 'a-1' \
         THEN 'absent' WHEN 'a-2' THEN 'pending' ELSE 'absent' END;
         UPDATE runs SET workflow_id = NULL, started_at = NULL, cost = 1 WHERE run_id = 'a-4';
         INSERT INTO open_runs BY NAME SELECT 'o' AS run_id, to_timestamp(60) AS started_at, \
         1 AS _commit, now() AS _extracted_at, 1 AS _revision;
         INSERT INTO _gaps BY NAME SELECT to_timestamp(0) AS gap_from, to_timestamp(5400) \
         AS gap_until, 1 AS _commit, now() AS _extracted_at, 1 AS _revision;",
        )
        .unwrap();
    for (commit, outcome, until) in [(3, "complete", 7200), (12, "stopped", 10800)] {
        tables
            .0
            .execute_batch(&format!(
                "INSERT INTO _syncs BY NAME SELECT '{commit}' AS sync_id, '{outcome}' AS outcome, \
                 false AS certified, to_timestamp({until}) AS proven_until, \
                 to_timestamp({until}) AS started_at, {commit} AS _commit, \
                 now() AS _extracted_at, 1 AS _revision"
            ))
            .unwrap();
    }
    tables.add(
        "_issues",
        "SELECT 'a-0' AS run_id, n AS position, CASE n WHEN 1 THEN 5 END AS rows_received \
         FROM range(3) t (n)",
    );
    let sql = "SELECT covered_until, last_sync_outcome, last_sync_certified, gaps, gap_hours, \
               runs, open_runs, oldest_open_started_at FROM data_quality";
    assert_eq!(
        tables.rows(sql),
        ["1970-01-01 03:00:00 stopped false 1 1.5 5 1 1970-01-01 00:01:00"]
    );
    let sql = "SELECT runs_evaluated, evaluations_pending, evaluations_absent, runs_undecided, \
               runs_with_unknown_status, runs_without_workflow, runs_without_version, \
               runs_without_start, runs_without_duration, runs_without_cost, tool_calls, \
               calls_without_result, issues, runs_with_issues, runs_incomplete FROM data_quality";
    assert_eq!(tables.rows(sql), ["1 1 1 2 2 1 0 1 5 4 0 0 3 1 1"]);
}

/// Names are data: whatever they hold, they come out as they went in, and tell rows apart.
#[test]
fn names_can_be_anything() {
    let names = [
        "'; DROP TABLE runs; --",
        "\"quoted\" {outcomes} {names}",
        "",
        " ",
        "%_\\",
        "名前 \u{202e}🦀 e\u{301}",
        "line\nbreak\ttab",
    ];
    let tables = Tables::empty();
    let literal = |name: &str| format!("'{}'", name.replace('\'', "''"));
    for (number, name) in names.iter().enumerate() {
        let name = literal(name);
        tables.add(
            "runs",
            &format!(
                "SELECT 'r{number}' AS run_id, {name} AS workflow_id, {name} AS workflow_name, \
                 {name} AS workflow_version, {name} AS model, {name} AS harness, \
                 {name} AS classification, 'fail' AS status, to_timestamp(60) AS started_at"
            ),
        );
        tables.add(
            "tool_calls",
            &format!(
                "SELECT 'r{number}' AS run_id, '0' AS tool_call_id, 0 AS position, \
                 {name} AS tool_name, true AS is_error"
            ),
        );
        tables.add(
            "criteria",
            &format!(
                "SELECT 'r{number}' AS run_id, '0' AS criterion_id, 0 AS position, \
                 {name} AS criterion_text, true AS is_required, 'fail' AS verdict"
            ),
        );
        tables.add(
            "evaluations",
            &format!("SELECT 'r{number}' AS run_id, 'fail' AS verdict, {name} AS judge_model"),
        );
    }
    let mut expected: Vec<String> = names.iter().map(|name| format!("<{name}>")).collect();
    expected.sort();
    for (view, column) in [
        ("workflow_daily", "workflow_name"),
        ("workflow_versions", "workflow_version"),
        ("workflow_stability", "workflow_key"),
        ("tool_health", "tool_name"),
        ("criterion_health", "criterion"),
        ("model_comparison", "model"),
        ("failure_classes", "classification"),
        ("judge_consistency", "judge_model"),
        ("workflow_days", "workflow_name"),
        ("tool_usage", "tool_name"),
        ("criterion_results", "criterion_text"),
    ] {
        let mut found = tables.rows(&format!("SELECT '<' || {column} || '>' FROM {view}"));
        found.sort();
        assert_eq!(found, expected, "{view}");
    }
}

/// The largest values that the tables hold fail no view.
#[test]
fn numbers_can_be_as_large_as_the_tables_hold() {
    let tables = Tables::empty();
    tables.add_runs("a", "1", 0, "ppf");
    tables
        .0
        .execute_batch(
            "UPDATE runs SET cost = 99999999999999999999, duration_ms = 9223372036854775807, \
             input_tokens = 9223372036854775807, started_at = '2262-04-11 00:00:00Z';
             INSERT INTO tool_calls BY NAME SELECT run_id, '0' AS tool_call_id, 0 AS position, \
             duration_ms, 1 AS _commit, now() AS _extracted_at, 1 AS _revision FROM runs;",
        )
        .unwrap();
    for view in VIEWS {
        tables.rows(&format!("FROM {}", view.name));
    }
    assert_eq!(tables.rows("SELECT cost FROM workflow_days"), ["-"]);
    assert_eq!(
        tables.rows("SELECT cost, duration_ms FROM workflow_daily"),
        ["3e+20 2.7670116110564327e+19"]
    );
}

/// A run that names no workflow belongs to no interval; its name stands in for a missing id.
#[test]
fn runs_without_a_workflow_are_not_pooled() {
    let tables = Tables::empty();
    tables.add(
        "runs",
        "SELECT 'r' || n AS run_id, CASE WHEN n < 2 THEN 'named' END AS workflow_name, \
         CASE WHEN n = 4 THEN 'id' END AS workflow_id, 'pass' AS status, \
         to_timestamp(60) AS started_at FROM range(5) t (n)",
    );
    for view in ["workflow_versions", "workflow_stability", "model_comparison"] {
        let sql = format!("SELECT workflow_key, decided FROM {view} ORDER BY 1");
        assert_eq!(tables.rows(&sql), ["id 1", "named 2"], "{view}");
    }
    let sql = "SELECT workflow_key, workflow_name, runs FROM workflow_daily ORDER BY 1";
    assert_eq!(tables.rows(sql), ["id - 1", "named named 2", "- - 2"]);
    assert_eq!(tables.rows("SELECT runs_without_workflow FROM data_quality"), ["2"]);
}

/// A renamed workflow stays one, under its last name.
#[test]
fn a_renamed_workflow_stays_one() {
    let tables = Tables::empty();
    tables.add_runs("a", "1", 0, "pp");
    tables
        .0
        .execute_batch(
            "UPDATE runs SET workflow_name = CASE run_id WHEN 'a-0' THEN 'z old' ELSE 'new' END",
        )
        .unwrap();
    let sql = "SELECT workflow_key, workflow_name, runs FROM workflow_versions";
    assert_eq!(tables.rows(sql), ["a new 2"]);
}
