//! Tests of the simulator over plain TCP.

mod bad_days;
mod faults;
mod lists;
mod oracle;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::*;

struct Received {
    status: u16,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Received {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn length(&self) -> usize {
        self.headers["content-length"].parse().unwrap()
    }
}

async fn request(simulator: &Simulator, path: &str, key: Option<&str>) -> Received {
    let port = simulator.port();
    let authorization = key.map_or(String::new(), |key| format!("Authorization: Bearer {key}\r\n"));
    let head = format!(
        "GET /api/armature/v1{path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: test\r\n\
         Connection: close\r\n{authorization}\r\n"
    );
    tokio::task::spawn_blocking(move || exchange(port, &head)).await.unwrap()
}

fn exchange(port: u16, head: &str) -> Received {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    let mut received = Vec::new();
    // A broken connection ends the body just like a closed one.
    let _ended = stream.read_to_end(&mut received);
    let end = received.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(received[..end].to_vec()).unwrap();
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines
        .map(|line| line.split_once(": ").unwrap())
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    Received { status, headers, body: received[end + 4..].to_vec() }
}

async fn get(simulator: &Simulator, path: &str) -> Received {
    request(simulator, path, Some("amt_test_secret")).await
}

fn birth() -> DateTime<Utc> {
    "2026-11-24T10:00:00.250Z".parse().unwrap()
}

fn settings(runs: u32) -> SimulatorSettings {
    let world = WorldSettings { runs, ..WorldSettings::default() };
    SimulatorSettings { world, start: Some(birth()), ..SimulatorSettings::default() }
}

async fn start(runs: u32) -> Simulator {
    Simulator::start(settings(runs)).await.unwrap()
}

/// All ids of a list, in order, read page by page until an empty page.
async fn listed(simulator: &Simulator, query: &str, first_page: u32) -> Vec<String> {
    let mut ids = Vec::new();
    for page in first_page.. {
        let body = get(simulator, &format!("/runs?{query}&page={page}")).await.json();
        let rows = body["rows"].as_array().unwrap();
        if rows.is_empty() {
            break;
        }
        assert!(rows.len() <= 100);
        ids.extend(rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()));
    }
    ids
}
