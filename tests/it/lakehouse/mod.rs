//! The example of a lake in an object store in docs/READING.md: a simulator, SeaweedFS as store and catalog, and
//! the exporter with the configuration of the profile `lakehouse` in docker-compose.yml. DuckDB reads the
//! tables by the catalog. Sail expects the metadata of a table in the bucket of its data, where this
//! catalog does not write it: it reads the tables of the catalog `files`, which are over the same files.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use armature_export::simulator::WorldSettings;
use armature_export::tables::ALL;
use serde_json::{Value, json};

use crate::iceberg::assert_rows_of_lake;
use crate::object_stores;
use crate::readme::{LAKEHOUSE, blocks};
use crate::store_lakes::{below, download};
use crate::stores::server::ObjectStoreServer;
use crate::support::{TestExport, block_on, temporary_folder};

/// As in the configuration.
const LAKE: &str = "s3://lake/armature";

/// The program's file for the key, and the addresses and paths that differ from those in containers.
struct Lakehouse {
    export: TestExport,
    server: ObjectStoreServer,
}

impl Lakehouse {
    fn start() -> Self {
        let this = Self {
            export: TestExport::of_world(WorldSettings {
                runs: 60,
                days: 2.0,
                seconds_between_runs: 600.0,
                ..WorldSettings::default()
            }),
            // Its own, as the bucket and the namespace are those of the example.
            server: ObjectStoreServer::start_seaweedfs(),
        };
        fs::write(this.export.path("armature_api_key"), "amt_lakehouse_key").unwrap();
        fs::write(this.export.path("lakehouse_secret"), this.server.secret).unwrap();
        this.export.configure(&this.here(&repository_file("config/compose-lakehouse.toml")));
        this
    }

    /// Where the containers have fixed ports and folders, a test has those that are free.
    fn here(&self, text: &str) -> String {
        let catalog = &self.server.catalog.as_ref().unwrap().uri;
        let folder = self.export.folder().display().to_string();
        text.replace("http://127.0.0.1:8333", &self.server.endpoint)
            .replace("127.0.0.1:8333", &self.server.address().to_string())
            .replace("http://127.0.0.1:8181", catalog)
            .replace("/run/secrets", &folder)
            .replace("\"/data", &format!("\"{folder}"))
    }

    fn succeeds(&self, arguments: &[&str]) {
        let mut command = self.export.command(arguments);
        command
            .env_remove("ARMATURE_API_KEY")
            .env("AWS_ACCESS_KEY_ID", self.server.key_id)
            .env("AWS_SECRET_ACCESS_KEY", self.server.secret);
        let ran = self.export.finish(&mut command);
        assert_eq!(ran.code, Some(0), "{arguments:?}: {}{}", ran.stdout, ran.stderr);
    }

    /// Brings the tables of the catalog `files` up to date, with another configuration.
    fn deliver_to_files(&self) {
        let configuration = format!(
            "[lake]\npath = \"{LAKE}\"\ncache = \"cache\"\n[store]\nendpoint = \"{}\"\n\
             [duckdb]\nenabled = false\n[iceberg]\ncatalog = \"files\"\n",
            self.server.endpoint
        );
        fs::write(self.export.path("files.toml"), configuration).unwrap();
        self.succeeds(&["deliver", "--config", "files.toml"]);
    }

