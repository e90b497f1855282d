//! Lists that move, stutter or end too early while they are read: what a sweep makes of them, and
//! what it dares to call proven.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use armature_export::config::RangeChoice;
use armature_export::event::{Event, Events};
use armature_export::simulator::{
    Answer, Endpoint, FaultPlan, ListFaults, Rule, RunOverride, Shape, Simulator,
    SimulatorSettings, WorldSettings,
};
use armature_export::sync::SyncReport;
use chrono::Duration;
use serde_json::json;

use crate::support::TestExport;

/// A world that stands still, listed 20 runs a page, with or without a total.
fn world(runs: u32, has_total: bool) -> TestExport {
    let world = WorldSettings { runs, seconds_between_runs: 0.0, ..WorldSettings::default() };
    let shape = Shape { has_total, maximum_page_size: 20, ..Shape::default() };
    let mut export =
        TestExport::new(SimulatorSettings { world, shape, ..SimulatorSettings::default() });
    // Runs that ended a moment ago wait for nothing.
    export.settings.sync.evaluation_grace_secs = 0;
    export.simulator.advance(Duration::hours(1));
    export
}

/// A sync during which something happens once, right after so many pages of the list were read.
async fn sync_disturbed(
    export: &TestExport,
    after_pages: u32,
    disturb: impl Fn(&Simulator) + Send + Sync + 'static,
) -> SyncReport {
    let (simulator, pages) = (Arc::clone(&export.simulator), AtomicU32::new(0));
    let events = Events::new(move |event| {
        if matches!(event, Event::PageListed { .. })
            && pages.fetch_add(1, Ordering::Relaxed) + 1 == after_pages
        {
            disturb(&simulator);
        }
    });
    export.sync_telling(events).await.unwrap()
}

