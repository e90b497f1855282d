//! Iceberg tables over the lake's own data files, as a target: nothing is copied, only metadata is
//! written, to `<lake>/_iceberg/<table>/`. The tables are registered in a catalog: `files`, in the
//! same folder, or a service with Iceberg's REST API.
//!
//! A delivery makes one snapshot per table of the data files that became live or ceased to be. The
//! newest snapshot names exactly the live data files of the lake. Older ones can be read as long as
//! their files stay in place: `compact` and `replay` take files out of the folders of a local disk
//! at once.
//!
//! Manifests are written with the crate `apache-avro`: it is maintained, adds some twenty crates, and its
//! files are read by PyIceberg, DuckDB, Polars, ClickHouse, Daft and Sail. It loses one attribute that
//! Iceberg needs (see `avro.rs`), which is a few lines to add; a writer of our own
//! would be more than ten times that. The crate `iceberg` can only append.

mod addresses;
mod avro;
mod bounds;
mod catalog;
mod deliver;
mod manifest;
mod metadata;
mod options;
mod record;
mod rest;
mod schema;
mod table;
mod verify;

use futures::FutureExt;
use futures::future::BoxFuture;

use self::addresses::Addresses;
use self::catalog::{Catalog, CatalogName, FilesCatalog};
use self::record::Record;
use self::rest::RestCatalog;
use self::verify::DataFiles;
use super::{CheckedLake, DeliverError, Delivery, Target, TargetReport};
use crate::config::IcebergCatalog;
use crate::lake::{LakeStore, LakeView};
use crate::tables::Mapping;

pub use deliver::KIND;
pub use options::IcebergOptions;

/// What a catalog is used for.
#[derive(Clone, Copy, Debug)]
enum Access {
    /// Nothing is changed, not even the version hint that a crash left behind.
    Read,
    /// A delivery.
    Write,
}

/// Iceberg tables that follow a lake.
#[derive(Clone, Debug)]
pub struct IcebergTarget {
    /// The lake, for what is asked without a view of it.
    store: LakeStore,
    options: IcebergOptions,
}

impl IcebergTarget {
    /// The tables of the lake in that storage.
    pub fn new(store: LakeStore, options: IcebergOptions) -> Self {
        Self { store, options }
    }

    /// The catalog of the tables. A service is asked what it offers.
    async fn catalog(
        &self,
        lake: &LakeStore,
        addresses: &Addresses,
        access: Access,
    ) -> Result<Box<dyn Catalog>, DeliverError> {
        Ok(match self.options.settings.catalog {
            Some(IcebergCatalog::Rest) => {
                let (settings, store) = (&self.options.settings, &self.options.store);
                Box::new(RestCatalog::connect(settings, store, addresses.clone()).await?)
            }
            Some(IcebergCatalog::Files) | None => {
                let files = FilesCatalog::new(lake.clone(), addresses.clone());
                Box::new(match access {
                    Access::Read => files.read_only(),
                    Access::Write => files,
                })
            }
        })
    }

    fn catalog_name(&self) -> CatalogName {
        match self.options.settings.catalog {
            Some(IcebergCatalog::Rest) => RestCatalog::name(&self.options.settings),
            Some(IcebergCatalog::Files) | None => CatalogName::Files,
        }
    }

    async fn deliver(&self, lake: &LakeView, anew: bool) -> Result<Delivery, DeliverError> {
        let addresses = Addresses::new(lake.store())?;
        let catalog = self.catalog(lake.store(), &addresses, Access::Write).await?;
        deliver::deliver(lake, catalog.as_ref(), &addresses, &self.options, anew).await
    }
}

impl Target for IcebergTarget {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn name(&self) -> &'static str {
        "the Iceberg tables"
    }

    fn location(&self) -> String {
        deliver::path_of(&self.catalog_name(), &self.store)
    }

    fn applied(&self) -> BoxFuture<'_, Result<Option<u64>, DeliverError>> {
        let applied = async {
            if !self.store.is_lake()? {
                return Ok(None);
            }
            let record = Record::read(&self.store, &self.catalog_name()).await?;
            Ok(record.map(|record| record.commit))
        };
        applied.boxed()
    }

    fn check<'c>(&'c self, lake: &'c LakeView) -> BoxFuture<'c, Result<Option<u64>, DeliverError>> {
        let checked = async {
            let addresses = Addresses::new(lake.store())?;
            let catalog = self.catalog(lake.store(), &addresses, Access::Read).await?;
            verify::check(lake, catalog.as_ref(), &addresses, &self.options).await
        };
        checked.boxed()
    }

    fn deliver<'d>(
        &'d self,
        lake: &'d LakeView,
        _mapping: &'d Mapping,
    ) -> BoxFuture<'d, Result<Delivery, DeliverError>> {
        self.deliver(lake, false).boxed()
    }

    fn rebuild<'d>(
        &'d self,
        lake: &'d LakeView,
        _mapping: &'d Mapping,
    ) -> BoxFuture<'d, Result<Delivery, DeliverError>> {
        self.deliver(lake, true).boxed()
    }

    fn verify<'v>(
        &'v self,
        lake: &'v mut CheckedLake<'_>,
    ) -> BoxFuture<'v, Result<TargetReport, DeliverError>> {
        let files = DataFiles { live: lake.live, superseded: lake.superseded };
        let store = lake.view.store();
        let verified = async move {
            let addresses = Addresses::new(store)?;
            let catalog = self.catalog(store, &addresses, Access::Read).await?;
            verify::verify(store, files, catalog.as_ref(), &addresses, &self.options).await
        };
        verified.boxed()
    }
}
