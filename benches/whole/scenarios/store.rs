//! The same exports into a lake in an object store: SeaweedFS, on this machine.

use std::path::Path;
use std::sync::Arc;

use crate::exported;
use crate::figures::{Series, count, megabytes};
use crate::process::{Taken, sync_with};
use crate::report::Table;
use crate::server::Server;
use crate::stores::fault_proxy::{FaultProxy, Kind, Traffic};
use crate::stores::server::{ObjectStoreServer, unique_prefix};

use super::Bench;

const TIMES: usize = 5;

const COLUMNS: [&str; 11] = [
    "what",
    "median of",
    "s",
    "least–most",
    "× local disk",
    "goal",
    "peak memory, MB: median, most",
    "requests: writes and lists",
    "reads",
    "MB sent",
    "MB received",
];

/// What an export writes besides the lake.
#[derive(Clone, Copy, Debug)]
struct Form {
    name: &'static str,
    configuration: &'static str,
}

const FORMS: [Form; 2] = [
    Form { name: "whole export", configuration: "" },
    Form { name: "lake only", configuration: "documents = false\n[duckdb]\nenabled = false\n" },
];

pub(super) fn measure(bench: &Bench) -> Table {
    let runs = bench.sizes.store;
    let title = format!("A lake in an object store, {} runs", count(runs));
    if !Path::new(env!("CARGO_MANIFEST_DIR")).join(".stores/seaweedfs").exists() {
        let note = "Left out: SeaweedFS is not installed; `make bench` fetches it.";
        return Table::new(&title, note, &COLUMNS);
    }
    let note = "SeaweedFS on this machine: it shares the processors with the export. Each time in turn \
                with an export to the local disk. Requests and bytes are those of one more export, \
                through a proxy that counts them; copies inside the store count as writes, and their \
                bytes are not sent.";
    let mut table = Table::new(&title, note, &COLUMNS);
    let corpus = Arc::new(bench.corpus(runs));
    let api = bench.serve(&corpus);
    let store = ObjectStoreServer::seaweedfs();
    for form in FORMS {
        let (mut local, mut remote) = (Series::default(), Series::default());
        for _ in 0..TIMES {
            local.0.push(to_disk(form, &api, runs));
            remote.0.push(Export::new(form, store, &store.endpoint).first(&api, runs));
        }
        let proxy = FaultProxy::start(store.address());
        let counted = Export::new(form, store, &proxy.endpoint(&store.endpoint));
        counted.first(&api, runs);
        let first = proxy.traffic();
        table.row(row(&format!("{}, local disk", form.name), &local, 1.0, None));
        let ratio = remote.seconds() / local.seconds();
        table.row(row(&format!("{}, store", form.name), &remote, ratio, Some(&first)));
        let again = Series(vec![counted.again(&api)]);
        let second = without(&proxy.traffic(), &first);
        let name = format!("{}, second sync with nothing new", form.name);
        let mut cells = row(&name, &again, 1.0, Some(&second));
        // Timed through the proxy, and not compared.
        (cells[4], cells[5]) = (String::new(), String::new());
        table.row(cells);
    }
    table
}

fn row(name: &str, series: &Series, ratio: f64, traffic: Option<&Traffic>) -> [String; 11] {
    let of = |kinds: &[Kind]| {
        let count = |traffic: &Traffic| kinds.iter().map(|kind| traffic.of(*kind)).sum::<u64>();
        traffic.map_or(String::new(), |traffic| count(traffic).to_string())
    };
    let bytes = |bytes: fn(&Traffic) -> u64| {
        let bytes = |traffic| usize::try_from(bytes(traffic)).unwrap();
        traffic.map_or(String::new(), |traffic| format!("{:.1}", megabytes(bytes(traffic))))
    };
    let goal = if traffic.is_some() { "1.5" } else { "" };
    [
        name.to_owned(),
        series.0.len().to_string(),
        format!("{:.2}", series.seconds()),
        series.spread(),
        format!("{ratio:.2}"),
        goal.to_owned(),
        series.memory(),
        of(&[Kind::Put, Kind::PutPart, Kind::Copy, Kind::List, Kind::Other]),
        of(&[Kind::Get, Kind::Head]),
        bytes(|traffic| traffic.sent),
        bytes(|traffic| traffic.received),
    ]
}

/// What a proxy counted since.
fn without(all: &Traffic, before: &Traffic) -> Traffic {
    let requests = all.requests.iter().map(|(kind, count)| (*kind, count - before.of(*kind)));
    Traffic {
        requests: requests.collect(),
        sent: all.sent - before.sent,
        received: all.received - before.received,
    }
}

fn to_disk(form: Form, api: &Server, runs: usize) -> Taken {
    let folder = tempfile::tempdir().unwrap();
    let configuration = format!("[lake]\n{}", form.configuration);
    let taken = sync_with(folder.path(), api.base(), &configuration, &[]);
    exported::check(folder.path(), runs);
    taken
}

/// An export into a prefix of its own.
struct Export {
    folder: tempfile::TempDir,
    configuration: String,
    store: &'static ObjectStoreServer,
}

impl Export {
    fn new(form: Form, store: &'static ObjectStoreServer, endpoint: &str) -> Self {
        let (bucket, prefix) = (store.bucket, unique_prefix("bench"));
        let configuration = format!(
            "[store]\nendpoint = \"{endpoint}\"\nregion = \"us-east-1\"\npath_style = true\n\
             [lake]\npath = \"s3://{bucket}/{prefix}\"\ncache = \"cache\"\n{}",
            form.configuration
        );
        Self { folder: tempfile::tempdir().unwrap(), configuration, store }
    }

    fn first(&self, api: &Server, runs: usize) -> Taken {
        let taken = self.again(api);
        exported::check_database(self.folder.path(), runs);
        taken
    }

    fn again(&self, api: &Server) -> Taken {
        let credentials = [
            ("AWS_ACCESS_KEY_ID", self.store.key_id),
            ("AWS_SECRET_ACCESS_KEY", self.store.secret),
        ];
        sync_with(self.folder.path(), api.base(), &self.configuration, &credentials)
    }
}
