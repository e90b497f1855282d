//! Names that are made to break a page, and texts that must not be on it.

use std::collections::BTreeSet;

use base64::Engine;
use sha2::Digest;

use super::page::Page;
use super::*;
use crate::support::now;

/// Names that would do something if they were not text.
pub(crate) const HOSTILE: [&str; 8] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "</bdi></table></svg></style><style>*{display:none}</style>",
    "'; DROP TABLE runs; --",
    "javascript:alert(1)",
    "{{ 7 * 7 }} {% if %} &lt;b&gt; &amp;",
    "right\u{202e}to left\u{2066}\u{200b}\u{7}",
    "![x](https://example.com/x.png) https://example.com/",
];

/// A lake of runs whose names are these, in turns: workflow, version, model, harness, tool,
/// criterion, classification, judge.
pub(crate) fn export_of_names(names: &[String]) -> TestExport {
    let export = TestExport::of_ended_runs(0);
    for number in 0..60_usize {
        let name = &names[number % names.len()];
        let verdict = if number % 3 == 0 { "pass" } else { "fail" };
        let members = json!({
            "workflow_id": format!("w{}", number % names.len()), "workflow_name": name,
            "workflow_version": format!("{name}{}", u8::from(number >= 30)), "model": name,
            "harness": name, "status": verdict, "classification": name, "cost": 0.5,
        });
        let mut run = hand_made_run(&format!("{number:02} {name}"), &members);
        run.started_at = now() - chrono::Duration::hours(4);
        run.listing["status"] = json!(verdict);
        run.documents.insert(
            Endpoint::ToolCalls,
            Some(json!({"rows": [{"id": "call", "tool_name": name, "is_error": number % 2 == 0}]})),
        );
        run.documents.insert(
            Endpoint::Evaluation,
            Some(json!({
                "verdict": verdict, "classification": name, "judge_model": name, "criteria": [{
                    "id": "c", "text": name, "is_required": true, "verdict": verdict,
                    "excerpts": [],
                }],
            })),
        );
        export.simulator.override_run(run);
    }
    assert_eq!(export.run(&["sync"]).code, Some(0));
    export
}

/// The same figures under other names: a page differs in its text only.
#[test]
fn names_are_text_wherever_they_stand() {
    let hostile: Vec<String> = HOSTILE.iter().map(|name| (*name).to_owned()).collect();
    // In the same order, and as long: what is cut is cut in both.
    let harmless: Vec<String> = (0..HOSTILE.len()).map(|number| format!("name {number}")).collect();
    let pages: Vec<Page> = [&harmless, &hostile]
        .into_iter()
        .map(|names| page(&export_of_names(names), &["--range", "all"]))
        .collect();
    let tags = |page: &Page| page.skeleton().into_iter().collect::<BTreeSet<_>>();
    assert_eq!(tags(&pages[0]), tags(&pages[1]));
    assert_eq!(pages[0].skeleton().len(), pages[1].skeleton().len());
    let shown = &pages[1];
    for name in HOSTILE.into_iter().filter(|name| !name.contains('\u{202e}')) {
        let found = shown.table("stability").into_iter().any(|row| row[0] == name);
        assert!(found, "{name}: {:?}", shown.table("stability"));
    }
    let visible = "right⟨U+202E⟩to left⟨U+2066⟩⟨U+200B⟩⟨U+0007⟩";
    assert!(shown.table("tools").iter().any(|row| row[0] == visible));
    assert!(!shown.html.contains(['\u{202e}', '\u{2066}', '\u{200b}', '\u{7}']));
}

/// Everything that a page refers to is in the page, or is a run.
#[test]
fn nothing_is_loaded_and_only_runs_are_linked() {
    let names: Vec<String> = HOSTILE.iter().map(|name| (*name).to_owned()).collect();
    let page = page(&export_of_names(&names), &["--evidence"]);
    for attribute in ["src", "srcset", "style", "action", "data", "poster", "xlink:href", "onerror"]
    {
        assert_eq!(page.attributes(attribute), BTreeSet::new(), "{attribute}");
    }
    let ids = page.attributes("id");
    let mut runs = 0;
    for address in page.attributes("href") {
        if let Some(id) = address.strip_prefix('#') {
            assert!(ids.contains(id), "{address} leads nowhere");
        } else {
            assert!(address.starts_with("http://127.0.0.1:"), "{address}");
            runs += 1;
        }
    }
    assert!(runs > 5, "only {runs} links to runs");
    let style = page.between("<style>", "</style>");
    assert!(!style.contains("url(") && !style.contains("@import"));
    assert!(!page.html.contains("<script") && !page.html.contains("<link"));
    for tag in page.html.split("<a ").skip(1).filter(|tag| tag.starts_with("href=\"http")) {
        assert!(tag.contains("rel=\"noopener noreferrer\""), "{tag}");
    }
    // The policy allows exactly these styles.
    let digest = sha2::Sha256::digest(style.as_bytes());
    let digest = base64::prelude::BASE64_STANDARD.encode(digest);
    let policy = page.attributes("content").into_iter().find(|it| it.contains("default-src"));
    assert_eq!(
        page::text_of(&policy.unwrap()),
        format!(
            "default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
        )
    );
}

