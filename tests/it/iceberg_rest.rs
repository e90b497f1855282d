//! Iceberg tables in a REST catalog: that of SeaweedFS, also through a proxy that loses what
//! networks lose.

use std::path::Path;
use std::process::Command;

use armature_export::config::{CatalogAuth, IcebergCatalog, IcebergSettings};
use armature_export::lake::{LakeStore, LakeView};
use armature_export::tables::{ColumnOverride, Kind, Mapping};
use armature_export::targets::iceberg::{IcebergOptions, IcebergTarget};
use armature_export::targets::{DeliverError, Delivery, DeliveryReport, Target};
use chrono::Duration;
use serde_json::{Value, json};

use crate::compact::{at, compacted, options, small_commits};
use crate::iceberg::{SmallLake, assert_rows_of_lake, python};
use crate::offline::replay::replayed;
use crate::stores::fault_proxy::{Fault, FaultProxy, Kind as RequestKind, Rule};
use crate::stores::server::{Catalog, ObjectStoreServer, unique_prefix};
use crate::support::{TestExport, temporary_folder};

/// Reads each table of a namespace with PyIceberg, and writes its rows to a Parquet file of its
/// own.
const READ: &str = "
import json, pathlib, sys
import pyarrow.parquet
from pyiceberg.catalog import load_catalog
out, properties, namespace = pathlib.Path(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3]
catalog = load_catalog('catalog', **properties)
for identifier in catalog.list_tables(namespace):
    rows = catalog.load_table(identifier).scan().to_arrow()
    name = {'issues': '_issues'}.get(identifier[-1], identifier[-1])
    pyarrow.parquet.write_table(rows, out / f'{name}.parquet')
";

/// A namespace of its own in the catalog of SeaweedFS.
pub(crate) struct Namespace {
    pub(crate) settings: IcebergSettings,
    pub(crate) catalog: &'static Catalog,
    /// The file with the client's secret.
    _secret: tempfile::NamedTempFile,
}

impl Namespace {
    pub(crate) fn new() -> Self {
        let server = ObjectStoreServer::seaweedfs();
        let catalog = server.catalog.as_ref().unwrap();
        Self::at(&catalog.uri)
    }

    /// The same, through a proxy.
    fn at(uri: &str) -> Self {
        let server = ObjectStoreServer::seaweedfs();
        let catalog = server.catalog.as_ref().unwrap();
        let secret = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(secret.path(), catalog.client_secret).unwrap();
        let settings = IcebergSettings {
            catalog: Some(IcebergCatalog::Rest),
            uri: Some(uri.parse().unwrap()),
            warehouse: Some(catalog.warehouse.to_owned()),
            // Names in SeaweedFS have no `-`.
            namespace: unique_prefix("armature").replace('-', "_"),
            auth: CatalogAuth::Oauth2,
            client_id: Some(catalog.client_id.to_owned()),
            client_secret_file: Some(secret.path().to_owned()),
            scope: catalog.scope.to_owned(),
            ..IcebergSettings::default()
        };
        Self { settings, catalog, _secret: secret }
    }

    /// The section of a configuration file; the client's secret is in the file `secret`.
    pub(crate) fn configuration(&self) -> String {
        let Catalog { uri, warehouse, client_id, scope, .. } = self.catalog;
        let namespace = &self.settings.namespace;
        format!(
            "[iceberg]\ncatalog = \"rest\"\nuri = \"{uri}\"\nwarehouse = \"{warehouse}\"\n\
             namespace = \"{namespace}\"\nauth = \"oauth2\"\nclient_id = \"{client_id}\"\n\
             client_secret_file = \"secret\"\nscope = \"{scope}\"\n"
        )
    }

    fn target(&self, lake: &Path) -> IcebergTarget {
        IcebergTarget::new(LakeStore::local(lake), IcebergOptions::new(&self.settings))
    }

