//! JSON that the API may send and that readers of the lake reject: every JSON cell of an export can
//! be read by DuckDB's JSON functions all the same, what was changed is named, and the bodies stay
//! as received.

use crate::support::{TestExport, answer, rule_for};
use armature_export::simulator::Endpoint;
use armature_export::tables::{ALL, Kind, WriteDisposition};
use insta::assert_snapshot;

/// Bodies of one run that hold what readers reject, in values, names, strings and `_extra`.
fn hostile(export: &TestExport) -> String {
    let run_id = export.expected_ids().remove(1);
    let deep = format!("{}1{}", "{\"a\":".repeat(100_000), "}".repeat(100_000));
    let bodies = [
        (
            Endpoint::Run,
            format!(
                r#"{{"id":"{run_id}","status":"pass\ud83d","started_at":"2026-11-20T10:00:00Z",
                "x_half":"cut \ud83d","x_\udc00":1,"x_large":1e400,"x_deep":{deep}}}"#
            ),
        ),
        (
            Endpoint::ToolCalls,
            r#"{"rows":[
            {"id":"t1","arguments":{"q":"\udc00x","\ud83d":1},"result":{"ok":true,"t":"\ud83d"}},
            {"id":"t2","arguments":[1e400,12345678901234567890123],"result":"{\"t\":\"\\ud83d\"}"},
            {"id":"t3","arguments":{"a":1,"a":2},"result":"{\"t\":\"\ud83d\"}"},
            {"id":"t4","arguments":"{\"cut\":\"\\ud83d","result":"nul \u0000 \ud83d\ude00"}],
            "\ud83d":"beside"}"#
                .to_owned(),
        ),
        (
            Endpoint::Trace,
            format!(r#"{{"spans":[{{"id":"s1","attributes":{deep},"name":"\ud83d"}}]}}"#),
        ),
        (
            Endpoint::Evaluation,
            r#"{"verdict":"pass","summary":"\ud83d","criteria":[{"id":"c","x":"\ud83d",
            "verdict":"pass","excerpts":[{"text":"\udfff","y":-1e999}]}]}"#
                .to_owned(),
        ),
    ];
    for (endpoint, body) in bodies {
        export.simulator.add_rule(rule_for(endpoint, &run_id, answer(200, body)));
    }
    run_id
}

/// Whatever is looked through object by object, or character by character, has a limit: a stack
/// that overflows would end the whole program.
#[test]
fn bodies_that_nest_deeper_than_a_stack_stop_nothing() {
    let nested = |name: &str, inner: &str| {
        let open = format!("{{\"{name}\":");
        format!("{}{inner}{}", open.repeat(100_000), "}".repeat(100_000))
    };
    let blank = nested("a", "null");
    let zone = "Z".repeat(100_000);
    let export = TestExport::of_ended_runs(6);
    let ids = export.expected_ids();
    let bodies = [
        (Endpoint::Trace, nested("spans", "[]")),
        (Endpoint::ToolCalls, nested("tool_calls", "[]")),
        (Endpoint::Evaluation, nested("evaluation", "1")),
        (Endpoint::Evaluation, format!(r#"{{"verdict":"pass","x":{blank}}}"#)),
        (
            Endpoint::Run,
            format!(
                r#"{{"id":"{}","status":"pass","started_at":"2026-11-20T10:00:00Z",
                "finished_at":"2026-11-20T10:00:00{zone}"}}"#,
                ids[4]
            ),
        ),
    ];
    for ((endpoint, body), run_id) in bodies.into_iter().zip(&ids) {
        export.simulator.add_rule(rule_for(endpoint, run_id, answer(200, body)));
    }
    let ran = export.run(&["sync"]);
    assert!(matches!(ran.code, Some(0 | 3)), "{}", ran.told());
    assert_eq!(export.ask("SELECT count(*) FROM runs WHERE run_id IS NOT NULL"), [["6"]]);
}

#[test]
fn every_json_cell_of_a_hostile_export_can_be_read() {
    let export = TestExport::of_ended_runs(6);
    hostile(&export);
    let ran = export.run(&["sync"]);
    assert_snapshot!(ran.told(), @"exit 0");
    for table in ALL.iter().filter(|table| table.write != WriteDisposition::CommitLog) {
        let columns = table.columns.iter().filter(|column| column.kind == Kind::Json);
        for column in columns.map(|column| column.name).chain(["_extra"]) {
            if (table.name, column) == ("documents", "body") {
                // The bodies as received.
                continue;
            }
            let sql = format!(
                "SELECT count(*) FILTER (NOT json_valid({column})), \
                 count(json_type({column})), count(json_extract_string({column}, '$.a')), \
                 count({column}::JSON::VARCHAR), count(json_structure({column})) \
                 FROM \"{}\" WHERE {column} IS NOT NULL",
                table.name
            );
            let found = export.ask(&sql);
            assert_eq!(found[0][0], "0", "{}.{column}", table.name);
        }
    }
}

#[test]
fn what_was_changed_is_named_and_the_bodies_stay() {
    let export = TestExport::of_ended_runs(6);
    let run_id = hostile(&export);
    export.run(&["sync"]);
    let lines =
        |sql: String| export.ask(&sql).iter().map(|row| row.join(" | ")).collect::<Vec<_>>();
    let issues = lines(format!(
        "SELECT table_name, row_key, column_name, problem FROM _issues WHERE run_id = '{run_id}' \
         ORDER BY position"
    ));
    assert_snapshot!(issues.join("\n").replace(&run_id, "[run]"), @"
    spans | s1 | name | half a surrogate pair; U+FFFD stands in its place
    spans | s1 | attributes | nested too deep for readers; it stands as a string
    tool_calls | t1 | arguments | half a surrogate pair; U+FFFD stands in its place
    tool_calls | t1 | result | half a surrogate pair; U+FFFD stands in its place
    tool_calls | t2 | arguments | a number that fits no 64 bits; it stands as a string
    tool_calls | t2 | result | half a surrogate pair; U+FFFD stands in its place
    tool_calls | t3 | result | half a surrogate pair; U+FFFD stands in its place
    excerpts | [run] | excerpt | half a surrogate pair; U+FFFD stands in its place
    excerpts | [run] | _extra | a number that fits no 64 bits; it stands as a string
    criteria | c | _extra | half a surrogate pair; U+FFFD stands in its place
    evaluations | [run] | summary | half a surrogate pair; U+FFFD stands in its place
    runs | [run] | status | half a surrogate pair; U+FFFD stands in its place
    runs | [run] | _extra | half a surrogate pair; U+FFFD stands in its place
    ");
    let calls = lines(format!(
        "SELECT tool_call_id, arguments, result FROM tool_calls WHERE run_id = '{run_id}' \
         ORDER BY position"
    ));
    assert_snapshot!(calls.join("\n"), @r#"
    t1 | {"q":"�x","�":1} | {"ok":true,"t":"�"}
    t2 | ["1e400","12345678901234567890123"] | {"t":"�"}
    t3 | {"a":1,"a":2} | {"t":"�"}
    t4 | "{\"cut\":\"\\ud83d" | "nul \u0000 \ud83d\ude00"
    "#);
    let kept = export.ask(&format!(
        "SELECT count(*) FROM documents WHERE run_id = '{run_id}' AND contains(body, '\\ud83d')"
    ));
    assert_eq!(kept, [["4"]]);
}