/// A name that is longer than anybody reads is cut; the page stays small.
#[test]
fn long_names_are_cut() {
    let names = ["x".repeat(20_000), "\u{202e}".repeat(3_000)];
    let export = export_of_names(&names);
    let page = page(&export, &["--evidence"]);
    assert!(page.html.len() < 400_000, "{} bytes", page.html.len());
    let longest = page.table("stability").into_iter().map(|row| row[0].chars().count()).max();
    assert_eq!(longest, Some(201));
}

/// Texts of every kind, each of which says what it is.
#[test]
fn texts_of_runs_are_shown_on_request_only() {
    let export = TestExport::of_ended_runs(0);
    let members = json!({
        "workflow_name": "secretive", "prompt": "planted prompt", "status": "fail",
        "error_message": "planted error", "system_prompt": "planted member",
    });
    let mut run = hand_made_run("telling", &members);
    run.listing["status"] = json!("fail");
    run.documents.insert(
        Endpoint::ToolCalls,
        Some(json!({"rows": [{
            "id": "call", "tool_name": "search", "arguments": {"q": "planted argument"},
            "result": {"text": "planted result"}, "is_error": true,
            "error_message": format!("planted tool error {}", "y".repeat(1000)),
        }]})),
    );
    run.documents.insert(
        Endpoint::Trace,
        Some(json!({"spans": [{"id": "s", "name": "planted span", "output": "planted thought"}]})),
    );
    run.documents.insert(
        Endpoint::Evaluation,
        Some(json!({
            "verdict": "fail", "summary": "planted summary <b>bold</b>", "criteria": [{
                "id": "c", "text": "It is polite", "is_required": true, "verdict": "fail",
                "rationale": "planted rationale", "excerpts": [{"text": "planted excerpt"}],
            }],
        })),
    );
    export.simulator.override_run(run);
    assert_eq!(export.run(&["sync"]).code, Some(0));
    let silent = page(&export, &[]);
    assert_eq!(silent.table("failures").len(), 1);
    assert!(silent.html.contains("It is polite"));
    assert!(!silent.html.contains("planted"), "{}", silent.text());
    let telling = page(&export, &["--evidence"]);
    let text = telling.text();
    for shown in ["planted error", "planted summary <b>bold</b>", "planted rationale"] {
        assert!(text.contains(shown), "{shown}: {text}");
    }
    assert!(text.contains("search: planted tool error yyy") && !text.contains(&"y".repeat(300)));
    for hidden in ["prompt", "member", "argument", "result", "span", "thought", "excerpt"] {
        assert!(!telling.html.contains(&format!("planted {hidden}")), "{hidden}");
    }
}

/// The pages that `make bi-report` opens in a browser, with what their tables must say.
#[test]
#[ignore = "`make bi-report` opens the pages in a browser"]
fn pages_for_a_browser() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bi/report");
    fs::create_dir_all(&folder).unwrap();
    let hostile: Vec<String> = HOSTILE.iter().map(|name| (*name).to_owned()).collect();
    let synced = |export: TestExport| {
        assert_eq!(export.run(&["sync"]).code, Some(0));
        export
    };
    let exports = [
        ("world", synced(TestExport::new(ended_runs(600)))),
        ("hostile", export_of_names(&hostile)),
        ("empty", synced(TestExport::of_ended_runs(0))),
        ("one", synced(TestExport::of_ended_runs(1))),
    ];
    for (name, export) in exports {
        let made = page(&export, &["--range", "all", "--evidence"]);
        fs::write(folder.join(format!("{name}.html")), &made.html).unwrap();
        // A cell of a hostile name is compared as the page shows it: see the other tests.
        let tables = super::figures::TABLES.into_iter().filter(|_| name != "hostile");
        let tables: serde_json::Map<String, serde_json::Value> =
            tables.map(|(id, sql)| (id.to_owned(), json!(cells(&export.duckdb, sql)))).collect();
        let text = serde_json::to_string(&tables).unwrap();
        fs::write(folder.join(format!("{name}.json")), text).unwrap();
    }
}
