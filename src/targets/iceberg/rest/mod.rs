//! The catalog `rest`: a service with Iceberg's REST API. It names the current metadata of each
//! table, and writes the files of metadata itself; manifests and manifest lists are written to the
//! lake.
//!
//! A change whose outcome is not known (no answer, or an error of the server) is resolved by
//! loading the table: its properties tell whether the change was made.

mod authorization;
mod client;
mod response;
mod updates;

use std::sync::atomic::{AtomicBool, Ordering};

use backon::BackoffBuilder;
use futures::FutureExt;
use futures::future::BoxFuture;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use self::client::{Client, pauses};
use self::response::Response;
use self::updates::{creation_requirements, creation_updates, requirements, updates};
use super::addresses::Addresses;
use super::catalog::{
    Catalog, CatalogName, Commit, Creation, LoadedTable, TableChange, table_folder,
};
use super::metadata::{TableMetadata, property};
use crate::config::{IcebergSettings, ObjectStoreSettings};
use crate::crash;
use crate::targets::{CatalogProblem, DeliverError};

/// Times that a change is sent, the first included.
const COMMIT_ATTEMPTS: usize = 4;

/// How many earlier files of metadata the catalog is asked to keep for each table.
const KEPT_VERSIONS: &str = "20";

/// A namespace of a REST catalog.
#[derive(Debug)]
pub(super) struct RestCatalog {
    client: Client,
    name: CatalogName,
    /// The levels of the namespace.
    namespace: Vec<String>,
    /// The path of requests about the warehouse: `v1`, or `v1/<prefix>`.
    path: String,
    /// Whether several tables can be changed in one step, as far as is known.
    has_transactions: AtomicBool,
    addresses: Addresses,
}

/// The answer to `GET /v1/config`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Config {
    defaults: Defaults,
    overrides: Defaults,
    /// What the catalog offers, such as `POST /v1/{prefix}/transactions/commit`; older ones do
    /// not say.
    endpoints: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Defaults {
    prefix: Option<String>,
}

/// What became of a change.
#[derive(Debug)]
enum Outcome {
    Done,
    Conflict,
    /// The catalog does not offer changes of several tables.
    NotOffered,
    Unknown(CatalogProblem),
}

/// What tables are, compared with a change whose outcome is not known.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    /// All tables have their next metadata.
    Next,
    /// No table has changed.
    Base,
    /// Something else changed a table.
    Other,
}

impl RestCatalog {
    /// The name of the namespace that is configured.
    pub(super) fn name(settings: &IcebergSettings) -> CatalogName {
        let uri = settings.uri.as_ref().map(|uri| uri.as_str().trim_end_matches('/').to_owned());
        CatalogName::Rest {
            uri: uri.unwrap_or_default(),
            warehouse: settings.warehouse.clone(),
            namespace: settings.namespace.clone(),
        }
    }

    /// Asks the catalog what it offers.
    ///
    /// # Errors
    /// [`DeliverError::Catalog`] if it cannot be reached, or refuses the credentials;
    /// [`DeliverError::Config`] if a secret cannot be read.
    pub(super) async fn connect(
        settings: &IcebergSettings,
        store: &ObjectStoreSettings,
        addresses: Addresses,
    ) -> Result<Self, DeliverError> {
        let name = Self::name(settings);
        let base = match &name {
            CatalogName::Rest { uri, .. } => uri.clone(),
            CatalogName::Files => String::new(),
        };
        let client = Client::new(settings, store, base)?;
        let warehouse = settings.warehouse.as_ref().map(|warehouse| {
            format!("?warehouse={}", utf8_percent_encode(warehouse, NON_ALPHANUMERIC))
        });
        let response = client.get(&format!("v1/config{}", warehouse.unwrap_or_default())).await?;
        if !response.is_success() {
            let answer = format!("`v1/config` answers {}", client.text(&response));
            return Err(client.failed(CatalogProblem::NotFound(answer)));
        }
        let config: Config = serde_json::from_slice(&response.body).map_err(|error| {
            client.failed(CatalogProblem::Invalid(format!("`v1/config`: {error}")))
        })?;
        let prefix = config.overrides.prefix.or(config.defaults.prefix);
        let prefix = prefix.filter(|prefix| !prefix.is_empty());
        let path = prefix.map_or("v1".to_owned(), |prefix| format!("v1/{prefix}"));
        let offers = |endpoints: Vec<String>| {
            endpoints
                .iter()
                .any(|it| it.starts_with("POST ") && it.ends_with("/transactions/commit"))
        };
        let namespace = settings.namespace_levels().into_iter().map(str::to_owned).collect();
        let has_transactions = AtomicBool::new(config.endpoints.is_none_or(offers));
        Ok(Self { client, name, namespace, path, has_transactions, addresses })
    }

