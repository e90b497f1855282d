//! What a person sees of it.

use std::process::Child;

use insta::assert_snapshot;
use serde_json::json;

use crate::support::TestExport;

/// Where commits are cut depends on the order of answers, and so does how many files there are.
fn without_numbers(text: &str) -> String {
    let mut out = String::new();
    for word in text.split_inclusive([' ', '\n']) {
        let number = word.trim_end();
        let is_number = number.chars().all(|c| c.is_ascii_digit() || ",.".contains(c));
        if is_number && !number.is_empty() {
            out.push_str(&word.replace(number, "[n]"));
        } else {
            out.push_str(&word.replace("MB", "kB"));
        }
    }
    out
}

fn export() -> TestExport {
    let export = TestExport::of_ended_runs(60);
    export.configure("[sync]\ncommit_bytes = 20000\n");
    export.sync_brings_everything();
    export
}

#[test]
fn compacting_says_what_it_did() {
    let export = export();
    let told = |arguments: &[&str]| {
        let ran = export.run(arguments);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        without_numbers(&ran.with_placeholders(&ran.stdout))
    };
    let all = [
        told(&["compact", "--dry-run"]),
        told(&["compact"]),
        told(&["compact"]),
        told(&["compact", "--drop-older-revisions"]),
    ];
    assert_snapshot!(all.join("\n"));
    let ran = export.run(&["compact", "--output", "json"]);
    assert_eq!(ran.json()["days"], json!(0));
    assert_eq!(export.run(&["verify"]).code, Some(0), "{}", export.run(&["verify"]).stdout);
    export.sync_brings_everything();
}

#[test]
fn what_cannot_be_compacted_is_told() {
    let export = TestExport::of_ended_runs(20);
    assert_snapshot!(export.run(&["compact"]).told(), @r"
    exit 2
    error: there is no lake at `[dir]/lake`
    hint: run `armature-export sync` first, or name the lake with --lake
    ");
    export.configure("[sync]\ncommit_bytes = 5000\n");
    export.sync_brings_everything();
    for (path, mut bytes) in crate::support::files(&export.lake.join("runs")) {
        bytes[10] ^= 1;
        std::fs::write(path, bytes).unwrap();
    }
    let ran = export.run(&["compact"]);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert!(ran.stderr.contains("is damaged and was not merged"), "{}", ran.stderr);
    assert!(ran.stderr.contains("hint: `armature-export verify`"), "{}", ran.stderr);
}

#[test]
fn deliveries_at_once_bring_each_row_once() {
    let export = TestExport::of_ended_runs(60);
    let without = "[sync]\ncommit_bytes = 20000\n[duckdb]\nenabled = false\n";
    export.configure(without);
    assert_eq!(export.run(&["sync"]).code, Some(0));
    assert_eq!(export.run(&["compact"]).code, Some(0));
    // What the merge left alone is not a part of it: two transactions at least.
    // They wait for one another, for long on a busy machine.
    export.configure("[duckdb]\nlock_wait_secs = 120\n");
    let deliveries: Vec<Child> = (0..4).map(|_| export.start(&["deliver"])).collect();
    let mut applied = 0;
    for delivery in deliveries {
        let ran = export.wait(delivery);
        let is_applied = ran.code == Some(0);
        applied += usize::from(is_applied);
        assert!(is_applied || ran.stderr.contains("by another process"), "{}", ran.stderr);
    }
    assert!(applied > 0);
    assert_eq!(export.run(&["deliver"]).code, Some(0));
    assert_eq!(export.database_ids(), export.expected_ids());
    assert_eq!(export.run(&["verify"]).code, Some(0), "{}", export.run(&["verify"]).stdout);
}
