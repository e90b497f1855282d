//! The views of the metrics in whole exports: what the simulator planted is found, and the DuckDB
//! file and the Parquet files give the same figures.

use armature_export::metrics::{ColumnType, VIEWS};
use armature_export::simulator::{Lives, WorldSettings};
use duckdb::Connection;
use insta::assert_snapshot;
use serde_json::json;

use crate::readme;
use crate::support::{TestExport, birth, ended_runs, hand_made_run, rows};

/// All rows of a view of a database, as text. Floating-point numbers are rounded: sums of them
/// depend on the order of the rows.
fn all_rows(connection: &Connection, database: &str, view: &str) -> Vec<String> {
    let declared = armature_export::metrics::find(view).unwrap().columns();
    let columns = declared.iter().map(|column| match column.kind {
        ColumnType::Float => format!("coalesce(round(\"{}\", 9)::VARCHAR, '-')", column.name),
        _ => format!("coalesce(\"{}\"::VARCHAR, '-')", column.name),
    });
    let columns: Vec<String> = columns.collect();
    let columns = columns.join(", ");
    let sql = format!("SELECT concat_ws(' ', {columns}) FROM {database}.main.{view} ORDER BY ALL");
    let mut statement = connection.prepare(&sql).unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

/// The statements that `schema --format sql` prints, executed.
fn lake_views(export: &TestExport, connection: &Connection) {
    let printed = export.run(&["schema", "--format", "sql"]);
    assert_eq!(printed.code, Some(0), "{}", printed.stderr);
    connection.execute_batch(&printed.stdout).unwrap();
}

/// Two syncs of a growing world: a run that changed between them, open runs, values that were
/// redacted, names that break careless SQL, and calls that do not state whether they failed.
#[test]
fn the_duckdb_file_and_the_parquet_files_give_the_same_figures() {
    let world = WorldSettings {
        runs: 150,
        seconds_between_runs: 600.0,
        lives: Lives {
            unknown_status_percent: 5,
            redacted_percent: 20,
            never_evaluated_percent: 5,
            ..Lives::default()
        },
        ..WorldSettings::default()
    };
    let export = TestExport::of_world(world);
    let names = ["'; DROP TABLE runs; --", "\"{names}\" 🦀", ""];
    let change = |status: &str| {
        for (number, name) in names.into_iter().enumerate() {
            let members = json!({
                "workflow_name": name, "model": name, "status": status,
                "started_at": "2026-11-23T11:00:00Z", "finished_at": "2026-11-23T11:10:00Z",
            });
            let mut run = hand_made_run(&format!("hand-made-{number}"), &members);
            run.started_at = birth() - chrono::Duration::hours(1);
            for (name, value) in members.as_object().unwrap() {
                run.listing[name] = value.clone();
            }
            export.simulator.override_run(run);
        }
    };
    change("pass");
    assert_eq!(export.run(&["sync"]).code, Some(0));
    change("fail");
    export.simulator.advance(chrono::Duration::hours(3));
    assert_eq!(export.run(&["sync"]).code, Some(0));
    assert_eq!(
        export.count("SELECT count(*) FROM runs WHERE _revision = 2 AND status = 'fail'"),
        3
    );
    assert!(export.count("SELECT count(*) FROM open_runs") > 0);
    let connection = rows::attach(&export.duckdb);
    lake_views(&export, &connection);
    for view in VIEWS {
        let delivered = all_rows(&connection, rows::ATTACHED, view.name);
        let over_files = all_rows(&connection, "memory", view.name);
        assert!(!delivered.is_empty(), "{}", view.name);
        assert_eq!(delivered, over_files, "{}", view.name);
    }
}

/// A lake that does not exist, and one without a run.
#[test]
fn every_view_over_an_empty_lake_is_empty() {
    let export = TestExport::of_ended_runs(0);
    for is_synced in [false, true] {
        if is_synced {
            assert_eq!(export.run(&["sync"]).code, Some(0));
        }
        let connection = Connection::open_in_memory().unwrap();
        lake_views(&export, &connection);
        for view in VIEWS {
            let expected = usize::from(view.key.is_empty());
            let found = all_rows(&connection, "memory", view.name).len();
            assert_eq!(found, expected, "{}, {is_synced}", view.name);
        }
    }
    let connection = rows::attach(&export.duckdb);
    for view in VIEWS {
        let expected = usize::from(view.key.is_empty());
        assert_eq!(all_rows(&connection, rows::ATTACHED, view.name).len(), expected);
    }
}

/// The simulator gives every workflow a new version on the same day, and makes one of them worse.
/// Nothing else is called a regression, nor an improvement.
#[test]
fn the_planted_regression_is_found_and_none_of_its_neighbours() {
    let export = TestExport::new(ended_runs(1_500));
    assert_eq!(export.run(&["sync"]).code, Some(0));
    let versions = "SELECT workflow_name, workflow_version, comparison FROM workflow_versions \
                    WHERE is_latest ORDER BY 1";
    let versions = export.ask(versions).into_iter().map(|row| row.join(": "));
    assert_snapshot!(versions.collect::<Vec<_>>().join("\n"), @"
    checkout smoke test: 7: regression
    docs answer quality: 2: no clear change
    gift card purchase: 1: not enough runs
    github issue triage: 12: no clear change
    meeting scheduling: 5: no clear change
    refund request: 3: no clear change
    release notes draft: 6: not enough runs
    revenue question: 4: no clear change
    ");
    let stability = "SELECT workflow_name, stability, changed_at IS NOT NULL \
                     FROM workflow_stability ORDER BY 1";
    let stability = export.ask(stability).into_iter().map(|row| row.join(": "));
    assert_snapshot!(stability.collect::<Vec<_>>().join("\n"), @"
    checkout smoke test: changed: true
    docs answer quality: flaky: false
    gift card purchase: flaky: false
    github issue triage: flaky: false
    meeting scheduling: flaky: false
    refund request: flaky: false
    release notes draft: flaky: false
    revenue question: flaky: false
    ");
    // The moment of the change is that of the new version, give or take a few runs.
    let distance = "SELECT count(*) FROM run_facts JOIN workflow_stability USING (workflow_key) \
                    JOIN workflow_versions v USING (workflow_key) WHERE stability = 'changed' \
                    AND is_latest AND started_at BETWEEN least(changed_at, v.first_started_at) \
                    AND greatest(changed_at, v.first_started_at)";
    assert!(export.count(distance) <= 10, "{:?}", export.ask(distance));
    // The causes that were planted with it: the tool, the criterion, the class.
    let worst = |sql: &str| export.ask(&format!("{sql} LIMIT 1")).concat();
    assert_eq!(
        worst(
            "SELECT workflow_name, tool_name FROM tool_health WHERE tool_error_rate IS NOT NULL \
             ORDER BY tool_error_rate DESC"
        ),
        ["checkout smoke test", "apply_discount"]
    );
    assert_eq!(
        worst(
            "SELECT criterion FROM criterion_health WHERE workflow_name = 'checkout smoke test' \
             ORDER BY blocked_runs DESC"
        ),
        ["The discount code is applied before the payment page is made"]
    );
    assert_eq!(
        worst(
            "SELECT classification FROM failure_classes \
             WHERE workflow_name = 'checkout smoke test' ORDER BY runs DESC"
        ),
        ["tool_error"]
    );
    // The counts are those of the API's own words.
    let sql = "SELECT sum(runs), sum(passed), sum(decided), sum(errors), sum(undecided) \
               FROM workflow_daily";
    let words = "SELECT count(*), count(*) FILTER (status = 'pass'), \
                 count(*) FILTER (status IN ('pass', 'partial', 'fail')), \
                 count(*) FILTER (status IN ('error', 'timed_out')), 0 FROM runs";
    assert_eq!(export.ask(sql), export.ask(words));
}

/// A file of a version with other views gets these views with the next delivery, even if no commit
/// is pending.
#[test]
fn the_next_delivery_brings_the_views_of_this_version() {
    let export = TestExport::of_ended_runs(20);
    assert_eq!(export.run(&["sync"]).code, Some(0));
    let expected = export.ask("FROM run_overview ORDER BY run_id");
    let file = Connection::open(&export.duckdb).unwrap();
    file.execute_batch(
        "COMMENT ON TABLE _armature IS '1.4'; DROP VIEW tool_health; DROP VIEW run_facts;
         CREATE OR REPLACE VIEW run_overview AS SELECT 1 AS one;
         COMMENT ON VIEW run_overview IS 'One row per run, as it was.';",
    )
    .unwrap();
    file.close().unwrap();
    assert_eq!(export.run(&["deliver"]).code, Some(0));
    assert_eq!(export.ask("FROM run_overview ORDER BY run_id"), expected);
    assert!(export.count("SELECT count(*) FROM tool_health") > 0);
}

/// Every query of the page about Grafana, as it is written there.
#[test]
fn the_queries_for_grafana_find_the_planted_regression() {
    let export = TestExport::new(ended_runs(1_500));
    assert_eq!(export.run(&["sync"]).code, Some(0));
    let page = ("docs/bi/grafana.md", "\n## Queries\n");
    let queries = readme::blocks(page, "sql").concat();
    let queries: Vec<&str> = queries.trim().trim_end_matches(';').split(";\n").collect();
    let [by_day, versions] = queries[..] else { panic!("{queries:?}") };
    assert!(export.ask(by_day).len() > 100, "{by_day}");
    assert_eq!(export.ask(versions)[0][0], "checkout smoke test");
    let text = include_str!("../../docs/bi/grafana.md");
    let (_, alert) = text.split_once("\n## An alert\n\n`").unwrap();
    assert_eq!(export.ask(alert.split_once('`').unwrap().0), [["1"]]);
}

/// What somebody else put into the file under the name of a view is not replaced.
#[test]
fn a_name_that_is_taken_is_not_replaced() {
    let export = TestExport::of_ended_runs(20);
    assert_eq!(export.run(&["sync"]).code, Some(0));
    for (kind, made) in [("TABLE", "SELECT 1 AS mine"), ("VIEW", "SELECT 2 AS mine")] {
        let file = Connection::open(&export.duckdb).unwrap();
        file.execute_batch(&format!(
            "COMMENT ON TABLE _armature IS '1.4'; DROP VIEW IF EXISTS tool_health; \
             DROP TABLE IF EXISTS tool_health; CREATE {kind} tool_health AS {made};"
        ))
        .unwrap();
        file.close().unwrap();
        let refused = export.run(&["deliver"]);
        assert_eq!(refused.code, Some(2), "{}", refused.stderr);
        assert!(refused.stderr.contains("a table or view `tool_health`"), "{}", refused.stderr);
        let expected = if kind == "TABLE" { "1" } else { "2" };
        assert_eq!(export.ask("SELECT mine FROM tool_health"), [[expected]]);
        let file = Connection::open(&export.duckdb).unwrap();
        file.execute_batch(&format!("DROP {kind} tool_health")).unwrap();
        file.close().unwrap();
    }
    assert_eq!(export.run(&["deliver"]).code, Some(0));
    assert!(export.count("SELECT count(*) FROM tool_health") > 0);
}

#[test]
fn the_metrics_are_printed_in_every_format() {
    let export = TestExport::of_ended_runs(0);
    let json = export.run(&["schema", "--metrics", "--format", "json"]).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let views = json["views"].as_array().unwrap();
    assert_eq!(views.len(), VIEWS.len());
    let pass_rate = &json["metrics"][0];
    assert_eq!(pass_rate["name"], "pass_rate");
    assert_eq!(pass_rate["interval"], "Wilson, `passed` of `decided`");
    assert_eq!(pass_rate["least_sample"], 1);
    let one = export.run(&["schema", "--metrics", "tool_health"]).stdout;
    assert!(one.contains("tool_error_rate (share, 0 to 1) — How often"), "{one}");
    assert!(!one.contains("workflow_versions"), "{one}");
    let unknown = export.run(&["schema", "--metrics", "nothing"]);
    assert_eq!(unknown.code, Some(2));
    assert!(unknown.stderr.contains("the views are run_facts, "), "{}", unknown.stderr);
}

/// The package is written into a folder that is not there yet, with the user's columns, and again
/// over files that are.
#[test]
fn the_dbt_package_is_written() {
    let export = TestExport::of_ended_runs(0);
    export.configure(
        "[[columns]]\ntable = \"runs\"\nname = \"team\"\nkind = \"text\"\n\
         sources = [\"metadata.team\"]\n",
    );
    let folder = export.lake.parent().unwrap().join("new/package");
    let out = folder.to_str().unwrap();
    for _ in 0..2 {
        let written = export.run(&["schema", "--format", "dbt", "--out", out]);
        assert_eq!(written.code, Some(0), "{}", written.stderr);
        assert_eq!(written.stdout, "");
    }
    let read = |path: &str| std::fs::read_to_string(folder.join(path)).unwrap();
    assert!(read("models/staging/staging.yml").contains("- name: team\n"));
    assert_eq!(read("dbt_project.yml"), include_str!("../../dbt/dbt_project.yml"));
    assert_eq!(
        read("models/marts/workflow_versions.sql"),
        include_str!("../../dbt/models/marts/workflow_versions.sql")
    );
    for refused in [
        &["schema", "--format", "dbt"][..],
        &["schema", "runs", "--format", "dbt", "--out", out],
        &["schema", "--out", out],
    ] {
        assert_eq!(export.run(refused).code, Some(2), "{refused:?}");
    }
    // A file stands where the folder would be.
    let beneath = folder.join("README.md/package");
    let failed = export.run(&["schema", "--format", "dbt", "--out", beneath.to_str().unwrap()]);
    assert_eq!(failed.code, Some(6), "{}", failed.stderr);
    assert!(failed.stderr.contains("cannot write `"), "{}", failed.stderr);
}
