//! Bodies that the simulator made, fetched once: what all other runs are copies of.

use std::collections::BTreeMap;

use armature_export::simulator::{Simulator, SimulatorSettings, WorldSettings};
use bytes::Bytes;
use chrono::DateTime;
use futures::StreamExt;
use reqwest::Client;
use serde_json::Value;

use crate::template::Template;

/// What stands behind a run's own path, document by document.
pub(crate) const DOCUMENTS: [&str; 4] = ["", "/trace", "/evaluation", "/tool-calls"];

/// Where among them the trace is.
pub(crate) const TRACE: usize = 1;

/// What is asked for once, however many runs there are.
const FIXED: [&str; 3] = ["/org", "/workflows", "/mcp-servers"];

/// Runs whose documents are under way at once.
const AT_ONCE: usize = 4;

/// One run: its row in the list, and its documents as far as it has them.
#[derive(Debug)]
pub(crate) struct SimulatedRun {
    /// Milliseconds since 1970.
    pub(crate) start: i64,
    pub(crate) row: Template,
    pub(crate) documents: [Option<Template>; 4],
}

/// A whole simulated world.
#[derive(Debug)]
pub(crate) struct Simulated {
    pub(crate) runs: Vec<SimulatedRun>,
    /// Bodies that belong to no run, by path.
    pub(crate) fixed: BTreeMap<&'static str, Bytes>,
}

impl Simulated {
    /// So many runs, all ended and judged.
    pub(crate) async fn make(runs: usize) -> Self {
        let simulator = Simulator::start(settings(runs)).await.unwrap();
        let source = Source { client: Client::new(), base: simulator.base_url() };
        let mut fixed = BTreeMap::new();
        for path in FIXED {
            fixed.insert(path, source.get(path).await.unwrap());
        }
        let rows = source.rows().await;
        let made = futures::stream::iter(&rows).map(|row| source.run(row));
        let made: Vec<SimulatedRun> = made.buffered(AT_ONCE).collect().await;
        assert_eq!(made.len(), runs);
        simulator.stop().await;
        Self { runs: made, fixed }
    }
}

fn settings(runs: usize) -> SimulatorSettings {
    let runs = u32::try_from(runs).unwrap();
    SimulatorSettings {
        // An hour ago, so that what comes late has come.
        birth: Some(chrono::Utc::now() - chrono::Duration::hours(1)),
        world: WorldSettings { runs, seconds_between_runs: 0.0, ..WorldSettings::default() },
        record_requests: false,
        ..SimulatorSettings::default()
    }
}

struct Source {
    client: Client,
    base: String,
}

impl Source {
    /// `None` for 404.
    async fn get(&self, path: &str) -> Option<Bytes> {
        let url = format!("{}{path}", self.base);
        let answer = self.client.get(url).bearer_auth("amt_bench_key").send().await.unwrap();
        if !answer.status().is_success() {
            return None;
        }
        Some(answer.bytes().await.unwrap())
    }

    async fn rows(&self) -> Vec<Value> {
        let mut rows = Vec::new();
        for page in 1.. {
            let path = format!("/runs?range=30d&pageSize=100&page={page}");
            let body: Value = serde_json::from_slice(&self.get(&path).await.unwrap()).unwrap();
            let more = body["rows"].as_array().unwrap();
            if more.is_empty() {
                break;
            }
            rows.extend_from_slice(more);
        }
        rows
    }

    async fn run(&self, row: &Value) -> SimulatedRun {
        let id = row["id"].as_str().unwrap();
        let mut documents = [const { None }; 4];
        for (document, rest) in documents.iter_mut().zip(DOCUMENTS) {
            let body = self.get(&format!("/runs/{id}{rest}")).await;
            *document = body.map(|body| Template::new(body.to_vec(), id));
        }
        let start = row["started_at"].as_str().unwrap();
        let start = DateTime::parse_from_rfc3339(start).unwrap().timestamp_millis();
        let row = Template::new(serde_json::to_vec(row).unwrap(), id);
        SimulatedRun { start, row, documents }
    }
}
