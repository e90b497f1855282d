//! What a person sees of it.

use std::process::{Child, Stdio};

use insta::assert_snapshot;
use serde_json::json;

use crate::support::{Lab, SimulatorSettings, settings};

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

fn lab() -> Lab {
    let lab = Lab::with(SimulatorSettings { ..settings(60) });
    lab.configure("[sync]\ncommit_bytes = 20000\n");
    lab.sync_brings_everything();
    lab
}

#[test]
fn compacting_says_what_it_did() {
    let lab = lab();
    let told = |arguments: &[&str]| {
        let ran = lab.run(arguments);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        without_numbers(&ran.named(&ran.stdout))
    };
    let all = [
        told(&["compact", "--dry-run"]),
        told(&["compact"]),
        told(&["compact"]),
        told(&["compact", "--drop-older-revisions"]),
    ];
    assert_snapshot!(all.join("\n"));
    let ran = lab.run(&["compact", "--output", "json"]);
    assert_eq!(ran.json()["days"], json!(0));
    assert_eq!(lab.run(&["verify"]).code, Some(0), "{}", lab.run(&["verify"]).stdout);
    lab.sync_brings_everything();
}

#[test]
fn what_cannot_be_compacted_is_told() {
    let lab = Lab::new(20);
    assert_snapshot!(lab.run(&["compact"]).told(), @r"
    exit 2
    error: there is no lake at `[dir]/lake`
    hint: run `armature-export sync` first, or name the lake with --lake
    ");
    lab.configure("[sync]\ncommit_bytes = 5000\n");
    lab.sync_brings_everything();
    for (path, mut bytes) in crate::support::files(&lab.lake().join("runs")) {
        bytes[10] ^= 1;
        std::fs::write(path, bytes).unwrap();
    }
    let ran = lab.run(&["compact"]);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert!(ran.stderr.contains("is damaged and was not merged"), "{}", ran.stderr);
    assert!(ran.stderr.contains("hint: `armature-export verify`"), "{}", ran.stderr);
}

#[test]
fn deliveries_at_once_bring_each_row_once() {
    let lab = Lab::with(SimulatorSettings { ..settings(60) });
    let without = "[sync]\ncommit_bytes = 20000\n[duckdb]\nenabled = false\n";
    lab.configure(without);
    assert_eq!(lab.run(&["sync"]).code, Some(0));
    assert_eq!(lab.run(&["compact"]).code, Some(0));
    // What the merge left alone is not a part of it: two transactions at least.
    lab.configure("[duckdb]\nlock_wait_secs = 20\n");
    let spawn = |_| {
        let mut command = lab.command(&["deliver"]);
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let deliveries: Vec<Child> = (0..4).map(spawn).collect();
    let mut applied = 0;
    for delivery in deliveries {
        let output = delivery.wait_with_output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        applied += usize::from(output.status.success());
        let is_overtaken = told.contains("by another process");
        assert!(output.status.success() || is_overtaken, "{told}");
    }
    assert!(applied > 0);
    assert_eq!(lab.run(&["deliver"]).code, Some(0));
    assert_eq!(lab.database_ids(), lab.expected_ids());
    assert_eq!(lab.run(&["verify"]).code, Some(0), "{}", lab.run(&["verify"]).stdout);
}
