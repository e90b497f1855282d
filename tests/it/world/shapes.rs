//! The same world in every shape that its bodies could have.

use armature_export::simulator::{
    Casing, DocumentDialect, ListEnvelope, Shape, SimulatorSettings, WorldSettings,
};

use crate::support::TestExport;

async fn check(shape: Shape) {
    let export = TestExport::new(SimulatorSettings {
        world: WorldSettings { runs: 50, ..WorldSettings::default() },
        // Three pages or more.
        shape: Shape { maximum_page_size: shape.maximum_page_size.min(20), ..shape },
        ..SimulatorSettings::default()
    });
    let report = export.sync().await;
    assert!(report.sweep.certified, "{shape:?}: {:?}", report.sweep);
    export.assert_equals_the_world();
    let report = export.sync().await;
    assert_eq!((report.runs.new, report.runs.changed), (0, 0), "{shape:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_envelope_and_spelling() {
    for list in [
        ListEnvelope::Rows,
        ListEnvelope::Runs,
        ListEnvelope::Data,
        ListEnvelope::Items,
        ListEnvelope::Results,
        ListEnvelope::Bare,
    ] {
        check(Shape { list, casing: Casing::Camel, wrapped: true, ..Shape::default() }).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_that_say_the_same_in_other_ways() {
    for documents in [DocumentDialect::Nested, DocumentDialect::Epoch] {
        for casing in [Casing::Snake, Casing::Camel] {
            check(Shape { documents, casing, ..Shape::default() }).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_from_zero_with_and_without_echo() {
    for has_page_echo in [true, false] {
        for page_base in [0, 1] {
            let shape = Shape { page_base, has_page_echo, has_total: false, ..Shape::default() };
            check(shape).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_size_that_is_clamped_in_silence() {
    let shape = Shape { maximum_page_size: 7, has_page_echo: false, ..Shape::default() };
    check(Shape { has_total: false, ..shape }).await;
    check(shape).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_as_text() {
    check(Shape { numbers_as_text: true, ..Shape::default() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_ignores_the_page_number_is_found_out() {
    for told in [true, false] {
        let shape = Shape { has_page_echo: told, has_total: told, ..Shape::default() };
        let export = TestExport::new(SimulatorSettings {
            world: WorldSettings { runs: 130, ..WorldSettings::default() },
            shape: Shape { ignores_page: true, ..shape },
            ..SimulatorSettings::default()
        });
        let report = export.sync().await;
        // Narrower lists have fewer than a page of runs each: what there is comes all the same, and
        // the total tells whether it is all.
        assert!(report.sweep.narrower_lists > 0, "{:?}", report.sweep);
        assert_eq!(report.runs.listed, 130);
        assert_eq!(report.sweep.certified, told, "{:?}", report.sweep);
        if !told {
            let told = report.reasons().join("\n");
            assert!(told.contains("the same page for any `page`"), "{told}");
        }
    }
}
