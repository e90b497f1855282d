//! `verify` and `replay` as they are typed.

use std::fs;

use insta::assert_snapshot;

use crate::support::TestExport;

#[test]
fn a_lake_that_is_well_and_then_is_not() {
    let export = TestExport::of_ended_runs(3);
    let ran = export.run(&["verify"]);
    assert_snapshot!(ran.told(), @"
    exit 2
    error: there is no lake at `[dir]/lake`
    hint: run `armature-export sync` first, or name the lake with --lake
    ");
    assert_eq!(export.run(&["sync"]).code, Some(0));
    let ran = export.run(&["verify"]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.starts_with("all is well: 1 commit · "), "{}", ran.stdout);
    fs::write(export.lake.join("runs/notes.txt"), "mine").unwrap();
    let ran = export.run(&["verify"]);
    assert_eq!(ran.code, Some(3));
    assert!(ran.stdout.starts_with("`runs/notes.txt` is in no commit\n  hint: "), "{}", ran.stdout);
    let json = export.run(&["verify", "--output", "json"]).json();
    assert_eq!(json["is_well"], false);
    assert_eq!(json["findings"][0]["kind"], "unknown_file");
    assert_eq!(json["findings"][0]["path"], "runs/notes.txt");
    let ran = export.run(&["verify", "--repair"]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.starts_with("repaired: quarantined `runs/notes.txt` "), "{}", ran.stdout);
    assert_eq!(export.run(&["verify", "--drop-parts"]).code, Some(2));
}

#[test]
fn a_lake_that_somebody_writes() {
    let export = TestExport::of_ended_runs(3);
    assert_eq!(export.run(&["sync"]).code, Some(0));
    let lock = fs::File::open(export.lake.join("_armature/lock")).unwrap();
    lock.lock().unwrap();
    let ran = export.run(&["verify"]);
    assert_eq!(ran.code, Some(3));
    assert!(ran.stdout.contains("as a process writes the lake"), "{}", ran.stdout);
    assert_eq!(export.run(&["replay"]).code, Some(6));
    drop(lock);
    assert_eq!(export.run(&["verify"]).code, Some(0));
}

#[test]
fn a_replay_and_its_rehearsal() {
    let export = TestExport::of_ended_runs(3);
    assert_snapshot!(export.run(&["replay"]).told(), @"
    exit 2
    error: there is no lake at `[dir]/lake`
    hint: run `armature-export sync` first, or name the lake with --lake
    ");
    assert_eq!(export.run(&["sync"]).code, Some(0));
    let column = "[[columns]]\ntable = \"runs\"\nname = \"harness_again\"\nkind = \"text\"\n\
                  sources = [\"harness\"]\n";
    export.configure(column);
    let rehearsed = export.run(&["replay", "--dry-run"]);
    assert_eq!(rehearsed.code, Some(0), "{}", rehearsed.stderr);
    assert!(rehearsed.stdout.starts_with("would replay 3 runs\n"), "{}", rehearsed.stdout);
    let replayed = export.run(&["replay"]);
    assert_eq!(replayed.code, Some(0), "{}", replayed.stderr);
    let expected = rehearsed.stdout.replace("would replay 3 runs", "replayed 3 runs (commit 2)");
    assert!(replayed.stdout.starts_with(expected.trim_end()), "{}", replayed.stdout);
    assert_eq!(export.ask("SELECT count(*) FROM runs WHERE harness_again IS NOT NULL"), [["3"]]);
    assert_eq!(export.run(&["verify"]).code, Some(0));
    export.sync_brings_everything();
}
