//! `report`: the page is made from real lakes, and read as a browser would.

mod figures;
mod hostile;
mod page;

use std::fs;

use armature_export::simulator::{Endpoint, Lives, Rule, WorldSettings};
use insta::assert_snapshot;
use serde_json::json;

use crate::service::daemon::Daemon;
use crate::store_lakes::{ReadBy, StoreLake};
use crate::stores::server::ObjectStoreServer;
use crate::support::{TestExport, answer, birth, ended_runs, hand_made_run};
use figures::{assert_tables_equal_the_views, cells};
use page::Page;

/// The page that the program writes with these arguments.
fn page(export: &TestExport, arguments: &[&str]) -> Page {
    let ran = export.run(&[&["report", "--out", "-"], arguments].concat());
    assert_eq!(ran.code, Some(0), "{}", ran.told());
    Page::new(ran.stdout)
}

/// A world with a regression, open runs, statuses that are not known, and values that are redacted.
fn world(runs: u32) -> WorldSettings {
    WorldSettings {
        runs,
        days: 25.0,
        seconds_between_runs: 600.0,
        lives: Lives {
            unknown_status_percent: 3,
            redacted_percent: 10,
            never_evaluated_percent: 5,
            ..Lives::default()
        },
        ..WorldSettings::default()
    }
}

/// Two syncs, and a run that changed between them: of its two revisions, only the latest counts.
#[test]
fn every_table_equals_the_views() {
    let export = TestExport::of_world(world(600));
    let change = |status: &str| {
        let members = json!({
            "workflow_name": "changing", "status": status,
            "started_at": "2026-11-23T11:00:00Z", "finished_at": "2026-11-23T11:10:00Z",
        });
        let mut run = hand_made_run("changed", &members);
        run.started_at = birth() - chrono::Duration::hours(1);
        for (name, value) in members.as_object().unwrap() {
            run.listing[name] = value.clone();
        }
        export.simulator.override_run(run);
    };
    change("pass");
    assert_eq!(export.run(&["sync"]).code, Some(0));
    change("fail");
    export.simulator.advance(chrono::Duration::hours(3));
    assert_eq!(export.run(&["sync"]).code, Some(0));
    assert!(export.count("SELECT count(*) FROM runs WHERE _revision = 2") > 0);
    let page = page(&export, &["--range", "all"]);
    let calls = page.table("quality").into_iter().find(|row| row[0] == "Tool calls").unwrap();
    let expected = cells(&export.duckdb, "SELECT format('{:,}', count(*)) FROM tool_calls");
    assert_eq!(vec![vec![calls[1].clone()]], expected);
    let compared = assert_tables_equal_the_views(&page, &export.duckdb);
    assert!(compared > 500, "only {compared} cells");
    assert!(page.html.len() < 300_000, "{} bytes", page.html.len());
}

/// All text of a page but the definitions. The ids of runs, and so all figures, come from the seed.
#[test]
fn the_page_of_a_world() {
    let export = TestExport::new(ended_runs(600));
    assert_eq!(export.run(&["sync"]).code, Some(0));
    let page = page(&export, &[]);
    assert_snapshot!(page.text());
    assert_eq!(
        page.between("<p class=\"headline\">", "</p>").rsplit_once("</span> ").unwrap().1,
        "1 regression among 3 workflows with enough runs to compare."
    );
    let definitions = page.html.split_once("<h2 id=\"definitions\">").unwrap().1;
    for metric in ["pass_rate", "comparison", "cost_per_pass", "blocking_rate"] {
        let start = format!("<dt id=\"metric-{metric}\">");
        assert!(definitions.contains(&start), "{metric}");
    }
}

/// Whether a number is none: as Rust and DuckDB write it, in text or in a place of a chart.
fn has_bad_number(page: &Page) -> bool {
    let words = page.html.split(|letter: char| !letter.is_alphabetic());
    words.into_iter().any(|word| matches!(word, "NaN" | "nan" | "inf" | "infinity"))
}

