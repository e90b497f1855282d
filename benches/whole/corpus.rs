//! What a static server answers: every body of a simulated world, made once and kept in memory.

use std::collections::BTreeMap;

use armature_export::simulator::{Simulator, SimulatorSettings, WorldSettings};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use reqwest::Client;
use serde_json::Value;

/// The base path of the API.
pub(crate) const BASE: &str = "/api/armature/v1";

/// Requests under way at once while bodies are made.
const AT_ONCE: usize = 8;

/// Bodies by path; those of the list by its page.
pub(crate) struct Corpus {
    pub(crate) runs: usize,
    pages: Vec<Bytes>,
    bodies: BTreeMap<String, Bytes>,
}

impl Corpus {
    /// Makes a world of so many runs, all ended and judged, in the last 29 days.
    pub(crate) async fn make(runs: u32) -> Self {
        let world = WorldSettings { runs, seconds_between_runs: 0.0, ..WorldSettings::default() };
        let settings = SimulatorSettings {
            // An hour ago, so that what comes late has come.
            birth: Some(chrono::Utc::now() - chrono::Duration::hours(1)),
            world,
            record_requests: false,
            ..SimulatorSettings::default()
        };
        let simulator = Simulator::start(settings).await.unwrap();
        let client = Client::new();
        let base = simulator.base_url();
        let mut corpus = Self { runs: 0, pages: Vec::new(), bodies: BTreeMap::new() };
        let mut ids = Vec::new();
        loop {
            let page = corpus.pages.len() + 1;
            let path = format!("/runs?range=30d&pageSize=100&page={page}");
            let body = get(&client, &base, &path).await.unwrap();
            let list: Value = serde_json::from_slice(&body).unwrap();
            let rows = list["rows"].as_array().unwrap();
            ids.extend(rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()));
            let is_last = rows.is_empty();
            corpus.pages.push(body);
            if is_last {
                break;
            }
        }
        corpus.runs = ids.len();
        let small = ["/org", "/workflows", "/mcp-servers"].map(str::to_owned);
        let documents = ids.iter().flat_map(|id| {
            ["", "/trace", "/evaluation", "/tool-calls"].map(|rest| format!("/runs/{id}{rest}"))
        });
        let made = futures::stream::iter(small.into_iter().chain(documents).map(|path| {
            let (client, base) = (&client, &base);
            async move { (get(client, base, &path).await, path) }
        }));
        let made: Vec<_> = made.buffer_unordered(AT_ONCE).collect().await;
        let found = made.into_iter().filter_map(|(body, path)| Some((path, body?)));
        corpus.bodies.extend(found);
        simulator.stop().await;
        corpus
    }

    /// The answer to a request; `None` for 404.
    pub(crate) fn answer(&self, path: &str, query: Option<&str>) -> Option<Bytes> {
        let path = path.strip_prefix(BASE)?;
        if path != "/runs" {
            return self.bodies.get(path).cloned();
        }
        let mut pages = query.unwrap_or_default().split('&');
        let page = pages.find_map(|pair| pair.strip_prefix("page=")?.parse::<usize>().ok());
        self.pages.get(page.unwrap_or(1).saturating_sub(1)).or(self.pages.last()).cloned()
    }

    /// Every path that a first export asks for.
    pub(crate) fn paths(&self) -> Vec<String> {
        let pages = (1..self.pages.len()).map(|page| format!("/runs?range=30d&page={page}"));
        pages.chain(self.bodies.keys().cloned()).collect()
    }

    /// Bytes of all bodies together.
    pub(crate) fn bytes(&self) -> usize {
        self.pages.iter().chain(self.bodies.values()).map(Bytes::len).sum()
    }
}

async fn get(client: &Client, base: &str, path: &str) -> Option<Bytes> {
    let url = format!("{base}{path}");
    let answer = client.get(url).bearer_auth("amt_bench_key").send().await.unwrap();
    if !answer.status().is_success() {
        return None;
    }
    Some(answer.bytes().await.unwrap())
}

/// How long the bare requests take: every path once, every body read, 32 under way at once.
pub(crate) async fn bare_requests(base: &str, paths: &[String]) -> std::time::Duration {
    let client = Client::new();
    let started = std::time::Instant::now();
    let asked = futures::stream::iter(paths).map(|path| {
        let request = client.get(format!("{base}{path}"));
        async move { request.send().await?.bytes().await }
    });
    let asked: Result<Vec<Bytes>, reqwest::Error> = asked.buffer_unordered(32).try_collect().await;
    assert_eq!(asked.unwrap().len(), paths.len());
    started.elapsed()
}