    /// The path of a namespace of these levels: they are separated by a control character.
    fn namespace_path(&self, levels: &[String]) -> String {
        let levels: Vec<String> = levels
            .iter()
            .map(|level| utf8_percent_encode(level, NON_ALPHANUMERIC).to_string())
            .collect();
        format!("{}/namespaces/{}", self.path, levels.join("%1F"))
    }

    fn table_path(&self, table: &str) -> String {
        format!("{}/tables/{}", self.namespace_path(&self.namespace), registered_name(table))
    }

    fn identifier(&self, table: &str) -> Value {
        json!({"namespace": self.namespace, "name": registered_name(table)})
    }

    fn invalid(&self, error: &serde_json::Error) -> DeliverError {
        self.client.failed(CatalogProblem::Invalid(format!("metadata of a table: {error}")))
    }

    fn refused(&self, action: &'static str, response: &Response) -> DeliverError {
        let answer = self.client.text(response);
        self.client.failed(match response.status {
            404 => CatalogProblem::NotFound(answer),
            _ => CatalogProblem::Refused { action, answer },
        })
    }

    async fn load(&self, table: &str) -> Result<Option<LoadedTable>, DeliverError> {
        let response = self.client.get(&self.table_path(table)).await?;
        // A 404 of something else than a catalog has no such body.
        if response.status == 404 && response.error().is_some() {
            return Ok(None);
        }
        if !response.is_success() {
            return Err(self.refused("load a table", &response));
        }
        self.loaded(&response).map(Some)
    }

    fn loaded(&self, response: &Response) -> Result<LoadedTable, DeliverError> {
        #[derive(Deserialize)]
        struct Loaded {
            metadata: Value,
        }
        let loaded: Loaded =
            serde_json::from_slice(&response.body).map_err(|error| self.invalid(&error))?;
        let format = loaded.metadata.get("format-version").and_then(Value::as_u64);
        if format != Some(2) {
            let format = format.map_or("none".to_owned(), |format| format.to_string());
            let metadata = Err(format!("has format version {format}, not 2"));
            return Ok(LoadedTable { version: 0, metadata });
        }
        let metadata: TableMetadata =
            serde_json::from_value(loaded.metadata).map_err(|error| self.invalid(&error))?;
        let version = u64::try_from(metadata.last_sequence_number).unwrap_or(0);
        Ok(LoadedTable { version, metadata: Ok(metadata) })
    }

    /// Makes the namespace and those above it, where they do not exist.
    async fn make_namespace(&self) -> Result<(), DeliverError> {
        for depth in 1..=self.namespace.len() {
            let levels = self.namespace.get(..depth).unwrap_or_default();
            let found = self.client.get(&self.namespace_path(levels)).await?;
            if found.is_success() {
                continue;
            }
            if found.status != 404 {
                return Err(self.refused("show the namespace", &found));
            }
            let body = json!({"namespace": levels, "properties": {}});
            let path = format!("{}/namespaces", self.path);
            let made = self.client.post(&path, &body).await;
            let made = made.map_err(|problem| self.client.failed(problem))?;
            if !made.is_success() && made.status != 409 {
                return Err(self.refused("make the namespace", &made));
            }
        }
        Ok(())
    }

