//! Another process that has a DuckDB file open for writing.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::TestExport;

impl TestExport {
    /// Another process that has the DuckDB file open for writing.
    pub(crate) fn hold_database(&self) -> Holder {
        Holder::start(&self.duckdb)
    }
}

/// A process of its own that holds a DuckDB file until this is dropped.
pub(crate) struct Holder(Child);

impl Holder {
    fn start(path: &Path) -> Self {
        let (_, module) = module_path!().split_once("::").unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([&format!("{module}::hold"), "--exact", "--ignored", "--nocapture"])
            .env("HOLD_DATABASE", path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let held = lines.map_while(Result::ok).any(|line| line.contains("holding"));
        assert!(held, "the holder did not start");
        Self(child)
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// Not a test: what [`Holder`] runs in a process of its own.
#[test]
#[ignore = "run by other tests as a process of its own"]
#[expect(clippy::disallowed_methods, reason = "how the other process is told what to hold")]
fn hold() {
    let path = std::env::var_os("HOLD_DATABASE").expect("only other tests run this");
    let _connection = duckdb::Connection::open(path).unwrap();
    println!("holding");
    loop {
        std::thread::park();
    }
}
