//! Stopped, killed, started again and reconfigured in the middle of a sync: each documented exit
//! code, and nothing lost.

use std::time::Duration;

use armature_export::simulator::{Answer, Endpoint, Rule, SimulatorSettings, WorldSettings};

use super::daemon::{Daemon, Receiver};
use crate::support::{ProgramOutput, TestExport};

/// Syncs at the start and then never, in commits so small that a sync has many.
pub(super) const ONE_SYNC: &str = "[sync]\ncommit_bytes = 20000\n\
    [schedule]\ncron = \"0 0 1 1 *\"\nreconcile_cron = \"\"\n";

/// Some seconds' work for a sync.
fn slow_world() -> TestExport {
    let world = WorldSettings {
        runs: 150,
        days: 20.0,
        seconds_between_runs: 0.0,
        ..WorldSettings::default()
    };
    let latency = Duration::from_millis(15);
    let export =
        TestExport::new(SimulatorSettings { world, latency, ..SimulatorSettings::default() });
    // All of its runs have ended, and those without an evaluation will never have one.
    export.simulator.advance(chrono::Duration::days(2));
    export
}

/// Starts it in the middle of nothing, and lets it bring what is missing.
async fn bring_the_rest(export: &TestExport) {
    let mut daemon = Daemon::start_as(export, ONE_SYNC, "rest");
    daemon.wait_for("\"outcome\":\"complete\"", 1).await;
    daemon.signal("TERM");
    assert_eq!(daemon.ended().await, Some(0), "{}", daemon.log());
    export.assert_equals_the_world();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_signal_commits_what_is_complete_and_ends_with_0() {
    for signal in ["TERM", "INT"] {
        let export = slow_world();
        let mut daemon = Daemon::start(&export, ONE_SYNC);
        daemon.wait_for("commit 1:", 1).await;
        daemon.signal(signal);
        assert_eq!(daemon.ended().await, Some(0), "{}", daemon.log());
        assert_eq!(daemon.count("\"outcome\":\"interrupted\""), 1, "{}", daemon.log());
        assert_eq!(daemon.count("\"stopped\""), 1);
        let verified = export.run(&["verify"]);
        assert_eq!(verified.code, Some(0), "{}{}", verified.stdout, verified.stderr);
        bring_the_rest(&export).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_loses_nothing() {
    let export = slow_world();
    let mut daemon = Daemon::start(&export, ONE_SYNC);
    daemon.wait_for("commit 2:", 1).await;
    daemon.signal("KILL");
    assert_eq!(daemon.ended().await, None);
    bring_the_rest(&export).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_it_at_once() {
    let export = slow_world();
    let hooks = Receiver::default().start().await;
    // The end waits for a message that nobody takes: time for a second signal.
    let configuration =
        format!("{ONE_SYNC}stop_secs = 60\n[notify]\nwebhook_url = \"{hooks}/hang\"\n");
    refuse(&export);
    let mut daemon = Daemon::start(&export, &configuration);
    daemon.wait_for("sync failed", 1).await;
    daemon.signal("TERM");
    daemon.wait_for("stopping", 1).await;
    daemon.signal("TERM");
    assert_eq!(daemon.ended().await, Some(130), "{}", daemon.log());
    export.simulator.clear_rules();
    bring_the_rest(&export).await;
}

/// `sync` from the command line, in the middle of which signals come: one, or two.
async fn interrupt_a_sync(export: &TestExport, signals: usize) -> ProgramOutput {
    export.configure(ONE_SYNC);
    let mut child = export.start(&["sync"]);
    // Two of its many commits are there.
    let commit_file = export.lake.join("_armature/manifests/00000002.json");
    while !commit_file.exists() {
        assert!(child.try_wait().unwrap().is_none(), "it ended too soon");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for _ in 0..signals {
        let pid = child.id().to_string();
        std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap();
        // Two of a kind that come at once are one.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    export.wait(child)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_is_interrupted_ends_with_130() {
    for signals in [1, 2] {
        let export = slow_world();
        let ran = interrupt_a_sync(&export, signals).await;
        assert_eq!(ran.code, Some(130), "{}", ran.stderr);
        assert!(ran.stderr.contains("stopping: committing what is complete"), "{}", ran.stderr);
        bring_the_rest(&export).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_forgets_no_firing_that_is_due() {
    let export = slow_world();
    // A wait before each firing, so that there is time to come in between.
    let configuration =
        ONE_SYNC.replace("0 0 1 1 *", "*/4 * * * * *") + "run_at_start = false\njitter_secs = 2\n";
    let mut daemon = Daemon::start(&export, &configuration);
    daemon.wait_for("syncing by", 1).await;
    // Without pause: were a firing forgotten by each, none would ever come through.
    while daemon.count("\"outcome\":\"complete\"") == 0 {
        daemon.signal("HUP");
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(daemon.count("SIGHUP") < 200, "{}", daemon.log());
    }
    daemon.signal("TERM");
    assert_eq!(daemon.ended().await, Some(0), "{}", daemon.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_lake_is_looked_at_anew() {
    let export = slow_world();
    let configuration = |lake: &str, duckdb: bool| {
        let targets = format!("[lake]\npath = \"{lake}\"\n[duckdb]\npath = \"{lake}.duckdb\"\n");
        format!("{ONE_SYNC}listen = \"0\"\n{targets}enabled = {duckdb}\n")
    };
    let mut daemon = Daemon::start(&export, &configuration("first", true));
    daemon.wait_for("serving /healthz", 1).await;
    let parts = async |daemon: &Daemon| daemon.metrics().await.value("armature_export_lake_parts");
    while parts(&daemon).await == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(daemon.get("/readyz").await.0, 200);

    export.configure(&configuration("second", true));
    daemon.signal("HUP");
    daemon.wait_for("the configuration was read again", 1).await;
    assert_eq!(parts(&daemon).await, 0, "there is no such lake yet");
    assert_eq!(daemon.get("/readyz").await.0, 503, "and nothing in it is fresh");

    // Without a DuckDB file nothing lags behind, and the lake alone is whole.
    export.configure(&configuration("first", false));
    daemon.signal("HUP");
    daemon.wait_for("the configuration was read again", 2).await;
    let lag = "armature_export_delivery_lag_commits{target=\"duckdb\"}";
    assert_eq!(daemon.metrics().await.series.get(lag), None);
    assert!(parts(&daemon).await > 0);
    daemon.signal("TERM");
    assert_eq!(daemon.ended().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_takes_too_long_is_cut_short() {
    let export = slow_world();
    let hooks = Receiver::default().start().await;
    let configuration =
        format!("{ONE_SYNC}stop_secs = 1\n[notify]\nwebhook_url = \"{hooks}/hang\"\n");
    refuse(&export);
    let mut daemon = Daemon::start(&export, &configuration);
    daemon.wait_for("sync failed", 1).await;
    daemon.signal("TERM");
    assert_eq!(daemon.ended().await, Some(130), "{}", daemon.log());
    assert_eq!(daemon.count("schedule.stop_secs"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_does_not_wait_for_a_reader_of_the_duckdb_file() {
    let export = slow_world();
    export.run(&["sync"]);
    let holder = export.hold_database();
    export.simulator.advance(chrono::Duration::minutes(1));
    let patient = format!("{ONE_SYNC}[duckdb]\nlock_wait_secs = 3600\n");
    let mut daemon = Daemon::start(&export, &patient);
    daemon.wait_for("the DuckDB file is held", 1).await;
    daemon.signal("TERM");
    assert_eq!(daemon.ended().await, Some(0), "{}", daemon.log());
    drop(holder);
    bring_the_rest(&export).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_is_read_again_in_the_middle_of_a_sync_and_a_wrong_one_is_not_taken() {
    let export = slow_world();
    let mut daemon = Daemon::start(&export, ONE_SYNC);
    daemon.wait_for("commit 1:", 1).await;
    export.configure("[schedule]\ncron = \"61 * * * *\"\n");
    daemon.signal("HUP");
    daemon.wait_for("the configuration stays as it was", 1).await;
    assert_eq!(daemon.count("minute `61` is out of range"), 1, "{}", daemon.log());
    // The sync went on to its end before that.
    assert_eq!(daemon.count("\"outcome\":\"complete\""), 1, "{}", daemon.log());
    export.assert_equals_the_world();
    export.configure(&ONE_SYNC.replace("0 0 1 1 *", "* * * * * *"));
    daemon.signal("HUP");
    daemon.wait_for("\"outcome\":\"complete\"", 3).await;
    daemon.signal("TERM");
    assert_eq!(daemon.ended().await, Some(0), "{}", daemon.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_of_them_on_one_lake_take_turns() {
    let export = slow_world();
    let every_second = ONE_SYNC.replace("0 0 1 1 *", "* * * * * *");
    let mut first = Daemon::start(&export, &every_second);
    first.wait_for("commit 1:", 1).await;
    let receiver = Receiver::default();
    let hooks = receiver.start().await;
    let configuration =
        format!("{every_second}listen = \"0\"\n[notify]\nwebhook_url = \"{hooks}/\"\n");
    let mut second = Daemon::start_as(&export, &configuration, "second");
    second.wait_for("found the lake written by another process", 1).await;
    let metrics = second.metrics().await;
    let skipped = "armature_export_firings_skipped_total{job=\"sync\",reason=\"lake_in_use\"}";
    assert!(metrics.value(skipped) >= 1);
    first.signal("TERM");
    assert_eq!(first.ended().await, Some(0), "{}", first.log());
    second.wait_for("\"outcome\":\"complete\"", 1).await;
    second.signal("TERM");
    assert_eq!(second.ended().await, Some(0), "{}", second.log());
    assert!(receiver.messages().is_empty(), "a lake in use is no failure");
    export.assert_equals_the_world();
}

fn refuse(export: &TestExport) {
    let refusal = Answer::Status { status: 401, headers: vec![], body: "{}".to_owned() };
    export.simulator.add_rule(Rule::new(Endpoint::Organization, refusal));
}
