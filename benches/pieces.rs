//! The hot pieces on their own: bodies → rows → parts → a commit → DuckDB.

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on panics")]
#![expect(clippy::disallowed_methods, reason = "it is about real time")]

use std::sync::Arc;

use armature_export::config::{DuckdbSettings, Filters};
use armature_export::data_files::ChunkWriter;
use armature_export::event::Events;
use armature_export::json::Node;
use armature_export::lake::{CommitBuilder, Lake};
use armature_export::normalize::{ExportContext, Normalizer};
use armature_export::run::{Document, DocumentState, FetchedRun, Resource};
use armature_export::simulator::{Simulator, SimulatorSettings, WorldSettings};
use armature_export::tables::Mapping;
use armature_export::targets::duckdb::{DeliveryOptions, deliver};
use armature_export::time::Timestamp;
use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use tokio::runtime::Runtime;

/// About a chunk of a real export.
const RUNS: u32 = 400;

fn export() -> ExportContext {
    ExportContext {
        extracted_at: Timestamp::from_micros(1_795_435_200_000_000),
        organization_id: Some("organization".to_owned()),
        dashboard_url: "https://example.armature.app".to_owned(),
        keep_documents: true,
    }
}

/// Runs with all of their documents, as the simulator gives them.
async fn fetched() -> Vec<FetchedRun> {
    let settings = SimulatorSettings {
        world: WorldSettings { runs: RUNS, seconds_between_runs: 0.0, ..WorldSettings::default() },
        birth: Some(chrono::Utc::now() - chrono::Duration::hours(1)),
        ..SimulatorSettings::default()
    };
    let simulator = Simulator::start(settings).await.unwrap();
    let client = reqwest::Client::new();
    let mut runs = Vec::new();
    for (run_id, start) in simulator.world().run_starts(simulator.now()) {
        let mut documents = Vec::new();
        for resource in Resource::FETCHED {
            let url = format!("{}/runs/{run_id}{}", simulator.base_url(), resource.path_suffix());
            let answer = client.get(url).bearer_auth("amt_bench_key").send().await.unwrap();
            if answer.status().is_success() {
                let body = answer.bytes().await.unwrap();
                documents.push(Document { resource, page: 1, body, http_date: None });
            }
        }
        runs.push(FetchedRun {
            run_id,
            started_at: Some(start.into()),
            ended_at: None,
            status: None,
            revision: 1,
            evaluation: DocumentState::Ok,
            documents,
            shortfalls: Vec::new(),
        });
    }
    runs
}

fn bodies(runs: &[FetchedRun]) -> Vec<Bytes> {
    runs.iter().flat_map(|run| run.documents.iter().map(|document| document.body.clone())).collect()
}

fn pieces(criterion: &mut Criterion) {
    armature_export::tls::install();
    let runtime = Runtime::new().unwrap();
    let runs = runtime.block_on(fetched());
    let bodies = bodies(&runs);
    let mapping = Arc::new(Mapping::new(&[], &[]).unwrap());
    let writer = ChunkWriter {
        mapping: Arc::clone(&mapping),
        export: export(),
        sync_id: "bench".to_owned(),
        compression_level: 3,
    };
    let bytes = bodies.iter().map(Bytes::len).sum::<usize>();
    let mut group = criterion.benchmark_group("pieces");
    group.sample_size(20);
    group.throughput(Throughput::Bytes(u64::try_from(bytes).unwrap()));

    group.bench_function("bodies are checked", |bencher| {
        bencher.iter(|| bodies.iter().filter(|body| Node::parse(body).is_ok()).count());
    });
    group.bench_function("bodies become rows", |bencher| {
        bencher.iter(|| {
            let mut normalizer = Normalizer::new(&mapping, export(), 1);
            for run in &runs {
                normalizer.append(run);
            }
            normalizer.finish().unwrap().len()
        });
    });
    group.bench_function("bodies become parts", |bencher| {
        bencher.iter_batched(
            || runs.clone(),
            |runs| writer.write(1, runs).unwrap().len(),
            BatchSize::LargeInput,
        );
    });
    group.bench_function("parts become a commit", |bencher| {
        bencher.iter_batched(
            || (tempfile::tempdir().unwrap(), writer.write(1, runs.clone()).unwrap()),
            |(folder, parts)| {
                runtime.block_on(async {
                    let mut lake = Lake::open(&folder.path().join("lake")).await.unwrap();
                    let mut staging = lake.stage();
                    staging.add(parts).await.unwrap();
                    lake.commit(staging, CommitBuilder::default()).await.unwrap();
                });
                folder
            },
            BatchSize::PerIteration,
        );
    });
    group.bench_function("a commit reaches DuckDB", |bencher| {
        bencher.iter_batched(
            || {
                let folder = tempfile::tempdir().unwrap();
                let parts = writer.write(1, runs.clone()).unwrap();
                let lake = runtime.block_on(async {
                    let mut lake = Lake::open(&folder.path().join("lake")).await.unwrap();
                    lake.bind(None, &Filters::default()).await.unwrap();
                    let mut staging = lake.stage();
                    staging.add(parts).await.unwrap();
                    lake.commit(staging, CommitBuilder::default()).await.unwrap();
                    lake
                });
                (folder, lake)
            },
            |(folder, lake)| {
                let path = folder.path().join("runs.duckdb");
                let settings = DuckdbSettings { path, ..DuckdbSettings::default() };
                let options = DeliveryOptions::new(&settings, Events::none());
                runtime.block_on(deliver(lake.view(), &mapping, &options)).unwrap();
                folder
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, pieces);
criterion_main!(benches);
