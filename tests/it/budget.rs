//! What a sync may ask for: `plan` tells beforehand, `--max-requests` and `--deadline` hold it to
//! it, and nothing is lost by either.

use std::time::Duration;

use crate::support::{TestExport, ended_runs};
use insta::assert_snapshot;

#[test]
fn a_budget_of_requests_is_kept_and_the_next_sync_goes_on() {
    let export = TestExport::of_ended_runs(60);
    let mut syncs = 0;
    loop {
        let before = export.simulator.request_count();
        let ran = export.run(&["-q", "sync", "--max-requests", "50"]);
        let sent = export.simulator.request_count() - before;
        assert!(sent <= 50, "{sent} requests");
        syncs += 1;
        if ran.code == Some(0) {
            break;
        }
        assert_eq!(ran.code, Some(3), "{}", ran.stderr);
        assert!(syncs < 12, "it does not come to an end");
    }
    assert!(syncs > 4, "{syncs} syncs: the budget held nothing back");
    assert_eq!(export.lake_ids(), export.expected_ids());
    assert_eq!(export.database_ids(), export.expected_ids());
}

#[test]
fn newest_runs_come_first() {
    let export = TestExport::of_ended_runs(60);
    export.run(&["sync", "--max-requests", "50"]);
    let ids: Vec<String> = export.simulator.world().run_ids(export.simulator.now()).collect();
    let exported = export.lake_ids();
    assert!(exported.len() > 5, "{}", exported.len());
    let mut newest: Vec<String> = ids.into_iter().rev().take(exported.len()).collect();
    newest.sort();
    assert_eq!(exported, newest);
}

#[test]
fn a_spent_budget_is_told() {
    let export = TestExport::of_ended_runs(60);
    let ran = export.run(&["sync", "--max-requests", "50"]);
    assert_snapshot!(ran.told(), @r"
    exit 3
    incomplete: the budget of requests is spent (50 sent); the next sync goes on
    ");
    let ran = export.run(&["sync", "--max-requests", "1"]);
    assert_snapshot!(ran.told(), @r"
    exit 3
    incomplete: the budget of requests is spent (1 sent); the next sync goes on
    ");
}

#[test]
fn a_deadline_ends_a_sync_with_what_is_complete() {
    let slow = Duration::from_millis(100);
    let export =
        TestExport::new(crate::support::SimulatorSettings { latency: slow, ..ended_runs(300) });
    let ran = export.run(&["sync", "--deadline", "2s"]);
    assert_snapshot!(ran.told(), @r"
    exit 3
    incomplete: the deadline has passed; the next sync goes on
    ");
    let exported = export.lake_ids().len();
    assert!(0 < exported && exported < 300, "{exported} of 300");
    assert_eq!(export.database_ids().len(), exported);
}

#[test]
fn budgets_that_cannot_be() {
    let export = TestExport::of_ended_runs(1);
    assert_snapshot!(export.run(&["sync", "--max-requests", "0"]).told(), @r"
    exit 2
    error: invalid value '0' for '--max-requests <NUMBER>': 0 is not in 1..18446744073709551615

    For more information, try '--help'.
    ");
    assert_snapshot!(export.run(&["sync", "--deadline", "soon"]).told(), @r"
    exit 2
    error: invalid value 'soon' for '--deadline <DURATION>': expected number at 0

    For more information, try '--help'.
    ");
}

#[test]
fn a_plan_tells_what_a_sync_asks_for() {
    let export = TestExport::of_ended_runs(230);
    let plan = export.run(&["plan"]);
    assert_snapshot!(plan.with_placeholders(&plan.stdout), @r"
    a sync now would list the last 30d
      runs      230 listed · about 230 to fetch
      requests  about 927 (4 pages of the list)
      time      unknown: too few requests so far to measure the rate
    This cost 2 requests, and changed nothing.
    ");
    assert!(!export.lake.exists(), "a plan made a lake");
    let forecast = export.run(&["plan", "--output", "json"]).json();
    assert_eq!(forecast["requests_sent"], 2);
    let before = export.simulator.request_count();
    export.sync_brings_everything();
    let sent = export.simulator.request_count() - before;
    assert_eq!(forecast["requests"], sent, "the plan and the sync differ");
    let plan = export.run(&["plan"]);
    let told = plan.stdout.lines().filter(|line| !line.contains("time"));
    assert_snapshot!(told.collect::<Vec<_>>().join("\n"), @r"
    a sync now would list the last 24h
      runs      0 listed · 0 to fetch
      requests  2 (1 page of the list)
    This cost 2 requests, and changed nothing.
    ");
    let forecast = export.run(&["plan", "--output", "json"]).json();
    assert_eq!((&forecast["new_runs"], &forecast["is_exact"]), (&0.into(), &true.into()));
    assert!(forecast["requests_per_second"].as_f64().unwrap() > 0.0);
}
