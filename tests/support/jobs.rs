//! The library's own jobs, in this process.

use armature_export::config::ApiKey;
use armature_export::event::Events;
use armature_export::job::LakeJob;
use armature_export::lake::LakeView;
use armature_export::sync::{SyncError, SyncOptions, SyncReport, sync};
use armature_export::tables::Mapping;
use armature_export::targets::duckdb::{DeliveryOptions, deliver, rebuild};
use armature_export::targets::{DeliverError, Delivery};
use armature_export::time::Timestamp;

use super::TestExport;

impl TestExport {
    /// One sync that must come to a report.
    pub(crate) async fn sync(&self) -> SyncReport {
        self.try_sync().await.unwrap()
    }

    /// One sync.
    pub(crate) async fn try_sync(&self) -> Result<SyncReport, SyncError> {
        self.sync_telling(Events::none()).await
    }

    /// One sync that tells what happens.
    pub(crate) async fn sync_telling(&self, events: Events) -> Result<SyncReport, SyncError> {
        let (_send, stop) = tokio::sync::watch::channel(false);
        let (url, now) = (self.simulator.base_url(), self.simulator.now().into());
        let key = ApiKey::new("amt_test_key", "here").unwrap();
        sync(SyncOptions::new(&self.settings, url, key, events, stop, now).unwrap()).await
    }

    /// The input of a job on the lake at a time by this machine's clock.
    pub(crate) fn job(&self, now: Timestamp) -> LakeJob {
        LakeJob::new(&self.settings, Events::none(), now, None).unwrap()
    }

    /// One delivery without a sync.
    pub(crate) async fn deliver(&self, again: bool) -> Result<Delivery, DeliverError> {
        let lake = LakeView::open(&self.lake).await.unwrap();
        let mapping = Mapping::new(&[], &[]).unwrap();
        let options = DeliveryOptions::new(&self.settings.duckdb, Events::none());
        if again {
            rebuild(&lake, &mapping, &options).await
        } else {
            deliver(&lake, &mapping, &options).await
        }
    }
}