    async fn create(
        &self,
        table: &str,
        mut first: TableMetadata,
    ) -> Result<Creation, DeliverError> {
        // The catalog writes the files of metadata, and removes old ones.
        for (key, value) in [
            ("write.metadata.delete-after-commit.enabled", "true"),
            ("write.metadata.previous-versions-max", KEPT_VERSIONS),
        ] {
            first.properties.insert(key.to_owned(), value.to_owned());
        }
        self.make_namespace().await?;
        let (mut waits, mut has_location) = (pauses(COMMIT_ATTEMPTS).build(), true);
        loop {
            let body = json!({
                "identifier": self.identifier(table),
                "requirements": creation_requirements(),
                "updates": creation_updates(&first, has_location),
            });
            let problem = match self.client.post(&self.table_path(table), &body).await {
                Ok(response) if response.is_transient() => {
                    CatalogProblem::Unreachable(self.client.text(&response))
                }
                Ok(response) => match response.status {
                    200..300 => return Ok(Creation::Done(Box::new(self.loaded(&response)?))),
                    409 => return Ok(Creation::Conflict),
                    // Some catalogs keep tables in their own storage: they choose the location.
                    400 | 422 if has_location => {
                        has_location = false;
                        continue;
                    }
                    _ => return Err(self.refused("make a table", &response)),
                },
                Err(problem @ CatalogProblem::Unreachable(_)) => problem,
                Err(problem) => return Err(self.client.failed(problem)),
            };
            // The delivery begins again with a table that was made although no answer said so.
            if self.load(table).await?.is_some() {
                return Ok(Creation::Conflict);
            }
            let Some(wait) = waits.next() else { return Err(self.client.failed(problem)) };
            tokio::time::sleep(wait).await;
        }
    }

    async fn commit(&self, changes: &[TableChange]) -> Result<Commit, DeliverError> {
        crash::point("before_rest_catalog_commit");
        if changes.len() > 1 && self.has_transactions.load(Ordering::Relaxed) {
            match self.commit_group(changes).await? {
                Outcome::NotOffered => self.has_transactions.store(false, Ordering::Relaxed),
                outcome => return self.finished(changes, outcome),
            }
        }
        for change in changes {
            let outcome = self.commit_group(std::slice::from_ref(change)).await?;
            if !matches!(outcome, Outcome::Done) {
                return self.finished(changes, outcome);
            }
        }
        self.finished(changes, Outcome::Done)
    }

    fn finished(&self, changes: &[TableChange], outcome: Outcome) -> Result<Commit, DeliverError> {
        match outcome {
            Outcome::Done => {
                crash::point("after_rest_catalog_commit");
                let version = |change: &TableChange| {
                    u64::try_from(change.next.last_sequence_number).unwrap_or(0)
                };
                Ok(Commit::Done(changes.iter().map(version).collect()))
            }
            Outcome::Conflict => Ok(Commit::Conflict),
            Outcome::NotOffered => Err(self
                .client
                .failed(CatalogProblem::Invalid("it has no way to change a table".to_owned()))),
            Outcome::Unknown(problem) => Err(self.client.failed(problem)),
        }
    }

    /// Changes tables in one step, and resolves an outcome that is not known.
    async fn commit_group(&self, changes: &[TableChange]) -> Result<Outcome, DeliverError> {
        let mut waits = pauses(COMMIT_ATTEMPTS).build();
        let mut is_repeated = false;
        loop {
            let outcome = self.send(changes).await?;
            let problem = match outcome {
                Outcome::Unknown(problem) => problem,
                // Of an earlier attempt, whose outcome was not known.
                Outcome::Conflict if is_repeated => {
                    let is_ours = self.compare(changes).await? == Found::Next;
                    return Ok(if is_ours { Outcome::Done } else { Outcome::Conflict });
                }
                known => return Ok(known),
            };
            match self.compare(changes).await? {
                Found::Next => return Ok(Outcome::Done),
                Found::Other => return Ok(Outcome::Conflict),
                Found::Base => {}
            }
            let Some(wait) = waits.next() else { return Ok(Outcome::Unknown(problem)) };
            tokio::time::sleep(wait).await;
            is_repeated = true;
        }
    }

