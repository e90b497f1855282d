//! Lists in every way in which servers page them, and what their statements are worth.

use armature_export::config::RangeChoice;
use armature_export::simulator::{
    Answer, Endpoint, ListEnvelope, Paging, PagingStyle, PastEnd, Rule, Shape, SimulatorSettings,
    WorldSettings,
};
use armature_export::sync::SyncReport;
use chrono::Duration;

use crate::support::TestExport;

/// A world of 70 runs that stands still, 20 a page.
fn world(shape: Shape) -> TestExport {
    world_of(70, 20, shape)
}

/// The same with fewer runs in as many pages, for tests that go through many shapes.
fn small_world(shape: Shape) -> TestExport {
    world_of(21, 6, shape)
}

fn world_of(runs: u32, maximum_page_size: u32, shape: Shape) -> TestExport {
    let world = WorldSettings { runs, seconds_between_runs: 0.0, ..WorldSettings::default() };
    let shape = Shape { maximum_page_size, ..shape };
    let mut export =
        TestExport::new(SimulatorSettings { world, shape, ..SimulatorSettings::default() });
    export.settings.sync.evaluation_grace_secs = 0;
    export.settings.api.max_attempts = 1;
    export.simulator.advance(Duration::hours(1));
    export
}

fn shape(paging: Paging) -> Shape {
    Shape { paging, has_total: false, has_page_echo: false, ..Shape::default() }
}

