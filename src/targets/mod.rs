//! Targets: copies of the lake's rows in other systems, brought up to date commit by commit. Uses
//! commit files, data files and the declarations of tables, not the API. `duckdb/apply.rs` inserts the
//! rows into DuckDB.

pub mod duckdb;
mod error;
mod finding;
pub mod iceberg;
mod target;

use tokio::sync::watch;

use self::duckdb::{DeliveryOptions, DuckdbTarget};
use self::iceberg::{IcebergOptions, IcebergTarget};
use crate::config::Settings;
use crate::event::Events;
use crate::lake::LakeStore;

pub use error::{CatalogProblem, DeliverError, PublishProblem};
pub use finding::{TargetFinding, TargetRepair};
pub use target::{
    CheckedLake, Delivery, DeliveryReport, PublishedCopy, Target, TargetReport, deliver_all,
};

/// Kinds of all targets that can be configured.
pub const KINDS: [&str; 2] = [duckdb::KIND, iceberg::KIND];

/// The targets of a lake that are configured and enabled. `stop` becomes true when a stop is
/// requested: a delivery then ends early, and the next one continues.
pub fn configured(
    settings: &Settings,
    lake: &LakeStore,
    events: &Events,
    stop: Option<watch::Receiver<bool>>,
) -> Vec<Box<dyn Target>> {
    let mut targets: Vec<Box<dyn Target>> = Vec::new();
    if settings.duckdb.enabled {
        let options = DeliveryOptions::new(&settings.duckdb, events.clone());
        targets
            .push(Box::new(DuckdbTarget::new(DeliveryOptions { stop: stop.clone(), ..options })));
    }
    if settings.iceberg.catalog.is_some() {
        let options = IcebergOptions::new(&settings.iceberg);
        let options = IcebergOptions { stop, store: settings.store.clone(), ..options };
        targets.push(Box::new(IcebergTarget::new(lake.clone(), options)));
    }
    targets
}
