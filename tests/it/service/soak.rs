//! Left alone: a world that lives, an API that fails, and a service that stays up through it.

use std::time::{Duration, Instant};

use armature_export::simulator::{
    ClockFaults, Failures, FaultPlan, ListFaults, Lives, SimulatorSettings, WorldSettings,
};

use super::daemon::{Daemon, Receiver};
use super::exposition::Exposition;
use crate::support::TestExport;

/// How much of the world's time passes in a second of ours.
const STEP: chrono::Duration = chrono::Duration::minutes(4);

/// What was seen.
#[derive(Debug)]
#[expect(dead_code, reason = "printed")]
struct Figures {
    seconds: u64,
    syncs: i64,
    failed_syncs: i64,
    reconciliations: i64,
    requests: i64,
    runs: usize,
    rows_compared: usize,
    messages: usize,
    pings: usize,
    first_resident_kb: u64,
    last_resident_kb: u64,
    first_handles: usize,
    last_handles: usize,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_left_alone_for_half_a_minute() {
    println!(
        "{:?}",
        soak(
            Duration::from_secs(24),
            Duration::from_secs(4),
            ["*/2 * * * * *", "*/3 * * * * *"],
            50
        )
        .await
    );
}

/// `make soak`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "the long form of the test above: over 20 minutes"]
async fn a_service_that_is_left_alone_for_twenty_minutes() {
    println!(
        "{:?}",
        soak(
            Duration::from_mins(21),
            Duration::from_mins(2),
            ["*/3 * * * * *", "*/20 * * * * *"],
            15
        )
        .await
    );
}

fn settings() -> SimulatorSettings {
    SimulatorSettings {
        world: WorldSettings {
            runs: 200,
            days: 10.0,
            // About three new runs in a second of ours.
            seconds_between_runs: 80.0,
            late_evaluation_percent: 20,
            late_evaluation_seconds: 3600.0,
            lives: Lives {
                long_open_percent: 2,
                long_open_days: 1.5,
                never_evaluated_percent: 5,
                ..Lives::default()
            },
            ..WorldSettings::default()
        },
        // Whatever is asked for is remembered otherwise, and this process grows.
        record_requests: false,
        ..SimulatorSettings::default()
    }
}

/// Bad enough to make some syncs fail, and honest: what the list hides shows in its total.
fn faults() -> FaultPlan {
    FaultPlan {
        seed: 11,
        list: ListFaults { repeated_page_percent: 3.0, ..ListFaults::default() },
        failures: Failures {
            rate_limit_header_percent: 1.0,
            retry_after_seconds: 1.0,
            server_error_percent: 8.0,
            reset_percent: 2.0,
            short_length_percent: 1.0,
            cut_gzip_percent: 1.0,
            html_percent: 1.0,
            ..Failures::default()
        },
        clock: ClockFaults { unreadable_date_percent: 5.0, ..ClockFaults::default() },
        ..FaultPlan::default()
    }
}

/// Lets it run for so long; its footprint is taken from when it is warm, and may grow by so much.
async fn soak(
    length: Duration,
    warm: Duration,
    [sync, reconcile]: [&str; 2],
    most_growth_percent: u64,
) -> Figures {
    let export = TestExport::new(settings());
    export.simulator.set_faults(faults());
    let receiver = Receiver::default();
    let hooks = receiver.start().await;
    let configuration = |sync: &str, reconcile: &str| {
        format!(
            "[api]\nmax_attempts = 2\nconcurrency = 4\n\
             [schedule]\ncron = \"{sync}\"\nreconcile_cron = \"{reconcile}\"\nlisten = \"0\"\n\
             [notify]\nwebhook_url = \"{hooks}/\"\nping_url = \"{hooks}/ping\"\n"
        )
    };
    let usual = configuration(sync, reconcile);
    let mut daemon = Daemon::start(&export, &usual);
    daemon.wait_for("\"job\":\"sync\"", 1).await;
    let started = Instant::now();
    let mut footprints = Vec::new();
    while started.elapsed() < length {
        export.simulator.advance(STEP);
        tokio::time::sleep(Duration::from_secs(1)).await;
        if started.elapsed() >= warm {
            footprints.push(daemon.footprint());
        }
    }
    // Calm weather, until every run that began has ended and was judged.
    export.simulator.clear_faults();
    daemon.wait_for_a_complete_sync().await;
    for _ in 0..2 {
        export.simulator.advance(chrono::Duration::hours(2));
        let reconciled = daemon.count("reconciled:");
        daemon.wait_for_a_complete_sync().await;
        daemon.wait_for("reconciled:", reconciled + 2).await;
    }
    // Nothing fires from now on: what is counted stands still.
    export.configure(&configuration("0 0 1 1 *", ""));
    daemon.signal("HUP");
    daemon.wait_for("the configuration was read again", 1).await;
    let metrics = daemon.metrics().await;
    compare(&metrics, &export);
    daemon.signal("TERM");
    assert_eq!(daemon.ended().await, Some(0), "{}", daemon.log());
    export.assert_equals_the_world();

    // A job that happens to run has more of both: what counts is the least of some seconds.
    let seconds = footprints.len().min(10);
    let first = least(&footprints[..seconds]);
    let last = least(&footprints[footprints.len() - seconds..]);
    let most = first.0 + first.0 * most_growth_percent / 100;
    assert!(last.0 < most, "memory grows: {footprints:?}");
    assert!(last.1 <= first.1 + 4, "file handles grow: {footprints:?}");
    Figures {
        seconds: length.as_secs(),
        syncs: export.count("SELECT count(*) FROM _syncs"),
        failed_syncs: metrics.value("armature_export_syncs_total{outcome=\"failed\"}"),
        reconciliations: metrics.sum("armature_export_reconciliations_total"),
        requests: metrics.sum("armature_export_requests_total"),
        runs: export.expected().runs.len(),
        rows_compared: 2 * export.expected().row_count(),
        messages: receiver.messages().len(),
        pings: receiver.heard().iter().filter(|(method, _, _)| method == "GET").count(),
        first_resident_kb: first.0,
        last_resident_kb: last.0,
        first_handles: first.1,
        last_handles: last.1,
    }
}

fn least(footprints: &[(u64, usize)]) -> (u64, usize) {
    let memory = footprints.iter().map(|(memory, _)| *memory).min();
    let handles = footprints.iter().map(|(_, handles)| *handles).min();
    (memory.unwrap(), handles.unwrap())
}

/// The metrics say what `_syncs`, `runs` and the server say.
fn compare(metrics: &Exposition, export: &TestExport) {
    let question = |sql: &str| export.count(sql);
    let sum = |column: &str| question(&format!("SELECT sum({column})::BIGINT FROM _syncs"));
    for outcome in ["complete", "incomplete", "stopped", "interrupted"] {
        let series = format!("armature_export_syncs_total{{outcome=\"{outcome}\"}}");
        let recorded = format!("SELECT count(*) FROM _syncs WHERE outcome = '{outcome}'");
        assert_eq!(metrics.value(&series), question(&recorded), "{outcome}");
    }
    for (kind, column) in [("new", "runs_new"), ("changed", "runs_changed")] {
        let series = format!("armature_export_runs_exported_total{{kind=\"{kind}\"}}");
        assert_eq!(metrics.value(&series), sum(column), "{kind}");
    }
    let requests = metrics.sum("armature_export_requests_total");
    let answered = i64::try_from(export.simulator.request_count()).unwrap();
    // One that is sent on a connection that was just reset never comes to the server.
    let unanswered: i64 = metrics.sum_of("armature_export_requests_total", "status=\"none\"");
    let counted = requests - unanswered..=requests;
    assert!(counted.contains(&answered), "the server counted {answered}, not {counted:?}");
    assert!(requests >= sum("requests"), "reconciliations and failed syncs ask too");
    let proven = question("SELECT epoch(max(proven_until))::BIGINT FROM _syncs");
    assert_eq!(metrics.value("armature_export_proven_until_timestamp_seconds"), proven);
    assert_eq!(metrics.value("armature_export_delivery_lag_commits{target=\"duckdb\"}"), 0);
    let runs = question("SELECT count(*) FROM runs");
    let exported = metrics.value("armature_export_runs{state=\"exported\"}");
    assert_eq!(exported, runs, "none is out of the ledger's reach yet");
}
