//! Iceberg tables over the lake's own data files, as a target: nothing is copied, only metadata is
//! written, to `<lake>/_iceberg/<table>/metadata/`.
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
mod schema;
mod table;

use futures::FutureExt;
use futures::future::BoxFuture;

use self::addresses::Addresses;
use self::catalog::FilesCatalog;
use self::record::Record;
use super::{DeliverError, Delivery, Target};
use crate::lake::{LakeStore, LakeView};
use crate::tables::Mapping;

pub use options::IcebergOptions;

/// Iceberg tables that follow a lake, in the catalog `files`.
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

    async fn deliver(&self, lake: &LakeView, anew: bool) -> Result<Delivery, DeliverError> {
        let addresses = Addresses::new(lake.store())?;
        let catalog = FilesCatalog::new(lake.store().clone(), addresses.clone());
        deliver::deliver(lake, &catalog, &addresses, &self.options, anew).await
    }
}

impl Target for IcebergTarget {
    fn kind(&self) -> &'static str {
        deliver::KIND
    }

    fn location(&self) -> String {
        self.store.location(catalog::FOLDER).to_string()
    }

    fn applied(&self) -> BoxFuture<'_, Result<Option<u64>, DeliverError>> {
        let applied = async {
            if !self.store.is_lake()? {
                return Ok(None);
            }
            Ok(Record::read(&self.store).await?.map(|record| record.commit))
        };
        applied.boxed()
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
}