    async fn deliver(&self, lake: &Path, anew: bool) -> Result<Delivery, DeliverError> {
        let view = LakeView::open(lake).await.unwrap();
        let (mapping, target) = (Mapping::new(&[], &[]).unwrap(), self.target(lake));
        if anew {
            target.rebuild(&view, &mapping).await
        } else {
            target.deliver(&view, &mapping).await
        }
    }

    /// The properties with which PyIceberg reads the tables, past any proxy.
    fn properties(&self) -> Value {
        let server = ObjectStoreServer::seaweedfs();
        json!({
            "type": "rest",
            "uri": self.catalog.uri,
            "warehouse": self.catalog.warehouse,
            "credential": format!("{}:{}", self.catalog.client_id, self.catalog.client_secret),
            "scope": self.catalog.scope,
            "oauth2-server-uri": self.catalog.oauth_uri,
            "s3.endpoint": server.endpoint,
            "s3.access-key-id": server.key_id,
            "s3.secret-access-key": server.secret,
        })
    }

    /// Compares the rows that PyIceberg finds through the catalog with those of a lake.
    pub(crate) fn assert_same_rows(&self, lake: &Path, python: &Path, when: &str) -> i64 {
        let out = temporary_folder();
        let ran = Command::new(python)
            .args(["-c", READ])
            .arg(out.path())
            .args([&self.properties().to_string(), &self.settings.namespace])
            .output()
            .unwrap();
        assert!(ran.status.success(), "{when}: {}", String::from_utf8_lossy(&ran.stderr));
        assert_rows_of_lake(lake, out.path(), when)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_of_the_catalog_finds_the_rows_of_the_lake_after_every_change() {
    let Some(python) = python() else { return };
    let namespace = Namespace::new();
    let mut export = small_commits(60);
    export.settings.iceberg = namespace.settings.clone();
    let report = export.sync().await;
    let [_, DeliveryReport::Done(first)] = report.deliveries.as_slice() else {
        panic!("{:?}", report.deliveries)
    };
    assert_eq!((first.target, first.state, first.rows["runs"]), ("iceberg", "applied", 60));
    let same = |when: &str| namespace.assert_same_rows(&export.lake, &python, when);
    assert!(same("after a sync") > 500);
    // Runs that changed, and evaluations that came late.
    export.simulator.advance(Duration::hours(6));
    assert!(export.sync().await.runs.changed > 0);
    let same = |export: &TestExport, when: &str| {
        namespace.assert_same_rows(&export.lake, &python, when);
    };
    same(&export, "after a later sync");
    export.settings.columns.push(ColumnOverride {
        table: "runs".to_owned(),
        name: "team".to_owned(),
        kind: Some(Kind::Text),
        sources: vec!["metadata.team".to_owned()],
        ..ColumnOverride::default()
    });
    export.simulator.advance(Duration::hours(6));
    export.sync().await;
    same(&export, "after a column was added");
    replayed(&export).await;
    same(&export, "after a replay");
    let closed = at(options(&export), (export.simulator.now() + Duration::days(3)).into());
    assert!(compacted(&closed).await.commits > 1);
    same(&export, "after a compaction");
    namespace.deliver(&export.lake, true).await.unwrap();
    same(&export, "after a rebuild");
    let again = namespace.deliver(&export.lake, false).await.unwrap();
    assert_eq!(again.state, "current");
}

/// Requests to the catalog that this program does not make.
impl Namespace {
    async fn request(&self, method: reqwest::Method, path: &str, body: &Value) -> (u16, Value) {
        armature_export::tls::install();
        let http = reqwest::Client::builder().tls_certs_only([]).no_proxy().build().unwrap();
        let url = format!("{}/v1/{}/{path}", self.catalog.uri, self.catalog.warehouse);
        let mut request = http.request(method, url).bearer_auth(self.token(&http).await);
        if !body.is_null() {
            request = request.header("Content-Type", "application/json").body(body.to_string());
        }
        let response = request.send().await.unwrap();
        let (status, body) = (response.status().as_u16(), response.bytes().await.unwrap());
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    async fn token(&self, http: &reqwest::Client) -> String {
        let form = format!(
            "grant_type=client_credentials&client_id={}&client_secret={}",
            self.catalog.client_id, self.catalog.client_secret
        );
        let request = http.post(&self.catalog.oauth_uri);
        let request = request.header("Content-Type", "application/x-www-form-urlencoded");
        let answer = request.body(form).send().await.unwrap().bytes().await.unwrap();
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        answer["access_token"].as_str().unwrap().to_owned()
    }

    fn table_path(&self, table: &str) -> String {
        format!("namespaces/{}/tables/{table}", self.settings.namespace)
    }

    /// The metadata of a table; `None` if it does not exist.
    async fn metadata(&self, table: &str) -> Option<Value> {
        let path = self.table_path(table);
        let (status, mut body) = self.request(reqwest::Method::GET, &path, &Value::Null).await;
        (status == 200).then(|| body["metadata"].take())
    }

    /// The id of the snapshot that readers see, and the rows in it.
    async fn current(&self, table: &str) -> (i64, String) {
        let metadata = self.metadata(table).await.unwrap();
        let id = metadata["current-snapshot-id"].as_i64().unwrap_or(-1);
        let snapshots = metadata["snapshots"].as_array().unwrap().iter();
        let current = snapshots.into_iter().find(|it| it["snapshot-id"] == id);
        let rows = current.map(|it| it["summary"]["total-records"].as_str().unwrap().to_owned());
        (id, rows.unwrap_or_default())
    }

    /// Adds a snapshot of another program, with the content of the current one.
    async fn add_foreign_snapshot(&self, table: &str) {
        let metadata = self.metadata(table).await.unwrap();
        let mut snapshot = metadata["snapshots"].as_array().unwrap().last().unwrap().clone();
        let main = snapshot["snapshot-id"].clone();
        snapshot["snapshot-id"] = 77.into();
        snapshot["parent-snapshot-id"] = main.clone();
        let number = metadata["last-sequence-number"].as_i64().unwrap() + 1;
        snapshot["sequence-number"] = number.into();
        let time = metadata["last-updated-ms"].as_i64().unwrap() + 1;
        snapshot["timestamp-ms"] = time.into();
        let body = json!({
            "identifier": {"namespace": [self.settings.namespace], "name": table},
            "requirements":
                [{"type": "assert-ref-snapshot-id", "ref": "main", "snapshot-id": main}],
            "updates": [
                {"action": "add-snapshot", "snapshot": snapshot},
                {"action": "set-snapshot-ref", "ref-name": "main", "type": "branch",
                 "snapshot-id": 77},
            ],
        });
        let answer = self.request(reqwest::Method::POST, &self.table_path(table), &body).await;
        assert_eq!(answer.0, 200, "{}", answer.1);
    }
}

/// A proxy in front of the catalog.
fn proxy() -> (FaultProxy, String) {
    let catalog = ObjectStoreServer::seaweedfs().catalog.as_ref().unwrap();
    let proxy = FaultProxy::start(catalog.uri.trim_start_matches("http://").parse().unwrap());
    let uri = proxy.endpoint(&catalog.uri);
    (proxy, uri)
}

const TRANSACTION: &str = "transactions/commit";

/// A table is read with GET, and made with POST.
const CREATION: &str = "tables/spans";

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_is_lost_or_refused_is_made_once() {
    let export = TestExport::of_growing_world(12);
    export.sync().await;
    let (proxy, uri) = proxy();
    let busy = Fault::Refuse(429, "TooManyRequests");
    let failed = Fault::RefuseAfter(500, "InternalError");
    for (place, fault) in [
        (TRANSACTION, Fault::LoseAnswer),
        (TRANSACTION, Fault::LoseRequest),
        (TRANSACTION, Fault::SLOW_DOWN),
        (TRANSACTION, failed),
        (TRANSACTION, busy),
        (TRANSACTION, Fault::CONFLICT),
        // Catalogs without transactions of several tables.
        (TRANSACTION, Fault::Refuse(404, "NotFound")),
        (TRANSACTION, Fault::Refuse(405, "MethodNotAllowed")),
        // A catalog that does not accept a location in the lake.
        (CREATION, Fault::Refuse(400, "BadRequest")),
        ("tables/runs", Fault::CutBody(10)),
        ("tables/runs", Fault::SLOW_DOWN),
        (CREATION, Fault::LoseAnswer),
        (CREATION, Fault::LoseRequest),
        (CREATION, Fault::CONFLICT),
        // As to a token that expired.
        ("tables/runs", Fault::Refuse(401, "NotAuthorized")),
        ("v1/config", Fault::LoseAnswer),
        ("oauth/tokens", Fault::LoseAnswer),
    ] {
        let namespace = Namespace::at(&uri);
        let rule = Rule::new(fault).at(place).times(1);
        let is_creation = place == CREATION;
        proxy.set_rules([if is_creation { rule.of(RequestKind::Other) } else { rule }]);
        let done = namespace.deliver(&export.lake, false).await;
        let done = done.unwrap_or_else(|error| panic!("{place} {fault:?}: {error}"));
        assert_eq!(proxy.strikes(), [1], "{place} {fault:?}");
        assert_eq!((done.state, done.rows["runs"]), ("applied", 12), "{place} {fault:?}");
        for table in ["runs", "spans"] {
            let metadata = namespace.metadata(table).await.unwrap();
            let snapshots = metadata["snapshots"].as_array().unwrap();
            assert_eq!(snapshots.len(), 1, "{place} {fault:?}: {table}");
            let rows = done.rows[table].to_string();
            assert_eq!(snapshots[0]["summary"]["total-records"], rows, "{place} {fault:?}");
        }
        let again = namespace.deliver(&export.lake, false).await.unwrap();
        assert_eq!(again.state, "current", "{place} {fault:?}");
    }
}

/// The pauses between four attempts that no one asks for are shorter than this wait, all together.
#[tokio::test(flavor = "multi_thread")]
async fn a_catalog_that_asks_to_wait_is_not_asked_before() {
    let (proxy, uri) = proxy();
    let namespace = Namespace::at(&uri);
    let export = TestExport::of_growing_world(12);
    export.sync().await;
    proxy.set_rules([Rule::new(Fault::AskToWait(8)).at("v1/config")]);
    let done = namespace.deliver(&export.lake, false).await.unwrap();
    assert_eq!((done.state, proxy.strikes()), ("applied", vec![1]));
    // A wait that is too long ends the delivery.
    proxy.set_rules([Rule::new(Fault::AskToWait(3600)).at("v1/config")]);
    let error = namespace.deliver(&export.lake, false).await.unwrap_err().to_string();
    assert!(error.contains("cannot be reached: 503"), "{error}");
    assert_eq!(proxy.strikes(), [1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalog_that_is_down_delays_only_its_tables() {
    let (proxy, uri) = proxy();
    let namespace = Namespace::at(&uri);
    let mut export = TestExport::of_growing_world(12);
    export.settings.iceberg = namespace.settings.clone();
    let first = export.sync().await;
    let applied = first.deliveries[1].done().unwrap().commit;
    let before = namespace.current("runs").await;
    proxy.set_rules([Rule::new(Fault::LoseRequest)]);
    export.simulator.advance(Duration::hours(6));
    let report = export.sync().await;
    let error = report.deliveries[1].error().unwrap().to_string();
    assert!(error.contains("cannot be reached"), "{error}");
    assert!(report.deliveries[0].done().unwrap().commit > applied);
    // What is known without the catalog.
    let target = namespace.target(&export.lake);
    assert_eq!(target.applied().await.unwrap(), Some(applied));
    assert_eq!(namespace.current("runs").await, before);
    // Down in the middle of a delivery: no table has moved.
    proxy.set_rules([Rule::new(Fault::SLOW_DOWN).at(TRANSACTION)]);
    let error = namespace.deliver(&export.lake, false).await.unwrap_err();
    let failure = armature_export::failure::Failure::from(error);
    assert!(failure.hint.unwrap().contains("catches up"));
    assert_eq!(namespace.current("runs").await, before);
    proxy.set_rules([]);
    let done = namespace.deliver(&export.lake, false).await.unwrap();
    assert_eq!((done.state, Some(done.commit)), ("applied", target.applied().await.unwrap()));
    let rows = export.count("SELECT count(*) FROM runs");
    assert!(rows > 12);
    if let Some(python) = python() {
        namespace.assert_same_rows(&export.lake, &python, "after the catalog came back");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_tables_of_a_delivery_are_visible_together_or_not_at_all() {
    let (proxy, uri) = proxy();
    let namespace = Namespace::at(&uri);
    let export = TestExport::of_growing_world(12);
    export.sync().await;
    namespace.deliver(&export.lake, false).await.unwrap();
    let before = namespace.current("runs").await;
    export.simulator.advance(Duration::hours(6));
    export.sync().await;
    // Another program changes one table between the reading of the tables and the commit.
    let delay = Fault::Delay(std::time::Duration::from_secs(5));
    proxy.set_rules([
        Rule::new(delay).at(TRANSACTION).times(1),
        Rule::new(Fault::SLOW_DOWN).at(TRANSACTION),
    ]);
    let delivered = namespace.deliver(&export.lake, false);
    let foreign = async {
        while proxy.strikes()[0] == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        namespace.add_foreign_snapshot("spans").await;
    };
    let limit = std::time::Duration::from_mins(2);
    let both = tokio::time::timeout(limit, async { tokio::join!(delivered, foreign) });
    let (delivered, ()) = both.await.expect("the delivery makes a transaction");
    let error = delivered.unwrap_err().to_string();
    assert!(error.contains("503"), "{error}");
    assert_eq!(namespace.current("runs").await, before);
    assert_eq!(namespace.current("spans").await.0, 77);
    // Appends follow the snapshot of the other program.
    proxy.set_rules([]);
    namespace.deliver(&export.lake, false).await.unwrap();
    let spans = namespace.metadata("spans").await.unwrap();
    assert_eq!(spans["snapshots"].as_array().unwrap().last().unwrap()["parent-snapshot-id"], 77);
    if let Some(python) = python() {
        namespace.assert_same_rows(&export.lake, &python, "after a foreign snapshot");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_not_of_this_lake_is_never_changed() {
    let namespace = Namespace::new();
    let mut lake = SmallLake::new();
    lake.commit(&[], false).await;
    namespace.deliver(&lake.path(), false).await.unwrap();
    let before = namespace.metadata("runs").await.unwrap();
    let mut other = SmallLake::new();
    other.commit(&[], false).await;
    for anew in [false, true] {
        let error = namespace.deliver(&other.path(), anew).await.unwrap_err();
        let name = format!("`{}.runs of", namespace.settings.namespace);
        let text = error.to_string();
        assert!(text.contains(&name) && text.contains("belongs to another lake"), "{text}");
        let failure = armature_export::failure::Failure::from(error);
        assert!(failure.hint.unwrap().contains("iceberg.namespace"));
    }
    assert!(!other.path().join("_iceberg").exists());
    assert_eq!(namespace.metadata("runs").await.unwrap(), before);
    // A table that something else made.
    let namespace = Namespace::new();
    let body = json!({"namespace": [namespace.settings.namespace], "properties": {}});
    assert_eq!(namespace.request(reqwest::Method::POST, "namespaces", &body).await.0, 200);
    let fields = json!([{"id": 1, "name": "a", "type": "string", "required": false}]);
    let body = json!({"name": "runs", "schema": {"type": "struct", "fields": fields}});
    let path = format!("namespaces/{}/tables", namespace.settings.namespace);
    let answer = namespace.request(reqwest::Method::POST, &path, &body).await;
    assert_eq!(answer.0, 200, "{}", answer.1);
    let before = namespace.metadata("runs").await.unwrap();
    for anew in [false, true] {
        let error = namespace.deliver(&other.path(), anew).await.unwrap_err().to_string();
        assert!(error.contains("was not made by this program"), "{error}");
    }
    assert_eq!(namespace.metadata("runs").await.unwrap(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_deliveries_at_once_add_each_row_once() {
    let namespace = Namespace::new();
    let export = TestExport::of_growing_world(12);
    export.sync().await;
    for _ in 0..3 {
        export.simulator.advance(Duration::hours(2));
        export.sync().await;
        let deliveries = [0, 1, 2].map(|_| namespace.deliver(&export.lake, false));
        for done in futures::future::join_all(deliveries).await {
            done.unwrap();
        }
        let rows = namespace.current("runs").await.1;
        assert_eq!(rows, export.count("SELECT count(*) FROM runs").to_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_authorized_by_a_token_or_a_signature() {
    let mut namespace = Namespace::new();
    let server = ObjectStoreServer::seaweedfs();
    let mut lake = SmallLake::new();
    armature_export::tls::install();
    let http = reqwest::Client::builder().tls_certs_only([]).no_proxy().build().unwrap();
    let secret = tempfile::NamedTempFile::new().unwrap();
    let secret = secret.path();
    let deliver = async |settings: &IcebergSettings, lake: &mut SmallLake| {
        lake.commit(&[], false).await;
        let view = LakeView::open(&lake.path()).await.unwrap();
        let mut options = IcebergOptions::new(settings);
        // That of the store is that of the signatures, too.
        options.store.region = Some("us-east-1".to_owned());
        options.store.access_key_id = Some(server.key_id.to_owned());
        options.store.secret_key_file = Some(secret.to_owned());
        let target = IcebergTarget::new(LakeStore::local(&lake.path()), options);
        target.deliver(&view, &Mapping::new(&[], &[]).unwrap()).await
    };
    namespace.settings.auth = CatalogAuth::Token;
    namespace.settings.token_file = Some(secret.to_owned());
    std::fs::write(secret, namespace.token(&http).await).unwrap();
    deliver(&namespace.settings, &mut lake).await.unwrap();
    namespace.settings.auth = CatalogAuth::Sigv4;
    namespace.settings.signing_name = "s3tables".to_owned();
    std::fs::write(secret, server.secret).unwrap();
    deliver(&namespace.settings, &mut lake).await.unwrap();
    assert_eq!(namespace.current("runs").await.1, "2");
    // What is wrong is refused, and not shown.
    for auth in [CatalogAuth::None, CatalogAuth::Token, CatalogAuth::Sigv4, CatalogAuth::Oauth2] {
        std::fs::write(secret, "n0t-the-secret").unwrap();
        namespace.settings.auth = auth;
        namespace.settings.client_secret_file = Some(secret.to_owned());
        let error = deliver(&namespace.settings, &mut lake).await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains("refuses the credentials"), "{auth:?}: {text}");
        assert!(!format!("{error:?}").contains("n0t-the-secret"), "{auth:?}: {text}");
    }
    assert_eq!(namespace.current("runs").await.1, "2");
}

#[test]
fn a_crash_on_either_side_of_the_commit_doubles_nothing() {
    let server = ObjectStoreServer::seaweedfs();
    crate::support::all_at_once(
        ["before_rest_catalog_commit", "after_rest_catalog_commit", "before_iceberg_is_recorded"],
        |point| {
            let namespace = Namespace::new();
            let export = TestExport::of_growing_world(12);
            std::fs::write(export.path("secret"), server.secret).unwrap();
            export.configure(&namespace.configuration());
            export.crash(&["sync"], point);
            export.sync_brings_everything();
            crate::support::block_on(async {
                let metadata = namespace.metadata("runs").await.unwrap();
                let snapshots = metadata["snapshots"].as_array().unwrap();
                assert_eq!(snapshots.len(), 1, "{point}");
                assert_eq!(snapshots[0]["summary"]["total-records"], "12", "{point}");
            });
            let status = export.status();
            let told = status.to_string();
            assert!(told.contains(&namespace.settings.namespace), "{point}: {told}");
            assert!(!told.contains(server.secret), "{point}");
        },
    );
}