fn newest(export: &TestExport) -> String {
    export.simulator.world().run_ids(export.simulator.now()).last().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_at_rest_is_read_once_and_counted() {
    let export = world(70, true);
    let sweep = export.sync().await.sweep;
    assert_eq!((sweep.looks, sweep.pages, sweep.proof), (1, 5, Some("counted")));
    export.assert_equals_the_world();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_without_a_total_is_looked_at_twice() {
    let export = world(70, false);
    let sweep = export.sync().await.sweep;
    assert_eq!((sweep.looks, sweep.pages, sweep.proof), (2, 10, Some("seen_again")));
    export.assert_equals_the_world();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_leaves_while_the_list_is_read_hides_no_other() {
    for has_total in [true, false] {
        let export = world(70, has_total);
        let gone = newest(&export);
        // Run 21 moves up to place 20, from page 2 to page 1, which was read already.
        let report = sync_disturbed(&export, 1, move |simulator| simulator.remove_run(&gone)).await;
        assert!(report.sweep.certified, "{:?}", report.sweep);
        assert_eq!((report.sweep.looks, report.sweep.proof), (3, Some("seen_again")));
        assert_eq!(report.runs.new + report.runs.absent, 70);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_leaves_near_the_head_hides_no_other_from_an_incremental_sync() {
    let export = TestExport::new(SimulatorSettings {
        world: WorldSettings { runs: 70, seconds_between_runs: 60.0, ..WorldSettings::default() },
        shape: Shape { maximum_page_size: 20, ..Shape::default() },
        ..SimulatorSettings::default()
    });
    export.sync().await;
    export.simulator.advance(Duration::hours(1));
    let gone = newest(&export);
    let report = sync_disturbed(&export, 1, {
        let gone = gone.clone();
        move |simulator| simulator.remove_run(&gone)
    })
    .await;
    assert!(report.sweep.ended_early && report.sweep.certified, "{:?}", report.sweep);
    assert_eq!(report.sweep.proof, Some("seen_again"));
    export.simulator.advance(Duration::hours(5));
    export.sync().await;
    let known = export.count("SELECT count(*) FROM runs");
    let all = export.simulator.world().run_count(export.simulator.now()) - 1;
    let open = export.count("SELECT count(*) FROM open_runs");
    assert_eq!(u64::try_from(known + open).unwrap(), all);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_listed_late_is_found_by_the_overlap() {
    let export = world(40, true);
    export.sync().await;
    let late = ended("late", &export.simulator);
    export.simulator.advance(Duration::minutes(80));
    // More than a page of runs between: without the overlap nobody would look that far down.
    for number in 0..30 {
        export.simulator.override_run(ended(&format!("between {number}"), &export.simulator));
    }
    export.simulator.advance(Duration::minutes(10));
    export.sync().await;
    // It started before the last sync, which was not told of it.
    export.simulator.override_run(late);
    export.simulator.advance(Duration::minutes(20));
    let report = export.sync().await;
    assert!(report.sweep.ended_early, "all was listed again: the test shows nothing");
    assert_eq!(report.runs.new, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_of_new_runs_that_moves_whole_pages_ends_nothing() {
    let export = world(70, false);
    let burst = |simulator: &Simulator| {
        simulator.advance(Duration::seconds(10));
        for number in 0..50 {
            simulator.override_run(ended(&format!("new {number}"), simulator));
        }
    };
    let report = sync_disturbed(&export, 1, burst).await;
    assert!(report.sweep.certified, "{:?}", report.sweep);
    // The new ones have just ended, and wait for an evaluation.
    assert_eq!((report.runs.listed, report.runs.new, report.runs.waiting), (120, 70, 50));
    assert_eq!(report.sweep.head_moved, 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_comes_twice_is_no_end() {
    let export = world(70, false);
    let body = page(&export, 1).await;
    let answer = Answer::Status { status: 200, headers: vec![], body };
    let rule = Rule { page: Some(2), times: Some(1), ..Rule::new(Endpoint::Runs, answer) };
    export.simulator.add_rule(rule);
    let report = export.sync().await;
    assert!(report.sweep.certified, "{:?}", report.sweep);
    export.assert_equals_the_world();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_comes_twice_does_not_hide_that_pages_count_from_0() {
    let world = WorldSettings { runs: 70, seconds_between_runs: 0.0, ..WorldSettings::default() };
    let shape = Shape { page_base: 0, maximum_page_size: 20, ..Shape::default() };
    let shape = Shape { has_total: false, has_page_echo: false, ..shape };
    let export =
        TestExport::new(SimulatorSettings { world, shape, ..SimulatorSettings::default() });
    let body = page(&export, 0).await;
    let answer = Answer::Status { status: 200, headers: vec![], body };
    let rule = Rule { page: Some(1), times: Some(1), ..Rule::new(Endpoint::Runs, answer) };
    export.simulator.add_rule(rule);
    let report = export.sync().await;
    assert!(report.sweep.certified, "{:?}", report.sweep);
    assert_eq!(report.runs.listed, 70);
    export.simulator.override_run(ended("new", &export.simulator));
    export.simulator.advance(Duration::hours(2));
    let report = export.sync().await;
    assert_eq!(report.runs.new, 1, "the first page is not looked at: {:?}", report.sweep);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_page_in_the_middle_is_found_out() {
    for has_total in [true, false] {
        let export = world(70, has_total);
        let body = json!({"rows": []}).to_string();
        let answer = Answer::Status { status: 200, headers: vec![], body };
        let rule = Rule { page: Some(3), times: Some(1), ..Rule::new(Endpoint::Runs, answer) };
        export.simulator.add_rule(rule);
        let report = export.sync().await;
        assert!(report.sweep.certified, "{:?}", report.sweep);
        export.assert_equals_the_world();
    }
}

/// Where a list is read only as far down as it is new, its total is not reached: a page that is
/// left out of each pass shows only in the pages behind it.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_is_always_empty_or_repeated_is_no_proof_for_a_list_that_is_left_early() {
    for repeats in [false, true] {
        let export = world(70, true);
        assert!(export.sync().await.sweep.certified);
        export.simulator.advance(Duration::hours(3));
        for number in 0..50 {
            export.simulator.override_run(ended(&format!("new {number}"), &export.simulator));
        }
        export.simulator.advance(Duration::hours(2));
        let empty = json!({"rows": [], "total": 120, "hasMore": true}).to_string();
        let body = if repeats { page(&export, 1).await } else { empty };
        let answer = Answer::Status { status: 200, headers: vec![], body };
        export.simulator.add_rule(Rule { page: Some(2), ..Rule::new(Endpoint::Runs, answer) });
        let report = export.sync().await;
        assert!(report.sweep.ended_early, "all was listed: the test shows nothing");
        assert!(!report.sweep.certified, "{:?}", report.sweep);
        export.simulator.clear_rules();
        let report = export.sync().await;
        assert_eq!((report.sweep.certified, report.runs.new), (true, 20));
        assert_eq!(export.count("SELECT count(*) FROM runs"), 120);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_comes_in_another_order_each_time_proves_nothing() {
    let export = world(70, false);
    let list = ListFaults { shuffled_percent: 100.0, ..ListFaults::default() };
    export.simulator.set_faults(FaultPlan { list, ..FaultPlan::default() });
    let report = export.sync().await;
    assert_eq!(report.outcome.name(), "incomplete");
    assert_eq!(report.sweep.doubts, ["it was still changing after 4 passes"]);
    assert!(report.runs.new > 60, "what was found is exported: {}", report.runs.new);
    let proven = "SELECT count(proven_until) FROM _syncs";
    assert_eq!(export.count(proven), 0);
    let because = "SELECT count(*) FROM _syncs WHERE NOT certified AND looks = 4 \
                   AND uncertified_because LIKE '%changing%'";
    assert_eq!(export.count(because), 1);
    export.simulator.clear_faults();
    export.sync().await;
    export.assert_equals_the_world();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_total_beyond_what_is_listed_is_not_believed_away() {
    let export = world(70, true);
    let list = ListFaults { high_total_percent: 100.0, ..ListFaults::default() };
    export.simulator.set_faults(FaultPlan { list, ..FaultPlan::default() });
    let report = export.sync().await;
    assert_eq!(report.outcome.name(), "incomplete");
    assert_eq!(
        report.sweep.doubts,
        [
            "the API says that there are 106, and listed 70",
            "10 narrower lists brought 0 more runs; 36 runs stay out of reach"
        ]
    );
    export.assert_equals_the_world();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_from_old_to_new_is_always_read_to_its_end() {
    let export = TestExport::new(SimulatorSettings {
        world: WorldSettings { runs: 70, seconds_between_runs: 900.0, ..WorldSettings::default() },
        shape: Shape { maximum_page_size: 20, ..Shape::default() },
        ..SimulatorSettings::default()
    });
    let list = ListFaults { oldest_first: true, ..ListFaults::default() };
    export.simulator.set_faults(FaultPlan { list, ..FaultPlan::default() });
    for _ in 0..3 {
        let report = export.sync().await;
        assert!(report.sweep.certified && !report.sweep.ended_early, "{:?}", report.sweep);
        export.assert_equals_the_world();
        export.simulator.advance(Duration::hours(7));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_that_leave_the_window_while_it_is_read_are_not_called_proven() {
    let export = TestExport::new(SimulatorSettings {
        world: WorldSettings {
            runs: 400,
            days: 30.0,
            seconds_between_runs: 0.0,
            ..WorldSettings::default()
        },
        shape: Shape { maximum_page_size: 20, ..Shape::default() },
        ..SimulatorSettings::default()
    });
    let list = ListFaults { clock_step_seconds: 1200, ..ListFaults::default() };
    export.simulator.set_faults(FaultPlan { list, ..FaultPlan::default() });
    let report = export.sync().await;
    let lost = 400 - report.runs.listed;
    assert!(lost > 0, "no run left the window: the test shows nothing");
    assert!(report.sweep.certified, "{:?}", report.sweep);
    let lake = armature_export::lake::LakeView::open(&export.lake).await.unwrap();
    let proven_from = lake.head().unwrap().coverage[0].from;
    let world = export.simulator.world().expected(export.simulator.now());
    let start = |run: &armature_export::simulator::Row| {
        let start = run["started_at"].as_str().unwrap();
        let start: chrono::DateTime<chrono::Utc> = start.parse().unwrap();
        armature_export::time::Timestamp::from(start)
    };
    let proven = world.runs.iter().filter(|run| start(run) >= proven_from).count();
    assert!(u64::try_from(proven).unwrap() <= report.runs.listed, "{proven} runs called proven");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hole_in_reach_is_closed_by_the_next_automatic_sync() {
    let mut export = TestExport::of_slowly_growing_world(80);
    export.sync().await;
    export.simulator.advance(Duration::days(5));
    export.settings.sync.range = RangeChoice::Day;
    export.sync().await;
    let lake = armature_export::lake::LakeView::open(&export.lake).await.unwrap();
    assert_eq!(lake.head().unwrap().coverage.len(), 2, "there is no hole");
    export.settings.sync.range = RangeChoice::Auto;
    export.sync().await;
    let lake = armature_export::lake::LakeView::open(&export.lake).await.unwrap();
    assert_eq!(lake.head().unwrap().coverage.len(), 1);
    export.assert_equals_the_world();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hole_that_nobody_closes_becomes_a_gap() {
    let mut export = TestExport::of_slowly_growing_world(20);
    export.sync().await;
    export.settings.sync.range = RangeChoice::Day;
    export.simulator.advance(Duration::days(5));
    assert!(!export.sync().await.new_gap);
    export.simulator.advance(Duration::days(28));
    let report = export.sync().await;
    assert!(report.new_gap);
    assert_eq!((report.gaps.len(), report.outcome.name()), (1, "incomplete"));
    export.simulator.advance(Duration::hours(1));
    let report = export.sync().await;
    assert_eq!((report.gaps.len(), report.new_gap), (1, true), "the same one, an hour longer");
    export.settings.sync.range = RangeChoice::Auto;
    export.sync().await;
    export.simulator.advance(Duration::hours(1));
    let report = export.sync().await;
    assert_eq!((report.gaps.len(), report.new_gap), (1, false));
}

async fn page(export: &TestExport, number: u32) -> String {
    let url = format!("{}/runs?range=30d&page={number}&pageSize=20", export.simulator.base_url());
    let client = reqwest::Client::new();
    let answer = client.get(url).header("Authorization", "Bearer amt_test_key").send();
    answer.await.unwrap().text().await.unwrap()
}

/// A run that ended an hour ago, without anything in it.
fn ended(id: &str, simulator: &Simulator) -> RunOverride {
    let now = simulator.now();
    let listing = json!({
        "id": id, "status": "error",
        "started_at": now.to_rfc3339(), "finished_at": now.to_rfc3339(),
    });
    RunOverride {
        id: id.to_owned(),
        started_at: now,
        documents: [
            (Endpoint::Run, Some(listing.clone())),
            (Endpoint::Trace, Some(json!({"spans": []}))),
            (Endpoint::ToolCalls, Some(json!({"rows": []}))),
        ]
        .into(),
        listing,
    }
}
