//! Being told: the webhook hears each kind of message, and nothing that it must not hear.

use armature_export::simulator::{Answer, Endpoint, Rule, WorldSettings};
use serde_json::Value;

use super::daemon::{Daemon, Receiver};
use crate::support::{KEY, TestExport};

/// Only where staleness is what a test waits for can it be reached: on a busy machine a single sync may
/// take longer than a time that is short enough to wait for.
const NEVER_STALE_SECS: u32 = 3600;

fn configuration(hooks: &str, format: &str, stale_after_secs: u32) -> String {
    format!(
        "[api]\nmax_attempts = 1\n\
         [schedule]\ncron = \"* * * * * *\"\nreconcile_cron = \"\"\n\
         stale_after_secs = {stale_after_secs}\n\
         [notify]\nwebhook_url = \"{hooks}/services/T0/h00kSecret\"\nwebhook_format = \"{format}\"\n\
         ping_url = \"{hooks}/ping\"\n"
    )
}

fn answer(status: u16, body: &str) -> Answer {
    Answer::Status { status, headers: vec![], body: body.to_owned() }
}

fn kinds(messages: &[Value]) -> Vec<&str> {
    messages.iter().map(|message| message["kind"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_message_is_heard_and_none_holds_a_secret() {
    let world = WorldSettings { runs: 100, seconds_between_runs: 0.0, ..WorldSettings::default() };
    let export = TestExport::of_world(world);
    export.simulator.advance(chrono::Duration::hours(2));
    let receiver = Receiver::default();
    let hooks = receiver.start().await;
    let configured = configuration(&hooks, "json", NEVER_STALE_SECS);
    let mut daemon = Daemon::start(&export, &configured);
    daemon.wait_for_a_complete_sync().await;
    let heard = receiver.heard();
    assert!(heard.iter().all(|(method, path, _)| method == "GET" && path == "/ping"), "{heard:?}");

    // A receiver that fails twice is asked again.
    receiver.refuse(503);
    receiver.refuse(429);
    let repeats = format!("the key {KEY} is wrong");
    export.simulator.add_rule(Rule::new(Endpoint::Organization, answer(500, &repeats)));
    receiver.wait_for(1, &daemon).await;
    export.configure(&configuration(&hooks, "json", 14));
    daemon.signal("HUP");
    receiver.wait_for(2, &daemon).await;
    export.configure(&configured);
    daemon.signal("HUP");
    daemon.wait_for("the configuration was read again", 2).await;
    export.simulator.clear_rules();
    receiver.wait_for(3, &daemon).await;
    export.simulator.add_rule(Rule::new(Endpoint::Runs, answer(200, "{\"rows\": []}")));
    receiver.wait_for(4, &daemon).await;
    export.simulator.clear_rules();
    receiver.wait_for(5, &daemon).await;
    export.simulator.advance(chrono::Duration::days(40));
    receiver.wait_for(6, &daemon).await;

    let messages = receiver.messages();
    let expected = ["failure", "stale", "recovery", "unexpected_zero", "recovery", "gap"];
    assert_eq!(kinds(&messages), expected, "{messages:#?}");
    let folder = export.lake.parent().unwrap().display().to_string();
    let shown: Vec<String> = messages
        .iter()
        .map(|message| {
            let text = message["text"].as_str().unwrap().replace(&folder, "[dir]");
            let text = without_numbers(&text);
            format!("{} {}: {text}", message["job"], message["exit_code"])
        })
        .collect();
    insta::assert_snapshot!(shown.join("\n"), @r#"
    "sync" 5: armature-export ([dir]/lake): sync ended with exit code 5: the API is unreachable, or asked for a longer wait than allowed (see the log)
    "sync" null: armature-export ([dir]/lake): the export is stale: the last good sync was [n] s ago; the last problem: the API is unreachable, or asked for a longer wait than allowed (see the log)
    "sync" 0: armature-export ([dir]/lake): sync has recovered
    "sync" 3: armature-export ([dir]/lake): sync ended with exit code 3: the list is uncertified: the API lists no run, and 3 that it listed before started then
    "sync" 0: armature-export ([dir]/lake): sync has recovered
    "sync" 3: armature-export ([dir]/lake): sync: a period that the API no longer lists was never exported: see `armature-export status` and the table _gaps
    "#);

    // The format can be changed while it runs; no failure hides in what was sent before.
    export.configure(&configuration(&hooks, "slack", NEVER_STALE_SECS));
    daemon.signal("HUP");
    daemon.wait_for("the configuration was read again", 3).await;
    export.simulator.add_rule(Rule::new(Endpoint::Organization, answer(401, "{}")));
    receiver.wait_for(7, &daemon).await;
    let last = receiver.messages().pop().unwrap();
    let members: Vec<&String> = last.as_object().unwrap().keys().collect();
    assert_eq!(members, ["text"], "{last}");

    daemon.signal("TERM");
    assert_eq!(daemon.ended().await, Some(0));
    let log = daemon.log();
    assert!(!log.contains("h00kSecret") && !log.contains(KEY), "{log}");
    let heard = receiver.heard().into_iter().map(|(_, _, body)| body).collect::<String>();
    assert!(!heard.contains(KEY) && !heard.contains("s3cret"), "{heard}");
    let ids: Vec<String> = export.simulator.world().run_ids(export.simulator.now()).collect();
    assert!(ids.iter().all(|id| !heard.contains(id.as_str())), "{heard}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_gone_holds_up_no_sync() {
    let export = TestExport::of_growing_world(20);
    // Nobody listens at the one, and the other never answers.
    let hooks = Receiver::default().start().await;
    let configuration = format!(
        "[schedule]\ncron = \"* * * * * *\"\nreconcile_cron = \"\"\nlisten = \"0\"\n\
         [notify]\nwebhook_url = \"http://127.0.0.1:1/\"\nping_url = \"{hooks}/hang\"\n\
         max_attempts = 2\ntimeout_secs = 1\n"
    );
    let mut daemon = Daemon::start(&export, &configuration);
    daemon.wait_for("\"outcome\":\"complete\"", 4).await;
    export.simulator.add_rule(Rule::new(Endpoint::Organization, answer(401, "{}")));
    daemon.wait_for("a message was not accepted by 127.0.0.1", 2).await;
    let metrics = daemon.metrics().await;
    assert!(metrics.value("armature_export_messages_total{kind=\"ping\",outcome=\"failed\"}") >= 1);
    daemon.signal("TERM");
    assert_eq!(daemon.ended().await, Some(0));
    export.simulator.clear_rules();
    export.assert_equals_the_world();
}

/// Counts and times made the same.
fn without_numbers(text: &str) -> String {
    let words = text.split(' ').map(|word| {
        let number = word.trim_end_matches('s').parse::<f64>().is_ok();
        if number && word.len() > 1 { "[n]" } else { word }
    });
    words.collect::<Vec<_>>().join(" ")
}