async fn brings_everything(shape: Shape) {
    let export = small_world(shape);
    let report = export.sync().await;
    assert!(report.sweep.certified, "{shape:?}: {:?}", report.sweep);
    assert_eq!(report.outcome.name(), "complete", "{shape:?}: {:?}", report.reasons());
    export.assert_equals_the_world();
    let again = export.sync().await;
    assert_eq!((again.runs.new, again.runs.changed, again.outcome.name()), (0, 0, "complete"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_style_with_and_without_a_total() {
    for style in PagingStyle::ALL {
        for has_total in [false, true] {
            for has_more in [false, true] {
                let paging = Paging { style, has_more, ..Paging::default() };
                brings_everything(Shape { has_total, ..shape(paging) }).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_header_serves_a_bare_list() {
    let paging = Paging { style: PagingStyle::LinkHeader, ..Paging::default() };
    brings_everything(Shape { list: ListEnvelope::Bare, ..shape(paging) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_are_tried_where_a_list_says_nothing() {
    let paging = Paging { style: PagingStyle::Offset, ..Paging::default() };
    brings_everything(Shape { list: ListEnvelope::Bare, ..shape(paging) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_can_begin_again_behind_the_last_row() {
    let paging =
        Paging { style: PagingStyle::Offset, past_end: PastEnd::First, ..Paging::default() };
    brings_everything(shape(paging)).await;
}

/// A bare list has no place for the token: every page is the first 20 runs.
#[tokio::test(flavor = "multi_thread")]
async fn a_silent_list_that_looks_at_no_number_is_never_called_whole() {
    let paging = Paging { style: PagingStyle::Cursor, ..Paging::default() };
    let export = world(Shape { list: ListEnvelope::Bare, ..shape(paging) });
    for _ in 0..2 {
        let report = export.sync().await;
        assert_eq!(report.outcome.name(), "incomplete", "{:?}", report.sweep);
        assert!(!report.sweep.certified, "{:?}", report.sweep);
    }
}

/// No run at all, a number is required, and nothing is behind the last page: page 0 is empty, and
/// page 1 is refused.
#[tokio::test(flavor = "multi_thread")]
async fn an_empty_list_of_required_numbers_is_an_empty_list() {
    for page_base in [0, 1] {
        for past_end in [PastEnd::BadRequest, PastEnd::NotFound] {
            let paging = Paging { needs_number: true, past_end, ..Paging::default() };
            let shape = Shape { page_base, has_total: true, paging, ..Shape::default() };
            let world = WorldSettings { runs: 0, ..WorldSettings::default() };
            let settings = SimulatorSettings { world, shape, ..SimulatorSettings::default() };
            let report = TestExport::new(settings).sync().await;
            assert_eq!((report.outcome.name(), report.runs.listed), ("complete", 0));
            assert!(report.sweep.certified, "{:?}", report.sweep);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_number_can_be_required_and_count_from_0_or_1() {
    for page_base in [0, 1] {
        for has_page_echo in [false, true] {
            let paging = Paging { needs_number: true, ..Paging::default() };
            brings_everything(Shape { page_base, has_page_echo, ..shape(paging) }).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_behind_the_last_page_is_its_end_where_the_server_says_so() {
    for past_end in [PastEnd::BadRequest, PastEnd::NotFound, PastEnd::First] {
        for (has_total, has_more) in [(true, false), (false, true)] {
            let paging = Paging { past_end, has_more, ..Paging::default() };
            brings_everything(Shape { has_total, has_page_echo: true, ..shape(paging) }).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_behind_a_page_that_says_nothing_brings_the_runs_and_proves_nothing() {
    for past_end in [PastEnd::BadRequest, PastEnd::NotFound] {
        let export = world(shape(Paging { past_end, ..Paging::default() }));
        let report = export.sync().await;
        assert_eq!(report.outcome.name(), "incomplete");
        assert!(!report.sweep.certified, "{:?}", report.sweep);
        export.assert_equals_the_world();
    }
}

/// Every page is the first 20 runs, and says that there are more.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_cannot_be_read_on_is_never_called_whole() {
    let paging = Paging { has_more: true, ..Paging::default() };
    let export = world(Shape { ignores_page: true, ..shape(paging) });
    let report = export.sync().await;
    assert!(!report.sweep.certified, "{:?}", report.sweep);
    assert_eq!(report.outcome.name(), "incomplete");
    // What can be had is there: the list itself, and what narrower lists bring.
    assert!(report.runs.new >= 20, "{:?}", report.runs);
    assert_eq!(export.count("SELECT count(*) FROM _syncs WHERE certified"), 0);
}

/// The same without a word about more: 20 rows are what limits are like, and `pageSize` is ignored.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_exactly_a_usual_limit_is_doubted_where_the_page_size_is_ignored() {
    let silent = Shape { ignores_page: true, ignores_page_size: true, ..shape(Paging::default()) };
    let export = world(silent);
    let report = export.sync().await;
    assert!(!report.sweep.certified, "{:?}", report.sweep);

    // A server that gives all of a short list whatever is asked for is believed.
    let world = WorldSettings { runs: 13, seconds_between_runs: 0.0, ..WorldSettings::default() };
    let export =
        TestExport::new(SimulatorSettings { world, shape: silent, ..SimulatorSettings::default() });
    assert!(export.sync().await.sweep.certified);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_configuration_says_how_a_list_is_paged() {
    let silent = Shape { ignores_page: true, ignores_page_size: true, ..shape(Paging::default()) };
    let mut export = world(silent);
    export.settings.api.paging.style = armature_export::config::PagingStyle::None;
    let report = export.sync().await;
    assert!(report.sweep.certified, "{:?}", report.sweep);
    assert_eq!(report.runs.new, 20);
}

fn depth(rows: u32) -> Shape {
    let paging = Paging { deepest_row: Some(rows), ..Paging::default() };
    Shape { has_total: true, has_page_echo: true, paging, ..Shape::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn narrower_lists_reach_what_lies_too_deep() {
    let export = world(depth(40));
    let report = export.sync().await;
    assert!(report.sweep.narrower_lists > 0, "{:?}", report.sweep);
    assert!(report.sweep.certified, "{:?}", report.sweep);
    assert_eq!(report.sweep.out_of_reach, 0);
    export.assert_equals_the_world();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_list_reaches_is_counted() {
    // A single row of each list: most runs cannot be listed at all.
    let export = world(Shape { maximum_page_size: 1, ..depth(1) });
    export.simulator.set_shape(Shape { maximum_page_size: 1, ..depth(1) });
    let report = export.sync().await;
    assert!(!report.sweep.certified, "{:?}", report.sweep);
    let all = export.simulator.world().run_count(export.simulator.now());
    assert_eq!(report.sweep.out_of_reach, all - report.runs.listed, "{:?}", report.sweep);
    let told = report.reasons().join("\n");
    assert!(told.contains("stay out of reach"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_that_the_plan_does_not_have_gives_way_to_a_smaller_one() {
    let paging = Paging { largest_range_days: Some(7), ..Paging::default() };
    let mut export = world(Shape { paging, ..Shape::default() });
    let report = export.sync().await;
    assert_eq!((report.window.range, report.outcome.name()), ("7d", "complete"));
    assert!(report.sweep.certified);
    // Named by the user, it is an error.
    export.settings.sync.range = RangeChoice::Month;
    let refused = export.sync().await.stopped_by.unwrap();
    assert!(refused.contains("not available on this plan"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_in_pages_are_read_to_their_end() {
    for style in PagingStyle::ALL {
        let paging = Paging { style, document_rows: Some(2), ..Paging::default() };
        let export = small_world(shape(paging));
        let report = export.sync().await;
        assert_eq!((report.outcome.name(), report.runs.partial), ("complete", 0), "{style:?}");
        export.assert_equals_the_world();
        let pages = "SELECT count(*) FROM documents WHERE page > 1";
        assert!(export.count(pages) > 0, "{style:?}");
    }
}

/// The rows that came are there, the others are counted, and they come once they can be had.
#[tokio::test(flavor = "multi_thread")]
async fn rows_that_are_withheld_are_counted_and_fetched_later() {
    let paging = Paging {
        document_rows: Some(2),
        withholds_rows: true,
        has_more: true,
        ..Paging::default()
    };
    let export = world(Shape { paging, ..Shape::default() });
    let report = export.sync().await;
    assert_eq!(report.outcome.name(), "incomplete");
    assert!(report.runs.partial > 0);
    let partial = i64::try_from(report.runs.partial).unwrap();
    let named = "SELECT count(DISTINCT run_id) FROM _issues WHERE rows_received = 2 \
                 AND rows_announced > 2 AND table_name IN ('spans', 'tool_calls')";
    assert_eq!(export.count(named), partial);

    export.simulator.set_shape(Shape::default());
    export.simulator.advance(Duration::days(12));
    let report = export.sync().await;
    assert_eq!(report.outcome.name(), "complete", "{:?}", report.reasons());
    export.assert_equals_the_world();
    assert_eq!(export.count("SELECT count(*) FROM _issues"), 0);
}

/// A list whose third page fails for good: the runs of the two before are exported.
#[tokio::test(flavor = "multi_thread")]
async fn a_late_error_ends_the_list_and_not_the_sync() {
    for status in [400, 404, 416, 422, 500] {
        let export = world(Shape { has_total: true, ..Shape::default() });
        let answer = Answer::Status { status, headers: vec![], body: "{}".to_owned() };
        export.simulator.add_rule(Rule { page: Some(3), ..Rule::new(Endpoint::Runs, answer) });
        let report: SyncReport = export.sync().await;
        let exported = export.count("SELECT count(*) FROM runs");
        assert!(exported >= 40, "{status}: {exported}");
        assert!(report.stop.is_none(), "{status}: {:?}", report.stopped_by);
        export.simulator.clear_rules();
        export.sync().await;
        export.assert_equals_the_world();
    }
}
