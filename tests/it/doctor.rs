//! What `doctor` says of an API before the first sync: what a sync would find, and what to do.

use crate::iceberg::edit_metadata;
use crate::support::{TestExport, answer, ended_runs, hand_made_run};
use armature_export::simulator::{
    Answer, Endpoint, Paging, PagingStyle, Rule, Shape, SimulatorSettings,
};
use insta::assert_snapshot;
use serde_json::{Value, json};

fn export_of(shape: Shape) -> TestExport {
    TestExport::new(SimulatorSettings { shape, ..ended_runs(60) })
}

/// Exit code and findings, without the mapping below them. Sizes of bodies differ with ids.
fn findings(export: &TestExport) -> String {
    let ran = export.run(&["doctor"]);
    let text = export.run(&["doctor"]).stdout;
    let end = text.trim_end().rsplit('\n').next().unwrap_or_default().to_owned();
    let lines = text.lines().take_while(|line| !line.is_empty());
    let mut lines: Vec<&str> = lines.filter(|line| !line.contains(" bytes, ")).collect();
    // How far this machine's clock is off the simulated one changes with every run.
    if let Some(clock) = lines.iter().position(|line| line.starts_with("warning  clock")) {
        lines.drain(clock..clock + 2);
    }
    let code = ran.code.unwrap();
    ran.with_placeholders(&format!("exit {code}\n{}\n{end}", lines.join("\n")))
}

#[test]
fn an_api_as_it_is_expected() {
    assert_snapshot!(findings(&export_of(Shape::default())));
}

#[test]
fn each_style_of_paging_is_shown() {
    let mut shown = Vec::new();
    for style in PagingStyle::ALL {
        let paging = Paging { style, ..Paging::default() };
        let shape = Shape { maximum_page_size: 20, paging, ..Shape::default() };
        let text = findings(&export_of(shape));
        shown.extend(text.lines().filter(|line| line.contains("  pages ")).map(str::to_owned));
    }
    assert_snapshot!(shown.join("\n"));
}

#[test]
fn a_list_that_cannot_be_read_on_is_not_ready() {
    let paging = Paging { has_more: true, ..Paging::default() };
    let shape = Shape { ignores_page: true, has_total: false, paging, ..Shape::default() };
    let told = findings(&export_of(Shape { maximum_page_size: 20, ..shape }));
    assert!(told.starts_with("exit 3") && told.ends_with("not ready: 1 failed"), "{told}");
    assert!(told.contains("the same page for any `page`"), "{told}");
}

#[test]
fn a_range_that_the_plan_does_not_have() {
    let paging = Paging { largest_range_days: Some(7), ..Paging::default() };
    let export = export_of(Shape { paging, ..Shape::default() });
    let told = findings(&export);
    assert!(told.contains("range=30d is refused") && told.starts_with("exit 0"), "{told}");
    // As the sync does.
    assert_eq!(export.run(&["sync"]).code, Some(0));
    export.configure("[sync]\nrange = \"30d\"\n");
    assert_eq!(export.run(&["doctor"]).code, Some(2));
    assert_eq!(export.run(&["sync"]).code, Some(2));
}

#[test]
fn rows_that_are_announced_and_do_not_come() {
    let paging = Paging { document_rows: Some(2), withholds_rows: true, ..Paging::default() };
    let told = findings(&export_of(Shape { paging, ..Shape::default() }));
    assert!(told.contains("2 rows were received, but"), "{told}");
}

/// Bodies that the mapping does not fit: each is named, with what to write.
#[test]
fn what_the_mapping_does_not_fit() {
    let export = TestExport::of_ended_runs(0);
    let mut run = hand_made_run("r", &json!({"duration": 17, "cost_usd": "free"}));
    let set = |run: &mut armature_export::simulator::RunOverride, endpoint, body: Value| {
        run.documents.insert(endpoint, Some(body));
    };
    set(
        &mut run,
        Endpoint::Trace,
        json!({"spans": [{"id": "s"}], "screenshots": [{"id": "shot"}]}),
    );
    set(&mut run, Endpoint::Evaluation, json!({"verdict": "pass", "assessments": [{"grade": 1}]}));
    run.listing["status"] = json!("galvanized");
    export.simulator.override_run(run);
    export.configure(
        "[[columns]]\ntable = \"runs\"\nname = \"team\"\nkind = \"text\"\nsources = [\"no.where\"]\n",
    );
    assert_snapshot!(findings(&export));
}

#[test]
fn the_apis_own_description_is_saved() {
    let export = TestExport::of_ended_runs(3);
    let body = json!({"openapi": "3.0.3", "paths": {}}).to_string();
    export.simulator.add_rule(Rule::new(Endpoint::OpenApi, answer(200, body.clone())));
    let ran = export.run(&["doctor", "--save-openapi", "openapi.json"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stdout);
    assert_eq!(std::fs::read_to_string(export.path("openapi.json")).unwrap(), body);
}

/// A listed run that is not known by its id says what a sync would say.
#[test]
fn listed_runs_that_are_not_known_by_their_ids() {
    let export = TestExport::of_ended_runs(3);
    let unknown = Answer::Status { status: 404, headers: vec![], body: "{}".to_owned() };
    export.simulator.add_rule(Rule::new(Endpoint::Run, unknown));
    let told = findings(&export);
    assert!(told.starts_with("exit 3") && told.contains("`GET /runs/{id}` answers 404"), "{told}");
}

/// The Iceberg tables: not there yet, there, late, and those that a delivery would refuse.
#[test]
fn iceberg_tables_and_how_far_they_are() {
    let export = TestExport::of_growing_world(3);
    let told = |export: &TestExport| {
        let told = findings(export);
        let mut lines = told.lines().skip_while(|line| !line.contains("  iceberg "));
        let shown = lines.by_ref().take(2).collect::<Vec<_>>().join("\n");
        format!("{} {}", told.lines().next().unwrap(), shown.trim_end())
    };
    assert!(!findings(&export).contains("iceberg"), "it is not configured");
    let with_tables = "[iceberg]\ncatalog = \"files\"\n";
    export.configure(with_tables);
    let mut shown = vec![told(&export)];
    export.configure("");
    assert_eq!(export.run(&["sync"]).code, Some(0));
    export.configure(with_tables);
    shown.push(told(&export));
    assert_eq!(export.run(&["deliver"]).code, Some(0));
    shown.push(told(&export));
    export.configure("");
    export.simulator.advance(chrono::Duration::hours(1));
    assert_eq!(export.run(&["sync"]).code, Some(0));
    export.configure(with_tables);
    shown.push(told(&export));
    edit_metadata(&export.lake, "runs", |table| {
        table["properties"]["armature.lake"] = json!("00000000-0000-0000-0000-000000000000");
    });
    shown.push(told(&export));
    assert_snapshot!(shown.join("\n\n"), @"
    exit 0 ok       iceberg        `[dir]/lake/_iceberg` is new: the first sync makes the tables
    ready to sync, warnings: 1

    exit 0 ok       iceberg        `[dir]/lake/_iceberg` is new: the next sync makes the tables
    ready to sync, warnings: 1

    exit 0 ok       iceberg        the tables in `[dir]/lake/_iceberg` are there, with commit 1
    ready to sync, warnings: 1

    exit 0 warning  iceberg        the tables in `[dir]/lake/_iceberg` have commit 1, and the lake has commit 2
                             → `armature-export deliver` or the next sync brings them up to date

    exit 6 FAILED   iceberg        the Iceberg table `file://[dir]/lake/_iceberg/runs` belongs to another lake
                             → the lake is intact; `armature-export deliver --rebuild` registers its files in the table anew
    ");
}