#[test]
fn no_run_and_one_run() {
    let export = TestExport::of_ended_runs(0);
    let missing = export.run(&["report"]);
    assert_eq!(missing.code, Some(2), "{}", missing.told());
    assert!(missing.stderr.contains("armature-export sync"), "{}", missing.told());
    assert_eq!(export.run(&["sync"]).code, Some(0));
    let none = page(&export, &[]);
    assert!(none.html.contains("No run that has ended started in this time."));
    let tables = ["changes", "versions", "classes", "tools", "models", "stability", "failures"];
    assert!(tables.into_iter().all(|id| none.table(id).is_empty()));
    assert!(!has_bad_number(&none));

    let run = hand_made_run(
        "only",
        &json!({"workflow_name": "alone", "workflow_version": "1", "model": "a model"}),
    );
    export.simulator.override_run(run);
    assert_eq!(export.run(&["sync"]).code, Some(0));
    let one = page(&export, &[]);
    assert!(one.html.contains("Not enough runs to compare versions."));
    // 1 of 1: its Wilson interval.
    assert!(one.html.contains("100\u{202f}% (21 to 100)"), "{}", one.text());
    assert_eq!(one.table("stability")[0][1], "not enough runs");
    assert!(!has_bad_number(&one));
    assert_tables_equal_the_views(&page(&export, &["--range", "all"]), &export.duckdb);
}