    async fn send(&self, changes: &[TableChange]) -> Result<Outcome, DeliverError> {
        let change = |change: &TableChange| {
            let (requirements, updates) = match &change.base {
                Some(LoadedTable { metadata: Ok(base), .. }) => {
                    (requirements(base), updates(base, &change.next))
                }
                _ => (creation_requirements(), creation_updates(&change.next, true)),
            };
            json!({"identifier": self.identifier(change.table),
                   "requirements": requirements, "updates": updates})
        };
        let sent = if let [only] = changes {
            self.client.post(&self.table_path(only.table), &change(only)).await
        } else {
            let all: Vec<Value> = changes.iter().map(change).collect();
            let path = format!("{}/transactions/commit", self.path);
            self.client.post(&path, &json!({"table-changes": all})).await
        };
        let response = match sent {
            Ok(response) => response,
            Err(problem @ CatalogProblem::Unreachable(_)) => return Ok(Outcome::Unknown(problem)),
            Err(problem) => return Err(self.client.failed(problem)),
        };
        let is_group = changes.len() > 1;
        let is_about_a_table =
            || response.error().is_some_and(|error| error.kind.starts_with("NoSuch"));
        Ok(match response.status {
            200..300 => Outcome::Done,
            409 => Outcome::Conflict,
            404 if is_about_a_table() => Outcome::Conflict,
            404 | 405 | 406 | 501 if is_group => Outcome::NotOffered,
            _ if response.is_transient() => {
                Outcome::Unknown(CatalogProblem::Unreachable(self.client.text(&response)))
            }
            _ => return Err(self.refused("change tables", &response)),
        })
    }

    /// What the tables of changes are now.
    async fn compare(&self, changes: &[TableChange]) -> Result<Found, DeliverError> {
        let mut all = None;
        for change in changes {
            let loaded = self.load(change.table).await?;
            let found = found(change, loaded.as_ref());
            if all.as_ref().is_some_and(|all| *all != found) {
                return Ok(Found::Other);
            }
            all = Some(found);
        }
        Ok(all.unwrap_or(Found::Next))
    }
}

/// The name of a table in the catalog: some catalogs, such as S3 Tables, refuse names that begin
/// with `_`.
fn registered_name(table: &str) -> &str {
    table.trim_start_matches('_')
}

/// What a table is, compared with a change. The properties hold the number and the name of the
/// lake's commit, the lake, and the id of the newest snapshot of this program, which is unique.
fn found(change: &TableChange, loaded: Option<&LoadedTable>) -> Found {
    let state = |table: &TableMetadata| {
        let names = [property::COMMIT, property::COMMIT_NAME, property::LAKE, property::SNAPSHOT];
        let properties = names.map(|name| table.properties.get(name).cloned());
        (table.table_uuid, table.current_schema_id, properties)
    };
    let Some(LoadedTable { metadata: Ok(now), .. }) = loaded else { return Found::Other };
    if state(now) == state(&change.next) {
        return Found::Next;
    }
    let Some(LoadedTable { metadata: Ok(base), .. }) = &change.base else { return Found::Other };
    let is_base = state(now) == state(base) && now.current_snapshot_id == base.current_snapshot_id;
    if is_base { Found::Base } else { Found::Other }
}

impl Catalog for RestCatalog {
    fn name(&self) -> &CatalogName {
        &self.name
    }

    fn name_of(&self, table: &str) -> String {
        match &self.name {
            CatalogName::Rest { uri, namespace, .. } => {
                format!("{namespace}.{} of {uri}", registered_name(table))
            }
            CatalogName::Files => table.to_owned(),
        }
    }

    /// Of each table its own, so that no other catalog of the lake's tables has files there.
    fn manifest_folder(&self, table: &str, uuid: Uuid) -> String {
        format!("{}/{uuid}/metadata", table_folder(table))
    }

    fn location(&self, table: &str, uuid: Uuid) -> String {
        self.addresses.of(&format!("{}/{uuid}", table_folder(table)))
    }

    fn keeps_tables(&self) -> bool {
        true
    }

    fn load<'c>(
        &'c self,
        table: &'c str,
    ) -> BoxFuture<'c, Result<Option<LoadedTable>, DeliverError>> {
        self.load(table).boxed()
    }

    fn create<'c>(
        &'c self,
        table: &'c str,
        first: TableMetadata,
    ) -> BoxFuture<'c, Result<Creation, DeliverError>> {
        self.create(table, first).boxed()
    }

    fn commit<'c>(
        &'c self,
        changes: &'c [TableChange],
    ) -> BoxFuture<'c, Result<Commit, DeliverError>> {
        self.commit(changes).boxed()
    }
}
