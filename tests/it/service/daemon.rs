//! The binary while it stays up.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::{Method, StatusCode, Uri};
use serde_json::Value;

use super::exposition::{self, Exposition};
use crate::support::TestExport;

/// What must come, comes within this time also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// A running `schedule`. It is killed when dropped.
pub(crate) struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts `schedule` with a configuration.
    pub(crate) fn start(export: &TestExport, configuration: &str) -> Self {
        Self::start_as(export, configuration, "log")
    }

    /// Starts one whose log has a name of its own.
    pub(crate) fn start_as(export: &TestExport, configuration: &str, name: &str) -> Self {
        export.configure(configuration);
        let log = export.path(name);
        let mut command = export.command(&["--log-format", "json", "schedule"]);
        command.stdout(Stdio::null()).stderr(File::create(&log).unwrap());
        Self { child: command.spawn().unwrap(), log }
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// How many log lines hold some words.
    pub(crate) fn count(&self, words: &str) -> usize {
        self.log().lines().filter(|line| line.contains(words)).count()
    }

    /// Waits until so many log lines hold some words.
    pub(crate) async fn wait_for(&mut self, words: &str, times: usize) {
        let started = Instant::now();
        while self.count(words) < times {
            let ended = self.child.try_wait().unwrap();
            let waited = started.elapsed();
            assert!(
                ended.is_none() && waited < PATIENCE,
                "`{words}` did not come {times} times ({ended:?}):\n{}",
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits for one more sync that is complete.
    pub(crate) async fn wait_for_a_complete_sync(&mut self) {
        const COMPLETE: &str = "\"outcome\":\"complete\"";
        let so_far = self.count(COMPLETE);
        // The one under way may have begun before; the one after it has not.
        self.wait_for(COMPLETE, so_far + 2).await;
    }

    /// Sends a signal, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").arg(format!("-{name}")).arg(pid).status().unwrap();
        assert!(status.success());
    }

    /// Waits for its end; `None` where a signal ended it.
    pub(crate) async fn ended(&mut self) -> Option<i32> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(started.elapsed() < PATIENCE, "it does not end:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Where its endpoints are.
    pub(crate) fn address(&self) -> String {
        let log = self.log();
        let line = log.lines().find(|line| line.contains("serving /healthz")).unwrap();
        let line: Value = serde_json::from_str(line).unwrap();
        let words = line["message"].as_str().unwrap();
        words.rsplit_once("http://").unwrap().1.to_owned()
    }

    /// Asks one of its endpoints.
    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        let url = format!("http://{}{path}", self.address());
        armature_export::tls::install();
        let answer = reqwest::get(url).await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// Its metrics, which must be well written.
    pub(crate) async fn metrics(&self) -> Exposition {
        let (status, text) = self.get("/metrics").await;
        assert_eq!(status, 200);
        exposition::parse(&text).unwrap_or_else(|problem| panic!("{problem}\n{text}"))
    }

    /// Resident memory in kilobytes, and open file handles.
    #[cfg(target_os = "linux")]
    pub(crate) fn footprint(&self) -> (u64, usize) {
        let process = Path::new("/proc").join(self.child.id().to_string());
        let status = fs::read_to_string(process.join("status")).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
        let resident = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        (resident, fs::read_dir(process.join("fd")).unwrap().count())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            self.child.kill().unwrap();
            self.child.wait().unwrap();
        }
    }
}

/// Takes messages, and remembers them: method, path and body.
#[derive(Clone, Default)]
pub(crate) struct Receiver {
    heard: Arc<Mutex<Vec<(String, String, String)>>>,
    /// Answers in place of 200, first come first served.
    refusals: Arc<Mutex<Vec<u16>>>,
}

impl Receiver {
    /// Listens from now on; where.
    pub(crate) async fn start(&self) -> String {
        let this = self.clone();
        let answer = move |method: Method, uri: Uri, body: String| {
            let this = this.clone();
            async move {
                if uri.path() == "/hang" {
                    std::future::pending::<()>().await;
                }
                let refusal = this.refusals.lock().unwrap().pop();
                if let Some(status) = refusal {
                    return StatusCode::from_u16(status).unwrap();
                }
                let heard = (method.to_string(), uri.path().to_owned(), body);
                this.heard.lock().unwrap().push(heard);
                StatusCode::OK
            }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(answer);
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        format!("http://{address}")
    }

    /// The next request is answered so, and not heard.
    pub(crate) fn refuse(&self, status: u16) {
        self.refusals.lock().unwrap().push(status);
    }

    /// What was heard so far.
    pub(crate) fn heard(&self) -> Vec<(String, String, String)> {
        self.heard.lock().unwrap().clone()
    }

    /// The messages so far, without pings.
    pub(crate) fn messages(&self) -> Vec<Value> {
        let heard = self.heard().into_iter().filter(|(method, _, _)| method == "POST");
        heard.map(|(_, _, body)| serde_json::from_str(&body).unwrap()).collect()
    }

    /// Waits for so many messages.
    pub(crate) async fn wait_for(&self, messages: usize, daemon: &Daemon) {
        let started = Instant::now();
        while self.messages().len() < messages {
            let waited = started.elapsed();
            assert!(waited < PATIENCE, "{:?}\n{}", self.messages(), daemon.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
