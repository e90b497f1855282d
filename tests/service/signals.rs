//! Stopped, killed, started again and reconfigured in the middle of a sync: each documented exit
//! code, and nothing lost.

use std::process::Output;
use std::time::Duration;

use armature_export::simulator::{Answer, Endpoint, Rule, SimulatorSettings, WorldSettings};

use super::daemon::{Daemon, Receiver, configure, run};
use super::kit::Kit;

/// Syncs at the start and then never, in commits so small that a sync has many.
const ONE_SYNC: &str = "[sync]\ncommit_bytes = 20000\n\
    [schedule]\ncron = \"0 0 1 1 *\"\nreconcile_cron = \"\"\n";

/// Some seconds' work for a sync.
async fn slow_world() -> Kit {
    let world = WorldSettings {
        runs: 150,
        days: 20.0,
        seconds_between_runs: 0.0,
        ..WorldSettings::default()
    };
    let latency = Duration::from_millis(15);
    let kit = Kit::with(SimulatorSettings { world, latency, ..SimulatorSettings::default() }).await;
    // All of its runs have ended, and those without an evaluation will never have one.
    kit.simulator.advance(chrono::Duration::days(2));
    kit
}

/// Starts it in the middle of nothing, and lets it bring what is missing.
async fn bring_the_rest(kit: &Kit) {
    let mut daemon = Daemon::start_as(kit, ONE_SYNC, "rest");
    daemon.wait_for("\"outcome\":\"complete\"", 1).await;
    daemon.signal("TERM");
    assert_eq!(daemon.ended().await, Some(0), "{}", daemon.log());
    kit.assert_equals_the_world();
}

fn told(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_signal_commits_what_is_complete_and_ends_with_0() {
    for signal in ["TERM", "INT"] {
        let kit = slow_world().await;
        let mut daemon = Daemon::start(&kit, ONE_SYNC);
        daemon.wait_for("commit 1:", 1).await;
        daemon.signal(signal);
        assert_eq!(daemon.ended().await, Some(0), "{}", daemon.log());
        assert_eq!(daemon.count("\"outcome\":\"interrupted\""), 1, "{}", daemon.log());
        assert_eq!(daemon.count("\"stopped\""), 1);
        let verified = run(&kit, &["verify"]);
        assert!(verified.status.success(), "{}", told(&verified));
        bring_the_rest(&kit).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_loses_nothing() {
    let kit = slow_world().await;
    let mut daemon = Daemon::start(&kit, ONE_SYNC);
    daemon.wait_for("commit 2:", 1).await;
    daemon.signal("KILL");
    assert_eq!(daemon.ended().await, None);
    bring_the_rest(&kit).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_it_at_once() {
    let kit = slow_world().await;
    let hooks = Receiver::default().start().await;
    // The end waits for a message that nobody takes: time for a second signal.
    let configuration =
        format!("{ONE_SYNC}stop_secs = 60\n[notify]\nwebhook_url = \"{hooks}/hang\"\n");
    refuse(&kit);
    let mut daemon = Daemon::start(&kit, &configuration);
    daemon.wait_for("sync failed", 1).await;
    daemon.signal("TERM");
    daemon.wait_for("stopping", 1).await;
    daemon.signal("TERM");
    assert_eq!(daemon.ended().await, Some(130), "{}", daemon.log());
    kit.simulator.clear_rules();
    bring_the_rest(&kit).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_takes_too_long_is_cut_short() {
    let kit = slow_world().await;
    let hooks = Receiver::default().start().await;
    let configuration =
        format!("{ONE_SYNC}stop_secs = 1\n[notify]\nwebhook_url = \"{hooks}/hang\"\n");
    refuse(&kit);
    let mut daemon = Daemon::start(&kit, &configuration);
    daemon.wait_for("sync failed", 1).await;
    daemon.signal("TERM");
    assert_eq!(daemon.ended().await, Some(130), "{}", daemon.log());
    assert_eq!(daemon.count("schedule.stop_secs"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_does_not_wait_for_a_reader_of_the_duckdb_file() {
    let kit = slow_world().await;
    run(&kit, &["sync"]);
    let holder = kit.hold_database();
    kit.simulator.advance(chrono::Duration::minutes(1));
    let patient = format!("{ONE_SYNC}[duckdb]\nlock_wait_secs = 3600\n");
    let mut daemon = Daemon::start(&kit, &patient);
    daemon.wait_for("the DuckDB file is held", 1).await;
    daemon.signal("TERM");
    assert_eq!(daemon.ended().await, Some(0), "{}", daemon.log());
    drop(holder);
    bring_the_rest(&kit).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_is_read_again_in_the_middle_of_a_sync_and_a_wrong_one_is_not_taken() {
    let kit = slow_world().await;
    let mut daemon = Daemon::start(&kit, ONE_SYNC);
    daemon.wait_for("commit 1:", 1).await;
    configure(&kit, "[schedule]\ncron = \"61 * * * *\"\n");
    daemon.signal("HUP");
    daemon.wait_for("the configuration stays as it was", 1).await;
    assert_eq!(daemon.count("minute `61` is out of range"), 1, "{}", daemon.log());
    // The sync went on to its end before that.
    assert_eq!(daemon.count("\"outcome\":\"complete\""), 1, "{}", daemon.log());
    kit.assert_equals_the_world();
    configure(&kit, &ONE_SYNC.replace("0 0 1 1 *", "* * * * * *"));
    daemon.signal("HUP");
    daemon.wait_for("\"outcome\":\"complete\"", 3).await;
    daemon.signal("TERM");
    assert_eq!(daemon.ended().await, Some(0), "{}", daemon.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_of_them_on_one_lake_take_turns() {
    let kit = slow_world().await;
    let every_second = ONE_SYNC.replace("0 0 1 1 *", "* * * * * *");
    let mut first = Daemon::start(&kit, &every_second);
    first.wait_for("commit 1:", 1).await;
    let receiver = Receiver::default();
    let hooks = receiver.start().await;
    let configuration =
        format!("{every_second}listen = \"0\"\n[notify]\nwebhook_url = \"{hooks}/\"\n");
    let mut second = Daemon::start_as(&kit, &configuration, "second");
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
    kit.assert_equals_the_world();
}

fn refuse(kit: &Kit) {
    let refusal = Answer::Status { status: 401, headers: vec![], body: "{}".to_owned() };
    kit.simulator.add_rule(Rule::new(Endpoint::Organization, refusal));
}
