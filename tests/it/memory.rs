//! DuckDB with too little memory: a delivery takes more, wherever it ran out.

use std::collections::BTreeSet;
use std::sync::mpsc::channel;

use crate::support::{TestExport, block_on, hand_made_run};
use armature_export::config::{DuckdbDocuments, DuckdbSettings};
use armature_export::event::{Event, Events};
use armature_export::lake::LakeView;
use armature_export::simulator::Endpoint;
use armature_export::tables::Mapping;
use armature_export::targets::duckdb::{DeliveryOptions, rebuild};
use serde_json::json;

const RUNS: u64 = 120;

/// Runs whose names and tool results are 70 kB long each.
fn synced() -> TestExport {
    let export = TestExport::of_ended_runs(0);
    for run in 0..RUNS {
        let long = format!("{run} {}", "k".repeat(70_000));
        let mut made =
            hand_made_run(&format!("run-{run}"), &json!({ "workflow_name": long.clone() }));
        let call = |call: u32| json!({"id": format!("call-{call}"), "result": {"text": long}});
        let calls: Vec<_> = (0..5).map(call).collect();
        made.documents.insert(Endpoint::ToolCalls, Some(json!({ "rows": calls })));
        export.simulator.override_run(made);
    }
    let ran = export.run(&["sync"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    export
}

/// With 56 MB the rows go in and the checkpoint fails, after which DuckDB has nothing of them.
#[test]
fn an_insert_or_a_checkpoint_that_runs_out_of_memory_is_repeated_with_more() {
    let export = synced();
    let mut wanted = BTreeSet::new();
    for memory_limit_mb in [2, 16, 56] {
        let (send, notices) = channel();
        let events = Events::new(move |event| {
            if let Event::Notice(notice) = event {
                send.send(notice).unwrap();
            }
        });
        let options = DeliveryOptions::new(&DuckdbSettings::default(), events);
        // The raw documents are what makes the transaction so large.
        let documents = Some(DuckdbDocuments::Table);
        let path = export.duckdb.clone();
        let options = DeliveryOptions { path, documents, memory_limit_mb, ..options };
        let delivered = block_on(async {
            let lake = LakeView::open(&export.lake).await.unwrap();
            rebuild(&lake, &Mapping::new(&[], &[]).unwrap(), &options).await.unwrap()
        });
        drop(options);
        assert_eq!((delivered.rows["runs"], delivered.rows["tool_calls"]), (RUNS, 5 * RUNS));
        let found = "SELECT (SELECT count(*) FROM runs WHERE length(workflow_name) > 70000), \
                     (SELECT count(*) FROM tool_calls WHERE length(result) > 70000), \
                     (SELECT count(*) FROM _syncs)";
        assert_eq!(export.ask(found), [["120", "600", "1"]], "{memory_limit_mb} MB");
        for notice in notices {
            let (_, rest) = notice.split_once(" MB to ").unwrap();
            wanted.insert(rest.split_once(':').unwrap().0.to_owned());
        }
    }
    let expected = ["add rows to `tool_calls`", "look for views", "write a checkpoint"];
    assert_eq!(wanted.into_iter().collect::<Vec<_>>(), expected);
}
