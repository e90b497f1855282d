//! Iceberg tables in a REST catalog: a real one (SeaweedFS), through a proxy that loses what networks
//! lose, and fakes that check how requests are authorized.

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
use crate::stores::fault_proxy::{Fault, FaultProxy, Rule};
use crate::stores::server::{Catalog, ObjectStoreServer, unique_prefix};
use crate::support::{TestExport, temporary_folder};

/// Reads each table of a namespace with PyIceberg, and writes its rows to a Parquet file of its own.
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
struct Namespace {
    settings: IcebergSettings,
    catalog: &'static Catalog,
    /// The file with the client's secret.
    _secret: tempfile::NamedTempFile,
}

impl Namespace {
    fn new() -> Self {
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
    fn assert_same_rows(&self, lake: &Path, python: &Path, when: &str) -> i64 {
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
