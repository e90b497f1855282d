//! The DuckDB file as a target.
//!
//! The number of the last commit is stored in the same transaction as its rows. A delivery can
//! therefore be late or repeated without duplicating a row, and the file can be rebuilt from the
//! lake at any time.

mod apply;
mod database;
mod deliver;
mod documents;
mod files;
mod holders;
mod open_file;
mod options;
mod publish;
mod rebuild;
mod verify;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::{CheckedLake, DeliverError, Delivery, PublishedCopy, Target, TargetReport};
use crate::lake::{LakeStore, LakeView};
use crate::tables::Mapping;

pub use database::{inspect, try_folder};
pub use deliver::{KIND, deliver};
pub use holders::{Held, Holder, holders};
pub use options::DeliveryOptions;
pub use rebuild::rebuild;

/// A DuckDB file that follows a lake.
#[derive(Clone, Debug)]
pub struct DuckdbTarget {
    options: DeliveryOptions,
}

impl DuckdbTarget {
    /// The file that these options name.
    pub fn new(options: DeliveryOptions) -> Self {
        Self { options }
    }

    /// Checks that the published copy, if one is configured, is not the file itself.
    ///
    /// # Errors
    /// [`DeliverError::NotPublished`], as a delivery would.
    pub fn check_copy(&self) -> Result<(), DeliverError> {
        publish::check_path(&self.options)
    }

    /// Checks that `documents` can be in the file what the options say.
    ///
    /// # Errors
    /// [`DeliverError::ViewOfStore`], as a delivery would.
    pub fn check_documents(&self, lake: &LakeStore) -> Result<(), DeliverError> {
        self.options.documents_in(lake).map(drop)
    }
}

impl Target for DuckdbTarget {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn name(&self) -> &'static str {
        "the DuckDB file"
    }

    fn location(&self) -> String {
        self.options.path.display().to_string()
    }

    fn applied(&self) -> BoxFuture<'_, Result<Option<u64>, DeliverError>> {
        let applied = async {
            if !self.options.path.exists() {
                return Ok(None);
            }
            inspect(&self.options.path, &[]).map(|(commit, _)| Some(commit))
        };
        applied.boxed()
    }

    fn check<'c>(
        &'c self,
        _lake: &'c LakeView,
    ) -> BoxFuture<'c, Result<Option<u64>, DeliverError>> {
        self.applied()
    }

    fn published(&self) -> Result<Option<PublishedCopy>, DeliverError> {
        publish::published(&self.options)
    }

    fn deliver<'d>(
        &'d self,
        lake: &'d LakeView,
        mapping: &'d Mapping,
    ) -> BoxFuture<'d, Result<Delivery, DeliverError>> {
        let delivered = async {
            publish::check_path(&self.options)?;
            let mut delivery = deliver(lake, mapping, &self.options).await?;
            let is_changed = delivery.state != "current";
            delivery.published = publish::publish(lake, mapping, &self.options, is_changed).await?;
            Ok(delivery)
        };
        delivered.boxed()
    }

    fn rebuild<'d>(
        &'d self,
        lake: &'d LakeView,
        mapping: &'d Mapping,
    ) -> BoxFuture<'d, Result<Delivery, DeliverError>> {
        let rebuilt = async {
            publish::check_path(&self.options)?;
            let mut delivery = rebuild(lake, mapping, &self.options).await?;
            delivery.published = publish::publish(lake, mapping, &self.options, true).await?;
            Ok(delivery)
        };
        rebuilt.boxed()
    }

    fn verify<'v>(
        &'v self,
        lake: &'v mut CheckedLake<'_>,
    ) -> BoxFuture<'v, Result<TargetReport, DeliverError>> {
        async { verify::verify(lake, &self.options.path) }.boxed()
    }
}
