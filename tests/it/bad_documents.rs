//! Runs whose documents, ids or values are out of order: each a clear message with the right exit
//! code; all other runs are exported, and the run itself once its documents are well again.

use crate::support::{TestExport, answer, hand_made_run, rule_for};
use armature_export::simulator::{Answer, Endpoint};
use insta::assert_snapshot;
use serde_json::json;

const HTML: &str = "<!doctype html><title>Sign in</title><p>Welcome to the hotel's network.";

/// One document of one run that cannot be used: that run failed, all others are exported, and the
/// next sync brings it. Returns what was told, and the run's problem.
fn told_of_document(endpoint: Endpoint, answer: Answer) -> String {
    let export = TestExport::of_ended_runs(12);
    let mut others = export.expected_ids();
    let broken = others.remove(5);
    export.simulator.add_rule(rule_for(endpoint, &broken, answer));
    let ran = export.run(&["sync"]);
    assert_eq!(export.lake_ids(), others);
    assert_eq!(export.database_ids(), others);
    let failed = export.failed_runs();
    let [(run_id, problem)] = failed.as_slice() else { panic!("{failed:?}") };
    assert_eq!(*run_id, broken);
    let told = format!("{}\nstatus: {}", ran.told(), ran.with_placeholders(problem));
    let told = told.replace(&broken, "[run]");
    export.simulator.clear_rules();
    export.sync_brings_everything();
    told
}