    /// Compares the rows of both engines with those of the lake, and those with the world's.
    fn assert_both_engines_read_the_world(&mut self, python: &Path, when: &str) {
        let statements = self.statements();
        let (_, query) = statements.trim_end().rsplit_once(";\n").unwrap();
        assert!(query.starts_with("SELECT"), "the last statement is a query: {query}");
        let (duckdb, sail) = (temporary_folder(), temporary_folder());
        let folder = self.export.folder().display().to_string();
        let by_duckdb =
            run(python, "read_with_duckdb.py", &[&folder, &path(duckdb.path()), &statements]);
        self.deliver_to_files();
        let copy = temporary_folder();
        let objects = object_stores::s3(&self.server, &self.server.endpoint);
        block_on(download(&below(objects, "armature"), copy.path().to_owned()));
        remove_merged(copy.path());
        let tables = ALL.iter().filter(|table| copy.path().join(table.name).exists());
        let out = path(sail.path());
        let query = query.replace("lakehouse.armature.", "");
        let (store, key, secret) = (&self.server.endpoint, self.server.key_id, self.server.secret);
        let mut arguments = vec![out.as_str(), &query, LAKE, store, key, secret];
        arguments.extend(tables.map(|table| table.name));
        let by_sail = run(python, "read_with_sail.py", &arguments);
        for engine in [&duckdb, &sail] {
            assert!(assert_rows_of_lake(copy.path(), engine.path(), when) > 0);
        }
        self.export.lake = copy.path().to_owned();
        self.export.assert_equals_the_world();
        // The program takes the address from the configuration.
        self.export.lake = self.export.path("lake");
        // The same figures as in the DuckDB file, which has one revision of each run.
        let in_file = "SELECT tool_name, count(*), count_if(is_error) FROM tool_calls GROUP BY tool_name \
                       ORDER BY ALL";
        let in_file: Vec<Value> =
            self.export.ask(in_file).into_iter().map(|row| json!(row)).collect();
        for found in [by_duckdb, by_sail] {
            assert_eq!(sorted(&found), in_file, "{when}");
        }
    }

    fn statements(&self) -> String {
        let blocks = blocks(LAKEHOUSE, "sql");
        let [statements] = blocks.as_slice() else { panic!("{blocks:?}") };
        self.here(statements)
    }
}

/// Removes files from a copy of a lake that were merged into others, and are kept for engines that began
/// to read before (`lake.read_by = "tables"`).
fn remove_merged(lake: &Path) {
    let Ok(merges) = fs::read_dir(lake.join("_armature/retired")) else { return };
    for merge in merges {
        let list = fs::read(merge.unwrap().path().join("in_place.json")).unwrap();
        for path in serde_json::from_slice::<Vec<String>>(&list).unwrap() {
            fs::remove_file(lake.join(path)).unwrap();
        }
    }
}

/// The rows of a query, with texts for all values, in order.
fn sorted(found: &Value) -> Vec<Value> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let rows = found.as_array().unwrap().iter().map(|row| row.as_array().unwrap());
    let mut rows: Vec<Vec<String>> = rows.map(|row| row.iter().map(text).collect()).collect();
    rows.sort();
    rows.into_iter().map(|row| json!(row)).collect()
}

fn path(path: &Path) -> String {
    path.display().to_string()
}

fn repository_file(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// Runs a script of this folder; what it prints, as JSON.
fn run(python: &Path, script: &str, arguments: &[&str]) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/lakehouse").join(script);
    let ran = Command::new(python).arg(&script).args(arguments).output().unwrap();
    let told = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{}: {told}", script.display());
    serde_json::from_slice(&ran.stdout).unwrap()
}

/// The engines that `make test` fetches.
fn engines() -> Option<PathBuf> {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join(".engines/bin/python");
    if python.exists() {
        return Some(python);
    }
    crate::support::skip::may_skip("`.engines` is missing, which `make test` fetches");
    None
}

#[test]
fn two_engines_find_the_rows_of_the_world_in_a_bucket() {
    let Some(python) = engines() else { return };
    let mut lakehouse = Lakehouse::start();
    lakehouse.succeeds(&["sync"]);
    lakehouse.assert_both_engines_read_the_world(&python, "after the first sync");
    // Runs that started since, and evaluations that came late.
    lakehouse.export.simulator.advance(chrono::Duration::hours(7));
    lakehouse.succeeds(&["sync"]);
    lakehouse.export.simulator.advance(chrono::Duration::hours(30));
    lakehouse.succeeds(&["sync"]);
    lakehouse.succeeds(&["compact"]);
    lakehouse.assert_both_engines_read_the_world(&python, "after late evaluations and a merge");
    lakehouse.succeeds(&["verify"]);
    lakehouse.succeeds(&["doctor"]);
}