/// The definitions hold within the range and the workflow, as the tables below the views are
/// narrowed.
#[test]
fn a_range_and_workflows_narrow_everything() {
    let export = TestExport::new(ended_runs(600));
    assert_eq!(export.run(&["sync"]).code, Some(0));
    // The coverage ends with the sync, by the server's clock.
    let week = "started_at >= (SELECT max(covered_until) FROM data_quality) - INTERVAL 7 DAYS";
    let expected = format!(
        "SELECT format('{{:,}}', count(*)) FROM run_facts WHERE {week} \
         AND workflow_name = 'checkout smoke test'"
    );
    let name = "checkout smoke test";
    let narrowed = page(&export, &["--range", "7d", "--workflow", name]);
    let quality = narrowed.table("quality");
    let runs = quality.iter().find(|row| row[0] == "Runs that have ended").unwrap();
    assert_eq!(vec![vec![runs[1].clone()]], cells(&export.duckdb, &expected));
    let tools = "SELECT DISTINCT workflow_name FROM tool_health";
    assert!(cells(&export.duckdb, tools).len() > 1);
    for id in ["versions", "tools", "models", "stability", "failures", "classes", "criteria"] {
        let names = narrowed.table(id);
        assert!(!names.is_empty(), "{id}");
        assert!(names.iter().all(|row| row.iter().any(|cell| cell == name)), "{id}: {names:?}");
    }
    let calls = format!(
        "SELECT format('{{:,}}', count(*)) FROM tool_calls SEMI JOIN (SELECT run_id FROM run_facts \
         WHERE {week} AND workflow_name = '{name}') USING (run_id)"
    );
    let calls_shown = quality.iter().find(|row| row[0] == "Tool calls").unwrap();
    assert_eq!(vec![vec![calls_shown[1].clone()]], cells(&export.duckdb, &calls));
    // An id selects as the name does; two workflows are both there.
    let id = export
        .ask(&format!("SELECT any_value(workflow_id) FROM runs WHERE workflow_name = '{name}'"));
    let by_id = page(&export, &["--range", "7d", "--workflow", &id[0][0]]);
    assert_eq!(by_id.table("tools"), narrowed.table("tools"));
    let both = page(&export, &["--workflow", name, "--workflow", "refund request"]);
    assert_eq!(both.table("heat").len(), 2);
    let unknown = export.run(&["report", "--workflow", "chekout"]);
    assert_snapshot!(unknown.told(), @"
    exit 2
    error: no run in the lake is of the workflow `chekout`
    hint: give a name or an id as in the columns workflow_name and workflow_id of `runs`
    ");
    assert!(!export.path("armature-report.html").exists());
}

/// By the same definitions as versions, workflow by workflow.
#[test]
fn a_range_is_compared_with_the_time_before_it() {
    let export = TestExport::new(ended_runs(600));
    assert_eq!(export.run(&["sync"]).code, Some(0));
    let name = "checkout smoke test";
    let details = |arguments: &[&str]| {
        let page = page(&export, arguments);
        let verdict = page.between("aria-label=\"Verdict\">", "</section>").to_owned();
        page::text_of(&verdict)
    };
    let end = "(SELECT max(covered_until) FROM data_quality)";
    let sql = format!(
        "SELECT count(*) || ' ' || round(100 * avg((outcome = 'passed')::INTEGER))::INTEGER \
         FROM run_facts WHERE workflow_name = '{name}' AND outcome IN ('passed', 'partial', \
         'failed') AND started_at >= {end} - INTERVAL 14 DAYS \
         GROUP BY started_at >= {end} - INTERVAL 7 DAYS ORDER BY started_at >= {end} - INTERVAL 7 DAYS"
    );
    let rates: Vec<(u32, String)> = cells(&export.duckdb, &sql)
        .into_iter()
        .map(|row| {
            let (runs, rate) = row[0].split_once(' ').unwrap();
            (runs.parse().unwrap(), rate.to_owned())
        })
        .collect();
    assert!(rates.len() == 2 && rates.iter().all(|(runs, _)| *runs >= 20), "{rates:?}");
    let one = details(&["--range", "7d", "--workflow", name]);
    let expected = format!(
        "Against the 7 days before: the pass rate of {name} went from {}\u{202f}% to {}\u{202f}% (",
        rates[0].1, rates[1].1
    );
    assert!(one.contains(&expected), "{one}");
    let all = details(&["--range", "7d"]);
    assert!(all.contains("Against the 7 days before"), "{all}");
    let sql = format!(
        "SELECT workflow_name FROM run_facts WHERE outcome IN ('passed', 'partial', 'failed') \
         AND started_at >= {end} - INTERVAL 14 DAYS GROUP BY ALL HAVING \
         count_if(started_at >= {end} - INTERVAL 7 DAYS) BETWEEN 1 AND 19 \
         AND count_if(started_at < {end} - INTERVAL 7 DAYS) > 0 ORDER BY ALL"
    );
    let rare = cells(&export.duckdb, &sql)[0][0].clone();
    let few = details(&["--range", "7d", "--workflow", &rare]);
    assert!(few.contains("Against the 7 days before: not enough runs."), "{few}");
    // No run is older than the default range.
    for range in ["30d", "all"] {
        let alone = details(&["--range", range]);
        assert!(!alone.contains("before:") && !alone.contains("before, of"), "{alone}");
    }
}

#[test]
fn the_path_is_printed_and_the_page_needs_no_duckdb_file() {
    let export = TestExport::of_ended_runs(40);
    export.configure("[duckdb]\nenabled = false\npath = \"not-there/a.duckdb\"\n");
    assert_eq!(export.run(&["sync"]).code, Some(0));
    let ran = export.run(&["report"]);
    assert_eq!(ran.code, Some(0), "{}", ran.told());
    let path = export.path("armature-report.html");
    assert_eq!(ran.stdout.trim_end(), path.display().to_string());
    Page::new(fs::read_to_string(&path).unwrap());
    assert!(!export.path("not-there").exists());
    let written = export.run(&["--output", "json", "report", "--out", "pages/report.html"]).json();
    assert_eq!(written["runs"], 40);
    assert_eq!(written["path"], export.path("pages/report.html").display().to_string());
    let length = fs::metadata(export.path("pages/report.html")).unwrap().len();
    assert_eq!(written["bytes"], length);
    let both = export.run(&["--output", "json", "report", "--out", "-"]);
    assert_eq!((both.code, both.stdout.as_str()), (Some(2), ""), "{}", both.told());
    export.configure("[report]\npath = \"configured.html\"\nrange = \"24h\"\n");
    assert_eq!(export.run(&["report"]).code, Some(0));
    assert!(export.path("configured.html").exists());
}

/// A process that ends with half a page on the disk leaves the page before it.
#[test]
fn a_page_is_replaced_as_a_whole() {
    let export = TestExport::of_ended_runs(20);
    assert_eq!(export.run(&["sync"]).code, Some(0));
    let path = export.path("armature-report.html");
    fs::write(&path, "the page before").unwrap();
    export.crash(&["report"], "half_of_the_report");
    assert_eq!(fs::read_to_string(&path).unwrap(), "the page before");
    assert_eq!(export.run(&["report"]).code, Some(0));
    Page::new(fs::read_to_string(&path).unwrap());
}

/// A compaction between two reports, and one with a page of an earlier version of a run.
#[test]
fn a_merged_lake_gives_the_same_page() {
    let export = TestExport::of_ended_runs(60);
    export.configure("[sync]\ncommit_bytes = 60000\n[compact]\nclosed_after_secs = 0\n");
    assert_eq!(export.run(&["sync"]).code, Some(0));
    let before = page(&export, &[]).text();
    assert_eq!(export.run(&["compact"]).code, Some(0));
    assert_eq!(page(&export, &[]).text(), before);
}

#[test]
fn a_lake_in_an_object_store_has_the_same_page() {
    let server = ObjectStoreServer::seaweedfs();
    let lake = StoreLake::in_s3(&server.endpoint, ReadBy::Files);
    lake.succeeds(&["sync"]);
    let page = page(&lake.export, &["--range", "all"]);
    assert!(assert_tables_equal_the_views(&page, &lake.export.duckdb) > 100);
}

const SERVICE: &str = "[api]\nmax_attempts = 1\n\
    [schedule]\ncron = \"* * * * * *\"\nreconcile_cron = \"\"\nlisten = \"0\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn the_service_writes_and_serves_the_page() {
    let export = TestExport::of_ended_runs(20);
    let mut daemon =
        Daemon::start(&export, &format!("{SERVICE}[report]\npath = \"pages/report.html\"\n"));
    daemon.wait_for("wrote the report", 1).await;
    let url = format!("http://{}/report", daemon.address());
    armature_export::tls::install();
    let response = reqwest::get(&url).await.unwrap();
    let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(response.status(), 200);
    assert_eq!(header("content-type"), "text/html; charset=utf-8");
    assert_eq!(header("cache-control"), "no-store");
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert!(header("content-security-policy").starts_with("default-src 'none'; "));
    assert!(header("content-security-policy").contains("frame-ancestors 'none'"));
    let path = export.path("pages/report.html");
    let served = response.text().await.unwrap();
    Page::new(served.clone());
    assert_eq!(fs::read_to_string(&path).unwrap(), served);
    // Syncs that make no commit write no page, unless it is not there.
    let refusal = answer(401, "{}");
    export.simulator.add_rule(Rule::new(Endpoint::Organization, refusal));
    daemon.wait_for("sync failed", 1).await;
    let written = daemon.count("wrote the report");
    fs::remove_file(&path).unwrap();
    daemon.wait_for("wrote the report", written + 1).await;
    assert!(path.exists());
    let failed = daemon.count("sync failed");
    daemon.wait_for("sync failed", failed + 3).await;
    assert_eq!(daemon.count("wrote the report"), written + 1);
    let metrics = daemon.metrics().await;
    assert!(metrics.value("armature_export_last_report_timestamp_seconds") > 0);
    assert_eq!(metrics.value("armature_export_reports_total{outcome=\"failed\"}"), 0);
    let status = export.status();
    assert_eq!(status["report"]["path"], path.display().to_string());
    assert!(status["report"]["written_at"].is_string(), "{status}");
}

/// A folder is where the page should be.
#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_fails_does_not_fail_the_sync() {
    let export = TestExport::of_ended_runs(20);
    fs::create_dir(export.path("page")).unwrap();
    let mut daemon = Daemon::start(&export, &format!("{SERVICE}[report]\npath = \"page\"\n"));
    daemon.wait_for("no report: failed to replace", 1).await;
    daemon.wait_for_a_complete_sync().await;
    let metrics = daemon.metrics().await;
    assert!(metrics.value("armature_export_reports_total{outcome=\"failed\"}") > 0);
    assert_eq!(metrics.value("armature_export_last_exit_code{job=\"sync\"}"), 0);
    assert_eq!(daemon.get("/readyz").await.0, 200);
    assert_eq!(daemon.get("/report").await.0, 500);
    daemon.signal("TERM");
    assert_eq!(daemon.ended().await, Some(0));
    let without = TestExport::of_ended_runs(20);
    let mut daemon = Daemon::start(&without, SERVICE);
    daemon.wait_for_a_complete_sync().await;
    let (status, told) = daemon.get("/report").await;
    assert_eq!(status, 404);
    assert!(told.contains("report.path"), "{told}");
}
