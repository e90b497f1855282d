//! Long after: syncs that did not come for weeks, and runs that took as long.

use crate::support::{TestExport, hand_made_run, now};
use armature_export::simulator::RunOverride;
use chrono::{Duration, SecondsFormat};
use insta::assert_snapshot;
use serde_json::json;

#[test]
fn an_outage_of_forty_days_is_one_gap_and_exit_code_3() {
    let export = TestExport::of_ended_runs(20);
    export.sync_brings_everything();
    export.simulator.advance(Duration::days(40));
    let ran = export.run(&["sync"]);
    assert_snapshot!(ran.told(), @"
    exit 3
    incomplete: a period that the API no longer lists was never exported (see `status`)
    ");
    let gap = "SELECT left(gap_from::VARCHAR, 19), left(gap_until::VARCHAR, 19) FROM _gaps";
    assert_eq!(export.ask("SELECT count(*) FROM _gaps"), [["1"]]);
    let days = "SELECT date_diff('day', gap_from, gap_until) FROM _gaps";
    assert_eq!(export.ask(days), [["10"]], "{:?}", export.ask(gap));
    let status = export.run(&["status"]);
    let told: Vec<&str> = status.stdout.lines().filter(|line| line.contains("gap")).collect();
    assert_snapshot!(told.join("\n"), @"  gap           2026-11-24 10:00 UTC to 2026-12-04 10:00 UTC (never exported, no longer listed)");
    // It is found once.
    assert_eq!(export.run(&["sync"]).code, Some(0));
    assert_eq!(export.ask("SELECT count(*) FROM _gaps"), [["1"]]);
}

#[test]
fn twenty_runs_that_end_after_they_left_every_window() {
    const RUNS: usize = 20;
    let export = TestExport::of_ended_runs(5);
    for number in 0..RUNS {
        export.simulator.override_run(run(number, None));
    }
    export.run(&["sync"]);
    assert_eq!(export.ask("SELECT count(*) FROM open_runs"), [[RUNS.to_string()]]);
    for _ in 0..5 {
        export.simulator.advance(Duration::days(7));
        assert_eq!(export.run(&["sync"]).code, Some(0));
    }
    assert_eq!(export.ask("SELECT count(*) FROM open_runs"), [[RUNS.to_string()]]);
    for number in 0..RUNS {
        export.simulator.override_run(run(number, Some(Duration::days(35))));
    }
    export.simulator.advance(Duration::hours(2));
    assert_eq!(export.run(&["sync"]).code, Some(0));
    let ended = "SELECT count(*) FROM runs WHERE run_id LIKE 'long %' AND status = 'pass' \
                 AND duration_ms > 34 * 86400000::BIGINT";
    assert_eq!(export.ask(ended), [[RUNS.to_string()]]);
    assert_eq!(export.ask("SELECT count(*) FROM open_runs"), [["0"]]);
    for table in ["spans", "tool_calls", "evaluations", "criteria", "excerpts"] {
        let rows = format!("SELECT count(*) FROM {table} WHERE run_id LIKE 'long %'");
        assert_eq!(export.ask(&rows), [[RUNS.to_string()]], "{table}");
    }
    assert_eq!(export.run(&["verify"]).code, Some(0));
}

/// A run that started an hour ago, and goes on or ended so long after.
fn run(number: usize, duration: Option<Duration>) -> RunOverride {
    let id = format!("long {number}");
    let started_at = now() - Duration::hours(1);
    let text = |instant: chrono::DateTime<chrono::Utc>| {
        instant.to_rfc3339_opts(SecondsFormat::Millis, true)
    };
    let listing = json!({
        "id": id,
        "status": if duration.is_some() { "pass" } else { "running" },
        "started_at": text(started_at),
        "finished_at": duration.map(|duration| text(started_at + duration)),
        "duration_ms": duration.map(|duration| duration.num_milliseconds()),
    });
    let run = hand_made_run(&id, &listing);
    RunOverride { started_at, listing, ..run }
}