#[test]
fn a_document_that_is_html() {
    assert_snapshot!(told_of_document(Endpoint::Trace, answer(200, HTML)), @"
    exit 3
    incomplete: 1 run could not be fetched; tried again next time (see `status`)
    status: `GET /api/armature/v1/runs/[run]/trace` was answered with HTML, which is not JSON (line 1, column 1)
    ");
}

#[test]
fn a_document_that_is_cut_off() {
    assert_snapshot!(told_of_document(Endpoint::ToolCalls, Answer::Truncate { bytes: 100 }), @"
    exit 3
    incomplete: 1 run could not be fetched; tried again next time (see `status`)
    status: `GET /api/armature/v1/runs/[run]/tool-calls` was answered with JSON that is cut off after 100 bytes
    ");
}

#[test]
fn a_document_that_is_an_error_with_a_good_status() {
    let body = json!({"error": {"code": "internal", "message": "Something went wrong."}});
    assert_snapshot!(told_of_document(Endpoint::Run, answer(200, body.to_string())), @"
    exit 3
    incomplete: 1 run could not be fetched; tried again next time (see `status`)
    status: `GET /api/armature/v1/runs/[run]` was answered with an error `internal` and a good status
    ");
}

#[test]
fn a_document_that_the_server_cannot_make() {
    assert_snapshot!(told_of_document(Endpoint::Evaluation, answer(500, "oops")), @"
    exit 3
    incomplete: 1 run could not be fetched; tried again next time (see `status`)
    status: failed to get `/api/armature/v1/runs/[run]/evaluation` after 2 attempts in [time]: answered 500
    ");
}

#[test]
fn a_document_of_nothing() {
    assert_snapshot!(told_of_document(Endpoint::Trace, answer(200, "")), @"
    exit 3
    incomplete: 1 run could not be fetched; tried again next time (see `status`)
    status: `GET /api/armature/v1/runs/[run]/trace` was answered with an empty body
    ");
}

#[test]
fn a_document_that_the_key_may_not_read() {
    let body = json!({"error": {"code": "forbidden_role", "message": "Not for viewers."}});
    assert_snapshot!(told_of_document(Endpoint::Trace, answer(403, body.to_string())), @"
    exit 3
    incomplete: 1 run could not be fetched; tried again next time (see `status`)
    status: the API refused `GET /api/armature/v1/runs/[run]/trace` with 403 (forbidden_role: Not for viewers.)
    ");
}

#[test]
fn a_body_beyond_the_limit() {
    let export = TestExport::of_ended_runs(12);
    let mut others = export.expected_ids();
    let large = others.remove(5);
    let body = json!({"spans": [{"id": "s", "attributes": {"text": "x".repeat(100_000)}}]});
    let rule = rule_for(Endpoint::Trace, &large, answer(200, body.to_string()));
    export.simulator.add_rule(rule);
    export.configure("max_body_bytes = 90000\n");
    let ran = export.run(&["sync"]);
    assert_eq!(export.lake_ids(), others);
    let problem = export.failed_runs().remove(0).1;
    let told = format!("{}\nstatus: {problem}", ran.told()).replace(&large, "[run]");
    assert_snapshot!(told, @"
    exit 3
    incomplete: 1 run could not be fetched; tried again next time (see `status`)
    status: the body of `GET /api/armature/v1/runs/[run]/trace` is larger than 90000 bytes
    ");
    export.configure("");
    export.sync_brings_all_runs();
    let length = export.ask("SELECT length(attributes::VARCHAR) FROM spans WHERE span_id = 's'");
    assert_eq!(length, [["100011"]]);
}

#[test]
#[ignore = "takes long: a 200 MB body"]
fn a_trace_of_two_hundred_megabytes() {
    let export = TestExport::of_ended_runs(3);
    let large = export.expected_ids().remove(1);
    let text = "x".repeat(1000);
    let span = |number| json!({"id": format!("s{number}"), "attributes": {"text": text}});
    let spans: Vec<_> = (0..200_000).map(span).collect();
    let body = json!({"spans": spans}).to_string();
    assert!(body.len() > 200_000_000);
    export.simulator.add_rule(rule_for(Endpoint::Trace, &large, answer(200, body)));
    export.sync_brings_all_runs();
    let sql = "SELECT count(*), sum(length(attributes::VARCHAR)) FROM spans WHERE run_id = ";
    assert_eq!(export.ask(&format!("{sql}'{large}'")), [["200000", "202200000"]]);
}

#[test]
fn ids_of_any_text() {
    let export = TestExport::of_ended_runs(0);
    let ids = [
        "a/b",
        "../../etc/passwd",
        "/",
        "it's",
        "\"quoted\"",
        "'; DROP TABLE runs; --",
        "a.b.",
        "...",
        "line\nbreak\r\n",
        "tab\t",
        "null\u{0}byte",
        "back\\slash",
        "%2F",
        "%2e%2e",
        "a?b#c",
        "a b",
        " ",
        "Köln",
        "日本",
        "🦀",
        "e\u{301}",
        "[*]",
        "x=1",
        "${HOME}",
        "-rf",
        "NULL",
    ];
    for id in ids {
        export.simulator.override_run(hand_made_run(id, &json!({})));
    }
    let long = "long".repeat(500);
    export.simulator.override_run(hand_made_run(&long, &json!({})));
    let ran = export.run(&["sync"]);
    assert_snapshot!(ran.told(), @"exit 0");
    let mut expected: Vec<String> = ids.iter().map(ToString::to_string).collect();
    expected.push(long);
    expected.sort();
    assert_eq!(export.lake_ids(), expected);
    for table in ["runs", "spans", "tool_calls", "evaluations", "criteria", "excerpts"] {
        let rows = export.ask(&format!("SELECT run_id FROM {table}"));
        let mut found: Vec<String> = rows.into_iter().flatten().collect();
        found.sort();
        assert_eq!(found, expected, "{table}");
    }
    let left: Vec<_> =
        std::fs::read_dir(export.folder()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left.len(), 3, "configuration, lake and DuckDB file: {left:?}");
    let again = export.run(&["sync", "--output", "json"]).json();
    assert_eq!(again["runs"]["unchanged"], expected.len());
    assert_eq!(again["runs"]["new"], 0);
}

#[test]
fn ids_that_no_url_can_hold() {
    let export = TestExport::of_ended_runs(3);
    export.simulator.override_run(hand_made_run(".", &json!({})));
    export.simulator.override_run(hand_made_run("..", &json!({})));
    let ran = export.run(&["sync"]);
    assert_snapshot!(ran.told(), @"
    exit 3
    incomplete: 2 runs could not be fetched; tried again next time (see `status`)
    ");
    assert_snapshot!(format!("{:#?}", export.failed_runs()), @r#"
    [
        (
            ".",
            "`GET /runs/{id}` was answered with nothing, as no URL can name a run whose id is `.` or `..`",
        ),
        (
            "..",
            "`GET /runs/{id}` was answered with nothing, as no URL can name a run whose id is `.` or `..`",
        ),
    ]
    "#);
    assert_eq!(export.lake_ids(), export.expected_ids());
    assert_eq!(export.database_ids(), export.expected_ids());
}

#[test]
fn absurd_numbers_and_dates() {
    let export = TestExport::of_ended_runs(0);
    let absurd = json!({
        "duration_ms": 1e300,
        "cost_usd": 1e30,
        "input_tokens": u64::MAX,
        "output_tokens": -1.5,
        "started_at": "0000-00-00T00:00:00Z",
        "finished_at": "9999-12-31T23:59:59Z",
        "workflow_id": ["a", "list"],
    });
    let mut run = hand_made_run("absurd", &absurd);
    run.listing["started_at"] = absurd["started_at"].clone();
    run.listing["finished_at"] = absurd["finished_at"].clone();
    let calls = json!({"rows": [{
        "id": "call",
        "tool_name": 42,
        "is_error": "perhaps",
        "started_at": -1,
        "duration_ms": "soon",
    }]});
    run.documents.insert(Endpoint::ToolCalls, Some(calls));
    export.simulator.override_run(run);
    let ran = export.run(&["sync"]);
    assert_snapshot!(ran.told(), @"exit 0");
    assert_eq!(export.lake_ids(), ["absurd"]);
    let cells = export.ask(
        "SELECT status, duration_ms, cost, input_tokens, output_tokens, started_at, ended_at, \
         workflow_id, _extra FROM runs",
    );
    assert_snapshot!(format!("{cells:#?}"), @r#"
    [
        [
            "pass",
            "",
            "",
            "",
            "",
            "",
            "",
            "",
            "{\"cost_usd\":1e+30,\"duration_ms\":1e+300,\"finished_at\":\"9999-12-31T23:59:59Z\",\"input_tokens\":18446744073709551615,\"output_tokens\":-1.5,\"started_at\":\"0000-00-00T00:00:00Z\",\"workflow_id\":[\"a\",\"list\"]}",
        ],
    ]
    "#);
    let calls =
        export.ask("SELECT tool_name, is_error, started_at, duration_ms, _extra FROM tool_calls");
    assert_snapshot!(format!("{calls:?}"), @r#"[["42", "", "", "", "{\"duration_ms\":\"soon\",\"is_error\":\"perhaps\",\"started_at\":-1}"]]"#);
    let issues = export.ask(
        "SELECT table_name, row_key, column_name, source, expected, found, problem FROM _issues \
         ORDER BY position",
    );
    let lines: Vec<String> = issues.iter().map(|row| row.join(" | ")).collect();
    assert_snapshot!(lines.join("\n"), @"
    tool_calls | call | started_at | started_at | timestamp | number | a number that is no time between 2001 and 2100 in any unit (declare `unit`)
    tool_calls | call | is_error | is_error | boolean | string | neither true nor false
    tool_calls | call | duration_ms | duration_ms | integer | string | a string that is no number
    runs | absurd | workflow_id | workflow_id | text | array | not plain text
    runs | absurd | started_at | started_at | timestamp | string | a string that is no time of a known form (such as RFC 3339)
    runs | absurd | ended_at | finished_at | timestamp | string | a time outside 1970 to 2262
    runs | absurd | cost | cost_usd | decimal | number | a number with more than 20 digits before the point
    runs | absurd | input_tokens | input_tokens | integer | number | a number beyond 64 bits
    runs | absurd | output_tokens | output_tokens | integer | number | not a whole number
    runs | absurd | duration_ms | duration_ms | integer | number | a number beyond 64 bits
    ");
}

#[test]
fn documents_with_nothing_in_them() {
    let export = TestExport::of_ended_runs(0);
    let bodies =
        [json!(null), json!([]), json!({}), json!("text"), json!(17), json!({"rows": null})];
    for (number, body) in bodies.into_iter().enumerate() {
        let mut run = hand_made_run(&format!("run {number}"), &json!({}));
        for endpoint in [Endpoint::Trace, Endpoint::ToolCalls, Endpoint::Evaluation] {
            run.documents.insert(endpoint, Some(body.clone()));
        }
        export.simulator.override_run(run);
    }
    let ran = export.run(&["sync"]);
    assert_snapshot!(ran.told(), @"exit 0");
    let lines =
        |sql| export.ask(sql).iter().map(|row| row.join(" | ")).collect::<Vec<_>>().join("\n");
    let runs = "SELECT run_id, evaluation_state, span_count, tool_call_count FROM runs \
                ORDER BY run_id";
    assert_snapshot!(lines(runs), @"
    run 0 | absent | 0 | 0
    run 1 | absent | 0 | 0
    run 2 | absent | 0 | 0
    run 3 | ok | 0 | 0
    run 4 | ok | 0 | 0
    run 5 | absent | 0 | 0
    ");
    let issues = "SELECT run_id, table_name, expected, found, problem FROM _issues \
                  ORDER BY run_id, position";
    assert_snapshot!(lines(issues), @"
    run 2 | spans | list | object | a body in which no list was found
    run 2 | tool_calls | list | object | a body in which no list was found
    run 3 | spans | list | string | a body in which no list was found
    run 3 | tool_calls | list | string | a body in which no list was found
    run 3 | evaluations | object | string | a body that is no object
    run 4 | spans | list | number | a body in which no list was found
    run 4 | tool_calls | list | number | a body in which no list was found
    run 4 | evaluations | object | number | a body that is no object
    ");
}

#[test]
fn a_value_of_very_many_brackets() {
    let export = TestExport::of_ended_runs(3);
    let run_id = export.expected_ids().remove(1);
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let body = format!("{{\"spans\": [{{\"id\": \"deep\", \"attributes\": {deep}}}]}}");
    export.simulator.add_rule(rule_for(Endpoint::Trace, &run_id, answer(200, body)));
    export.sync_brings_all_runs();
    let length = export.ask("SELECT length(attributes::VARCHAR) FROM spans WHERE span_id = 'deep'");
    // As a JSON string: readers reject what is nested so deep, or end.
    assert_eq!(length, [["200002"]]);
}

#[test]
fn an_id_that_forges_log_lines() {
    let export = TestExport::of_ended_runs(0);
    let id = "run\nerror: forged\n\u{1b}[31mred";
    export.simulator.override_run(hand_made_run(id, &json!({})));
    export.simulator.add_rule(rule_for(Endpoint::Trace, id, answer(200, HTML)));
    for format in ["text", "json"] {
        let ran = export.run(&["sync", "-v", "--log-format", format]);
        assert_eq!(ran.code, Some(3));
        assert!(
            !ran.stderr.lines().any(|line| line.starts_with("error: forged")),
            "{}",
            ran.stderr
        );
        assert!(!ran.stderr.contains('\u{1b}'), "{}", ran.stderr);
    }
    let status = export.run(&["status"]).stdout;
    assert!(!status.lines().any(|line| line.starts_with("error: forged")), "{status}");
    export.simulator.clear_rules();
    assert_eq!(export.run(&["sync"]).code, Some(0));
    assert_eq!(
        (export.lake_ids(), export.database_ids()),
        (vec![id.to_owned()], vec![id.to_owned()])
    );
}
