//! Runs that are listed, and that the API does not know by their id.

use crate::support::{TestExport, answer, hand_made_run, rule_for};
use armature_export::simulator::{Endpoint, Rule};
use insta::assert_snapshot;
use serde_json::{Value, json};

fn absent(export: &TestExport) -> Vec<String> {
    let status = export.status();
    let runs = status["absent_runs"].as_array().unwrap().iter();
    runs.map(|run| run["run_id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn one_is_named_and_tried_again_until_the_api_knows_it() {
    let export = TestExport::of_ended_runs(12);
    let mut others = export.expected_ids();
    let gone = others.remove(5);
    export.simulator.add_rule(rule_for(Endpoint::Run, &gone, answer(404, "{}")));
    for _ in 0..3 {
        let ran = export.run(&["sync"]);
        let expected = "exit 3\nincomplete: 1 listed run is answered with 404 by its id; tried again \
                        next time (see `status`)";
        assert_eq!(ran.told(), expected);
        assert_eq!(export.lake_ids(), others);
        assert_eq!(absent(&export), [gone.as_str()]);
    }
    export.simulator.clear_rules();
    // Also where the sync ends early in time that is proven, the run is asked for by its id.
    export.sync_brings_everything();
    assert_eq!(absent(&export), Vec::<String>::new());
}

#[test]
fn one_that_is_listed_no_more_is_given_up_after_some_syncs() {
    let export = TestExport::of_ended_runs(12);
    let gone = export.expected_ids().remove(5);
    export.simulator.add_rule(rule_for(Endpoint::Run, &gone, answer(404, "{}")));
    assert_eq!(export.run(&["sync"]).code, Some(3));
    export.simulator.clear_rules();
    export.simulator.remove_run(&gone);
    let codes: Vec<_> = (0..6).map(|_| export.run(&["sync"]).code.unwrap()).collect();
    assert_eq!(codes, [3, 3, 3, 3, 0, 0]);
}

/// The list has a row number as `id` and the run's own id elsewhere.
fn export_with_row_numbers() -> TestExport {
    let export = TestExport::of_ended_runs(0);
    for number in 1..=6 {
        let own = format!("run-{number}");
        let mut run = hand_made_run(&own, &json!({"run_id": own}));
        let listing = run.listing.as_object_mut().unwrap();
        listing.insert("id".to_owned(), json!(number));
        listing.insert("own".to_owned(), Value::from(own));
        export.simulator.override_run(run);
    }
    export
}

#[test]
fn ids_out_of_the_wrong_member_prove_nothing_and_a_corrected_mapping_brings_all() {
    let export = export_with_row_numbers();
    let ran = export.run(&["sync"]);
    assert_snapshot!(ran.told(), @r#"
    exit 3
    incomplete: 6 listed runs are answered with 404 by their ids; tried again next time (see `status`)
    incomplete: the list is uncertified: 6 of 6 listed runs are answered with 404 by their id, so the id is likely read from the wrong member: `armature-export doctor` shows the members, and [[columns]] with table = "runs" and name = "run_id" names the right one
    "#);
    assert_eq!(export.status()["proven"], json!([]));
    export.configure("[[columns]]\ntable = \"runs\"\nname = \"run_id\"\nsources = [\"own\"]\n");
    let ran = export.run(&["sync"]);
    assert_snapshot!(ran.told(), @"exit 0");
    let expected: Vec<String> = (1..=6).map(|number| format!("run-{number}")).collect();
    assert_eq!(export.lake_ids(), expected);
    assert_eq!(export.database_ids(), expected);
    assert_eq!(absent(&export), Vec::<String>::new());
}

/// A mapping that is corrected later reaches runs of time that is proven already.
#[test]
fn a_corrected_mapping_lists_proven_time_again() {
    let export = TestExport::of_ended_runs(12);
    assert_eq!(export.run(&["sync"]).code, Some(0));
    let pages = |export: &TestExport| {
        export.simulator.clear_requests();
        assert_eq!(export.run(&["sync"]).code, Some(0));
        let asked = export.simulator.requests();
        asked.iter().filter(|request| format!("{request:?}").contains("30d")).count()
    };
    assert_eq!(pages(&export), 0, "proven time is not listed again");
    export.configure(
        "[[columns]]\ntable = \"runs\"\nname = \"started_at\"\nsources = [\"started_at\"]\n",
    );
    assert!(pages(&export) > 0);
    assert_eq!(pages(&export), 0);
}

/// A sync that proves nothing did not apply the corrected mapping to the time that is proven.
#[test]
fn a_corrected_mapping_stays_to_be_applied_until_a_sync_certifies() {
    let export = TestExport::of_ended_runs(12);
    assert_eq!(export.run(&["sync"]).code, Some(0));
    export.configure(
        "[[columns]]\ntable = \"runs\"\nname = \"started_at\"\nsources = [\"started_at\"]\n",
    );
    export.simulator.add_rule(Rule::new(Endpoint::Runs, answer(400, "{}")));
    assert_ne!(export.run(&["sync"]).code, Some(0));
    export.simulator.clear_rules();
    export.simulator.clear_requests();
    assert_eq!(export.run(&["sync"]).code, Some(0));
    let asked = export.simulator.requests();
    assert!(asked.iter().any(|request| format!("{request:?}").contains("30d")));
}

/// Its row changes, and by its id it is not found: what was exported stays, and it is asked for
/// until the API knows it again.
#[test]
fn one_that_was_exported_before_is_tried_again_too() {
    let export = TestExport::of_ended_runs(0);
    let (run_id, other) = ("run-1", "run-2");
    export.simulator.override_run(hand_made_run(other, &json!({"id": other})));
    export.simulator.override_run(hand_made_run(run_id, &json!({"id": run_id})));
    assert_eq!(export.run(&["sync"]).code, Some(0));
    let mut changed = hand_made_run(run_id, &json!({"id": run_id}));
    changed.listing["classification"] = json!("changed");
    export.simulator.override_run(changed);
    export.simulator.add_rule(rule_for(Endpoint::Run, run_id, answer(404, "{}")));
    for failures in 1..=3 {
        assert_eq!(export.run(&["sync", "--range", "30d"]).code, Some(3));
        assert_eq!(export.lake_ids(), [run_id, other]);
        assert_eq!(absent(&export), [run_id]);
        assert_eq!(export.status()["absent_runs"][0]["failures"], json!(failures));
    }
    export.simulator.clear_rules();
    assert_eq!(export.run(&["sync", "--range", "30d"]).code, Some(0));
    assert_eq!(absent(&export), Vec::<String>::new());
    assert_eq!(export.lake_ids(), [run_id, other]);
}

#[test]
fn all_of_them_are_no_success_even_if_there_is_one_run_only() {
    let export = TestExport::of_ended_runs(1);
    export.simulator.add_rule(Rule::new(Endpoint::Run, answer(404, "{}")));
    assert_eq!(export.run(&["sync"]).code, Some(3));
    assert_eq!(export.status()["proven"], json!([]));
    export.simulator.clear_rules();
    export.sync_brings_everything();
}
