//! `reconcile`: what an earlier sync could not see, or a ledger lost, is found and fetched.

use crate::support::{TestExport, answer, block_on, hand_made_run, now, rule_for};
use armature_export::lake::{CommitBuilder, Lake};
use armature_export::simulator::{Endpoint, RunOverride};
use chrono::{DateTime, Duration, Utc};
use insta::assert_snapshot;
use serde_json::{Value, json};

/// A hand-made run that started so many days ago.
fn run_of_days_ago(id: &str, days: i64, status: &str) -> RunOverride {
    let at = |instant: DateTime<Utc>| instant.to_rfc3339();
    let started_at = now() - Duration::days(days);
    let listing = json!({
        "id": id, "status": status, "workflow_id": "wf_1",
        "started_at": at(started_at), "finished_at": at(started_at + Duration::minutes(5)),
    });
    let mut run = hand_made_run(id, &json!({}));
    run.documents.insert(Endpoint::Run, Some(listing.clone()));
    RunOverride { started_at, listing, ..run }
}

fn total(export: &TestExport) -> Value {
    export.run(&["reconcile", "--output", "json"]).json()["before"]["total"].clone()
}

#[test]
fn a_lake_that_holds_all_that_is_listed() {
    let export = TestExport::of_ended_runs(12);
    export.sync_brings_everything();
    let before = crate::support::files(&export.lake);
    let ran = export.run(&["reconcile"]);
    assert_eq!(ran.code, Some(0));
    assert_snapshot!(ran.stdout, @"
    reconciled 12 runs of the last 30 days with the lake
      runs      12 as listed
      list      certified (counted), 2 pages

             day  listed  as listed  missing  not in ledger  changed  failed  ended since
      ─────────── ─────── ────────── ──────── ────────────── ──────── ─────── ───────────
      2026-11-21       1          1        0              0        0       0            0
      2026-11-20       1          1        0              0        0       0            0
      2026-11-18       1          1        0              0        0       0            0
      2026-11-17       1          1        0              0        0       0            0
      2026-11-15       1          1        0              0        0       0            0
      2026-11-13       1          1        0              0        0       0            0
      2026-11-11       2          2        0              0        0       0            0
      2026-11-09       1          1        0              0        0       0            0
      2026-11-06       1          1        0              0        0       0            0
      2026-11-05       1          1        0              0        0       0            0
      2026-11-03       1          1        0              0        0       0            0
    ");
    assert!(crate::support::files(&export.lake) == before, "it changed the lake");
}

#[test]
fn what_an_earlier_sync_could_not_see_is_fetched() {
    let export = TestExport::of_ended_runs(12);
    export.simulator.override_run(run_of_days_ago("changing", 9, "fail"));
    export.simulator.override_run(run_of_days_ago("broken", 8, "fail"));
    let broken = answer(500, "");
    export.simulator.add_rule(rule_for(Endpoint::Trace, "broken", broken));
    assert_eq!(export.run(&["sync"]).code, Some(3));
    // Too far back for an ordinary sync to look.
    export.simulator.override_run(run_of_days_ago("changing", 9, "pass"));
    export.simulator.override_run(run_of_days_ago("late", 10, "pass"));
    export.simulator.clear_rules();
    export.simulator.add_rule(rule_for(Endpoint::Trace, "broken", answer(500, "")));
    let ran = export.run(&["reconcile"]);
    assert_eq!(ran.code, Some(3));
    assert_snapshot!(ran.stdout, @"
    reconciled 15 runs of the last 30 days with the lake
      runs      12 as listed · 1 missing · 1 changed · 1 failed
      list      certified (counted), 2 pages

             day  listed  as listed  missing  not in ledger  changed  failed  ended since
      ─────────── ─────── ────────── ──────── ────────────── ──────── ─────── ───────────
      2026-11-21       1          1        0              0        0       0            0
      2026-11-20       1          1        0              0        0       0            0
      2026-11-18       1          1        0              0        0       0            0
      2026-11-17       1          1        0              0        0       0            0
      2026-11-16       1          0        0              0        0       1            0
      2026-11-15       2          1        0              0        1       0            0
      2026-11-14       1          0        1              0        0       0            0
      2026-11-13       1          1        0              0        0       0            0
      2026-11-11       2          2        0              0        0       0            0
      2026-11-09       1          1        0              0        0       0            0
      2026-11-06       1          1        0              0        0       0            0
      2026-11-05       1          1        0              0        0       0            0
      2026-11-03       1          1        0              0        0       0            0

             day  workflow  status  listed  as listed  missing  not in ledger  changed  failed  ended since
      ─────────── ───────── ─────── ─────── ────────── ──────── ────────────── ──────── ─────── ───────────
      2026-11-14  wf_1      pass         1          0        1              0        0       0            0
      2026-11-15  wf_1      pass         1          0        0              0        1       0            0
      2026-11-16  wf_1      fail         1          0        0              0        0       1            0
      missing  late
      changed  changing
      failed  broken

    hint: `reconcile --repair` fetches them
    ");
    export.simulator.clear_rules();
    let ran = export.run(&["reconcile", "--repair"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let one = |sql: &str| export.ask(sql)[0][0].clone();
    assert_eq!(one("SELECT count(*) FROM runs WHERE run_id IN ('late', 'broken')"), "2");
    assert_eq!(one("SELECT status || _revision FROM runs WHERE run_id = 'changing'"), "pass2");
    assert_eq!(one("SELECT count(*) - count(DISTINCT run_id) FROM runs"), "0");
    assert_eq!(export.run(&["verify"]).code, Some(0));
}

#[test]
fn a_run_that_the_ledger_lost_is_not_fetched_a_second_time() {
    let export = TestExport::of_ended_runs(12);
    export.sync_brings_everything();
    let lost = export.expected_ids().remove(0);
    block_on(async {
        let mut lake = Lake::open(&export.lake).await.unwrap();
        let staging = lake.stage();
        let forgotten = vec![(lost, None)];
        lake.commit(
            staging,
            CommitBuilder { ledger_changes: forgotten, ..CommitBuilder::default() },
        )
        .await
        .unwrap()
    });
    assert_eq!(total(&export)["not_in_ledger"], 1);
    let ran = export.run(&["reconcile", "--repair"]);
    assert_snapshot!(ran.told(), @r"
    exit 3
    not repaired: fetching runs that are not in the ledger would duplicate them
    ");
    assert_eq!(export.lake_ids(), export.expected_ids());
    assert_eq!(export.run(&["verify", "--repair"]).code, Some(0));
    assert_eq!(total(&export)["same"], 12);
    assert_eq!(export.run(&["sync"]).code, Some(0));
    assert_eq!(export.lake_ids(), export.expected_ids());
}

#[test]
fn a_lake_that_is_not_there_cannot_be_reconciled() {
    let export = TestExport::of_ended_runs(1);
    assert_snapshot!(export.run(&["reconcile"]).told(), @r"
    exit 2
    error: there is no lake at `[dir]/lake`
    hint: run `armature-export sync` first, or name the lake with --lake
    ");
}
